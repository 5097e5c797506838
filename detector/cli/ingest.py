"""`detector ingest`: evidence into a case."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import click

from detector.case.ingest import IngestOptions, IngestReport
from detector.case.ingest import ingest as read_evidence
from detector.case.site import load_site, zone_named
from detector.case.store import Case
from detector.cli.common import Command, case_option, counted, note, progress_bar
from detector.cli.exit_codes import EXIT_FAILED, EXIT_INCOMPLETE
from detector.cli.json_text import json_text
from detector.formats.mapping import load_mappings
from detector.report.safe_text import terminal_text
from detector.sources import Refusal

#: How many lines of refusals are printed; `--json` prints all.
_SHOWN = 20
#: More refusals than this, for one reason in one folder, are printed as one and a number.
_ALIKE = 3


class _EvidencePath(click.Path):
    """A path as it was written. An empty one, of a variable that is not set, does not mean this folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not str(value).strip():
            self.fail("a path is empty; write . for the current folder", param, ctx)
        return super().convert(value, param, ctx)


def evidence_options(command: Command) -> Command:
    """Add the options that say what evidence is: for `ingest` and `run`."""
    options: tuple[Callable[[Any], Any], ...] = (
        click.argument(
            "paths",
            nargs=-1,
            required=True,
            # What cannot be read is refused by itself, and the rest is taken.
            type=_EvidencePath(path_type=Path, readable=False),
            metavar="PATH...",
        ),
        click.option("--site", metavar="NAME", help="Which hospital or supplier these logs are from."),
        click.option(
            "--tz", "time_zone", metavar="ZONE", help="Zone of times that state none, e.g. Asia/Tokyo."
        ),
        click.option(
            "--site-config",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="A site.toml (networks, vendors, servers …); kept in the case.",
        ),
        click.option(
            "--mapping",
            "mapping_files",
            multiple=True,
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="Columns of a log that no reader knows (docs/map-your-own-log.md); may be repeated.",
        ),
        click.option(
            "--parser",
            type=click.Choice(["auto", "evtx", "python-evtx"]),
            default="auto",
            show_default=True,
            help="EVTX parser: auto reads with evtx and rescues with python-evtx.",
        ),
        click.option("--workers", type=click.IntRange(1, 256), metavar="N", help="Processes to read with."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@evidence_options
@case_option()
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_context
def ingest(context: click.Context, /, case_path: Path, as_json: bool, **options: Any) -> None:
    """Read logs into a case: files, folders and archives, each format told by its content.

    Evidence is opened read-only. A file that the case already holds (same SHA-256) is not read again, and
    an interrupted ingest goes on where it stopped.

    \b
    Example:
      detector ingest E:\\export fortigate.log.gz --case mycase --tz Asia/Tokyo
    """
    _, report = ingest_into(case_path, **options)
    if as_json:
        click.echo(json_text(_as_json(report), indent=2))
    else:
        print_report(report)
    context.exit(exit_code(report))


def ingest_into(
    case_path: Path,
    paths: tuple[Path, ...],
    site: str | None,
    time_zone: str | None,
    site_config: Path | None,
    parser: Literal["auto", "evtx", "python-evtx"],
    workers: int | None,
    mapping_files: tuple[Path, ...] = (),
) -> tuple[Case, IngestReport]:
    """Ingest with a progress bar, and make the case if there is none; raises DetectorError.

    Nothing is made or changed if an option is wrong.
    """
    if time_zone is not None:
        zone_named(time_zone)
    if site_config is not None:
        load_site(site_config)
    mappings = tuple(each for path in mapping_files for each in load_mappings(path))
    case = Case.create(case_path)
    if site_config is not None:
        case.set_site(site_config)
    options = IngestOptions(site=site, time_zone=time_zone, parser=parser, workers=workers, mappings=mappings)
    with progress_bar() as progress:
        return case, read_evidence(case, paths, options, progress)


def exit_code(report: IngestReport) -> int:
    """Return 0 if all was taken, 3 if something was not, 1 if nothing was."""
    lost = any(refusal.lost for refusal in report.refused)
    if not report.read and not report.already:
        return EXIT_FAILED
    return EXIT_INCOMPLETE if lost or report.warnings else 0


def print_report(report: IngestReport) -> None:
    """Print what was taken, what was not, and the account of records."""
    files: dict[str, set[str]] = defaultdict(set)
    events: Counter[str] = Counter()
    warnings: Counter[str] = Counter()
    for segment in report.read:
        files[segment.format].add(segment.evidence_id)
        events[segment.format] += segment.events
        warnings[segment.format] += segment.warnings
    if files:
        click.echo(f"{'format':<18}{'files':>8}{'events':>12}{'warnings':>10}")
        for name in sorted(files):
            click.echo(f"{name:<18}{len(files[name]):>8,}{events[name]:>12,}{warnings[name]:>10,}")
    click.echo(
        f"read {counted(report.files, 'file')}: {counted(report.events, 'event')} stored, "
        f"{counted(report.warnings, 'warning')}"
        + (
            f"; {report.duplicates:,} events of the case are in more than one file and count once"
            * bool(report.duplicates)
        )
    )
    if report.already:
        click.echo(f"{counted(len(report.already), 'file')} not read again: the case holds their content")
    for path, site in report.elsewhere[:_SHOWN]:
        note(f"  {terminal_text(path)}: the case holds it for site {terminal_text(site)!r}, where it stays")
    if len(report.elsewhere) > _SHOWN:
        note(f"  … and {len(report.elsewhere) - _SHOWN:,} more for another site (ingest --json lists all)")
    if report.warnings:
        note("warnings say what could not be read: detector query --case DIR 'SELECT * FROM warnings'")
    _print_refusals("not taken", [each for each in report.refused if each.lost])
    _print_refusals("passed over", [each for each in report.refused if not each.lost])


def _print_refusals(heading: str, refused: list[Refusal]) -> None:
    """Print what was not taken and why, the rare reasons first: they must not drown in the common ones."""
    if not refused:
        return
    note(f"{heading}: {len(refused):,}")
    alike: dict[tuple[str, str], list[Refusal]] = defaultdict(list)
    for refusal in refused:
        alike[_folder(refusal.path), refusal.reason.split(" (")[0]].append(refusal)
    lines: list[tuple[int, str]] = []
    for (folder, reason), group in sorted(alike.items(), key=lambda item: (len(item[1]) > _ALIKE, item[0])):
        shown = group if len(group) <= _ALIKE else group[:1]
        lines += [(1, f"{terminal_text(each.path)}: {terminal_text(each.reason)}") for each in shown]
        if more := len(group) - len(shown):
            words = f"… and {counted(more, 'more file')} in {terminal_text(folder)}: {terminal_text(reason)}"
            lines.append((more, words))
    for _, line in lines[:_SHOWN]:
        note(f"  {line}")
    if hidden := sum(count for count, _ in lines[_SHOWN:]):
        note(f"  … and {hidden:,} more (ingest --json lists all)")


def _folder(path: str) -> str:
    """Return the folder or archive that a path lies in."""
    return re.sub(r"[/\\][^/\\]*$", "", path) if re.search(r"[/\\]", path) else "."


def _as_json(report: IngestReport) -> dict[str, Any]:
    return {
        "read": [dataclasses.asdict(segment) for segment in report.read],
        "already": [{"path": path, "evidence_id": evidence_id} for path, evidence_id in report.already],
        "elsewhere": [{"path": path, "site": site} for path, site in report.elsewhere],
        "refused": [dataclasses.asdict(refusal) for refusal in report.refused],
        "events": report.events,
        "warnings": report.warnings,
        "duplicates": report.duplicates,
    }
