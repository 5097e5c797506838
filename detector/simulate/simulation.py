"""The running simulation: the world, the clock, the logs, and the notes that become the ground truth."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from detector.simulate.journal import CLEARED, Journal
from detector.simulate.options import SimulationOptions
from detector.simulate.specs import event_specs
from detector.simulate.world import FIREWALL, VPN_GATEWAY, Host, World, build_world

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
MILLISECOND = 1_000

#: What happens at a moment (microseconds since 1970 UTC): a call that writes the records of one activity.
Activity = tuple[int, Callable[[], None]]
Activities = Iterator[Activity]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FORTIGATE = "fortigate"
PFIREWALL = "pfirewall"


def to_datetime(moment: int) -> datetime:
    """Return a moment as an aware datetime in UTC."""
    return _EPOCH + timedelta(microseconds=moment)


@dataclass
class Note:
    """What the ground truth tells of one step of the attack or one benign look-alike.

    `path` entries are (source, destination, account, how, moment).
    """

    kind: str
    name: str
    description: str
    attack: bool
    start: int | None = None
    end: int | None = None
    hosts: dict[str, int] = field(default_factory=dict)
    accounts: set[str] = field(default_factory=set)
    paths: list[tuple[str, str, str, str, int]] = field(default_factory=list)


class Simulation:
    """State shared by all behaviours."""

    def __init__(self, options: SimulationOptions, journal: Journal) -> None:
        """Build the world of these options; nothing has happened yet."""
        self.options = options
        self.world: World = build_world(options)
        self.journal = journal
        self.zone = ZoneInfo(options.time_zone)
        self.notes: list[Note] = []
        self.entry: dict[str, Any] | None = None
        self.start = self.local(0, 0.0)
        self.end = self.local(options.days, 0.0)
        self.sysmon = frozenset(host.name for host in self.world.servers[: options.sysmon_hosts])
        self._specs = event_specs()
        self._devices: dict[str, random.Random] = {}

    def local(self, day: int, hour: float) -> int:
        """Return the moment of a local time of day, `day` counted from the first, `hour` 0 to 24 and more."""
        midnight = datetime.combine(self.options.start + timedelta(days=day), time(), tzinfo=self.zone)
        return round((midnight - _EPOCH).total_seconds() * SECOND) + round(hour * HOUR)

    def days(self) -> range:
        """Return the simulated days, counted from 0."""
        return range(self.options.days)

    def weekday(self, day: int) -> int:
        """Return the day of the week, Monday being 0."""
        return (self.options.start + timedelta(days=day)).weekday()

    def rng(self, name: str) -> random.Random:
        """Return a generator of its own for one behaviour, so that behaviours do not disturb each other."""
        return random.Random(f"{self.options.seed}/{name}")

    def device_random(self, device: str) -> random.Random:
        """Return the generator of a network device, the same at every call."""
        return self._devices.setdefault(device, self.rng(f"device/{device}"))

    def guid(self, rng: random.Random) -> str:
        """Return a random GUID in braces, upper case as Windows' own tools print it."""
        return "{" + str(uuid.UUID(int=rng.getrandbits(128), version=4)).upper() + "}"

    # What the truth tells.

    def note(self, kind: str, name: str, description: str, *, attack: bool = False) -> int:
        """Begin a note and return its mark, with which its records are labelled."""
        self.notes.append(Note(kind, name, description, attack))
        return len(self.notes) - 1

    def touch(
        self, mark: int | None, moment: int, host: str | None = None, account: str | None = None
    ) -> None:
        """Note that a host or an account takes part from this moment."""
        if mark is None:
            return
        note = self.notes[mark]
        note.start = moment if note.start is None else min(note.start, moment)
        note.end = moment if note.end is None else max(note.end, moment)
        if host is not None:
            note.hosts[host] = min(moment, note.hosts.get(host, moment))
        if account is not None:
            note.accounts.add(account)

    def path(self, mark: int | None, moment: int, source: str, target: str, account: str, how: str) -> None:
        """Note a movement from one host (or address) to another."""
        if mark is not None:
            self.notes[mark].paths.append((source, target, account, how, moment))
            self.touch(mark, moment, target, account)

    # Records.

    def event(
        self,
        host: Host,
        moment: int,
        key: str,
        values: Mapping[str, Any],
        mark: int | None = None,
        *,
        failure: bool = False,
        user: str | None = None,
        pid: int | None = None,
    ) -> None:
        """Write a Windows event into its channel on a host.

        `values` holds every field of the event's template by name; `user` is the SID in the System element
        where the event does not always name the same; `pid` the writing process where it is not always the
        same. Nothing is written where the machine does not keep that log.
        """
        spec = self._specs[key]
        channel = spec.channel
        if channel.startswith("Microsoft-Windows-Sysmon") and host.name not in self.sysmon:
            return
        log = self.journal.log(host.name, channel)
        if log is None:
            name = channel.replace("/", "%4")
            first = random.Random(f"{self.options.seed}/{host.name}/{channel}").randrange(900, 250_000)
            log = self.journal.open(f"{host.name}/{name}.evtx", host.name, channel, "evtx", first)
        process = host.pid_of(spec.process) if pid is None else pid
        thread = 0 if spec.process == "zero" else (host.rng.randrange(0x40, 0x1FFF) & ~3)
        body = (
            spec,
            tuple([values[name] for name in spec.names]),
            process,
            thread,
            user or spec.user,
            failure,
        )
        log.add(moment + host.clock_offset, body, mark)
        self.touch(mark, moment)

    def clear_log(self, host: Host, channel: str, moment: int) -> None:
        """Empty a log at this moment; records after it stay."""
        log = self.journal.log(host.name, channel)
        if log is not None:
            log.add(moment + host.clock_offset, CLEARED, None)

    def firewall(
        self, device: str, moment: int, content: Mapping[str, object], mark: int | None = None
    ) -> None:
        """Write a line into the log of a FortiGate; `content` is the line's keys after the common ones."""
        log = self.journal.log(device, FORTIGATE)
        if log is None:
            path = {FIREWALL: "firewall/hosp-fw1.log", VPN_GATEWAY: "supplier-vpn/supplier-vpn1.log"}[device]
            log = self.journal.open(path, device, FORTIGATE, "fortigate")
        log.add(moment, content, mark)
        self.touch(mark, moment)

    def connection(
        self, host: Host, moment: int, source: str, source_port: int, port: int, mark: int | None = None
    ) -> None:
        """Write an accepted TCP connection into pfirewall.log where the machine's own firewall logs."""
        if not host.firewall_log:
            return
        log = self.journal.log(host.name, PFIREWALL)
        if log is None:
            log = self.journal.open(f"{host.name}/pfirewall.log", host.name, PFIREWALL, PFIREWALL)
        log.add(moment + host.clock_offset, (source, host.ip, source_port, port), mark)
