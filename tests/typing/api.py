"""What users type, as mypy and pyright see it: never run, checked by `make lint`."""

from datetime import UTC, datetime, timedelta
from typing import assert_type

from fastapi import FastAPI
from flask import Flask
from starlette.applications import Starlette

from schedcore import (
    Audit,
    JobInfo,
    ReplicaInfo,
    RunContext,
    RunInfo,
    Running,
    Schedule,
    Scheduler,
    Status,
    Triggered,
    parse_schedule,
)
from schedcore.django import scheduler as of_django
from schedcore.flask import FlaskScheduler

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


async def twins_answer_the_same() -> None:
    assert_type(await scheduler.trigger("my-task", payload={"day": 1}, wait=True), Triggered)
    assert_type(scheduler.blocking.trigger("my-task", payload={"day": 1}, wait=True), Triggered)
    assert_type(await scheduler.jobs(), list[JobInfo])
    assert_type(scheduler.blocking.jobs(), list[JobInfo])
    assert_type(await scheduler.history("my-task", status="failed"), list[RunInfo])
    assert_type(scheduler.blocking.history("my-task", status=Status.FAILED), list[RunInfo])
    assert_type(await scheduler.cancel("my-task"), list[Running])
    assert_type(scheduler.blocking.cancel("my-task"), list[Running])
    assert_type(await scheduler.replicas(), list[ReplicaInfo])
    assert_type(scheduler.blocking.replicas(), list[ReplicaInfo])
    assert_type(await scheduler.audit(after=datetime.now(UTC)), list[Audit])
    assert_type(scheduler.blocking.audit(after=datetime.now(UTC)), list[Audit])
    assert_type((await scheduler.health()).running, bool)
    assert_type(scheduler.blocking.health().running, bool)
    assert_type(await scheduler.pause("my-task", note="today"), None)
    await scheduler.trigger("my-task", timeout="1s")  # type: ignore[arg-type]
    scheduler.blocking.trigger("my-task", timeout="1s")  # type: ignore[arg-type]
    scheduler.blocking.pause(till=None)  # type: ignore[call-arg]


def schedules_tell_their_times() -> None:
    schedule = parse_schedule("30 2 * * *", tz="Europe/Berlin")
    assert_type(schedule, Schedule)
    assert_type(schedule.next_after(datetime.now(UTC)), datetime | None)
    assert_type(schedule.upcoming(datetime.now(UTC), 3), list[datetime])
    scheduler.add_job("of-a-schedule", schedule, my_func)
    scheduler.add_job("once", datetime.now(UTC), my_func)
    scheduler.add_job("never", 17, my_func)  # type: ignore[arg-type]


def as_lifespan() -> None:
    Starlette(lifespan=scheduler.lifespan)
    FastAPI(lifespan=scheduler.lifespan)


shop = FlaskScheduler("shop", backend="ram", drain=timedelta(seconds=5))
shop.init_app(Flask(__name__))


@shop.job("@daily", catch_up="none")
def report(run: RunContext) -> int:
    assert_type(run.deadline, datetime | None)
    return run.attempt


def a_job_of_a_framework_keeps_its_type_too(run: RunContext) -> None:
    assert_type(report(run), int)
    report("run")  # type: ignore[arg-type]
    of_django.job("@daily", catch_up="some")  # type: ignore[arg-type]
    assert_type(of_django.blocking.jobs(), list[JobInfo])
