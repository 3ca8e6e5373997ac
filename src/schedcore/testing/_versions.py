"""The conditions of `schedcore.protocols.TriggerBus` that concern versions, contents and what stays."""

from __future__ import annotations

from collections.abc import Sequence

from schedcore._state import Pause
from schedcore.codec import Unknown
from schedcore.protocols import Kind, Row, Status, Verdict
from schedcore.testing.world import (
    SECOND,
    World,
    commit,
    delivered,
    done,
    line,
    live,
    needs,
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


class VersionContract:
    """What a bus gives out never comes back; what it was given comes back as it was."""

    @scenario("how a version is made: max(newest + 1, the store's now in microseconds)")
    async def test_a_new_version_is_above_all_others_and_not_below_the_stores_now(self, world: World) -> None:
        """Versions and tokens come from one rising sequence, never behind the clock."""
        backend = await one(world)
        before = await backend.store.now()
        numbers = []
        for _ in range(3):
            numbers.append((await send(backend)).version)
            (delivery,) = await take(backend)
            numbers.append(delivery.token)
            numbers.append((await done(backend, step(await row_of(backend), done=(delivery,)))).version)
        assert numbers == sorted(set(numbers)), f"versions and tokens do not rise: {numbers}"
        assert numbers[0] >= before, "a version is below the store's now"

    @scenario("how a version is made: newest + 1 where the store's now is behind the newest")
    async def test_versions_and_tokens_rise_although_the_clock_was_set_back(self, world: World) -> None:
        """The store's clock is an hour behind what it has given out: what it gives out goes on from there."""
        needs(world, "sets_back")
        backend = await one(world)
        held = await delivered(backend)
        await world.set_back(3600 * SECOND)
        row = await send(backend, trigger(at=2))
        again = only(await take(backend))
        assert held.token < row.version < again.token, (
            f"after token {held.token}, version {row.version} and token {again.token} were given out"
        )
        assert (await backend.store.beat("r0", {}, SECOND)).newest == again.token, "newest went back"

    @scenario("what deleting does: it takes a version too, and the newest one is kept apart from the rows")
    async def test_a_deleted_row_is_gone_and_its_versions_never_come_back(self, world: World) -> None:
        """Deleting takes a version too, so that a step which saw the row before can never match it again."""
        backend = await one(world)
        row = await done(backend, step(Row("a"), data=state(1)))
        gone = await done(backend, step(row, data=None))
        assert (gone.version, gone.data) == (0, None), f"a deleted row was answered as {gone}"
        assert [r.job for r in await backend.store.rows()] == [], "a deleted row is still listed"
        newest = (await backend.store.beat("r0", {}, SECOND)).newest
        assert newest > row.version, "a step that deletes took no version"
        new = await done(backend, step(Row("a"), data=state(2)))
        assert new.version > newest, "a row that was made again has an old version"
        assert (await commit(backend, step(row))).verdict is Verdict.CHANGED, (
            "a frozen replica's step was let in"
        )

    @scenario("how a version is made: max(newest + 1, the store's now), so that an empty store starts above")
    async def test_versions_and_tokens_never_come_back_after_a_flush(self, world: World) -> None:
        """Although the store knows nothing any more, what it gives out is above all that it ever gave."""
        needs(world, "flushes")
        backend = await one(world)
        delivery = await delivered(backend)
        row = await row_of(backend)
        await world.advance(SECOND // 100)
        await world.flush()
        again = await delivered(backend)
        assert (await row_of(backend)).version > max(row.version, delivery.token), "a version came back"
        assert again.token > delivery.token, "a token came back"
        answer = await commit(backend, step(await row_of(backend), done=(delivery,)))
        assert answer.verdict is Verdict.NOT_OURS, f"a delivery from before the flush was {answer.verdict}"

    @scenario("how a version is made: newest + 1 where the store's now is not above it")
    async def test_numbers_rise_although_the_clock_was_set_back(self, world: World) -> None:
        """An hour back: versions and tokens go on above all that were given out."""
        needs(world, "sets_back")
        backend = await one(world)
        delivery = await delivered(backend)
        await world.set_back(3600 * SECOND)
        for _ in range(3):
            row = await row_of(backend)
            new = await done(backend, step(row, done=(delivery,), send=(trigger(),)))
            again = only(await take(backend))
            assert new.version > max(row.version, delivery.token), "a version came back"
            assert again.token > new.version, "a token came back"
            delivery = again

    @scenario("what is done with bytes of a later release: kept as `codec.Unknown`, and written as they are")
    async def test_what_a_later_release_wrote_is_kept_as_it_is(self, world: World) -> None:
        """A row of format 2 is read, listed and written again, and is neither absent nor an error."""
        backend = await one(world)
        later = Unknown(b'{"format":2,"type":"job","new":"\xc3\xbc"}')
        row = await done(backend, step(Row("a"), data=later, send=(trigger(),)))
        for _ in range(2):
            (listed,) = await backend.store.rows()
            assert (listed.version, listed.data) == (row.version, later), f"it was read as {listed}"
            held = await take(backend)
            row = await done(backend, step(await row_of(backend), done=tuple(held)))

    @scenario(
        "what is done with bytes that `codec.load` refuses: kept as `codec.Unknown`, like a later release's"
    )
    async def test_a_row_that_cannot_be_read_hides_no_other(self, world: World) -> None:
        """One that somebody has spoilt is listed beside the others, and can be written anew."""
        backend = await one(world)
        spoilt = Unknown(b"\x00 this is not what anybody wrote")
        row = await done(backend, step(Row("a"), data=spoilt))
        await done(backend, step(Row("b"), data=state(1)))
        try:
            listed = {each.job: each.data for each in await backend.store.rows()}
        except Exception as exc:
            raise AssertionError(f"one row that cannot be read hides all: {exc!r}") from exc
        assert listed == {"a": spoilt, "b": state(1)}, f"beside a spoilt row are listed {listed}"
        await done(backend, step(row, data=state(2)))

    @scenario(
        "how data, options and payloads are stored: the bytes of `schedcore.codec`, and integers of 64 bits"
    )
    async def test_contents_are_opaque_and_kept(self, world: World) -> None:
        """Rows, options, payloads and details come back exactly as they went in."""
        first, second = await world.make_backends(2)
        odd = 'ü"\\\n\x00 \U0001f600 ]]'
        waiting = trigger(at=5, key="manual:ü", kind=Kind.MANUAL, payload=odd, missed=3)
        held = state(4, waiting=(waiting,), pauses=(Pause(1, 2, odd),), counters={"succeeded": 2**53 + 1})
        sent = trigger(at=2**53 + 1, payload=odd, missed=2)
        ended = line(
            status=Status.FAILED, detail=odd, replica="r0", started_at=1, ended_at=2, attempt=3, delivery=4
        )
        await done(first, step(Row("a"), data=held, send=(sent,), runs=(ended,)))
        assert (await row_of(second)).data == held, "a row's data was not kept as it is"
        delivery = only(await take(second))
        assert delivery.trigger == sent, f"sent {sent}, received {delivery.trigger}"
        assert list((await second.store.runs("a"))[0]) == [ended], "a line of history was not kept as it is"

    @scenario("limits of your columns, keys or messages: names have 200 characters, keys 209, payloads 64 KB")
    async def test_the_longest_name_and_the_largest_payload_are_kept(self, world: World) -> None:
        """A name has any of its characters, and comes back in rows, deliveries and history."""
        backend = await one(world)
        job, payload = ("Aa0._-:/" * 25)[:200], '"' + "ü" * 32_767 + '"'
        sent = trigger(job, key="backfill:" + "k" * 200, payload=payload)
        await done(backend, step(Row(job), data=state(1), send=(sent,), runs=(line(job, detail=payload),)))
        assert [row.job for row in await backend.store.rows()] == [job], "a row has another name"
        assert only(await take(backend, job)).trigger == sent, "the longest trigger was not kept as it is"
        ((ended,), _) = await backend.store.runs(job)
        assert (ended.job, ended.detail) == (job, payload), "the longest line was not kept as it is"

    @scenario("where an answer's now comes from: the store's clock, read in the same transaction")
    async def test_an_answer_tells_the_stores_now(self, world: World) -> None:
        """Now is the store's, read with the step, also when that has gone on a minute."""
        backend = await one(world)
        for _ in range(2):
            before = await backend.store.now()
            answer = await commit(backend, step(await row_of(backend)))
            assert before <= answer.now <= await backend.store.now(), "an answer's now is not the store's"
            await world.advance(60 * SECOND)

    @scenario("limits on the length of what carries triggers, and expiry: there may be none")
    async def test_nothing_unfinished_is_ever_trimmed(self, world: World) -> None:
        """However many triggers lie there, and however long, each is handed out."""
        backend = await one(world)
        triggers = tuple(trigger(at=number) for number in range(1, 6001))
        await send(backend, *triggers)
        await live(world, 2 * SECOND, backend)
        taken: Sequence[object] = ()
        while more := await take(backend, limit=1000):
            taken = [*taken, *more]
        assert len(taken) == len(triggers), f"{len(taken)} of {len(triggers)} triggers were handed out"
