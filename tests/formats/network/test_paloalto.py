# ruff: noqa: E501 - log lines are long
"""PAN-OS lines: against what Elastic, Sekoia and Wazuh expect of their recordings, and by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.formats.base import ReadContext
from detector.formats.network import paloalto
from detector.formats.network.paloalto import DEVICE, FORMAT
from detector.formats.registry import recognise
from tests.formats.network.promises import SAMPLES, read, survives
from tests.formats.network.vendor_checks import CONTEXT, all_lines, elastic, linear, one, sekoia, strangers

#: ECS field of Elastic's expectation -> our column.
_SAME = {
    "event.code": "event_id", "log.level": "level", "source.ip": "src_ip", "source.port": "src_port",
    "destination.ip": "dst_ip", "destination.port": "dst_port", "source.bytes": "bytes_sent",
    "destination.bytes": "bytes_received", "source.packets": "packets_sent", "destination.packets": "packets_received",
    "source.nat.ip": "src_nat_ip", "source.nat.port": "src_nat_port", "destination.nat.ip": "dst_nat_ip",
    "destination.nat.port": "dst_nat_port", "source.user.name": "user", "source.user.domain": "user_domain",
    "network.transport": "protocol", "rule.name": "rule_name", "network.application": "application",
    "observer.ingress.interface.name": "src_interface", "observer.egress.interface.name": "dst_interface",
    "observer.hostname": "device", "host.name": "src_host",
}  # fmt: skip


def _explained(name: str, want: Any, got: Any, fields: dict[str, str], columns: dict[str, Any]) -> bool:
    """Differences kept on purpose."""
    if name.endswith((".nat.ip", ".nat.port")):  # 0.0.0.0 and port 0 are no translation
        return got is None and (
            str(want) in ("0", "0.0.0.0") or "src_nat_ip" not in columns or "dst_nat_ip" not in columns
        )
    if name in ("destination.bytes", "source.bytes", "destination.packets", "source.packets"):
        return (
            fields["type"] == "START"
        )  # tunnel inspection: kept in fields, a session is counted in its own traffic log
    if name == "rule.name":  # Elastic takes the tunnel inspection's rule, we the security policy's
        return fields["type"] in ("GTP", "START") and got == fields["rule"]
    if name == "source.user.name" and isinstance(want, list):
        return got == want[0]  # user and normalised user
    if name == "host.name":
        return str(got).lower() == want
    return False


@pytest.mark.corpus
def test_as_elastic_expects(corpus: Path) -> None:
    compared = 0
    for want in elastic(corpus / "netlogs/paloalto/elastic_panw_panos"):
        parsed = one(DEVICE, want["event.original"])
        for name, column in _SAME.items():
            if name in want:
                got = parsed.columns.get(column)
                compared += 1
                assert str(got) == str(want[name]) or _explained(name, want[name], got, parsed.fields, parsed.columns), (
                    name, want[name], got, want["event.original"],
                )  # fmt: skip
        if "event.duration" in want and parsed.fields["type"] == "TRAFFIC":
            assert parsed.columns["duration"] == want["event.duration"] / 1e9
        if (
            "high_res_timestamp" not in parsed.fields
        ):  # Elastic's @timestamp is the time of generation, in its zone
            stamp = datetime.fromisoformat(want["@timestamp"].replace("Z", "+00:00"))
            assert parsed.columns["time"] == stamp.replace(tzinfo=UTC)
        if want.get("event.outcome") == "success" and parsed.fields["type"] == "TRAFFIC":
            assert parsed.columns["outcome"] == "success"
    assert compared > 5000


@pytest.mark.corpus
def test_as_sekoia_expects(corpus: Path) -> None:
    compared = 0
    for folder in ("sekoia_paloalto-ngfw", "sekoia_paloalto-prisma-access"):
        for name, line, want in sekoia(corpus / "netlogs/paloalto" / folder):
            if line.startswith(("CEF:", "{")):  # other formats
                continue
            parsed = one(DEVICE, line)
            got = parsed.columns
            if parsed.fields["type"] == "THREAT" and "xff" in name:
                want["user.name"] = want["source.user.name"] = got.get(
                    "user"
                )  # `x-fwd-for: 11.22.33.44` stands as user
            for field, column in (("source.ip", "src_ip"), ("user.name", "user"), ("source.port", "src_port"),
                                  ("user.domain", "user_domain"), ("observer.name", "device")):  # fmt: skip
                if field in want and not (field == "source.port" and want[field] in (0, 130000)):
                    compared += 1
                    assert str(got.get(column)) == str(want[field]), (name, field, want[field], got)
            if parsed.fields["type"] in ("SYSTEM", "GLOBALPROTECT", "CONFIG") and "event.outcome" in want:
                assert got["outcome"] == want["event.outcome"], (name, got)
    assert compared > 100


@pytest.mark.corpus
def test_takes_its_lines_and_no_others(corpus: Path) -> None:
    # Sekoia filed one line of PAN-OS (type SYSTEM) with Juniper's.
    assert {line[:60] for _, line in strangers(DEVICE, corpus / "netlogs", {"paloalto"})} == {
        "1,2025/08/07 10:59:08,016301006286,SYSTEM,auth,2817,2025/08/"
    }
    other = [
        line for vendor, line in all_lines(corpus / "netlogs")
        if vendor == "paloalto" and "crowdsec" not in line and DEVICE.parse(line, CONTEXT) is None
    ]  # fmt: skip
    # What is left: CEF, JSON, Prisma SD-WAN, a web server's line, a placeholder for an unknown type.
    assert all(
        "CEF:" in line or "LEEF:" in line or line[:1] in "{};[" or ",OTHERS," in line or "cgx" in line.lower() or "ION" in line
        or "/php/utils/" in line or "device_id" in line.lower() or "Palo Alto Networks" in line or ",OTHER," in line
        or not line.count(",") > 6 for line in other
    ), other  # fmt: skip


@pytest.mark.corpus
def test_files_are_recognised(corpus: Path) -> None:
    for name in ("sc4s_palo_alto.log", "elastic_panw_samples/panw-panos-threat.log"):
        assert recognise((corpus / "netlogs/paloalto" / name).read_bytes()[:65536]) is FORMAT


GP = "1,2023/06/28 14:40:42,0154510,GLOBALPROTECT,0,2562,2023/06/28 14:40:42,vsys1,"


def _gp(
    event: str, stage: str, private: str = "0.0.0.0", status: str = "success", error: str = ""
) -> dict[str, Any]:
    line = (
        f"{GP}{event},{stage},RADIUS,IPSec,CORP\\maint,JP,PC7,203.0.113.9,0.0.0.0,{private},0.0.0.0,id,SN1,6.0.4,Windows,"
        f'"Microsoft Windows 10 Pro , 64-bit",1,,{error},"client logout",{status},,1554,,0,GW,5,0x8000000000000000,'
        "2023-06-28T14:40:43.134+02:00,,,,,,0,0,0,0,,FW1,1"
    )
    return one(DEVICE, line).columns


def test_globalprotect_session() -> None:
    login = _gp("gateway-auth", "login")
    assert (login["event_type"], login["action"], login["outcome"]) == ("authentication", "login", "success")
    start = _gp("gateway-connected", "connected", "10.1.0.5")
    assert start["event_type"] == "session_start" and start["assigned_ip"] == "10.1.0.5"
    assert (start["src_ip"], start["user"], start["user_domain"]) == ("203.0.113.9", "maint", "CORP")
    assert start["time"] == datetime(2023, 6, 28, 12, 40, 43, 134000, tzinfo=UTC)
    assert start["vpn_type"] == "ipsec" and start["src_country"] == "JP" and start["device"] == "FW1"
    end = _gp("gateway-logout", "logout", "10.1.0.5")
    assert (
        end["event_type"] == "session_end" and end["duration"] == 1554.0 and end["reason"] == "client logout"
    )
    failed = _gp(
        "portal-auth", "login", status="failure", error="Authentication failed: Invalid username or password"
    )
    assert failed["event_type"] == "authentication" and failed["outcome"] == "failure"
    assert failed["reason"].startswith("Authentication failed") and "assigned_ip" not in failed


def test_prisma_access_with_iso_times() -> None:
    """Strata Logging Service forwards the same fields with times in UTC and a user with two backslashes."""
    got = one(
        DEVICE,
        "Nov 30 16:09:08 931201168,2021-10-22T16:10:10.000000Z,no-serial,GLOBALPROTECT,globalprotect,9.1,2021-10-22T16:10:05.000000Z,vsys1,"
        "gateway-connected,connected,,,corp\\\\bob,,PC7,203.0.113.9,,10.2.2.2,2001:db8::1,id,SN,5.2.6,,,1,,,text,success,,0,,0,GW,1305925,true",
    ).columns
    assert got["time"] == datetime(2021, 10, 22, 16, 10, 5, tzinfo=UTC)
    assert (got["user"], got["user_domain"], got["assigned_ip"], got["src_ip"]) == (
        "bob",
        "corp",
        "10.2.2.2",
        "203.0.113.9",
    )


def _system(subtype: str, event: str, text: str, severity: str = "informational") -> Any:
    return one(
        DEVICE,
        f"<14>Sep 24 15:22:59 fw 1,2020/09/24 15:22:59,0072,SYSTEM,{subtype},0,2020/09/24 15:22:59,,{event},GW-N,0,0,general,"
        f'{severity},"{text}",641977,0x8000000000000000,0,0,0,0,,PA-VM',
    )


def test_globalprotect_before_9_1() -> None:
    login = _system(
        "globalprotect", "globalprotectportal-auth-succ",
        "GlobalProtect portal user authentication succeeded. Login from: 203.0.113.5, Source region: US, User name: corp\\bob, Auth type: profile.",
    )  # fmt: skip
    assert login.table == "vpn"
    assert login.columns["event_type"] == "authentication" and login.columns["outcome"] == "success"
    assert (login.columns["src_ip"], login.columns["user"], login.columns["user_domain"]) == (
        "203.0.113.5",
        "bob",
        "corp",
    )
    assert login.columns["src_country"] == "US"
    failed = _system(
        "globalprotect", "globalprotectgateway-auth-fail",
        "GlobalProtect gateway user authentication failed. Login from: 203.0.113.5, User name: eve, Reason: Authentication failed: Invalid username or password, Auth type: profile.",
    )  # fmt: skip
    assert failed.columns["outcome"] == "failure" and failed.columns["user"] == "eve"
    assert failed.columns["reason"] == "Authentication failed: Invalid username or password"
    start = _system(
        "globalprotect", "globalprotectgateway-regist-succ",
        "GlobalProtect gateway user login succeeded. Login from: 203.0.113.5, User name: bob, Client OS version: Microsoft Windows 10.",
    )  # fmt: skip
    assert start.columns["event_type"] == "session_start" and start.columns["src_ip"] == "203.0.113.5"
    config = _system(
        "globalprotect", "globalprotectgateway-config-succ",
        "GlobalProtect gateway client configuration generated. User name: bob, Private IP: 10.1.0.7, Client version: 4.1.0-98, Device name: PC7.",
    )  # fmt: skip
    assert config.columns["event_type"] == "session_start" and config.columns["assigned_ip"] == "10.1.0.7"
    assert config.columns["client"] == "4.1.0-98"
    end = _system(
        "globalprotect", "globalprotectgateway-logout-succ",
        "GlobalProtect gateway user logout succeeded. User name: corp\\riker, Client OS version: Microsoft Windows Server 2008 R2 Enterprise Edition Service Pac, Reason: client logout.",
    )  # fmt: skip
    assert end.columns["event_type"] == "session_end" and end.columns["user"] == "riker"
    assert end.columns["reason"] == "client logout"


@pytest.mark.parametrize(
    ("subtype", "event", "text", "kind", "action", "outcome", "user"),
    [
        ("general", "general", "User admin logged in via Web from 192.0.2.8 using https", "admin", "login", "success", "admin"),
        ("general", "general", "User admin logged out via CLI from 192.0.2.8", "admin", "logout", "success", "admin"),
        ("auth", "auth-success", "authenticated for user 'admin'.   From: 192.0.2.8.", "admin", "login", "success", "admin"),
        ("auth", "auth-fail", "failed authentication for user 'root'. Reason: Authentication profile not found for the user. From: 192.0.2.8.", "admin", "login", "failure", "root"),
        ("auth", "auth-success", "authenticated for user 'ops'. auth profile 'P', vsys 'shared', admin role 'superuser', From: 192.0.2.8.", "admin", "login", "success", "ops"),
        ("auth", "auth-fail", "failed authentication for user 'bob'. Reason: Invalid username/password. auth profile 'P', vsys 'vsys1', server address '10.0.0.1', From: 192.0.2.8.", "authentication", "login", "failure", "bob"),
    ],
)  # fmt: skip
def test_logins(subtype: str, event: str, text: str, kind: str, action: str, outcome: str, user: str) -> None:
    parsed = _system(subtype, event, text)
    got = parsed.columns
    assert parsed.table == "firewall"
    assert (got["event_type"], got["action"], got["outcome"], got["user"]) == (kind, action, outcome, user)
    assert got["src_ip"] == "192.0.2.8"


def test_cleared_logs_and_audit() -> None:
    got = _system("general", "general", "Log type config cleared by user badguy ").columns
    assert (got["event_type"], got["action"], got["outcome"], got["user"]) == (
        "config",
        "delete",
        "success",
        "badguy",
    )
    audit = one(
        DEVICE,
        'Apr 11 20:06:15 192.0.2.1 011,2024/04/11 20:06:15,audit,2561,gui-op,ops,"<debug><show/></debug>",success',
    ).columns
    assert (audit["event_type"], audit["user"], audit["outcome"], audit["event_id"]) == (
        "admin",
        "ops",
        "success",
        "gui-op",
    )
    assert audit["time"] == datetime(2024, 4, 11, 20, 6, 15, tzinfo=UTC) and audit["device"] == "192.0.2.1"


def test_old_and_short_lines() -> None:
    """PAN-OS 5: no groups of devices, the log's end where newer versions go on; a serial number that was made unreadable."""
    line = "Nov 30 16:09:08 1,2013/03/28 12:53:05,<serial-number>,USERID,login,12,2013/03/28 12:53:05,vsys1,192.0.2.92,corp\\\\administrator,test,0,1,2700,0,0,active-directory,unknown,1,0x0"
    got = one(DEVICE, line).columns
    assert (got["user"], got["src_ip"], got["action"]) == ("administrator", "192.0.2.92", "login")
    config = one(
        DEVICE,
        "Mar 25 23:59:02 1,2013/03/25 23:59:02,16,CONFIG,0,0,2012/02/25 00:53:40,192.0.2.2,,commit,admin,Web,Submitted,,0,0x0",
    ).columns
    assert (config["event_type"], config["outcome"], config["time"]) == (
        "config",
        "success",
        datetime(2012, 2, 25, 0, 53, 40, tzinfo=UTC),
    )


