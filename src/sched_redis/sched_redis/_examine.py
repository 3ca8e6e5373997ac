"""Looks at a Redis server for what an app needs of it; rights are tried on keys that are for this alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from redis.exceptions import NoPermissionError, ResponseError

from sched_redis._client import Client
from schedcore.protocols import Condition, Finding

OK, WARN, FAIL = Condition.OK, Condition.WARN, Condition.FAIL

OLDEST = (6, 2)
LITTLE, TOO_LITTLE = 0.75, 0.9
"""Which share of the memory, or of the clients, may be in use."""

LAG = 10
"""Seconds that a replica of the server may be behind."""

GRANT = "grant it with ACL SETUSER: the reference of the Redis backend lists all rights that it needs"
CONFIGURED = ("save", "appendfsync")

Info = Mapping[str, Any]


async def examine(client: Client) -> list[Finding]:
    """Look at everything."""
    info: Info = await client.call("INFO")
    config = await _config(client)
    looks: tuple[Callable[[Info], Iterator[Finding]], ...] = (
        _release,
        _eviction,
        _memory,
        _replication,
        _clients,
    )
    found = [finding for look in looks for finding in look(info)]
    return [*found[:1], *_persistence(info, config), *found[1:], await _rights(client)]


async def _config(client: Client) -> dict[str, str] | None:
    """Read what INFO does not tell; nothing if this user may not, or nobody may."""
    found: dict[object, object] = {}
    try:
        for name in CONFIGURED:
            found |= await client.call("CONFIG GET", name)
    except ResponseError:
        return None
    return {_text(name): _text(value) for name, value in found.items()}


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _release(info: Info) -> Iterator[Finding]:
    release = str(info.get("redis_version", "0"))
    numbers = tuple(int(part) for part in release.split(".")[:2] if part.isdecimal())
    name = f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {release}"
    if numbers < OLDEST:
        yield Finding("version", FAIL, name, "take Redis 6.2 or later, or Valkey")
    else:
        yield Finding("version", OK, name)


def _persistence(info: Info, config: dict[str, str] | None) -> Iterator[Finding]:
    remedy = "appendonly yes, in the server's configuration"
    if info.get("aof_enabled"):
        if info.get("aof_last_write_status") != "ok" or info.get("aof_last_bgrewrite_status") != "ok":
            yield Finding(
                "persistence", FAIL, "writing the append-only file failed", "look at its disk and its log"
            )
            return
        fsync = (config or {}).get("appendfsync")
        if fsync == "no":
            told = "append-only file, written whenever the system likes (appendfsync no)"
            yield Finding("persistence", WARN, told, "appendfsync everysec, or always")
        else:
            yield Finding("persistence", OK, "append-only file" + (f", appendfsync {fsync}" if fsync else ""))
    elif config is not None and not config.get("save"):
        yield Finding(
            "persistence", FAIL, "nothing is kept: a restart loses jobs, history and triggers", remedy
        )
    elif info.get("rdb_last_bgsave_status") != "ok":
        yield Finding("persistence", FAIL, "the last snapshot failed", "look at its disk and its log")
    elif config is None:
        told = "no append-only file; whether snapshots are taken cannot be told (no right to CONFIG GET)"
        yield Finding("persistence", WARN, told, remedy)
    else:
        age = time.time() - int(info.get("rdb_last_save_time", 0))
        told = f"snapshots only, the last one {age:.0f} s ago: a restart loses what came after it"
        yield Finding("persistence", WARN, told, remedy)


def _eviction(info: Info) -> Iterator[Finding]:
    policy, most = str(info.get("maxmemory_policy", "noeviction")), int(info.get("maxmemory", 0))
    gone = int(info.get("evicted_keys", 0))
    remedy = "maxmemory-policy noeviction: anything else throws jobs and history away when memory is short"
    told = f"{policy}, {gone} keys evicted since the server's start"
    if policy == "noeviction":
        yield Finding("eviction", OK, policy)
    elif policy.startswith("allkeys") and (most or gone):
        yield Finding("eviction", FAIL, told, remedy)
    else:
        yield Finding("eviction", WARN, told, remedy)


def _memory(info: Info) -> Iterator[Finding]:
    used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    of, limit = (
        ("maxmemory", most) if most else ("the machine's memory", int(info.get("total_system_memory", 0)))
    )
    told = (
        f"{used / 2**20:.0f} MB in use, of {limit / 2**20:.0f} MB of {of}"
        if limit
        else f"{used / 2**20:.0f} MB"
    )
    share = used / limit if limit else 0
    remedy = "make room: shorter history= of jobs, or more memory; when it is full nothing fires"
    condition = FAIL if share > TOO_LITTLE else WARN if share > LITTLE else OK
    yield Finding("memory", condition, told, "" if condition is OK else remedy)


def _replication(info: Info) -> Iterator[Finding]:
    if info.get("role") != "master":
        primary = f"{info.get('master_host')}:{info.get('master_port')}"
        told = f"this server is a replica of {primary}, and takes no writes"
        yield Finding("replication", FAIL, told, "give the primary's address, or those of the sentinels")
        return
    replicas = [value for name, value in info.items() if name.startswith("slave") and isinstance(value, dict)]
    behind = [each for each in replicas if each.get("state") != "online" or int(each.get("lag", 0)) > LAG]
    places = ", ".join(f"{each.get('ip')}:{each.get('port')} ({each.get('state')})" for each in behind)
    if behind:
        told = f"{len(behind)} of {len(replicas)} replicas are not there or behind: {places}"
        yield Finding("replication", WARN, told, "after a failover to one of these, the last writes are lost")
    elif replicas and "min_slaves_good_slaves" not in info:
        told = (
            f"{len(replicas)} replicas; a primary that is cut off goes on taking writes, which are then lost"
        )
        yield Finding("replication", WARN, told, "min-replicas-to-write 1")
    else:
        lag = max((int(each.get("lag", 0)) for each in replicas), default=0)
        told = f"{len(replicas)} replicas, at most {lag} s behind" if replicas else "no replicas"
        yield Finding("replication", OK, told)


def _clients(info: Info) -> Iterator[Finding]:
    connected, most = int(info.get("connected_clients", 0)), int(info.get("maxclients", 0))
    told = f"{connected} of {most or 'any number'}"
    if most and connected / most > LITTLE:
        yield Finding("clients", WARN, told, "raise maxclients, or find out who connects so often")
    else:
        yield Finding("clients", OK, told)


async def _rights(client: Client) -> Finding:
    try:
        refused = sorted({_text(name) for name in await client.run("rights", client.keys.scratch(), ())})
    except NoPermissionError as exc:
        return Finding("rights", FAIL, str(exc), GRANT)
    except ResponseError as exc:
        return Finding(
            "rights", WARN, f"they could not be tried: {exc}", "put right what is said there first"
        )
    if not refused:
        return Finding("rights", OK, "this user may do all that an app does")
    told = f"this user may not: {', '.join(refused)}"
    return Finding("rights", FAIL, told, GRANT)
