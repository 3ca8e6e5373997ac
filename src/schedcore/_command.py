"""A shell command as a job: a process group of its own, started and watched from an event loop."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from attrs import Factory, define, field

from schedcore._accounts import Account
from schedcore.errors import SchedcoreError

if TYPE_CHECKING:
    from schedcore._crontab import CrontabLine
    from schedcore.context import RunContext

TAIL = 4096
"""So many bytes of a command's output are kept, the last ones."""

SHOWN, SHOWN_OF_COMMAND = 200, 60
"""So many characters of a command's last line, and of the command itself, are told in the log."""

_CHUNK = 1 << 16
_PAST_EXIT = 1 << 20
"""More than any pipe holds: what is read after a command's end, even if somebody else goes on writing."""

_groups: set[int] = set()  # of all commands that run now


class CommandFailedError(SchedcoreError):
    """A command that could not be started, was killed, or ended with another code than 0."""

    def __init__(self, outcome: str, output: str = "") -> None:
        super().__init__(_told(outcome, output))
        self.outcome = outcome
        self.output = output


def kill_running(signum: int = signal.SIGKILL) -> int:
    """Signal every command that runs now, each with all it has started; return how many that were.

    It waits for nothing, so a signal handler may call it. What is being started just then may escape.
    """
    return sum(_signal(group, signum) for group in tuple(_groups))


@define(eq=False, kw_only=True)
class CommandJob:
    """The function of a job that runs a shell command.

    The command has its own session and process group, the environment given and nothing of this process's.
    What it leaves in the background is left alone, as is a command whose scheduler was killed.

    Attributes:
        environment: Everything the command gets; `SHELL`, `HOME` and `PATH` are used as cron uses them.
        stdin: What it reads; `""` for nothing.
        grace: Seconds between SIGTERM and SIGKILL when the run is cancelled or its time is over.
        place: Where the command is written, for the log.
    """

    command: str
    account: Account
    environment: Mapping[str, str] = field(factory=dict, repr=False)
    stdin: str = field(default="", repr=False)
    grace: float = 5.0
    place: str = ""

    @classmethod
    def of(cls, line: CrontabLine) -> CommandJob:
        """Make the job of a crontab's line, with the variables that cron would set.

        Raises:
            ConfigurationError: this process cannot run as the line's user.
        """
        account = Account.of(line.user)
        defaults = {"SHELL": "/bin/sh", "PATH": "/usr/bin:/bin", "HOME": account.home, "USER": account.name}
        environment = {**defaults, **line.environment, "LOGNAME": account.name}
        place = f"{line.file}:{line.line}"
        return cls(
            command=line.command, account=account, environment=environment, stdin=line.stdin, place=place
        )

    def in_the_log(self, run: RunContext, outcome: str) -> str:
        """Tell in one line which run of which command this is, and the last line of what became of it."""
        first, *others = outcome.splitlines() or [""]
        if others:
            first = f"{first.partition(': ')[0]}: ... {others[-1]}"
        shown = shortened(self.command, SHOWN_OF_COMMAND)
        return f"job {run.job}, {shortened(self.place, SHOWN)} ({shown}): {shortened(first, SHOWN)}"

    async def __call__(self, run: RunContext) -> None:
        """Run the command to its end; what it said last becomes the note of the run.

        Raises:
            CommandFailedError: it could not be started, was killed, or its exit code is not 0.
        """
        output = _Output.of_pipe()
        creating = asyncio.ensure_future(self._create(output, self._directory(run)))
        try:
            process = await asyncio.shield(creating)
            code = await process.wait()
        except asyncio.CancelledError:
            with suppress(CommandFailedError):
                await self._end(await creating)  # if it is just being started, nobody else would end it
            run.progress(note=_told("killed", output.text()))
            raise
        _groups.discard(process.pid)
        if code:
            raise CommandFailedError(_outcome(code), output.text())
        run.progress(note=_told("exit 0", output.text()))

    async def _create(self, output: _Output, directory: str) -> Process:
        shell, who = self.environment.get("SHELL") or "/bin/sh", self.account
        become: dict[str, Any] = {"user": who.uid, "group": who.gid, "extra_groups": who.groups}
        try:
            with output.writer() as stdout, _spooled(self.stdin) as stdin:
                process = await asyncio.create_subprocess_exec(
                    *map(_bytes, (shell, "-c", self.command)),
                    stdin=stdin,
                    stdout=stdout,
                    stderr=asyncio.subprocess.STDOUT,
                    env={_bytes(name): _bytes(value) for name, value in self.environment.items()},
                    cwd=_bytes(directory),
                    start_new_session=True,
                    **({} if who.groups is None else become),
                )
        except (OSError, ValueError) as exc:
            raise CommandFailedError(f"{shell} could not be started in {directory}: {exc}") from exc
        _groups.add(process.pid)
        return process

    def _directory(self, run: RunContext) -> str:
        home = self.environment.get("HOME") or "/"
        if Path(home).is_dir() and os.access(home, os.X_OK):
            return home
        complaint = f"HOME={home} is no directory to be in; the command runs in /"
        run.log.warning("%s", self.in_the_log(run, complaint), extra={"event": "command.no_home"})
        return "/"

    async def _end(self, process: Process) -> None:
        for signum, patience in ((signal.SIGTERM, self.grace), (signal.SIGKILL, 1.0)):
            _signal(process.pid, signum)
            with suppress(TimeoutError, asyncio.CancelledError):  # a further cancellation ends the patience
                async with asyncio.timeout(patience):
                    await _ended(process)
                    break
        _groups.discard(process.pid)


