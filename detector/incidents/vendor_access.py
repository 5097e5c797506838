"""Remote maintenance: who came in from outside, when, from where, to which host, and whether it was agreed.

Visits are VPN sessions and Remote Desktop Gateway sessions of vendors, and remote desktop from addresses that
are not the site's own. Windows of maintenance and approvals are those of site.toml.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any

from detector.engines import Engine

#: Views that `vendor_visits` asks for.
VENDOR_VIEWS: tuple[str, ...] = (
    "vpn_sessions", "vpn_activity", "remote_desktop_sessions", "network_flows", "address_zones",
    "address_owners", "site_networks", "site_accounts", "site_windows", "site_reaches", "site_approvals",
)  # fmt: skip
#: What the same source does on the same host within a working day is one visit.
_VISIT = timedelta(hours=8)
#: A session without an end, or with a wrong one, is compared with so many days of windows at most.
_LONGEST = timedelta(days=31)


@dataclass(frozen=True)
class Visit:
    """One visit. `way`: vpn, rdp_gateway, rdp, or connection (only a firewall saw it).

    `window`: inside, partly, outside or not_stated; `reach`: allowed, other_host or not_stated; `approved`:
    yes, no, or not_stated; the last where site.toml says nothing of it. `event` names the first record.
    """

    site: str
    begins: datetime | None
    ends: datetime | None
    duration: float | None
    vendor: str | None
    accounts: tuple[str, ...]
    way: str
    src_ip: str | None
    country: str | None
    assigned_ip: str | None
    device: str | None
    hosts: tuple[str, ...]
    window: str
    reach: str
    approved: str
    reference: str | None
    event: tuple[str, int]


@dataclass(frozen=True)
class Agreements:
    """What site.toml says of vendors: hosts, windows and approvals, by the name of vendor or account."""

    zone: tzinfo
    windows: Mapping[str, Sequence[tuple[str, str, str]]]
    reaches: Mapping[str, frozenset[str]]
    approvals: Mapping[str, Sequence[tuple[datetime, datetime, str | None]]]
    #: Names and addresses of machines in vendors' own networks: to reach those is no visit to the site.
    outside: frozenset[str] = frozenset()

    def window(self, names: Sequence[str], begins: datetime | None, ends: datetime | None) -> str:
        """Tell whether a visit lies in the windows of one of these names."""
        rows = [row for name in names for row in self.windows.get(name, ())]
        if not rows or begins is None:
            return "not_stated"
        first = begins.astimezone(self.zone)
        last = max(first, (min(ends or begins, begins + _LONGEST)).astimezone(self.zone))
        spans = list(_spans(rows, first.date() - timedelta(days=1), last.date(), self.zone))
        if any(start <= first and last <= end for start, end in spans):
            return "inside"
        return "partly" if any(start <= last and first < end for start, end in spans) else "outside"

    def reach(self, names: Sequence[str], hosts: Iterable[str]) -> str:
        """Tell whether all hosts are among those that one of these names maintains."""
        allowed = [self.reaches[name] for name in names if name in self.reaches]
        reached = set(hosts) - self.outside
        if not allowed or not reached:
            return "not_stated"
        return "allowed" if reached <= frozenset().union(*allowed) else "other_host"

    def approval(
        self, names: Sequence[str], begins: datetime | None, ends: datetime | None
    ) -> tuple[str, str | None]:
        """Tell whether a visit was agreed to as a whole, and the reference of the approval."""
        if not self.approvals or begins is None:
            return "not_stated", None
        for name in names:
            for start, end, reference in self.approvals.get(name, ()):
                if start <= begins and (ends or begins) <= end:
                    return "yes", reference
        return "no", None


def vendor_visits(engine: Engine, zone: tzinfo) -> list[Visit]:
    """Return the visits in order of time; without vendors in site.toml, every VPN session is one."""
    agreements = _agreements(engine, zone)
    visits = [*_vpn_visits(engine, agreements), *_desktop_visits(engine, agreements)]
    return sorted(visits, key=lambda v: (v.begins is None, str(v.begins), v.site, v.way, v.accounts, v.event))


_VPN = """
    WITH vendors AS (
        SELECT site, account_name(account) AS account, min(vendor) AS vendor FROM site_accounts
        WHERE kind = 'vendor' GROUP BY ALL
    ), sessions AS (
        SELECT v.*, coalesce(a.vendor, CASE WHEN p.zone = 'vendor_vpn_pool' THEN nullif(p.name, '') END,
            CASE WHEN z.zone = 'vendor' THEN nullif(z.name, '') END) AS vendor
        FROM vpn_sessions AS v
        LEFT JOIN vendors AS a ON a.account = v.account
            AND coalesce(a.site, v.site) IS NOT DISTINCT FROM v.site
        LEFT JOIN address_zones AS p ON p.ip = v.assigned_ip AND p.site IS NOT DISTINCT FROM v.site
        LEFT JOIN address_zones AS z ON z.ip = v.src_ip AND z.site IS NOT DISTINCT FROM v.site
    ), reached AS (
        SELECT a.vpn_evidence_id, a.vpn_evidence_offset, list(DISTINCT
            CASE WHEN a.kind = 'flow' THEN coalesce(o.host, a.dst_ip) ELSE a.host END) AS hosts
        FROM vpn_activity AS a
        LEFT JOIN address_owners AS o ON o.ip = a.dst_ip AND o.site IS NOT DISTINCT FROM a.site
        WHERE a.outcome = 'success'
          AND (a.kind IN ('logon', 'remote_desktop') OR (a.kind = 'flow' AND a.dst_port = 3389))
        GROUP BY ALL
    )
    SELECT coalesce(s.site, '') AS site, s.started, s.ended, s.duration, s.vendor, s.account,
        s.account_domain, CASE WHEN s.vpn_type = 'rdp gateway' THEN 'rdp_gateway' ELSE 'vpn' END AS way,
        s.src_ip, s.src_country AS country, s.assigned_ip, s.device, list_concat(coalesce(r.hosts, []),
            CASE WHEN s.target IS NULL THEN [] ELSE [upper(split_part(s.target, '.', 1))] END) AS hosts,
        s.evidence_id, s.evidence_offset
    FROM sessions AS s
    LEFT JOIN reached AS r ON r.vpn_evidence_id = s.evidence_id AND r.vpn_evidence_offset = s.evidence_offset
    WHERE s.vendor IS NOT NULL OR s.vpn_type = 'rdp gateway'
        OR NOT EXISTS (SELECT 1 FROM site_accounts WHERE kind = 'vendor')
            AND NOT EXISTS (SELECT 1 FROM site_networks WHERE kind IN ('vendor', 'vendor_vpn_pool'))
