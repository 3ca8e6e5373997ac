"""Every command against three replicas, in a terminal and piped, and by those who may not or cannot."""

import json
import re
import time
from collections.abc import Iterator

import pytest
import redis
from tests.cli.conftest import Ask, Shop
from tests.cli.terminals import in_a_terminal
from tests.cli.test_terminal import commands

from schedcore._cli_main import invoke

WORDS = {
    "jobs": [],
    "replicas": [],
    "doctor": [],
    "backends": [],
    "next": ["@every 1m"],
    "history": ["tick"],
    "audit": ["tick"],
    "trigger": ["report"],
    "pause": ["--all", "--until", "2999-01-01"],
    "resume": ["--all"],
    "cancel": ["slow", "--all"],
    "backfill": ["report", "--from", "2026-03-01", "--to", "2026-03-03"],
    "dead list": [],
    "dead show": ["report", "k"],
    "dead retry": ["report", "k"],
    "purge": ["--yes", "another"],
}
"""How each command is called that asks an app, or nobody; the order is that of a walk."""

STATUS = {"dead show": 2, "dead retry": 2, "purge": 2, "cancel": 1}
ASKING = [command for command in WORDS if command not in ("next", "backends")]


@pytest.fixture(scope="module")
def trio(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Three processes that run the app."""
    shop = Shop(redis_url, tmp_path_factory.mktemp("trio"))
    asker = shop.scheduler()
    try:
        for _ in range(3):
            shop.start()
        shop.until(lambda: len(asker.blocking.replicas()) == 3)
        shop.until(lambda: any(job.name == "tick" and job.last_success for job in asker.blocking.jobs()))
        yield shop
    finally:
        asker.stop()
        shop.end()


def test_every_command_is_called_here() -> None:
    """But `run`, which the replicas are."""
    assert {" ".join(path) for path in commands() if path} - {"run", "dead"} == WORDS.keys()


@pytest.mark.parametrize("command", WORDS)
def test_in_a_terminal_and_piped(trio: Shop, command: str) -> None:
    """It answers the same in both, without a traceback, and piped without an escape sequence."""
    words = [*command.split(), *WORDS[command]]
    piped = trio.run(*words)
    status, shown = in_a_terminal(trio, *words)
    said = piped.stdout + piped.stderr
    if command == "doctor":  # whether this server is kept is not ours to say
        assert {piped.returncode, status} <= {0, 1}
    else:
        assert (piped.returncode, status) == (STATUS.get(command, 0),) * 2, said
    assert "Traceback" not in said + shown
    assert said.replace("\n", "").isprintable()
    assert said
    first = said.split()[0].lower()
    assert first in shown.lower()
    if status == 2:
        assert len(said.splitlines()) == 1


def test_each_of_three_replicas_is_told(trio: Shop) -> None:
    """With its own id; all are of one release, and have the same jobs."""
    found = json.loads(trio.ask("replicas", "--json"))
    assert len({each["id"] for each in found}) == 3
    assert {each["jobs"] for each in found} == {7}
    by_check = {each["check"]: each for each in json.loads(trio.run("doctor", "--json").stdout)}
    assert by_check["replicas"]["detail"].startswith("3 alive: ")
    for check in ("clocks", "releases", "definitions", "jobs", "overdue"):
        assert by_check[check]["verdict"] == "ok", by_check[check]


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize("words", [["jobs"], ["replicas"], ["history", "failing"], ["doctor"]])
def test_a_narrow_terminal_hides_nothing(trio: Shop, words: list[str], columns: int) -> None:
    """What does not fit is folded between words, or told line by line: nothing is cut, and no word is."""
    trio.ask("trigger", "failing", "--wait", "20", status=1)
    replicas = [each["id"] for each in json.loads(trio.ask("replicas", "--json"))]
    status, shown = in_a_terminal(trio, *words, columns=columns)
    assert status in (0, 1)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert max(len(line) for line in shown.splitlines()) <= columns
    assert "…" not in shown
    if words[0] in ("replicas", "doctor"):
        assert all(replica in shown for replica in replicas)
    elif words[0] == "history":
        assert "ValueError:" in shown
        assert any(replica in shown for replica in replicas)
    else:
        assert re.search(r"\d\d:\d\d:\d\d\+00:00", shown)


def test_words_that_matter_are_coloured_in_a_terminal(trio: Shop) -> None:
    """Unless NO_COLOR says otherwise; piped, nothing is."""
    trio.ask("trigger", "failing", "--wait", "20", status=1)
    _, shown = in_a_terminal(trio, "history", "failing")
    assert "\x1b[31mfailed" in shown
    trio.environment["NO_COLOR"] = "1"
    try:
        _, plain = in_a_terminal(trio, "history", "failing")
    finally:
        del trio.environment["NO_COLOR"]
    assert "\x1b[3" not in plain


@pytest.mark.parametrize("command", ASKING)
def test_a_store_that_is_away_is_told_in_a_line(
    refused: Ask, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Soon, with the cause; a doctor has it as a finding."""
    monkeypatch.setenv("SCHEDCORE_REDIS_URL", "redis://127.0.0.1:1/0")
    words = [*command.split(), *WORDS[command]]
    if command == "purge":
        words = ["purge"]
    begin = time.monotonic()
    if command == "doctor":
        assert invoke(words) == 1
        assert "ConnectionError" in capsys.readouterr().out
    else:
        said = refused(*words, status=1)
        assert "the store did not answer (ConnectionError" in said
        assert "is Redis up, and reached at redis://127.0.0.1:1/0, which SCHEDCORE_REDIS_URL gives" in said
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize("command", ASKING)
def test_whoever_has_no_rights_is_told_in_a_line(
    refused: Ask,
    untouched_shop: Shop,
    command: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With where to look, and nothing is changed."""
    user = f"user-{untouched_shop.app}"
    with redis.Redis.from_url(untouched_shop.url) as client:
        client.acl_setuser(user, enabled=True, nopass=True, commands=["+info", "+time"], keys=["other:*"])
        try:
            address = untouched_shop.url.replace("redis://", f"redis://{user}:x@")
            monkeypatch.setenv("SCHEDCORE_REDIS_URL", address)
            words = ["purge", "--yes", untouched_shop.app] if command == "purge" else command.split()
            words += [] if command == "purge" else WORDS[command]
            if command == "doctor":
                assert invoke(words) == 1
                said = capsys.readouterr().out
            else:
                said = refused(*words, status=1)
            assert "NoPermissionError" in said
            assert "ACL LOG on the server names what was refused" in said
        finally:
            client.acl_deluser(user)


@pytest.mark.parametrize("address", ["redis://:wrong@", "redis://nobody:wrong@"])
def test_a_wrong_password_is_told_in_a_line(
    refused: Ask, untouched_shop: Shop, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With where it comes from, and without showing it."""
    wrong = untouched_shop.url.replace("redis://", address)
    monkeypatch.setenv("SCHEDCORE_REDIS_URL", wrong)
    said = refused("jobs", status=1)
    assert "AuthenticationError" in said
    where = untouched_shop.url.replace("redis://", "redis://***@")
    assert f"user and password are part of its address, {where}, which SCHEDCORE_REDIS_URL gives" in said
    assert "wrong" not in said


@pytest.mark.parametrize(
    "words",
    [
        [*command.split(), "repot", *rest]
        for command, rest in {
            "jobs": ["report"],
            "history": [],
            "audit": [],
            "trigger": [],
            "pause": [],
            "resume": [],
            "cancel": [],
            "backfill": ["--from", "2026-03-01"],
            "dead list": [],
            "dead show": ["k"],
            "dead retry": ["k"],
        }.items()
    ],
    ids=" ".join,
)
def test_a_name_that_is_nearly_right(refused: Ask, words: list[str]) -> None:
    """Which one was meant is told, and nothing has changed."""
    assert "no job is named 'repot'; did you mean 'report'" in refused(*words)


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["history", "report", "--after", "25:00"], "--after"),
        (["history", "report", "--until", "2026-02-30"], "--until"),
        (["audit", "report", "--from", "last week"], "--from"),
        (["audit", "report", "--from", "2026-02-01", "--to", "2026-13-01"], "--to"),
        (["backfill", "report", "--from", "2026-2-1"], "--from"),
        (["backfill", "report", "--from", "2026-02-01", "--to", "5m"], "--to"),
        (["pause", "report", "--until", "24.12.2026"], "--until"),
    ],
)
def test_a_time_that_is_none(refused: Ask, words: list[str], option: str) -> None:
    """The option is named, with an example of what is right."""
    said = refused(*words)
    assert f"{option} '" in said
    assert "write e.g. 2026-" in said
