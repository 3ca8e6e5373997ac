"""The engine beside a bare asyncio loop with a heap and no features, in one run on one machine.

    python -m benchmarks engine

Every figure is a ratio or a difference: absolute times of a shared machine say little.
"""

from __future__ import annotations

import asyncio
import gc
import heapq
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable

from schedcore import Scheduler

BURST = 10_000
ROUNDS = 5


def bare(due: list[float], ran: Callable[[float], None]) -> None:
    """Run no-op coroutines at these instants: a heap, a sleep, a task each."""

    async def job(at: float) -> None:
        ran(at)

    async def main() -> None:
        heap = list(due)
        heapq.heapify(heap)
        tasks = set()
        while heap:
            wait = heap[0] - time.time()
            if wait > 0:
                await asyncio.sleep(wait)
            now = time.time()
            while heap and heap[0] <= now:
                task = asyncio.ensure_future(job(heapq.heappop(heap)))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        while tasks:
            await asyncio.sleep(0.001)

    asyncio.run(main())


def next_second(ahead: float) -> int:
    return int(time.time() + ahead) + 1


def burst_bare() -> float:
    """Seconds from the instant until the last of BURST jobs has started."""
    at = next_second(0.2)
    starts: list[float] = []
    bare([float(at)] * BURST, lambda _: starts.append(time.time()))
    return starts[-1] - at


def burst_ours(concurrency: int) -> float:
    """Measure the same with the scheduler on RAM, in `async with` on one loop."""
    starts: list[float] = []

    async def job() -> None:
        starts.append(time.time())

    async def main() -> float:
        scheduler = Scheduler("bench", backend="ram", concurrency=concurrency)
        for number in range(BURST):
            scheduler.add_job(f"job-{number}", "*/10 * * * * *", job)
        async with scheduler:
            now = time.time()
            at = now - now % 10 + 10
            if at - now < 1.5:
                at += 10
                await asyncio.sleep(at - 10 - now + 3)
            starts.clear()
            while len(starts) < BURST:
                await asyncio.sleep(max(0.005, at - time.time()))
            return max(starts) - at

    return asyncio.run(main())


def steady_bare(seconds: int) -> list[float]:
    """Milliseconds from scheduled to started, 100 jobs each second."""
    first = next_second(0.2)
    late: list[float] = []
    due = [float(first + second) for second in range(seconds) for _ in range(100)]
    bare(due, lambda at: late.append((time.time() - at) * 1000))
    return late


def steady_ours(seconds: int) -> list[float]:
    """Measure the same with the scheduler on RAM."""
    late: list[float] = []

    async def job() -> None:
        now = time.time()
        late.append((now - round(now)) * 1000 if now - round(now) > 0 else now % 1 * 1000)

    async def main() -> None:
        scheduler = Scheduler("bench", backend="ram")
        for number in range(100):
            scheduler.add_job(f"job-{number}", "* * * * * *", job)
        async with scheduler:
            await asyncio.sleep(seconds)

    asyncio.run(main())
    return late


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def crowd(number: int) -> None:
    """Register jobs over 1,000 distinct expressions: bytes each."""

    async def job() -> None: ...

    names = [f"job-{n}" for n in range(number)]
    lines = [f"{n % 60} {n // 60 % 24} {n % 28 + 1} * *" for n in range(1000)]
    scheduler = Scheduler("bench", backend="ram")
    gc.collect()
    tracemalloc.start()
    for n, name in enumerate(names):
        scheduler.add_job(name, lines[n % 1000], job)
    with scheduler:
        time.sleep(1)
        gc.collect()
        held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    print(f"{number:,} jobs: {held / number:.0f} bytes each beside their names")


def crowd_at_work(number: int) -> None:
    """Register as many again: seconds, share of a core, longest garbage collection."""

    async def job() -> None: ...

    names = [f"job-{n}" for n in range(number)]
    lines = [f"{n % 60} {n // 60 % 24} {n % 28 + 1} * *" for n in range(1000)]
    scheduler = Scheduler("bench", backend="ram")
    pauses: list[float] = []
    begun = [0.0]

    def collected(phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            begun[0] = time.perf_counter()
        else:
            pauses.append(time.perf_counter() - begun[0])

    gc.callbacks.append(collected)
    started = time.perf_counter()
    for n, name in enumerate(names):
        scheduler.add_job(name, lines[n % 1000], job)
    registered = time.perf_counter() - started
    with scheduler:
        ready = time.perf_counter() - started
        time.sleep(1)
        before = time.process_time(), time.perf_counter()
        time.sleep(10)
        busy = (time.process_time() - before[0]) / (time.perf_counter() - before[1])
        gc.collect()
    gc.callbacks.remove(collected)
    print(f"{number:,} jobs: registered in {registered:.2f} s, started in {ready - registered:.2f} s more")
    print(f"{number:,} jobs: {busy:.2%} of a core while idle, longest garbage collection {max(pauses):.3f} s")


def import_time() -> float:
    """Milliseconds that `import schedcore` adds to an interpreter, the median of ten."""

    def once(code: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return (time.perf_counter() - start) * 1000

    return statistics.median(once("import schedcore") - once("pass") for _ in range(10))


def main() -> None:
    """Print every figure."""
    print(f"import schedcore: {import_time():.0f} ms")
    for part in ("crowd", "crowd_at_work"):
        code = f"from benchmarks.engine import {part}; {part}(100_000)"
        subprocess.run([sys.executable, "-c", code], check=True)
    ratios: dict[int, list[float]] = {100: [], BURST: []}
    for _ in range(ROUNDS):
        reference = burst_bare()
        for concurrency, seen in ratios.items():
            ours = burst_ours(concurrency)
            seen.append(ours / reference)
            print(
                f"  {BURST:,} at once: bare {reference:.3f} s, "
                f"ours with concurrency={concurrency} {ours:.3f} s"
            )
    for concurrency, seen in ratios.items():
        print(
            f"{BURST:,} at once, concurrency={concurrency}: {statistics.median(seen):.2f} times the bare loop"
        )
    for _ in range(3):
        loop, ours_late = steady_bare(8), steady_ours(8)
        print(
            f"100 a second: p50 {percentile(loop, 0.5):.2f} and {percentile(ours_late, 0.5):.2f} ms, "
            f"p99 {percentile(loop, 0.99):.2f} and {percentile(ours_late, 0.99):.2f} ms, bare and ours"
        )


if __name__ == "__main__":
    main()
