"""What incidents are built from, read from a case's views into the types of this package."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from detector.engines import Engine
from detector.incidents.arrivals import Logon, VpnSession
from detector.incidents.entities import AddressUse, Hosts, Node, parse_account, parse_address
from detector.incidents.observations import (
    MEDIUM,
    Observation,
    Reference,
    from_findings,
    from_hits,
)
from detector.incidents.visibility import Coverage, LogCoverage

Names = set[tuple[str, str]]

#: Bases of `host_addresses` that prove a machine of the site; a name that a client gave itself does not.
_OWN_BASES = frozenset({"site", "own", "machine"})


#: The meaning views that incidents are built from.
INCIDENT_VIEWS = ("logons", "vpn_sessions", "host_addresses")


def host_names(engine: Engine) -> tuple[Names, list[AddressUse], Names]:
    """Return all host names as (site, name), the uses of addresses, and the names of the sites' own hosts."""
    names: Names = set()
    own: Names = set()
    uses: list[AddressUse] = []
    if engine.has("windows"):
        for row in _rows(engine, "SELECT DISTINCT site, Computer FROM windows WHERE Computer <> ''"):
            names.add((row["site"] or "", row["Computer"]))
    if engine.has("site_hosts"):
        for row in _rows(engine, "SELECT DISTINCT site, host FROM site_hosts WHERE host <> ''"):
            names.add((row["site"] or "", row["host"]))
    own |= names
    if engine.has("host_addresses"):
        columns = "site, host, ip, basis, first_seen, last_seen"
        for row in _rows(engine, f"SELECT {columns} FROM host_addresses WHERE host <> '' AND ip <> ''"):
            site = row["site"] or ""
            uses.append(AddressUse(site, row["host"], row["ip"], row["first_seen"], row["last_seen"]))
            if row["basis"] in _OWN_BASES:
                own.add((site, row["host"]))
    return names, uses, own


def hosts(names: Iterable[tuple[str, str]], uses: Iterable[AddressUse]) -> Hosts:
    """Return the resolver of host names and addresses."""
    return Hosts(names, uses)


def observations(engine: Engine, hosts: Hosts) -> list[Observation]:
    """Return all hits and findings as observations, in order of time."""
    devices = _devices(engine)
    found = from_hits(_rows(engine, "SELECT * FROM hits"), hosts, devices)
    found += from_findings(_rows(engine, "SELECT * FROM findings"), hosts, devices)
    return sorted(found, key=lambda observation: observation.order)


_LOGONS = """
    SELECT site, computer, account, account_domain, src_ip, src_host, logon_type, outcome, is_remote,
        min(time) AS first, max(time) AS last, count(*) AS count,
        min(struct_pack(t := time, e := evidence_id, o := evidence_offset)) AS event
    FROM logons
    WHERE account IS NOT NULL AND NOT (is_machine_account OR is_system) AND {which}
    GROUP BY site, computer, account, account_domain, src_ip, src_host, logon_type, outcome, is_remote,
        date_trunc('hour', time)
"""


def logons(engine: Engine, hosts: Hosts, observed: Sequence[Observation]) -> Iterator[Logon]:
    """Yield the logons on the hosts where something was observed, counted by the hour.

    So their number is bounded by hosts, accounts and hours, not by events.
    """
    names = _names(_anchored(observed))
    if names and engine.has("logons"):
        which = "host IN (SELECT unnest(?))"
        yield from _logons(_rows(engine, _LOGONS.format(which=which), [names]), hosts)


def onward_logons(engine: Engine, hosts: Hosts, observed: Sequence[Observation]) -> Iterator[Logon]:
    """Yield the successful logons from hosts where something was observed to anywhere, counted by the hour.

    Only those with a local account of the destination or with an account that something was observed of:
    what else a host opens over the network is its users' daily work.
    """
    nodes = _anchored(observed)
    names = _names(nodes)
    if not names or not engine.has("logons"):
        return
    accounts = sorted(
        {actor.name for o in observed if o.rank >= MEDIUM for actor in o.actors if actor.personal}
    )
    which = """outcome = 'success' AND is_remote AND (is_local_account OR account IN (SELECT unnest(?)))
        AND (src_host IN (SELECT unnest(?)) OR src_ip IN (SELECT unnest(?)))"""
    parameters = [accounts, names, hosts.addresses_of(nodes)]
    yield from _logons(_rows(engine, _LOGONS.format(which=which), parameters), hosts)


