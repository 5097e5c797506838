"""What all commands share: options, the case, messages, progress, exit codes."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from detector.case.store import Case
from detector.case.tuned import TUNED_FILE, stored_tuned

Command = TypeVar("Command", bound=Callable[..., Any])


def case_option(required: bool = True) -> Callable[[Command], Command]:
    """Add `--case DIR`, which the environment variable DETECTOR_CASE can give too."""
    return click.option(
        "--case",
        "case_path",
        type=click.Path(path_type=Path, file_okay=False),
        required=required,
        envvar="DETECTOR_CASE",
        metavar="DIR",
        help="The case folder (or set DETECTOR_CASE).",
    )


def format_option(*formats: str) -> Callable[[Command], Command]:
    """Add `--format` with these choices, the first being the default."""
    return click.option(
        "--format",
        "output_format",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help="Form of the output.",
    )


def open_case(path: Path) -> Case:
    """Open an existing case and say on standard error if an interrupted ingest left it incomplete."""
    case = Case.open(path)
    for shown in case.incomplete():
        note(f"{shown} was read only in part by an interrupted ingest: run the same ingest again")
    return case


def open_scanned_case(path: Path) -> Case:
    """Open a case for its results; say on standard error if there are none, or older ones than evidence."""
    case = open_case(path)
    if not case.scanned():
        note(f"nothing was scanned yet: run  detector scan --case {path}")
    elif case.scan_is_old():
        note(f"the results are older than the evidence of this case: run  detector scan --case {path}")
    if stored_tuned(path):
        note(f"the scan left out what detector.toml and filters say: {path / TUNED_FILE} lists it")
    return case


def console(stream: TextIO | None = None) -> Console:
    """Return a console for a stream (standard output if none): as wide as the terminal, else 160 columns."""
    stream = stream or sys.stdout
    return Console(
        file=stream,
        highlight=False,
        markup=False,
        emoji=False,
        width=None if stream.isatty() else _columns(),
    )


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, which takes an s unless there is one."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _columns() -> int:
    """Return what COLUMNS says, if that is a number that a table can have."""
    written = os.environ.get("COLUMNS", "")
    return max(40, int(written)) if written.isascii() and written.isdigit() else 160


def note(message: str) -> None:
    """Say something on standard error."""
    click.echo(message, err=True)


@contextlib.contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int, str], None]]:
    """Yield a function (stage, done, total, what) that draws a bar per stage on a terminal, and nothing else.

    It draws on standard error, so that output can be piped; with a pipe there, or NO_PROGRESS set, it is
    silent.
    """
    if not sys.stderr.isatty() or os.environ.get("NO_PROGRESS"):
        yield lambda stage, done, total, what: None
        return
    bar = Progress(
        TextColumn("{task.description:<8}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[what]}", markup=False),
        console=Console(stderr=True),
        transient=True,
    )
    tasks: dict[str, Any] = {}
    with bar:

        def show(stage: str, done: int, total: int, what: str) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total, what="")
            short = "".join(c if c.isprintable() else "?" for c in Path(what).name)[-40:]
            bar.update(tasks[stage], completed=done, total=total, what=short)

        yield show
