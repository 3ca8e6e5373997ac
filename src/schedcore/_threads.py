"""Daemon threads for plain functions: the interpreter's own pool is joined at exit, and would hang it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import Context
from queue import SimpleQueue


class Threads:
    """At most `limit` threads, made when needed, kept for the next function."""

    def __init__(self, name: str, limit: int) -> None:
        """Make no thread yet."""
        self.limit = limit
        self._name = name
        self._queue: SimpleQueue[tuple[Context, Callable[[], None]] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._made = 0
        self._idle = 0

    def submit(self, context: Context, function: Callable[[], None]) -> None:
        """Have `function`, which must not raise, run in `context` as soon as a thread is free."""
        with self._lock:
            if self._idle > 0:
                self._idle -= 1
            elif self._made < self.limit:
                self._make()
                self._made += 1
        self._queue.put((context, function))

    def close(self) -> None:
        """Let every thread end after what it is doing; wait for none."""
        with self._lock:
            for _ in range(self._made):
                self._queue.put(None)
            self._made = self._idle = 0

    def _make(self) -> None:
        name = f"schedcore-{self._name}-{self._made}"
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def _work(self) -> None:
        while (work := self._queue.get()) is not None:
            context, function = work
            context.run(function)
            del work, context, function
            with self._lock:
                self._idle += 1
