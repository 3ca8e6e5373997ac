"""What operators' commands take, each a process of its own, of an app with 10,000 jobs and a million lines.

    python -m benchmarks operators

The store is filled by scripts. One of the jobs has 100,000 lines, the most that there may be. What a Python
takes that only starts is told beside.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

import redis
from tests.redis.servers import RedisServer

from schedcore import codec
from schedcore._state import JobState, Options, Spec
from schedcore._units import to_datetime
from schedcore.protocols import Micros, Status

APP, LONG = "big", "long"
JOBS, LINES, OF_LONG = 10_000, 90, 100_000
MINUTE: Micros = 60_000_000

FILL = """
-- KEYS  the lists of lines, and of failures, of each job
-- ARGV  per job its name, how many lines, the instant of the newest, microseconds between two
for i = 1, #KEYS, 2 do
  local job, count, newest = ARGV[2 * i - 1], tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local gap = tonumber(ARGV[2 * i + 2])
  for n = count - 1, 0, -1 do
    local failed = n % 50 == 7
    local time = string.format('%.0f', newest - n * gap)
    local line = string.format('%.0f.1 ', newest - n * gap + 40000)
      .. '{"format":1,"type":"run","job":"' .. job .. '","scheduled_at":' .. time
      .. ',"status":"' .. (failed and 'failed' or 'succeeded')
      .. '","kind":"scheduled","key":"' .. time .. '","replica":"host-1-abcdef","started_at":' .. time
      .. ',"ended_at":' .. string.format('%.0f', newest - n * gap + 39000) .. ',"attempt":1,"delivery":1}'
    redis.call('LPUSH', KEYS[i], line)
    if failed then redis.call('LPUSH', KEYS[i + 1], line); redis.call('LTRIM', KEYS[i + 1], 0, 19) end
  end
end
"""


def fill(client: redis.Redis) -> None:
    """Make jobs that are due each minute, with a line for each of their last times."""
    now = time.time_ns() // 1000 // MINUTE * MINUTE
    base = f"schedcore:{{{APP}}}:"
    script = client.register_script(FILL)
    names = [f"job-{number:05}" for number in range(JOBS - 1)] + [LONG]
    for start in range(0, JOBS, 100):
        part = names[start : start + 100]
        rows, keys, arguments = {}, [], []
        for number, name in enumerate(part, start):
            count = OF_LONG if name == LONG else LINES
            spec = Spec("* * * * *", options=Options(history=100_000, history_days=365))
            since = now - (count + 10) * MINUTE
            failed = len(range(7, count, 50))
            counters = {Status.SUCCEEDED: count - failed, Status.FAILED: failed}
            counters |= {Status.DEAD: 1} if number % 1000 == 3 else {}
            state = JobState(spec, since, now, "host-1-abcdef", since, counters=counters, last_success=now)
            rows[name] = b"%d fill:%d\n" % (now + number, number) + codec.dump(state)
            keys += [f"{base}runs:{name}", f"{base}failures:{name}"]
            arguments += [name, count, now, MINUTE]
        client.hset(f"{base}rows", mapping=rows)
        client.zadd(f"{base}names", dict.fromkeys(part, 0))
        script(keys, arguments)
    client.hset(f"{base}meta", mapping={"newest": now + JOBS, "epoch": "e", "beat": now})


def took(
    words: Sequence[str], environment: dict[str, str], client: redis.Redis
) -> tuple[float, float, float, str]:
    """Run a command; the seconds that it took, of a processor, and of Redis's, and what it said last."""
    begin, before, busy = time.perf_counter(), os.times(), _busy(client)
    done = subprocess.run(
        [sys.executable, *words], env=environment, capture_output=True, text=True, check=False
    )
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    said = (done.stdout + done.stderr).strip().rpartition("\n")[2][:70]
    return time.perf_counter() - begin, cpu, _busy(client) - busy, said


def _busy(client: redis.Redis) -> float:
    info = client.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


def commands() -> list[list[str]]:
    """List what operators ask."""
    now = time.time_ns() // 1000
    long_ago, between = (to_datetime(now - OF_LONG * part * MINUTE // 10).isoformat() for part in (9, 5))
    hour, days = (to_datetime(now - minutes * MINUTE).isoformat() for minutes in (60, 9_900))
    return [
        ["jobs"],
        ["jobs", "--json"],
        ["jobs", "job-00042"],
        ["jobs", "job-0042"],
        ["next", "* * * * *"],
        ["history", "job-00042"],
        ["history", LONG],
        ["history", LONG, "--status", "failed", "-n", "2000"],
        ["history", LONG, "--status", "dead"],
        ["history", LONG, "--until", long_ago],
        ["history", LONG, "--after", long_ago, "--until", between, "--status", "timed-out"],
        ["trigger", "job-00042"],
        ["pause", "job-00042"],
        ["resume", "job-00042"],
        ["pause", "--all"],
        ["resume", "--all"],
        ["cancel", "job-00042"],
        ["replicas"],
        ["dead", "list"],
        ["backfill", "job-00042", "--from", hour],
        ["backfill", LONG, "--from", long_ago, "--to", long_ago],
        ["audit", "job-00042"],
        ["audit", LONG],
        ["audit", LONG, "--from", long_ago, "--to", long_ago],
        ["audit", LONG, "--from", days],
        ["audit", LONG, "--from", long_ago],
        ["audit"],
        ["audit", "--from", hour],
        ["audit", "--from", long_ago],
        ["doctor"],
        ["backends"],
        ["purge", "--yes", APP],
    ]


def main() -> None:
    """Print what each takes."""
    with RedisServer() as server, server.client() as client, tempfile.TemporaryDirectory() as compiled:
        begin = time.perf_counter()
        fill(client)
        lines = (JOBS - 1) * LINES + OF_LONG
        print(f"{JOBS:,} jobs and {lines:,} lines, filled in {time.perf_counter() - begin:.0f} s")
        environment = {
            **os.environ,
            "SCHEDCORE_BACKEND": "redis",
            "SCHEDCORE_REDIS_URL": server.url,
            "SCHEDCORE_APP": APP,
            "PYTHONPYCACHEPREFIX": compiled,  # as an installed program has it, compiled before
        }
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        took(["-m", "schedcore", "doctor"], environment, client)
        print("  wall     cpu   Redis's")
        bare, cpu, _, _ = took(["-c", "import click, asyncio, redis.asyncio"], environment, client)
        print(f"{bare:6.2f} s {cpu:5.2f} s          python -c 'import click, asyncio, redis.asyncio'")
        for words in commands():
            seconds, cpu, busy, said = took(["-m", "schedcore", *words], environment, client)
            print(f"{seconds:6.2f} s {cpu:5.2f} s {busy:5.2f} s  schedcore {' '.join(words)}   [{said}]")


if __name__ == "__main__":
    main()
