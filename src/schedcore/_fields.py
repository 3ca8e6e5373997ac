"""A cron line's fields, from text to bit masks.

croniter expands the fields. What it reads otherwise than cron does is refused or rewritten before it gets
there: ranges of one value (it takes the whole field), reversed ones (it wraps them, stepped ones wrongly),
numbers too long for `int`, Unicode blanks. What is peculiar to days (`L`, `W`, `#`) and `H` never get there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import Any, NamedTuple

from schedcore._days import ALL_DAYS, ALL_MONTHS, ALL_WEEKDAYS, DayRule
from schedcore.errors import ScheduleError

_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
_WEEKDAYS = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}
_ORDINARY = re.compile(r"(\*|\d{1,9}|[a-z]{3})(?:-(\d{1,9}|[a-z]{3}))?(?:/(\d{1,9}))?", re.ASCII).fullmatch
_HASHED = re.compile(r"h(?:\((\d{1,9})-(\d{1,9})\))?(?:/(\d{1,9}))?", re.ASCII).fullmatch
_NEAR = re.compile(r"(\d{1,9})w", re.ASCII).fullmatch
_LAST = re.compile(r"(\d|[a-z]{3})l|l(\d)", re.ASCII).fullmatch
_NTH = re.compile(r"(\d|[a-z]{3})#(\d{1,9})", re.ASCII).fullmatch


class Field(NamedTuple):
    """One position of a cron line."""

    name: str
    low: int
    high: int  # the greatest value that may be written: Sunday is 7, too
    high_hash: int  # the greatest for H: a 29th would leave months out, a 7 would be a second Sunday
    every: int  # the mask of the whole field
    names: Mapping[str, int] = MappingProxyType({})


_SECOND = Field("second", 0, 59, 59, (1 << 60) - 1)
_MINUTE = Field("minute", 0, 59, 59, (1 << 60) - 1)
_HOUR = Field("hour", 0, 23, 23, (1 << 24) - 1)
_DAY = Field("day of month", 1, 31, 28, ALL_DAYS)
_MONTH = Field("month", 1, 12, 12, ALL_MONTHS, _MONTHS)
_WEEKDAY = Field("day of week", 0, 7, 6, ALL_WEEKDAYS, _WEEKDAYS)
_FIELDS = (_SECOND, _MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY)


class CronLine(NamedTuple):
    """A cron line, parsed; bit n of a mask stands for the value n."""

    seconds: int
    minutes: int
    hours: int
    days: DayRule
    wild: bool


class _FieldError(Exception):
    """Why a field cannot be used, and what can be done."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy


def parse_cron_line(text: str, key: str) -> CronLine:
    """Parse five fields, or six with the seconds first.

    Args:
        text: printable ASCII and blanks.
        key: what `H` is hashed on.

    Raises:
        ScheduleError: it is no cron line; the field is named where there is one.
    """
    words = text.lower().split()
    if not 5 <= len(words) <= 6:
        raise _wrong_number(text, len(words))
    fields = _FIELDS[-len(words) :]
    rest, special = list(words), dict[str, Any]()
    for index, field in enumerate(fields):
        word = words[index]
        if word == "*" or (len(word) < 3 and word.isdigit() and field.low <= int(word) <= field.high):
            continue
        try:
            if field is _DAY or field is _WEEKDAY:
                word = _take_special(field, word, special)
            rest[index] = ",".join([_rewritten(field, term, key) for term in word.split(",")])
        except _FieldError as refused:
            raise ScheduleError(text, refused.problem, field=field.name, remedy=refused.remedy) from None
    masks = _expanded(fields, rest)
    return _line(words, masks, special)


def _line(words: list[str], masks: list[int], special: dict[str, Any]) -> CronLine:
    seconds = masks[0] if len(masks) == 6 else 1
    minutes, hours, days, months, weekdays = masks[-5:]
    minute, hour, day, _, weekday = words[-5:]
    both = day[0] in "*?" or weekday[0] in "*?"
    rule = DayRule(days, months, weekdays, both=both)
    if special:
        rule = rule._replace(**special)
    return CronLine(seconds, minutes, hours, rule, minute[0] == "*" or hour[0] == "*")


def _expanded(fields: tuple[Field, ...], words: list[str]) -> list[int]:
    values, _ = _croniter_expand()(" ".join(words), second_at_beginning=True)
    if len(fields) == 6:
        values.insert(0, values.pop())  # croniter has the seconds last, whatever it was given
    return [
        _mask(field, found) if found != ["*"] else field.every
        for field, found in zip(fields, values, strict=True)
    ]


@cache
def _croniter_expand() -> Any:
    # Importing croniter costs 150 ms, which a process that parses nothing should not pay.
    return import_module("croniter").croniter.expand


def _mask(field: Field, values: list[Any]) -> int:
    if "*" in values:
        return field.every
    mask = 0
    for value in values:
        mask |= 1 << value
    return mask


def _take_special(field: Field, word: str, special: dict[str, Any]) -> str:
    """Move what only the day fields know into `special`; return the rest, `*` if nothing is left."""
    if word == "?":
        return "*"
    take = _take_day if field is _DAY else _take_weekday
    terms = word.split(",")
    rest = [term for term in terms if not take(term, special, alone=len(terms) == 1)]
    if not rest:
        special["days" if field is _DAY else "weekdays"] = 0
    return ",".join(rest) or "*"


