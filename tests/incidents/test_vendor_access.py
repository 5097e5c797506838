"""The review of remote maintenance, on made-up logs: START is Monday 09:00 in Tokyo."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from detector.incidents.vendor_access import VENDOR_VIEWS, Agreements, Visit, vendor_visits
from detector.report.output import Style
from detector.report.texts import LANGUAGES, load
from detector.report.vendor_access import VENDOR_FORMATS, vendor_output
from tests.chain.made import START, Logs, Row, engine_of, flow, logon

TOKYO = ZoneInfo("Asia/Tokyo")
SITE: dict[str, Sequence[tuple[str | None, ...]]] = {
    "site_accounts": [("mealmaint", "vendor", "meal supplier")],
    "site_networks": [
        ("vendor", "meal supplier", "172.31.7.0/24"),
        ("vendor_vpn_pool", "meal supplier", "10.8.0.0/24"),
        ("servers", "", "10.1.1.0/24"),
        ("clients", "", "10.1.2.0/24"),
    ],
    "site_hosts": [("MEALSRV", "10.1.1.50", "meal"), ("DC1", "10.1.1.10", "dc")],
    "site_reaches": [("meal supplier", "MEALSRV")],
    "site_windows": [("meal supplier", "Mon", "09:00", "12:00"), ("meal supplier", "Mon", "22:00", "24:00"),
                     ("meal supplier", "Tue", "00:00", "02:00")],
}  # fmt: skip


def session(
    begins: float, ends: float | None, user: str = "mealmaint", assigned: str = "10.8.0.5"
) -> list[Row]:
    common = {"device": "VPN1", "user": user, "session_id": f"{user}{begins}"}
    first = {"event_type": "session_start", "src_ip": "203.0.113.5", "assigned_ip": assigned}
    made = [Row("vpn", begins, {**common, **first})]
    if ends is not None:
        made.append(Row("vpn", ends, {**common, "event_type": "session_end"}))
    return made


def visits(*events: Row, **site: Sequence[tuple[str | None, ...]]) -> list[Visit]:
    with engine_of(Logs(events, {**SITE, **site}).numbered(), views=VENDOR_VIEWS) as engine:
        return vendor_visits(engine, TOKYO)


def test_a_visit_by_vpn_with_what_was_done_from_its_address() -> None:
    (visit,) = visits(
        *session(1, 2),
        logon(1.5, "MEALSRV", "admin", "10.8.0.5", kind=10),
        flow(1.5, "10.8.0.5", "10.1.1.50", 3389),
    )  # fmt: skip
    assert (visit.vendor, visit.accounts, visit.way) == ("meal supplier", ("mealmaint",), "vpn")
    assert (visit.src_ip, visit.assigned_ip, visit.duration) == ("203.0.113.5", "10.8.0.5", 3600.0)
    assert (visit.hosts, visit.window, visit.reach) == (("MEALSRV",), "inside", "allowed")
    assert (visit.approved, visit.reference) == ("not_stated", None)


@pytest.mark.parametrize(
    ("begins", "ends", "window"),
    [
        (0, 3, "inside"),
        (2, 3.5, "partly"),
        (-0.5, 1, "partly"),
        (4, 5, "outside"),
        (13, 16.9, "inside"),  # over midnight, in a window over midnight
        (24, 25, "outside"),  # Tuesday morning
        (2.5, None, "inside"),
        (3.5, None, "outside"),
    ],
)
def test_inside_or_outside_of_the_window(begins: float, ends: float | None, window: str) -> None:
    rows = [row[1:] for row in SITE["site_windows"]]
    agreements = Agreements(TOKYO, {"meal supplier": cast(Any, rows)}, {}, {})
    until = None if ends is None else START + timedelta(hours=ends)
    assert agreements.window(["meal supplier"], START + timedelta(hours=begins), until) == window
    assert agreements.window(["another"], START + timedelta(hours=begins), until) == "not_stated"


def test_a_host_that_the_vendor_does_not_maintain() -> None:
    (visit,) = visits(*session(1, 2), logon(1.5, "DC1", "admin", "10.8.0.5"))
    assert (visit.hosts, visit.reach) == (("DC1",), "other_host")


@pytest.mark.parametrize(
    ("begins", "ends", "approved"), [(1, 2, ("yes", "req 7")), (1, 4, ("no", None)), (30, 31, ("no", None))]
)
def test_approvals(begins: float, ends: float, approved: tuple[str, str | None]) -> None:
    granted = (START + timedelta(hours=0.5), START + timedelta(hours=3), "req 7")
    agreements = Agreements(TOKYO, {}, {}, {"meal supplier": [granted]})
    times = (START + timedelta(hours=begins), START + timedelta(hours=ends))
    assert agreements.approval(["meal supplier"], *times) == approved
    assert agreements.approval(["another"], *times) == ("no", None)
    assert Agreements(TOKYO, {}, {}, {}).approval(["meal supplier"], *times) == ("not_stated", None)


def test_an_approval_of_site_toml_reaches_its_visit() -> None:
    granted = ("meal supplier", "2025-10-27T00:30:00+00:00", "2025-10-27T03:00:00+00:00", "req 7")
    inside, outside = visits(*session(1, 2), *session(4, 5), site_approvals=[granted])
    assert (inside.approved, inside.reference, inside.window) == ("yes", "req 7", "inside")
    assert (outside.approved, outside.window) == ("no", "outside")


def test_staff_is_not_maintenance_unless_nothing_says_who_is() -> None:
    staff = session(1, 2, "hanako", "10.9.0.5")
    assert visits(*staff) == []
    (visit,) = visits(*staff, site_accounts=[], site_networks=[])
    assert (visit.accounts, visit.vendor) == (("hanako",), None)


def test_remote_desktop_from_the_vendors_network() -> None:
    one, other = visits(
        flow(1, "172.31.7.20", "10.1.1.50", 3389),
        logon(1.01, "MEALSRV", "mealmaint", "172.31.7.20", kind=10),
        logon(2, "MEALSRV", "admin", "172.31.7.20", kind=10),
        flow(20, "172.31.7.20", "10.1.1.10", 3389),
        flow(20, "10.1.2.3", "10.1.1.10", 3389),
        flow(21, "172.31.7.20", "10.1.1.10", 3389, action="deny"),
    )
    assert (one.way, one.accounts, one.duration) == ("rdp", ("HOSP\\admin", "HOSP\\mealmaint"), 3600.0)
    assert (one.window, one.reach) == ("inside", "allowed")
    assert (other.way, other.hosts, other.window, other.reach) == (
        "connection", ("DC1",), "outside", "other_host",
    )  # fmt: skip


def test_a_session_of_a_remote_desktop_gateway() -> None:
    made = {
        "Computer": "GW1",
        "Username": "HOSP\\taro",
        "IpAddress": "203.0.113.9",
        "Resource": "mealsrv.hosp",
    }
    (visit,) = visits(Row("windows_terminalservices_gateway", 1, {"EventID": 302, **made}))
    assert (visit.way, visit.hosts, visit.accounts) == ("rdp_gateway", ("MEALSRV",), ("HOSP\\taro",))


def made_visit(account: str) -> Visit:
    return Visit(
        site="made", begins=START, ends=None, duration=None, vendor=account, accounts=(account,), way="vpn",
        src_ip="203.0.113.5", country=None, assigned_ip=None, device=account, hosts=(account,) * 6,
        window="outside", reach="not_stated", approved="no", reference=None, event=("made", 1),
    )  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("form", VENDOR_FORMATS)
def test_formats_and_hostile_names(form: str, language: str) -> None:
    evil = "=HYPERLINK(1)|\x1b[31m"
    found = [made_visit(evil), made_visit("mealmaint")]
    style = Style(load(language), TOKYO)
    text = "".join(vendor_output(found, {}, form, style))
    assert "\x1b" not in text
    if form == "csv":
        rows = list(csv.reader(io.StringIO(text.lstrip("\ufeff"))))
        assert len(rows) == 3
        assert not any(cell.startswith("=") for row in rows for cell in row)
    elif form == "json":
        records: list[dict[str, Any]] = json.loads(text)
        assert [record["accounts"] for record in records] == [[evil], ["mealmaint"]]
    assert load(language).text("vendor_access", "way_vpn") in text or form == "json"
    assert "?" not in "".join(vendor_output([], {}, form, style))
