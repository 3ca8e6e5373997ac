"""The store's machine, and its lines to each replica: calls that come late, or never, or go unanswered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, TypeAlias

from schedcore.protocols import Backend, Locker, Micros
from schedcore.testing._books import Broken
from schedcore.testing._machines import Machines
from schedcore.testing._stores import Outside, SimulatedStore
from schedcore.testing._witness import Witness

if TYPE_CHECKING:
    from schedcore.testing._replicas import Process

Method: TypeAlias = Callable[..., Awaitable[Any]]

TIMEOUT = 5.0
"""So many seconds a client waits for an answer that does not come."""

POLL = 0.1

MOST_CALLS = 3000
"""In one instant, of all replicas: whoever makes more of them goes round without a pause."""


class Server:
    """Where the store runs: it has a clock of its own, may be away, and may lose data."""

    def __init__(self, time: Machines, make: Callable[[Callable[[], Micros]], SimulatedStore]) -> None:
        """Start with an empty store."""
        self.time = time
        self.machine = time.add()
        self.offset: Micros = 0
        self.away_until: Micros = 0
        self._latest: Micros = 0
        self.clears = 0
        self.losses: list[Micros] = []
        self.witness = Witness()
        self.store = make(self.clock)
        time.in_turns = not self.store.atomic
        self._outside = Outside() if self.store.waits else None
        self._saved: list[tuple[Micros, object, Mapping[str, object]]] = []
        self._receiving: dict[asyncio.Task[Any], Process] = {}
        self.spinning = ""
        self._calls_at: Micros = 0
        self._calls = 0
        self._changes = 0
        self._misled = False

    def count(self, name: str) -> None:
        """Count the calls of this instant: somebody who asks without end would keep time from passing."""
        if self._calls_at != self.time.now:
            self._calls_at, self._calls = self.time.now, 0
        self._calls += 1
        if self._calls > MOST_CALLS:
            self.spinning = self.spinning or f"{MOST_CALLS} calls in one instant, the last of them {name}"
            raise ConnectionError("the store is asked without end")

    def clock(self) -> Micros:
        """Tell the store's time."""
        return self.time.now + self.offset

    @property
    def away(self) -> bool:
        """Whether nobody can reach it."""
        return self.time.now < self.away_until

    def outage(self, lasts: Micros) -> None:
        """Be away; whoever waits for an answer hears that the connection is gone."""
        self.away_until = max(self.away_until, self.time.now + lasts)
        self.disconnect(lambda process: True)

    def disconnect(self, whom: Callable[[Process], bool]) -> None:
        """Break the connections on which somebody waits for triggers."""
        for task, process in list(self._receiving.items()):
            if whom(process):
                task.cancel()
                self.time.wake(self.machine)

    def step(self, by: Micros) -> None:
        """Set the clock."""
        self._latest = max(self._latest, self.clock())
        self.offset += by

    def save(self) -> None:
        """Take a snapshot, if the store can."""
        if self.store.restores:
            self._saved.append((self.time.now, self.store.save(), self.witness.save()))

    def lose(self) -> None:
        """Lose everything."""
        if self.store.loses:
            self.store.clear()
            self.clears += 1
            self._lost()

    def fall_back(self, older: Micros) -> None:
        """Have what was there so long ago."""
        wanted = self.time.now - older
        fitting = [(saved, seen) for at, saved, seen in self._saved if at <= wanted]
        if fitting:
            saved, seen = fitting[-1]
            self.store.load(saved)
            self._lost(seen)

    def _lost(self, seen: Mapping[str, object] | None = None) -> None:
        self.losses.append(max(self._latest, self.clock()))  # it may have been set back before
        self.witness.lost_data(self.time.now, self.clock(), seen)

    async def perform(self, process: Process, name: str, method: Method, args: Any, clears: int) -> Any:
        """Do a call here, and answer it on the machine that asked, which did so when there were `clears`."""
        if self._outside is not None:
            return await self._perform_outside(name, method, args, clears)
        if self.store.atomic and name != "receive":
            return await self._do(name, method, args, clears)
        answer: asyncio.Future[Any] = process.machine.loop.create_future()
        done = partial(self._answer, process, answer)
        task = self.machine.spawn(self._do(name, method, args, clears), done)
        if name == "receive":
            self._receiving[task] = process
        try:
            return await answer
        except asyncio.CancelledError:
            if name == "receive":
                task.cancel()
                self.time.wake(self.machine)
            raise

    async def _do(self, name: str, method: Method, args: Any, clears: int) -> Any:
        answer = await method(*args[0], **args[1])
        self._note(name, args[0], answer, clears)
        return answer

    def _note(self, name: str, args: Sequence[Any], answer: Any, clears: int) -> None:
        witness, now = self.witness, self.time.now
        if name == "commit":
            witness.see(args[0], answer, now, from_before=clears != self.clears)
            self._compare(*[each.now for each in answer])
        elif name == "now":
            self._compare(answer)
        elif name == "receive":
            witness.asked_for(args[0], args[1], answer)
            witness.handed_out(answer, now, self.clock(), taken_over=False)
        elif name == "lapsed":
            witness.asked_for(args[0], args[1], answer)
        elif name == "take_over":
            witness.handed_out(answer, now, self.clock(), taken_over=True)
        elif name == "renew":
            witness.renewed(answer, now, self.clock())
        elif name == "cancel":
            witness.asked_to_cancel(args[0], args[1], held=answer)
        elif name == "give_back":
            witness.given_back(args[0], now)

    def _compare(self, *told: Micros) -> None:
        """See that the store tells one time, that of its own clock."""
        wrong = [now for now in told if abs(now - self.clock()) > 1000]
        if wrong and not self._misled:
            self._misled = True
            what = f"the store told a time {(wrong[0] - self.clock()) / 1_000_000:g} s off its own clock"
            self.witness.broken.append(Broken("clock", what))

    def _answer(self, process: Process, answer: asyncio.Future[Any], task: asyncio.Task[Any]) -> None:
        self._receiving.pop(task, None)
        error: BaseException | None = (
            ConnectionError("the connection broke") if task.cancelled() else task.exception()
        )
        if process.machine.gone:
            return

        def tell() -> None:
            if answer.done():
                return
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(task.result())

        process.machine.loop.call_soon_threadsafe(tell)

    async def _perform_outside(self, name: str, method: Method, args: Any, clears: int) -> Any:
        assert self._outside is not None
        if name != "receive":
            answer = self._outside.call(method, *args[0], **args[1])
            self._changes += name in ("commit", "give_back", "lapsed")
            self._note(name, args[0], answer, clears)
            return answer
        jobs, limit, wait = args[0]
        end, seen = self.time.now + wait, -1
        while True:
            if self.away:
                raise ConnectionError("the connection broke")
            taken = self._outside.call(method, jobs, limit, 0) if self._changes != seen else ()
            seen = self._changes
            if taken or self.time.now >= end:
                self._note(name, args[0], taken, clears)
                return taken
            await asyncio.sleep(POLL)

    def close(self) -> None:
        """Remove what is left."""
        self.store.close()
        if self._outside is not None:
            self._outside.close()


