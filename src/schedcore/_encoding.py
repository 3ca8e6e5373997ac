"""Writes values as JSON fields, by hand where it is on the path of every trigger.

The values are our own, so their types are right. Fields that have the value which format 1 takes for
granted are left out; these values are spelled out here, because a default that changes elsewhere must
not change what old bytes mean.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from json.encoder import encode_basestring_ascii as _quoted
from typing import Any, TypeAlias, get_args

from schedcore._state import (
    AppState,
    CatchUp,
    DeliveryMode,
    JobState,
    Loss,
    OnDoubt,
    Options,
    Overlap,
    Past,
    Pause,
    Recent,
    Spec,
)
from schedcore.protocols import Kind, Run, Trigger

Fields: TypeAlias = dict[str, Any]
Table: TypeAlias = Mapping[str, tuple[object, tuple[object, ...]]]
"""Per field: what format 1 takes for granted, and what may be there: types, or words."""

_INT, _MAYBE_INT, _TEXT, _MAYBE_TEXT = (int,), (int, type(None)), (str,), (str, type(None))

OPTIONS: Table = {
    "overlap": ("skip", get_args(Overlap)),
    "catch_up": ("latest", get_args(CatchUp)),
    "catch_up_within": (None, _MAYBE_INT),
    "max_catch_up": (100, _INT),
    "grace": (60_000_000, _INT),
    "delivery": ("at_least_once", get_args(DeliveryMode)),
    "retries": (0, _INT),
    "timeout": (None, _MAYBE_INT),
    "on_doubt": ("continue", get_args(OnDoubt)),
    "history": (200, _INT),
    "history_days": (30, (int, float)),
    "traceback": (True, (bool,)),
}
SPEC: Table = {
    "tz": ("UTC", _TEXT),
    "key": ("", _TEXT),
    "jitter": (0, _INT),
    "start_at": (None, _MAYBE_INT),
    "until": (None, _MAYBE_INT),
    "enabled": (True, (bool,)),
}
PAST: Table = {
    "tz": ("UTC", _TEXT),
    "key": ("", _TEXT),
}
TRIGGER: Table = {
    "payload": (None, _MAYBE_TEXT),
    "missed": (0, _INT),
}
RUN: Table = {
    "key": ("", _TEXT),
    "last_at": (None, _MAYBE_INT),
    "count": (1, _INT),
    "detail": ("", _TEXT),
    "replica": ("", _TEXT),
    "started_at": (None, _MAYBE_INT),
    "ended_at": (None, _MAYBE_INT),
    "attempt": (0, _INT),
    "delivery": (0, _INT),
    "payload": (None, _MAYBE_TEXT),
}

encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def _job_text(state: JobState) -> str:
    text = (
        f'"type":"job","spec":{_spec_text(state.spec)},"since":{state.since},"mark":{state.mark},'
        f'"declared_by":{_quoted(state.declared_by)},"declared_at":{state.declared_at}'
    )
    if state.outstanding:
        text += f',"outstanding":[{",".join([_quoted(key) for key in state.outstanding])}]'
    if state.counters:
        text += f',"counters":{_counters_text(state.counters)}'
    if state.last_success is not None:
        text += f',"last_success":{state.last_success}'
    if state.waiting:
        text += f',"waiting":[{",".join([f"{{{_trigger_fields(t)}}}" for t in state.waiting])}]'
    if state.manual:
        text += f',"manual":{_counters_text(state.manual)}'
    if state.recent:
        text += f',"recent":[{",".join([recent.json for recent in state.recent])}]'
    if state.orphaned_at is not None:
        text += f',"orphaned_at":{state.orphaned_at}'
    if state.past:
        text += f',"past":[{",".join([_past_text(past) for past in state.past])}]'
    if state.losses:
        text += f',"losses":[{",".join([_loss_text(loss) for loss in state.losses])}]'
    return text + _pauses_text(state.pauses) + _more(state.extra)


def _app_text(state: AppState) -> str:
    return f'"type":"app"{_pauses_text(state.pauses)}{_more(state.extra)}'


def _pauses_text(pauses: tuple[Pause, ...]) -> str:
    if not pauses:
        return ""
    return f',"pauses":[{",".join([_pause_text(pause) for pause in pauses])}]'


def _pause_text(pause: Pause) -> str:
    end = "null" if pause.end is None else pause.end
    return f'{{"start":{pause.start},"end":{end},"note":{_quoted(pause.note)}{_tail(pause.extra)}}}'


def _past_text(past: Past) -> str:
    fields = {"expression": past.expression, "after": past.after, "until": past.until}
    return f"{{{encode(fields | _unusual(past, PAST))[1:-1]}{_tail(past.extra)}}}"


def _loss_text(loss: Loss) -> str:
    return f'{{"after":{loss.after},"until":{loss.until}{_tail(loss.extra)}}}'


def recent_text(recent: Recent) -> str:
    """Write what is remembered of a key."""
    detail = f',"detail":{_quoted(recent.detail)}' if recent.detail else ""
    ended = "" if recent.ended_at is None else f',"ended_at":{recent.ended_at}'
    return (
        f'{{"key":{_quoted(recent.key)},"at":{recent.at},"outcome":{_quoted(recent.outcome)}'
        f"{detail}{ended}{_tail(recent.extra)}}}"
    )


def _counters_text(counters: Mapping[str, int]) -> str:
    return f"{{{','.join([f'{_quoted(name)}:{number}' for name, number in counters.items()])}}}"


def _more(extra: Mapping[str, object] | None) -> str:
    return _tail(encode(extra)) if extra else ""


def _tail(extra: str) -> str:
    """Append the fields of a JSON object to those of another."""
    return f",{extra[1:-1]}" if len(extra) > 2 else ""


def _trigger_text(trigger: Trigger) -> str:
    return f'"type":"trigger",{_trigger_fields(trigger)}'


def _trigger_fields(trigger: Trigger) -> str:
    text = f'"job":{_quoted(trigger.job)},"key":{_quoted(trigger.key)},"scheduled_at":{trigger.scheduled_at}'
    if trigger.kind is not Kind.SCHEDULED:
        text += f',"kind":{_quoted(trigger.kind)}'
    if isinstance(trigger.options, Options):
        text += f',"options":{_options_text(trigger.options)}'
    elif trigger.options is not None:
        text += f',"options":{encode({"plain": trigger.options})}'
    if trigger.payload is not None:
        text += f',"payload":{_quoted(trigger.payload)}'
    if trigger.missed:
        text += f',"missed":{trigger.missed}'
    return text + _tail(trigger.extra)


def _run_text(run: Run) -> str:
    text = (
        f'"type":"run","job":{_quoted(run.job)},"scheduled_at":{run.scheduled_at},'
        f'"status":"{run.status._value_}","kind":"{run.kind._value_}"'
    )
    if run.key:
        text += f',"key":{_quoted(run.key)}'
    if run.last_at is not None:
        text += f',"last_at":{run.last_at}'
    if run.count != 1:
        text += f',"count":{run.count}'
    if run.detail:
        text += f',"detail":{_quoted(run.detail)}'
    if run.replica:
        text += f',"replica":{_quoted(run.replica)}'
    if run.started_at is not None:
        text += f',"started_at":{run.started_at}'
    if run.ended_at is not None:
        text += f',"ended_at":{run.ended_at}'
    if run.attempt:
        text += f',"attempt":{run.attempt}'
    if run.payload is not None:
        text += f',"payload":{_quoted(run.payload)}'
    return f'{text},"delivery":{run.delivery}' if run.delivery else text


@lru_cache(maxsize=4096)
def _spec_text(spec: Spec) -> str:
    """Write a spec as text in a string, so that reading finds it again without parsing it."""
    fields = {"expression": spec.expression} | _unusual(spec, SPEC)
    return _quoted(f'{encode(fields)[:-1]},"options":{_options_json(spec.options)}{_tail(spec.extra)}}}')


@lru_cache(maxsize=4096)
def _options_text(options: Options) -> str:
    return _quoted(_options_json(options))


def _options_json(options: Options) -> str:
    text = encode(_unusual(options, OPTIONS))
    tail = _tail(options.extra)
    return f"{{{tail[1:]}}}" if text == "{}" else f"{text[:-1]}{tail}}}"


def _unusual(value: object, table: Table) -> Fields:
    return {name: there for name, (usual, _) in table.items() if (there := getattr(value, name)) != usual}


WRITERS: dict[type, Callable[[Any], str]] = {
    JobState: _job_text,
    AppState: _app_text,
    Trigger: _trigger_text,
    Run: _run_text,
}
