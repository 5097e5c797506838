"""Log coverage of a case: what each host and device logged, what is missing from it, and what it cannot show.

Everything here is asked of the views; nothing needs a scan. Times are UTC.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from detector.engines import Engine
from detector.incidents import load
from detector.incidents.entities import Hosts, Node
from detector.incidents.visibility import SOURCES, LogCoverage

#: Views that `coverage_rows` asks for.
COVERAGE_VIEWS: tuple[str, ...] = (
    "windows", "windows_security", "firewall", "vpn", "log_clears", "clock_changes", "audit_changes",
    "clock_offsets", "host_addresses",
)  # fmt: skip

#: Audit subcategory -> the end of its GUID, {0CCE92xx-69AE-11D9-BED3-505054503030} ([MS-GPAC] 2.2.1.2), and
#: the ids of the Security events that it alone writes (Microsoft, "Advanced security audit policy settings").
AUDIT: dict[str, tuple[str, tuple[int, ...]]] = {
    "Logon": ("15", (4624, 4625, 4648)),
    "Logoff": ("16", (4634, 4647)),
    "Special Logon": ("1B", (4672,)),
    "Other Logon/Logoff Events": ("1C", (4778, 4779, 4800, 4801, 4802, 4803)),
    "Network Policy Server": ("43", (6272, 6273, 6274, 6278)),
    "Credential Validation": ("3F", (4776,)),
    "Kerberos Authentication Service": ("42", (4768, 4771)),
    "Kerberos Service Ticket Operations": ("40", (4769, 4770)),
    "Process Creation": ("2B", (4688,)),
    "Process Termination": ("2C", (4689,)),
    "File Share": ("24", (5140, 5142, 5143, 5144)),
    "Detailed File Share": ("44", (5145,)),
    "Other Object Access Events": ("27", (4698, 4699, 4700, 4701, 4702)),
    "Filtering Platform Connection": ("26", (5156, 5157, 5158)),
    "Filtering Platform Packet Drop": ("25", (5152,)),
    "User Account Management": ("35", (4720, 4722, 4723, 4724, 4725, 4726, 4738, 4740, 4767, 4781)),
    "Security Group Management": ("37", (4728, 4729, 4731, 4732, 4733, 4735, 4737, 4756, 4757)),
    "Computer Account Management": ("36", (4741, 4742, 4743)),
    "Directory Service Access": ("3B", (4662,)),
    "Directory Service Changes": ("3C", (5136, 5137, 5141)),
    "Audit Policy Change": ("2F", (4719,)),
    "Security State Change": ("10", (4608, 4616)),
    "Security System Extension": ("11", (4610, 4611, 4614, 4622, 4697)),
    "Sensitive Privilege Use": ("28", (4673, 4674)),
}
#: Written by File System, Registry, Kernel Object and SAM alike.
_OBJECT_ACCESS = ("File System, Registry, Kernel Object or SAM", (4656, 4657, 4660, 4663))
#: Without events of these a step of the attack is hard to see.
_WANTED = (
    "Logon", "Special Logon", "Other Logon/Logoff Events", "Process Creation", "File Share",
    "Detailed File Share", "Other Object Access Events", "Filtering Platform Connection",
    "User Account Management", "Security System Extension",
)  # fmt: skip


class CoverageRow(NamedTuple):
    """One statement: `section` names its kind, `key` and `values` the sentence of its detail.

    `number` is one of events, of missing records, or of pairs, as the section says.
    """

    section: str
    site: str
    host: str
    item: str
    first: datetime | None
    last: datetime | None
    number: int | None
    key: str
    values: Mapping[str, str]


def coverage_rows(engine: Engine) -> list[CoverageRow]:
    """Return everything that can be said, ordered by section, host and time."""
    rows = [*_sources(engine), *_devices(engine), *_holes(engine), *_clears(engine), *_clock_changes(engine)]
    rows += [*_offsets(engine), *_audit(engine), *_policy_changes(engine), *_steps(engine)]
    order = {name: n for n, name in enumerate([*SECTIONS, *SOURCES])}
    return sorted(
        rows,
        key=lambda row: (
            order[row.section], row.site, row.host, order.get(row.item, 0), row.item, row.first is None,
            str(row.first), row.key,
        ),
    )  # fmt: skip


SECTIONS: tuple[str, ...] = (
    "sources", "devices", "holes", "cleared", "clocks", "offsets", "audit", "audit_changes", "steps",
)  # fmt: skip

_EVENTS = """
    SELECT coalesce(site, '') AS site, upper(split_part(Computer, '.', 1)) AS host,
        regexp_replace(regexp_replace(coalesce(Channel, ''), '^Microsoft-Windows-', ''), '/Operational$', '')
            AS item, TimeCreated AS time, EventRecordID AS record
    FROM windows WHERE TimeCreated IS NOT NULL AND Computer <> ''
"""
_LINES = """
    SELECT coalesce(site, '') AS site, coalesce(device, '') AS host, '{table}' AS item, time,
        NULL::BIGINT AS record
    FROM {table} WHERE time IS NOT NULL
