"""What the deployments beside this file run: schedcore run app:scheduler"""

import asyncio
import os

from schedcore import RunContext, Scheduler

# Kubernetes, Compose and systemd below kill after 30 s: what runs has 20 to come to its end.
scheduler = Scheduler("billing", backend="redis", drain=20)


@scheduler.job("@every 2s")
async def sync_invoices(run: RunContext) -> None:
    run.log.info("begins")
    for part in range(4):
        run.progress(note=f"part {part + 1} of 4")
        await asyncio.sleep(0.2)
    print(f"sync_invoices of {run.scheduled_at:%H:%M:%S} ran in process {os.getpid()}", flush=True)
