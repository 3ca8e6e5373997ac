"""What users type, as mypy sees it: never run, checked by `make lint`."""

from datetime import timedelta
from typing import assert_type

from schedcore import RunContext, Scheduler

scheduler = Scheduler("billing")


@scheduler.job("*/5 * * * *", tz="Europe/Berlin")
async def sync_invoices(customer: str = "all", *, limit: int = 10) -> float:
    return limit / len(customer)


@scheduler.job("@every 10s", overlap="queue_one", timeout=30, retries=3)
def heartbeat(run: RunContext) -> None:
    assert_type(run.job, str)
    assert_type(run.attempt, int)


def my_func() -> bool:
    return True


scheduler.add_job("my-task", "*/1 * * * *", my_func)
scheduler.add_job("my-other-task", "@daily", my_func, timeout=timedelta(minutes=1))


async def a_decorated_job_keeps_its_type() -> None:
    assert_type(await sync_invoices(customer="one", limit=3), float)
    await sync_invoices(limit="3")  # type: ignore[arg-type]
    await sync_invoices("one", 3)  # type: ignore[call-arg]
    heartbeat()  # type: ignore[call-arg]


def wrong_words_are_found() -> None:
    scheduler.add_job("my-task", "*/1 * * * *", "my_func")  # type: ignore[arg-type]
    scheduler.job("* * * * *", overlap="queue_two")  # type: ignore[arg-type]
    scheduler.job("* * * * *", overlaps="skip")  # type: ignore[call-arg]


def in_the_foreground() -> None:
    scheduler.run()


async def inside_asyncio() -> None:
    async with scheduler as entered:
        assert_type(entered, Scheduler)


def inside_any_other_application() -> None:
    with scheduler:
        pass
    scheduler.start()
    scheduler.stop()