"""


def _sources(engine: Engine) -> Iterator[CoverageRow]:
    sql = f"""
        SELECT site, host, item, min(time) AS first, max(time) AS last, count(*) AS events,
            min(record) AS low, max(record) AS high
        FROM ({_EVENTS}) GROUP BY site, host, item
    """
    for row in _rows(engine, sql):
        known = row["low"] is not None
        values = {"first": f"{row['low']:,}", "last": f"{row['high']:,}"} if known else {}
        yield _row("sources", row, row["events"], "records" if known else "no_records", values)


def _devices(engine: Engine) -> Iterator[CoverageRow]:
    for table in ("vpn", "firewall"):
        sql = f"""
            SELECT coalesce(site, '') AS site, coalesce(device, '') AS host, '{table}' AS item,
                min(time) AS first, max(time) AS last, count(*) AS events,
                string_agg(DISTINCT vendor, ', ' ORDER BY vendor) AS vendors,
                string_agg(DISTINCT event_type, ', ' ORDER BY event_type) AS kinds
            FROM {table} GROUP BY ALL
        """
        for row in _rows(engine, sql):
            values = {"vendor": row["vendors"] or "?", "kinds": row["kinds"] or "?"}
            yield _row("devices", row, row["events"], "device", values)


#: Per source: missing record numbers, times that go back while record numbers go on, and silences far longer
#: than those that are usual there. The largest five of each kind, with the number and sum of all of its kind.
_HOLES = """
    WITH marks AS (
        SELECT *, lag(time) OVER by_record AS time_before, lag(record) OVER by_record AS record_before,
            lag(time) OVER by_time AS earlier
        FROM ({events})
        WINDOW by_record AS (PARTITION BY site, host, item ORDER BY record, time),
            by_time AS (PARTITION BY site, host, item ORDER BY time, record)
    ), usual AS (
        SELECT site, host, item, count(*) AS events, quantile_cont(epoch(time - earlier), 0.99) AS pause
        FROM marks GROUP BY ALL
    ), found AS (
        SELECT site, host, item, 'records' AS kind, time_before AS first, time AS last,
            CAST(record - record_before - 1 AS DOUBLE) AS size, NULL::DOUBLE AS pause
        FROM marks WHERE record > record_before + 1
        UNION ALL
        SELECT site, host, item, 'clock_back', time_before, time, epoch(time_before - time), NULL
        FROM marks WHERE record > record_before AND time < time_before - INTERVAL 1 MINUTE
        UNION ALL
        SELECT m.site, m.host, m.item, 'silence', m.earlier, m.time, epoch(m.time - m.earlier), u.pause
        FROM marks AS m JOIN usual AS u ON u.site = m.site AND u.host = m.host AND u.item = m.item
        WHERE u.events >= 50 AND epoch(m.time - m.earlier) > greatest(3600, 20 * u.pause)
    )
    SELECT *, count(*) OVER of_kind AS holes, sum(size) OVER of_kind AS total FROM found
    WINDOW of_kind AS (PARTITION BY site, host, item, kind)
    QUALIFY row_number() OVER (PARTITION BY site, host, item, kind ORDER BY size DESC, first, last) <= 5
