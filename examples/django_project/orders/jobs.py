import os

from orders.models import Report
from schedcore import RunContext
from schedcore.django import scheduler


@scheduler.job("@every 1s")
def heartbeat(run: RunContext) -> None:
    print(f"heartbeat of {run.scheduled_at:%H:%M:%S} ran in process {os.getpid()}", flush=True)


@scheduler.job("0 3 * * *", tz="Europe/Berlin")
def report(run: RunContext) -> None:
    Report.objects.create(process=os.getpid(), scheduled_at=run.scheduled_at)
    run.progress(note=f"{Report.objects.count()} reports")
