"""schedcore in one process: no server, no dependency, and nothing survives a restart.

The reference reading of the contracts in `schedcore.protocols`, which stands beside each rule that it keeps.
"""

from __future__ import annotations

from sched_ram._backend import DirectExecutor, NoLocker, RamBackend
from sched_ram._memory import Memory

__all__ = ["DirectExecutor", "Memory", "NoLocker", "RamBackend"]
