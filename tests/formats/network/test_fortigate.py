# ruff: noqa: E501 - log lines are long
"""FortiGate lines: against what other projects expect of their recordings, and by hand."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.errors import TimeZoneError
from detector.formats.base import Input, ReadContext
from detector.formats.network import fortigate
from detector.formats.network.devices import parse_line
from detector.formats.network.fortigate import FORMAT
from detector.tables.evidence import ReadWarning
from detector.tables.network import (
    ACTIONS,
    FIREWALL_EVENT_TYPES,
    OUTCOMES,
    VPN_EVENT_TYPES,
    NetworkRecord,
)  # fmt: skip
from tests.formats.network.promises import check

JST = timezone(timedelta(hours=9))


def read(data: bytes | str, **context: Any) -> list[Any]:
    data = data.encode() if isinstance(data, str) else data
    items = list(FORMAT.read(Input(io.BytesIO(data), data[:65536], ReadContext(**context))))
    for item in items:
        if isinstance(item, NetworkRecord):
            check(item)
    return items


def one(line: str, **context: Any) -> NetworkRecord:
    [record] = read(line, **context)
    assert isinstance(record, NetworkRecord)
    return record


HEAD = 'date=2022-10-31 time=02:15:00 devname="FW1" devid="FG100E1" eventtime=1667150100123456789 tz="+0900"'
SSL = HEAD + ' logid="0101039424" type="event" subtype="vpn" level="information" vd="root" '


# --- Elastic's expectations -----------------------------------------------------------------------------------

#: ECS field of the expectation -> our column.
_SAME = {
    "event.code": "event_id", "log.level": "level", "message": "message", "observer.name": "device",
    "source.ip": "src_ip", "source.port": "src_port", "destination.ip": "dst_ip", "destination.port": "dst_port",
    "source.bytes": "bytes_sent", "destination.bytes": "bytes_received", "source.packets": "packets_sent",
    "destination.packets": "packets_received", "source.nat.ip": "src_nat_ip", "source.nat.port": "src_nat_port",
    "source.user.name": "user", "network.transport": "protocol", "source.domain": "src_host", "rule.id": "rule_name",
    "observer.ingress.interface.name": "src_interface", "observer.egress.interface.name": "dst_interface",
    "url.domain": "dst_host", "destination.domain": "dst_host", "source.mac": "src_mac",
    "network.application": "application",
}  # fmt: skip


def _flat(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _explained(name: str, expected: Any, got: Any, fields: dict[str, str]) -> bool:
    """Differences kept on purpose."""
    if name == "source.mac":  # ECS writes hyphens and capitals; we keep the line's
        return str(expected).replace("-", ":").lower() == str(got).lower()
    if name in ("source.nat.ip", "source.nat.port"):  # 0.0.0.0 is no translation
        return got is None and fields["transip"] == "0.0.0.0"
    if name == "url.domain":  # `hostname` of an HA event is a cluster member, no destination
        return got is None and fields["subtype"] == "ha"
    if name in ("message", "network.application"):  # ECS normalises to lower case
        return str(expected).lower() == str(got).lower()
    return False


@pytest.mark.corpus
@pytest.mark.parametrize("version", ["6-2", "7-4"])
def test_as_elastic_expects(corpus: Path, version: str) -> None:
    folder = corpus / "netlogs/fortigate/elastic_fortinet_fortigate_log"
    log = folder / f"test-fortinet-{version}.log"
    expected = json.loads(Path(f"{log}-expected.json").read_text("utf-8"))["expected"]
    records = read(log.read_bytes())
    assert len(records) == len(expected)
    compared = 0
    for record, document in zip(records, expected, strict=True):
        want = dict(_flat(document))
        # event.start is eventtime; @timestamp is date and time of the line without a zone, which we do not trust
        start = datetime.fromisoformat(want["event.start"].replace("Z", "+00:00"))
        assert abs(record.columns["time"] - start) < timedelta(milliseconds=1)
        if "event.duration" in want:
            assert record.columns["duration"] == want["event.duration"] / 1e9
        for name, column in _SAME.items():
            if name in want:
                got = record.columns.get(column)
                compared += 1
                assert str(got) == str(want[name]) or _explained(name, want[name], got, record.fields), (
                    name, want[name], got, record.raw,
                )  # fmt: skip
    assert compared > 500


@pytest.mark.corpus
def test_every_sample_message_is_read(corpus: Path) -> None:
    """Sekoia's messages in FortiOS' own form (CEF is another format); some have neither date nor eventtime."""
    count = 0
    for path in sorted((corpus / "netlogs/fortigate").glob("sekoia_forti*/*.json")):
        message = json.loads(path.read_text("utf-8"))["input"]["message"]
        if "|Fortinet|" in message or "log_id=" in message:
            continue
        record = one(message, time_zone=UTC)
        count += 1
        expected = json.loads(path.read_text("utf-8"))["expected"]
        source = expected.get("source", {}).get("ip")
        if "srcip=" in message:
            assert record.columns.get("src_ip") == source
        if "dstip=" in message and "dstip=N/A" not in message:
            assert record.columns.get("dst_ip") == expected["destination"]["ip"]
    assert count > 30


@pytest.mark.corpus
def test_recognised_are_fortigate_logs_and_no_others(corpus: Path) -> None:
    found = {
        path.relative_to(corpus / "netlogs").as_posix()
        for path in sorted((corpus / "netlogs").rglob("*"))
        if path.is_file() and FORMAT.recognise(path.read_bytes()[:65536])
    }
    assert found == {
        "fortigate/crowdsec_fortinet-vpn-bf/fortinet-vpn-bf.log",
        "fortigate/elastic_fortinet_fortigate_log/test-fortinet-6-2.log",
        "fortigate/elastic_fortinet_fortigate_log/test-fortinet-7-4.log",
        "fortigate/logwarden/fortigate-native.log",
        "fortigate/sc4s_fortinet_ngfw.log",
    }


@pytest.mark.corpus
def test_logwarden(corpus: Path) -> None:
    data = (corpus / "netlogs/fortigate/logwarden/fortigate-native.log").read_bytes()
    items = read(data)
    records = [item for item in items if isinstance(item, NetworkRecord)]
    warnings = [item for item in items if isinstance(item, ReadWarning)]
    assert [
        (r.table, r.columns["event_type"], r.columns["outcome"], r.columns.get("user")) for r in records
    ] == [
        ("vpn", "session_start", "success", "jdoe"),
        ("vpn", "authentication", "failure", "asmith"),
        ("firewall", "authentication", "failure", "asmith"),
        ("firewall", "authentication", "success", "jdoe"),
        ("vpn", "session_end", "success", "jdoe"),
        ("firewall", "traffic", "success", None),
        ("vpn", "authentication", "failure", "bkoch"),
    ]
    assert len(warnings) == 8  # its comment lines
    assert all(data[warning.offset or 0 :].startswith(b"#") for warning in warnings)
    assert len(items) == sum(1 for line in data.splitlines() if line.strip())


# --- by hand --------------------------------------------------------------------------------------------------


def test_ssl_vpn_session() -> None:
    up = one(SSL + 'action="tunnel-up" tunneltype="ssl-tunnel" tunnelid=77 remip=203.0.113.9 tunnelip=10.212.134.2 '
             'user="CORP\\maint" group="vpn" dst_host="N/A" reason="login successfully" msg="SSL tunnel established"'
             )  # fmt: skip
    assert up.table == "vpn"
    assert up.columns == {
        "time": datetime(2022, 10, 30, 17, 15, 0, 123456, tzinfo=UTC), "device": "FW1", "vendor": "Fortinet",
        "product": "FortiGate", "event_id": "0101039424", "level": "information", "event_type": "session_start",
        "action": "login", "outcome": "success", "user": "maint", "user_domain": "CORP",
        "user_original": "CORP\\maint", "group": "vpn", "src_ip": "203.0.113.9", "session_id": "77",
        "vpn_type": "ssl", "assigned_ip": "10.212.134.2", "message": "SSL tunnel established",
    }  # fmt: skip
    assert up.fields["action"] == "tunnel-up" and up.fields["reason"] == "login successfully"
    down = one(SSL + 'action="tunnel-down" tunneltype="ssl-tunnel" tunnelid=77 remip=203.0.113.9 user="maint" '
               'reason="User requested termination of service" duration=1853 sentbyte=35156 rcvdbyte=111799')  # fmt: skip
    assert down.columns["event_type"] == "session_end" and down.columns["session_id"] == "77"
    assert down.columns["duration"] == 1853.0
    assert (down.columns["bytes_sent"], down.columns["bytes_received"]) == (35156, 111799)
    assert down.columns["reason"] == "User requested termination of service"


def test_ssl_vpn_failure_without_user() -> None:
    record = one(SSL + 'action="ssl-login-fail" tunneltype="ssl-web" tunnelid=0 remip=198.51.100.4 user="N/A" '
                 'group="N/A" reason="sslvpn_login_unknown_user" srccountry="Reserved"')  # fmt: skip
    assert record.columns["event_type"] == "authentication" and record.columns["outcome"] == "failure"
    assert record.columns["reason"] == "sslvpn_login_unknown_user"
    assert not {"user", "user_original", "group", "session_id", "src_country"} & set(record.columns)


IPSEC = HEAD + ' logid="0101037138" type="event" subtype="vpn" level="notice" vd="root" '


def test_ipsec_dialup_is_a_users_session_by_xauthuser() -> None:
    record = one(IPSEC + 'action="tunnel-up" remip=192.0.2.7 locip=198.51.100.1 remport=64916 locport=4500 '
                 'outintf="wan1" cookies="a/b" user="192.0.2.7" group="N/A" xauthuser="bob@corp.example" '
                 'xauthgroup="dial" assignip=172.18.200.10 vpntunnel="d_0" tunnelid=5 tunneltype="ipsec"')  # fmt: skip
    columns = record.columns
    assert columns["event_type"] == "session_start" and columns["vpn_type"] == "ipsec"
    assert (columns["user"], columns["user_domain"], columns["group"]) == ("bob", "corp.example", "dial")
    assert (columns["src_ip"], columns["src_port"]) == ("192.0.2.7", 64916)
    assert (columns["dst_ip"], columns["dst_port"]) == ("198.51.100.1", 4500)
    assert columns["assigned_ip"] == "172.18.200.10"


def test_ipsec_between_sites_is_a_tunnel_and_its_peer_no_user() -> None:
    record = one(IPSEC + 'action="tunnel-up" remip=192.0.2.7 locip=198.51.100.1 user="192.0.2.7" group="N/A" '
                 'xauthuser="N/A" assignip=N/A vpntunnel="branch" tunnelip=N/A tunnelid=5 tunneltype="ipsec"')  # fmt: skip
    assert record.columns["event_type"] == "tunnel" and "user" not in record.columns
    ours = one(IPSEC + 'action="negotiate" remip=192.0.2.7 locip=198.51.100.1 init="local" status="success" '
               'vpntunnel="branch" user="N/A"')  # fmt: skip
    assert (ours.columns["src_ip"], ours.columns["dst_ip"]) == ("198.51.100.1", "192.0.2.7")
    failed = one(IPSEC + 'action="negotiate" status="failure" reason="peer SA proposal not match local policy" '
                 'remip=192.0.2.7 locip=198.51.100.1')  # fmt: skip
    assert failed.columns["outcome"] == "failure" and failed.columns["reason"].startswith("peer SA")


SYSTEM = HEAD + ' type="event" subtype="system" level="alert" vd="root" '


@pytest.mark.parametrize(
    ("rest", "kind", "action", "outcome"),
    [
        ('logid="0100032001" user="admin" ui="https(192.0.2.8)" action="login" status="success"', "admin", "login", "success"),
        ('logid="0100032002" user="root" ui="ssh(192.0.2.8)" action="login" status="failed"', "admin", "login", "failure"),
        ('logid="0100032003" user="admin" ui="https(192.0.2.8)" action="logout" status="success"', "admin", "logout", "success"),
        ('logid="0100032021" user="admin" ui="https(192.0.2.8)" action="login" status="failed"', "admin", "login", "failure"),
        ('logid="0100044546" user="admin" ui="GUI(192.0.2.8)" action="Edit" cfgpath="system.admin"', "config", "modify", "success"),
        ('logid="0100044547" user="admin" ui="GUI(192.0.2.8)" action="Add" cfgpath="firewall.policy"', "config", "create", "success"),
        ('logid="0100044547" user="admin" ui="GUI(192.0.2.8)" action="Delete" cfgpath="user.local"', "config", "delete", "success"),
        ('logid="0100040704" user="admin" ui="GUI(192.0.2.8)" action="perf-stats"', "system", "other", "unknown"),
    ],
)  # fmt: skip
def test_administrators(rest: str, kind: str, action: str, outcome: str) -> None:
    columns = one(SYSTEM + rest).columns
    assert (columns["event_type"], columns["action"], columns["outcome"]) == (kind, action, outcome)
    assert columns["src_ip"] == "192.0.2.8" and columns["user_original"] in ("admin", "root")


TRAFFIC = HEAD + ' logid="0000000013" type="traffic" subtype="forward" level="notice" vd="root" '


@pytest.mark.parametrize(
    ("action", "expected"),
    [("accept", "allow"), ("close", "close"), ("timeout", "close"), ("client-rst", "close"),
     ("server-rst", "close"), ("deny", "deny"), ("ip-conn", "other"), ("unheard-of", "other")],
)  # fmt: skip
def test_traffic_actions(action: str, expected: str) -> None:
    """A session that an end reset was let through: RDP often ends so."""
    record = one(TRAFFIC + f'srcip=192.0.2.1 dstip=192.0.2.2 dstport=3389 proto=6 action="{action}"')
    assert record.columns["action"] == expected and record.fields["action"] == action


def test_traffic_columns() -> None:
    record = one(TRAFFIC + 'srcip=2001:DB8::0001 srcport=50000 srcname="PC7" srcintf="port1" srcintfrole="lan" '
                 'dstip=192.0.2.2 dstport=70000 dstintf="wan1" dstintfrole="wan" srccountry="Reserved" '
                 'dstcountry="Japan" sessionid=9 proto=47 action="accept" policyid=3 policyname="out" '
                 'service="GRE" duration=12 sentbyte=10 rcvdbyte=20 sentpkt=1 rcvdpkt=2 sentdelta=5 '
                 'tranip=10.0.0.1 tranport=80 transip=198.51.100.9 transport=40000 unauthuser="pc7user"')  # fmt: skip
    want = {
        "src_ip": "2001:db8::1", "src_port": 50000, "src_host": "PC7", "src_interface": "port1",
        "dst_ip": "192.0.2.2", "dst_interface": "wan1", "dst_country": "Japan", "direction": "outbound",
        "session_id": "9", "protocol": "gre", "application": "GRE", "rule_name": "out", "duration": 12.0,
        "bytes_sent": 10, "bytes_received": 20, "packets_sent": 1, "packets_received": 2,
        "dst_nat_ip": "10.0.0.1", "dst_nat_port": 80, "src_nat_ip": "198.51.100.9", "src_nat_port": 40000,
        "user": "pc7user",
    }  # fmt: skip
    assert {name: record.columns.get(name) for name in want} == want
    assert "dst_port" not in record.columns and record.fields["dstport"] == "70000"  # no port, but kept
    assert "src_country" not in record.columns


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("eventtime=1667150100", datetime(2022, 10, 30, 17, 15, tzinfo=UTC)),
        ("eventtime=1667150100.123", datetime(2022, 10, 30, 17, 15, 0, 123000, tzinfo=UTC)),
        ("eventtime=1667150100123", datetime(2022, 10, 30, 17, 15, 0, 123000, tzinfo=UTC)),
        ("eventtime=1667150100123456", datetime(2022, 10, 30, 17, 15, 0, 123456, tzinfo=UTC)),
        ('eventtime="1667150100123456789"', datetime(2022, 10, 30, 17, 15, 0, 123456, tzinfo=UTC)),
        ('date=2022-10-31 time=02:15:00 tz="+0900"', datetime(2022, 10, 30, 17, 15, tzinfo=UTC)),
        ('date=2022-10-31 time=02:15:00 tz="UTC+9"', datetime(2022, 10, 30, 17, 15, tzinfo=UTC)),
        ("date=2022-10-31 time=02:15:00", datetime(2022, 10, 30, 17, 15, tzinfo=UTC)),
        ("<13>Oct 31 02:15:00 FW9 vd=root", datetime(2022, 10, 30, 17, 15, tzinfo=UTC)),
    ],
)
def test_times(stamp: str, expected: datetime) -> None:
    line = (
        f'{stamp} logid="0000000013" type="traffic" subtype="forward" level="notice" vd="root" action="deny"'
    )
    reference = datetime(2022, 11, 2, tzinfo=UTC)
    assert one(line, time_zone=JST, reference_time=reference).columns["time"] == expected


def test_zone_is_asked_for_and_only_then() -> None:
    body = 'logid="0000000013" type="traffic" subtype="forward" level="notice" vd="root"'
    zoneless = f"date=2022-10-31 time=02:15:00 {body}\n"
    zoned = f"date=2022-10-31 time=02:15:00 eventtime=1667150100 {body}\n"
    assert FORMAT.needs_zone is not None
    assert FORMAT.needs_zone(zoneless.encode()) and not FORMAT.needs_zone(zoned.encode())
    with pytest.raises(TimeZoneError, match="--tz"):
        read(zoneless)
    late = zoned * 600 + zoneless * 2  # behind the head that is looked at
    items = read(late)
    records = [item for item in items if isinstance(item, NetworkRecord)]
    [warning] = [item for item in items if isinstance(item, ReadWarning)]
    assert len(records) == 602 and "time" not in records[-1].columns
    assert warning.records == 0


def test_envelopes_and_prefixes() -> None:
    body = 'eventtime=1667150100 logid="0000000013" type="traffic" subtype="forward" level="notice" action="deny"'
    for prefix, device in (
        ("", None), ("7: ", None), ("<189>", None), ("<165>1 2022-10-30T17:15:00Z fw9 - - - - ", "fw9"),
        ("Oct 31 02:15:00 fw9 ", "fw9"), ("2022-10-30T17:15:00+00:00 relay <13>Oct 31 02:15:00 fw9 ", "fw9"),
    ):  # fmt: skip
        record = one(prefix + body)
        assert record.columns.get("device") == device
        assert record.raw == prefix + body
        assert record.fields["eventtime"] == "1667150100"
    assert one('devid="FG1" ' + body).columns["device"] == "FG1"


def test_comma_form() -> None:
    record = one('date=2018-12-27,time=14:45:26,logid="1501054802",type="dns",subtype="dns-response",level="notice",'
                 'vd="vdom1",eventtime=1545950726,srcip=192.0.2.1,dstip=192.0.2.2,qname="a,b",action="pass"')  # fmt: skip
    assert record.columns["event_type"] == "threat" and record.columns["dst_ip"] == "192.0.2.2"
    assert record.fields["qname"] == "a,b"


def test_json_lines_with_the_devices_keys() -> None:
    """As FortiAnalyzer and FortiOS' own JSON output have them: numbers may be numbers."""
    document = {
        "date": "2022-10-31", "time": "02:15:00", "tz": "+0900", "devname": "FW1", "devid": "FG1", "vd": "root",
        "logid": "0101039424", "type": "event", "subtype": "vpn", "level": "information", "action": "tunnel-up",
        "tunneltype": "ssl-tunnel", "tunnelid": 77, "remip": "203.0.113.9", "user": "maint", "duration": 5, "x": None,
    }  # fmt: skip
    line = json.dumps(document)
    found = one(line)
    pairs = " ".join(f'{key}="{value}"' for key, value in document.items() if value is not None)
    assert found.columns == one(pairs).columns and found.table == "vpn"
    assert found.columns["session_id"] == "77" and found.columns["duration"] == 5.0
    assert found.fields["tunnelid"] == "77" and "x" not in found.fields and found.raw == line
    assert FORMAT.recognise(line.encode() + b"\n")
    for other in ("{}", "[]", "{", '{"type": "event"}', '{"type": 5, "subtype": []}', "{" * 9999):
        assert parse_line(other, ReadContext()) is None
    analyzer = {
        "itime": 1667150100,
        "type": "traffic",
        "subtype": "forward",
        "level": "notice",
        "action": "deny",
    }
    assert one(json.dumps(analyzer)).columns["time"] == datetime(2022, 10, 30, 17, 15, tzinfo=UTC)


