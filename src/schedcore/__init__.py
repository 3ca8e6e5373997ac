"""Cron jobs on every replica, each scheduled time once, and it gets done."""

from __future__ import annotations

from schedcore._answers import Health, JobInfo, ReplicaInfo, RunInfo, Running, Triggered
from schedcore._audit import Audit, Audited
from schedcore.context import RunContext, current_run
from schedcore.errors import (
    BackendError,
    ConfigurationError,
    LifecycleError,
    SchedcoreError,
    ScheduleError,
    StoreUnavailableError,
    UnknownJobError,
)
from schedcore.protocols import Kind, Status
from schedcore.scheduler import Scheduler
from schedcore.schedules import Schedule, parse_schedule

__all__ = [
    "Audit",
    "Audited",
    "BackendError",
    "ConfigurationError",
    "Health",
    "JobInfo",
    "Kind",
    "LifecycleError",
    "ReplicaInfo",
    "RunContext",
    "RunInfo",
    "Running",
    "SchedcoreError",
    "Schedule",
    "ScheduleError",
    "Scheduler",
    "Status",
    "StoreUnavailableError",
    "Triggered",
    "UnknownJobError",
    "current_run",
    "parse_schedule",
]
