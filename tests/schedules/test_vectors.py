"""The cases that eight independent implementations of cron were asked about."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from schedcore.errors import ScheduleError
from schedcore.schedules import parse_schedule

DATA = Path(__file__).parents[1] / "data/cron"


def cases(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text().splitlines()]


CATEGORIES = sorted({case["category"] for case in cases("vectors.jsonl")})


@pytest.mark.parametrize("category", CATEGORIES)
def test_next_times_are_those_of_the_vectors(category: str) -> None:
    """The next times after the start, one after the other, are the expected ones."""
    wrong = []
    for case in cases("vectors.jsonl"):
        if case["category"] != category:
            continue
        schedule = parse_schedule(case["expr"], tz=case["tz"])
        expected = [datetime.fromisoformat(text) for text in case["expected"]]
        found = schedule.upcoming(datetime.fromisoformat(case["start"]), len(expected))
        if found != expected:
            wrong.append((case["expr"], case["tz"], case["start"], found, expected))
    assert wrong == []


@pytest.mark.parametrize("category", CATEGORIES)
def test_last_and_count_agree_with_the_vectors(category: str) -> None:
    """Seen from the last expected time, those before it are the expected ones, as many as there are."""
    for case in cases("vectors.jsonl"):
        if case["category"] == category:
            schedule = parse_schedule(case["expr"], tz=case["tz"])
            start = datetime.fromisoformat(case["start"])
            expected = [datetime.fromisoformat(text) for text in case["expected"]]
            before = [schedule.last_before(when) for when in expected[1:]]
            assert before == expected[:-1], case
            assert schedule.count(start, expected[-1]) == len(expected), case


@pytest.mark.parametrize(
    "case", cases("invalid.jsonl"), ids=lambda case: case["expr"][:30].encode("unicode_escape")
)
def test_what_is_no_schedule_is_refused_with_a_remedy(case: dict[str, str]) -> None:
    """Each invalid line is refused by our own error, which names it and says what to do."""
    with pytest.raises(ScheduleError) as caught:
        parse_schedule(case["expr"])
    assert str(caught.value.expression).split() == case["expr"].split()
    assert caught.value.problem
    assert caught.value.remedy
