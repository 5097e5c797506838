"""Visibility: which logs would show a step of the attack, and whether the case holds them.

A step that was not seen means something only where it could have been seen. Sources that Windows writes
without being told ('always') count by their channel; those that need an audit policy or a sensor count only
if the host has written such an event at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from detector.incidents.entities import Node

_SECURITY = "Security"
_SYSTEM = "System"
_APPLICATION = "Application"
_SYSMON = "Microsoft-Windows-Sysmon/Operational"
_DEFENDER = "Microsoft-Windows-Windows Defender/Operational"
_SESSIONS = "Microsoft-Windows-TerminalServices-LocalSessionManager/Operational"
_CONNECTIONS = "Microsoft-Windows-TerminalServices-RemoteConnectionManager/Operational"
_PRINT = "Microsoft-Windows-PrintService/Operational"


class LogSource(NamedTuple):
    """Events that would show a step; `channel` is one of Windows, or 'vpn' or 'firewall' for those tables."""

    channel: str
    event_ids: tuple[int, ...] = ()
    always: bool = True

    @property
    def label(self) -> str:
        """How people call it: `Security 4624/4625`."""
        name = self.channel.removeprefix("Microsoft-Windows-").removesuffix("/Operational")
        return f"{name} {'/'.join(map(str, self.event_ids))}" if self.event_ids else name


_VPN = LogSource("vpn")
_FIREWALL = LogSource("firewall")

#: The events by which Windows says that a log was cleared.
_CLEARED = frozenset({(_SECURITY, 1102), (_SYSTEM, 104)})

#: Step -> what would show it. Event ids: ../shared/incident.md; what is audited by default: Microsoft, "Audit
#: Policy Recommendations" (logon success everywhere, process creation and object access nowhere).
SOURCES: dict[str, tuple[LogSource, ...]] = {
    "initial_access": (_VPN, _FIREWALL),
    "discovery": (
        _FIREWALL,
        LogSource(_SECURITY, (4625,), False),
        LogSource(_SECURITY, (5140, 5145), False),
        LogSource(_SECURITY, (4688,), False),
        LogSource(_SYSMON, (1,), False),
    ),
    "remote_desktop": (
        _FIREWALL,
        LogSource(_SECURITY, (4624,)),
        LogSource(_SESSIONS, (21, 25)),
        LogSource(_CONNECTIONS, (1149,)),
    ),
    "defense_evasion": (
        LogSource(_SYSTEM, (7036, 7040, 7045, 104)),
        LogSource(_APPLICATION, (1034, 11724)),
        LogSource(_DEFENDER, (5001, 5007, 5010, 5012)),
        LogSource(_SECURITY, (1102,)),
    ),
    "credential_access": (
        LogSource(_SYSMON, (1, 10), False),
        LogSource(_SECURITY, (4656, 4663), False),
        LogSource(_SECURITY, (4688,), False),
    ),
    "lateral_movement": (
        LogSource(_SECURITY, (4624,)),
        LogSource(_SYSTEM, (7045,)),
        LogSource(_SECURITY, (5140, 5145), False),
    ),
    "mass_logon": (LogSource(_SECURITY, (4624, 4625)),),
    "impact": (
        LogSource(_SECURITY, (4688,), False),
        LogSource(_SYSMON, (1, 11), False),
        LogSource(_SYSTEM, (7036, 104)),
        LogSource(_PRINT, (307,), False),
    ),
}


class Coverage(NamedTuple):
    """A host wrote events of this id to this channel, from `first` to `last`."""

    host: Node
    channel: str
    event_id: int | None
    first: datetime
    last: datetime


@dataclass(frozen=True)
class Visibility:
    """Whether a step could be seen: sources checked and missing (labels), on how many of how many hosts."""

    checked: tuple[str, ...]
    missing: tuple[str, ...]
    hosts_visible: int
    hosts: int


class LogCoverage:
    """What logs the case holds of which host, and which network logs of which site."""

    def __init__(self, rows: Iterable[Coverage], network: Collection[tuple[str, str]] = ()) -> None:
        self._network = frozenset(network)  # (site, 'vpn' or 'firewall')
        self._ids: set[tuple[Node, str, int]] = set()
        self._clears: dict[Node, list[tuple[datetime, datetime]]] = {}
        self._spans: dict[tuple[Node, str], tuple[datetime, datetime]] = {}
        for row in rows:
            if row.event_id is not None:
                self._ids.add((row.host, row.channel, row.event_id))
            if (row.channel, row.event_id) in _CLEARED:
                self._clears.setdefault(row.host, []).append((row.first, row.last))
            first, last = self._spans.get((row.host, row.channel), (row.first, row.last))
            self._spans[row.host, row.channel] = (min(first, row.first), max(last, row.last))
        self.hosts = frozenset(host for host, _ in self._spans)

    def span(self, host: Node, channel: str) -> tuple[datetime, datetime] | None:
        """Return the first and last event of a channel of a host, None if the case has none."""
        return self._spans.get((host, channel))

    def spans_of(self, host: Node) -> list[tuple[datetime, datetime]]:
        """Return the first and last event of every channel of a host."""
        return [span for (node, _), span in self._spans.items() if node == host]

    @property
    def network_sites(self) -> frozenset[str]:
        """The sites of which the case holds VPN or firewall logs."""
        return frozenset(site for site, _ in self._network)

    def cleared(self, host: Node, first: datetime, last: datetime) -> bool:
        """Whether a log of the host was cleared between two times: its first or its last clearing counts."""
        clears = [time for span in self._clears.get(host, []) for time in span]
        return any(first <= time <= last for time in clears)

    def of_step(
        self, step: str, sites: Collection[str], hosts: Collection[Node], first: datetime, last: datetime
    ) -> Visibility:
        """Return whether a step could be seen on these hosts between two times."""
        checked: list[str] = []
        missing: list[str] = []
        visible: set[Node] = set()
        anywhere = False
        for source in SOURCES.get(step, ()):
            if source.channel in ("vpn", "firewall"):
                there = any((site, source.channel) in self._network for site in sites)
                anywhere |= there
            else:
                found = {host for host in hosts if self._shows(host, source, first, last)}
                visible |= found
                there = bool(found)
            (checked if there else missing).append(source.label)
        seen_on = len(hosts) if anywhere else len(visible)
        return Visibility(tuple(checked), tuple(missing), seen_on, len(hosts))

    def _shows(self, host: Node, source: LogSource, first: datetime, last: datetime) -> bool:
        span = self._spans.get((host, source.channel))
        if span is None or span[0] > last or span[1] < first:
            return False
        return source.always or any(
            (host, source.channel, number) in self._ids for number in source.event_ids
        )
