"""`schedcore cancel`, `replicas` and `dead`."""

import asyncio
import json
from importlib.metadata import version

import attrs
import pytest
from tests.cli.conftest import Ask, Shop

from sched_redis import RedisBackend
from schedcore import Scheduler
from schedcore._draft import Draft, Outcome
from schedcore.protocols import Status, Verdict


def running(shop: Shop, job: str) -> list[str]:
    (info,) = json.loads(shop.ask("jobs", job, "--json"))
    return [run["key"] for run in info["running"]]


def give_up(shop: Shop, job: str, key: str, payload: object) -> None:
    """Do what the replica does that takes a trigger over for the fifth time, without the waiting."""

    async def take_and_give_up() -> None:
        backend = RedisBackend(shop.app, url=shop.url)
        await backend.open("the-last")
        (delivery,) = await backend.bus.receive(frozenset((job,)), 1, 0)
        (row,) = await backend.store.rows([job])
        draft = Draft(row)
        outcome = Outcome(Status.DEAD, "5 deliveries ended")
        draft.finish([(attrs.evolve(delivery, number=6), outcome)], "the-last")
        (answer,) = await backend.bus.commit([draft.step("step-of-the-last")], backend.locker)
        assert answer.verdict is Verdict.DONE
        await backend.close()

    scheduler = shop.scheduler()
    scheduler.blocking.trigger(job, payload=payload, key=key)
    scheduler.stop()
    asyncio.run(take_and_give_up())


def test_a_run_is_cancelled(shop: Shop) -> None:
    """Its replica cancels the coroutine with its next beat, and the history says that somebody did."""
    shop.ask("trigger", "slow", "--key", "k")
    shop.until(lambda: running(shop, "slow") == ["k"])
    out = shop.ask("cancel", "slow")
    assert out.startswith("slow: asked ")
    assert " to cancel k, which it has since " in out
    shop.until(lambda: running(shop, "slow") == [])
    (line,) = json.loads(shop.ask("history", "slow", "--json"))
    assert (line["status"], line["detail"]) == ("failed", "it was cancelled by hand\nwaiting for ever")
    assert "it was cancelled by hand; waiting for ever" in shop.ask("history", "slow")
    assert shop.ask("cancel", "slow", status=1) == "slow: no run is under way\n"


def test_which_of_several_is_cancelled_is_said(shop: Shop) -> None:
    """Of several runs none is guessed: name its key, or all."""
    for key in "abc":
        shop.ask("trigger", "many", "--key", key)
    shop.until(lambda: sorted(running(shop, "many")) == ["a", "b", "c"])
    done = shop.run("cancel", "many")
    assert done.returncode == 2
    assert "job many has 3 runs under way: name a KEY (a, b, c), or --all" in done.stderr
    assert shop.ask("cancel", "many", "d", status=1) == "many: no run d is under way, 3 outstanding\n"
    (asked,) = json.loads(shop.ask("cancel", "many", "b", "--json"))
    assert (asked["job"], asked["key"]) == ("many", "b")
    shop.until(lambda: sorted(running(shop, "many")) == ["a", "c"])
    assert len(shop.ask("cancel", "many", "--all").splitlines()) == 2
    shop.until(lambda: running(shop, "many") == [])


def test_the_living_replicas_are_listed(shop: Shop) -> None:
    """Each with its version, since when, its clock, how many jobs it has, and what it runs."""
    shop.ask("trigger", "slower", "--key", "k")
    shop.until(lambda: running(shop, "slower") == ["k"])
    (replica,) = json.loads(shop.ask("replicas", "--json"))
    assert set(replica) == {
        *("id", "host", "pid", "version", "started_at", "beat_at", "offset", "jobs", "running"),
        *("concurrency", "differing", "loop_blocked", "threads", "in_threads"),
    }
    assert replica["version"] == version("schedcore")
    assert replica["jobs"] == 7
    assert "k" in [run["key"] for run in replica["running"]]
    with shop.scheduler():
        oldest, newest = json.loads(shop.ask("replicas", "--json"))
        assert (oldest["id"], newest["jobs"], newest["running"]) == (replica["id"], 0, [])
        header, line, other = shop.ask("replicas").splitlines()
    assert header.split("  ")[0] == "REPLICA"
    assert line.startswith(replica["id"])
    assert "slower since " in line
    assert "slower" not in other


