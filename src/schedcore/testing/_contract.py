"""All conditions of `schedcore.protocols` in one class."""

from __future__ import annotations

from schedcore.testing._abilities import AbilityContract
from schedcore.testing._beats import BeatContract
from schedcore.testing._concurrency import ConcurrencyContract
from schedcore.testing._deliveries import DeliveryContract
from schedcore.testing._executor import ExecutorContract
from schedcore.testing._faults import FaultContract
from schedcore.testing._growing import GrowthContract
from schedcore.testing._handovers import HandoverContract
from schedcore.testing._history import HistoryContract
from schedcore.testing._leases import LeaseContract
from schedcore.testing._locker import LockerContract, ReservationContract
from schedcore.testing._neighbours import NeighbourContract
from schedcore.testing._parking import ParkingContract
from schedcore.testing._processes import ProcessContract
from schedcore.testing._repeats import RepeatContract
from schedcore.testing._restarts import RestartContract
from schedcore.testing._steps import StepContract
from schedcore.testing._store import StoreContract
from schedcore.testing._versions import VersionContract


class BackendContract(
    StepContract,
    RepeatContract,
    VersionContract,
    DeliveryContract,
    ParkingContract,
    LeaseContract,
    HandoverContract,
    StoreContract,
    HistoryContract,
    BeatContract,
    ExecutorContract,
    LockerContract,
    ReservationContract,
    NeighbourContract,
    ConcurrencyContract,
    FaultContract,
    ProcessContract,
    RestartContract,
    GrowthContract,
    AbilityContract,
):
    """All conditions that a backend keeps: subclass it, with a fixture `world`."""
