"""The program `detector`: its commands, loaded when used, and what becomes of errors."""

from __future__ import annotations

import os
import sys
from importlib import import_module

import click

from detector import __version__
from detector.cli.common import EXIT_FAILED, EXIT_INTERRUPTED
from detector.errors import DetectorError
from detector.startup import collect_garbage_less_often, leave_out_pandas

#: Command -> module of `detector.cli` that defines it under the same name, in the order of `--help`.
_COMMANDS: dict[str, str] = {
    "run": "run",
    "ingest": "ingest",
    "scan": "scan",
    "incidents": "incidents",
    "timeline": "timeline",
    "hits": "hits",
    "query": "query",
    "rules": "rules",
    "simulate": "simulate",
}


class _Commands(click.Group):
    """Imports the module of a command only when it is called: a short command must start at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = getattr(import_module(f"detector.cli.{_COMMANDS[cmd_name]}"), cmd_name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="detector")
def cli() -> None:
    """Find the chain of an attack in Windows, VPN and firewall logs, and print it as a timeline.

    \b
    The whole way in one go:
      detector run EXPORTED_LOGS --case mycase
    or step by step:
      detector ingest EXPORTED_LOGS --case mycase
      detector scan --case mycase
      detector timeline --case mycase --lang ja

    \b
    Exit codes: 0 all went well; 1 it could not be done; 2 wrong use; 3 done, but
    part of the input could not be read (the messages say which); 130 interrupted.
    """


def main() -> None:
    """Run the program; every expected error is one message and an exit code, never a traceback."""
    leave_out_pandas()
    collect_garbage_less_often()
    for stream in (sys.stdout, sys.stderr):
        # A Windows console or a pipe may have a code page that lacks Japanese: write what can be written.
        if hasattr(stream, "reconfigure"):
            encoding = "utf-8" if not stream.isatty() else None
            stream.reconfigure(errors="backslashreplace", encoding=encoding)
    try:
        # Not standalone, click returns the code that a command exits with; commands return nothing else.
        sys.exit(cli.main(standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted; what was finished is kept: the same command goes on from there", err=True)
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output has gone (| head): nothing to say, and nothing to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except DetectorError as error:
        click.echo(f"detector: {error}", err=True)
        sys.exit(EXIT_FAILED)


if __name__ == "__main__":
    main()
