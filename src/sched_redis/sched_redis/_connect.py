"""From what a user gives, an URL or a client, to clients of our own on the engine's loop."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import redis.asyncio as redis
from redis.asyncio import connection as connections
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException
from redis.exceptions import TimeoutError as RedisTimeoutError

from schedcore.errors import ConfigurationError

SCHEMES = (
    "redis",
    "rediss",
    "unix",
    "redis+sentinel",
    "rediss+sentinel",
    "redis+cluster",
    "rediss+cluster",
)
EXAMPLES = (
    "redis://HOST:6379/0, rediss://USER:PASSWORD@HOST:6379/0, unix:///PATH, "
    "redis+sentinel://HOST:26379,HOST:26379/PRIMARY/0 or redis+cluster://HOST:6379,HOST:6379"
)
LENT = re.compile(
    r"host|port|db|path|username|password|credential_provider|client_name|socket_connect_timeout"
    r"|socket_keepalive(_options)?|ssl_.*"
)
"""Settings that a client lends: who and where the server is, and how it is reached."""

Settings = dict[str, Any]
Greet = Callable[[Any], Awaitable[None]]


class _Asked(redis.Redis):
    """A sentinel, which has half a second for each answer; there are others."""

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Ask, without a time limit of redis-py's own (see `Connector.make`)."""
        try:
            async with asyncio.timeout(0.5):
                return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except TimeoutError as exc:
            raise RedisTimeoutError(f"no answer from {self!r:.80}") from exc


class Connector:
    """Makes clients that neither retry nor decode; `make` connects nothing."""

    def __init__(self, make: Callable[[Settings], Any], *, shown: str, is_cluster: bool = False) -> None:
        """Make clients by `make`, from what all our clients have in common."""
        self._make = make
        self._is_cluster = is_cluster
        self._shown = shown

    def __repr__(self) -> str:
        """Tell where the server is, without any password."""
        return self._shown

    def make(self, greet: Greet) -> Any:
        """Make a client that has `greet` make each connection ready; whoever calls it sets a time limit.

        With a limit of its own it would send by `asyncio.wait_for`, which makes a task for each command and
        may, on Python 3.11, swallow a cancellation.
        """
        ours = {
            "socket_timeout": None,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
            "decode_responses": False,
        }
        if not self._is_cluster:
            return self._make(ours | {"redis_connect_func": greet})
        client = self._make(ours)
        client.nodes_manager.connection_kwargs["redis_connect_func"] = greet
        for node in client.nodes_manager.startup_nodes.values():
            node.connection_kwargs["redis_connect_func"] = greet
        return client

    def leads_to(self, client: Any, connection: Any, key: str) -> bool:
        """Tell whether a connection is to the server that has `key`; in a Cluster most are not."""
        if not self._is_cluster:
            return True
        try:
            node = client.get_node_from_key(key)
        except RedisClusterException:  # it is only just finding out who has what
            return False
        return (node.host, int(node.port)) == (connection.host, int(connection.port))

    async def close(self, client: Any) -> None:
        """Disconnect a client; of one that asks sentinels, redis-py leaves the connections to these open."""
        await client.aclose()
        pool = getattr(client, "connection_pool", None)
        for sentinel in getattr(getattr(pool, "sentinel_manager", None), "sentinels", ()):
            await sentinel.aclose()

    async def reconnect(self, client: Any) -> None:
        """Have every connection made anew; a client of a Cluster goes where it is sent by itself."""
        if not self._is_cluster:
            await client.connection_pool.disconnect()

    async def routed(self, client: Any, key: str) -> dict[str, Any]:
        """Tell a client of a Cluster which node has `key`; no other needs it."""
        if not self._is_cluster:
            return {}
        await client.initialize()
        return {"target_nodes": client.get_node_from_key(key)}


def from_url(url: str) -> Connector:
    """Understand an URL.

    Raises:
        ConfigurationError: it is none, or one of its parts cannot be used.
    """
    scheme, colon, rest = url.partition("://")
    if not colon:  # and nothing of it is shown: there may be a password in it
        raise ConfigurationError(f"the Redis URL has no scheme; use one such as {EXAMPLES}")
    if scheme not in SCHEMES:
        raise ConfigurationError(f"the Redis URL begins with {scheme!r}; use one such as {EXAMPLES}")
    plain, _, kind = scheme.partition("+")
    try:
        if kind == "sentinel":
            return _sentinel(plain, rest)
        if kind == "cluster":
            return _cluster(plain, rest)
        settings = _settings(url)
    except (ValueError, TypeError) as exc:
        raise ConfigurationError(
            f"the Redis URL {_hidden(url)} cannot be used: {_problem(exc)}; use one such as {EXAMPLES}"
        ) from None
    return Connector(lambda ours: _client(settings | ours), shown=_hidden(url))


def from_client(client: Any) -> Connector:
    """Take the settings of a client, synchronous or not; the client itself is neither used nor closed.

    Raises:
        ConfigurationError: it is no client of redis-py.
    """
    nodes = getattr(client, "nodes_manager", None)
    if nodes is not None:
        lent = _lent(nodes.connection_kwargs)
        addresses = [(node.host, node.port) for node in nodes.startup_nodes.values()]
        return _cluster_of(addresses, lent)
    pool = getattr(client, "connection_pool", None)
    settings = getattr(pool, "connection_kwargs", None)
    if pool is None or not isinstance(settings, Mapping):
        raise ConfigurationError(
            f"client= must be a client of redis-py, such as redis.Redis(...), and not {client!r:.80}"
        )
    manager = getattr(pool, "sentinel_manager", None)
    if manager is not None:
        addresses = [_address(each) for each in manager.sentinels]
        sentinel_settings = _lent(manager.sentinel_kwargs)
        is_tls = "SSL" in pool.connection_class.__name__
        return _sentinel_of(
            addresses, pool.service_name, _lent(settings) | {"ssl": is_tls}, sentinel_settings
        )
    kind = getattr(connections, pool.connection_class.__name__, connections.Connection)
    lent = _lent(settings) | {"connection_class": kind}
    return Connector(lambda ours: _client(lent | ours), shown=_place(lent))


