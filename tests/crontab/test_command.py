"""Commands as jobs: real processes, in groups of their own, that end when their run does."""

import asyncio
import ctypes
import os
import pwd
import shlex
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from schedcore import _command
from schedcore._accounts import Account, current_user
from schedcore._command import TAIL, CommandFailedError, CommandJob, kill_running
from schedcore._crontab import parse_crontab
from schedcore.context import RunContext
from schedcore.errors import ConfigurationError, SchedcoreError
from schedcore.protocols import Delivery, Trigger

PYTHON = shlex.quote(sys.executable)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")


class Noted(RunContext):
    """A run whose notes can be read."""

    def __init__(self) -> None:
        super().__init__(Delivery(Trigger("job", "key", 0), 1, 1))
        self.notes: list[str] = []

    def progress(self, done: float | None = None, total: float | None = None, note: str = "") -> None:
        super().progress(done, total, note)
        self.notes.append(note)


def job(command: str, **options: Any) -> CommandJob:
    return CommandJob(**{"command": command, "account": Account.of(current_user()), **options})


def of_crontab(text: str, **options: Any) -> CommandJob:
    (line,), _ = parse_crontab(text, **{"file": "tab", "user": current_user(), **options})
    return CommandJob.of(line)


def note(job: CommandJob) -> str:
    """Run the job to its end and return what it leaves for the history."""
    run = Noted()
    asyncio.run(job(run))
    (only,) = run.notes
    return only


def failure(job: CommandJob) -> str:
    run = Noted()
    with pytest.raises(CommandFailedError) as caught:
        asyncio.run(job(run))
    assert run.notes == []
    return str(caught.value)


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that nobody has reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  what is waited for happens in other processes
            await asyncio.sleep(0.005)


def open_files() -> list[str]:
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


def pids(file: Path) -> list[int]:
    return [int(word) for word in file.read_text().split()] if file.exists() else []


async def cancelled(job: CommandJob, ready: Callable[[], object]) -> Noted:
    """Start the job, cancel it as soon as it is ready, and wait for its end."""
    run = Noted()
    task = asyncio.create_task(job(run))
    await until(ready)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return run


def test_a_command_that_ends_well_leaves_its_output() -> None:
    """Exit code 0 and what was printed, on both streams and in order, is the run's note."""
    assert note(job("echo one; echo two >&2; echo three")) == "exit 0: one\ntwo\nthree"
    assert note(job("true")) == "exit 0"


def test_a_command_that_fails_raises_code_and_output() -> None:
    """Any other exit code is an error of ours that tells it, with the output."""
    assert failure(job("echo why; exit 3")) == "exit 3: why"
    assert failure(job("exit 255")) == "exit 255"
    assert issubclass(CommandFailedError, SchedcoreError)


def test_a_command_that_is_killed_names_the_signal() -> None:
    """A command that a signal ended tells which, by name where it has one."""
    assert failure(job("echo a; kill -9 $$")) == "killed by SIGKILL: a"
    assert failure(job(f"kill -{signal.SIGRTMIN + 3} $$")) == f"killed by signal {signal.SIGRTMIN + 3}"


def test_what_cannot_be_started_says_why(tmp_path: Path) -> None:
    """A shell that is missing, or is no program, fails the run with path and reason; no file stays open."""
    before = open_files()
    assert "/no/shell could not be started" in failure(job("true", environment={"SHELL": "/no/shell"}))
    assert "Permission denied" in failure(job("true", environment={"SHELL": str(tmp_path)}))
    assert "null byte" in failure(job("a\0b"))
    assert "surrogates not allowed" in failure(job("true", stdin="\ud800"))
    assert open_files() == before