def test_ipsec() -> None:
    parsed = _system(
        "vpn",
        "ike-nego-p1-fail",
        "IKE phase-1 negotiation is failed as initiator, main mode. Failed SA: 192.0.2.1[500]-198.51.100.9[500] cookie:1.",
    )
    assert (
        parsed.table == "vpn"
        and parsed.columns["event_type"] == "tunnel"
        and parsed.columns["outcome"] == "failure"
    )
    assert (parsed.columns["src_ip"], parsed.columns["dst_ip"]) == ("192.0.2.1", "198.51.100.9")
    other = _system(
        "vpn",
        "ike-nego-p1-succ",
        "IKE phase-1 negotiation is succeeded as responder, main mode. Established SA: 192.0.2.1[500]-198.51.100.9[500] cookie:1.",
    )
    assert (other.columns["src_ip"], other.columns["dst_ip"], other.columns["outcome"]) == (
        "198.51.100.9",
        "192.0.2.1",
        "success",
    )


def test_config_in_both_forms() -> None:
    head = "1,2021/10/25 20:25:39,007,CONFIG,0,2561,2021/10/25 20:25:39,192.0.2.8,,"
    plain = one(
        DEVICE,
        head
        + "commit-all,ops,Panorama,Succeeded,,11111,0x8000000000000000,0,0,0,0,,FW1,0,,0,2025-03-14T16:28:40.583+01:00",
    )
    assert (
        plain.columns["device"] == "FW1"
        and plain.columns["action"] == "modify"
        and plain.columns["outcome"] == "success"
    )
    detail = one(
        DEVICE,
        head
        + 'delete,ops,Web,Failed, config mgt-config users bob,"a ""b"", c",,1234567890,0x0,0,0,0,0,,PA-VM,0,',
    )
    assert detail.fields["before_change_detail"] == 'a "b", c' and detail.columns["device"] == "PA-VM"
    assert (detail.columns["action"], detail.columns["outcome"], detail.columns["user"]) == (
        "delete",
        "failure",
        "ops",
    )
    assert (
        detail.columns["src_ip"] == "192.0.2.8"
        and detail.columns["message"] == "delete config mgt-config users bob"
    )


