"""Measure schedules against croniter, in one run: python benchmarks/schedules.py.

Both sides of a comparison are measured in turn, so that a change of the machine's clock rate meets both; what
is printed are medians. Parsing is measured without anything remembered (cold), and with the caches.
"""

import gc
import sys
import tracemalloc
from collections.abc import Callable
from datetime import datetime
from statistics import median
from time import perf_counter_ns
from zoneinfo import ZoneInfo

from croniter import croniter

from schedcore import schedules
from schedcore._clocktimes import clock_times
from schedcore._days import day_pattern
from schedcore.schedules import parse_schedule

LINES = (
    "* * * * *",
    "*/5 * * * *",
    "0 * * * *",
    "30 2 * * *",
    "0 9 * * 1-5",
    "15,45 8-18 * * mon-fri",
    "0 0 * * 0",
    "0 0 1 * *",
    "0 0 1 1 *",
    "0 0 29 2 *",
    "*/10 * * * * *",
)
ZONES = ("UTC", "Europe/Berlin")
ROUNDS = 1_500
NUMBER = 1_000


def medians(*sides: Callable[[], object]) -> list[float]:
    """Return the median time of each side in microseconds."""
    taken: list[list[int]] = [[] for _ in sides]
    for _ in range(ROUNDS):
        for times, side in zip(taken, sides, strict=True):
            start = perf_counter_ns()
            side()
            times.append(perf_counter_ns() - start)
    return [median(times) / 1_000 for times in taken]


def parse_cold(line: str) -> object:
    """Parse without what is remembered of lines, days and times of day."""
    day_pattern.cache_clear()
    clock_times.cache_clear()
    return schedules._parsed(schedules._plain(line), "UTC", "")


def parsing() -> list[float]:
    """Print how long parsing takes; return the ratios."""
    print(f"{'parse, µs':<26}{'croniter.expand':>16}{'cold':>9}{'ratio':>7}{'cached':>8}")
    ratios = []
    for line in LINES:
        six = len(line.split()) == 6
        theirs, cold, cached = medians(
            lambda line=line, six=six: croniter.expand(line, second_at_beginning=six),
            lambda line=line: parse_cold(line),
            lambda line=line: parse_schedule(line),
        )
        ratios.append(cold / theirs)
        print(f"{line:<26}{theirs:>16.1f}{cold:>9.1f}{ratios[-1]:>7.2f}{cached:>8.2f}")
    return ratios


def searching(tz: str) -> list[float]:
    """Print how long the search for the next time takes; return the ratios."""
    print(f"\n{f'next, µs, {tz}':<26}{'get_next':>16}{'next':>9}{'ratio':>7}{'_us':>8}{'last':>8}")
    now = datetime(2026, 3, 5, 12, 34, 56, tzinfo=ZoneInfo(tz))
    us = int(now.timestamp()) * 1_000_000
    ratios = []
    for line in LINES:
        schedule = parse_schedule(line, tz=tz)
        theirs = croniter(line, now, second_at_beginning=len(line.split()) == 6)
        known, found, fast, last = medians(
            lambda theirs=theirs: theirs.get_next(datetime, start_time=now),
            lambda schedule=schedule: schedule.next_after(now),
            lambda schedule=schedule: schedule.next_after_us(us),
            lambda schedule=schedule: schedule.last_before(now),
        )
        ratios.append(found / known)
        print(f"{line:<26}{known:>16.1f}{found:>9.2f}{ratios[-1]:>7.3f}{fast:>8.2f}{last:>8.2f}")
    return ratios


def memory() -> float:
    """Return the bytes per schedule of many different ones, all caches included."""
    lines = [f"{n % 60} {n // 60} * * {n % 7}" for n in range(NUMBER)]
    parse_schedule("* * * * *", tz="Europe/Berlin").shortest_gap()
    gc.collect()
    tracemalloc.start()
    kept = [parse_schedule(line, tz="Europe/Berlin") for line in lines]
    gc.collect()
    used = tracemalloc.get_traced_memory()[0] - sys.getsizeof(kept) - sum(map(sys.getsizeof, lines))
    tracemalloc.stop()
    return used / len(kept)


def counting() -> float:
    """Return how long it takes to count 26 years of seconds, in milliseconds."""
    schedule = parse_schedule("* * * * * *", tz="Europe/Berlin")
    start, end = (datetime(year, 1, 1, tzinfo=ZoneInfo("UTC")) for year in (2000, 2026))
    begun = perf_counter_ns()
    schedule.count(start, end)
    return (perf_counter_ns() - begun) / 1e6


def main() -> None:
    """Print everything."""
    per_schedule = memory()
    parse_ratios = parsing()
    next_ratios = [ratio for tz in ZONES for ratio in searching(tz)]
    print(f"\nparse / expand: {max(parse_ratios):.2f} at worst, {median(parse_ratios):.2f} in the middle")
    print(f"next / get_next: {max(next_ratios):.3f} at worst, {median(next_ratios):.3f} in the middle")
    print(
        f"{per_schedule:.0f} bytes per distinct schedule; counting 26 years of seconds: {counting():.1f} ms"
    )


if __name__ == "__main__":
    main()
