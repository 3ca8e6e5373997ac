"""Who asks an app with a value that cannot be used is told which, whatever the store would say."""

from datetime import datetime
from typing import Any

import pytest
from tests.engine.replica import RARELY, Replica, virtual

from schedcore import ConfigurationError, ScheduleError
from schedcore.codec import Unknown
from schedcore.protocols import Row


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


@virtual
async def test_what_is_no_name_key_or_limit_is_said(replica: Replica) -> None:
    """A function in the place of its name, a key that is no string, or no lines at all: each is named."""
    replica.add("a", RARELY)
    function: Any = print
    number: Any = 5
    control = replica.control
    async with replica.running():
        for ask in (control.trigger, control.pause, control.resume, control.history):
            with pytest.raises(ConfigurationError, match="its name, a string, not <built-in function"):
                await ask(function)
        with pytest.raises(ConfigurationError, match="its name, a string, not <built-in function"):
            await control.jobs([function])
        for ask in (control.trigger, control.pause, control.resume, control.history, control.cancel):
            with pytest.raises(ConfigurationError, match=r"no job is named '\\udcff'"):
                await ask("\udcff")
        with pytest.raises(ConfigurationError, match=r"no job is named '\\udcff'"):
            await control.jobs(["\udcff"])
        with pytest.raises(ConfigurationError, match="a key is a string of 1 to 200 characters, not 5"):
            await control.trigger("a", key=number)
        with pytest.raises(ConfigurationError, match="a key is text that UTF-8 can write"):
            await control.trigger("a", key="half a pair: \ud800")
        with pytest.raises(ConfigurationError, match="limit is a number of lines, 1 or more, not -1"):
            await control.history("a", limit=-1)


@virtual
async def test_a_job_of_a_later_release_is_there_and_cannot_be_asked(replica: Replica) -> None:
    """Nobody is told that there is none, and asked whether it was meant."""
    control = replica.control
    async with replica.running():
        replica.memory.rows["later"] = Row("later", 1, Unknown(b'{"format":2}'))
        for ask in (control.trigger, control.pause, control.resume, control.history, control.cancel):
            with pytest.raises(ConfigurationError, match="row of later cannot be read: a later release"):
                await ask("later")