def test_cells_of_pairs() -> None:
    pairs = ["date=2022-10-31", "time=02:15:00", 'tz="+0900"', "type=event", "subtype=vpn", "level=notice",
             'user="a,b"', "remip=203.0.113.9", "action=tunnel-up", "tunneltype=ssl-tunnel"]  # fmt: skip
    row = ",".join('"' + pair.replace('"', '""') + '"' for pair in pairs)
    found = one(row)
    assert found.columns == one(" ".join(pairs)).columns and found.columns["user"] == "a,b"
    assert parse_line('"', ReadContext()) is None


def test_fortios_4_is_read_under_the_names_of_today() -> None:
    head = "date=2012-10-31 time=02:15:00 devname=FW1 device_id=FGT50B3G00000001 pri=notice vd=root "
    traffic = one(
        head + "log_id=0021000002 type=traffic subtype=allowed status=accept src=192.0.2.1 src_port=1025 "
        "src_int=internal dst=198.51.100.2 dst_port=3389 dst_int=wan1 proto=6 service=RDP sent=100 rcvd=200",
        time_zone=JST,
    )
    want = {
        "event_type": "traffic", "action": "allow", "outcome": "success", "src_ip": "192.0.2.1", "src_port": 1025,
        "dst_ip": "198.51.100.2", "dst_port": 3389, "src_interface": "internal", "bytes_sent": 100,
        "bytes_received": 200, "event_id": "0021000002", "level": "notice", "device": "FW1",
    }  # fmt: skip
    assert {name: traffic.columns.get(name) for name in want} == want
    assert traffic.fields["src_port"] == "1025" and "srcport" not in traffic.fields
    up = one(
        head + "log_id=0101039424 type=event subtype=sslvpn-user action=tunnel-up tunnel_type=ssl-tunnel "
        "tunnel_id=9 remote_ip=203.0.113.9 tunnel_ip=10.0.0.3 user=maint group=vpn",
        time_zone=JST,
    )
    assert up.table == "vpn" and up.columns["event_type"] == "session_start"
    assert (up.columns["src_ip"], up.columns["assigned_ip"]) == ("203.0.113.9", "10.0.0.3")
    web = head.replace("FGT50B3G00000001", "FVVM040000010871") + "log_id=10000017 type=event subtype=system"
    assert parse_line(web, ReadContext()) is None  # FortiWeb writes these names to this day


