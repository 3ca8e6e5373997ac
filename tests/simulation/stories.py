"""Random misfortunes from one seed, and what people do meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from schedcore.errors import SchedcoreError

from .virtual import now_us
from .world import Faults, Node, World

OVERLAPS = ("skip", "queue_one", "queue_all", "allow")
CATCH_UPS = ("latest", "all", "none")


def declare_all(world: World, node: Node) -> None:
    """Give a node the jobs of the story: the same on every node."""
    rnd = world.random.__class__(world.seed)  # every node declares the same
    for number, overlap in enumerate(OVERLAPS):
        node.declare(
            f"job-{overlap}",
            rnd.choice(["@every 5s", "@every 7s", "*/10 * * * * *", "0,17,40 * * * * *"]),
            rnd.choice([0.1, 2.0, 6.0, 25.0]),
            overlap=overlap,
            catch_up=CATCH_UPS[(world.seed + number) % 3],
            grace=rnd.choice([5, 60]),
            jitter=rnd.choice([0, 0, 2]),
        )
    node.declare("job-once", "@every 11s", rnd.choice([0.1, 8.0]), delivery="at_most_once")


async def misfortunes(world: World, seconds: float) -> None:
    """Let one thing after the other go wrong."""
    acts: list[Callable[[World], Awaitable[None]]] = [
        _kill,
        _kill,
        _freeze,
        _partition_all,
        _restart,
        _stop,
        _pause,
        _trigger,
        _trigger,
        _edit,
        _noise,
    ]
    end = now_us() + seconds * 1_000_000
    while now_us() < end:
        await asyncio.sleep(world.random.uniform(0.5, 12))
        await world.random.choice(acts)(world)


def _any(world: World) -> Node:
    return world.random.choice(world.nodes)


async def _kill(world: World) -> None:
    node = _any(world)
    await node.kill()
    world.spawn(_start_later(world, node))


async def _start_later(world: World, node: Node) -> None:
    await asyncio.sleep(world.random.uniform(0, 30))
    if not node.alive:
        node.start()


async def _restart(world: World) -> None:
    node = _any(world)
    await node.kill()
    node.start()


async def _stop(world: World) -> None:
    node = _any(world)
    world.spawn(_stop_and_start(world, node))


async def _stop_and_start(world: World, node: Node) -> None:
    await node.stop(world.random.choice([0, 2, 20]))
    if not node.alive:
        node.start()


async def _freeze(world: World) -> None:
    node = _any(world)
    node.freeze()
    world.spawn(_later(world.random.uniform(1, 40), node.thaw))


async def _partition_all(world: World) -> None:
    world.store_up = False

    def back() -> None:
        world.store_up = True

    world.spawn(_later(world.random.uniform(0.5, 60), back))


async def _later(seconds: float, act: Callable[[], None]) -> None:
    await asyncio.sleep(seconds)
    act()


async def _pause(world: World) -> None:
    job = world.random.choice([None, "job-skip", "job-queue_all"])
    world.spawn(_pause_and_resume(world, job))


async def _pause_and_resume(world: World, job: str | None) -> None:
    control, rnd = world.control(), world.random
    try:
        until = None
        if rnd.random() < 0.3:
            now = datetime.fromtimestamp(world.memory.clock() / 1_000_000, UTC)
            until = now + timedelta(seconds=rnd.uniform(1, 40))
        await control.pause(job, until=until)
        await asyncio.sleep(rnd.uniform(1, 40))
        await control.resume(job)
    except SchedcoreError:
        return  # the job is not declared yet


async def _trigger(world: World) -> None:
    rnd = world.random
    key = rnd.choice([None, "a", "b"])
    payload = rnd.choice([None, "fail"])
    try:
        await world.control().trigger(f"job-{rnd.choice(OVERLAPS)}", key=key, payload=payload)
    except SchedcoreError:
        return


async def _edit(world: World) -> None:
    """A deploy: one replica after the other gets another schedule for a job."""
    overlap = world.random.choice(OVERLAPS)
    schedule = world.random.choice(["@every 4s", "@every 9s", "*/15 * * * * *"])
    world.spawn(_deploy(world, f"job-{overlap}", schedule, overlap))


async def _deploy(world: World, job: str, schedule: str, overlap: str) -> None:
    for node in list(world.nodes):
        await node.kill()
        node.declare(job, schedule, 1.0, overlap=overlap)
        node.start()
        await asyncio.sleep(world.random.uniform(0, 10))


async def _noise(world: World) -> None:
    rnd = world.random
    world.faults = Faults(
        rnd.choice([0, 0, 0.05, 0.3]), rnd.choice([0, 0, 0.05, 0.3]), rnd.choice([0, 0.01, 0.5, 3])
    )


async def play(world: World, seconds: float = 180) -> None:
    """Start three replicas, let things go wrong for a while, and let all come to rest."""
    for skew in (0, -70_000_000, 2_000_000):
        node = world.node(skew)
        declare_all(world, node)
        node.start()
    await misfortunes(world, seconds)
    await world.quiet()
    for node in world.nodes:
        if not node.alive:
            node.start()
    await world.quiet(60)
    await _come_to_rest(world)


async def _come_to_rest(world: World) -> None:
    """Send nothing more, and let what is outstanding come to its end."""
    await world.control().resume(None)
    for job in list(world.memory.rows):
        if job:
            await world.control().resume(job)
    await world.control().pause(None)
    for _ in range(100):
        await asyncio.sleep(60)
        if not any(world.memory.items.values()):
            break
    await world.end()
