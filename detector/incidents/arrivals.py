"""Arrivals: how whoever acted on a host had come there, by the logons and VPN sessions that the logs hold."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

from detector.incidents.entities import Account, Node, parse_address
from detector.incidents.observations import Observation, Reference

#: Clocks of hosts differ; an event may seem to come this much before its cause. Kerberos refuses more than
#: five minutes of difference (RFC 4120, 5.2.1), so members of one domain stay within it.
CLOCK_SKEW = timedelta(minutes=5)

#: How long a logon explains what its account does on the host. A session of remote desktop left open over a
#: weekend (Friday evening to Monday morning are about 64 hours) must still explain Monday's events.
SESSION = timedelta(hours=72)

#: How long after a remote desktop logon to a host what comes from that host may be its user's doing: a shift.
ACTING = timedelta(hours=8)
#: So many remote desktop logons are followed back: through a vendor's machine and a jump host, and one more.
HOPS = 3

#: A VPN session whose end is not logged counts for this long: appliances cut sessions off within a day.
OPEN_VPN_SESSION = timedelta(hours=24)

#: Logons of one account from one source to one host are counted together for this long, from the full hour.
BUCKET = timedelta(hours=1)

#: Remote logon types by Windows' number: 3 network, 8 network in clear text, 10 remote interactive.
REMOTE_TYPES = frozenset({3, 8, 10})


@dataclass(frozen=True)
class Logon:
    """Logons of one account from one source to one host in one hour; `first` and `event` are the earliest's.

    `source` is None for a logon at the console, or one whose origin the log does not say; `address` is the
    address that the log gives for it.
    """

    host: Node
    account: Account
    source: Node | None
    logon_type: int | None
    success: bool
    first: datetime
    last: datetime
    count: int
    event: Reference
    address: Node | None = None

    @property
    def order(self) -> tuple[datetime, Node, Account, str, Reference]:
        """Sort key without ties."""
        return (self.first, self.host, self.account, str(self.logon_type), self.event)


@dataclass(frozen=True)
class VpnSession:
    """A VPN session: from which address whose tunnel began, and the address it was given inside."""

    site: str
    user: str
    public: Node | None
    assigned: Node | None
    start: datetime
    end: datetime | None
    event: Reference

    @property
    def until(self) -> datetime:
        """When it ended, or at the latest can have lasted to."""
        return self.end or self.start + OPEN_VPN_SESSION


class Arrival(NamedTuple):
    """Somebody came from `source` to `host` at `time`. `method` names the record that says so.

    `observed` tells that the observation's own record names the source; otherwise a logon record does.
    """

    source: Node
    host: Node | None
    account: Account | None
    time: datetime
    method: str
    event: Reference
    observed: bool
    address: Node | None = None


class Hop(NamedTuple):
    """An arrival, and the VPN session that its source was in, if it was in one."""

    arrival: Arrival
    vpn: VpnSession | None

    @property
    def key(self) -> Node:
        """The node that stands for the actor's place: behind a VPN, the public address of the session."""
        return (
            self.vpn.public if self.vpn is not None and self.vpn.public is not None else self.arrival.source
        )


@dataclass(frozen=True)
class Origin:
    """What is known about where an observation's actor came from; `local` says: from the console.

    `upstream` leads on from there: by which remote desktop logon somebody had come to the source, and so on.
    """

    arrival: Arrival | None
    local: bool = False
    vpn: VpnSession | None = None
    upstream: tuple[Hop, ...] = ()

    @property
    def key(self) -> Node | None:
        """The node that stands for the actor's place: behind a VPN, the public address of the session."""
        return Hop(self.arrival, self.vpn).key if self.arrival else None


class Logons:
    """Logons of the case, to be asked how an account came to a host."""

    def __init__(self, logons: Iterable[Logon]) -> None:
        self._by_account: dict[tuple[Node, str], list[Logon]] = {}
        self._by_host: dict[Node, list[Logon]] = {}
        self._days: dict[tuple[Node, Node, str], set[date]] = {}
        self._first: dict[tuple[Node, Node, str], datetime] = {}
        self._first_from: dict[tuple[Node, str], datetime] = {}
        self._from: dict[Node, list[Logon]] = {}
        for logon in sorted(logons, key=lambda logon: logon.order):
            self._by_host.setdefault(logon.host, []).append(logon)
            if logon.source is not None:
                self._from.setdefault(logon.source, []).append(logon)
            if not logon.success:
                continue
            self._by_account.setdefault((logon.host, logon.account.name), []).append(logon)
            if logon.source is not None:
                route = (logon.source, logon.host, logon.account.name)
                self._days.setdefault(route, set()).add(logon.first.date())
                self._first.setdefault(route, logon.first)
                self._first_from.setdefault((logon.source, logon.account.name), logon.first)

    def before(self, host: Node, account: Account, time: datetime) -> Logon | None:
        """Return the latest successful logon of the account on the host within `SESSION` before `time`."""
        candidates = self._by_account.get((host, account.name), [])
        stop = bisect_right(candidates, time + CLOCK_SKEW, key=lambda logon: logon.first)
        for logon in reversed(candidates[:stop]):
            if time - logon.last > SESSION:
                return None
            if logon.account.may_be(account) and _tells(logon):
                return logon
        return None

    def into(self, host: Node, since: datetime, until: datetime) -> list[Logon]:
        """Return the logons on the host between two times, successful or not, in order of time."""
        candidates = self._by_host.get(host, [])
        start = bisect_left(candidates, since - BUCKET, key=lambda logon: logon.first)
        stop = bisect_right(candidates, until, key=lambda logon: logon.first)
        return [logon for logon in candidates[start:stop] if logon.last >= since]

    def out_of(self, source: Node, since: datetime, until: datetime) -> list[Logon]:
        """Return the logons from a host to others that began in a span of time, in order."""
        logons = self._from.get(source, [])
        start = bisect_left(logons, since, key=lambda logon: logon.first)
        stop = bisect_right(logons, until, key=lambda logon: logon.first)
        return logons[start:stop]

    def is_new(self, logon: Logon, since: datetime) -> bool:
        """Whether nobody had come this way (source, host, account) before `since`."""
        if logon.source is None:
            return False
        first = self._first.get((logon.source, logon.host, logon.account.name))
        return first is None or first >= since - CLOCK_SKEW

    def desktop_before(self, host: Node, time: datetime) -> Logon | None:
        """Return the latest remote desktop logon on a host within `ACTING` before `time`."""
        for logon in reversed(self.into(host, time - ACTING, time + CLOCK_SKEW)):
            if logon.success and logon.logon_type == 10 and logon.source is not None:
                return logon
        return None

    def used_from(self, source: Node, account: Account, before: datetime) -> bool:
        """Whether the account had logged on from the source to anywhere before a time."""
        first = self._first_from.get((source, account.name))
        return first is not None and first < before - CLOCK_SKEW

    def days_before(self, source: Node, host: Node, account: Account, time: datetime) -> int:
        """Return on how many days before that of `time` the account came this way."""
        days = self._days.get((source, host, account.name), set())
        return sum(day < time.date() for day in days)