TRAFFIC = (
    "1,2021/07/15 11:58:58,132,TRAFFIC,{subtype},0,2021/07/15 11:59:02,10.0.0.84,192.0.2.2,203.0.113.1,192.0.2.2,out,corp\\bob,,rdp,"
    "vsys1,trust,untrust,ethernet1/1,ethernet1/2,fwd,2021/07/15 11:59:02,77,1,50000,3389,40000,3389,0x0,tcp,{action},30,10,20,3,"
    "2021/07/15 11:58:02,60,any,0,915,0x0,10.0.0.0-10.255.255.255,Japan,0,1,2,{reason},0,0,0,0,,FW1,from-policy"
)


@pytest.mark.parametrize(
    ("subtype", "action", "expected", "outcome"),
    [("start", "allow", "allow", "success"), ("end", "allow", "close", "success"), ("deny", "deny", "deny", "failure"),
     ("drop", "drop", "drop", "failure"), ("deny", "reset-both", "reset", "failure"), ("drop", "unheard", "drop", "failure")],
)  # fmt: skip
def test_traffic(subtype: str, action: str, expected: str, outcome: str) -> None:
    got = one(DEVICE, TRAFFIC.format(subtype=subtype, action=action, reason="aged-out")).columns
    assert (got["action"], got["outcome"]) == (expected, outcome)
    assert (got["src_ip"], got["src_port"], got["dst_ip"], got["dst_port"]) == (
        "10.0.0.84",
        50000,
        "192.0.2.2",
        3389,
    )
    assert (got["src_nat_ip"], got["src_nat_port"], got["user"], got["user_domain"]) == (
        "203.0.113.1",
        40000,
        "bob",
        "corp",
    )
    assert (got["bytes_sent"], got["bytes_received"], got["duration"]) == (10, 20, 60.0)
    assert "src_country" not in got and got["dst_country"] == "Japan"


