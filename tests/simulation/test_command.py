"""`python -m schedcore.testing`, which `make simulate` runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from schedcore.testing import __main__ as command
from schedcore.testing._witness import Witness


def test_it_plays_seeds_and_says_how_it_went(capsys: pytest.CaptureFixture[str]) -> None:
    """Progress goes to the error stream, the sum to the output, and the code is 0."""
    assert command.main(["--seeds", "3", "--from", "5", "--minutes", "0.5"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("3 seeds, ")
    assert said.out.endswith("every invariant holds\n")
    assert "3/3 seeds" in said.err


def test_a_replay_tells_the_story(capsys: pytest.CaptureFixture[str]) -> None:
    """With only some of its events, if they are named."""
    assert command.main(["--replay", "7", "--only", "0,2", "--minutes", "1"]) == 0
    said = capsys.readouterr().out
    assert said.count("\nAt ") == 3
    assert "Every invariant holds" in said


def test_a_failure_is_told_with_the_command_that_plays_it_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seed, invariant, short story and command; the code is 1."""
    check = Witness._check_sending

    def wrong(self: Witness, step: object, store_at: int) -> None:
        check(self, step, store_at - 3600 * 1_000_000)

    monkeypatch.setattr(Witness, "_check_sending", wrong)
    assert command.main(["--seeds", "2", "--minutes", "0.5"]) == 1
    said = capsys.readouterr().out
    assert said.startswith("seed 0 breaks the invariant 'early'")
    assert said.endswith(
        "Play it again: python -m schedcore.testing --replay 0 --only= --minutes 0.5 --replicas 3\n"
    )


APP = """
from schedcore import Scheduler
scheduler = Scheduler("shop", backend="ram")
@scheduler.job("*/20 * * * * *")
def bill() -> None: ...
"""


def test_it_plays_the_jobs_of_an_application(tmp_path: Path) -> None:
    """Those of MODULE:ATTR, from the folder where it is asked."""
    (tmp_path / "shop.py").write_text(APP)
    words = [sys.executable, "-m", "schedcore.testing", "--app", "shop:scheduler", "--seeds", "3"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "every invariant holds" in done.stdout
    wrong = subprocess.run(
        [*words[:4], "nowhere:x"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 2
    assert "there is no module 'nowhere'" in wrong.stderr
