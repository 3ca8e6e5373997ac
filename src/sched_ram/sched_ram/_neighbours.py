"""Notices other processes that run the same app on RAM: each of them fires for itself."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_held: dict[tuple[int, str], int] = {}


def others_run(app: str) -> bool:
    """Tell whether another process of this user runs `app`; from now on, this one does.

    A lock on a file in the temporary directory, which the system lets go of when the process ends.
    """
    name = (os.getpid(), app)
    if sys.platform == "win32" or name in _held:  # there nobody is noticed
        return False
    try:
        file = os.open(_path(app), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:  # nowhere to write: then nobody can be noticed
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return True
    _held[name] = file
    return False


def no_longer(app: str) -> None:
    """Let go of what `others_run` took, if this process did."""
    file = _held.pop((os.getpid(), app), None)
    if file is not None:
        _path(app).unlink(missing_ok=True)
        os.close(file)


def _path(app: str) -> Path:
    digest = hashlib.blake2b(app.encode(), digest_size=8).hexdigest()
    return Path(tempfile.gettempdir()) / f"sched-ram-{os.getuid()}-{digest}.lock"
