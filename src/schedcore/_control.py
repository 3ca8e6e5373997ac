"""What people and programs ask of an app: the same from every process, with an engine or without."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import attrs

from schedcore import _asked, _auditing, _rules
from schedcore._answers import (
    JobInfo,
    ReplicaInfo,
    RunInfo,
    Running,
    Triggered,
    job_info,
    replica_info,
    run_info,
    running,
)
from schedcore._audit import Audit
from schedcore._commit import Committer
from schedcore._draft import Draft
from schedcore._link import OneTry
from schedcore._observers import Observers
from schedcore._state import AppState, JobState, Pause
from schedcore._units import to_micros
from schedcore.errors import ConfigurationError, UnknownJobError
from schedcore.protocols import APP_ROW, Backend, Holding, Kind, Micros, Row, Status, Step, Store, Verdict

T = TypeVar("T")

PENDING = ("sent", "waiting")
Change = Callable[[tuple[Pause, ...]], tuple[Pause, ...]]


class Control:
    """Asks the store of one app; lives on the loop that the backend was opened on."""

    def __init__(self, backend: Backend, replica: str, observers: Observers | None = None) -> None:
        """Use a backend that is open, as `replica`."""
        self._observers = observers
        self._store = backend.store
        self._backend = backend
        self._link = OneTry()
        self._replica = replica
        self.declared: Callable[[str], Awaitable[None]] | None = None
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def call(self, question: Callable[[Store], Awaitable[T]]) -> T:
        """Ask the store itself, once."""
        return await self._link.call(lambda: question(self._store))

    def committer(self) -> Committer:
        """Make one that commits as whoever asks."""
        among = f"+{os.urandom(8).hex()}"
        return Committer(self._backend, self._link, self._replica, among, self._observers)

    async def trigger(
        self,
        job: str,
        *,
        payload: object = None,
        key: str | None = None,
        wait: bool = False,
        timeout: float | None = None,
    ) -> Triggered:
        """Send a trigger, unless one with this key was sent before."""
        text = _asked.payload(payload)
        key = os.urandom(16).hex() if key is None else _asked.key_of(key)
        committer, now = self.committer(), await self._link.call(self._store.now)
        said: list[str] = []

        def rule(row: Row, _: Row) -> Draft | None:
            if not isinstance(row.data, JobState):
                return None
            outcome, draft = _rules.ask(row, key, text, now)
            said[:] = [outcome]
            return draft

        # Hundreds at once would only be in each other's way, and one of them after the other gets through.
        async with self._turns.setdefault(_asked.name(job), asyncio.Lock()):
            await self._existing(committer, job)
            answers = await committer.apply([job], rule, app=False)
        if job in answers and answers[job].verdict is Verdict.HELD:
            return Triggered(job, key, "held")
        if wait:
            try:
                async with asyncio.timeout(timeout):
                    return await self._outcome(job, key)
            except TimeoutError:
                raise TimeoutError(
                    f"job {job!r} had not ended after {timeout:g} s; its run goes on"
                ) from None
        return Triggered(job, key, said[0] if said else "held", self._detail(committer.rows[job], key))

    async def _outcome(self, job: str, key: str) -> Triggered:
        pause = 0.01
        while True:
            (row,) = await self._link.call(lambda: self._store.rows([job]))
            recent = _recent(row, key)
            if recent is None:
                return await self._from_history(row, key)
            if recent.outcome not in PENDING:
                return Triggered(job, key, recent.outcome, recent.detail)
            await asyncio.sleep(pause)
            pause = min(0.5, pause * 1.5)

    async def _from_history(self, row: Row, key: str) -> Triggered:
        """Its key is no longer remembered: the line tells what became of this one."""
        runs, _ = await self._link.call(lambda: self._store.runs(row.job, limit=1000))
        line = next((run for run in runs if run.key == f"{Kind.MANUAL}:{key}"), None)
        if line is not None:
            return Triggered(row.job, key, str(line.status), line.detail)
        if not isinstance(row.data, JobState):
            raise UnknownJobError(row.job, [row.job for row in await self._all_rows()])
        return Triggered(row.job, key, "ended", "newer runs have displaced its line")

    def _detail(self, row: Row, key: str) -> str:
        recent = _recent(row, key)
        return "" if recent is None else recent.detail

    async def _existing(self, committer: Committer, job: str) -> None:
        await committer.read([_asked.name(job)])
        if self.declared is not None and committer.rows[job].data is None:
            await self.declared(job)
            await committer.read([job])
        if committer.rows[job].data is None:
            raise UnknownJobError(job, [row.job for row in await self._all_rows()])
        _asked.readable(committer.rows[job])

    async def check(self, job: str) -> None:
        """Make sure that there is such a job.

        Raises:
            UnknownJobError: there is none.
        """
        await self._existing(self.committer(), job)

    async def _all_rows(self) -> list[Row]:
        rows: list[Row] = []
        while True:
            after = rows[-1].job if rows else ""
            page = await self._link.call(lambda after=after: self._store.rows(after=after))  # type: ignore[misc]
            rows += page
            if len(page) < 1000:
                return rows

    async def pause(self, job: str | None, *, until: datetime | None = None, note: str = "") -> None:
        """Stop scheduled times of a job, or of all, from being sent; it holds when this returns."""
        end = None if until is None else to_micros(until, "until")
        now = await self._link.call(self._store.now)
        if end is not None and end <= now:
            raise ConfigurationError(f"until {until} has passed already")
        await self._change_pauses(job, lambda pauses: _rules.pause(pauses, now, end, note), now)

    async def resume(self, job: str | None) -> list[str]:
        """Let scheduled times of a job, or of all, be sent again; record those of the pause as paused.

        Name those that are paused all the same: the pause of all and that of one are two.
        """
        now = await self._link.call(self._store.now)
        known = await self._change_pauses(job, lambda pauses: _rules.resume(pauses, now), now)
        rows = [known.rows[job]] if job is not None else known.rows.values()
        return [row.job for row in rows if _is_paused(row, known.app, now)]

    async def _change_pauses(self, job: str | None, change: Change, now: Micros) -> Committer:
        """Change the pauses, decide the times that fell in one which has ended by it, and tell the rows."""
        committer, at = self.committer(), now

        def change_and_settle(row: Row, app: Row) -> Draft | None:
            if not isinstance(row.data, JobState):
                return None
            state = row.data.copy()
            state.pauses = change(state.pauses)
            changed = attrs.evolve(row, data=state)
            return _rules.tick(changed, app, at) or Draft(changed)

        def change_app(app: Row, _: Row) -> Step:
            return _app_step(committer.next_id(), app, change)

        if job is None:
            await committer.read(())
        else:
            await self._existing(committer, job)
        name, rule = (APP_ROW, change_app) if job is None else (job, change_and_settle)
        answers = await committer.apply([name], rule, app=job is not None)
        while name in answers and answers[name].verdict is not Verdict.DONE:
            at = answers[name].now  # EARLY: the store's clock was set back meanwhile; or HELD by somebody
            answers = await committer.apply([name], rule, app=job is not None)
        if job is None:
            committer.rows.update({row.job: row for row in await self._all_rows()})
            await committer.apply(list(committer.rows), lambda row, app: _rules.tick(row, app, now))
        return committer

    async def jobs(self, names: Collection[str] | None = None) -> list[JobInfo]:
        """Tell what the app knows of its jobs."""
        if isinstance(names, str):
            raise ConfigurationError(f"jobs() takes a list of names: jobs([{names!r}])")
        names = None if names is None else [_asked.name(name) for name in names]
        now = await self._link.call(self._store.now)
        (app,) = await self._link.call(lambda: self._store.rows([APP_ROW]))
        if names is None:
            rows: Sequence[Row] = await self._all_rows()
        else:
            rows = await self._link.call(lambda: self._store.rows(names))
        held: dict[str, list[Holding]] = {}
        for holding in await self._link.call(lambda: self._store.held(names)):
            held.setdefault(holding.delivery.trigger.job, []).append(holding)
        return [
            job_info(row, app, now, held.get(row.job, ())) for row in rows if isinstance(row.data, JobState)
        ]

    async def cancel(self, job: str, key: str | None = None) -> list[Running]:
        """Have runs of a job that are under way cancelled; which were asked to end."""
        held = await self._link.call(lambda: self._store.held([_asked.name(job)]))
        if not held:
            await self._existing(self.committer(), job)
        asked: list[Running] = []
        for each in held:
            found, whole = running(each), each.delivery.trigger.key
            if key in (None, found.key, whole) and await self._link.call(
                lambda whole=whole: self._backend.bus.cancel(job, whole)  # type: ignore[misc]
            ):
                asked.append(found)
        return asked

    async def replicas(self) -> list[ReplicaInfo]:
        """List the living replicas, the oldest first."""
        found = await self._link.call(self._store.replicas)
        held = await self._link.call(self._store.held)
        infos = [replica_info(replica, held) for replica in found]
        return sorted(infos, key=lambda info: (info.started_at, info.id))

    async def history(
        self,
        job: str,
        *,
        status: Status | str | Collection[str] | None = None,
        after: datetime | None = None,
        until: datetime | None = None,
        limit: int = 50,
    ) -> list[RunInfo]:
        """Read a job's history, newest first."""
        statuses = (
            None if status is None else _asked.statuses([status] if isinstance(status, str) else status)
        )
        begin = None if after is None else to_micros(after, "after")
        end = None if until is None else to_micros(until, "until")
        lines, name = _asked.limit(limit), _asked.name(job)
        runs, _ = await self._link.call(
            lambda: self._store.runs(name, statuses=statuses, after=begin, until=end, limit=lines)
        )
        if not runs:
            await self._existing(self.committer(), job)
        return [run_info(run) for run in runs]

    async def audit(self, job: str | None, *, after: datetime, until: datetime | None = None) -> list[Audit]:
        """Compare the schedule of a job, or of all, with the history, time by time."""
        if job is None:
            rows: Sequence[Row] = await self._all_rows()
        else:
            await self.check(job)
            rows = await self._link.call(lambda: self._store.rows([job]))
        begin, end = to_micros(after, "after"), None if until is None else to_micros(until, "until")
        now, app, lines = await self._link.call(lambda: _auditing.read(self._store, rows, begin, end))
        return _auditing.compare(rows, app, lines, begin, now if end is None else end, now)


def _app_step(step_id: str, app: Row, change: Change) -> Step:
    state = AppState() if app.data is None else app.data
    if not isinstance(state, AppState):
        raise ConfigurationError(
            "a later release of schedcore wrote this app's pauses: change them with that one"
        )
    data = AppState(change(state.pauses), state.extra)
    return Step(step_id, APP_ROW, ((APP_ROW, app.version),), data)


def _is_paused(row: Row, app: Row, now: Micros) -> bool:
    state = row.data
    return (
        isinstance(state, JobState)
        and state.spec.enabled
        and _rules.pause_in_force(state, app, now) is not None
    )


def _recent(row: Row, key: str) -> Any:
    if not isinstance(row.data, JobState):
        return None
    return next((recent for recent in row.data.recent if recent.key == f"{Kind.MANUAL}:{key}"), None)
