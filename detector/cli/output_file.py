"""`--output FILE`: whole or not at all, never over evidence, and over another file only if asked to."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, cast

import click

from detector.case.store import Case
from detector.cli.common import Command
from detector.errors import OutputError


@dataclass(frozen=True)
class OutputFile:
    """Where the user wants the output, and whether a file that is there may be replaced."""

    path: Path
    force: bool


def output_option() -> Callable[[Command], Command]:
    """Add `--output FILE` and `--force`; the command gets `output`, an OutputFile, or None for the screen."""

    def decorate(command: Command) -> Command:
        @click.option(
            "-o",
            "--output",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="Write to this file instead of the screen.",
        )
        @click.option("--force", is_flag=True, help="Replace FILE if it is there already.")
        @functools.wraps(command)
        def with_output(*args: Any, output: Path | None, force: bool, **values: Any) -> Any:
            chosen = None if output is None else OutputFile(output, force)
            return command(*args, output=chosen, **values)

        return cast(Command, with_output)

    return decorate


@contextlib.contextmanager
def text_output(output: OutputFile | None, case: Case) -> Iterator[TextIO]:
    """Open where the output goes: a file in UTF-8 that is there whole or not at all, or standard output.

    Raises OutputError if the file cannot be written, or must not be.
    """
    if output is None:
        yield sys.stdout
        return
    path = output.path
    temporary = path.with_name(path.name + ".part")
    try:
        _refuse(output, case)
        with temporary.open("w", encoding="utf-8", newline="") as stream:
            yield stream
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error


def _refuse(output: OutputFile, case: Case) -> None:
    """Raise OutputError where the output would destroy something."""
    path = output.path
    # The name may be a link: what is replaced is the name itself, in the folder where it stands.
    if (path.parent.resolve() / path.name).is_relative_to(case.path.resolve()):
        raise OutputError(f"{path} is in the case folder, which holds only what the case needs: name another")
    if not path.exists():
        return
    if not path.is_file():
        raise OutputError(f"{path} is no ordinary file; leave -o out to write to the screen or a pipe")
    if _is_evidence(path, case):
        raise OutputError(f"{path} is evidence of this case and is not overwritten: name another file")
    if not output.force:
        raise OutputError(f"{path} is there already: name another file, or add --force to replace it")


def _is_evidence(path: Path, case: Case) -> bool:
    """Tell whether a file is evidence, by its place (a log may have grown since) or by its content."""
    place, hashes = path.resolve(), set()
    shown = {copy.path for copy in case.journal.copies}
    for segment in case.journal.segments():
        shown.add(segment.path)
        hashes |= {segment.sha256, segment.container_sha256}
    if any(Path(each.partition("!/")[0]).resolve() == place for each in shown):
        return True
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() in hashes
