r"""A crontab, read as Debian's cron reads it.

Where its manual and its behaviour leave room, this is what holds here:

* A variable holds for the lines below it, as written: nothing in it is expanded. An empty value is allowed.
* ``CRON_TZ`` is the zone of the lines below; ``TZ`` is for the commands only, and moves no schedule.
* In a command ``\%`` and ``\\`` become ``%`` and ``\``; the first other ``%`` ends it. What follows is its
  standard input, where ``%`` is a newline, ``\%`` is ``%`` and ``\\`` stays.
* A byte order mark, and the carriage returns of an editor for Windows, are not there.
* All that `parse_schedule` understands is understood, except that seconds have no field.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path, PurePath
from types import MappingProxyType

from attrs import Factory, define, field, frozen

from schedcore.errors import ConfigurationError, CrontabError
from schedcore.schedules import parse_schedule

LARGEST_FILE = 1 << 20
"""No crontab is larger than this, but `/dev/zero` is."""

_BLANK = " \t"
_SETTING = re.compile(r"""(?:"([^"=]+)"|'([^'=]+)'|([^\s"'=@*\d][^\s=]*))\s*=\s*(.*)""", re.ASCII | re.DOTALL)
_BEFORE_PERCENT = re.compile(r"(?:[^\\%]|\\.|\\\Z)*", re.DOTALL)
_PROGRAM = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
_CHECK = re.compile(r"\[\[?|cd|command|echo|exit|export|false|printf|set|sleep|test|true|ulimit|umask")
_KEYWORD = re.compile(r"case|do|done|elif|else|esac|exec|fi|for|if|then|time|until|while")
_WRAPPER = re.compile(
    r"(ba|da|z)?sh|chronic|env|(io)?nice|node|nohup|perl|php|python[\d.]*|ruby|run-parts|setsid|timeout"
)

LookUp = Callable[[str], object]
"""Looks a user up by name, and raises `ValueError` with the reason if nothing can be run as that one."""


def _unchanging(variables: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(variables))


@frozen(kw_only=True)
class CrontabLine:
    """A command of a crontab, and all that its line and the lines above it say about it.

    Attributes:
        name: A job's name that no edit of another line changes, except of its exact duplicates above.
        schedule: What `parse_schedule` takes, and has taken.
        command: What the shell gets.
        stdin: What the command reads; `""` for nothing.
        environment: The variables set above the line, and no others.
        line: Its number in `file`, from 1.
        source: The line as it was written.
    """

    name: str
    schedule: str
    tz: str
    user: str
    command: str
    stdin: str = ""
    environment: Mapping[str, str] = field(factory=dict, converter=_unchanging, hash=False, repr=False)
    file: str
    line: int
    source: str = field(repr=False)


def parse_crontab(
    content: str | bytes,
    *,
    file: str,
    user: str,
    tz: str = "UTC",
    system: bool = False,
    look_up: LookUp | None = None,
    at_start: str = "",
) -> tuple[list[CrontabLine], list[CrontabError]]:
    """Return the commands of a crontab and what could not be understood, both in the file's order.

    Args:
        file: The name that errors and lines give.
        user: Whose crontab it is; in the system format each line names its own user instead.
        tz: The zone of all lines that no `CRON_TZ` precedes.
        system: Whether a user stands between schedule and command.
        look_up: Asked once per line; by default nobody but `user` can be run as.
        at_start: The schedule that `@reboot` stands for, a time just ahead: a line of this kind is due once
            after each start of the process that runs it. Without it such lines are refused.
    """
    if isinstance(content, bytes):
        content = content.decode("utf-8", "surrogateescape")
    reader = _Reader(file, user, tz, system, look_up or _nobody_but(user), at_start)
    for number, text in enumerate(content.removeprefix("\ufeff").split("\n"), 1):
        reader.read(number, text.removesuffix("\r"))
    return reader.lines, reader.errors


def load_crontab(
    path: str | os.PathLike[str], *, tz: str = "UTC", system: bool | None = None, at_start: str = ""
) -> tuple[list[CrontabLine], list[CrontabError]]:
    """Read a crontab for the user of this process; see `parse_crontab`.

    Args:
        system: `None` takes `/etc/crontab` and the files of `/etc/cron.d` for system crontabs, no others.

    Raises:
        ConfigurationError: the file cannot be read, or is none.
    """
    from schedcore._accounts import Account, current_user

    system = is_system_crontab(path) if system is None else system
    return parse_crontab(
        _content(Path(path)),
        file=os.fspath(path),
        user=current_user(),
        tz=tz,
        system=system,
        look_up=Account.of,
        at_start=at_start,
    )


def is_system_crontab(path: str | os.PathLike[str]) -> bool:
    """Tell whether cron itself would expect a user in each line of this file."""
    absolute = PurePath(os.path.abspath(path))  # noqa: PTH100  a link counts as what it is called
    return absolute == PurePath("/etc/crontab") or absolute.parent == PurePath("/etc/cron.d")


def _content(path: Path) -> bytes:
    if path.is_dir():
        raise ConfigurationError(f"crontab {path} is a directory; name a file in it")
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise ConfigurationError(f"crontab {path} cannot be read: {reason}") from exc
    if len(content) > LARGEST_FILE:
        raise ConfigurationError(f"crontab {path} is larger than {LARGEST_FILE} bytes, so it is no crontab")
    return content


