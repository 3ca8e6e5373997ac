"""Somebody writes into the stream, or takes out of it, while replicas work."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import pytest
from tests.faults.cluster import Cluster, JobSpec
from tests.faults.jobs import MIX
from tests.faults.test_store import groups, streams
from tests.redis.servers import RedisServer

BUSY = tuple(JobSpec(f"busy-{number}", "@every 300ms", seconds=0.1) for number in range(6))


@contextmanager
def in_background(act: object) -> Iterator[None]:
    """Have something done again and again, beside the test."""
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(0.02):
            act()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.faults_long
@pytest.mark.timeout(120)
def test_a_stream_of_garbage_of_all_kinds(cluster: Cluster, server: RedisServer, random: Random) -> None:
    """Also what looks like a trigger, like one that exists, and what is a megabyte long."""
    cluster.jobs = list(MIX)
    cluster.start()
    (stream,) = [name for name in streams(server) if name.endswith(":stream")]
    triggers = stream.removesuffix("stream") + "triggers"
    binary = bytes(range(256))

    def throw() -> None:
        existing = server.cli("HKEYS", triggers) or ["quick 1"]
        entries: list[tuple[str | bytes, ...]] = [
            ("trigger", random.choice(existing)),
            ("trigger", "quick 1700000000000000"),
            ("trigger", ""),
            ("trigger", binary),
            (binary, binary),
            ("", ""),
            ("trigger", "nobody has this job"),
            ("a", "b", "trigger", random.choice(existing), "c", "d"),
        ]
        server.cli("XADD", stream, "*", *random.choice(entries))
        if random.random() < 0.02:
            server.cli("XADD", stream, "*", "trigger", b"x" * 2**20)

    with in_background(throw):
        time.sleep(15)
        slot = random.randrange(3)
        cluster.kill(slot)
        cluster.start([slot])
        time.sleep(10)
    cluster.finish().assert_good()
    assert server.cli("XLEN", stream) < 30, "garbage stays"


@pytest.mark.faults_long
@pytest.mark.timeout(150)
@pytest.mark.parametrize("how", ["XDEL", "XTRIM", "DEL", "SETID 0", "SETID $"])
def test_the_stream_is_tampered_with(cluster: Cluster, server: RedisServer, random: Random, how: str) -> None:
    """Entries that were taken out of it under load are put back; nothing is lost, and nothing stuck."""
    cluster.jobs = [*MIX, *BUSY]
    cluster.start()

    def tamper() -> None:
        time.sleep(random.uniform(0, 0.2))
        for stream, group in groups(server):
            if how == "XDEL":
                for entry in server.cli("XRANGE", stream, "-", "+"):
                    server.cli("XDEL", stream, entry[0])
            elif how == "XTRIM":
                server.cli("XTRIM", stream, "MAXLEN", 0)
            elif how == "DEL":
                server.cli("DEL", stream)
            else:
                server.cli("XGROUP", "SETID", stream, group, how.split()[1])

    with in_background(tamper):
        time.sleep(8)
        slot = cluster.slot_of(cluster.next_record("start", "work"))
        cluster.kill(slot)
        cluster.start([slot])
        time.sleep(8)
    cluster.finish(settle=45).assert_good()