def test_times() -> None:
    line = TRAFFIC.format(subtype="end", action="allow", reason="n/a")
    assert one(DEVICE, line).columns["time"] == datetime(2021, 7, 15, 11, 59, 2, tzinfo=UTC)
    zoneless = DEVICE.parse(line, ReadContext())
    assert zoneless is not None and zoneless.zoneless and "time" not in zoneless.columns
    sent = DEVICE.parse("<14>1 2021-07-15T20:59:03+09:00 fw - - - - " + line, ReadContext())
    assert sent is not None and sent.columns["time"] == datetime(2021, 7, 15, 11, 59, 3, tzinfo=UTC)
    short = one(
        DEVICE,
        line.replace("2021/07/15 11:59:02", "7/15/21 11:59").replace("2021/07/15 11:58:58", "7/15/21 11:58"),
    )
    assert short.columns["time"] == datetime(2021, 7, 15, 11, 59, tzinfo=UTC)
    assert FORMAT.needs_zone is not None and FORMAT.needs_zone(line.encode())


def test_unset_high_resolution_time_is_not_believed() -> None:
    line = "1,2021/03/02 10:06:31,123,HIPMATCH,0,2305,2021/03/02 10:06:25,corp\\bob,vsys1,PC7,Windows,10.2.3.4,GP,1,object,0,0,6,0x8,1,2,3,0,,fw,1,0.0.0.0,d2,F0,,1970-01-01T01:00:00.000+01:00"
    got = one(DEVICE, line).columns
    assert got["time"] == datetime(2021, 3, 2, 10, 6, 25, tzinfo=UTC)
    assert (got["src_ip"], got["src_host"], got["user"]) == ("10.2.3.4", "PC7", "bob")


