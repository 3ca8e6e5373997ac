"""The three wheels, installed into fresh environments with the source tree out of the way.

"schedcore" on the public index is another project, so nothing here asks an index for one of our names: the
wheels are built, other people's wheels are downloaded by name into a folder, and the rest is `--no-index`.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Callable
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest
from tests.strict import STRICT

ROOT = Path(__file__).parents[1]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
OURS = {"schedcore": ROOT, "sched_ram": ROOT / "src/sched_ram", "sched_redis": ROOT / "src/sched_redis"}
PACKAGES = {"schedcore": ROOT / "src/schedcore"} | {
    name: OURS[name] / name for name in ("sched_ram", "sched_redis")
}

FRAMEWORK = re.compile(r"extra == .(?:django|fastapi|flask|starlette).")
BUILD = ("build", "--all-packages", "--no-build-isolation", "--python", sys.executable)

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("wheels")]


def run(*command: str | Path, cwd: Path) -> str:
    # Whoever runs the tests may have paths and interpreters of his own in the environment.
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV", "SCHEDCORE_"))}
    line = list(map(str, command))
    done = subprocess.run(line, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def uv(*arguments: str | Path, cwd: Path = ROOT) -> None:
    run(sys.executable, "-m", "uv", "--offline", *arguments, cwd=cwd)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three wheels and three sdists."""
    folder = tmp_path_factory.mktemp("built")
    uv(*BUILD, "--out-dir", folder)
    return folder


