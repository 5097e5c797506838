"""`detector rules check`: what is wrong with rule files."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path

import click

from detector.cli.common import counted, format_option
from detector.cli.exit_codes import EXIT_FAILED
from detector.cli.json_text import json_text
from detector.cli.tuning_options import placeholders_option
from detector.report.safe_text import terminal_text
from detector.sigma.check.run import CheckReport, check_rules
from detector.sigma.model import Pack
from detector.sigma.pack import default_cache_folder
from detector.sigma.placeholder_file import read_placeholders


@click.command("check")
@click.argument("paths", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="PATH...")
@click.option("--strict", is_flag=True, help="Exit code 1 for warnings too.")
@placeholders_option
@format_option("table", "json")
@click.pass_context
def check(
    context: click.Context,
    /,
    paths: tuple[Path, ...],
    strict: bool,
    placeholders: Path | None,
    output_format: str,
) -> None:
    """Say what is wrong with rule files, by file, line and column, and what to write instead.

    Compiles the rules, and checks them against the specification, with the validators of sigma-cli, for
    ATT&CK ids that do not exist, fields that the log source does not have, and conditions that no event can
    fulfil. An error keeps a rule from being used; a warning is what is probably not meant. Lines have the
    form that editors read: path:line:column: level: message.

    Exit code 1 if there is an error. A rule that is right but is not run (its log source is not read, or it
    is deprecated) is no error; the reasons are counted.

    \b
    Examples:
      detector rules check myrules
      detector rules check --strict sigma/rules --format json
    """
    values = None if placeholders is None else read_placeholders(placeholders)
    report = check_rules(paths, default_cache_folder(), values)
    if output_format == "json":
        click.echo(json_text(_as_data(report), indent=2))
    else:
        _print(report)
    failed = bool(report.errors) or (strict and bool(report.warnings))
    context.exit(EXIT_FAILED if failed else 0)


def _print(report: CheckReport) -> None:
    pack = report.pack
    for finding in report.findings:
        title = f" ({finding.title})" if finding.title else ""
        click.echo(terminal_text(f"{finding}{title}"))
    click.echo(
        f"{counted(report.files, 'file')}: {len(pack.rules):,} rules compiled, {_others(pack)}"
        f"{len(pack.skipped):,} not run, {len(report.errors):,} errors, {len(report.warnings):,} warnings"
    )
    for reason, count in _reasons(pack).items():
        click.echo(f"  {count:>6,} not run: {terminal_text(reason)}")
    for name, count in report.counts().items():
        click.echo(f"  {count:>6,} found by: {name}")


def _others(pack: Pack) -> str:
    named = ((len(pack.correlations), "correlations"), (len(pack.filters), "filters"))
    return "".join(f"{count:,} {name}, " for count, name in named if count)


def _as_data(report: CheckReport) -> dict[str, object]:
    """Return the report as data; `problems` are the errors."""
    return {
        "files": report.files,
        "compiled": len(report.pack.rules),
        "correlations": len(report.pack.correlations),
        "filters": len(report.pack.filters),
        "not_run": [asdict(rule) for rule in report.pack.skipped],
        "reasons": _reasons(report.pack),
        "problems": [asdict(each) for each in report.errors],
        "warnings": [asdict(each) for each in report.warnings],
        "checks": dict(report.counts()),
    }


def _reasons(pack: Pack) -> dict[str, int]:
    """Count the rules that are not run by reason, most frequent first; copies are one reason."""
    counts = Counter(
        "a copy of another rule" if rule.reason.startswith("a copy of ") else rule.reason
        for rule in pack.skipped
    )
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
