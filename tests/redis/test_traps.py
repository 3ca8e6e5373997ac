"""What others got wrong, built back in on purpose: each scenario finds its trap, and finds nothing without it.

The traps of section 9 of the design, row by row, and where each is tested; what has a name in brackets is below.

| trap | tests |
| --- | --- |
| lock, then enqueue (two steps) | [lock, then enqueue] |
| lock on the job's name, or on a formatted local minute | [lock on the job's name] |
| lock tied to the job's lifetime, or kept for 60 s | [the lock decides], tests/simulation/test_wrong_designs.py::test_a_wrong_design_is_found |
| reclaim after idle time without heartbeat | [no heartbeat] |
| heartbeat on the event loop that user code blocks | tests/engine/test_blocked_loops.py::test_a_blocked_loop_delays_neither_other_jobs_nor_the_beat |
| renewal without an owner check | [renewal without an owner check] |
| reclaim only after a new message arrived | [reclaim after a new message] |
| leases judged right after a store outage | [leases judged right after an outage], tests/simulation/test_wrong_designs.py::test_a_wrong_design_is_found |
| one consumer name for all replicas; deleting a consumer that holds work | [one consumer name], [consumers deleted with their work] |
| `MAXLEN` on a stream with unfinished entries; a group created at `$` | [MAXLEN], [group at the end] |
| acknowledging, or endlessly returning, unknown jobs | [unknown jobs acknowledged], [unknown jobs returned], tests/redis/test_rolling_deploys.py::test_what_no_replica_knew_is_run_by_the_first_that_does |
| acknowledge without delete; consumers never deleted; locks without expiry | [acknowledge without delete], [consumers never deleted], [locks without expiry], tests/redis/test_memory.py::test_nothing_grows_with_the_number_of_fires |
| attempts counted before the work, with a limit of one | [attempts counted before the work] |
| `next run` advanced before the enqueue succeeded | [lock, then enqueue], tests/engine/test_outages.py::test_each_call_may_fail_and_nothing_is_lost |
| local clocks trusted | [local clocks], tests/simulation/test_cases.py::test_a_machine_whose_clock_is_off_fires_on_time |
| an edited schedule keeps the old next run; a removed job is rescheduled for ever by old state | tests/rules/test_edits.py::test_an_edit_loses_no_time_between_the_two, tests/engine/test_housekeeping.py::test_a_job_that_was_removed_while_it_was_being_decided_is_ticked_no_more |
| one unimportable job, one garbage entry, one lost connection ends the process | tests/test_plugins.py::test_a_broken_one_does_not_hinder_another, [garbage ends the reader], tests/engine/test_outages.py::test_one_garbage_row_does_not_stop_the_others, tests/engine/test_outages.py::test_an_outage_is_said_once_and_so_is_its_end |
| per-minute walk over missed times | tests/schedules/test_edges.py::test_years_of_seconds_are_counted_not_walked |
| all missed times at once under `skip` | tests/rules/test_late.py::test_late_ones_run_one_behind_the_other |
| a version or token that starts again after a flush | [numbers that start again], tests/simulation/test_wrong_designs.py::test_a_wrong_design_is_found |
"""  # noqa: E501  a table's rows are lines

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha1
from pathlib import Path
from typing import Any

import attrs
import pytest
import redis.asyncio as redis
from tests.redis.world import RedisWorld

from sched_redis import RedisBackend, RedisBus, _bus, _client
from sched_redis._client import Client
from sched_redis._keys import GROUP, Keys
from schedcore.protocols import Answer, Backend, Row, Step, Verdict
from schedcore.testing.world import (
    BEAT,
    GAP,
    SECOND,
    TTL,
    beat,
    commit,
    delivered,
    done,
    lapse,
    live,
    row_of,
    send,
    step,
    take,
    trigger,
)

ROOT = Path(__file__).parents[2]
A, B = frozenset("a"), frozenset("b")
SCRIPT = _client.script

Scenario = Callable[[RedisWorld, "redis.Redis"], Awaitable[list[str]]]
"""Plays in a world of its own, and tells what went wrong."""


@attrs.frozen
class Patch:
    """Another text for a part of a Lua script."""

    name: str
    right: str
    wrong: str


