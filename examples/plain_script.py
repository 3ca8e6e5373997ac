"""Jobs beside a program without an event loop; they run in threads: python examples/plain_script.py"""

import time

from schedcore import Scheduler


def clean_up() -> None:
    print("clean_up ran")


def main() -> None:
    scheduler = Scheduler("plain-script", backend="ram")
    scheduler.add_job("clean-up", "@every 500ms", clean_up)
    with scheduler:
        time.sleep(1.2)  # the program's own work
        (job,) = scheduler.blocking.jobs()
    print(f"{job.name} ended how often, and how: {job.counters}")


if __name__ == "__main__":
    main()
