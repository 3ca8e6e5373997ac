"""How much engines and store remember, so that one hour can be compared with another."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from schedcore.protocols import Micros
from schedcore.testing._books import Broken

if TYPE_CHECKING:
    from schedcore.testing._cluster import Cluster

HOUR: Micros = 3_600_000_000
OURS = ("schedcore.", "sched_ram.")
NOT_OURS = "schedcore.testing"
GROWING = (Mapping, list, set, deque)
ASIDE = frozenset({"recent"})
"""What is bounded, and yet grows for longer than an hour: keys that were asked for by hand stay for a day."""


@attrs.frozen
class Size:
    """How much was remembered at a quiet moment of some hour."""

    hour: int
    engines: int
    store: int


def weigh(*roots: object) -> int:
    """Count what is in the containers that can be reached through objects of ours."""
    seen: set[int] = set()
    todo, total = list(roots), 0
    while todo:
        value = todo.pop()
        parts = _parts(value)
        if parts is None or id(value) in seen:
            continue
        seen.add(id(value))
        total += len(value) if isinstance(value, GROWING) else 0
        todo += parts
    return total


def _parts(value: object) -> Iterable[Any] | None:
    if isinstance(value, Mapping):
        return [*value.keys(), *value.values()]
    if isinstance(value, list | tuple | set | frozenset | deque):
        return value
    kind = type(value)
    if not kind.__module__.startswith(OURS) or kind.__module__.startswith(NOT_OURS):
        return None
    slots = [name for each in kind.__mro__ for name in getattr(each, "__slots__", ())]
    names = {*getattr(value, "__dict__", ()), *slots} - ASIDE
    return [getattr(value, name) for name in sorted(names) if hasattr(value, name)]


def measure(cluster: Cluster) -> Size:
    """Weigh the living engines, and the store."""
    engines = [node.process.engine for node in cluster.nodes if node.process is not None]
    hour = round((cluster.time.now - cluster.story.start) / HOUR)
    return Size(hour, weigh(*engines), cluster.server.store.size())


def growth(sizes: Iterable[Size]) -> list[Broken]:
    """Compare each later hour with the first."""
    first, *later = list(sizes) or [Size(0, 0, 0)]
    broken = []
    for size in later:
        for what in ("engines", "store"):
            before, now = getattr(first, what), getattr(size, what)
            if now > before * 1.05 + 200:
                told = f"{what}: {now} things are remembered in hour {size.hour}, {before} in {first.hour}"
                broken.append(Broken("grows", told))
    return broken