@attrs.frozen
class Trap:
    """A mistake, how it is built in, and the scenario that finds it."""

    name: str
    scenario: Scenario
    patches: tuple[Patch, ...] = ()
    build: Callable[[pytest.MonkeyPatch], None] = lambda _: None

    @contextmanager
    def built_in(self) -> Iterator[None]:
        """Build it in for a while."""

        def script(name: str) -> tuple[bytes, str]:
            source = SCRIPT(name)[0].decode()
            for patch in self.patches:
                if patch.name == name:
                    assert patch.right in source, f"{name}.lua has no {patch.right!r} any more"
                    source = source.replace(patch.right, patch.wrong)
            return source.encode(), sha1(source.encode()).hexdigest()

        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setattr(_client, "script", script)
            self.build(monkeypatch)
            yield


# Once


async def a_crash_at_any_line(world: RedisWorld, client: "redis.Redis") -> list[str]:
    """A replica dies after each of its calls; whoever comes then does what has not been done."""
    dying, other = await world.make_backends(2)
    assert isinstance(dying, RedisBackend)
    await send(dying, job="warm")  # scripts are loaded by it
    wrong = []
    for calls in range(1, 4):
        job = f"j{calls}"
        sending = step(Row(job), send=(trigger(job),))
        with pytest.MonkeyPatch.context() as monkeypatch:
            _die_after(monkeypatch, dying._client, calls)
            try:
                await commit(dying, sending)
            except ConnectionError:
                row = await row_of(other, job)
                if not row.version:
                    await done(other, step(row, send=(trigger(job),)))
        if (await row_of(other, job)).held != {trigger(job).key}:
            wrong.append(f"lost when the replica died after {calls} calls")
    return wrong


def _die_after(monkeypatch: pytest.MonkeyPatch, client: Client, calls: int) -> None:
    left, call = iter(range(calls)), client.call

    async def mortal(*command: Any) -> Any:
        said = await call(*command)
        if next(left, None) in (None, calls - 1):
            raise ConnectionError("dead")
        return said

    monkeypatch.setattr(client, "call", mortal)


def _lock_then_enqueue(monkeypatch: pytest.MonkeyPatch) -> None:
    both = RedisBus._commit

    async def one_after_the_other(self: RedisBus, steps: Sequence[Step], *lock: Any) -> Sequence[Answer]:
        answers = await both(self, [attrs.evolve(each, send=()) for each in steps], *lock)
        for each, answer in zip(steps, answers, strict=True):
            if answer.verdict is Verdict.DONE and each.send:
                seen = tuple((row.job, row.version) for row in answer.rows)
                await both(self, [attrs.evolve(each, id=f"{each.id}:send", expects=seen)], *lock)
        return answers

    monkeypatch.setattr(RedisBus, "_commit", one_after_the_other)


async def two_times_in_a_row(world: RedisWorld, client: "redis.Redis") -> list[str]:
    """A second replica sends the next time as soon as the first is done."""
    first, second = await world.make_backends(2)
    delivery = await delivered(first)
    row = await done(first, step(await row_of(first), done=(delivery,)))
    answer = await commit(second, step(row, send=(trigger(at=120 * SECOND),)))
    return [] if answer.verdict is Verdict.DONE else [f"the next time is {answer.verdict}"]


async def a_lagging_replica(world: RedisWorld, client: "redis.Redis") -> list[str]:
    """A replica that was frozen commits its step when the run has long ended, and its lock too."""
    first, second = await world.make_backends(2)
    row = await done(first, step(Row("a")))
    late = step(row, send=(trigger(),))
    await done(first, step(row, send=(trigger(),)))
    await done(first, step(await row_of(first), done=tuple(await take(first))))
    await live(world, BEAT, first, second)
    answer = await commit(second, late)
    again = await take(second)
    return [f"it was {answer.verdict}, and run again"] if again else []