def test_other_lines_are_warnings_with_their_offset() -> None:
    data = (
        TRAFFIC + 'action="deny"\n\n\nOct 31 02:15:00 srv sshd[1]: Failed password\r\n' + TRAFFIC
    ).encode()
    first, warning, last = read(data)
    assert data[warning.offset :].startswith(b"Oct 31") and "line 4" in warning.reason
    assert (first.number, last.number) == (1, 5)
    assert data[last.offset :] == TRAFFIC.encode()


def test_binary_bytes_survive() -> None:
    record = one((TRAFFIC + 'msg="').encode().decode() + "x")
    assert record.fields["msg"] == "x"
    [item] = read(TRAFFIC.encode() + b'url="/\xff\xfe\x00" user="\xe3\x83\xad"')
    assert item.fields["url"] == "/\\xff\\xfe\x00" and item.columns["user"] == "ロ"


def test_a_line_of_many_kilobytes_is_not_parsed() -> None:
    [warning] = read(TRAFFIC + "x=" + "y" * 70_000)
    assert isinstance(warning, ReadWarning)


@given(st.lists(st.binary(max_size=60) | st.sampled_from([TRAFFIC.encode(), SSL.encode()]), max_size=8))
def test_every_line_is_a_record_or_a_warning(lines: list[bytes]) -> None:
    data = b"\n".join(line.replace(b"\n", b" ") for line in lines)
    items = read(data, time_zone=UTC)
    assert len(items) <= len(lines)
    segments = [data.find(b"\n", len(data) // 2) + 1, len(data)]
    if segments[0]:
        halves = []
        for start, end in ((0, segments[0]), (segments[0], None)):
            source = Input(io.BytesIO(data[start:]), data[:65536], ReadContext(time_zone=UTC), start, end)
            halves += list(FORMAT.read(source))
        assert [item[0] for item in halves] == [item[0] for item in items]


@given(st.text())
def test_meanings_are_of_the_closed_lists(word: str) -> None:
    for kind in ("traffic", "utm", "event"):
        for subtype in ("forward", "system", "user", "rest-api", word):
            meaning = fortigate._firewall_meaning(kind, subtype, word, word, word, False)
            assert meaning.event_type in FIREWALL_EVENT_TYPES
            assert meaning.action in ACTIONS and meaning.outcome in OUTCOMES
    vpn = fortigate._vpn_meaning(word, word, True)
    assert vpn.event_type in VPN_EVENT_TYPES and vpn.action in ACTIONS and vpn.outcome in OUTCOMES
