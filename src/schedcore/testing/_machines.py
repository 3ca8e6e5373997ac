"""Machines that share one virtual time: each has an event loop of its own, and may stand still alone."""

from __future__ import annotations

import asyncio
import heapq
import math
import selectors
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeAlias, TypeVar, TypeVarTuple

from schedcore.protocols import Micros
from schedcore.testing._loop import START

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

Raised: TypeAlias = Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object]

TOO_OFTEN = 100_000
"""So often in one instant a loop may go round: beyond, something never waits."""


class StandstillError(Exception):
    """A loop goes round for ever, and time does not pass."""

    def __init__(self) -> None:
        super().__init__(
            "something on a machine never waits, so that no time passes: a job that polls has to sleep"
        )


class _Selector(selectors.SelectSelector):
    """Stops the loop when nothing is ready, and tells when the next timer is due."""

    def __init__(self, time: Machines) -> None:
        super().__init__()
        self.time = time
        self.loop: asyncio.AbstractEventLoop
        self.next: Micros | None = None
        self._rounds = 0

    def select(self, timeout: float | None = None) -> list[Any]:
        passes = None if timeout is None else math.ceil(timeout * 1_000_000 - 0.1)
        if passes is not None and passes <= 0:
            self._rounds += 1
            if self._rounds > TOO_OFTEN:
                raise StandstillError
            if self.time.in_turns and self.time.others_are_due():
                self.next = self.time.now
                self.loop.stop()
            return []
        self._rounds = 0
        self.next = None if passes is None else self.time.now + passes
        self.loop.stop()
        return []


class MachineLoop(asyncio.SelectorEventLoop):
    """A loop that runs what is due now, whenever it is told to."""

    def __init__(self, time: Machines, machine: Machine) -> None:
        """Belong to a machine."""
        self._time, self._machine = time, machine
        self._idle = _Selector(time)
        super().__init__(self._idle)
        self._idle.loop = self
        self._clock_resolution = 1e-7  # a timer is ready once it is less than this ahead

    def time(self) -> float:
        """Tell how long all of it has run, in seconds."""
        return (self._time.now - self._time.start) / 1_000_000

    @property
    def now_us(self) -> Micros:
        """Tell the time of day."""
        return self._time.now

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Have something called, from another machine."""
        self._time.wake(self._machine)
        return self.call_soon(callback, *args, context=context)

    def run_now(self) -> Micros | None:
        """Run all that is due at this instant; when the next is."""
        self.run_forever()
        return self._idle.next


class Machine:
    """One computer, or one process: what runs on it is spawned, and stands still while it is frozen."""

    def __init__(self, time: Machines, number: int) -> None:
        """Belong to a time that all share."""
        self.number = number
        self.frozen = False
        self.gone = False
        self.due: Micros | None = None
        self.loop = MachineLoop(time, self)
        self.loop.set_exception_handler(time.raised)
        self._time = time

    def spawn(
        self, coroutine: Coroutine[Any, Any, T], hears: Callable[[asyncio.Task[T]], object] | None = None
    ) -> asyncio.Task[T]:
        """Run a coroutine here; unless somebody `hears` of its end, the machine tells of a failure."""
        task = self.loop.create_task(coroutine)
        task.add_done_callback(self._ended if hears is None else hears)
        self._time.wake(self)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        """Tell of a failure now: the collector would tell of it some time, or never."""
        if not self.gone and not task.cancelled() and (error := task.exception()) is not None:
            self.loop.call_exception_handler({"message": "a task failed", "exception": error})

    def freeze(self) -> None:
        """Stand still: no timer is looked at, and nothing is heard."""
        self.frozen = True

    def thaw(self) -> None:
        """Go on; all that was due meanwhile is due now."""
        if self.frozen:
            self.frozen = False
            self._time.wake(self)

    def end(self) -> None:
        """Be gone; what runs is cancelled, as the garbage collector would."""
        self.gone = True
        for _ in range(20):
            tasks = sorted((task for task in asyncio.all_tasks(self.loop) if not task.done()), key=_number)
            if not tasks:
                break
            for task in tasks:
                task.cancel()
            self.loop.run_now()
        self.loop.set_exception_handler(lambda loop, context: None)
        for task in asyncio.all_tasks(self.loop):
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # it refuses to end
        self.loop.close()


def _number(task: asyncio.Task[Any]) -> int:
    """Tasks in the order in which they were made, the same in each replay."""
    number = task.get_name().rpartition("-")[2]
    return int(number) if number.isdecimal() else 0


class Machines:
    """Virtual time, and the machines in it; `seed` decides which goes first at one instant."""

    def __init__(self, seed: int = 0, start: Micros = START, raised: Raised | None = None) -> None:
        """Begin at `start`, without machines; `raised` is told of what fails where nobody awaits it."""
        self.raised = raised
        self.in_turns = False
        """Whether machines take turns within an instant, so that what never waits may interleave."""
        self.start = start
        self.now = start
        self._seed = seed
        self._heap: list[tuple[Micros, int, int]] = []
        self._turns = 0
        self._machines: list[Machine] = []

    def add(self) -> Machine:
        """Make one more machine."""
        machine = Machine(self, len(self._machines))
        self._machines.append(machine)
        return machine

    def wake(self, machine: Machine, at: Micros | None = None) -> None:
        """Have a machine run at an instant: now, if it is not told."""
        at = self.now if at is None else at
        if machine.gone or (machine.due is not None and machine.due <= at):
            return
        machine.due = at
        self._turns += 1
        first = (self._seed + self._turns * 0x9E3779B1 + machine.number * 0x85EBCA6B) >> 7 & 0xFF
        heapq.heappush(self._heap, (at, first, machine.number))

    def others_are_due(self) -> bool:
        """Tell whether another machine has something to do at this instant."""
        return bool(self._heap) and self._heap[0][0] <= self.now

    def run_until(self, until: Micros, over: Callable[[], bool] = lambda: False) -> None:
        """Let time pass, at most until `over()`."""
        heap = self._heap
        while heap and heap[0][0] <= until and not over():
            at, _, number = heapq.heappop(heap)
            machine = self._machines[number]
            if machine.gone or machine.due != at:
                continue
            machine.due = None
            if machine.frozen:
                continue
            self.now = max(self.now, at)
            following = machine.loop.run_now()
            if following is not None:
                self.wake(machine, following)
        if not over():
            self.now = max(self.now, until)

    def close(self) -> None:
        """End every machine."""
        for machine in self._machines:
            if not machine.gone:
                machine.end()
