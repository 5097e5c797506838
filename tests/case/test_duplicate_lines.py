"""Lines of network devices that more than one file holds count once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from detector.case.duplicate_lines import _overlaps
from detector.case.ingest import IngestOptions, IngestReport, ingest
from detector.case.store import Case

_BEGIN = datetime(2026, 4, 1, 8, 0, tzinfo=UTC)


def fortigate(minute: int, device: str = "FGT-A", user: str = "sato", kind: str = "vpn") -> str:
    """Return a line as FortiGate writes it: a failed VPN login, or a denied connection."""
    time = _BEGIN + timedelta(minutes=minute)
    head = (
        f'date={time:%Y-%m-%d} time={time:%H:%M:%S} devname="{device}" devid="FGT60F0000000001" '
        f'eventtime={int(time.timestamp())} tz="+0000" '
    )
    if kind == "vpn":
        return head + (
            'logid="0101039426" type="event" subtype="vpn" level="alert" vd="root" logdesc="fail" '
            f'action="ssl-login-fail" tunneltype="ssl-web" remip=203.0.113.7 user="{user}" reason="wrong"'
        )
    return head + (
        'logid="0000000013" type="traffic" subtype="forward" level="notice" vd="root" srcip=10.1.1.5 '
        'srcport=5000 dstip=198.51.100.9 dstport=445 proto=6 action="deny" policyid=3'
    )


def pfirewall(minutes: range, address: str = "10.1.1.5") -> str:
    head = (
        "#Version: 1.5\n#Software: Microsoft Windows Firewall\n#Time Format: Local\n"
        "#Fields: date time action protocol src-ip dst-ip src-port dst-port size tcpflags tcpsyn tcpack "
        "tcpwin icmptype icmpcode info path\n\n"
    )
    return head + "".join(
        f"{_BEGIN + timedelta(minutes=minute):%Y-%m-%d %H:%M:%S} DROP UDP "
        f"{'10.1.1.1' if minute == minutes.start else address} 10.1.1.255 138 138 229 - - - - - - - RECEIVE\n"
        for minute in minutes
    )


def take(folder: Path, name: str, text: str) -> IngestReport:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")
    return ingest(Case.create(folder / "case"), [path], IngestOptions(time_zone="UTC"))


def lines(folder: Path, sql: str) -> list[tuple[object, ...]]:
    with Case.open(folder / "case").connect() as engine:
        return [tuple(row.values()) for row in engine.execute(sql).to_pylist()]


def count(folder: Path, table: str = "vpn") -> object:
    return lines(folder, f"SELECT count(*) AS n FROM {table}")[0][0]


def text(*each: str) -> str:
    return "".join(f"{line}\n" for line in each)


def test_a_log_that_grew_counts_its_old_lines_once(tmp_path: Path) -> None:
    old = [fortigate(minute, kind=kind) for minute in range(5) for kind in ("vpn", "traffic")]
    new = [*old, *(fortigate(minute, kind=kind) for minute in range(5, 8) for kind in ("vpn", "traffic"))]
    assert take(tmp_path, "monday/fw.log", text(*old)).duplicates == 0
    assert take(tmp_path, "tuesday/fw.log", text(*new)).duplicates == len(old)
    assert (count(tmp_path, "vpn"), count(tmp_path, "firewall")) == (8, 8)
    sql = "SELECT path, duplicates FROM evidence ORDER BY path"
    assert [row[1] for row in lines(tmp_path, sql)] == [len(old), 0]  # the longer file is the one that counts


def test_the_order_of_ingest_does_not_matter(tmp_path: Path) -> None:
    old, new = text(*map(fortigate, range(5))), text(*map(fortigate, range(3, 9)))
    for folder, order in ((tmp_path / "a", (old, new)), (tmp_path / "b", (new, old))):
        for number, content in enumerate(order):
            take(folder, f"{number}.log", content)
    sql = "SELECT evidence_id, evidence_offset FROM vpn ORDER BY ALL"
    assert lines(tmp_path / "a", sql) == lines(tmp_path / "b", sql)
    assert count(tmp_path / "a") == 9


def test_lines_repeated_within_a_file_are_events_of_their_own(tmp_path: Path) -> None:
    same = fortigate(1)
    assert take(tmp_path, "one.log", text(fortigate(0), same, same)).duplicates == 0
    assert count(tmp_path) == 3
    take(tmp_path, "two.log", text(same, same, same, fortigate(2)))
    assert count(tmp_path) == 5  # minutes 0 and 2, and the three of minute 1


def test_lines_that_differ_in_anything_are_different(tmp_path: Path) -> None:
    take(tmp_path, "one.log", text(fortigate(0), fortigate(2)))
    take(tmp_path, "two.log", text(fortigate(0, device="FGT-B"), fortigate(1), fortigate(2, user="ito")))
    assert count(tmp_path) == 5


def test_a_log_without_host_that_grew_counts_its_beginning_once(tmp_path: Path) -> None:
    take(tmp_path, "old.log", pfirewall(range(4)))
    assert take(tmp_path, "new.log", pfirewall(range(9))).duplicates == 4
    assert count(tmp_path, "firewall") == 9


def test_two_hosts_may_write_the_same_line(tmp_path: Path) -> None:
    # The same broadcast reaches both in the same second; pfirewall.log does not say whose it is.
    take(tmp_path, "pc1.log", pfirewall(range(4)))
    assert take(tmp_path, "pc2.log", pfirewall(range(2, 6))).duplicates == 0
    assert count(tmp_path, "firewall") == 8


_TIMES = st.integers(0, 30).map(lambda minute: _BEGIN + timedelta(minutes=minute))
_SPANS = st.lists(st.tuples(_TIMES, _TIMES).map(lambda pair: (min(pair), max(pair))), max_size=8)


@given(_SPANS)
def test_overlaps_are_where_another_span_is(spans: list[tuple[datetime, datetime]]) -> None:
    named = {str(number): span for number, span in enumerate(spans)}
    found = _overlaps(named)
    for minute in range(31):
        time = _BEGIN + timedelta(minutes=minute)
        holders = {key for key, (begins, ends) in named.items() if begins <= time <= ends}
        marked = {key for key, own in found.items() if any(begins <= time <= ends for begins, ends in own)}
        assert marked == (holders if len(holders) > 1 else set())
    assert all(a[1] < b[0] for own in found.values() for a, b in combinations(own, 2))
