"""An event loop on a daemon thread of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from schedcore.errors import LifecycleError

T = TypeVar("T")

STOPPED = "the scheduler was stopped while it was asked something; ask again"


class LoopThread:
    """Runs coroutines for whoever is on another thread."""

    def __init__(self, name: str) -> None:
        """Start the thread; its loop runs until `stop`."""
        self.loop = asyncio.new_event_loop()
        self._lock = threading.Lock()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Run `coroutine` there.

        Raises:
            LifecycleError: it was stopped; so does the future of what was under way then.
        """
        with self._lock:
            if not self._ended:
                return asyncio.run_coroutine_threadsafe(self._answer(coroutine), self.loop)
        coroutine.close()
        raise LifecycleError(STOPPED)

    async def _answer(self, coroutine: Coroutine[Any, Any, T]) -> T:
        try:
            return await coroutine
        except asyncio.CancelledError:
            if self._ended:
                raise LifecycleError(STOPPED) from None
            raise

    def is_current(self) -> bool:
        """Tell whether the calling thread is this one."""
        return threading.current_thread() is self._thread

    def stop(self) -> None:
        """End the loop and, unless called from it, wait for the thread."""
        with self._lock:
            if not self._ended:
                self._ended = True
                self.loop.call_soon_threadsafe(self.loop.stop)
        if not self.is_current():
            self._thread.join(5)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            self.loop.run_until_complete(asyncio.sleep(0))  # what was submitted last begins, and is told
            for task in (tasks := asyncio.all_tasks(self.loop)):
                task.cancel()
            self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()