def _anchored(observed: Iterable[Observation]) -> set[Node]:
    """Return the hosts that observations of level medium or more speak of."""
    anchors = [o for o in observed if o.rank >= MEDIUM and not o.on_device]
    return {node for o in anchors for node in o.hosts} | {o.source for o in anchors if o.source is not None}


def _names(nodes: Iterable[Node]) -> list[str]:
    return sorted({node.name.split(".", 1)[0] for node in nodes if not node.is_address})


def _logons(rows: Iterable[Mapping[str, Any]], hosts: Hosts) -> Iterator[Logon]:
    for row in rows:
        site = row["site"] or ""
        host = hosts.host(site, row["computer"], row["first"])
        account = parse_account(row["account"], hosts, site, host, row["account_domain"])
        if host is None or account is None:
            continue
        src_ip, src_host = (row["src_ip"], row["src_host"]) if row["is_remote"] else (None, None)
        source = hosts.source(site, src_ip, src_host, row["first"])
        yield Logon(
            host=host,
            account=account,
            source=None if source == host else source,
            logon_type=row["logon_type"],
            success=row["outcome"] == "success",
            first=row["first"],
            last=row["last"],
            count=row["count"],
            event=Reference(row["event"]["e"], row["event"]["o"] or 0),
            address=Node(site, src_ip) if src_ip and parse_address(src_ip) else None,
        )


def vpn_sessions(engine: Engine, hosts: Hosts) -> Iterator[VpnSession]:
    """Yield the VPN sessions that were given an address inside."""
    if not engine.has("vpn_sessions"):
        return
    columns = "started, ended, site, account, src_ip, assigned_ip, evidence_id, evidence_offset"
    for row in _rows(engine, f"SELECT {columns} FROM vpn_sessions WHERE started IS NOT NULL"):
        site = row["site"] or ""
        yield VpnSession(
            site=site,
            user=(row["account"] or "").split("\\")[-1].split("@")[0].lower(),
            public=hosts.source(site, row["src_ip"], None, row["started"]),
            assigned=Node(site, row["assigned_ip"]) if row["assigned_ip"] else None,
            start=row["started"],
            end=row["ended"],
            event=Reference(row["evidence_id"], row["evidence_offset"] or 0),
        )


def coverage(engine: Engine, hosts: Hosts) -> LogCoverage:
    """Return which host wrote which events when, and which sites have network logs."""
    rows: list[Coverage] = []
    if engine.has("windows"):
        sql = """
            SELECT site, Computer, Channel, EventID, min(TimeCreated) AS first, max(TimeCreated) AS last
            FROM windows WHERE Computer <> '' AND TimeCreated IS NOT NULL
            GROUP BY site, Computer, Channel, EventID
        """
        for row in _rows(engine, sql):
            host = hosts.host(row["site"] or "", row["Computer"])
            if host is not None:
                rows.append(Coverage(host, row["Channel"] or "", row["EventID"], row["first"], row["last"]))
    network = {
        (row["site"] or "", table)
        for table in ("vpn", "firewall")
        if engine.has(table)
        for row in _rows(engine, f"SELECT DISTINCT site FROM {table}")
    }
    return LogCoverage(rows, network)


def _devices(engine: Engine) -> set[tuple[str, str]]:
    """Return (site, name) of the firewalls and VPN appliances whose lines the case holds."""
    return {
        (row["site"] or "", row["device"])
        for table in ("vpn", "firewall")
        if engine.has(table)
        for row in _rows(engine, f"SELECT DISTINCT site, device FROM {table} WHERE device IS NOT NULL")
    }


def _rows(engine: Engine, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Mapping[str, Any]]:
    for batch in engine.batches(sql, parameters):
        yield from batch.to_pylist()
