"""What `schedcore doctor` says of a Redis server."""

import asyncio

import pytest
from tests.redis.rights import add_user, documented_rights
from tests.redis.servers import RedisServer, until

from sched_redis import RedisBackend, _examine
from schedcore.protocols import Finding

WITHOUT_SCRIPTS = ("+evalsha", "+script|load")


def examine(url: str, app: str) -> dict[str, Finding]:
    async def look() -> list[Finding]:
        backend = RedisBackend(app, url=url)
        try:
            await backend.open("r")
            return list(await backend.store.examine())
        finally:
            await backend.close()

    return {finding.check: finding for finding in asyncio.run(look())}


def test_a_server_that_is_as_it_should_be(app_name: str) -> None:
    """With an append-only file and no eviction all is well, and nothing is left behind."""
    with RedisServer(persistence="aof-always") as server:
        found = examine(server.url, app_name)
        assert {name: str(finding.verdict) for name, finding in found.items()} == dict.fromkeys(
            ["version", "persistence", "eviction", "memory", "replication", "clients", "rights"], "ok"
        )
        assert not any(finding.remedy for finding in found.values())
        assert [key for key in server.cli("KEYS", "*") if server.cli("PTTL", key) == -1] == []


@pytest.mark.parametrize(
    ("settings", "check", "verdict", "told"),
    [
        ({}, "persistence", "fail", "nothing is kept: a restart loses jobs"),
        ({"save": "3600 1"}, "persistence", "warn", "snapshots only, the last one "),
        ({"appendonly": "yes", "appendfsync": "no"}, "persistence", "warn", "whenever the system likes"),
        (
            {"maxmemory": "100mb", "maxmemory-policy": "allkeys-lru"},
            "eviction",
            "fail",
            "allkeys-lru, 0 keys",
        ),
        ({"maxmemory": "100mb", "maxmemory-policy": "volatile-lru"}, "eviction", "warn", "volatile-lru"),
        ({"maxmemory-policy": "allkeys-lru"}, "eviction", "warn", "allkeys-lru, 0 keys evicted"),
        ({"maxmemory": "700kb"}, "memory", "fail", "MB of maxmemory"),
        ({"replicaof": "127.0.0.1 1"}, "replication", "fail", "this server is a replica of 127.0.0.1:1"),
    ],
)
def test_what_is_wrong_with_a_server(
    app_name: str, settings: dict[str, str], check: str, verdict: str, told: str
) -> None:
    """It is told with a remedy, and the rest is looked at all the same."""
    with RedisServer(config=settings) as server:
        found = examine(server.url, app_name)
    assert found[check].verdict == verdict
    assert told in found[check].detail
    assert found[check].remedy
    assert {"version", "persistence", "rights"} <= found.keys()


def test_replicas_of_the_server(app_name: str) -> None:
    """With one that is in step, what is missing is that a primary which is cut off stops writing."""
    with RedisServer() as primary, RedisServer(config={"replicaof": f"127.0.0.1 {primary.port}"}):
        until(lambda: "state=online" in str(primary.cli("INFO", "replication")).replace("': '", "="))
        found = examine(primary.url, app_name)["replication"]
        assert (found.verdict, found.remedy) == ("warn", "min-replicas-to-write 1")
        primary.cli("CONFIG", "SET", "min-replicas-to-write", "1")
        found = examine(primary.url, app_name)["replication"]
        assert (found.verdict, found.detail[:11]) == ("ok", "1 replicas,")


@pytest.mark.parametrize(
    ("replica", "told"),
    [
        (
            {"ip": "h", "port": 1, "state": "wait_bgsave", "lag": 0},
            "are not there or behind: h:1 (wait_bgsave)",
        ),
        ({"ip": "h", "port": 1, "state": "online", "lag": 11}, "1 of 1 replicas are not there or behind"),
    ],
)
def test_replicas_that_are_behind(replica: dict[str, object], told: str) -> None:
    """What they lack would be lost in a failover to them."""
    (found,) = _examine._replication({"role": "master", "slave0": replica, "min_slaves_good_slaves": 1})
    assert found.verdict == "warn"
    assert told in found.detail


@pytest.mark.parametrize(("clients", "verdict"), [(75, "ok"), (76, "warn")])
def test_clients(clients: int, verdict: str) -> None:
    """A server that takes no more connections is away for whoever connects next."""
    (found,) = _examine._clients({"connected_clients": clients, "maxclients": 100})
    assert (found.verdict, found.detail) == (verdict, f"{clients} of 100")


def test_releases() -> None:
    """What is too old is a failure; Valkey is told by its own name."""
    assert [finding.verdict for finding in _examine._release({"redis_version": "6.0.16"})] == ["fail"]
    assert [finding.verdict for finding in _examine._release({"redis_version": "6.2.0"})] == ["ok"]
    valkey = {"redis_version": "7.2.4", "valkey_version": "8.0.1"}
    assert [finding.detail for finding in _examine._release(valkey)] == ["Valkey 8.0.1"]


def test_each_right_that_is_missing_is_named(redis_server: RedisServer, app_name: str) -> None:
    """Without any one of those that the reference lists, it is told which, and nothing else is lacking."""
    rights = documented_rights()
    found = examine(add_user(redis_server, app_name, rights), app_name)
    assert found["rights"].verdict == "ok"
    assert "cannot be told (no right to CONFIG GET)" in found["persistence"].detail
    for right in [right for right in rights if right not in (*WITHOUT_SCRIPTS, "+time", "+info")]:
        url = add_user(redis_server, app_name, [other for other in rights if other != right])
        lacking = examine(url, app_name)["rights"]
        assert lacking.verdict == "fail"
        assert lacking.detail == f"this user may not: {right.removeprefix('+').partition('|')[0]}"
    redis_server.cli("SCRIPT", "FLUSH")
    for right in WITHOUT_SCRIPTS:
        url = add_user(redis_server, app_name, [other for other in rights if other != right])
        lacking = examine(url, app_name)["rights"]
        assert lacking.verdict == "fail"
        assert right.removeprefix("+").replace("|", " ").partition(" ")[0] in lacking.detail.lower()
