"""What a committer makes of answers that arrive when it knows more than when it asked."""

import asyncio
from collections.abc import Collection, Sequence
from random import Random

import attrs
from tests.engine.virtual import run_virtual

from sched_ram import Memory, RamBackend
from schedcore._commit import BURST, Committer, Rule
from schedcore._draft import Draft, HeldUnknownError
from schedcore._link import Link
from schedcore._state import JobState
from schedcore.protocols import Answer, Locker, Row, Step, Verdict
from schedcore.testing.world import done, state, step


class OldNews:
    """A bus that answers with what the row was a moment ago, once somebody has learnt of a newer one."""

    def __init__(self, old: Row, learn: asyncio.Event) -> None:
        self._old, self._learnt = old, learn

    async def commit(self, steps: Sequence[Step], locker: Locker) -> Sequence[Answer]:
        await self._learnt.wait()
        return [Answer(Verdict.CHANGED, (self._old,), 0) for _ in steps]


def test_an_answer_older_than_what_was_learnt_meanwhile_is_no_loss_of_data() -> None:
    """It was right when the question was asked: only what was known then proves a loss."""

    async def scenario() -> tuple[int, list[str]]:
        backend = RamBackend("app", memory=Memory())
        await backend.open("r0")
        committer = Committer(backend, Link("app", Random(1)), "r0")
        told: list[str] = []
        committer.fell_back = lambda: told.append("fell back")
        first = await done(backend, step(Row("a"), data=state(1)))
        await committer.read(["a"])
        second = await done(backend, step(first, data=state(2)))
        third = await done(backend, step(second, data=state(3)))
        await done(backend, step(Row("b")))
        await committer.read(["b"])  # the newest number of all is known by now, but not of `a`
        learnt = asyncio.Event()
        committer._bus = OldNews(second, learnt)
        asking = asyncio.create_task(committer._commit([step(first, data=state(9))]))
        await asyncio.sleep(0)
        await committer.read(["a"])
        learnt.set()
        await asking
        assert committer.rows["a"].version == third.version
        await backend.close()
        data = committer.rows["a"].data
        assert isinstance(data, JobState)
        return data.mark, told

    assert asyncio.run(scenario()) == (3, [])


def test_what_the_bus_holds_is_asked_once_for_all_jobs_of_a_burst() -> None:
    """Runs that ended elsewhere look outstanding here: their rows are read together, and not one by one."""

    async def scenario() -> list[int]:
        backend = RamBackend("app", memory=Memory())
        await backend.open("r0")
        committer = Committer(backend, Link("app", Random(1)), "r0")
        jobs = [f"job-{number}" for number in range(200)]
        for job in jobs:
            await done(backend, step(Row(job), data=state(1)))
        await committer.read(jobs)
        committer.rows = {job: attrs.evolve(row, held=None) for job, row in committer.rows.items()}
        asked, rows = [], backend.store.rows

        async def counted(names: Collection[str]) -> Sequence[Row]:
            asked.append(len(names))
            return await rows(names)

        backend.store.rows = counted

        def rule(row: Row, _: Row) -> Draft:
            if row.held is None:
                raise HeldUnknownError
            return Draft(row)

        answers = await committer.apply(jobs, rule, app=False)
        assert [answer.verdict for answer in answers.values()] == [Verdict.DONE] * 200
        assert all(row.held is None for row in committer.rows.values())
        await backend.close()
        return asked

    assert asyncio.run(scenario()) == [129, 73], "one for each chunk of 128, with the app's row"


def test_who_lost_a_burst_asks_before_the_next_which_rows_are_still_as_it_knows_them() -> None:
    """Of those that others were faster with it needs not know what the bus holds; asking changes no row."""

    async def scenario() -> tuple[list[int], list[int]]:
        memory, jobs = Memory(), [f"job-{number}" for number in range(BURST + 50)]
        backends = [RamBackend("app", memory=memory) for _ in "ab"]
        for backend in backends:
            await backend.open("r")
        faster, slower = [
            Committer(b, Link("app", Random(1)), r) for b, r in zip(backends, "fs", strict=True)
        ]
        await faster.apply(jobs, tick(1), app=False)
        await slower.read(jobs)
        await faster.apply(jobs, tick(2), app=False)
        await slower.apply(jobs, tick(2), app=False)  # it learns that it loses
        asked, rows = [], backends[1].store.rows

        async def counted(names: Collection[str]) -> Sequence[Row]:
            asked.append(len(names))
            return await rows(names)

        backends[1].store.rows = counted
        await faster.apply(jobs[10:], tick(3), app=False)
        versions = {row.job: row.version for row in await rows(jobs)}
        answers = await slower.apply(jobs, tick(3), app=False)
        assert sorted(answers) == sorted(jobs[:10]), "it decided what was decided already"
        assert {row.version for row in await rows(jobs[10:])} <= set(versions.values()), "asking changed rows"
        for backend in backends:
            await backend.close()
        return asked, [row.data.mark for row in await rows(jobs)]

    def tick(mark: int) -> Rule:
        def rule(row: Row, _: Row) -> Draft | Step | None:
            if row.data is None:
                return step(row, data=state(mark))
            if row.data.mark == mark:
                return None
            if row.held is None and mark > 2:
                raise HeldUnknownError
            return step(row, data=state(mark))

        return rule

    assert asyncio.run(scenario()) == ([11], [3] * (BURST + 50)), "read are the other ten, and the app's row"


class FarAwayAndHeld:
    """A bus that takes a second to say that somebody else holds the row, as one that awaits a beat does."""

    async def commit(self, steps: Sequence[Step], locker: Locker) -> Sequence[Answer]:
        await asyncio.sleep(1)
        return [Answer(Verdict.HELD, (Row(step.job, 1, state(1)),), 0) for step in steps]


def test_what_is_held_is_given_up_after_two_seconds_however_long_each_answer_takes() -> None:
    """Who waits may be the beat, without which nobody lets go, and which has leases to renew."""

    async def scenario() -> tuple[Verdict, float]:
        backend = RamBackend("app", memory=Memory())
        await backend.open("r0")
        committer = Committer(backend, Link("app", Random(1)), "r0")
        await done(backend, step(Row("a"), data=state(1)))
        committer._bus = FarAwayAndHeld()
        loop = asyncio.get_running_loop()
        began = loop.time()
        answers = await committer.apply(["a"], lambda row, _: Draft(row), app=False)
        await backend.close()
        return answers["a"].verdict, loop.time() - began

    verdict, took = run_virtual(scenario())
    assert verdict is Verdict.HELD
    assert 2 < took < 5
