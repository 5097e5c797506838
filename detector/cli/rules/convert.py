"""`detector rules convert`: rules as queries of another system."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import click

from detector.cli.common import counted, note
from detector.cli.exit_codes import EXIT_FAILED, EXIT_INCOMPLETE
from detector.errors import OutputError
from detector.report.safe_text import terminal_text
from detector.sigma.convert import INSTALL, Conversion, backends, convert, make_backend, pipelines


@click.command("convert")
@click.argument("paths", type=click.Path(path_type=Path), nargs=-1, metavar="PATH...")
@click.option("--to", "backend_name", metavar="BACKEND", help="The system; left out, they are listed.")
@click.option(
    "--pipeline",
    "-p",
    "pipeline_names",
    multiple=True,
    metavar="P",
    help="Field names of the system: an installed pipeline, or a YAML file; may be given several times.",
)
@click.option("--format", "-f", "output_format", metavar="F", help="Form of the output, of those it has.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write to this new file instead of the screen.",
)
@click.pass_context
def convert_rules(
    context: click.Context,
    /,
    paths: tuple[Path, ...],
    backend_name: str | None,
    pipeline_names: tuple[str, ...],
    output_format: str | None,
    output: Path | None,
) -> None:
    """Convert rules with pySigma and its installed backends (pip install pysigma-backend-…).

    A rule that the backend cannot express is named on standard error by file and line; the others are
    converted. Exit code 3 if there is one.

    \b
    Examples:
      detector rules convert
      detector rules convert --to splunk -p splunk_windows rules -o savedsearches.txt
    """
    if backend_name is None:
        _list_backends()
        context.exit(0 if not paths else 2)
    if not paths:
        raise click.UsageError("Missing argument 'PATH...'.")
    backend = make_backend(backend_name, pipeline_names, output_format)
    result = Conversion()
    with _output(output) as stream:
        for query in convert(paths, backend, output_format, result):
            for text in query.queries:
                # Queries are data: a title of a rule must not act on a terminal, line feeds stay.
                click.echo("\n".join(map(terminal_text, text.split("\n"))), file=stream)
    for problem in result.problems:
        note(terminal_text(str(problem)))
    note(f"{counted(result.converted, 'rule')} converted, {len(result.problems):,} not")
    context.exit(_code(result))


def _code(result: Conversion) -> int:
    if not result.problems:
        return 0
    return EXIT_INCOMPLETE if result.converted else EXIT_FAILED


def _list_backends() -> None:
    found = backends()
    if not found:
        click.echo(f"no backend is installed: {INSTALL}")
    for name, (what, formats) in found.items():
        click.echo(f"{name:<12} {what}; formats: {', '.join(formats)}")
    click.echo(f"pipelines: {', '.join(pipelines()) or 'none'}")


@contextlib.contextmanager
def _output(path: Path | None) -> Iterator[TextIO | None]:
    """Open a file that is not there yet, or standard output (None)."""
    if path is None:
        yield None
        return
    try:
        with path.open("x", encoding="utf-8", newline="\n") as stream:
            yield stream
    except FileExistsError as error:
        raise OutputError(f"{path} is there already: name another file") from error
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error
