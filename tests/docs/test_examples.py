"""Every example is a program that runs as it is."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

import pytest
from tests.docs.blocks import ROOT

EXAMPLES = sorted(path for path in ROOT.glob("examples/*.py") if not path.name.startswith("demo"))
LIMIT_S = 15


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_example_runs(path: Path, tmp_path: Path) -> None:
    """An example runs its jobs, and Ctrl-C ends it, if it does not end by itself, with exit code 0."""
    log = tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", path],
            cwd=tmp_path,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        end = monotonic() + LIMIT_S
        while process.poll() is None and "ran" not in log.read_text() and monotonic() < end:
            sleep(0.05)
        if process.poll() is None and "scheduler.run()" in path.read_text():
            process.send_signal(signal.SIGINT)
        code = process.wait(LIMIT_S)
    finally:
        process.kill()
        process.wait()
    said = log.read_text()
    assert code == 0, said
    assert "ran" in said
    assert "Traceback" not in said