def _take_day(term: str, special: dict[str, Any], *, alone: bool) -> bool:
    near = _NEAR(term)
    if (near or term == "lw") and not alone:
        raise _FieldError(
            f"{term.upper()} stands alone, not in a list", "declare a second job for the other days"
        )
    if near:
        special["workday_near"] = _value(_DAY, near[1])
    elif term == "lw":
        special["last_workday"] = True
    elif term == "l":
        special["last_day"] = True
    else:
        return False
    return True


def _take_weekday(term: str, special: dict[str, Any], *, alone: bool) -> bool:
    last, nth = _LAST(term), _NTH(term)
    if last:
        special["last"] = special.get("last", 0) | 1 << _value(_WEEKDAY, last[1] or last[2]) % 7
    elif nth:
        week = int(nth[2])
        if not 1 <= week <= 5:
            raise _FieldError(
                f"a month has no weekday number {nth[2]}", "write 1 to 5 after #, or L for the last"
            )
        weeks = list(special.get("nth", (0,) * 5))
        weeks[week - 1] |= 1 << _value(_WEEKDAY, nth[1]) % 7
        special["nth"] = tuple(weeks)
    return bool(last or nth)


def _rewritten(field: Field, term: str, key: str) -> str:
    """Check a term and write it so that croniter reads it as cron does."""
    parts = _ORDINARY(term)
    if parts is None:
        if term[:1] == "h":
            return _hashed(field, term, key)
        raise _refusal(field, term)
    first, last, step = parts.groups()
    if step is not None and int(step) == 0:
        raise _FieldError("a step of 0", "write a step of 1 or more")
    if first == "*":
        if last is not None:
            raise _refusal(field, term)
        return term
    low = _value(field, first)
    return term if last is None else _range(field, term, low, _value(field, last))


def _range(field: Field, term: str, low: int, high: int) -> str:
    if low > high:
        raise _FieldError(f"the range {term!r} is reversed", f"write {_unwrapped(field, low, high)}")
    if low == high:
        return str(low)
    return term


def _unwrapped(field: Field, low: int, high: int) -> str:
    end, start = (7, 1) if field is _WEEKDAY else (field.high, field.low)
    return f"{low}-{end}" if high < start else f"{low}-{end},{start}-{high}"


def _hashed(field: Field, term: str, key: str) -> str:
    """Replace `H`, `H(a-b)`, `H/n` or `H(a-b)/n`, as Jenkins has them, by values that the key decides."""
    parts = _HASHED(term)
    if parts is None:
        raise _FieldError(f"{term!r} cannot be understood", "write H, H(0-29), H/15 or H(0-29)/10")
    if not key:
        raise _FieldError("H needs a job's name to hash", "pass key=, or write a number")
    low, high = field.low, field.high_hash
    if parts[1]:
        low, high = _value(field, parts[1]), _value(field, parts[2])
    if low > high:
        raise _FieldError(f"the range in {term.upper()} is reversed", f"write H({high}-{low})")
    step = int(parts[3]) if parts[3] else high - low + 1
    if step == 0:
        raise _FieldError("a step of 0", "write a step of 1 or more")
    from hashlib import blake2b

    digest = blake2b(f"{field.name}\0{key}".encode(errors="surrogatepass"), digest_size=8).digest()
    start = low + int.from_bytes(digest, "big") % min(step, high - low + 1)
    return ",".join(str(value % 7 if field is _WEEKDAY else value) for value in range(start, high + 1, step))


def _value(field: Field, text: str) -> int:
    if text.isdigit():
        value = int(text)
        if field.low <= value <= field.high:
            return value
        raise _FieldError(f"{value} is out of range", f"write {field.low} to {field.high}")
    if text in field.names:
        return field.names[text]
    if not field.names:
        raise _FieldError(
            f"{text!r} is no number, and the field has no names", f"write {field.low} to {field.high}"
        )
    raise _FieldError(f"{text!r} is no name of this field", f"write one of {', '.join(field.names)}")


def _refusal(field: Field, term: str) -> _FieldError:
    """Find out what is wrong with a term."""
    if not term:
        return _FieldError("a list with an empty place", "write a value on both sides of each comma")
    if term[0] == "r" and not term[1:2].isalpha():
        return _FieldError("R is not supported: each replica would pick another time", "write H")
    low = field.low
    remedy = f"write e.g. {low}, {low}-{low + 2}, */2 or {low},{low + 2}"
    if "?" in term:
        remedy = "write *; ? stands alone, as day of month or day of week"
    elif "#" in term:
        remedy = "write e.g. mon#1 or 5#3, as day of week only"
    elif re.search(r"\dw|w\d|^w$", term):
        remedy = "write e.g. 15W or LW, as day of month only"
    elif re.search(r"\dl|l\d|^l|\wl$", term):
        remedy = "write L as day of month for its last day, 5L as day of week for the last Friday"
    return _FieldError(f"{term!r} cannot be understood", remedy)


def _wrong_number(text: str, number: int) -> ScheduleError:
    if number == 7:
        return ScheduleError(
            text,
            "there is no year field",
            remedy="leave the year out; start_at= and until= bound a job's life",
        )
    remedy = (
        "write minute, hour, day of month, month, day of week, e.g. '*/5 * * * *'; "
        "with seconds, put them first"
    )
    fields = "1 field" if number == 1 else f"{number} fields"
    return ScheduleError(text, f"{fields} instead of 5 or 6", remedy=remedy)
