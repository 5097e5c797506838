"""Observations: what a rule or a stage says happened, with who, where, from where, when.

A finding is one observation. Hits of one rule on one host by one account from one source are one observation
as long as they follow each other within `BURST`: an attack tool that trips a rule a thousand times did one
thing. Everything is ordered by time and evidence, so the order of the input never shows in the output.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from detector.incidents.entities import Account, Hosts, Node, parse_account
from detector.tables.results import LEVELS

#: Hits of one rule that follow each other this closely are one observation and one line of the timeline.
#: Half an hour is longer than tools pause between attempts, and shorter than the hourly jobs of a server.
BURST = timedelta(minutes=30)

#: A finding that lists more hosts than this spreads over many at once: being on its list alone is a weak
#: sign that the attacker acted on one of them (a scanner or a software distribution touches all hosts too).
FAN_OUT_HOSTS = 5

_LEVEL_RANK = {level: rank for rank, level in enumerate(LEVELS)}
MEDIUM = _LEVEL_RANK["medium"]
HIGH = _LEVEL_RANK["high"]


class Reference(NamedTuple):
    """The key of an event in every event table."""

    evidence_id: str
    evidence_offset: int


@dataclass(frozen=True)
class Observation:
    """One thing that a rule ('rule'), a stage ('stage') or a connecting logon ('logon') says happened.

    `hosts` are where it happened, first the one that the log names; `source` is where it came from, None if
    the log does not say or says the machine itself. `account` acted (or was used); `accounts` are all it
    names. `on_device` marks lines that a firewall or VPN appliance wrote about others: the appliance is not
    where the attacker was. `events` are in order of time.
    """

    kind: str
    source_id: str
    title: str | None
    step: str
    level: str
    site: str
    first: datetime
    last: datetime
    hosts: tuple[Node, ...]
    account: Account | None
    accounts: tuple[Account, ...]
    source: Node | None
    src_ip: str | None
    src_host: str | None
    events: tuple[Reference, ...]
    on_device: bool = False
    confidence: float = 1.0
    finding_id: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)

    @property
    def order(self) -> tuple[datetime, str, str, Reference, datetime]:
        """Sort key: time first, then what makes it unique, so that ties never depend on the input's order."""
        return (self.first, self.kind, self.source_id, self.events[0], self.last)

    @property
    def rank(self) -> int:
        """Position of the level in `LEVELS`."""
        return _LEVEL_RANK.get(self.level, 0)

    @property
    def is_high(self) -> bool:
        """Whether the level is high or critical."""
        return self.rank >= HIGH

    @property
    def host(self) -> Node | None:
        """Where it happened, None if on many hosts or none."""
        return self.hosts[0] if len(self.hosts) == 1 else None

    @property
    def fans_out(self) -> bool:
        """Whether it touches many hosts at once."""
        return len(self.hosts) > FAN_OUT_HOSTS

    @property
    def actors(self) -> tuple[Account, ...]:
        """The accounts that say who acted: personal ones, and none if the list is long (guessed names)."""
        named = (self.account,) if self.account else self.accounts
        return tuple(a for a in named if a.personal) if len(named) <= FAN_OUT_HOSTS else ()


def rank_of(level: str | None) -> int:
    """Return the position of a level in `LEVELS`, 0 if it is none of them."""
    return _LEVEL_RANK.get(level or "", 0)


def from_hits(
    rows: Iterable[Mapping[str, Any]], hosts: Hosts, devices: Collection[tuple[str, str]]
) -> list[Observation]:
    """Turn rows of the `hits` table into observations, one for each burst, and one for each correlation.

    `devices` are the (site, name) of firewalls and VPN appliances.
    """
    bursts: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    correlated: list[Observation] = []
    for row in rows:
        if row.get("events"):
            correlated.append(_from_correlation(row, hosts, devices))
        elif row["time"] is not None and row["evidence_id"] is not None:
            key = (row["site"], row["rule_id"], row["host"], row["account"], row["src_ip"], row["src_host"])
            bursts.setdefault(key, []).append(row)
    found = [
        _from_burst(burst, hosts, devices)
        for members in bursts.values()
        for burst in _split(sorted(members, key=_hit_order))
    ]
    return sorted(found + correlated, key=lambda observation: observation.order)


