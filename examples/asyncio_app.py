"""Jobs inside an asyncio program; they share its event loop: python examples/asyncio_app.py"""

import asyncio

from schedcore import Scheduler

scheduler = Scheduler("asyncio-app", backend="ram")
measured: asyncio.Queue[int] = asyncio.Queue()


@scheduler.job("@every 500ms")
async def measure() -> None:
    await measured.put(measured.qsize())


async def main() -> None:
    async with scheduler:
        for _ in range(3):
            await measured.get()
            print("measure ran")
        done = await scheduler.trigger("measure", wait=True)
        print(f"by hand: {done.outcome}")


if __name__ == "__main__":
    asyncio.run(main())
