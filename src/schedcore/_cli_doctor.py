"""`schedcore doctor`."""

from __future__ import annotations

import click

from schedcore import _cli_options, _cli_show
from schedcore._cli_asking import asking
from schedcore._doctor import diagnose, unreachable
from schedcore.errors import StoreUnavailableError
from schedcore.protocols import Condition, Finding

COLUMNS = ("verdict", "check", "detail", "remedy")


@click.command(short_help="Look for what keeps an app from working as it should.")
@_cli_options.of_app
@click.pass_context
def doctor(context: click.Context, app: str | None, backend: str | None, as_json: bool) -> None:
    """Look at the store's server, the replicas and the jobs of an app, and tell what is wrong and what to do.

    Each line is ok, a warning or a failure. The exit status is 1 if anything fails.

    \b
      schedcore doctor --app billing
    """  # noqa: D301  the escape is for click
    with asking(app, backend) as scheduler:
        try:
            found = scheduler.wait_for(diagnose)
        except StoreUnavailableError as exc:
            found = [unreachable("store", exc)]
    if as_json:
        _cli_show.show_json(found)
    else:
        _cli_show.show_table(COLUMNS, [_cells(finding) for finding in found])
    context.exit(1 if any(finding.verdict is Condition.FAIL for finding in found) else 0)


def _cells(finding: Finding) -> tuple[str, ...]:
    return str(finding.verdict), finding.check, finding.detail, finding.remedy
