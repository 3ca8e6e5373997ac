"""Backends with one mistake each: what concerns several replicas is found in a cluster, and named."""

from collections.abc import Callable, Sequence
from functools import partial

import pytest
from tests.mutants import forgetful as f
from tests.mutants import memories as m
from tests.mutants import parts as p
from tests.mutants import strangers as x
from tests.mutants.test_mutants import CAUGHT
from tests.simulation.directed import DIRECTED
from tests.simulation.mutants import MutantStore

from schedcore.protocols import Answer, Backend, Delivery, Locker, Micros, Row, Step, Verdict
from schedcore.testing import INVARIANTS, play
from schedcore.testing._stores import RamStore

NAMED = {mutant.__name__: mutant for mutant in CAUGHT}

FOUND: dict[type, tuple[str, str]] = {
    m.LockThenPublish: ("calm", "once"),
    m.LockOnTheJobsName: ("deaths", "again"),
    m.NoOwnerCheck: ("freezes", "tokens"),
    m.AcknowledgesUnknownJobs: ("deploys", "rest"),
    m.ReceiveIgnoresNames: ("deploys", "asked"),
    m.VersionStandsStill: ("calm", "once"),
    m.VersionRestarts: ("early_losses", "old"),
    m.VersionIsTheClock: ("calm", "once"),
    m.OwnRowOnly: ("pauses", "paused"),
    m.NotBeforeIgnored: ("pauses", "early"),
    m.HalfAStep: ("freezes", "kept"),
    m.CommittedButChanged: ("noise", "again"),
    m.DoneIsNotRemoved: ("calm", "rest"),
    m.NumberGrowsWhenGivenBack: ("deaths", "tokens"),
    m.NoNewToken: ("freezes", "tokens"),
    m.NoLeaseAtReceive: ("deaths", "rest"),
    m.ShortLease: ("freezes", "again"),
    m.OutageSteals: ("outages", "again"),
    m.GapForgotten: ("outages", "again"),
    m.TheDeadStayAlive: ("bad_deploy", "definition"),
    m.NoEpoch: ("calm", "late"),
    m.EachParksForItself: ("deploys", "rest"),
    m.ForgetsKinds: ("freezes", "kept"),
    m.HeldIgnoresNames: ("deploys", "asked"),
    p.RenewalStealsBack: ("freezes", "tokens"),
    p.RenewalDoesNothing: ("crowded", "again"),
    p.ExpiryIgnored: ("one_dies", "rest"),
    p.LapsedIgnoresNames: ("deploys", "asked"),
    p.TakeOverWithoutLease: ("freezes", "again"),
    p.NumberNotCounted: ("freezes", "tokens"),
    p.WaitingLapses: ("deaths", "tokens"),
    p.TornTakeOver: ("noise", "again"),
    p.TornReceive: ("deaths", "again"),
    p.TornCommit: ("calm", "once"),
    p.AllOrNothingOfACall: ("noise", "idle"),
    p.SilentRefusal: ("noise", "idle"),
    p.GiveBackByAnybody: ("stopped_late", "again"),
    p.NeverWaits: ("calm", "idle"),
    p.WakesNobody: ("calm", "late"),
    p.HeldOfWaitingOnly: ("freezes", "once"),
    p.KnowsItsJobsFromTheStart: ("deploys", "idle"),
    p.AcknowledgesAtOnce: ("calm", "rest"),
    p.RenewalsAddUp: ("one_dies", "late"),
    p.AnswersByItsOwnClock: ("calm", "early"),
    f.RemembersWhatWasChanged: ("noise", "once"),
    f.RemembersWhatWasEarly: ("noise", "once"),
    f.GapOfTheLiving: ("outages", "again"),
    f.ShortGap: ("slow_network", "late"),
    f.CancelOutlivesATakeOver: ("cancels", "cancelled"),
    f.JoinedNames: ("namesakes", "late"),
    m.CancelOutlivesItsOwner: ("cancels", "cancelled"),
    m.ForgetsPayloads: ("burst", "kept"),
    m.SameEpoch: ("one_loss", "noticed"),
    p.CancelByKeyAlone: ("namesakes", "cancelled"),
    p.CancelForgotten: ("cancels", "cancelled"),
    p.ClockOfItsOwn: ("calm", "clock"),
    p.GiveBackLapses: ("handed_on", "late"),
    p.GivesBackAsNumber1: ("handed_on", "tokens"),
    p.LapsedCountsBeforeItChooses: ("burst", "late"),
    p.ReceiveOfNoneIsAll: ("bystander", "asked"),
    p.RemembersWhatTheLockerRefused: ("noise", "once"),
    p.RenewsAllOfItsOwner: ("lost_replies", "held"),
    x.GoodbyeGivesBack: ("cancels", "again"),
    x.BeatsAsItself: ("bad_deploy", "definition"),
    x.LooksAtTheFirstFew: ("bad_deploy", "late"),
    x.NumbersFollowTheClock: ("noise", "once"),
    x.SendsAfterwards: ("noise", "once"),
    x.WritesLinesAfterwards: ("noise", "kept"),
    x.HeldBeforeTheRow: ("in_step", "vanished"),
    NAMED["FinishesOne"]: ("burst", "once"),
    NAMED["BesidesHistory"]: ("noise", "kept"),
    NAMED["OneForAllHistory"]: ("noise", "kept"),
    NAMED["PrefixHistory"]: ("one_dies", "kept"),
}
"""Each that several replicas suffer from, the story that shows it, and the invariant that it breaks."""

