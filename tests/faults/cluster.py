"""Replicas as processes: started, killed, frozen, cut off, and asked in the end what became of everything."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import attrs
from tests.faults.checker import (
    SECOND,
    Checker,
    JobFacts,
    Life,
    Record,
    Segment,
    Verdict,
    read_lines,
    read_records,
)
from tests.faults.proxy import Proxy
from tests.redis.guard import guard
from tests.strict import STRICT

from schedcore import Scheduler, StoreUnavailableError
from schedcore._state import JobState
from schedcore._units import to_datetime
from schedcore.protocols import Micros, Row, Run

T = TypeVar("T")

WORKER = Path(__file__).with_name("worker.py")
RESPAWN = 0.3


@attrs.frozen
class JobSpec:
    """A job as the worker makes it; `options` are those of `add_job`."""

    name: str
    schedule: str
    kind: str = "coroutine"
    seconds: float = 0.01
    blocks: bool = False
    heeds: bool = False
    crashes: int = 0
    options: dict[str, Any] = attrs.Factory(dict)

    @property
    def allowed(self) -> frozenset[str]:
        """What may become of its times while nothing is late."""
        skips = self.options.get("overlap", "skip") in ("skip", "queue_one")
        loses = self.options.get("delivery") == "at_most_once"
        return frozenset(["succeeded", *["skipped"] * skips, *["lost"] * loses])

    def as_json(self) -> dict[str, Any]:
        facts = attrs.asdict(self)
        return {**facts, "options": {"history": 100_000, **self.options}}


class Replica:
    """One process of the cluster."""

    def __init__(self, process: subprocess.Popen[bytes], life: Life, slot: int, directory: Path) -> None:
        self.process = process
        self.life = life
        self.slot = slot
        self.records = directory / f"{life.name}.records"
        self.log = directory / f"{life.name}.log"
        self.output = directory / f"{life.name}.output"

    def __repr__(self) -> str:
        return f"<{self.life.name} pid {self.life.pid}>"

    @property
    def ready(self) -> bool:
        return self.records.exists() and '"ready"' in self.records.read_text()


class Cluster:
    """Starts replicas of one app, does them harm, and has the checker judge.

    A replica is named by its slot, a number; a new process in a slot is a new life. `urls` says, by slot,
    where the store is, for a replica behind a proxy.
    """

    def __init__(
        self, directory: Path, url: str, jobs: Sequence[JobSpec], *, app: str, backend: str = "redis"
    ) -> None:
        self.directory = directory
        self.url = url
        self.jobs = list(jobs)
        self.app = app
        self.urls: dict[int, str] = {}
        self.lives: list[Life] = []
        self.all: list[Replica] = []
        self.current: dict[int, Replica] = {}
        self.supervised = False
        self._backend = backend
        self._definitions: dict[str, list[tuple[str, Micros]]] = defaultdict(list)
        self._open_spans: dict[int, Micros] = {}
        self._monotonic_at_epoch = now() - time.time_ns() // 1000
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._reaper = threading.Thread(target=self._reap_for_ever, name="reaper", daemon=True)

    def __enter__(self) -> Cluster:
        self._reaper.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._reaper.join()
        for replica in self.all:
            if replica.process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(replica.process.pid, signal.SIGKILL)
            replica.process.wait()
            guard.forget(replica.process.pid)

    # Life and death.

    def start(
        self,
        slots: Iterable[int] = range(3),
        *,
        jobs: Sequence[JobSpec] | None = None,
        clock: float = 0.0,
        environment: dict[str, str] | None = None,
        drain: float = 20,
        wait: bool = True,
    ) -> list[Replica]:
        """Start a process in each of these slots, and wait until its engine runs."""
        started = [self._spawn(slot, jobs, clock, environment, drain) for slot in slots]
        if wait:
            self.until(lambda: all(replica.ready for replica in started), 30, "readiness")
            self.note_definitions()
        return started

    def _spawn(
        self,
        slot: int,
        jobs: Sequence[JobSpec] | None,
        clock: float,
        environment: dict[str, str] | None,
        drain: float,
    ) -> Replica:
        with self._lock:
            name = f"r{slot}.{sum(replica.slot == slot for replica in self.all)}"
            configuration = {
                "app": self.app,
                "backend": self._backend,
                "options": self._options(self.urls.get(slot, self.url)),
                "jobs": [job.as_json() for job in (self.jobs if jobs is None else jobs)],
                "records": str(self.directory / f"{name}.records"),
                "log": str(self.directory / f"{name}.log"),
                "clock": clock,
                "drain": drain,
            }
            command = [sys.executable, *STRICT, str(WORKER), json.dumps(configuration)]
            with (self.directory / f"{name}.output").open("wb") as output:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    env={**os.environ, **(environment or {})},
                )
            guard.watch(process.pid, "")
            life = Life(name, process.pid, now())
            replica = Replica(process, life, slot, self.directory)
            self.lives.append(life)
            self.all.append(replica)
            self.current[slot] = replica
            return replica

    def _options(self, where: str) -> dict[str, Any]:
        """Say where the store is, as the backend calls it."""
        name = {"redis": "url", "sqlite": "path"}.get(self._backend)
        return {name: where} if name else {}

    def _reap_for_ever(self) -> None:
        while not self._closing.wait(0.02):
            with self._lock:
                for replica in list(self.current.values()):
                    self._reap(replica)

    def _reap(self, replica: Replica) -> None:
        """Note an end; under supervision another process takes the place of one that crashed."""
        life = replica.life
        if life.died is not None or replica.process.poll() is None:
            return
        life.died, life.status = now(), replica.process.returncode
        guard.forget(replica.process.pid)
        crashed = '"crash"' in replica.records.read_text() if replica.records.exists() else False
        life.asked = life.asked or (crashed and life.status == -signal.SIGKILL)
        if life.told_to_stop is not None:
            life.asked = life.status == 0
        if crashed and self.supervised:
            time.sleep(RESPAWN)
            self._spawn(replica.slot, None, 0.0, None, 20)

    def _ended(self, replica: Replica, limit: float) -> None:
        replica.process.wait(limit)
        with self._lock:
            self._reap(replica)

    def kill(self, slot: int) -> None:
        """Kill -9."""
        replica = self.current[slot]
        replica.life.asked = True
        replica.process.kill()
        self._ended(replica, 10)

    def tell_to_stop(self, slot: int) -> None:
        """Send SIGTERM, and wait for nothing."""
        life = self.current[slot].life
        life.told_to_stop = life.told_to_stop or now()
        self.current[slot].process.send_signal(signal.SIGTERM)

    def terminate(self, slots: Iterable[int] | None = None, limit: float = 40) -> None:
        """Send SIGTERM, and wait for the end, which must be a good one."""
        alive = [s for s in (self.current if slots is None else slots) if self.is_alive(s)]
        for slot in alive:
            self.tell_to_stop(slot)
        for slot in alive:
            self._ended(self.current[slot], limit)

    def is_alive(self, slot: int) -> bool:
        return slot in self.current and self.current[slot].process.poll() is None

    def freeze(self, slot: int) -> None:
        """Send SIGSTOP."""
        self.note_impaired(slot)
        os.kill(self.current[slot].process.pid, signal.SIGSTOP)

    def thaw(self, slot: int) -> None:
        """Send SIGCONT."""
        os.kill(self.current[slot].process.pid, signal.SIGCONT)
        self.note_recovered(slot)

    def note_impaired(self, slot: int) -> None:
        """Say that from now on the replica is frozen or cut off."""
        self._open_spans[slot] = now()

    def note_recovered(self, slot: int) -> None:
        """Say that it no longer is."""
        begin = self._open_spans.pop(slot)
        self.current[slot].life.impaired.append((begin, now()))

    @contextlib.contextmanager
    def behind_proxies(self, target: int, slots: Iterable[int] = range(3)) -> Iterator[dict[int, Proxy]]:
        """Put a proxy of its own before the store, for each of these slots."""
        with contextlib.ExitStack() as stack:
            proxies = {slot: stack.enter_context(Proxy(target)) for slot in slots}
            self.urls.update({slot: proxy.url for slot, proxy in proxies.items()})
            yield proxies

    # What is seen.

    def until(self, holds: Callable[[], T], limit: float = 30, what: str = "it") -> T:
        """Wait until a function answers something true, and return that."""
        end = time.monotonic() + limit
        while not (answer := holds()):
            if time.monotonic() > end:
                raise TimeoutError(f"{what} has not happened in {limit:g} s\n{self.tell()}")
            time.sleep(0.03)
        return answer

    def records(self) -> list[Record]:
        """Read what the jobs wrote so far, in order of time."""
        return read_records(r.records for r in self.all if r.records.exists())

    def find(self, event: str, job: str, since: Micros = 0) -> list[Record]:
        """Find records of a kind."""
        return [r for r in self.records() if r.event == event and r.job == job and r.t >= since]

    def next_record(self, event: str, job: str, limit: float = 30) -> Record:
        """Wait for a record that is not there yet."""
        since = now()
        found = self.until(lambda: self.find(event, job, since), limit, f"{event} of {job}")
        return found[0]

    def slot_of(self, record: Record) -> int:
        """Tell where a record comes from."""
        return next(replica.slot for replica in self.all if replica.life.pid == record.pid)

    def logged(self, event: str, since: Micros = 0) -> list[dict[str, Any]]:
        """Read the log lines of an event, of all replicas."""
        files = [replica.log for replica in self.all if replica.log.exists()]
        lines = [line for file in files for line in read_lines(file)]
        return [line for line in lines if line["event"] == event and line["t"] >= since]

    def tell(self) -> str:
        """Tell, for the report of a failure, how all processes are and what they said last."""
        parts = []
        for replica in self.all:
            parts.append(f"{replica} born {replica.life.born} died {replica.life.died} {replica.life.status}")
            for path in (replica.output, replica.log):
                if path.exists():
                    parts += [f"    {line[:600]}" for line in path.read_text().splitlines()[-6:]]
        return "\n".join(parts)

    # What the store says.

    def ask(self, question: Callable[[Scheduler], T], limit: float = 20) -> T:
        """Ask the app something, from this process, once more while the store does not answer."""
        options = self._options(self.url)
        end = time.monotonic() + limit
        while True:
            scheduler = Scheduler(self.app, backend=self._backend, **options)
            try:
                return question(scheduler)
            except StoreUnavailableError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)
            finally:
                scheduler.stop()

    def states(self) -> dict[str, JobState]:
        """Read the jobs' rows: only they tell since when a definition holds."""
        names = [job.name for job in self.jobs]
        rows: Sequence[Row] = self.ask(lambda s: s.wait_for(lambda control: control._store.rows(names)))
        return {row.job: row.data for row in rows if isinstance(row.data, JobState)}

    def note_definitions(self) -> dict[str, JobState]:
        """Remember since when which schedule holds: to be called between any two deploys."""
        states = self.states()
        for name, state in states.items():
            known = self._definitions[name]
            if not known or known[-1][1] != state.since:
                known.append((state.spec.expression, state.since))
        return states

    def forget_definitions(self) -> None:
        """Begin anew: the store lost the rows, and nobody remembered them."""
        self._definitions.clear()

    def settle(self, limit: float = 45) -> None:
        """Wait until all that is outstanding now is decided, and time goes on for every job."""
        first = self.note_definitions()
        begun = time.time_ns() // 1000
        was_open = {name: _open(state) for name, state in first.items()}

        def unsettled() -> dict[str, str]:
            left = {}
            for name, state in self.states().items():
                following = state.spec.schedule.next_after_us(state.mark)
                behind = 0 if following is None else max(0, begun - SECOND - following)
                still = was_open.get(name, set()) & _open(state)
                if behind or still:
                    left[name] = f"{behind / SECOND:.1f} s behind, open {sorted(still)}"
            return left

        end = time.monotonic() + limit
        while left := unsettled():
            if time.monotonic() > end:
                raise TimeoutError(f"not settled within {limit:g} s: {left}\n{self.tell()}")
            time.sleep(0.3)

    def facts(self, allow: Iterable[str] = ()) -> list[JobFacts]:
        """Ask the store, by the public ways, what became of the jobs' times."""
        states = self.note_definitions()
        return [
            self._facts_of(job, states[job.name], frozenset(allow)) for job in self.jobs if job.name in states
        ]

    def _facts_of(self, job: JobSpec, state: JobState, allow: frozenset[str]) -> JobFacts:
        (info,) = self.ask(lambda s: s.blocking.jobs([job.name]))
        told = self.ask(lambda s: s.blocking.history(job.name, limit=100_000))
        lines = tuple(_line(run) for run in told)
        schedules = self._definitions[job.name]
        ends = [since for _, since in schedules[1:]] + [state.mark]
        return JobFacts(
            job.name,
            tuple(Segment(text, since, end) for (text, since), end in zip(schedules, ends, strict=True)),
            lines,
            info.counters,
            (*info.outstanding, *info.waiting),
            job.options.get("overlap", "skip"),
            job.options.get("delivery", "at_least_once"),
            job.allowed | allow,
        )

    def judge(self, *, allow: Iterable[str] = (), lossy_until: Micros = 0) -> Verdict:
        """Have the checker say what became of everything; the replicas should have been stopped."""
        for slot in list(self._open_spans):
            self.note_recovered(slot)
        if not lossy_until:
            self._audit()
        checker = Checker(
            self.facts(allow),
            self.records(),
            self.lives,
            monotonic_at_epoch=self._monotonic_at_epoch,
            lossy_until=lossy_until,
        )
        return checker.check()

    def _audit(self) -> None:
        """Have the users' own way of checking find that nothing is missing, or should not be there."""
        begin = to_datetime(min(since for known in self._definitions.values() for _, since in known) - SECOND)
        for found in self.ask(lambda s: s.blocking.audit(after=begin)):
            wrong = [each for each in found.stretches if each.found in ("unaccounted", "unscheduled")]
            assert not wrong, f"audit {found.job}: {wrong}; {found.notes}"

    def finish(self, *, allow: Iterable[str] = (), lossy_until: Micros = 0, settle: float = 30) -> Verdict:
        """Let everything come to rest, stop all replicas, and judge."""
        self.settle(settle)
        self.terminate(limit=75)  # a loop that a job blocks hears of it afterwards
        return self.judge(allow=allow, lossy_until=lossy_until)


def now() -> Micros:
    """Tell the machine's monotonic clock, as the workers' records do."""
    return time.monotonic_ns() // 1000


def _open(state: JobState) -> set[str]:
    return {*state.outstanding, *(trigger.key for trigger in state.waiting)}


def _line(info: Any) -> Run:
    from schedcore._units import to_micros

    values = {field.name: getattr(info, field.name) for field in attrs.fields(Run)}
    for name in ("scheduled_at", "last_at", "started_at", "ended_at"):
        values[name] = None if values[name] is None else to_micros(values[name])
    return Run(**values)
