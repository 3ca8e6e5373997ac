"""Reads values from JSON fields, and refuses what they cannot be."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from schedcore._encoding import OPTIONS, PAST, RUN, SPEC, TRIGGER, Fields, Table, encode
from schedcore._state import NONE_YET, AppState, JobState, Loss, Options, Past, Pause, Recent, Spec, interned
from schedcore.protocols import Kind, Run, Status, Trigger

_KINDS = {str(kind): kind for kind in Kind}
_STATUSES = {str(status): status for status in Status}
_JOB = frozenset(
    {"spec", "since", "mark", "declared_by", "declared_at", "outstanding", "waiting", "pauses"}
    | {"counters", "manual", "recent", "last_success", "orphaned_at", "past", "losses"}
)


class LaterError(Exception):
    """There is a word that this release does not know, where a choice is made by it."""


PLAIN_TRIGGER = re.compile(
    rb'\{"format":1,"type":"trigger","job":"([ !#-[\]-~]+)","key":"([ !#-[\]-~]+)"'
    rb',"scheduled_at":([0-9]{1,18})(?:,"kind":"(late|manual|backfill)")?'
    rb'(?:,"options":"((?:[ !#-[\]-~]|\\["\\])*)")?\}'
)
"""A trigger with nothing unusual, as `dump` writes it: nearly all are, and JSON takes twice as long."""


def plain_trigger(there: re.Match[bytes]) -> Trigger:
    """Read what `PLAIN_TRIGGER` matched."""
    job, key, at, kind, options = there.groups()
    of_kind = Kind.SCHEDULED if kind is None else _KINDS[kind.decode()]
    return Trigger(job.decode(), key.decode(), int(at), of_kind, _quoted_options(options))


@lru_cache(maxsize=4096)
def _quoted_options(quoted: bytes | None) -> Options | None:
    return None if quoted is None else _options(json.loads(b'"%b"' % quoted))


def _job(fields: Fields) -> JobState:
    get = fields.get
    counters, manual, last, orphaned = (
        get("counters"),
        get("manual"),
        get("last_success"),
        get("orphaned_at"),
    )
    return JobState(
        _spec(fields["spec"]),
        _instant(fields["since"]),
        _instant(fields["mark"]),
        _text(fields["declared_by"]),
        _instant(fields["declared_at"]),
        _keys(get("outstanding", ())),
        tuple([_waiting(each) for each in get("waiting", ())]),
        _pauses(get("pauses", ())),
        NONE_YET if counters is None else _counters(counters),
        NONE_YET if manual is None else _counters(manual),
        tuple([_recent(each) for each in get("recent", ())]),
        None if last is None else _instant(last),
        None if orphaned is None else _instant(orphaned),
        tuple([_past(dict(each)) for each in get("past", ())]),
        None if fields.keys() <= _JOB else {name: fields[name] for name in fields if name not in _JOB},
        tuple([_loss(dict(each)) for each in get("losses", ())]),
    )


def _app(fields: Fields) -> AppState:
    pauses = _pauses(fields.pop("pauses", ()))
    return AppState(pauses, fields or None)


def _pauses(each: Iterable[Fields]) -> tuple[Pause, ...]:
    return tuple([_pause(dict(fields)) for fields in each])


def _pause(fields: Fields) -> Pause:
    start, end, note = fields.pop("start"), fields.pop("end"), fields.pop("note")
    return Pause(_instant(start), None if end is None else _instant(end), _text(note), _extra(fields))


def _loss(fields: Fields) -> Loss:
    after, until = fields.pop("after"), fields.pop("until")
    return Loss(_instant(after), _instant(until), _extra(fields))


def _past(fields: Fields) -> Past:
    expression, after, until = fields.pop("expression"), fields.pop("after"), fields.pop("until")
    known = _known(fields, PAST)
    return Past(_text(expression), _instant(after), _instant(until), **known, extra=_extra(fields))


def _recent(fields: Fields) -> Recent:
    key, at, outcome = fields.pop("key"), fields.pop("at"), fields.pop("outcome")
    detail, ended = _text(fields.pop("detail", "")), fields.pop("ended_at", None)
    ended = None if ended is None else _instant(ended)
    return Recent(_text(key), _instant(at), _text(outcome), detail, ended, _extra(fields))


def _waiting(fields: Fields) -> Trigger:
    return _trigger(dict(fields))


def _trigger(fields: Fields) -> Trigger:
    pop = fields.pop
    job, key, at = _text(pop("job")), _text(pop("key")), _instant(pop("scheduled_at"))
    kind = _word(_KINDS, pop("kind", "scheduled"))
    options = _trigger_options(pop("options", None))
    if not fields:
        return Trigger(job, key, at, kind, options)
    known = _known(fields, TRIGGER)
    return Trigger(job, key, at, kind, options, **known, extra=_extra(fields))


def _trigger_options(there: object) -> object:
    if there is None:
        return None
    if isinstance(there, dict):
        return there["plain"]
    return _options(_text(there))


def _run(fields: Fields) -> Run:
    job, at = _text(fields["job"]), _instant(fields["scheduled_at"])
    status, kind = _word(_STATUSES, fields["status"]), _word(_KINDS, fields["kind"])
    return Run(job, at, status, kind, **_known(fields, RUN))


def _plain(fields: Fields) -> object:
    return fields["value"]


@lru_cache(maxsize=4096)
def _spec(text: str) -> Spec:
    fields = json.loads(_text(text))
    expression, options = _text(fields.pop("expression")), _options_of(fields.pop("options"))
    known = _known(fields, SPEC)
    spec: Spec = interned(Spec(expression, **known, options=options, extra=_extra(fields)))
    return spec


@lru_cache(maxsize=4096)
def _options(text: str) -> Options:
    return _options_of(json.loads(text))


def _options_of(fields: Fields) -> Options:
    known = _known(fields, OPTIONS)
    options: Options = interned(Options(**known, extra=_extra(fields)))
    return options


def _known(fields: Fields, table: Table) -> Fields:
    """Take out the fields of a table, with what is taken for granted where there is none."""
    return {
        name: _checked(name, fields.pop(name), allowed) if name in fields else usual
        for name, (usual, allowed) in table.items()
    }


def _checked(name: str, value: object, allowed: tuple[object, ...]) -> object:
    if type(value) in allowed or value in allowed:
        return value
    if isinstance(allowed[0], str) and isinstance(value, str):
        raise LaterError
    raise TypeError(f"{name} cannot be {value!r:.40}")


def _word(words: Mapping[str, Any], word: object) -> Any:
    if word in words:
        return words[_text(word)]
    _text(word)
    raise LaterError


def _extra(fields: Fields) -> str:
    return encode(fields) if fields else ""


def _instant(value: object) -> int:
    if type(value) is not int:
        raise TypeError(f"an instant cannot be {value!r:.40}")
    return value


def _text(value: object) -> str:
    if type(value) is not str:
        raise TypeError(f"a text cannot be {value!r:.40}")
    return value


def _keys(values: object) -> tuple[str, ...]:
    if type(values) is list:
        keys = tuple(values)
        for key in keys:
            if type(key) is not str:
                raise TypeError(f"a key cannot be {key!r:.40}")
        return keys
    if values == ():
        return ()
    raise TypeError(f"outstanding cannot be {values!r:.40}")


def _counters(counters: object) -> dict[str, int]:
    if type(counters) is not dict or not set(map(type, counters.values())) <= {int}:
        raise TypeError(f"counters cannot be {counters!r:.40}")
    return counters


READERS: dict[str, Callable[[Fields], object]] = {
    "job": _job,
    "app": _app,
    "trigger": _trigger,
    "run": _run,
    "plain": _plain,
}
