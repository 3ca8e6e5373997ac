"""What is declared, and what the store knows of it."""

from __future__ import annotations

from datetime import datetime

import attrs

from schedcore import _cli_show
from schedcore._answers import JobInfo
from schedcore._cli_next import due_of_job
from schedcore.scheduler import Scheduler


@attrs.frozen
class JobRow:
    """A job in the list."""

    name: str
    schedule: str
    tz: str
    upcoming: tuple[datetime, ...]
    declared_in: str
    info: JobInfo | None = None

    def as_dict(self) -> dict[str, object]:
        """Return it for JSON."""
        stored = self.info
        return {
            "name": self.name,
            "schedule": self.schedule,
            "tz": self.tz,
            "next": [at.isoformat() for at in self.upcoming],
            "declared_in": self.declared_in,
            "state": stored.state if stored else None,
            "counters": stored.counters if stored else None,
        }

    def as_cells(self) -> tuple[str, ...]:
        """Return it for a table."""
        stored = self.info
        upcoming = ", ".join(_cli_show.local(at, self.tz) for at in self.upcoming) or "never"
        counts = (
            ", ".join(f"{count} {name}" for name, count in sorted(stored.counters.items())) if stored else ""
        )
        return (
            self.name,
            self.schedule,
            self.tz,
            upcoming,
            stored.state if stored else "",
            counts,
            self.declared_in,
        )


def job_rows(scheduler: Scheduler, number: int, now: datetime) -> list[JobRow]:
    """List the declared jobs and those that only the store knows, in order of name."""
    infos = {info.name: info for info in scheduler.blocking.jobs()}
    rows = [
        JobRow(
            job.name,
            job.spec.expression,
            job.spec.tz,
            tuple(due.at for due in due_of_job(job, now, number)),
            job.declared_in,
            infos.pop(job.name, None),
        )
        for job in scheduler._jobs.values()
    ]
    rows += [_only_stored(info) for info in infos.values()]
    return sorted(rows, key=lambda row: row.name)


def _only_stored(info: JobInfo) -> JobRow:
    upcoming = () if info.next_at is None else (info.next_at,)
    return JobRow(info.name, info.schedule, info.tz, upcoming, "elsewhere", info)
