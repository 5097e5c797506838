"""`detector incidents`: what happened, incident by incident."""

from __future__ import annotations

from pathlib import Path

import click

from detector.cli.common import case_option, format_option, open_scanned_case
from detector.cli.output_file import OutputFile, output_option
from detector.cli.report_options import language_option, style_of, write_lines, zone_option
from detector.report.evidence_reference import EVENT_VIEWS
from detector.report.output import FORMATS, incidents_output


@click.command()
@case_option()
@format_option(*FORMATS)
@language_option()
@zone_option()
@output_option()
def incidents(
    case_path: Path, output_format: str, lang: str, tz: str | None, output: OutputFile | None
) -> None:
    """Say what happened: entry point, path, hosts, accounts, steps seen and not seen.

    Incidents come most severe first. Each names what is certain, what is inferred, and
    what the logs cannot show.

    \b
    Example:
      detector incidents --case mycase --lang ja --tz Asia/Tokyo
    """
    case = open_scanned_case(case_path)
    style = style_of(case, lang, tz, output is None)
    with case.connect(views=EVENT_VIEWS) as engine:
        write_lines(incidents_output(engine, output_format, style), output, case)
