"""Write docs/cli.md from the help of every command.

Usage: python tools/cli_reference.py [--check]

With --check nothing is written: the exit code is 1 if the file and the program differ.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from detector.cli.main import cli

TARGET = Path(__file__).resolve().parents[1] / "docs" / "cli.md"

#: Columns of the help pages, whatever terminal this runs on.
_WIDTH = 100

_HEAD = """\
# Commands

What `--help` of each command says. Written by `make docs`: edit the help texts in `detector/cli/` instead.
"""


def commands(
    command: click.Command = cli, parent: click.Context | None = None, name: str = "detector"
) -> Iterator[tuple[click.Command, click.Context]]:
    """Yield a command and all below it, each with its context, in the order of `--help`."""
    settings = {**command.context_settings, "terminal_width": _WIDTH, "max_content_width": _WIDTH}
    context = click.Context(command, parent=parent, info_name=name, **settings)
    yield command, context
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            assert found is not None
            yield from commands(found, context, child)


def reference() -> str:
    """Return the text of docs/cli.md."""
    parts = [_HEAD]
    for command, context in commands():
        page = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
        parts.append(f"## {context.command_path}\n\n```text\n{page}\n```\n")
    return "\n".join(parts)


def main() -> None:
    """Write the file, or compare it."""
    if sys.argv[1:] == ["--check"]:
        sys.exit(TARGET.read_text(encoding="utf-8") != reference())
    TARGET.write_text(reference(), encoding="utf-8", newline="\n")
    print(TARGET)


if __name__ == "__main__":
    main()
