"""`--config FILE`, `--placeholders FILE`, and what was left out because of the first, as commands say it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from detector.cli.common import Command, counted, note
from detector.report.safe_text import terminal_text
from detector.sigma.placeholder_file import read_placeholders
from detector.sigma.tuning import Tuning

#: Filters that are named one by one.
_SHOWN = 10


def config_option(beside: str = "the case's detector.toml") -> Callable[[Command], Command]:
    """Add `--config FILE`; beside: what is read without it."""

    def decorate(command: Command) -> Command:
        return click.option(
            "--config",
            "config",
            type=click.Path(path_type=Path, exists=True, dir_okay=False),
            metavar="FILE",
            help=f"Filters, levels, disabled rules: docs/tuning.md. Default: {beside}.",
        )(command)

    return decorate


def placeholders_option(command: Command) -> Command:
    """Add `--placeholders FILE`."""
    return click.option(
        "--placeholders",
        "placeholders",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        metavar="FILE",
        help="Values for %name% in rules with the modifier expand: YAML or TOML, docs/sigma.md.",
    )(command)


def with_placeholders(tuning: Tuning, file: Path | None) -> Tuning:
    """Add the placeholders of a file to those of detector.toml, before which they go; raises RuleError."""
    if file is None:
        return tuning
    return replace(tuning, placeholders={**tuning.placeholders, **read_placeholders(file)})


def print_tuned(record: Mapping[str, Any]) -> None:
    """Say what was left out on purpose, so that nobody takes it for nothing found; record: `Tuned.record`."""
    if not record:
        return
    click.echo("  tuned: " + "; ".join(_counts(record)))
    filters = sorted(record["filters"], key=lambda each: (-each["left_out"], each["id"]))
    for each in [each for each in filters if each["left_out"]][:_SHOWN]:
        click.echo(
            f"    {counted(each['left_out'], 'event')} left out by {terminal_text(each['title'])} "
            f"({terminal_text(each['path'])}:{each['line']})"
        )
    for message in record["unused"]:
        note(f"  {terminal_text(message)}")


def _counts(record: Mapping[str, Any]) -> Iterator[str]:
    if record["config"]:
        yield terminal_text(record["config"]["path"])
    if record["disabled"]:
        yield f"{counted(len(record['disabled']), 'rule')} disabled"
    if record["levels"]:
        yield f"{counted(len(record['levels']), 'level')} changed"
    if record["filters"]:
        applied = [each for each in record["filters"] if each["rules"]]
        left_out = sum(each["left_out"] for each in record["filters"])
        yield f"{counted(len(applied), 'filter')} applied, which left out {counted(left_out, 'hit')}"
    if record["stages"]:
        yield f"{counted(len(record['stages']), 'stage')} disabled ({', '.join(record['stages'])})"
