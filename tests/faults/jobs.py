"""The jobs that replicas run while they are done harm: each kind, each policy, something due every second."""

import time

from tests.faults.cluster import JobSpec

MIX = (
    JobSpec("quick", "@every 1s"),
    JobSpec("plain", "@every 1s", "plain", seconds=0.05),
    JobSpec("work", "@every 2s", seconds=1.2, options={"overlap": "queue_all"}),
    JobSpec("plain-work", "@every 3s", "plain", seconds=1.0, options={"overlap": "queue_one"}),
    JobSpec("once", "@every 1s", seconds=0.3, options={"delivery": "at_most_once"}),
    JobSpec("many", "@every 1s", seconds=1.5, options={"overlap": "allow"}),
    JobSpec("careful", "@every 2s", seconds=0.5, options={"on_doubt": "cancel"}),
)
"""For tests in which times may be skipped, because a killed replica holds the one before."""

LATE = (
    JobSpec("latest", "@every 1s", options={"grace": 1, "catch_up": "latest", "overlap": "queue_all"}),
    JobSpec("all", "@every 1s", options={"grace": 1, "catch_up": "all", "overlap": "queue_all"}),
    JobSpec("none", "@every 1s", options={"grace": 1, "catch_up": "none", "overlap": "queue_all"}),
)
"""What is late is late after a second, and caught up as their names say."""


def soon(seconds: float) -> str:
    """A schedule that is due once, in so many seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() + seconds))
