"""`detector rules test`: whether rules hit what they must and nothing near it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from detector.cli.common import counted, format_option
from detector.cli.exit_codes import EXIT_FAILED
from detector.cli.json_text import json_text
from detector.report.safe_text import terminal_text
from detector.sigma.pack import default_cache_folder, default_rules_path
from detector.sigma.rule_tests import TestRun, run_tests, with_paths_below


@click.command("test")
@click.argument("paths", type=click.Path(path_type=Path), nargs=-1, metavar="[PATH]...")
@format_option("table", "json")
@click.pass_context
def test_rules(context: click.Context, /, paths: tuple[Path, ...], output_format: str) -> None:
    """Run rules over their test events: all hits must be found, and no near miss.

    Without PATH, the tool's own rules. The events of rule.yml are in rule.json beside it, or in a folder
    `tests` beside or above it; `detector rules new` writes the frame of such a file.

    Exit code 1 if an event is judged wrongly, a rule or a test file cannot be used, or no rule has tests.

    \b
    Examples:
      detector rules test
      detector rules test myrules --format json
    """
    run = run_tests(paths or (default_rules_path(),), default_cache_folder())
    run = with_paths_below(run, Path.cwd())
    if output_format == "json":
        click.echo(json_text(_as_data(run), indent=2))
    else:
        _print(run)
    context.exit(0 if run.verdicts and not run.failures and not run.problems else EXIT_FAILED)


def _print(run: TestRun) -> None:
    for problem in run.problems:
        click.echo(terminal_text(f"{problem}"))
    for verdict in run.failures:
        click.echo(terminal_text(str(verdict)))
    rules = len({verdict.rule_id for verdict in run.verdicts})
    hits = sum(verdict.expected for verdict in run.verdicts)
    passed = len(run.verdicts) - len(run.failures)
    click.echo(
        f"{counted(rules, 'rule')} with {counted(hits, 'hit')} and {len(run.verdicts) - hits:,} near misses: "
        f"{passed:,} as expected, {len(run.failures):,} failed"
    )
    if run.untested:
        click.echo(f"{counted(len(run.untested), 'rule')} without tests")
        for rule in run.untested[:20]:
            click.echo(terminal_text(f"  {rule.path}"))


def _as_data(run: TestRun) -> dict[str, object]:
    return {
        "passed": len(run.verdicts) - len(run.failures),
        "failed": len(run.failures),
        "verdicts": [{**asdict(verdict), "passed": verdict.passed} for verdict in run.verdicts],
        "problems": [asdict(problem) for problem in run.problems],
        "untested": [{"id": rule.id, "title": rule.title, "path": rule.path} for rule in run.untested],
    }
