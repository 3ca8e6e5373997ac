"""Every contract between the core and a backend, and the values that they exchange.

The core decides, the backend commits. A rule of the core turns rows and the store's now into a
`Step`; a backend commits that step whole or not at all, and only if the rows are still the versions
that the rule saw. Beyond this a backend knows its own clock, one owner per delivery with a token
that grows, to hand out only what was asked for, and to append history. It knows no rule: what is in
a row's `data` and a trigger's `options` is opaque, kept as it is or as bytes made by `schedcore.codec`.

    Schedule -> Ticker -> rules -> TriggerBus.commit                 "send"
                                        |
                TriggerBus.receive -> Executor -> Runner -> your function
                                        |
    History <- TriggerBus.commit <- rules <- Runner                  "done"

All instants here are `Micros`: whole microseconds since the Unix epoch, UTC. Methods may raise any
exception when the store is away: the engine repeats the same call, so each must be safe to repeat.
All are called from one event loop per backend object, concurrently.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from schedcore.values import (
    APP_ROW,
    Answer,
    Beat,
    Condition,
    Delivery,
    Finding,
    Holding,
    Keep,
    Kind,
    Micros,
    Renewal,
    Replica,
    Row,
    Run,
    Status,
    Step,
    Trigger,
    Verdict,
)

__all__ = [
    "APP_ROW",
    "ROW",
    "Answer",
    "Backend",
    "Beat",
    "Condition",
    "Delivery",
    "Examining",
    "Executor",
    "Finding",
    "Holding",
    "Keep",
    "Kind",
    "Locker",
    "Micros",
    "Places",
    "Purging",
    "Renewal",
    "Replica",
    "Row",
    "Run",
    "Status",
    "Step",
    "Store",
    "Trigger",
    "TriggerBus",
    "Verdict",
]


ROW = "row "
"""What the name of a lock begins with that is for a job's row."""


class Locker(Protocol):
    """Lets one replica act under a name.

    It spares losers work and serves buses that cannot compare versions; the row decides all the same.
    The core takes the name `ROW + job` for a moment when that job's row changes faster than it can commit:
    a bus that knows of it answers HELD to the others.

    * `acquire` grants a name to one owner at a time, and again to the owner who has it.
    * A name is free again after `ttl`, whatever became of its owner.
    * `release` frees a name only for the owner who has it; for anybody else it changes nothing.
    """

    async def acquire(self, name: str, owner: str, ttl: Micros) -> bool:
        """Take `name` for `owner`; tell whether the owner has it now."""
        ...

    async def release(self, name: str, owner: str) -> bool:
        """Give `name` back; tell whether it was the owner's."""
        ...


class TriggerBus(Protocol):
    """Carries triggers and commits steps.

    * A step is all or nothing. The id of a committed step, repeated, answers DONE and changes nothing: this
      is looked up before all else. For two minutes or four thousand steps at least the id of each row's last
      step is remembered, and those of the last thirty that deleted; never that of a step that was refused.
    * CHANGED, with the rows as they are, if a version differs; EARLY if the store's now is before
      `not_before`; HELD if the step sends and the locker refuses; NOT_OURS, naming them, if a delivery in
      `done` is not this replica's under its token. Nothing is changed by any of these.
    * Where `Beat.server` is not empty: HELD on any other server than the last beat told of, until the
      next beat. It may lack what was acknowledged, and the core first has to compare.
    * A new version, and a token, is max(newest + 1, the store's now): it never comes back, not after
      a flush, not after a row was deleted and made again. A step that deletes takes one too.
    * A trigger is in the bus until a committed step has it in `done`; nothing unfinished is trimmed.
    * A trigger is known by (job, key). One that is in the bus already is not sent twice: what is there stays.
      Within a step `done` is applied before `send`.
    * A job's name is 1 to 200 of the ASCII letters, digits and `. _ - : /`. A trigger's key is 1 to 209
      characters that UTF-8 can write, NUL too: the 200 that a caller may give, behind "backfill:". Two of
      either are the same only if each character is. A payload has 64 KB of JSON at most.
    * A lease is ten seconds from the receive, the take-over or the last renewal, by the store's clock.
    * A delivery has one owner and a lease. Only its owner renews it, gives it back or finishes it; a
      lease that ran out may still be renewed until somebody has taken the delivery over.
    * Only jobs that the caller names are handed out; all others wait where one that knows them finds them.
    * A receive whose reply was lost leaves deliveries that nobody renews: they lapse.
    * While the app's beats have a gap (over 4.5 s between two, or since the last), and for one lease
      after it, nothing is taken over: its owners may merely have been cut off.
    """

    async def commit(self, steps: Sequence[Step], locker: Locker) -> Sequence[Answer]:
        """Commit each step by itself, in order; one answer per step."""
        ...

    async def receive(self, jobs: frozenset[str], limit: int, wait: Micros) -> Sequence[Delivery]:
        """Take at most `limit` waiting triggers of `jobs`, oldest first; wait at most `wait` for one."""
        ...

    async def renew(self, held: Collection[Delivery], notes: Mapping[tuple[str, str], str]) -> Renewal:
        """Renew the leases of exactly these; `notes` are by (job, key)."""
        ...

    async def give_back(self, held: Collection[Delivery]) -> None:
        """Make these available to all at once, under their number; ignore those that are not ours."""
        ...

    async def lapsed(self, jobs: frozenset[str], limit: int) -> Sequence[Delivery]:
        """List deliveries of `jobs` whose lease has run out and which may be taken over now.

        And triggers that are nobody's, if `receive` would no longer come across them: with number 1.
        """
        ...

    async def take_over(self, seen: Collection[Delivery]) -> Sequence[Delivery]:
        """Take those that are still lapsed under the token seen, with the next number and a new token.

        What was nobody's keeps its number 1.
        """
        ...

    async def cancel(self, job: str, key: str) -> bool:
        """Ask the holder of (job, key), with its next renewal, to cancel; tell whether it is held."""
        ...


