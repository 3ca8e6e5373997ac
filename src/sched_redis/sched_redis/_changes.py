"""What others have just made of rows, told in few bytes to whoever was slower than they."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from random import Random
from typing import Any

from msgpack import unpackb

from sched_redis import _wire
from sched_redis._client import Client, instant
from schedcore.protocols import Micros, Row, Step

Place = tuple[int, int]
REMEMBERED = 10_000
"""How many steps that were sent are known to have been, at least."""

MOMENT, LONGEST = 0.05, 0.5
"""Seconds, at most, that whoever lost lately waits before it looks again: at first, and later."""

TURNS = 10
"""How often in a row it sees that nobody did anything, before it sends although it is not its turn."""

TURN_MS = 500
FRESH = 1.0
"""For how many seconds what was read serves for the other chunks of a burst."""


class Changes:
    """Follows the stream in which each commit says what it made of which rows.

    The oldest of what is in it goes first, so the last that it says of a job holds. What it does not tell
    is unknown, and no harm: the commit itself compares versions.
    """

    def __init__(self, client: Client) -> None:
        """Begin without knowing anything."""
        self._client = client
        self._random = Random()
        self._last = (0, 0)
        self._made: dict[str, tuple[int, bytes | None]] = {}
        self._sent: set[str] = set()
        self._sent_before: set[str] = set()
        self._turn_ends = 0.0
        self._asked = -FRESH
        self.now: Micros = 0
        self.rows: dict[str, bytes | None] = {}

    def sending(self, steps: Collection[Step]) -> None:
        """Remember, for a while, that these may have been committed, whatever becomes of the answer."""
        if len(self._sent) > REMEMBERED:
            self._sent_before, self._sent = self._sent, set()
        self._sent.update([step.id for step in steps])

    async def follow(self, steps: Sequence[Step], replica: str) -> None:
        """Look what others made of rows, until they did all of it, or it is this replica's turn."""
        looked, idle = int(self._has_turn()), 0  # who has it already goes on
        while idle < TURNS:
            before = self._last
            is_turn = await self.read(steps, replica)
            if (looked and is_turn) or all(map(self.has, steps)):
                break
            looked += 1
            idle = idle + 1 if self._last == before else 0
            await asyncio.sleep(self._random.uniform(0, min(LONGEST, looked * MOMENT)))

    async def read(self, steps: Sequence[Step], replica: str) -> bool:
        """Read what may concern these: `now` is the server's, `rows` are what they expect beside their own.

        Tell whether it is the replica's turn: of all who are too slow, one sends for `TURN_MS`.
        """
        keys, others = self._client.keys, list({job for step in steps for job, _ in step.expects[1:]})
        begin = max(self._last, (min(step.expects[0][1] for step in steps) // 1000, 0))
        asked = asyncio.get_running_loop().time()
        entries, time, is_turn, *rows = await self._client.calls(
            ("XRANGE", keys.changes, "{}-{}".format(*begin), "+"),
            ("TIME",),
            ("SET", keys.lock("burst"), replica, "NX", "PX", TURN_MS),
            *[("HGET", keys.rows, job) for job in others],
        )
        if is_turn:
            self._turn_ends = asked + TURN_MS / 1000
        self._read_on(begin, [(_place(id_), made) for id_, made in entries])
        self._asked, self.now, self.rows = asked, instant(time), dict(zip(others, rows, strict=True))
        return self._has_turn()

    def _has_turn(self) -> bool:
        """Tell whether it is still the replica's turn."""
        return asyncio.get_running_loop().time() < self._turn_ends

    def _read_on(self, begin: Place, entries: Sequence[tuple[Place, dict[bytes, bytes]]]) -> None:
        if not entries or entries[0][0] != begin:  # what was read last is gone, and maybe more behind it
            self._made.clear()
            self._last = (0, 0)
        for place, made in entries:
            if place > self._last:  # else it was read meanwhile
                self._last = place
                for version, packed in made.items():
                    with suppress(Exception):  # garbage that somebody else wrote tells nothing
                        self._learn(int(version), unpackb(packed, raw=True))

    def _learn(self, version: int, made: Sequence[Any]) -> None:
        for place, (job, data) in enumerate(zip(made[::2], made[1::2], strict=True)):
            self._made[job.decode()] = version + place, data if isinstance(data, bytes) else None

    def is_fresh(self, steps: Sequence[Step]) -> bool:
        """Tell whether what was read last will do: lately, and with the other rows that these expect."""
        expected = {other for step in steps for other in step.expects[1:]}
        read = {(job, _wire.made_by(row)[0]) for job, row in self.rows.items()}
        return asyncio.get_running_loop().time() - self._asked < FRESH and expected <= read

    def has(self, step: Step) -> bool:
        """Tell whether somebody is known to have changed (not deleted) the row of a step never sent."""
        version, data = self._made.get(step.job, (0, None))
        is_new = step.id not in self._sent and step.id not in self._sent_before
        return version > step.expects[0][1] and data is not None and is_new

    def made_of(self, step: Step) -> Row | None:
        """Tell what they made of the row; without data if that has to be read."""
        if not self.has(step):
            return None
        version, data = self._made[step.job]
        return Row(step.job, version, _wire.load(step.job, data) if data else None)


def _place(id_: bytes) -> Place:
    milliseconds, _, number = id_.partition(b"-")
    return int(milliseconds), int(number)
