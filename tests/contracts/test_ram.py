"""sched_ram keeps the contracts; its clock is the test's, so that no lease is waited for."""

import pytest
from tests.contracts.ram import OneLocker, RamWorld

from sched_ram import RamBackend
from schedcore.protocols import Locker, Row
from schedcore.testing import BackendContract, LockerContract, World
from schedcore.testing.world import one, row_of, scenario, send, step, take, trigger


@pytest.fixture
def world() -> RamWorld:
    return RamWorld()


class TestRam(BackendContract):
    """The direct hand-over, the bounded store, `DirectExecutor` and `NoLocker`."""


class ForeignWorld(RamWorld):
    """The locker that the tests below give to the RAM bus, which is one object for both replicas."""

    refuses = True

    async def lockers(self) -> tuple[Locker, Locker]:
        locker = OneLocker(self)
        return locker, locker


class TestForeignLocker(LockerContract):
    """Is a locker, of which the bus makes use."""

    @pytest.fixture
    def world(self) -> RamWorld:
        return ForeignWorld()

    @scenario("`OneLocker`")
    async def test_the_bus_acquires_before_it_sends_and_releases_after(self, world: RamWorld) -> None:
        """A foreign locker is asked for steps that send, one name per scheduled time, and always released."""
        backend, locker = await one(world), OneLocker(world)
        first = step(Row("a"), send=(trigger(),))
        await backend.bus.commit([first, step(Row("b"))], locker)
        assert locker.log == ["acquire a/60000000 r0", "release a/60000000 r0"]

    @scenario("`OneLocker`")
    async def test_the_lock_is_released_when_the_step_is_refused(self, world: RamWorld) -> None:
        """A step that is CHANGED under the lock leaves no lock behind."""
        backend, locker = await one(world), OneLocker(world)
        await backend.bus.commit([step(Row("a", 5), send=(trigger(),))], locker)
        assert await locker.acquire("a/60000000", "r1", 1)
        assert len(await take(backend)) == 0

    @scenario("`OneLocker`")
    async def test_one_of_two_under_one_lock_sends(self, world: RamWorld) -> None:
        """While another replica has the name the step is HELD; afterwards its row has changed."""
        first, second = await world.make_backends(2)
        locker = OneLocker(world)
        await locker.acquire("a/60000000", "r1", 10)
        sending = step(Row("a"), send=(trigger(),))
        verdicts = [(await b.bus.commit([sending], locker))[0].verdict for b in (first, second, first)]
        assert verdicts == ["held", "done", "done"]
        assert len(await take(first)) == 1


@scenario("`Memory`")
async def _two_apps(_: object, world: World) -> None:
    await send(await one(world))
    other = RamBackend("other")
    await other.open("r0")
    assert (await row_of(other)).version == 0


def test_each_backend_has_a_memory_of_its_own_unless_one_is_given(world: RamWorld) -> None:
    """Two schedulers in one process share nothing by accident."""
    _two_apps(None, world=world)


@scenario("`Memory`")
async def _bounded(_: object, world: World) -> None:
    assert isinstance(world, RamWorld)
    backend = await one(world)
    for number in range(5000):
        await send(backend, trigger(at=number))
        await backend.bus.commit(
            [step(await row_of(backend), done=tuple(await take(backend)))], backend.locker
        )
    memory = world.memory
    assert len(memory._committed | memory._committed_before) <= 8192
    assert (memory.items, len(memory.waiting), memory.parked) == ({}, 0, {})


def test_the_store_is_bounded(world: RamWorld) -> None:
    """Five thousand finished triggers leave nothing but the history and the last few step ids."""
    _bounded(None, world=world)
