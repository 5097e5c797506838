"""`detector coverage`: what the logs of a case hold, lack, and cannot show."""

from __future__ import annotations

from pathlib import Path

import click

from detector.cli.common import case_option, format_option, open_case
from detector.cli.output_file import OutputFile, output_option
from detector.cli.report_options import language_option, style_of, write_lines, zone_option
from detector.incidents.log_coverage import COVERAGE_VIEWS, coverage_rows
from detector.report.coverage import COVERAGE_FORMATS, coverage_output


@click.command()
@case_option()
@format_option(*COVERAGE_FORMATS)
@language_option()
@zone_option()
@output_option()
def coverage(
    case_path: Path, output_format: str, lang: str, tz: str | None, output: OutputFile | None
) -> None:
    """Say what the logs hold and what they cannot show: hosts, channels, holes, cleared logs, clocks.

    Per host and channel, or network device: first and last event, missing record numbers, silences,
    cleared logs, changes of the clock, the clocks of hosts against each other, the audit settings that
    the events betray, and for each step of the attack whether these logs could show it at all.

    \b
    Example:
      detector coverage --case mycase --lang ja --tz Asia/Tokyo
    """
    case = open_case(case_path)
    style = style_of(case, lang, tz, output is None)
    with case.connect(views=COVERAGE_VIEWS) as engine:
        write_lines(coverage_output(coverage_rows(engine), output_format, style), output, case)
