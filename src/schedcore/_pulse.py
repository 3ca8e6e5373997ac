"""The beat: the store's clock, the leases, what others left behind, and whether the store still knows us."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from random import Random

from schedcore._clock import DOUBT, LEASE, StoreClock
from schedcore._commit import Committer
from schedcore._recovery import choose
from schedcore._runner import Runner
from schedcore._state import SECOND
from schedcore.protocols import Backend, Beat, Delivery, Micros

log = logging.getLogger("schedcore")

BEAT: Micros = 3 * SECOND
SKEW_WARNING: Micros = SECOND


class Pulse:
    """Beats every three seconds; each beat renews the leases and looks for lapsed ones."""

    def __init__(
        self,
        backend: Backend,
        replica: str,
        clock: StoreClock,
        committer: Committer,
        runner: Runner,
        facts: Callable[[], Mapping[str, object]],
        random: Random,
    ) -> None:
        """Begin without a beat."""
        self.alive: frozenset[str] = frozenset((replica,))
        self.epoch = ""
        self.moved = False
        self._server = ""
        self._newest_at_loss = -1
        self.last_beat: Micros = 0
        self.restarted_at: Micros = 0
        self.stepped: Micros = 0
        self.said: Mapping[tuple[str, str], str] = {}
        self._backend = backend
        self._replica = replica
        self._clock = clock
        self._committer = committer
        self._runner = runner
        self._facts = facts
        self._random = random
        self._renewed = clock.clock.monotonic()
        self._warned_skew = False
        self._now_please = asyncio.Event()

    def hurry(self) -> None:
        """Have the next beat, and the next sweep, now."""
        self._now_please.set()

    async def beat(self) -> tuple[bool, frozenset[str]]:
        """Beat once; whether the store lost data, and which replicas are gone since the last beat.

        `moved` tells whether it may have: its server was restarted, or is another one.
        """
        clock = self._clock.clock
        seen, sent = self._committer.newest, clock.monotonic()
        answer = await self._backend.store.beat(self._replica, self._facts(), LEASE)
        received = clock.monotonic()
        stepped = self.stepped = self._clock.measure(sent, received, answer.now)
        if stepped:
            log.warning(
                "the store's clock stepped by %.1f s",
                stepped / SECOND,
                extra={"event": "clock.step", "step": stepped / SECOND},
            )
        self._warn_of_skew()
        if answer.gap > 60 * SECOND or not self.restarted_at:
            self.restarted_at = answer.now
        lost = self._lost(answer, seen)
        self.moved = bool(self._server) and answer.server != self._server
        self._server = answer.server
        gone = self.alive - answer.alive
        self.alive, self.epoch, self.last_beat = answer.alive, answer.epoch, received
        return lost, gone

    def _lost(self, answer: Beat, seen: int) -> bool:
        fell_back = answer.newest < seen and answer.newest != self._newest_at_loss  # which was told once
        began_anew = answer.epoch != self.epoch or fell_back or self._committer.has_proof
        lost = bool(self.epoch) and began_anew
        if lost:
            self._committer.newest = self._newest_at_loss = answer.newest
        elif answer.newest >= seen:
            self._newest_at_loss = -1
        return lost

    def _warn_of_skew(self) -> None:
        skew = self._clock.skew
        if abs(skew) > SKEW_WARNING and not self._warned_skew:
            log.warning(
                "this machine's clock is %+.1f s off the store's; schedules follow the store's",
                skew / SECOND,
                extra={"event": "clock.skew", "skew": skew / SECOND},
            )
        self._warned_skew = abs(skew) > SKEW_WARNING

    def sure(self) -> bool:
        """Tell whether the leases were renewed in time, so that something may begin; from any thread."""
        return self._clock.clock.monotonic() < self._renewed + DOUBT

    async def renew(self) -> None:
        """Renew every lease; let go of what somebody else has, and of what is to be cancelled."""
        held = {e.delivery: e for e in self._runner.held.values()}
        sent = self._clock.clock.monotonic()
        if held:
            renewal = await self._backend.bus.renew(held.keys(), self._runner.notes())
            for delivery, execution in held.items():
                if execution.over:
                    continue  # its end may have been committed meanwhile
                if delivery not in renewal.mine:
                    self._runner.taken_over(delivery)
                elif (delivery.trigger.job, delivery.trigger.key) in renewal.cancel:
                    execution.interrupt("it was cancelled by hand")
        self._renewed = sent
        self._runner.renewed()

    async def sweep(self) -> Sequence[Delivery]:
        """Take over what lapsed, as far as there are places."""
        jobs, places = self._runner.wanted(), self._runner.places()
        if places <= 0 or not jobs:
            return ()
        lapsed = await self._backend.bus.lapsed(jobs, places)
        waits = any(e.delivery.number > 2 and not e.began for e in self._runner.held.values())
        if not (lapsed := choose(lapsed, self._random, waits)):
            return ()
        self.said = {}
        with suppress(Exception):  # without what their last holders said they are taken over all the same
            held = await self._backend.store.held({delivery.trigger.job for delivery in lapsed})
            self.said = {(h.delivery.trigger.job, h.delivery.trigger.key): h.note for h in held if h.note}
        return await self._backend.bus.take_over(lapsed)

    async def wait(self) -> None:
        """Wait for the next beat."""
        try:
            async with asyncio.timeout(BEAT / SECOND):  # wait_for of 3.11 may swallow a cancellation
                await self._now_please.wait()
        except TimeoutError:
            return
        self._now_please.clear()

    async def watch(self) -> None:
        """Tell the runs, in time, that their leases could not be renewed; for ever."""
        while True:
            left = self._renewed + DOUBT - self._clock.clock.monotonic()
            if left <= 0:
                self._runner.doubt()
                left = BEAT
            await asyncio.sleep(left / SECOND)