class Line:
    """A backend as one process has it: every call may come late, never, or go unanswered."""

    name = "simulated"
    notice = ""

    def __init__(self, server: Server, process: Process, backend: Backend, random: Random) -> None:
        """Connect a process with the store."""
        self.locker: Locker = backend.locker
        self.executor = backend.executor
        self.bus: Any = _Calls(backend.bus, self)
        self.store: Any = _Calls(backend.store, self)
        self._server = server
        self._process = process
        self._backend = backend
        self._random = random

    async def open(self, replica: str) -> None:
        """Connect."""
        await self.call("open", self._backend.open, ((replica,), {}))

    async def close(self) -> None:
        """Disconnect."""
        if not self._process.dead:
            await self._server.perform(self._process, "close", self._backend.close, ((), {}), 0)

    async def call(self, name: str, method: Method, args: Any) -> Any:
        """Make a call, of which anything may be lost."""
        server, process, noise = self._server, self._process, self._process.node.noise
        clears = server.clears
        server.count(name)
        await self._travel()
        if process.dead or process.dies_in(name, heard=False):
            await asyncio.Event().wait()
        await self._reach("the request was lost", noise.unheard if noise else 0.0)
        answer = await server.perform(process, name, method, args, clears)
        if process.dead or process.dies_in(name, heard=True):
            await asyncio.Event().wait()
        await self._reach("the reply was lost", noise.unanswered if noise else 0.0)
        await self._travel()
        return answer

    async def _travel(self) -> None:
        noise = self._process.node.noise
        if noise is not None and noise.delay:
            await asyncio.sleep(self._random.random() * noise.delay)

    async def _reach(self, what: str, chance: float) -> None:
        node = self._process.node
        if node.is_cut_off:
            if node.silent:
                await asyncio.sleep(TIMEOUT)
            raise ConnectionError(what)
        if self._server.away or (chance and self._random.random() < chance):
            raise ConnectionError(what)


class _Calls:
    def __init__(self, target: Any, line: Line) -> None:
        self._target, self._line = target, line

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method, line = getattr(self._target, name), self._line
        if name.startswith("_"):
            return method  # type: ignore[no-any-return]  # what an author's executor and bus know of each other

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await line.call(name, method, (args, kwargs))

        self.__dict__[name] = call
        return call
