"""RAM and Redis answer alike: a state machine does the same to both, and compares all that they say.

What differs by nature is compared after a mapping: versions, tokens and epochs of one side stand for those
of the other from their first appearance on, and rise alike. An order is compared where the contract promises
one.

`SCHEDCORE_DIFFERENTIAL="EXAMPLES STEPS"` makes it longer, `--hypothesis-seed` another one.
"""

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from functools import wraps
from random import Random
from typing import Any

import attrs
import pytest
import redis.asyncio as redis
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from tests.contracts.ram import RamWorld
from tests.redis.world import RedisWorld, _aged

from sched_redis._bus import BURST
from sched_redis._keys import GROUP, trigger_name
from schedcore.protocols import (
    APP_ROW,
    Answer,
    Backend,
    Delivery,
    Keep,
    Micros,
    Row,
    Run,
    Status,
    Step,
    Verdict,
)
from schedcore.testing.world import BEAT, SECOND, TTL, line, state, trigger

EXAMPLES, STEPS = map(int, os.environ.get("SCHEDCORE_DIFFERENTIAL", "40 40").split())
REPLICAS = 3
PATIENCE = 0.4
"""Seconds between two jumps of the clock at most: else the two may stand on two sides of a deadline."""

WAIT: Micros = 5_000
ALL = 1000
NAMES = ["a", "a:b", "a/b", "a-b", "b"]
KEYS = ["1", "2", "", " ", "!", "a !", "%1f", "%", "\x1f", "\x00\n", "ü \U0001f600", "1!", "b 1"]
STATUSES = [Status.SUCCEEDED, Status.FAILED, Status.SKIPPED]
KEEPS = [Keep(3, 2), Keep(2, 5), Keep(50, 20), Keep(50, 20, age=7_500_000), Keep(1, 1, age=7_500_000)]


@attrs.frozen
class Plan:
    """What a step shall do on both sides.

    An age is how many versions back the one is that is expected; `done` are places in the list of deliveries,
    counted from the newest.
    """

    job: str
    age: int = 0
    app_age: int | None = None
    deletes: bool = False
    is_early: bool = False
    keys: tuple[str, ...] = ()
    done: tuple[int, ...] = ()
    statuses: tuple[Status, ...] = ()
    keep: Keep = KEEPS[0]


@attrs.frozen(eq=False)
class Twin:
    """One delivery as each side gave it out."""

    replica: int
    sides: tuple[Delivery, Delivery]


replicas = st.integers(0, REPLICAS - 1)
jobs = st.frozensets(st.sampled_from(NAMES), min_size=1)
ages = st.sampled_from([0, 0, 0, 0, 0, 1, 2, 7])
places = st.lists(st.integers(0, 9), max_size=4, unique=True).map(tuple)
seldom = st.sampled_from([False] * 9 + [True])
strangers = st.none() | replicas
"""Who acts: the owner of the first delivery, or whoever."""

plans = st.builds(
    Plan,
    st.sampled_from([*NAMES, *NAMES, APP_ROW]),
    ages,
    app_age=st.none() | ages,
    deletes=seldom,
    is_early=seldom,
    keys=st.lists(st.sampled_from(KEYS), max_size=3, unique=True).map(tuple),
    done=places,
    statuses=st.lists(st.sampled_from(STATUSES), max_size=3).map(tuple),
    keep=st.sampled_from(KEEPS),
)


