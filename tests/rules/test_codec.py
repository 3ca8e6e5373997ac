"""What is written for a store is read again as it was, by this release and by others."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schedcore._state import AppState, JobState, Loss, Options, Past, Pause, Recent, Spec
from schedcore.codec import CodecError, Unknown, dump, load
from schedcore.errors import SchedcoreError
from schedcore.protocols import Kind, Run, Status, Trigger

FROZEN = Path(__file__).parents[1] / "data/codec/format1.jsonl"
AT = 1_763_900_520_012_353

OPTIONS = Options(
    overlap="queue_all",
    catch_up="all",
    catch_up_within=1,
    max_catch_up=7,
    grace=0,
    delivery="at_most_once",
    retries=3,
    timeout=30_000_000,
    on_doubt="cancel",
    history=5,
    history_days=1.5,
    traceback=False,
    extra='{"colour":"red"}',
)
SPEC = Spec("H 2 * * *", "Europe/Berlin", "job", 5, AT, AT + 1, False, OPTIONS, '{"calendar":[1,null]}')
TRIGGER = Trigger("job", "manual:x", AT, Kind.MANUAL, OPTIONS, '{"a": "\u00e9"}', 3, '{"tenant":"t"}')
PAUSE = Pause(AT, AT + 1, "why", '{"by":"me"}')
PAST = Past("H 2 * * *", AT, AT + 1, "Europe/Berlin", "job", '{"by":"me"}')
RECENT = Recent("manual:x", AT, "failed", "ValueError: \ud800", AT + 1, '{"by":"me"}')
LOSS = Loss(AT, AT + 1, '{"by":"me"}')
JOB = JobState(
    SPEC,
    AT,
    AT + 1,
    "host-1-abc",
    AT + 2,
    ("1", "manual:x"),
    (TRIGGER,),
    (PAUSE,),
    {"succeeded": 3},
    {"failed": 1},
    (RECENT,),
    AT + 3,
    AT + 4,
    (PAST,),
    {"chain": {"next": ["b"]}},
    (LOSS,),
)
APP = AppState((PAUSE,), {"theme": 1.5})
RUN = Run(
    "job", AT, Status.TIMED_OUT, Kind.LATE, "1", AT + 1, 2, "slow", "host-1-abc", AT + 2, AT + 3, 4, 5, "{}"
)
FULL = [OPTIONS, SPEC, TRIGGER, PAUSE, PAST, RECENT, LOSS, JOB, APP, RUN]

micros = st.integers(-(2**62), 2**62)
maybe_micros = st.none() | micros
texts = st.text(max_size=20)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(texts, values, max_size=3),
    max_leaves=6,
)
unknown = st.dictionaries(st.text("xyz", min_size=1, max_size=3), plain, min_size=1, max_size=2)
extras = st.just("") | unknown.map(lambda fields: json.dumps(fields, separators=(",", ":")))
options = st.builds(
    Options,
    overlap=st.sampled_from(["skip", "queue_one", "queue_all", "allow"]),
    catch_up=st.sampled_from(["latest", "all", "none"]),
    catch_up_within=maybe_micros,
    max_catch_up=st.integers(1, 1000),
    grace=micros,
    delivery=st.sampled_from(["at_least_once", "at_most_once"]),
    retries=st.integers(0, 1000),
    timeout=maybe_micros,
    on_doubt=st.sampled_from(["continue", "cancel"]),
    history=st.integers(1, 1000),
    history_days=st.floats(0.001, 1e6) | st.integers(1, 30),
    traceback=st.booleans(),
    extra=extras,
)
specs = st.builds(
    Spec, texts, texts, texts, micros, maybe_micros, maybe_micros, st.booleans(), options, extras
)
kinds = st.sampled_from(list(Kind))
triggers = st.builds(
    Trigger,
    texts,
    texts,
    micros,
    kinds,
    st.none() | options | plain,
    st.none() | texts,
    st.integers(0),
    extras,
)
pauses = st.lists(st.builds(Pause, micros, maybe_micros, texts, extras), max_size=2).map(tuple)
losses = st.lists(st.builds(Loss, micros, micros, extras), max_size=2).map(tuple)
pasts = st.lists(st.builds(Past, texts, micros, micros, texts, texts, extras), max_size=2).map(tuple)
recents = st.lists(st.builds(Recent, texts, micros, texts, texts, maybe_micros, extras), max_size=2).map(
    tuple
)
counters = st.dictionaries(st.sampled_from(list(Status)) | texts, st.integers(0), max_size=3)
keys = st.lists(texts, max_size=3).map(tuple)
mappings = st.none() | unknown
jobs = st.builds(
    JobState,
    specs,
    micros,
    micros,
    texts,
    micros,
    keys,
    st.lists(triggers, max_size=2).map(tuple),
    pauses,
    counters,
    counters,
    recents,
    maybe_micros,
    maybe_micros,
    pasts,
    mappings,
    losses,
)
apps = st.builds(AppState, pauses, mappings)
runs = st.builds(
    Run,
    texts,
    micros,
    st.sampled_from(list(Status)),
    kinds,
    texts,
    maybe_micros,
    st.integers(0),
    texts,
    texts,
    maybe_micros,
    maybe_micros,
    st.integers(0),
    st.integers(0),
    st.none() | texts,
)
values = jobs | apps | triggers | runs | plain
few = settings(max_examples=150, deadline=None, derandomize=True, database=None)


@few
@given(values)
def test_what_was_written_is_read(value: object) -> None:
    """Rows, triggers, lines and JSON values come back equal, and of their type."""
    data = dump(value)
    assert data.isascii()
    assert b"\n" not in data
    back = load(data)
    assert back == value
    assert type(back) is type(value)
    assert dump(back) == data


@pytest.mark.parametrize("value", FULL, ids=lambda value: type(value).__name__)
def test_no_field_is_forgotten(value: attrs.AttrsInstance) -> None:
    """The samples of this file differ from the default in every field, and so do those that come back."""
    for field in attrs.fields(type(value)):
        assert getattr(value, field.name) != field.default, field.name
    back = load(dump(JOB))
    assert isinstance(back, JobState)
    nested = [
        back.spec.options,
        back.spec,
        back.waiting[0],
        back.pauses[0],
        back.recent[0],
        back.past[0],
        back.losses[0],
        back,
    ]
    assert value in [*nested, load(dump(APP)), load(dump(RUN))]


def test_frozen_bytes_are_read() -> None:
    """Bytes that the first release wrote mean what they meant; this file is added to, and never changed."""
    expected = [
        attrs.evolve(JOB, past=(), losses=(), recent=(attrs.evolve(RECENT, ended_at=None),)),
        JobState(Spec("*/5 * * * *"), AT, AT, "r", AT),
        APP,
        AppState(),
        TRIGGER,
        Trigger("job", str(AT), AT, options=Options()),
        attrs.evolve(RUN, payload=None),
        Run("job", AT, Status.SUCCEEDED),
        {"jobs": 3},
        attrs.evolve(JOB, losses=()),
        JobState(Spec("@every 1s"), AT, AT, "r", AT, past=(Past("@every 2s", AT, AT + 1),)),
        RUN,
        JOB,
    ]
    lines = FROZEN.read_bytes().splitlines()
    assert [load(line) for line in lines] == expected


def test_defaults_of_old_bytes_are_those_of_format_one() -> None:
    """What format 1 leaves out means what is said here, whatever the defaults of today are."""
    data = b'{"format":1,"type":"trigger","job":"j","key":"1","scheduled_at":1,"options":"{}"}'
    back = load(data)
    assert isinstance(back, Trigger)
    assert back.options == Options(
        overlap="skip",
        catch_up="latest",
        catch_up_within=None,
        max_catch_up=100,
        grace=60_000_000,
        delivery="at_least_once",
        retries=0,
        timeout=None,
        on_doubt="continue",
        history=200,
        history_days=30,
        traceback=True,
    )


def test_equal_definitions_are_one_object() -> None:
    """A thousand rows of equal definition share it, in whatever order its fields were written."""
    first, second = load(dump(JOB)), load(dump(attrs.evolve(JOB, mark=5)))
    turned = dump(JOB).replace(
        rb"\"tz\":\"Europe/Berlin\",\"key\":\"job\"", rb"\"key\":\"job\",\"tz\":\"Europe/Berlin\""
    )
    assert turned != dump(JOB)
    third = load(turned)
    assert isinstance(first, JobState)
    assert isinstance(second, JobState)
    assert isinstance(third, JobState)
    assert first.spec is second.spec is third.spec
    assert isinstance(first.waiting[0].options, Options)
    assert first.waiting[0].options is first.spec.options


@pytest.mark.parametrize(
    "data",
    [
        b'{"format":2,"type":"job"}',
        b'{"format":12}',
        b'{"format":2,\x00\xff no JSON any more',
        b'{"format":1,"type":"chain","jobs":[]}',
        b'{"format":1,"type":"trigger","job":"j","key":"k","scheduled_at":1,"kind":"chained"}',
        b'{"format":1,"type":"run","job":"j","scheduled_at":1,"status":"vetoed","kind":"scheduled"}',
        dump(JOB).replace(b"queue_all", b"newest_wins"),
    ],
)
def test_what_a_later_release_wrote_is_kept(data: bytes) -> None:
    """A higher format, and a word that decides something and is not known here, are kept as they are."""
    back = load(data)
    assert back == Unknown(data)
    assert dump(back) is data


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"", "do not begin"),
        (b"null", "do not begin"),
        (b"\x80\x04K\x01.", "do not begin"),
        (b'{"format":0,"type":"job"}', "no format 0"),
        (b'{"format":1,"type":"job"', "delimiter"),
        (b'{"format":1,"type":"job"}', "'spec' is missing"),
        (b'{"format":1,"kind":"job"}', "'type' is missing"),
        (b'{"format":1,"type":[]}', "unhashable"),
        (b'{"format":1,"type":"plain","value":NaN}', "NaN is no JSON"),
        (b'{"format":1,"type":"plain","value":"\xff"}', "ascii"),
        (b'{"format":1,"type":"plain","value":' + b"[" * 100_000, "while decoding a JSON array"),
        (dump(JOB).replace(b'"since":1', b'"since":0.1'), "an instant cannot be 0.1"),
        (dump(JOB).replace(b'"succeeded":3', b'"succeeded":true'), "counters cannot be"),
        (dump(JOB).replace(b'"outstanding":["1"', b'"outstanding":[1'), "a key cannot be 1"),
        (dump(JOB).replace(rb"\"retries\":3", rb"\"retries\":\"3\""), "retries cannot be '3'"),
        (dump(RUN).replace(b'"count":2', b'"count":null'), "count cannot be None"),
    ],
    ids=range(16),
)
def test_bad_bytes_are_named(data: bytes, named: str) -> None:
    """Bytes that nobody can have written say what is wrong with them, in one kind of error."""
    with pytest.raises(CodecError, match="cannot be read") as caught:
        load(data)
    assert named in str(caught.value)
    assert isinstance(caught.value, SchedcoreError)
    assert isinstance(caught.value, ValueError)
    assert len(str(caught.value)) < 400


@few
@given(
    st.builds(
        Trigger,
        st.from_regex(r"[a-zA-Z0-9._:/-]{1,9}", fullmatch=True),
        st.from_regex(r"[ -~]{1,9}|[0-9]{16}", fullmatch=True),
        st.integers(-(10**19), 10**19),
        st.sampled_from(Kind),
        st.none() | st.builds(Options, overlap=st.sampled_from(["skip", "allow"]), retries=st.integers(0, 2)),
    )
)
def test_a_trigger_is_read_the_same_with_and_without_json(trigger: Trigger) -> None:
    """Those with nothing unusual, which are nearly all, are read without; a space sends them the long way."""
    data = dump(trigger)
    assert load(data) == load(data.replace(b'"type":"trigger",', b'"type":"trigger", ', 1)) == trigger


@given(values, st.data())
def test_damaged_bytes_raise_nothing_else(value: object, data: st.DataObject) -> None:
    """Whatever befalls the bytes: a value comes back, or `CodecError` is raised."""
    good = dump(value)
    start = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(start, min(len(good), start + 5)))
    new = data.draw(st.binary(max_size=2) | st.sampled_from([b"null", b"[]", b"{}", b"1e3", b'""', b"true"]))
    with suppress(CodecError):
        dump(load(good[:start] + new + good[end:]))


@pytest.mark.parametrize(
    "value", [object(), float("nan"), b"bytes", {"a": {1, 2}}, Options(), [float("inf")]]
)
def test_what_cannot_be_kept_is_refused(value: object) -> None:
    """Only what can be read again is written."""
    with pytest.raises(CodecError, match=f"a {type(value).__name__} cannot be kept"):
        dump(value)
