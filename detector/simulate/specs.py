"""The table of Windows events that the simulation can write, read from windows_events.toml.

There, and nowhere else, stands which provider, version, task, keywords and fields an event has.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

AUDIT_FAILURE = 0x8010000000000000


@dataclass(frozen=True)
class EventSpec:
    """One event of one provider: what its System element says, and its fields in template order.

    `fields` are (name, type) pairs; `user_data` is the name of the element below UserData and `namespace`
    its XML namespace, both None for EventData. `reference` says where the shape is documented, None where
    the recordings of the corpus hold it.
    """

    key: str
    provider: str
    provider_guid: str | None
    event_source: str | None
    channel: str
    event_id: int
    qualifiers: int | None
    version: int
    level: int
    task: int
    opcode: int
    keywords: int
    process: str
    user: str | None
    user_data: str | None
    namespace: str | None
    event_data_name: str | None
    reference: str | None
    fields: tuple[tuple[str, str], ...]
    names: tuple[str, ...]


@cache
def event_specs() -> Mapping[str, EventSpec]:
    """Return every known event by its key, such as `security.4624`."""
    text = files("detector.simulate").joinpath("windows_events.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)
    return {key: _spec(key, entry, table["providers"]) for key, entry in table["events"].items()}


def _spec(key: str, entry: dict[str, Any], providers: dict[str, dict[str, str]]) -> EventSpec:
    provider = providers[entry["provider"]]
    pairs = tuple((name, kind) for name, _, kind in (field.rpartition(":") for field in entry["fields"]))
    return EventSpec(
        key=key,
        provider=provider["name"],
        provider_guid=provider.get("guid"),
        event_source=provider.get("source"),
        channel=entry["channel"],
        event_id=entry["id"],
        qualifiers=entry.get("qualifiers"),
        version=entry.get("version", 0),
        level=entry["level"],
        task=entry["task"],
        opcode=entry.get("opcode", 0),
        keywords=int(entry["keywords"], 16),
        process=entry.get("process", "zero"),
        user=entry.get("user"),
        user_data=entry.get("user_data"),
        namespace=entry.get("namespace"),
        event_data_name=entry.get("event_data_name"),
        reference=entry.get("reference"),
        fields=pairs,
        names=tuple(name for name, _ in pairs),
    )
