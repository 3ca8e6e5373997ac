"""The layout of the repository: what has to stay in step, and what may not creep in."""

import ast
import filecmp
import importlib
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
CORE = ROOT / "src/schedcore"
BACKENDS = ("ram", "redis")
PACKAGES = [CORE, *(ROOT / f"src/sched_{name}/sched_{name}" for name in BACKENDS)]


def project(directory: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / directory / "pyproject.toml").read_text())["project"]


def test_versions_are_in_step() -> None:
    """The three distributions have one version, and pin each other to exactly that one."""
    core = project(".")
    version = core["version"]
    for name in BACKENDS:
        backend = project(f"src/sched_{name}")
        assert backend["version"] == version
        assert core["optional-dependencies"][name] == [f"sched-{name}=={version}"]
        assert [d for d in backend["dependencies"] if d.startswith("schedcore")] == [f"schedcore=={version}"]


def test_extra_entry_point_and_distribution_of_a_backend_share_its_name() -> None:
    """Backend NAME is the extra NAME, the distribution sched-NAME and one entry point NAME."""
    for name in BACKENDS:
        backend = project(f"src/sched_{name}")
        assert backend["name"] == f"sched-{name}"
        (group,) = backend["entry-points"].items()
        assert group == ("schedcore.backends", {name: f"sched_{name}:{name.title()}Backend"})


def test_the_core_needs_no_backend() -> None:
    """Without extras the core depends on nothing of ours, and on no client of a store."""
    needed = {re.split(r"[^\w-]", dependency)[0] for dependency in project(".")["dependencies"]}
    assert needed == {"attrs", "croniter", "stevedore", "tzdata"}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_each_package_is_typed(package: Path) -> None:
    """Each import package carries py.typed, without which its types are ignored by its users' checkers."""
    assert (package / "py.typed").is_file()


def test_each_distribution_brings_the_licence() -> None:
    """The copies of LICENSE beside the backends are those of the root."""
    for name in BACKENDS:
        assert filecmp.cmp(ROOT / "LICENSE", ROOT / f"src/sched_{name}/LICENSE", shallow=False)


def test_the_layout_is_the_agreed_one() -> None:
    """One repository, three distributions, nothing else importable under src."""
    prose = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE"]
    expected = [*prose, "Makefile", ".ci/run", "examples/demo.py"]
    assert [name for name in expected if not (ROOT / name).exists()] == []
    found = {path.name for path in (ROOT / "src").iterdir() if path.name != "__pycache__"}
    assert found == {"schedcore", "sched_ram", "sched_redis"}
    # An __init__.py beside a backend's pyproject would turn the project directory into the package.
    assert list(ROOT.glob("src/sched_*/*.py")) == []


def test_all_is_sorted_and_complete() -> None:
    """`schedcore.__all__` holds every public name that `__init__.py` binds, sorted, and each one exists."""
    core = importlib.import_module("schedcore")
    bound = set()
    for node in ast.walk(ast.parse((CORE / "__init__.py").read_text())):
        if isinstance(node, ast.ImportFrom) and node.module != "__future__":
            bound |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            bound.add(node.name)
    assert list(core.__all__) == sorted(core.__all__)
    assert {name for name in bound if not name.startswith("_")} - set(core.__all__) == set()
    assert [name for name in core.__all__ if not hasattr(core, name)] == []


@pytest.mark.parametrize(("kind", "most"), [("py", 299), ("lua", 40)])
def test_modules_and_scripts_stay_short(kind: str, most: int) -> None:
    """No module has 300 lines, and no script more than 40: before that it is two."""
    lengths = {path: len(path.read_text().splitlines()) for path in (ROOT / "src").rglob(f"*.{kind}")}
    assert lengths
    assert {str(path.relative_to(ROOT)): n for path, n in lengths.items() if n > most} == {}


def test_each_test_states_its_behaviour() -> None:
    """Every test function has a docstring, which says what holds."""
    silent = [
        f"{path.name}: {node.name}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if node.name.startswith("test_") and not ast.get_docstring(node)
    ]
    assert silent == []


def test_importing_the_core_is_cheap() -> None:
    """`import schedcore` loads neither what it needs only later nor anything of a backend."""
    ours = {"sched_ram", "sched_redis", "schedcore._engine"}
    late = ours | {"asyncio", "click", "croniter", "difflib", "json", "logging", "redis", "rich", "stevedore"}
    late |= {"opentelemetry", "prometheus_client", "schedcore._hooks", "schedcore.logs"}
    code = f"import sys, schedcore; print(*sorted({late!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


INSTALL = re.compile(
    r"\b(?:pip3?|pipx|uv|poetry|pdm|uvx|pipenv)\b[^\n`]*?(?:\b(?:install|add|run|download)\b|(?<=uvx))(.*)"
)
OURS = re.compile(r"(?:schedcore|sched[-_.](?:ram|redis))(?:\[[^\]]*\])?(?:[=<>~!;].*)?", re.IGNORECASE)
TEXTS = {".cfg", ".ini", ".md", ".py", ".sh", ".toml", ".txt", ".yaml", ".yml", ""}


def from_an_index(line: str) -> bool:
    """Tell whether a line has one of our three names resolved by an index."""
    command = INSTALL.search(line)
    if not command or "--no-index" in line:
        return False
    words = re.split(r"[\s`'\",()|;&]+", command[1])
    return any(OURS.fullmatch(word) for word in words)


def texts() -> Iterator[Path]:
    for directory, folders, files in os.walk(ROOT):
        folders[:] = [f for f in folders if f == ".ci" or not f.startswith((".", "__", "dist"))]
        yield from (Path(directory, name) for name in files if Path(name).suffix in TEXTS)


def test_no_line_takes_our_names_from_an_index() -> None:
    """On the public index "schedcore" is another project: nobody is told to install ours from there."""
    told = [
        f"{path.relative_to(ROOT)}:{number}: {line}"
        for path in texts()
        if path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if from_an_index(line)
    ]
    assert told == []


@pytest.mark.parametrize(
    ("line", "caught"),
    [
        ("pip install schedcore", True),
        ("$ python -m pip install 'schedcore[ram]==1.0.0'", True),
        ("run `uv add sched-redis` first", True),
        ("uv pip install --upgrade sched_ram", True),
        ("uvx schedcore jobs", True),
        ("pip install '.[ram]' ./src/sched_ram", False),
        ("pip install --no-index --find-links dist 'schedcore[ram]'", False),
        ("pip install ./dist/schedcore-1.0.0-py3-none-any.whl", False),
        ("install schedcore[redis] or choose an installed one", False),
    ],
)
def test_the_search_for_such_lines_finds_them(line: str, caught: bool) -> None:
    """The check above catches what it should, and lets paths pass."""
    assert from_an_index(line) is caught
