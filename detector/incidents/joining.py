"""Joining: which observations belong to one attack, by time-respecting paths. docs/incidents.md explains it.

Two kinds of link. A strong link names something that both observations share, or a way from one to the
other, and unites whatever hangs on either. A weak link explains where a thread of observations began that has
no arrival of its own: it attaches the thread to one explanation, the best, and to no other. That, and telling
what recurs from what is new, keeps busy hosts (domain controllers, file servers) and busy accounts (backup,
scanners) from joining everything to everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import accumulate
from typing import NamedTuple

from detector.incidents.arrivals import CLOCK_SKEW, Arrival, Logons, Origin
from detector.incidents.entities import Account, Node
from detector.incidents.observations import Observation, Reference

#: Two observations of level high or more may be this far apart and share what a strong link needs. An
#: intruder who stops on Friday evening goes on by Monday morning (64 hours); a longer silence parts them.
LONG_GAP = timedelta(hours=72)
#: If either is of level medium, or recurs: shorter than a day, so that daily jobs never make a chain.
SHORT_GAP = timedelta(hours=8)
#: How long after a high observation on a host a high one without an arrival of its own is explained by it: to
#: the next night, and less than a day, for the same reason.
PRESENCE = timedelta(hours=20)
#: A way (source, host, account) used on this many days before is the routine of the house.
ROUTINE_DAYS = 3
#: What a rule says of the same hosts and account on this many days (a working week) recurs: a backup that
#: deletes old shadow copies each night. It may be part of an attack, but it explains nothing else.
RECURRING_DAYS = 5
#: … as long as it comes once a week or more often, on average.
RECURRING_EVERY = timedelta(days=8)
#: An exploit over the network and its effect on the target are seconds apart.
AT_ONCE = timedelta(seconds=10)
#: Alarms of level high on one host this close to each other are one until something speaks against it.
TOGETHER = timedelta(minutes=30)


class Link(NamedTuple):
    """Why two observations are one attack; `earlier` and `later` are positions in the group."""

    reason: str
    earlier: int
    later: int


@dataclass(frozen=True)
class Group:
    """Observations of one attack, in order of time, and the links that joined them."""

    observations: tuple[Observation, ...]
    origins: tuple[Origin, ...]
    links: tuple[Link, ...]
    recurring: tuple[bool, ...]


def join(observations: Iterable[Observation], origins: Mapping[int, Origin], logons: Logons) -> list[Group]:
    """Join observations into groups, sorted by their first observation.

    `origins` maps `id(observation)` to what is known of where it came from.
    """
    ordered = sorted(observations, key=lambda observation: observation.order)
    work = _Joiner(ordered, [origins[id(observation)] for observation in ordered], logons)
    return work.groups()


class _Host:
    """The observations on one host in order of time, to be searched backwards from a time."""

    def __init__(self, positions: list[int], observations: Sequence[Observation]) -> None:
        self.positions = positions
        # The latest end of any observation up to here: what lies further back ended before it.
        self._ends = list(accumulate((observations[p].last for p in positions), max))

    def back_to(self, ended_since: datetime) -> Iterator[int]:
        """Yield positions, latest first, until nothing further back can have lasted until `ended_since`."""
        for index in range(len(self.positions) - 1, -1, -1):
            if self._ends[index] < ended_since:
                return
            yield self.positions[index]


class _Joiner:
    def __init__(self, observations: list[Observation], origins: list[Origin], logons: Logons) -> None:
        self._obs = observations
        self._origins = origins
        self._logons = logons
        self._parent = list(range(len(observations)))
        self._links: list[Link] = []
        self._extends = [True] * len(observations)
        self._recurring = _recurring(observations)
        # Of the observation that stands for a group: does the group hold more than lists of many hosts? Does
        # it hold something of level high that does not recur?
        self._solid = [not observation.fans_out for observation in observations]
        self._heavy = [self._weighty(position) for position in range(len(observations))]
        places: dict[Node, list[int]] = {}
        self._acted_from: dict[Node, list[int]] = {}
        for position, observation in enumerate(observations):
            if not observation.on_device:
                for host in observation.hosts:
                    places.setdefault(host, []).append(position)
            arrival = origins[position].arrival
            if arrival is not None and arrival.observed and observation.is_high:
                self._acted_from.setdefault(arrival.source, []).append(position)
        self._hosts = {host: _Host(positions, observations) for host, positions in places.items()}

    def groups(self) -> list[Group]:
        self._same_event()
        self._same_account_on_host()
        self._same_origin()
        self._vpn_account()
        self._paths()
        self._attach_threads()
        self._gather_recurring()
        members: dict[int, list[int]] = {}
        for position in range(len(self._obs)):
            members.setdefault(self._find(position), []).append(position)
        links: dict[int, list[Link]] = {}
        for link in self._links:
            links.setdefault(self._find(link.later), []).append(link)
        return [self._group(members[root], links.get(root, [])) for root in sorted(members)]

    def _group(self, positions: list[int], links: list[Link]) -> Group:
        place = {position: index for index, position in enumerate(positions)}
        return Group(
            tuple(self._obs[p] for p in positions),
            tuple(self._origins[p] for p in positions),
            tuple(sorted(Link(link.reason, place[link.earlier], place[link.later]) for link in links)),
            tuple(self._recurring[p] is not None for p in positions),
        )

    # Union-find: the earliest observation of a group stands for it.

    def _find(self, position: int) -> int:
        while self._parent[position] != position:
            self._parent[position] = self._parent[self._parent[position]]
            position = self._parent[position]
        return position

    def _unite(self, reason: str, one: int, other: int) -> None:
        first, second = sorted((self._find(one), self._find(other)))
        if first != second:
            self._parent[second] = first
            self._solid[first] |= self._solid[second]
            self._heavy[first] |= self._heavy[second]
            self._links.append(Link(reason, min(one, other), max(one, other)))

    def _near(self, earlier: int, later: int) -> bool:
        """Whether the gap between two observations lets a strong link hold."""
        gap = self._obs[later].first - self._obs[earlier].last
        return gap <= (LONG_GAP if self._weighty(earlier) and self._weighty(later) else SHORT_GAP)

    def _weighty(self, position: int) -> bool:
        return self._obs[position].is_high and self._recurring[position] is None

    def _strong(self, position: int) -> bool:
        """Whether an observation, or what is united with it so far, is of level high."""
        return self._obs[position].is_high or self._heavy[self._find(position)]

    # Strong links.

    def _same_event(self) -> None:
        seen: dict[Reference, int] = {}
        for position, observation in enumerate(self._obs):
            for event in observation.events:
                self._unite("same_event", seen.setdefault(event, position), position)

    def _same_account_on_host(self) -> None:
        chains: dict[tuple[Node, str], list[tuple[int, Account]]] = {}
        for position, observation in enumerate(self._obs):
            for actor in observation.actors:
                for host in observation.hosts:
                    chains.setdefault((host, actor.name), []).append((position, actor))
        for chain in chains.values():
            for domain in sorted({actor.domain for _, actor in chain}):
                self._chain("same_account_on_host", [p for p, actor in chain if actor.domain in ("", domain)])

    def _same_origin(self) -> None:
        """Unite what came from one place; what an account does there by habit, with that account only."""
        chains: dict[tuple[Node, str], list[int]] = {}
        for position, origin in enumerate(self._origins):
            upstream = [hop.key for hop in origin.upstream] if self._weighty(position) else []
            account = origin.arrival.account if origin.arrival else None
            for place in dict.fromkeys([*([origin.key] if origin.key else []), *upstream]):
                if not self._habitual(position):
                    chains.setdefault((place, ""), []).append(position)
                if account is not None:
                    chains.setdefault((place, account.name), []).append(position)
        for key in sorted(chains):
            self._chain("same_source", chains[key])

    def _habitual(self, position: int) -> bool:
        """Whether a medium observation came by an account long in use from its source."""
        arrival = self._origins[position].arrival
        if arrival is None or arrival.account is None or self._strong(position):
            return False
        return self._logons.used_from(arrival.source, arrival.account, arrival.time - LONG_GAP)

    def _chain(self, reason: str, positions: list[int]) -> None:
        """Unite neighbours in time: all with the one before, the high ones also with the high one before."""
        for chain in (positions, [position for position in positions if self._weighty(position)]):
            reach: int | None = None  # the one so far that lasted longest
            for position in chain:
                if reach is not None and self._near(reach, position):
                    self._unite(reason, reach, position)
                if reach is None or self._obs[position].last >= self._obs[reach].last:
                    reach = position

    def _vpn_account(self) -> None:
        """Unite what came through a VPN session with what was observed about that session's account."""
        users: dict[tuple[str, str], list[int]] = {}
        for position, observation in enumerate(self._obs):
            if observation.on_device:
                for actor in observation.actors:
                    users.setdefault((observation.site, actor.name), []).append(position)
        for position, origin in enumerate(self._origins):
            if (session := origin.vpn) is None:
                continue
            for other in users.get((session.site, session.user), []):
                seen = self._obs[other]
                if seen.last >= session.start - SHORT_GAP and seen.first <= session.until:
                    self._unite("vpn_session", other, position)

    def _paths(self) -> None:
        for position, origin in enumerate(self._origins):
            upstream = [hop.arrival for hop in origin.upstream] if self._weighty(position) else []
            for arrival in [*([origin.arrival] if origin.arrival else []), *upstream]:
                self._path(position, arrival)

    def _path(self, position: int, arrival: Arrival) -> None:
        """Unite an observation with the best explanation of an arrival: what was seen where it came from."""
        if arrival.source not in self._hosts:
            return
        if not arrival.observed and not self._obs[position].is_high and self._routine(position):
            return
        earlier = self._hosts[arrival.source].back_to(arrival.time - LONG_GAP)
        claims = [claim for p in earlier if (claim := self._claim(p, position, arrival)) is not None]
        if claims:
            self._unite("path", max(claims)[2], position)

    def _routine(self, position: int) -> bool:
        arrival = self._origins[position].arrival
        if arrival is None or arrival.host is None or arrival.account is None:
            return False
        days = self._logons.days_before(arrival.source, arrival.host, arrival.account, arrival.time)
        return days >= ROUTINE_DAYS

    def _claim(self, candidate: int, position: int, arrival: Arrival) -> tuple[bool, bool, int] | None:
        """Return how well an observation on the source explains an arrival from there, None if not at all."""
        seen = self._obs[candidate]
        if candidate == position:
            return None
        if self._present_since(candidate, arrival.source) > arrival.time + CLOCK_SKEW:
            return None
        # Here the whole group counts: who broke in with force may do quiet things on one of its hosts.
        heavy = self._heavy[self._find(candidate)] and self._recurring[candidate] is None
        if arrival.time - seen.last > (LONG_GAP if heavy and self._weighty(position) else SHORT_GAP):
            return None
        same = arrival.account is not None and any(arrival.account.same_name(a) for a in seen.actors)
        if not same and (seen.fans_out or self._habit(candidate, position, arrival)):
            return None
        # Two medium ones with no account in common: that something happened there, by nobody named, is no
        # reason to think that who came from there did it (an upgrade by the system, a scan by a service).
        if not (same or heavy or self._strong(position) or seen.actors):
            return None
        return (same, self._weighty(candidate), candidate)

    def _habit(self, candidate: int, position: int, arrival: Arrival) -> bool:
        """Whether a medium observation came by an account that had been used from its source before.

        That is what the source does anyway (software distribution, backup): it needs no intruder there.
        """
        if arrival.account is None or self._strong(position):
            return False
        since = self._present_since(candidate, arrival.source)
        return self._logons.used_from(arrival.source, arrival.account, since)

    def _present_since(self, position: int, host: Node) -> datetime:
        """Return since when the actor was on the host: from the arrival, if that was not long before."""
        observation, arrival = self._obs[position], self._origins[position].arrival
        if arrival is None or arrival.host != host or observation.first - arrival.time > SHORT_GAP:
            return observation.first
        return min(arrival.time, observation.first)

    # Weak links.

    def _attach_threads(self) -> None:
        """Attach each thread whose beginning has no arrival of its own to the one group that explains it."""
        threads: dict[int, list[int]] = {}
        for position in range(len(self._obs)):
            threads.setdefault(self._find(position), []).append(position)
        for root in sorted(threads):
            high = any(self._obs[p].is_high for p in threads[root])
            found = self._explanation(root, high)
            if found is not None:
                reason, earlier = found
                self._unite(reason, earlier, root)
                if not high:
                    for position in threads[root]:
                        self._extends[position] = False

    def _explanation(self, root: int, high: bool) -> tuple[str, int] | None:
        observation, origin = self._obs[root], self._origins[root]
        if observation.on_device:
            return None
        if origin.arrival is not None:
            found = self._together(root)
            return None if found is None else ("same_half_hour", found)
        if observation.fans_out:
            found = self._shared_hosts(root)
            return None if found is None else ("shared_hosts", found)
        if origin.local and not high:
            return None
        for reason, search in (
            ("presence_on_host", self._presence),
            ("acted_from_host", self._acting),
            ("new_logon", self._new_logon),
            ("account_elsewhere", self._account_elsewhere),
            ("same_moment", self._at_once),
        ):
            found = search(root, high)
            if found is not None:
                return reason, found
        return None

    def _presence(self, root: int, high: bool) -> int | None:
        """Return the latest observation on the same host that is recent enough, high ones first."""
        start = self._obs[root].first
        found = [
            (self._obs[p].is_high, p)
            for host in self._obs[root].hosts
            for p in self._hosts[host].back_to(start - PRESENCE)
            if p < root and self._explains(p, high) and self._recent(p, start, high)
        ]
        return max(found)[1] if found else None

    def _together(self, root: int) -> int | None:
        """Return a high observation of unknown origin on the same host shortly before."""
        observation = self._obs[root]
        if not self._weighty(root) or len(observation.hosts) != 1:
            return None
        for p in self._hosts[observation.hosts[0]].back_to(observation.first - TOGETHER):
            unknown = self._origins[self._find(p)].arrival is None and not self._origins[p].local
            if p < root and unknown and self._weighty(p) and not self._obs[p].fans_out:
                return p
        return None

    def _shared_hosts(self, root: int) -> int | None:
        """Return an observation of the group that was on at least half of the hosts of a long list.

        Of a group with more than such lists, a high one counts for the hosts that it lists: who logged on to
        eight servers at night may have destroyed six of them in the morning.
        """
        start, hosts = self._obs[root].first, self._obs[root].hosts
        present: dict[int, dict[Node, int]] = {}
        for host in hosts:
            for p in self._hosts[host].back_to(start - PRESENCE):
                # A list of many hosts explains another one only if both are high: not what a scanner did.
                both_high = self._weighty(p) and self._weighty(root)
                explains = (both_high or not self._obs[p].fans_out) and self._explains(p, True)
                if p < root and explains and self._recent(p, start, True):
                    present.setdefault(self._find(p), {}).setdefault(host, p)
        best = max(present, key=lambda group: (len(present[group]), -group), default=None)
        if best is None or 2 * len(present[best]) < len(hosts):
            return None
        return max(present[best].values())

    def _recent(self, position: int, time: datetime, high: bool) -> bool:
        gap = PRESENCE if high and self._obs[position].is_high else SHORT_GAP
        return time - self._obs[position].last <= gap

    def _explains(self, position: int, high: bool) -> bool:
        """Whether this observation is presence on its hosts; a list of many hosts alone is not."""
        if self._recurring[position] is not None or not self._extends[position]:
            return False
        if not self._obs[position].fans_out:
            return True
        return high and self._solid[self._find(position)]

    def _acting(self, root: int, high: bool) -> int | None:
        """Return the latest high observation elsewhere whose own record names this host as its source."""
        start = self._obs[root].first
        found = [
            p
            for host in self._obs[root].hosts
            for p in self._acted_from.get(host, [])
            if p < root and start - self._obs[p].last <= SHORT_GAP
        ]
        return max(found, default=None)

    def _new_logon(self, root: int, high: bool) -> int | None:
        """Return the observation on the host from which a logon came that nobody had made before."""
        observation = self._obs[root]
        if len(observation.hosts) != 1:
            return None
        logons = self._logons.into(
            observation.hosts[0], observation.first - SHORT_GAP, observation.first + CLOCK_SKEW
        )
        for logon in reversed(logons):
            if not logon.success or logon.source not in self._hosts or logon.source in observation.hosts:
                continue
            for p in self._hosts[logon.source].back_to(logon.first - PRESENCE):
                seen = self._obs[p]
                since = self._present_since(p, logon.source)
                if (
                    p < root
                    and not seen.fans_out
                    and self._explains(p, high)
                    and since <= logon.first + CLOCK_SKEW
                    and self._recent(p, logon.first, high)
                    and self._logons.is_new(logon, since)
                ):
                    return p
        return None

    def _account_elsewhere(self, root: int, high: bool) -> int | None:
        """Return the latest high observation of the same domain account on another host."""
        start = self._obs[root].first
        if not high or not self._obs[root].is_high:
            return None
        actors = [a for a in self._obs[root].actors if a.domain and not a.local]
        for p in range(root - 1, -1, -1):
            seen = self._obs[p]
            if not actors or start - seen.first > PRESENCE:
                break
            if (
                not actors
                or not seen.is_high
                or start - seen.last > SHORT_GAP
                or seen.site != self._obs[root].site
            ):
                continue
            if any(a.domain == b.domain and a.may_be(b) for a in actors for b in seen.actors):
                return p
        return None

    def _at_once(self, root: int, high: bool) -> int | None:
        """Return the high observation on another host seconds before, if nobody is named here.

        An exploit against a service leaves no logon: its effect is SYSTEM's or an anonymous caller's doing.
        """
        observation = self._obs[root]
        if not self._weighty(root) or observation.actors:
            return None
        for p in range(root - 1, -1, -1):
            seen = self._obs[p]
            if observation.first - seen.first > LONG_GAP:
                break
            near = observation.first - seen.last <= AT_ONCE and seen.site == observation.site
            if near and self._weighty(p) and not seen.fans_out and not seen.on_device:
                return p
        return None

    def _gather_recurring(self) -> None:
        """Make one group of what recurs day by day and belongs to nothing else."""
        groups: dict[int, set[_Kind | None]] = {}
        for position in range(len(self._obs)):
            groups.setdefault(self._find(position), set()).add(self._recurring[position])
        first: dict[_Kind, int] = {}
        for root in sorted(groups):
            kinds = [kind for kind in groups[root] if kind is not None]
            if len(kinds) == len(groups[root]):
                for kind in sorted(kinds):
                    self._unite("recurring", first.setdefault(kind, root), root)


_Kind = tuple[str, tuple[Node, ...], str]


def _recurring(observations: Sequence[Observation]) -> list[_Kind | None]:
    """Return for each observation its kind (source, hosts, account) if that recurs, else None."""
    kinds: list[_Kind] = [(o.source_id, o.hosts, str(o.account) if o.account else "") for o in observations]
    days: dict[_Kind, set[date]] = {}
    for kind, observation in zip(kinds, observations, strict=True):
        days.setdefault(kind, set()).add(observation.first.date())
    recurs = {kind: len(seen) >= RECURRING_DAYS and _often(seen) for kind, seen in days.items()}
    return [kind if recurs[kind] else None for kind in kinds]


def _often(days: set[date]) -> bool:
    return max(days) - min(days) <= RECURRING_EVERY * (len(days) - 1)
