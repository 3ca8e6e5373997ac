"""Every link of the documentation leads somewhere."""

import re
from functools import cache
from pathlib import Path

import pytest
from tests.docs.blocks import DOCUMENTS, ROOT

LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
PATH = re.compile(r"`((?:src|docs|tests|examples|benchmarks)/[\w./-]+\.(?:py|md|toml|lua))`")


@cache
def prose(path: Path) -> str:
    """Return a document without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)


@cache
def anchors(path: Path) -> frozenset[str]:
    """Return what can follow `#` in a link to a document: its headings, as GitHub spells them."""
    headings = re.findall(r"^#+ +(.*)$", prose(path), flags=re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_resolve(path: Path) -> None:
    """Every link to a file of the repository names one that exists, and a heading that is in it."""
    broken = []
    for link in LINK.findall(prose(path)):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        file = (path.parent / target).resolve() if target else path
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_named_in_prose_exist(path: Path) -> None:
    """Where a document names a file of the repository by its path, there is that file."""
    assert [name for name in PATH.findall(path.read_text()) if not (ROOT / name).exists()] == []


def test_every_page_is_reached_from_the_readme() -> None:
    """Following links from README.md one comes to every page of docs/."""
    todo, seen = [ROOT / "README.md"], set()
    while todo:
        path = todo.pop()
        if path in seen or path.suffix != ".md" or not path.exists():
            continue
        seen.add(path)
        todo += [(path.parent / link.partition("#")[0]).resolve() for link in LINK.findall(prose(path))]
    assert set(ROOT.glob("docs/**/*.md")) - seen == set()