def _nobody_but(user: str) -> LookUp:
    def look_up(name: str) -> None:
        if name != user:
            raise ValueError(f"only {user!r} is allowed here")

    return look_up


@define
class _Reader:
    """What the lines so far have led to."""

    file: str
    user: str
    default_tz: str
    system: bool
    look_up: LookUp
    at_start: str
    tz: str = ""
    tz_refused: int = 0
    variables: dict[str, str] = Factory(dict)
    names: Counter[str] = Factory(Counter)
    lines: list[CrontabLine] = Factory(list)
    errors: list[CrontabError] = Factory(list)

    def read(self, number: int, text: str) -> None:
        """Take one line; whatever is wrong with it becomes an error."""
        stripped = text.lstrip(_BLANK)
        if not stripped or stripped.startswith("#"):
            return
        try:
            self._active(number, stripped)
        except ValueError as exc:
            self.errors.append(CrontabError(self.file, number, str(exc)))

    def _active(self, number: int, text: str) -> None:
        if "\0" in text:
            raise ValueError("it contains a NUL byte, which no command and no variable can hold")
        text.encode("utf-8", "surrogateescape")  # half a character has no bytes, and is a ValueError
        if setting := _SETTING.fullmatch(text):
            name = setting[1] or setting[2] or setting[3]
            self._set(number, name, _unquoted(setting[4]))
        else:
            self.lines.append(self._command(number, text))

    def _set(self, number: int, name: str, value: str) -> None:
        if name == "CRON_TZ":
            self.tz_refused = number  # lines below run in no other zone instead
            parse_schedule("* * * * *", tz=value or self.default_tz)
            self.tz, self.tz_refused = value, 0
        self.variables[name] = value

    def _command(self, number: int, text: str) -> CrontabLine:
        written, user, rest = self._fields(text)
        command, stdin = _split_at_percent(rest)
        if not command.strip():
            raise ValueError("no command follows the schedule" + (" and the user" if self.system else ""))
        try:
            self.look_up(user)
        except ValueError as exc:
            raise ValueError(f"it cannot be run as {user!r}: {exc}") from exc
        if self.tz_refused:
            raise ValueError(f"its zone, set by CRON_TZ in line {self.tz_refused}, was not understood")
        tz = self.tz or self.default_tz
        base = stable_name(written, user, rest)
        name = f"{base}-{self.names[base] + 1}" if self.names[base] else base
        schedule = self._schedule(written)
        parse_schedule(schedule, tz=tz, key=name)
        self.names[base] += 1
        return CrontabLine(
            name=name,
            schedule=schedule,
            tz=tz,
            user=user,
            command=command,
            stdin=stdin,
            environment=self.variables,
            file=self.file,
            line=number,
            source=text,
        )

    def _fields(self, text: str) -> tuple[str, str, str]:
        when = 1 if text[0] == "@" else 5
        if re.match(rf"@every[{_BLANK}]", text):
            when = 2
        fields = when + self.system
        words = re.split(rf"[{_BLANK}]+", text, maxsplit=fields)
        if len(words) <= fields:
            shape = "schedule, user and command" if self.system else "schedule and command"
            raise ValueError(
                f"it is neither NAME=value nor {shape} (five time fields, or @daily and the like)"
            )
        return " ".join(words[:when]), words[when] if self.system else self.user, words[-1]

    def _schedule(self, written: str) -> str:
        if written.lower() != "@reboot":
            return written
        if not self.at_start:
            raise ValueError("@reboot names no time, only a start; give it a schedule, or start it elsewhere")
        return self.at_start


def stable_name(schedule: str, user: str, command: str) -> str:
    """Return a readable name that depends on nothing else; of the command it tells the program alone.

    Arguments carry secrets, and names end up in logs and metrics.
    """
    digest = sha256("\0".join((schedule, user, command)).encode("utf-8", "surrogateescape"))
    return f"{_program(command)[:60]}-{digest.hexdigest()[:8]}"


def _program(command: str) -> str:
    """Guess which program a command is about, past tests, keywords, wrappers and interpreters."""
    wrapper = ""
    for part in re.split(r"[;&|\n]+", command):
        for word in part.split():
            program = PurePath(word.lstrip("(")).name
            if _CHECK.fullmatch(program):
                break  # nothing in this part is what the command is about
            if "=" in word or _KEYWORD.fullmatch(program) or not _PROGRAM.fullmatch(program):
                continue
            if not _WRAPPER.fullmatch(program):
                return program
            wrapper = wrapper or program
    return wrapper or "command"


def _unquoted(value: str) -> str:
    value = value.rstrip(" \t\r\f\v")
    if value[:1] not in ("'", '"'):
        return value
    inner, closing, after = value[1:].partition(value[0])
    if not closing:
        raise ValueError(f"the quote {value[0]} of its value is not closed")
    if after:
        raise ValueError(f"something follows the closing quote {value[0]} of its value, where nothing may")
    return inner


def _split_at_percent(text: str) -> tuple[str, str]:
    before = _BEFORE_PERCENT.match(text)
    assert before is not None
    command = re.sub(r"\\([%\\])", r"\1", before[0])
    stdin = re.sub(r"\\?%", lambda sign: "\n" if sign[0] == "%" else "%", text[before.end() + 1 :])
    return command, stdin + "\n" if stdin and not stdin.endswith("\n") else stdin
