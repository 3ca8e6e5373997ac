"""A row that lost what was seen of it, while a rule needs to know what the bus holds."""

from __future__ import annotations

import asyncio

import attrs
from tests.engine.virtual import now_us, run_virtual

from sched_ram import Memory, RamBackend
from schedcore._commit import Committer
from schedcore._draft import Draft, HeldUnknownError
from schedcore._state import JobState, Spec
from schedcore.protocols import Row, Step, Verdict


class AtOnce:
    """Calls once."""

    async def call(self, attempt):
        return await attempt()


def test_whoever_waits_for_what_is_remembered_lets_others_go_on() -> None:
    """A rule that needs the keys of a row which is not believed waits, and says nothing if that lasts."""

    async def main() -> tuple[bool, list[str]]:
        memory = Memory(now_us)
        backend = RamBackend("app", memory=memory)
        await backend.open("r")
        committer = Committer(backend, AtOnce(), "r")
        hurried: list[bool] = []
        committer.fell_back = lambda: hurried.append(True)
        state = JobState(Spec("@every 1m"), 0, 5, "r", 0)
        await committer.apply(["a"], lambda row, app: Step("s", "a", (("a", 0),), state), app=False)
        memory.clear()

        def rule(row: Row, app: Row) -> Draft | None:
            if row.held is None:
                raise HeldUnknownError
            return Draft(attrs.evolve(row, data=state))

        answers = await asyncio.wait_for(committer.apply(["a"], rule, app=False), 10)
        committer.forget()
        again = await committer.apply(["a"], rule, app=False)
        return bool(hurried) and not answers, [answer.verdict for answer in again.values()]

    assert run_virtual(main()) == (True, [Verdict.DONE])


def test_who_waits_for_what_is_remembered_waits_once_for_all_jobs() -> None:
    """Who waits may be the beat, which has leases to renew: two seconds for each hundred jobs are many."""

    async def main() -> tuple[dict[str, object], float]:
        memory, jobs = Memory(now_us), [f"job-{number}" for number in range(1000)]
        backend = RamBackend("app", memory=memory)
        await backend.open("r")
        committer = Committer(backend, AtOnce(), "r")
        committer.fell_back = lambda: None
        state = JobState(Spec("@every 1m"), 0, 5, "r", 0)
        await committer.apply(
            jobs, lambda row, _: Step(committer.next_id(), row.job, ((row.job, 0),), state), app=False
        )
        memory.clear()

        def rule(row: Row, _: Row) -> Draft | None:
            raise HeldUnknownError

        loop = asyncio.get_running_loop()
        began = loop.time()
        return dict(await committer.apply(jobs, rule, app=False)), loop.time() - began

    answers, took = run_virtual(main())
    assert not answers
    assert 2 <= took < 3
