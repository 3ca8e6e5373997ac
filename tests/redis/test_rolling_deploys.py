"""Replicas that know different jobs share one stream: what one does not know, another runs."""

import time
from collections.abc import Callable

from schedcore import Scheduler


def until(holds: Callable[[], object], seconds: float = 20) -> None:
    """Wait until something holds."""
    limit = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.05)


def test_what_no_replica_knew_is_run_by_the_first_that_does(app_name: str, redis_url: str) -> None:
    """Parked meanwhile, a job that runs at most once is not taken for one whose replica died."""
    ran: list[int] = []

    def replica(*jobs: str) -> Scheduler:
        scheduler = Scheduler(app_name, backend="redis", url=redis_url)
        for job in jobs:
            scheduler.add_job(
                job, "@every 24h", lambda run: ran.append(run.delivery), delivery="at_most_once"
            )
        return scheduler

    with replica("new"):
        pass
    with replica("old") as old:
        old.blocking.trigger("new")
        parked = f"schedcore:{{{app_name}}}:parked"
        until(lambda: _members(redis_url, parked))
        with replica("new") as new:
            until(lambda: ran)
            until(lambda: new.blocking.history("new"))
            assert [run.status for run in new.blocking.history("new")] == ["succeeded"]
            assert not _members(redis_url, parked)
    assert ran == [1]


def _members(url: str, key: str) -> object:
    import redis

    with redis.Redis.from_url(url) as client:
        return client.smembers(key)
