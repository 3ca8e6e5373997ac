"""What --json prints is what the documented schema says, of every command that has it."""

import io
import json
import os
from contextlib import redirect_stderr, redirect_stdout
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest import mock

import click
import pytest
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from tests.cli.conftest import Shop
from tests.cli.test_replicas import give_up, running
from tests.cli.test_terminal import commands

from schedcore._cli_commands import cli
from schedcore._cli_main import invoke

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/reference/command-line.schema.json").read_text())
FORMATS = FormatChecker()


@FORMATS.checks("date-time", raises=ValueError)
def is_aware(value: object) -> bool:
    """Instants are ISO 8601 with an offset; `null` has no format."""
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


def check(shop: Shop, command: str, *words: str) -> Any:
    """Run a command with --json, and hold what it prints against the schema."""
    out = io.StringIO()
    with mock.patch.dict(os.environ, shop.environment), redirect_stdout(out), redirect_stderr(io.StringIO()):
        assert invoke([*command.split(), *words, "--json"]) in (0, 1)
    value = json.loads(out.getvalue())
    schema = {"$defs": SCHEMA["$defs"], **SCHEMA["properties"][command]}
    Draft202012Validator(schema, format_checker=FORMATS).validate(value)
    return value


def command_at(path: tuple[str, ...]) -> click.Command:
    command: click.Command = cli
    for name in path:
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), name) or command
    return command


def test_every_command_that_prints_json_has_a_schema() -> None:
    """And no other has one; no object may have a field that is not told."""
    Draft202012Validator.check_schema(SCHEMA)
    having = {
        " ".join(path)
        for path in commands()
        if any("--json" in parameter.opts for parameter in command_at(path).params)
    }
    assert having == SCHEMA["properties"].keys()
    with pytest.raises(ValidationError):
        Draft202012Validator(SCHEMA["properties"]["purge"]).validate(
            {"app": "a", "purged": True, "alive": [], "x": 1}
        )


def test_what_is_asked_of_an_app_that_runs(shop: Shop) -> None:
    """Each command that reads prints what the schema says, with something in it."""
    shop.ask("trigger", "slower", "--key", "k")
    shop.until(lambda: running(shop, "slower"))
    assert any(job["running"] for job in check(shop, "jobs"))
    assert check(shop, "history", "tick")
    assert check(shop, "replicas")[0]["running"]
    assert check(shop, "audit", "tick")[0]["stretches"]
    assert check(shop, "doctor")
    assert check(shop, "backends")["backends"]
    assert check(shop, "backfill", "tick", "--from", "2026-03-01T00:00", "--to", "2026-03-01T00:00:03")[
        "times"
    ]
    assert check(shop, "next", "30 2 * * *", "--tz", "Europe/Berlin")
    assert check(shop, "cancel", "slower")


def test_what_changes_something(closed_shop: Shop) -> None:
    """So does each that changes something."""
    assert check(closed_shop, "trigger", "reply")["outcome"] == "sent"
    assert check(closed_shop, "pause", "reply", "--until", "2999-01-01")["until"]
    assert check(closed_shop, "pause", "--all")["job"] is None
    assert check(closed_shop, "resume", "reply")["still_paused"] == ["reply"]
    give_up(closed_shop, "report", "order-17", {"day": 1})
    assert check(closed_shop, "dead list")[0]["payload"] == {"day": 1}
    assert check(closed_shop, "dead show", "report", "order-17")["key"] == "order-17"
    assert check(closed_shop, "dead retry", "report", "order-17")["outcome"] == "sent"
    assert check(closed_shop, "purge", "--yes", closed_shop.app)["purged"] is True


def test_what_is_declared_and_asked_of_no_store(
    tmp_path: Path, closed_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs of code alone have `null` where only a store knows, in the same fields."""
    (tmp_path / "jsonapp.py").write_text(
        "from schedcore import Scheduler\n"
        "scheduler = Scheduler('other', backend='ram')\n"
        "scheduler.add_job('a', '@hourly', lambda: None)\n"
    )
    monkeypatch.setitem(closed_shop.environment, "SCHEDCORE_BACKEND", "ram")
    (job,) = check(closed_shop, "jobs", "jsonapp:scheduler", "--app-dir", str(tmp_path))
    assert (job["state"], job["running"], job["counters"]) == (None, None, None)
    assert check(closed_shop, "next", "jsonapp:scheduler", "--app-dir", str(tmp_path))
