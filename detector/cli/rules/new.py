"""`detector rules new`: the frame of a rule and of its test events."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from detector.sigma.logsources import LogSource
from detector.sigma.skeleton import skeleton, write_skeleton
from detector.tables.results import LEVELS


@click.command("new")
@click.option("--title", default="New Rule", show_default=True, help="What the rule detects.")
@click.option(
    "--logsource",
    default="windows/process_creation",
    show_default=True,
    metavar="PRODUCT/CATEGORY[/SERVICE]",
    help="The log source; a part may be left empty: windows//security, /firewall.",
)
@click.option("--level", type=click.Choice(LEVELS), default="medium", show_default=True, help="Its level.")
@click.option("--author", default="TODO", show_default=True, help="Who writes it.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    metavar="DIR",
    help="Where to write; the current folder if it is left out.",
)
def new_rule(title: str, logsource: str, level: str, author: str, folder: Path) -> None:
    """Write a rule to begin with, with a new id and today's date, and a file for its test events.

    `detector rules check` then names what is still to be filled in. Nothing is overwritten.

    \b
    Examples:
      detector rules new --title "Service Installed From A User Folder" --logsource windows//system
      detector rules new --logsource windows/registry_set --folder myrules
    """
    parts = [part.strip().lower() or None for part in logsource.split("/")]
    if len(parts) > 3 or not any(parts):
        raise click.BadParameter("write PRODUCT/CATEGORY/SERVICE", param_hint="--logsource")
    product, category, service = (*parts, None, None)[:3]
    made = skeleton(
        title, LogSource(product, category, service), level, author, datetime.now().astimezone().date()
    )
    for path in write_skeleton(made, folder):
        click.echo(str(path))