async def a_frozen_replica_and_a_flush(world: RedisWorld, client: "redis.Redis") -> list[str]:
    """What was given out before the flush is used after it."""
    (backend,) = await world.make_backends(1)
    old = await delivered(backend)
    row = await row_of(backend)
    await world.advance(SECOND // 100)
    await world.flush()
    new = await delivered(backend)
    wrong = [] if new.token > old.token else ["a token came back"]
    if (await commit(backend, step(row))).verdict is Verdict.DONE:
        wrong.append("an old step was committed")
    if (await commit(backend, step(await row_of(backend), done=(old,)))).verdict is Verdict.DONE:
        wrong.append("an old delivery was finished")
    return wrong


async def a_fast_clock(world: RedisWorld, client: "redis.Redis") -> list[str]:
    """A replica whose clock is an hour ahead sends what is due in an hour."""
    (backend,) = await world.make_backends(1)
    at = await backend.store.now() + 3600 * SECOND
    answer = await commit(backend, step(Row("a"), send=(trigger(at=at),), not_before=at))
    return [] if answer.verdict is Verdict.EARLY else [f"an hour too early it was {answer.verdict}"]


# Leases


async def a_long_run(world: RedisWorld, client: "redis.Redis") -> list[str]:
    """Its owner renews with each beat."""
    first, second = await world.make_backends(2)
    delivery = await delivered(first)
    for _ in range(5):
        await live(world, BEAT, first, second)
        await first.bus.renew([delivery], {})
    return ["a renewed lease lapsed"] if await second.bus.lapsed(A, 10) else []


async def a_thawed_replica(world: RedisWorld, client: "redis.Redis") -> list[str]:
    """It renews, gives back and finishes what somebody has taken over."""
    first, second = await world.make_backends(2)
    old = await delivered(first)
    await lapse(world, first, second)
    await second.bus.take_over([old])
    wrong = ["it renewed"] if (await first.bus.renew([old], {})).mine else []
    if (await commit(first, step(await row_of(first), done=(old,)))).verdict is Verdict.DONE:
        wrong.append("it finished")
    return wrong


async def an_idle_stream(world: RedisWorld, client: "redis.Redis") -> list[str]:
    """A replica dies with the only trigger of the day."""
    first, second = await world.make_backends(2)
    await delivered(first)
    await lapse(world, first, second)
    taken = await second.bus.take_over(await second.bus.lapsed(A, 10))
    return [] if taken else ["nobody takes over"]


def _reclaim_after_a_new_message(monkeypatch: pytest.MonkeyPatch) -> None:
    lapsed = RedisBus.lapsed

    async def if_something_arrived(self: RedisBus, jobs: frozenset[str], limit: int) -> Any:
        stream = self._client.keys.stream
        pending = (await self._client.call("XPENDING", stream, GROUP))["pending"]
        if await self._client.call("XLEN", stream) == pending:
            return []
        return await lapsed(self, jobs, limit)

    monkeypatch.setattr(RedisBus, "lapsed", if_something_arrived)


async def an_outage(world: RedisWorld, client: "redis.Redis") -> list[str]:
    """For longer than a lease nobody reaches the store; then all do, and who sweeps is the first."""
    first, second = await world.make_backends(2)
    delivery = await delivered(first)
    await live(world, BEAT, first, second)
    await world.advance(2 * GAP + BEAT)
    await beat(second)
    stolen = await second.bus.take_over(await second.bus.lapsed(A, 10) or [delivery])
    return ["a live run was stolen"] if stolen else []


async def two_replicas(world: RedisWorld, client: "redis.Redis") -> list[str]:
    """One meddles with what the other holds."""
    first, second = await world.make_backends(2)
    delivery = await delivered(first)
    wrong = ["renewed by another"] if (await second.bus.renew([delivery], {})).mine else []
    await second.bus.give_back([delivery])
    if await take(second):
        wrong.append("run by both")
    return wrong


def _one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = RedisBackend.open

    async def as_everybody(self: RedisBackend, replica: str) -> None:
        await opened(self, "everybody")

    monkeypatch.setattr(RedisBackend, "open", as_everybody)


async def a_dead_replica(world: RedisWorld, client: "redis.Redis") -> list[str]:
    """It held something, and its beats have ended."""
    first, second = await world.make_backends(2)
    await beat(first, second)
    await delivered(first)
    for _ in range(5):
        await world.advance(BEAT)
        await second.store.beat("r1", {}, TTL)
    taken = await second.bus.take_over(await second.bus.lapsed(A, 10))
    return [] if len(taken) == 1 else ["what a dead replica held is lost"]


async def given_back_five_times(world: RedisWorld, client: "redis.Redis") -> list[str]:
    """Nobody died: that counts as nothing."""
    (backend,) = await world.make_backends(1)
    await send(backend)
    numbers = []
    for _ in range(5):
        held = await take(backend)
        numbers += [delivery.number for delivery in held]
        await backend.bus.give_back(held)
    return [] if numbers == [1] * 5 else [f"numbered {numbers}, the fifth of which is the last"]


# Nothing is lost


async def read_all(backend: Backend, jobs: frozenset[str]) -> list[Any]:
    """Read the stream as an executor does, until nothing comes."""
    taken: list[Any] = []
    while more := await backend.bus.receive(jobs, 100, SECOND // 20):
        taken += more
    return taken


async def a_backlog(world: RedisWorld, client: "redis.Redis") -> list[str]:
    """More is sent than is run."""
    (backend,) = await world.make_backends(1)
    await beat(backend)
    await send(backend, *(trigger(at=number) for number in range(300)))
    taken = await read_all(backend, A)
    return [] if len(taken) == 300 else [f"of 300 triggers {len(taken)} came"]


async def a_lost_group(world: RedisWorld, client: "redis.Redis") -> list[str]:
    """Somebody removes the group while something waits."""
    (backend,) = await world.make_backends(1)
    await beat(backend)
    await send(backend)
    await client.xgroup_destroy(world.keys.stream, GROUP)
    return [] if await backend.bus.receive(A, 10, SECOND // 2) else ["what waited is not delivered"]


async def a_rolling_deploy(world: RedisWorld, client: "redis.Redis") -> list[str]:
    """An old replica reads what only a new one knows, which comes later."""
    old, new = await world.make_backends(2)
    await send(old, trigger("b"), job="b")
    await read_all(old, A)
    await lapse(world, old, new)
    taken = await new.bus.take_over(await new.bus.lapsed(B, 10))
    return [] if [*taken, *await read_all(new, B)] else ["the new job's trigger is lost"]


def _acknowledge_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    async def drop(self: RedisBus, names_and_tokens: Sequence[Any], handed_on: int) -> None:
        keys = self._client.keys
        for id_, _ in await self._client.call("XRANGE", keys.stream, "-", "+"):
            await self._client.call("XACK", keys.stream, GROUP, id_)

    monkeypatch.setattr(RedisBus, "_offer", drop)


async def a_lonely_old_replica(world: RedisWorld, client: "redis.Redis") -> list[str]:
    """Nobody knows the job; the only replica waits for others."""
    (backend,) = await world.make_backends(1)
    assert isinstance(backend, RedisBackend)
    await send(backend, trigger("b"), job="b")
    calls, call = [0], backend._client.call

    async def counted(*command: Any) -> Any:
        calls[0] += 1
        return await call(*command)

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(backend._client, "call", counted)
        await backend.bus.receive(A, 10, SECOND // 2)
    return [] if calls[0] < 30 else [f"{calls[0]} calls for one unknown trigger in half a second"]


async def garbage(world: RedisWorld, client: "redis.Redis") -> list[str]:
    """Entries that are no triggers lie between the others, read and unread."""
    (backend,) = await world.make_backends(1)
    for number in range(3):
        await client.xadd(world.keys.stream, {"\udcff".encode(errors="surrogateescape"): b"\xff\x00"})
        await client.xadd(world.keys.stream, {"trigger": "", "and": "more"})
        await send(backend, trigger(at=number))
    try:
        taken = await read_all(backend, A)
        await done(backend, step(await row_of(backend), done=tuple(taken)))
        left = await client.xlen(world.keys.stream)
    except redis.ResponseError as exc:
        return [f"reading ended with {exc}"]
    return [] if (len(taken), left) == (3, 0) else [f"{len(taken)} of 3 came, {left} entries are left"]


# Nothing is left


async def twenty_fires(world: RedisWorld, client: "redis.Redis") -> list[str]:
    """All of them end well."""
    (backend,) = await world.make_backends(1)
    for number in range(20):
        await send(backend, trigger(at=number))
        await done(backend, step(await row_of(backend), done=tuple(await take(backend))))
    left = await client.xlen(world.keys.stream)
    wrong = [f"{left} entries are left"] if left else []
    locks = [key async for key in client.scan_iter(match=f"*{{{world.app}}}:lock:*")]
    for_ever = [lock for lock in locks if await client.pttl(lock) == -1]
    return wrong + ([f"{len(for_ever)} locks are for ever"] if for_ever else [])


async def replicas_come_and_go(world: RedisWorld, client: "redis.Redis") -> list[str]:
    """Each runs something, and leaves."""
    first, *others = await world.make_backends(6)
    for number, backend in enumerate(others, 1):
        await send(first, trigger(at=number))
        await done(backend, step(await row_of(backend), done=tuple(await take(backend))))
        await backend.store.beat(f"r{number}", {}, 0)
    await first.store.beat("r0", {}, TTL)
    consumers = await client.xinfo_consumers(world.keys.stream, GROUP)
    return [f"{len(consumers)} consumers are left"] if len(consumers) > 1 else []


SWEEP = "local may_take_over = beat and now - beat <= 4500000 and now >= tonumber(known[{}] or 0)"
NEWEST = Patch("commit", "newest = math.max(newest + 1, now)", "newest = newest + 1")

TRAPS = [
    Trap("lock, then enqueue", a_crash_at_any_line, build=_lock_then_enqueue),
    Trap(
        "lock on the job's name",
        two_times_in_a_row,
        build=lambda monkeypatch: monkeypatch.setattr(
            Keys, "lock", lambda self, name: f"{self._base}lock:{name.partition(' ')[0]}"
        ),
    ),
    Trap(
        "the lock decides",
        a_lagging_replica,
        (Patch("commit", "if version(job) ~= expected then", "if false then"),),
    ),
    Trap(
        "no heartbeat",
        a_long_run,
        (Patch("renew", "local kept = #call(", "local kept = true or #call("),),
    ),
    Trap(
        "renewal without an owner check",
        a_thawed_replica,
        (Patch("renew", "if there and there.token == token and there.replica == replica", "if there"),),
    ),
    Trap("reclaim after a new message", an_idle_stream, build=_reclaim_after_a_new_message),
    Trap(
        "leases judged right after an outage",
        an_outage,
        (
            Patch("claim", SWEEP.format(3), "local may_take_over = true"),
            Patch("lapsed", SWEEP.format(2), "local may_take_over = true"),
        ),
    ),
    Trap("one consumer name", two_replicas, build=_one_name),
    Trap(
        "consumers deleted with their work",
        a_dead_replica,
        (Patch("beat", "if consumer[4] == 0 and", "if"),),
    ),
    Trap(
        "MAXLEN",
        a_backlog,
        (Patch("commit", "call('XADD', stream, '*'", "call('XADD', stream, 'MAXLEN', 100, '*'"),),
    ),
    Trap(
        "group at the end",
        a_lost_group,
        (
            Patch("mend", "'0', 'MKSTREAM'", "'$', 'MKSTREAM'"),
            Patch(
                "mend",
                "if not entry or is_anothers or not (is_pending or unread[there.id]) then",
                "if not entry or is_anothers then",
            ),
        ),
    ),
    Trap("unknown jobs acknowledged", a_rolling_deploy, build=_acknowledge_unknown),
    Trap(
        "unknown jobs returned",
        a_lonely_old_replica,
        build=lambda monkeypatch: monkeypatch.setattr(_bus, "HANDED_ON", 10**9),
    ),
    Trap("acknowledge without delete", twenty_fires, (Patch("commit", "write(ids, 'XDEL', stream)", ""),)),
    Trap(
        "consumers never deleted", replicas_come_and_go, (Patch("beat", "'DELCONSUMER'", "'CREATECONSUMER'"),)
    ),
    Trap("locks without expiry", twenty_fires, (Patch("commit", "'NX', 'PX', lock_ms", "'NX'"),)),
    Trap(
        "attempts counted before the work",
        given_back_five_times,
        (Patch("claim", "there.cancel, there.note = nil, nil", "there.number = there.number + 1"),),
    ),
    Trap(
        "local clocks",
        a_fast_clock,
        (Patch("commit", "if now < not_before then return 'early' end", ""),),
    ),
    Trap(
        "garbage ends the reader",
        garbage,
        (Patch("claim", "strange[#strange + 1] = id .. ' ' .. name", "error('no trigger')"),),
    ),
    Trap(
        "numbers that start again", a_frozen_replica_and_a_flush, (NEWEST, attrs.evolve(NEWEST, name="claim"))
    ),
]


def violations(url: str, scenario: Scenario) -> list[str]:
    """Play a scenario in a world of its own."""

    async def play() -> list[str]:
        world = RedisWorld(url)
        async with redis.Redis.from_url(url) as client:
            try:
                return await scenario(world, client)
            finally:
                await world.close()

    return asyncio.run(play())


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.name)
def test_a_trap_that_is_built_in_is_found(trap: Trap, redis_url: str) -> None:
    """The scenario fails where the mistake was made."""
    with trap.built_in():
        assert violations(redis_url, trap.scenario) != []


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.name)
def test_the_trap_is_not_there(trap: Trap, redis_url: str) -> None:
    """And finds nothing as it is."""
    assert violations(redis_url, trap.scenario) == []


def test_each_row_of_the_table_has_a_test_that_exists() -> None:
    """What the table above names is there, under that name."""
    rows = re.findall(r"^\| (.*) \| (.*) \|$", __doc__ or "", re.MULTILINE)[2:]
    assert len(rows) == 20
    names = {trap.name for trap in TRAPS}
    for _, tests in rows:
        for test in tests.split(", ") if not tests.startswith("[") else re.split(r", (?=\[|tests/)", tests):
            path, _, function = test.partition("::")
            if test.startswith("["):
                assert test[1:-1] in names, test
            else:
                assert f"def {function}(" in (ROOT / path).read_text(), test
    assert {name for _, tests in rows for name in re.findall(r"\[(.*?)\]", tests)} == names
