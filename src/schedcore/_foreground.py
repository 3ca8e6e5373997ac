"""Runs a scheduler in the foreground, until a signal; the only code that touches signals."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from schedcore.errors import LifecycleError

log = logging.getLogger("schedcore")

SIGNALS = (signal.SIGINT, signal.SIGTERM)

_handling = 0


def may_interrupt() -> bool:
    """Tell whether a signal may raise `KeyboardInterrupt` in this thread: the main one, without `run()`."""
    return not _handling and threading.current_thread() is threading.main_thread()


def check_main_thread() -> None:
    """Raise unless signals can be handled here.

    Raises:
        LifecycleError: this is not the main thread, or a loop runs in it.
    """
    if threading.current_thread() is not threading.main_thread():
        raise LifecycleError(
            "run() handles signals and so needs the main thread; elsewhere use start() and stop()"
        )


@contextmanager
def signals(told: Callable[[], None]) -> Iterator[None]:
    """Have `told` called, on the running loop, for each signal; restore the handlers afterwards."""
    global _handling  # noqa: PLW0603  signals are the process's own, too
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        loop.add_signal_handler(number, told)
    _handling += 1
    try:
        yield
    finally:
        _handling -= 1
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


async def until_told(
    start: Callable[[], Awaitable[object]],
    stop: Callable[[float | None], Awaitable[object]],
    stop_now: Callable[[], None],
) -> None:
    """Start, wait for a signal, stop; a second signal calls `stop_now` and ends the drain."""
    first, second = asyncio.Event(), asyncio.Event()

    def told() -> None:
        if not first.is_set():
            log.warning("stopping; a second signal stops now", extra={"event": "stop.begun"})
            first.set()
        else:
            second.set()

    with signals(told):
        starting = asyncio.ensure_future(start())
        told_once = asyncio.ensure_future(first.wait())
        await asyncio.wait((starting, told_once), return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            await told_once
        starting.cancel()
        stopping = asyncio.ensure_future(stop(None))
        hurried = asyncio.ensure_future(second.wait())
        await asyncio.wait((stopping, hurried), return_when=asyncio.FIRST_COMPLETED)
        if not stopping.done():
            stop_now()
            stopping.cancel()
            await asyncio.wait((stopping,))
            await stop(0)
        else:
            hurried.cancel()
            await stopping
