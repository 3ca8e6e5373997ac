"""What `schedcore.testing` is: complete, documented, explained, and imported by nothing that runs."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import schedcore
from schedcore import protocols, testing
from schedcore.testing import BackendContract, SimulatedStore, VirtualClock, World, scenario

ROOT = Path(__file__).parents[2]
CORE = Path(schedcore.__file__).parent
TESTS = [name for name in dir(BackendContract) if name.startswith("test_")]

# Each condition of the contracts, by how it begins, and the tests that hold a backend to it.
CONDITIONS = {
    "Only what concerns operation": "examine_tells_findings",
    "Nothing is changed by it": "examine_tells_findings",
    "`purge` removes all": "purge_removes_all",
    "Other apps are left alone": "purge_leaves_other_apps",
    "`runs` heeds what is empty": "nothing_and_zero_choose_too",
    "What is over leaves nothing": "what_is_over_leaves_nothing",
    "`acquire` grants a name to one owner": "acquire_grants_a_name acquire_grants_again acquire_one_name",
    "A name is free again after `ttl`": "a_name_is_free_again anybodys_again_after_the_ttl",
    "`release` frees a name only for the owner": "release_frees release_changes_nothing",
    "A step is all or nothing": "committed_step_is_whole committed_step_repeated_answers twice_at_once"
    " a_minute_later step_that_deleted_answers of_a_refused_step",
    "CHANGED, with the rows as they are": "changed_if changed_carries early_if held_if not_ours_names",
    "Where `Beat.server` is not empty": "restarted_server_before_a_beat tells_a_server_that_was_restarted",
    "A new version, and a token": "new_version_is_above deleted_row after_a_flush set_back given_out_twice",
    "A trigger is in the bus until": "done_acknowledges nothing_unfinished",
    "A trigger is known by (job, key)": "known_by_job_and_key is_not_sent_twice and_send_one_of_its_name",
    "A job's name is 1 to 200": "the_longest_name_and_the_largest_payload contents_are_opaque",
    "A lease is ten seconds from": "lapses_and_not_before was_taken_over_has_a_lease after_its_last_renewal",
    "A delivery has one owner and a lease": "only_its_owner_renews only_its_owner_gives only_its_owner_fin",
    "Only jobs that the caller names": "only_jobs_that where_one_that_knows hold_up_none as_number_1",
    "A receive whose reply was lost": "receive_whose_reply_was_lost reply_was_lost_may_be_repeated",
    "While the app's beats have a gap": "has_no_beat a_lease_after_a_gap before_the_first_beat",
    "Cancelling `serve` stops taking": "cancelling_serve lost_by_cancelling",
    "`jobs` is asked anew": "jobs_are_asked_anew",
    "What the bus raises ends `serve`": "what_the_bus_raises",
    "`rows` of named jobs answers": "rows_answers_for_each_name rows_of_named_jobs",
    "`rows(None)` is without the app's own row": "rows_of_all_jobs_come_in_order",
    "A job keeps its newest `Keep.lines`": "each_job_keeps the_newest_that_are_no_success newest_lines_too",
    "`beat` keeps the replica that is named": "a_beat_keeps a_beat_answers",
}


def test_each_condition_of_the_contracts_has_its_tests() -> None:
    """No bullet in `schedcore.protocols` is without a test of the suite, and no listed test is gone."""
    texts = [inspect.getdoc(getattr(protocols, name)) or "" for name in protocols.__all__]
    bullets = [line for text in texts for line in re.findall(r"(?m)^\* (.*)", text)]
    assert len(bullets) == len(CONDITIONS)
    assert [line for line in bullets if not any(line.startswith(begin) for begin in CONDITIONS)] == []
    parts = [part for named in CONDITIONS.values() for part in named.split()]
    assert [part for part in parts if not any(part in name for name in TESTS)] == []


def test_each_method_of_the_contracts_is_called_by_the_suite() -> None:
    """No method goes untested."""
    source = "".join(path.read_text() for path in (CORE / "testing").glob("*.py"))
    for contract in (protocols.Locker, protocols.TriggerBus, protocols.Executor, protocols.Store):
        methods = [name for name in vars(contract) if not name.startswith("_")]
        assert [name for name in methods if f".{name}(" not in source] == []


def test_each_test_says_its_condition_and_what_to_look_at() -> None:
    """A docstring, which a failure repeats, and a hint."""
    assert len(TESTS) > 100
    silent = [name for name in TESTS if not (getattr(BackendContract, name).__doc__ or "").strip()]
    assert silent == []


def test_a_failure_says_condition_values_and_what_to_look_at(tmp_path: Path) -> None:
    """In a project of its own, with nothing configured: the message, compared values, condition and hint."""
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "from sched_ram import Memory, RamBackend\n"
        "from schedcore.testing import BackendContract, World\n"
        "class Mine(World):\n"
        "    async def make_backends(self, count):\n"
        "        made = [RamBackend('app') for _ in range(count)]\n"  # each a store of its own
        "        for number, backend in enumerate(made):\n"
        "            await backend.open(f'r{number}')\n"
        "        return made\n"
        "class TestMine(BackendContract):\n"
        "    @pytest.fixture\n"
        "    def world(self):\n"
        "        return Mine()\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-k", "committed_step_is_whole"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "AssertionError: another replica sees another row" in done.stdout
    assert re.search(r"assert \(0, None\) == .*\n.*\n.*At index 0 diff: 0 != \d{16}\n", done.stdout)
    assert "Condition: Row, triggers and history are all there, the same for every replica." in done.stdout
    assert "Look at: whether commit writes row, triggers and history together" in done.stdout


def test_without_pytest_one_line_says_what_to_install() -> None:
    """What needs it fails with the extra's name; clock and simulation do not need it."""
    code = (
        "import sys; sys.modules['pytest'] = None\n"
        "from schedcore.testing import VirtualClock, simulate\n"
        "assert simulate(seeds=1, minutes=0.2)\n"
        "from schedcore.testing import BackendContract"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert last == (
        "ModuleNotFoundError: BackendContract of schedcore.testing needs pytest; "
        "the extra schedcore[testing] brings it"
    )


def test_the_core_never_imports_it() -> None:
    """No module outside of the package names it: whoever runs jobs needs no pytest."""
    found = [
        str(path.relative_to(CORE))
        for path in CORE.rglob("*.py")
        if path.parent.name != "testing"
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("schedcore.testing"))
        or (isinstance(node, ast.Import) and any("schedcore.testing" in alias.name for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and any(alias.name == "testing" for alias in node.names))
    ]
    assert found == []


def test_it_is_documented() -> None:
    """Each public name, each ability of a world and each method of a clock is in the reference."""
    page = (ROOT / "docs/reference/testing.md").read_text()
    words = {word for span in re.findall(r"`([^`\n]+)`", page) for word in re.findall(r"\w+", span)}
    for kind in (World, VirtualClock, SimulatedStore):
        assert {name for name in vars(kind) if not name.startswith("_")} - words == set()
    headings = set(re.findall(r"(?m)^## (\w+)$", page))
    assert set(testing.__all__) - words - headings == set()
    assert set(testing.INVARIANTS) <= set(re.findall(r"`([^`\n]+)`", page))


def test_what_a_world_does_not_declare_is_skipped(world: World) -> None:
    """A world that has only what must be has neither flush nor rows of its own."""
    for ability in ("flushes", "reserves"):
        assert not getattr(world, ability)
    with pytest.raises(pytest.skip.Exception, match=r"World\.flushes is false"):
        BackendContract().test_the_epoch_is_new_when_the_store_began_without_data(world=world)


@pytest.fixture
def world() -> World:
    return World()


def test_what_a_world_declares_and_does_not_have_fails(world: World) -> None:
    """A declared ability is tested, never guessed."""
    closed: list[bool] = []

    class Boasting(World):
        flushes = True

        async def close(self) -> None:
            closed.append(True)

    @scenario("the fixture")
    async def scene(_: object, world: World) -> None:
        """It flushes."""
        await world.flush()

    with pytest.raises(NotImplementedError, match="Boasting declares that it flushes") as caught:
        scene(None, world=Boasting())
    assert caught.value.__notes__ == ["Condition: It flushes.\nLook at: the fixture."]
    assert closed == [True]
