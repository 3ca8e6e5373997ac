"""`manage.py runscheduler`."""

from __future__ import annotations

import logging
from typing import Any

from django.core.management.base import BaseCommand

from schedcore.django import scheduler


class Command(BaseCommand):  # type: ignore[misc]  # Django ships no types
    """Runs the scheduler in the foreground."""

    help = "Run the jobs that the apps' jobs.py declare, until SIGTERM or SIGINT; a second signal stops now."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until told to stop."""
        log = logging.getLogger("schedcore")
        if not log.hasHandlers():  # else settings.LOGGING has its own
            logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
        number = len(scheduler._jobs.values())
        log.info("%r", scheduler, extra={"event": "app.jobs", "app": scheduler.app, "jobs": number})
        scheduler.run()