@pytest.fixture(scope="session")
def others(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheels of everything that ours depend on, and of what builds them."""
    folder = tmp_path_factory.mktemp("others")
    wanted = {"editables", "hatchling"}
    for name in OURS:
        needs = metadata(built, name).get_all("Requires-Dist", [])
        wanted |= {need.split(";")[0].strip() for need in needs if not FRAMEWORK.search(need)}
    foreign = sorted(need for need in wanted if not need.startswith(("schedcore", "sched-")))
    download = ("pip", "download", "--quiet", "--only-binary", ":all:", "--dest", folder)
    run(sys.executable, "-m", *download, *foreign, cwd=folder)
    return folder


@pytest.fixture
def environment(built: Path, others: Path, tmp_path: Path) -> Callable[..., Callable[[str], str]]:
    """Make a fresh environment with the given requirements; returns what runs code in it."""

    def make(*requirements: str) -> Callable[[str], str]:
        python = tmp_path / "venv/bin/python"
        uv("venv", "--quiet", "--python", sys.executable, tmp_path / "venv", cwd=tmp_path)
        links = ("--no-index", "--find-links", built, "--find-links", others)
        uv("pip", "install", "--quiet", "--python", python, *links, *requirements, cwd=tmp_path)
        return lambda code: run(python, "-I", *STRICT, "-c", code, cwd=tmp_path)

    return make


@pytest.fixture(scope="session")
def built_elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same from a copy in another place, whose files are newer and may be read by their owner only."""
    copy, folder = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("again")
    for name in ("LICENSE", "README.md", "pyproject.toml", ".gitignore"):
        shutil.copyfile(ROOT / name, copy / name)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src", copy / "src", ignore=ignored, copy_function=shutil.copyfile)
    for path in copy.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    uv(*BUILD, "--out-dir", folder, cwd=copy)
    return folder


def wheel(folder: Path, name: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(folder / f"{name}-{VERSION}-py3-none-any.whl")


def metadata(folder: Path, name: str) -> Message:
    return message_from_bytes(wheel(folder, name).read(f"{name}-{VERSION}.dist-info/METADATA"))


def sources(name: str) -> set[str]:
    package = PACKAGES[name]
    files = {path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    return {str(path.relative_to(package.parent)) for path in files}


IMPORTABLE = """
import json, sys
from importlib.util import find_spec
names = ["schedcore", "sched_ram", "sched_redis", "redis"]
print(json.dumps([name for name in names if find_spec(name)]))
"""

A_JOB_RUNS = """
import sys, threading
from schedcore import Scheduler
ran = threading.Event()
scheduler = Scheduler("wheels", {options})
@scheduler.job("@every 100ms")
def tick() -> None:
    ran.set()
with scheduler:
    assert ran.wait(20), "no run within 20 s"
print(*sorted({{"redis", "sched_redis"}} & set(sys.modules)))
"""

REFUSAL = """
from schedcore import Scheduler, errors
try:
    scheduler = Scheduler("wheels", {options})
    scheduler.add_job("tick", "@every 100ms", print)
    scheduler.start()
except errors.SchedcoreError as error:
    print(*(parent.__name__ for parent in type(error).__mro__))
    print(error)
"""


@pytest.mark.parametrize("name", OURS)
def test_a_wheel_holds_its_package_and_nothing_else(built: Path, name: str) -> None:
    """Each wheel has every file of its own package, its metadata, and no other file."""
    found = set(wheel(built, name).namelist())
    info = {file for file in found if file.startswith(f"{name}-{VERSION}.dist-info/")}
    assert found - info == sources(name)
    assert f"{name}/py.typed" in found
    kinds = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
    assert {file.split("/", 1)[1] for file in info} == kinds


@pytest.mark.parametrize("name", OURS)
def test_a_wheel_describes_itself(built: Path, name: str) -> None:
    """Each wheel carries its project's README and licence."""
    described = metadata(built, name)
    assert described["Requires-Python"] == ">=3.11"
    assert described["License-Expression"] == "MIT"
    body = described.get_payload(decode=True)
    assert isinstance(body, bytes)
    assert body.decode().strip() == (OURS[name] / "README.md").read_text().strip()


@pytest.mark.parametrize("name", OURS)
def test_an_sdist_holds_its_project_and_nothing_else(built: Path, name: str) -> None:
    """The core's sdist has src/schedcore only, a backend's its package: no tests, no neighbours."""
    base = f"{name}-{VERSION}"
    with tarfile.open(built / f"{base}.tar.gz") as archive:
        found = {file.removeprefix(f"{base}/") for file in archive.getnames()}
    prefix = "src/" if name == "schedcore" else ""
    beside = {"LICENSE", "PKG-INFO", "README.md", "pyproject.toml", ".gitignore"}
    assert found - beside == {prefix + file for file in sources(name)}


def test_a_build_can_be_repeated_to_the_byte(built: Path, built_elsewhere: Path) -> None:
    """Whoever builds a release's sources gets its very files, wheels and sdists."""
    files = sorted(path.name for path in built.iterdir() if path.suffix in {".gz", ".whl"})
    assert len(files) == 6
    assert [
        name for name in files if (built / name).read_bytes() != (built_elsewhere / name).read_bytes()
    ] == []


def test_ram_alone_runs_jobs_without_redis(environment: Callable[..., Callable[[str], str]]) -> None:
    """With [ram] only, jobs run, and redis is neither importable nor imported."""
    python = environment("schedcore[ram]")
    assert json.loads(python(IMPORTABLE)) == ["schedcore", "sched_ram"]
    assert python(A_JOB_RUNS.format(options="")).split() == []


def test_redis_alone_runs_jobs(environment: Callable[..., Callable[[str], str]], redis_url: str) -> None:
    """With [redis] only, that backend is the one chosen, with its scripts, and RAM is not there."""
    python = environment("schedcore[redis]")
    assert json.loads(python(IMPORTABLE)) == ["schedcore", "sched_redis", "redis"]
    assert python(A_JOB_RUNS.format(options=f"url={redis_url!r}")).split() == ["redis", "sched_redis"]


def test_both_want_a_choice(environment: Callable[..., Callable[[str], str]]) -> None:
    """With both installed none is preferred; the one that is named runs."""
    python = environment("schedcore[ram,redis]")
    assert json.loads(python(IMPORTABLE)) == ["schedcore", "sched_ram", "sched_redis", "redis"]
    assert python(REFUSAL.format(options="")).startswith("SeveralBackendsError")
    assert python(A_JOB_RUNS.format(options="backend='ram'")).split() == []


def test_none_installed_is_told_with_its_remedy(environment: Callable[..., Callable[[str], str]]) -> None:
    """With the core alone, choosing fails with what to install, and importing the core works."""
    python = environment("schedcore")
    assert json.loads(python(IMPORTABLE)) == ["schedcore"]
    kinds, text = python(REFUSAL.format(options="")).split("\n", 1)
    assert kinds.startswith("NoBackendError")
    assert "schedcore[ram]" in text


def test_a_backend_beside_the_source_is_not_an_installed_one(
    environment: Callable[..., Callable[[str], str]],
) -> None:
    """With the core alone and editable, `import sched_ram` is an empty namespace and none is installed."""
    python = environment("--editable", str(ROOT))
    assert python("import sched_ram; print(sched_ram.__file__)").split() == ["None"]
    assert python(REFUSAL.format(options="")).startswith("NoBackendError")


THE_SUITE = """
import pytest
from sched_ram import Memory, RamBackend
from schedcore.testing import BackendContract, World

class RamWorld(World):
    refuses = False
    now = 1_767_225_600_000_000

    def __init__(self):
        self.memory = Memory(self.clock)

    def clock(self):
        self.now += 1
        return self.now

    async def advance(self, by):
        self.now += by

    async def make_backends(self, count):
        backends = [RamBackend("app", memory=self.memory) for _ in range(count)]
        for number, backend in enumerate(backends):
            await backend.open(f"r{number}")
        return backends

class TestRam(BackendContract):
    @pytest.fixture
    def world(self):
        return RamWorld()
"""


def test_the_suite_runs_from_the_wheel(
    environment: Callable[..., Callable[[str], str]], tmp_path: Path
) -> None:
    """With [ram,testing] an author's folder that holds one file runs all of it; a failure is explained."""
    python = environment("schedcore[ram,testing]")
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "test_ram.py").write_text(THE_SUITE)
    inside = f"import os, sys, pytest; os.chdir({str(empty)!r}); sys.exit(pytest.main(['-q', '-W', 'error'"
    said = python(f"{inside}]))")
    passed = re.search(r"(\d+) passed, (\d+) skipped", said)
    assert passed, said
    assert int(passed[1]) > 95, said
    broken = THE_SUITE.replace("memory=self.memory", "")
    (empty / "test_ram.py").write_text(broken)
    said = python(f"{inside}, '-k', 'test_a_committed_step_is_whole']) != 1)")
    assert "AssertionError: another replica sees another row" in said
    assert "Look at: whether commit writes row, triggers and history together" in said


def test_virtual_time_comes_with_the_wheel(environment: Callable[..., Callable[[str], str]]) -> None:
    """With [ram,testing] a day passes for a scheduler, without anything of ours beside it."""
    python = environment("schedcore[ram,testing]")
    said = python(
        "from schedcore import Scheduler; from schedcore.testing import VirtualClock\n"
        "scheduler = Scheduler('shop')\n"
        "scheduler.add_job('report', '30 2 * * *', lambda: None, tz='Europe/Berlin')\n"
        "with VirtualClock('2026-03-29T00:00+01:00') as clock:\n"
        "    app = clock.start(scheduler)\n"
        "    clock.advance(hours=24)\n"
        "    print(*(run.started_at for run in app.history('report')))"
    )
    assert said.strip() == "2026-03-29 01:00:00+00:00"


def test_the_command_line_comes_with_its_extra(environment: Callable[..., Callable[[str], str]]) -> None:
    """With [cli] the command is there and lists the installed backends."""
    python = environment("schedcore[cli,ram]")
    python("import click, rich")
    listed = python(
        "import subprocess, sys, pathlib; command = pathlib.Path(sys.executable).with_name('schedcore');"
        "print(subprocess.run([command, 'backends'], capture_output=True, text=True, check=True).stdout)"
    )
    assert "ram" in listed
