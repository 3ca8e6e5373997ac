"""What goes into the commit script, and what comes out of the scripts."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgpack import packb

from sched_redis._keys import Keys, trigger_key, trigger_name
from schedcore import codec
from schedcore.errors import CodecError
from schedcore.protocols import Answer, Delivery, Micros, Row, Status, Step, Trigger, Verdict

log = logging.getLogger("schedcore")

dump = codec.dump


def chunks(steps: Sequence[Step], most: int) -> Iterator[Sequence[Step]]:
    """Cut steps into parts that concern at most so many rows, triggers and deliveries, or one step."""
    begin = weight = 0
    for place, step in enumerate(steps):
        own = 1 + len(step.send) + len(step.done)
        if weight and weight + own > most:
            yield steps[begin:place]
            begin, weight = place, 0
        weight += own
    if begin < len(steps):
        yield steps[begin:]


def encode(steps: Sequence[Step], keys: Keys) -> tuple[list[str], bytes]:
    """Write steps as `commit.lua` reads them, and name the keys that it needs for them, in order of use."""
    used: list[str] = []
    done: list[str] = []
    jobs: dict[str, None] = {}
    fields: list[object] = []
    for step in steps:
        (job, version), *others = step.expects
        jobs[job] = None
        data, keep = step.data is not None and dump(step.data), step.keep
        fields += (step.id, job, data, step.not_before, version)
        fields += (len(others), len(step.send), len(step.done), len(step.runs))
        fields += (keep.lines, keep.failures, keep.age)
        for other in others:
            jobs[other[0]] = None
            fields += other
        for trigger in step.send:
            name = f"{trigger.job} {trigger.key}"
            used.append(keys.lock(name))
            fields += (name, dump(trigger))
        for delivery in step.done:
            name = f"{delivery.trigger.job} {delivery.trigger.key}"
            done.append(name)
            fields += (name, delivery.token)
        for run in step.runs:
            fields += (run.status is not Status.SUCCEEDED, dump(run))
        if step.runs or not version:
            used += keys.history(job)
    packed: bytes = packb((list(jobs), done, fields), use_bin_type=False)
    return used, packed


def name_of(trigger: Trigger) -> str:
    """Name a trigger."""
    return trigger_name(trigger.job, trigger.key)


class Decoder:
    """Reads what the scripts answer; the app's row, which comes with every answer, is decoded once."""

    def __init__(self) -> None:
        """Begin without an app's row."""
        self._app: tuple[bytes | None, object] = (None, None)

    def answers(self, steps: Sequence[Step], said: Any) -> list[Answer]:
        """Read the answer to a commit."""
        now = int(said[0])
        for key, to in zip(*[map(bytes.decode, said[3])] * 2, strict=True):
            log.warning(
                "the key %s was no list: it is %s now, and the history of its job begins anew; "
                "who writes there?",
                key,
                to,
                extra={"event": "redis.strange_key"},
            )
        beside = {job.decode(): self.row(job.decode(), row) for job, row in said[1]}
        return [self._answer(step, now, beside, each) for step, each in zip(steps, said[2], strict=True)]

    def _answer(self, step: Step, now: Micros, beside: dict[str, Row], said: Any) -> Answer:
        others = tuple([beside[job] for job, _ in step.expects[1:]])
        if isinstance(said, bytes):
            own = Row(step.job, 0 if step.data is None else int(said), step.data)
            return Answer(Verdict.DONE, (own, *others), now)
        verdict, row, refused = said
        rows = (self.row(step.job, row), *others)
        deliveries = tuple([step.done[place - 1] for place in refused])
        return Answer(Verdict(verdict.decode()), rows, now, deliveries)

    def unsent(
        self,
        step: Step,
        verdict: Verdict,
        rows: Mapping[str, bytes | None],
        now: Micros,
        own: Row | None = None,
    ) -> Answer:
        """Answer a step that was not sent, from rows that were read; `own` is its own, if that is known."""
        jobs = [job for job, _ in step.expects]
        seen = [self.row(job, rows[job]) for job in (jobs if own is None else jobs[1:])]
        return Answer(verdict, tuple(seen if own is None else [own, *seen]), now)

    def row(self, job: str, stored: bytes | None) -> Row:
        """Make a row of what is stored: "version id id", a newline, and the content."""
        if stored is None:
            return Row(job)
        version, _ = made_by(stored)
        data = stored.partition(b"\n")[2]
        if job:
            return Row(job, version, load(job, data))
        if self._app[0] != data:
            self._app = data, load("of the app", data)
        return Row(job, version, self._app[1])


def made_by(stored: bytes | None) -> tuple[int, list[bytes]]:
    """Tell the version of a stored row, and the last steps that made it; 0 for what is no row."""
    version, *ids = (stored or b"0").partition(b"\n")[0].split() or [b""]
    return (int(version), ids) if version.isdigit() else (0, [])


def load(what: str, data: bytes) -> object:
    """Read a row's content; what cannot be read is kept, as of a later release, for somebody who can."""
    try:
        return codec.load(data)
    except CodecError as exc:
        log.error("row %s: %s", what, exc, extra={"event": "redis.unreadable"})  # noqa: TRY400  data, not code
        return codec.Unknown(data)


def held_keys(names: Iterable[bytes]) -> frozenset[str]:
    """Tell the keys of triggers, by their names."""
    return frozenset([trigger_key(name.decode()) for name in names])


def delivery(said: Any) -> Delivery | None:
    """Read a delivery; `None` for what only a later release understands."""
    token, number, data = said[:3]
    try:
        trigger = codec.load(data)
    except CodecError as exc:
        log.error("trigger: %s", exc, extra={"event": "redis.unreadable"})  # noqa: TRY400  data, not code
        return None
    return Delivery(trigger, int(number), int(token)) if isinstance(trigger, Trigger) else None
