"""`detector rules`: which rules there are, what is wrong with them, and what helps to write them."""

from __future__ import annotations

from importlib import import_module

import click

#: Command -> (module of this package, name in it), in the order of `--help`; imported when used.
_COMMANDS: dict[str, tuple[str, str]] = {
    "list": ("listing", "list_rules"),
    "check": ("check", "check"),
    "test": ("test", "test_rules"),
    "new": ("new", "new_rule"),
    "convert": ("convert", "convert_rules"),
    "explain": ("explain", "explain_rule"),
}


class _Commands(click.Group):
    """Imports the module of a command only when it is called: some need pySigma, which is slow to import."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name]
        command = getattr(import_module(f"detector.cli.rules.{module}"), name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=_Commands)
def rules() -> None:
    """List, check, test, write and convert Sigma rules.

    \b
    Examples:
      detector rules list
      detector rules check sigma/rules/windows
    """
