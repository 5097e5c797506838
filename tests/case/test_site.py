"""site.toml: every part optional, every mistake named."""

from __future__ import annotations

from pathlib import Path

import pytest

from detector.case.site import SITE_TABLES, Site, load_site
from detector.case.store import Case
from detector.errors import SiteError


def load(tmp_path: Path, text: str) -> Site:
    path = tmp_path / "site.toml"
    path.write_text(text, encoding="utf-8")
    return load_site(path)


WINDOW = 'time_zone = "Asia/Tokyo"\n[[maintenance_windows]]\nwho = "x"\ndays = ["{}"]\nfrom = "{}"\nto = "{}"'


def test_the_form_that_users_get(corpus: Path) -> None:
    site = load_site(corpus.parent / "site.example.toml")
    assert site.time_zone is not None and site.time_zone.key == "Asia/Tokyo"
    assert ("vendor", "meal supplier", "172.31.7.0/24") in site.networks
    assert ("vpn_pools", "", "10.9.0.0/24") in site.networks
    assert ("MEALSRV", "10.1.1.50", "meal") in site.hosts
    assert ("mealmaint", "vendor", "meal supplier") in site.accounts
    assert ("meal supplier", "Fri", "14:00", "16:00") in site.windows
    assert site.reaches == (("meal supplier", "MEALSRV"),)


def test_zones_by_file(tmp_path: Path) -> None:
    site = load(
        tmp_path,
        'time_zone = "Asia/Tokyo"\n[firewalls]\n"FW" = { file = "forti/*.log", time_zone = "UTC" }\n',
    )
    assert str(site.zone_of("C:\\export\\forti\\a.log")) == "UTC"
    assert str(site.zone_of("/export/other/a.log")) == "Asia/Tokyo"


@pytest.mark.parametrize(
    ("days", "begins", "ends", "rows"),
    [
        ("Tue", "14:00", "16:00", [("Tue", "14:00", "16:00")]),
        ("Tue", "22:00", "02:00", [("Tue", "22:00", "24:00"), ("Wed", "00:00", "02:00")]),
        ("Sun", "22:00", "02:00", [("Sun", "22:00", "24:00"), ("Mon", "00:00", "02:00")]),
        ("Tue", "22:00", "00:00", [("Tue", "22:00", "24:00")]),
        ("Tue", "00:00", "24:00", [("Tue", "00:00", "24:00")]),
    ],
)
def test_a_window_over_midnight_is_one_on_each_day(
    tmp_path: Path, days: str, begins: str, ends: str, rows: list[tuple[str, str, str]]
) -> None:
    site = load(tmp_path, WINDOW.format(days, begins, ends))
    assert [row[1:] for row in site.windows] == rows


def test_a_window_without_days_is_on_every_day(tmp_path: Path) -> None:
    text = 'time_zone = "UTC"\n[[maintenance_windows]]\nwho = "x"\nfrom = "01:00"\nto = "02:00"'
    assert len({row[1] for row in load(tmp_path, text).windows}) == 7


