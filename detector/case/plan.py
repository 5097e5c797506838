"""Dividing evidence into pieces of work for the workers."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable

from detector.case.inspect import SEGMENT_BYTES
from detector.case.read import Segment, Task


def plan(segments: Iterable[Segment], workers: int) -> list[Task]:
    """Group segments into tasks, largest first; small files are read together.

    Members of an archive other than a zip stay together (one pass over it), segments of one file never do:
    what is counted per task and file is then counted per segment. The size of a task follows from the
    total, so that all workers are busy, but never exceeds what one line of the journal may cost to redo.
    """
    groups: dict[tuple[str, str, int], list[Segment]] = defaultdict(list)
    for segment in segments:
        groups[_together(segment)].append(segment)
    ordered = sorted(groups.items(), key=lambda item: (-_bytes(item[1]), item[0]))
    total = sum(_bytes(group) for _, group in ordered)
    target = max(1, min(SEGMENT_BYTES, total // (workers * 3) if workers else SEGMENT_BYTES))
    tasks: list[Task] = []
    pending: list[Segment] = []
    held: set[str] = set()
    size = 0
    for _, group in ordered:
        evidence = {segment.evidence.evidence_id for segment in group}
        if pending and (size >= target or not held.isdisjoint(evidence)):
            tasks.append(_task(pending))
            pending, held, size = [], set(), 0
        pending += group
        held |= evidence
        size += _bytes(group)
    if pending:
        tasks.append(_task(pending))
    return tasks


def _together(segment: Segment) -> tuple[str, str, int]:
    """Return what segments that must be read in one pass have in common."""
    member = segment.evidence.member
    if member.name is None or segment.evidence.apart:
        return str(member.location), member.name or "", segment.index
    return str(member.location), "", 0


def _bytes(segments: Iterable[Segment]) -> int:
    return sum(
        (segment.evidence.size if segment.end is None else segment.end) - segment.start
        for segment in segments
    )


def _task(segments: list[Segment]) -> Task:
    keys = sorted(f"{segment.evidence.sha256}:{segment.index}/{segment.count}" for segment in segments)
    name = hashlib.sha256("\n".join(keys).encode()).hexdigest()[:16]
    return Task(name, tuple(segments), _bytes(segments))
