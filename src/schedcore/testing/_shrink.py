"""Makes a failing story short: fewer events, while the same invariant stays broken (delta debugging).

A. Zeller, R. Hildebrandt: "Simplifying and Isolating Failure-Inducing Input", 2002.
"""

from __future__ import annotations

from collections.abc import Callable

from schedcore.testing._story import Story

Fails = Callable[[Story], bool]


def shrink(story: Story, fails: Fails, *, plays: int = 200) -> Story:
    """Drop events and jobs of a story that fails as long as it still does, in so many plays at most.

    The events that are left fail with all of its jobs too, so that their numbers are enough to play it again.
    """
    budget = [plays]

    def still(shorter: Story) -> bool:
        budget[0] -= 1
        return budget[0] >= 0 and fails(shorter)

    story = _fewer_events(story, still)
    for plan in story.plans:
        if len(story.plans) > 1 and still(story.without_jobs((plan.name,))):
            story = story.without_jobs((plan.name,))
    return story


def _fewer_events(story: Story, still: Fails) -> Story:
    parts = 2
    while story.events:
        numbers = story.numbers
        size = max(1, -(-len(numbers) // parts))
        for begin in range(0, len(numbers), size):
            rest = story.only({*numbers[:begin], *numbers[begin + size :]})
            if still(rest):
                story, parts = rest, max(2, parts - 1)
                break
        else:
            if size == 1:
                break
            parts = min(len(numbers), parts * 2)
    return story
