"""The suite is no better than what it catches: each backend here has one mistake, and a test finds it."""

import inspect
from collections.abc import Sequence
from types import ModuleType

import pytest
from tests.contracts.ram import OneLocker, RamWorld
from tests.mutants import alike, forgetful, memories, parts, strangers
from tests.mutants.memories import remembering

from sched_ram import DirectExecutor, Memory, RamBackend
from sched_ram._backend import RamBus, RamStore
from schedcore.protocols import Backend, Locker
from schedcore.testing import BackendContract, World

CAUGHT: dict[type, str] = {
    memories.LockThenPublish: "two_replicas_that_saw_one_row_do_not_both_commit",
    memories.LockOnTheJobsName: "two_replicas_that_saw_one_row_do_not_both_commit",
    memories.NoOwnerCheck: "only_its_owner_finishes_a_delivery",
    memories.NoTokenCheck: "not_ours_if_the_token_is_not_the_deliverys",
    memories.AcknowledgesUnknownJobs: "what_a_caller_does_not_know_waits_where_one_that_knows_it_finds_it",
    memories.ReceiveIgnoresNames: "only_jobs_that_the_caller_names_are_handed_out",
    memories.ReceiveIgnoresLimit: "receive_takes_at_most_its_limit_in_the_order_sent",
    memories.NewestFirst: "receive_takes_at_most_its_limit_in_the_order_sent",
    memories.VersionStandsStill: "changed_if_a_version_differs",
    memories.VersionRestarts: "versions_and_tokens_never_come_back_after_a_flush",
    memories.VersionIsTheClock: "no_version_and_no_token_is_given_out_twice",
    memories.DeletingTakesNoVersion: "a_deleted_row_is_gone_and_its_versions_never_come_back",
    memories.OwnRowOnly: "a_step_depends_on_every_row_that_it_expects",
    memories.NotBeforeIgnored: "early_if_the_stores_now_is_before_not_before",
    memories.HalfAStep: "not_ours_names_the_deliveries_that_are_not_this_replicas",
    memories.NoMemoryOfSteps: "the_id_of_a_committed_step_repeated_answers_done_and_changes_nothing",
    memories.StepsRememberedLast: "repeating_a_step_that_finished_a_delivery_answers_done",
    memories.AheadOfTheClock: "the_dead_are_taken_over_although_the_clock_was_set_back",
    memories.CommittedButChanged: "one_step_that_arrives_twice_at_once_is_committed_once",
    memories.TrimmedStream: "nothing_unfinished_is_ever_trimmed",
    memories.LosesWhatWaitsAfterReading: "many_replicas_that_receive_at_once_share_what_waits",
    memories.DoneIsNotRemoved: "done_acknowledges_its_deliveries",
    memories.NumberGrowsWhenGivenBack: "only_its_owner_gives_a_delivery_back",
    memories.NoNewToken: "take_over_gives_the_next_number_and_a_new_token",
    memories.CancelOutlivesItsOwner: "a_cancel_request_is_for_who_holds_it_then",
    memories.NoLeaseAtReceive: "a_receive_whose_reply_was_lost_lapses",
    memories.ShortLease: "a_lease_that_is_not_renewed_lapses_and_not_before_its_time",
    memories.OutageSteals: "nothing_is_taken_over_while_the_app_has_no_beat",
    memories.GapForgotten: "nothing_is_taken_over_for_a_lease_after_a_gap",
    memories.GapOfEachReplica: "a_beat_tells_the_time_since_the_apps_previous_one",
    memories.TheDeadStayAlive: "a_beat_keeps_a_replica_among_the_living_for_its_ttl",
    memories.GoodbyeIgnored: "a_beat_with_ttl_0_says_goodbye",
    memories.SameEpoch: "the_epoch_is_new_when_the_store_began_without_data",
    memories.NoEpoch: "the_epoch_is_one_for_all",
    memories.HeldIgnoresNames: "held_tells_who_holds_what_since_when",
    memories.EachParksForItself: "a_replica_that_leaves_takes_nothing_with_it",
    memories.ForgetsKinds: "runs_are_chosen_by_status_and_scheduled_time",
    memories.ShortColumns: "the_longest_name_and_the_largest_payload_are_kept",
    memories.ForgetsPayloads: "contents_are_opaque_and_kept",
    remembering(
        memories.ForgetfulHistory
    ): "history_keeps_the_newest_lines_and_the_newest_that_are_no_success",
    remembering(memories.AgelessHistory): "history_is_dropped_when_it_is_too_old",
    remembering(memories.CountingHistory): "runs_come_newest_first_page_by_page",
    remembering(memories.TimesOnlyHistory): "runs_are_chosen_by_status_and_scheduled_time",
    remembering(memories.OldestFirstHistory): "runs_come_newest_first_page_by_page",
    parts.RenewalStealsBack: "only_its_owner_renews_a_delivery",
    parts.RenewalDoesNothing: "a_lease_is_kept_by_renewing_it",
    parts.LapsedIsLost: "a_lapsed_lease_may_be_renewed_until_somebody_has_taken_over",
    parts.NotesAreDropped: "held_tells_who_holds_what_since_when",
    parts.CancelForgotten: "who_holds_it_hears_of_a_cancel_request_with_its_next_renewal",
    parts.CancelOfAnything: "cancel_tells_that_nobody_holds_it",
    parts.ExpiryIgnored: "a_replica_may_die_before_any_call",
    parts.LapsedIgnoresNames: "a_dead_replicas_deliveries_wait_for_one_that_knows_their_job",
    parts.LapsedIgnoresLimit: "lapsed_lists_at_most_its_limit",
    parts.TakeOverWithoutTokenCheck: "take_over_needs_the_token_that_was_seen",
    parts.TakeOverWithoutLease: "a_delivery_that_was_taken_over_has_a_lease",
    parts.NumberNotCounted: "take_over_gives_the_next_number_and_a_new_token",
    parts.AppIgnored: "another_app_sees_nothing_of_this_one",
    parts.WaitingLapses: "what_waits_is_found_once_whoever_looks_first",
    parts.TornTakeOver: "many_replicas_that_take_over_at_once_share_what_lapsed",
    parts.TornReceive: "many_replicas_that_receive_at_once_share_what_waits",
    parts.TornCommit: "of_many_replicas_that_commit_at_once_one_succeeds",
    parts.LockIgnored: "held_if_the_locker_refuses",
    parts.AllOrNothingOfACall: "each_step_is_committed_by_itself_in_order_with_one_answer_each",
    parts.SilentRefusal: "changed_carries_the_rows_as_they_are",
    parts.GiveBackByAnybody: "giving_back_twice_changes_nothing_more",
    parts.GiveBackLapses: "what_was_given_back_is_no_longer_the_givers",
    parts.WakesNobody: "receive_returns_as_soon_as_something_arrives",
    parts.NeverWaits: "receive_waits_for_the_first_and_no_longer_than_told",
    parts.ClockOfItsOwn: "now_is_one_clock_for_all_replicas_and_never_goes_back",
    parts.RowsThatExist: "rows_answers_for_each_name_absent_ones_as_version_0",
    parts.EmptyMeansAll: "rows_of_no_jobs_are_none",
    parts.InNoOrder: "rows_of_all_jobs_come_in_order_of_name_page_by_page",
    parts.HeldOfWaitingOnly: "rows_of_named_jobs_always_have_what_is_held",
    parts.TakesMoreThanFits: "it_takes_no_more_than_there_are_places_for",
    parts.KnowsItsJobsFromTheStart: "jobs_are_asked_anew_for_each_receive",
    parts.SwallowsErrors: "what_the_bus_raises_ends_serve_and_it_can_be_called_again",
    parts.AcknowledgesAtOnce: "what_was_started_is_this_replicas_until_it_is_finished",
    parts.NoExpiry: "a_name_is_free_again_after_its_ttl",
    parts.ReleaseByAnybody: "release_changes_nothing_for_anybody_else",
    parts.NotForItsOwner: "acquire_grants_again_to_the_owner_who_has_it",
    parts.RenewsAllOfItsOwner: "renewing_one_delivery_renews_no_other",
    parts.RenewalsAddUp: "a_lease_ends_ten_seconds_after_its_last_renewal",
    parts.CancelByKeyAlone: "a_trigger_is_known_by_job_and_key",
    parts.LapsedCountsBeforeItChooses: "lapsed_deliveries_of_other_jobs_hide_none",
    parts.LapsedOfNoneIsAll: "no_names_are_no_jobs",
    parts.ReceiveOfNoneIsAll: "no_names_are_no_jobs",
    parts.HeldOfNoneIsAll: "no_names_are_no_jobs",
    parts.LapsedIsNotHeld: "what_has_lapsed_is_still_held",
    parts.TakeOverOfAllOrNone: "of_several_those_that_are_still_lapsed_are_taken_over",
    parts.GivesBackAsNumber1: "giving_back_keeps_the_number_after_a_take_over",
    parts.CallOfStepsReadsOnce: "of_two_steps_of_one_call_that_saw_one_row_the_second_is_changed",
    parts.RemembersWhatTheLockerRefused: "a_step_that_was_early_or_held_is_committed_when_it_comes_again",
    parts.AnswersByItsOwnClock: "an_answer_tells_the_stores_now",
    forgetful.NoteOutlivesItsOwner: "a_new_owner_inherits_nothing_of_the_old_one",
    forgetful.SinceTheFirstOwner: "a_new_owner_inherits_nothing_of_the_old_one",
    forgetful.CancelOutlivesATakeOver: "a_new_owner_inherits_nothing_of_the_old_one",
    forgetful.ExtraIsLost: "a_trigger_is_handed_over_as_it_was_sent",
    forgetful.TakenOverFromColumns: "a_trigger_is_handed_over_as_it_was_sent",
    forgetful.JoinedNames: "a_trigger_is_known_by_job_and_key",
    forgetful.SendsTwice: "a_trigger_that_is_in_the_bus_is_not_sent_twice",
    forgetful.SendsFirst: "a_step_may_finish_a_trigger_and_send_one_of_its_name",
    forgetful.RemembersWhatWasChanged: "the_id_of_a_refused_step_is_not_remembered",
    forgetful.RemembersWhatWasNotOurs: "the_id_of_a_refused_step_is_not_remembered",
    forgetful.RemembersWhatWasEarly: "a_step_that_was_early_or_held_is_committed_when_it_comes_again",
    forgetful.BeatsForgetSteps: "the_last_step_of_a_row_is_still_known_a_minute_later",
    forgetful.DeletingIsNotRemembered: "repeating_a_step_that_deleted_answers_done",
    forgetful.TwoRowsOnly: "a_step_depends_on_the_third_row_too",
    forgetful.GapOfTheLiving: "the_gap_is_counted_from_the_last_beat_of_who_is_gone_too",
    forgetful.ShortGap: "beats_that_are_a_little_late_are_no_gap",
    remembering(forgetful.FailedOnlyHistory): "whatever_is_no_success_is_kept_as_one",
    remembering(forgetful.BesidesHistory): "failures_are_among_the_newest_lines_too",
    remembering(forgetful.EndlessHistory): "a_job_that_always_fails_has_no_more_history_than_others",
    remembering(forgetful.OneForAllHistory): "each_job_keeps_its_own_lines",
    remembering(forgetful.PrefixHistory): "what_a_step_appends_is_read_under_its_job",
    strangers.GoodbyeGivesBack: "who_says_goodbye_gives_nothing_back",
    strangers.BeatsAsItself: "a_beat_is_for_the_replica_that_is_named",
    strangers.NewerTokensToo: "not_ours_if_the_token_is_not_the_deliverys",
    strangers.HistoryGoesWithItsRow: "a_job_that_is_removed_leaves_its_lines",
    strangers.AHundredSteps: "the_last_step_of_a_row_is_still_known_a_thousand_steps_later",
    strangers.NumbersFollowTheClock: "numbers_rise_although_the_clock_was_set_back",
    strangers.StepsOfAllApps: "a_step_of_another_app_is_another_step",
    strangers.FinishedStays: "what_is_over_leaves_nothing",
    strangers.EverybodyStays: "what_is_over_leaves_nothing",
    remembering(strangers.UntidyHistory): "what_is_over_leaves_nothing",
    remembering(strangers.ByTimeHistory): "newest_is_what_was_written_last",
    remembering(strangers.NoneIsAllHistory): "nothing_and_zero_choose_too",
    remembering(strangers.ZeroIsNoneHistory): "nothing_and_zero_choose_too",
    strangers.LooksAtTheFirstFew: "unknown_triggers_hold_up_none_that_are_known",
    strangers.SleepsOnTheLoop: "a_waiting_receive_leaves_the_loop_alone",
    strangers.TornGiveBack: "a_give_back_and_a_take_over_at_once_hand_it_out_once",
    strangers.SendsAfterwards: "who_reads_sees_whole_steps",
    strangers.WritesLinesAfterwards: "who_reads_sees_whole_steps",
    strangers.HeldBeforeTheRow: "who_reads_sees_whole_steps",
    strangers.UnknownIsNothing: "what_a_later_release_wrote_is_kept_as_it_is",
    alike.Alike: "names_that_differ_in_a_character_are_different",
    alike.BlanksAtTheEnd: "names_that_differ_in_a_character_are_different",
    alike.Accents: "names_that_differ_in_a_character_are_different",
    alike.NulEndsIt: "names_that_differ_in_a_character_are_different",
    remembering(alike.AlikeHistory): "names_that_differ_in_a_character_are_different",
    alike.LocksForNothing: "held_if_the_locker_refuses",
    alike.ByName: "no_job_goes_before_what_was_sent_sooner",
    alike.RenewsAsNamesake: "what_a_replica_had_before_is_no_longer_its_delivery",
    alike.GivesBackAsNamesake: "what_a_replica_had_before_is_no_longer_its_delivery",
    remembering(alike.AgedHistory): "a_line_about_long_ago_is_a_new_line",
    alike.FinishesOne: "done_acknowledges_its_deliveries",
    alike.KeepsItsName: "open_and_close_are_safe_to_repeat",
    remembering(alike.SkippedIsFineHistory): "whatever_is_no_success_is_kept_as_one",
    alike.ListsTheLastOnes: "a_beat_keeps_a_replica_among_the_living_for_its_ttl",
    alike.SinceItsRenewal: "held_tells_who_holds_what_since_when",
    alike.WaitsASecond: "receive_waits_for_the_first_and_no_longer_than_told",
    alike.SpoiltIsAnError: "a_row_that_cannot_be_read_hides_no_other",
    parts.TornLock: "of_many_that_acquire_one_name_at_once_one_has_it",
}