READING = "it is about reading: nothing is decided by it"
RULES_AGREE = "the rule, run again on the row that comes with CHANGED, finds that all is done"
LOCKERS = "rows are compared all the same: a locker only spares work"
HISTORY = "what stays of a history is nobody's affair but of who reads it"
NO_SUCH_STEP = "the core makes no such step, or call: the test below looks for them"
NEXT_SWEEP = "what it leaves is still lapsed, and is found by the next sweep"
ONE_TOKEN = "a replica renews before it sweeps, and so never holds two tokens of one delivery"
DIGITS = "the keys of scheduled times are digits; who asks by hand for two that are alike is a person"
ALONE: dict[str, str] = {
    "Alike": DIGITS,
    "BlanksAtTheEnd": DIGITS,
    "Accents": DIGITS,
    "NulEndsIt": DIGITS,
    "AlikeHistory": READING,
    "ByName": "it takes more than all replicas have places for",
    "RenewsAsNamesake": ONE_TOKEN,
    "GivesBackAsNamesake": ONE_TOKEN,
    "AgedHistory": HISTORY,
    "SinceItsRenewal": READING,
    "ListsTheLastOnes": READING,
    "SkippedIsFineHistory": HISTORY,
    "KeepsItsName": "each start of a simulated replica has a backend of its own",
    "LocksForNothing": "the core lends no locker that refuses",
    "WaitsASecond": "only who retires a job asks without waiting, and has time",
    "SpoiltIsAnError": "nobody spoils a row",
    "LapsedIsLost": "who comes back that late begins nothing, and what it runs is run again by somebody else",
    "NoTokenCheck": ONE_TOKEN,
    "ReceiveIgnoresLimit": "what is too much is given back at once",
    "TakesMoreThanFits": "what is too much is given back at once",
    "LapsedIgnoresLimit": "what is too much is given back at once",
    "NewestFirst": "the bus has a job's triggers one behind the other, unless they may overlap",
    "DeletingTakesNoVersion": "a version is the store's clock, an hour lies between a job's end and return",
    "NoMemoryOfSteps": RULES_AGREE,
    "StepsRememberedLast": RULES_AGREE,
    "BeatsForgetSteps": RULES_AGREE,
    "DeletingIsNotRemembered": RULES_AGREE,
    "RemembersWhatWasNotOurs": "who is refused was away for a lease: its runs may be started again",
    "TrimmedStream": "it takes a burst of a thousand, and one replica loses it as well",
    "LosesWhatWaitsAfterReading": "it takes a burst of a hundred, and one replica loses it as well",
    "CancelOfAnything": "who cancels looks first at what is held, and asks for nothing else",
    "GapOfEachReplica": "it only tells for how long the app was away; taking over is the store's to refuse",
    "GoodbyeIgnored": "who has left is gone ten seconds later",
    "AheadOfTheClock": "who is dead waits for as long as the clock was set back, and is taken over then",
    "ShortColumns": "a payload is cut on the way to the one replica that runs it",
    "ExtraIsLost": "it is of a release to come: this one writes nothing there",
    "TakenOverFromColumns": "it is of a release to come: this one writes nothing there",
    "CallOfStepsReadsOnce": NO_SUCH_STEP,
    "TwoRowsOnly": NO_SUCH_STEP,
    "SendsFirst": NO_SUCH_STEP,
    "SendsTwice": NO_SUCH_STEP,
    "LapsedOfNoneIsAll": NO_SUCH_STEP,
    "NewerTokensToo": "nobody has a token that is newer than its delivery's",
    "HistoryGoesWithItsRow": HISTORY,
    "AHundredSteps": RULES_AGREE,
    "StepsOfAllApps": "it is about two apps",
    "FinishedStays": "it is about memory: tests/simulation/test_growth.py finds one like it",
    "EverybodyStays": "it is about memory: tests/simulation/test_growth.py finds one like it",
    "UntidyHistory": HISTORY,
    "ByTimeHistory": READING,
    "NoneIsAllHistory": READING,
    "ZeroIsNoneHistory": READING,
    "SleepsOnTheLoop": "real time that a loop sleeps does not pass in a simulation",
    "TornGiveBack": "who gives back has renewed: nobody takes that over in the same instant",
    "UnknownIsNothing": "it is of a release to come: this one writes nothing there",
    "ForgetfulHistory": HISTORY,
    "AgelessHistory": HISTORY,
    "CountingHistory": READING,
    "TimesOnlyHistory": READING,
    "OldestFirstHistory": READING,
    "FailedOnlyHistory": HISTORY,
    "EndlessHistory": HISTORY,
    "NotesAreDropped": READING,
    "NoteOutlivesItsOwner": READING,
    "SinceTheFirstOwner": READING,
    "HeldOfNoneIsAll": READING,
    "LapsedIsNotHeld": READING,
    "RowsThatExist": READING,
    "EmptyMeansAll": READING,
    "InNoOrder": READING,
    "TakeOverWithoutTokenCheck": "what it takes has lapsed, whoever had it: that is looked at once more",
    "TakeOverOfAllOrNone": NEXT_SWEEP,
    "AppIgnored": "it is about two apps",
    "LockIgnored": LOCKERS,
    "NoExpiry": LOCKERS,
    "ReleaseByAnybody": LOCKERS,
    "NotForItsOwner": LOCKERS,
    "TornLock": LOCKERS,
    "SwallowsErrors": "the link that is not told makes the same call again",
}
"""Those that concern one replica, or nobody but who reads, and why."""


