"""`detector rules check`: what is wrong with rule files."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path

import click

from detector.cli.common import format_option
from detector.cli.exit_codes import EXIT_FAILED
from detector.cli.json_text import json_text
from detector.report.safe_text import terminal_text
from detector.sigma.model import Pack
from detector.sigma.pack import default_cache_folder, load_pack


@click.command("check")
@click.argument("paths", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="PATH...")
@format_option("table", "json")
@click.pass_context
def check_rules(context: click.Context, /, paths: tuple[Path, ...], output_format: str) -> None:
    """Compile rule files and say what is wrong with which, by file, line and column.

    Exit code 1 if there is a problem. A rule that is right but is not run (its log source is not read, or it
    is deprecated) is no problem; the reasons are counted.

    \b
    Examples:
      detector rules check myrules
      detector rules check sigma/rules --format json
    """
    pack = load_pack(paths, default_cache_folder())
    if output_format == "json":
        click.echo(json_text(_report(pack), indent=2))
    else:
        for problem in pack.problems:
            title = f" ({problem.title})" if problem.title else ""
            click.echo(terminal_text(f"{problem}{title}"))
        click.echo(
            f"{len(pack.rules):,} rules compiled, {len(pack.skipped):,} not run, "
            f"{len(pack.problems):,} problems"
        )
        for reason, count in _reasons(pack).items():
            click.echo(f"  {count:>6,} not run: {terminal_text(reason)}")
    context.exit(EXIT_FAILED if pack.problems else 0)


def _report(pack: Pack) -> dict[str, object]:
    return {
        "compiled": len(pack.rules),
        "not_run": [asdict(rule) for rule in pack.skipped],
        "problems": [asdict(problem) for problem in pack.problems],
    }


def _reasons(pack: Pack) -> dict[str, int]:
    """Count the rules that are not run by reason, most frequent first; copies are one reason."""
    counts = Counter(
        "a copy of another rule" if rule.reason.startswith("a copy of ") else rule.reason
        for rule in pack.skipped
    )
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
