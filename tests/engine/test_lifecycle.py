"""Calls in the wrong place or at the wrong time: each is an error that names the right one."""

import asyncio
import gc
import logging
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress

import pytest
from tests.engine.replica import RARELY, nothing, scheduler, until

from sched_ram import Memory, RamBackend
from schedcore import LifecycleError, Scheduler
from schedcore._loop_thread import LoopThread


def test_a_second_start_is_refused() -> None:
    """One scheduler runs once at a time, however it was started; the first goes on."""
    s = scheduler()

    async def enter() -> None:
        async with s:
            pass

    with s:
        with pytest.raises(LifecycleError, match="of app is started already; stop it first"):
            s.start()
        with pytest.raises(LifecycleError, match="started already"):
            asyncio.run(enter())
        with pytest.raises(LifecycleError, match="started already"):
            s.run()
        assert s.blocking.health().running


def test_a_second_enter_is_refused() -> None:
    """The same inside an event loop."""
    s = scheduler()

    async def main() -> None:
        async with s:
            with pytest.raises(LifecycleError, match="started already"):
                async with s:
                    pass
            assert (await s.health()).running

    asyncio.run(main())


BLOCKING: dict[str, tuple[Callable[[Scheduler], object], str]] = {
    "start": (lambda s: s.start(), "use `async with scheduler:`"),
    "stop": (lambda s: s.stop(), "leave `async with scheduler:`"),
    "run": (lambda s: s.run(), "use `async with scheduler:`"),
    "with": (lambda s: s.__enter__(), "use `async with scheduler:`"),
    "trigger": (lambda s: s.blocking.trigger("a"), "await the same method"),
    "pause": (lambda s: s.blocking.pause("a"), "await the same method"),
    "resume": (lambda s: s.blocking.resume("a"), "await the same method"),
    "jobs": (lambda s: s.blocking.jobs(), "await the same method"),
    "history": (lambda s: s.blocking.history("a"), "await the same method"),
    "health": (lambda s: s.blocking.health(), "await the same method"),
    "remove_job": (lambda s: s.blocking.remove_job("a"), "await the same method"),
}


@pytest.mark.parametrize("call", BLOCKING)
@pytest.mark.parametrize("started", [False, True])
def test_blocking_calls_inside_a_running_loop_are_refused(call: str, started: bool) -> None:
    """They would block the loop; the error names what to write there, and nothing has happened."""
    function, instead = BLOCKING[call]
    s = scheduler()
    s.add_job("a", RARELY, lambda: None)

    async def main() -> None:
        with pytest.raises(
            LifecycleError, match="inside a running event loop, which it would block"
        ) as caught:
            function(s)
        assert instead in str(caught.value)
        assert (await s.health()).running is started
        assert (await s.health()).jobs == 1

    async def inside() -> None:
        async with s:
            await main()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(inside() if started else main())
        gc.collect()


def test_a_coroutine_job_may_not_block_its_own_loop() -> None:
    """A job that calls a blocking twin on the scheduler's own loop is told so, and has failed."""
    s = scheduler()

    async def job() -> None:
        s.blocking.jobs()

    s.add_job("a", RARELY, job)
    with s:
        said = s.blocking.trigger("a", wait=True, timeout=5)
    assert said.outcome == "failed"
    assert "await the same method of the scheduler itself" in said.detail


def test_a_plain_job_may_ask_its_own_scheduler() -> None:
    """It runs in a thread of its own, which may wait for an answer."""
    s = scheduler()
    answers = []
    s.add_job("b", RARELY, lambda: None)

    def job() -> None:
        answers.append(s.blocking.trigger("b", wait=True, timeout=5).outcome)

    s.add_job("a", RARELY, job)
    with s:
        assert s.blocking.trigger("a", wait=True, timeout=5).outcome == "succeeded"
    assert answers == ["succeeded"]


def test_run_off_the_main_thread_is_refused() -> None:
    """Only the main thread can handle signals; elsewhere there are `start` and `stop`."""
    s = scheduler()
    caught: list[BaseException] = []

    def other() -> None:
        try:
            s.run()
        except LifecycleError as error:
            caught.append(error)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert "main thread; elsewhere use start() and stop()" in str(caught[0])
    assert not s.blocking.health().running


