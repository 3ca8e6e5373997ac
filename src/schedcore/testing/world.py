"""What a backend's author supplies to the contract tests, and what these are written with."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import wraps
from typing import Any, TypeVar

import pytest

from schedcore._state import JobState, Options, Spec
from schedcore.protocols import (
    Answer,
    Backend,
    Delivery,
    Keep,
    Locker,
    Micros,
    Row,
    Run,
    Status,
    Step,
    Trigger,
    Verdict,
)

T = TypeVar("T")

PATIENCE = 5
SECOND: Micros = 1_000_000
LEASE: Micros = 10 * SECOND
BEAT: Micros = 3 * SECOND
GAP: Micros = 4_500_000
TTL: Micros = LEASE
FOR_EVER = Keep(age=100 * 365 * 86_400 * SECOND)
"""The tests' lines of history are of 1970."""


class Refusing:
    """A locker whose names somebody else has."""

    async def acquire(self, name: str, owner: str, ttl: Micros) -> bool:
        """Refuse."""
        return False

    async def release(self, name: str, owner: str) -> bool:
        """Refuse."""
        return False


class World:
    """One app's store, empty, and replicas of that app; one object per test.

    Subclass it, and return a new one from the fixture `world`. Only `make_backends` has to be written. What
    else a backend has, its world declares; a test of what it does not have is skipped, and says so.
    """

    refuses = True
    """Whether the backend's locker refuses a name that somebody has; `False`: it grants everything."""

    reserves = False
    """Whether its bus answers HELD while another replica has the name `ROW + job` of a step's job."""

    flushes = False
    """Whether `flush` is written."""

    neighbours = False
    """Whether `make_neighbour` is written."""

    processes = False
    """Whether `elsewhere` is written: whether several processes may share the store."""

    restarts = False
    """Whether `restart` is written."""

    sets_back = False
    """Whether `set_back` is written."""

    measures = False
    """Whether `size` is written, and `advance` takes no time."""

    async def make_backends(self, count: int) -> Sequence[Backend]:
        """Make replicas of one app over one store, opened as `r0`, `r1` and so on."""
        raise NotImplementedError(f"{type(self).__name__} does not say how to make backends")

    async def make_neighbour(self) -> Backend:
        """Make a replica of another app over the same store, opened as `r0`."""
        raise NotImplementedError(f"{type(self).__name__} declares neighbours, and does not make any")

    async def advance(self, by: Micros) -> None:
        """Let the store's clock go on; override it where that can be had without sleeping."""
        await asyncio.sleep(by / SECOND)

    async def flush(self) -> None:
        """Lose all data, as the store's operator could make it; the clock goes on."""
        raise NotImplementedError(f"{type(self).__name__} declares that it flushes, and does not say how")

    def elsewhere(self) -> Callable[[], Backend]:
        """Give what makes a replica in another process, not opened yet: it is pickled, so no lambda."""
        raise NotImplementedError(f"{type(self).__name__} declares processes, and does not say how")

    async def restart(self) -> None:
        """Stop the store's server and start it again, with all that it has acknowledged."""
        raise NotImplementedError(f"{type(self).__name__} declares that it restarts, and does not say how")

    async def size(self) -> int:
        """Count what the store holds, in whatever unit: rows, keys, or files."""
        raise NotImplementedError(f"{type(self).__name__} declares that it measures, and does not say how")

    async def set_back(self, by: Micros) -> None:
        """Set the store's clock back."""
        raise NotImplementedError(f"{type(self).__name__} declares that it sets back, and does not say how")

    async def lockers(self) -> tuple[Locker, Locker]:
        """Give the lockers of two replicas; override it to test others than the backend's."""
        first, second = await self.make_backends(2)
        return first.locker, second.locker

    def refusing(self, backend: Backend) -> Locker:
        """Give a locker that refuses everything to `backend`, if it is not enough that it says so."""
        return Refusing()

    async def close(self) -> None:
        """Close what `make_backends` opened, and remove what it left."""


def needs(world: World, ability: str) -> None:
    """Skip a test of what this world's backend is not declared to have."""
    if not getattr(world, ability):
        pytest.skip(f"{type(world).__name__}.{ability} is false")


Scenario = Callable[..., Awaitable[None]]


def scenario(look_at: str) -> Callable[[Scenario], Callable[..., None]]:
    """Run a coroutine test on a loop of its own, and close the world on it.

    Where it fails, the failure says the test's docstring, which is the condition, and what to look at.
    """

    def decorate(test: Scenario) -> Callable[..., None]:
        @wraps(test)
        def run(self: Any, world: World, **fixtures: Any) -> None:
            try:
                asyncio.run(_play(world, test(self, world, **fixtures)))
            except Exception as exc:
                exc.add_note(f"Condition: {inspect.cleandoc(test.__doc__ or '')}\nLook at: {look_at}.")
                raise

        return run

    return decorate


