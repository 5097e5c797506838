"""Maintenance windows of site.toml as the stages see them: over midnight, weekdays, summer time."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from detector.case.site import Site, load_site
from tests.chain.made import START, Logs, Row, findings, history, logon, vpn

BERLIN = ZoneInfo("Europe/Berlin")  # summer time ended on Sunday 2025-10-26 at 03:00
VENDOR = "172.31.7.20"

SITE = """
time_zone = "Europe/Berlin"
[[vendors]]
name = "meals"
networks = ["172.31.7.0/24"]
accounts = ["mealmaint"]
[[maintenance_windows]]
who = "meals"
days = ["Fri", "Sun"]
from = "22:00"
to = "02:00"
"""

#: Local time in Berlin -> is it in the window?
TIMES = [
    ("2025-10-31 21:59:59", False),
    ("2025-10-31 22:00:00", True),
    ("2025-10-31 23:59:59", True),
    ("2025-11-01 01:59:59", True),
    ("2025-11-01 02:00:00", False),
    ("2025-11-01 22:30:00", False),  # a Saturday
    ("2025-10-31 01:00:00", False),  # the window of Thursday, which there is not
    ("2025-10-24 22:30:00", True),  # summer time: 20:30 UTC, which is before the window a week later
    ("2025-10-31 21:30:00", False),
    ("2025-10-27 00:30:00", True),  # Monday, of the window that began on Sunday
]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    path = tmp_path / "site.toml"
    path.write_text(SITE, encoding="utf-8")
    return load_site(path)


def hours(local: str) -> float:
    """Return the hours from START to a local time."""
    return (datetime.fromisoformat(local).replace(tzinfo=BERLIN) - START).total_seconds() / 3600


def logs(site: Site, *rows: Row) -> Logs:
    tables = {"site_windows": site.windows, "site_networks": site.networks, "site_accounts": site.accounts}
    return Logs(rows, tables).numbered()


@pytest.mark.parametrize(("local", "inside"), TIMES)
def test_remote_desktop_of_a_vendor(site: Site, local: str, inside: bool) -> None:
    desktop = logon(hours(local), "MEALSRV", "mealmaint", VENDOR, kind=10, package="Negotiate")
    made = logs(site, *history(["MEALSRV"]), desktop)
    (found,) = findings("remote_desktop_from_outside", made, time_zone="Europe/Berlin")
    assert found["level"] == ("informational" if inside else "high")
    assert found["details"].get("outside_window") == (None if inside else "yes")


@pytest.mark.parametrize(("local", "inside"), TIMES)
def test_vpn_login_of_a_vendor(site: Site, local: str, inside: bool) -> None:
    begin = hours(local)
    usual = [vpn(begin - 24 * day, "mealmaint", "203.0.113.5") for day in range(1, 9)]
    stranger = vpn(begin, "mealmaint", "198.51.100.7", country="Netherlands")
    made = logs(site, *usual, stranger)
    (found,) = findings("initial_access_vpn_break_in", made, time_zone="Europe/Berlin")
    assert found["src_ip"] == "198.51.100.7"
    assert found["details"].get("outside_window") == (None if inside else "yes")