def test_several_loops_may_ask_one_scheduler() -> None:
    """Whoever awaits from another loop or thread is answered; the engine is on a loop of its own."""
    s = scheduler()
    s.add_job("a", RARELY, lambda: None)

    async def ask() -> str:
        return (await s.trigger("a", wait=True, timeout=5)).outcome

    outcomes: list[str] = []
    with s:
        threads = [threading.Thread(target=lambda: outcomes.append(asyncio.run(ask()))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        outcomes.append(asyncio.run(ask()))
    assert all(outcome in {"succeeded", "skipped"} for outcome in outcomes)
    assert len(outcomes) == 4


def test_a_stop_from_another_thread_while_the_loop_runs() -> None:
    """`await asyncio.to_thread(scheduler.stop)`, as the error of `stop` says, works."""
    s = scheduler()

    async def main() -> None:
        await asyncio.to_thread(s.start)
        await asyncio.to_thread(s.stop)

    asyncio.run(main())
    assert not s.blocking.health().running


def test_starting_after_asking_uses_what_the_questions_opened() -> None:
    """Asking first is no start, and does not hinder one."""
    s = scheduler()
    assert s.blocking.jobs() == []
    s.add_job("a", RARELY, lambda: None)
    with s:
        assert [job.name for job in s.blocking.jobs()] == ["a"]


def test_asking_needs_no_engine() -> None:
    """A process that only triggers sees what another scheduler of the app declared."""
    memory = Memory()
    s = Scheduler("app", backend=RamBackend("app", memory=memory))
    s.add_job("a", RARELY, lambda: None)
    with s:
        pass
    other = Scheduler("app", backend=RamBackend("app", memory=memory))
    assert [job.name for job in other.blocking.jobs()] == ["a"]
    assert other.blocking.trigger("a").outcome == "sent"
    assert not other.blocking.health().running
    with s:
        until(lambda: s.blocking.jobs()[0].manual == {"succeeded": 1})
    other.stop()


def test_the_engines_own_thread_may_not_be_blocked() -> None:
    """Code that runs on the engine's thread, such as a log handler, is refused instead of a deadlock."""
    s = scheduler()
    caught: list[str] = []

    class Handler(logging.Handler):
        """Asks at each record what it may not ask."""

        def emit(self, record: logging.LogRecord) -> None:
            for call in (s.stop, s.blocking.jobs):
                try:
                    call()
                except LifecycleError as error:
                    caught.append(str(error))

    handler = Handler()
    with s:
        service = s._lifetime._service
        assert service is not None
        logger = logging.getLogger("schedcore")
        logger.addHandler(handler)
        try:
            service._thread.loop.call_soon_threadsafe(logger.warning, "on the engine's thread")
            until(lambda: len(caught) == 2)
        finally:
            logger.removeHandler(handler)
    assert all("scheduler's own thread, which it would block" in text for text in caught)


def test_a_stop_while_another_thread_asks() -> None:
    """A question that comes while the scheduler is being stopped is answered or refused, and never hangs."""
    s = scheduler()
    s.add_job("a", RARELY, lambda: None)
    ended = threading.Event()

    def ask() -> None:
        while not ended.wait(0.002):
            with suppress(LifecycleError):
                s.blocking.jobs()

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        with s:
            pass
    ended.set()
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive(), "a question hangs"
    s.stop()


def test_whoever_waits_for_an_outcome_hears_of_the_stop() -> None:
    """A question that is under way when its scheduler stops ends with an error that says so."""
    s = scheduler(drain=0)
    began, heard = threading.Event(), []

    async def job() -> None:
        began.set()
        await asyncio.sleep(60)

    def ask() -> None:
        with pytest.raises(LifecycleError, match="was stopped while it was asked") as caught:
            s.blocking.trigger("a", wait=True)
        heard.append(caught.value)

    s.add_job("a", RARELY, job)
    asking = threading.Thread(target=ask)
    with s:
        asking.start()
        assert began.wait(5)
    asking.join(5)
    assert heard


def test_no_question_hangs_however_closely_the_stop_follows() -> None:
    """Each of many questions to a thread that is being stopped is answered or refused."""
    for _ in range(30):
        thread = LoopThread("schedcore-test")
        answers: list[Future[str]] = []

        def ask(thread: LoopThread = thread, answers: list[Future[str]] = answers) -> None:
            with suppress(LifecycleError):
                while True:
                    answers.append(thread.submit(asyncio.sleep(0, "answer")))

        asking = threading.Thread(target=ask)
        asking.start()
        until(lambda answers=answers: bool(answers))
        thread.stop()
        asking.join(5)
        for answer in answers:
            with suppress(LifecycleError):
                assert answer.result(5) == "answer"


class Slow(RamBackend):
    """A store that is not there yet."""

    def __init__(self) -> None:
        super().__init__("app")
        self.opening = threading.Event()
        self.there = False

    async def open(self, replica: str) -> None:
        """Take for ever, unless it is there."""
        self.opening.set()
        if not self.there:
            await asyncio.Event().wait()
        await super().open(replica)


def test_a_start_that_was_cancelled_can_be_repeated() -> None:
    """Nobody stops what nobody entered: it is not started, its thread ends, and it starts again."""
    before = set(threading.enumerate())
    backend = Slow()
    s = Scheduler("app", backend=backend)
    s.add_job("a", RARELY, nothing)

    async def enter() -> None:
        async with s:
            raise AssertionError("it did not start")

    async def main() -> None:
        entering = asyncio.create_task(enter())
        await asyncio.to_thread(backend.opening.wait, 5)
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering
        assert "not started" in repr(s)
        backend.there = True
        async with s:
            assert (await s.trigger("a", wait=True)).outcome == "succeeded"

    asyncio.run(main())
    until(lambda: set(threading.enumerate()) <= before)


def test_questions_after_a_stop_share_one_thread() -> None:
    """The first one connects again, the others use that; a stop closes it."""
    s = scheduler()
    with s:
        s.blocking.jobs()
    before = set(threading.enumerate())
    for _ in range(5):
        s.blocking.jobs()
    assert len(set(threading.enumerate()) - before) == 1
    s.stop()
    until(lambda: set(threading.enumerate()) <= before)
