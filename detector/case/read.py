"""Reading one piece of work into part files. Runs in worker processes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from detector.case.inspect import Inspected, modified_time
from detector.case.journal import ChannelStatistics, ReadSegment, Work
from detector.case.writer import PartWriter
from detector.errors import EvidenceError
from detector.formats.base import Input, Item, ReadContext
from detector.formats.registry import format_named
from detector.sources import Limits, Refusal, walk
from detector.tables.evidence import ReadWarning
from detector.tables.windows import SYSTEM_COLUMNS, WindowsRecord

_TIME, _CHANNEL, _RECORD_ID, _COMPUTER = (
    list(SYSTEM_COLUMNS).index(name) for name in ("TimeCreated", "Channel", "EventRecordID", "Computer")
)


@dataclass(frozen=True)
class Segment:
    """A piece of evidence to read: all of it, or segment `index` of `count` from `start` to `end`."""

    evidence: Inspected
    site: str
    context: ReadContext
    zone_name: str | None
    index: int = 0
    count: int = 1
    start: int = 0
    end: int | None = None
    first_number: int = 1


@dataclass(frozen=True)
class Task:
    """Segments that one worker reads together; all of one archive if they are members of one."""

    id: str
    segments: tuple[Segment, ...]
    bytes: int


def read_task(case: Path, task: Task, limits: Limits) -> Work:
    """Read the segments of a task and write their part files; raises CaseError if the disk refuses."""
    writer = PartWriter(case, task.id)
    done: list[ReadSegment] = []
    by_file: dict[Path, list[Segment]] = defaultdict(list)
    for segment in task.segments:
        by_file[segment.evidence.member.location].append(segment)
    for location, segments in by_file.items():
        if segments[0].evidence.member.name is None:
            done += [_read_file(location, segment, writer) for segment in segments]
        else:
            done += _read_members(location, segments, writer, limits)
    return Work(task.id, tuple(done), writer.finish())


def _read_file(location: Path, segment: Segment, writer: PartWriter) -> ReadSegment:
    tally = _Tally(segment, writer)
    try:
        with location.open("rb") as stream:
            stream.seek(segment.start)
            tally.take(stream)
            if location.stat().st_mtime_ns != segment.evidence.modified_ns:
                tally.warn(ReadWarning(None, "the file was changed while it was being read", None))
    except OSError as error:
        tally.warn(ReadWarning(None, f"cannot be read: {error.strerror or error}", None))
    return tally.result()


def _read_members(
    location: Path, segments: list[Segment], writer: PartWriter, limits: Limits
) -> list[ReadSegment]:
    """Read members of one archive in one pass over it."""
    waiting = {segment.evidence.member.name or "": segment for segment in segments}
    done: list[ReadSegment] = []
    for found in walk(location, str(location), wanted=list(waiting), limits=limits):
        if isinstance(found, Refusal):
            continue
        member, stream = found
        segment = waiting.pop(member.name or "", None)
        if segment is None:
            continue
        tally = _Tally(segment, writer)
        tally.take(stream)
        done.append(tally.result())
    for segment in waiting.values():
        tally = _Tally(segment, writer)
        tally.warn(ReadWarning(None, "could not be reached again in its archive", None))
        done.append(tally.result())
    return done


@dataclass
class _ChannelTally:
    events: int = 0
    first: int | None = None
    last: int | None = None


class _Tally:
    """Passes the records of one segment to the writer and counts them."""

    def __init__(self, segment: Segment, writer: PartWriter) -> None:
        self._segment = segment
        self._writer = writer
        self._id = segment.evidence.evidence_id
        self._events = 0
        self._warnings = 0
        self._first: datetime | None = None
        self._last: datetime | None = None
        self._channels: dict[tuple[str, str], _ChannelTally] = {}

    def take(self, stream: BinaryIO) -> None:
        """Read the segment from a stream that stands at its start."""
        segment = self._segment
        source = Input(
            stream, segment.evidence.head, segment.context, segment.start, segment.end, segment.first_number
        )
        try:
            for item in self._items(source):
                if isinstance(item, ReadWarning):
                    self.warn(item)
                elif isinstance(item, WindowsRecord):
                    self._windows(item)
                else:
                    self._writer.add_network(item, segment.site, self._id)
                    self._count(item.columns.get("time"))
        except (EvidenceError, OSError) as error:
            self.warn(ReadWarning(None, f"reading stopped: {error}", None))

    def _items(self, source: Input) -> Iterator[Item]:
        return format_named(self._segment.evidence.format).read(source)

    def warn(self, warning: ReadWarning) -> None:
        """Store a warning."""
        self._warnings += 1
        self._writer.add_warning(warning, self._id, self._segment.evidence.member.path)

    def _windows(self, record: WindowsRecord) -> None:
        self._writer.add_windows(record, self._segment.site, self._id)
        system: tuple[Any, ...] = record.system
        self._count(system[_TIME])
        key = (system[_CHANNEL] or "", system[_COMPUTER] or "")
        seen = self._channels.get(key)
        if seen is None:
            seen = self._channels[key] = _ChannelTally()
        seen.events += 1
        number = system[_RECORD_ID]
        if number is not None:
            if seen.first is None or number < seen.first:
                seen.first = number
            if seen.last is None or number > seen.last:
                seen.last = number

    def _count(self, time: datetime | None) -> None:
        self._events += 1
        if time is not None:
            if self._first is None or time < self._first:
                self._first = time
            if self._last is None or time > self._last:
                self._last = time

    def result(self) -> ReadSegment:
        """Return what the journal keeps of this segment."""
        segment, evidence = self._segment, self._segment.evidence
        return ReadSegment(
            evidence_id=self._id,
            sha256=evidence.sha256,
            path=evidence.member.path,
            size=evidence.size,
            container_sha256=evidence.container_sha256,
            format=evidence.format,
            site=segment.site,
            time_zone=segment.zone_name,
            time_zone_basis=segment.context.time_zone_basis if segment.zone_name else None,
            segment=segment.index,
            segments=segment.count,
            events=self._events,
            warnings=self._warnings,
            first_event=None if self._first is None else self._first.isoformat(),
            last_event=None if self._last is None else self._last.isoformat(),
            channels=tuple(
                ChannelStatistics(channel, computer, seen.events, seen.first, seen.last)
                for (channel, computer), seen in sorted(self._channels.items())
            ),
        )


def segments_of(evidence: Inspected, site: str, context: ReadContext, zone_name: str | None) -> list[Segment]:
    """Return the segments in which one piece of evidence is read."""
    context = ReadContext(
        context.time_zone,
        context.time_zone_basis,
        modified_time(evidence.member, evidence.modified_ns),
        context.parser,
    )
    starts = ((0, 1), *evidence.cuts)
    ends: list[int | None] = [offset for offset, _ in evidence.cuts]
    return [
        Segment(evidence, site, context, zone_name, index, len(starts), start, end, number)
        for index, ((start, number), end) in enumerate(zip(starts, [*ends, None], strict=True))
    ]
