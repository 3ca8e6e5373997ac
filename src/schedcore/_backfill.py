"""Running a job for scheduled times of the past: which these are, and when the next one may go; pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import attrs

from schedcore import _audit, _found, _rules
from schedcore._draft import Draft
from schedcore._overlap import room
from schedcore._state import JobState, Pause
from schedcore.errors import ConfigurationError
from schedcore.protocols import Kind, Micros, Row, Run

MOST = 10_000
"""So many scheduled times are backfilled at once."""

FULL = "full"
AGAIN = "backfilled already; give the backfill a --name to run it once more"
SUCCEEDED = "it succeeded; --all runs it once more"
OPEN = "it is still open"


@attrs.frozen
class Planned:
    """A scheduled time that a backfill is about.

    Attributes:
        was: What an audit finds of it; nothing if it was no time of the job's then.
        status: With which status it ended, or nothing.
        left_out: Why it is not run; empty if it is.
    """

    at: Micros
    key: str
    was: str = ""
    status: str = ""
    left_out: str = ""


def key_of(at: Micros, name: str = "") -> str:
    """Tell the key by which a backfill of a time is known, so that its repetition is known as one."""
    return f"{name}/{at}" if name else str(at)


def plan(
    state: JobState,
    lines: Sequence[Run],
    pauses: Collection[Pause],
    begin: Micros,
    end: Micros,
    now: Micros,
    *,
    name: str = "",
    everything: bool = False,
) -> list[Planned]:
    """Look at each time of the job's present schedule in (begin, end], before it was declared as well.

    `lines` are read as for an audit. What succeeded is left out, unless `everything` is asked for; what is
    still open, and what was backfilled under this name already, always is.

    Raises:
        ConfigurationError: there are too many times.
    """
    spec, times = state.spec, []
    begin = begin if spec.start_at is None else max(begin, spec.start_at - 1)
    end = min([end, now, *([] if spec.until is None else [spec.until])])
    if spec.schedule.count_us(begin, max(begin, end)) > MOST:
        raise ConfigurationError(f"more than {MOST:,} scheduled times lie between the two: give less time")
    at = spec.schedule.next_after_us(begin)
    while at is not None and at <= end:
        times.append(at)
        at = spec.schedule.next_after_us(at)
    find = _found.Finder(state, lines, pauses, begin, now)
    done = {line.key: str(line.status) for line in lines if line.kind is Kind.BACKFILL}
    done |= {recent.key: recent.outcome for recent in state.recent}
    lives = list(_audit.lives(state, now))
    planned = []
    for at in times:
        key = key_of(at, name)
        found = find(at) if any(life.has(at) for life in lives) else _found.Found("")
        before = done.get(f"{Kind.BACKFILL}:{key}")
        left_out = "" if before is None else AGAIN
        if not left_out and found.found in _found.OPEN:
            left_out = OPEN
        if not left_out and found.status == "succeeded" and not everything:
            left_out = SUCCEEDED
        planned.append(Planned(at, key, found.found, found.status, left_out))
    return planned


def send(row: Row, at: Micros, key: str, most: int, now: Micros) -> tuple[str, Draft | None]:
    """Send the trigger of a backfill if it need not wait for anything; what became of it, as a word.

    While there is no room it is neither queued nor skipped: `full`, and it is asked for again later. Under
    `allow` the backfills of a job are bounded by `most`.

    Raises:
        HeldUnknownError: what is in its way may have vanished from the bus.
    """
    state = row.data
    assert isinstance(state, JobState)
    whole = f"{Kind.BACKFILL}:{key}"
    known = any(recent.key == whole for recent in state.recent)
    if not known and not _has_room(state, most):
        draft = Draft(row)
        draft.drop_lost()
        return FULL, draft if draft.runs else None
    return _rules.ask(row, key, None, now, at)


def _has_room(state: JobState, most: int) -> bool:
    mine = sum(key.startswith(f"{Kind.BACKFILL}:") for key in state.outstanding)
    return mine < most and room(state) > 0
