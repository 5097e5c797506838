"""site.toml: every part optional, every mistake named."""

from __future__ import annotations

from pathlib import Path

import pytest

from detector.case.site import Site, load_site
from detector.errors import SiteError


def load(tmp_path: Path, text: str) -> Site:
    path = tmp_path / "site.toml"
    path.write_text(text, encoding="utf-8")
    return load_site(path)


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
        ("servers = 5", "form"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(SiteError, match=r"site\.toml") as caught:
        load(tmp_path, text)
    assert named in str(caught.value)
