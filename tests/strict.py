"""How a Python of a test's own is started: what it is warned of ends it."""

STRICT = (
    "-W",
    "error",
    # redis-py 8.1 asks `asyncio.iscoroutinefunction`, which Python 3.14 deprecates.
    "-W",
    "ignore::DeprecationWarning:redis.asyncio.connection",
)
