"""`detector run`: evidence in, timeline out, in one go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from detector.case.store import Case
from detector.cli import ingest as ingest_command
from detector.cli import scan as scan_command
from detector.cli.common import case_option, note
from detector.cli.report_options import language_option, style_of, write_lines
from detector.cli.scan import rules_option
from detector.cli.tuning_options import config_option, placeholders_option, with_placeholders
from detector.report.evidence_reference import EVENT_VIEWS
from detector.report.output import incidents_output, timeline_output
from detector.sigma.tuning import case_tuning


@click.command()
@ingest_command.evidence_options
@case_option(required=False)
@rules_option
@config_option()
@placeholders_option
@language_option()
@click.pass_context
def run(
    context: click.Context,
    /,
    case_path: Path | None,
    rules: tuple[Path, ...],
    config: Path | None,
    placeholders: Path | None,
    lang: str,
    **options: Any,
) -> None:
    """Read logs, look for the attack, and print each incident with its timeline.

    The case is kept, in the folder `case` unless --case names another; run again to add evidence.

    \b
    Example:
      detector run E:\\export --case mycase --tz Asia/Tokyo --lang ja
    """
    path = case_path or Path("case")
    # Before the logs are read: a mistake in it shows at once.
    tuning = with_placeholders(case_tuning(path, config), placeholders)
    case, read = ingest_command.ingest_into(path, **options)
    ingest_command.print_report(read)
    click.echo()
    found = scan_command.scan_into(case, rules, tuning)
    scan_command.print_report(found)
    click.echo()
    _show(case, lang, options["time_zone"])
    note(f"the case is kept in {path}: detector timeline, hits, query … --case {path}")
    context.exit(max(ingest_command.exit_code(read), scan_command.exit_code(found)))


def _show(case: Case, lang: str, zone: str | None) -> None:
    """Print the incidents, and the timeline of each."""
    style = style_of(case, lang, zone, to_screen=True)
    with case.connect(views=EVENT_VIEWS) as engine:
        write_lines(incidents_output(engine, "table", style), None, case)
        write_lines(timeline_output(engine, "table", style, None, False), None, case)
