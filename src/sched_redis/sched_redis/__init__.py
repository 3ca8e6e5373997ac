"""schedcore on Redis: replicas of one app share its jobs, and each scheduled time runs once.

A script commits each step whole, with a `SET NX` lock in it; triggers travel on a stream, whose consumer
group is all replicas. The scripts are in `lua/`, each with a header that tells what it does.
"""

from __future__ import annotations

from sched_redis._backend import RedisBackend
from sched_redis._bus import RedisBus
from sched_redis._executor import GroupExecutor
from sched_redis._locker import RedisLocker
from sched_redis._store import RedisStore

__all__ = ["GroupExecutor", "RedisBackend", "RedisBus", "RedisLocker", "RedisStore"]
