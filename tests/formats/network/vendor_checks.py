"""What the tests of devices share beside the promises of every record: what recordings there are of whom."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from detector.formats.base import ReadContext
from detector.formats.network.devices import Device, Parsed
from tests.formats.network.promises import check

CONTEXT = ReadContext(time_zone=UTC, reference_time=datetime(2026, 11, 1, tzinfo=UTC))


def one(device: Device, line: str, **context: Any) -> Parsed:
    """Read one line and check what every record promises."""
    known = ReadContext(**context) if context else CONTEXT
    parsed = device.parse(line, known)
    assert parsed is not None, line
    check(parsed)
    return parsed


def flat(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of a document by their dotted names."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def elastic(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield what Elastic expects of each line of a folder, flat; `event.original` is the line."""
    for path in sorted(folder.rglob("*-expected.json")):
        for document in json.loads(path.read_text("utf-8"))["expected"]:
            if document:
                yield dict(flat(document))


def sekoia(folder: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield file name, line, and what Sekoia expects of it, flat."""
    for path in sorted(folder.glob("*.json")):
        document = json.loads(path.read_text("utf-8"))
        yield path.name, document["input"]["message"], dict(flat(document["expected"]))


def all_lines(netlogs: Path) -> Iterator[tuple[str, str]]:
    """Yield (folder of the vendor, line) of all recordings."""
    for path in sorted(netlogs.rglob("*")):
        vendor = path.relative_to(netlogs).parts[0]
        if not path.is_file() or path.name.endswith(("-expected.json", ".tsv", ".yml", ".assert", ".md")):
            continue
        text = path.read_bytes().decode("utf-8", errors="backslashreplace")
        if path.suffix == ".json" and path.parent.name.startswith("sekoia_"):
            text = json.loads(text)["input"]["message"]
        if path.suffix == ".ini":
            text = "\n".join(
                line.partition(" = ")[2] for line in text.splitlines() if line.startswith("log ")
            )
        for line in text.splitlines():
            if line.strip():
                yield vendor, line


def strangers(device: Device, netlogs: Path, own: set[str]) -> list[tuple[str, str]]:
    """Return the lines of other vendors that a device would take."""
    return [
        (vendor, line)
        for vendor, line in all_lines(netlogs)
        if vendor not in own
        and (not device.marks or any(mark in line for mark in device.marks))
        and device.parse(line, CONTEXT) is not None
    ]


def linear(parse: Callable[[str, ReadContext], Any], make: Callable[[int], str], size: int = 8000) -> bool:
    """Does a line of four times the size take about four times as long? (Tries again: a shared machine.)"""
    for _ in range(4):
        took = []
        for scale in (size, 4 * size):
            line = make(scale)
            begin = time.process_time()
            parse(line, CONTEXT)
            took.append(time.process_time() - begin)
        if took[1] < 0.05 or took[1] < 9 * max(took[0], 1e-4):
            return True
    return False
