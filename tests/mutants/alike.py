"""Mistakes of a database that finds alike what is not the same: by its collation, or by its columns."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection

import attrs

from sched_ram import Memory
from sched_ram._history import History
from schedcore.protocols import Micros, Run, Status, Trigger


class Alike(Memory):
    """A key is another one's if they are alike."""

    def alike(self, key: str) -> str:
        return key.casefold()

    def _append(self, trigger: Trigger) -> None:
        if self.alike(trigger.key) not in map(self.alike, self.items.get(trigger.job, {})):
            super()._append(trigger)


class BlanksAtTheEnd(Alike):
    """Texts are filled up with blanks."""

    def alike(self, key: str) -> str:
        return key.rstrip(" ")


class Accents(Alike):
    """An accent is as good as another."""

    def alike(self, key: str) -> str:
        return unicodedata.normalize("NFKD", key)


class NulEndsIt(Memory):
    """A text ends with its first NUL."""

    def _append(self, trigger: Trigger) -> None:
        super()._append(attrs.evolve(trigger, key=trigger.key.split("\0")[0]))


class AlikeHistory(History):
    """A job's lines are those of all whose names are alike."""

    def read(
        self,
        job: str,
        statuses: Collection[Status] | None,
        after: Micros | None,
        until: Micros | None,
        limit: int,
        cursor: str,
    ) -> tuple[list[Run], str]:
        alike = next((name for name in self._lines if name.casefold() == job.casefold()), job)
        return super().read(alike, statuses, after, until, limit, cursor)
