"""What has to hold of a simulated cluster that has come to rest: each invariant by its name."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import pairwise
from operator import itemgetter

from schedcore._state import JobState
from schedcore.protocols import Micros, Run, Status
from schedcore.testing._books import PLANNED, SECOND, Broken, JobFacts, Segment, Verdict
from schedcore.testing._checker import Checker
from schedcore.testing._cluster import QUIET, Cluster, is_harmless
from schedcore.testing._events import Deployed, Event, Killed, KilledInCall, Noise, Outage, Restarted, Stopped
from schedcore.testing._growth import growth
from schedcore.testing._witness import Span, bounds

INVARIANTS = {
    "once": "a trigger is accepted once, and has one end",
    "place": "each scheduled time is in exactly one place",
    "counters": "scheduled times = the sum of a job's counters + what is outstanding, after each step",
    "done": "each accepted trigger is finished, and what succeeded was run to its end",
    "denied": "what was run is not said to be skipped, missed or paused; a line covers what it counts",
    "ghost": "what is run is a time of the job, or was asked for",
    "at most once": "what is to run at most once is started at most once",
    "again": "nothing is handed out or started again while its replica is well, and gave nothing back",
    "tokens": "each delivery has a greater token than the one before",
    "overlap": "no two runs of a job overlap, unless it allows that, or a lease was lost and that was logged",
    "early": "nothing is sent before its time by the store's clock",
    "late": "while nothing is wrong, what is due or was given back starts within a second, a dead replica's "
    "work within 14, and nothing is missed",
    "paused": "nothing planned is sent while every job is paused",
    "old": "a step from before a loss of data changes nothing after it",
    "noticed": "every replica notices that the store has lost all its data",
    "rest": "when all is well, everything comes to rest, and nothing remains in the store",
    "grows": "after quiet, engines and store remember as much in any hour as in the first",
    "asked": "a store hands out jobs that the caller names, and no more than it asks for",
    "kept": "rows, history and triggers are what was committed",
    "vanished": "what was sent leaves the bus only with the step that finishes it",
    "held": "who holds something by the store's word knows of it",
    "cancelled": "who holds what somebody asked to cancel is told so with each renewal, and nobody else",
    "clock": "the store tells one time, that of its own clock",
    "definition": "the definition in force is that of the last started live replica that has the job",
    "idle": "nobody asks the store without end",
    "engine": "no engine fails",
    "exits": "no process ends unasked",
}
"""The names of all invariants, and what each says."""

PROMPT: Micros = SECOND
TAKEN_OVER: Micros = 14 * SECOND


def violations(cluster: Cluster) -> list[Broken]:
    """Say what of the promise is broken, once a story has been played; nothing, if nothing is."""
    if cluster.server.spinning:  # nothing else could be looked at
        return [Broken("idle", cluster.server.spinning), *cluster.server.witness.broken]
    verdict = judge(cluster)
    witness = cluster.server.witness
    return [
        *cluster.broken,
        *witness.broken,
        *once(cluster),
        *verdict.broken,
        *late(cluster, verdict),
        *rest(cluster),
        *growth(cluster.sizes),
    ]


def judge(cluster: Cluster) -> Verdict:
    """Have the checker compare what functions recorded with what was committed."""
    losses = cluster.server.losses
    checker = Checker(
        [facts(cluster, job) for job in cluster.jobs],
        cluster.books,
        cluster.lives,
        lossy_until=max(losses, default=0),
        away=outages(cluster),
        logged=lambda job, since, until: any(since <= at <= until for at in cluster.told[job]),
    )
    return checker.check()


def outages(cluster: Cluster) -> list[tuple[Micros, Micros]]:
    """List when the store was away for all, with the time that clients need to notice that it is back."""
    start = cluster.story.start
    return [
        (start + event.at, start + event.at + event.lasts + 6 * SECOND)
        for event in cluster.story.events
        if isinstance(event, Outage | Restarted)
    ]


def facts(cluster: Cluster, job: str) -> JobFacts:
    """Tell what was declared of a job, and what was committed of it."""
    witness = cluster.server.witness
    state = witness.state(job)
    lines: list[Run] = [run for run in witness.ended if run.job == job]
    sent = [s.trigger for s in witness.sent if s.trigger.job == job and s.trigger.kind not in PLANNED]
    told = [(trigger.key, trigger.scheduled_at) for trigger in sent]
    told += [(run.key, run.scheduled_at) for run in lines if run.kind not in PLANNED]
    # The oldest counts: what lost its data may have accepted a key once more.
    asked = dict(sorted(told, key=itemgetter(1), reverse=True))
    options = cluster.jobs[job].spec.options
    open_keys = () if state is None else (*state.outstanding, *(t.key for t in state.waiting))
    return JobFacts(
        job,
        tuple(_segments(witness.spans.get(job, []), state)),
        tuple(lines),
        None,
        open_keys,
        options.overlap,
        options.delivery,
        None,
        tuple(asked.items()),
        options.retries,
    )


def _segments(spans: Iterable[Span], state: JobState | None) -> Iterable[Segment]:
    for span in spans:
        until = span.until if span.until is not None else (state.mark if state else span.since)
        once = span.spec.schedule.shortest_gap() is None  # it leaves its line also where it is bygone
        lower, upper = bounds(span.spec, 0 if once else span.after, until)
        if lower < upper:
            yield Segment(span.spec.expression, lower, upper, span.spec.tz)


def once(cluster: Cluster) -> list[Broken]:
    """At most one trigger was ever accepted for a job and a scheduled time, or a key; each has one end."""
    lossy_until = max(cluster.server.losses, default=0)
    witness = cluster.server.witness
    fresh = [s for s in witness.sent if s.trigger.scheduled_at > lossy_until and s.store_at > lossy_until]
    accepted = Counter((s.trigger.job, s.trigger.key) for s in fresh)
    ends = Counter((run.job, run.key) for run in witness.ended if run.key)
    broken = [
        Broken("once", f"{job} {key} was accepted {number} times")
        for (job, key), number in accepted.items()
        if number > 1
    ]
    for job, key in accepted:
        if ends[job, key] == 0 and cluster.rested:
            broken.append(Broken("done", f"{job} {key} was accepted, and has no end"))
    return broken


def late(cluster: Cluster, verdict: Verdict) -> list[Broken]:
    """Lateness is bounded where nothing was wrong: from a while before its time to its start."""
    if cluster.server.offset or cluster.server.losses:
        return []
    wrong = sorted((begin, end + QUIET) for begin, end in cluster.spans_of_trouble())
    begins = [begin for begin, _ in wrong]
    broken = []
    for sent in cluster.server.witness.sent:
        trigger, spec = sent.trigger, cluster.jobs[sent.trigger.job].spec
        if trigger.kind != "scheduled" or spec.options.overlap not in ("skip", "allow"):
            continue
        due = trigger.scheduled_at + spec.jitter
        if any(end > due for _, end in wrong[: bisect_left(begins, due + 2 * SECOND)]):
            continue
        fate = verdict.fates.get((trigger.job, trigger.key))
        first = fate.starts[0].t if fate is not None and fate.starts else None
        if due < cluster.story.start + cluster.story.length and (first is None or first > due + PROMPT):
            after = "never" if first is None else f"{(first - due) / SECOND:.1f} s late"
            broken.append(
                Broken("late", f"{trigger.job} {trigger.key} started {after}, though nothing was wrong")
            )
    return [*broken, *_late_decisions(cluster), *_late_take_overs(cluster, verdict), *_late_returns(cluster)]


def _late_decisions(cluster: Cluster) -> Iterable[Broken]:
    """What is due is decided at once: nothing is missed."""
    begin = cluster.story.start
    end = begin + cluster.story.length
    wrong = cluster.spans_of_trouble()
    everywhere = _everywhere(cluster)
    for run in cluster.server.witness.ended:
        if run.status is not Status.MISSED or run.job not in everywhere:
            continue
        last = run.scheduled_at if run.last_at is None else run.last_at
        due = last + cluster.jobs[run.job].spec.jitter
        if begin <= due < end - PROMPT and not any(b <= due + PROMPT and e + QUIET > due for b, e in wrong):
            yield Broken("late", f"{run.job} {last} was missed, though nothing was wrong: {run.detail}")


def _late_take_overs(cluster: Cluster, verdict: Verdict) -> Iterable[Broken]:
    """A killed replica's work goes on within 14 seconds, and the time that slow calls take."""
    delays = [event.delay for event in cluster.story.events if isinstance(event, Noise)]
    bound = TAKEN_OVER + round(8 * max(delays, default=0) * SECOND)
    spans = _spans_of(cluster, lambda event: not (isinstance(event, Killed | KilledInCall) or _slows(event)))
    everywhere = _everywhere(cluster)
    for fate in [fate for fate in verdict.fates.values() if fate.job in everywhere]:
        for first, second in pairwise(fate.starts):
            life = cluster.lives[first.pid - 1]
            if second.delivery != 2 or life.died is None or life.told_to_stop is not None:
                continue
            took = second.t - life.died
            if took > bound and not any(begin < second.t and end > life.died for begin, end in spans):
                what = f"what a killed replica ran of {fate.job} went on {took / SECOND:.1f} s later"
                yield Broken("late", what)


