"""One small simulation, shared by the tests of this folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from evtx import PyEvtxParser

from detector.simulate import SimulationOptions, Truth, write


@dataclass(frozen=True)
class Simulated:
    """A written simulation: where it is and what its truth says."""

    out: Path
    truth: Truth

    def events(self, host: str, channel: str = "Security") -> list[dict[str, Any]]:
        """Return a log's events as the evtx package reads them; none where there is no such log."""
        path = self.out / "logs" / host / f"{channel.replace('/', '%4')}.evtx"
        return list(read_events(path)) if path.exists() else []

    def files(self, kind: str) -> list[dict[str, Any]]:
        """Return the truth's files of a format."""
        return [file for file in self.truth.files if file["format"] == kind]


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """Yield {id, record, time, data, provider, version, …} of each event of an EVTX file."""
    for record in PyEvtxParser(str(path)).records_json():
        event = json.loads(record["data"])["Event"]
        system = event["System"]
        number = system["EventID"]
        data = event.get("EventData") or {}
        for content in (event.get("UserData") or {}).values():
            data = content
        yield {
            "id": number if isinstance(number, int) else number["#text"],
            "record": system["EventRecordID"],
            "time": system["TimeCreated"]["#attributes"]["SystemTime"],
            "channel": system["Channel"],
            "provider": system["Provider"]["#attributes"]["Name"],
            "guid": system["Provider"]["#attributes"].get("Guid"),
            "version": system.get("Version"),
            "level": system["Level"],
            "task": system["Task"],
            "opcode": system.get("Opcode"),
            "keywords": int(system["Keywords"], 16),
            "computer": system["Computer"],
            "data": {key: value for key, value in data.items() if key != "#attributes"},
        }


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    """Return a hospital of twelve machines with all steps of the attack and nothing cleared."""
    out = tmp_path_factory.mktemp("simulated")
    options = SimulationOptions(hosts=12, days=2, seed=11, clear_logs=False, sysmon_hosts=2)
    return Simulated(out, write(options, out))