def test_extra_values_are_kept() -> None:
    line = "1,2021/10/26 15:05:03,1,SYSTEM,general,2561,2021/10/26 15:05:03,,general,,0,0,general,low,text,1,0x0,0,0,0,0,,PA,0,0,2021-10-26T15:05:03.440-07:00,more"
    assert one(DEVICE, line).fields["field_27"] == "more"


def test_sample() -> None:
    items = read(FORMAT, (SAMPLES / "paloalto.log").read_bytes(), time_zone=UTC)
    assert [(item.table, item.columns["event_type"]) for item in items] == [
        ("firewall", "traffic"), ("firewall", "threat"), ("vpn", "authentication"), ("vpn", "session_start"),
        ("vpn", "session_end"), ("firewall", "admin"), ("firewall", "config"),
    ]  # fmt: skip


LINES = [
    TRAFFIC.format(subtype="end", action="allow", reason="x"),
    GP + "gateway-auth,login,,,u,,,,,,,,,,,,,,,,success",
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
    for part in (
        '"',
        '""',
        ",",
        ",SYSTEM,",
        "1,2021/07/15 11:58:58,1,",
        "User name: ",
        "Reason: , A",
        "from 1",
    ):
        assert linear(paloalto.parse, lambda size, part=part: _text_line(part, size)), part
    assert paloalto.parse("x" * 1_000_000 + LINES[0], CONTEXT) is None


def _text_line(part: str, size: int) -> str:
    return f'1,2020/09/24 15:22:59,0,SYSTEM,globalprotect,0,2020/09/24 15:22:59,,x-auth-fail,G,0,0,general,low,"{part * (size // len(part))}'
