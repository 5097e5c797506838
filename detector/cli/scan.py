"""`detector scan`: rules and stages over a case."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from detector.case.store import Case
from detector.cli.common import (
    Command,
    case_option,
    counted,
    note,
    open_case,
    progress_bar,
)
from detector.cli.exit_codes import EXIT_INCOMPLETE
from detector.cli.json_text import json_text
from detector.cli.tuning_options import (
    config_option,
    placeholders_option,
    print_tuned,
    with_placeholders,
)
from detector.report.safe_text import terminal_text
from detector.scan import ScanReport
from detector.scan import scan as scan_case
from detector.sigma.tuning import Tuning, case_tuning

_SHOWN = 20


def rules_option(command: Command) -> Command:
    """Add `--rules PATH`."""
    return click.option(
        "--rules",
        "rules",
        type=click.Path(path_type=Path, exists=True),
        multiple=True,
        metavar="PATH",
        help="Sigma rules, a file or folder, instead of the tool's own; may be given several times.",
    )(command)


@click.command()
@case_option()
@rules_option
@config_option()
@placeholders_option
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_context
def scan(
    context: click.Context,
    /,
    case_path: Path,
    rules: tuple[Path, ...],
    config: Path | None,
    placeholders: Path | None,
    as_json: bool,
) -> None:
    """Run the rules and the stages of the attack chain, and join what they find into incidents.

    \b
    Examples:
      detector scan --case mycase
      detector scan --case mycase --rules sigma/rules/windows --config detector.toml
    """
    case = open_case(case_path)
    tuning = with_placeholders(case_tuning(case.path, config), placeholders)
    report = scan_into(case, rules, tuning)
    if as_json:
        click.echo(json_text(_as_json(report), indent=2))
    else:
        print_report(report)
    context.exit(exit_code(report))


def scan_into(case: Case, rules: tuple[Path, ...], tuning: Tuning) -> ScanReport:
    """Scan with a progress bar; raises DetectorError."""
    with progress_bar() as progress:
        return scan_case(case, rules, progress, tuning)


def exit_code(report: ScanReport) -> int:
    """Return 0 if every rule and stage ran, 3 if one did not."""
    return EXIT_INCOMPLETE if report.problems or report.stage_problems else 0


def print_report(report: ScanReport) -> None:
    """Print what ran and what came of it."""
    click.echo(
        f"{counted(report.rules, 'rule')} ({report.evaluated:,} could match): {counted(report.hits, 'hit')}; "
        f"{counted(report.findings, 'finding')} of the chain; {counted(report.incidents, 'incident')}"
    )
    print_tuned(report.tuned)
    if report.skipped:
        why = "log source not read, deprecated …: see detector rules check"
        note(f"{counted(report.skipped, 'rule')} not run ({why})")
    problems = [str(problem) for problem in report.problems]
    problems += [f"stage {problem.stage}: {problem.reason}" for problem in report.stage_problems]
    for problem in problems[:_SHOWN]:
        note(f"  {terminal_text(problem)}")
    if len(problems) > _SHOWN:
        note(f"  … and {len(problems) - _SHOWN:,} more problems (scan --json lists all)")


def _as_json(report: ScanReport) -> dict[str, object]:
    return dataclasses.asdict(report)
