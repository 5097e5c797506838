"""Rows of the `incidents` and `timeline` tables (`detector.tables.results`)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from detector.incidents.arrivals import CLOCK_SKEW, Arrival
from detector.incidents.assemble import Incident, Touched
from detector.incidents.entities import Account, Node
from detector.incidents.entry import Entry
from detector.incidents.moves import used_hops
from detector.incidents.observations import FAN_OUT_HOSTS, Observation, Reference


def incident_row(incident: Incident, related: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Return the row of an incident; `related` are entries for `reasons` that name other incidents."""
    findings = sorted({o.finding_id for o in incident.group.observations if o.finding_id})
    return {
        "incident_id": incident.incident_id,
        "site": ", ".join(incident.sites),
        "severity": incident.assessment.severity,
        "score": incident.assessment.score,
        "first_seen": incident.first,
        "last_seen": incident.last,
        "entry": _json(_entry(incident.entry)),
        "hosts": _json([_host(node, touched) for node, touched in incident.hosts.items()]),
        "accounts": _json([_account(name, touched) for name, touched in incident.accounts.items()]),
        "sources": _json([_source(node, touched) for node, touched in incident.sources.items()]),
        "path": _json(
            [
                {
                    "src": move.src.name,
                    "dst": move.dst.name,
                    "account": str(move.account) if move.account else None,
                    "time": move.time.isoformat(),
                    "method": move.method,
                    "event": _event(move.event),
                }
                for move in incident.moves
            ]
        ),
        "steps": _json(list(incident.steps)),
        "reasons": _json([*incident.assessment.reasons, *_joined_by(incident), *incident.blind, *related]),
        "findings": findings,
    }


def timeline_rows(incident: Incident, context: Iterable[Observation]) -> list[dict[str, Any]]:
    """Return the lines of an incident in order: observations, context, and logons that connect its hosts."""
    rows = [observation_row(incident.incident_id, o) for o in (*incident.group.observations, *context)]
    known = {event for o in incident.group.observations for event in o.events}
    arrivals: dict[Reference, Arrival] = {}
    for origin in incident.group.origins:
        hops = [hop.arrival for hop in used_hops(incident.group, origin)]
        for arrival in [*([origin.arrival] if origin.arrival else []), *hops]:
            if not arrival.observed and arrival.event not in known and not _told(incident, arrival):
                arrivals.setdefault(arrival.event, arrival)
    rows += [_arrival_row(incident, arrival) for arrival in arrivals.values()]
    return sorted(rows, key=_order)


def _told(incident: Incident, arrival: Arrival) -> bool:
    """Whether an observation already tells of this arrival: from there to that host, at about that time."""
    return any(
        o.source == arrival.source
        and arrival.host in o.hosts
        and o.first - CLOCK_SKEW <= arrival.time <= o.last + CLOCK_SKEW
        for o in incident.group.observations
    )


def observation_row(incident_id: str | None, o: Observation) -> dict[str, Any]:
    """Return the timeline line of an observation; `incident_id` None if it belongs to no incident."""
    host = o.hosts[0].name if len(o.hosts) == 1 else None
    return {
        "incident_id": incident_id,
        "time": o.first,
        "last_time": o.last,
        "step": o.step,
        "level": o.level,
        "site": o.site,
        "host": host,
        "account": _name(o.account),
        "src_host": _source_host(o.source, o.src_host),
        "src_ip": o.src_ip,
        "kind": o.kind,
        "source_id": o.source_id,
        "title": o.title,
        "details": sorted(_details(o).items()),
        "count": len(o.events),
        "events": [_event(event) for event in o.events],
    }


def _arrival_row(incident: Incident, arrival: Arrival) -> dict[str, Any]:
    return {
        "incident_id": incident.incident_id,
        "time": arrival.time,
        "last_time": arrival.time,
        "step": "remote_desktop" if arrival.method == "rdp" else "lateral_movement",
        "level": "informational",
        "site": arrival.source.site,
        "host": arrival.host.name if arrival.host else None,
        "account": _name(arrival.account),
        "src_host": _source_host(arrival.source, None),
        "src_ip": arrival.address.name if arrival.address else None,
        "kind": "logon",
        "source_id": "logons",
        "title": None,
        "details": [("method", arrival.method)],
        "count": 1,
        "events": [_event(arrival.event)],
    }


def _details(o: Observation) -> dict[str, str]:
    """Return the details of an observation, with the number of its hosts and their names, if they are few."""
    if len(o.hosts) < 2:
        return dict(o.details)
    names = sorted(host.name for host in o.hosts)
    few = {"hosts": ", ".join(names)} if len(names) <= FAN_OUT_HOSTS else {}
    return {"host_count": str(len(names)), **few, **o.details}


def _order(row: Mapping[str, Any]) -> tuple[Any, ...]:
    event = row["events"][0]
    return (row["time"], event["evidence_id"], event["evidence_offset"], row["kind"], row["source_id"])


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "kind": entry.kind,
        "host": entry.host.name if entry.host else None,
        "src_ip": entry.src_ip,
        "src_host": _source_host(entry.source, entry.src_host),
        "account": _name(entry.account),
        "time": entry.time.isoformat(),
        "sure": entry.sure,
        "basis": list(entry.basis),
        "event": _event(entry.event),
    }


def _host(node: Node, touched: Touched) -> dict[str, Any]:
    return {
        "host": node.name,
        "site": node.site,
        "first_seen": touched.first.isoformat(),
        "last_seen": touched.last.isoformat(),
        "steps": sorted(touched.steps),
        "event": _event(touched.event),
    }


def _account(name: str, touched: Touched) -> dict[str, Any]:
    return {
        "account": name,
        "first_seen": touched.first.isoformat(),
        "last_seen": touched.last.isoformat(),
        "hosts": sorted({host.name for host in touched.hosts}),
        "event": _event(touched.event),
    }


def _source(node: Node, touched: Touched) -> dict[str, Any]:
    return {
        "address": node.name,
        "site": node.site,
        "first_seen": touched.first.isoformat(),
        "last_seen": touched.last.isoformat(),
        "event": _event(touched.event),
    }


def _joined_by(incident: Incident) -> Sequence[dict[str, Any]]:
    counts = Counter(link.reason for link in incident.group.links)
    return [{"code": "joined_by", "link": reason, "count": counts[reason]} for reason in sorted(counts)]


def _source_host(source: Node | None, claimed: str | None) -> str | None:
    if source is not None and not source.is_address:
        return source.name
    return claimed


def _name(account: Account | None) -> str | None:
    return str(account) if account else None


def _event(event: Reference) -> dict[str, Any]:
    return {"evidence_id": event.evidence_id, "evidence_offset": event.evidence_offset}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
