"""`schedcore doctor`, against an app that runs, and one that does not."""

import json
from typing import Any

import pytest
from sched_sqlite import SqliteBackend
from tests.cli.conftest import Ask, Shop, snapshot
from tests.redis.servers import RedisServer

from schedcore import Scheduler
from schedcore._cli_main import invoke
from schedcore._doctor import diagnose

CHECKS = [
    *("store", "version", "persistence", "eviction", "memory", "replication", "clients", "rights"),
    *(
        "replicas",
        "clocks",
        "releases",
        "definitions",
        "loops",
        "places",
        "jobs",
        "overdue",
        "backlog",
        "pauses",
        "dead",
    ),
]


def verdicts(said: str) -> dict[str, str]:
    found: list[dict[str, Any]] = json.loads(said)
    assert all(set(each) == {"check", "verdict", "detail", "remedy"} for each in found)
    return {each["check"]: each["verdict"] for each in found}


def test_an_app_that_is_well(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each check is ok, the status is 0, and nothing is changed."""
    with RedisServer(persistence="aof-always") as server:
        shop = Shop(server.url, tmp_path_factory.mktemp("shop"))
        scheduler = shop.scheduler()
        scheduler.add_job("report", "@every 24h", lambda: None)
        with scheduler:
            assert scheduler.blocking.jobs()
            assert verdicts(shop.ask("doctor", "--json")) == dict.fromkeys(CHECKS, "ok")
            header, *lines = shop.ask("doctor").splitlines()
        before = snapshot(shop)
        shop.ask("doctor", status=1)
        assert snapshot(shop) == before
    assert header.split() == ["VERDICT", "CHECK", "DETAIL"]  # no remedy is needed
    assert [line.split()[:2] for line in lines] == [["ok", check] for check in CHECKS]


def test_an_app_that_does_not_run(closed_shop: Shop) -> None:
    """No replica is a failure, so the status is 1, and the remedy is told."""
    found = verdicts(closed_shop.ask("doctor", "--json", status=1))
    assert found["replicas"] == "fail"
    assert "jobs" not in found
    out = closed_shop.ask("doctor", status=1)
    assert "fail     replicas     none is alive, so nothing is fired" in out
    assert "start the app" in out


def test_replicas_that_define_a_job_differently_are_told(closed_shop: Shop) -> None:
    """Whichever of the two started last, and as long as both are alive."""
    older, newer = closed_shop.scheduler(), closed_shop.scheduler()
    older.add_job("report", "@every 24h", lambda: None)
    newer.add_job("report", "@every 12h", lambda: None)
    newer.add_job("reply", "@every 24h", lambda: None)

    def told() -> str:
        found = json.loads(closed_shop.ask("doctor", "--json", status=1))
        return next(str(each["detail"]) for each in found if each["check"] == "definitions")

    with older:
        with newer:
            closed_shop.until(lambda: "replicas define report differently" in told())
            assert [info.differing for info in older.blocking.replicas()] == [(), ("report",)]
        closed_shop.until(lambda: told() == "no two replicas define a job differently")


def test_a_store_that_does_not_answer_is_a_finding(
    closed_shop: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is the only one, and the status is 1."""
    for name, value in closed_shop.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SCHEDCORE_REDIS_URL", "redis://127.0.0.1:1/0")
    assert invoke(["doctor", "--json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["check"], found["verdict"]) == ("store", "fail")
    assert "ConnectionError" in found["detail"]
    assert "is Redis up, and reached at" in found["remedy"]


def test_an_app_that_is_none(closed_shop: Shop) -> None:
    """It is said, and nothing is made of it."""
    out = closed_shop.ask("doctor", "--app", "no-such-app", status=1)
    assert "the store knows no job of this app" in out


def test_a_store_that_cannot_look_at_itself(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The rest is looked at all the same."""
    path = tmp_path_factory.mktemp("file") / "db"
    scheduler = Scheduler("shop", backend=SqliteBackend("shop", path=path))
    scheduler.add_job("report", "@every 24h", lambda: None)
    with scheduler:
        assert scheduler.blocking.jobs()
        found = scheduler.wait_for(diagnose)
    assert [each.check for each in found] == [CHECKS[0], *CHECKS[8:]]
    assert {str(each.verdict) for each in found} == {"ok"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["doctor", "report"], "unexpected extra argument (report)"),
        (["doctor", "--app", "no such"], "'no such'"),
        (["doctor", "--backend", "ram"], "the ram backend keeps an app within its process"),
    ],
)
def test_what_cannot_be_used_is_refused(refused: Ask, words: list[str], said: str) -> None:
    """One line says what is wrong and what would be right; the status is 2, and nothing has changed."""
    assert said in refused(*words)
