"""How a scheduler finds its backend: by name, by variable, as the only one, or given; and how it fails."""

import inspect
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

import schedcore
from sched_ram import Memory, RamBackend
from schedcore import ConfigurationError, Scheduler
from schedcore._plugins import OWN_OPTIONS, choose, load
from schedcore.errors import (
    BackendError,
    BackendImportError,
    NoBackendError,
    SeveralBackendsError,
    UnknownBackendError,
)

SOURCE = Path(schedcore.__file__).parents[1]
SITE = Path(attrs.__file__).parents[1]

BACKEND = """
from sched_ram import RamBackend

class Own(RamBackend):
    name = "own"

def refuses(app, **options):
    raise TypeError("url is missing")
"""


@attrs.frozen
class Site:
    """A directory of installed distributions: all that schedcore needs, and no backend."""

    path: Path

    def install(self, name: str, value: str) -> None:
        """Install a distribution that has one entry point."""
        info = self.path / f"dist_{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: dist-{name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[schedcore.backends]\n{name} = {value}\n")

    def run(self, code: str, **variables: str) -> str:
        """Run code in an interpreter that sees this directory alone; what it printed."""
        ram = SOURCE / "sched_ram"
        paths = os.pathsep.join(map(str, (self.path, SOURCE, ram)))
        env = {"PYTHONPATH": paths, "XDG_CACHE_HOME": str(self.path), "PATH": os.environ["PATH"], **variables}
        command = [sys.executable, "-S", "-W", "error", "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stderr == "", "loading a backend must not complain on its own"
        return done.stdout.strip()

    def error(self, arguments: str = "", **variables: str) -> tuple[str, str]:
        """Make a scheduler; type and text of the error that this raises."""
        code = (
            f"import schedcore\ntry: schedcore.Scheduler('app'{arguments})\n"
            "except Exception as e: print(type(e).__name__, e)"
        )
        kind, _, text = self.run(code, **variables).partition(" ")
        return kind, text


@pytest.fixture
def site(tmp_path: Path) -> Site:
    for entry in SITE.iterdir():
        if entry.suffix != ".pth" and not entry.name.startswith(("sched", "__", "_editable")):
            (tmp_path / entry.name).symlink_to(entry)
    (tmp_path / "own_backend.py").write_text(BACKEND)
    return Site(tmp_path)


def test_none_installed(site: Site) -> None:
    """Without a backend the error names the extras; nothing falls back to RAM."""
    kind, text = site.error()
    assert kind == "NoBackendError"
    assert "schedcore[ram]" in text
    assert "schedcore[redis]" in text


def test_the_only_one_installed_is_taken(site: Site) -> None:
    """Who installed one backend need not name it, whoever wrote it."""
    site.install("own", "own_backend:Own")
    assert "on own" in site.run("import schedcore; print(schedcore.Scheduler('app'))")


def test_several_installed_and_none_chosen(site: Site) -> None:
    """A second backend is never a silent change of the first: the error lists both and the two remedies."""
    site.install("own", "own_backend:Own")
    site.install("ram", "sched_ram:RamBackend")
    kind, text = site.error()
    assert kind == "SeveralBackendsError"
    assert "own, ram" in text
    assert "backend=" in text
    assert "SCHEDCORE_BACKEND" in text


def test_the_variable_chooses_and_the_argument_wins(site: Site) -> None:
    """`backend=` before `SCHEDCORE_BACKEND`, and an empty variable is none."""
    site.install("own", "own_backend:Own")
    site.install("ram", "sched_ram:RamBackend")
    code = "import schedcore; print(schedcore.Scheduler('app'{}))"
    assert "on own" in site.run(code.format(""), SCHEDCORE_BACKEND="own")
    assert "on ram" in site.run(code.format(", backend='ram'"), SCHEDCORE_BACKEND="own")
    assert site.error(SCHEDCORE_BACKEND="")[0] == "SeveralBackendsError"


@pytest.mark.parametrize("how", [", backend='rdis'", ""])
def test_an_unknown_name(site: Site, how: str) -> None:
    """Whether from code or the environment, a name that is not installed is refused, with those that are."""
    site.install("ram", "sched_ram:RamBackend")
    kind, text = site.error(how, SCHEDCORE_BACKEND="rdis")
    assert kind == "UnknownBackendError"
    assert "'rdis' is not installed (installed: ram)" in text
    assert "schedcore[rdis]" in text


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("no_such_module:Backend", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("own_backend:Missing", "AttributeError"),
        ("broken_backend:Backend", "RuntimeError: half installed"),
    ],
)
def test_one_that_does_not_import(site: Site, value: str, reason: str) -> None:
    """An installed backend that fails to import says why, and what to reinstall."""
    (site.path / "broken_backend.py").write_text("raise RuntimeError('half installed')")
    site.install("bad", value)
    kind, text = site.error()
    assert kind == "BackendImportError"
    assert "'bad' is installed but cannot be imported" in text
    assert reason in text
    assert "reinstall schedcore[bad]" in text


