"""The Redis backend of schedcore: not written yet, and choosing it says so."""

from schedcore.errors import BackendError

__all__ = ["RedisBackend"]


class RedisBackend:
    """Refuse to start: there is nothing behind this name yet.

    Raises:
        BackendError: always.
    """

    def __init__(self, app: str, **options: object) -> None:
        raise BackendError(
            f"app {app!r} cannot use the Redis backend, which is not there yet; meanwhile install "
            "schedcore[ram] and choose backend='ram' (one process, and nothing survives a restart)"
        )
