"""Clocks that differ, measured from events that must coincide."""

from __future__ import annotations

from typing import Any

from tests.case.test_views_meaning import rows
from tests.case.test_views_remote_access import login, nps
from tests.chain.made import Row, flow, logon, security

SITE = {"site_hosts": [("SRV1", "10.1.1.50", "server")]}
SECOND = 1 / 3600


def guid(number: int) -> str:
    return f"{{0a1b2c3d-0000-0000-0000-{number:012x}}}"


def offsets(*events: Row) -> list[dict[str, Any]]:
    return rows("clock_offsets", *events, site=SITE, order="host, reference, basis")


def ticket(hours: float, number: int) -> Row:
    return security(
        hours, "DC1", 4769, LogonGuid=guid(number), TargetUserName="taro", ServiceName="SRV1$", Status="0x0"
    )


def used(hours: float, number: int, host: str = "SRV1") -> Row:
    made = logon(hours, host, "taro", "10.1.2.3", package="Kerberos")
    return Row(made.table, hours, {**made.columns, "LogonGuid": guid(number)})


def test_a_server_ahead_of_the_domain_controller_by_its_tickets() -> None:
    events = [ticket(h, h) for h in range(1, 6)] + [used(h + 180 * SECOND, h) for h in range(1, 6)]
    # A ticket is used again for hours: only its first use counts.
    events += [used(9, 3), used(9.5, 4)]
    (found,) = offsets(*events)
    assert (found["host"], found["reference"], found["basis"]) == ("SRV1", "DC1", "ticket")
    assert (found["pairs"], found["offset_seconds"], found["spread_seconds"]) == (5, 180.0, 0.0)


def test_tickets_without_an_id_and_of_the_controller_itself_say_nothing() -> None:
    empty = "{00000000-0000-0000-0000-000000000000}"
    plain = logon(1, "SRV1", "taro", "10.1.2.3")
    assert (
        offsets(
            security(1, "DC1", 4769, LogonGuid=empty, TargetUserName="taro", Status="0x0"),
            Row(plain.table, 1, {**plain.columns, "LogonGuid": empty}),
            ticket(2, 7),
            used(2.1, 7, host="DC1"),
        )
        == []
    )


def connection(hours: float, port: int, dst: str = "10.1.1.50") -> Row:
    made = flow(hours, "10.1.2.3", dst, 3389)
    return Row("firewall", hours, {**made.columns, "src_port": port})


def arrival(hours: float, port: int) -> Row:
    made = logon(hours, "SRV1", "taro", "10.1.2.3")
    return Row(made.table, hours, {**made.columns, "IpPort": str(port)})


def test_a_firewall_an_hour_behind_by_the_ports_of_connections() -> None:
    events = [connection(h, 50000 + h) for h in range(1, 5)] + [
        arrival(h + 1, 50000 + h) for h in range(1, 5)
    ]
    (found,) = offsets(*events)
    assert (found["host"], found["reference"], found["basis"]) == ("SRV1", "FW1", "port")
    assert (found["pairs"], found["offset_seconds"]) == (4, 3600.0)


def test_a_port_used_again_is_paired_with_the_nearest() -> None:
    found = offsets(
        connection(1, 50000), connection(5, 50000), arrival(1 + SECOND, 50000), arrival(5 + SECOND, 50000)
    )
    assert [(row["pairs"], row["offset_seconds"]) for row in found] == [(2, 1.0)]


def test_connections_of_other_ports_or_hosts_are_no_pairs() -> None:
    assert offsets(connection(1, 50001), arrival(1, 50000)) == []
    assert offsets(connection(1, 50000, dst="10.1.1.51"), arrival(1, 50000)) == []


def test_an_appliance_against_the_policy_server() -> None:
    (found,) = offsets(
        login(1 + 90 * SECOND, src_ip="203.0.113.5"),
        nps(1, 6272, "taro", "203.0.113.5"),
        nps(1, 6272, "hanako", "203.0.113.6"),
    )
    assert (found["host"], found["reference"], found["basis"], found["offset_seconds"]) == (
        "VPN1", "NPS1", "radius", 90.0,
    )  # fmt: skip


def test_client_and_server_without_the_controllers_log() -> None:
    (found,) = offsets(
        security(1, "PC1", 4648, LogonGuid=guid(9), TargetUserName="taro", TargetServerName="SRV1"),
        used(1 + 5 * SECOND, 9),
    )
    assert (found["host"], found["reference"], found["offset_seconds"]) == ("SRV1", "PC1", 5.0)
