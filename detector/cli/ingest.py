"""`detector ingest`: evidence into a case."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import click

from detector.case.ingest import IngestOptions, IngestReport
from detector.case.ingest import ingest as read_evidence
from detector.case.site import load_site, zone_named
from detector.case.store import Case
from detector.cli.common import EXIT_INCOMPLETE, Command, case_option, counted, note, progress_bar
from detector.report.safe_text import terminal_text

#: How many refusals are printed; `--json` prints all.
_SHOWN = 20


def evidence_options(command: Command) -> Command:
    """Add the options that say what evidence is: for `ingest` and `run`."""
    options: tuple[Callable[[Any], Any], ...] = (
        click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH..."),
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
    report = ingest_into(Case.create(case_path), **options)
    if as_json:
        click.echo(json.dumps(_as_json(report), ensure_ascii=False, indent=2))
    else:
        print_report(report)
    context.exit(exit_code(report))


def ingest_into(
    case: Case,
    paths: tuple[Path, ...],
    site: str | None,
    time_zone: str | None,
    site_config: Path | None,
    parser: Literal["auto", "evtx", "python-evtx"],
    workers: int | None,
) -> IngestReport:
    """Ingest with a progress bar; raises DetectorError."""
    if time_zone is not None:
        zone_named(time_zone)
    if site_config is not None:
        load_site(site_config)
        case.set_site(site_config)
    options = IngestOptions(site=site, time_zone=time_zone, parser=parser, workers=workers)
    with progress_bar() as progress:
        return read_evidence(case, paths, options, progress)


def exit_code(report: IngestReport) -> int:
    """Return 0 if all was taken, 3 if something was not."""
    return EXIT_INCOMPLETE if report.refused or report.warnings else 0


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
    if report.warnings:
        note("warnings say what could not be read: detector query --case DIR 'SELECT * FROM warnings'")
    if report.refused:
        note(f"not taken: {len(report.refused):,}")
        for refusal in report.refused[:_SHOWN]:
            note(f"  {terminal_text(refusal.path)}: {terminal_text(refusal.reason)}")
        if len(report.refused) > _SHOWN:
            note(f"  … and {len(report.refused) - _SHOWN:,} more (ingest --json lists all)")


def _as_json(report: IngestReport) -> dict[str, Any]:
    return {
        "read": [dataclasses.asdict(segment) for segment in report.read],
        "already": [{"path": path, "evidence_id": evidence_id} for path, evidence_id in report.already],
        "refused": [dataclasses.asdict(refusal) for refusal in report.refused],
        "events": report.events,
        "warnings": report.warnings,
        "duplicates": report.duplicates,
    }