def _client(settings: Settings) -> Any:
    settings.setdefault("socket_connect_timeout", 2.0)
    client = redis.Redis(connection_pool=redis.ConnectionPool(**settings))
    client.auto_close_connection_pool = True
    return client


def _settings(url: str) -> Settings:
    """Read what redis-py reads in an URL, and have it refuse what no connection understands."""
    settings: Settings = connections.parse_url(url)  # type: ignore[assignment]
    path = urlsplit(url).path.strip("/")
    if url.startswith("unix") and not path:
        raise ValueError("the path of the socket is missing")
    if not url.startswith("unix") and path and not path.isdigit():
        raise ValueError(f"there is no database {path!r}, they are numbered")
    _client(dict(settings)).connection_pool.make_connection()
    for name in ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile"):
        if name in settings and not Path(settings[name]).exists():
            raise ValueError(f"{name}= names {settings[name]} and there is no such file")
    return settings


def _lent(settings: Mapping[str, Any]) -> Settings:
    return {name: value for name, value in settings.items() if LENT.fullmatch(name)}


def _addresses(text: str, port: int) -> tuple[str, list[tuple[str, int]]]:
    """Cut `user:password@host:port,host:port` into who and where."""
    who, at, where = text.rpartition("@")
    addresses = []
    for each in where.split(","):
        parts = urlsplit(f"//{each}")
        if not parts.hostname:
            raise ValueError("a host is missing")
        addresses.append((parts.hostname, parts.port or port))
    return who + at, addresses


def _sentinel(plain: str, rest: str) -> Connector:
    place, _, query = rest.partition("?")
    hosts, _, path = place.partition("/")
    who, addresses = _addresses(hosts, 26379)
    primary, _, database = path.strip("/").partition("/")
    if not primary:
        raise ValueError("the name of the primary is missing behind the sentinels")
    options = {name: values[0] for name, values in parse_qs(query).items()}
    sentinel = {
        name.removeprefix("sentinel_"): options.pop(name)
        for name in list(options)
        if name.startswith("sentinel_")
    }
    settings = _settings(f"{plain}://{who}localhost/{database}?{urlencode(options)}")
    for taken in ("host", "port", "connection_class"):
        settings.pop(taken, None)
    return _sentinel_of(addresses, primary, settings | {"ssl": plain == "rediss"}, sentinel)


def _sentinel_of(
    addresses: list[tuple[str, int]], primary: str, settings: Settings, sentinel: Settings
) -> Connector:
    def make(ours: Settings) -> Any:
        manager: Any = Sentinel([])  # type: ignore[no-untyped-call]
        quiet = sentinel | {"socket_timeout": None, "retry": ours["retry"]}
        manager.sentinels = [_Asked(host=host, port=port, **quiet) for host, port in addresses]
        settings.setdefault("socket_connect_timeout", 2.0)
        return manager.master_for(primary, **(settings | ours))

    return Connector(make, shown=f"primary {primary!r} of {len(addresses)} sentinels")


def _cluster(plain: str, rest: str) -> Connector:
    place, _, query = rest.partition("?")
    hosts, _, path = place.partition("/")
    if path.strip("/") not in ("", "0"):
        raise ValueError("a Cluster has no numbered databases")
    who, addresses = _addresses(hosts, 6379)
    settings = _settings(f"{plain}://{who}localhost?{query}")
    settings.pop("host", None)
    return _cluster_of(addresses, settings)


def _cluster_of(addresses: list[tuple[str, int]], settings: Settings) -> Connector:
    kind = settings.pop("connection_class", None)
    settings["ssl"] = kind is connections.SSLConnection or settings.get("ssl", False)

    def make(ours: Settings) -> Any:
        nodes = [ClusterNode(host, port) for host, port in addresses]
        return RedisCluster(startup_nodes=nodes, **(settings | ours))

    return Connector(make, is_cluster=True, shown=f"a Cluster of {len(addresses)} nodes or more")


def _place(settings: Settings) -> str:
    if "path" in settings:
        return f"unix://{settings['path']}"
    host, port = settings.get("host", "localhost"), settings.get("port", 6379)
    return f"{host}:{port}/{settings.get('db') or 0}"


def _address(sentinel: Any) -> tuple[str, int]:
    settings = sentinel.connection_pool.connection_kwargs
    return settings["host"], settings["port"]


def _problem(exc: Exception) -> str:
    """Tell what is wrong without quoting what may be part of a password."""
    text = str(exc)
    if "ort could not be cast" in text or "ort out of range" in text:
        return "its port is no number up to 65535 (in a password write / as %2F, # as %23 and ? as %3F)"
    if unknown := re.search(r"unexpected keyword argument ('.*')", text):
        return f"no connection has an option {unknown[1]}"
    return text


def _hidden(url: str) -> str:
    return re.sub(r"//.*@", "//***@", re.sub(r"(password=)[^&]*", r"\1***", url))
