"""The contract tests that every backend passes: subclass them, and supply one fixture, `world`.

    from tests.contracts.contract import BusContract, World

    class MyWorld(World):
        async def make_backends(self, count): ...      # replicas of one app over one empty store

    class TestBus(BusContract):
        @pytest.fixture
        def world(self): return MyWorld()

Each condition in the docstrings of `schedcore.protocols` is a test named after it. A world may
override `advance` (else lapsing leases are waited for) and `flush` (else what needs it is skipped).
"""

from tests.contracts.deliveries import DeliveryContract
from tests.contracts.executor import ExecutorContract
from tests.contracts.leases import LeaseContract
from tests.contracts.locker import GrantingLockerContract, LockerContract
from tests.contracts.steps import Refusing, StepContract
from tests.contracts.store import StoreContract
from tests.contracts.versions import VersionContract
from tests.contracts.world import World


class BusContract(StepContract, VersionContract, DeliveryContract, LeaseContract):
    """All conditions of `schedcore.protocols.TriggerBus`."""


__all__ = [
    "BusContract",
    "ExecutorContract",
    "GrantingLockerContract",
    "LockerContract",
    "Refusing",
    "StoreContract",
    "World",
]
