"""What can befall a cluster, as data: each event tells itself in words, and acts when its time comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

from schedcore.protocols import Micros

if TYPE_CHECKING:
    from schedcore.testing._cluster import Cluster

SECOND: Micros = 1_000_000


def seconds(length: Micros) -> str:
    """Tell a length of time."""
    return f"{length / SECOND:g} s"


@attrs.frozen
class Event:
    """Something that happens `at` so long after the start."""

    at: Micros

    def tell(self) -> str:
        """Tell it in a sentence, without its time."""
        raise NotImplementedError

    def act(self, cluster: Cluster) -> None:
        """Have it happen."""
        raise NotImplementedError


@attrs.frozen
class Killed(Event):
    """A process dies wherever it is."""

    replica: str
    down: Micros

    def tell(self) -> str:
        """Tell it."""
        return f"replica {self.replica} is killed, and starts again {seconds(self.down)} later"

    def act(self, cluster: Cluster) -> None:
        """Do it."""
        cluster.node(self.replica).kill(self.down)


@attrs.frozen
class KilledInCall(Event):
    """A process dies while it waits for the store: the call was `heard`, or never arrived."""

    replica: str
    call: str
    heard: bool
    down: Micros

    def tell(self) -> str:
        """Tell it."""
        when = "once the store has done it" if self.heard else "before the store hears of it"
        return (
            f"replica {self.replica} is killed in its next {self.call}, {when}, and starts again "
            f"{seconds(self.down)} later"
        )

    def act(self, cluster: Cluster) -> None:
        """Do it."""
        cluster.node(self.replica).kill_in_call(self.call, self.down, heard=self.heard)


@attrs.frozen
class Stopped(Event):
    """A process is told to stop, and drains."""

    replica: str
    drain: float
    down: Micros

    def tell(self) -> str:
        """Tell it."""
        return (
            f"replica {self.replica} is stopped with {self.drain:g} s to drain, and starts again "
            f"{seconds(self.down)} later"
        )

    def act(self, cluster: Cluster) -> None:
        """Do it."""
        cluster.node(self.replica).stop(self.drain, self.down)


@attrs.frozen
class Frozen(Event):
    """A process stands still, with all that runs in it."""

    replica: str
    lasts: Micros

    def tell(self) -> str:
        """Tell it."""
        return f"replica {self.replica} is frozen for {seconds(self.lasts)}"

    def act(self, cluster: Cluster) -> None:
        """Do it."""
        cluster.node(self.replica).freeze(self.lasts)


@attrs.frozen
class CutOff(Event):
    """One replica cannot reach the store; if `silent`, its calls vanish without an error for a while."""

    replica: str
    lasts: Micros
    silent: bool

    def tell(self) -> str:
        """Tell it."""
        how = "silently" if self.silent else "with an error for each call"
        return f"replica {self.replica} is cut off from the store for {seconds(self.lasts)}, {how}"

    def act(self, cluster: Cluster) -> None:
        """Do it."""
        cluster.node(self.replica).cut_off(self.lasts, silent=self.silent)


@attrs.frozen
class Outage(Event):
    """The store is away for all."""

    lasts: Micros

    def tell(self) -> str:
        """Tell it."""
        return f"the store is away for {seconds(self.lasts)}"

    def act(self, cluster: Cluster) -> None:
        """Do it."""
        cluster.server.outage(self.lasts)


@attrs.frozen
class Restarted(Event):
    """The store is away, and back with its data, without any, or with what it had `older` before."""

    lasts: Micros
    data: Literal["kept", "lost", "older"]
    older: Micros = 0

    def tell(self) -> str:
        """Tell it."""
        with_ = {"kept": "with its data", "lost": "without its data"}
        what = with_.get(self.data, f"with its data of about {seconds(self.older)} before")
        return f"the store restarts within {seconds(self.lasts)}, {what}"

    def act(self, cluster: Cluster) -> None:
        """Do it."""
        if self.data == "lost":
            cluster.lose()
        elif self.data == "older":
            cluster.server.fall_back(self.older)
        cluster.server.outage(self.lasts)


@attrs.frozen
class StoreClockStepped(Event):
    """The store's own clock steps."""

    by: Micros

    def tell(self) -> str:
        """Tell it."""
        return f"the store's clock steps {_direction(self.by)}"

    def act(self, cluster: Cluster) -> None:
        """Do it."""
        cluster.server.step(self.by)


@attrs.frozen
class ClockJumped(Event):
    """A replica's wall clock jumps."""

    replica: str
    by: Micros

    def tell(self) -> str:
        """Tell it."""
        return f"the clock of replica {self.replica} jumps {_direction(self.by)}"

    def act(self, cluster: Cluster) -> None:
        """Do it."""
        cluster.node(self.replica).clock.skew_us += self.by


@attrs.frozen
class Noise(Event):
    """Of the calls of one replica, or of all, some are not heard, some not answered, and each takes time."""

    lasts: Micros
    replica: str
    unheard: float
    unanswered: float
    delay: float

    def tell(self) -> str:
        """Tell it."""
        whose = f"of replica {self.replica} " if self.replica else ""
        return (
            f"for {seconds(self.lasts)}, {self.unheard:.0%} of the calls {whose}are not heard, "
            f"{self.unanswered:.0%} not answered, and each takes up to {2 * self.delay:g} s"
        )

    def act(self, cluster: Cluster) -> None:
        """Do it."""
        for node in [cluster.node(self.replica)] if self.replica else cluster.nodes:
            node.disturb(self)


@attrs.frozen
class Deployed(Event):
    """Some replicas get another definition of a job, or lose it, or have it again as it first was.

    With `restart` they are new processes, one after the other; else they change while they run.
    """

    replicas: tuple[str, ...]
    job: str
    change: Literal["edit", "remove", "add"]
    schedule: str = ""
    restart: bool = True

    def tell(self) -> str:
        """Tell it."""
        what = {
            "edit": f"with {self.job} due {self.schedule}",
            "remove": f"without {self.job}",
            "add": f"with {self.job} as it first was",
        }[self.change]
        how = "restarted" if self.restart else "changed while running"
        many = (
            "replicas " + ", ".join(self.replicas)
            if len(self.replicas) > 1
            else f"replica {self.replicas[0]}"
        )
        return f"{many}: {how} {what}"

    def act(self, cluster: Cluster) -> None:
        """Do it."""
        for number, name in enumerate(self.replicas):
            cluster.later(number * 3 * SECOND, lambda name=name: cluster.node(name).change(self))  # type: ignore[misc]


def _direction(by: Micros) -> str:
    return f"{'forward' if by > 0 else 'back'} by {seconds(abs(by))}"