def test_empty_is_allowed(tmp_path: Path) -> None:
    assert load(tmp_path, "") == Site()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('time_zone = "Tokio"', "Tokio"),
        ('timezone = "UTC"', "timezone"),
        ('[networks]\nservers = ["10.1.1.0/99"]', "networks.servers"),
        ("[[vendors]]\nnetworks = []", "name"),
        ("name = ", "Invalid value"),
        ("servers = 5", "servers: a table"),
        ("name = 5", "name: a text"),
        ("time_zone = 5", "time_zone: a text"),
        ('time_zone = "../etc/passwd"', "passwd"),
        ('antivirus = "Defender"', "antivirus: a list of texts"),
        ("antivirus = [1]", "antivirus: a list of texts"),
        ("domain = [1]", "domain: a text"),
        ('networks = "10.0.0.0/8"', "networks: a table"),
        ('[networks]\nserver = ["10.0.0.0/8"]', "networks.server"),
        ('[networks]\nservers = "10.0.0.0/8"', "networks.servers: a list"),
        ("vendors = 5", "vendors: a list of tables"),
        ("vendors = [5]", "vendors: a table"),
        ('[[vendors]]\nname = "x"\nnetwork = []', "vendors.network"),
        ('[servers]\nA = { ip = "999.1.1.1" }', "servers.A.ip"),
        ('[servers]\nA = { rolle = "dc" }', "servers.A.rolle"),
        ("[firewalls]\nF = { file = 5 }", "firewalls.F.file"),
        ('[firewalls]\nF = { file = "x", time_zone = "JST" }', "JST"),
        ('[accounts]\nadmins = ["x"]', "accounts.admins"),
        ('[[maintenance_windows]]\nwho = "x"\nto = "16:00"', "maintenance_windows: each needs a from"),
        (WINDOW.format("Tue", "25:00", "16:00"), "maintenance_windows.from: '25:00'"),
        (WINDOW.format("Tue", "14:00", "1600"), "maintenance_windows.to: '1600'"),
        (WINDOW.format("Tuesday", "14:00", "16:00"), "'Tuesday' is not one of Mon"),
        (WINDOW.format("Tue", "14:00", "14:00"), "maintenance_windows.to: no time from 14:00"),
        (WINDOW.format("Tue", "24:00", "02:00"), "maintenance_windows.to: no time from 24:00"),
        (WINDOW.format("Tue", "14:00", "16:00").partition("\n")[2], "time_zone"),
        ("[stages]\nx = 5", "stages.x: a table"),
        ("x = " + "[" * 5000, "site.toml"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(SiteError, match=r"site\.toml") as caught:
        load(tmp_path, text)
    assert named in str(caught.value)


def test_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_bytes('name = "病院"'.encode("cp932"))
    with pytest.raises(SiteError, match=r"site\.toml is not UTF-8"):
        load_site(path)
    path.write_text('name = "病院"', encoding="utf-8-sig")
    assert load_site(path).name == "病院"


_APPROVED = '[[approvals]]\nwho = "x"\nfrom = "2025-10-28 14:00"\nto = "2025-10-28 16:00"\n'


def test_every_table_of_a_site_can_be_asked(tmp_path: Path, corpus: Path) -> None:
    text = (corpus.parent / "site.example.toml").read_text(encoding="utf-8")
    path = tmp_path / "site.toml"
    path.write_text('antivirus = ["Trend Micro", "Kyoei Guard"]\n' + text + _APPROVED, encoding="utf-8")
    case = Case.create(tmp_path / "case")
    case.set_site(path)
    with case.connect(meaning=False) as engine:
        tables = {name: engine.execute(f"FROM {name}") for name in SITE_TABLES}
    assert all(table.num_rows for table in tables.values())
    assert all(tuple(table.column_names) == ("site", *SITE_TABLES[name]) for name, table in tables.items())
    assert tables["site_antivirus"].column("product").to_pylist() == ["Trend Micro", "Kyoei Guard"]


APPROVAL = '[[approvals]]\nwho = "x"\nfrom = "{}"\nto = "{}"\nreference = "r"\n'


def test_approvals_are_in_utc(tmp_path: Path) -> None:
    site = load(
        tmp_path, 'time_zone = "Asia/Tokyo"\n' + APPROVAL.format("2025-10-28 14:00", "2025-10-28 16:00")
    )
    assert site.approvals == (("x", "2025-10-28T05:00:00+00:00", "2025-10-28T07:00:00+00:00", "r"),)
    site = load(tmp_path, APPROVAL.format("2025-10-28T14:00+09:00", "2025-10-28T16:00+09:00"))
    assert site.approvals[0][1] == "2025-10-28T05:00:00+00:00"


@pytest.mark.parametrize(
    ("begins", "ends", "said"),
    [
        ("2025-10-28 14:00", "2025-10-28 16:00", "whose clock"),
        ("2025-10-28T14:00Z", "2025-10-28T13:00Z", "not after"),
        ("tomorrow", "2025-10-28T13:00Z", "not a time"),
    ],
)
def test_approvals_that_cannot_be_are_refused(tmp_path: Path, begins: str, ends: str, said: str) -> None:
    with pytest.raises(SiteError, match=said):
        load(tmp_path, APPROVAL.format(begins, ends))


def test_sources_name_the_computer_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(
        '[[sources]]\nfile = "csv/SRV01/*.csv"\ncomputer = "SRV01.example"\ntime_zone = "Asia/Tokyo"\n'
        '[[sources]]\nfile = "*.csv"\ncomputer = "{folder}"\n'
        '[[sources]]\nfile = "*.txt"\ncomputer = "{file}"\n',
        encoding="utf-8",
    )
    site = load_site(path)
    assert site.computer_of("E:\\export\\csv\\SRV01\\Security.csv") == "SRV01.example"
    assert site.computer_of("logs.zip!/PC7/System.csv") == "PC7"
    assert site.computer_of("/logs/PC8.txt") == "PC8"
    assert site.computer_of("/logs/PC8.evtx") is None
    zone = site.zone_of("csv/SRV01/Security.csv")
    assert zone is not None and zone.key == "Asia/Tokyo"
    assert site.zone_of("other/Security.csv") is None
