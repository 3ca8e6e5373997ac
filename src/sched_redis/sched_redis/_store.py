"""Reads what the bus wrote, and keeps who is alive."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Collection, Mapping, Sequence

from sched_redis import _examine, _wire
from sched_redis._client import Client
from sched_redis._keys import GROUP
from schedcore import codec
from schedcore.errors import CodecError
from schedcore.protocols import Beat, Finding, Holding, Micros, Replica, Row, Run, Status

PAGE = 1000
LOOKED_AT = 5000
"""How many lines of history the server looks at in one go: it does nothing else meanwhile."""

AT_ONCE = 1000
"""How many lines of history are read at once."""

AHEAD: Micros = 60_000_000
"""So far at most a replica thinks that the server's clock is ahead of where it is."""


class RedisStore:
    """Reads an app's state."""

    def __init__(self, client: Client) -> None:
        """Read by way of `client`."""
        self._client = client
        self._decoder = _wire.Decoder()

    async def now(self) -> Micros:
        """Tell the server's clock."""
        return await self._client.now()

    async def rows(
        self, jobs: Collection[str] | None = None, *, after: str = "", limit: int = 1000
    ) -> Sequence[Row]:
        """Read rows with the keys of their triggers."""
        if jobs is None:
            return await self._rows("page", after, str(limit))
        found: list[Row] = []
        names = list(jobs)
        for start in range(0, len(names), PAGE):
            found += await self._rows("jobs", *names[start : start + PAGE])
        return found

    async def _rows(self, *which: str) -> list[Row]:
        keys = self._client.keys
        said = await self._client.run("rows", (keys.rows, keys.names, keys.held), which)
        rows = []
        for job, stored, names in said:
            row = self._decoder.row(job.decode(), stored)
            rows.append(Row(row.job, row.version, row.data, _wire.held_keys(names)))
        return rows

    async def runs(
        self,
        job: str,
        *,
        statuses: Collection[Status] | None = None,
        after: Micros | None = None,
        until: Micros | None = None,
        limit: int = 50,
        cursor: str = "",
    ) -> tuple[Sequence[Run], str]:
        """Read a page of history, newest first; the cursor is the number of the last line read.

        A line's number begins with the instant at which it was written, at the earliest: what was written
        before `after` is of scheduled times before it.
        """
        found: list[tuple[str, Run]] = []
        oldest = None if after is None else after - AHEAD
        async for number, run in self._lines(job, cursor, limit + 1, (oldest, after, until), statuses):
            if run.matches(statuses, after, until):
                found.append((number, run))
                if len(found) > limit:
                    return [run for _, run in found[:limit]], found[limit - 1][0]
        return [run for _, run in found], ""

    async def _lines(
        self,
        job: str,
        last: str,
        most: int,
        bounds: Sequence[Micros | None],
        statuses: Collection[Status] | None,
    ) -> AsyncIterator[tuple[str, Run]]:
        """Go through a job's lines that may be meant, behind the line `last`; the server looks for them."""
        if not (statuses is None or statuses):
            return
        which = ["" if bound is None else str(bound) for bound in bounds]
        if statuses is not None:
            which += [str(status) for status in statuses]
        keys = self._client.keys.history(job)
        place: tuple[int, ...] = (1, 0)
        while place[0]:
            arguments: tuple[str | int, ...] = (*place, last, LOOKED_AT, min(most, AT_ONCE), *which)
            lines, *there, end = await self._client.run("lines", keys, arguments)
            place, last = tuple(there), end.decode()
            for line in lines:
                number, _, data = line.partition(b" ")
                run = _run(data)
                if run is not None:
                    yield number.decode(), run

    async def held(self, jobs: Collection[str] | None = None) -> Sequence[Holding]:
        """List who holds what, in the order in which it was sent."""
        keys, start, found = self._client.keys, "-", []
        while start:
            said, last = await self._client.run("held", (keys.stream, keys.triggers), (GROUP, start, PAGE))
            for each in said:
                delivery = _wire.delivery(each)
                if delivery is not None and (jobs is None or delivery.trigger.job in jobs):
                    replica, since, note = each[3:]
                    found.append(Holding(delivery, replica.decode(), int(since), note.decode()))
            start = f"({last.decode()}" if last else ""
        return found

    async def beat(self, replica: str, facts: Mapping[str, object], ttl: Micros) -> Beat:
        """Say that a replica lives, or that it leaves; who lives makes the group."""
        keys = self._client.keys
        now, epoch, newest, gap, server, alive, lacks_group = await self._client.run(
            "beat",
            (keys.meta, keys.alive, keys.facts, keys.stream, keys.rows, keys.names),
            (GROUP, replica, ttl, codec.dump(dict(facts)), secrets.token_hex(8)),
        )
        self._client.server = server.decode()
        if lacks_group and ttl > 0:
            await self._client.make_group()
        names = frozenset([name.decode() for name in alive])
        return Beat(int(now), epoch.decode(), int(newest), int(gap), names, server.decode())

    async def replicas(self) -> Sequence[Replica]:
        """List who lives, as they described themselves."""
        keys = self._client.keys
        now = await self.now()
        alive = await self._client.call("ZRANGE", keys.alive, 0, -1, "WITHSCORES")
        facts = await self._client.call("HGETALL", keys.facts)
        found = []
        for name, until in zip(alive[::2], alive[1::2], strict=True):
            at, _, data = facts.get(name, b"").partition(b" ")
            described = _facts(data)
            if float(until) > now and described is not None:
                found.append(Replica(name.decode(), described, int(at)))
        return found

    async def examine(self) -> Sequence[Finding]:
        """Look at the server."""
        return await _examine.examine(self._client)

    async def purge(self) -> bool:
        """Remove every key of the app, found by walking through all keys of the database."""
        pattern, cursor, found = self._client.keys.pattern, "0", False
        while True:
            said, keys = await self._client.call("SCAN", cursor, "MATCH", pattern, "COUNT", PAGE)
            # a Cluster's client answers by node, of which only the app's was asked
            cursor = str(*said.values()) if isinstance(said, Mapping) else str(int(said))
            if keys:
                found = True
                await self._client.call("UNLINK", *keys)
            if cursor == "0":
                return found


def _run(data: bytes) -> Run | None:
    try:
        run = codec.load(data)
    except CodecError:
        return None
    return run if isinstance(run, Run) else None


def _facts(data: bytes) -> Mapping[str, object] | None:
    try:
        facts = codec.load(data)
    except CodecError:
        return None
    return facts if isinstance(facts, dict) else None
