"""Every error that schedcore raises on purpose.

SchedcoreError
├── ScheduleError (ValueError)          an expression, zone or time that cannot be used
├── CrontabError (ValueError)           a line of a crontab that cannot be understood
├── ConfigurationError (ValueError)     an option, a name or a function that cannot be used
├── CodecError (ValueError)             bytes of the store that cannot be read, or a value that cannot be kept
├── UnknownJobError (LookupError)       no job of that name
├── LifecycleError (RuntimeError)       the right call in the wrong place or at the wrong time
├── StoreUnavailableError (ConnectionError)    the backend's store did not answer
└── BackendError
    ├── NoBackendError                  none is installed
    ├── SeveralBackendsError            several are, and none was chosen
    ├── UnknownBackendError (LookupError)      the chosen one is not installed
    └── BackendImportError (ImportError)       the chosen one is installed and does not import
"""

from __future__ import annotations

from collections.abc import Iterable


class SchedcoreError(Exception):
    """Root of all errors of this library."""


class ScheduleError(SchedcoreError, ValueError):
    """A schedule, a zone or a time that cannot be used; names what was given, the field and the remedy."""

    def __init__(
        self, expression: object, problem: str, *, field: str = "", remedy: str = "", kind: str = "schedule"
    ) -> None:
        """Tell what `kind` of thing the expression was to be, what is wrong with it, what would be right."""
        shown = repr(expression)
        shown = shown if len(shown) <= 120 else shown[:117] + "..."
        where = f", field {field!r}" if field and kind == "schedule" else ""
        super().__init__(f"{kind} {shown}{where}: {problem}" + (f" ({remedy})" if remedy else ""))
        self.expression = expression
        self.problem = problem
        self.field = field
        self.remedy = remedy


class CrontabError(SchedcoreError, ValueError):
    """A line of a crontab that cannot be understood; names file, line and reason."""

    def __init__(self, file: str, line: int, reason: str) -> None:
        super().__init__(f"{file}:{line}: {reason}")
        self.file = file
        self.line = line
        self.reason = reason


class ConfigurationError(SchedcoreError, ValueError):
    """An option, a name or a function that cannot be used."""


class CodecError(SchedcoreError, ValueError):
    """Bytes of the store that cannot be read, or a value that cannot be kept; names what is wrong with it."""


class UnknownJobError(SchedcoreError, LookupError):
    """No job has that name; lists the nearest that exist."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        from difflib import get_close_matches

        names = sorted(known)
        folded = {known.lower(): known for known in names}
        near = [folded[match] for match in get_close_matches(name.lower(), folded, n=3)]
        if near:
            hint = f"; did you mean {', '.join(map(repr, near))}?"
        elif names:
            hint = f"; there are {', '.join(map(repr, names[:5]))}" + (
                " and others" if len(names) > 5 else ""
            )
        else:
            hint = "; this app has no jobs yet: start its scheduler first"
        super().__init__(f"no job is named {name!r}{hint}")
        self.name = name
        self.known = tuple(names)


class LifecycleError(SchedcoreError, RuntimeError):
    """The right call in the wrong place or at the wrong time; names the right one."""


class StoreUnavailableError(SchedcoreError, ConnectionError):
    """The backend's store did not answer; the engine retries for ever, a control call raises this.

    Attributes:
        remedy: What to look at: the notes of the backend's own error, where it has any.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem + (f"; {remedy}" if remedy else ""))
        self.problem = problem
        self.remedy = remedy


class BackendError(SchedcoreError):
    """Something about finding or loading a backend."""


class NoBackendError(BackendError):
    """No backend is installed."""

    def __init__(self) -> None:
        super().__init__(
            "no schedcore backend is installed; install one with the extra: "
            "schedcore[ram] (one process, no server) or schedcore[redis] (replicas)"
        )


class SeveralBackendsError(BackendError):
    """Several backends are installed and none was chosen."""

    def __init__(self, names: Iterable[str]) -> None:
        listed = ", ".join(sorted(names))
        super().__init__(
            f"several schedcore backends are installed ({listed}); "
            "choose one with Scheduler(..., backend=NAME) or the environment variable SCHEDCORE_BACKEND"
        )


class UnknownBackendError(BackendError, LookupError):
    """The chosen backend is not installed."""

    def __init__(self, name: str, installed: Iterable[str]) -> None:
        listed = ", ".join(sorted(installed)) or "none"
        super().__init__(
            f"backend {name!r} is not installed (installed: {listed}); "
            f"install schedcore[{name}] or choose an installed one"
        )


class BackendImportError(BackendError, ImportError):
    """The chosen backend is installed but does not import."""

    def __init__(self, name: str, cause: BaseException) -> None:
        super().__init__(
            f"backend {name!r} is installed but cannot be imported "
            f"({type(cause).__name__}: {cause}); reinstall schedcore[{name}]"
        )


_ALSO_KNOWN_AS = {
    "timezone": "tz",
    "retry": "retries",
    "max_instances": "overlap",
    "misfire_grace_time": "grace",
}


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Suggest the option that was probably meant, for a message; nothing if none is near."""
    from difflib import get_close_matches

    names = sorted(known)
    also = _ALSO_KNOWN_AS.get(name)
    near = [also] if also in names else get_close_matches(name, names, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
