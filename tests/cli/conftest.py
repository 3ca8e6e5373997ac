import io
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import uuid4

import pytest
import redis

from schedcore import Scheduler
from schedcore._cli_main import invoke

Ask = Callable[..., str]

APP = """
import asyncio, os
from schedcore import RunContext, Scheduler

scheduler = Scheduler(os.environ["SHOP"], backend="redis", drain=1)

@scheduler.job("@every 24h")
def report(run: RunContext) -> None:
    run.progress(note=f"reported {run.payload}")

@scheduler.job("@every 24h", name="failing")
def failing() -> None:
    raise ValueError("no paper")

async def wait(run: RunContext) -> None:
    run.progress(note="waiting for ever")
    await asyncio.sleep(600)

for name in ("slow", "slower"):
    scheduler.add_job(name, "@every 24h", wait)
scheduler.add_job("many", "@every 24h", wait, overlap="allow")
scheduler.add_job("tick", "@every 1s", lambda: None)
scheduler.add_job("quiet", "@every 200ms", lambda: None)
"""


class Shop:
    """An app on Redis, which commands ask as a user would: piped, by its name, without its code."""

    def __init__(self, url: str, directory: Path) -> None:
        self.app = f"shop-{uuid4().hex[:8]}"
        self.url = url
        self.directory = directory
        self.environment = {
            **os.environ,
            "SCHEDCORE_BACKEND": "redis",
            "SCHEDCORE_REDIS_URL": url,
            "SCHEDCORE_APP": self.app,
        }
        self._replicas: list[subprocess.Popen[str]] = []

    def ask(self, *words: str, status: int = 0) -> str:
        """Run `schedcore WORDS` in this process, where it takes no second, and return what it printed."""
        out, err = io.StringIO(), io.StringIO()
        with mock.patch.dict(os.environ, self.environment), redirect_stdout(out), redirect_stderr(err):
            ended_with = invoke(words)
        assert (ended_with, err.getvalue()) == (status, ""), out.getvalue()
        return out.getvalue()

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run it as a user does whose output is piped."""
        command = [sys.executable, "-m", "schedcore", *words]
        return subprocess.run(
            command, cwd=self.directory, env=self.environment, capture_output=True, text=True, check=False
        )

    def start(self) -> "subprocess.Popen[str]":
        """Start a replica: a process of its own, which runs the app's code."""
        if not self._replicas:  # never while another one may be reading it
            (self.directory / "shop.py").write_text(APP)
        with (self.directory / "log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "schedcore", "run", "shop:scheduler"],
                cwd=self.directory,
                env={**self.environment, "SHOP": self.app},
                stdout=log,
                stderr=log,
                text=True,
            )
        self._replicas.append(process)
        return process

    def scheduler(self, **options: Any) -> Scheduler:
        """Make one of the same app; whoever does stops it."""
        return Scheduler(self.app, backend="redis", url=self.url, **options)

    def until(self, condition: Callable[[], object]) -> None:
        """Wait for what replicas bring about."""
        limit = time.monotonic() + 20
        while not condition():
            log = self.directory / "log"
            assert time.monotonic() < limit, log.read_text() if log.exists() else "it did not come about"
            time.sleep(0.05)  # other processes bring it about, and tell nobody here

    def end(self) -> None:
        for process in self._replicas:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def shop(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop with one replica, shared by the tests of a module: each has a job of its own."""
    shop = Shop(redis_url, tmp_path_factory.mktemp("shop"))
    asker = shop.scheduler()
    try:
        shop.start()
        shop.until(lambda: len(asker.blocking.jobs()) == 7)
        shop.until(lambda: asker.blocking.history("tick"))
        yield shop
    finally:
        asker.stop()
        shop.end()


@pytest.fixture
def closed_shop(redis_url: str, tmp_path: Path) -> Shop:
    """A shop whose only replica has stopped: nothing changes there but by commands."""
    return close(Shop(redis_url, tmp_path))


@pytest.fixture(scope="module")
def untouched_shop(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A closed one, for all of a module's tests that change nothing."""
    return close(Shop(redis_url, tmp_path_factory.mktemp("shop")))


def close(shop: Shop) -> Shop:
    """Have its jobs declared by a replica that then stops."""
    scheduler = shop.scheduler()
    for name in ("report", "reply", "a:b"):
        scheduler.add_job(name, "@every 24h", lambda: None)
    with scheduler:
        assert len(scheduler.blocking.jobs()) == 3
    return shop


def snapshot(shop: Shop) -> dict[bytes, object]:
    """Read all that the store has of the shop, byte by byte."""
    with redis.Redis.from_url(shop.url) as client:
        return {key: client.dump(key) for key in client.keys(f"schedcore:{{{shop.app}}}:*")}


@pytest.fixture
def refused(
    untouched_shop: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Runs a command that is refused: with one line, and nothing changed by it."""
    for name in ("SCHEDCORE_BACKEND", "SCHEDCORE_REDIS_URL", "SCHEDCORE_APP"):
        monkeypatch.setenv(name, untouched_shop.environment[name])

    def run(*words: str, status: int = 2) -> str:
        before = snapshot(untouched_shop)
        assert before
        assert invoke(words) == status
        assert snapshot(untouched_shop) == before
        told = capsys.readouterr()
        assert told.out == ""
        assert len(told.err.splitlines()) == 1
        return told.err

    return run
