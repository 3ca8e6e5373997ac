"""Run the Redis tests on every server that is here, and say which these were: `make test-matrix`."""

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

from attrs import define, field
from tests.redis.binaries import FORCED, ServerBinary, all_servers

SUITE = ("tests/redis", "tests/contracts", "--ignore=tests/contracts/test_ram.py")
LEGS = ("6.2", "7.0", "8")
PLAIN = "one server"
TOPOLOGIES = (PLAIN, "unix", "acl", "tls", "sentinel", "cluster")
ANSWERS = {"failure": "failed", "error": "failed", "skipped": "skipped"}


@define
class Leg:
    """The suite on one server."""

    server: ServerBinary
    code: int
    seconds: float
    counts: dict[str, Counter[str]] = field(factory=dict)
    skips: set[str] = field(factory=set)

    def read(self, report: Path) -> None:
        """Count what ran on what."""
        for case in ElementTree.parse(report).iter("testcase"):
            topologies = [p.get("value", "") for p in case.iterfind("properties/property[@name='topology']")]
            outcome = next((ANSWERS[child.tag] for child in case if child.tag in ANSWERS), "passed")
            self.skips |= {child.get("message", "") for child in case.iterfind("skipped")}
            for topology in topologies or [PLAIN]:
                self.counts.setdefault(topology, Counter())[outcome] += 1

    def cells(self, topologies: list[str]) -> list[str]:
        """The leg's row of the table."""
        counts = [self.counts.get(topology, Counter()) for topology in topologies]
        said = [
            ", ".join(f"{n} {outcome}" for outcome, n in sorted(count.items())) or "none" for count in counts
        ]
        verdict = "ok" if self.code == 0 else f"FAILED ({self.code})"
        return [self.server.name, self.server.origin, *said, f"{self.seconds:.0f} s", verdict]


def run(server: ServerBinary, arguments: list[str]) -> Leg:
    """Run the suite on a server."""
    environment = {**os.environ, FORCED: server.path}
    environment.pop("SCHEDCORE_TEST_REDIS_URL", None)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="schedcore-") as directory:
        report = Path(directory, "report.xml")
        command = [sys.executable, "-m", "pytest", *SUITE, f"--junitxml={report}", *arguments]
        done = subprocess.run(command, env=environment, check=False)
        leg = Leg(server, done.returncode, time.monotonic() - begun)
        if report.exists():
            leg.read(report)
    return leg


def table(legs: list[Leg]) -> str:
    """Say what ran where, what was left out and why, and what is not here."""
    seen = {topology for leg in legs for topology in leg.counts}
    topologies = [*TOPOLOGIES, *sorted(seen - set(TOPOLOGIES))]
    rows = [["server", "from", *topologies, "took", ""], *(leg.cells(topologies) for leg in legs)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    for leg in legs:
        lines += [f"Skipped on {leg.server.name}: {reason}" for reason in sorted(leg.skips)]
    return "\n".join([*lines, *(f"Not here: {name}" for name in missing([leg.server for leg in legs]))])


def missing(servers: list[ServerBinary]) -> list[str]:
    """Name the servers that should be run on and are not here."""
    releases = [f"{server.version}." for server in servers if server.product == "redis"]
    gaps = [f"Redis {leg}" for leg in LEGS if not any(r.startswith(f"{leg}.") for r in releases)]
    return gaps if any(server.product == "valkey" for server in servers) else [*gaps, "Valkey"]


def main(arguments: list[str]) -> int:
    """Run all legs; 1 if one failed, or if there was none."""
    legs = []
    for server in all_servers():
        print(f"\n==> {server.name}, {server.path}", flush=True)  # noqa: T201
        legs.append(run(server, arguments))
    print(f"\n{table(legs)}")  # noqa: T201
    return int(not legs or any(leg.code for leg in legs))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