def from_findings(
    rows: Iterable[Mapping[str, Any]], hosts: Hosts, devices: Collection[tuple[str, str]]
) -> list[Observation]:
    """Turn rows of the `findings` table into observations; a row without time or events is left out."""
    found = [
        _from_finding(row, hosts, devices) for row in rows if row["first_seen"] is not None and row["events"]
    ]
    return sorted(found, key=lambda observation: observation.order)


def _hit_order(row: Mapping[str, Any]) -> tuple[datetime, str, int]:
    return (row["time"], row["evidence_id"], row["evidence_offset"] or 0)


def _split(rows: list[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    burst: list[Mapping[str, Any]] = []
    for row in rows:
        if burst and row["time"] - burst[-1]["time"] > BURST:
            yield burst
            burst = []
        burst.append(row)
    yield burst


def _from_burst(
    burst: list[Mapping[str, Any]], hosts: Hosts, devices: Collection[tuple[str, str]]
) -> Observation:
    row, site = burst[0], burst[0]["site"] or ""
    host = hosts.host(site, row["host"], row["time"])
    on_device = (site, row["host"]) in devices or row["table"] in {"firewall", "vpn"}
    account = parse_account(row["account"], hosts, site, None if on_device else host)
    return Observation(
        kind="rule",
        source_id=row["rule_id"],
        title=row["rule_title"],
        step=row["step"] or "other",
        level=row["level"] or "informational",
        site=site,
        first=burst[0]["time"],
        last=burst[-1]["time"],
        hosts=(host,) if host else (),
        account=account,
        accounts=(account,) if account else (),
        source=_source(hosts, site, row, row["time"], (host,) if host else ()),
        src_ip=row["src_ip"],
        src_host=row["src_host"],
        events=tuple(Reference(hit["evidence_id"], hit["evidence_offset"] or 0) for hit in burst),
        on_device=on_device,
    )


def _from_correlation(
    row: Mapping[str, Any], hosts: Hosts, devices: Collection[tuple[str, str]]
) -> Observation:
    """Turn a match of a correlation into an observation; it joins several events already."""
    made = _from_finding(
        {**row, "stage": row["rule_id"], "confidence": None, "finding_id": None, "details": None},
        hosts,
        devices,
    )
    on_device = made.on_device or (not made.hosts and row["table"] in {"firewall", "vpn"})
    return replace(made, kind="rule", title=row["rule_title"], on_device=on_device)


def _from_finding(row: Mapping[str, Any], hosts: Hosts, devices: Collection[tuple[str, str]]) -> Observation:
    site, time = row["site"] or "", row["first_seen"]
    names = ([row["host"]] if row["host"] else []) + sorted(row["hosts"] or [])
    nodes = tuple(dict.fromkeys(node for node in (hosts.host(site, name, time) for name in names) if node))
    on_device = bool(names) and all((site, name) in devices for name in names)
    scope = nodes[0] if len(nodes) == 1 and not on_device else None
    account = parse_account(row["account"], hosts, site, scope)
    named = {parse_account(name, hosts, site, scope) for name in row["accounts"] or []} | {account}
    return Observation(
        kind="stage",
        source_id=row["stage"],
        title=None,
        step=row["step"] or "other",
        level=row["level"] or "informational",
        site=site,
        first=time,
        last=row["last_seen"] or time,
        hosts=nodes,
        account=account,
        accounts=tuple(sorted(name for name in named if name is not None)),
        source=_source(hosts, site, row, time, nodes),
        src_ip=row["src_ip"],
        src_host=row["src_host"],
        events=tuple(
            Reference(event["evidence_id"], event["evidence_offset"] or 0) for event in row["events"]
        ),
        on_device=on_device,
        confidence=1.0 if row["confidence"] is None else float(row["confidence"]),
        finding_id=row["finding_id"],
        details=dict(row["details"] or {}),
    )


def _source(
    hosts: Hosts, site: str, row: Mapping[str, Any], time: datetime, own: tuple[Node, ...]
) -> Node | None:
    """Return where the event came from, None if from the one host where it happened."""
    source = hosts.source(site, row["src_ip"], row["src_host"], time)
    claimed = hosts.host(site, row["src_host"], time)
    return None if len(own) == 1 and own[0] in (source, claimed) else source
