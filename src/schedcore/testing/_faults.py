"""Lost requests, lost replies and deaths, between any two calls: each call is safe to repeat."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from schedcore.protocols import Backend, Delivery, Locker, Row, Verdict
from schedcore.testing.world import (
    TTL,
    World,
    done,
    lapse,
    line,
    row_of,
    scenario,
    snapshot,
    state,
    step,
    take,
    trigger,
)

REQUEST, REPLY = "request", "reply"
KEYS = ("1", "2")


class LostError(ConnectionError):
    """The request never arrived, or the reply did not."""


class Losing:
    """A backend that loses one request or one reply, and remembers all calls."""

    def __init__(self, inner: Backend, which: int = -1, what: str = "") -> None:
        self.inner = inner
        self.made: list[tuple[str, Callable[[], Awaitable[Any]]]] = []
        self.bus: Any = _Calls(inner.bus, self)
        self.store: Any = _Calls(inner.store, self)
        self.locker: Locker = inner.locker
        self._which, self._what = which, what

    async def call(self, name: str, attempt: Callable[[], Awaitable[Any]]) -> Any:
        """Make one call, of which something may be lost."""
        number = len(self.made)
        self.made.append((name, attempt))
        if number == self._which and self._what == REQUEST:
            raise LostError
        answer = await attempt()
        if number == self._which:
            raise LostError
        return answer


class _Calls:
    def __init__(self, target: Any, losing: Losing) -> None:
        self._target, self._losing = target, losing

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        def call(*args: Any, **kwargs: Any) -> Awaitable[Any]:
            return self._losing.call(name, lambda: getattr(self._target, name)(*args, **kwargs))

        return call


class Life:
    """A job's life as an engine leads it: send two triggers, receive, renew, give one back, finish all."""

    def __init__(self, backend: Losing, job: str, *, repeats: bool) -> None:
        self.job = job
        self.lost = ""
        self._backend = backend
        self._repeats = repeats

    async def lead(self) -> None:
        """Lead it to its end, or to where the replica dies."""
        try:
            await self._lead()
        except LostError:
            if self._repeats:
                raise

    async def _ask(self, call: Callable[[], Awaitable[Any]]) -> Any:
        try:
            return await call()
        except LostError:
            self.lost = self._backend.made[-1][0]
            if not self._repeats:
                raise
        return await call()

    async def _lead(self) -> None:
        bus, store, job = self._backend.bus, self._backend.store, self.job
        await self._ask(lambda: store.beat("r0", {}, TTL))
        sent = tuple(trigger(job, at=int(key)) for key in KEYS)
        await self._commit(step(Row(job), data=state(1), send=sent))
        held = await self._take(10)
        await self._ask(lambda: bus.renew(held, {(job, key): "half" for key in KEYS}))
        await self._ask(lambda: bus.give_back(held[:1]))
        held = [*await self._take(10), *held[1:]]
        await self._ask(lambda: bus.cancel(job, KEYS[0]))
        await self._ask(lambda: bus.renew(held, {}))
        for delivery in held:
            (row,) = await self._ask(lambda: store.rows([job]))
            ended = line(job, at=delivery.trigger.scheduled_at)
            await self._commit(step(row, data=state(2), done=(delivery,), runs=(ended,)))

    async def _take(self, limit: int) -> list[Delivery]:
        bus, jobs = self._backend.bus, frozenset((self.job,))
        return list(await self._ask(lambda: bus.receive(jobs, limit, 0)))

    async def _commit(self, wanted: Any) -> None:
        (answer,) = await self._ask(lambda: self._backend.bus.commit([wanted], self._backend.locker))
        assert answer.verdict is Verdict.DONE, (
            f"a step, repeated after {self.lost or 'nothing'} was lost, was {answer.verdict}"
        )


async def recover(backend: Backend, job: str) -> None:
    """Finish what a dead replica left, as another one does."""
    names = frozenset((job,))
    found = [*await take(backend, job), *await backend.bus.take_over(await backend.bus.lapsed(names, 10))]
    for delivery in found:
        ended = line(job, at=delivery.trigger.scheduled_at)
        await done(backend, step(await row_of(backend, job), done=(delivery,), runs=(ended,)))


async def account(backend: Backend, lives: Sequence[Life], what: str) -> None:
    """See that each trigger that was sent has ended once, and that nothing is left."""
    for life in lives:
        where = f"{what} of {life.lost or 'no call'}"
        row = await row_of(backend, life.job)
        ended = sorted(run.key for run in (await backend.store.runs(life.job))[0])
        sent = list(KEYS) if row.version else []
        assert ended == sent, f"{where}: sent were {sent}, and ended have {ended}"
        assert row.held == frozenset(), f"{where}: the bus still holds {row.held}"
    assert list(await backend.store.held()) == [], f"{what}: something is still held"


async def calls_of_a_life(backend: Backend) -> int:
    """Count the calls of a life that nothing befalls."""
    losing = Losing(backend)
    await Life(losing, "whole", repeats=True).lead()
    return len(losing.made)


class FaultContract:
    """A request, a reply or a replica may be lost at any call; what was sent still ends once."""

    @scenario("the call that the message names: doing it twice has to be the same as doing it once")
    async def test_a_call_whose_request_was_lost_may_be_repeated(self, world: World) -> None:
        """Each call of a job's life in turn is not heard, and made again."""
        await self._lives(world, REQUEST, repeats=True)

    @scenario("the call that the message names: doing it twice has to be the same as doing it once")
    async def test_a_call_whose_reply_was_lost_may_be_repeated(self, world: World) -> None:
        """Each call of a job's life in turn is heard, not answered, and made again."""
        await self._lives(world, REPLY, repeats=True)

    @scenario("what the call before the one named leaves half done, and whether its lease runs out")
    async def test_a_replica_may_die_before_any_call(self, world: World) -> None:
        """What it leaves is found by another, once its leases have run out, and ends once."""
        await self._lives(world, REQUEST, repeats=False)

    @scenario("whether the call that the message names does all of its work, or nothing, in one transaction")
    async def test_a_replica_may_die_after_any_call(self, world: World) -> None:
        """It died with the answer on its way: what the call did counts, and is not done again."""
        await self._lives(world, REPLY, repeats=False)

    async def _lives(self, world: World, what: str, *, repeats: bool) -> None:
        first, second = await world.make_backends(2)
        number = await calls_of_a_life(first)
        assert number > 10
        lives = [Life(Losing(first, n, what), f"j{n}", repeats=repeats) for n in range(number)]
        for life in lives:
            await life.lead()
        await lapse(world, first, second)
        for life in lives:
            await recover(second, life.job)
        await account(second, lives, f"after a lost {what}" if repeats else f"after a death at the {what}")

    @scenario("what the call that the message names checks: a token, a step's id, a version")
    async def test_a_call_that_arrives_once_more_much_later_changes_nothing(self, world: World) -> None:
        """A network may deliver late what was given up: by then the job's life has gone on."""
        first, second = await world.make_backends(2)
        losing = Losing(first)
        await Life(losing, "a", repeats=True).lead()
        await done(second, step(await row_of(second), send=(trigger(at=3),)))
        await take(second)
        before = await snapshot(second)
        for name, attempt in losing.made:
            if name == "receive":  # takes, for nobody, what would lapse
                continue
            await attempt()
            assert await snapshot(second) == before, f"{name}, arriving once more, changed something"
