"""What a simulation is asked for, checked before anything is written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from detector.errors import SimulationError, TimeZoneError

#: Hosts that a hospital has at least: domain controller, meal, record and backup server, and two clients.
MIN_HOSTS = 6
#: Addresses of the client network (10.1.16.0/20, less network, gateway and broadcast) and of the servers'.
MAX_HOSTS = 4000
MAX_DAYS = 400

#: `full` is the incident in all steps; `intrusion` stops before the clients and the ransomware; `none` is
#: benign life alone.
ATTACKS = ("full", "intrusion", "none")
#: How the intruder enters the supplier's VPN: names and passwords tried first, or at once with what leaked.
ENTRIES = ("guessing", "leaked")
#: How the intruder runs commands on the servers after the first.
MOVEMENTS = ("psexec", "rdp", "wmi")
#: Process-creation auditing (4688 with command line), which most hospitals do not have.
AUDITS = ("none", "servers", "all")
#: Who protects the servers: an installed product (MSI) or what Windows brings.
ANTIVIRUS = ("product", "defender")


@dataclass(frozen=True)
class SimulationOptions:
    """The parameters of one simulated hospital; equal options give equal bytes.

    `start` is the first local day; `hosts` counts the hospital's servers and clients (the supplier's two
    machines come on top); `rate` scales background noise per host; `break_in_hour` is the local time, in
    hours, of the intruder's first successful VPN login, and `dwell_days` what passes between it and the
    night of the ransomware. `clock_skew` is the largest error, in seconds, of clocks outside the domain.
    `missing` are name patterns (`HOST/Security.evtx`, `*/System.evtx`) of files left out of the export.
    """

    days: int = 3
    hosts: int = 20
    seed: int = 1
    attack: Literal["full", "intrusion", "none"] = "full"
    start: date = date(2025, 10, 27)
    time_zone: str = "Asia/Tokyo"
    rate: float = 1.0
    break_in_hour: float = 22.5
    dwell_days: int | None = None
    entry: Literal["guessing", "leaked"] = "guessing"
    movement: Literal["psexec", "rdp", "wmi"] = "psexec"
    antivirus: Literal["product", "defender"] = "product"
    process_auditing: Literal["none", "servers", "all"] = "servers"
    clear_logs: bool = True
    print_notes: bool = False
    japanese_names: bool = False
    sysmon_hosts: int = 0
    clock_skew: int = 0
    missing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check every value; SimulationError or TimeZoneError names the one that is wrong."""
        _between("days", self.days, 1, MAX_DAYS)
        _between("hosts", self.hosts, MIN_HOSTS, MAX_HOSTS)
        _between("rate", self.rate, 0.0, 1000.0)
        _between("break_in_hour", self.break_in_hour, 0.0, 23.99)
        _between("clock_skew", self.clock_skew, 0, 86400)
        _between("sysmon_hosts", self.sysmon_hosts, 0, self.hosts)
        _one_of("attack", self.attack, ATTACKS)
        _one_of("entry", self.entry, ENTRIES)
        _one_of("movement", self.movement, MOVEMENTS)
        _one_of("antivirus", self.antivirus, ANTIVIRUS)
        _one_of("process_auditing", self.process_auditing, AUDITS)
        if self.dwell_days is not None:
            _between("dwell_days", self.dwell_days, 0, self.days)
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise TimeZoneError(
                f"time zone {self.time_zone!r} is unknown; use an IANA name such as Asia/Tokyo"
            ) from error
        try:
            self.start + timedelta(days=self.days)
        except OverflowError as error:
            raise SimulationError(
                f"start {self.start} plus {self.days} days is beyond the calendar"
            ) from error
        if self.start.year < 1970:
            raise SimulationError(f"start {self.start} is before 1970, which no log here can hold")

    @property
    def dwell(self) -> int:
        """Days between the break-in and the last night, as far as the simulated time allows."""
        longest = max(0, self.days - 2)
        return longest if self.dwell_days is None else min(self.dwell_days, longest)


def _between(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise SimulationError(f"{name} is {value}, but must be between {low:g} and {high:g}")


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise SimulationError(f"{name} is {value!r}, but must be one of {', '.join(allowed)}")
