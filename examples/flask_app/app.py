"""Jobs in Flask, which find the application as a request does: gunicorn app:app (see gunicorn.conf.py)"""

import os
from typing import Any

from flask import Flask, current_app

from schedcore import RunContext
from schedcore.flask import FlaskScheduler

scheduler = FlaskScheduler("flask-app", backend="redis")


@scheduler.job("@every 1s")
def heartbeat(run: RunContext) -> None:
    print(f"heartbeat of {run.scheduled_at:%H:%M:%S} ran in process {os.getpid()}", flush=True)


@scheduler.job("0 3 * * *", tz="Europe/Berlin")
def report(run: RunContext) -> None:
    run.progress(note=f"{current_app.config['SHOP']} reported in process {os.getpid()}")


app = Flask(__name__)
app.config["SHOP"] = "corner shop"
scheduler.init_app(app)


@app.get("/")
def index() -> dict[str, Any]:
    return {"process": os.getpid(), "scheduling": scheduler.blocking.health().running}


@app.post("/report")
def report_now() -> dict[str, str]:
    triggered = scheduler.blocking.trigger("report", wait=True, timeout=20)
    return {"outcome": triggered.outcome}
