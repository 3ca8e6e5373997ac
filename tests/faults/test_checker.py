"""The checker, fed with wrong records: it says what is wrong with them, and nothing of right ones."""

import attrs
import pytest
from tests.faults.checker import SECOND, Checker, JobFacts, Life, Record, Segment, Verdict

from schedcore.protocols import Micros, Run, Status

BASE: Micros = 1_800_000_000 * SECOND


def at(second: float) -> Micros:
    """An instant, in seconds from where all of this plays; the monotonic clock is the store's."""
    return BASE + round(second * SECOND)


def line(second: int, status: Status = Status.SUCCEEDED, *, delivery: int = 1, until: int = 0) -> Run:
    """A line of history, or a stretch of one a second `until`."""
    last, count = (at(until), until - second + 1) if until else (None, 1)
    key = "" if until else str(at(second))
    return Run("job", at(second), status, key=key, last_at=last, count=count, delivery=delivery)


def ran(
    second: int, begin: float, end: float | None, *, pid: int = 1, delivery: int = 1, token: int = 0
) -> list[Record]:
    """The records of a run that began and ended then, or never ended."""
    key, token = str(at(second)), token or at(begin)
    start = Record("start", "job", key, at(second), "scheduled", delivery, 1, token, pid, at(begin))
    if end is None:
        return [start]
    return [start, attrs.evolve(start, event="end", t=at(end))]


def facts(*lines: Run, until: float, open_keys: tuple[str, ...] = (), **changes: object) -> JobFacts:
    """A job that is due every second from 1 on, with counters that fit its lines."""
    counters: dict[str, int] = {}
    for each in lines:
        counters[str(each.status)] = counters.get(str(each.status), 0) + each.count
    segments = (Segment("@every 1s", at(0), at(until)),)
    return attrs.evolve(JobFacts("job", segments, lines, counters, open_keys), **changes)


def lives(**changes: object) -> list[Life]:
    """Two processes, of which the first is as told."""
    return [attrs.evolve(Life("r0", 1, at(-5)), **changes), Life("r1", 2, at(-5))]


def judge(
    job: JobFacts, *runs: list[Record], of: list[Life] | None = None, lossy_until: Micros = 0
) -> Verdict:
    """Ask the checker."""
    records = sorted((record for run in runs for record in run), key=lambda record: record.t)
    return Checker(
        [job], records, lives() if of is None else of, monotonic_at_epoch=0, lossy_until=lossy_until
    ).check()


def test_nothing_is_said_of_what_is_right() -> None:
    """Runs that began after their time and ended, one behind the other, each with its line."""
    verdict = judge(facts(line(1), line(2), until=2.5), ran(1, 1.0, 1.2), ran(2, 2.01, 2.1, pid=2))
    verdict.assert_good()
    assert verdict.statuses("job") == {"succeeded": 2}


def test_what_is_still_outstanding_is_not_lost() -> None:
    """A time without a line is fine while the store holds it."""
    judge(facts(line(1), until=2.5, open_keys=(str(at(2)),)), ran(1, 1.0, 1.2)).assert_good()


def test_a_time_without_a_line_is_lost() -> None:
    """Whether or not it ran, and the counters do not add up either."""
    verdict = judge(facts(line(1), until=2.5), ran(1, 1.0, 1.2), ran(2, 2.0, 2.1))
    assert len(verdict.lost) == 1
    assert len(verdict.unaccounted) == 1
    with pytest.raises(AssertionError, match="neither in the history nor outstanding"):
        verdict.assert_good()


def test_a_success_that_nobody_finished_is_lost() -> None:
    """The history says so, and no job does."""
    assert "nobody finished it" in judge(facts(line(1), until=1.5), ran(1, 1.0, None)).lost[0]
    assert "nobody finished it" in judge(facts(line(1), until=1.5)).lost[0]
    other_delivery = judge(facts(line(1, delivery=2), until=1.5), ran(1, 1.0, 1.1))
    assert "nobody finished it" in other_delivery.lost[0]


def test_two_lines_are_a_double() -> None:
    """Two results were accepted."""
    job = facts(line(1), line(1), until=1.5)
    assert "has 2 lines" in judge(job, ran(1, 1.0, 1.1)).doubled[0]