def test_every_mutant_is_found_or_said_to_concern_no_cluster() -> None:
    """None is forgotten, and none is in two lists."""
    found = {mutant.__name__ for mutant in FOUND}
    assert sorted([*found, *ALONE]) == sorted(NAMED)


@pytest.mark.parametrize(("mutant", "story", "invariant"), [(k, *v) for k, v in FOUND.items()])
def test_a_mutant_is_found_in_a_cluster(mutant: type, story: str, invariant: str) -> None:
    """One of a few seeds of the story breaks the invariant that is named."""
    assert invariant in INVARIANTS
    store = partial(MutantStore, mutant=mutant)
    broken: set[str] = set()
    for seed in reversed(range(100)):  # the rarest is found among the last
        broken |= play(DIRECTED[story](seed), store=store).invariants
        if invariant in broken:
            break
    assert invariant in broken


class Overhearing(RamStore):
    """Notes what calls the core makes of its bus."""

    def __init__(self, clock: Callable[[], Micros], odd: set[str]) -> None:
        super().__init__(clock)
        self.odd = odd
        self._seen: set[str] = set()

    def make_backend(self) -> Backend:
        backend = super().make_backend()
        commit, lapsed = backend.bus.commit, backend.bus.lapsed

        async def overheard(steps: Sequence[Step], locker: Locker) -> Sequence[Answer]:
            changed = [step.job for step in steps]
            for step in steps:
                expected = [job for job, _ in step.expects]
                done = {(d.trigger.job, d.trigger.key) for d in step.done}
                if len(expected) > 2:
                    self.odd.add("a step that expects three rows")
                if done & {(t.job, t.key) for t in step.send}:
                    self.odd.add("a step that sends what it finishes")
                if any(changed.count(job) > (job == step.job) for job in expected):
                    self.odd.add("a call that changes a row that two of its steps expect")
            before = {(row.job, key) for row in map(self._row, changed) for key in row.held or ()}
            answers = await commit(steps, locker)
            for step, answer in zip(steps, answers, strict=True):
                fresh = answer.verdict is Verdict.DONE and step.id not in self._seen
                if fresh and before & {(t.job, t.key) for t in step.send}:
                    self.odd.add("a step that sends what is in the bus")
            self._seen |= {step.id for step in steps}
            return answers

        async def asked(jobs: frozenset[str], limit: int) -> Sequence[Delivery]:
            if not jobs:
                self.odd.add("a sweep for no jobs")
            return await lapsed(jobs, limit)

        backend.bus.commit, backend.bus.lapsed = overheard, asked
        return backend

    def _row(self, job: str) -> Row:
        row: Row = self.memory.row(job, held=True)
        return row


@pytest.mark.parametrize("story", ["noise", "deaths", "deploys", "bystander", "pauses"])
def test_no_call_is_made_in_which_some_mutants_would_differ(story: str) -> None:
    """Why those of `NO_SUCH_STEP` cannot be found in a cluster: their mistake is never asked for."""
    odd: set[str] = set()
    for seed in range(2):
        played = play(DIRECTED[story](seed), store=partial(Overhearing, odd=odd))
        assert not played.broken
    assert not odd
