"""Cron lines read a second time, without the library: sets of values, and a walk from minute to minute."""

import calendar
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

MINUTE = timedelta(minutes=1)
NAMES = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}
NAMES |= {"jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6}
NAMES |= {"jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12}
BOUNDS = {
    "second": (0, 59),
    "minute": (0, 59),
    "hour": (0, 23),
    "day": (1, 31),
    "month": (1, 12),
    "week": (0, 6),
}

# Each with instants around which something happens to its clocks.
CHANGES = {
    "Europe/Berlin": ["2025-03-30T01:00Z", "2025-10-26T01:00Z"],
    "Europe/Dublin": ["2024-03-31T01:00Z", "2024-10-27T01:00Z"],
    "America/New_York": ["2025-03-09T07:00Z", "2025-11-02T06:00Z"],
    "Australia/Lord_Howe": ["2024-10-05T15:30Z", "2025-04-05T15:00Z"],  # half an hour
    "Antarctica/Troll": ["2025-03-30T01:00Z", "2025-10-26T01:00Z"],  # two hours
    "Antarctica/Casey": ["2009-10-17T18:00Z", "2010-03-04T15:00Z"],  # three hours: a correction
    "America/Santiago": ["2024-09-08T04:00Z", "2024-04-07T03:00Z"],  # at midnight
    "America/Havana": ["2024-03-10T05:00Z", "2024-11-03T05:00Z"],
    "America/Sao_Paulo": ["2018-11-04T03:00Z", "2019-02-17T02:00Z"],
    "Asia/Beirut": ["2022-03-26T22:00Z", "2022-10-29T21:00Z"],
    "Asia/Tehran": ["2022-03-21T20:30Z", "2022-09-21T19:30Z"],
    "Africa/Cairo": ["2024-04-25T22:00Z", "2024-10-31T21:00Z"],
    "Africa/Casablanca": ["2024-03-10T02:00Z", "2024-04-14T02:00Z"],  # Ramadan
    "Atlantic/Azores": ["2024-03-31T01:00Z", "2024-10-27T01:00Z"],
    "America/St_Johns": ["2010-03-14T03:31Z", "2010-11-07T02:31Z"],  # one minute past midnight
    "Pacific/Apia": ["2011-12-30T10:00Z"],  # a day is missing
    "Asia/Kathmandu": ["1985-12-31T18:30Z"],  # a quarter of an hour
    "UTC": ["2024-02-29T00:00Z", "2000-01-01T00:00Z", "2100-02-28T00:00Z"],
}


def walk(line: str, tz: str, after: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the scheduled times in (after, until], minute by minute."""
    words = line.lower().split()
    seconds = sorted(values("second", words.pop(0))) if len(words) == 6 else [0]
    zone = ZoneInfo(tz)
    wild = words[0][0] == "*" or words[1][0] == "*"
    at = after.astimezone(UTC).replace(second=0, microsecond=0)
    before = (at - MINUTE).astimezone(zone).utcoffset()
    while at <= until:
        local = at.astimezone(zone)
        offset = local.utcoffset()
        assert offset is not None
        assert before is not None
        found = []
        if not wild and timedelta() < offset - before < timedelta(hours=3):
            gap = local.replace(tzinfo=None) - (offset - before)
            if any(matches(words, gap + MINUTE * n) for n in range((offset - before) // MINUTE)):
                found.append(at)
        if matches(words, local) and (wild or not local.fold):
            found += [at + timedelta(seconds=second) for second in seconds]
        yield from (each for each in sorted(set(found)) if after < each <= until)
        at, before = at + MINUTE, offset


def matches(words: list[str], local: datetime) -> bool:
    minute, hour, day, month, week = words
    if local.minute not in values("minute", minute) or local.hour not in values("hour", hour):
        return False
    if local.month not in values("month", month):
        return False
    by_date = any(_is_day(term, local) for term in day.split(","))
    by_weekday = any(_is_weekday(term, local) for term in week.split(","))
    if day[0] in "*?" or week[0] in "*?":
        return by_date and by_weekday
    return by_date or by_weekday


@cache
def values(field: str, text: str) -> frozenset[int]:
    low, high = BOUNDS[field]
    found = set()
    for term in text.split(","):
        first, _, step = term.partition("/")
        start, dash, end = first.partition("-")
        if start in ("*", "?"):
            span = range(low, high + 1)
        elif dash:
            span = range(_number(start), _number(end) + 1)
        else:
            only = _number(start) % 7 if field == "week" else _number(start)
            span = range(only, high + 1 if step else only + 1)
        found.update(list(span)[:: int(step or 1)] or [_number(start)])
    return frozenset(value % 7 for value in found) if field == "week" else frozenset(found)


def _is_day(term: str, local: datetime) -> bool:
    length = calendar.monthrange(local.year, local.month)[1]
    workdays = _workdays(local.year, local.month)
    if term == "l":
        return local.day == length
    if term == "lw":
        return local.day == workdays[-1]
    if term.endswith("w"):
        wanted = int(term[:-1])
        return wanted <= length and local.day == min(workdays, key=lambda n: abs(n - wanted))
    return local.day in values("day", term)


@cache
def _workdays(year: int, month: int) -> list[int]:
    length = calendar.monthrange(year, month)[1]
    return [n for n in range(1, length + 1) if calendar.weekday(year, month, n) < 5]


def _is_weekday(term: str, local: datetime) -> bool:
    length = calendar.monthrange(local.year, local.month)[1]
    weekday = local.isoweekday() % 7
    if "#" in term:
        wanted, _, number = term.partition("#")
        return weekday == _number(wanted) % 7 and (local.day - 1) // 7 + 1 == int(number)
    if term.startswith("l") or term.endswith("l"):
        return weekday == _number(term.strip("l")) % 7 and local.day + 7 > length
    return weekday in values("week", term)


def _number(text: str) -> int:
    return NAMES[text] if text in NAMES else int(text)


def terms(field: str, *, star: bool = True) -> st.SearchStrategy[str]:
    low, high = BOUNDS[field]
    if field == "week":
        high = 7
    one = st.integers(low, high)
    pair = st.tuples(one, one).map(sorted)
    step = st.integers(1, high + 5)
    kinds = [
        one.map(str),
        pair.map(lambda p: f"{p[0]}-{p[1]}"),
        st.tuples(pair, step).map(lambda p: f"{p[0][0]}-{p[0][1]}/{p[1]}"),
        st.tuples(st.integers(low, high - 1), step).map(lambda p: f"{p[0]}/{p[1]}"),
    ]
    if star:
        kinds += [st.just("*"), step.map(lambda n: f"*/{n}")]
    return st.one_of(kinds)


def fields(field: str) -> st.SearchStrategy[str]:
    listed = st.lists(terms(field), min_size=1, max_size=3).map(",".join)
    kinds = [st.just("*"), terms(field), listed]
    if field == "day":
        kinds += [st.sampled_from(["?", "L", "LW", "1W", "15W", "28W", "31W", "L,1", "10-12,L"])]
    if field == "week":
        kinds += [
            st.sampled_from(["?", "1#1", "5#5", "fri#2,3", "5L", "L0", "monL,2", "mon-fri", "Sat,sun", "7#1"])
        ]
    if field == "month":
        kinds += [st.sampled_from(["*", "*", "jan-jun", "Mar,oct", "*"])]
    return st.one_of(kinds)


LINES = st.tuples(*(fields(field) for field in ("minute", "hour", "day", "month", "week"))).map(" ".join)
# Most days match, or nothing would be seen within the few that a walk can afford.
DENSE_LINES = st.tuples(
    fields("minute"),
    fields("hour"),
    st.sampled_from(["*", "*", "?", "*/2", "L"]),
    st.just("*"),
    fields("week"),
).map(" ".join)
SIX_FIELDS = st.tuples(fields("second"), DENSE_LINES).map(" ".join)
MOMENTS = st.sampled_from([(tz, when) for tz, times in CHANGES.items() for when in times])
