import os
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from stevedore.extension import ExtensionManager

PROJECT = Path(__file__).parents[2] / "examples/sched_sqlite"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The example as if it were installed, for this process and for those that it starts."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    ((group, points),) = project["entry-points"].items()
    info = tmp_path / "site/sched_sqlite-1.0.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 1.0.0\n")
    lines = [f"{name} = {value}\n" for name, value in points.items()]
    (info / "entry_points.txt").write_text(f"[{group}]\n{''.join(lines)}")
    paths = [str(info.parent), str(PROJECT)]
    before = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([*paths, *([before] if before else [])]))
    monkeypatch.setattr(ExtensionManager, "ENTRY_POINT_CACHE", {})  # what earlier tests of this process found
    for path in reversed(paths):
        monkeypatch.syspath_prepend(path)
    yield tmp_path / "store.sqlite"
    assert "sched_sqlite" in sys.modules
