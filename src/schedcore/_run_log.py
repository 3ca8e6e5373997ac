"""What a job's function logs, with the run that it belongs to; apart, because `logging` is slow to import."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

from schedcore.context import RunContext


class RunLog(logging.LoggerAdapter[logging.Logger]):
    """Adds job, scheduled time, attempt and delivery to each record."""

    def __init__(self, run: RunContext) -> None:
        """Log for `run`."""
        super().__init__(logging.getLogger("schedcore.job"))
        self._run = run

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the facts to those that the caller gave, which win."""
        facts = {
            "job": self._run.job,
            "scheduled_at": self._run.scheduled_at.isoformat(),
            "attempt": self._run.attempt,
            "delivery": self._run.delivery,
        }
        kwargs["extra"] = {**facts, **(kwargs.get("extra") or {})}
        return msg, kwargs
