"""Which backends are installed, and which one would be taken."""

from __future__ import annotations

import os
from importlib.metadata import EntryPoint, entry_points

import attrs

from schedcore import _plugins
from schedcore.errors import BackendError


@attrs.frozen
class Installed:
    """A backend as its entry point describes it."""

    name: str
    distribution: str
    version: str
    value: str
    chosen: bool
    trouble: str

    def as_dict(self) -> dict[str, object]:
        """Return it for JSON."""
        return attrs.asdict(self)

    def as_cells(self) -> tuple[str, ...]:
        """Return it for a table."""
        chosen = "yes" if self.chosen else ""
        return self.name, self.distribution, self.version, self.value, chosen, self.trouble


def survey() -> tuple[list[Installed], str]:
    """List the installed backends; tell which one is taken where none is named, and why."""
    wanted = os.environ.get(_plugins.VARIABLE)
    try:
        chosen = _plugins.choose(None)
        reason = f"{_plugins.VARIABLE} says so" if wanted else "it is the only one installed"
        why = f"{chosen} is taken where none is named: {reason}"
    except BackendError as exc:
        chosen, why = "", str(exc)
    points = sorted(entry_points(group=_plugins.GROUP), key=lambda point: point.name)
    return [_installed(point, chosen) for point in points], why


def _installed(point: EntryPoint, chosen: str) -> Installed:
    trouble = ""
    try:
        point.load()
    except Exception as exc:  # noqa: BLE001  somebody else's package
        trouble = f"cannot be imported: {type(exc).__name__}: {exc}"
    name = point.dist.name if point.dist else "?"
    version = point.dist.version if point.dist else "?"
    return Installed(point.name, name, version, point.value, point.name == chosen, trouble)
