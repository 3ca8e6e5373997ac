"""The documents, and what running one of their code blocks means.

`python` blocks run one after the other in the document's own namespace. One whose first line is a comment
such as `# app.py` is also saved under that name; so is a `crontab` block. One whose first line names a file
in a folder is a file of a project: it is saved without that line, and not run; `(continued)` there says that
it goes on where the block before it ended. So are `toml` and `sql` blocks. One that begins with `# before`
is of another library, which is not here: it is compiled, and not run. A `text` block is what the python
block before it printed. In a `console` block the commands of ours are run, and what follows each is what it
says; a line `^C` there is a press of Ctrl-C once all above it has appeared.
"""

import contextlib
import io
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Queue
from time import monotonic

from sybil import Document, Example
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser, SkipParser

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("src/*/README.md"),
        *ROOT.glob("examples/*/README.md"),
        *ROOT.glob("docs/**/*.md"),
    ]
)
OURS = ("schedcore", "python")
PATIENCE_S = 20


def says(want: str, got: str) -> bool:
    """Tell whether an output is the one wanted, whatever its blanks; `...` stands for anything."""
    pieces = [re.escape(" ".join(piece.split())) for piece in want.split("...")]
    return re.fullmatch(r".*".join(pieces), " ".join(got.split())) is not None


class RunPython(PythonEvaluator):
    """Run a block, and keep what it printed."""

    def __call__(self, example: Example) -> None:
        if save_for_project(example):
            return
        if example.parsed.startswith("# before"):
            compile(example.parsed, example.path, "exec")
            return
        save(example)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            super().__call__(example)
        example.document.printed = printed.getvalue()


def save(example: Example) -> None:
    """Save a block under the name in its first line, if there is one."""
    name = re.match(r"# (\w+\.(?:py|crontab))\n", example.parsed)
    if name:
        Path(name[1]).write_text(example.parsed)


def save_for_project(example: Example) -> bool:
    """Save a block as a file of a project, or as more of it; tell whether it is one."""
    first, _, rest = example.parsed.partition("\n")
    name = re.fullmatch(r"(?:#|--) ((?:\w+/)*[\w.]+)( \(continued\))?", first)
    if name is None or ("/" not in name[1] and name[1] != "pyproject.toml"):
        return False
    file = Path(name[1])
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a" if name[2] else "w") as stream:
        stream.write(f"\n{rest}" if name[2] else rest)
    return True


def save_quietly(example: Example) -> None:
    """Save a block that is in no language of ours."""
    save_for_project(example)


def compare(example: Example) -> str | None:
    """Compare a block with what was printed last."""
    got = getattr(example.document, "printed", "")
    return None if says(example.parsed, got) else f"printed was:\n{got}"


def run_console(example: Example) -> str | None:
    """Run the commands of a console block."""
    for command, want in commands(example.parsed):
        words = shlex.split(command, comments=True)
        settings = dict(word.split("=", 1) for word in words if re.match(r"[A-Z_]+=", word))
        words = words[len(settings) :]
        if words[0] not in OURS or (words[1:3] == ["-m", "pip"] and "--target" not in words):
            continue
        got, code = run(words, settings, want)
        if not says(want.replace("^C\n", ""), got) if want else code:
            return f"$ {command}\nended with {code} and said:\n{got}"
    return None


def commands(block: str) -> Iterator[tuple[str, str]]:
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, want = part.partition("\n")
        yield command, want


def run(words: list[str], settings: dict[str, str], want: str) -> tuple[str, int]:
    """Run a command to its end; with `^C` in what is wanted, interrupt it there."""
    directory = str(Path(sys.executable).parent)
    path = directory + os.pathsep + os.environ["PATH"]
    environment = {
        **os.environ,
        "PATH": path,
        "PYTHONUNBUFFERED": "1",
        "NO_COLOR": "1",
        "COLUMNS": "120",
        **settings,
    }
    if "PYTHONPATH" in settings and "PYTHONPATH" in os.environ:
        environment["PYTHONPATH"] += os.pathsep + os.environ["PYTHONPATH"]
    process = subprocess.Popen(
        [f"{directory}/{words[0]}", *words[1:]],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    before, interrupted, _ = want.partition("^C\n")
    got = ""
    try:
        for line in lines(process):
            got += line
            if interrupted and says(before.rstrip() + "...", got):
                process.send_signal(signal.SIGINT)
                interrupted = ""
        return got, process.wait(PATIENCE_S)
    finally:
        process.kill()
        process.wait()


def lines(process: subprocess.Popen[str]) -> Iterator[str]:
    """Read a process's output line by line, and give up after a while."""
    assert process.stdout is not None
    stream, found = process.stdout, Queue[str]()

    def read() -> None:
        for line in stream:
            found.put(line)
        found.put("")

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    end = monotonic() + PATIENCE_S
    with contextlib.suppress(Empty):
        while line := found.get(timeout=max(0.0, end - monotonic())):
            yield line
    process.kill()
    reader.join()
    stream.close()


PARSERS = [
    CodeBlockParser(language="python", evaluator=RunPython()),
    CodeBlockParser(language="text", evaluator=compare),
    CodeBlockParser(language="crontab", evaluator=save),
    CodeBlockParser(language="toml", evaluator=save_quietly),
    CodeBlockParser(language="sql", evaluator=save_quietly),
    CodeBlockParser(language="console", evaluator=run_console),
    SkipParser(),
]


def parse(path: Path) -> Document:
    return Document.parse(str(path), *PARSERS)
