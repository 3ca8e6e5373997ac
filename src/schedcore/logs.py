"""Log records for programs: each of ours has an event and fields; here they become lines of JSON.

handler = logging.StreamHandler()
handler.setFormatter(JSONFormatter())
logging.basicConfig(level="INFO", handlers=[handler])
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

_whose: ContextVar[tuple[str, str]] = ContextVar("schedcore_replica")


class JSONFormatter(logging.Formatter):
    """Makes one line of JSON of a record, also of one that is not ours.

    It has `time` (ISO 8601, UTC), `level`, `logger`, `message`, then whatever fields the record was given,
    `event` among them, then `exception` and `stack` where there are any. What JSON cannot hold is told as
    text.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Write the record."""
        at = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, object] = {
            "time": at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = self.formatStack(record.stack_info)
        return _as_json(line)


def _as_json(line: Mapping[str, object]) -> str:
    """Write it down, and as text what JSON cannot hold: NaN, a tuple as a key, what holds itself."""
    try:
        return json.dumps(line, default=str, allow_nan=False)
    except (TypeError, ValueError):
        return json.dumps({name: _holdable(value) for name, value in line.items()}, default=str)


def _holdable(value: object) -> object:
    try:
        json.dumps(value, default=str, allow_nan=False)
    except (TypeError, ValueError):
        return str(value)
    return value


def belongs_to(app: str, replica: str) -> None:
    """Have what is logged from here on, in this context and below, tell whose it is."""
    _whose.set((app, replica))


class _Whose(logging.Filter):
    """Adds `app` and `replica` to what is logged on behalf of a replica, unless the record has its own."""

    def filter(self, record: logging.LogRecord) -> bool:
        whose = _whose.get(None)
        if whose is not None:
            for name, value in zip(("app", "replica"), whose, strict=True):
                vars(record).setdefault(name, value)
        return True


for _name in ("schedcore", "schedcore.job"):  # a logger's filter is not asked for its children
    logging.getLogger(_name).addFilter(_Whose())
