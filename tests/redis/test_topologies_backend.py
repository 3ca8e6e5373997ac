"""Schedulers over a Sentinel set, a Cluster and TLS, while what they are connected to changes."""

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from tests.redis.servers import RedisServer, until
from tests.redis.topologies import Authority, ClusterSet, SentinelSet, TlsServer

from schedcore import ConfigurationError, Scheduler, StoreUnavailableError
from schedcore.values import Status


@contextmanager
def two_replicas(app: str, url: str) -> Iterator[tuple[Scheduler, list[str]]]:
    """Two replicas whose job is due every second; the first of them, and when it ran."""
    ran: list[str] = []
    with ExitStack() as stack:
        first, _ = [stack.enter_context(replica(app, url, ran)) for _ in range(2)]
        until(lambda: ran)
        yield first, ran


def replica(app: str, url: str, ran: list[str]) -> Scheduler:
    scheduler = Scheduler(app, backend="redis", url=url)
    scheduler.add_job("tick", "@every 1s", lambda run: ran.append(str(run.scheduled_at)))
    return scheduler


def goes_on(scheduler: Scheduler, ran: list[str], limit: float = 30) -> None:
    """Wait until it has fired three times more."""
    before = len(ran)
    until(lambda: len(ran) >= before + 3, limit, "firing")
    assert scheduler.blocking.health().running


def all_accounted_for(scheduler: Scheduler) -> None:
    """Each second since the first line of the history has a line, and only one."""
    scheduler.blocking.pause("tick")
    until(lambda: not scheduler.blocking.jobs(["tick"])[0].outstanding, 40, "the last run")
    lines = scheduler.blocking.history("tick", limit=1000)
    times = [
        int(line.scheduled_at.timestamp()) + second for line in lines for second in range(max(1, line.count))
    ]
    assert sorted(times) == list(range(min(times), max(times) + 1)), lines


def announced_losses(caplog: pytest.LogCaptureFixture) -> int:
    return sum(getattr(record, "event", "") == "store.lost_data" for record in caplog.records)


@pytest.mark.topology("sentinel")
@pytest.mark.timeout(150)
@pytest.mark.parametrize("crash", [True, False], ids=["crash", "in good order"])
def test_schedulers_follow_a_failover(
    redis_sentinels: SentinelSet, app_name: str, caplog: pytest.LogCaptureFixture, crash: bool
) -> None:
    """Both go on with the new primary, and with the old one as its follower; nothing is lost unsaid."""
    with two_replicas(app_name, redis_sentinels.url) as (scheduler, ran):
        redis_sentinels.failover(crash=crash)
        goes_on(scheduler, ran)
        redis_sentinels.rejoin()
        goes_on(scheduler, ran)
        if not announced_losses(caplog):
            all_accounted_for(scheduler)
            assert len(ran) == len(set(ran))


@pytest.mark.timeout(60)
def test_connections_to_a_primary_that_became_a_follower_are_given_up(
    redis_server: RedisServer, app_name: str
) -> None:
    """An address that leads elsewhere by now is resolved anew, although nobody closed the old connections."""
    with RedisServer(redis_server.binary) as old, RedisServer(redis_server.binary) as new:
        address = old.directory / "address"
        address.symlink_to(old.unix_path)
        with two_replicas(app_name, f"unix://{address}") as (scheduler, ran):
            new.cli("REPLICAOF", "127.0.0.1", old.port)
            until(lambda: new.cli("ROLE")[3:4] == ["connected"], what="replication")
            new.cli("REPLICAOF", "NO", "ONE")
            address.unlink()
            address.symlink_to(new.unix_path)
            old.cli("REPLICAOF", "127.0.0.1", new.port)
            goes_on(scheduler, ran)
            assert new.cli("EXISTS", f"schedcore:{{{app_name}}}:meta")