def test_a_broken_one_does_not_hinder_another(site: Site) -> None:
    """Only the backend that is meant is imported."""
    site.install("bad", "no_such_module:Backend")
    site.install("own", "own_backend:Own")
    code = "import schedcore; print(schedcore.Scheduler('app', backend='own'))"
    assert "on own" in site.run(code)


def test_listing_imports_none(site: Site) -> None:
    """What is installed is told without importing any of it."""
    site.install("bad", "no_such_module:Backend")
    site.install("own", "own_backend:Own")
    code = (
        "import sys; from schedcore._plugins import installed\n"
        "print(installed(), 'own_backend' in sys.modules)"
    )
    assert site.run(code) == "['bad', 'own'] False"


def test_what_a_factory_refuses_names_the_backend(site: Site) -> None:
    """A factory that does not take what it was given is a matter of configuration."""
    site.install("own", "own_backend:refuses")
    kind, text = site.error(", url='x'")
    assert kind == "ConfigurationError"
    assert "'own' cannot be made: url is missing" in text


@pytest.mark.parametrize(
    ("error", "also"),
    [
        (NoBackendError(), BackendError),
        (SeveralBackendsError(["b", "a"]), BackendError),
        (UnknownBackendError("x", ["a"]), LookupError),
        (BackendImportError("x", ValueError("y")), ImportError),
    ],
)
def test_the_four_are_backend_errors(error: BackendError, also: type[Exception]) -> None:
    """One `except BackendError` catches each of them, and so does the builtin that a caller expects."""
    assert isinstance(error, BackendError)
    assert isinstance(error, also)


def test_an_instance_is_taken_as_it_is() -> None:
    """A backend that the application made is used, not copied."""
    backend = RamBackend("app", memory=Memory())
    assert load("app", backend, {}) is backend


def test_an_instance_wins_over_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is passed in is meant."""
    monkeypatch.setenv("SCHEDCORE_BACKEND", "nonsense")
    assert "on ram" in repr(Scheduler("app", backend=RamBackend("app")))


def test_an_instance_takes_no_options() -> None:
    """Options belong to the factory; along with an instance they are refused by name."""
    with pytest.raises(ConfigurationError, match=r"url.*along with a backend instance"):
        Scheduler("app", backend=RamBackend("app"), url="redis://")


def test_options_reach_the_factory() -> None:
    """Keywords that are not the scheduler's are the backend's."""
    memory = Memory()
    backend = load("app", "ram", {"memory": memory})
    assert isinstance(backend, RamBackend)
    assert backend.memory is memory


def test_unknown_options_are_refused_by_name() -> None:
    """A misspelt option is never ignored."""
    with pytest.raises(ConfigurationError, match="ram backend has no option memroy"):
        Scheduler("app", backend="ram", memroy=None)


@pytest.mark.parametrize("backend", ["ram", "redis", RamBackend("app")], ids=str)
def test_a_misspelt_option_of_the_scheduler_is_hinted_at(backend: str | RamBackend) -> None:
    """It looks like one of the backend's, whose own options it is nowhere near."""
    with pytest.raises(ConfigurationError, match=r"drian.*\(did you mean 'drain'\?\)$"):
        Scheduler("app", backend=backend, drian=3)


def test_a_misspelt_option_of_the_backend_is_hinted_at() -> None:
    """The factory's signature tells what there is; options of jobs are not meant here."""
    with pytest.raises(ConfigurationError, match=r"\(did you mean 'prefix'\?\)$"):
        Scheduler("app", backend="redis", perfix="x")
    with pytest.raises(ConfigurationError, match=r"no option retry.*[^?)]$"):
        Scheduler("app", backend="redis", retry=3)  # not 'retries', which jobs have


def test_hints_know_all_options_of_the_scheduler() -> None:
    """An option that is added to it is one that can be misspelt."""
    parameters = inspect.signature(Scheduler).parameters.values()
    assert tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY) == OWN_OPTIONS


def test_choosing_among_what_is_installed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """With both backends of this repository installed, one has to be chosen."""
    monkeypatch.delenv("SCHEDCORE_BACKEND", raising=False)
    with pytest.raises(SeveralBackendsError, match="ram, redis"):
        choose(None)
    assert choose("ram") == "ram"


@pytest.mark.parametrize(
    "make", [lambda: Scheduler("a b", backend="ram"), lambda: Scheduler("", backend="ram")]
)
def test_an_apps_name_is_checked(make: Callable[[], Scheduler]) -> None:
    """Letters, digits and a few signs; others are refused with the reason."""
    with pytest.raises(ConfigurationError, match=r"name of an app: use 1 to 200 ASCII letters"):
        make()
