# ruff: noqa: E501 - log lines are long
"""Netfilter lines, and that the example of docs/add-a-format.md works as it says."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.formats.base import ReadContext
from detector.formats.network import devices
from detector.formats.network.iptables import DEVICE, FORMAT, parse
from detector.formats.registry import recognise
from detector.tables.evidence import ReadWarning

from .promises import SAMPLES, folders_taken, read, survives

JST = timezone(timedelta(hours=9))
KNOWN = ReadContext(time_zone=UTC, reference_time=datetime(2026, 1, 1, tzinfo=UTC))
LINE = (
    "2022-10-30T17:15:00+00:00 gw kernel: [1.5] DROP-IN: IN=eth0 OUT= MAC=00:11 SRC=203.0.113.9 DST=192.0.2.1 LEN=60 "
    "PROTO=TCP SPT=50000 DPT=3389 WINDOW=1024 SYN\n"
)


def test_example() -> None:
    data = (LINE + "something else\n").encode()
    assert recognise(data) is FORMAT and not devices.needs_zone(data)
    record, warning = read(FORMAT, data)
    assert not isinstance(record, ReadWarning) and isinstance(warning, ReadWarning)
    assert warning.offset == len(LINE)
    assert record.columns == {
        "time": datetime(2022, 10, 30, 17, 15, tzinfo=UTC), "device": "gw", "vendor": "Linux",
        "product": "netfilter", "event_type": "traffic", "action": "drop", "outcome": "failure",
        "src_ip": "203.0.113.9", "dst_ip": "192.0.2.1", "src_port": 50000, "dst_port": 3389, "protocol": "tcp",
        "src_interface": "eth0", "rule_name": "DROP-IN",
    }  # fmt: skip
    assert record.fields["LEN"] == "60" and record.raw == LINE.rstrip()


def test_sample() -> None:
    context = {"time_zone": JST, "reference_time": datetime(2022, 11, 2, tzinfo=UTC)}
    first, second, third, fourth = read(FORMAT, (SAMPLES / "iptables.log").read_bytes(), **context)
    assert [r.columns["action"] for r in (first, second, third, fourth)] == ["drop", "allow", "drop", "other"]
    assert first.columns["time"] == datetime(2022, 10, 30, 17, 15, tzinfo=UTC)
    assert first.columns["src_mac"] == "00:00:5e:00:53:02" and first.columns["rule_name"] == "DROP-IN"
    assert second.columns["dst_interface"] == "eth1" and second.columns["outcome"] == "success"
    assert third.columns["rule_name"] == "WAN_IN-2000-D" and third.columns["device"] == "edge"
    assert (fourth.columns["src_ip"], fourth.columns["protocol"]) == ("2001:db8::1", "ipv6-icmp")


@pytest.mark.parametrize(
    ("prefix", "rule", "action"),
    [
        ("[UFW BLOCK] ", "[UFW BLOCK]", "deny"), ("[UFW LIMIT BLOCK] ", "[UFW LIMIT BLOCK]", "deny"),
        ("Shorewall:net2fw:DROP:", "Shorewall:net2fw:DROP", "drop"), ("INPUTFW:DROP ", "INPUTFW:DROP", "drop"),
        ("FINAL_REJECT: ", "FINAL_REJECT", "deny"), ("OUTGOINGFW:ALLOW:2 ", "OUTGOINGFW:ALLOW:2", "allow"),
        ("[wan-lan-default-D]", "wan-lan-default-D", "drop"), ("[LAN_LOCAL-default-A]", "LAN_LOCAL-default-A", "allow"),
        ("[WAN_OUT-2000-R]", "WAN_OUT-2000-R", "deny"),
        ('[WAN_LOCAL-D-2147483647] DESCR="[WAN_LOCAL]Block All Traffic" ', "WAN_LOCAL-D-2147483647", "drop"),
        ("IPTABLES ", "IPTABLES", "other"), ("compass-address ", "compass-address", "other"), ("", None, "other"),
    ],
)  # fmt: skip
def test_what_the_prefix_says(prefix: str, rule: str | None, action: str) -> None:
    parsed = parse(
        f"Oct 31 02:15:00 gw kernel: {prefix}IN=a OUT=b SRC=192.0.2.1 DST=192.0.2.2 PROTO=UDP", KNOWN
    )
    assert parsed is not None
    assert (parsed.columns.get("rule_name"), parsed.columns["action"]) == (rule, action)


def test_packet_inside_an_icmp_error_is_not_the_packet() -> None:
    parsed = parse(
        "Jan  8 03:37:09 gw kernel: DENY: IN=eth0 OUT= SRC=192.0.2.71 DST=192.0.2.83 LEN=88 PROTO=ICMP TYPE=3 CODE=3 "
        "[SRC=192.0.2.83 DST=198.51.100.191 LEN=60 PROTO=TCP SPT=1 DPT=2 ]", KNOWN,
    )  # fmt: skip
    assert parsed is not None
    assert (parsed.columns["src_ip"], parsed.columns["dst_ip"]) == ("192.0.2.71", "192.0.2.83")
    assert parsed.columns["protocol"] == "icmp" and parsed.fields["SRC_2"] == "192.0.2.83"


def test_zone_is_asked_for_only_where_a_time_stands() -> None:
    body = "IN=a OUT=b SRC=192.0.2.1 DST=192.0.2.2 PROTO=UDP"
    for head, zoneless in (
        ("", False),
        ("<4>", False),
        ("Oct 31 02:15:00 gw ", True),
        ("2022-10-31T02:15:00Z gw ", False),
    ):
        parsed = parse(head + body, ReadContext())
        assert parsed is not None and parsed.zoneless is zoneless


@pytest.mark.corpus
def test_as_sekoia_expects(corpus: Path) -> None:
    count = 0
    for path in sorted((corpus / "netlogs/iptables/sekoia_netfilter").glob("*.json")):
        document = json.loads(path.read_text("utf-8"))
        parsed = parse(document["input"]["message"], KNOWN)
        expected = document["expected"]
        assert parsed is not None
        columns = parsed.columns
        assert (
            columns["src_ip"] == expected["source"]["ip"]
            and columns["dst_ip"] == expected["destination"]["ip"]
        )
        assert columns.get("src_port") == expected["source"].get("port")
        assert columns.get("dst_port") == expected["destination"].get("port")
        assert columns["protocol"] == expected["network"]["transport"]
        assert columns["src_mac"] == expected["source"]["mac"]
        assert columns["action"] == expected.get("action", {"name": "other"})["name"]
        # Kept differently: source.bytes is the length of one packet, no count of a session (fields keep LEN);
        # event.outcome 'success' of a dropped packet says that the firewall managed to drop it.
        assert parsed.fields["LEN"] == str(expected["source"]["bytes"])
        count += 1
    assert count == 2


@pytest.mark.corpus
def test_every_recorded_line_is_read(corpus: Path) -> None:
    for name, lines in (("elastic_iptables_samples/iptables.log", 20), ("sekoia_netfilter.messages.log", 5)):
        items = read(FORMAT, (corpus / "netlogs/iptables" / name).read_bytes(), time_zone=UTC)
        assert len(items) == lines and not any(isinstance(item, ReadWarning) for item in items)


@pytest.mark.corpus
def test_takes_no_other_vendors_lines(corpus: Path) -> None:
    # Endian and UniFi are netfilter
    assert folders_taken(DEVICE, corpus) == {"iptables", "endian_utm", "ubiquiti"}


@given(st.text(max_size=300))
def test_hostile_prefixes(text: str) -> None:
    survives(DEVICE, text + LINE[26:] + text, KNOWN)
    survives(DEVICE, LINE[: len(text)] + text, KNOWN)


def test_long_and_odd_lines() -> None:
    for line in (
        LINE * 5000,
        "IN= OUT= SRC= DST= PROTO=" + "=" * 16000,
        "[" * 8000 + LINE,
        "a_" * 7900 + LINE,
    ):
        survives(DEVICE, line, KNOWN)
