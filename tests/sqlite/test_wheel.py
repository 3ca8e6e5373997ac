"""The example's wheel, in a folder of its own, is all that a user needs beside the core."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.sqlite.conftest import PROJECT

RUNS = """
import sys, threading
from importlib.metadata import entry_points
from schedcore import Scheduler
import sched_sqlite
assert sched_sqlite.__file__.startswith(sys.argv[1]), sched_sqlite.__file__
print(*[point.name for point in entry_points(group="schedcore.backends", name="sqlite")])
ran = threading.Event()
scheduler = Scheduler("wheel", backend="sqlite")
scheduler.add_job("tick", "@every 100ms", ran.set)
with scheduler:
    print(ran.wait(20))
"""


def test_the_wheel_runs_jobs(tmp_path: Path) -> None:
    """Built and installed without an index, it has its statements, its entry point, and runs a job."""
    python, site = sys.executable, tmp_path / "site"
    build = [python, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path]
    subprocess.run(build, cwd=PROJECT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    held = {Path(name).name for name in zipfile.ZipFile(wheel).namelist()}
    files = {path.name for path in (PROJECT / "sched_sqlite").iterdir() if path.is_file()}
    assert held == files | {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "LICENSE"}
    install = [python, "-m", "pip", "install", "--no-index", "--no-deps", "--quiet", "--target", site, wheel]
    subprocess.run(install, check=True, capture_output=True)
    others = [
        path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if "sched_sqlite" not in path
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(site), *others])),
        "SCHEDCORE_SQLITE_PATH": str(tmp_path / "store"),
    }
    command = [python, "-W", "error", "-c", RUNS, str(site)]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=50
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["sqlite", "True"]
