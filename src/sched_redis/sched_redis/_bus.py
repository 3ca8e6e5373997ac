"""A stream with a consumer group: each trigger goes to one replica, which has it until it is finished."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from sched_redis import _wire
from sched_redis._changes import Changes
from sched_redis._client import BLOCK, Client
from sched_redis._keys import GROUP, trigger_name
from sched_redis._locker import RedisLocker
from schedcore.protocols import Answer, Delivery, Locker, Micros, Renewal, Step, Trigger, Verdict

log = logging.getLogger("schedcore")

LEASE_MS = 10_000
CHUNK = 256
"""How many steps, triggers and deliveries travel in one call, unless one step has more: Redis does nothing
else meanwhile."""

BURST = 50
"""With more steps than this, and others who were faster lately, the rows are read first."""

LATELY = 8
"""After so many calls of that size in which nobody was faster, nobody is any more."""

RENEWED_AT_ONCE = 500
PAGE = 1000
FIRST_READ = 16
"""How many triggers a replica that waited reads at most, so that others who wait get some; of what is left
then, it takes as much as it has places for."""

READ = 100
HANDED_ON = 5
"""How often a trigger goes from one replica that does not know its job to the next, before it is parked."""


class RedisBus:
    """Carries triggers over a stream; what becomes of each is decided by scripts, one per step."""

    def __init__(self, client: Client) -> None:
        """Carry triggers by way of `client`."""
        self.replica = ""
        self._client = client
        self._decoder = _wire.Decoder()
        self._changes = Changes(client)
        self._contended = 0
        self._more = False
        self._unsure = False

    async def commit(self, steps: Sequence[Step], locker: Locker) -> Sequence[Answer]:
        """Commit each step by itself; `RedisLocker`'s lock is taken by the script itself."""
        if not self._client.is_same_server():
            return await self._held(steps)  # the next beat tells the core
        if not isinstance(locker, RedisLocker):
            return [await self._commit_locked(step, locker) for step in steps]
        answers: list[Answer] = []
        for chunk in _wire.chunks(steps, CHUNK):
            answers += await self._commit_chunk(chunk)
        return answers

    async def _commit_chunk(self, steps: Sequence[Step]) -> Sequence[Answer]:
        late = await self._late(steps) if self._contended and len(steps) > BURST else {}
        answers = await self._commit([step for step in steps if step.id not in late])
        lost = bool(late) or any(answer.verdict is Verdict.CHANGED for answer in answers)
        self._contended = LATELY if lost else max(0, self._contended - (len(steps) > BURST))
        if not late:
            return answers
        in_time = iter(answers)
        return [late.get(step.id) or next(in_time) for step in steps]

    async def _late(self, steps: Sequence[Step]) -> dict[str, Answer]:
        """Answer the steps whose rows somebody has changed already; who is faster gets a moment."""
        if not self._changes.is_fresh(steps) or not all(map(self._changes.has, steps)):
            await self._changes.follow(steps, self.replica)
        late = {step.id: (step, row) for step in steps if (row := self._changes.made_of(step))}
        now, rows = self._changes.now, self._changes.rows
        if unlike := [step for step, row in late.values() if row.data is None]:
            rows = rows | await self._rows(unlike)
        return {
            id_: self._decoder.unsent(step, Verdict.CHANGED, rows, now, None if row.data is None else row)
            for id_, (step, row) in late.items()
        }

    async def _rows(self, steps: Sequence[Step]) -> dict[str, bytes | None]:
        jobs = list(dict.fromkeys([job for step in steps for job, _ in step.expects]))
        stored = await self._client.call("HMGET", self._client.keys.rows, *jobs)
        return dict(zip(jobs, stored, strict=True))

    async def _commit(self, steps: Sequence[Step], lock: Micros = RedisLocker.TTL) -> list[Answer]:
        if not steps:
            return []
        keys = self._client.keys
        self._changes.sending(steps)
        used, fields = _wire.encode(steps, keys)
        state = (keys.meta, keys.rows, keys.names, keys.stream, keys.triggers, keys.held)
        fixed = (*state, keys.gone, keys.changes)
        said = await self._client.commit((*fixed, *used), (GROUP, self.replica, lock // 1000, fields))
        return self._decoder.answers(steps, said)

    async def _commit_locked(self, step: Step, locker: Locker) -> Answer:
        """Ask somebody else's lock; a step that was committed already is answered whoever has it."""
        if not step.send:
            return (await self._commit([step], 0))[0]
        name = _wire.name_of(step.send[0])
        if await locker.acquire(name, self.replica, RedisLocker.TTL):
            try:
                return (await self._commit([step], 0))[0]
            finally:
                await locker.release(name, self.replica)
        return (await self._held([step]))[0]

    async def _held(self, steps: Sequence[Step]) -> list[Answer]:
        """Refuse these; a step that was committed already is answered whoever has the lock."""
        rows = await self._rows(steps)
        now = await self._client.now()
        verdicts = [
            Verdict.DONE if step.id.encode() in _wire.made_by(rows[step.job])[1] else Verdict.HELD
            for step in steps
        ]
        return [
            self._decoder.unsent(step, verdict, rows, now)
            for step, verdict in zip(steps, verdicts, strict=True)
        ]

    async def receive(self, jobs: frozenset[str], limit: int, wait: Micros) -> Sequence[Delivery]:
        """Read from the stream, and claim what was read; without `wait`, take what waits by name."""
        if wait <= 0:
            return await self._pick(jobs, limit)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait / 1_000_000
        while True:
            left = deadline - loop.time()
            said = await self._read_and_claim(limit, min(left, BLOCK))
            known = await self._sort_out(said, jobs)
            if known or deadline - loop.time() <= 0:
                return known

    async def _read_and_claim(self, limit: int, wait: float) -> Sequence[Any]:
        """Claim in one call as long as there is more, else wait for something to claim."""
        count = min(limit, READ if self._more else FIRST_READ)
        if self._more:
            claimed, looked = await self._claim((), count)
            self._more = looked == count
            return claimed
        after = "0" if self._unsure else ">"  # a reply may have been lost: look into what is pending
        self._unsure = True
        read = await self._client.read(
            self.replica, PAGE if after == "0" else count, wait if after == ">" else None, after
        )
        if not read:
            self._unsure = False
            return ()
        rest = min(limit, READ) - count if after == ">" and len(read) == count else 0
        claimed, looked = await self._claim([(name, id_, "0") for id_, name in read], rest)
        self._unsure = False
        self._more = after == ">" and looked == count + rest
        return claimed

    async def _claim(self, wanted: Iterable[tuple[str, str, str]], count: int) -> tuple[Sequence[Any], int]:
        """Claim, and read `count` more; cancelled meanwhile, offer to all what was claimed by then."""
        asking = asyncio.ensure_future(self._ask_for(wanted, count))
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            with suppress(Exception):  # without an answer it lapses
                claimed, _ = await asking
                await self._offer([part for said in claimed for part in (said[3], said[0])], 0)
            raise

    async def _ask_for(self, wanted: Iterable[tuple[str, str, str]], count: int) -> tuple[Sequence[Any], int]:
        keys = self._client.keys
        claimed, strange, looked = await self._client.run(
            "claim",
            (keys.meta, keys.stream, keys.triggers, keys.parked),
            (GROUP, self.replica, LEASE_MS, count, *[part for each in wanted for part in each]),
        )
        for entry in strange:
            log.warning(
                "dropped what is no trigger from the stream %s: entry %s",
                keys.stream,
                entry.decode(errors="replace")[:200],
                extra={"event": "redis.strange_entry"},
            )
        return claimed, looked

    async def _sort_out(self, claimed: Sequence[Any], jobs: frozenset[str]) -> list[Delivery]:
        """Keep what is known here; the rest is handed on."""
        known, unknown = [], []
        for said in claimed:
            delivery = _wire.delivery(said)
            if delivery is not None and delivery.trigger.job in jobs:
                known.append(delivery)
            else:
                unknown += [said[3], said[0]]
        if unknown:
            await self._offer(unknown, HANDED_ON)
        return known

    async def _pick(self, jobs: frozenset[str], limit: int) -> list[Delivery]:
        waiting = await self._waiting("jobs", sorted(jobs))
        return await self._take(waiting[:limit])

    async def _waiting(self, by: str, names: Sequence[str]) -> list[Delivery]:
        keys, found = self._client.keys, []
        for start in range(0, len(names), PAGE):
            found += await self._client.run(
                "waiting", (keys.triggers, keys.held), (by, *names[start : start + PAGE])
            )
        return [delivery for said in found if (delivery := _wire.delivery(said)) is not None]

    async def _take(self, seen: Collection[Delivery]) -> list[Delivery]:
        if not seen:
            return []
        claimed, _ = await self._claim([(_wire.name_of(d.trigger), "", str(d.token)) for d in seen], 0)
        return [delivery for said in claimed if (delivery := _wire.delivery(said)) is not None]

    async def renew(self, held: Collection[Delivery], notes: Mapping[tuple[str, str], str]) -> Renewal:
        """Renew in portions: Redis does nothing else meanwhile."""
        deliveries, mine, cancel = list(held), [], set()
        keys = self._client.keys
        for start in range(0, len(deliveries), RENEWED_AT_ONCE):
            part = deliveries[start : start + RENEWED_AT_ONCE]
            arguments: list[str | bytes] = []
            for delivery in part:
                note = notes.get(_identity(delivery.trigger), "").encode(errors="backslashreplace")
                arguments += [_wire.name_of(delivery.trigger), str(delivery.token), note]
            said = await self._client.run(
                "renew", (keys.stream, keys.triggers), (GROUP, self.replica, *arguments)
            )
            mine += [delivery for delivery, kept in zip(part, said, strict=True) if kept]
            cancel |= {_identity(d.trigger) for d, kept in zip(part, said, strict=True) if kept == 2}
        return Renewal(frozenset(mine), frozenset(cancel))

    async def give_back(self, held: Collection[Delivery]) -> None:
        """Offer these to all again."""
        await self._offer([part for d in held for part in (_wire.name_of(d.trigger), str(d.token))], 0)

    async def _offer(self, names_and_tokens: Sequence[str | bytes], handed_on: int) -> None:
        keys = self._client.keys
        for start in range(0, len(names_and_tokens), 2 * PAGE):
            part = names_and_tokens[start : start + 2 * PAGE]
            await self._client.run(
                "give_back",
                (keys.stream, keys.triggers, keys.parked),
                (GROUP, self.replica, handed_on, *part),
            )

    async def lapsed(self, jobs: frozenset[str], limit: int) -> Sequence[Delivery]:
        """List what nobody renewed or claimed, and what is parked for want of who knows it."""
        keys, found, start = self._client.keys, [], "-"
        while start:
            said, last, parked, is_harmed = await self._client.run(
                "lapsed",
                (keys.meta, keys.stream, keys.triggers, keys.parked),
                (GROUP, LEASE_MS, start, READ),
            )
            if is_harmed:
                await self._client.mend()
            deliveries = [_wire.delivery(each) for each in said]
            found += [d for d in deliveries if d is not None and d.trigger.job in jobs]
            start = f"({last.decode()}" if last and len(found) < limit else ""
        names = [name for name in map(bytes.decode, parked) if name.partition(" ")[0] in jobs]
        if names and len(found) < limit:
            found += await self._waiting("names", names[: limit - len(found)])
        return found[:limit]

    async def take_over(self, seen: Collection[Delivery]) -> Sequence[Delivery]:
        """Take what is still as it was seen, and still nobody's."""
        return await self._take(seen)

    async def cancel(self, job: str, key: str) -> bool:
        """Leave word for the holder's next renewal."""
        name = trigger_name(job, key)
        return bool(await self._client.run("cancel", [self._client.keys.triggers], (name,)))


def _identity(trigger: Trigger) -> tuple[str, str]:
    return trigger.job, trigger.key
