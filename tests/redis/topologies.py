"""More than a plain server: one with TLS, a Sentinel set, a Cluster. Each goes as it came."""

import contextlib
import secrets
import ssl
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis
import trustme
from tests.redis.binaries import ServerBinary, find_server, tls_server
from tests.redis.servers import Persistence, RedisServer, free_port, until

SLOTS = 16_384


class Authority:
    """A certificate authority for a test, and the certificates that it signs, as files.

    By trustme and not by openssl's program, which need not be where a server with TLS is.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        authority = trustme.CA()
        self.ca = directory / "ca.pem"
        self.server_certificate = directory / "server.pem"
        self.server_key = directory / "server.key"
        self.client_certificate = directory / "client.pem"
        self.client_key = directory / "client.key"
        authority.cert_pem.write_to_path(str(self.ca))
        for certificate, pem, key in (
            (authority.issue_cert("127.0.0.1", "localhost"), self.server_certificate, self.server_key),
            (authority.issue_cert("client@test"), self.client_certificate, self.client_key),
        ):
            certificate.private_key_pem.write_to_path(str(key))
            for number, blob in enumerate(certificate.cert_chain_pems):
                blob.write_to_path(str(pem), append=number > 0)

    def context(self, *, with_client: bool = False) -> ssl.SSLContext:
        """Trust this authority, and if asked show the client's certificate."""
        context = ssl.create_default_context(cafile=self.ca)
        if with_client:
            context.load_cert_chain(self.client_certificate, self.client_key)
        return context


