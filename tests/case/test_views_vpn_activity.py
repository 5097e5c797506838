"""Who an internal address was, by the VPN session that held it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.case.test_views_meaning import rows
from tests.case.test_views_remote_access import end, start
from tests.chain.made import Row, flow, logon, security

ASSIGNED = "10.8.0.5"
VPN = (
    start(1, "HOSP\\Taro", src_ip="203.0.113.5", assigned_ip=ASSIGNED, session_id="1"),
    end(3, "HOSP\\Taro", session_id="1"),
)


def activity(*events: Row, site: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    return rows("vpn_activity", *VPN, *events, site=site, order="time, kind, event_id")


def translated(hours: float, src: str, nat: str, port: int | None, dst: str = "10.1.1.50") -> Row:
    made = flow(hours, src, dst, 3389)
    return Row("firewall", hours, {**made.columns, "src_nat_ip": nat, "src_nat_port": port})


def test_what_the_assigned_address_does_is_the_users() -> None:
    found = activity(
        flow(1.1, ASSIGNED, "10.1.1.50", 3389),
        logon(1.2, "SRV1", "Taro@hosp.example", ASSIGNED, domain="-"),
        logon(1.3, "SRV1", "admin", ASSIGNED, kind=10),
        security(1.4, "SRV1", 4778, AccountName="admin", AccountDomain="HOSP", ClientAddress=ASSIGNED),
        Row(
            "windows_terminalservices_remoteconnectionmanager",
            1.5,
            {"EventID": 1149, "Computer": "SRV1", "Param1": "taro", "Param2": "HOSP", "Param3": ASSIGNED},
        ),
    )
    assert [(row["kind"], row["vpn_account"], row["vpn_src_ip"]) for row in found] == [
        (kind, "taro", "203.0.113.5") for kind in ("flow", "logon", "logon", "remote_desktop", "logon")
    ]
    assert [row["same_account"] for row in found] == [None, True, False, False, True]
    assert all(row["certain"] and row["via"] == "assigned" for row in found)


@pytest.mark.parametrize(
    ("hours", "count", "certain"),
    [(0.95, 1, False), (1.0, 1, True), (3.05, 1, False), (3.2, 0, None), (0.8, 0, None)],
)
def test_clocks_may_differ_by_minutes(hours: float, count: int, certain: bool | None) -> None:
    found = activity(flow(hours, ASSIGNED, "10.1.1.50", 3389))
    assert len(found) == count
    assert not found or found[0]["certain"] is certain


def test_an_address_used_again_belongs_to_who_holds_it() -> None:
    found = activity(
        start(3.02, "hanako", assigned_ip=ASSIGNED, session_id="2"),
        flow(2.99, ASSIGNED, "10.1.1.50", 3389),
        flow(3.03, ASSIGNED, "10.1.1.50", 3389),
    )
    assert [row["vpn_account"] for row in found] == ["taro", "hanako"]


def test_a_session_without_an_end_holds_its_address_for_a_day_or_until_the_next() -> None:
    first, second = (start(h, user, assigned_ip="10.8.0.9") for h, user in ((1, "jiro"), (10, "hanako")))
    flows = [flow(h, "10.8.0.9", "10.1.1.50", 3389) for h in (2, 11, 33, 35)]
    found = activity(first, second, *flows)
    assert [(row["vpn_account"], row["certain"]) for row in found] == [
        ("jiro", False), ("hanako", False), ("hanako", False),
    ]  # fmt: skip


def test_behind_a_translated_address() -> None:
    site = {"site_hosts": [("SRV1", "10.1.1.50", "server")]}
    by_port = activity(
        translated(1.1, ASSIGNED, "10.1.1.1", 50000), logon(1.11, "SRV1", "admin", "10.1.1.1"), site=site
    )
    assert [(row["kind"], row["via"], row["vpn_account"], row["certain"]) for row in by_port] == [
        ("flow", "assigned", "taro", True), ("logon", "nat", "taro", True),
    ]  # fmt: skip
    other_port = activity(
        translated(1.1, ASSIGNED, "10.1.1.1", 40000), logon(1.11, "SRV1", "admin", "10.1.1.1"), site=site
    )
    assert [row["kind"] for row in other_port] == ["flow"]
    no_port = activity(
        translated(1.1, ASSIGNED, "10.1.1.1", None), logon(1.11, "SRV1", "admin", "10.1.1.1"), site=site
    )
    assert [(row["kind"], row["certain"]) for row in no_port] == [("flow", True), ("logon", False)]


def test_a_translated_address_that_two_users_share_tells_nothing() -> None:
    site = {"site_hosts": [("SRV1", "10.1.1.50", "server")]}
    found = activity(
        start(1, "hanako", assigned_ip="10.8.0.6", session_id="2"),
        translated(1.1, ASSIGNED, "10.1.1.1", None),
        translated(1.1, "10.8.0.6", "10.1.1.1", None),
        logon(1.11, "SRV1", "admin", "10.1.1.1"),
        site=site,
    )
    assert [row["kind"] for row in found] == ["flow", "flow"]


def test_what_other_addresses_do_is_nobodys() -> None:
    assert activity(flow(2, "10.1.2.3", "10.1.1.50", 3389), logon(2, "SRV1", "taro", "10.1.2.3")) == []
