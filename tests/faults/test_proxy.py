"""The proxy that tests put before a store: it forwards, and fails as it is told."""

import time
from collections.abc import Iterator
from random import Random

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from tests.faults.proxy import Proxy
from tests.redis.servers import RedisServer


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[Proxy]:
    """A proxy before the shared server."""
    with Proxy(redis_server.port) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: Proxy) -> Iterator["redis.Redis[bytes]"]:
    """A client that tries once, and waits for half a second."""
    with redis.Redis(port=proxy.port, socket_timeout=0.5, retry=Retry(NoBackoff(), 0)) as client:
        yield client


def test_it_forwards(client: "redis.Redis[bytes]") -> None:
    """Also more than fits into one chunk."""
    assert client.echo("x" * 300_000) == b"x" * 300_000


def test_a_stall_keeps_connections_and_says_nothing(proxy: Proxy, client: "redis.Redis[bytes]") -> None:
    """What was sent into it arrives when it is over, although its sender has given up."""
    key = f"stalled-{proxy.port}"
    assert client.ping()
    proxy.stall()
    with pytest.raises(redis.TimeoutError):
        client.incr(key)
    proxy.heal()
    time.sleep(0.2)
    assert client.get(key) == b"1"
    client.delete(key)


def test_a_cut_drops_connections_and_welcomes_new_ones(proxy: Proxy, client: "redis.Redis[bytes]") -> None:
    """The next command connects again."""
    pubsub = client.pubsub()
    pubsub.subscribe("nothing")
    pubsub.get_message(timeout=1)
    proxy.cut()
    with pytest.raises(redis.ConnectionError):
        pubsub.get_message(timeout=1)
    pubsub.close()
    assert client.ping()


def test_it_refuses_until_it_is_healed(proxy: Proxy, client: "redis.Redis[bytes]") -> None:
    """On the same port."""
    assert client.ping()
    proxy.refuse()
    with pytest.raises(redis.ConnectionError):
        client.ping()
    proxy.heal()
    assert client.ping()


def test_it_delays_each_way(proxy: Proxy, client: "redis.Redis[bytes]") -> None:
    """A round trip takes twice as much longer."""
    assert client.ping()
    proxy.delay(0.1)
    begun = time.monotonic()
    assert client.ping()
    assert time.monotonic() - begun > 0.19
    proxy.heal()


def test_it_crumbles(proxy: Proxy, client: "redis.Redis[bytes]") -> None:
    """What arrives byte by byte is whole in the end."""
    proxy.crumble(1)
    assert client.echo("x" * 3_000) == b"x" * 3_000


def test_it_tears_an_answer(proxy: Proxy, client: "redis.Redis[bytes]") -> None:
    """The command was executed, and its sender does not know."""
    key = f"torn-{proxy.port}"
    assert client.ping()
    proxy.tear(1.0, Random(1))
    with pytest.raises(redis.ConnectionError):
        client.incr(key)
    proxy.heal()
    assert client.get(key) == b"1"
    client.delete(key)
