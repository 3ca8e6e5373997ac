"""What Django does with "schedcore.django" in INSTALLED_APPS."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class SchedcoreConfig(AppConfig):  # type: ignore[misc]  # Django ships no types
    """Imports the module `jobs` of each installed app."""

    name = "schedcore.django"
    label = "schedcore"
    verbose_name = "Scheduled jobs"

    def ready(self) -> None:
        """Have all jobs declared."""
        autodiscover_modules("jobs")