class MutantWorld(RamWorld):
    """Replicas of which one part is not as it should be."""

    def __init__(self, mutant: type) -> None:
        super().__init__()
        self.mutant = mutant
        if issubclass(mutant, Memory):
            self.memory = mutant(self.clock)
        self.refuses = issubclass(mutant, OneLocker)

    async def make_backends(self, count: int) -> Sequence[Backend]:
        backends = [RamBackend("app", memory=self.memory) for _ in range(count)]
        for number, backend in enumerate(backends):
            if issubclass(self.mutant, RamBus):
                backend.bus = self.mutant(self.memory)
            elif issubclass(self.mutant, RamStore):
                backend.store = self.mutant(self.memory, "app")
            elif issubclass(self.mutant, DirectExecutor):
                backend.executor = self.mutant()
            await backend.open(f"r{number}")
        return backends

    async def make_neighbour(self) -> Backend:
        if self.mutant is parts.AppIgnored:
            return (await self.make_backends(1))[0]
        kind = self.mutant if issubclass(self.mutant, Memory) else Memory
        other = RamBackend("other", memory=kind(self.clock))
        await other.open("r0")
        return other

    async def lockers(self) -> tuple[Locker, Locker]:
        if not issubclass(self.mutant, OneLocker):
            return await super().lockers()
        locker = self.mutant(self)
        return locker, locker


