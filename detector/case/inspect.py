"""First look at evidence: what is it, what is its hash, where may it be cut. Runs in worker processes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from detector.errors import ArchiveError, EvidenceError
from detector.formats.base import HEAD_BYTES, Format
from detector.formats.lines import encoding_of
from detector.formats.mapped import mapped_format
from detector.formats.mapping import Mapping
from detector.formats.registry import format_named, recognise
from detector.formats.windows.evtx import segments as evtx_segments
from detector.sources import Limits, Member, Refusal, walk

#: A file larger than this is cut into segments of about this size, in bytes.
SEGMENT_BYTES = 32 * 1024 * 1024

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Inspected:
    """One piece of evidence as found: identity, format, and where it may be cut.

    `cuts` are (offset, number of the line that begins there); empty if it is read in one go. `head` is its
    beginning. `container_sha256` is set for members of archives. `modified_ns` is the modification time of
    the file on disk when it was hashed. Of a member whose archive is damaged, hash and size are those of the
    part that can be read.
    """

    member: Member
    sha256: str
    size: int
    format: str
    head: bytes
    cuts: tuple[tuple[int, int], ...]
    container_sha256: str | None
    modified_ns: int
    #: A member of a zip can be read without reading those before it.
    apart: bool = False
    #: The user's own mapping by which it is read.
    mapping: Mapping | None = None

    @property
    def known_format(self) -> Format:
        """The format that reads it."""
        return format_named(self.format) if self.mapping is None else mapped_format(self.mapping)

    @property
    def evidence_id(self) -> str:
        """The id of this evidence in all tables."""
        return self.sha256[:16]


def inspect(
    path: Path, shown: str, limits: Limits, mappings: tuple[Mapping, ...] = ()
) -> list[Inspected | Refusal]:
    """Hash and recognise one file, or every member of one archive; never raises for bad input."""
    results: list[Inspected | Refusal] = []
    try:
        modified_ns = path.stat().st_mtime_ns
        for found in walk(path, shown, limits=limits):
            if isinstance(found, Refusal):
                results.append(found)
                continue
            member, stream = found
            try:
                results.append(_inspect_stream(member, stream, modified_ns, mappings))
            except (EvidenceError, OSError) as error:
                results.append(Refusal(member.path, _reason(error)))
        if any(isinstance(each, Inspected) and each.member.name is not None for each in results):
            container = _sha256(path)
            with path.open("rb") as archive:
                is_zip = archive.read(4) == b"PK\x03\x04"
            results = [_in_container(each, container, is_zip) for each in results]
    except (EvidenceError, OSError) as error:
        results.append(Refusal(shown, _reason(error)))
    return results


def _in_container(result: Inspected | Refusal, container: str, is_zip: bool) -> Inspected | Refusal:
    if isinstance(result, Refusal):
        return result
    apart = is_zip and "!/" not in (result.member.name or "")
    return replace(result, container_sha256=container, apart=apart)


def _reason(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "permission denied"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _inspect_stream(
    member: Member, stream: BinaryIO, modified_ns: int, mappings: tuple[Mapping, ...]
) -> Inspected | Refusal:
    digest = hashlib.sha256()
    head = b""
    size = 0
    lines = _LineCuts()
    by_line = member.name is None
    damage = ""
    for block in _blocks(stream):
        if isinstance(block, ArchiveError):
            damage = str(block).removeprefix(f"{member.path}: ")
            break
        if len(head) < HEAD_BYTES:
            head += block[: HEAD_BYTES - len(head)]
        digest.update(block)
        if by_line and size == 0:
            by_line = _may_be_cut_at_lines(head, mappings)
        if by_line:
            lines.add(block)
        size += len(block)
    if size == 0:
        return Refusal(member.path, damage or "empty file (0 bytes)")
    known = recognise(head, mappings)
    if known is None:
        return Refusal(member.path, damage or f"format not recognised ({_first_bytes(head)})")
    cuts = lines.cuts if member.name is None else ()
    return Inspected(
        member,
        digest.hexdigest(),
        size,
        known.name,
        head,
        _cuts(known, head, size, cuts if member.name is None else None),
        None,
        modified_ns,
        mapping=next((each for each in mappings if each.name == known.name), None),
    )


def _may_be_cut_at_lines(head: bytes, mappings: tuple[Mapping, ...]) -> bool:
    known = recognise(head, mappings)
    return known is not None and known.split_for(head) == "line"


def _cuts(
    known: Format, head: bytes, size: int, lines: list[tuple[int, int]] | tuple[()] | None
) -> tuple[tuple[int, int], ...]:
    """Return where this file may be cut; members of archives, which cannot be sought in, never are."""
    if lines is None or size <= SEGMENT_BYTES * 3 // 2:
        return ()
    split = known.split_for(head)
    if split == "chunk":
        return tuple((offset, 1) for offset in evtx_segments(size, SEGMENT_BYTES))
    if split == "line" and not encoding_of(head).startswith("utf-16"):
        return tuple(lines)
    return ()


class _LineCuts:
    """Finds the first line that begins behind each multiple of the segment size, and its number."""

    def __init__(self) -> None:
        self.cuts: list[tuple[int, int]] = []
        self._offset = 0
        self._number = 1
        self._next = SEGMENT_BYTES

    def add(self, block: bytes) -> None:
        end = self._offset + len(block)
        begin = 0
        while end >= self._next:
            at = block.find(b"\n", max(begin, self._next - self._offset - 1))
            if at < 0:
                break
            self._number += block.count(b"\n", begin, at + 1)
            begin = at + 1
            self.cuts.append((self._offset + begin, self._number))
            self._next = self._offset + begin + SEGMENT_BYTES
        self._number += block.count(b"\n", begin)
        self._offset = end


def _blocks(stream: BinaryIO) -> Iterator[bytes | ArchiveError]:
    """Yield the bytes of a stream, and last what stopped it if its archive is damaged."""
    try:
        while block := stream.read(_BLOCK):
            yield block
    except ArchiveError as error:
        yield error


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _first_bytes(head: bytes) -> str:
    """Return the beginning of a file in a form that is safe to print and helps to see what it is."""
    text = head[:24]
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in text):
        return "begins with " + repr(text.decode("ascii").strip())
    return "begins with bytes " + text[:12].hex(" ")


def modified_time(member: Member, modified_ns: int) -> datetime:
    """Return the newest time that the member's records can have."""
    return member.modified or datetime.fromtimestamp(modified_ns / 1e9, UTC)
