"""The README makes a newcomer stay: what, why and how are seen without scrolling far, and are true."""

import re

from tests.docs.blocks import ROOT

README = (ROOT / "README.md").read_text()
PICTURE = (ROOT / "docs/pictures/demo-cluster.svg").read_text()


def test_the_first_screen_says_it_all() -> None:
    """Within 40 lines: what it is in a sentence, why, fifteen lines of code, and the two commands."""
    lines = README.splitlines()
    assert lines[0] == "# schedcore"
    assert re.fullmatch(r"Cron jobs .*\.", lines[2])
    screen = "\n".join(lines[:40])
    (code,) = re.findall(r"```python\n(.*?)```", screen, re.DOTALL)
    assert len([line for line in code.splitlines() if line]) <= 15
    assert re.findall(r"^\$ make (\w+)", screen, re.MULTILINE) == ["demo", "test"]


def test_every_target_that_documents_name_is_there() -> None:
    """`make TARGET`, wherever it is written, is one that the Makefile has."""
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        (path.name, target)
        for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
        for target in re.findall(r"(?:`|\$ )make ([a-z-]+)", path.read_text())
    }
    assert {target for _, target in named} >= {"demo", "test", "demo-cluster", "docs"}
    assert {(page, target) for page, target in named if target not in targets} == set()


def test_the_picture_is_of_a_run_that_kept_the_promise() -> None:
    """What is drawn is a take-over within 14 s, and books that balance."""
    said = re.sub(r"<[^>]+>", "", PICTURE).replace("&#160;", " ")
    (after,) = re.findall(r"took it over after ([\d.]+) s", said)
    assert float(after) < 14
    assert re.search(r"All \d+ scheduled times of 12 jobs are accounted for", said)
    assert "killed with -9" in said


def test_pictures_need_nothing_from_elsewhere() -> None:
    """No picture loads a font or a script, so that the site and the README work offline."""
    for path in (ROOT / "docs/pictures").glob("*.svg"):
        found = set(re.findall(r"https?://[^\s\"')<]+", path.read_text()))
        assert found <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}, path.name
