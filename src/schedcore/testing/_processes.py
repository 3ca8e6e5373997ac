"""The conditions of `schedcore.protocols` again, for processes that share one store."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import traceback
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import TypeAlias

import pytest

from schedcore._state import JobState
from schedcore.protocols import Backend, Verdict
from schedcore.testing._concurrency import go_on as go_through
from schedcore.testing.world import (
    SECOND,
    TTL,
    World,
    commit,
    done,
    line,
    needs,
    one,
    only,
    row_of,
    scenario,
    send,
    soon,
    state,
    step,
    take,
    trigger,
)

Make: TypeAlias = Callable[[], Backend]
Part: TypeAlias = Callable[[Backend, str, Connection], Awaitable[None]]

PROCESSES = 2
ROUNDS = 60
KILLS = 2
FLOW = 80
PATIENCE_S = 30.0
SPAWN = multiprocessing.get_context("spawn")


async def change(backend: Backend, replica: str, said: Connection) -> None:
    """Add one to the row of `a`, ROUNDS times, each time from the row as it then is."""
    for number in range(ROUNDS):
        verdict = None
        while verdict is not Verdict.DONE:
            row = await row_of(backend)
            own = step(row, data=state(mark(row.data) + 1), id=f"{replica}:{number}")
            verdict = (await commit(backend, own)).verdict
    said.send(ROUNDS)


async def receive(backend: Backend, replica: str, said: Connection) -> None:
    """Take what waits, a little at a time, until nothing does."""
    taken = []
    while more := await take(backend, limit=3):
        taken += [(delivery.trigger.key, delivery.token) for delivery in more]
    said.send(taken)


async def go_on(backend: Backend, replica: str, said: Connection) -> None:
    """Commit steps that change, send and append, and say the number of each that is done."""
    while True:
        row = await row_of(backend)
        at = mark(row.data) + 1
        own = step(row, data=state(at), send=(trigger(at=at),), runs=(line(at=at),), id=f"{replica}:{at}")
        if (await commit(backend, own)).verdict is Verdict.DONE:
            said.send(at)


async def count_up(backend: Backend, replica: str, said: Connection) -> None:
    """Add one to the row of `a`."""
    row = await row_of(backend)
    await done(backend, step(row, data=state(mark(row.data) + 1)))
    said.send(True)


async def write(backend: Backend, replica: str, said: Connection) -> None:
    """Beat, send a trigger, and go."""
    await backend.store.beat(replica, {}, TTL)
    await send(backend)
    said.send(True)


async def flow(backend: Backend, replica: str, said: Connection) -> None:
    """Commit steps each of which finishes the trigger before, sends one, and appends a line."""
    await go_through(backend, FLOW)
    said.send(True)


def mark(data: object) -> int:
    """Read the number that is in a row of these tests."""
    return data.mark if isinstance(data, JobState) else 0


def play(part: Part, make: Make, replica: str, said: Connection) -> None:
    """Be another process: open a replica, and play a part with it."""

    async def main() -> None:
        backend = make()
        await backend.open(replica)
        try:
            said.send(None)
            said.recv()  # so that all begin at once
            await part(backend, replica, said)
        finally:
            await backend.close()

    try:
        asyncio.run(main())
    except Exception:  # noqa: BLE001  whatever it is: whoever waits has to hear of it
        said.send(traceback.format_exc())


def fork(part: Part, make: Make, replica: str, said: Connection) -> None:
    """Be a process that forks while its backend is open; the child, and then it itself, play the part."""
    backend = make()

    async def go_on_here() -> None:
        await part(backend, replica, said)
        await backend.close()

    async def go_on_there() -> None:
        await backend.open(f"{replica}-child")
        await part(backend, f"{replica}-child", said)

    try:
        with asyncio.Runner() as runner:
            runner.run(backend.open(replica))
            said.send(None)
            said.recv()
            child = os.fork()
            if not child:
                try:
                    asyncio.run(go_on_there())
                finally:
                    os._exit(0)  # nothing of its parent's is to be tidied up
            os.waitpid(child, 0)
            runner.run(go_on_here())
    except Exception:  # noqa: BLE001  whatever it is: whoever waits has to hear of it
        said.send(traceback.format_exc())


@contextmanager
def process(
    part: Part, make: Make, replica: str, how: Callable[..., None] = play
) -> Iterator[tuple[BaseProcess, Connection]]:
    """Have another process play a part; it ends with the block."""
    here, there = SPAWN.Pipe()
    other = SPAWN.Process(target=how, args=(part, make, replica, there), daemon=True)
    other.start()
    there.close()
    try:
        yield other, here
    finally:
        other.kill()
        other.join()
        other.close()
        here.close()


async def heard(said: Connection) -> object:
    """Wait for what a process says."""
    if not await asyncio.to_thread(said.poll, PATIENCE_S):
        raise AssertionError(f"another process said nothing for {PATIENCE_S:g} s")
    try:
        answer = said.recv()
    except EOFError:
        raise AssertionError("another process ended without a word") from None
    if isinstance(answer, str):
        raise AssertionError(f"another process failed:\n{answer}")  # noqa: TRY004  that is what a test raises
    return answer


async def together(part: Part, make: Make) -> Sequence[object]:
    """Have several processes play a part at once, and give what each said."""
    with process(part, make, "r1") as (_, first), process(part, make, "r2") as (_, second):
        for said in (first, second):
            await heard(said)
        for said in (first, second):
            said.send(None)
        return [await heard(first), await heard(second)]


class ProcessContract:
    """What holds for several replicas in one process holds for several processes."""

    @scenario("whether what makes a commit atomic is in the store, and not a lock in the process")
    async def test_processes_that_change_one_row_lose_no_change(self, world: World) -> None:
        """Two processes count in one row as fast as they can: none of their steps is lost or done twice."""
        needs(world, "processes")
        backend = await one(world)
        await done(backend, step(await row_of(backend), data=state(0)))
        await together(change, world.elsewhere())
        counted = mark((await row_of(backend)).data)
        assert counted == PROCESSES * ROUNDS, (
            f"{PROCESSES * ROUNDS} steps were DONE, {counted} changed the row"
        )

    @scenario("how a waiting trigger becomes a delivery: taken and owned in one atomic step of the store")
    async def test_a_trigger_is_handed_out_to_one_process(self, world: World) -> None:
        """Two processes receive at once: each trigger goes to one, each delivery has its own token."""
        needs(world, "processes")
        backend = await one(world)
        await send(backend, *(trigger(at=number) for number in range(1, 101)))
        taken = [pair for pairs in await together(receive, world.elsewhere()) for pair in _pairs(pairs)]
        assert sorted(int(key) for key, _ in taken) == list(range(1, 101)), (
            "a trigger was handed out twice, or not at all"
        )
        assert len({token for _, token in taken}) == len(taken), "two deliveries have one token"

    @scenario("what a process leaves that is killed within a commit: an open transaction, or a lock")
    async def test_a_process_that_is_killed_leaves_whole_steps_and_no_lock(self, world: World) -> None:
        """Row, triggers and history tell of the same steps, and others go on at once."""
        needs(world, "processes")
        backend = await one(world)
        for kill in range(KILLS):
            with process(go_on, world.elsewhere(), f"r{kill + 1}") as (other, said):
                await heard(said)
                said.send(None)
                for _ in range(10 + 7 * kill):
                    last = await heard(said)
                other.kill()
                other.join()
            row = await soon(row_of(backend))
            runs, _ = await backend.store.runs("a", limit=1000)
            count = mark(row.data)
            assert count >= int(str(last)), f"step {last} was DONE, and the row is at {count}"
            assert (count, count) == (len(row.held or ()), len(runs)), (
                f"of {count} steps there are {len(row.held or ())} triggers and {len(runs)} lines"
            )
            sent = (trigger(at=count + 1),)
            await soon(done(backend, step(row, data=state(count + 1), send=sent, runs=(line(at=count + 1),))))

    @scenario("what a forked child shares with its parent: connections, locks that a thread held, a thread")
    async def test_a_child_that_was_forked_opens_the_backend_anew(self, world: World) -> None:
        """The core resets a child to "not started": it opens the same object, and its parent goes on."""
        needs(world, "processes")
        if not hasattr(os, "fork"):
            pytest.skip("this system does not fork")
        backend = await one(world)
        with process(count_up, world.elsewhere(), "r1", fork) as (_, said):
            await heard(said)
            said.send(None)
            for who in ("the child", "its parent"):
                assert await heard(said) is True, f"{who} could not go on"
        assert mark((await row_of(backend)).data) == PROCESSES, "child and parent did not both commit"

    @scenario("what tells a waiting receive of another process's step, and where the app's last beat is kept")
    async def test_what_another_process_writes_counts_here(self, world: World) -> None:
        """A receive that waits is woken by its step; it is alive, and its beat is the one before."""
        needs(world, "processes")
        backend = await one(world)
        waiting = asyncio.ensure_future(backend.bus.receive(frozenset("a"), 1, 60 * SECOND))
        with process(write, world.elsewhere(), "r1") as (_, said):
            await heard(said)
            said.send(None)
            await heard(said)
            delivery = only(await soon(waiting))
        answer = await backend.store.beat("r0", {}, TTL)
        assert delivery.trigger == trigger(), f"another process sent {trigger()}, received was {delivery}"
        assert answer.alive == {"r0", "r1"}, f"two processes beat, alive are {sorted(answer.alive)}"
        assert answer.gap > 0, "the first beat here does not follow the other process's"

    @scenario("whether rows reads row and `held` as they are at one moment, or `held` later, never sooner")
    async def test_who_reads_while_another_process_commits_sees_whole_steps(self, world: World) -> None:
        """For each row that is read its trigger is held, and its line is in the history."""
        needs(world, "processes")
        backend, seen = await one(world), 0
        with process(flow, world.elsewhere(), "r1") as (_, said):
            await heard(said)
            said.send(None)
            while seen < FLOW:
                row = await row_of(backend)
                runs, _ = await backend.store.runs("a", limit=1)
                seen = mark(row.data)
                if seen:
                    assert str(seen) in (row.held or ()), f"row {seen} was read, and its trigger is not held"
                    assert runs[0].scheduled_at >= seen, f"row {seen} was read, and its line is not there"
            await heard(said)


def _pairs(said: object) -> list[tuple[str, int]]:
    assert isinstance(said, list)
    return said
