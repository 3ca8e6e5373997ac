"""Users of this machine, as a crontab names them."""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Sequence
from shutil import which
from typing import TYPE_CHECKING

from attrs import frozen

from schedcore.errors import ConfigurationError

if TYPE_CHECKING:
    from schedcore._crontab import CrontabLine

_USER_AND_MORE = re.compile(r"([A-Za-z_][\w.-]*)[ \t]+(?!-)\S", re.ASCII)
"""What may be a user and a command: no command begins with a dash, but a program's options do."""


@frozen
class Account:
    """Who a command runs as; `groups` is `None` where it is who this process is already."""

    name: str
    uid: int
    gid: int
    home: str
    groups: tuple[int, ...] | None = None

    @classmethod
    def of(cls, name: str) -> Account:
        """Look a user up.

        Raises:
            ConfigurationError: there is no such user, or this process may not become that one.
        """
        own = os.geteuid()
        try:
            entry = pwd.getpwnam(name)
        except (KeyError, ValueError):
            if name == current_user():  # a container's user, whom no passwd file knows
                return cls(name, own, os.getegid(), os.environ.get("HOME", "/"))
            raise ConfigurationError(f"there is no user {name!r} on this machine") from None
        if entry.pw_uid == own:
            return cls(name, own, os.getegid(), entry.pw_dir)
        if own != 0:
            raise ConfigurationError(f"only root can run as others, and this process is {current_user()!r}")
        groups = os.getgrouplist(name, entry.pw_gid)
        return cls(name, entry.pw_uid, entry.pw_gid, entry.pw_dir, tuple(groups))


def current_user() -> str:
    """Return the name of this process's user; where it has none, its number."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def taken_for_programs(lines: Sequence[CrontabLine]) -> tuple[list[str], bool]:
    """Find the lines of a user's crontab that seem to be a system crontab's.

    Such a line's command begins with the name of a user that is the name of no program. Some users are named
    like programs, `mail` and `backup` among them: a line that begins with one is not in doubt for that alone.

    Returns:
        The warnings; and whether there are any and every other line, too, begins with the name of a user.
    """
    users = [_user_of(line) for line in lines]
    doubtful = [
        f"{line.file}:{line.line}: its command begins with {user!r}, which is a user and no program here"
        for line, user in zip(lines, users, strict=True)
        if user and not _is_program(user, line)
    ]
    return doubtful, bool(doubtful) and all(users)


def _user_of(line: CrontabLine) -> str:
    found = _USER_AND_MORE.match(line.command.lstrip())
    try:
        return "" if found is None else pwd.getpwnam(found[1]).pw_name
    except KeyError:
        return ""


def _is_program(name: str, line: CrontabLine) -> bool:
    return bool(which(name) or which(name, path=line.environment.get("PATH", "/usr/bin:/bin")))
