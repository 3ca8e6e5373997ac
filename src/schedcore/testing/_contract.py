"""All conditions of `schedcore.protocols` in one class."""

from __future__ import annotations

from schedcore.testing._deliveries import DeliveryContract
from schedcore.testing._executor import ExecutorContract
from schedcore.testing._leases import LeaseContract
from schedcore.testing._locker import LockerContract
from schedcore.testing._steps import StepContract
from schedcore.testing._store import StoreContract
from schedcore.testing._versions import VersionContract


class BusContract(StepContract, VersionContract, DeliveryContract, LeaseContract):
    """All conditions of `schedcore.protocols.TriggerBus`."""


class BackendContract(BusContract, StoreContract, ExecutorContract, LockerContract):
    """All conditions that a backend keeps: subclass it, with a fixture `world`."""
