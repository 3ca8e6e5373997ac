"""Sentinel sets, Clusters and servers with TLS that tests start."""

from pathlib import Path
from typing import Any

import pytest
import redis
from redis.sentinel import Sentinel
from tests.redis.binaries import ServerBinary
from tests.redis.matrix import Leg, missing, table
from tests.redis.topologies import Authority, ClusterSet, SentinelSet, TlsServer


def named_by_sentinels(sentinels: SentinelSet) -> int:
    client: Any = Sentinel(sentinels.addresses, socket_timeout=5)
    try:
        return int(client.discover_master(sentinels.name)[1])
    finally:
        for sentinel in client.sentinels:
            sentinel.close()


@pytest.mark.topology("sentinel")
@pytest.mark.timeout(150)
def test_a_crash_of_the_primary_promotes_a_replica(redis_sentinels: SentinelSet) -> None:
    """The sentinels name another, which has the data and takes writes; the old one returns as a replica."""
    old = redis_sentinels.primary
    assert named_by_sentinels(redis_sentinels) == old.port
    with old.client() as client:  # WAIT is about what this connection wrote
        client.set("key", "1")
        assert client.wait(2, 5000) == 2

    new = redis_sentinels.failover()
    assert new is not old
    assert named_by_sentinels(redis_sentinels) == new.port
    with new.client() as client:
        assert client.incr("key") == 2
        redis_sentinels.rejoin()
        assert client.wait(2, 5000) == 2
    assert {server.cli("GET", "key") for server in redis_sentinels.data} == {"2"}
    assert sum(server.cli("ROLE")[0] == "slave" for server in redis_sentinels.data) == 2


@pytest.mark.topology("sentinel")
@pytest.mark.timeout(150)
def test_a_primary_can_be_replaced_in_good_order(redis_sentinels: SentinelSet) -> None:
    """Nobody dies; the old primary becomes a replica."""
    old = redis_sentinels.primary
    assert redis_sentinels.failover(crash=False) is not old
    assert old.running


@pytest.mark.topology("sentinel")
def test_the_address_of_a_set_names_all_sentinels(redis_sentinels: SentinelSet) -> None:
    """And whom they watch, and the database."""
    places = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in redis_sentinels.sentinels)
    assert redis_sentinels.url == f"redis+sentinel://{places}/primary/0"


@pytest.mark.topology("cluster")
def test_a_cluster_serves_keys_on_all_of_its_nodes(redis_cluster: ClusterSet, app_name: str) -> None:
    """A client that knows one node reaches each key, and only the node that has its slot holds it."""
    holders = set()
    with redis.RedisCluster.from_url(redis_cluster.url, decode_responses=True) as client:
        for number in range(30):
            key = f"{app_name}:{number}"
            client.set(key, number)
            assert client.get(key) == str(number)
            holder = redis_cluster.node_of(key)
            assert holder.cli("GET", key) == str(number)
            holders.add(holder.port)
    assert holders == {node.port for node in redis_cluster.servers}


@pytest.mark.topology("tls")
def test_a_server_with_tls_is_trusted_by_its_own_authority_only(redis_tls: TlsServer) -> None:
    """The address names the authority; whoever has another one, or none, is not satisfied."""
    with redis.Redis.from_url(redis_tls.tls_url) as client:
        assert client.info("server")["process_id"] == redis_tls.pid
    stranger = Authority(redis_tls.directory / "stranger")
    for trust in (f"?ssl_ca_certs={stranger.ca}", ""):
        url = redis_tls.tls_url.partition("?")[0] + trust
        with (
            redis.Redis.from_url(url) as client,
            pytest.raises(redis.ConnectionError, match="CERTIFICATE_VERIFY"),
        ):
            client.ping()


@pytest.mark.topology("tls")
def test_a_server_can_ask_for_a_certificate(redis_tls: TlsServer) -> None:
    """Without one of its authority it answers nothing."""
    with TlsServer(redis_tls.binary, ask_client=True) as server:
        with redis.Redis.from_url(server.tls_url) as client:
            assert client.ping()
        anonymous = server.tls_url.partition("&")[0]
        with redis.Redis.from_url(anonymous) as client, pytest.raises(redis.ConnectionError):
            client.ping()


def test_what_fails_to_get_ready_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """All servers of a set end when one of them, or the set, does not come up."""
    cluster = ClusterSet()
    cluster.servers[2].config["nonsense"] = "yes"
    with pytest.raises(RuntimeError, match="nonsense"), cluster:
        pass
    assert not any(server.running or server.directory.exists() for server in cluster.servers)


def test_the_table_says_what_ran_and_what_did_not(tmp_path: Path) -> None:
    """By server and topology, with the reasons of what was skipped and the servers that are missing."""
    report = tmp_path / "report.xml"
    report.write_text(
        """<testsuites><testsuite>
        <testcase name="a"/><testcase name="b"><failure message="no"/></testcase>
        <testcase name="c"><properties><property name="topology" value="tls"/></properties>
        <skipped message="without TLS"/></testcase></testsuite></testsuites>"""
    )
    leg = Leg(ServerBinary("/bin/r", "redis", "8.2.3", False, "PATH"), 1, 3.2)
    leg.read(report)
    lines = [" ".join(line.split()) for line in table([leg]).splitlines()]
    assert lines[1:] == [
        "Redis 8.2.3 PATH 1 failed, 1 passed none none 1 skipped none none 3 s FAILED (1)",
        "Skipped on Redis 8.2.3: without TLS",
        "Not here: Redis 6.2",
        "Not here: Redis 7.0",
        "Not here: Valkey",
    ]


def test_an_old_release_is_not_taken_for_the_current_one() -> None:
    """A leg is there if its release is, not if a longer number begins like it."""
    servers = [
        ServerBinary("/bin/r", "redis", version, False, "PATH") for version in ("6.2.14", "7.0.15", "80.0.1")
    ]
    assert missing(servers) == ["Redis 8", "Valkey"]