@pytest.mark.topology("cluster")
@pytest.mark.timeout(90)
def test_schedulers_wait_for_the_node_of_their_app(
    redis_server: RedisServer, app_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The node with the app's slot is restarted with what it had: firing resumes, nothing is missing."""
    with ClusterSet(redis_server.binary, persistence="aof-always") as cluster:
        url = cluster.url.replace("redis:", "redis+cluster:")
        with two_replicas(app_name, url) as (scheduler, ran):
            cluster.node_of(f"{{{app_name}}}").restart()
            goes_on(scheduler, ran)
            all_accounted_for(scheduler)
            assert announced_losses(caplog) == 0
            assert len(ran) == len(set(ran))


@pytest.mark.topology("cluster")
@pytest.mark.timeout(90)
def test_schedulers_follow_their_slot_to_another_node(
    redis_server: RedisServer, app_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """While the slot moves they are asked to wait or to go there, then sent there for good."""
    with ClusterSet(redis_server.binary) as cluster:
        url = cluster.url.replace("redis:", "redis+cluster:")
        with two_replicas(app_name, url) as (scheduler, ran):
            migrate(cluster, app_name)
            goes_on(scheduler, ran)
            if not announced_losses(caplog):
                all_accounted_for(scheduler)
            assert len(ran) == len(set(ran))


def migrate(cluster: ClusterSet, app: str) -> None:
    """Move the app's slot, with all that is in it, from its node to another one."""
    slot = int(cluster.servers[0].cli("CLUSTER", "KEYSLOT", f"{{{app}}}"))
    source = cluster.node_of(f"{{{app}}}")
    target = next(node for node in cluster.servers if node is not source)
    source_id, target_id = (node.cli("CLUSTER", "MYID") for node in (source, target))
    target.cli("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
    source.cli("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
    while keys := source.cli("CLUSTER", "GETKEYSINSLOT", slot, 100):
        source.cli("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
    for node in (target, source, *cluster.servers):
        node.cli("CLUSTER", "SETSLOT", slot, "NODE", target_id)


@pytest.mark.topology("tls")
def test_a_scheduler_runs_over_tls(redis_tls: TlsServer, app_name: str) -> None:
    """The URL names the authority, and a certificate where the server asks for one."""
    with TlsServer(redis_tls.binary, ask_client=True) as asking:
        for server in (redis_tls, asking):
            with replica(app_name, server.tls_url, []) as scheduler:
                done = scheduler.blocking.trigger("tick", wait=True, timeout=20)
                assert done.outcome == Status.SUCCEEDED


@pytest.mark.topology("tls")
def test_a_server_that_is_not_trusted_is_named_as_the_reason(
    redis_tls: TlsServer, app_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With another authority the first question says so, and the engine once; the password is not shown."""
    stranger = Authority(redis_tls.directory / "stranger-2")
    url = f"rediss://user:pass%3Aword@127.0.0.1:{redis_tls.tls_port}/0?ssl_ca_certs={stranger.ca}"
    scheduler = replica(app_name, url, [])
    with pytest.raises(StoreUnavailableError, match="CERTIFICATE_VERIFY_FAILED") as raised:
        scheduler.blocking.trigger("tick")
    with scheduler:
        time.sleep(0.5)
    (away,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "CERTIFICATE_VERIFY_FAILED" in away.getMessage()
    for shown in (str(raised.value), caplog.text, repr(scheduler)):
        assert "pass:word" not in shown
        assert "pass%3Aword" not in shown


@pytest.mark.topology("tls")
def test_an_authority_that_is_not_there_is_named(redis_tls: TlsServer, app_name: str) -> None:
    """A wrong path is told when the scheduler is made."""
    url = f"rediss://127.0.0.1:{redis_tls.tls_port}/0?ssl_ca_certs=/nowhere/ca.pem"
    with pytest.raises(ConfigurationError, match=r"ssl_ca_certs=.* /nowhere/ca\.pem .* no such file"):
        replica(app_name, url, []).blocking.trigger("tick")
