"""The ground truth beside the logs: which records belong to which step, and what is only alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from detector.simulate.journal import LogFile
from detector.simulate.simulation import Note, Simulation, to_datetime
from detector.tables.steps import STEPS

_NUMBERS = {step.id: step.number for step in STEPS}
#: A look-alike of a large hospital has thousands of records; the truth names this many and counts all.
MAX_LOOKALIKE_EVENTS = 200


@dataclass
class Truth:
    """What was simulated, as `truth.json` holds it; times are ISO 8601 in UTC.

    `files`: path, format, channel, host, records, cleared_records. `attacks`: entry, steps, hosts, accounts,
    paths. `lookalikes`: kind, description, time, hosts, accounts, count, events. An event is
    `{file, host, channel, record}` (EventRecordID) or `{file, line}`.
    """

    simulation: dict[str, Any]
    hosts: list[dict[str, Any]] = field(default_factory=list)
    files: list[dict[str, Any]] = field(default_factory=list)
    attacks: list[dict[str, Any]] = field(default_factory=list)
    lookalikes: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the document of truth.json."""
        return asdict(self)

    @property
    def records(self) -> int:
        """Return how many records all files hold."""
        return sum(int(file["records"]) for file in self.files)


class TruthKeeper:
    """Collects, while files are written, which record got which number."""

    def __init__(self, sim: Simulation) -> None:
        """Take the simulation whose notes are to be told."""
        self._sim = sim
        self._events: dict[int, list[dict[str, Any]]] = {}
        self._counts: dict[int, int] = {}
        self._lost: dict[int, int] = {}

    def told(self, log: LogFile, marks: Iterable[tuple[int, int, int]]) -> None:
        """Take mark, record number and time of each marked record of a file."""
        for mark, number, _ in marks:
            self._counts[mark] = self._counts.get(mark, 0) + 1
            events = self._events.setdefault(mark, [])
            if self._sim.notes[mark].attack or len(events) < MAX_LOOKALIKE_EVENTS:
                events.append(_reference(log, number))

    def lost(self, marks: dict[int, int]) -> None:
        """Take how many marked records are in no file, because a log was cleared or is missing."""
        for mark, count in marks.items():
            self._lost[mark] = self._lost.get(mark, 0) + count

    def finish(self, truth: Truth) -> None:
        """Add the attack and the look-alikes to the truth."""
        notes = list(enumerate(self._sim.notes))
        steps = [self._step(mark, note) for mark, note in notes if note.attack and note.start is not None]
        if steps:
            truth.attacks.append(self._attack(steps, [note for _, note in notes if note.attack]))
        truth.lookalikes += [
            self._lookalike(mark, note)
            for mark, note in notes
            if not note.attack and (mark in self._counts or mark in self._lost)
        ]

    def _common(self, mark: int, note: Note) -> dict[str, Any]:
        return {
            "description": note.description,
            "start": _iso(note.start),
            "end": _iso(note.end),
            "hosts": sorted(note.hosts),
            "accounts": sorted(note.accounts),
            "count": self._counts.get(mark, 0),
            "lost": self._lost.get(mark, 0),
            "events": self._events.get(mark, []),
        }

    def _step(self, mark: int, note: Note) -> dict[str, Any]:
        return {"id": note.kind, "number": _NUMBERS[note.kind]} | self._common(mark, note)

    def _lookalike(self, mark: int, note: Note) -> dict[str, Any]:
        return {"kind": note.kind, "name": note.name} | self._common(mark, note)

    def _attack(self, steps: list[dict[str, Any]], notes: list[Note]) -> dict[str, Any]:
        first: dict[str, int] = {}
        accounts: set[str] = set()
        for note in notes:
            accounts |= note.accounts
            for host, moment in note.hosts.items():
                first[host] = min(moment, first.get(host, moment))
        paths = sorted((path for note in notes for path in note.paths), key=lambda path: (path[4], path[:4]))
        entry = dict(self._sim.entry) if self._sim.entry else None
        if entry is not None:
            entry["time"] = _iso(entry["time"])
        return {
            "entry": entry,
            "steps": sorted(steps, key=lambda step: (step["start"], step["number"])),
            "hosts": {
                host: _iso(moment) for host, moment in sorted(first.items(), key=lambda item: item[::-1])
            },
            "accounts": sorted(accounts),
            "paths": [
                {"from": source, "to": target, "account": account, "how": how, "time": _iso(moment)}
                for source, target, account, how, moment in paths
            ],
        }


def _reference(log: LogFile, number: int) -> dict[str, Any]:
    if log.kind != "evtx":
        return {"file": log.path, "line": number}
    return {"file": log.path, "host": log.host, "channel": log.channel, "record": number}


def _iso(moment: int | None) -> str | None:
    return None if moment is None else _text(to_datetime(moment))


def _text(time: datetime) -> str:
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")


def describe_hosts(sim: Simulation) -> Iterator[dict[str, Any]]:
    """Yield what the truth says of each machine."""
    for host in sim.world.hosts.values():
        yield {
            "name": host.name,
            "ip": host.ip,
            "role": host.role,
            "os": host.os,
            "site": host.site,
            "computer": host.computer,
            "clock_offset_seconds": host.clock_offset / 1_000_000,
        }
