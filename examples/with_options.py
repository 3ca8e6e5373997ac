"""Retries, a time limit, a payload and the history: python examples/with_options.py"""

import logging

from schedcore import RunContext, Scheduler

scheduler = Scheduler("with-options", backend="ram", threads=4)


@scheduler.job("H 3 * * *", tz="Europe/Berlin", jitter=60, overlap="queue_one", timeout=30)
async def report(run: RunContext) -> None:
    rows = run.payload["rows"] if run.payload else 1000
    run.progress(rows, rows, note="rows written")
    print(f"report ran for {rows} rows, {run.kind}")


@scheduler.job("@hourly", retries=2, retry_on=ConnectionError)
def fetch(run: RunContext) -> None:
    if run.attempt == 1:
        raise ConnectionError("the first attempt always fails")
    print(f"fetch ran, attempt {run.attempt}")


def main() -> None:
    logging.basicConfig(level=logging.ERROR)
    with scheduler:
        ask = scheduler.blocking
        print(ask.trigger("report", payload={"rows": 12}, wait=True, timeout=5))
        print(ask.trigger("fetch", wait=True, timeout=10))
        for name in ("report", "fetch"):
            (line,) = ask.history(name, limit=1)
            print(f"{line.job}: {line.status}, attempt {line.attempt}, {line.detail!r}")
        for job in ask.jobs():
            print(f"{job.name}: next at {job.next_at}")


if __name__ == "__main__":
    main()
