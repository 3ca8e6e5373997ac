"""What is done with what others left behind, and with what the store has lost."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from random import Random

from schedcore import _definitions
from schedcore._commit import Committer
from schedcore._draft import Draft, Outcome
from schedcore._reporter import Reporter
from schedcore._runner import Runner
from schedcore._state import SECOND, JobState
from schedcore.protocols import Delivery, Micros, Row, Status
from schedcore.watching import TakenOver

log = logging.getLogger("schedcore")

LAST_DELIVERY = 5

MERGE: Micros = 6 * SECOND
"""For a beat, the longest backoff and a second after a loss nobody sends; all merge what they know."""


def choose(lapsed: Sequence[Delivery], random: Random, waits: bool) -> Sequence[Delivery]:
    """Choose what to take over: half of what lost two replicas already, and one at a time for the last time.

    What kills its replica takes what is taken over beside it along; so it has less beside it each time, and
    in the end nothing. `waits` tells whether something of the kind is yet to begin here.
    """
    again = [d for d in lapsed if 2 <= d.number < LAST_DELIVERY - 1]
    last = [d for d in lapsed if d.number == LAST_DELIVERY - 1]
    chosen = [d for d in lapsed if d.number < 2 or d.number >= LAST_DELIVERY]
    chosen += random.sample(again, (len(again) + 1) // 2)
    return chosen + random.sample(last, min(len(last), not waits))


def start_taken(
    deliveries: Sequence[Delivery], runner: Runner, reporter: Reporter, said: Mapping[tuple[str, str], str]
) -> None:
    """Run what was taken over, or record why it is not run again; what nobody had before is simply run.

    `said` is the last progress of each, by (job, key).
    """
    starting = [delivery for delivery in deliveries if delivery.number == 1]
    for delivery in deliveries:
        if delivery.number == 1:
            continue
        log.warning(
            "taken over: job %s, delivery %d, its replica did not renew the lease",
            delivery.trigger.job,
            delivery.number,
            extra={
                "event": "run.taken_over",
                "job": delivery.trigger.job,
                "key": delivery.trigger.key,
                "delivery": delivery.number,
            },
        )
        if runner.observers.all:
            runner.observers.tell(TakenOver(delivery))
        outcome = verdict(delivery, said.get((delivery.trigger.job, delivery.trigger.key), ""))
        if outcome is None:
            starting.append(delivery)
        else:
            reporter.report(delivery, outcome)
    runner.start(starting, said)


def say_moved(app: str) -> None:
    """Say that the store may have lost data."""
    log.warning(
        "the store of app %s was restarted or is another server: firing pauses for %d s, "
        "in which the replicas compare what they remember with what it has",
        app,
        MERGE // SECOND,
        extra={"event": "store.moved"},
    )


def say_lost(app: str) -> None:
    """Say that it did."""
    log.error(
        "the store of app %s lost data: runs since its last save may be lost or repeated; "
        "firing pauses for %d s",
        app,
        MERGE // SECOND,
        extra={"event": "store.lost_data"},
    )


def verdict(delivery: Delivery, said: str = "") -> Outcome | None:
    """Decide a take-over that is not to be run: lost under at most once, dead after the last delivery."""
    progress = f"; its last progress: {said}" if said else ""
    if getattr(delivery.trigger.options, "delivery", "") == "at_most_once":
        return Outcome(Status.LOST, f"its replica was gone, and the job is to run at most once{progress}")
    if delivery.number > LAST_DELIVERY:
        return Outcome(
            Status.DEAD, f"{LAST_DELIVERY} deliveries ended with the death of their replica{progress}"
        )
    return None


async def put_back(committer: Committer, now: Micros) -> bool:
    """Give the store back what this replica remembers, where it knows more; the highest mark wins.

    Tells whether it did know more of anything.
    """
    remembered = {job: row.data for job, row in committer.rows.items() if isinstance(row.data, JobState)}
    versions = {job: committer.rows[job].version for job in remembered}
    committer.forget()
    await committer.read(remembered)
    fell_back = any(committer.rows[job].version < version for job, version in versions.items())

    def rule(row: Row, _: Row) -> Draft | None:
        return _definitions.restore(row, remembered[row.job], now)

    await committer.apply(list(remembered), rule, app=False)
    return fell_back
