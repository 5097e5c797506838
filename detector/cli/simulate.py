"""`detector simulate`: a hospital and its attack, written as log files with the ground truth beside them."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import click

from detector.cli.common import progress_bar
from detector.errors import OutputError
from detector.simulate.options import (
    ANTIVIRUS,
    ATTACKS,
    AUDITS,
    ENTRIES,
    MAX_DAYS,
    MAX_HOSTS,
    MIN_HOSTS,
    MOVEMENTS,
    SimulationOptions,
)
from detector.simulate.run import LOGS, SITE_FILE, TRUTH_FILE, write
from detector.simulate.truth import Truth

_DEFAULTS = SimulationOptions()


class _Day(click.ParamType[date]):
    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        if isinstance(value, date):
            return value
        try:
            return datetime.strptime(value, "%Y-%m-%d").date()  # noqa: DTZ007 - a calendar day has no zone
        except ValueError:
            self.fail(f"{value!r} is not a day such as 2025-10-27", param, ctx)


@click.command(context_settings={"show_default": True})
@click.argument("out_dir", type=click.Path(path_type=Path, file_okay=False))
@click.option("--days", type=click.IntRange(1, MAX_DAYS), default=_DEFAULTS.days, help="Days to simulate.")
@click.option(
    "--hosts",
    type=click.IntRange(MIN_HOSTS, MAX_HOSTS),
    default=_DEFAULTS.hosts,
    help="Servers and PCs of the hospital.",
)
@click.option("--seed", type=int, default=_DEFAULTS.seed, help="Equal seeds and options give equal files.")
@click.option(
    "--attack",
    type=click.Choice(ATTACKS),
    default=_DEFAULTS.attack,
    help="The whole incident, only up to the servers, or benign life alone.",
)
@click.option("--start", type=_Day(), default=_DEFAULTS.start.isoformat(), help="First local day.")
@click.option("--time-zone", default=_DEFAULTS.time_zone, metavar="ZONE", help="Time zone of the hospital.")
@click.option(
    "--rate",
    type=click.FloatRange(0, 1000),
    default=_DEFAULTS.rate,
    help="Background events of each machine, as a multiple of the usual.",
)
@click.option(
    "--break-in-hour",
    type=click.FloatRange(0, 23.99),
    default=_DEFAULTS.break_in_hour,
    help="Local hour of the intruder's first VPN login.",
)
@click.option(
    "--dwell-days",
    type=click.IntRange(0, MAX_DAYS),
    default=None,
    help="Days between the break-in and the last night.  [default: as many as fit]",
)
@click.option(
    "--entry",
    type=click.Choice(ENTRIES),
    default=_DEFAULTS.entry,
    help="Passwords tried first, or at once with what leaked.",
)
@click.option(
    "--movement",
    type=click.Choice(MOVEMENTS),
    default=_DEFAULTS.movement,
    help="How the intruder reaches the other servers.",
)
@click.option(
    "--antivirus",
    type=click.Choice(ANTIVIRUS),
    default=_DEFAULTS.antivirus,
    help="What protects the servers: an installed product, or Microsoft Defender.",
)
@click.option(
    "--process-auditing",
    type=click.Choice(AUDITS),
    default=_DEFAULTS.process_auditing,
    help="Where process creation (4688) is recorded.",
)
@click.option("--clear-logs/--keep-logs", default=_DEFAULTS.clear_logs, help="Does the intruder clear logs?")
@click.option("--print-notes", is_flag=True, help="Print the ransom note on every printer.")
@click.option("--japanese-names", is_flag=True, help="Account names in Japanese.")
@click.option(
    "--sysmon-hosts", type=click.IntRange(0), default=_DEFAULTS.sysmon_hosts, help="Servers that run Sysmon."
)
@click.option(
    "--clock-skew",
    type=click.IntRange(0, 86400),
    default=_DEFAULTS.clock_skew,
    metavar="SECONDS",
    help="How wrong clocks outside the domain may be.",
)
@click.option(
    "--missing",
    multiple=True,
    metavar="PATTERN",
    help="Leave out files, such as 'DC1/Security.evtx' or '*/System.evtx'; may be repeated.",
)
@click.option("--force", is_flag=True, help="Write into a folder that is not empty.")
def simulate(out_dir: Path, force: bool, **options: Any) -> None:
    """Write a simulated hospital, and the attack on it, as log files below OUT_DIR.

    OUT_DIR/logs holds the logs as an analyst gets them: HOST/Security.evtx and so on, and the lines of two
    FortiGates. truth.json says which records belong to which step of the attack and what only looks like
    one; site.toml says what logs cannot.

    \b
    Example:
      detector simulate sample --days 3 --hosts 20 --seed 7
      detector run sample/logs --case mycase
    """
    if not force and out_dir.is_dir() and any(out_dir.iterdir()):
        raise OutputError(f"{out_dir} is not empty: choose another folder, or add --force to write into it")
    with progress_bar() as show:
        truth = write(
            SimulationOptions(**options), out_dir, lambda what, share: show(what, int(share * 100), 100, "")
        )
    _say(truth, out_dir)


def _say(truth: Truth, out_dir: Path) -> None:
    click.echo(f"{truth.records} records in {len(truth.files)} files below {out_dir / LOGS}")
    for attack in truth.attacks:
        steps = ", ".join(step["id"] for step in attack["steps"])
        click.echo(f"1 attack in {len(attack['steps'])} steps ({steps}) on {len(attack['hosts'])} hosts")
    if not truth.attacks:
        click.echo("no attack")
    alike = len(truth.lookalikes)
    click.echo(f"{alike} benign look-alikes; all of it in {out_dir / TRUTH_FILE}")
    click.echo(f"what logs cannot say of the site: {out_dir / SITE_FILE}")
