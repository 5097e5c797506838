# ruff: noqa: E501 - log lines are long
"""Check Point lines: against what Elastic, Sekoia and Wazuh expect of their recordings, and by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.formats.base import ReadContext
from detector.formats.network import checkpoint
from detector.formats.network.checkpoint import DEVICE, FORMAT
from detector.formats.registry import recognise
from tests.formats.network.promises import SAMPLES, read, survives
from tests.formats.network.vendor_checks import CONTEXT, all_lines, elastic, linear, one, sekoia, strangers

_SAME = {
    "source.ip": "src_ip", "source.port": "src_port", "destination.ip": "dst_ip", "destination.port": "dst_port",
    "source.bytes": "bytes_sent", "destination.bytes": "bytes_received", "source.packets": "packets_sent",
    "destination.packets": "packets_received", "source.nat.ip": "src_nat_ip", "source.nat.port": "src_nat_port",
    "source.user.name": "user", "network.transport": "protocol", "rule.name": "rule_name", "observer.name": "device",
    "observer.product": "product", "network.application": "application", "observer.ingress.interface.name": "src_interface",
    "observer.egress.interface.name": "dst_interface",
}  # fmt: skip


def _explained(name: str, want: Any, got: Any, fields: dict[str, str]) -> bool:
    """Differences kept on purpose."""
    if name in ("source.bytes", "destination.bytes", "source.packets", "destination.packets"):
        # Elastic takes what comes in from the client for what the client receives; the line itself says that
        # the same number goes out to the server.
        way = "inbound" if name.startswith("source") else "outbound"
        mirror = "outbound" if way == "inbound" else "inbound"
        what = name.split(".")[1]
        same = (
            fields[f"client_{way}_bytes"] == fields[f"server_{mirror}_bytes"] or int(fields["bytes"]) > 5000
        )
        return got == int(fields[f"client_{way}_{what}"]) and same
    if name == "source.user.name":  # the display name, or blanks around
        return want.strip() == fields["user"].strip() and got == want.strip().split(" ")[0]
    if name == "observer.product":  # Elastic doubles a backslash
        return str(want).replace("\\\\", "\\") == got
    if name == "rule.name" and isinstance(
        want, list
    ):  # one for each layer: the first here, the others in fields
        return got == want[0] and fields["rule_name_2"] == want[1]
    if name == "observer.egress.interface.name":  # the line names the server's side: more exact than `ifname`
        return got == fields["server_outbound_interface"]
    if name == "network.application":
        return fields.get("appi_name") == got
    return False


@pytest.mark.corpus
def test_as_elastic_expects(corpus: Path) -> None:
    compared = 0
    for want in elastic(corpus / "netlogs/checkpoint/elastic_checkpoint_firewall"):
        parsed = one(DEVICE, want["event.original"])
        for name, column in _SAME.items():
            if name in want:
                got = parsed.columns.get(column)
                compared += 1
                assert str(got) == str(want[name]) or _explained(name, want[name], got, parsed.fields), (
                    name, want[name], got, want["event.original"],
                )  # fmt: skip
        if (
            "event.outcome" in want
            and parsed.columns["event_type"] == "traffic"
            and want["event.outcome"] == "success"
        ):
            # Elastic calls a drop that worked a success; ours is that of the connection.
            blocked = parsed.columns["action"] in ("drop", "deny")
            assert parsed.columns["outcome"] == ("failure" if blocked else "success")
        stamp = datetime.fromisoformat(want["@timestamp"].replace("Z", "+00:00"))
        if (
            "2020-03-30T07:20:35 gw" in want["event.original"]
        ):  # the one without zone; Elastic's test sets +05:00
            stamp = stamp.replace(tzinfo=UTC)
        assert abs(parsed.columns["time"] - stamp) < timedelta(seconds=1)
    assert compared > 240


@pytest.mark.corpus
def test_as_sekoia_expects(corpus: Path) -> None:
    compared = 0
    for name, line, want in sekoia(corpus / "netlogs/checkpoint/sekoia_checkpoint"):
        if not name.startswith("Syslog"):  # CEF, and an export whose columns are told by its header only
            continue
        parsed = one(DEVICE, line)
        for field, column in _SAME.items():
            if field in want and not (parsed.table == "vpn" and "interface" in field):  # no column there
                compared += 1
                assert str(parsed.columns.get(column)) == str(want[field]), (name, field)
        assert parsed.columns["device"] == want["action.properties.origin"]
    assert compared > 8


@pytest.mark.corpus
def test_wazuh(corpus: Path) -> None:
    actions = []
    for line in (corpus / "netlogs/checkpoint/wazuh_checkpoint_smart1.ini").read_text("utf-8").splitlines():
        if line.startswith("log 1 pass") and 'origin:"' in line:
            got = one(DEVICE, line.partition(" = ")[2])
            actions.append(
                (got.table, got.columns["event_type"], got.columns["action"], got.columns["outcome"])
            )
    assert actions == [
        ("firewall", "traffic", "drop", "failure"), ("vpn", "tunnel", "other", "failure"), ("firewall", "traffic", "allow", "success"),
        ("firewall", "traffic", "allow", "success"), ("vpn", "tunnel", "other", "success"), ("vpn", "tunnel", "other", "success"),
    ]  # fmt: skip


@pytest.mark.corpus
def test_takes_its_lines_and_no_others(corpus: Path) -> None:
    assert strangers(DEVICE, corpus / "netlogs", {"checkpoint"}) == []
    other = [
        line
        for vendor, line in all_lines(corpus / "netlogs")
        if vendor == "checkpoint" and DEVICE.parse(line, CONTEXT) is None
    ]
    # What is left is CEF, the quoted export, JSON of Harmony, kernel lines, and placeholders of Wazuh.
    assert not any("product:" in line or "|product=" in line for line in other)


@pytest.mark.corpus
def test_files_are_recognised(corpus: Path) -> None:
    for name in (
        "elastic_checkpoint_firewall/test-checkpoint.log",
        "sc4s_checkpoint.log",
        "sc4s_checkpoint_syslog_rfc5424.log",
    ):
        assert recognise((corpus / "netlogs/checkpoint" / name).read_bytes()[:65536]) is FORMAT


HEAD = '<134>1 2022-10-30T17:20:00Z log1 CheckPoint 2700 - [action:"{action}"; flags:"18688"; ifdir:"inbound"; loguid:"{{0x1}}"; origin:"198.51.100.1"; time:"1667150400"; version:"5"; '


def test_remote_access() -> None:
    start = one(DEVICE, HEAD.format(action="Log In") + 'client_name:"Endpoint Security VPN"; client_version:"E86.40"; event_type:"Login"; office_mode_ip:"10.7.0.5"; product:"Mobile Access"; '
                'session_uid:"{635E}"; src:"203.0.113.9"; status:"Success"; tunnel_protocol:"IPSec"; user:"maint"; user_group:"ra"]')  # fmt: skip
    assert start.table == "vpn"
    want = {"event_type": "session_start", "action": "login", "outcome": "success", "user": "maint", "src_ip": "203.0.113.9", "assigned_ip": "10.7.0.5",
            "session_id": "{635E}", "vpn_type": "ipsec", "client": "Endpoint Security VPN E86.40", "group": "ra", "device": "198.51.100.1",
            "time": datetime(2022, 10, 30, 17, 20, tzinfo=UTC)}  # fmt: skip
    assert {name: start.columns.get(name) for name in want} == want
    failed = one(
        DEVICE,
        HEAD.format(action="Failed Log In")
        + 'product:"Mobile Access"; reason:"Access denied - wrong user name or password"; src:"203.0.113.9"; user:"CORP\\eve"]',
    ).columns
    assert (failed["event_type"], failed["outcome"], failed["user"], failed["user_domain"]) == (
        "authentication",
        "failure",
        "eve",
        "CORP",
    )
    assert failed["reason"].startswith("Access denied")
    end = one(
        DEVICE,
        HEAD.format(action="Log Out")
        + 'product:"Mobile Access"; reason:"Session timed out"; office_mode_ip:"10.7.0.5"; session_uid:"{635E}"; user:"maint"]',
    ).columns
    assert (end["event_type"], end["action"], end["reason"], end["assigned_ip"]) == (
        "session_end",
        "logout",
        "Session timed out",
        "10.7.0.5",
    )


def test_administrators() -> None:
    login = one(
        DEVICE,
        "time=1667150400|hostname=mgr|product=SmartConsole|action=Accept|ifdir=outbound|origin=198.51.100.2|time=1667150400|administrator=ops|client_ip=192.0.2.8|operation=Log In|operation_number=10|subject=Administrator Login|",
    )
    assert (login.columns["event_type"], login.columns["action"], login.columns["outcome"], login.columns["user"], login.columns["src_ip"]) == (
        "admin", "login", "success", "ops", "192.0.2.8",
    )  # fmt: skip
    assert login.fields["time_2"] == "1667150400"
    bad = one(
        DEVICE,
        "time=1667150400|hostname=mgr|product=SmartConsole|action=Accept|ifdir=outbound|origin=198.51.100.2|administrator=ops|client_ip=192.0.2.8|operation=Failed Log In|additional_info=Administrator failed to log in: Wrong Password|subject=Administrator Login|",
    ).columns
    assert bad["outcome"] == "failure"
    made = one(
        DEVICE,
        HEAD.format(action="Accept")
        + 'administrator:"ops"; client_ip:"192.0.2.8"; objectname:"helper"; operation:"Create Object"; product:"SmartConsole"; subject:"Object Manipulation"]',
    ).columns
    assert (made["event_type"], made["action"], made["message"]) == (
        "config",
        "create",
        "Create Object: helper",
    )


def test_values_with_quotes_brackets_and_repeats() -> None:
    got = one(
        DEVICE,
        HEAD.format(action="Accept")
        + '__policy_id_tag:"x[y=1\\]"; dst:"192.0.2.1"; layer_name:"a"; layer_name:"b"; product:"VPN-1 & FireWall-1"; sys_message::"say \\"hi\\"; bye"; src:"192.0.2.2"]',
    )
    assert (
        got.fields["__policy_id_tag"] == "x[y=1]"
        and got.fields["layer_name_2"] == "b"
        and got.fields["sys_message"] == 'say "hi"; bye'
    )
    assert got.columns["src_ip"] == "192.0.2.2"
    piped = one(
        DEVICE,
        "time=1|hostname=h|product=CPMI|action=Accept|ifdir=outbound|origin=192.0.2.1|192.0.2.2|originsicname=cn\\=a,o\\=b|dst=192.0.2.9",
    )
    assert (
        piped.fields["origin"] == "192.0.2.1|192.0.2.2"
        and piped.fields["originsicname"] == "cn=a,o=b"
        and piped.columns["device"] == "192.0.2.1"
    )


@pytest.mark.parametrize(
    ("stated", "expected"),
    [("1667150400", datetime(2022, 10, 30, 17, 20, tzinfo=UTC)), ("1667150400123", datetime(2022, 10, 30, 17, 20, 0, 123000, tzinfo=UTC)),
     ("2022-10-31T02:20:00+09:00", datetime(2022, 10, 30, 17, 20, tzinfo=UTC)), ("odd", datetime(2022, 10, 30, 17, 20, tzinfo=UTC))],
)  # fmt: skip
def test_times(stated: str, expected: datetime) -> None:
    line = HEAD.format(action="Accept").replace("1667150400", stated) + 'product:"X"]'
    assert one(DEVICE, line).columns["time"] == expected
    bare = DEVICE.parse(
        'Oct 30 17:20:00 gw [action:"Accept"; flags:"1"; ifdir:"inbound"; origin:"192.0.2.1"]'.replace(
            "gw [", "gw CheckPoint 1 - ["
        ),
        ReadContext(),
    )
    assert bare is not None and bare.zoneless and "time" not in bare.columns


def test_sample() -> None:
    items = read(FORMAT, (SAMPLES / "checkpoint.log").read_bytes())
    assert [(item.table, item.columns["event_type"], item.columns["action"]) for item in items] == [
        ("firewall", "traffic", "allow"), ("firewall", "traffic", "drop"), ("firewall", "threat", "deny"), ("vpn", "authentication", "login"),
        ("vpn", "session_start", "login"), ("vpn", "session_end", "logout"), ("firewall", "admin", "login"), ("firewall", "config", "create"),
    ]  # fmt: skip


LINES = [
    HEAD.format(action="Log In") + 'product:"Mobile Access"; src:"203.0.113.9"; user:"maint"]',
    '<134>1 2022-10-30T17:20:00Z h CheckPoint 1 - [sc4s@2620 action="Accept" flags="1" ifdir="inbound" origin="192.0.2.1" product="X"]',
    "time=1667150400|hostname=mgr|product=SmartConsole|action=Accept|ifdir=outbound|origin=198.51.100.2|administrator=ops|",
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
    for head in (LINES[0][:-1] + "; ", LINES[1][:-1] + " ", LINES[2], 'CheckPoint 1 - [action:"', ""):
        for part in (
            'a:"',
            'a:"";',
            'a:"" ',
            "a",
            "|",
            "a=|",
            'user:"(',
            "hostname=",
            '\\"',
            '"; ',
            "CheckPoint 1 - [",
            '; user:"x (y)"',
        ):
            assert linear(checkpoint.parse, lambda size, h=head, p=part: h + p * (size // len(p))), (
                head,
                part,
            )
    assert checkpoint.parse("x" * 1_000_000 + LINES[0], CONTEXT) is None
