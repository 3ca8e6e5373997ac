"""The Redis backend beside a bare redis-py loop on the same server, in one run on one machine.

    SCHEDCORE_TEST_REDIS_URL=redis://127.0.0.1:6379/15 python -m benchmarks cluster

The server is the tests' (without the variable, one is started); what is measured has keys of its own there.
The bare loop publishes with a script, reads with XREADGROUP COUNT 500 into a pending list, and
acknowledges in batches; it knows neither rows nor leases nor history.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from random import Random
from typing import Any
from uuid import uuid4

import redis.asyncio as redis

from sched_redis import RedisBackend
from schedcore import Scheduler, _rules
from schedcore._clock import StoreClock, SystemClock
from schedcore._commit import Committer
from schedcore._draft import Draft, Outcome
from schedcore._link import OneTry
from schedcore._ticker import Ticker
from schedcore.protocols import Delivery, Row, Status

BURST = 10_000
DRAIN = 20_000
STREAM, GROUP = "bare", "bare"
PUBLISH = """
for i = 1, #ARGV do redis.call('XADD', KEYS[1], '*', 'at', ARGV[i]) end
"""


class Bare:
    """A stream, a group, and no features."""

    def __init__(self, url: str) -> None:
        self.client = redis.Redis.from_url(url, protocol=2)
        self.reader = redis.Redis.from_url(url, protocol=2)
        self.publish = self.client.register_script(PUBLISH)
        self.starts: list[float] = []

    async def open(self) -> None:
        await self.client.delete(STREAM)
        await self.client.xgroup_create(STREAM, GROUP, "0", mkstream=True)

    async def close(self) -> None:
        await self.client.delete(STREAM)
        await self.client.aclose()
        await self.reader.aclose()

    async def send(self, number: int) -> None:
        for start in range(0, number, 128):
            await self.publish(keys=[STREAM], args=["0"] * min(128, number - start))

    async def job(self) -> None:
        self.starts.append(time.time())

    async def run(self, number: int) -> None:
        """Read, run and acknowledge so many."""
        done = 0
        while done < number:
            found = await self.reader.xreadgroup(GROUP, "c", {STREAM: ">"}, count=500, block=1000)
            ids = [entry for _, entries in found for entry, _ in entries]
            await asyncio.gather(*[self.job() for _ in ids])
            if ids:
                pipeline = self.client.pipeline(transaction=False)
                pipeline.xack(STREAM, GROUP, *ids)
                pipeline.xdel(STREAM, *ids)
                await pipeline.execute()
            done += len(ids)


async def drain_bare(url: str) -> float:
    """Runs a second with DRAIN waiting."""
    bare = Bare(url)
    await bare.open()
    await bare.send(DRAIN)
    begin = time.perf_counter()
    await bare.run(DRAIN)
    took = time.perf_counter() - begin
    await bare.close()
    return DRAIN / took


async def burst_bare(url: str) -> float:
    """Seconds from the instant until the last of BURST has started."""
    bare = Bare(url)
    await bare.open()
    running = asyncio.create_task(bare.run(BURST))
    at = int(time.time()) + 1.5
    await asyncio.sleep(at - time.time())
    await bare.send(BURST)
    await running
    await bare.close()
    return bare.starts[-1] - at


async def steady_bare(url: str, seconds: int) -> list[float]:
    """Lateness in ms of 100 a second."""
    bare = Bare(url)
    await bare.open()
    running = asyncio.create_task(bare.run(100 * seconds))
    late: list[float] = []
    for second in range(int(time.time()) + 1, int(time.time()) + 1 + seconds):
        await asyncio.sleep(second - time.time())
        before = len(bare.starts)
        await bare.send(100)
        while len(bare.starts) < before + 100:
            await asyncio.sleep(0.002)
        late += [(start - second) * 1000 for start in bare.starts[before:]]
    await running
    await bare.close()
    return late


def app() -> str:
    return f"bench-{uuid4().hex[:6]}"


async def forget(url: str, name: str) -> None:
    async with redis.Redis.from_url(url) as client:
        keys = [key async for key in client.scan_iter(match=f"schedcore:{{{name}}}:*", count=1000)]
        for start in range(0, len(keys), 1000):
            await client.delete(*keys[start : start + 1000])


async def drain_ours(url: str, concurrency: int, number: int = DRAIN) -> float:
    """Runs a second with DRAIN waiting of so many jobs, from the first start to the last line of history."""
    name, starts = app(), []
    jobs = [f"job-{each}" for each in range(number)]

    async def job() -> None:
        starts.append(time.perf_counter())

    def scheduler() -> Scheduler:
        made = Scheduler(name, backend="redis", url=url, concurrency=concurrency)
        for each in jobs:
            made.add_job(each, "@every 24h", job, overlap="allow")
        return made

    async with scheduler():
        pass
    backend = RedisBackend(name, url=url)
    await backend.open("sender")
    committer = Committer(backend, OneTry(), "sender")
    await committer.read(jobs)
    now = await backend.store.now()
    for key in range(DRAIN // number):
        await committer.apply(jobs, lambda row, _, key=key: _rules.ask(row, f"k{key}", None, now)[1])
    await backend.close()
    async with scheduler(), redis.Redis.from_url(url) as client:
        while await client.hlen(f"schedcore:{{{name}}}:triggers"):
            await asyncio.sleep(0.005)
        end = time.perf_counter()
    assert len(starts) == DRAIN, len(starts)
    await forget(url, name)
    return DRAIN / (end - starts[0])


async def burst_ours(url: str, concurrency: int) -> tuple[float, float]:
    """Seconds from the instant until the last has started, and scripts per fire."""
    name, starts = app(), []

    async def job() -> None:
        starts.append(time.time())

    scheduler = Scheduler(name, backend="redis", url=url, concurrency=concurrency)
    for number in range(BURST):
        scheduler.add_job(f"job-{number}", "*/20 * * * * *", job)
    async with scheduler, redis.Redis.from_url(url) as client:
        at = time.time() // 20 * 20 + 20
        if at - time.time() < 2:
            at += 20
        await asyncio.sleep(at - time.time() - 0.5)
        starts.clear()
        before = await scripts(client)
        while len(starts) < BURST:
            await asyncio.sleep(0.05)
        after = await scripts(client)
    await forget(url, name)
    return starts[-1] - at, (after - before) / BURST


async def scripts(client: Any) -> int:
    """Scripts run so far: in a burst nearly all that is sent."""
    stats = await client.info("commandstats")
    return int(stats["cmdstat_evalsha"]["calls"])


async def steady_ours(url: str, seconds: int, replicas: int = 1) -> tuple[list[float], Counter[int]]:
    """Lateness in ms of 100 jobs a second, and how many runs each replica had."""
    name, starts, share = app(), [], Counter[int]()

    async def job(number: int) -> None:
        starts.append(time.time())
        share[number] += 1

    schedulers = []
    for replica in range(replicas):
        scheduler = Scheduler(name, backend="redis", url=url)
        for number in range(100):
            scheduler.add_job(f"job-{number}", "@every 1s", partial(job, replica))
        schedulers.append(scheduler)
    for scheduler in schedulers:
        await scheduler.__aenter__()
    await asyncio.sleep(2.5)
    starts.clear()
    share.clear()
    await asyncio.sleep(seconds)
    late = [(start % 1) * 1000 for start in starts]
    for scheduler in schedulers:
        await scheduler.__aexit__(None, None, None)
    await forget(url, name)
    return late, share


async def herd(url: str, replicas: int, jobs: int = 5000) -> list[float]:
    """Seconds of Redis's processor until all replicas have decided jobs due at one instant, three times.

    In between one of them has run them all, which is not counted.
    """
    name = app()
    made = Scheduler(name, backend="redis", url=url)
    for number in range(jobs):
        made.add_job(f"job-{number}", "@every 40s", print)
    async with made:
        pass
    backends = [RedisBackend(name, url=url) for _ in range(replicas)]
    committers = [Committer(backend, OneTry(), f"r{i}") for i, backend in enumerate(backends)]
    took: list[float] = []
    async with redis.Redis.from_url(url) as client:
        for i, backend in enumerate(backends):
            await backend.open(f"r{i}")
            await committers[i].read([f"job-{number}" for number in range(jobs)])
        for _ in range(3):
            clock = StoreClock(SystemClock())
            tickers = [Ticker(each, clock, Random(), lambda _: None) for each in committers]
            for ticker in tickers:
                ticker.schedule(f"job-{number}" for number in range(jobs))
            await asyncio.sleep(((tickers[0].next_due() or 0) - clock.now()) / 1_000_000 + 0.01)
            before = await used(client)
            await asyncio.gather(*[ticker._decide_all(ticker._pop_due()) for ticker in tickers])
            took.append(await used(client) - before)
            await finish_all(backends[0], committers[0], jobs)
    for backend in backends:
        await backend.close()
    await forget(url, name)
    return took


async def finish_all(backend: RedisBackend, committer: Committer, jobs: int) -> None:
    """Take what was sent, and record that it was run."""
    await backend.store.beat("r0", {}, 10_000_000)
    taken: dict[str, Delivery] = {}
    names = frozenset(f"job-{number}" for number in range(jobs))
    while len(taken) < jobs:
        taken.update({d.trigger.job: d for d in await backend.bus.receive(names, 100, 1_000_000)})

    def rule(row: Row, _: Row) -> Draft:
        draft = Draft(row)
        draft.finish([(taken[row.job], Outcome(Status.SUCCEEDED, "", 1, 2))], "r0")
        return draft

    await committer.apply(list(taken), rule, app=False)


async def used(client: Any) -> float:
    """Seconds of a processor that the server has taken."""
    cpu = await client.info("cpu")
    return float(cpu["used_cpu_user"] + cpu["used_cpu_sys"])


def p(values: list[float], share: float) -> float:
    return sorted(values)[int(len(values) * share)]


def main() -> None:
    """Print the figures."""
    with server() as url:
        run(url)


@contextmanager
def server() -> Iterator[str]:
    given = os.environ.get("SCHEDCORE_TEST_REDIS_URL")
    if given:
        yield given
        return
    from tests.redis.servers import RedisServer

    with RedisServer() as own:
        yield own.url


def run(url: str) -> None:
    def once(measure: Callable[..., Awaitable[Any]], *more: Any) -> Any:
        return asyncio.run(measure(url, *more))

    bare = statistics.median(once(drain_bare) for _ in range(3))
    for number, concurrency in ((DRAIN, 100), (DRAIN, 1000), (40, 100), (40, 1000)):
        ours = statistics.median(once(drain_ours, concurrency, number) for _ in range(2))
        print(f"drain {DRAIN:,} of {number:,} jobs, concurrency {concurrency}: {ours / bare:.2f} of bare")
        print(f"    (bare {bare:,.0f}/s, ours {ours:,.0f}/s)")
    bare = statistics.median(once(burst_bare) for _ in range(3))
    for concurrency in (100, 1000):
        seconds, sent = once(burst_ours, concurrency)
        print(f"burst {BURST:,}, concurrency {concurrency}: {seconds / bare:.1f} times bare")
        print(f"    (bare {bare:.2f} s, ours {seconds:.2f} s; {sent:.3f} scripts per fire)")
    late = once(steady_bare, 8)
    ours, _ = once(steady_ours, 8)
    print(f"100 a second: p99 {p(ours, 0.99) - p(late, 0.99):+.1f} ms")
    for name, each in (("bare", late), ("ours", ours)):
        print(f"    ({name}: p50 {p(each, 0.5):.1f} ms, p99 {p(each, 0.99):.1f} ms)")
    ours, share = once(steady_ours, 8, 3)
    print(f"three replicas in one process: p99 {p(ours, 0.99):.1f} ms, runs {sorted(share.values())}")
    for replicas in (1, 50):
        took = ", ".join(f"{seconds:.2f}" for seconds in once(herd, replicas))
        print(f"5,000 jobs due at once, three times, decided by {replicas} replicas: {took} s of Redis")
