"""Help, completion and colours, of every command that there is."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from tests.cli.conftest import Shop, snapshot
from tests.cli.terminals import in_a_terminal

from schedcore._cli_commands import cli
from schedcore._cli_main import invoke

CODE = """
eval "$(_SCHEDCORE_COMPLETE=bash_source schedcore)"
COMP_WORDS=({words})
COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
_schedcore_completion schedcore
echo "${{COMPREPLY[@]}}"
"""


def commands(command: click.Command = cli, *path: str) -> Iterator[tuple[str, ...]]:
    """Name every command, and every command of a command."""
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from commands(inner, *path, name)


def complete(shop: Shop, words: str, **environment: str) -> list[str]:
    """Press the tabulator key in a bash."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", CODE.format(words=words)],
        env={**shop.environment, "PATH": path, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_there_are_all_commands() -> None:
    """Which is what the tests of this module walk through."""
    names = {path[0] for path in commands() if path}
    assert names == {
        *("run", "jobs", "next", "history", "trigger", "pause", "resume", "cancel", "backfill", "dead"),
        *("replicas", "doctor", "audit", "backends", "purge"),
    }
    assert ("dead", "retry") in set(commands())


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
def test_help_has_an_example(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """--help of each shows how it is written, tells its options, and ends with status 0."""
    assert invoke([*path, "--help"]) == 0
    out = capsys.readouterr().out
    assert f"\n    schedcore {' '.join(path)}".rstrip() in out
    assert "--debug" in out or path == ("dead",)


def test_bash_completes(closed_shop: Shop) -> None:
    """Commands, options, statuses, backends, and jobs by what the store knows."""
    assert complete(closed_shop, "schedcore re") == ["replicas", "resume"]
    assert complete(closed_shop, "schedcore history --st") == ["--status"]
    assert complete(closed_shop, "schedcore history --status s") == ["succeeded", "skipped"]
    assert complete(closed_shop, "schedcore jobs --backend re") == ["redis"]
    for command in ("history", "dead retry", "backfill --all", "jobs"):
        assert complete(closed_shop, f"schedcore {command} rep") == ["reply", "report"], command
    assert complete(closed_shop, "schedcore history a") == ["a:b"]
    assert complete(closed_shop, "schedcore history ''") == ["a:b", "reply", "report"]
    assert complete(closed_shop, "schedcore history x") == []


def test_completion_is_silent_where_there_is_nothing_to_ask(closed_shop: Shop) -> None:
    """No server, no app: no name, and no error in the middle of a line."""
    before = snapshot(closed_shop)
    away = "redis://127.0.0.1:1/0"
    assert complete(closed_shop, "schedcore history rep", SCHEDCORE_REDIS_URL=away) == []
    assert complete(closed_shop, "schedcore history rep", SCHEDCORE_APP="") == []
    named = f"schedcore history --app {closed_shop.app} repo"
    assert complete(closed_shop, named, SCHEDCORE_APP="") == ["report"]
    assert snapshot(closed_shop) == before


def test_colours_are_for_terminals(closed_shop: Shop) -> None:
    """Piped there are none, nor with NO_COLOR; in a terminal the head of a table is bold."""
    status, shown = in_a_terminal(closed_shop, "jobs")
    assert status == 0
    assert "\x1b[1m" in shown
    closed_shop.environment["NO_COLOR"] = "1"
    status, shown = in_a_terminal(closed_shop, "jobs")
    assert status == 0
    assert "report" in shown
    assert "\x1b" not in shown
    del closed_shop.environment["NO_COLOR"]
    assert "\x1b" not in closed_shop.run("jobs").stdout
    assert json.loads(in_a_terminal(closed_shop, "jobs", "--json")[1])[0]["name"] == "a:b"


def test_completion_waits_for_a_second_at_most() -> None:
    """A server that accepts and never answers: connecting to it is given up with the rest."""
    code = """if True:
        import time, click
        from schedcore import Scheduler, _cli_complete
        Scheduler("a", backend="redis")  # what is to be imported is
        context = click.Context(click.Command("jobs"))
        began = time.monotonic()
        print(_cli_complete.jobs(context, None, "rep"), time.monotonic() - began)
    """
    with socket.create_server(("127.0.0.1", 0)) as silent:
        environment = {
            **os.environ,
            "SCHEDCORE_APP": "a",
            "SCHEDCORE_BACKEND": "redis",
            "SCHEDCORE_REDIS_URL": f"redis://127.0.0.1:{silent.getsockname()[1]}/0",
        }
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        )
    names, took = done.stdout.split()
    assert names == "[]"
    assert 0.9 < float(took) < 2.5
    assert done.stderr == ""