"""

#: Remote desktop from elsewhere than the site's own networks, one row for each sign; those of a VPN session's
#: address are told with the session.
_DESKTOP = """
    WITH signs AS (
        SELECT time, time AS until, site, host, src_ip, account, account_domain, phase,
            evidence_id, evidence_offset
        FROM remote_desktop_sessions
        WHERE src_ip IS NOT NULL AND phase IN ('logon', 'reconnect', 'disconnect', 'logoff')
        UNION ALL
        SELECT f.time, f.time + to_seconds(coalesce(f.duration, 0)), f.site,
            coalesce(o.host, f.dst_ip), f.src_ip, NULL, NULL, 'connection', f.evidence_id, f.evidence_offset
        FROM network_flows AS f
        LEFT JOIN address_owners AS o ON o.ip = f.dst_ip AND o.site IS NOT DISTINCT FROM f.site
        WHERE f.dst_port = 3389 AND f.action = 'allow' AND f.src_ip IS NOT NULL AND f.dst_ip IS NOT NULL
    )
    SELECT coalesce(s.site, '') AS site, s.time, s.until, s.host, s.src_ip, s.account, s.account_domain,
        s.phase, z.zone, nullif(z.name, '') AS vendor, s.evidence_id, s.evidence_offset
    FROM signs AS s JOIN address_zones AS z ON z.ip = s.src_ip AND z.site IS NOT DISTINCT FROM s.site
    ANTI JOIN vpn_activity AS v ON v.evidence_id = s.evidence_id AND v.evidence_offset = s.evidence_offset
    WHERE z.zone IN ('vendor', 'vendor_vpn_pool', 'other', 'public')
    ORDER BY s.time, s.evidence_id, s.evidence_offset
