"""The conditions of `schedcore.protocols.Store`: rows, history and what is held."""

from __future__ import annotations

from schedcore.protocols import APP_ROW, Keep, Row, Status
from schedcore.testing.world import (
    FOR_EVER,
    SECOND,
    World,
    delivered,
    done,
    line,
    one,
    only,
    row_of,
    scenario,
    send,
    state,
    step,
    take,
    trigger,
)


class StoreContract:
    """Reads what the bus wrote."""

    @scenario("where now comes from: one clock, of the store's side, in microseconds")
    async def test_now_is_one_clock_for_all_replicas_and_never_goes_back(self, world: World) -> None:
        """Whoever asks later is told no earlier instant."""
        backends = await world.make_backends(2)
        first = await backends[0].store.now()
        await world.advance(SECOND // 100)
        second = await backends[1].store.now()
        assert second >= first + SECOND // 100, f"the store's now went from {first} to {second} in 10 ms"

    @scenario("what rows does for a name without a row")
    async def test_rows_answers_for_each_name_absent_ones_as_version_0(self, world: World) -> None:
        """In the order asked, whether there is such a row or not."""
        backend = await one(world)
        row = await done(backend, step(Row("b"), data=state(3)))
        rows = list(await backend.store.rows(["a", "b", APP_ROW]))
        nothing = frozenset[str]()
        expected = [
            Row("a", 0, None, nothing),
            Row("b", row.version, state(3), nothing),
            Row(APP_ROW, 0, None, nothing),
        ]
        assert rows == expected, f"for a, b and the app's row came {rows}"

    @scenario("where `held` is read: all unfinished triggers of the job, waiting or delivered")
    async def test_rows_of_named_jobs_always_have_what_is_held(self, world: World) -> None:
        """Waiting and delivered triggers alike, of this job only."""
        backend = await one(world)
        await send(backend, trigger(at=1), trigger(at=2))
        await send(backend, trigger("b", at=3), job="b")
        await take(backend, limit=1)
        assert (await row_of(backend)).held == frozenset({"1", "2"}), (
            "held does not name waiting and delivered triggers"
        )
        assert (await row_of(backend, "b")).held == frozenset({"3"}), "held names other jobs' triggers"

    @scenario("whether `held` is read from the triggers, or from the row that may be gone")
    async def test_rows_tells_what_is_held_of_a_job_without_a_row(self, world: World) -> None:
        """A row that was deleted may have left triggers."""
        backend = await one(world)
        row = await send(backend, trigger(at=1))
        await done(backend, step(row, data=None))
        assert await row_of(backend) == Row("a", 0, None, frozenset({"1"})), (
            "what a deleted row left is not told"
        )

    @scenario("the order of names (byte by byte, no locale), and that `after` excludes")
    async def test_rows_of_all_jobs_come_in_order_of_name_page_by_page(self, world: World) -> None:
        """Each job once, byte by byte in order, without the app's own row."""
        backend = await one(world)
        names = ["B", "a", "a-b", "a.b", "a/b", "a:b", "a_b", "b", "z9"]
        steps = [step(Row(name), data=state(number)) for number, name in enumerate(reversed(names))]
        await backend.bus.commit([*steps, step(Row(APP_ROW), data=state())], backend.locker)
        found: list[str] = []
        while page := await backend.store.rows(after=found[-1] if found else "", limit=4):
            assert len(page) <= 4, "a page has more rows than asked for"
            found += [row.job for row in page]
        assert found == sorted(names), f"all rows, page by page, are {found}"

    @scenario("how rows tells an empty collection from None")
    async def test_rows_of_no_jobs_are_none(self, world: World) -> None:
        """An empty collection is not "all"."""
        backend = await one(world)
        await done(backend, step(Row("a")))
        assert list(await backend.store.rows([])) == [], "no names were taken for all"

    @scenario("what the cursor is: the place of the last line given, not a count of lines")
    async def test_runs_come_newest_first_page_by_page(self, world: World) -> None:
        """The cursor continues where the page ended, also when lines were added; empty says no more."""
        backend = await one(world)
        await done(backend, step(Row("a"), runs=tuple(line(at=number) for number in range(1, 8))))
        found, cursor = await backend.store.runs("a", limit=3)
        await done(backend, step(await row_of(backend), runs=(line(at=8),)))
        pages = [[run.scheduled_at for run in found]]
        while cursor:
            found, cursor = await backend.store.runs("a", limit=3, cursor=cursor)
            pages.append([run.scheduled_at for run in found])
        assert pages == [[7, 6, 5], [4, 3, 2], [1]], f"seven lines, three at a time, came as {pages}"

    @scenario("whether runs looks one line further before it gives a cursor")
    async def test_a_full_last_page_has_no_cursor(self, world: World) -> None:
        """Nobody asks for a page that is empty."""
        backend = await one(world)
        await done(backend, step(Row("a"), runs=(line(at=1), line(at=2))))
        assert (await backend.store.runs("a", limit=2))[1] == "", "a cursor was given where there is no more"

    @scenario("how runs chooses: (after, until], by `last_at` of a stretch too, before it counts to `limit`")
    async def test_runs_are_chosen_by_status_and_scheduled_time(self, world: World) -> None:
        """`after` excludes, `until` includes; a stretch counts if any of it lies between."""
        backend = await one(world)
        ends = (Status.SUCCEEDED, Status.FAILED, Status.SKIPPED, Status.FAILED)
        lines = [line(at=number * 10, status=status) for number, status in enumerate(ends, 1)]
        stretch = line(at=50, status=Status.MISSED, last_at=90, count=5)
        await done(backend, step(Row("a"), runs=(*lines, stretch)))

        async def chosen(**which: object) -> list[int]:
            runs, _ = await backend.store.runs("a", **which)  # type: ignore[arg-type]
            return [run.scheduled_at for run in runs]

        assert await chosen(statuses=[Status.FAILED]) == [40, 20], "statuses did not choose"
        assert await chosen(statuses=[Status.SKIPPED, Status.MISSED]) == [50, 30], (
            "several statuses did not choose"
        )
        assert await chosen(after=20, until=40) == [40, 30], "(after, until] did not choose"
        assert await chosen(after=70) == [50], "a stretch that goes on behind `after` was left out"
        assert await chosen(until=60) == [50, 40, 30, 20, 10], (
            "a stretch that begins before `until` was left out"
        )
        assert await chosen(statuses=[Status.FAILED], limit=1) == [40], "limit did not count what was chosen"

    @scenario("what runs does for a job without history")
    async def test_runs_of_an_unknown_job_are_none(self, world: World) -> None:
        """No lines, no cursor, no error."""
        found, cursor = await (await one(world)).store.runs("never")
        assert (list(found), cursor) == ([], ""), "a job that never was has a history"

    @scenario("how history is trimmed: the newest `lines`, and beside them the newest `failures`")
    async def test_history_keeps_the_newest_lines_and_the_newest_that_are_no_success(
        self, world: World
    ) -> None:
        """What `keep` says: three lines, and two failures however old."""
        backend = await one(world)
        keep = Keep(lines=3, failures=2, age=FOR_EVER.age)
        failures = (line(at=n, status=Status.FAILED) for n in (1, 2, 3))
        await done(backend, step(Row("a"), runs=tuple(failures), keep=keep))
        for number in range(4, 9):
            await done(backend, step(await row_of(backend), runs=(line(at=number),), keep=keep))
        found, _ = await backend.store.runs("a")
        kept = [run.scheduled_at for run in found]
        assert kept == [8, 7, 6, 3, 2], f"of 3 failures and 5 successes, with {keep}, {kept} were kept"

    @scenario("by what age is measured: when a line was written, by the store's clock")
    async def test_history_is_dropped_when_it_is_too_old(self, world: World) -> None:
        """Age is counted from when a line was written, whatever time it is about; what is recent stays."""
        backend = await one(world)
        now = await backend.store.now()
        old, new = (line(at=at, ended_at=at) for at in (now, now - 10 * SECOND))
        await done(backend, step(Row("a"), runs=(old,), keep=Keep(age=2 * SECOND)))
        await world.advance(3 * SECOND)
        await done(backend, step(await row_of(backend), runs=(new,), keep=Keep(age=2 * SECOND)))
        found, _ = await backend.store.runs("a")
        assert [run.scheduled_at for run in found] == [now - 10 * SECOND], "history does not end at its age"

    @scenario("whether what goes with a deleted row is kept once there is a row again")
    async def test_history_of_a_job_that_is_added_again_stays(self, world: World) -> None:
        """What was to go with the job a while after its removal is a living job's history again."""
        backend = await one(world)
        row, brief = await done(backend, step(Row("a"))), Keep(age=SECOND // 2)
        old, new = line(at=await backend.store.now()), line(at=await backend.store.now() + SECOND)
        await done(backend, step(row, data=None, runs=(old,), keep=brief))
        row = await done(backend, step(Row("a")))
        await done(backend, step(row, runs=(new,)))
        await world.advance(SECOND)
        found, _ = await backend.store.runs("a")
        assert new in found, "a line vanished because the job had been removed once before"

    @scenario("what is kept with a delivery: owner, since when, and the note of the last renewal")
    async def test_held_tells_who_holds_what_since_when(self, world: World) -> None:
        """Deliveries, not what waits; with the notes of the last renewal; every replica sees them."""
        first, second = await world.make_backends(2)
        before = await first.store.now()
        delivery = await delivered(first)
        await send(first, trigger("b"), job="b")
        holding = only(await second.store.held(), "held delivery")
        assert (holding.delivery, holding.replica, holding.note) == (delivery, "r0", ""), f"held is {holding}"
        assert before <= holding.since <= await second.store.now(), "since is not when it was delivered"
        since = holding.since
        await first.bus.renew([delivery], {("a", delivery.trigger.key): "half of it"})
        holding = only(await second.store.held(["a"]), "held delivery")
        assert holding.note == "half of it", "the note of the last renewal is not told"
        assert holding.since == since, "since is not when it was delivered, but when it was renewed"
        assert list(await second.store.held(["b"])) == [], "held ignored the names"

    @scenario("how notes are encoded")
    async def test_a_note_may_be_of_any_characters(self, world: World) -> None:
        """Half a character too, as in the name of a file that is no UTF-8: no renewal fails of it."""
        backend = await one(world)
        delivery = await delivered(backend)
        note = "caf\udce9 \0 \r\n"
        renewal = await backend.bus.renew([delivery], {("a", delivery.trigger.key): note})
        assert renewal.mine == {delivery}, "a note was enough to lose the lease"
        (holding,) = await backend.store.held()
        assert holding.note.startswith("caf"), "the note is not told"

    @scenario("whether receive writes the new owner over the former one")
    async def test_held_follows_a_take_over_of_the_replica(self, world: World) -> None:
        """What was given back and received by another is held by that one."""
        first, second = await world.make_backends(2)
        await first.bus.give_back([await delivered(first)])
        await take(second)
        assert [h.replica for h in await first.store.held()] == ["r1"], "held names a former owner"
