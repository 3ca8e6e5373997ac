"""Jobs beside a program without an event loop; they run in threads: python examples/plain_script.py

With SCHEDCORE_BACKEND=redis several of it share the jobs.
"""

import os
import time

from schedcore import RunContext, Scheduler


def clean_up(run: RunContext) -> None:
    print(f"clean_up of {run.scheduled_at:%H:%M:%S} ran in process {os.getpid()}", flush=True)


def main() -> None:
    scheduler = Scheduler("plain-script", backend=os.environ.get("SCHEDCORE_BACKEND", "ram"))
    scheduler.add_job("clean-up", "@every 1s", clean_up)
    with scheduler:
        time.sleep(3.2)  # the program's own work
        (job,) = scheduler.blocking.jobs()
    print(f"{job.name} ended how often, and how: {job.counters}")


if __name__ == "__main__":
    main()
