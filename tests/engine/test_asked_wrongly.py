"""Who asks an app with a value that cannot be used is told which, whatever the store would say."""

from datetime import datetime
from typing import Any

import pytest
from tests.engine.replica import RARELY, Replica, virtual

from schedcore import ScheduleError


@virtual
async def test_what_is_no_instant_is_named(replica: Replica) -> None:
    """A time without a zone, a date or text is refused by the option's name, not blamed on the store."""
    replica.add("a", RARELY)
    naive: Any = datetime(2026, 1, 1)  # noqa: DTZ001  that is the point
    async with replica.running():
        for wrong in (naive, naive.date(), "tomorrow", 3600):
            with pytest.raises(ScheduleError, match=r"^until .*: an instant is an aware datetime"):
                await replica.control.pause("a", until=wrong)
            with pytest.raises(ScheduleError, match=r"^until .*: an instant is an aware datetime"):
                await replica.control.history("a", until=wrong)
            with pytest.raises(ScheduleError, match=r"^after .*: an instant is an aware datetime"):
                await replica.control.history("a", after=wrong)
