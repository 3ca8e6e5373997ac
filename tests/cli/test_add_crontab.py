"""`schedcore.crontab.add_crontab`: a crontab's commands as jobs of any scheduler."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from schedcore import Scheduler, Status
from schedcore.crontab import add_crontab
from schedcore.errors import ConfigurationError, CrontabError


@pytest.fixture
def scheduler() -> Scheduler:
    """A scheduler that lets nothing linger."""
    return Scheduler("crontab-test", backend="ram", drain=0)


def test_exit_code_and_output_are_in_the_history(tmp_path: Path, scheduler: Scheduler) -> None:
    """A run's line tells the exit code and the end of the output, of a success as of a failure."""
    (tmp_path / "tab").write_text("@yearly echo fine\n@yearly echo bad; exit 3\n")
    fine, bad = add_crontab(scheduler, tmp_path / "tab")
    with scheduler:
        assert scheduler.blocking.trigger(fine.name, wait=True, timeout=20).outcome == Status.SUCCEEDED
        assert scheduler.blocking.trigger(bad.name, wait=True, timeout=20).outcome == Status.FAILED
        (first,) = scheduler.blocking.history(fine.name)
        (second,) = scheduler.blocking.history(bad.name)
    assert first.detail == "exit 0: fine"
    assert second.detail.strip().endswith("exit 3: bad")


@pytest.mark.parametrize(("options", "second"), [({}, "sent"), ({"overlap": "skip"}, "skipped")])
def test_options_are_for_all_lines(
    tmp_path: Path, scheduler: Scheduler, options: dict[str, str], second: str
) -> None:
    """As under cron a running command is started again, unless `overlap=` says otherwise."""
    (tmp_path / "tab").write_text("@yearly sleep 300\n")
    (line,) = add_crontab(scheduler, tmp_path / "tab", **options)  # type: ignore[arg-type]
    with scheduler:
        assert scheduler.blocking.trigger(line.name).outcome == "sent"
        assert scheduler.blocking.trigger(line.name).outcome == second


def test_the_zone_is_for_lines_without_one(tmp_path: Path, scheduler: Scheduler) -> None:
    """`tz=` holds above CRON_TZ, and CRON_TZ below it."""
    (tmp_path / "tab").write_text("0 9 * * * one\nCRON_TZ=Asia/Tokyo\n0 9 * * * two\n")
    lines = add_crontab(scheduler, tmp_path / "tab", tz="Europe/Berlin")
    assert [line.tz for line in lines] == ["Europe/Berlin", "Asia/Tokyo"]
    assert [job.spec.tz for job in scheduler._jobs.values()] == ["Europe/Berlin", "Asia/Tokyo"]


def test_all_or_none(tmp_path: Path, scheduler: Scheduler) -> None:
    """If a line cannot be understood none becomes a job, and the error names every such line."""
    (tmp_path / "tab").write_text("@daily fine\n61 * * * * bad\n@reboot worse\n")
    with pytest.raises(CrontabError, match="tab:2: ") as caught:
        add_crontab(scheduler, tmp_path / "tab")
    assert [note.partition(": ")[0] for note in caught.value.__notes__] == [f"{tmp_path}/tab:3"]
    assert scheduler._jobs == {}


def test_reboot_is_when_the_caller_says(tmp_path: Path, scheduler: Scheduler) -> None:
    """With `at_start=` a line with @reboot is a job that is due then, once."""
    (tmp_path / "tab").write_text("@reboot echo up\n")
    soon = datetime.now(UTC) + timedelta(hours=1)
    (line,) = add_crontab(scheduler, tmp_path / "tab", at_start=soon)
    assert datetime.fromisoformat(line.schedule) == soon


def test_the_same_crontab_twice_is_refused(tmp_path: Path, scheduler: Scheduler) -> None:
    """Its jobs exist already, and the error tells both places by file and line."""
    (tmp_path / "tab").write_text("\n@daily fine\n")
    add_crontab(scheduler, tmp_path / "tab")
    with pytest.raises(ConfigurationError, match=r"tab:2.*tab:2"):
        add_crontab(scheduler, tmp_path / "tab")
