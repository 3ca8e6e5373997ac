"""Backends with one mistake each: what concerns several replicas is found in a cluster, and named."""

from functools import partial

import pytest
from tests.mutants import forgetful as f
from tests.mutants import memories as m
from tests.mutants import parts as p
from tests.mutants.test_mutants import CAUGHT
from tests.simulation.directed import DIRECTED
from tests.simulation.mutants import MutantStore

from schedcore.testing import INVARIANTS, play

NAMED = {mutant.__name__: mutant for mutant in CAUGHT}

FOUND: dict[type, tuple[str, str]] = {
    m.LockThenPublish: ("calm", "once"),
    m.LockOnTheJobsName: ("deaths", "again"),
    m.NoOwnerCheck: ("freezes", "tokens"),
    m.AcknowledgesUnknownJobs: ("deploys", "rest"),
    m.ReceiveIgnoresNames: ("deploys", "asked"),
    m.VersionStandsStill: ("calm", "once"),
    m.VersionRestarts: ("losses", "again"),
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
    p.LapsedIsLost: ("freezes", "overlap"),
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
    NAMED["BesidesHistory"]: ("noise", "kept"),
    NAMED["OneForAllHistory"]: ("noise", "kept"),
    NAMED["PrefixHistory"]: ("one_dies", "kept"),
}
"""Each that several replicas suffer from, the story that shows it, and the invariant that it breaks."""

READING = "it is about reading: nothing is decided by it"
RULES_AGREE = "the rule, run again on the row that comes with CHANGED, finds that all is done"
LOCKERS = "rows are compared all the same: a locker only spares work"
BY_HAND = "the core asks for no cancellation by itself"
ALONE: dict[str, str] = {
    "NoTokenCheck": "a replica renews before it sweeps, and so never holds two tokens of one delivery",
    "ReceiveIgnoresLimit": "what is too much is given back at once",
    "TakesMoreThanFits": "what is too much is given back at once",
    "LapsedIgnoresLimit": "what is too much is given back at once",
    "NewestFirst": "the bus has a job's triggers one behind the other, unless they may overlap",
    "DeletingTakesNoVersion": "a version is the store's clock, an hour lies between a job's end and return",
    "NoMemoryOfSteps": RULES_AGREE,
    "StepsRememberedLast": RULES_AGREE,
    "TrimmedStream": "it takes a burst of a thousand, and one replica loses it as well",
    "LosesWhatWaitsAfterReading": "it takes a burst of a hundred, and one replica loses it as well",
    "CancelOutlivesItsOwner": BY_HAND,
    "CancelForgotten": BY_HAND,
    "CancelOfAnything": BY_HAND,
    "GapOfEachReplica": "it only tells for how long the app was away; taking over is the store's to refuse",
    "GoodbyeIgnored": "who has left is gone ten seconds later",
    "AheadOfTheClock": "who is dead waits for as long as the clock was set back, and is taken over then",
    "SameEpoch": "a loss is told by the versions too, which are behind what was seen",
    "ForgetsPayloads": "payload and kind of a trigger are lost on the way to the one replica that runs it",
    "ShortColumns": "a payload is cut on the way to the one replica that runs it",
    "ForgetfulHistory": READING,
    "AgelessHistory": READING,
    "CountingHistory": READING,
    "TimesOnlyHistory": READING,
    "OldestFirstHistory": READING,
    "NotesAreDropped": READING,
    "RowsThatExist": READING,
    "EmptyMeansAll": READING,
    "InNoOrder": READING,
    "TakeOverWithoutTokenCheck": "the lease is looked at once more, and who took over first has a new one",
    "AppIgnored": "it is about two apps",
    "LockIgnored": LOCKERS,
    "NoExpiry": LOCKERS,
    "ReleaseByAnybody": LOCKERS,
    "NotForItsOwner": LOCKERS,
    "TornLock": LOCKERS,
    "GiveBackLapses": "what a stopped replica keeps is taken over ten seconds later",
    "ClockOfItsOwn": "only who asks for something by hand reads this clock, and then its own alone",
    "SwallowsErrors": "the link that is not told makes the same call again",
}
"""Those that concern one replica, or nobody but who reads, and why."""

UNSEEN = {
    "RenewsAllOfItsOwner",
    "CancelByKeyAlone",
    "LapsedCountsBeforeItChooses",
    "LapsedOfNoneIsAll",
    "ReceiveOfNoneIsAll",
    "HeldOfNoneIsAll",
    "LapsedIsNotHeld",
    "TakeOverOfAllOrNone",
    "GivesBackAsNumber1",
    "CallOfStepsReadsOnce",
    "RemembersWhatTheLockerRefused",
    "NoteOutlivesItsOwner",
    "SinceTheFirstOwner",
    "CancelOutlivesATakeOver",
    "ExtraIsLost",
    "TakenOverFromColumns",
    "JoinedNames",
    "SendsTwice",
    "SendsFirst",
    "RemembersWhatWasNotOurs",
    "BeatsForgetSteps",
    "DeletingIsNotRemembered",
    "TwoRowsOnly",
    "ShortGap",
    "FailedOnlyHistory",
    "EndlessHistory",
}
"""Those that no story has shown yet, whether or not one could."""


def test_every_mutant_is_found_or_said_to_concern_no_cluster() -> None:
    """None is forgotten, and none is in two lists."""
    found = {mutant.__name__ for mutant in FOUND}
    assert sorted([*found, *ALONE, *UNSEEN]) == sorted(NAMED)


@pytest.mark.parametrize(("mutant", "story", "invariant"), [(k, *v) for k, v in FOUND.items()])
def test_a_mutant_is_found_in_a_cluster(mutant: type, story: str, invariant: str) -> None:
    """One of a few seeds of the story breaks the invariant that is named."""
    assert invariant in INVARIANTS
    store = partial(MutantStore, mutant=mutant)
    broken: set[str] = set()
    for seed in range(100):
        broken |= play(DIRECTED[story](seed), store=store).invariants
        if invariant in broken:
            break
    assert invariant in broken