class TlsServer(RedisServer):
    """A server that also listens for TLS, with an authority of its own; LookupError if no server here can.

    With `ask_client` it refuses whoever shows no certificate of that authority.
    """

    def __init__(
        self,
        binary: ServerBinary | None = None,
        *,
        ask_client: bool = False,
        persistence: Persistence = "none",
        config: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(binary or tls_server(), persistence=persistence, config=config)
        self.tls_port = free_port()
        self.ask_client = ask_client
        self.authority = Authority(self.directory / "tls")

    @property
    def tls_url(self) -> str:
        """Its address over TLS, with the authority to trust (and a client's certificate, if it asks)."""
        trust = f"ssl_ca_certs={self.authority.ca}"
        if self.ask_client:
            trust += (
                f"&ssl_certfile={self.authority.client_certificate}&ssl_keyfile={self.authority.client_key}"
            )
        return f"rediss://127.0.0.1:{self.tls_port}/0?{trust}"

    def _settings(self) -> dict[str, str]:
        return super()._settings() | {
            "tls-port": str(self.tls_port),
            "tls-cert-file": str(self.authority.server_certificate),
            "tls-key-file": str(self.authority.server_key),
            "tls-ca-cert-file": str(self.authority.ca),
            "tls-auth-clients": "yes" if self.ask_client else "no",
        }


class Sentinel(RedisServer):
    """A sentinel that knows the whole set from the start, so that no test waits for it to look around."""

    def __init__(self, binary: ServerBinary, name: str) -> None:
        super().__init__(binary)
        self.name = name
        self.id = secrets.token_hex(20)
        self.primary: RedisServer | None = None
        self.replicas: Iterable[RedisServer] = ()
        self.others: Iterable[Sentinel] = ()

    def _command(self) -> list[str]:
        return [*super()._command(), "--sentinel"]

    def _settings(self) -> dict[str, str]:
        assert self.primary is not None
        # Sentinels take up to 1 s to reach a new primary: with less than that, failovers beget failovers.
        return {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "unixsocket": self.unix_path,
            "dir": str(self.directory / "data"),
            "sentinel myid": self.id,
            f"sentinel monitor {self.name}": f"127.0.0.1 {self.primary.port} 2",
            f"sentinel down-after-milliseconds {self.name}": "2000",
            f"sentinel failover-timeout {self.name}": "5000",
            f"sentinel parallel-syncs {self.name}": "2",
            **{f"sentinel known-replica {self.name} 127.0.0.1 {r.port}": "" for r in self.replicas},
            **{f"sentinel known-sentinel {self.name} 127.0.0.1 {s.port}": s.id for s in self.others},
        }


class ServerSet:
    """Several servers that come and go together."""

    def __init__(self, servers: Iterable[RedisServer]) -> None:
        self.servers = list(servers)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for server in self.servers:
                stack.enter_context(server)
            self._make_ready()
            stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in reversed(self.servers):
            server.close()

    def _make_ready(self) -> None:
        raise NotImplementedError


class SentinelSet(ServerSet):
    """A primary, two replicas, and three sentinels of which two must agree."""

    def __init__(
        self,
        binary: ServerBinary | None = None,
        *,
        name: str = "primary",
        persistence: Persistence = "none",
        config: Mapping[str, str] | None = None,
    ) -> None:
        settings = {"repl-diskless-sync-delay": "0", **(config or {})}
        binary = binary or find_server()
        self.data = [RedisServer(binary, persistence=persistence, config=settings) for _ in range(3)]
        first = self.data[0]
        self.name = name
        self.primary = first
        self._follow()
        self.sentinels = [Sentinel(binary, name) for _ in range(3)]
        super().__init__([*self.data, *self.sentinels])
        for sentinel in self.sentinels:
            sentinel.primary, sentinel.replicas = first, self.data[1:]
            sentinel.others = [other for other in self.sentinels if other is not sentinel]

    @property
    def url(self) -> str:
        """Where the sentinels are, and whom they watch."""
        return f"redis+sentinel://{','.join(f'127.0.0.1:{port}' for _, port in self.addresses)}/{self.name}/0"

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where the sentinels are."""
        return [("127.0.0.1", sentinel.port) for sentinel in self.sentinels]

    def failover(self, *, crash: bool = True) -> RedisServer:
        """Kill the primary (or just have another take over), and return the one that all then agree on."""
        old = self.primary
        if crash:
            old.kill()
        else:
            until(
                lambda: _answer(self.sentinels[0], "SENTINEL", "FAILOVER", self.name) == "OK",
                what="a failover",
            )
        self._until(lambda: self._look() is not old and _is_primary(self.primary), "the promotion")
        return self.primary

    def rejoin(self) -> None:
        """Start whoever is down again, as a follower, and wait until all is as at the start.

        (What comes back as a primary, by its own `restart`, the sentinels put right after 10 to 20 s.)
        """
        self._follow()
        for server in self.servers:
            if not server.running:
                server.restart()
        self._make_ready()

    def _follow(self) -> None:
        """Have whoever starts from now on follow the primary."""
        for server in self.data:
            server.config.pop("replicaof", None)
            if server is not self.primary:
                server.config["replicaof"] = f"127.0.0.1 {self.primary.port}"

    def _make_ready(self) -> None:
        self._until(
            lambda: all(_follows(s, self.primary) for s in self.data if s is not self._look()), "replication"
        )
        ready = ("SENTINEL", "CKQUORUM", self.name)
        self._until(lambda: all("3 usable" in str(_answer(s, *ready)) for s in self.sentinels), "the quorum")

    def _look(self) -> RedisServer:
        """Take for the primary whom all sentinels take for it; as before, while they differ."""
        ask = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name)
        said = {int(answer[1]) if (answer := _answer(s, *ask)) else 0 for s in self.sentinels if s.running}
        if len(said) == 1:
            self.primary = next((server for server in self.data if server.port in said), self.primary)
        return self.primary

    def _until(self, holds: Callable[[], bool], what: str) -> None:
        try:
            # A sentinel that the machine stalled for 2 s does nothing for 30 s ("tilt").
            until(holds, 45, what)
        except TimeoutError as error:
            for server in self.servers:
                error.add_note(f"{server}: {_answer(server, 'ROLE')}\n{server.log_tail()}")
            raise


class ClusterSet(ServerSet):
    """Three nodes without replicas, that share the slots."""

    def __init__(
        self,
        binary: ServerBinary | None = None,
        *,
        persistence: Persistence = "none",
        config: Mapping[str, str] | None = None,
    ) -> None:
        settings = {"cluster-enabled": "yes", "cluster-node-timeout": "2000", **(config or {})}
        binary = binary or find_server()
        super().__init__(RedisServer(binary, persistence=persistence, config=settings) for _ in range(3))

    @property
    def url(self) -> str:
        """The address of one of its nodes."""
        return self.servers[0].url

    def node_of(self, key: str) -> RedisServer:
        """Find the node that has this key's slot."""
        slot = self.servers[0].cli("CLUSTER", "KEYSLOT", key)
        return next(node for node, slots in self._shares() if slot in slots)

    def _shares(self) -> list[tuple[RedisServer, range]]:
        ends = [SLOTS * number // len(self.servers) for number in range(len(self.servers) + 1)]
        return [(node, range(ends[n], ends[n + 1])) for n, node in enumerate(self.servers)]

    def _make_ready(self) -> None:
        for number, (node, slots) in enumerate(self._shares(), 1):
            node.cli("CLUSTER", "ADDSLOTS", *slots)
            node.cli("CLUSTER", "SET-CONFIG-EPOCH", number)
        for node in self.servers[1:]:
            node.cli("CLUSTER", "MEET", "127.0.0.1", self.servers[0].port)
        until(lambda: all(self._knows_all(node) for node in self.servers), 30, "the cluster")

    def _knows_all(self, node: RedisServer) -> bool:
        info = node.cli("CLUSTER", "INFO")
        return all(
            text in info
            for text in ("cluster_state:ok", f"cluster_size:{len(self.servers)}", f"cluster_slots_ok:{SLOTS}")
        )


def _answer(server: RedisServer, *words: str) -> Any:
    """Ask, and take an error for no answer."""
    with contextlib.suppress(redis.RedisError):
        return server.cli(*words)
    return None


def _is_primary(server: RedisServer) -> bool:
    answer = _answer(server, "ROLE")
    return bool(answer) and answer[0] == "master"


def _follows(server: RedisServer, primary: RedisServer) -> bool:
    answer = _answer(server, "ROLE")
    return bool(answer) and answer[0] == "slave" and answer[2] == primary.port and answer[3] == "connected"
