"""The reference names everything that there is, with the defaults that hold."""

import inspect
import re

import attrs
import pytest
from tests.docs.blocks import ROOT

import schedcore
from schedcore import (
    Audit,
    Audited,
    JobInfo,
    Kind,
    ReplicaInfo,
    RunContext,
    RunInfo,
    Running,
    Scheduler,
    Status,
    Triggered,
    errors,
)
from schedcore._engine import Health
from schedcore._jobs import JobOptions
from schedcore._state import Options

REFERENCE = ROOT / "docs/reference"
# What is no field of `Options`, because it is the spec's or the process's own.
OTHER_DEFAULTS = {
    "tz": '"UTC"',
    "jitter": "0",
    "start_at": "None",
    "until": "None",
    "enabled": "True",
    "retry_on": "Exception",
    "on_success": "None",
    "on_failure": "None",
    "on_missed": "None",
    "on_dead": "None",
}
MICROSECONDS = ("catch_up_within", "grace", "timeout")


def text(page: str = "*.md") -> str:
    return "\n".join(path.read_text() for path in sorted(REFERENCE.glob(page)))


def code_words(page: str = "*.md") -> set[str]:
    """Return every name that stands in a code span."""
    return {word for span in re.findall(r"`([^`\n]+)`", text(page)) for word in re.findall(r"\w+", span)}


def default_of(option: str) -> str:
    if option in OTHER_DEFAULTS:
        return OTHER_DEFAULTS[option]
    value = getattr(attrs.fields(Options), option).default
    if option in MICROSECONDS and value is not None:
        value = value / 1_000_000
    if isinstance(value, float):
        return f"{value:g}"
    return f'"{value}"' if isinstance(value, str) else repr(value)


def test_every_public_name_is_in_the_reference() -> None:
    """Each name in `schedcore.__all__` is mentioned in the reference."""
    assert set(schedcore.__all__) - code_words() == set()


@pytest.mark.parametrize("option", sorted(JobOptions.__annotations__))
def test_every_job_option_is_documented_with_its_default(option: str) -> None:
    """Each job option has a row in the table of options, whose second column is its default."""
    rows = re.findall(rf"^\| `{option}` \| ([^|]+) \|", text("job-options.md"), flags=re.MULTILINE)
    assert [row.strip(" `") for row in rows] == [default_of(option)]


def test_every_documented_job_option_exists() -> None:
    """The table of options has no row for an option that is gone."""
    rows = set(re.findall(r"^\| `(\w+)` \|", text("job-options.md"), flags=re.MULTILINE))
    assert rows - set(JobOptions.__annotations__) == set()


def test_scheduler_options_and_methods_are_documented() -> None:
    """Each option of `Scheduler` has a row with its default, each public method and keyword a mention."""
    page = text("scheduler.md")
    for parameter in inspect.signature(Scheduler.__init__).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            (default,) = re.findall(rf"^\| `{parameter.name}` \| ([^|]+) \|", page, flags=re.MULTILINE)
            assert default.strip(" `") == repr(parameter.default)
    named = code_words("scheduler.md")
    internal = {"wait_for", "wait_for_health", "wait_for_removal"}
    methods = {name for name in dir(Scheduler) if not name.startswith("_")} - internal
    assert methods - named == set()
    keywords = {word for name in methods for word in inspect.signature(getattr(Scheduler, name)).parameters}
    assert keywords - {"self", "options", "app"} - named == set()


def test_every_field_of_what_is_answered_is_documented() -> None:
    """Each attribute of the values that a scheduler answers is named on the page about them."""
    for value in (Audit, Audited, JobInfo, ReplicaInfo, RunInfo, Running, Triggered, Health):
        fields = {field.name for field in attrs.fields(value)}
        assert fields - code_words() == set(), value


def test_run_context_is_documented() -> None:
    """Each attribute and method of `RunContext` has a row."""
    public = {name for name in dir(RunContext) if not name.startswith("_")}
    rows = set(re.findall(r"^\| `(?:run\.)?(\w+)", text("run-context.md"), flags=re.MULTILINE))
    assert rows == public


def test_statuses_and_kinds_are_documented() -> None:
    """Each status and each kind has a row."""
    rows = set(re.findall(r"^\| `([\w ]+)` \|", text("statuses-and-history.md"), flags=re.MULTILINE))
    assert {*map(str, Status), *map(str, Kind)} - rows == set()


def test_every_error_is_documented() -> None:
    """Each error class has a mention on the page about errors."""
    classes = {
        name for name, value in vars(errors).items() if inspect.isclass(value) and name.endswith("Error")
    }
    assert classes - code_words("errors.md") == set()


def test_every_environment_variable_is_documented() -> None:
    """Each variable `SCHEDCORE_...` that the code reads is on the page about them."""
    read = {
        name
        for path in (ROOT / "src").rglob("*.py")
        for name in re.findall(r"\bSCHEDCORE_[A-Z_]*[A-Z]\b", path.read_text())
    }
    assert read
    assert read - code_words("environment.md") == set()


def test_every_command_and_its_options_are_documented() -> None:
    """Each command has a section, in which each of its options, and of its own commands', is named."""
    import click

    from schedcore._cli_commands import cli

    context = click.Context(cli)
    assert len(cli.list_commands(context)) > 4
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        parts = [command, *getattr(command, "commands", {}).values()]
        (section,) = re.findall(
            rf"^## schedcore {name}\n(.*?)(?=^## |\Z)", text("command-line.md"), re.MULTILINE | re.DOTALL
        )
        parameters = [parameter for part in parts for parameter in part.params]
        options = {word for option in parameters for word in (*option.opts, *option.secondary_opts)}
        options = {word for word in options if word.startswith("--") and word != "--debug"}
        assert {word for word in options if word not in section} == set(), name


def test_every_agreed_word_is_in_the_glossary() -> None:
    """The glossary has an entry for each word that the code and the messages use in a sense of its own."""
    words = {"app", "replica", "job", "definition", "schedule", "scheduled time", "trigger", "delivery"}
    words |= {"run", "row", "mark", "backend", "lease"}
    entries = re.findall(r"(?m)^\| \*\*([\w ]+)\*\*", (ROOT / "docs/glossary.md").read_text())
    assert words - set(entries) == set()
