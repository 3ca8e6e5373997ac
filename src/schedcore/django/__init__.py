"""Jobs of a Django project: the app's `jobs.py` declares them, as `admin.py` does what the admin shows.

    # settings.py
    INSTALLED_APPS = [..., "schedcore.django"]
    SCHEDCORE = {"app": "shop", "backend": "redis"}  # what Scheduler takes

    # orders/jobs.py
    from schedcore.django import scheduler

    @scheduler.job("0 3 * * *")
    def archive_orders() -> None: ...

`manage.py runscheduler` runs them. Needs the extra `django`.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from schedcore.django._scheduler import DjangoScheduler

    scheduler: DjangoScheduler


@cache
def _from_settings() -> DjangoScheduler:
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured

    from schedcore.django._scheduler import DjangoScheduler

    options = dict(getattr(settings, "SCHEDCORE", {}))
    if "app" not in options:
        raise ImproperlyConfigured('settings.SCHEDCORE must name the app: SCHEDCORE = {"app": "shop"}')
    return DjangoScheduler(**options)


def __getattr__(name: str) -> object:
    """Make `scheduler` when it is first asked for; in a process that is no Django yet, set that up first."""
    if name != "scheduler":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import django
    from django.apps import apps

    if not apps.loading:
        django.setup()
    return _from_settings()


__all__ = ["scheduler"]
