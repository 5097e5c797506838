"""Entry point: by what an incident came in, how sure that is, and on what it rests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from detector.incidents.arrivals import CLOCK_SKEW, VpnSession
from detector.incidents.entities import Account, Node
from detector.incidents.joining import Group
from detector.incidents.moves import Move
from detector.incidents.observations import MEDIUM, Observation, Reference
from detector.incidents.visibility import LogCoverage

Sure = Literal["logged", "inferred", "unknown"]

#: A first arrival counts as the entry although something of level medium was seen before it, as long as that
#: was within a day: rules of level medium err too often to move the entry point by more.
ENTRY_SLACK = timedelta(hours=24)

_LOGON_CHANNEL = "Security"


@dataclass(frozen=True)
class Entry:
    """The entry point.

    kind: vpn_login, rdp, remote_logon (an arrival over the network), or first_event (nothing shows how).
    sure: logged (a record says so), inferred, or unknown. `basis` are reasons: code and values for
    report/locale.
    """

    kind: str
    host: Node | None
    source: Node | None
    src_ip: str | None
    src_host: str | None
    account: Account | None
    time: datetime
    sure: Sure
    basis: tuple[dict[str, Any], ...]
    event: Reference


def find_entry(group: Group, moves: Sequence[Move], coverage: LogCoverage) -> Entry:
    """Return the entry point of a group: its earliest arrival from a place that was not part of it before."""
    pairs = list(zip(group.observations, group.origins, strict=True))
    first = next((o for o in group.observations if o.rank >= MEDIUM), group.observations[0])
    candidates = [_vpn_observed(o) for o, _ in pairs if o.on_device and o.source is not None]
    candidates += [_vpn_session(o, origin.vpn) for o, origin in pairs if origin.vpn is not None]
    candidates += [_arrival(move) for move in moves if move.method != "vpn" and _from_outside(group, move)]
    arrivals = sorted(candidates, key=lambda entry: (entry.time, _KINDS.index(entry.kind), entry.event))
    if arrivals:
        entry = _login_behind(arrivals)
        begin = arrivals[0].time
        earlier = [o for o in group.observations if o.rank >= MEDIUM and o.first < begin - CLOCK_SKEW]
        if not earlier or (begin - earlier[0].first <= ENTRY_SLACK and not any(o.is_high for o in earlier)):
            return entry
    return _first_event(first, coverage, arrivals[0] if arrivals else None)


def _login_behind(arrivals: list[Entry]) -> Entry:
    """Return the first arrival or, if it is attempts at a VPN that ended in a login, that login."""
    first = arrivals[0]
    sessions = [
        entry
        for entry in arrivals
        if entry.basis[0]["code"] == "vpn_session"
        and entry.source == first.source
        and entry.time - first.time <= ENTRY_SLACK
    ]
    return sessions[0] if first.kind == "vpn_login" and sessions else first


_KINDS = ("vpn_login", "rdp", "remote_logon", "first_event")


def _from_outside(group: Group, move: Move) -> bool:
    """Whether nothing of the group had happened at the place that a move came from."""
    return not any(
        move.src in o.hosts and not o.on_device and o.first <= move.time + CLOCK_SKEW
        for o in group.observations
    )


def _vpn_observed(o: Observation) -> Entry:
    inferred: tuple[dict[str, Any], ...] = ({"code": "device_log"},)
    return Entry(
        "vpn_login",
        o.host,
        o.source,
        o.src_ip,
        o.src_host,
        o.account,
        o.first,
        "logged",
        inferred,
        o.events[0],
    )


def _vpn_session(o: Observation, session: VpnSession) -> Entry:
    basis: tuple[dict[str, Any], ...] = (
        {"code": "vpn_session", "assigned": session.assigned.name if session.assigned else ""},
    )
    account = Account(session.user, "", local=False, personal=True) if session.user else None
    public = session.public or session.assigned
    return Entry(
        "vpn_login",
        o.host,
        public,
        public.name if public else None,
        None,
        account,
        session.start,
        "logged",
        basis,
        session.event,
    )


def _arrival(move: Move) -> Entry:
    logged = move.method != "observed"
    return Entry(
        "rdp" if move.method == "rdp" else "remote_logon",
        move.dst,
        move.src,
        move.address.name if move.address else move.src.name if move.src.is_address else None,
        None if move.src.is_address else move.src.name,
        move.account,
        move.time,
        "logged" if logged else "inferred",
        ({"code": "logon_record" if logged else "detection_names_source"},),
        move.event,
    )


def _first_event(o: Observation, coverage: LogCoverage, arrival: Entry | None) -> Entry:
    basis: list[dict[str, Any]] = [{"code": "no_arrival" if arrival is None else "before_first_arrival"}]
    host = o.hosts[0] if o.hosts else None
    sure: Sure = "inferred"
    span = coverage.span(host, _LOGON_CHANNEL) if host else None
    if span is None and host is not None:
        basis.append({"code": "no_logon_log", "host": host.name})
        sure = "unknown"
    elif span is not None and span[0] > o.first - ENTRY_SLACK:
        basis.append(
            {"code": "logons_begin_later", "host": host.name if host else "", "time": span[0].isoformat()}
        )
        sure = "unknown"
    return Entry(
        "first_event",
        host,
        o.source,
        o.src_ip,
        o.src_host,
        o.account,
        o.first,
        sure,
        tuple(basis),
        o.events[0],
    )
