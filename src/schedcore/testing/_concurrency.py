"""The conditions of `schedcore.protocols` again, for many replicas that do the same at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import attrs

from schedcore._state import JobState
from schedcore.protocols import Backend, Delivery, Row, Verdict
from schedcore.testing.world import (
    SECOND,
    World,
    commit,
    delivered,
    done,
    lapse,
    line,
    needs,
    one,
    row_of,
    scenario,
    send,
    state,
    step,
    take,
    trigger,
)

A = frozenset("a")
MANY = 8
ROUNDS = 20


def keys(deliveries: Sequence[Delivery]) -> list[int]:
    """List their keys in order."""
    return sorted(int(delivery.trigger.key) for delivery in deliveries)


def doubled(deliveries: Sequence[Delivery]) -> dict[str, int]:
    """Tell what was handed out more than once, and how often."""
    counted = Counter(delivery.trigger.key for delivery in deliveries)
    return {key: number for key, number in counted.items() if number > 1}


async def drain(backend: Backend, limit: int = 7) -> list[Delivery]:
    """Receive until nothing comes any more."""
    taken: list[Delivery] = []
    while more := await take(backend, limit=limit):
        taken += more
    return taken


class ConcurrencyContract:
    """Whatever many replicas do at once, it is as if they had done it one after the other."""

    @scenario("whether versions are compared and the row is written in one transaction, script or lock")
    async def test_of_many_replicas_that_commit_at_once_one_succeeds(self, world: World) -> None:
        """Eight replicas saw one row, twenty times over: each time one step is DONE, and sends."""
        replicas = await world.make_backends(MANY)
        row = Row("a")
        for number in range(1, ROUNDS + 1):
            steps = [
                step(row, data=state(n), send=(trigger(at=number),), runs=(line(at=number),))
                for n in range(MANY)
            ]
            pairs = zip(replicas, steps, strict=True)
            answers = await asyncio.gather(*(commit(replica, own) for replica, own in pairs))
            won = [n for n, answer in enumerate(answers) if answer.verdict is Verdict.DONE]
            assert len(won) == 1, f"of {MANY} steps that expect one version {len(won)} were DONE"
            others = {answer.verdict for answer in answers} - {Verdict.DONE}
            assert others <= {Verdict.CHANGED, Verdict.HELD}, f"who came too late was told {others}"
            row = await row_of(replicas[0])
            assert row.data == state(won[0]), "the row is not that of the step that was DONE"
        taken = await drain(replicas[0])
        assert keys(taken) == list(range(1, ROUNDS + 1)), (
            f"{ROUNDS} times were sent, {len(taken)} triggers came"
        )
        lines, _ = await replicas[0].store.runs("a", limit=10 * ROUNDS)
        assert len(lines) == ROUNDS, f"{ROUNDS} steps were DONE, and {len(lines)} lines were written"

    @scenario("whether the id of a step is looked up and kept in the transaction that commits it")
    async def test_one_step_that_arrives_twice_at_once_is_committed_once(self, world: World) -> None:
        """A call that was given up, and its repetition, may be under way together: both hear DONE."""
        backend = await one(world)
        row = await row_of(backend)
        for number in range(1, ROUNDS + 1):
            sent = step(row, data=state(number), send=(trigger(at=number),), runs=(line(at=number),))
            answers = await asyncio.gather(*(commit(backend, sent) for _ in range(3)))
            verdicts = {answer.verdict for answer in answers}
            assert verdicts == {Verdict.DONE}, f"one step, three times at once, was {verdicts}"
            row = await row_of(backend)
        taken = await drain(backend)
        assert keys(taken) == list(range(1, ROUNDS + 1)), f"repeated steps sent {keys(taken)}"
        lines, _ = await backend.store.runs("a", limit=10 * ROUNDS)
        assert len(lines) == ROUNDS, f"{ROUNDS} steps, repeated, wrote {len(lines)} lines"

    @scenario("where the next number is made: reading and writing the newest one is one operation")
    async def test_no_version_and_no_token_is_given_out_twice(self, world: World) -> None:
        """Replicas that commit and receive different jobs at once get different numbers."""
        replicas = await world.make_backends(MANY)

        async def work(replica: Backend, job: str) -> list[int]:
            numbers = []
            for number in range(5):
                numbers.append((await send(replica, trigger(job, at=number), job=job)).version)
                numbers += [delivery.token for delivery in await take(replica, job)]
            return numbers

        parts = await asyncio.gather(*(work(replica, f"j{n}") for n, replica in enumerate(replicas)))
        numbers = [number for part in parts for number in part]
        again = [number for number, times in Counter(numbers).items() if times > 1]
        assert not again, f"versions or tokens were given out twice: {again}"
        assert [part for part in parts if part != sorted(part)] == [], "what one replica got does not rise"

    @scenario("whether a trigger is marked as taken in the operation that finds it")
    async def test_many_replicas_that_receive_at_once_share_what_waits(self, world: World) -> None:
        """Of two hundred triggers each comes to one replica, and none is left."""
        replicas = await world.make_backends(MANY)
        await send(replicas[0], *(trigger(at=number) for number in range(1, 201)))
        parts = await asyncio.gather(*(drain(replica) for replica in replicas))
        taken = [delivery for part in parts for delivery in part]
        assert not doubled(taken), f"handed out more than once: {doubled(taken)}"
        assert keys(taken) == list(range(1, 201)), f"of 200 triggers {len(taken)} were handed out"

    @scenario("what a receive does that is woken and finds nothing: it waits on, or returns empty")
    async def test_of_many_that_wait_for_one_trigger_one_gets_it(self, world: World) -> None:
        """The others wait until their time is up, and get nothing."""
        replicas = await world.make_backends(MANY)
        waits = [asyncio.ensure_future(replica.bus.receive(A, 5, SECOND)) for replica in replicas]
        await asyncio.sleep(0.1)
        await send(replicas[0])
        taken = [delivery for part in await asyncio.gather(*waits) for delivery in part]
        assert len(taken) == 1, f"one trigger was received {len(taken)} times"

    @scenario("whether take_over compares the token seen in the operation that writes the new one")
    async def test_many_replicas_that_take_over_at_once_share_what_lapsed(self, world: World) -> None:
        """Each delivery gets one new owner, under the next number."""
        replicas = await world.make_backends(MANY)
        await send(replicas[0], *(trigger(at=number) for number in range(1, 41)))
        await take(replicas[0])
        await lapse(world, *replicas)

        async def sweep(replica: Backend) -> Sequence[Delivery]:
            return await replica.bus.take_over(await replica.bus.lapsed(A, 100))

        parts = await asyncio.gather(*(sweep(replica) for replica in replicas))
        taken = [delivery for part in parts for delivery in part]
        assert not doubled(taken), f"taken over more than once: {doubled(taken)}"
        assert keys(taken) == list(range(1, 41)), f"of 40 lapsed deliveries {len(taken)} were taken over"
        assert {delivery.number for delivery in taken} == {2}, "a first take-over has another number than 2"
        for replica, part in zip(replicas, parts, strict=True):
            mine = (await replica.bus.renew(part, {})).mine
            assert mine == frozenset(part), "what a replica took over is not its own"

    @scenario("whether finishing checks replica and token in the transaction that acknowledges")
    async def test_a_finish_and_a_take_over_at_once_do_not_both_succeed(self, world: World) -> None:
        """Either the owner was in time, or it is told that somebody else has it."""
        first, second = await world.make_backends(2)
        row = await send(first, *(trigger(at=number) for number in range(1, 11)))
        held = await take(first)
        await lapse(world, first, second)
        for delivery in held:
            finish = step(row, done=(delivery,))
            answer, taken = await asyncio.gather(commit(first, finish), second.bus.take_over([delivery]))
            assert (answer.verdict is Verdict.DONE) != bool(taken), (
                f"the finish was {answer.verdict}, and {len(taken)} replicas took the delivery over"
            )
            row = await row_of(first)

    @scenario("whether renew compares replica and token in the operation that moves the deadline")
    async def test_a_renewal_and_a_take_over_at_once_do_not_both_succeed(self, world: World) -> None:
        """A delivery has one owner, at every moment."""
        first, second = await world.make_backends(2)
        await send(first, *(trigger(at=number) for number in range(1, 11)))
        held = await take(first)
        await lapse(world, first, second)
        for delivery in held:
            renewal, taken = await asyncio.gather(
                first.bus.renew([delivery], {}), second.bus.take_over([delivery])
            )
            assert (delivery in renewal.mine) != bool(taken), "a delivery has two owners, or none"

    @scenario("whether give_back, repeated late, can free what somebody else has received meanwhile")
    async def test_what_is_given_back_at_once_and_twice_is_handed_out_once(self, world: World) -> None:
        """Calls that overlap with their own repetition make no second delivery."""
        replicas = await world.make_backends(3)
        first = replicas[0]
        for _ in range(ROUNDS):
            delivery = await delivered(first)
            calls = [first.bus.give_back([delivery]) for _ in range(2)]
            parts = await asyncio.gather(*calls, *(take(replica) for replica in replicas[1:]))
            taken = [d for part in parts[2:] for d in part or ()]
            taken += [d for replica in replicas[1:] for d in await take(replica)]
            assert len(taken) == 1, f"given back twice at once, it was handed out {len(taken)} times"
            (owner,) = [r for r in replicas[1:] if (await r.bus.renew(taken, {})).mine]
            await done(owner, step(await row_of(owner), done=tuple(taken)))

    @scenario("whether a name is granted by one operation that sets it only if it is free")
    async def test_of_many_that_acquire_one_name_at_once_one_has_it(self, world: World) -> None:
        """Twenty names, two replicas, many owners."""
        needs(world, "refuses")
        lockers = await world.lockers()
        for number in range(ROUNDS):
            asked = [lockers[n % 2].acquire(f"n{number}", f"owner{n}", SECOND) for n in range(MANY)]
            granted = await asyncio.gather(*asked)
            assert granted.count(True) == 1, f"one name was granted to {granted.count(True)} owners at once"

    @scenario("whether a version that differs refuses the whole step, triggers and deliveries included")
    async def test_counting_by_many_replicas_loses_no_count(self, world: World) -> None:
        """Each reads, adds one and commits until it is DONE: the sum is right, as with a lock."""
        replicas = await world.make_backends(MANY)
        await done(replicas[0], step(Row("a"), data=state(0)))

        async def add(replica: Backend) -> None:
            for _ in range(5):
                verdict = None
                while verdict is not Verdict.DONE:
                    row = await row_of(replica)
                    raised = attrs.evolve(row.data, mark=row.data.mark + 1)  # type: ignore[attr-defined,misc]
                    verdict = (await commit(replica, step(row, data=raised))).verdict

        async with asyncio.timeout(60):
            await asyncio.gather(*(add(replica) for replica in replicas))
        assert (await row_of(replicas[0])).data == state(5 * MANY), "an update was overwritten"

    @scenario("whether rows reads row and `held` as they are at one moment, or `held` later, never sooner")
    async def test_who_reads_sees_whole_steps(self, world: World) -> None:
        """While one replica commits, another finds for each row that it reads its trigger and its line."""
        writer, reader = await world.make_backends(2)
        await go_on(writer, 1)
        writing = asyncio.ensure_future(go_on(writer, 4 * ROUNDS))
        while not writing.done():
            await asyncio.sleep(0)
            row = await row_of(reader)
            runs, _ = await reader.store.runs("a", limit=1)
            seen = number_in(row)
            assert str(seen) in (row.held or ()), f"row {seen} was read, and of its trigger nothing is held"
            assert runs[0].scheduled_at >= seen, f"row {seen} was read, and its line is not in the history"
        await writing

    @scenario("whether give_back checks replica and token in the operation that lets the trigger wait again")
    async def test_a_give_back_and_a_take_over_at_once_hand_it_out_once(self, world: World) -> None:
        """It waits, or somebody else has it, and never both."""
        first, second = await world.make_backends(2)
        await send(first, *(trigger(at=number) for number in range(1, 11)))
        held = await take(first)
        await lapse(world, first, second)
        for delivery in held:
            _, taken = await asyncio.gather(first.bus.give_back([delivery]), second.bus.take_over([delivery]))
            again = [*taken, *await take(first)]
            assert len(again) == 1, f"given back and taken over at once, it was handed out {len(again)} times"


async def go_on(backend: Backend, rounds: int) -> None:
    """Commit steps each of which finishes the trigger before, sends one, and appends a line."""
    for _ in range(rounds):
        row, held = await row_of(backend), await take(backend)
        at = number_in(row) + 1
        new = step(row, data=state(at), done=tuple(held), send=(trigger(at=at),), runs=(line(at=at),))
        await done(backend, new)


def number_in(row: Row) -> int:
    """Tell which step of `go_on` wrote the row."""
    return row.data.mark if isinstance(row.data, JobState) else 0
