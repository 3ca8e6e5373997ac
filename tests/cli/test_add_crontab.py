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


def logged_by(
    tmp_path: Path, scheduler: Scheduler, caplog: pytest.LogCaptureFixture, line: str
) -> tuple[str, str, str]:
    """Run the second line of a crontab; what the log and the history tell of it."""
    (tmp_path / "tab").write_text(f"# a comment\n{line}\n")
    (job,) = add_crontab(scheduler, tmp_path / "tab", timeout=2)
    caplog.set_level("INFO")
    with scheduler:
        scheduler.blocking.trigger(job.name, wait=True, timeout=20)
        (run,) = scheduler.blocking.history(job.name)
    (record,) = [record for record in caplog.records if record.name == "schedcore.job"]
    told = record.getMessage().removeprefix(f"job {job.name}, {tmp_path}/tab:2 ")
    return record.levelname, told, run.detail


@pytest.mark.parametrize(
    ("line", "level", "told"),
    [
        ("@yearly echo fine", "INFO", "(echo fine): exit 0: fine"),
        ("@yearly true", "INFO", "(true): exit 0"),
        ("@yearly printf 'a: b\\nc\\nd: e\\n'", "INFO", "(printf 'a: b\\nc\\nd: e\\n'): exit 0: ... d: e"),
        ("@yearly echo a; echo b; exit 3", "WARNING", "(echo a; echo b; exit 3): exit 3: ... b"),
        ("@yearly echo a; sleep 99", "WARNING", "(echo a; sleep 99): killed: a"),
        ("@yearly printf 'x\\033[1my'", "INFO", "(printf 'x\\033[1my'): exit 0: x?[1my"),
    ],
)
def test_the_log_tells_place_command_and_last_line(
    tmp_path: Path,
    scheduler: Scheduler,
    caplog: pytest.LogCaptureFixture,
    line: str,
    level: str,
    told: str,
) -> None:
    """However a command ends, one line names job, file and line, the command and the last line it printed."""
    assert logged_by(tmp_path, scheduler, caplog, line)[:2] == (level, told)


def test_the_log_is_bounded_and_the_history_has_the_rest(
    tmp_path: Path, scheduler: Scheduler, caplog: pytest.LogCaptureFixture
) -> None:
    """A long command and a long last line are shortened in the log; the history keeps what was printed."""
    echoed = "y" * 1000
    _, told, detail = logged_by(tmp_path, scheduler, caplog, f"@yearly echo first; echo {echoed}; exit 3")
    assert told == f"(echo first; echo {'y' * 40}...): exit 3: ... {'y' * 185}..."
    assert detail.endswith(f"exit 3: first\n{echoed}")


def test_a_home_that_is_not_there_is_told_with_the_place(
    tmp_path: Path, scheduler: Scheduler, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever reads that HOME is no directory reads of which line."""
    (tmp_path / "tab").write_text("HOME=/no/home\n@yearly true\n")
    (job,) = add_crontab(scheduler, tmp_path / "tab")
    with scheduler:
        scheduler.blocking.trigger(job.name, wait=True, timeout=20)
    assert f"job {job.name}, {tmp_path}/tab:2 (true): HOME=/no/home is no directory" in caplog.text


@pytest.mark.parametrize(("options", "second"), [({}, "sent"), ({"overlap": "skip"}, "skipped")])
def test_options_are_for_all_lines(
    tmp_path: Path, scheduler: Scheduler, options: dict[str, str], second: str
) -> None:
    """As under cron a running command is started again, unless `overlap=` says otherwise."""
    (tmp_path / "tab").write_text("@yearly sleep 300\n")
    (line,) = add_crontab(scheduler, tmp_path / "tab", **options)
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


def test_a_system_crontab_is_not_mistaken_for_a_users(
    tmp_path: Path, scheduler: Scheduler, caplog: pytest.LogCaptureFixture
) -> None:
    """Where each command begins with a user, `system=` has to be said; a single one is doubted in the log."""
    (tmp_path / "tab").write_text("@daily root true\n")
    with pytest.raises(ConfigurationError, match="pass system=True"):
        add_crontab(scheduler, tmp_path / "tab")
    (line,) = add_crontab(scheduler, tmp_path / "tab", system=False)
    assert line.command == "root true"
    assert caplog.text == ""
    (tmp_path / "tab").write_text("@daily root false\n@daily date\n")
    assert len(add_crontab(scheduler, tmp_path / "tab")) == 2
    assert f"{tmp_path}/tab:1: its command begins with 'root'" in caplog.text
