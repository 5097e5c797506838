"""The journal of a case: one line of JSON for each finished piece of work, only ever appended to.

What the journal does not name is not in the case: part files without a line are leftovers of interrupted
work and are removed before the next ingest. A line that was cut off by a crash is ignored.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from detector.errors import CaseError


@dataclass(frozen=True)
class ChannelStatistics:
    """What one evidence file holds of one channel of one computer."""

    channel: str
    computer: str
    events: int
    first_record_id: int | None
    last_record_id: int | None


@dataclass(frozen=True)
class ReadSegment:
    """One evidence file, or one segment of a large one, that has been read. Times are ISO 8601 in UTC."""

    evidence_id: str
    sha256: str
    path: str
    size: int
    container_sha256: str | None
    format: str
    site: str
    time_zone: str | None
    time_zone_basis: str | None
    segment: int
    segments: int
    events: int
    warnings: int
    first_event: str | None
    last_event: str | None
    channels: tuple[ChannelStatistics, ...] = ()


@dataclass(frozen=True)
class Part:
    """One Parquet file: the table it belongs to, its path below the case folder, rows and columns.

    `table` is windows, firewall, vpn or warnings; `channel` is set for windows.
    """

    table: str
    channel: str | None
    file: str
    rows: int
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Work:
    """A finished piece of work: segments that were read together, and the parts they are stored in."""

    task: str
    read: tuple[ReadSegment, ...]
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Copy:
    """A further path at which evidence of the case was found."""

    evidence_id: str
    path: str


@dataclass
class Journal:
    """The finished work of a case, in memory and on disk."""

    path: Path
    work: list[Work] = field(default_factory=list)
    copies: list[Copy] = field(default_factory=list)

    @classmethod
    def load(cls, path: Path) -> Journal:
        """Read a journal; an absent file is an empty one. Raises CaseError if a line is damaged."""
        journal = cls(path)
        try:
            lines = path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return journal
        except OSError as error:
            raise CaseError(f"{path} cannot be read: {error.strerror or error}") from error
        # What stands behind the last line feed was being written when the tool was stopped.
        for number, line in enumerate(lines[:-1], 1):
            try:
                journal._take(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise CaseError(
                    f"{path}, line {number}: the journal is damaged ({error}); restore the case "
                    "from a copy, or ingest the evidence into a new one"
                ) from error
        return journal

    def append(self, entries: Iterable[Work | Copy]) -> None:
        """Add finished work, on disk first; a line cut off by a crash is overwritten."""
        entries = list(entries)
        lines = "".join(
            json.dumps(
                {"type": type(entry).__name__.lower(), **vars(entry)}, ensure_ascii=False, default=vars
            )
            + "\n"
            for entry in entries
        )
        try:
            with self.path.open("r+b" if self.path.exists() else "w+b") as stream:
                stream.seek(_complete_bytes(self.path))
                stream.truncate()
                stream.write(lines.encode("utf-8", errors="backslashreplace"))
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise CaseError(f"{self.path} cannot be written: {error.strerror or error}") from error
        for entry in entries:
            (self.work if isinstance(entry, Work) else self.copies).append(entry)  # type: ignore[arg-type]

    def segments(self) -> Iterator[ReadSegment]:
        """Yield every segment read so far."""
        for work in self.work:
            yield from work.read

    def parts(self) -> Iterator[Part]:
        """Yield every part file of the case."""
        for work in self.work:
            yield from work.parts

    def _take(self, entry: dict[str, Any]) -> None:
        kind = entry.pop("type")
        if kind == "copy":
            self.copies.append(Copy(**entry))
            return
        read = tuple(
            ReadSegment(**{**one, "channels": tuple(ChannelStatistics(**each) for each in one["channels"])})
            for one in entry["read"]
        )
        parts = tuple(Part(**{**one, "columns": tuple(one["columns"])}) for one in entry["parts"])
        self.work.append(Work(entry["task"], read, parts))


def _complete_bytes(path: Path) -> int:
    """Return how many bytes of the journal are whole lines."""
    return path.read_bytes().rfind(b"\n") + 1


def parse_time(text: str | None) -> datetime | None:
    """Return a time of the journal as an aware datetime."""
    return None if text is None else datetime.fromisoformat(text)
