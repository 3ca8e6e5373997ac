"""Notices what should happen and does not: times that nobody decides, a ticker or an engine that is stuck.

It relies neither on the ticker nor on the engine's loop: the rows last seen and the clock are read on a
thread of its own. Who is behind, this replica or all, only the store knows; that is asked on the loop.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import Callable, Collection, Coroutine
from typing import Any, Protocol

from schedcore import _rules
from schedcore._clock import StoreClock
from schedcore._commit import Committer
from schedcore._link import Link
from schedcore._state import SECOND
from schedcore._ticker import Ticker
from schedcore.errors import LifecycleError
from schedcore.logs import belongs_to
from schedcore.protocols import Micros, Row, Store

log = logging.getLogger("schedcore")

PATIENCE: Micros = 30 * SECOND
"""A time that is overdue for longer is nobody's: a failover, or what follows a loss of data, takes less."""

LOOK = 5.0
"""How many seconds lie between two looks; what is found in one alone may be a process that just thawed."""

ANSWER = 10.0
"""Within so many seconds the engine's loop has to answer."""

TICKER = ""
"""No job's name: the ticker itself is suspected."""

MOST = 1000
"""Of so many jobs each look is at all."""

ROUND = 60
"""Within so many looks every row is looked at, however many there are."""

SOON: Micros = 600 * SECOND
"""Longer than that takes."""

TOLD = 10
"""So many overdue jobs are told one by one."""


class Watchdog:
    """What it found is in `late`, jobs that nobody decides, and `stuck`, the part that no longer works."""

    def __init__(
        self,
        store: Store,
        committer: Committer,
        clock: StoreClock,
        link: Link,
        ticker: Ticker,
        has: Callable[[str], bool],
    ) -> None:
        """Watch over the ticker, and over the jobs that this replica `has`."""
        self.late: tuple[str, ...] = ()
        self.stuck = ""
        self._store = store
        self._committer = committer
        self._clock = clock
        self._link = link
        self._ticker = ticker
        self._has = has
        self._suspected: frozenset[str] = frozenset()
        self._unseen: list[str] = []
        self._soon: set[str] = set()

    def overdue(self, by: Micros = 0) -> dict[str, Micros]:
        """Tell which jobs are overdue, as far as is known here, and since when; from any thread.

        Of very many jobs those that a look found to be due soon are asked, and not all.
        """
        now, app, rows = self._clock.now(), self._committer.app, self._committer.rows
        jobs = list(rows if len(rows) <= MOST else self._soon)
        known = ((job, self._due_of(rows.get(job), app, now)) for job in jobs)
        return {job: due for job, due in known if due is not None and due < now - by}

    def _due_of(self, row: Row | None, app: Row, now: Micros) -> Micros | None:
        return None if row is None or not self._has(row.job) else _rules.wake_at(row, app, now)

    def _look_on(self) -> None:
        """Look at some more rows, for jobs that are due before the next look at them."""
        now, app, rows = self._clock.now(), self._committer.app, self._committer.rows
        if not self._unseen:
            self._unseen, self._soon = list(rows), self._soon & rows.keys()
        some = max(MOST, len(rows) // ROUND + 1)
        for job in self._unseen[-some:]:
            due = self._due_of(rows.get(job), app, now)
            if due is not None and due < now + SOON:
                self._soon.add(job)
            else:
                self._soon.discard(job)
        del self._unseen[-some:]

    def suspects(self) -> list[str]:
        """Look once: which jobs were overdue for too long at the last look, too; `TICKER` if it was."""
        self._look_on()
        if not self._link.connected:  # nothing new can be told
            return sorted(self._suspected)
        found = frozenset(self.overdue(PATIENCE))
        if self._ticker.behind() > PATIENCE:
            found |= {TICKER}
        before, self._suspected = self._suspected, found
        return sorted(found & before)

    async def confirm(self, suspects: Collection[str]) -> None:
        """Ask the store whether nobody decides them, or this replica has not noticed that somebody did."""
        if not self._link.connected:  # nothing is known but that this loop answers
            self.found("" if self.stuck == "engine" else self.stuck)
            return
        jobs = [job for job in suspects if job != TICKER][:1000]
        try:
            async with asyncio.timeout(ANSWER / 2):
                rows = await self._store.rows(jobs) if jobs else ()
        except Exception:  # noqa: BLE001  that the store is away is said elsewhere
            return
        now, app = self._clock.now(), self._committer.app
        wakes = ((row.job, _rules.wake_at(row, app, now)) for row in rows)
        late = tuple(job for job, due in wakes if due is not None and due < now - PATIENCE)
        self._conclude(late, "ticker" if TICKER in suspects or len(late) < len(jobs) else "")

    def _conclude(self, late: tuple[str, ...], stuck: str) -> None:
        newly = [job for job in late if job not in self.late]
        for job in newly[:TOLD]:
            log.error(
                "job %s is overdue, and no replica decides it (one of %d jobs)",
                job,
                len(late),
                extra={"event": "job.overdue", "job": job},
            )
        decided = [job for job in self.late if job not in late]
        for job in decided[:TOLD]:
            log.warning("job %s is no longer overdue", job, extra={"event": "job.decided", "job": job})
        self.late = late
        self.found(stuck)

    def found(self, stuck: str) -> None:
        """Take note of which part of this replica no longer works; none, if it is empty."""
        before, self.stuck = self.stuck, stuck
        if stuck and stuck != before:
            log.error(
                "the %s of this replica is stuck: it does nothing any more",
                stuck,
                extra={"event": "engine.stuck", "part": stuck},
            )
        elif before and not stuck:
            log.warning(
                "the %s of this replica works again",
                before,
                extra={"event": "engine.unstuck", "part": before},
            )


class Watched(Protocol):
    """What a guard needs of an engine."""

    app: str
    replica: str
    watchdog: Watchdog


Submit = Callable[[Coroutine[Any, Any, None]], "concurrent.futures.Future[None]"]


class Guard:
    """The watchdog's thread."""

    def __init__(self, engine: Watched, submit: Submit, is_over: Callable[[], bool]) -> None:
        """Start it: `submit` runs something on the engine's loop, `is_over` tells that that has ended."""
        self._engine = engine
        self._submit = submit
        self._is_over = is_over
        self._stopped = threading.Event()
        self._asked: concurrent.futures.Future[None] | None = None
        threading.Thread(target=self._run, name=f"schedcore-{engine.app}-watchdog", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()

    def _run(self) -> None:
        belongs_to(self._engine.app, self._engine.replica)
        while not self._stopped.wait(LOOK):
            try:
                self.look()
            except LifecycleError:  # it was stopped just now
                return
            except Exception:
                log.exception("the watchdog failed, and looks again", extra={"event": "watchdog.failed"})

    def look(self) -> None:
        """Look once, and wait for the engine's answer."""
        watchdog = self._engine.watchdog
        if self._asked is None or self._asked.done():
            self._asked = self._submit(watchdog.confirm(watchdog.suspects()))
        try:
            self._asked.result(ANSWER)
        except concurrent.futures.TimeoutError:
            if not self._stopped.is_set():
                watchdog.found("engine")
        else:
            if self._is_over() and not self._stopped.is_set():
                watchdog.found("engine")
