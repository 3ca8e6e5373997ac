"""A coroutine that blocks the application's loop delays neither other triggers nor the beat. In real time."""

import asyncio
import threading
import time
from collections.abc import Callable, Collection, Coroutine
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from random import Random

import pytest
from tests.engine.replica import RARELY, nothing, scheduler, until

from sched_ram import Memory, RamBackend
from schedcore import RunContext, Scheduler
from schedcore._execute import Execution, call_plain
from schedcore._jobs import make_job
from schedcore.protocols import Delivery, Trigger


def test_a_blocked_loop_delays_neither_other_jobs_nor_the_beat() -> None:
    """For four seconds the application's loop is blocked: plain jobs start on time, the lease is renewed."""
    memory = Memory()
    s = Scheduler("app", backend=RamBackend("app", memory=memory), drain=5)
    lags: list[float] = []
    beats: list[float | None] = []
    deadlines: list[int] = []
    began = threading.Event()

    async def careless() -> None:
        began.set()
        time.sleep(4)  # noqa: ASYNC251  that it blocks is the point

    def plain(run: RunContext) -> None:
        lags.append(time.time() - run.scheduled_at.timestamp())

    s.add_job("careless", RARELY, careless)
    s.add_job("plain", "@every 200ms", plain)

    def watch() -> None:
        assert began.wait(5)
        held = memory.items["careless"]
        (item,) = held.values()
        while held:
            deadlines.append(item.deadline)
            beats.append(s.blocking.health().last_beat)
            time.sleep(0.1)

    async def main() -> None:
        async with s:
            watching = threading.Thread(target=watch)
            watching.start()
            assert (await s.trigger("careless", wait=True, timeout=20)).outcome == "succeeded"
            await asyncio.to_thread(watching.join)

    asyncio.run(main())
    assert len(lags) >= 17
    assert sorted(lags)[len(lags) // 2] < 0.1, f"plain jobs started late: {lags}"
    assert max(lags) < 1, f"a plain job waited for the blocked loop: {lags}"
    assert max(beat for beat in beats if beat is not None) < 3.8, "the beat waited for the blocked loop"
    assert len(set(deadlines)) > 1, "the lease of the careless run was not renewed while it blocked"


def test_runs_that_the_loop_does_not_take_are_left_to_other_replicas() -> None:
    """While the loop does not acknowledge what was handed over, a replica of coroutines takes no more."""
    memory = Memory()
    s = Scheduler("app", backend=RamBackend("app", memory=memory), drain=5)

    async def job() -> None: ...

    for name in ("a", "b", "c", "d"):
        s.add_job(name, RARELY, job)

    async def main() -> None:
        async with s:
            for name in ("a", "b", "c", "d"):
                asking = threading.Thread(target=s.blocking.trigger, args=(name,))
                asking.start()
                asking.join()
                time.sleep(0.05)  # noqa: ASYNC251
            waiting = [item for items in memory.items.values() for item in items.values() if not item.replica]
            assert len(waiting) == 3, "more was taken although nothing of it could begin"
            await asyncio.to_thread(until, lambda: not memory.items)

    asyncio.run(main())


def test_a_loop_that_was_blocked_for_a_moment_gets_the_next_run_at_once() -> None:
    """Once it has taken what was handed over, it is given more, and not only with the next beat."""
    s = scheduler()
    begun = asyncio.Event()

    async def long() -> None:
        begun.set()
        await asyncio.sleep(30)

    async def short() -> None: ...

    s.add_job("long", RARELY, long)
    s.add_job("short", RARELY, short)

    async def main() -> float:
        async with s:
            asking = threading.Thread(target=s.blocking.trigger, args=("long",))
            asking.start()
            asking.join()
            time.sleep(0.3)  # noqa: ASYNC251
            await asyncio.wait_for(begun.wait(), 5)
            begin = time.monotonic()
            await s.trigger("short", wait=True, timeout=20)
            took = time.monotonic() - begin
            s._drain = 0
            return took

    # Right after a start the next beat is three seconds away.
    took = asyncio.run(main())
    assert took < 1, f"the next run waited {took:.1f} s for a beat"


def test_a_blocked_own_loop_does_not_hinder_plain_functions() -> None:
    """After `start()` too: coroutine jobs share one loop, plain functions are beside it."""
    s = scheduler(drain=0)
    ran, may_end = threading.Event(), threading.Event()

    async def careless() -> None:
        may_end.wait(5)

    s.add_job("careless", RARELY, careless)
    s.add_job("plain", RARELY, ran.set)
    with s:
        s.blocking.trigger("careless")
        s.blocking.trigger("plain")
        assert ran.wait(1)
        may_end.set()


def test_a_run_that_is_called_off_while_it_gets_its_thread_leaves_the_thread_to_others() -> None:
    """The thread comes free and the run is interrupted in one turn of the engine's loop."""
    s = scheduler(threads=1)
    began, may_end, ran = threading.Event(), threading.Event(), threading.Event()

    def first() -> None:
        began.set()
        may_end.wait(5)

    s.add_job("first", RARELY, first)
    s.add_job("second", RARELY, lambda: None)
    s.add_job("third", RARELY, ran.set)
    with s:
        s.blocking.trigger("first")
        assert began.wait(2)
        s.blocking.trigger("second")
        service = s._lifetime._service
        assert service is not None
        assert service.engine is not None
        runner = service.engine.runner
        until(lambda: len(runner.held) == 2)
        (second,) = [e for e in runner.held.values() if e.job.name == "second"]

        async def one_turn() -> None:
            may_end.set()
            time.sleep(0.1)  # noqa: ASYNC251  the thread's end arrives before this turn is over
            asyncio.get_running_loop().call_soon(second.interrupt, "called off")

        service.submit(one_turn()).result(5)
        until(lambda: not runner.held)
        s.blocking.trigger("third")
        assert ran.wait(2), "the thread was never free again"


def test_plain_functions_run_on_while_coroutines_would_fill_all_places() -> None:
    """What a blocked loop has not begun is given back: it takes no place from plain functions."""
    backend = RamBackend("app")
    given_back = []
    give_back = backend.bus.give_back

    async def counted(held: Collection[Delivery]) -> None:
        given_back.extend(held)
        await give_back(held)

    backend.bus.give_back = counted
    s = Scheduler("app", backend=backend, concurrency=4, drain=5)
    plain: list[float] = []
    quick: list[float] = []
    blocked: list[float] = []

    async def careless() -> None:
        blocked.append(time.monotonic())
        time.sleep(4.3)  # noqa: ASYNC251  that it blocks is the point
        blocked.append(time.monotonic())

    async def coroutine() -> None:
        quick.append(time.monotonic())

    s.add_job("careless", RARELY, careless)
    for name in ("a", "b", "c"):
        s.add_job(name, "@every 1s", coroutine)
    s.add_job("plain", "@every 1s", lambda: plain.append(time.monotonic()))

    async def main() -> None:
        async with s:
            assert (await s.trigger("careless", wait=True, timeout=30)).outcome == "succeeded"
            await asyncio.sleep(1.5)

    asyncio.run(main())
    begin, end = blocked
    assert not [at for at in quick if begin < at < end]
    meanwhile = [begin, *(at for at in plain if begin < at < end), end]
    longest = max(later - earlier for earlier, later in pairwise(meanwhile))
    assert longest < 2.5, f"plain functions stood still for {longest:.1f} s"
    assert [at for at in quick if end <= at < end + 1], "coroutines waited for a beat after the loop was free"
    assert len(given_back) <= 8, f"{len(given_back)} deliveries went round and round"


def test_what_was_taken_beside_a_function_that_blocks_in_its_first_step_is_given_back() -> None:
    """The loop took all three together, and the first blocks: the two others do not wait behind it."""
    memory = Memory()
    s = Scheduler("app", backend=RamBackend("app", memory=memory), concurrency=3, drain=5)
    ran, may_end = threading.Event(), threading.Event()

    async def job() -> None:
        may_end.wait(10)

    for name in ("a", "b", "c"):
        s.add_job(name, RARELY, job)
    s.add_job("plain", RARELY, ran.set)

    async def main() -> None:
        async with s:
            helper = threading.Thread(target=ask)
            helper.start()
            may_begin.set()
            time.sleep(0.3)  # noqa: ASYNC251  all three are taken together
            await asyncio.to_thread(helper.join)
            await asyncio.to_thread(until, lambda: not memory.items, 1)

    may_begin = threading.Event()

    def ask() -> None:
        may_begin.wait(5)
        for name in ("a", "b", "c", "plain"):
            s.blocking.trigger(name)
        assert ran.wait(4), "the plain function waited behind coroutines that had not begun"
        waits = [item for items in memory.items.values() for item in items.values() if not item.replica]
        assert len(waits) == 2
        may_end.set()

    asyncio.run(main())
    assert ran.is_set()


def execution_of(function: Callable[[], object]) -> Execution:
    """Make one that has not begun."""
    return Execution(
        Delivery(Trigger("a", "1", 1), 1, 1), make_job("a", RARELY, function, {}), int, Random(1)
    )


def test_a_delivery_begins_or_is_given_back_but_never_both() -> None:
    """The decision is taken once, whichever thread comes first."""
    with ThreadPoolExecutor(2) as pool:
        for _ in range(500):
            execution, both = execution_of(nothing), threading.Barrier(2)
            decisions = [pool.submit(lambda e, b: (b.wait(), e.decide()), execution, both) for _ in range(2)]
            assert sorted(decision.result()[1] for decision in decisions) == [False, True]


def test_what_was_given_back_does_not_begin_when_its_loop_comes_to_it() -> None:
    """Its function is not called; whoever waits for its end hears that it was given back."""
    ran: list[int] = []
    execution = execution_of(lambda: ran.append(1))
    assert execution.decide()

    async def attempt(execution: Execution) -> None:
        call_plain(execution.job, execution.context)

    assert asyncio.run(execution.perform(attempt)) is None
    assert not ran


@pytest.mark.parametrize("sure", [True, False])
def test_nothing_begins_under_a_lease_that_may_have_lapsed(sure: bool) -> None:
    """A process that stood still between the hand-over and the beginning gives it back."""
    ran: list[int] = []
    execution = execution_of(lambda: ran.append(1))
    execution.sure = lambda: sure

    async def attempt(execution: Execution) -> None:
        call_plain(execution.job, execution.context)

    outcome = asyncio.run(execution.perform(attempt))
    assert (outcome is not None, ran) == ((True, [1]) if sure else (False, []))


def test_another_replica_runs_what_a_blocked_loop_does_not_begin() -> None:
    """Its loop is free: scheduled coroutines go on there, and nothing goes round between the two."""
    memory = Memory()
    blocked = Scheduler("app", backend=RamBackend("app", memory=memory), drain=5)
    free = Scheduler("app", backend=RamBackend("app", memory=memory), drain=5)
    ran: list[str] = []
    tokens: list[int] = []

    def job(replica: str) -> Callable[[RunContext], Coroutine[None, None, None]]:
        async def note(run: RunContext) -> None:
            ran.append(replica)
            tokens.append(run.token)

        return note

    for s, name in ((blocked, "blocked"), (free, "free")):
        for number in range(4):
            s.add_job(f"job-{number}", "@every 500ms", job(name))
        s.add_job("plain", "@every 1s", nothing)

    async def main() -> None:
        async with blocked:
            await asyncio.sleep(0.5)
            ran.clear()
            time.sleep(4.3)  # noqa: ASYNC251  that it blocks is the point
            meanwhile = list(ran)
        assert "blocked" not in meanwhile
        assert len(meanwhile) >= 20, f"only {len(meanwhile)} of 32 were run"
        assert len(set(tokens)) == len(tokens)

    with free:
        asyncio.run(main())
