"""`detector timeline`: the attack line by line, each with its evidence."""

from __future__ import annotations

from pathlib import Path

import click

from detector.cli.common import case_option, format_option, open_scanned_case
from detector.cli.output_file import OutputFile, output_option
from detector.cli.report_options import language_option, style_of, write_lines, zone_option
from detector.report.evidence_reference import EVENT_VIEWS
from detector.report.output import FORMATS, choose_incident, timeline_output


@click.command()
@case_option()
@format_option(*FORMATS)
@language_option()
@zone_option()
@output_option()
@click.option("--not-joined", is_flag=True, help="Show the observations that belong to no incident instead.")
@click.argument("incident", required=False)
def timeline(
    case_path: Path,
    output_format: str,
    lang: str,
    tz: str | None,
    output: OutputFile | None,
    not_joined: bool,
    incident: str | None,
) -> None:
    """Print the timeline of all incidents, or of the INCIDENT whose id begins so.

    Every line says when (local time with offset), which step of the attack, on which
    host, by which account, from where, what was done, which rule or stage says so, and
    which record of which file shows it. JSON Lines list all events behind a line.

    \b
    Example:
      detector timeline --case mycase --format markdown --lang ja -o timeline.md 3f9a
    """
    if incident is not None and not_joined:
        raise click.UsageError("give either INCIDENT or --not-joined")
    case = open_scanned_case(case_path)
    style = style_of(case, lang, tz, output is None)
    with case.connect(views=EVENT_VIEWS) as engine:
        chosen = choose_incident(engine, incident) if incident is not None else None
        write_lines(timeline_output(engine, output_format, style, chosen, not_joined), output, case)