"""


def _holes(engine: Engine) -> Iterator[CoverageRow]:
    for events in (_EVENTS, _LINES.format(table="vpn"), _LINES.format(table="firewall")):
        for row in _rows(engine, _HOLES.format(events=events)):
            values = {"holes": f"{row['holes']:,}"}
            if row["kind"] == "records":
                values |= {"total": f"{int(row['total']):,}", "missing": f"{int(row['size']):,}"}
                yield _row("holes", row, int(row["size"]), "hole_records", values)
            elif row["kind"] == "silence":
                values |= {"length": span(row["size"]), "usual": span(row["pause"])}
                yield _row("holes", row, None, "hole_silence", values)
            else:
                yield _row("clocks", row, None, "clock_back", values | {"by": span(row["size"])})


def _clears(engine: Engine) -> Iterator[CoverageRow]:
    sql = """
        SELECT coalesce(site, '') AS site, host, coalesce(cleared, '') AS item, time AS first, NULL AS last,
            account, account_domain, event_id
        FROM log_clears
    """
    for row in _rows(engine, sql):
        who = "\\".join(part for part in (row["account_domain"], row["account"]) if part) or "?"
        yield _row("cleared", row, None, "cleared_by", {"account": who, "event": str(row["event_id"])})


def _clock_changes(engine: Engine) -> Iterator[CoverageRow]:
    """Yield changes of the clock by two seconds or more: smaller ones are the daily work of time services."""
    sql = """
        SELECT coalesce(site, '') AS site, host, 'Security 4616' AS item, before AS first,
            after AS last, account, shift_seconds AS shift
        FROM clock_changes WHERE abs(shift_seconds) >= 2
    """
    for row in _rows(engine, sql):
        key = "clock_set_forward" if row["shift"] > 0 else "clock_set_back"
        values = {"by": span(abs(row["shift"])), "account": row["account"] or "?"}
        yield _row("clocks", row, None, key, values)


def _offsets(engine: Engine) -> Iterator[CoverageRow]:
    sql = """
        SELECT coalesce(site, '') AS site, host, reference || ' (' || basis || ')' AS item,
            first_seen AS first, last_seen AS last, pairs, offset_seconds, spread_seconds
        FROM clock_offsets
    """
    for row in _rows(engine, sql):
        values = {"offset": f"{row['offset_seconds']:+.1f}", "spread": f"{row['spread_seconds']:.1f}"}
        yield _row("offsets", row, row["pairs"], "offset", values)


def _audit(engine: Engine) -> Iterator[CoverageRow]:
    """Yield which audit subcategories wrote events, per host, and which of those that matter never did."""
    sql = """
        SELECT coalesce(site, '') AS site, upper(split_part(Computer, '.', 1)) AS host, EventID AS event_id,
            min(TimeCreated) AS first, max(TimeCreated) AS last, count(*) AS events
        FROM windows_security WHERE TimeCreated IS NOT NULL AND Computer <> '' GROUP BY ALL ORDER BY ALL
    """
    names = {number: name for name, (_, ids) in AUDIT.items() for number in ids}
    names |= dict.fromkeys(_OBJECT_ACCESS[1], _OBJECT_ACCESS[0])
    hosts: dict[tuple[str, str], dict[str, list[Mapping[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for row in _rows(engine, sql):
        of_host = hosts[row["site"], row["host"]]
        if row["event_id"] in names:
            of_host[names[row["event_id"]]].append(row)
    for (site, host), subcategories in hosts.items():
        if subcategories:
            found = [row for group in subcategories.values() for row in group]
            first, last = min(row["first"] for row in found), max(row["last"] for row in found)
            shown = {
                name: ", ".join(str(row["event_id"]) for row in group)
                for name, group in subcategories.items()
            }
            values = {"names": "; ".join(f"{name} ({ids})" for name, ids in sorted(shown.items()))}
            yield CoverageRow(
                "audit",
                site,
                host,
                "Security",
                first,
                last,
                sum(row["events"] for row in found),
                "audit_seen",
                values,
            )
        if missing := [name for name in _WANTED if name not in subcategories]:
            values = {"names": ", ".join(missing)}
            yield CoverageRow("audit", site, host, "Security", None, None, 0, "audit_missing", values)


def _policy_changes(engine: Engine) -> Iterator[CoverageRow]:
    sql = """
        SELECT coalesce(site, '') AS site, host, time AS first, NULL AS last,
            coalesce(subcategory, '?') AS item, changes, account
        FROM audit_changes
    """
    guids = {f"0CCE92{end}": name for name, (end, _) in AUDIT.items()}
    for row in _rows(engine, sql):
        name = guids.get(row["item"][:8], row["item"])
        values = {"changes": row["changes"] or "?", "account": row["account"] or "?"}
        yield _row("audit_changes", {**row, "item": name}, None, "audit_changed", values)


def _steps(engine: Engine) -> Iterator[CoverageRow]:
    """Yield, step by step of the attack, whether these logs could show it, and on how many hosts."""
    names, uses, _ = load.host_names(engine)
    coverage = load.coverage(engine, load.hosts(names, uses) if names or uses else Hosts(()))
    spans = [span for host in coverage.hosts for span in coverage.spans_of(host)]
    sites = {host.site for host in coverage.hosts} | coverage.network_sites
    for site in sorted(sites):
        hosts = sorted(host for host in coverage.hosts if host.site == site)
        for step in SOURCES:
            yield _step_row(coverage, step, site, hosts, spans)


def _step_row(
    coverage: LogCoverage, step: str, site: str, hosts: list[Node], spans: list[tuple[datetime, datetime]]
) -> CoverageRow:
    now = datetime.now(UTC)
    first = min((span[0] for span in spans), default=now)
    last = max((span[1] for span in spans), default=now)
    seen = coverage.of_step(step, [site], hosts, first, last)
    whole = not seen.missing and seen.hosts_visible == seen.hosts
    key = "step_not_visible" if not seen.checked else "step_visible" if whole else "step_partly"
    values = {
        "checked": ", ".join(seen.checked) or "–",
        "missing": ", ".join(seen.missing) or "–",
        "hosts": f"{seen.hosts_visible:,}",
        "all": f"{seen.hosts:,}",
    }
    return CoverageRow("steps", site, "", step, None, None, None, key, values)


def span(seconds: float) -> str:
    """Return a length of time as people say it: `2 d 3 h`, `5 min 1 s`, `0.4 s`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    parts: list[str] = []
    left = int(seconds)
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if left >= size and len(parts) < 2:
            parts.append(f"{left // size} {unit}")
            left %= size
        elif parts:
            break
    return " ".join(parts)


def _row(
    section: str, row: Mapping[str, Any], count: int | None, key: str, values: Mapping[str, str]
) -> CoverageRow:
    return CoverageRow(
        section, row["site"], row["host"], row["item"], row["first"], row["last"], count, key, values
    )


def _rows(engine: Engine, sql: str) -> Iterator[Mapping[str, Any]]:
    for batch in engine.batches(sql):
        yield from batch.to_pylist()
