# ruff: noqa: E501 - log lines are long
"""Cisco ASA, FTD, PIX, FWSM: against what other projects expect of their recordings, and by hand."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.formats.base import ReadContext
from detector.formats.network import cisco
from detector.formats.network.devices import Parsed
from tests.formats.network.vendor_checks import CONTEXT, all_lines, check, elastic, linear, sekoia, strangers
from tests.formats.network.vendor_checks import one as read_one

JST = timezone(timedelta(hours=9))
SAMPLE = Path(__file__).parents[3] / "samples/formats/cisco_asa.log"


def one(line: str, **context: Any) -> Parsed:
    return read_one(cisco.DEVICE, line, **context)


# --- Elastic's expectations -----------------------------------------------------------------------------------

_ELASTIC = {
    "event.code": "event_id", "observer.hostname": "device", "source.ip": "src_ip", "source.port": "src_port",
    "destination.ip": "dst_ip", "destination.port": "dst_port", "source.bytes": "bytes_sent",
    "destination.bytes": "bytes_received", "source.packets": "packets_sent", "destination.packets": "packets_received",
    "source.nat.ip": "src_nat_ip", "source.nat.port": "src_nat_port", "destination.nat.ip": "dst_nat_ip",
    "destination.nat.port": "dst_nat_port", "network.transport": "protocol", "network.direction": "direction",
    "cisco.asa.connection_id": "session_id", "cisco.ftd.connection_id": "session_id",
    "cisco.asa.rule_name": "rule_name", "cisco.ftd.rule_name": "rule_name", "rule.name": "rule_name",
    "observer.ingress.interface.name": "src_interface", "observer.egress.interface.name": "dst_interface",
    "cisco.asa.assigned_ip": "assigned_ip", "source.user.name": "user", "user.name": "user",
}  # fmt: skip
_ENDS = {
    "source.ip", "source.port", "destination.ip", "destination.port", "source.nat.ip", "source.nat.port",
    "destination.nat.ip", "destination.nat.port", "observer.ingress.interface.name", "observer.egress.interface.name",
}  # fmt: skip


def _explained(name: str, expected: Any, parsed: Parsed, line: str) -> bool:
    """Differences kept on purpose."""
    columns = parsed.columns
    got, number = columns.get(_ELASTIC[name]), columns.get("event_id", "")
    if name in _ENDS and number in ("302013", "302015", "302022", "302020", "302021"):
        # Who is the source: for an outbound connection it is the second end (Cisco, document 116149).
        return " outbound " in line or number in ("302020", "302021")
    if name in _ENDS and number in ("302014", "302016", "302023", "302304"):
        # The teardown of an outbound connection names the ends in the same order, without saying so.
        return columns.get("src_port", 0) >= columns.get("dst_port", 0)
    if name in ("destination.ip", "destination.port") and number in ("305011", "305012"):
        return True  # a translation has no destination: it is the mapped address, our src_nat_ip
    if number in ("602303", "602304", "750002", "750003"):
        return True  # the remote end is the source, as in every other VPN event; no direction in table vpn
    if number == "113019":  # the client is the source; xmt counts what the device sent, the client received
        return name.startswith(("source.", "destination."))
    if number == "313005":  # the ends of the refused ICMP message, not those of the packet it quotes
        return name in _ENDS or got == f"{expected}$"
    if number == "607001" and name in _ENDS:
        return True  # "for A to B from OPTIONS message": they take B as source
    if number.startswith("338") and name.endswith("rule_name"):
        return expected == "dynamic"  # "dynamic list" is no rule
    if number == "338204":
        return name == "source.nat.port"  # a port without address (the line has a name)
    if name.endswith("rule_name") and number.startswith("4300"):
        return got is None or got in expected  # they list policy and rule
    if name == "destination.port" and expected > 65535:
        return got is None
    if name in ("source.port", "destination.port") and " icmp " in line:
        return number == "106103"  # type and code, no ports
    if name.endswith("user.name"):
        if expected == "*****":  # hidden by the device: not a name
            return got is None and columns["user_original"] == "*****"
        # their pattern drops the $ of a computer account; the other end's user; a peer's address
        return (
            got == f"{expected}$"
            or (got == "alice" and expected == "dave")
            or (got == "user2" and expected == "user1")
        )
    if name == "network.direction":
        return number == "302013"  # by a list of zones in their test's configuration
    if name == "network.transport":
        return parsed.table == "vpn"  # the table has no such column
    if name == "event.code":
        return "%" not in line  # they tell the number by the keys that are there
    return False


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("folder", "least"),
    [("cisco_asa/elastic_cisco_asa_log", 1800), ("cisco_ftd/elastic_cisco_ftd_log", 3500)],
)
def test_as_elastic_expects(corpus: Path, folder: str, least: int) -> None:
    compared = alike = 0
    for want in elastic(corpus / "netlogs" / folder):
        line = want["event.original"]
        parsed = one(line)
        stated = datetime.fromisoformat(want["@timestamp"].replace("Z", "+00:00"))
        if want.get("event.code", "").startswith("4300"):  # theirs is the first packet, ours the line's time
            assert parsed.columns.get("time", stated) >= stated
        elif "time" in parsed.columns:  # without year: both take the latest that is not in the future
            assert parsed.columns["time"].replace(year=2000) == stated.replace(year=2000)
        for name, column in _ELASTIC.items():
            if name in want:
                compared += 1
                same = str(parsed.columns.get(column)) == str(want[name])
                alike += same
                assert same or _explained(name, want[name], parsed, line), (
                    name,
                    want[name],
                    parsed.columns.get(column),
                    line,
                )
    assert compared > least
    assert alike > 0.6 * compared


# --- Sekoia's expectations ------------------------------------------------------------------------------------

_SEKOIA = {
    "event.code": "event_id", "source.ip": "src_ip", "source.port": "src_port", "destination.ip": "dst_ip",
    "destination.port": "dst_port", "network.transport": "protocol", "network.direction": "direction",
    "source.bytes": "bytes_sent", "destination.bytes": "bytes_received", "source.packets": "packets_sent",
    "user.name": "user", "rule.name": "rule_name", "observer.ingress.interface.name": "src_interface",
    "observer.egress.interface.name": "dst_interface", "source.nat.ip": "src_nat_ip", "source.nat.port": "src_nat_port",
}  # fmt: skip
#: (file, field) -> why ours is another value.
_OTHERWISE = {
    ("test_106006.json", "observer.egress.interface.name"): "`on interface` is where the packet came in",
    ("test_ASA_313008.json", "observer.egress.interface.name"): "`on interface` is where the packet came in",
    ("test_FTD_109201.json", "source.ip"): "the address assigned is assigned_ip, no source",
    ("test_group_1_2.json", "source.ip"): "they swap public and assigned address",
    ("test_group_1_2.json", "source.nat.ip"): "they swap public and assigned address",
    ("test_group_7.json", "rule.name"): "a group policy is no rule of the firewall",
    ("test_430005.json", "user.name"): "`No Authentication Required` is no user",
    ("test_FTD_430003_2.json", "user.name"): "`Not Found` is no user",
    ("test_FTD_750003_2.json", "source.ip"): "the remote end is the source",
    ("test_FTD_750003_2.json", "destination.ip"): "the remote end is the source",
    ("test_FTD_75006.json", "source.ip"): "the remote end is the source",
    ("test_FTD_75006.json", "source.port"): "the remote end is the source",
    ("test_FTD_75006.json", "destination.ip"): "the remote end is the source",
    ("test_FTD_75006.json", "destination.port"): "the remote end is the source",
    ("test_ASA_302013_1.json", "source.nat.ip"): "`(same address)` is no translation",
    ("test_ASA_302013_1.json", "source.nat.port"): "`(same address)` is no translation",
    ("test_ASA_302020_2.json", "source.port"): "the identifier of an ICMP message is no port",
    ("test_ASA_302020_2.json", "destination.port"): "the identifier of an ICMP message is no port",
    ("test_ASA_302021_2.json", "source.port"): "the identifier of an ICMP message is no port",
    ("test_ASA_302021_2.json", "destination.port"): "the identifier of an ICMP message is no port",
}  # fmt: skip


@pytest.mark.corpus
def test_as_sekoia_expects(corpus: Path) -> None:
    compared = 0
    for name, line, want in sekoia(corpus / "netlogs/cisco_asa/sekoia_cisco-secure-firewall"):
        if name == "test_group_9.json":
            assert cisco.parse(line, CONTEXT) is None  # nothing says that it is Cisco's
            continue
        parsed = one(line)
        for field, column in _SEKOIA.items():
            if field in want:
                compared += 1
                got = parsed.columns.get(column)
                assert str(got) == str(want[field]) or (name, field) in _OTHERWISE, (
                    name,
                    field,
                    want[field],
                    got,
                )
    assert compared > 140


@pytest.mark.corpus
def test_it_takes_its_own_lines_only(corpus: Path) -> None:
    assert strangers(cisco.DEVICE, corpus / "netlogs", {"cisco_asa", "cisco_ftd"}) == []


# --- by hand --------------------------------------------------------------------------------------------------


def test_sample() -> None:
    records = [one(line, time_zone=JST) for line in SAMPLE.read_text("utf-8").splitlines()]
    assert [
        (r.table, r.columns["event_type"], r.columns["action"], r.columns["outcome"], r.columns.get("user"))
        for r in records
    ] == [
        ("vpn", "authentication", "login", "failure", "maint"),
        ("vpn", "authentication", "login", "success", "maint"),
        ("vpn", "session_start", "login", "success", "maint"),
        ("vpn", "session_start", "login", "success", "maint"),
        ("firewall", "traffic", "allow", "success", "maint"),
        ("firewall", "traffic", "allow", "success", None),
        ("firewall", "traffic", "close", "success", "maint"),
        ("firewall", "traffic", "deny", "failure", None),
        ("vpn", "session_end", "logout", "success", "maint"),
        ("firewall", "admin", "login", "success", "admin"),
        ("firewall", "config", "delete", "success", "admin"),
        ("firewall", "traffic", "close", "success", "maint"),
    ]
    assert records[0].columns["time"] == datetime(2022, 10, 30, 17, 14, 41, tzinfo=UTC)
    assert {r.columns["device"] for r in records} == {"asa1", "ftd1"}
    assert (
        records[3].columns["assigned_ip"] == "198.51.100.77" and records[3].columns["src_ip"] == "203.0.113.9"
    )
    rdp, out, end = (records[number].columns for number in (4, 5, 6))
    for columns in (rdp, end):
        assert (columns["src_ip"], columns["dst_ip"], columns["dst_port"]) == (
            "198.51.100.77",
            "192.0.2.30",
            3389,
        )
        assert columns["session_id"] == "4711" and columns["user_original"] == "LOCAL\\maint"
        assert "user_domain" not in columns and "src_nat_ip" not in columns
    assert end["duration"] == 3600.0 and records[6].fields["bytes"] == "1048576"
    assert (out["src_ip"], out["src_port"], out["src_interface"]) == ("192.0.2.30", 50100, "inside")
    assert (out["src_nat_ip"], out["dst_ip"], out["dst_port"]) == ("198.51.100.1", "203.0.113.80", 443)
    closed = records[8].columns
    assert (closed["bytes_sent"], closed["bytes_received"], closed["duration"]) == (1048576, 52428800, 3897.0)
    assert (
        closed["reason"] == "User Requested" and closed["vpn_type"] == "ssl" and closed["group"] == "VENDOR"
    )
    assert (
        records[10].columns["src_ip"] == "198.51.100.77"
        and records[10].fields["command"] == "no logging enable"
    )
    event = records[11].columns
    assert (event["src_ip"], event["user_domain"], event["application"]) == ("2001:db8::9", "CORP", "RDP")
    assert (event["bytes_received"], event["time"].minute) == (4096, 32)


TEXT = "%ASA-6-113039: Group <g> User <u> IP <203.0.113.9> AnyConnect parent session started."


@pytest.mark.parametrize(
    ("head", "time", "device"),
    [
        ("", None, None),
        ("<166>", None, None),
        ("Oct 31 2022 02:15:00: ", datetime(2022, 10, 30, 17, 15, tzinfo=UTC), None),
        ("Oct 31 2022 02:15:59 asa1 : ", datetime(2022, 10, 30, 17, 15, 59, tzinfo=UTC), "asa1"),
        ("<166>Oct 31 02:15:00 asa1 ", datetime(2022, 10, 30, 17, 15, tzinfo=UTC), "asa1"),
        ("<166>:Oct 31 02:15:00 UTC: ", datetime(2022, 10, 31, 2, 15, tzinfo=UTC), None),
        ("<166>Oct 31 2022 02:15:00 EDT: ", datetime(2022, 10, 31, 6, 15, tzinfo=UTC), None),
        ("<166>Oct 31 2022 02:15:00 JST asa1 : ", datetime(2022, 10, 30, 17, 15, tzinfo=UTC), "asa1"),
        ("<166>Oct 31 2022 02:15:00 CST: ", datetime(2022, 10, 30, 17, 15, tzinfo=UTC), None),
        ("Oct 31 2022 02:15:00 FWX: ", datetime(2022, 10, 30, 17, 15, tzinfo=UTC), "FWX"),
        (
            "<166>1 2022-10-30T17:15:07.250Z asa1 - - - - ",
            datetime(2022, 10, 30, 17, 15, 7, 250000, tzinfo=UTC),
            "asa1",
        ),
        ("<166>2022-10-30T17:15:00Z asa1 : ", datetime(2022, 10, 30, 17, 15, tzinfo=UTC), "asa1"),
        (
            "Oct 31 02:15:09 relay Oct 31 2022 02:15:04 asa1 : ",
            datetime(2022, 10, 30, 17, 15, 4, tzinfo=UTC),
            "asa1",
        ),
    ],
)
def test_heads(head: str, time: datetime | None, device: str | None) -> None:
    newest = datetime(2022, 11, 2, tzinfo=UTC)
    parsed = one(head + TEXT, time_zone=JST, reference_time=newest)
    assert parsed.columns.get("time") == time and parsed.columns.get("device") == device
    assert parsed.columns["user"] == "u"


def test_a_time_without_zone_is_left_out_and_said() -> None:
    parsed = one("Oct 31 2022 02:15:00 asa1 : " + TEXT, reference_time=datetime(2022, 11, 2, tzinfo=UTC))
    assert parsed.zoneless and "time" not in parsed.columns and parsed.columns["device"] == "asa1"
    assert not one(TEXT, reference_time=None).zoneless


def test_what_a_user_typed_does_not_change_who_came_from_where() -> None:
    parsed = one("%ASA-6-716039: Group <g> User <x> IP <192.0.2.1> Authentication: rejected> IP <203.0.113.9> "
                 "Authentication: rejected, Session Type: WebVPN.")  # fmt: skip
    assert parsed.columns["src_ip"] == "203.0.113.9" and parsed.columns["outcome"] == "failure"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("%ASA-6-716039: Group <g> User <adm> IP <192.0.2.8> Authentication: rejected, Session Type: Admin.",
         ("firewall", "admin", "login", "failure", "adm")),
        ("%ASA-6-716038: Group <g> User <u> IP <192.0.2.8> Authentication: successful, Session Type: WebVPN.",
         ("vpn", "authentication", "login", "success", "u")),
        ("%ASA-6-716001: Group <g> User <u> IP <192.0.2.8> WebVPN session started.", ("vpn", "session_start", "login", "success", "u")),
        ("%ASA-6-716002: Group <g> User <CORP\\u> IP <192.0.2.8> WebVPN session terminated: Idle Timeout.",
         ("vpn", "session_end", "logout", "success", "u")),
        ("%ASA-5-713228: Group = g, Username = u, IP = 192.0.2.8, Assigned private IP address 198.51.100.5 to remote user",
         ("vpn", "session_start", "login", "success", "u")),
        ("%ASA-5-751025: Local:192.0.2.1:4500 Remote:203.0.113.5:4500 Username:u Group:g IPv4 Address=198.51.100.5 IPv6 "
         "address=:: assigned to session", ("vpn", "session_start", "login", "success", "u")),
        ("%ASA-4-113019: Group = 192.0.2.9, Username = 192.0.2.9, IP = 192.0.2.9, Session disconnected. Session Type: LAN-to-LAN, "
         "Duration: 1d 2h:03m:04s, Bytes xmt: 1, Bytes rcv: 2, Reason: Lost Service", ("vpn", "tunnel", "close", "success", None)),
        ("%ASA-5-111008: User 'a' executed the 'enable' command.", ("firewall", "admin", "other", "success", "a")),
        ("%PIX-5-111008: User 'a' executed the 'username x password y' command.", ("firewall", "config", "modify", "success", "a")),
        ("%ASA-5-502101: New user added to local dbase: Uname: bad Priv: 15 Encpass: *", ("firewall", "config", "create", "success", "bad")),
        ("%ASA-5-611103: User logged out: Uname: a", ("firewall", "admin", "logout", "success", "a")),
        ("%FWSM-2-106001: Inbound TCP connection denied from 192.0.2.1/1 to 192.0.2.2/3389 flags SYN  on interface outside",
         ("firewall", "traffic", "deny", "failure", None)),
        ("%ASA-1-105005: (Secondary) Lost Failover communications with mate on interface inside",
         ("firewall", "system", "other", "unknown", None)),
    ],
)  # fmt: skip
def test_meanings(line: str, expected: tuple[str | None, ...]) -> None:
    parsed = one(line)
    columns = parsed.columns
    assert (
        parsed.table,
        columns["event_type"],
        columns["action"],
        columns["outcome"],
        columns.get("user"),
    ) == expected
    if columns.get("event_type") == "session_start" and "ssigned" in line:
        assert columns["assigned_ip"] == "198.51.100.5"


def test_intrusion_and_file_events() -> None:
    dropped = one("%FTD-1-430001: SrcIP: 203.0.113.9, DstIP: 192.0.2.3, SrcPort: 1, DstPort: 443, Protocol: tcp, "
                  "Message: SERVER-OTHER a, b attempt, InlineResult: Dropped, User: Not Found")  # fmt: skip
    assert (dropped.columns["action"], dropped.columns["message"]) == ("drop", "SERVER-OTHER a, b attempt")
    assert "user" not in dropped.columns
    blocked = one(
        "%FTD-1-430005: SrcIP: 203.0.113.9, DstIP: 192.0.2.3, FileAction: Block Malware, ThreatName: W32.x"
    )
    assert (blocked.columns["event_type"], blocked.columns["action"]) == ("threat", "deny")


REAL = [*SAMPLE.read_text("utf-8").splitlines(), TEXT]


@given(st.text(max_size=300))
def test_no_text_raises(text: str) -> None:
    for line in (
        text,
        f"%ASA-6-302013: {text}",
        f"Group <{text}> User <{text}> IP <{text}>",
        f"%FTD-1-430003: {text}",
    ):
        parsed = cisco.parse(line, ReadContext())
        if parsed is not None:
            check(parsed)


@given(
    st.sampled_from(REAL),
    st.integers(0, 400),
    st.sampled_from(["", "\0", '"', "(", ")", "<", ">", ": ", "\\", " to ", "%"]),
)
def test_no_damaged_line_raises(line: str, at: int, put: str) -> None:
    for damaged in (line[:at], line[:at] + put + line[at:], line[:at] + put):
        parsed = cisco.parse(damaged, CONTEXT)
        if parsed is not None:
            check(parsed)


@pytest.mark.parametrize(
    "part",
    [
        "a",
        "1",
        "-",
        " src a dst",
        "from x to ",
        "(",
        "Group <",
        "User <",
        "> IP <",
        " for a:b/1 (c/2)",
        ", A: ",
        "Duration: ",
        "a ",
        ":",
    ],
)
@pytest.mark.parametrize(
    "number",
    [
        "302013",
        "302014",
        "106023",
        "106001",
        "106100",
        "722051",
        "113005",
        "113019",
        "750003",
        "111010",
        "430003",
        "304001",
    ],
)
def test_hostile_lines_take_linear_time(number: str, part: str) -> None:
    start = {"302013": "Built inbound TCP connection 1 ", "302014": "Teardown TCP connection 1 ", "106023": "Deny tcp",
             "113005": "reason = user = ", "111010": "User 'a' executed 'x"}.get(number, "")  # fmt: skip
    assert linear(cisco.parse, lambda size: f"%ASA-6-{number}: {start}{part * (size // len(part))}")


def test_a_line_of_a_megabyte_is_none_of_ours() -> None:
    assert cisco.parse(TEXT + "x" * 1_000_000, CONTEXT) is None


def test_a_time_that_lacks_only_the_year_wants_no_zone() -> None:
    parsed = one("Oct 31 02:15:00 UTC asa1 : " + TEXT, reference_time=None)
    assert "time" not in parsed.columns and not parsed.zoneless


@pytest.mark.corpus
def test_all_lines_of_the_vendor_are_read(corpus: Path) -> None:
    """Also those that Wazuh has without any expectation of fields: which product, and which number."""
    counts: Counter[str] = Counter()
    for vendor, line in all_lines(corpus / "netlogs"):
        if vendor in ("cisco_asa", "cisco_ftd") and "Tunnel group search" not in line:
            parsed = one(line)
            counts[parsed.columns["product"]] += 1
            if "%" in line:
                assert parsed.columns["event_id"] in line
    assert counts["ASA"] > 300 and counts["FTD"] > 150 and counts["PIX"] > 5


def test_a_line_inside_json_is_for_what_reads_json() -> None:
    for line in ('{"message": "' + TEXT + '"}', '    "original": "' + TEXT + '",'):
        assert cisco.parse(line, CONTEXT) is None and not cisco.sure(line)