class WallRamWorld(RamWorld):
    """Its clock goes as the server's does, and jumps when told."""

    jumped: Micros = 0

    def clock(self) -> Micros:
        """Tell the time, later with each look."""
        self.now = max(self.now + 1, time.time_ns() // 1000 + self.jumped)
        return self.now

    async def advance(self, by: Micros) -> None:
        """Jump."""
        self.jumped += by


class AgeingRedisWorld(RedisWorld):
    """All of its history ages."""

    async def advance(self, by: Micros) -> None:
        """Shift the lists of failures too."""
        await super().advance(by)
        async with redis.Redis.from_url(self.url) as client:
            for key in [key async for key in client.scan_iter(match=f"*{{{self.app}}}:failures:*")]:
                lines = [_aged(each, by) for each in await client.lrange(key, 0, -1)]
                await client.delete(key)
                await client.rpush(key, *lines)

    async def flush(self) -> None:
        """Have the group made anew by whoever asks next."""
        await super().flush()
        if self.backends[0].store._client.is_open:
            await self.backends[0].bus.lapsed(frozenset(), 1)


class Stalled(Exception):  # noqa: N818  it is nobody's error
    """The machine was too slow for an answer to prove anything."""


def patient(act: Callable[..., None]) -> Callable[..., None]:
    """Do nothing more once the machine has stalled: the two may stand on two sides of a deadline."""

    @wraps(act)
    def unless_stalled(self: "Twins", *arguments: Any, **named: Any) -> None:
        if not self.stalled:
            try:
                if time.monotonic() - self.jumped_at > PATIENCE:
                    self.jump(BEAT)
                act(self, *arguments, **named)
            except Stalled:
                self.stalled = True

    return unless_stalled


class Numbers:
    """Which of Redis's versions and tokens stands for which of RAM's."""

    def __init__(self) -> None:
        self.pairs: dict[int, int] = {0: 0}
        self.back: dict[int, int] = {0: 0}

    def same(self, ram: int, other: int) -> bool:
        """Tell whether they appeared together, or appear now and are in the same order as all before."""
        if ram in self.pairs or other in self.back:
            return self.pairs.get(ram) == other
        rises = all((ram > left) == (other > right) for left, right in self.pairs.items())
        self.add(ram, other)
        return rises

    def are_new(self, ram: Collection[int], other: Collection[int]) -> bool:
        """Tell whether these are above all before, and no two of them are equal."""
        return all(
            min(each, default=1) > max(before) and len(set(each)) == len(each)
            for each, before in ((ram, self.pairs), (other, self.back))
            if each
        )

    def add(self, ram: int, other: int) -> None:
        """Note a pair."""
        self.pairs[ram], self.back[other] = other, ram


class Twins(RuleBasedStateMachine):
    """One app on RAM and the same on Redis, and what was seen of both."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.worlds = WallRamWorld(), AgeingRedisWorld(url)
        self.backends = [self.runner.run(world.make_backends(REPLICAS)) for world in self.worlds]
        self.jumped_at = time.monotonic()
        self.count = 0
        self.numbers = Numbers()
        self.epochs: dict[str, str] = {}
        self.versions: dict[str, list[tuple[int, int]]] = defaultdict(lambda: [(0, 0)])
        self.committed: dict[str, list[tuple[int, list[Step]]]] = {}
        self.unfinished: set[tuple[str, str]] = set()
        self.sender: dict[tuple[str, str], int] = {}
        self.twins: list[Twin] = []
        self.reads = self.stalled = False
        self.shuffled: set[str] = set()
        self.flushed: set[int] = set()
        self.noted: set[int] = set()

    def teardown(self) -> None:
        """Leave nothing."""
        for world in self.worlds:
            self.runner.run(world.close())
        self.runner.close()

    def ask(self, replica: int, act: Callable[[int, Backend], Awaitable[Any]]) -> tuple[Any, Any]:
        """Do the same as one replica of each side."""

        async def both() -> tuple[Any, Any]:
            return await act(0, self.backends[0][replica]), await act(1, self.backends[1][replica])

        said = self.runner.run(both())
        if time.monotonic() - self.jumped_at > 2 * PATIENCE:
            raise Stalled
        return said

    def jump(self, by: Micros) -> None:
        """Let whole beats pass, whatever has passed really."""
        began = time.monotonic()
        passed = int((began - self.jumped_at) * SECOND)
        while by < passed + SECOND // 10:
            by += BEAT

        async def both() -> None:
            for world in self.worlds:
                await world.advance(by - passed)

        self.runner.run(both())
        self.jumped_at = began

    # Steps

    def steps(self, plan: Plan, keys: Iterable[str]) -> list[Step]:
        """Make the step that a plan means on each side."""
        self.count += 1
        known = self.versions[plan.job]
        version = known[max(0, len(known) - 1 - plan.age)]
        deletes = plan.deletes and version != (0, 0)
        done = [self.twins[-1 - place] for place in plan.done if place < len(self.twins)]
        beside = []
        if plan.app_age is not None and plan.job != APP_ROW:
            app = self.versions[APP_ROW]
            beside = [app[max(0, len(app) - 1 - plan.app_age)]]
        return [
            Step(
                f"step:{self.count}",
                plan.job,
                ((plan.job, version[side]), *((APP_ROW, each[side]) for each in beside)),
                None if deletes else state(self.count),
                not_before=self.later(side) if plan.is_early else 0,
                send=() if deletes else tuple(trigger(plan.job, self.count, key=key) for key in keys),
                done=tuple(twin.sides[side] for twin in done),
                runs=tuple(line(plan.job, self.count, status) for status in plan.statuses),
                keep=plan.keep,
            )
            for side in (0, 1)
        ]

    def later(self, side: int) -> Micros:
        """Tell an instant that is not there yet."""
        return time.time_ns() // 1000 + 3600 * SECOND + (0 if side else self.worlds[0].jumped)

    def commit(self, replica: int, both: list[list[Step]]) -> None:
        """Commit the same batch, and compare the answers."""

        async def act(side: int, backend: Backend) -> tuple[Micros, Sequence[Answer], Micros]:
            steps, before = [each[side] for each in both], await backend.store.now()
            answers = await backend.bus.commit(steps, backend.locker)
            if side and any(answer.verdict is Verdict.HELD for answer in answers):
                await self.unlock(replica, steps, answers)
                answers = await backend.bus.commit(steps, backend.locker)
            return before, answers, await backend.store.now()

        sides = self.ask(replica, act)
        for side, (before, answers, after) in enumerate(sides):
            assert all(answer.now <= after for answer in answers)
            if not (side and len(both) > BURST):  # who comes late to a burst is told a past now
                assert all(before <= answer.now for answer in answers)
        for steps, ram, other in zip(both, sides[0][1], sides[1][1], strict=True):
            self.compare(replica, steps, ram, other)
        app = self.worlds[0].memory.row(APP_ROW)
        for ram, other in zip(sides[0][1], sides[1][1], strict=True):
            for left, right in zip(ram.rows[1:], other.rows[1:], strict=True):
                at_the_end = app if left.job == APP_ROW else left
                assert (right.job, self.numbers.back[right.version], right.data) in [
                    (left.job, left.version, left.data),
                    (left.job, at_the_end.version, at_the_end.data),
                ], f"{left} on RAM is {right} on Redis"

    async def unlock(self, replica: int, steps: list[Step], answers: Sequence[Answer]) -> None:
        """Free the locks of what others have sent lately: RAM has none."""
        for step, answer in zip(steps, answers, strict=True):
            if answer.verdict is Verdict.HELD:
                sent = [(each.job, each.key) for each in step.send]
                assert any(self.sender.get(name, replica) != replica for name in sent), "HELD by nobody else"
                keys = self.worlds[1].keys
                async with redis.Redis.from_url(self.worlds[1].url) as client:
                    await client.delete(*(keys.lock(trigger_name(*name)) for name in sent))

    def compare(self, replica: int, steps: list[Step], ram: Answer, other: Answer) -> None:
        """Compare two answers, and note what was done."""
        assert ram.verdict is other.verdict, f"{steps[0]}: {ram.verdict} on RAM, {other.verdict} on Redis"
        refused = [
            [each.done.index(delivery) for delivery in answer.refused]
            for each, answer in zip(steps, (ram, other), strict=True)
        ]
        assert refused[0] == refused[1], f"refused were {refused}"
        self.compare_rows(ram.rows[:1], other.rows[:1])
        done = self.committed.setdefault(steps[0].job, [])
        if ram.verdict is Verdict.DONE and (replica, steps) not in done:
            done.append((replica, steps))
            del done[:-2]
            self.unfinished -= {(each.trigger.job, each.trigger.key) for each in steps[0].done}
            self.unfinished |= {(each.job, each.key) for each in steps[0].send}
            self.sender |= {(each.job, each.key): replica for each in steps[0].send}

    def compare_rows(self, ram: Sequence[Row], other: Sequence[Row]) -> None:
        """Compare rows, and note their versions."""
        assert [(r.job, r.data, r.held) for r in ram] == [(r.job, r.data, r.held) for r in other]
        for left, right in zip(ram, other, strict=True):
            pair = left.version, right.version
            assert self.numbers.same(*pair), f"{left} on RAM is {right} on Redis"
            if self.versions[left.job][-1] != pair:
                self.versions[left.job].append(pair)

    @rule(replica=strangers, batch=st.lists(plans, min_size=1, max_size=4))
    @patient
    def commit_plans(self, replica: int | None, batch: list[Plan]) -> None:
        """One step, or several."""
        taken, both = set(self.unfinished), []
        for plan in batch:
            keys = [key for key in plan.keys if (plan.job, key) not in taken]
            taken |= {(plan.job, key) for key in keys}
            both.append(self.steps(plan, keys))
        self.commit(self.actor(replica, batch[0].done), both)

    @rule(replica=replicas, number=st.integers(51, 140), salt=st.integers(0, 9))
    @patient
    def commit_many(self, replica: int, number: int, salt: int) -> None:
        """More steps than travel in one call, many of them late."""
        random = Random(salt)
        both = []
        for place in range(number):
            job = f"j{place:03}"
            keys = [key for key in ("1",) if random.random() < 0.04 and (job, key) not in self.unfinished]
            age = random.choice([0, 0, 1])
            both.append(self.steps(Plan(job, age, deletes=salt > 7 and random.random() < 0.5), keys))
        self.commit(replica, both)

    @rule(job=st.sampled_from([*NAMES, APP_ROW, "j007"]), place=st.integers(0, 1))
    @patient
    def repeat(self, job: str, place: int) -> None:
        """A reply was lost: the same step again."""
        if len(self.committed.get(job, ())) > place:
            replica, steps = self.committed[job][-1 - place]
            self.commit(replica, [steps])

    # Deliveries

    def actor(self, replica: int | None, chosen: tuple[int, ...]) -> int:
        """Who it is that acts on deliveries."""
        if replica is None:
            replica = next((self.twins[-1 - place].replica for place in chosen if place < len(self.twins)), 0)
        return replica

    def chosen(self, chosen: tuple[int, ...]) -> list[Twin]:
        """The deliveries at these places."""
        return [self.twins[-1 - place] for place in chosen if place < len(self.twins)]

    def pair(self, replica: int, ram: Sequence[Delivery], other: Sequence[Delivery]) -> None:
        """Compare and note what was handed out: each job's in its order, unless that order was lost."""

        def place(delivery: Delivery) -> tuple[str, str]:
            job, key = delivery.trigger.job, delivery.trigger.key
            return job, key if job in self.shuffled else ""

        sides = [sorted(side, key=place) for side in (ram, other)]
        names = [[(d.trigger.job, d.trigger.key, d.number) for d in side] for side in sides]
        assert names[0] == names[1], f"handed out on RAM: {names[0]}, on Redis: {names[1]}"
        assert [d.trigger for d in sides[0]] == [d.trigger for d in sides[1]]
        tokens = [[d.token for d in side] for side in sides]
        assert self.numbers.are_new(*tokens), f"tokens {tokens} do not rise"
        for left, right in zip(*sides, strict=True):
            self.numbers.add(left.token, right.token)
            self.twins.append(Twin(replica, (left, right)))

    @rule(replica=replicas, asked=jobs, limit=st.sampled_from([1, 2, ALL]))
    @patient
    def receive(self, replica: int, asked: frozenset[str], limit: int) -> None:
        """Without waiting; the order between jobs is nobody's promise."""
        if self.reads:
            self.receive_all(replica, asked, limit)
            return
        if len(asked) > 1:
            limit = ALL
        ram, other = self.ask(replica, lambda _, backend: backend.bus.receive(asked, limit, 0))
        self.pair(replica, ram, other)

    @rule(replica=replicas, asked=jobs, limit=st.sampled_from([1, 2, 3, ALL]))
    @patient
    def receive_all(self, replica: int, asked: frozenset[str], limit: int) -> None:
        """Sweep what was parked, then wait for more until there is no more."""
        if not self.reads:
            self.receive(replica, asked, limit)
            return

        async def act(side: int, backend: Backend) -> list[Delivery]:
            parked = [each for each in await backend.bus.lapsed(asked, ALL) if not each.token]
            taken = list(await backend.bus.take_over(parked))
            is_read = False
            while not is_read:
                more = await backend.bus.receive(asked, limit, WAIT)
                assert len(more) <= limit
                taken += more
                is_read = not more and (side == 0 or await self.has_been_read())
            return taken

        self.shuffled |= set(NAMES)
        self.pair(replica, *self.ask(replica, act))

    async def has_been_read(self) -> bool:
        """Tell whether each entry of the stream is somebody's: handing on may take a while."""
        stream = self.worlds[1].keys.stream
        async with redis.Redis.from_url(self.worlds[1].url) as client:
            return await client.xlen(stream) == (await client.xpending(stream, GROUP))["pending"]

    @rule(
        replica=strangers,
        held=places,
        notes=st.lists(st.sampled_from(["", "x", "ü%\x1f\n"]), max_size=4),
    )
    @patient
    def renew(self, replica: int | None, held: tuple[int, ...], notes: list[str]) -> None:
        """Some with a note."""
        twins, actor = self.chosen(held), self.actor(replica, held)
        triggers = [twin.sides[0].trigger for twin in twins]
        said = {(t.job, t.key): note for t, note in zip(triggers, notes, strict=False) if note}
        ram, other = self.ask(actor, lambda side, b: b.bus.renew([t.sides[side] for t in twins], said))
        mine = [[t.sides[side] in renewal.mine for t in twins] for side, renewal in enumerate((ram, other))]
        assert mine[0] == mine[1], f"renewed were {mine}"
        assert ram.cancel == other.cancel
        self.noted |= {d.token for d in ram.mine if (d.trigger.job, d.trigger.key) in said}

    @rule(replica=strangers, held=places)
    @patient
    def give_back(self, replica: int | None, held: tuple[int, ...]) -> None:
        """The owner's, or whose they are not."""
        twins = self.chosen(held)
        self.ask(self.actor(replica, held), lambda side, b: b.bus.give_back([t.sides[side] for t in twins]))

    @rule(replica=replicas, held=places)
    @patient
    def cancel(self, replica: int, held: tuple[int, ...]) -> None:
        """What is held, and what was."""
        for twin in self.chosen(held):
            asked = twin.sides[0].trigger
            ram, other = self.ask(replica, lambda _, b, t=asked: b.bus.cancel(t.job, t.key))
            assert ram == other, f"cancel of {asked}: {ram} on RAM, {other} on Redis"

    @rule(replica=replicas, asked=jobs, limit=st.sampled_from([1, ALL]))
    @patient
    def take_over_lapsed(self, replica: int, asked: frozenset[str], limit: int) -> None:
        """What lapsed lists, less what Redis has parked (RAM finds that for the next receive)."""
        ram, other = self.ask(replica, lambda _, b: b.bus.lapsed(asked, ALL))
        other = [delivery for delivery in other if delivery.token]
        assert {self.numbers.pairs[d.token] for d in ram} == {d.token for d in other}
        few = self.ask(replica, lambda _, b: b.bus.lapsed(asked, limit))
        assert len(few[0]) == min(limit, len(ram))
        assert len([d for d in few[1] if d.token]) == min(limit, len(other))
        pairs = sorted((d.token, d) for d in ram)[:limit], {d.token: d for d in other}
        seen = [(left, pairs[1][self.numbers.pairs[token]]) for token, left in pairs[0]]
        got = self.ask(replica, lambda side, b: b.bus.take_over([both[side] for both in seen]))
        self.pair(replica, *got)

    @rule(replica=replicas, held=places)
    @patient
    def take_over_seen(self, replica: int, held: tuple[int, ...]) -> None:
        """What was seen some time, lapsed or not, stale or not."""
        twins = self.chosen(held)
        got = self.ask(replica, lambda side, b: b.bus.take_over([t.sides[side] for t in twins]))
        self.pair(replica, *got)

    # Reading

    @rule(replica=replicas, asked=st.lists(st.sampled_from([*NAMES, APP_ROW, "never"]), unique=True))
    @patient
    def read_named_rows(self, replica: int, asked: list[str]) -> None:
        """In the order asked."""
        self.compare_rows(*self.ask(replica, lambda _, b: b.store.rows(asked)))

    @rule(after=st.sampled_from(["", "a", "a-", "a:", "zz"]), limit=st.sampled_from([1, 3, ALL]))
    @patient
    def read_rows(self, after: str, limit: int) -> None:
        """Page by page."""
        while True:
            ram, other = self.ask(0, lambda _, b, after=after: b.store.rows(after=after, limit=limit))
            self.compare_rows(ram, other)
            if len(ram) < limit:
                return
            after = ram[-1].job

    @rule(
        job=st.sampled_from([*NAMES, APP_ROW]),
        statuses=st.none() | st.lists(st.sampled_from(STATUSES), max_size=2),
        after=st.none() | st.integers(0, 40),
        until=st.none() | st.integers(0, 40),
        limit=st.integers(1, 4),
    )
    @patient
    def read_history(
        self, job: str, statuses: list[Status] | None, after: int | None, until: int | None, limit: int
    ) -> None:
        """Page by page, of some."""
        cursors = ["", ""]
        while True:

            async def page(side: int, backend: Backend) -> tuple[Sequence[Run], str]:
                return await backend.store.runs(
                    job,
                    statuses=statuses,
                    after=after,
                    until=until,
                    limit=limit,
                    cursor=cursors[side],  # noqa: B023
                )

            (ram, *more), (other, *more_there) = self.ask(0, page)
            assert list(ram) == list(other)
            assert bool(more[0]) == bool(more_there[0]), "one side says that there is more"
            cursors = [more[0], more_there[0]]
            if not more[0]:
                return

    @rule(asked=st.none() | jobs)
    @patient
    def read_held(self, asked: frozenset[str] | None) -> None:
        """Who holds what, since its token was given out."""
        ram, other = self.ask(0, lambda _, b: b.store.held(asked))

        def told(side: int, held: Any) -> list[tuple[object, ...]]:
            found = []
            for each in held:
                delivery = each.delivery
                names = delivery.trigger.job, delivery.trigger.key, delivery.number, each.replica
                token = delivery.token if side else self.numbers.pairs[delivery.token]
                # RAM keeps the note of a former holder until the new one renews with a note.
                note = each.note if side or delivery.token in self.noted else ""
                found.append((token, *names, note))
            return sorted(found)

        assert told(0, ram) == told(1, other)
        assert [h for h in (*ram, *other) if abs(h.since - h.delivery.token) > SECOND // 2] == []

    @rule()
    @patient
    def read_everything(self) -> None:
        """All that an app has."""
        self.read_rows("", ALL)
        for job in (*NAMES, APP_ROW):
            self.read_history(job, None, None, None, 2)
        self.read_held(None)

    # The living, and time

    @initialize(reads=st.booleans())
    @patient
    def begin(self, reads: bool) -> None:
        """A replica is there, and there is something to do.

        What was taken by name, and not from the stream, whoever reads the stream next reads once more: Redis
        then begins its lease anew, so that a take-over may come later than on RAM.
        """
        self.reads = reads
        self.beat(0, 0, False)
        self.commit(0, [self.steps(Plan(job), KEYS[:3]) for job in NAMES])
        self.receive(0, frozenset(NAMES[:2]), ALL)

    @rule(replica=replicas, fact=st.integers(0, 9), leaves=seldom)
    @patient
    def beat(self, replica: int, fact: int, leaves: bool) -> None:
        """A replica lives on, or leaves."""
        ttl = 0 if leaves else TTL
        ram, other = self.ask(replica, lambda _, b: b.store.beat(f"r{replica}", {"fact": fact}, ttl))
        assert self.epochs.setdefault(ram.epoch, other.epoch) == other.epoch
        assert len(set(self.epochs.values())) == len(self.epochs)
        seen = [(a, b) for a, b in self.numbers.pairs.items() if a not in self.flushed]
        for side, newest in enumerate(
            (ram.newest, other.newest)
        ):  # Redis gives tokens too to whom a job is unknown
            assert all(pair[side] <= newest for pair in seen), "something newer than the newest was given out"
        assert abs(ram.gap - other.gap) < 2 * PATIENCE * SECOND  # as long as an answer may take
        assert ram.alive == other.alive

    @rule(replica=replicas)
    @patient
    def read_replicas(self, replica: int) -> None:
        """Who lives, and how they described themselves."""
        ram, other = self.ask(replica, lambda _, b: b.store.replicas())
        assert {r.id: dict(r.facts) for r in ram} == {r.id: dict(r.facts) for r in other}

    @rule(beats=st.integers(1, 4), alive=st.sets(replicas))
    @patient
    def pass_time(self, beats: int, alive: set[int]) -> None:
        """Some beat meanwhile; if none does, it is an outage."""
        for _ in range(beats if alive else 1):
            self.jump(BEAT if alive else beats * BEAT)
            for replica in alive:
                self.beat(replica, 0, False)

    @rule(really=st.sampled_from([False] * 3 + [True]))
    @patient
    def flush(self, really: bool) -> None:
        """The data is lost, but not what was seen of it."""
        if not really:
            return
        for world in self.worlds:
            self.runner.run(world.flush())
        for known in self.versions.values():
            known.append((0, 0))
        self.flushed = set(self.numbers.pairs) - {0}
        self.committed.clear()
        self.unfinished.clear()
        self.sender.clear()
        self.shuffled.clear()
        self.beat(0, 0, False)


@pytest.mark.timeout(int(60 + 10 * EXAMPLES))
def test_ram_and_redis_answer_alike(redis_url: str, request: pytest.FixtureRequest) -> None:
    """Whatever is done to an app, RAM and Redis say the same of it."""

    def make() -> Twins:
        return Twins(redis_url)

    number = int(request.config.getoption("hypothesis_seed", None) or 0)
    try:
        run_state_machine_as_test(
            seed(number)(make),
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                print_blob=False,
                suppress_health_check=list(HealthCheck),
            ),
        )
    except BaseException as exc:
        exc.add_note(f"the seed was {number}, of {EXAMPLES} examples of {STEPS} steps")
        raise