def mutants(module: ModuleType) -> set[type]:
    classes = [kind for kind in vars(module).values() if inspect.isclass(kind)]
    return {c for c in classes if c.__module__ == module.__name__ and not c.__name__.endswith("History")}


def name(value: object) -> str:
    return getattr(value, "__name__", str(value))


def run(mutant: type, test: str) -> None:
    world: World = MutantWorld(mutant)
    getattr(BackendContract(), f"test_{test}")(world=world)


@pytest.mark.parametrize(("mutant", "test"), CAUGHT.items(), ids=name)
def test_a_mutant_is_caught_by_the_test_that_is_named(mutant: type, test: str) -> None:
    """It fails with a message of its own, its condition, and a hint at what to look at."""
    with pytest.raises(AssertionError) as caught:
        run(mutant, test)
    assert str(caught.value).splitlines()[0].strip()
    (note,) = caught.value.__notes__
    assert "Condition: " in note
    assert "Look at: " in note


def test_every_mutant_is_listed() -> None:
    """None is made and then forgotten; and there are many."""
    listed = {kind.__name__ for kind in CAUGHT}
    made = {
        kind.__name__ for module in (alike, forgetful, memories, parts, strangers) for kind in mutants(module)
    }
    assert made - listed == set()
    assert len(listed) >= 60


@pytest.mark.parametrize("test", sorted(set(CAUGHT.values())))
def test_what_catches_mutants_lets_the_right_one_pass(test: str) -> None:
    """The same tests, in the same world, pass for a backend without a mistake."""
    needs_a_lock = any(issubclass(kind, OneLocker) for kind, by in CAUGHT.items() if by == test)
    run(OneLocker if needs_a_lock else RamBackend, test)
