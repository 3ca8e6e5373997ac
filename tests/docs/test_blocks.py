"""Every code block of the documentation does what the page says."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import SkipTest

import pytest
from tests.docs.blocks import DOCUMENTS, ROOT, commands, parse, run, says

from schedcore import Scheduler


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@contextlib.contextmanager
def server_for(path: Path) -> Iterator[str]:
    """Have an empty Redis for a page that needs one: where SCHEDCORE_REDIS_URL then leads."""
    if "redis" not in path.name and path.name not in ("command-line.md", "operate-an-app.md"):
        yield ""
        return
    from tests.redis.servers import RedisServer

    with RedisServer() as server:
        yield server.url


@contextlib.contextmanager
def stopping(namespace: dict[str, object]) -> Iterator[None]:
    """Stop a page's schedulers, as the end of its process would: one that was only asked is connected too."""
    try:
        yield
    finally:
        for value in namespace.values():
            if isinstance(value, Scheduler):
                value.stop()


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_code_blocks_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each code block of a document runs, one after the other, and prints what the document says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "app", None)  # so that what a page imports is forgotten afterwards
    del sys.modules["app"]
    for variable in ("SCHEDCORE_BACKEND", "SCHEDCORE_APP"):
        monkeypatch.delenv(variable, raising=False)
    with server_for(path) as url:
        monkeypatch.setenv("SCHEDCORE_REDIS_URL", url)
        document = parse(path)
        with stopping(document.namespace):
            for example in document.examples():
                with contextlib.suppress(SkipTest):
                    example.evaluate()


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_fences_are_closed_and_named(path: Path) -> None:
    """Every fence is closed, and its language is one that is tested, or none at all for drawings."""
    fences = [line.strip() for line in path.read_text().splitlines() if line.lstrip().startswith("```")]
    assert len(fences) % 2 == 0
    languages = ("python", "text", "console", "crontab", "sh", "sql", "toml", "dockerfile", "yaml")
    known = {"```", *(f"```{language}" for language in languages)}
    assert {fence for fence in fences if fence not in known} == set()
    assert all(fence == "```" for fence in fences[1::2])


def test_a_wrong_block_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check fails where a page shows another output than there is, of Python or of a command."""
    monkeypatch.chdir(tmp_path)
    printing = "```python\nprint(6 * 7)\n```\n\n```text\n{}\n```\n"
    command = "```console\n$ python -c 'print(6 * 7)'\n{}\n```\n"
    for page in (printing, command):
        for shown, right in (("42", True), ("43", False)):
            document = tmp_path / "page.md"
            document.write_text(page.format(shown))
            if right:
                [example.evaluate() for example in parse(document).examples()]
            else:
                with pytest.raises(AssertionError, match="42"):
                    [example.evaluate() for example in parse(document).examples()]


def test_a_command_is_interrupted_where_the_page_says(tmp_path: Path) -> None:
    """`^C` in a console block interrupts the command there, and what it says afterwards counts too."""
    script = tmp_path / "endless.py"
    script.write_text(
        "import signal, time\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "try:\n    print('begun')\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    print('over')\n"
    )
    ((command, want),) = commands(f"$ python {script}\nbegun\n^C\nover\n")
    got, code = run(command.split(), {}, want)
    assert says("begun\nover", got)
    assert code == 0
