"""`detector rules list`: which rules there are."""

from __future__ import annotations

from pathlib import Path

import click

from detector.cli.common import console, format_option, note
from detector.cli.exit_codes import EXIT_FAILED
from detector.cli.json_text import json_text
from detector.cli.report_options import language_option
from detector.cli.tables import Column, print_table
from detector.cli.tuning_options import config_option
from detector.report.safe_text import terminal_text
from detector.report.texts import Texts, load
from detector.sigma.correlation.model import Correlation
from detector.sigma.model import CompiledRule, RuleProblem
from detector.sigma.tuning import Tuning, load_tuned_pack, load_tuning
from detector.tables.steps import step_of

_COLUMNS = ("level", "id", "title", "step", "log source", "path")


@click.command("list")
@click.option(
    "--rules",
    "paths",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="PATH",
    help="Sigma rules, a file or folder, instead of the tool's own; may be given several times.",
)
@config_option("none")
@language_option()
@format_option("table", "json")
@click.pass_context
def list_rules(
    context: click.Context, /, paths: tuple[Path, ...], config: Path | None, lang: str, output_format: str
) -> None:
    """List the rules that `detector scan` runs, as --config tunes them.

    Exit code 1 if a rule cannot be used; `detector rules check` says why.

    \b
    Examples:
      detector rules list
      detector rules list --lang ja
      detector rules list --rules sigma/rules/windows --format json
    """
    pack, tuned = load_tuned_pack(paths, Tuning() if config is None else load_tuning(config))
    texts = load(lang)
    rows = [_row(rule, texts) for rule in pack.rules]
    rows += [_correlation_row(each, texts) for each in pack.correlations]
    if output_format == "json":
        click.echo(json_text(rows, indent=2))
    else:
        columns = [Column(name, no_wrap=name == "level") for name in _COLUMNS]
        print_table(columns, ([row[name] for name in _COLUMNS] for row in rows), console())
    for message in tuned.unused:
        note(terminal_text(message))
    _note_problems(pack.problems)
    context.exit(EXIT_FAILED if pack.problems else 0)


def _row(rule: CompiledRule, texts: Texts) -> dict[str, object]:
    return {
        "id": rule.id,
        "title": texts.rule(rule.id, rule.title),
        "level": rule.level,
        "status": rule.status,
        "step": step_of(rule.tags),
        "tags": list(rule.tags),
        "log source": " ".join(rule.sources),
        "path": rule.path,
        "line": rule.line,
        "sha256": rule.sha256,
    }


def _correlation_row(correlation: Correlation, texts: Texts) -> dict[str, object]:
    rule = correlation.rule
    return {
        "id": rule.id,
        "title": texts.rule(rule.id, rule.title),
        "level": correlation.level,
        "status": rule.status,
        "step": step_of(correlation.tags),
        "tags": list(correlation.tags),
        "log source": f"{rule.type} of {', '.join(rule.rules)}",
        "path": rule.path,
        "line": rule.line,
        "sha256": rule.sha256,
    }


def _note_problems(problems: tuple[RuleProblem, ...]) -> None:
    for problem in problems:
        note(terminal_text(str(problem)))
