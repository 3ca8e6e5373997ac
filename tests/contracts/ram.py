"""Replicas over one RAM store, whose clock is the test's, so that no lease is waited for."""

from collections.abc import Sequence

from sched_ram import Memory, RamBackend
from schedcore.protocols import Backend, Micros
from schedcore.testing import World
from schedcore.testing._growth import weigh

START: Micros = 1_767_225_600_000_000


class RamWorld(World):
    """Replicas over one memory, whose clock goes on when told, and by a microsecond with each look."""

    refuses = False
    flushes = True
    neighbours = True
    sets_back = True
    measures = True

    def __init__(self) -> None:
        self.now = START
        self.memory = Memory(self.clock)

    def clock(self) -> Micros:
        """Tell the time."""
        self.now += 1
        return self.now

    async def make_backends(self, count: int) -> Sequence[Backend]:
        """Make them."""
        backends = [RamBackend("app", memory=self.memory) for _ in range(count)]
        for number, backend in enumerate(backends):
            await backend.open(f"r{number}")
        return backends

    async def make_neighbour(self) -> Backend:
        """Make one: each app has a memory of its own."""
        other = RamBackend("other", memory=Memory(self.clock))
        await other.open("r0")
        return other

    async def set_back(self, by: Micros) -> None:
        """Jump back."""
        self.now -= by

    async def advance(self, by: Micros) -> None:
        """Jump."""
        self.now += by

    async def size(self) -> int:
        """Count all but the ids of steps, of which there are so many at most."""
        return weigh({name: each for name, each in vars(self.memory).items() if "_committed" not in name})

    async def flush(self) -> None:
        """Lose everything."""
        self.memory.clear()


class OneLocker:
    """A locker that grants a name to one owner at a time; foreign to the RAM backend."""

    def __init__(self, world: RamWorld) -> None:
        self._world = world
        self._names: dict[str, tuple[str, Micros]] = {}
        self.log: list[str] = []

    async def acquire(self, name: str, owner: str, ttl: Micros) -> bool:
        """Grant a free name."""
        self.log.append(f"acquire {name} {owner}")
        other, until = self._names.get(name, (owner, 0))
        if other != owner and until > self._world.now:
            return False
        self._names[name] = owner, self._world.now + ttl
        return True

    async def release(self, name: str, owner: str) -> bool:
        """Free it for its owner."""
        self.log.append(f"release {name} {owner}")
        if self._names.get(name, ("", 0))[0] != owner:
            return False
        del self._names[name]
        return True