"""


def _vpn_visits(engine: Engine, agreements: Agreements) -> Iterator[Visit]:
    for row in _rows(engine, _VPN):
        begins, ends = row["started"] or row["ended"], row["ended"]
        names = [name for name in (row["vendor"], row["account"]) if name]
        hosts = tuple(sorted({host for host in row["hosts"] if host}))
        approved, reference = agreements.approval(names, begins, ends)
        yield Visit(
            site=row["site"], begins=begins, ends=ends, duration=row["duration"], vendor=row["vendor"],
            accounts=tuple(_account(row)), way=row["way"], src_ip=row["src_ip"], country=row["country"],
            assigned_ip=row["assigned_ip"], device=row["device"], hosts=hosts,
            window=agreements.window(names, begins, ends), reach=agreements.reach(names, hosts),
            approved=approved, reference=reference, event=(row["evidence_id"], row["evidence_offset"]),
        )  # fmt: skip


def _desktop_visits(engine: Engine, agreements: Agreements) -> Iterator[Visit]:
    groups: dict[tuple[str, str, str], list[list[Mapping[str, Any]]]] = defaultdict(list)
    for row in _rows(engine, _DESKTOP):
        visits = groups[row["site"], row["src_ip"], row["host"]]
        if not visits or row["time"] - visits[-1][-1]["time"] > _VISIT:
            visits.append([])
        visits[-1].append(row)
    for (site, src_ip, host), visits in groups.items():
        for signs in visits:
            yield _desktop_visit(site, src_ip, host, signs, agreements)


def _desktop_visit(
    site: str, src_ip: str, host: str, signs: Sequence[Mapping[str, Any]], agreements: Agreements
) -> Visit:
    begins, ends = signs[0]["time"], max(row["until"] for row in signs)
    vendor = signs[0]["vendor"]
    accounts = tuple(sorted({name for row in signs for name in _account(row)}))
    names = [name for name in (vendor, *(row["account"] for row in signs)) if name]
    approved, reference = agreements.approval(names, begins, ends)
    return Visit(
        site=site, begins=begins, ends=ends, duration=(ends - begins).total_seconds(), vendor=vendor,
        accounts=accounts, way="connection" if all(row["phase"] == "connection" for row in signs) else "rdp",
        src_ip=src_ip, country=None, assigned_ip=None, device=None, hosts=(host,),
        window=agreements.window(names, begins, ends), reach=agreements.reach(names, [host]),
        approved=approved, reference=reference, event=(signs[0]["evidence_id"], signs[0]["evidence_offset"]),
    )  # fmt: skip


def _account(row: Mapping[str, Any]) -> Iterator[str]:
    if row["account"]:
        domain = row["account_domain"]
        yield f"{domain}\\{row['account']}" if domain else row["account"]


def _agreements(engine: Engine, zone: tzinfo) -> Agreements:
    windows: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for row in _rows(engine, "SELECT who, day, begins, ends FROM site_windows"):
        windows[row["who"]].append((row["day"], row["begins"], row["ends"]))
    reaches: dict[str, set[str]] = defaultdict(set)
    for row in _rows(engine, "SELECT vendor, upper(split_part(host, '.', 1)) AS host FROM site_reaches"):
        reaches[row["vendor"]].add(row["host"])
    approvals: dict[str, list[tuple[datetime, datetime, str | None]]] = defaultdict(list)
    for row in _rows(engine, "SELECT who, begins, ends, reference FROM site_approvals"):
        times = (datetime.fromisoformat(row["begins"]), datetime.fromisoformat(row["ends"]))
        approvals[row["who"]].append((*times, row["reference"]))
    sql = "SELECT ip, upper(host) AS host FROM address_zones WHERE zone IN ('vendor', 'vendor_vpn_pool')"
    outside = frozenset(name for row in _rows(engine, sql) for name in (row["ip"], row["host"]) if name)
    allowed = {who: frozenset(hosts) for who, hosts in reaches.items()}
    return Agreements(zone, windows, allowed, approvals, outside)


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def _spans(
    rows: Iterable[tuple[str, str, str]], first: date, last: date, zone: tzinfo
) -> Iterator[tuple[datetime, datetime]]:
    """Yield the windows of the days from `first` to `last`; those that touch at midnight as one."""
    found: list[tuple[datetime, datetime]] = []
    day = first
    while day <= last + timedelta(days=1):
        for name, begins, ends in rows:
            if _DAYS[day.weekday()] == name:
                found.append((_clock(day, begins, zone), _clock(day, ends, zone)))
        day += timedelta(days=1)
    found.sort()
    while found:
        begin, end = found.pop(0)
        while found and found[0][0] <= end:
            end = max(end, found.pop(0)[1])
        yield begin, end


def _clock(day: date, text: str, zone: tzinfo) -> datetime:
    hours, minutes = map(int, text.split(":"))
    if hours == 24:
        day, hours = day + timedelta(days=1), 0
    return datetime.combine(day, time(hours, minutes), zone)


def _rows(engine: Engine, sql: str) -> Iterator[Mapping[str, Any]]:
    for batch in engine.batches(sql):
        yield from batch.to_pylist()
