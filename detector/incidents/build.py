"""Build the `incidents` and `timeline` tables of a case from its hits, findings, logons and VPN sessions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pyarrow as pa

from detector.engines import Engine
from detector.incidents import load
from detector.incidents.arrivals import CLOCK_SKEW, Logons, Origin, VpnSessions, origin_of
from detector.incidents.assemble import Incident, Touched, assemble
from detector.incidents.entities import Account, Node
from detector.incidents.joining import join
from detector.incidents.observations import MEDIUM, Observation
from detector.incidents.rows import incident_row, observation_row, timeline_rows
from detector.incidents.scoring import SEVERITIES, starts_incident
from detector.incidents.visibility import LogCoverage
from detector.tables.results import INCIDENT_COLUMNS, TIMELINE_COLUMNS, schema

#: How long after the last suspicious event on a host its low-level hits still belong to the picture.
CONTEXT = timedelta(hours=1)
#: Incidents up to this far apart are compared: intruders may stay for weeks before they strike.
RELATED = timedelta(days=30)


@dataclass(frozen=True)
class Result:
    """Incidents, most severe first, the context lines of each, and what was joined to none."""

    incidents: tuple[Incident, ...]
    context: dict[str, tuple[Observation, ...]]
    not_joined: tuple[Observation, ...]


def build(engine: Engine) -> tuple[pa.Table, pa.Table]:
    """Return the `incidents` and the `timeline` table of a case, both in a fixed order.

    Needs the views `hits` and `findings`; uses `logons`, `vpn_sessions`, `host_addresses`, `windows`,
    `firewall` and `vpn` where the case has them. Timeline rows without incident_id are observations of
    level medium or more that were joined to no incident.
    """
    names, uses, own = load.host_names(engine)
    hosts = load.hosts(names, uses)
    observations = load.observations(engine, hosts)
    logons = Logons(load.logons(engine, hosts, observations))
    onward = Logons(load.onward_logons(engine, hosts, observations))
    sessions = VpnSessions(load.vpn_sessions(engine, hosts))
    coverage = load.coverage(engine, hosts)
    own_nodes = coverage.hosts | {node for site, name in own if (node := hosts.host(site, name)) is not None}
    return tables(find_incidents(observations, logons, onward, sessions, coverage, own_nodes))


def find_incidents(
    observations: Sequence[Observation],
    logons: Logons,
    onward: Logons,
    sessions: VpnSessions,
    coverage: LogCoverage,
    own: Collection[Node],
) -> Result:
    """Join observations of level medium or more into incidents and give them their context."""
    anchors = [o for o in observations if o.rank >= MEDIUM]
    origins: dict[int, Origin] = {id(o): origin_of(o, logons, sessions) for o in anchors}
    incidents: list[Incident] = []
    loose: list[Observation] = []
    for group in join(anchors, origins, logons):
        if starts_incident(group.observations):
            incidents.append(assemble(group, logons, onward, coverage, own))
        else:
            loose += group.observations
    incidents.sort(key=_importance)
    weak = [o for o in observations if o.rank < MEDIUM]
    return Result(tuple(incidents), _context(incidents, weak), tuple(sorted(loose, key=lambda o: o.order)))


def tables(result: Result) -> tuple[pa.Table, pa.Table]:
    """Return a result as the `incidents` and the `timeline` table."""
    incidents = [
        incident_row(incident, _related(incident, result.incidents)) for incident in result.incidents
    ]
    lines: list[dict[str, Any]] = []
    for incident in result.incidents:
        lines += timeline_rows(incident, result.context.get(incident.incident_id, ()))
    lines += [observation_row(None, o) for o in result.not_joined]
    return (
        pa.Table.from_pylist(incidents, schema=schema(INCIDENT_COLUMNS)),
        pa.Table.from_pylist(lines, schema=schema(TIMELINE_COLUMNS)),
    )


def _related(incident: Incident, others: Iterable[Incident]) -> list[dict[str, Any]]:
    """Return which other incidents share an account or a source: perhaps one attack, its link not logged."""
    if incident.assessment.severity == "low":
        return []
    names, places = _marks(incident)
    found: list[dict[str, Any]] = []
    for other in others:
        apart = max(other.first - incident.last, incident.first - other.last)
        if other is incident or other.assessment.severity == "low" or apart > RELATED:
            continue
        its_names, its_places = _marks(other)
        shared = sorted(names & its_names) + sorted(node.name for node in places & its_places)
        if shared:
            found.append({"code": "related", "incident": other.incident_id, "names": shared})
    return found


def _marks(incident: Incident) -> tuple[set[str], set[Node]]:
    names = {name.rsplit("\\", 1)[-1] for name in incident.accounts}
    return names, {*incident.sources, *(move.src for move in incident.moves)}


def _importance(incident: Incident) -> tuple[Any, ...]:
    severity = SEVERITIES.index(incident.assessment.severity)
    return (-severity, -incident.assessment.score, incident.first, incident.incident_id)


def _context(
    incidents: Iterable[Incident], weak: Iterable[Observation]
) -> dict[str, tuple[Observation, ...]]:
    """Return the low-level observations that are on the path of an incident: its host, time and account.

    One without an account, or by another, says too little; one belongs to the most severe incident only.
    """
    at: dict[Node, list[tuple[Incident, set[Account]]]] = {}
    for incident in incidents:
        for host, actors in _actors(incident).items():
            at.setdefault(host, []).append((incident, actors))
    found: dict[str, list[Observation]] = {}
    for observation in weak:
        place = observation.host
        if place is None:
            continue
        for incident, actors in at.get(place, []):
            if _on_path(observation, incident.hosts.get(place), actors):
                found.setdefault(incident.incident_id, []).append(observation)
                break
    return {key: tuple(value) for key, value in found.items()}


def _on_path(observation: Observation, touched: Touched | None, actors: Collection[Account]) -> bool:
    if touched is None:
        return False
    inside = touched.first - CLOCK_SKEW <= observation.first <= touched.last + CONTEXT
    return inside and any(actor.may_be(other) for actor in observation.actors for other in actors)


def _actors(incident: Incident) -> dict[Node, set[Account]]:
    """Return the accounts that acted on each host, or arrived there."""
    found: dict[Node, set[Account]] = {}
    for observation, origin in zip(incident.group.observations, incident.group.origins, strict=True):
        arrived = origin.arrival.account if origin.arrival else None
        named = (*observation.actors, *([arrived] if arrived and arrived.personal else []))
        for host in observation.hosts:
            found.setdefault(host, set()).update(named)
    return found
