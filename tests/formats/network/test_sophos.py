# ruff: noqa: E501 - log lines are long
"""Sophos Firewall and UTM lines: against what Elastic, Sekoia and Wazuh expect of their recordings, and by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.formats.base import ReadContext
from detector.formats.network import sophos
from detector.formats.network.sophos import DEVICE, FORMAT
from detector.formats.registry import recognise
from tests.formats.network.promises import SAMPLES, read, survives
from tests.formats.network.vendor_checks import CONTEXT, elastic, linear, one, sekoia, strangers

_SAME = {
    "source.ip": "src_ip", "source.port": "src_port", "destination.ip": "dst_ip", "destination.port": "dst_port",
    "source.bytes": "bytes_sent", "destination.bytes": "bytes_received", "source.user.name": "user", "network.transport": "protocol",
    "observer.ingress.interface.name": "src_interface", "source.mac": "src_mac", "rule.id": "rule_name", "event.id": "event_id",
    "log.level": "level", "host.hostname": "device", "observer.hostname": "device", "url.domain": "dst_host", "destination.domain": "dst_host",
}  # fmt: skip


def _explained(name: str, want: Any, got: Any, fields: dict[str, str]) -> bool:
    """Differences kept on purpose."""
    if name in ("log.level", "network.transport"):  # in lower case, and the word of syslog for `Information`
        return (
            str(got).lower().replace("information", "informational") == str(want).lower()
            or str(got).lower() == str(want).lower()
        )
    if name == "source.mac":  # ECS writes hyphens and capitals; we keep the line's
        return str(want).replace("-", ":").lower() == str(got).lower()
    if name == "source.user.name":  # Elastic keeps what it cannot split
        return got == str(want).split("@")[0]
    if name == "rule.id":  # 0: no rule; the rule's name where it has one
        return (want == "0" and got is None) or got == fields.get("rule_name")
    if name == "url.domain":  # the line's own domain; Elastic cuts it out of the URL
        return got is None or want in fields.get("url", "")
    return False


@pytest.mark.corpus
@pytest.mark.parametrize("folder", ["elastic_sophos_xg", "elastic_sophos_utm"])
def test_as_elastic_expects(corpus: Path, folder: str) -> None:
    compared = 0
    for want in elastic(corpus / "netlogs/sophos" / folder):
        if "dhcpd:" in want["event.original"]:  # the lines of ISC DHCP, which are no Sophos lines
            assert DEVICE.parse(want["event.original"], CONTEXT) is None
            continue
        parsed = one(DEVICE, want["event.original"])
        for name, column in _SAME.items():
            if name in want and not (parsed.table == "vpn" and name == "source.mac"):
                got = parsed.columns.get(column)
                compared += 1
                assert str(got) == str(want[name]) or _explained(name, want[name], got, parsed.fields), (
                    name, want[name], got, want["event.original"],
                )  # fmt: skip
        if "event.code" in want:  # Elastic takes the message number out of the log id
            assert parsed.columns["event_id"].endswith(str(want["event.code"]))
        stamp = datetime.fromisoformat(want["@timestamp"].replace("Z", "+00:00"))
        if parsed.fields.get("timezone") not in ("IST", "CEST"):  # Elastic takes the names of zones for UTC
            assert abs(parsed.columns["time"] - stamp) < timedelta(seconds=61), (
                parsed.columns["time"],
                stamp,
            )
    assert compared > (500 if folder.endswith("xg") else 20)


@pytest.mark.corpus
def test_as_sekoia_expects(corpus: Path) -> None:
    compared = 0
    for name, line, want in sekoia(corpus / "netlogs/sophos/sekoia_sophos_firewall"):
        parsed = one(DEVICE, line)
        for field, column in _SAME.items():
            if field in want and not (
                name == "test_plugin_waf.json" and field == "source.bytes"
            ):  # the size of the answer
                compared += 1
                got = parsed.columns.get(column)
                assert str(got) == str(want[field]) or _explained(field, want[field], got, parsed.fields), (
                    name,
                    field,
                )
        if "user.name" in want:
            assert parsed.columns["user_original"] == want["user.name"]
    assert compared > 15


@pytest.mark.corpus
def test_wazuh(corpus: Path) -> None:
    lines = [
        line.partition(" = ")[2]
        for line in (corpus / "netlogs/sophos/wazuh_sophos_fw.ini").read_text("utf-8").splitlines()
        if line.startswith("log ")
    ]
    assert [one(DEVICE, line).columns["action"] for line in lines] == [
        "deny", "allow", "allow", "drop", "modify", "deny", "deny", "other", "other", "other",
    ]  # fmt: skip


@pytest.mark.corpus
def test_takes_no_others(corpus: Path) -> None:
    assert strangers(DEVICE, corpus / "netlogs", {"sophos"}) == []


@pytest.mark.corpus
def test_files_are_recognised(corpus: Path) -> None:
    for name in (
        "elastic_sophos_xg/test-xg-cfilter-new.log",
        "elastic_sophos_utm/test-sophos-utm-packetfilter.log",
    ):
        assert recognise((corpus / "netlogs/sophos" / name).read_bytes()[:65536]) is FORMAT


SFOS = 'device="SFW" date=2022-10-31 time=02:15:00 timezone="JST" device_name="XG1" device_id=S1 log_id=0628116178{n} log_type="Event" log_component="{component}" log_subtype="{subtype}" '


def _sfos(component: str, rest: str, subtype: str = "System") -> Any:
    parsed = one(DEVICE, SFOS.format(n=24, component=component, subtype=subtype) + rest)
    assert parsed.columns["time"] == datetime(2022, 10, 30, 17, 15, tzinfo=UTC)
    return parsed


def test_ssl_vpn_session() -> None:
    up = _sfos(
        "SSL VPN",
        'status="Established" priority=Information Mode="Remote Access" sessionid="7" starttime=0 user_name="maint" ipaddress=10.81.234.6 remote_ip=10.81.234.12 message="SSL VPN User \'maint\' connected "',
    )
    assert up.table == "vpn"
    want = {"event_type": "session_start", "action": "login", "outcome": "success", "user": "maint", "assigned_ip": "10.81.234.6",
            "vpn_type": "ssl", "session_id": "7", "device": "XG1"}  # fmt: skip
    assert {name: up.columns.get(name) for name in want} == want
    down = _sfos(
        "SSL VPN",
        'status="Terminated" Mode="Remote Access" sessionid="7" user_name="" ipaddress=10.81.234.6 sent_bytes=10 recv_bytes=20 message="SSL VPN User \'maint\' disconnected "',
    ).columns
    assert (down["event_type"], down["action"], down["user"], down["bytes_sent"]) == (
        "session_end",
        "logout",
        "maint",
        10,
    )
    sites = _sfos(
        "IPSec",
        'status="Terminated" user_name="" connectionname="branch" message="branch - IPSec Connection branch between 198.51.100.1 and 203.0.113.1 for Child branch terminated."',
    ).columns
    assert (sites["event_type"], sites["action"], sites["vpn_type"]) == ("tunnel", "close", "ipsec")
    failed = _sfos(
        "SSL VPN Authentication",
        'status="Failed" user_name="eve" reason="wrong credentials" src_ip=203.0.113.9 message="User eve failed to login to SSLVPN through Local authentication mechanism because of wrong credentials"',
        "Authentication",
    )
    assert (
        failed.table == "vpn"
        and failed.columns["outcome"] == "failure"
        and failed.columns["reason"] == "wrong credentials"
    )


def test_ipsec_remote_access() -> None:
    got = _sfos(
        "IPSec",
        'status="Failed" user_name="maint" connectionname="ra" localinterfaceip=198.51.100.1 remoteinterfaceip=203.0.113.9 remotenetwork="10.84.234.5/32" message="ra - IKE message retransmission timed out (Remote: 203.0.113.9)"',
    ).columns
    assert (got["event_type"], got["outcome"], got["src_ip"], got["assigned_ip"]) == (
        "authentication",
        "failure",
        "203.0.113.9",
        "10.84.234.5",
    )


def test_failed_login_on_the_command_line() -> None:
    got = _sfos(
        "CLI",
        'status="Failed" user_name="root" src_ip=192.0.2.8 message="User \'root\' failed to login from \'192.0.2.8\' using ssh because of wrong credentials"',
        "Admin",
    ).columns
    assert (got["event_type"], got["action"], got["outcome"], got["user"]) == (
        "admin",
        "login",
        "failure",
        "root",
    )


def test_authentication_by_the_vpn_itself() -> None:
    got = _sfos("SSL VPN", 'status="Success" user_name="bob" src_ip=203.0.113.9', "Authentication").columns
    assert (got["event_type"], got["outcome"], got["src_ip"]) == ("authentication", "success", "203.0.113.9")


@pytest.mark.parametrize(
    ("rest", "kind", "action", "outcome"),
    [
        ('status="Successful" user_name="admin" src_ip=192.0.2.8 message="User admin logged in successfully to Web Admin Console"', "admin", "login", "success"),
        ('status="Failed" user_name="admin" src_ip=192.0.2.8 message="User admin failed to login to Web Admin Console because of wrong credentials"', "admin", "login", "failure"),
        ('status="Successful" user_name="admin" src_ip=192.0.2.8 message="User admin logged out of Web Admin Console"', "admin", "logout", "success"),
        ('status="Successful" user_name="admin" src_ip=192.0.2.8 message="Firewall Rule \'all\' was added by \'admin\' from \'192.0.2.8\' using \'GUI\'"', "config", "create", "success"),
        ('status="Successful" user_name="admin" src_ip=192.0.2.8 message="SSL VPN policy \'x\' was deleted by \'admin\' from \'192.0.2.8\' using \'GUI\'"', "config", "delete", "success"),
    ],
)  # fmt: skip
def test_administrators(rest: str, kind: str, action: str, outcome: str) -> None:
    got = _sfos("GUI", rest, "Admin").columns
    assert (got["event_type"], got["action"], got["outcome"]) == (kind, action, outcome)
    assert (got["user"], got["src_ip"]) == ("admin", "192.0.2.8")


UTM = '2022:10:31-02:15:00 utm1 {process}[9876]: id="{id}" severity="info" sys="{sys}" sub="{sub}" '


def _utm(process: str, number: str, system: str, sub: str, rest: str) -> Any:
    return one(DEVICE, UTM.format(process=process, id=number, sys=system, sub=sub) + rest)


def test_utm_vpn_and_logins() -> None:
    start = _utm(
        "openvpn",
        "2201",
        "SecureNet",
        "vpn",
        'event="Connection started" username="maint" variant="ssl" srcip="203.0.113.9" virtual_ip="10.242.2.2"',
    )
    assert start.table == "vpn"
    assert (start.columns["event_type"], start.columns["user"], start.columns["src_ip"], start.columns["assigned_ip"], start.columns["vpn_type"]) == (
        "session_start", "maint", "203.0.113.9", "10.242.2.2", "ssl",
    )  # fmt: skip
    end = _utm(
        "openvpn",
        "2202",
        "SecureNet",
        "vpn",
        'event="Connection terminated" username="maint" variant="ssl" srcip="203.0.113.9" virtual_ip="10.242.2.2" rx="10" tx="20"',
    ).columns
    assert (end["event_type"], end["bytes_sent"], end["bytes_received"]) == ("session_end", 10, 20)
    bad = _utm(
        "aua",
        "3005",
        "System",
        "auth",
        'name="Authentication failed" srcip="203.0.113.9" host="" user="eve" caller="openvpn" reason="DENIED"',
    )
    assert bad.table == "vpn" and bad.columns["outcome"] == "failure" and bad.columns["reason"] == "DENIED"
    admin = _utm(
        "aua",
        "3004",
        "System",
        "auth",
        'name="Authentication successful" srcip="192.0.2.8" host="" user="admin" caller="webadmin" engine="local"',
    ).columns
    assert (admin["event_type"], admin["outcome"], admin["user"], admin["src_ip"]) == (
        "admin",
        "success",
        "admin",
        "192.0.2.8",
    )
    portal = _utm(
        "aua",
        "3004",
        "System",
        "auth",
        'name="Authentication successful" srcip="192.0.2.8" host="" user="bob" caller="portal" engine="local"',
    ).columns
    assert portal["event_type"] == "authentication"


def test_utm_time_is_local() -> None:
    line = (
        UTM.format(process="ulogd", id="2001", sys="SecureNet", sub="packetfilter")
        + 'action="drop" srcip="192.0.2.1"'
    )
    assert one(DEVICE, line).columns["time"] == datetime(2022, 10, 31, 2, 15, tzinfo=UTC)
    parsed = DEVICE.parse(line, ReadContext())
    assert parsed is not None and parsed.zoneless and "time" not in parsed.columns
    assert FORMAT.needs_zone is not None and FORMAT.needs_zone(line.encode())


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("+11", datetime(2022, 10, 30, 15, 15, tzinfo=UTC)),
        ("CET", datetime(2022, 10, 31, 1, 15, tzinfo=UTC)),
        ("IST", datetime(2022, 10, 31, 2, 15, tzinfo=UTC)),
    ],
)
def test_zones(stated: str, expected: datetime) -> None:
    assert (
        one(DEVICE, SFOS.format(n=1, component="X", subtype="System").replace("JST", stated)).columns["time"]
        == expected
    )


def test_firewall_session_that_ends_is_closed() -> None:
    line = 'device="SFW" date=2022-10-31 time=02:15:00 timezone="JST" device_name="XG1" log_id=1 log_type="Firewall" log_component="Firewall Rule" log_subtype="Allowed" status="Allow" duration=30 fw_rule_id=5 src_ip=192.0.2.1 src_country_code=R1 dst_ip=198.51.100.1 protocol="TCP" src_port=50000 dst_port=3389 sent_bytes=10 recv_bytes=20 connevent="Stop" connid="9"'
    got = one(DEVICE, line).columns
    assert (got["action"], got["outcome"], got["dst_port"], got["rule_name"], got["session_id"]) == (
        "close",
        "success",
        3389,
        "5",
        "9",
    )
    assert "src_country" not in got and got["duration"] == 30.0


def test_advanced_threat_protection_names_its_ends_otherwise() -> None:
    got = one(
        DEVICE,
        'device="SFW" date=2022-10-31 time=02:15:00 timezone="JST" device_name="XG1" log_id=086304418010 log_type="ATP" log_component="Firewall" log_subtype="Drop" priority=Warning user_name="bob" protocol="TCP" src_port=22623 dst_port=80 sourceip=192.0.2.7 destinationip=198.51.100.3 url=198.51.100.3 threatname=C2/Generic-A',
    ).columns
    assert (got["event_type"], got["action"], got["src_ip"], got["dst_ip"], got["message"]) == (
        "threat",
        "drop",
        "192.0.2.7",
        "198.51.100.3",
        "C2/Generic-A",
    )


def test_sample() -> None:
    items = read(FORMAT, (SAMPLES / "sophos.log").read_bytes(), time_zone=UTC)
    assert [(item.table, item.columns["event_type"], item.columns["action"]) for item in items] == [
        ("firewall", "traffic", "close"), ("firewall", "threat", "deny"), ("vpn", "authentication", "login"), ("vpn", "session_start", "login"),
        ("vpn", "session_end", "logout"), ("firewall", "admin", "login"), ("firewall", "traffic", "drop"), ("vpn", "session_start", "login"),
    ]  # fmt: skip


LINES = [
    SFOS.format(n=1, component="SSL VPN", subtype="System")
    + 'user_name="maint" message="SSL VPN User \'m\' connected"',
    UTM.format(process="u", id="2001", sys="S", sub="auth") + 'user="a"',
]


@given(
    st.text()
    | st.builds(
        lambda line, at, new: line[:at] + new + line[at:],
        st.sampled_from(LINES),
        st.integers(0, 300),
        st.text(max_size=9),
    )
)
def test_hostile_lines(line: str) -> None:
    survives(DEVICE, line, CONTEXT)


def test_linear_time() -> None:
    for head in (LINES[0][:-1], LINES[1], 'log_component="GUI" log_type="Event" message="', ""):
        for part in (
            'a="',
            "a",
            "timestamp=1 ",
            "User '",
            "from 1",
            'id="1234" ',
            "was added ",
            "2022:10:31-02:15:00 a a: ",
            "log_component= date= ",
        ):
            assert linear(sophos.parse, lambda size, h=head, p=part: h + p * (size // len(p))), (head, part)
    assert sophos.parse("x" * 1_000_000 + LINES[0], CONTEXT) is None
