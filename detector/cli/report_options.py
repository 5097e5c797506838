"""Options and writing that `incidents` and `timeline` share."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable
from datetime import UTC

import click

from detector.case.site import zone_named
from detector.case.store import Case
from detector.cli.common import Command, note
from detector.cli.output_file import OutputFile, text_output
from detector.report.csv_output import BYTE_ORDER_MARK
from detector.report.output import Style
from detector.report.texts import LANGUAGES, load

#: Lines longer than this are hard to read, however wide the screen.
_WIDEST = 140
_NARROWEST = 60


def language_option() -> Callable[[Command], Command]:
    """Add `--lang`."""
    return click.option(
        "--lang",
        type=click.Choice(LANGUAGES),
        default="en",
        show_default=True,
        help="Language of the output.",
    )


def zone_option() -> Callable[[Command], Command]:
    """Add `--tz`."""
    return click.option(
        "--tz",
        metavar="ZONE",
        help="Time zone to show, such as Asia/Tokyo [default: that of site.toml, else UTC].",
    )


def style_of(case: Case, lang: str, tz: str | None, to_screen: bool) -> Style:
    """Return how to write; raises TimeZoneError if there is no such zone.

    Without --tz and without a zone in site.toml times are shown in UTC, and a note says so: the clock of the
    machine that prints has nothing to do with the site's.
    """
    site_zone = case.site().time_zone
    if tz is None and site_zone is None:
        note("times are in UTC; give the site's zone with --tz (for example --tz Asia/Tokyo)")
    zone = zone_named(tz) if tz is not None else site_zone or UTC
    columns = shutil.get_terminal_size((100, 24)).columns if to_screen and sys.stdout.isatty() else 100
    return Style(load(lang), zone, max(_NARROWEST, min(columns, _WIDEST)), str(case.path))


def write_lines(lines: Iterable[str], output: OutputFile | None, case: Case) -> None:
    """Write lines that have their ends to a file or to standard output.

    Standard output gets neither the byte order mark, which only a spreadsheet wants, nor CRLF, which the
    system adds itself where it is usual.
    """
    with text_output(output, case) as stream:
        for line in lines:
            stream.write(line if output else line.removeprefix(BYTE_ORDER_MARK).replace("\r\n", "\n"))