def test_no_replica_is_alive(closed_shop: Shop) -> None:
    """Then the status is 1, as a script would want it, and JSON is an empty list."""
    assert json.loads(closed_shop.ask("replicas", "--json", status=1)) == []
    done = closed_shop.run("replicas")
    assert (done.returncode, len(done.stdout.splitlines())) == (1, 1)  # the table's head
    assert done.stderr == f"no replica of app {closed_shop.app} is alive\n"


def test_the_dead_are_listed_shown_and_retried(closed_shop: Shop) -> None:
    """With the payload that it had; while there are any, the status of the list is 1."""
    assert closed_shop.ask("dead", "list") == f"nothing of app {closed_shop.app} is dead\n"
    give_up(closed_shop, "report", "order-17", {"day": 1})
    for words in (("dead", "list", "--json"), ("dead", "list", "report", "--json")):
        (line,) = json.loads(closed_shop.ask(*words, status=1))
        assert (line["job"], line["key"], line["payload"]) == ("report", "order-17", {"day": 1})
    assert closed_shop.ask("dead", "list", "reply") == "nothing of reply is dead\n"
    assert '{"day": 1}' in closed_shop.ask("dead", "list", status=1)
    shown = closed_shop.ask("dead", "show", "report", "order-17").splitlines()
    assert 'payload       {"day": 1}' in shown
    assert json.loads(closed_shop.ask("dead", "show", "report", "order-17", "--json")) == line
    assert closed_shop.ask("dead", "retry", "report", "order-17").startswith("report: sent, key ")
    seen: list[object] = []
    scheduler = closed_shop.scheduler()
    scheduler.add_job("report", "@every 24h", lambda run: seen.append(run.payload))
    with scheduler:
        closed_shop.until(lambda: seen == [{"day": 1}])


def test_a_payload_is_kept_of_what_was_given_up_only(closed_shop: Shop) -> None:
    """Lines of runs that succeeded carry none."""
    scheduler: Scheduler = closed_shop.scheduler()
    scheduler.add_job("paid", "@every 24h", lambda run: None)
    with scheduler:
        scheduler.blocking.trigger("paid", payload=1, wait=True)
        (line,) = scheduler.blocking.history("paid")
    assert line.payload is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["cancel"], "Missing argument 'JOB'"),
        (["cancel", "repot"], "did you mean 'report'"),
        (["cancel", "report", "a", "--all"], "name either a KEY, or --all"),
        (["replicas", "report"], "unexpected extra argument (report)"),
        (["replicas", "--app", "no such"], "'no such'"),
        (["dead", "lst"], "No such command 'lst'"),
        (["dead", "list", "repot"], "did you mean 'report'"),
        (["dead", "list", "--app", "no-such-app"], "the store knows no job of app no-such-app"),
        (["dead", "show", "report"], "Missing argument 'KEY'"),
        (["dead", "show", "report", "k"], "job report has no dead run with the key 'k'; there are: none"),
        (["dead", "retry", "repot", "k"], "did you mean 'report'"),
        (["dead", "retry", "report", "k"], "job report has no dead run with the key 'k'"),
        (["replicas", "--backend", "ram"], "the ram backend keeps an app within its process"),
        (["cancel", "report", "--backend", "ram"], "the ram backend keeps an app within its process"),
        (["dead", "list", "--backend", "ram"], "the ram backend keeps an app within its process"),
    ],
)
def test_what_cannot_be_used_is_refused(refused: Ask, words: list[str], said: str) -> None:
    """One line says what is wrong and what would be right; the status is 2, and nothing has changed."""
    assert said in refused(*words)


@pytest.mark.parametrize("words", [["replicas"], ["dead", "list"], ["cancel", "tick", "--all", "--json"]])
def test_piped_there_are_no_colours(shop: Shop, words: list[str]) -> None:
    """A process of its own prints text, without a word to standard error."""
    done = shop.run(*words)
    assert done.stderr == ""
    assert done.stdout.replace("\n", "").isprintable()
