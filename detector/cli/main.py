"""The program `detector`: its commands, loaded when used, and what becomes of errors."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from importlib import import_module
from pathlib import Path

from detector.cli.exit_codes import EXIT_FAILED, EXIT_INTERRUPTED

try:
    import click

    from detector import __version__
    from detector.errors import DetectorError
    from detector.report.safe_text import terminal_text
    from detector.startup import collect_garbage_less_often, leave_out_pandas
except KeyboardInterrupt:
    # Nothing has begun: a second thought at the prompt gets no traceback.
    sys.exit(EXIT_INTERRUPTED)

#: Command -> module of `detector.cli` that defines it under the same name, in the order of `--help`.
_COMMANDS: dict[str, str] = {
    "run": "run",
    "ingest": "ingest",
    "scan": "scan",
    "incidents": "incidents",
    "timeline": "timeline",
    "hits": "hits",
    "coverage": "coverage",
    "vendor-access": "vendor_access",
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
        command = getattr(import_module(f"detector.cli.{_COMMANDS[cmd_name]}"), cmd_name.replace("-", "_"))
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
    try:
        leave_out_pandas()
        collect_garbage_less_often()
        _prepare_streams()
        # Whoever ends the program politely gets the same as with Ctrl-C: workers end, what was read stays.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        # Not standalone, click returns the code that a command exits with; commands return nothing else.
        code = cli.main(standalone_mode=False) or 0
        # What cannot be written shows now, and not when Python ends.
        sys.stdout.flush()
        sys.exit(code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        _say("interrupted; what was finished is kept: the same command goes on from there")
        sys.exit(EXIT_INTERRUPTED)
    except DetectorError as error:
        _say(f"detector: {error}")
        sys.exit(EXIT_FAILED)
    except MemoryError:
        _say("detector: the memory is used up; for ingest, --workers 1 needs the least")
        sys.exit(EXIT_FAILED)
    except OSError as error:
        _give_up_output()
        if isinstance(error, BrokenPipeError):
            # The reader of our output has gone (| head): nothing to say, and nothing to say it to.
            sys.exit(0)
        where = f"{error.filename}: " if error.filename else ""
        _say(f"detector: {where}{error.strerror or error}")
        sys.exit(EXIT_FAILED)


def _prepare_streams() -> None:
    """Write what can be written: a Windows console or a pipe may have a code page that lacks Japanese."""
    # A stream that the caller has closed is None; what stands in for it lives as long as the process.
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            encoding = "utf-8" if not stream.isatty() else None
            stream.reconfigure(errors="backslashreplace", encoding=encoding)


def _say(message: str) -> None:
    """Write to standard error; a message may hold names of files that others chose."""
    with contextlib.suppress(OSError):
        click.echo("\n".join(map(terminal_text, message.split("\n"))), err=True)


def _give_up_output() -> None:
    """Let what standard output still holds back go nowhere, or Python would try it again at its end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
