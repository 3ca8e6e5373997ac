"""One app on one SQLite file, for one replica: locker, bus, executor and store are one object."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Any

from sched_sqlite._file import Db, File
from schedcore import codec
from schedcore import protocols as p
from schedcore.errors import CodecError, ConfigurationError, StoreUnavailableError

READ, WRITE, VARIABLE, LEASE = "BEGIN", "BEGIN IMMEDIATE", "SCHEDCORE_SQLITE_PATH", 10_000_000


def within(begin: str) -> Callable[[Any], Any]:
    """Make a method of a contract from what it does with the connection, in a transaction."""

    def decorate(work: Any) -> Any:
        async def call(self: SqliteBackend, *args: Any, **kwargs: Any) -> Any:
            return await self.file.transact(begin, lambda db: work(self, db, *args, **kwargs))

        return call

    return decorate


def load(data: bytes | None) -> Any:
    """Read a value; one that cannot be read is kept as it is, for a release that can."""
    try:
        return None if data is None else codec.load(data)
    except CodecError:
        return codec.Unknown(data or b"")


def names(delivery: p.Delivery) -> dict[str, object]:
    """Name a delivery's columns."""
    return {"job": delivery.trigger.job, "key": delivery.trigger.key, "token": delivery.token}


def triggers(db: Db, which: str, jobs: Collection[str] | None) -> Iterator[Any]:
    """Go through triggers as deliveries, in the order sent; what only a later release reads stays there."""
    for job, data, number, token, *who in db.run(which):
        trigger = load(data) if jobs is None or job in jobs else None
        if isinstance(trigger, p.Trigger):
            delivery = p.Delivery(trigger, number, token)
            yield (delivery, *who) if who else delivery


def read_row(db: Db, job: str, *, held: bool = False) -> p.Row:
    """Read a row, if asked with the keys of its triggers."""
    version, data = db.run("row", job=job).fetchone() or (0, None)
    keys = frozenset([key for (key,) in db.run("keys", job=job)]) if held else None
    return p.Row(job, version, load(data), keys)


