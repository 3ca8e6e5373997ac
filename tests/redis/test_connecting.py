"""How the Redis backend comes to its server: by URL, by the variable, by a client that it is lent."""

import asyncio
import os
import subprocess
import sys
import textwrap
from typing import Any
from urllib.parse import quote

import pytest
import redis
import redis.asyncio
from redis.sentinel import Sentinel
from tests.redis.servers import RedisServer
from tests.redis.topologies import ClusterSet, SentinelSet
from tests.strict import STRICT

from sched_redis import RedisBackend, _connect
from schedcore import ConfigurationError, Scheduler

ALL = "redis+cluster://HOST:6379,HOST:6379"
PASSWORD = "hun:t@e/r#2?"


def settings_of(url: str) -> dict[str, Any]:
    """The settings of the connections that an URL leads to."""
    client = _connect.from_url(url).make(greet)
    pool = getattr(client, "connection_pool", None)
    kwargs: dict[str, Any] = (pool or client.nodes_manager).connection_kwargs
    return kwargs


async def greet(connection: Any) -> None:
    """Make a connection ready as redis-py does."""
    await connection.on_connect()


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://h", "begins with 'http'"),
        ("h:6379", "has no scheme"),
        ("user:hunter2@h", "has no scheme"),
        ("redis://h:port/0", "its port is no number"),
        ("redis://h:99999/0", "its port is no number"),
        ("redis://user:hunter2/x@h/0", r"redis://\*\*\*@h/0 cannot be used: its port .* / as %2F"),
        ("redis://:hunter2@h/x", "there is no database 'x'"),
        ("redis://:hunter2@h/0?retries=1", "no connection has an option 'retries'"),
        ("redis://h?password=hunter2&nonsense=1", r"password=\*\*\*&nonsense=1 .* option 'nonsense'"),
        ("unix://", "the path of the socket is missing"),
        ("redis+sentinel://:hunter2@h", "the name of the primary is missing"),
        ("redis+sentinel://,/p", "a host is missing"),
        ("redis+sentinel://h,h:x/p", "its port is no number"),
        ("redis+sentinel://h/p/x", "there is no database 'x'"),
        ("redis+sentinel://h/p/0?nonsense=1&sentinel_password=hunter2", "option 'nonsense'"),
        ("redis+cluster://:hunter2@h/3", "a Cluster has no numbered databases"),
        ("redis+cluster://h?nonsense=1", "option 'nonsense'"),
        ("rediss://h?ssl_ca_certs=/nowhere/ca.pem", "ssl_ca_certs= names /nowhere/ca.pem"),
    ],
)
def test_an_url_that_cannot_be_used_is_refused_with_the_reason(url: str, problem: str) -> None:
    """And with examples, but without the password."""
    with pytest.raises(ConfigurationError, match=problem) as raised:
        Scheduler("app", backend="redis", url=url)
    assert ALL in str(raised.value)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("kind", ["redis://{}@[::1]:7/2", "redis+sentinel://{}@[::1]:7,h/p/2"])
def test_names_and_passwords_may_have_any_character(kind: str) -> None:
    """Percent-encoded as in any URL; and hosts of IPv6 are in brackets."""
    found = settings_of(kind.format(f"us%40er:{quote(PASSWORD, safe='')}"))
    assert (found["username"], found["password"], found["db"]) == ("us@er", PASSWORD, 2)


def test_several_hosts_are_all_asked() -> None:
    """Of a Cluster and of sentinels, with or without ports."""
    cluster = _connect.from_url("redis+cluster://[::1],h:7,i").make(greet)
    nodes = {(node.host, node.port) for node in cluster.nodes_manager.startup_nodes.values()}
    assert nodes == {("::1", 6379), ("h", 7), ("i", 6379)}
    pool = _connect.from_url("redis+sentinel://[::1],h:7/p?sentinel_password=x").make(greet).connection_pool
    asked = [sentinel.connection_pool.connection_kwargs for sentinel in pool.sentinel_manager.sentinels]
    assert [(each["host"], each["port"], each["password"]) for each in asked] == [
        ("::1", 26379, "x"),
        ("h", 7, "x"),
    ]


def test_a_backend_shows_where_it_is_and_no_password() -> None:
    """Neither the URL's nor the client's."""
    client = redis.Redis(password="hunter2")
    backends = [
        RedisBackend("app", url="redis://:hunter2@h/0"),
        RedisBackend("app", url="redis://h/0?password=hunter2"),
        RedisBackend("app", url="redis+sentinel://:hunter2@h/p"),
        RedisBackend("app", client=client),
    ]
    assert "hunter2" not in repr(backends)
    assert repr(backends[0]) == "<RedisBackend app at redis://***@h/0>"
    assert repr(backends[3]) == "<RedisBackend app at localhost:6379/0>"
    over_unix = RedisBackend("app", client=redis.Redis(unix_socket_path="/run/redis.sock"))
    assert repr(over_unix) == "<RedisBackend app at unix:///run/redis.sock>"


