"""Two jobs in the foreground, until Ctrl-C: python examples/quickstart.py"""

import logging

from schedcore import RunContext, Scheduler

scheduler = Scheduler("quickstart", backend="ram")


@scheduler.job("@every 1s")
async def tick() -> None:
    print("tick ran")


@scheduler.job("*/2 * * * * *")  # six fields: seconds come first
def tock(run: RunContext) -> None:
    print(f"tock ran, due at {run.scheduled_at:%H:%M:%S}")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    scheduler.run()