class VpnSessions:
    """VPN sessions of the case, to be asked who used an address inside the tunnel."""

    def __init__(self, sessions: Iterable[VpnSession]) -> None:
        self._by_address: dict[Node, list[VpnSession]] = {}
        for session in sorted(sessions, key=lambda s: (s.start, s.site, s.user, s.event)):
            if session.assigned is not None:
                self._by_address.setdefault(session.assigned, []).append(session)

    def at(self, address: Node, time: datetime) -> VpnSession | None:
        """Return the session that held the address at that time: the one that began last, if several."""
        sessions = self._by_address.get(address, [])
        stop = bisect_right(sessions, time + CLOCK_SKEW, key=lambda session: session.start)
        for session in reversed(sessions[:stop]):
            if session.until >= time - CLOCK_SKEW:
                return session
        return None


def origin_of(observation: Observation, logons: Logons, sessions: VpnSessions) -> Origin:
    """Return how the actor of an observation had come to its host.

    The observation's own source decides; without one, the latest logon of its account on its host.
    """
    arrival = _own_arrival(observation) or _logon_arrival(observation, logons)
    if isinstance(arrival, Arrival):
        return Origin(arrival, False, _session(arrival, sessions), _upstream(arrival, logons, sessions))
    return Origin(None, local=arrival == "local")


def _session(arrival: Arrival, sessions: VpnSessions) -> VpnSession | None:
    return sessions.at(arrival.address, arrival.time) if arrival.address else None


def _upstream(arrival: Arrival, logons: Logons, sessions: VpnSessions) -> tuple[Hop, ...]:
    """Follow remote desktop logons back from the source of an arrival, at most `HOPS` of them."""
    hops: list[Hop] = []
    places = {arrival.source}
    while len(hops) < HOPS:
        logon = logons.desktop_before(arrival.source, arrival.time)
        found = arrival_by(logon) if logon is not None else None
        if found is None or found.source in places:
            break
        hops.append(Hop(found, _session(found, sessions)))
        places.add(found.source)
        arrival = found
    return tuple(hops)


def method_of(logon: Logon) -> str:
    """Return the word for the way of a logon: 'rdp', 'network' or 'logon'."""
    return {10: "rdp", 3: "network", 8: "network"}.get(logon.logon_type or 0, "logon")


def _own_arrival(observation: Observation) -> Arrival | None:
    if observation.source is None:
        return None
    method = "rdp" if observation.step == "remote_desktop" else "observed"
    address = parse_address(observation.src_ip)
    return Arrival(
        observation.source,
        observation.host,
        observation.account,
        observation.first,
        method,
        observation.events[0],
        observed=True,
        address=Node(observation.site, str(address)) if address else None,
    )


def _logon_arrival(observation: Observation, logons: Logons) -> Arrival | str | None:
    host = observation.host
    if host is None or observation.on_device:
        return None
    found = [
        logon
        for actor in observation.actors
        if (logon := logons.before(host, actor, observation.first)) is not None
    ]
    if not found:
        return None
    logon = max(found, key=lambda logon: logon.order)
    if logon.source is None or logon.source == host:
        return "local"
    return arrival_by(logon)


def arrival_by(logon: Logon) -> Arrival | None:
    """Return the arrival that a logon records, None if it does not say from where."""
    if logon.source is None:
        return None
    return Arrival(
        logon.source,
        logon.host,
        logon.account,
        logon.first,
        method_of(logon),
        logon.event,
        observed=False,
        address=logon.address,
    )


def _tells(logon: Logon) -> bool:
    """Whether a logon says where the account came from: over the network, or at the console (2, 7, 11)."""
    return logon.source is not None or logon.logon_type in {2, 7, 11}
