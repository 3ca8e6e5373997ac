"""Calls to a store that may be away: said once, repeated for ever, announced when it is back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from random import Random
from typing import TypeVar

from schedcore.errors import ConfigurationError, StoreUnavailableError

log = logging.getLogger("schedcore")

T = TypeVar("T")

LOOK_AT = "is it up, is its address right, and may this user do that?"


class OneTry:
    """Calls the store once: whoever asks would rather hear that it is away."""

    async def call(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Await `attempt()`.

        Raises:
            StoreUnavailableError: it failed.
        """
        try:
            return await attempt()
        except ConfigurationError:
            raise
        except Exception as exc:
            raise StoreUnavailableError(
                f"the store did not answer ({type(exc).__name__}: {exc})",
                "; ".join(getattr(exc, "__notes__", ())) or LOOK_AT,
            ) from exc


class Link:
    """Repeats each call until the store answers; at most two seconds lie between two attempts."""

    LONGEST_PAUSE = 2.0

    def __init__(self, app: str, random: Random) -> None:
        """Begin connected: the first failure says otherwise."""
        self.connected = True
        self.ever_failed = asyncio.Event()
        self._app = app
        self._random = random

    async def call(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Await `attempt()` until it succeeds."""
        failures = 0
        while True:
            try:
                answer = await attempt()
            except Exception as exc:  # noqa: BLE001  whatever a driver raises, the store did not answer
                failures += 1
                self._failed(exc)
                await asyncio.sleep(
                    min(self.LONGEST_PAUSE, 0.05 * 2 ** min(failures, 10)) * self._random.uniform(0.5, 1)
                )
            else:
                if not self.connected:
                    self.connected = True
                    log.warning("store is back: app %s goes on", self._app, extra={"event": "store.back"})
                return answer

    def _failed(self, exc: Exception) -> None:
        self.ever_failed.set()
        if self.connected:
            self.connected = False
            log.warning(
                "store is away, trying again for ever: app %s (%s: %s)",
                self._app,
                type(exc).__name__,
                exc,
                extra={"event": "store.away", "error": type(exc).__name__},
                exc_info=exc if log.isEnabledFor(logging.DEBUG) else None,
            )
