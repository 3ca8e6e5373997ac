"""The store's clock is set while a replica runs, which learns of it with its next beat."""

import asyncio

import pytest
from tests.engine.flaky import Far, FlakyBackend
from tests.engine.replica import RARELY, Replica
from tests.simulation.virtual import now_us, run_virtual

from schedcore._state import SECOND
from schedcore.protocols import Micros


async def stepped(by: Micros) -> tuple[float, int]:
    """Trigger a job after the clock was set; how long until it starts, and how often it was given back."""
    plain = Replica()
    backend = FlakyBackend("app", memory=plain.memory)
    backend.bus = Far(backend.replica_bus)
    r = Replica(backend)
    r.add("a", RARELY)
    async with r.running():
        await asyncio.sleep(20.1)  # behind a beat; the last number was given out twenty seconds ago
        plain.memory.clock = lambda: now_us() + by
        asked = r.now()
        await plain.control.trigger("a", wait=True)
        (started,) = r.starts
        return started - asked, backend.bus.calls.count("give_back")


@pytest.mark.parametrize("by", [-20, -3600, 20, 3600])
def test_what_is_handed_out_right_after_the_stores_clock_was_set_begins(by: int) -> None:
    """Set back, what is claimed looks old until the next beat: that comes at once, nothing else before."""
    took, given_back = run_virtual(stepped(by * SECOND))
    assert given_back <= 1, "it was received and given back over and over"
    assert took < 0.1