def test_only_the_end_of_the_output_is_kept() -> None:
    """Of much output the last 4 KB remain, behind dots, and a character that is cut in two is dropped."""
    program = "print('é' * 5000 + 'xy')"
    said = note(job(f'{PYTHON} -c "{program}"'))
    # The newline is one of the bytes that are kept, and half an é remains of the first two.
    assert said == "exit 0: ..." + "é" * ((TAIL - 3) // 2) + "xy"
    assert TAIL == 4096


def test_output_that_is_no_text_is_shown_as_far_as_it_goes() -> None:
    """Bytes that are not UTF-8 are replaced, not an error."""
    assert note(job(r"printf 'a\377b'")) == "exit 0: a\N{REPLACEMENT CHARACTER}b"


def test_much_output_takes_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much a command prints, no more than the tail and a chunk is ever held, and nothing blocks."""
    sizes = []
    read = _command._Output.read

    def watched(output: Any) -> int:
        count = read(output)
        sizes.append((count, len(output._tail)))
        return count

    monkeypatch.setattr(_command._Output, "read", watched)
    assert note(job("head -c 20000000 /dev/zero | tr '\\0' x")).endswith("xxx")
    assert sum(count for count, _ in sizes) == 20_000_000
    assert max(kept for _, kept in sizes) == TAIL


def test_the_loop_stays_free_while_a_command_prints() -> None:
    """A command that prints without pause does not keep the loop's other work waiting."""

    async def main() -> int:
        turns = 0
        task = asyncio.create_task(job("head -c 50000000 /dev/zero")(Noted()))
        while not task.done():
            await asyncio.sleep(0)
            turns += 1
        await task
        return turns

    assert asyncio.run(main()) > 100


def test_input_is_what_the_line_says() -> None:
    """A command reads what follows its percent sign, to the end; without one it reads nothing at all."""
    assert note(of_crontab("@daily cat; echo end%one%two")) == "exit 0: one\ntwo\nend"
    assert note(job("cat; echo end")) == "exit 0: end"


def test_input_may_be_long_and_remain_unread() -> None:
    """More input than any pipe holds reaches the command, and does not trouble one that never reads it."""
    text = "x" * 900_000
    assert note(job("wc -c", stdin=text)) == "exit 0: 900000"
    assert note(job("sleep 0.01", stdin=text)) == "exit 0"


def test_the_environment_is_cron_s_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command gets the five variables that cron sets and the crontab's own, nothing of this process."""
    monkeypatch.setenv("SCHEDCORE_REDIS_URL", "redis://:s3cret@x")
    told = dict(line.split("=", 1) for line in note(of_crontab("A=b c\n@daily env"))[8:].splitlines())
    told.pop("PWD", None)  # from the shell
    told.pop("_", None)
    told.pop("OLDPWD", None)
    user = pwd.getpwuid(os.geteuid())
    ours = {"SHELL": "/bin/sh", "PATH": "/usr/bin:/bin", "HOME": user.pw_dir}
    assert told == {**ours, "LOGNAME": user.pw_name, "USER": user.pw_name, "A": "b c"}


def test_the_crontab_sets_all_but_the_login_name(tmp_path: Path) -> None:
    """PATH and HOME of the crontab hold, the command runs in that HOME, and LOGNAME cannot be set."""
    text = f"PATH=/x:/usr/bin:/bin\nHOME={tmp_path}\nLOGNAME=x\n@daily echo $PATH $HOME $LOGNAME; pwd"
    assert note(of_crontab(text)) == f"exit 0: /x:/usr/bin:/bin {tmp_path} {current_user()}\n{tmp_path}"


def test_the_crontab_s_shell_runs_the_command(tmp_path: Path) -> None:
    """SHELL is run with -c and the command as its one argument; an empty one is /bin/sh."""
    shell = tmp_path / "shell"
    shell.write_text('#!/bin/sh\necho "$# $1 $2"\n')
    shell.chmod(0o755)
    assert note(of_crontab(f"SHELL={shell}\n@daily a  'b' $c")) == "exit 0: 2 -c a  'b' $c"
    assert note(of_crontab("SHELL=\n@daily echo a")) == "exit 0: a"


def test_without_a_home_a_command_runs_in_the_root(caplog: pytest.LogCaptureFixture) -> None:
    """A HOME that is not there is told and does not stop the command: under cron it does not either."""
    assert note(of_crontab("HOME=/no/home\n@daily pwd")) == "exit 0: /"
    assert "HOME=/no/home" in caplog.text


def test_bytes_reach_the_command_as_they_were() -> None:
    """What is no text in the crontab is handed over byte by byte, in command, variables and input."""
    program = "od -An -tx1 | tr -d '\\n'"
    said = note(
        of_crontab(b"A=\xe9\n@daily printf '\xff%s' \"$A\" | ".replace(b"%", rb"\%") + program.encode())
    )
    assert said == "exit 0: ff e9"
    assert note(of_crontab(b"@daily od -An -tx1%\xff")) == "exit 0: ff 0a"


def test_an_account_is_looked_up() -> None:
    """This process's user needs nothing; one that is not there is refused, as is any but to root."""
    assert Account.of(current_user()).groups is None
    with pytest.raises(ConfigurationError, match="no user 'nobody-at-all'"):
        Account.of("nobody-at-all")
    with pytest.raises(ConfigurationError, match="no user"):
        Account.of("a\0b")


def test_a_user_without_a_name_goes_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container whose user no passwd file knows, its commands run, at home where HOME says."""
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    monkeypatch.setenv("HOME", "/srv")
    assert current_user() == "54321"
    assert Account.of("54321") == Account("54321", 54321, os.getegid(), "/srv")


@needs_root
def test_root_runs_a_line_as_its_user() -> None:
    """The command of another user has that user's number, group and further groups, and no other rights."""
    user = pwd.getpwnam("www-data")
    text = "@daily www-data id -u; id -g; id -G; echo $HOME $LOGNAME; cat /etc/shadow"
    said = failure(of_crontab(text, system=True, look_up=Account.of))
    groups = " ".join(map(str, os.getgrouplist("www-data", user.pw_gid)))
    assert said.startswith(f"exit 1: {user.pw_uid}\n{user.pw_gid}\n{groups}\n{user.pw_dir} www-data\n")
    assert said.endswith("Permission denied")


@needs_root
def test_further_groups_are_the_account_s() -> None:
    """The groups that a user is also in come with it, and none of root's."""
    account = Account("nobody", 65534, 65533, "/", (1, 2))
    assert note(job("id -u; id -g; id -G", account=account)) == "exit 0: 65534\n65533\n65533 1 2"


def test_a_command_leads_its_own_group_and_session() -> None:
    """Signals for the scheduler's group, such as those of a terminal, do not reach the command."""
    said = note(job("""echo $$; ps -o pgid=,sid= -p $$ 2>/dev/null || cut -d' ' -f5,6 /proc/$$/stat"""))
    pid, group, session = said.removeprefix("exit 0: ").split()
    assert pid == group == session
    assert int(group) != os.getpgrp()


def test_a_process_left_behind_does_not_hold_the_run(tmp_path: Path) -> None:
    """What a command leaves in the background is not waited for, nor killed by what it writes later."""
    file, go = tmp_path / "pid", tmp_path / "go"
    background = f"while ! [ -e {go} ]; do sleep 0.01; done; echo late; echo alive > {file}"

    async def main() -> None:
        run = Noted()
        started = time.monotonic()
        await job(f"({background}) & echo done")(run)
        assert time.monotonic() - started < 2
        assert run.notes == ["exit 0: done"]
        go.touch()
        await until(lambda: file.exists() and file.read_text() == "alive\n")

    before = open_files()
    asyncio.run(main())
    assert open_files() == before


def test_one_that_prints_for_ever_does_not_hold_the_run(tmp_path: Path) -> None:
    """A process in the background that never stops printing does not keep the run from ending."""
    file = tmp_path / "pid"

    async def main() -> None:
        async with asyncio.timeout(5):
            await job(f"yes & echo $! > {file}")(Noted())

    try:
        asyncio.run(main())
    finally:
        os.kill(*pids(file), signal.SIGKILL)


def test_the_end_of_the_output_is_read_without_the_loop() -> None:
    """What a command wrote just before its end is there, and a writer that never stops is not waited for."""

    async def main() -> None:
        output = _command._Output.of_pipe()
        with output.writer() as writer:
            os.write(writer, b"last words")
        assert output.text() == "last words"
        endless = _command._Output.of_pipe()
        with endless.writer():
            endless.loop.remove_reader(endless.reader)
        os.dup2(zero.fileno(), endless.reader)
        assert len(endless.text()) == len("...") + TAIL
        os.close(endless.reader)

    with Path("/dev/zero").open("rb") as zero:
        asyncio.run(main())


def test_cancelling_ends_the_whole_group(tmp_path: Path) -> None:
    """A cancelled run ends its command and all that it started before it ends itself; its output is kept."""
    file = tmp_path / "pids"
    command = f"echo said; (sleep 60 & echo $! >> {file}; wait) & sleep 60 & echo $! $$ >> {file}; wait"
    started = time.monotonic()
    run = asyncio.run(cancelled(job(command), lambda: len(pids(file)) == 3))
    assert time.monotonic() - started < 4  # within the grace: SIGTERM was enough
    assert [pid for pid in pids(file) if alive(pid)] == []
    assert run.notes == ["killed: said"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has subreapers")
def test_the_dead_are_not_waited_for(tmp_path: Path) -> None:
    """As process 1 of a container, which reaps nobody else's children, a cancelled run ends as soon."""
    file = tmp_path / "pids"
    subreaper = 36
    ctypes.CDLL(None).prctl(subreaper, 1, 0, 0, 0)
    try:
        started = time.monotonic()
        asyncio.run(cancelled(job(f"sleep 60 & echo $! $$ > {file}; wait"), lambda: pids(file)))
        assert time.monotonic() - started < 4
        assert os.waitpid(pids(file)[0], 0)[1] == signal.SIGTERM
    finally:
        ctypes.CDLL(None).prctl(subreaper, 0, 0, 0, 0)


def test_a_silent_command_is_cancelled_without_a_word(tmp_path: Path) -> None:
    """A command that said nothing before it was cancelled leaves no empty words."""
    file = tmp_path / "pids"
    run = asyncio.run(cancelled(job(f"echo $$ > {file}; exec sleep 60"), lambda: pids(file)))
    assert run.notes == ["killed"]


def test_a_command_may_tidy_up(tmp_path: Path) -> None:
    """Whoever in the group answers SIGTERM by tidying up has the time for it, though the shell is gone."""
    file, tidy = tmp_path / "pids", tmp_path / "tidy"
    inner = f"trap 'sleep 0.2; echo yes > {tidy}; exit' TERM; echo $$ > {file}; while :; do sleep 0.01; done"
    asyncio.run(cancelled(job(f"sh -c {shlex.quote(inner)}; true"), lambda: pids(file)))
    assert tidy.read_text() == "yes\n"


def test_who_ignores_the_first_signal_is_killed(tmp_path: Path) -> None:
    """After the grace SIGKILL ends what SIGTERM did not, in the whole group."""
    file = tmp_path / "pids"
    stubborn = f"trap '' TERM; sleep 60 & echo $! $$ > {file}; while :; do sleep 60; done"
    started = time.monotonic()
    asyncio.run(cancelled(job(stubborn, grace=0.1), lambda: pids(file)))
    assert 0.1 <= time.monotonic() - started < 2
    assert [pid for pid in pids(file) if alive(pid)] == []
    assert job("true").grace == 5


def test_a_second_cancellation_kills_at_once(tmp_path: Path) -> None:
    """Whoever cancels again does not wait for the grace, and nothing is left."""
    file = tmp_path / "pids"
    stubborn = f"trap '' TERM; echo $$ > {file}; while :; do sleep 0.01; done"

    async def main() -> None:
        task = asyncio.create_task(job(stubborn, grace=60)(Noted()))
        await until(lambda: pids(file))
        task.cancel()
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: not alive(*pids(file)))

    asyncio.run(main())


def test_a_command_cancelled_while_it_starts_is_ended(tmp_path: Path) -> None:
    """At whatever moment of its start a run is cancelled, no process of it remains."""
    for turns in range(6):
        file = tmp_path / f"pid{turns}"

        async def main(turns: int = turns, file: Path = file) -> None:
            task = asyncio.create_task(job(f"echo $$ > {file}; sleep 60 & echo $! >> {file}; wait")(Noted()))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(main())
        assert [pid for pid in pids(file) if alive(pid)] == []
    assert _command._groups == set()


def test_a_time_limit_ends_the_group(tmp_path: Path) -> None:
    """What a timeout around the call sees is a timeout, after the command's end."""
    file = tmp_path / "pids"

    async def main() -> None:
        async with asyncio.timeout(0.2):
            await job(f"sleep 60 & echo $! $$ > {file}; wait")(Noted())

    with pytest.raises(TimeoutError):
        asyncio.run(main())
    assert [pid for pid in pids(file) if alive(pid)] == []


def test_all_running_commands_can_be_killed_at_once(tmp_path: Path) -> None:
    """A second signal ends every group without asking any loop; the runs fail, and are forgotten."""
    files = [tmp_path / "a", tmp_path / "b"]

    async def main() -> list[object]:
        tasks = [
            asyncio.create_task(job(f"trap '' TERM; sleep 60 & echo $! $$ > {file}; wait; sleep 60")(Noted()))
            for file in files
        ]
        await until(lambda: all(map(pids, files)))
        assert kill_running(signal.SIGTERM) == 2
        assert kill_running() == 2
        results = list(await asyncio.gather(*tasks, return_exceptions=True))
        await until(lambda: not any(alive(pid) for file in files for pid in pids(file)))
        return results

    assert list(map(str, asyncio.run(main()))) == ["killed by SIGKILL"] * 2
    assert kill_running() == 0


def test_what_has_ended_is_not_killed(tmp_path: Path) -> None:
    """After a command's end, however it ended, its group's number is nobody's to signal."""
    note(job("true"))
    failure(job("false"))
    asyncio.run(cancelled(job(f"echo $$ > {tmp_path}/pid; sleep 60"), lambda: pids(tmp_path / "pid")))
    assert _command._groups == set()


def test_commands_run_on_the_loop_of_any_thread(tmp_path: Path) -> None:
    """The scheduler's own loop is not on the main thread; starting, ending and cancelling work there."""
    results: list[object] = []
    file = tmp_path / "pids"

    def other(*work: Callable[[], Awaitable[Any]]) -> None:
        async def main() -> None:
            results.extend([await each() for each in work])

        asyncio.run(main())

    async def ended() -> str:
        run = Noted()
        await job("echo a")(run)
        return run.notes[0]

    async def ended_early() -> str:
        run = await cancelled(job(f"echo b; echo $$ > {file}; exec sleep 60"), lambda: pids(file))
        return run.notes[0]

    thread = threading.Thread(target=other, args=(ended, ended_early))
    thread.start()
    thread.join(10)
    assert results == ["exit 0: a", "killed: b"]


def test_many_commands_run_side_by_side() -> None:
    """A hundred commands at a time disturb each other in nothing."""

    async def main() -> list[str]:
        runs = [Noted() for _ in range(100)]
        await asyncio.gather(*(job(f"sleep 0.1; echo {i}")(run) for i, run in enumerate(runs)))
        return [run.notes[0] for run in runs]

    before = open_files()
    assert asyncio.run(main()) == [f"exit 0: {i}" for i in range(100)]
    assert open_files() == before


def test_a_job_shows_no_secret() -> None:
    """The representation of a job keeps variables and input to itself, which may hold passwords."""
    shown = repr(of_crontab("TOKEN=s3cret\n@daily login%s3cret"))
    assert "login" in shown
    assert "s3cret" not in shown