class SqliteBackend:
    """Replicas of an app that share a file of this machine; `path` is else `SCHEDCORE_SQLITE_PATH`.

    Raises:
        ConfigurationError: an option is not known, or is no path where a file can be.
    """

    name, notice = "sqlite", ""

    def __init__(self, app: str, *, path: str | os.PathLike[str] | None = None, **unknown: object) -> None:
        if unknown:
            raise ConfigurationError(f"the sqlite backend has no option {', '.join(unknown)}, only path")
        where = os.environ.get(VARIABLE) if path is None else path
        file = Path(where).absolute() if isinstance(where, str | os.PathLike) and where else Path("/")
        if file.is_dir() or not file.parent.is_dir() or str(where).startswith((":", "file:")):
            raise ConfigurationError(
                f"path={where!r}: the sqlite backend needs a file, in a directory that is there; "
                f"give it with path=, or in {VARIABLE}"
            )
        self.file, self.replica = File(file, app), ""
        self.locker = self.bus = self.executor = self.store = self

    def __repr__(self) -> str:
        return f"<SqliteBackend {self.file.app} on {self.file.path}>"

    async def open(self, replica: str) -> None:
        self.replica = replica
        await self.file.open()

    async def close(self) -> None:
        await self.file.close()

    async def acquire(self, name: str, owner: str, ttl: p.Micros) -> bool:
        return True  # a step is compared with its rows while nobody else can change them

    async def release(self, name: str, owner: str) -> bool:
        return True

    async def serve(self, bus: p.TriggerBus, jobs: Callable[[], frozenset[str]], places: p.Places) -> None:
        while True:
            limit = await places.free()
            places.start(await bus.receive(jobs(), limit, 1_000_000))  # so that new jobs are soon asked for

    async def commit(self, steps: Sequence[p.Step], locker: p.Locker) -> Sequence[p.Answer]:
        locks = {step.id: f"{step.job}/{step.send[0].key}" for step in steps if step.send}
        held = {id_ for id_, name in locks.items() if not await locker.acquire(name, self.replica, 2_000_000)}
        answers: list[p.Answer] = []
        for start in range(0, len(steps), 100):  # others get their turn in between
            answers += await self._commit(steps[start : start + 100], held)
        for id_ in locks.keys() - held:
            await locker.release(locks[id_], self.replica)
        return answers

    @within(WRITE)
    def _commit(self, db: Db, steps: Sequence[p.Step], held: Collection[str]) -> list[p.Answer]:
        return [self._commit_one(db, step, step.id in held) for step in steps]

    def _commit_one(self, db: Db, step: p.Step, held: bool) -> p.Answer:
        rows = [read_row(db, job) for job, _ in step.expects]
        refused: tuple[p.Delivery, ...] = ()
        verdict = p.Verdict.DONE
        if db.run("step", id=step.id).fetchone():
            pass  # it was committed already, and its reply lost
        elif held:
            verdict = p.Verdict.HELD
        elif [(row.job, row.version) for row in rows] != list(step.expects):
            verdict = p.Verdict.CHANGED
        elif db.now < step.not_before:
            verdict = p.Verdict.EARLY
        elif refused := tuple([delivery for delivery in step.done if not self._owns(db, delivery)]):
            verdict = p.Verdict.NOT_OURS
        else:
            self._apply(db, step)
            rows[0] = read_row(db, step.job)
        return p.Answer(verdict, tuple(rows), db.now, refused)

    def _apply(self, db: Db, step: p.Step) -> None:
        for run in step.runs:
            number, data, keep = db.next_number(), codec.dump(run), step.keep
            times = {"at": run.scheduled_at, "last": run.last_at or run.scheduled_at, "age": keep.age}
            db.run("add run", job=run.job, number=number, status=run.status.value, data=data, **times)
            db.run("drop old runs", job=run.job, age=keep.age)
            db.run("drop runs", job=run.job, lines=keep.lines, failures=keep.failures)
        version = db.next_number()
        db.run("add step", id=step.id, version=version)
        if step.data is None:
            db.run("delete row", job=step.job)
        else:
            db.run("put row", job=step.job, version=version, data=codec.dump(step.data))
        for delivery in step.done:
            db.run("finish", **names(delivery))
        for sent in step.send:
            db.run("send", job=sent.job, key=sent.key, data=codec.dump(sent))

    def _owns(self, db: Db, delivery: p.Delivery) -> Any:
        return db.run("owned", replica=self.replica, **names(delivery)).fetchone()

    async def receive(self, jobs: frozenset[str], limit: int, wait: p.Micros) -> Sequence[p.Delivery]:
        end, pause = monotonic() + wait / 1_000_000, 0.005
        while True:
            taking = asyncio.ensure_future(self._look(jobs, limit))
            try:
                taken: list[p.Delivery] = await asyncio.shield(taking)
            except asyncio.CancelledError:  # the thread goes on, and nobody would run what it takes
                with suppress(StoreUnavailableError):
                    await self.give_back(await taking)
                raise
            left = end - monotonic()
            if taken or left <= 0:
                return taken
            await asyncio.sleep(min(pause, left))
            pause = min(2 * pause, 0.1)

    async def _look(self, jobs: frozenset[str], limit: int) -> list[p.Delivery]:
        return await self._take(jobs, limit) if await self._is_waiting(jobs) else []

    @within(READ)
    def _is_waiting(self, db: Db, jobs: frozenset[str]) -> bool:
        return any(triggers(db, "waiting", jobs))

    @within(WRITE)
    def _take(self, db: Db, jobs: frozenset[str], limit: int) -> list[p.Delivery]:
        found = list(islice(triggers(db, "waiting", jobs), limit))
        return [self._give(db, each.trigger, each.number) for each in found]

    def _give(self, db: Db, trigger: p.Trigger, number: int) -> p.Delivery:
        given = p.Delivery(trigger, number, db.next_number())
        db.run("give", replica=self.replica, number=number, lease=LEASE, **names(given))
        return given

    @within(WRITE)
    def renew(self, db: Db, held: Collection[p.Delivery], notes: Mapping[tuple[str, str], str]) -> p.Renewal:
        mine, cancel = set(), set()
        for delivery in held:
            name = delivery.trigger.job, delivery.trigger.key
            if found := self._owns(db, delivery):
                note = notes.get(name, "").encode(errors="replace").decode() or None
                db.run("renew", note=note, lease=LEASE, **names(delivery))
                mine.add(delivery)
                cancel.update([name] if found[0] else [])
        return p.Renewal(frozenset(mine), frozenset(cancel))

    @within(WRITE)
    def give_back(self, db: Db, held: Collection[p.Delivery]) -> None:
        for delivery in held:
            db.run("give back", replica=self.replica, **names(delivery))

    @within(READ)
    def lapsed(self, db: Db, jobs: frozenset[str], limit: int) -> Sequence[p.Delivery]:
        return list(islice(triggers(db, "lapsed", jobs), limit))  # what waits, `receive` finds each time

    @within(WRITE)
    def take_over(self, db: Db, seen: Collection[p.Delivery]) -> Sequence[p.Delivery]:
        tokens = {delivery.token for delivery in seen}
        late = [found for found in triggers(db, "lapsed", None) if found.token in tokens]
        return [self._give(db, found.trigger, found.number + 1) for found in late]

    @within(WRITE)
    def cancel(self, db: Db, job: str, key: str) -> bool:
        return db.run("cancel", job=job, key=key).rowcount > 0

    async def now(self) -> p.Micros:
        return self.file.clock()

    @within(READ)
    def rows(self, db: Db, jobs: Any = None, *, after: str = "", limit: int = 1000) -> Sequence[p.Row]:
        page = [job for (job,) in db.run("jobs", after=after, limit=limit)] if jobs is None else jobs
        return [read_row(db, job, held=True) for job in page]

    @within(READ)
    def runs(
        self, db: Db, job: str, *, statuses: Collection[p.Status] | None = None, limit: int = 50, **which: Any
    ) -> tuple[Sequence[p.Run], str]:
        chosen = {"job": job, "after": None, "until": None, "cursor": "", "limit": limit, **which}
        chosen["statuses"] = None if statuses is None else json.dumps(list(statuses))
        lines = db.run("runs", **chosen).fetchall()
        runs = [run for _, data in lines[:limit] if isinstance(run := load(data), p.Run)]
        return runs, str(lines[limit - 1][0]) if len(lines) > limit else ""

    @within(READ)
    def held(self, db: Db, jobs: Collection[str] | None = None) -> Sequence[p.Holding]:
        return [p.Holding(*found) for found in triggers(db, "held", jobs)]

    @within(WRITE)
    def beat(self, db: Db, replica: str, facts: Mapping[str, object], ttl: p.Micros) -> p.Beat:
        epoch, newest, gap = db.run("beat").fetchone()
        described = {"id": replica, "facts": codec.dump(dict(facts)), "ttl": ttl, "lease": LEASE}
        changes = ("note beat", "clamp leases", "clamp replicas", "put replica")  # the clock may be set back
        for change in (*changes, "drop replicas", "drop runs of all jobs", "forget steps"):
            db.run(change, **described)
        return p.Beat(db.now, epoch, newest, gap, frozenset([id_ for id_, *_ in db.run("replicas")]))

    @within(READ)
    def replicas(self, db: Db) -> Sequence[p.Replica]:
        return [p.Replica(id_, load(facts), at) for id_, facts, at in db.run("replicas")]

    @within(WRITE)
    def purge(self, db: Db) -> bool:
        what = ("rows", "runs", "triggers", "steps", "replicas")
        return sum(db.run(f"forget all {each}").rowcount for each in what) > 0
