# ruff: noqa: E501 - log lines are long
"""Junos lines: against what Elastic and Sekoia expect of their recordings, and by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.formats.base import ReadContext
from detector.formats.network import juniper_srx
from detector.formats.network.juniper_srx import DEVICE, FORMAT
from detector.formats.registry import recognise
from tests.formats.network.promises import SAMPLES, read, survives
from tests.formats.network.vendor_checks import CONTEXT, elastic, linear, one, sekoia, strangers

_SAME = {
    "source.ip": "src_ip", "source.port": "src_port", "destination.ip": "dst_ip", "destination.port": "dst_port",
    "source.bytes": "bytes_sent", "destination.bytes": "bytes_received", "source.packets": "packets_sent",
    "destination.packets": "packets_received", "source.nat.ip": "src_nat_ip", "source.nat.port": "src_nat_port",
    "destination.nat.ip": "dst_nat_ip", "destination.nat.port": "dst_nat_port", "source.user.name": "user",
    "network.transport": "protocol", "rule.name": "rule_name", "observer.name": "device", "url.domain": "dst_host",
    "observer.ingress.interface.name": "src_interface",
}  # fmt: skip


def _explained(name: str, want: Any, got: Any, fields: dict[str, str]) -> bool:
    """Differences kept on purpose."""
    if ".nat." in name:  # Junos names both ends always; an end that stayed the same is no translation
        side, what = name.split(".nat.")
        return got is None and str(want) == fields.get(f"nat-{side}-{'address' if what == 'ip' else 'port'}")
    if name == "source.user.name":  # the name for nobody
        return got is None and want in ("N/A", "None")
    if name == "source.ip" and fields.get(
        "remote-address"
    ):  # of an IPsec line, Elastic takes the own end for the source
        return got == fields["remote-address"]
    return False


@pytest.mark.corpus
def test_as_elastic_expects(corpus: Path) -> None:
    compared = unread = 0
    for want in elastic(corpus / "netlogs/juniper_srx/elastic_juniper_srx_log"):
        parsed = DEVICE.parse(want["event.original"], CONTEXT)
        if parsed is None:  # lines of the system without a message's name
            unread += 1
            assert "source.ip" not in want and "source.user.name" not in want
            continue
        parsed = one(DEVICE, want["event.original"])
        for name, column in _SAME.items():
            if name not in want or (
                name in ("source.ip", "destination.ip") and parsed.columns["event_type"] == "tunnel"
            ):
                continue
            got = parsed.columns.get(column)
            compared += 1
            assert str(got) == str(want[name]) or _explained(name, want[name], got, parsed.fields), (
                name, want[name], got, want["event.original"],
            )  # fmt: skip
        stamp = datetime.fromisoformat(want["@timestamp"].replace("Z", "+00:00"))
        assert abs(parsed.columns["time"] - stamp) < timedelta(milliseconds=1)
        if "event.duration" in want:
            assert parsed.columns["duration"] == want["event.duration"] / 1e9
    assert compared > 450 and unread == 8


@pytest.mark.corpus
def test_as_sekoia_expects(corpus: Path) -> None:
    compared = 0
    for folder in ("sekoia_juniper-ngfw", "sekoia_juniper-switches"):
        for name, line, want in sekoia(corpus / "netlogs/juniper_srx" / folder):
            parsed = DEVICE.parse(line, CONTEXT)
            if parsed is None:  # cron, keyadmin, sshd, and a line of PAN-OS
                assert name.split("_")[0].split(".")[0] in ("cron", "keayadmin", "sshd", "auth-success")
                continue
            parsed = one(DEVICE, line)
            for field, column in _SAME.items():
                if field in want and ".nat." not in field:
                    compared += 1
                    assert str(parsed.columns.get(column)) == str(want[field]), (name, field)
            if "network.iana_number" in want:
                assert parsed.columns["protocol"] == {"6": "tcp", "17": "udp"}[want["network.iana_number"]]
    assert compared > 20


@pytest.mark.corpus
def test_takes_no_others(corpus: Path) -> None:
    # SC4S keeps one line of SRX (IDP_ATTACK_LOG_EVENT as text) with NetScreen's.
    others = strangers(DEVICE, corpus / "netlogs", {"juniper_srx", "juniper_junos_generated"})
    assert {(vendor, "IDP_ATTACK_LOG_EVENT" in line) for vendor, line in others} == {
        ("juniper_netscreen", True)
    }


@pytest.mark.corpus
def test_files_are_recognised(corpus: Path) -> None:
    for name in ("elastic_juniper_srx_log/test-flow.log", "sc4s_juniper_junos_rfc5424.log"):
        assert recognise((corpus / "netlogs/juniper_srx" / name).read_bytes()[:65536]) is FORMAT


def test_text_form_of_both_ages() -> None:
    old = one(DEVICE, "<14>Sep 30 14:55:04 srx1 RT_FLOW: RT_FLOW_SESSION_CREATE: session created 192.0.2.1/50001->198.51.100.12/3389 junos-rdp "
                      "203.0.113.4/40001->198.51.100.12/3389 None None 6 policy1 trust untrust 41 bob(admins) ge-0/0/1.0").columns  # fmt: skip
    assert (old["src_ip"], old["src_port"], old["dst_ip"], old["dst_port"]) == (
        "192.0.2.1",
        50001,
        "198.51.100.12",
        3389,
    )
    assert (old["src_nat_ip"], old["src_nat_port"], old["rule_name"], old["session_id"]) == (
        "203.0.113.4",
        40001,
        "policy1",
        "41",
    )
    assert (old["user"], old["protocol"], old["device"], old["action"]) == ("bob", "tcp", "srx1", "allow")
    new = one(DEVICE, "RT_FLOW: RT_FLOW_SESSION_DENY: session denied 192.0.2.1/50001->198.51.100.12/3389 0x0 None 6(0) deny-all trust untrust "
                      "UNKNOWN UNKNOWN N/A(N/A) ge-0/0/1.0 No Denied by policy 77 N/A N/A -1").columns  # fmt: skip
    assert (new["action"], new["rule_name"], new["src_interface"], new["message"]) == (
        "deny",
        "deny-all",
        "ge-0/0/1.0",
        "Denied by policy",
    )
    closed = one(DEVICE, "RT_FLOW_SESSION_CLOSE: session closed TCP FIN: 192.0.2.1/5->198.51.100.12/3389 0x0 None 192.0.2.1/5->198.51.100.12/3389 0x0 "
                         "source rule nat1 N/A N/A 6 p1 trust untrust 41 60(52906) 47(26103) 3 UNKNOWN UNKNOWN N/A(N/A) ge-0/0/1.0").columns  # fmt: skip
    assert (closed["bytes_sent"], closed["bytes_received"], closed["duration"], closed["action"]) == (
        52906,
        26103,
        3.0,
        "close",
    )
    assert "src_nat_ip" not in closed and closed["message"] == "TCP FIN"


def test_attacks_as_text() -> None:
    idp = one(DEVICE, "<23> Apr 24 12:30:05  srx3 RT_IDP: IDP_ATTACK_LOG_EVENT: IDP: at 1303673404, ANOMALY Attack log <192.0.2.1/48397->198.51.100.110/80> "
                      "for TCP protocol and service HTTP application NONE by rule 3 of rulebase IPS in policy Recommended. attack: repeat=0, action=DROP, "
                      "threat-severity=HIGH, name=HTTP:INVALID:MSNG-HTTP-VER, NAT <203.0.113.254:55870->0.0.0.0:0>, time-elapsed=0").columns  # fmt: skip
    assert (idp["src_ip"], idp["dst_ip"], idp["action"], idp["level"], idp["rule_name"]) == (
        "192.0.2.1",
        "198.51.100.110",
        "drop",
        "HIGH",
        "Recommended",
    )
    assert idp["message"] == "HTTP:INVALID:MSNG-HTTP-VER" and idp["event_type"] == "threat"
    screen = one(
        DEVICE,
        "RT_IDS: RT_SCREEN_TCP: TCP port scan! source: 192.0.2.7:40001, destination: 198.51.100.1:3389, zone name: untrust, interface name: ge-0/0/0.0, action: drop",
    ).columns
    assert (screen["src_ip"], screen["src_port"], screen["dst_port"], screen["action"]) == (
        "192.0.2.7",
        40001,
        3389,
        "drop",
    )
    assert screen["message"] == "TCP port scan"


@pytest.mark.parametrize(
    ("text", "kind", "action", "outcome", "user", "source"),
    [
        ("mgd[1]: UI_LOGIN_EVENT: User 'ops' login, class 'super-user' [1], ssh-connection '192.0.2.8 40382 198.51.100.1 22', client-mode 'cli'", "admin", "login", "success", "ops", "192.0.2.8"),
        ("mgd[1]: UI_LOGOUT_EVENT: User 'ops' logout", "admin", "logout", "success", "ops", None),
        ("sshd[1]: SSHD_LOGIN_FAILED: Login failed for user 'root' from host '192.0.2.8'", "admin", "login", "failure", "root", "192.0.2.8"),
        ("login[1]: LOGIN_FAILED: Login failed for user root from host 192.0.2.8", "admin", "login", "failure", "root", "192.0.2.8"),
        ("login: LOGIN_INFORMATION: User ops logged in from host 192.0.2.8 on device ttyp0", "admin", "login", "success", "ops", "192.0.2.8"),
        ("mgd[1]: UI_COMMIT: User 'ops' requested 'commit' operation (comment: none)", "config", "modify", "success", "ops", None),
        ("mgd[1]: UI_CFG_AUDIT_SET: User 'ops' set: [system login user helper class] <unconfigured> -> \"super-user\"", "config", "modify", "success", "ops", None),
    ],
)  # fmt: skip
def test_administrators(
    text: str, kind: str, action: str, outcome: str, user: str, source: str | None
) -> None:
    got = one(DEVICE, "<38>Oct 30 17:15:00 srx1 " + text).columns
    assert (got["event_type"], got["action"], got["outcome"], got.get("user"), got.get("src_ip")) == (
        kind,
        action,
        outcome,
        user,
        source,
    )
    assert got["device"] == "srx1"


KMD = (
    "Nov 28 11:24:02 srx kmd[13696]: KMD_VPN_{way}_ALARM_USER: VPN ra from 203.0.113.9 is {state}. Local-ip: 198.51.100.1, gateway name: gw, vpn name: ra, "
    "tunnel-id: 131073, local tunnel-if: st0.0, remote tunnel-ip: {ip}, Local IKE-ID: x, Remote IKE-ID: y, AAA username: {user}, VR id: 4, SA Type: Static"
)


def test_tunnel_with_a_user_is_a_session() -> None:
    up = one(DEVICE, KMD.format(way="UP", state="up", ip="10.9.0.5", user="maint"))
    assert (
        up.table == "vpn" and up.columns["event_type"] == "session_start" and up.columns["action"] == "login"
    )
    assert (up.columns["src_ip"], up.columns["dst_ip"], up.columns["assigned_ip"], up.columns["user"]) == (
        "203.0.113.9",
        "198.51.100.1",
        "10.9.0.5",
        "maint",
    )
    down = one(
        DEVICE, KMD.format(way="DOWN", state="down", ip="10.9.0.5", user="maint") + ", Reason: DPD failover"
    ).columns
    assert down["event_type"] == "session_end" and down["reason"] == "DPD failover"
    sites = one(DEVICE, KMD.format(way="UP", state="up", ip="Not-Available", user="Not-Applicable")).columns
    assert sites["event_type"] == "tunnel" and "user" not in sites and "assigned_ip" not in sites


def test_ike_failure() -> None:
    got = one(
        DEVICE,
        "<27>1 2023-05-04T15:19:33.984+10:00 srx kmd 9159 - - IKE negotiation failed with error: Timed out. IKE Version: 1, VPN: V Gateway: G, Local: 198.51.100.1/500, Remote: 203.0.113.1/500, Role: Initiator",
    ).columns
    assert (got["outcome"], got["reason"], got["src_ip"], got["dst_ip"]) == (
        "failure",
        "Timed out",
        "203.0.113.1",
        "198.51.100.1",
    )
    assert got["time"] == datetime(2023, 5, 4, 5, 19, 33, 984000, tzinfo=UTC)


def test_utm_messages() -> None:
    head = "<12>1 2016-02-18T01:32:50.391Z srx RT_UTM - "
    web = one(
        DEVICE,
        head
        + 'WEBFILTER_URL_BLOCKED [junos@2636.1.1.1.2.86 source-address="192.0.2.4" source-port="58071" destination-address="198.51.100.1" destination-port="80" category="cat1" url="bad.example" username="bob" roles="N/A"]',
    ).columns
    assert (web["event_type"], web["action"], web["dst_host"], web["user"]) == (
        "threat",
        "deny",
        "bad.example",
        "bob",
    )
    virus = one(
        DEVICE,
        head
        + 'AV_HUGE_FILE_DROPPED_MT [junos@2636.1.1.1.2.40 source-address="192.0.2.4" destination-address="198.51.100.1" filename="x"]',
    ).columns
    assert (virus["action"], virus["outcome"]) == ("drop", "failure")


def test_zone() -> None:
    line = '<14>1 2013-01-19T15:18:17.040 srx RT_FLOW - RT_FLOW_SESSION_DENY [junos@2636.1.1.1.2.36 source-address="192.0.2.1"]'
    parsed = DEVICE.parse(line, ReadContext())
    assert parsed is not None and parsed.zoneless and "time" not in parsed.columns
    assert one(DEVICE, line).columns["time"] == datetime(2013, 1, 19, 15, 18, 17, 40000, tzinfo=UTC)


def test_sample() -> None:
    items = read(
        FORMAT,
        (SAMPLES / "juniper_srx.log").read_bytes(),
        time_zone=UTC,
        reference_time=datetime(2022, 11, 1, tzinfo=UTC),
    )
    assert [(item.table, item.columns["event_type"], item.columns["action"]) for item in items] == [
        ("firewall", "traffic", "allow"), ("firewall", "traffic", "close"), ("firewall", "traffic", "deny"), ("firewall", "threat", "drop"),
        ("vpn", "session_start", "login"), ("vpn", "session_end", "logout"), ("firewall", "admin", "login"), ("firewall", "config", "modify"),
    ]  # fmt: skip


LINES = [
    "<14>1 2023-01-31T12:42:18.657Z srx RT_FLOW - RT_FLOW_SESSION_CLOSE [junos@2636.1 reason=\"x\" source-address=\"192.0.2.1\" source-port=\"1\"]",
    "RT_FLOW_SESSION_CLOSE: session closed TCP FIN: 192.0.2.1/5->198.51.100.12/3389 None 192.0.2.1/5->198.51.100.12/3389 None None 6 p t u 41 60(5) 4(2) 3",
    KMD.format(way="UP", state="up", ip="10.9.0.5", user="maint"), "FW: ge-0/0/0.0 D tcp 192.0.2.1 192.0.2.2 1 2",
]  # fmt: skip


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
    heads = ("RT_FLOW_SESSION_CREATE: session created 192.0.2.1/1->192.0.2.2/2 x ", "RT_FLOW_SESSION_CLOSE: session closed ", "RT_FLOW_SESSION_CREATE [",
             "KMD_VPN_UP_ALARM_USER: ", "RT_SCREEN_TCP: ", "IDP_ATTACK_LOG_EVENT: ", "UI_LOGIN_EVENT: ", "")  # fmt: skip
    for head in heads:
        for part in (
            'a="',
            "1 ",
            "session created 1/1->1/1 x ",
            "FW: a D ",
            "User '",
            "from 1",
            "Reason: ",
            "1 a b c 1 ",
            "kmd[1]: ",
            "name=a",
        ):
            assert linear(juniper_srx.parse, lambda size, h=head, p=part: h + p * (size // len(p))), (
                head,
                part,
            )
    assert juniper_srx.parse("x" * 1_000_000 + LINES[0], CONTEXT) is None
