"""Jobs in FastAPI, beside a lifespan of the application's own: uvicorn app:app --workers 3"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request

from schedcore import RunContext, Scheduler

scheduler = Scheduler("fastapi-app", backend="redis")


@scheduler.job("@every 1s")
async def heartbeat(run: RunContext) -> None:
    print(f"heartbeat of {run.scheduled_at:%H:%M:%S} ran in process {os.getpid()}", flush=True)


@scheduler.job("0 3 * * *", tz="Europe/Berlin")
def report(run: RunContext) -> None:  # a plain function: it has a thread of its own
    run.progress(note=f"reported in process {os.getpid()}")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    greeting = "hello"  # what the application itself opens first and closes last: a database, say
    async with scheduler:
        yield {"greeting": greeting}


app = FastAPI(lifespan=lifespan)


@app.get("/")
async def index(request: Request) -> dict[str, Any]:
    health = await scheduler.health()
    return {"greeting": request.state.greeting, "process": os.getpid(), "scheduling": health.running}


@app.post("/report")
async def report_now() -> dict[str, str]:
    triggered = await scheduler.trigger("report", wait=True, timeout=20)
    return {"outcome": triggered.outcome}