async def _play(world: World, test: Awaitable[None]) -> None:
    try:
        await test
    finally:
        await world.close()


def only(found: Sequence[T], what: str = "delivery") -> T:
    """Give the one that there has to be."""
    assert len(found) == 1, f"there has to be one {what}, and there are {len(found)}: {list(found)}"
    return found[0]


async def soon(answer: Awaitable[T]) -> T:
    """Wait for what has to come at once."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await answer
    except TimeoutError:
        raise AssertionError(f"what has to return at once did not within {PATIENCE} s") from None


async def one(world: World) -> Backend:
    """Make a single replica."""
    return only(await world.make_backends(1), "backend")


_numbers = iter(range(10**9))


def state(mark: Micros = 0, **changes: Any) -> JobState:
    """Make a row's content, told from others by its mark."""
    return JobState(Spec("@every 1m"), since=0, mark=mark, declared_by="r0", declared_at=0, **changes)


def trigger(job: str = "a", at: Micros = 60 * SECOND, **changes: Any) -> Trigger:
    """Make the trigger of a scheduled time."""
    return Trigger(job, changes.pop("key", str(at)), at, options=Options(retries=2), **changes)


def line(job: str = "a", at: Micros = 60 * SECOND, status: Status = Status.SUCCEEDED, **more: Any) -> Run:
    """Make a line of history."""
    return Run(job, at, status, key=str(at), **more)


def step(row: Row, *others: Row, data: object = ..., **changes: Any) -> Step:
    """Make a step that expects rows as they were seen; its content is kept unless `data` says otherwise."""
    expects = tuple((r.job, r.version) for r in (row, *others))
    changes.setdefault("id", f"test:{os.getpid()}:{next(_numbers)}")
    new = (row.data or state()) if data is ... else data
    return Step(job=row.job, expects=expects, data=new, keep=changes.pop("keep", FOR_EVER), **changes)


async def commit(backend: Backend, *steps: Step) -> Answer:
    """Commit, and give the last answer."""
    return list(await backend.bus.commit(steps, backend.locker))[-1]


async def done(backend: Backend, *steps: Step) -> Row:
    """Commit what must succeed, and give the last step's row as it is now."""
    answers = await backend.bus.commit(steps, backend.locker)
    verdicts = [answer.verdict for answer in answers]
    assert verdicts == [Verdict.DONE] * len(steps), f"a step that expects the rows as they are was {verdicts}"
    return answers[-1].rows[0]


async def row_of(backend: Backend, job: str = "a") -> Row:
    """Read one row."""
    return only(await backend.store.rows([job]), "row")


async def send(backend: Backend, *triggers: Trigger, job: str = "a") -> Row:
    """Send triggers of one job with one step."""
    return await done(backend, step(await row_of(backend, job), send=triggers or (trigger(job),)))


async def take(backend: Backend, *jobs: str, limit: int = 100) -> Sequence[Delivery]:
    """Receive without waiting."""
    return await backend.bus.receive(frozenset(jobs or ("a",)), limit, 0)


async def delivered(backend: Backend) -> Delivery:
    """Send one trigger of `a` and receive it."""
    await send(backend)
    return only(await take(backend))


async def beat(*backends: Backend) -> None:
    """Have replicas beat, each under the name that it was opened as."""
    for number, backend in enumerate(backends):
        await backend.store.beat(f"r{number}", {}, TTL)


async def live(world: World, by: Micros, *backends: Backend) -> None:
    """Let time pass for replicas that beat all the while and renew nothing."""
    await beat(*backends)
    while by > 0:
        await world.advance(min(by, BEAT))
        await beat(*backends)
        by -= BEAT


async def lapse(world: World, *backends: Backend) -> None:
    """Let every lease run out while the app is alive; what has no deadline yet needs an idle lease more."""
    await live(world, LEASE + SECOND, *backends)


async def snapshot(backend: Backend) -> tuple[object, ...]:
    """Read all that a step could change; what is held and the history of the jobs used here included."""
    rows = await backend.store.rows(["", "a", "b"])
    runs = [(await backend.store.runs(job))[0] for job in ("", "a", "b")]
    held = sorted(
        (h.delivery.trigger.job, h.delivery.trigger.key, h.delivery.token) for h in await backend.store.held()
    )
    return rows, runs, held


def real(by: Micros) -> float:
    """Convert for asyncio."""
    return timedelta(microseconds=by).total_seconds()
