"""Finds the scheduler that MODULE:ATTR names, and says what is wrong where it does not."""

from __future__ import annotations

import re
import sys
import traceback
from importlib import import_module
from pathlib import Path
from types import ModuleType

from schedcore.errors import SchedcoreError
from schedcore.scheduler import Scheduler

TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
"""What is meant as MODULE:ATTR."""


class TargetError(SchedcoreError):
    """MODULE:ATTR names no scheduler."""


class ImportFailedError(SchedcoreError):
    """The application's own code raised while it was imported."""

    exit_status = 1


def load_scheduler(target: str, directory: str = ".") -> Scheduler:
    """Import the module of MODULE:ATTR, with `directory` first on the path, and return the scheduler there.

    Raises:
        TargetError: there is no such module, or no such scheduler in it, or it declares what cannot be used.
        ImportFailedError: the module raised.
    """
    name, colon, attribute = target.partition(":")
    if name.endswith(".py") or "/" in name:
        dotted = ".".join(Path(name).with_suffix("").parts).strip("./")
        raise TargetError(f"{target!r} is a path; write the module: {dotted}:{attribute or 'scheduler'}")
    if not name or name.startswith(".") or (colon and not attribute):
        raise TargetError(f"{target!r} names no scheduler; write MODULE:ATTR, such as app:scheduler")
    module = _imported(name, directory)
    if not colon:
        raise TargetError(f"{target!r} names a module; write MODULE:ATTR: {_hint(module)}")
    found: object = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise TargetError(f"module {name!r} has no {attribute!r}; {_hint(module)}")
        found = getattr(found, part)
    if not isinstance(found, Scheduler):
        raise TargetError(f"{target} is no Scheduler but {type(found).__name__}; {_hint(module)}")
    return found


def _imported(name: str, directory: str) -> ModuleType:
    path = str(Path(directory).resolve())
    if path not in sys.path:
        sys.path.insert(0, path)
    try:
        return import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name is None or not f"{name}.".startswith(f"{exc.name}."):
            raise ImportFailedError(_failure(name, exc, path)) from exc
        raise TargetError(
            f"there is no module {exc.name!r}, neither in {path} nor installed; "
            "go where it is, or name the place with --app-dir"
        ) from exc
    except SchedcoreError as exc:
        raise TargetError(" ".join(filter(None, (_place(exc, path), str(exc))))) from exc
    except Exception as exc:
        raise ImportFailedError(_failure(name, exc, path)) from exc


def _failure(name: str, exc: Exception, directory: str) -> str:
    what = f"{type(exc).__name__}: {exc} (--debug shows more)"
    return " ".join(filter(None, (f"importing {name!r} failed", _place(exc, directory), what)))


def _place(exc: Exception, directory: str) -> str:
    """Tell which line of the application was the last one on the way to an error."""
    for frame in reversed(traceback.extract_tb(exc.__traceback__)):
        if frame.filename.startswith(directory) and "site-packages" not in frame.filename:
            return f"at {frame.filename}:{frame.lineno}:"
    return ""


def _hint(module: ModuleType) -> str:
    found = sorted(name for name, value in vars(module).items() if isinstance(value, Scheduler))
    if not found:
        return "there is no Scheduler at its top level"
    return "there is " + " and ".join(f"{module.__name__}:{name}" for name in found)
