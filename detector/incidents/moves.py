"""The path of an incident: who went from where to where, when, with which account, by which record."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from detector.incidents.arrivals import ACTING, CLOCK_SKEW, Hop, Logon, Logons, Origin, method_of
from detector.incidents.entities import Account, Node
from detector.incidents.joining import Group
from detector.incidents.observations import Observation, Reference


@dataclass(frozen=True)
class Move:
    """Somebody went from one node to another: an edge of the path."""

    src: Node
    dst: Node
    account: Account | None
    time: datetime
    method: str
    event: Reference
    address: Node | None = None

    @property
    def order(self) -> tuple[datetime, Node, Node, str, bool, datetime, str, Reference]:
        """Sort key without ties: by seconds, for some forms of logs have no more.

        Within one, a remote desktop comes before the network logon by which its user was authenticated.
        """
        second = self.time.replace(microsecond=0)
        way = (self.src, self.dst, str(self.account or ""))
        return (second, *way, self.method != "rdp", self.time, self.method, self.event)


def path_moves(group: Group, logons: Logons) -> tuple[Move, ...]:
    """Return the edges of the path: each way (source, host, account) once, by its earliest record."""
    found: list[Move] = []
    for observation, origin in zip(group.observations, group.origins, strict=True):
        arrival, vpn = origin.arrival, origin.vpn
        if arrival is not None and not observation.on_device:
            for host in observation.hosts:
                logon = logon_between(logons, observation, arrival.source, host) if arrival.observed else None
                found.append(
                    Move(
                        arrival.source,
                        host,
                        (logon.account if logon else None) or arrival.account,
                        logon.first if logon else arrival.time,
                        method_of(logon) if logon else arrival.method,
                        logon.event if logon else arrival.event,
                        (logon.address if logon else None) or arrival.address,
                    )
                )
        used = used_hops(group, origin)
        for hop in [*([Hop(arrival, vpn)] if arrival is not None else []), *used]:
            found += _vpn_move(hop)
        found += [
            Move(a.source, a.host, a.account, a.time, a.method, a.event, a.address)
            for a, _ in used
            if a.host is not None
        ]
    ways: dict[tuple[Node, Node, str], Move] = {}
    for move in sorted(found, key=lambda move: move.order):
        if move.src != move.dst:
            ways.setdefault((move.src, move.dst, move.account.name if move.account else ""), move)
    return tuple(ways.values())


def onward_moves(moves: Iterable[Move], onward: Logons) -> tuple[Move, ...]:
    """Return where somebody went on to, over the network, from hosts that the path enters by remote desktop.

    No rule speaks of such a logon, but the intruder sat at the source, nobody had come that way before, and
    it was made with the account that sat there, or with a local account's password: nobody's daily work.
    """
    found: list[Move] = []
    for move in moves:
        if move.method != "rdp":
            continue
        for logon in onward.out_of(move.dst, move.time, move.time + ACTING):
            account = logon.account
            own = move.account is not None and account.same_name(move.account)
            if account.personal and (account.local or own) and onward.is_new(logon, move.time):
                found.append(
                    Move(
                        move.dst,
                        logon.host,
                        account,
                        logon.first,
                        method_of(logon),
                        logon.event,
                        logon.address,
                    )
                )
    ways = {(move.src, move.dst) for move in moves}
    new: dict[tuple[Node, Node], Move] = {}
    for move in sorted(found, key=lambda move: move.order):
        if (move.src, move.dst) not in ways:
            new.setdefault((move.src, move.dst), move)
    return tuple(new.values())


def _vpn_move(hop: Hop) -> list[Move]:
    session = hop.vpn
    if session is None or session.public is None:
        return []
    account = Account(session.user, "", local=False, personal=True) if session.user else None
    return [Move(session.public, hop.arrival.source, account, session.start, "vpn", session.event)]


def used_hops(group: Group, origin: Origin) -> tuple[Hop, ...]:
    """Return the hops behind an arrival as far as they lead to a place that the group knows."""
    known = {host for o in group.observations if not o.on_device for host in o.hosts}
    known |= {o.source for o in group.observations if o.source is not None}
    known |= {other.key for other in group.origins if other.key is not None and other is not origin}
    last = max(
        (i for i, hop in enumerate(origin.upstream) if {hop.key, hop.arrival.source} & known), default=-1
    )
    return origin.upstream[: last + 1]


def logon_between(logons: Logons, observation: Observation, source: Node, host: Node) -> Logon | None:
    """Return the logon from the source to the host that an observation speaks of, successes first."""
    found = [
        logon
        for logon in logons.into(host, observation.first - CLOCK_SKEW, observation.last + CLOCK_SKEW)
        if logon.source == source and _fits(logon.account, observation)
    ]
    # Remote desktop with Network Level Authentication begins with a logon of type 3: type 10 says more.
    best = sorted(found, key=lambda logon: (not logon.success, logon.logon_type != 10, logon.order))
    return best[0] if best else None


def _fits(account: Account, observation: Observation) -> bool:
    named = observation.actors
    return account.personal and (not named or any(account.same_name(actor) for actor in named))
