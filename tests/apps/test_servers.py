"""Each example application on its framework's own server, with several workers on one Redis."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.apps.server import EXAMPLES, Server, serving
from tests.redis.servers import RedisServer, until

from schedcore import Scheduler

GUNICORN = ("-m", "gunicorn", "--no-control-socket", "--bind", "127.0.0.1:{port}")
UVICORN = ("-m", "uvicorn", "--port", "{port}", "--log-level", "warning")
SERVERS = [
    pytest.param("fastapi_app", (*UVICORN, "--workers", "2", "app:app"), id="fastapi-uvicorn"),
    pytest.param(
        "starlette_app",
        (*GUNICORN, "--worker-class", "asgi", "--workers", "2", "--preload", "app:app"),
        id="starlette-gunicorn-preloaded",
    ),
    pytest.param(
        "fastapi_app",
        (*GUNICORN, "--worker-class", "asgi", "--workers", "3", "app:app"),
        id="fastapi-gunicorn",
    ),
    pytest.param("flask_app", (*GUNICORN, "app:app"), id="flask-gunicorn"),
    pytest.param("flask_app", (*GUNICORN, "--preload", "app:app"), id="flask-gunicorn-preloaded"),
    pytest.param("django_project", (*GUNICORN, "project.wsgi"), id="django-gunicorn"),
]


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """Where the Django project's database is; it has its tables."""
    return {"DATABASE": str(tmp_path / "db.sqlite3")}


def migrate(settings: dict[str, str]) -> None:
    line = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(line, cwd=EXAMPLES / "django_project", env={**os.environ, **settings}, check=True)


@contextmanager
def asking(example: str, redis: RedisServer) -> Iterator[Scheduler]:
    """Have a scheduler that only asks about an example's app."""
    scheduler = Scheduler(example.replace("_", "-"), backend="redis", url=redis.url)
    try:
        yield scheduler
    finally:
        scheduler.stop()


@pytest.mark.parametrize(("example", "command"), SERVERS)
def test_workers_share_the_jobs(
    example: str, command: tuple[str, ...], tmp_path: Path, settings: dict[str, str]
) -> None:
    """One of the workers runs each scheduled time, a request triggers a job, and SIGTERM ends all well."""
    if example == "django_project":
        migrate(settings)
    with serving(example, *command, folder=tmp_path, settings=settings) as (server, redis):
        server.until_answers()
        began = datetime.now(UTC)
        server.until_beats(3)
        assert server.ask("/report", post=True) == {"outcome": "succeeded"}
        with asking(example, redis) as scheduler:
            assert len(scheduler.blocking.replicas()) >= 2
            (report,) = scheduler.blocking.history("report")
            ended = datetime.now(UTC)
            assert server.stop() == 0, server.said
            assert scheduler.blocking.replicas() == []
            (audit,) = scheduler.blocking.audit("heartbeat", after=began, until=ended)
        assert set(audit.counts) == {"ran once"}, audit
        assert {at: who for at, who in server.beats().items() if len(who) > 1} == {}
        assert "Traceback" not in server.said, server.said
        assert report.detail == "" or "report" in report.detail


@pytest.mark.parametrize("program", ["plain_script", "asyncio_app"])
def test_programs_without_a_framework_share_the_jobs(program: str, tmp_path: Path) -> None:
    """Of three processes of a program one runs each scheduled time; each ends well by itself."""
    with RedisServer() as redis, ExitStack() as stack:
        settings = {"SCHEDCORE_BACKEND": "redis", "SCHEDCORE_REDIS_URL": redis.url}
        processes = [
            stack.enter_context(Server("", f"{program}.py", log=tmp_path / name, settings=settings))
            for name in ("one", "two", "three")
        ]
        assert [each.end() for each in processes] == [0, 0, 0], [each.said for each in processes]
        times = Counter(at for each in processes for at, who in each.beats().items() for _ in who)
    assert len(times) >= 2
    assert {at: number for at, number in times.items() if number > 1} == {}


STARTED_TOO_EARLY = """
from flask import Flask
from schedcore.flask import FlaskScheduler

scheduler = FlaskScheduler("too-early", backend="redis")
scheduler.add_job("heartbeat", "@every 1h", lambda: None)
app = Flask(__name__)
scheduler.init_app(app)
scheduler.start()  # where gunicorn preloads the application: in the process that forks

@app.get("/")
def index():
    return {"scheduling": scheduler.blocking.health().running}
"""
STARTED_AGAIN = """
def post_worker_init(worker):
    from app import scheduler
    worker.log.info("%r", scheduler)
    scheduler.start()

def worker_exit(server, worker):
    from app import scheduler
    scheduler.stop()
"""


def test_workers_forked_off_a_started_scheduler_start_their_own(tmp_path: Path) -> None:
    """Each worker says once that it is not started, and can be; the process that forked them goes on."""
    (tmp_path / "app.py").write_text(STARTED_TOO_EARLY)
    (tmp_path / "gunicorn.conf.py").write_text(STARTED_AGAIN)
    command = (*GUNICORN, "--preload", "--workers", "2", "app:app")
    with serving(str(tmp_path), *command, folder=tmp_path) as (server, redis):
        server.until_answers()
        with asking("too-early", redis) as scheduler:
            until(lambda: len(scheduler.blocking.replicas()) == 3, what="a replica in each process")
            assert server.stop() == 0, server.said
            assert scheduler.blocking.replicas() == []
    assert server.said.count("here it is not started") == 2
    assert server.said.count("1 jobs, not started>") == 2
    assert "Traceback" not in server.said, server.said