def test_a_line_of_what_is_outstanding_is_a_double() -> None:
    """It would be decided once more."""
    job = facts(line(1), until=1.5, open_keys=(str(at(1)),))
    assert judge(job, ran(1, 1.0, 1.1)).doubled


def test_a_second_start_is_a_double_while_the_first_process_lives() -> None:
    """Even after the lease: it is renewed."""
    job = facts(line(1, delivery=2), until=1.5)
    verdict = judge(job, ran(1, 1.0, 1.5), ran(1, 12.0, 12.1, pid=2, delivery=2))
    assert "was started again after 11.0 s" in verdict.doubled[0]


def test_a_second_start_after_a_death_is_right() -> None:
    """The first process was killed in the run, or before it could say that the run had ended."""
    job = facts(line(1, delivery=2), until=1.5)
    again = ran(1, 12.0, 12.1, pid=2, delivery=2)
    for first in (ran(1, 1.0, None), ran(1, 1.0, 1.2)):
        verdict = judge(job, first, again, of=lives(died=at(1.3), asked=True))
        verdict.assert_good()
        assert verdict.of("job")[0].retaken == 1


def test_a_second_start_long_after_the_end_of_the_first_is_a_double() -> None:
    """Its process died ten seconds after the run: the result had been recorded by then."""
    job = facts(line(1, delivery=2), until=1.5)
    runs = ran(1, 1.0, 1.2), ran(1, 22.0, 22.1, pid=2, delivery=2)
    assert judge(job, *runs, of=lives(died=at(11.2), asked=True)).doubled


def test_who_dies_between_two_attempts_had_no_end_to_record() -> None:
    """It waited to try again for longer than a result takes; after the last attempt it is a double."""
    start, raised = ran(1, 1.0, 1.2)
    first = [start, attrs.evolve(raised, event="raised")]
    again = ran(1, 22.0, 22.1, pid=2, delivery=2)
    job = facts(line(1, delivery=2), until=1.5)
    died = lives(died=at(4), asked=True)
    judge(attrs.evolve(job, retries=1), first, again, of=died).assert_good()
    assert judge(job, first, again, of=died).doubled


def test_a_second_start_before_the_death_is_a_double() -> None:
    """Dying later excuses nothing."""
    job = facts(line(1, delivery=2), until=1.5)
    runs = ran(1, 1.0, None), ran(1, 11.0, 11.1, pid=2, delivery=2)
    verdict = judge(job, *runs, of=lives(died=at(15), asked=True))
    assert verdict.doubled
    assert verdict.overlapped


def test_a_second_start_beside_a_frozen_replica_shows_in_the_token() -> None:
    """It is fenced, not doubled; a short freeze costs no lease and excuses nothing."""
    job = facts(line(1, delivery=2), until=1.5)
    runs = ran(1, 1.0, 16.5), ran(1, 12.0, 12.1, pid=2, delivery=2)
    frozen = judge(job, *runs, of=lives(impaired=[(at(1.5), at(16))]))
    frozen.assert_good()
    assert frozen.of("job")[0].fenced == 1
    assert judge(job, *runs, of=lives(impaired=[(at(1.5), at(5))])).doubled


def test_a_token_that_does_not_grow_is_a_double() -> None:
    """Also beside a frozen replica, unless the older one was begun before and is tried again there."""
    job, frozen = facts(line(1, delivery=2), until=1.5), lives(impaired=[(at(0.5), at(16))])
    first = ran(1, 1.0, 16.5, token=7)
    assert (
        "under token 7"
        in judge(job, first, ran(1, 12.0, 12.1, pid=2, delivery=2, token=7), of=frozen).doubled[0]
    )
    assert (
        "came after"
        in judge(job, first, ran(1, 12.0, 12.1, pid=2, delivery=2, token=6), of=frozen).doubled[0]
    )
    newer, thawed = ran(1, 12.0, 12.1, pid=2, delivery=2, token=8), ran(1, 16.1, 16.2, token=7)
    assert "came after" in judge(job, newer, thawed, of=frozen).doubled[0]
    tried_again = [attrs.evolve(record, attempt=2) for record in thawed]
    judge(job, newer, tried_again, of=frozen).assert_good()


