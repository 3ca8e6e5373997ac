"""Where an app's state lies in Redis: every key of an app has one hash tag, and so one Cluster slot."""

from __future__ import annotations

import re

GROUP = "schedcore"
"""The consumer group of all replicas."""


class Keys:
    """The keys of one app; what is in them is told beside each."""

    def __init__(self, app: str, prefix: str) -> None:
        """Put `prefix` before all, and the app's name, as the hash tag, behind it."""
        base = f"{prefix}:{{{app}}}:"
        self.meta = f"{base}meta"  # hash: epoch, newest version or token, last beat
        self.rows = f"{base}rows"  # hash by job: version, the last steps that made it, content
        self.names = f"{base}names"  # sorted set of the jobs, for reading page by page
        self.stream = f"{base}stream"  # names of triggers, for whoever reads first
        self.triggers = f"{base}triggers"  # hash by name of a trigger: who has it, and the trigger
        self.held = f"{base}held"  # sorted set of the names of unfinished triggers, for finding a job's
        self.parked = f"{base}parked"  # set of the names of triggers that wait for who knows their job
        self.gone = f"{base}gone"  # list of the last steps that deleted a row
        self.changes = (
            f"{base}changes"  # stream: what commits made of rows, for seconds; for who loses a burst
        )
        self.alive = f"{base}alive"  # sorted set of replicas by when their beat expires
        self.facts = f"{base}facts"  # hash by replica: how it describes itself
        self.pattern = re.sub(r"[][*?^\\-]", r"\\\g<0>", base) + "*"  # what finds all of them
        self._base = base

    def scratch(self) -> tuple[str, ...]:
        """Name keys on which rights are tried: a hash, a sorted set, a list, a set, a string and a stream."""
        return tuple(
            f"{self._base}doctor:{kind}" for kind in ("hash", "zset", "list", "set", "string", "stream")
        )

    def lock(self, name: str) -> str:
        """Name the lock of a trigger."""
        return f"{self._base}lock:{name}"

    def history(self, job: str) -> tuple[str, str]:
        """Name the lists of a job's lines, and of those that are no successes."""
        return f"{self._base}runs:{job}", f"{self._base}failures:{job}"


def trigger_name(job: str, key: str) -> str:
    """Name a trigger; a job's name has no space."""
    return f"{job} {key}"


def trigger_key(name: str) -> str:
    """Tell the key in the name of a trigger."""
    return name.partition(" ")[2]
