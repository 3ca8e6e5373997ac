"""The guide about this backend says what is true: its files are these, and its mistakes are caught."""

import ast
import io
import re
import tokenize
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sched_sqlite
from sched_sqlite import _backend, _file
from tests.mutants.test_mutants import CAUGHT
from tests.mutants.test_processes_and_restarts import CAUGHT as WITH_PROCESSES
from tests.sqlite.world import SqliteWorld

from schedcore.testing import BackendContract

ROOT = Path(__file__).parents[2]
PACKAGE = Path(sched_sqlite.__file__).parent
GUIDE = (ROOT / "docs/how-to/write-a-backend.md").read_text()
MISTAKES = re.findall(r"^\| .* \| `(test_\w+)` \|$", GUIDE, flags=re.MULTILINE)

Patch = Callable[[pytest.MonkeyPatch], None]


def sql(name: str, old: str, new: str) -> Patch:
    """Change a statement."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        assert old in _file.SQL[name]
        monkeypatch.setitem(_file.SQL, name, _file.SQL[name].replace(old, new))

    return patch


def code(old: str, new: str) -> Patch:
    """Change the backend's code."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        source = (PACKAGE / "_backend.py").read_text()
        assert source.count(old) == 1
        changed: dict[str, Any] = {"__name__": "sched_sqlite._backend"}
        exec(compile(source.replace(old, new), "_backend.py", "exec"), changed)
        for name, value in vars(changed["SqliteBackend"]).items():
            if callable(value) and name != "__init__":
                monkeypatch.setattr(_backend.SqliteBackend, name, value)

    return patch


def all_of(*patches: Patch) -> Patch:
    """Change several things."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        for each in patches:
            each(monkeypatch)

    return patch


WRONG: dict[str, Patch] = {
    "test_a_committed_step_is_whole": code(
        "        for sent in step.send:\n", "        for sent in step.send if step.done else ():\n"
    ),
    "test_of_many_replicas_that_commit_at_once_one_succeeds": code(
        "        elif [(row.job, row.version) for row in rows] != list(step.expects):\n",
        "        elif db.now % 2 and [(row.job, row.version) for row in rows] != list(step.expects):\n",
    ),
    "test_a_step_depends_on_every_row_that_it_expects": code(
        "[(row.job, row.version) for row in rows] != list(step.expects)",
        "(rows[0].job, rows[0].version) != step.expects[0]",
    ),
    "test_the_id_of_a_committed_step_repeated_answers_done_and_changes_nothing": sql(
        "step", "id = :id", "id = :id AND 0"
    ),
    "test_repeating_a_step_that_finished_a_delivery_answers_done": code(
        'if db.run("step", id=step.id).fetchone():',
        'if db.run("step", id=step.id).fetchone() and all(self._owns(db, d) for d in step.done):',
    ),
    "test_early_if_the_stores_now_is_before_not_before": code("db.now < step.not_before", "False"),
    "test_versions_and_tokens_never_come_back_after_a_flush": sql(
        "raise newest", "max(newest + 1, :now)", "newest + 1"
    ),
    "test_not_ours_if_the_token_is_not_the_deliverys": sql("owned", "AND token = :token", ""),
    "test_only_its_owner_renews_a_delivery": sql("owned", "AND replica = :replica", ""),
    "test_a_lapsed_lease_may_be_renewed_until_somebody_has_taken_over": sql(
        "owned", "AND replica", "AND deadline > :now AND replica"
    ),
    "test_only_its_owner_gives_a_delivery_back": sql("give back", "AND replica = :replica", ""),
    "test_nothing_is_taken_over_for_a_lease_after_a_gap": sql("lapsed", "AND :now >= no_take_over_until", ""),
    "test_a_receive_whose_reply_was_lost_lapses": all_of(
        sql("give", ":now + :lease", "1e18 + :lease"), sql("clamp leases", "WHERE", "WHERE 0 AND")
    ),
    "test_take_over_needs_the_token_that_was_seen": code(
        "if found.token in tokens]", "if tokens and found.token]"
    ),
    "test_only_jobs_that_the_caller_names_are_handed_out": code("jobs is None or job in jobs", "True"),
    "test_done_acknowledges_its_deliveries": sql("finish", "key = :key", "key = :key AND 0"),
    "test_a_cancel_request_is_for_who_holds_it_then": sql("give", ", cancel = 0", ""),
    "test_history_keeps_the_newest_lines_and_the_newest_that_are_no_success": sql(
        "drop runs", "status = 'succeeded' OR", "1 OR"
    ),
    "test_a_beat_keeps_a_replica_among_the_living_for_its_ttl": all_of(
        sql("put replica", ":now + :ttl", ":now + 1000000000 * :ttl"),
        sql("clamp replicas", "WHERE", "WHERE 0 AND"),
    ),
}


MADE_ELSEWHERE = {f"test_{test}" for test in [*CAUGHT.values(), *(test for _, test in WITH_PROCESSES)]}


def play(test: str) -> None:
    """Run one test of the contracts."""
    getattr(BackendContract(), test)(world=SqliteWorld())


@pytest.mark.parametrize("test", WRONG)
def test_each_mistake_of_the_guide_is_caught(test: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test that the guide names passes on the backend, and fails once that mistake is made."""
    play(test)
    WRONG[test](monkeypatch)
    with pytest.raises((AssertionError, ValueError)) as failure:
        play(test)
    assert any("Look at:" in note for note in failure.value.__notes__)


