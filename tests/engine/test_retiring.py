"""Jobs that nobody declares any more are retired by whoever beats, which has leases to renew meanwhile."""

import asyncio
from itertools import pairwise

import pytest
from tests.engine.flaky import Far, FlakyBackend
from tests.engine.replica import RARELY, Replica, events
from tests.engine.virtual import run_virtual

from schedcore import Status
from schedcore._pulse import BEAT
from schedcore._state import SECOND

MANY = 5000


def test_thousands_of_jobs_that_a_deploy_removed_are_retired_between_beats(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With two milliseconds a call, no two beats are further apart than two: many go together."""

    async def scenario() -> None:
        plain = Replica()
        backend = FlakyBackend("app", memory=plain.memory)
        backend.bus, backend.store = Far(backend.bus), Far(backend.store)
        r = Replica(backend)
        beats: list[float] = []
        for number in range(MANY):
            r.add(f"job-{number:04}", RARELY)
        async with r.running():
            await plain.control.trigger("job-0000", wait=True)
        r.jobs.clear()
        r.add("stays", RARELY)
        async with r.running() as engine:
            await plain.control.trigger("job-0001")  # which nobody will run
            beat = engine.pulse.beat

            async def noted() -> tuple[bool, frozenset[str]]:
                beats.append(r.now())
                return await beat()

            engine.pulse.beat = noted
            await asyncio.sleep(4500)
        assert max(later - earlier for earlier, later in pairwise(beats)) <= 2 * BEAT / SECOND
        assert set(plain.memory.rows) == {"", "stays"}
        assert events(caplog.records).count("job.retired") == MANY
        retired, _ = await plain.backend.store.runs("job-0000")
        assert [line.status for line in retired] == [Status.RETIRED, Status.SUCCEEDED]
        unrun, _ = await plain.backend.store.runs("job-0001")
        assert [line.status for line in unrun] == [Status.RETIRED, Status.LOST]

    run_virtual(scenario())
