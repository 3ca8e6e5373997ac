"""Jobs in Starlette: the scheduler is all there is to the lifespan: uvicorn app:app --workers 3"""

import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from schedcore import RunContext, Scheduler

scheduler = Scheduler("starlette-app", backend="redis")


@scheduler.job("@every 1s")
async def heartbeat(run: RunContext) -> None:
    print(f"heartbeat of {run.scheduled_at:%H:%M:%S} ran in process {os.getpid()}", flush=True)


@scheduler.job("0 3 * * *", tz="Europe/Berlin")
def report(run: RunContext) -> None:
    run.progress(note=f"reported in process {os.getpid()}")


async def index(request: Request) -> JSONResponse:
    health = await scheduler.health()
    return JSONResponse({"process": os.getpid(), "scheduling": health.running})


async def report_now(request: Request) -> JSONResponse:
    triggered = await scheduler.trigger("report", wait=True, timeout=20)
    return JSONResponse({"outcome": triggered.outcome})


routes = [Route("/", index), Route("/report", report_now, methods=["POST"])]
app = Starlette(routes=routes, lifespan=scheduler.lifespan)
