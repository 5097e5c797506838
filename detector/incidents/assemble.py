"""From groups of observations to incidents: hosts, accounts, sources and the path, each with its evidence."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from detector.incidents.arrivals import Logons
from detector.incidents.entities import Account, Node
from detector.incidents.entry import Entry, find_entry
from detector.incidents.joining import Group
from detector.incidents.moves import Move, logon_between, onward_moves, path_moves
from detector.incidents.observations import MEDIUM, Observation, Reference
from detector.incidents.scoring import Assessment, assess
from detector.incidents.visibility import LogCoverage
from detector.tables.steps import STEP_IDS

#: An intruder clears logs at the end: a clearing this long after the last event still counts.
CLEARED_AFTER = timedelta(hours=24)


@dataclass
class Touched:
    """A host, account or source of an incident: when it was first and last seen, and the first event."""

    first: datetime
    last: datetime
    event: Reference
    steps: set[str] = field(default_factory=set)
    hosts: set[Node] = field(default_factory=set)

    def also(self, first: datetime, last: datetime, event: Reference) -> None:
        """Take in another sighting."""
        if (first, event) < (self.first, self.event):
            self.first, self.event = first, event
        self.last = max(self.last, last)


@dataclass(frozen=True)
class Incident:
    """An incident with everything that its row and its timeline say."""

    incident_id: str
    group: Group
    entry: Entry
    assessment: Assessment
    hosts: dict[Node, Touched]
    accounts: dict[str, Touched]
    sources: dict[Node, Touched]
    moves: tuple[Move, ...]
    steps: tuple[dict[str, Any], ...]
    blind: tuple[dict[str, Any], ...]
    first: datetime
    last: datetime

    @property
    def sites(self) -> tuple[str, ...]:
        """The sites it touches, sorted."""
        return tuple(sorted({o.site for o in self.group.observations}))


def assemble(
    group: Group, logons: Logons, onward: Logons, coverage: LogCoverage, own: Collection[Node]
) -> Incident:
    """Make an incident of a group. `own` are the hosts known to belong to the sites.

    What the logons in `onward` add to the path says where the intruder was; it makes no incident worse.
    """
    observed = path_moves(group, logons)
    further = onward_moves(observed, onward)
    moves = (*observed, *further)
    hosts, sources = _places(group, moves, logons, own)
    seen = {node for move in observed for node in (move.src, move.dst)}
    seen |= {host for o in group.observations for host in o.hosts}
    entry = find_entry(group, observed, coverage)
    first = min(group.observations[0].first, entry.time)
    last = max(o.last for o in group.observations)
    inner = [move for move in observed if move.src in hosts and move.dst in hosts]
    pairs = {(move.src, move.dst) for move in inner}
    sites = {o.site for o in group.observations}
    return Incident(
        incident_id=incident_id(group.observations),
        group=group,
        entry=entry,
        assessment=assess(group.observations, group.recurring, len(seen & hosts.keys()), len(pairs)),
        hosts=hosts,
        accounts=_accounts(group, moves, hosts),
        sources=sources,
        moves=moves,
        steps=tuple(_steps(group, coverage, sites, hosts, first, last)),
        blind=tuple(_blind(coverage, hosts, first, last)),
        first=first,
        last=last,
    )


def incident_id(observations: Sequence[Observation]) -> str:
    """Return the id: a hash of the first event of the earliest observation of the highest kind.

    High and critical observations come before medium ones, so that weak evidence found later, before the
    first strong one, does not change the id. More evidence behind it extends the same incident.
    """
    anchors = [o for o in observations if o.is_high] or list(observations)
    anchor = min(anchors, key=lambda o: (o.first, o.events[0]))
    event = anchor.events[0]
    text = f"{anchor.site}\n{event.evidence_id}\n{event.evidence_offset}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _places(
    group: Group, moves: Iterable[Move], logons: Logons, own: Collection[Node]
) -> tuple[dict[Node, Touched], dict[Node, Touched]]:
    """Return the hosts that were touched and the places outside that it came from."""
    touched: dict[Node, Touched] = {}

    def touch(node: Node, first: datetime, last: datetime, event: Reference, step: str | None) -> None:
        entry = touched.setdefault(node, Touched(first, last, event))
        entry.also(first, last, event)
        if step is not None:
            entry.steps.add(step)

    for observation in group.observations:
        if observation.on_device:
            if observation.source is not None:
                touch(observation.source, observation.first, observation.last, observation.events[0], None)
            continue
        for host in observation.hosts:
            when, event = observation.first, observation.events[0]
            if observation.fans_out and observation.source is not None:
                logon = logon_between(logons, observation, observation.source, host)
                when, event = (logon.first, logon.event) if logon else (when, event)
            touch(host, when, observation.last if not observation.fans_out else when, event, observation.step)
    for move in moves:
        touch(move.src, move.time, move.time, move.event, None)
        touch(move.dst, move.time, move.time, move.event, None)
    acted_on = {
        h for o in group.observations if not o.on_device for h in o.hosts if h in own or not h.is_address
    }
    outside = {node for node in touched if node not in acted_on and node not in own}
    ordered = sorted(touched.items(), key=lambda item: item[1].first)  # ties: in the order of the path
    hosts = {node: entry for node, entry in ordered if node not in outside}
    return hosts, {node: entry for node, entry in ordered if node in outside}


def _accounts(group: Group, moves: Iterable[Move], inside: Collection[Node]) -> dict[str, Touched]:
    """Return the accounts that acted or were used, by the name to show.

    A local account that occurs on several hosts is one entry, `name` alone: one password on many machines
    is what the attack lives on. A name without domain is taken with the same name that has one.
    """
    sightings: list[tuple[Account, datetime, datetime, Reference, tuple[Node, ...]]] = [
        (actor, o.first, o.last, o.events[0], () if o.on_device else o.hosts)
        for o in group.observations
        for actor in o.actors
        if o.rank >= MEDIUM
    ]
    sightings += [
        (move.account, move.time, move.time, move.event, (move.dst,))
        for move in moves
        if move.account is not None and move.account.personal
    ]
    domains: dict[str, set[str]] = {}
    for account, *_ in sightings:
        domains.setdefault(account.name, set()).add("" if account.local else account.domain)
    locals_: dict[str, set[str]] = {}
    for account, *_ in sightings:
        if account.local:
            locals_.setdefault(account.name, set()).add(account.domain)
    found: dict[str, Touched] = {}
    for account, first, last, event, hosts in sorted(sightings, key=lambda s: (s[1], s[0], s[3])):
        shown = _shown(account, domains[account.name], locals_.get(account.name, set()))
        entry = found.setdefault(shown, Touched(first, last, event))
        entry.also(first, last, event)
        entry.hosts.update(host for host in hosts if host in inside)
    return found


def _shown(account: Account, domains: set[str], local_on: set[str]) -> str:
    if account.local:
        return account.name if len(local_on) > 1 else str(account)
    if account.domain:
        return str(account)
    known = sorted(domain for domain in domains if domain)
    return f"{known[0]}\\{account.name}" if len(known) == 1 and not local_on else account.name


def _steps(
    group: Group,
    coverage: LogCoverage,
    sites: Collection[str],
    hosts: Collection[Node],
    first: datetime,
    last: datetime,
) -> Iterable[dict[str, Any]]:
    """Yield each step as seen, not_seen or not_visible, with what was checked and what is missing."""
    for step in STEP_IDS:
        seen = [o for o in group.observations if o.step == step and o.rank >= MEDIUM]
        if step == "other" and not seen:
            continue
        view = coverage.of_step(step, sites, hosts, first, last)
        state = "seen" if seen else ("not_seen" if view.checked else "not_visible")
        yield {
            "step": step,
            "state": state,
            "first_seen": min(o.first for o in seen).isoformat() if seen else None,
            "count": len(seen),
            "why": {
                "checked": list(view.checked),
                "missing": list(view.missing),
                "hosts_visible": view.hosts_visible,
                "hosts": view.hosts,
            },
        }


def _blind(
    coverage: LogCoverage, hosts: Collection[Node], first: datetime, last: datetime
) -> Iterable[dict[str, Any]]:
    """Yield which hosts left no logs, and whose logs were cleared in the meantime."""
    silent = [host.name for host in hosts if host not in coverage.hosts]
    if silent:
        yield {"code": "no_logs", "names": silent}
    cleared = [host.name for host in hosts if coverage.cleared(host, first, last + CLEARED_AFTER)]
    if cleared:
        yield {"code": "logs_cleared", "names": cleared}
