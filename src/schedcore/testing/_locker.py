"""The conditions of `schedcore.protocols.Locker`."""

from __future__ import annotations

import pytest

from schedcore.protocols import ROW, Row, Verdict
from schedcore.testing.world import SECOND, World, commit, done, needs, scenario, state, step, trigger

TTL = 2 * SECOND


class LockerContract:
    """One owner has a name at a time, if `World.refuses`; else everybody always has it."""

    @scenario("whether acquire sets a name only if it is free")
    async def test_acquire_grants_a_name_to_one_owner_at_a_time(self, world: World) -> None:
        """A name that one owner has is refused to any other, whichever replica asks."""
        needs(world, "refuses")
        first, second = await world.lockers()
        assert await first.acquire("n", "r0", TTL), "a free name was refused"
        assert not await second.acquire("n", "r1", TTL), "two owners were granted one name"
        assert not await first.acquire("n", "r1", TTL), "two owners were granted one name"
        assert await second.acquire("other", "r1", TTL), "one name's owner barred another name"

    @scenario("what acquire does when the owner already has the name")
    async def test_acquire_grants_again_to_the_owner_who_has_it(self, world: World) -> None:
        """Asking again is granted: the reply may have been lost."""
        needs(world, "refuses")
        first, _ = await world.lockers()
        await first.acquire("n", "r0", TTL)
        assert await first.acquire("n", "r0", TTL), "the owner was refused its own name"

    @scenario("whether acquire sets an expiry in the same operation, and honours it")
    async def test_a_name_is_free_again_after_its_ttl(self, world: World) -> None:
        """Whatever became of its owner, a name is free once its time is up."""
        needs(world, "refuses")
        first, second = await world.lockers()
        await first.acquire("n", "r0", TTL)
        await world.advance(TTL + SECOND // 10)
        assert await second.acquire("n", "r1", TTL), "a name was kept beyond its ttl"
        assert not await first.acquire("n", "r0", TTL), "the former owner was granted what somebody else has"

    @scenario("what release answers, and whether it deletes the name")
    async def test_release_frees_a_name_for_the_owner_who_has_it(self, world: World) -> None:
        """After the owner's release anybody may have the name."""
        needs(world, "refuses")
        first, second = await world.lockers()
        await first.acquire("n", "r0", TTL)
        assert await first.release("n", "r0"), "release did not tell that the name was the owner's"
        assert await second.acquire("n", "r1", TTL), "a released name was not free"

    @scenario("whether release compares the owner before it deletes")
    async def test_release_changes_nothing_for_anybody_else(self, world: World) -> None:
        """Neither a stranger nor an owner whose time is up frees what somebody has."""
        needs(world, "refuses")
        first, second = await world.lockers()
        await first.acquire("n", "r0", TTL)
        assert not await second.release("n", "r1"), "release told a stranger that the name was its own"
        assert not await second.acquire("n", "r1", TTL), "a stranger's release freed the name"
        await world.advance(TTL + SECOND // 10)
        await second.acquire("n", "r1", TTL)
        assert not await first.release("n", "r0"), "an owner whose time was up freed another's name"
        assert not await first.acquire("n", "r0", TTL), "an owner whose time was up freed another's name"

    @scenario("what release does with a name that nobody has")
    async def test_release_of_a_free_name_is_no_error(self, world: World) -> None:
        """Releasing what nobody has says so, so that it is safe to repeat."""
        needs(world, "refuses")
        first, _ = await world.lockers()
        assert not await first.release("never", "r0"), "release told that a free name was the owner's"

    @scenario("`World.refuses`: whether this locker is one that grants everything")
    async def test_a_locker_that_refuses_nothing_grants_everything(self, world: World) -> None:
        """Nobody is ever refused: the versions of rows are enough."""
        if world.refuses:
            pytest.skip(f"{type(world).__name__}.refuses is true")
        first, second = await world.lockers()
        granted = [await locker.acquire("n", owner, TTL) for locker, owner in ((first, "r0"), (second, "r1"))]
        assert granted == [True, True], "a granting locker refused"
        assert await first.release("n", "r2"), "a granting locker refused a release"


class ReservationContract:
    """A job whose row changes too fast is one replica's for a moment, if `World.reserves`."""

    @scenario("whether commit looks for a lock named `ROW + job` that another replica has")
    async def test_held_while_another_replica_has_the_jobs_row(self, world: World) -> None:
        """Its own steps are committed, others' are HELD; other jobs are not concerned."""
        needs(world, "reserves")
        first, second = await world.make_backends(2)
        row = await done(first, step(Row("a"), data=state(1)))
        assert await first.locker.acquire(ROW + "a", "r0", 20 * SECOND), "a free row was refused"
        answer = await commit(second, step(row, data=state(2), send=(trigger(),)))
        assert answer.verdict is Verdict.HELD, f"with the row another's, a step was {answer.verdict}"
        assert [r.data for r in answer.rows] == [state(1)], "a HELD answer does not carry the rows"
        await done(second, step(Row("b")))
        row = await done(first, step(row, data=state(3)))
        assert await first.locker.release(ROW + "a", "r0"), (
            "release did not tell that the row was the owner's"
        )
        await done(second, step(row, data=state(4)))

    @scenario("whether a lock named `ROW + job` has an expiry, which commit heeds")
    async def test_a_row_is_anybodys_again_after_the_ttl(self, world: World) -> None:
        """Whoever had it may be dead."""
        needs(world, "reserves")
        first, second = await world.make_backends(2)
        assert await first.locker.acquire(ROW + "a", "r0", SECOND // 2), "a free row was refused"
        await world.advance(SECOND)
        await done(second, step(Row("a")))

    @scenario("the order of checks in commit: the step's id comes before the row's lock")
    async def test_a_committed_step_repeated_is_done_whoever_has_the_row(self, world: World) -> None:
        """A reply was lost, and meanwhile another replica has taken the row."""
        needs(world, "reserves")
        first, second = await world.make_backends(2)
        sent = step(Row("a"), send=(trigger(),))
        await done(second, sent)
        await first.locker.acquire(ROW + "a", "r0", 20 * SECOND)
        answer = await commit(second, sent)
        assert answer.verdict is Verdict.DONE, f"a committed step, repeated, was {answer.verdict}"
