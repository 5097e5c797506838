"""Made-up chains: short ways to write hits, findings and logons as the tables hold them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from detector.incidents.arrivals import Logon, Logons, VpnSession, VpnSessions
from detector.incidents.build import Result, find_incidents, tables
from detector.incidents.entities import AddressUse, Hosts, Node, parse_account
from detector.incidents.observations import Reference, from_findings, from_hits
from detector.incidents.visibility import Coverage, LogCoverage

NIGHT = datetime(2022, 10, 29, 18, 0, tzinfo=UTC)


def at(hours: float, seconds: float = 0.0) -> datetime:
    """Return a time that many hours after the night began."""
    return NIGHT + timedelta(hours=hours, seconds=seconds)


def reference(*parts: Any) -> Reference:
    """Return an event key that depends on what the event says only."""
    digest = hashlib.sha256(repr(parts).encode()).hexdigest()
    return Reference(digest[:16], int(digest[16:24], 16))


def hit(
    hours: float, host: str, rule: str = "rule", level: str = "high", step: str = "other", **more: Any
) -> dict[str, Any]:
    event = reference("hit", hours, host, rule, sorted(more.items()))
    row = {
        "rule_id": rule,
        "rule_title": rule.replace("_", " ").capitalize(),
        "level": level,
        "tags": [],
        "step": step,
        "site": "hospital",
        "time": at(hours),
        "host": host,
        "table": "windows_security",
        "channel": "Security",
        "event_id": 4688,
        "record_id": 1,
        "account": None,
        "src_ip": None,
        "src_host": None,
        "evidence_id": event.evidence_id,
        "evidence_offset": event.evidence_offset,
    }
    return row | more


def finding(
    hours: float,
    hosts: Sequence[str],
    stage: str = "stage",
    level: str = "high",
    step: str = "lateral_movement",
    lasts: float = 0.0,
    **more: Any,
) -> dict[str, Any]:
    event = reference("finding", hours, tuple(hosts), stage, sorted((k, str(v)) for k, v in more.items()))
    row = {
        "finding_id": f"f-{event.evidence_id}",
        "stage": stage,
        "step": step,
        "techniques": [],
        "level": level,
        "confidence": 0.9,
        "site": "hospital",
        "first_seen": at(hours),
        "last_seen": at(hours + lasts),
        "host": hosts[0] if len(hosts) == 1 else None,
        "hosts": sorted(hosts),
        "account": None,
        "accounts": [],
        "src_host": None,
        "src_ip": None,
        "details": {},
        "events": [event._asdict()],
    }
    return row | more


class Logs:
    """A made-up case: collects what the logs hold and builds incidents of it."""

    def __init__(self, addresses: Iterable[tuple[str, str]] = (), site: str = "hospital") -> None:
        self.site = site
        self.hits: list[dict[str, Any]] = []
        self.findings: list[dict[str, Any]] = []
        self.addresses = [AddressUse(site, host, address, None, None) for host, address in addresses]
        self.names: set[tuple[str, str]] = set()
        self.devices: set[tuple[str, str]] = set()
        self.network: set[tuple[str, str]] = set()
        self._logons: list[tuple[Any, ...]] = []
        self._sessions: list[tuple[Any, ...]] = []
        self._coverage: list[tuple[Any, ...]] = []

    def logon(
        self, hours: float, source: str | None, host: str, account: str, kind: int = 3, success: bool = True
    ) -> None:
        self._logons.append((hours, source, host, account, kind, success))

    def vpn_session(
        self, hours: float, user: str, public: str, assigned: str, lasts: float | None = 2.0
    ) -> None:
        self._sessions.append((hours, user, public, assigned, lasts))

    def log(self, host: str, channel: str, event_id: int, begins: float = -100, ends: float = 500) -> None:
        self._coverage.append((host, channel, event_id, begins, ends))

    def result(self) -> Result:
        rows = [*self.hits, *self.findings]
        names = self.names | {(row["site"], row["host"]) for row in rows if row["host"]}
        names |= {(row["site"], host) for row in self.findings for host in row["hosts"]}
        names |= {(self.site, host) for _, _, host, *_ in self._logons}
        names -= self.devices
        hosts = Hosts(names, self.addresses)
        observed = sorted(
            from_hits(self.hits, hosts, self.devices) + from_findings(self.findings, hosts, self.devices),
            key=lambda o: o.order,
        )
        own = {node for site, name in names if (node := hosts.host(site, name)) is not None}
        logons = [self._logon(hosts, *row) for row in self._logons]
        return find_incidents(
            observed,
            Logons(logons),
            Logons([logon for logon in logons if logon.success]),
            VpnSessions([self._session(*row) for row in self._sessions]),
            LogCoverage([self._covered(hosts, *row) for row in self._coverage], self.network),
            own,
        )

    def tables(self) -> tuple[pa.Table, pa.Table]:
        return tables(self.result())

    def _logon(
        self, hosts: Hosts, hours: float, source: str | None, host: str, name: str, kind: int, success: bool
    ) -> Logon:
        node = hosts.host(self.site, host)
        account = parse_account(name, hosts, self.site, node)
        assert node is not None and account is not None
        event = reference("logon", hours, source, host, name)
        is_address = source is not None and source[0].isdigit()
        return Logon(
            node,
            account,
            hosts.source(self.site, source if is_address else None, None if is_address else source),
            kind,
            success,
            at(hours),
            at(hours),
            1,
            event,
            Node(self.site, source) if is_address and source else None,
        )

    def _session(
        self, hours: float, user: str, public: str, assigned: str, lasts: float | None
    ) -> VpnSession:
        end = None if lasts is None else at(hours + lasts)
        event = reference("vpn", hours, user, public)
        return VpnSession(
            self.site, user, Node(self.site, public), Node(self.site, assigned), at(hours), end, event
        )

    def _covered(
        self, hosts: Hosts, host: str, channel: str, event_id: int, begins: float, ends: float
    ) -> Coverage:
        node = hosts.host(self.site, host)
        assert node is not None
        return Coverage(node, channel, event_id, at(begins), at(ends))


def hospital_attack(logs: Logs, start: float = 0.0) -> None:
    """Add an attack: vendor VPN, RDP to MEALSRV, credentials, record servers, clients, ransomware."""
    logs.devices.add((logs.site, "FW1"))
    logs.findings += [
        finding(
            start,
            ["FW1"],
            "vpn_new_country",
            "medium",
            "initial_access",
            account="mealmaint",
            src_ip="203.0.113.7",
        ),
        finding(
            start + 0.2,
            ["MEALSRV"],
            "rdp_from_vendor",
            "high",
            "remote_desktop",
            account="MEALSRV\\administrator",
            src_ip="10.8.0.5",
        ),
        finding(
            start + 2,
            ["EMR01", "EMR02"],
            "one_password",
            "high",
            "lateral_movement",
            lasts=0.5,
            account="administrator",
            src_host="MEALSRV",
        ),
        finding(
            start + 4,
            [f"PC{n:03}" for n in range(40)],
            "mass_logon",
            "high",
            "mass_logon",
            lasts=0.2,
            account="administrator",
            src_host="EMR01",
        ),
    ]
    logs.hits += [
        hit(start + 0.5, "MEALSRV", "av_removed", "high", "defense_evasion", account="NT AUTHORITY\\SYSTEM"),
        hit(start + 1, "MEALSRV", "lsass", "critical", "credential_access", account="MEALSRV\\administrator"),
        hit(start + 5, "EMR01", "shadow_copies", "high", "impact", account="EMR01\\administrator"),
        hit(start + 5.1, "EMR02", "shadow_copies", "high", "impact", account="EMR02\\administrator"),
        hit(start + 5.5, "PC007", "ransom_note", "critical", "impact"),
    ]
    logs.vpn_session(start, "mealmaint", "203.0.113.7", "10.8.0.5", 8.0)
    logs.logon(start + 0.2, "10.8.0.5", "MEALSRV", "MEALSRV\\administrator", 10)
    logs.logon(start + 2, "MEALSRV", "EMR01", "EMR01\\administrator")
    logs.logon(start + 2.3, "MEALSRV", "EMR02", "EMR02\\administrator", 10)
    for n in range(40):
        logs.logon(start + 4 + n / 600, "EMR01", f"PC{n:03}", f"PC{n:03}\\administrator")