def _late_returns(cluster: Cluster) -> Iterable[Broken]:
    """What is given back starts at once, where there is somebody to run it."""
    spans = _spans_of(cluster, lambda event: not isinstance(event, Killed | KilledInCall | Stopped))
    everywhere = _everywhere(cluster)
    for handed in [each for each in cluster.server.witness.handed if each.name[0] in everywhere]:
        back, again = handed.back, handed.again
        ready = [
            life
            for life in cluster.lives
            if life.born <= back - QUIET
            and (life.died is None or life.died > back + PROMPT)
            and (life.told_to_stop is None or life.told_to_stop > back + PROMPT)
        ]
        if again > back + PROMPT and ready and not any(b < again and e > back for b, e in spans):
            what = (
                f"{' '.join(handed.name)} was given back, and nobody had it for {(again - back) / SECOND:g} s"
            )
            yield Broken("late", what)


def _everywhere(cluster: Cluster) -> set[str]:
    """The jobs that every replica has, always."""
    return set(cluster.jobs) - {event.job for event in cluster.story.events if isinstance(event, Deployed)}


def _slows(event: Event) -> bool:
    """Calls take a little longer, and nothing else."""
    return isinstance(event, Noise) and not event.unheard and not event.unanswered and event.delay <= 0.25


def _spans_of(cluster: Cluster, which: Callable[[Event], bool]) -> list[tuple[Micros, Micros]]:
    """List when something of a kind was wrong, and the while after it."""
    start = cluster.story.start
    events = [event for event in cluster.story.events if not is_harmless(event) and which(event)]
    return [(start + event.at, start + event.at + getattr(event, "lasts", 0) + QUIET) for event in events]


def rest(cluster: Cluster) -> list[Broken]:
    """After quiet nothing remains."""
    broken = []
    if not cluster.rested:
        witness = cluster.server.witness
        left = {job: state for job in cluster.jobs if (state := witness.state(job)) is not None}
        for job, state in left.items():
            if state.outstanding or state.waiting:
                left_of = f"{len(state.outstanding)} outstanding, {len(state.waiting)} waiting"
                what = f"{job} does not come to rest: {left_of}"
                broken.append(Broken("rest", what))
        if not broken:
            broken.append(Broken("rest", "nobody could be asked whether all has come to rest"))
    return [*broken, *(Broken("rest", what) for what in cluster.remains)]
