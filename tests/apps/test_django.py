"""Jobs of a Django project: found in jobs.py, with connections that each run closes."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from tests.apps.server import EXAMPLES, Server
from tests.redis.servers import RedisServer

HEAD = """
import os, sys
import django
from django.conf import settings
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1]}},
    INSTALLED_APPS=["schedcore.django", "orders"],
    SCHEDCORE={"app": "shop", "backend": "ram", "threads": 2},
)
def open_connections():
    links = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
    return sum(os.path.exists(link) and os.path.realpath(link) == sys.argv[1] for link in links)
"""
JOBS = """
from asgiref.sync import sync_to_async
from django.db import connection
from schedcore.django import scheduler

def ask():
    with connection.cursor() as cursor:
        cursor.execute("SELECT 6 * 7")
    print("open in a run:", __main__.open_connections(), flush=True)

import __main__

@scheduler.job("@yearly")
def plain():
    ask()

@scheduler.job("@yearly")
def failing():
    ask()
    raise OSError("no paper")

@scheduler.job("@yearly")
async def coroutine():
    await sync_to_async(ask)()
"""


def said_by(code: str, folder: Path) -> list[str]:
    """Run code in a fresh Django with an app `orders`."""
    (folder / "orders").mkdir()
    (folder / "orders/__init__.py").touch()
    (folder / "orders/jobs.py").write_text(JOBS)
    (folder / "main.py").write_text(HEAD + textwrap.dedent(code))
    line = [sys.executable, "-W", "error", "main.py", str((folder / "db").resolve())]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=40, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_run_leaves_no_connection_open(tmp_path: Path) -> None:
    """Each run closes what it opened, in its thread, also if it fails or is a coroutine."""
    said = said_by(
        """
        django.setup()
        from schedcore.django import scheduler
        with scheduler:
            for name in ("plain", "failing", "coroutine"):
                print(scheduler.blocking.trigger(name, wait=True, timeout=10).outcome, open_connections())
        """,
        tmp_path,
    )
    assert said == [
        *("open in a run: 1", "succeeded 0"),
        *("open in a run: 1", "failed 0"),
        *("open in a run: 1", "succeeded 0"),
    ]


def test_the_scheduler_sets_django_up_where_nobody_has(tmp_path: Path) -> None:
    """`schedcore run schedcore.django:scheduler` needs no manage.py: asking for it declares all jobs."""
    said = said_by(
        """
        from schedcore.django import scheduler
        print(scheduler)
        """,
        tmp_path,
    )
    assert said == ["<Scheduler shop on ram: 3 jobs, not started>"]


def test_settings_without_a_name_say_what_is_missing(tmp_path: Path) -> None:
    """A project that has not said which app it is gets told how."""
    said = said_by(
        """
        settings.SCHEDCORE = {}
        try:
            django.setup()
        except Exception as error:
            print(type(error).__name__, error)
        """,
        tmp_path,
    )
    assert said == ['ImproperlyConfigured settings.SCHEDCORE must name the app: SCHEDCORE = {"app": "shop"}']


def test_manage_py_runs_the_jobs_until_it_is_told(tmp_path: Path) -> None:
    """`manage.py runscheduler` runs jobs in the foreground; SIGTERM ends it well."""
    with RedisServer() as redis:
        settings = {"SCHEDCORE_REDIS_URL": redis.url, "DATABASE": str(tmp_path / "db")}
        command = ("manage.py", "runscheduler")
        with Server("django_project", *command, log=tmp_path / "log", settings=settings) as server:
            server.until_beats(2)
            assert server.stop() == 0, server.said
    assert "<DjangoScheduler" not in server.said
    assert "django-project on redis: 2 jobs" in server.said
    assert "stopping; a second signal stops now" in server.said


def test_the_example_needs_no_further_migration(tmp_path: Path) -> None:
    """The example's migrations are those of its models, and its settings pass Django's checks."""
    environment = {**os.environ, "DATABASE": str(tmp_path / "db")}
    line = [sys.executable, "-W", "error", "manage.py", "makemigrations", "--check", "--dry-run"]
    done = subprocess.run(
        line, cwd=EXAMPLES / "django_project", env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