@define(eq=False)
class _Output:
    """The read end of a command's output: the last bytes are kept, the others are read and forgotten.

    It is read to its end, also after the run: what the command has left in the background would be killed
    by its next line otherwise.
    """

    loop: asyncio.AbstractEventLoop
    reader: int
    _writer: int
    _tail: bytearray = Factory(bytearray)
    _cut: bool = False
    _open: bool = True

    @classmethod
    def of_pipe(cls) -> _Output:
        """Make a pipe that the running loop reads."""
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        output = cls(asyncio.get_running_loop(), reader, writer)
        output.loop.add_reader(reader, output.read)
        return output

    @contextmanager
    def writer(self) -> Iterator[int]:
        """Lend the write end for the start of a process, and close it."""
        try:
            yield self._writer
        finally:
            os.close(self._writer)

    def read(self) -> int:
        """Read what is there, a chunk at most; return how much it was, 0 also at the end."""
        data = b""
        if self._open:
            with suppress(BlockingIOError):
                data = os.read(self.reader, _CHUNK)
                self._open = bool(data)
            if not self._open:
                self.loop.remove_reader(self.reader)
                os.close(self.reader)
        self._tail += data
        if len(self._tail) > TAIL:
            del self._tail[:-TAIL]
            self._cut = True
        return len(data)

    def text(self) -> str:
        """Return the end of what has been written up to now."""
        left = _PAST_EXIT
        while left > 0 and (count := self.read()):
            left -= count
        text = bytes(self._tail).decode("utf-8", "replace").strip()
        return "..." + text.lstrip("\N{REPLACEMENT CHARACTER}") if self._cut else text


def _spooled(text: str) -> IO[bytes]:
    """Return a file that is read like a pipe with this text in it, however much of it and however slowly."""
    if not (data := _bytes(text)):
        return Path(os.devnull).open("rb")
    # A memory file where there is one: a container's file system may be read-only.
    linux = sys.platform == "linux"
    file = os.fdopen(os.memfd_create("stdin"), "w+b") if linux else tempfile.TemporaryFile()  # noqa: SIM115
    file.write(data)
    file.seek(0)
    return file


def _signal(group: int, signum: int) -> bool:
    """Signal a process group; tell whether there still is one."""
    try:
        os.killpg(group, signum)
    except OSError as exc:
        return exc.errno == errno.EPERM  # others' processes, such as those of sudo
    return True


async def _ended(process: Process) -> None:
    """Wait for a command and its group: a shell dies at once, its children may still be tidying up."""
    await process.wait()
    while _remains(process.pid):  # noqa: ASYNC110  nobody tells of the end of a group
        await asyncio.sleep(0.02)


def _remains(group: int) -> bool:
    """Tell whether a group has members; those that only wait for an idle process 1 do not count."""
    if not _signal(group, 0):
        return False
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, its = stat.read_text(errors="replace").rpartition(") ")[2].split()[:3]
            if int(its) == group and state not in "ZX":
                return True
    return not Path("/proc/self/stat").exists()


def _told(outcome: str, output: str) -> str:
    return f"{outcome}: {output}" if output else outcome


def _outcome(code: int) -> str:
    names = {number.value: number.name for number in signal.Signals}
    return f"exit {code}" if code >= 0 else f"killed by {names.get(-code, f'signal {-code}')}"


def shortened(text: str, width: int) -> str:
    """Return a text's beginning, free of what would trouble a log or a terminal."""
    text = text.strip() if len(text) <= width else text[: width - 3] + "..."
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def _bytes(text: str) -> bytes:
    """Give a crontab's bytes back, whatever this process's locale is."""
    return text.encode("utf-8", "surrogateescape")
