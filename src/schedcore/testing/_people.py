"""What people do to a cluster by hand, as events like those that befall it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from schedcore.protocols import Micros
from schedcore.testing._events import Event, seconds

if TYPE_CHECKING:
    from schedcore.testing._cluster import Cluster


@attrs.frozen
class Paused(Event):
    """One job or all (`job` is empty) are paused by hand, and resumed by hand or, with `ends`, by itself."""

    job: str
    lasts: Micros
    ends: bool

    def tell(self) -> str:
        """Tell it."""
        what = self.job or "every job"
        end = "until then" if self.ends else "and then resumed"
        return f"{what} is paused for {seconds(self.lasts)}, {end}"

    def act(self, cluster: Cluster) -> None:
        """Do it."""
        cluster.desk.pause(self.job or None, self.lasts, ends=self.ends)


@attrs.frozen
class Asked(Event):
    """Somebody triggers a job by hand, several times at once if `times` says so."""

    job: str
    key: str
    fails: bool = False
    times: int = 1

    def tell(self) -> str:
        """Tell it."""
        many = "" if self.times == 1 else f", {self.times} times at once"
        fails = ", and it is to fail" if self.fails else ""
        return f"somebody triggers {self.job} with the key {self.key}{many}{fails}"

    def act(self, cluster: Cluster) -> None:
        """Do it."""
        for _ in range(self.times):
            cluster.desk.trigger(self.job, self.key, "fail" if self.fails else None)


@attrs.frozen
class Cancelled(Event):
    """Somebody has every run of a job that is under way cancelled."""

    job: str

    def tell(self) -> str:
        """Tell it."""
        return f"somebody cancels what runs of {self.job}"

    def act(self, cluster: Cluster) -> None:
        """Do it."""
        cluster.desk.cancel(self.job)