def test_without_an_url_the_variable_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it is this machine's port 6379."""
    monkeypatch.setenv("SCHEDCORE_REDIS_URL", "redis://elsewhere:7/3")
    assert repr(RedisBackend("app")) == "<RedisBackend app at redis://elsewhere:7/3>"
    assert repr(RedisBackend("app", url="redis://h")) == "<RedisBackend app at redis://h>"
    monkeypatch.delenv("SCHEDCORE_REDIS_URL")
    assert repr(RedisBackend("app")) == "<RedisBackend app at redis://127.0.0.1:6379/0>"


def test_what_is_no_client_is_refused() -> None:
    """And so are an URL and a client at once."""
    with pytest.raises(ConfigurationError, match=r"client= must be a client of redis-py.* not 'redis://h'"):
        RedisBackend("app", client="redis://h")
    with pytest.raises(ConfigurationError, match="not both"):
        RedisBackend("app", url="redis://h", client=redis.Redis())


def runs_with(app: str, **options: Any) -> None:
    """Start a scheduler and have it run a job."""
    scheduler = Scheduler(app, backend="redis", **options)
    scheduler.add_job("a", "@every 1h", lambda: None)
    with scheduler:
        assert scheduler.blocking.trigger("a", wait=True, timeout=20).outcome == "succeeded"


@pytest.mark.topology("unix")
def test_a_scheduler_runs_over_a_unix_socket(redis_server: RedisServer, app_name: str) -> None:
    """By URL, and by the client of somebody."""
    runs_with(app_name, url=redis_server.unix_url)
    with redis.Redis(unix_socket_path=redis_server.unix_path) as client:
        runs_with(app_name, client=client)
        assert client.exists(f"schedcore:{{{app_name}}}:meta")


@pytest.mark.parametrize("decode", [False, True])
def test_a_client_is_lent_and_neither_used_nor_closed(
    redis_server: RedisServer, app_name: str, decode: bool
) -> None:
    """Its server and database are ours too; its connection stays as it was, whatever it decodes to."""
    user = redis_server.add_user(app_name, "secret", "~* +@all")
    with redis.Redis.from_url(f"{user[:-1]}5", decode_responses=decode, protocol=3) as client:
        own = client.client_id()
        runs_with(app_name, client=client)
        assert client.client_id() == own
        assert client.exists(f"schedcore:{{{app_name}}}:meta")


def test_an_asynchronous_client_is_lent_too(redis_server: RedisServer, app_name: str) -> None:
    """The scheduler's loop is another one, and so are its connections."""

    async def play() -> None:
        async with redis.asyncio.Redis.from_url(redis_server.url, decode_responses=True) as client:
            own = await client.client_id()
            await asyncio.to_thread(runs_with, app_name, client=client)
            assert await client.client_id() == own

    asyncio.run(play())


@pytest.mark.topology("sentinel")
@pytest.mark.timeout(90)
def test_a_client_of_sentinels_is_lent(redis_sentinels: SentinelSet, app_name: str) -> None:
    """Its primary is asked for at the same sentinels."""
    manager: Any = Sentinel(redis_sentinels.addresses, socket_timeout=5)
    client = manager.master_for(redis_sentinels.name)
    runs_with(app_name, client=client)
    assert client.exists(f"schedcore:{{{app_name}}}:meta")
    client.close()
    for sentinel in manager.sentinels:
        sentinel.close()


@pytest.mark.topology("cluster")
def test_a_client_of_a_cluster_is_lent(redis_cluster: ClusterSet, app_name: str) -> None:
    """Its nodes are ours."""
    with redis.RedisCluster.from_url(redis_cluster.url, decode_responses=True) as client:
        runs_with(app_name, client=client)
        assert client.exists(f"schedcore:{{{app_name}}}:meta")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_connections_of_its_own(redis_url: str, app_name: str) -> None:
    """Parent and child run side by side, and the parent's connections are not disturbed."""
    code = f"""
        import logging, os, sys
        from schedcore import Scheduler
        logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.WARNING)
        s = Scheduler({app_name!r}, backend="redis", url={redis_url!r})
        s.add_job("a", "@every 1h", lambda: None, overlap="allow")
        def ask():
            print(s.blocking.trigger("a", wait=True, timeout=20).outcome, flush=True)
        s.start()
        ask()
        child = os.fork()
        if child == 0:
            s.start()
            for _ in range(20):
                ask()
            s.stop()
            os._exit(0)
        for _ in range(20):
            ask()
        print("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        ask()
        s.stop()
    """
    command = [sys.executable, *STRICT, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=True)
    lines = done.stdout.splitlines()
    assert lines.count("succeeded") == 42, done
    ours = ("succeeded", "was forked off", "stopping: ")
    assert [line for line in lines if not any(part in line for part in ours)] == ["child 0"]
    assert done.stderr == ""
