"""Plays stories, many of them, and makes what a failing one tells short."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial

import attrs

from schedcore._jobs import Job
from schedcore.protocols import Micros
from schedcore.scheduler import Scheduler
from schedcore.testing._books import Broken, Record
from schedcore.testing._cluster import Cluster, MakeStore
from schedcore.testing._drawing import EDITS, draw
from schedcore.testing._growth import Size
from schedcore.testing._invariants import INVARIANTS, violations
from schedcore.testing._shrink import shrink
from schedcore.testing._stores import RamStore
from schedcore.testing._story import Story, jobs_of

Draw = Callable[[int], Story]


@attrs.frozen
class Played:
    """One story, played to its end.

    `broken` says what of the promise did not hold, `runs` what the jobs' functions did, in order of time;
    `lasted` is how much virtual time it took, `sizes` how much was remembered in quiet moments, by the hour.
    """

    story: Story
    broken: tuple[Broken, ...]
    runs: tuple[Record, ...]
    steps: int
    lasted: Micros
    sizes: tuple[Size, ...] = ()

    @property
    def invariants(self) -> set[str]:
        """The names of the invariants that do not hold."""
        return {each.invariant for each in self.broken}

    def trace(self) -> list[str]:
        """Tell everything that the jobs did, and when: equal for equal seeds."""
        return [
            f"{r.t - self.story.start} {r.event} {r.job} {r.key} {r.delivery} {r.attempt} {r.pid}"
            for r in self.runs
        ]


class BrokenPromiseError(AssertionError):
    """A simulated cluster broke an invariant: its seed, its story made short, and how to play it again."""

    def __init__(self, played: Played, hint: str = "") -> None:
        self.played = played
        super().__init__(explain(played, hint))


def explain(played: Played, hint: str = "") -> str:
    """Tell which invariant a story breaks, and the story."""
    first = played.broken[0]
    others = [str(each) for each in played.broken[1:5]]
    more = len(played.broken) - 1 - len(others)
    kept = ",".join(map(str, played.story.numbers))
    return "\n".join(
        [
            f"seed {played.story.seed} breaks the invariant {first.invariant!r}: "
            f"{INVARIANTS[first.invariant]}",
            f"  {first}",
            *(f"  {other}" for other in others),
            *([f"  and {more} more"] if more > 0 else []),
            "",
            str(played.story),
            "",
            hint or f"Play it again: the same seed, only={{{kept}}}.",
        ]
    )


def play(story: Story, *, jobs: Mapping[str, Job] | None = None, store: MakeStore = RamStore) -> Played:
    """Play one story; the same one ends the same, always."""
    cluster = Cluster(story, jobs_of(story) if jobs is None else jobs, store)
    cluster.play()
    lasted = cluster.time.now - story.start
    return Played(
        story,
        tuple(violations(cluster)),
        tuple(cluster.books),
        cluster.server.witness.steps,
        lasted,
        tuple(cluster.sizes),
    )


def shrunk(played: Played, again: Callable[[Story], Played]) -> Played:
    """Make a failing story short, while the invariant that it breaks first stays broken."""
    wanted = played.broken[0].invariant
    last = [played]

    def fails(story: Story) -> bool:
        result = again(story)
        if wanted in result.invariants:
            last[0] = result
            return True
        return False

    shrink(played.story, fails)
    broken = sorted(last[0].broken, key=lambda each: each.invariant != wanted)
    return attrs.evolve(last[0], broken=tuple(broken))


def stories(
    scheduler: Scheduler | None, minutes: float, replicas: int, *, losses: bool = True
) -> tuple[Draw, Mapping[str, Job] | None]:
    """Tell how stories are drawn, and their jobs: those of a scheduler, or some of every kind."""
    if scheduler is None:
        return partial(draw, minutes=minutes, replicas=replicas, losses=losses), None
    jobs = dict(scheduler._jobs)
    schedules = ("@every 90s", "*/3 * * * *", "@every 10m") if minutes >= 10 else EDITS
    names = sorted(jobs)
    return partial(
        draw, minutes=minutes, replicas=replicas, jobs=names, schedules=schedules, losses=losses
    ), jobs


def simulate(
    scheduler: Scheduler | None = None,
    *,
    seeds: int | Iterable[int] = 20,
    minutes: float = 5,
    replicas: int = 3,
    store: MakeStore = RamStore,
    only: Collection[int] | None = None,
) -> list[Played]:
    """Play the stories of some seeds, in which replicas and store suffer all that can befall them.

    The jobs are those of `scheduler`, on `replicas` replicas for so many virtual minutes; without one, some
    of every kind. `seeds` is how many, from 0 on, or which. `only` plays these of a story's events alone.

    Raises:
        BrokenPromiseError: an invariant is broken.
    """
    drawn, jobs = stories(scheduler, minutes, replicas)
    again = partial(play, jobs=jobs, store=store)
    results = []
    for result in each_of(range(seeds) if isinstance(seeds, int) else seeds, drawn, again, only):
        if result.broken:
            raise BrokenPromiseError(shrunk(result, again) if only is None else result)
        results.append(result)
    return results


def each_of(
    seeds: Iterable[int], drawn: Draw, again: Callable[[Story], Played], only: Collection[int] | None = None
) -> Iterator[Played]:
    """Play one seed's story after the other."""
    for seed in seeds:
        story = drawn(seed)
        yield again(story if only is None else story.only(only))
