"""When jobs are due next, and what daylight saving does to these times."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import attrs

from schedcore._cli_show import local, utc
from schedcore._command import shortened
from schedcore._jobs import Job
from schedcore._units import to_datetime, to_micros
from schedcore._zones import Stretch, zone_of
from schedcore.errors import ConfigurationError
from schedcore.schedules import Schedule, parse_schedule

COMMAND_SHOWN = 200
"""So much of a command has place in a table."""

_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1)


@attrs.frozen
class Due:
    """A scheduled time to come: of which job, by which schedule, and what is odd about it."""

    at: datetime
    schedule: Schedule
    job: str = ""
    command: str = ""
    note: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return it for JSON."""
        zone = self.schedule.tz
        times = {
            "utc": self.at.isoformat(),
            "local": self.at.astimezone(ZoneInfo(zone)).isoformat(),
            "tz": zone,
        }
        of = {"job": self.job, "schedule": self.schedule.expression, "command": self.command}
        return {**times, **of, "note": self.note}

    def as_cells(self) -> tuple[str, ...]:
        """Return it for a table, which has no column for the schedule if there is but one."""
        zone = self.schedule.tz
        expression = self.schedule.expression if self.job else ""
        at = local(self.at, zone), zone, utc(self.at)
        return (*at, self.job, expression, shortened(self.command, COMMAND_SHOWN), self.note)


def due_of_schedule(schedule: Schedule, after: datetime, limit: int, job: str = "") -> list[Due]:
    """List the next times of a schedule."""
    return [Due(at, schedule, job, note=oddity(schedule, at)) for at in schedule.upcoming(after, limit)]


def due_of_job(job: Job, after: datetime, limit: int) -> list[Due]:
    """List the next times of a declared job, within its life."""
    spec = job.spec
    if not spec.enabled:
        return []
    if spec.start_at is not None:
        after = max(after, to_datetime(spec.start_at) - _MICROSECOND)
    found = due_of_schedule(spec.schedule, after, limit, job.name)
    if spec.jitter:
        late = f"due {spec.jitter / 1_000_000:.3f} s later, its share of the jitter"
        found = [attrs.evolve(due, note="; ".join(filter(None, (due.note, late)))) for due in found]
    return [due for due in found if spec.until is None or to_micros(due.at) <= spec.until]


def instant(text: str, tz: str, option: str = "--after") -> datetime:
    """Read the instant that `option` names, in `tz` where it has no offset; a date is its midnight.

    Raises:
        ConfigurationError: it is none.
    """
    zone_of(tz)
    try:
        schedule = parse_schedule(f"{text} 00:00" if len(text) == len("2026-12-24") else text, tz=tz)
        at = datetime.fromisoformat(schedule.expression)
    except ValueError:  # of which a ScheduleError is one
        at = None
    if at is None or not 1 < at.year < 9999:  # whose edges have no local time
        raise ConfigurationError(
            f"{option} {text!r} is no instant; write e.g. 2026-12-24 or 2026-12-24T18:00:00+01:00"
        )
    return at


def oddity(schedule: Schedule, at: datetime) -> str:
    """Tell what daylight saving does to this time of the schedule; nothing on most days of the year."""
    return "; ".join(filter(None, (_across_gap(schedule, at), _shown_twice(schedule, at))))


def _across_gap(schedule: Schedule, at: datetime) -> str:
    """Tell what became of wall-clock times that were skipped since the time before this one."""
    if not _is_cron(schedule):
        return ""
    change = zone_of(schedule.tz).stretch_at(_second(at))
    since = max(schedule.last_before(at) or at - _DAY, at - _DAY)
    skipped = _skipped(schedule, change) if _second(since) < change.start else ()
    if not skipped:
        return ""
    first, end = change.start + change.before, change.start + change.offset
    clocks = f"clocks go from {_wall(first, end)} to {_wall(end, first)}"
    if schedule.wild or change.start != _second(at):
        return f"{clocks}: {len(skipped)} {'time' if len(skipped) == 1 else 'times'} in between left out"
    listed = ", ".join(f"{when:%H:%M}" for when in skipped[:3]) + (", ..." if len(skipped) > 3 else "")
    return f"{clocks}: {listed} {'does' if len(skipped) == 1 else 'do'} not exist, shifted to here"


def _skipped(schedule: Schedule, change: Stretch) -> Sequence[datetime]:
    """List the times that the schedule has on the clock's face where it skips them; a thousand at most."""
    if change.offset <= change.before:
        return ()
    face = parse_schedule(schedule.expression, tz="UTC", key=schedule.key)
    first, end = (
        datetime.fromtimestamp(change.start + offset, UTC) for offset in (change.before, change.offset)
    )
    return [when for when in face.upcoming(first - _MICROSECOND, 1000) if when < end]


def _shown_twice(schedule: Schedule, at: datetime) -> str:
    there = at.astimezone(ZoneInfo(schedule.tz))
    first, second = (there.replace(fold=fold).utcoffset() for fold in (0, 1))
    if first is None or second is None or first <= second:
        return ""
    which = "the second" if there.fold else "the first"
    only = ", the only one used" if _is_cron(schedule) and not schedule.wild and not there.fold else ""
    return f"{there:%H:%M} exists twice: this is {which}{only}"


def _is_cron(schedule: Schedule) -> bool:
    return not schedule.expression.startswith("@every") and schedule.shortest_gap() is not None


def _wall(second: int, other: int) -> str:
    """Write a clock's time, with the date where the other one is of another day."""
    when, that = (datetime.fromtimestamp(each, UTC) for each in (second, other))
    return f"{when:%H:%M}" if when.date() == that.date() else f"{when:%Y-%m-%d %H:%M}"


def _second(at: datetime) -> int:
    return to_micros(at) // 1_000_000
