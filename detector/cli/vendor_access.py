"""`detector vendor-access`: the review of remote maintenance."""

from __future__ import annotations

from pathlib import Path

import click

from detector.cli.common import case_option, format_option, note, open_case
from detector.cli.output_file import OutputFile, output_option
from detector.cli.report_options import language_option, style_of, write_lines, zone_option
from detector.incidents.vendor_access import VENDOR_VIEWS, vendor_visits
from detector.report.evidence_reference import EVENT_VIEWS, load_references
from detector.report.vendor_access import VENDOR_FORMATS, vendor_output


@click.command(name="vendor-access")
@case_option()
@format_option(*VENDOR_FORMATS)
@language_option()
@zone_option()
@output_option()
def vendor_access(
    case_path: Path, output_format: str, lang: str, tz: str | None, output: OutputFile | None
) -> None:
    """List who used remote maintenance: when, from where, to which host, how long, and if it was agreed.

    VPN sessions of the vendors of site.toml, sessions of a Remote Desktop Gateway, and remote desktop
    from outside the site's networks. Each is compared with the maintenance windows, the hosts that the
    vendor maintains, and the approvals of site.toml. Without vendors there, every VPN session is listed.

    \b
    Example:
      detector vendor-access --case mycase --format csv --output review.csv
    """
    case = open_case(case_path)
    style = style_of(case, lang, tz, output is None)
    site = case.site()
    if not any(kind == "vendor" for _, kind, _ in site.accounts) and not any(
        kind.startswith("vendor") for kind, _, _ in site.networks
    ):
        note("site.toml names no vendors: every VPN session is listed (docs/site.md)")
    with case.connect(views=[*VENDOR_VIEWS, *EVENT_VIEWS]) as engine:
        visits = vendor_visits(engine, site.time_zone or style.zone)
        references = load_references(engine, (visit.event for visit in visits))
        write_lines(vendor_output(visits, references, output_format, style), output, case)