def test_a_run_that_was_given_back_may_start_again() -> None:
    """Its process was told to stop, cancelled it, and said so."""
    job = facts(line(1), until=1.5)
    start = ran(1, 1.0, None)
    given_back = [*start, attrs.evolve(start[0], event="cancelled", t=at(3))]
    stopped = lives(told_to_stop=at(2), died=at(20), asked=True)
    judge(job, given_back, ran(1, 3.1, 3.2, pid=2), of=stopped).assert_good()


def test_at_most_once_is_never_started_twice() -> None:
    """Not even after a death."""
    job = facts(line(1, delivery=2), until=1.5, delivery="at_most_once")
    runs = ran(1, 1.0, None), ran(1, 12.0, 12.1, pid=2, delivery=2)
    assert "under at most once" in judge(job, *runs, of=lives(died=at(1.3), asked=True)).doubled[0]


def test_two_times_that_run_at_once_overlap() -> None:
    """Unless the job allows it."""
    job = facts(line(1), line(2), until=2.5)
    runs = ran(1, 1.0, 2.5), ran(2, 2.0, 2.2, pid=2)
    assert "ran at once for 0.50 s" in judge(job, *runs).overlapped[0]
    judge(attrs.evolve(job, overlap="allow"), *runs).assert_good()
    judge(job, *runs, of=lives(impaired=[(at(1.1), at(12))])).assert_good()


def test_a_long_run_overlaps_with_each_that_begins_in_it() -> None:
    """A short one between does not hide it."""
    job = facts(line(1), line(2), line(3), until=3.5)
    verdict = judge(job, ran(1, 1.0, 3.5), ran(2, 2.0, 2.1, pid=2), ran(3, 3.0, 3.1, pid=2))
    assert len(verdict.overlapped) == 2


def test_a_run_that_is_no_time_of_the_job_is_unaccounted_for() -> None:
    """A ghost of an edited schedule, for example."""
    verdict = judge(facts(line(1), until=1.5), ran(1, 1.0, 1.1), ran(7, 7.0, 7.1))
    assert "is no time of it" in verdict.unaccounted[0]


def test_what_ran_was_not_skipped() -> None:
    """A line that denies a run."""
    job = facts(line(1, Status.SKIPPED), until=1.5)
    assert "is said to be skipped" in judge(job, ran(1, 1.0, 1.1)).unaccounted[0]


def test_a_stretch_covers_its_times() -> None:
    """As many as it says, no more and no fewer."""
    job = facts(line(1, Status.MISSED, until=3), until=3.5, allowed=frozenset({"missed"}))
    judge(job).assert_good()
    short = attrs.evolve(job, lines=(attrs.evolve(job.lines[0], last_at=at(2)),))
    verdict = judge(short)
    assert verdict.lost
    assert "a line of 3 covers 2 times" in verdict.unaccounted[0]


def test_a_status_that_nothing_explains_is_said() -> None:
    """Missed, failed or lost without a reason."""
    assert judge(facts(line(1, Status.MISSED), until=1.5)).unaccounted
    assert judge(facts(line(1, Status.FAILED), until=1.5), ran(1, 1, None)).unaccounted
    assert judge(facts(line(1, Status.LOST), until=1.5)).lost


def test_counters_must_add_up() -> None:
    """Scheduled times = counters + outstanding."""
    job = facts(line(1), until=1.5, counters={"succeeded": 2})
    assert "make 2" in judge(job, ran(1, 1.0, 1.1)).unaccounted[0]


def test_nothing_starts_before_its_time() -> None:
    """By the machine's clock, whatever the replica's says."""
    assert "before its time" in judge(facts(line(1), until=1.5), ran(1, 0.9, 1.1)).early[0]


def test_an_exit_that_nobody_asked_for_is_said() -> None:
    """With its status."""
    verdict = judge(facts(until=0.5), of=lives(died=at(1), status=1))
    assert verdict.exits == ["r0 (pid 1) exited with 1"]


def test_what_the_store_lost_is_told_and_excused() -> None:
    """Times up to the loss; what comes behind is judged."""
    job = facts(line(3), until=3.5, counters={"succeeded": 3})
    verdict = judge(job, ran(1, 1.0, 1.1), ran(3, 3.0, 3.1), lossy_until=at(2.5))
    verdict.assert_good()
    assert len(verdict.excused) == 2
    assert "excused: lost" in verdict.table()
