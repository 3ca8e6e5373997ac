"""The four ways of running: `run()`, `async with`, `start()` and `stop()`, `lifespan`."""

import asyncio
import gc
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest
from tests.engine.process import running
from tests.engine.replica import RARELY, events, scheduler, until

from schedcore import Health, Scheduler
from schedcore._service import _collect_once


def test_async_with_starts_and_stops() -> None:
    """Inside it runs, before and after it does not."""

    async def main() -> list[bool]:
        s = scheduler()
        states = [(await s.health()).running]
        async with s as entered:
            assert entered is s
            states.append((await s.health()).running)
        states.append((await s.health()).running)
        return states

    assert asyncio.run(main()) == [False, True, False]


def test_start_and_stop() -> None:
    """The same from synchronous code; `stop` without `start`, and a second `stop`, do nothing."""
    s = scheduler()
    s.stop()
    s.start()
    assert s.blocking.health().running
    assert "started" in repr(s)
    s.stop()
    s.stop()
    assert not s.blocking.health().running
    assert "not started" in repr(s)


def test_with_starts_and_stops() -> None:
    """A plain `with` is `start` and `stop`, also when the body fails."""
    s = scheduler()
    with s as entered:
        assert entered is s
        assert s.blocking.health().running
    assert not s.blocking.health().running
    error = KeyError()
    with pytest.raises(KeyError), s:
        raise error
    assert not s.blocking.health().running


class Application:
    """What an ASGI server does with an application's lifespan, as Starlette passes it on."""

    def __init__(self, lifespan: Callable[[object], AbstractAsyncContextManager[None]]) -> None:
        self.lifespan = lifespan

    async def serve(self, request: Callable[[], object]) -> None:
        """Start up, answer one request, shut down."""
        receive: asyncio.Queue[str] = asyncio.Queue()
        events: asyncio.Queue[str] = asyncio.Queue()

        async def lifecycle() -> None:
            assert await receive.get() == "lifespan.startup"
            async with self.lifespan(self):
                await events.put("lifespan.startup.complete")
                assert await receive.get() == "lifespan.shutdown"
            await events.put("lifespan.shutdown.complete")

        task = asyncio.create_task(lifecycle())
        await receive.put("lifespan.startup")
        assert await events.get() == "lifespan.startup.complete"
        await request()
        await receive.put("lifespan.shutdown")
        assert await events.get() == "lifespan.shutdown.complete"
        await task


def test_lifespan_runs_for_as_long_as_the_application() -> None:
    """Given as `lifespan=`, it is all there is to call; jobs run on the application's loop."""
    s = scheduler()
    loops = []

    async def job() -> None:
        loops.append(asyncio.get_running_loop())

    s.add_job("a", RARELY, job)

    async def request() -> None:
        assert (await s.trigger("a", wait=True, timeout=5)).outcome == "succeeded"
        assert loops == [asyncio.get_running_loop()]

    asyncio.run(Application(s.lifespan).serve(request))
    assert not s.blocking.health().running


def test_lifespan_is_a_context_manager_for_anybody() -> None:
    """It works without an application, and ends with the body's error."""
    s = scheduler()

    async def main() -> None:
        async with s.lifespan():
            assert (await s.health()).running
            raise KeyError("body")

    with pytest.raises(KeyError, match="body"):
        asyncio.run(main())
    assert not s.blocking.health().running


def test_leaving_by_cancellation_stops_it() -> None:
    """A server that cancels its application leaves no scheduler behind."""
    s = scheduler()

    async def main() -> None:
        async with s:
            await asyncio.sleep(60)

    async def cancelled() -> None:
        task = asyncio.create_task(main())
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not (await s.health()).running

    asyncio.run(cancelled())


def test_nothing_is_made_before_it_is_needed() -> None:
    """A scheduler that is only declared has no thread and no connection."""
    before = threading.active_count()
    s = scheduler()
    s.add_job("a", RARELY, lambda: None)
    assert threading.active_count() == before
    assert s.blocking.health() == Health("", False, False, None, 0.0, None, 0.0, "", 1, 0, 0)
    assert threading.active_count() == before


def test_no_thread_is_left_behind() -> None:
    """After each of the ways there are as many threads as before."""
    s = scheduler()
    s.add_job("a", RARELY, lambda: None)
    before = set(threading.enumerate())

    async def main() -> None:
        async with s:
            await s.trigger("a", wait=True)

    for _ in range(2):
        asyncio.run(main())
        with s:
            s.blocking.trigger("a", wait=True)
    until(lambda: set(threading.enumerate()) <= before)


def test_no_resource_warning() -> None:
    """With every warning an error, started and stopped in each way, nothing is left open."""
    with running("""
        import gc
        async def main():
            async with s:
                await s.trigger("a", wait=True)
        s.add_job("a", "@every 24h", lambda: None)
        asyncio.run(main())
        with s:
            s.blocking.trigger("a", wait=True)
        del s
        gc.collect()
        said("done")
    """) as process:
        assert process.rest() == ["done"]


def test_the_ram_backend_says_what_it_is(caplog: pytest.LogCaptureFixture) -> None:
    """Each start says that nothing survives a restart, and that every process fires for itself."""
    caplog.set_level("INFO")
    with scheduler():
        pass
    assert events(caplog.records).count("backend.notice") == 1
    assert "nothing survives a restart" in caplog.text


def test_two_schedulers_in_one_process() -> None:
    """Each has its engine; neither hinders the other."""
    ran = []
    schedulers: list[Scheduler] = []
    for name in ("one", "two"):
        s = scheduler(app=name)
        s.add_job("a", RARELY, lambda name=name: ran.append(name))
        schedulers.append(s)
    with schedulers[0], schedulers[1]:
        for s in schedulers:
            s.blocking.trigger("a", wait=True)
    assert ran == ["one", "two"]


def test_the_first_start_of_a_process_has_garbage_collected() -> None:
    """So that no full collection comes in the way of the first jobs; further starts are spared it."""
    collections: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start" and info["generation"] == 2:
            collections.append(len(started))

    started: list[Scheduler] = []
    _collect_once.cache_clear()
    gc.disable()
    gc.callbacks.append(note)
    try:
        for _ in range(2):
            with scheduler() as s:
                started.append(s)
    finally:
        gc.callbacks.remove(note)
        gc.enable()
    assert collections == [0]
