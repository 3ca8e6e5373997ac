"""Finds backends by entry point, and makes the one that is meant."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from schedcore.errors import (
    BackendError,
    BackendImportError,
    ConfigurationError,
    NoBackendError,
    SeveralBackendsError,
    UnknownBackendError,
    did_you_mean,
)
from schedcore.protocols import Backend

GROUP = "schedcore.backends"
VARIABLE = "SCHEDCORE_BACKEND"

OWN_OPTIONS = ("backend", "concurrency", "threads", "drain")
"""The scheduler's: one of these that is misspelt looks like an option of the backend."""


def installed() -> list[str]:
    """List the installed backends by name, without importing any."""
    from importlib.metadata import entry_points

    return sorted({point.name for point in entry_points(group=GROUP)})


def choose(wanted: str | None) -> str:
    """Tell which backend is meant: the one asked for, else `SCHEDCORE_BACKEND`, else the only one installed.

    Raises:
        NoBackendError: none is installed.
        SeveralBackendsError: several are, and none was chosen.
        UnknownBackendError: the chosen one is not installed.
    """
    names = installed()
    wanted = wanted or os.environ.get(VARIABLE) or None
    if wanted is not None:
        if wanted not in names:
            raise UnknownBackendError(wanted, names)
        return wanted
    if not names:
        raise NoBackendError
    if len(names) > 1:
        raise SeveralBackendsError(names)
    return names[0]


def load(app: str, wanted: str | Backend | None, options: dict[str, Any]) -> Backend:
    """Make the backend of `app`; an instance is taken as it is.

    Raises:
        BackendError: as `choose`, or the chosen backend cannot be imported or made.
        ConfigurationError: an option is not the backend's.
    """
    if wanted is not None and not isinstance(wanted, str):
        if options:
            raise ConfigurationError(
                f"options {', '.join(sorted(options))} cannot be given along with a backend instance"
                f"{_meant(options)}"
            )
        return wanted
    name = choose(wanted)
    factory = _import(name)
    try:
        backend: Backend = factory(app, **options)
    except BackendError:
        raise
    except ConfigurationError as exc:
        if hint := _meant(options, factory):
            raise ConfigurationError(f"{exc}{hint}") from exc
        raise
    except TypeError as exc:
        hint = _meant(options, factory)
        raise ConfigurationError(f"backend {name!r} cannot be made: {exc}{hint}") from exc
    return backend


def _meant(options: Iterable[str], factory: Callable[..., object] | None = None) -> str:
    """Suggest what was probably meant by an option that neither the scheduler nor the factory has."""
    from inspect import signature

    names: list[str] = []
    with suppress(TypeError, ValueError):  # not every factory tells
        parameters = () if factory is None else signature(factory).parameters.values()
        names = [each.name for each in parameters if each.kind is not each.VAR_KEYWORD]
    hints = [
        did_you_mean(option, [*OWN_OPTIONS, *names]) for option in sorted(options) if option not in names
    ]
    return next(filter(None, hints), "")


def _import(name: str) -> Any:
    from stevedore import NamedExtensionManager

    failures: list[BaseException] = []
    manager: Any = NamedExtensionManager(
        GROUP,
        names=[name],
        on_load_failure_callback=lambda _manager, _point, exc: failures.append(exc),
        on_missing_entrypoints_callback=lambda _missing: None,  # `choose` has looked already
    )
    if failures:
        raise BackendImportError(name, failures[0]) from failures[0]
    return manager[name].plugin
