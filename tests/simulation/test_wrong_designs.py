"""Designs that others have used, and mistakes in the core's own rules: each is found, and named."""

from __future__ import annotations

from functools import partial

import pytest
from tests.simulation import wrong_designs as wrong
from tests.simulation.directed import DIRECTED
from tests.simulation.mutants import MutantStore

from schedcore.testing import play


@pytest.mark.parametrize(
    ("design", "story", "invariant"),
    [(wrong.LockDecides, "noise", "once"), (wrong.LockPlusMark, "noise", "once")],
)
def test_a_wrong_design_is_found(design: type, story: str, invariant: str) -> None:
    """A lock that decides, with or without a mark, accepts a scheduled time twice."""
    store = partial(MutantStore, mutant=design)
    assert any(invariant in play(DIRECTED[story](seed), store=store).invariants for seed in range(4))


RULES: list[tuple[wrong.Patch, str, str]] = [
    (wrong.no_pauses_of_all, "pauses", "paused"),
    (wrong.always_room, "crowded", "overlap"),
    (wrong.runs_again_at_most_once, "freezes", "at most once"),
    (wrong.gives_back_what_began, "deaths", "at most once"),
    (wrong.forgets_to_count, "crowded", "counters"),
    (wrong.edits_settle_nothing, "late_edits", "counters"),
    (wrong.what_waits_waits_for_ever, "crowded", "rest"),
    (wrong.nobody_renews, "crowded", "again"),
    (wrong.nobody_sweeps, "one_dies", "rest"),
    (wrong.whoever_wakes_goes_on, "asleep", "tokens"),
    (wrong.what_was_long_on_its_way_begins, "late_answers", "tokens"),
    (wrong.the_first_declarer_stays, "bad_deploy", "definition"),
    (wrong.a_day_too_early, "pauses", "early"),
    (wrong.takes_every_row_for_new, "long_pause", "late"),
    (wrong.as_if_never_missed, "late_edits", "counters"),
]


@pytest.mark.parametrize(
    ("mistake", "story", "invariant"), RULES, ids=lambda value: getattr(value, "__name__", value)
)
def test_a_wrong_rule_is_found(
    mistake: wrong.Patch, story: str, invariant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each mistake in the core breaks an invariant, and it has a name."""
    mistake(monkeypatch)
    assert any(invariant in play(DIRECTED[story](seed)).invariants for seed in range(4))


@pytest.mark.parametrize("told", DIRECTED.values(), ids=DIRECTED)
def test_the_right_design_survives_the_same_stories(told: wrong.Told) -> None:
    """What the wrong ones fail in is no fault of the story."""
    assert [play(told(seed)).broken for seed in range(2)] == [(), ()]
