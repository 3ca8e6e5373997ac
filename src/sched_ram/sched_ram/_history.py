"""A bounded history: a deque per job, newest last."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from typing import TypeAlias

from schedcore.protocols import Keep, Micros, Run, Status

HOUR: Micros = 3_600_000_000

_Line: TypeAlias = tuple[int, Micros, Run]
"""Its number, when it was written, and what it says."""


class History:
    """Keeps what each step's `keep` says, and answers pages of it."""

    def __init__(self) -> None:
        """Begin empty."""
        self._lines: dict[str, deque[_Line]] = {}
        self._failures: dict[str, deque[_Line]] = {}
        self._keep: dict[str, Keep] = {}
        self._number = 0
        self._tidied: Micros = 0

    def append(self, runs: Sequence[Run], keep: Keep, now: Micros) -> None:
        """Append lines, and drop the oldest ones that are too many or too old."""
        for run in runs:
            self._number += 1
            self._keep[run.job] = keep
            line = (self._number, now, run)
            lines = self._lines.get(run.job)
            if lines is None:
                lines = self._lines[run.job] = deque()
            lines.append(line)
            if run.status is not Status.SUCCEEDED:
                failures = self._failures.setdefault(run.job, deque())
                failures.append(line)
                _trim(failures, keep.failures, keep.age, now)
            _trim(lines, keep.lines, keep.age, now)

    def tidy(self, now: Micros) -> None:
        """Drop, once an hour, what is too old, of jobs too that nothing is appended to any more."""
        if now - self._tidied < HOUR:
            return
        self._tidied = now
        for job, keep in list(self._keep.items()):
            _trim(self._failures.get(job, deque()), keep.failures, keep.age, now)
            _trim(self._lines.get(job, deque()), keep.lines, keep.age, now)
            if not self._lines.get(job) and not self._failures.get(job):
                for kept in (self._keep, self._lines, self._failures):
                    kept.pop(job, None)

    def read(
        self,
        job: str,
        statuses: Collection[Status] | None,
        after: Micros | None,
        until: Micros | None,
        limit: int,
        cursor: str,
    ) -> tuple[list[Run], str]:
        """Read a page, newest first."""
        older_than = int(cursor) if cursor else self._number + 1
        found: list[Run] = []
        last = 0
        kept = (*self._failures.get(job, ()), *self._lines.get(job, ()))
        lines = {number: run for number, _, run in kept}
        for number in sorted(lines, reverse=True):
            run = lines[number]
            if number >= older_than or not run.matches(statuses, after, until):
                continue
            if len(found) == limit:
                return found, str(last)
            found.append(run)
            last = number
        return found, ""


def _trim(lines: deque[_Line], most: int, age: Micros, now: Micros) -> None:
    while len(lines) > most or (lines and lines[0][1] < now - age):
        lines.popleft()
