"""Users of this machine, as a crontab names them."""

from __future__ import annotations

import os
import pwd

from attrs import frozen

from schedcore.errors import ConfigurationError


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
