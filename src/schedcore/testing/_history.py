"""The conditions of `schedcore.protocols.Store` that concern which lines of history stay."""

from __future__ import annotations

from collections.abc import Sequence

from schedcore.protocols import Backend, Keep, Row, Status
from schedcore.testing.world import FOR_EVER, SECOND, World, beat, done, line, one, row_of, scenario, step


async def append(backend: Backend, keep: Keep, *statuses: Status, job: str = "a", begin: int = 1) -> None:
    """Append a line for each, one step after the other, numbered by their scheduled times."""
    for at, status in enumerate(statuses, begin):
        row = await row_of(backend, job)
        await done(backend, step(row, runs=(line(job, at=at, status=status),), keep=keep))


async def kept(backend: Backend, job: str = "a") -> Sequence[int]:
    """Tell which are there, newest first."""
    return [run.scheduled_at for run in (await backend.store.runs(job, limit=1000))[0]]


class HistoryContract:
    """Each job has its newest lines, and its newest that are no success."""

    @scenario("how history is trimmed: by the job of each line")
    async def test_each_job_keeps_its_own_lines(self, world: World) -> None:
        """What one job appends costs another nothing."""
        backend = await one(world)
        keep = Keep(lines=3, failures=1, age=FOR_EVER.age)
        for number in range(1, 7):
            for job in ("a", "b"):
                await append(backend, keep, Status.SUCCEEDED, job=job, begin=number)
        for job in ("a", "b"):
            found = await kept(backend, job)
            assert found == [6, 5, 4], f"of two jobs with 6 lines each, {job} has kept {found} and not its 3"

    @scenario("by what age is measured, when a line is written and when the store tidies up: its writing")
    async def test_a_line_about_long_ago_is_a_new_line(self, world: World) -> None:
        """A time of last year that was run just now stays, also after a beat; so does one of next year."""
        backend = await one(world)
        now, year = await backend.store.now(), 365 * 86_400 * SECOND
        times = [now - year, now + year]
        for at in times:
            written = line(at=at)
            await done(backend, step(await row_of(backend), runs=(written,), keep=Keep(age=60 * SECOND)))
        await beat(backend)
        found = await kept(backend)
        assert found == times[::-1], f"of two lines written just now, about {times}, {found} were kept"

    @scenario("which lines count as failures: all that are not `Status.SUCCEEDED`")
    async def test_whatever_is_no_success_is_kept_as_one(self, world: World) -> None:
        """Not only FAILED: a lost run of last month is worth as much."""
        backend = await one(world)
        keep = Keep(lines=2, failures=1, age=FOR_EVER.age)
        for status in set(Status) - {Status.SUCCEEDED}:
            await append(backend, keep, status, *[Status.SUCCEEDED] * 4, job=status.name)
            found = await kept(backend, status.name)
            assert found == [5, 4, 1], f"line 1 is {status}, and of 5 lines, with {keep}, {found} were kept"

    @scenario("what `lines` counts: all lines, whatever became of them")
    async def test_failures_are_among_the_newest_lines_too(self, world: World) -> None:
        """They are kept twice over only in that they may be old: a new one pushes an old success out."""
        backend = await one(world)
        keep = Keep(lines=4, failures=2, age=FOR_EVER.age)
        good, bad = Status.SUCCEEDED, Status.FAILED
        await append(backend, keep, good, good, good, bad, bad, bad, good)
        found = await kept(backend)
        assert found == [7, 6, 5, 4], f"of 4 successes and 3 failures, with {keep}, {found} were kept"

    @scenario("how many lines a job has in the end: `lines`, and `failures` beside them, and no more")
    async def test_a_job_that_always_fails_has_no_more_history_than_others(self, world: World) -> None:
        """Of two hundred failures `lines` are kept, or `failures` if that is more."""
        backend = await one(world)
        keep = Keep(lines=5, failures=8, age=FOR_EVER.age)
        runs = [line(at=number, status=Status.FAILED) for number in range(1, 201)]
        for place in range(0, 200, 20):
            await done(backend, step(await row_of(backend), runs=tuple(runs[place : place + 20]), keep=keep))
        found = await kept(backend)
        assert found == list(range(200, 192, -1)), f"of 200 failures, with {keep}, {found} were kept"

    @scenario("whose a line is: that of the job that the line names, not that of the step")
    async def test_what_a_step_appends_is_read_under_its_job(self, world: World) -> None:
        """A job whose name begins as another's has none of its lines."""
        backend = await one(world)
        await done(backend, step(Row("a"), runs=(line(at=1),)), step(Row("a:b"), runs=(line("a:b", at=2),)))
        found = [await kept(backend, job) for job in ("a", "a:b", "b")]
        assert found == [[1], [2], []], f"lines of a and a:b are read, for a, a:b and b, as {found}"

    @scenario("what newest is: what was written last, not what is about the latest time")
    async def test_newest_is_what_was_written_last(self, world: World) -> None:
        """A run that was taken over ends late; its line comes first, and counts as new."""
        backend = await one(world)
        keep = Keep(lines=3, failures=0, age=FOR_EVER.age)
        for at in (10, 40, 30, 20):
            await append(backend, keep, Status.SUCCEEDED, begin=at)
        found = await kept(backend)
        assert found == [20, 30, 40], f"lines about 10, 40, 30 and 20, with {keep}, are read as {found}"

    @scenario("what deleting a row does with its history: nothing")
    async def test_a_job_that_is_removed_leaves_its_lines(self, world: World) -> None:
        """Those it had, and the one that the deleting step appends."""
        backend = await one(world)
        row = await done(backend, step(Row("a"), runs=(line(at=1),)))
        await done(backend, step(row, data=None, runs=(line(at=2, status=Status.RETIRED),)))
        found = await kept(backend)
        assert found == [2, 1], f"of a removed job lines 1 and 2 are to be read, and there are {found}"

    @scenario("what runs does with `statuses`, `after` and `until` that are empty or 0: it heeds them")
    async def test_nothing_and_zero_choose_too(self, world: World) -> None:
        """No statuses are none, and 0 is an instant."""
        backend = await one(world)
        await done(backend, step(Row("a"), runs=(line(at=0), line(at=1))))
        for which, expected in (({"statuses": []}, []), ({"until": 0}, [0]), ({"after": 0}, [1])):
            runs, _ = await backend.store.runs("a", **which)
            found = [run.scheduled_at for run in runs]
            assert found == expected, f"of lines about 0 and 1, with {which}, came {found}"
