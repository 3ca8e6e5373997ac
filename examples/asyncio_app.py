"""Jobs inside an asyncio program; they share its event loop: python examples/asyncio_app.py

With SCHEDCORE_BACKEND=redis several of it share the jobs.
"""

import asyncio
import os

from schedcore import RunContext, Scheduler

scheduler = Scheduler("asyncio-app", backend=os.environ.get("SCHEDCORE_BACKEND", "ram"))
measured: asyncio.Queue[str] = asyncio.Queue()


@scheduler.job("@every 1s")
async def measure(run: RunContext) -> None:
    await measured.put(f"measure of {run.scheduled_at:%H:%M:%S} ran in process {os.getpid()}")


async def show() -> None:
    while True:
        print(await measured.get(), flush=True)


async def main() -> None:
    async with scheduler, asyncio.TaskGroup() as program:
        showing = program.create_task(show())
        await asyncio.sleep(3.2)  # the program's own work
        showing.cancel()
    print("it has stopped")


if __name__ == "__main__":
    asyncio.run(main())
