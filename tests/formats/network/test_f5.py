# ruff: noqa: E501 - log lines are long
"""F5 BIG-IP: against what other projects expect of their recordings, and by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.formats.network import f5
from detector.formats.network.devices import Parsed
from tests.formats.network.vendor_checks import CONTEXT, all_lines, check, elastic, linear, sekoia, strangers
from tests.formats.network.vendor_checks import one as read_one

JST = timezone(timedelta(hours=9))
SAMPLE = Path(__file__).parents[3] / "samples/formats/f5.log"
NEWEST = datetime(2022, 11, 2, tzinfo=UTC)


def one(line: str, **context: Any) -> Parsed:
    return read_one(f5.DEVICE, line, **context)


@pytest.mark.corpus
def test_as_elastic_expects_of_telemetry(corpus: Path) -> None:
    mapping = {
        "client.ip": "src_ip", "source.ip": "src_ip", "client.geo.country_name": "src_country", "host.name": "device",
        "host.hostname": "device", "user_agent.original": "client", "destination.ip": "dst_ip",
        "destination.port": "dst_port", "source.bytes": "bytes_sent", "destination.bytes": "bytes_received",
    }  # fmt: skip
    compared = 0
    for want in elastic(corpus / "netlogs/f5/elastic_f5_bigip_log"):
        parsed = one(want["event.original"])
        for field, column in mapping.items():
            if field not in want:
                continue
            got = parsed.columns.get(column)
            if column == "client" and parsed.table == "firewall":
                continue  # the table has no such column; the value is in fields
            compared += 1
            assert str(got) == str(want[field]), (field, want[field], got, want["event.original"][:200])
    assert compared > 8


@pytest.mark.corpus
def test_as_sekoia_expects(corpus: Path) -> None:
    mapping = {
        "source.ip": "src_ip", "source.port": "src_port", "destination.ip": "dst_ip", "destination.port": "dst_port",
        "network.transport": "protocol", "user.name": "user", "user.domain": "user_domain",
    }  # fmt: skip
    compared = 0
    for name, line, want in sekoia(corpus / "netlogs/f5/sekoia_f5-big-ip"):
        parsed = f5.parse(line, CONTEXT)
        if parsed is None:
            # CEF is another format; cron, rules of iRule's author and Apache's lines are not the device's own messages
            assert "CEF:" in line or any(
                word in line for word in ("CROND", "Rule /", "GSSAPI", "[ssl_", "sshd")
            ), line
            continue
        check(parsed)
        for field, column in mapping.items():
            if field in want and name != "test_perl_3.json":  # a web request in a sentence
                compared += 1
                assert str(parsed.columns.get(column)) == str(want[field]), (name, field)
    assert compared > 8


@pytest.mark.corpus
def test_it_takes_its_own_lines_only(corpus: Path) -> None:
    assert strangers(f5.DEVICE, corpus / "netlogs", {"f5", "f5_generated"}) == []
    read = [
        line for vendor, line in all_lines(corpus / "netlogs") if vendor == "f5" and f5.parse(line, CONTEXT)
    ]
    assert len(read) > 70


def test_sample() -> None:
    records = [
        one(line, time_zone=JST, reference_time=NEWEST) for line in SAMPLE.read_text("utf-8").splitlines()
    ]
    assert [(r.table, r.columns["event_type"], r.columns["action"], r.columns["outcome"], r.columns.get("user")) for r in records] == [
        ("vpn", "tunnel", "create", "success", None),
        ("vpn", "authentication", "login", "failure", "maint"),
        ("vpn", "system", "other", "unknown", "maint"),
        ("vpn", "authentication", "login", "success", "maint"),
        ("vpn", "session_start", "login", "success", None),
        ("vpn", "session_start", "login", "success", None),
        ("firewall", "traffic", "allow", "success", None),
        ("vpn", "session_end", "logout", "success", None),
        ("vpn", "session_end", "logout", "success", None),
        ("firewall", "config", "modify", "success", "admin"),
        ("vpn", "authentication", "login", "failure", None),
    ]  # fmt: skip
    assert {r.columns["session_id"] for r in records[:9]} == {"0a6c7b51"}
    first = records[0].columns
    assert (first["src_ip"], first["src_country"], first["dst_ip"], first["group"]) == (
        "203.0.113.9",
        "JP",
        "198.51.100.1",
        "/Common/vendor_vpn",
    )
    assert (
        first["time"] == datetime(2022, 10, 30, 17, 14, 55, tzinfo=UTC)
        and first["device"] == "bigip1.example"
    )
    assert records[1].columns["user_domain"] == "CORP"
    assert (records[5].columns["assigned_ip"], records[5].columns["src_ip"]) == ("192.0.2.77", "203.0.113.9")
    assert (records[6].columns["dst_port"], records[6].columns["protocol"]) == (3389, "tcp")
    assert (records[7].columns["bytes_sent"], records[7].columns["bytes_received"]) == (1048576, 52428800)
    assert records[8].columns["reason"] == "user logout request"
    assert records[10].columns["time"] == datetime(2022, 10, 30, 18, 30, 0, 250000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("apmd[1]: 01490106:4: /Common/p:Common:0a6c7b51: AD module: authentication with 'x' failed: Preauthentication failed, principal name: x",
         ("vpn", "authentication", "login", "failure", "x")),
        ("apmd[1]: 01490102:5: 0a6c7b51: Access policy result: Logon_Deny", ("vpn", "authentication", "login", "failure", None)),
        ("httpd(pam_audit)[1]: 01070417:5: AUDIT - user admin - RAW: httpd(pam_audit): User=admin tty=(unknown) host=203.0.113.9 failed to "
         "login after 1 attempts", ("firewall", "admin", "login", "failure", "admin")),
        ("httpd(pam_audit)[1]: 01070417:5: AUDIT - user admin - RAW: httpd(pam_audit): user=admin(admin) partition=[All] level=Administrator "
         "tty=(unknown) host=203.0.113.9 attempts=1", ("firewall", "admin", "login", "success", "admin")),
        ("mcpd[1]: 01070417:5: AUDIT - client tmui, user admin - transaction #5-2 - object 0 - delete { user_role { x } } [Status=Command OK]",
         ("firewall", "config", "delete", "success", "admin")),
    ],
)  # fmt: skip
def test_meanings(line: str, expected: tuple[str | None, ...]) -> None:
    parsed = one("Oct 31 02:14:55 bigip1 notice " + line)
    columns = parsed.columns
    assert (
        parsed.table,
        columns["event_type"],
        columns["action"],
        columns["outcome"],
        columns.get("user"),
    ) == expected
    if "host=" in line:
        assert columns["src_ip"] == "203.0.113.9"


REAL = SAMPLE.read_text("utf-8").splitlines()


@given(st.text(max_size=200), st.sampled_from(REAL), st.integers(0, 300))
def test_no_damaged_line_raises(text: str, line: str, at: int) -> None:
    for damaged in (
        text,
        line[:at],
        line[:at] + text + line[at:],
        line[:at] + "\0" + line[at:],
        f"01490500:5: 0a6c7b51: {text}",
    ):
        parsed = f5.parse(damaged, CONTEXT)
        if parsed is not None:
            check(parsed)


@pytest.mark.parametrize(
    "part",
    [
        "a",
        "1",
        ": ",
        "/a:",
        "/Common/a:",
        " -> ",
        "1.2.3.4:5 -> ",
        "authenticate with '",
        "AUDIT - user a - RAW: ",
        "host=",
        "transaction - ",
        "{",
        "Client IP:",
    ],
)
def test_hostile_lines_take_linear_time(part: str) -> None:
    for before in (
        "",
        "01490500:5: ",
        "01490549:5: 0a6c7b51: Assigned PPP Dynamic IPv4: 1 ",
        "01070417:5: AUDIT - ",
        "01420002:5: AUDIT - pid=1 user=a ",
        "x: AD agent: ",
    ):
        assert linear(f5.parse, lambda size, before=before: before + part * (size // len(part)))  # type: ignore[misc]
