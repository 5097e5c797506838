"""Reading one piece of work into part files. Runs in worker processes."""

from __future__ import annotations

import gc
import io
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from detector.case.inspect import Inspected, modified_time
from detector.case.journal import ChannelStatistics, ReadSegment, Work
from detector.case.writer import PartWriter, Statistics
from detector.errors import ArchiveError, EvidenceError
from detector.formats.base import UNEXPECTED, Format, Input, Item, ReadContext, fault
from detector.sources import Limits, Refusal, walk
from detector.tables.evidence import ReadWarning
from detector.tables.windows import EncodedEvents, WindowsRecord


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
    """Segments that one worker reads together: of one archive all, of one large file never two."""

    id: str
    segments: tuple[Segment, ...]
    bytes: int


def read_task(case: Path, task: Task, limits: Limits) -> Work:
    """Read the segments of a task and write their part files; raises CaseError if the disk refuses."""
    with _without_garbage_collection():
        return _read_task(case, task, limits)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Stop the search for reference cycles, which rows do not form and which costs a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _read_task(case: Path, task: Task, limits: Limits) -> Work:
    writer = PartWriter(case, task.id)
    by_file: dict[Path, list[Segment]] = defaultdict(list)
    for segment in task.segments:
        by_file[segment.evidence.member.location].append(segment)
    for location, segments in by_file.items():
        if segments[0].evidence.member.name is None:
            for segment in segments:
                _read_file(location, segment, writer)
        else:
            _read_members(location, segments, writer, limits)
    parts = writer.finish()
    done = tuple(_done(each, writer.statistics[each.evidence.evidence_id]) for each in task.segments)
    return Work(task.id, done, parts)


def _read_file(location: Path, segment: Segment, writer: PartWriter) -> None:
    try:
        with location.open("rb") as stream:
            stream.seek(segment.start)
            _take(segment, stream, writer)
            if location.stat().st_mtime_ns != segment.evidence.modified_ns:
                _warn(segment, writer, "the file was changed while it was being read")
    except OSError as error:
        _warn(segment, writer, f"cannot be read: {error.strerror or error}")


def _read_members(location: Path, segments: list[Segment], writer: PartWriter, limits: Limits) -> None:
    """Read members of one archive in one pass over it."""
    waiting = {segment.evidence.member.name or "": segment for segment in segments}
    for found in walk(location, str(location), wanted=list(waiting), limits=limits):
        if isinstance(found, Refusal):
            continue
        member, stream = found
        segment = waiting.pop(member.name or "", None)
        if segment is not None:
            part = _ReadablePart(stream)
            _take(segment, part, writer)
            if part.damage:
                damage = part.damage.removeprefix(f"{segment.evidence.member.path}: ")
                _warn(segment, writer, f"read only as far as its archive allows: {damage}")
    for segment in waiting.values():
        _warn(segment, writer, "could not be reached again in its archive")


class _ReadablePart(io.RawIOBase):
    """A member of an archive that ends where the archive is damaged; `damage` then says what is wrong.

    A reader holds records that it has not yielded when its stream raises; it yields them when it ends.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.damage = ""

    def read(self, size: int = -1, /) -> bytes:
        if self.damage:
            return b""
        try:
            return self._stream.read(size)
        except ArchiveError as error:
            self.damage = str(error)
            return b""


def _take(segment: Segment, stream: BinaryIO | _ReadablePart, writer: PartWriter) -> None:
    """Pass the records of one segment, whose stream stands at its start, to the writer."""
    evidence = segment.evidence
    evidence_id, site = evidence.evidence_id, segment.site
    source = Input(
        cast(BinaryIO, stream),
        evidence.head,
        segment.context,
        segment.start,
        segment.end,
        segment.first_number,
        encoded=True,
    )
    add_windows, add_encoded, path = writer.add_windows, writer.add_encoded, evidence.member.path
    try:
        for item in _items(evidence.known_format, source):
            if isinstance(item, EncodedEvents):
                add_encoded(item, site, evidence_id, path)
            elif isinstance(item, WindowsRecord):
                add_windows(item, site, evidence_id)
            elif isinstance(item, ReadWarning):
                writer.add_warning(item, evidence_id, path)
            else:
                writer.add_network(item, site, evidence_id)
    except (EvidenceError, OSError) as error:
        _warn(segment, writer, f"reading stopped: {error}")


def _items(known: Format, source: Input) -> Iterator[Item]:
    """Yield what a reader yields; what it did not expect ends it with a warning, and ends nothing else."""
    try:
        yield from known.read(source)
    except UNEXPECTED as error:
        yield ReadWarning(
            None, f"reading stopped, the rest of the file is not read: {fault(known.name, error)}", None
        )


def _warn(segment: Segment, writer: PartWriter, reason: str) -> None:
    """Store a warning about the evidence as a whole; how many records it costs is not known."""
    evidence = segment.evidence
    writer.add_warning(ReadWarning(None, reason, None), evidence.evidence_id, evidence.member.path)


def _done(segment: Segment, found: Statistics) -> ReadSegment:
    """Return what the journal keeps of this segment."""
    evidence = segment.evidence
    return ReadSegment(
        evidence_id=evidence.evidence_id,
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
        events=found.events,
        warnings=found.warnings,
        first_event=None if found.first is None else found.first.isoformat(),
        last_event=None if found.last is None else found.last.isoformat(),
        channels=tuple(
            ChannelStatistics(channel, computer, events, first, last)
            for (channel, computer), (events, first, last) in sorted(found.channels.items())
        ),
    )


def segments_of(evidence: Inspected, site: str, context: ReadContext, zone_name: str | None) -> list[Segment]:
    """Return the segments in which one piece of evidence is read."""
    context = ReadContext(
        context.time_zone,
        context.time_zone_basis,
        modified_time(evidence.member, evidence.modified_ns),
        context.parser,
        context.computer,
    )
    starts = ((0, 1), *evidence.cuts)
    ends: list[int | None] = [offset for offset, _ in evidence.cuts]
    return [
        Segment(evidence, site, context, zone_name, index, len(starts), start, end, number)
        for index, ((start, number), end) in enumerate(zip(starts, [*ends, None], strict=True))
    ]