def test_the_guide_has_all_mistakes() -> None:
    """None is made here that the guide does not name; those not made here are made in tests/mutants."""
    assert set(WRONG) - set(MISTAKES) == set()
    assert set(MISTAKES) - set(WRONG) - MADE_ELSEWHERE == set()
    assert len(MISTAKES) == len(set(MISTAKES))


def test_the_guide_shows_the_files_as_they_are() -> None:
    """What a reader copies, piece by piece, is the backend that is tested here."""
    files: dict[str, str] = {}
    for block in re.findall(r"^```(?:python|sql)\n(.*?)^```$", GUIDE, flags=re.MULTILINE | re.DOTALL):
        first, _, rest = block.partition("\n")
        name = re.fullmatch(r"(?:#|--) sched_sqlite/([\w.]+)(?: \(continued\))?", first)
        if name:
            files[name[1]] = files.get(name[1], "") + rest
    shown = {path.name for path in PACKAGE.iterdir() if path.suffix in (".py", ".sql")}
    assert files.keys() == shown
    for name, text in files.items():
        assert filled(text) == filled((PACKAGE / name).read_text()), name


def filled(text: str) -> list[str]:
    """List the lines that are not blank: between two pieces there may be fewer of these."""
    return [line for line in text.splitlines() if line]


def test_it_has_at_most_300_lines_of_python() -> None:
    """Without blank lines, comments and docstrings; how many with these, and of SQL, the guide says."""
    python = list(PACKAGE.glob("*.py"))
    assert sum(code_lines(path) for path in python) <= 300
    assert "300 lines of Python (400 with blank lines, comments and\ndocstrings) and 160 of SQL" in GUIDE
    assert 390 <= sum(len(path.read_text().splitlines()) for path in python) <= 400
    assert 150 <= len((PACKAGE / "statements.sql").read_text().splitlines()) <= 160


def code_lines(path: Path) -> int:
    source, documented, found = path.read_text(), set[int](), set[int]()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            if ast.get_docstring(node) is not None:
                documented |= set(range(first.lineno, (first.end_lineno or 0) + 1))
    blank = (
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
    )
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in blank:
            found |= set(range(token.start[0], token.end[0] + 1))
    return len(found - documented)


def test_it_imports_what_is_public_only() -> None:
    """Of the core it knows the contracts, their values, errors and codec."""
    public = {"schedcore.codec", "schedcore.errors", "schedcore.protocols", "schedcore.values"}
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("schedcore"):
                names = {f"{node.module}.{alias.name}" for alias in node.names}
                assert node.module in public or names <= public, path.name