class Places(Protocol):
    """What an executor gets from the core: where deliveries are run."""

    async def free(self) -> int:
        """Wait until at least one place is free; how many are."""
        ...

    def start(self, deliveries: Sequence[Delivery]) -> None:
        """Have these run; they are this replica's until the core finishes them or gives them back."""
        ...


class Executor(Protocol):
    """Takes deliveries and has them run, no more than there are places for.

    * Cancelling `serve` stops taking; nothing that was taken is lost by it.
    * `jobs` is asked anew for each receive.
    * What the bus raises ends `serve`; the core calls it again once the store is back.
    """

    async def serve(self, bus: TriggerBus, jobs: Callable[[], frozenset[str]], places: Places) -> None:
        """Take and start deliveries until cancelled."""
        ...


class Store(Protocol):
    """Reads what the bus wrote, and keeps who is alive.

    * `rows` of named jobs answers for each of them, absent ones as version 0, with `held` always read: no
      sooner than the row, or what was just sent is taken for lost.
    * `rows(None)` is without the app's own row, in the order of the names' bytes.
    * A job keeps its newest `Keep.lines` lines, and its newest `Keep.failures` that are no success.
      Newest is what was written last. What goes with a deleted row is not its history.
    * `runs` heeds what is empty or 0: no `statuses` are none.
    * `beat` keeps the replica that is named among the living for `ttl`, and answers with the store's own now.
      Saying goodbye gives no delivery back.
    * What is over leaves nothing: finished triggers, replicas that are gone, old lines, old ids of steps.
    """

    async def now(self) -> Micros:
        """Tell the store's clock."""
        ...

    async def rows(
        self, jobs: Collection[str] | None = None, *, after: str = "", limit: int = 1000
    ) -> Sequence[Row]:
        """Read the rows of `jobs`; for `None` those of all jobs behind `after`, in order of name."""
        ...

    async def runs(
        self,
        job: str,
        *,
        statuses: Collection[Status] | None = None,
        after: Micros | None = None,
        until: Micros | None = None,
        limit: int = 50,
        cursor: str = "",
    ) -> tuple[Sequence[Run], str]:
        """Read lines of history, newest first, and the cursor for the next page (empty: no more)."""
        ...

    async def held(self, jobs: Collection[str] | None = None) -> Sequence[Holding]:
        """List what is held by whom."""
        ...

    async def beat(self, replica: str, facts: Mapping[str, object], ttl: Micros) -> Beat:
        """Say that `replica` lives; `ttl` 0 says that it has left."""
        ...

    async def replicas(self) -> Sequence[Replica]:
        """List the living."""
        ...


class Examining(Protocol):
    """What a store may be able to do as well: to look at its server, for `schedcore doctor`.

    * Only what concerns operation: is it kept, may it be lost, is there room, may we do what we have to.
    * Nothing is changed by it. What cannot be told, for want of a right, say, is a finding too.
    """

    async def examine(self) -> Sequence[Finding]:
        """Tell how the server is, each thing with a remedy unless it is as it should be."""
        ...


class Purging(Protocol):
    """What a store may be able to do as well: to forget its app.

    * `purge` removes all that there is of the app: rows, history, what is unfinished, who lives.
    * Other apps are left alone. Replicas that live notice a loss of data, and put back what they remember.
    """

    async def purge(self) -> bool:
        """Remove it; tell whether there was anything."""
        ...


class Backend(Protocol):
    """Locker, bus, executor and store of one app, as one entry point of `schedcore.backends` makes them.

    The entry point's value is a factory: `factory(app, **options)`. It must not connect; `open` does.
    `notice` is said at start, for what users of the backend should not be surprised by (or empty).
    One whose apps no other process reaches has an attribute `shared`, which is false: commands say so.
    """

    name: str
    notice: str
    locker: Locker
    bus: TriggerBus
    executor: Executor
    store: Store

    async def open(self, replica: str) -> None:
        """Connect as `replica`, on the running loop; repeated after a failure.

        It may come while an earlier `close` is still at work, and in a child that was forked while this
        process had it open.
        """
        ...

    async def close(self) -> None:
        """Close what `open` opened; safe to repeat."""
        ...
