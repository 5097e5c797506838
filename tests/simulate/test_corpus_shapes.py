"""Every simulated event has the shape that Windows gave the same event in a real recording."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from detector.simulate.specs import AUDIT_FAILURE, event_specs
from tests.simulate.conftest import Simulated, read_events

Shapes = dict[tuple[str, str, int], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def recorded(corpus: Path) -> Shapes:
    """Return distinct shapes of all recorded events by channel, provider and event id."""
    shapes: dict[tuple[str, str, int], dict[tuple[Any, ...], dict[str, Any]]] = defaultdict(dict)
    for path in sorted(corpus.rglob("*.evtx")):
        try:
            for event in read_events(path):
                key = (event["channel"], event["provider"], event["id"])
                parts = ("version", "level", "task", "opcode", "keywords")
                shape = (tuple(event["data"]), *(event[part] for part in parts))
                shapes[key].setdefault(shape, event)
        except (RuntimeError, OSError, KeyError):
            continue  # damaged on purpose; the reader's own tests are about those
    return {key: list(found.values()) for key, found in shapes.items()}


@pytest.mark.corpus
def test_shapes_are_those_of_recordings(recorded: Shapes) -> None:
    compared = 0
    for key, spec in event_specs().items():
        # Classic sources have no version up to Windows 10 1909, and have 0 since.
        found = [
            event
            for event in recorded.get((spec.channel, spec.provider, spec.event_id), [])
            if event["version"] == spec.version or event["version"] is None
        ]
        if not found:
            assert spec.reference, f"{key}: no recording has it, so its reference must be named"
            continue
        names = {name for event in found for name in event["data"]}
        assert set(spec.names) <= names, key
        assert spec.task in {event["task"] for event in found}, key
        assert spec.level in {event["level"] for event in found}, key
        assert spec.opcode in {event["opcode"] or 0 for event in found}, key
        assert spec.keywords in {event["keywords"] for event in found}, key
        guids = {(event["guid"] or "").strip("{}").lower() for event in found}
        assert (spec.provider_guid or "") in guids, key
        compared += 1
    assert compared >= 75


@pytest.mark.corpus
def test_what_was_written_reads_like_the_recordings(recorded: Shapes, simulated: Simulated) -> None:
    """What a parser finds in our files has the names, the order and the kinds of value of real events."""
    seen = set()
    for file in simulated.files("evtx"):
        for event in read_events(simulated.out / file["path"]):
            key = (event["channel"], event["provider"], event["id"])
            real = [e for e in recorded.get(key, []) if e["version"] in (None, event["version"])]
            shape = (key, tuple(event["data"]))
            if not real or shape in seen:
                continue
            seen.add(shape)
            assert tuple(event["data"]) in {tuple(e["data"]) for e in real}, key
            assert event["keywords"] in {e["keywords"] for e in real} | {AUDIT_FAILURE}, key
            for name, value in event["data"].items():
                kinds = {type(e["data"].get(name)) for e in real} | {type(None), str}
                assert type(value) in kinds, (key, name, value)
                if isinstance(value, str) and any(
                    str(e["data"].get(name)).startswith(("0x", "S-1-")) for e in real
                ):
                    assert value[:2] in ("0x", "S-", "-", ""), (key, name, value)
    assert len(seen) >= 35
