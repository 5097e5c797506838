"""One sequential pass over a file or an archive, nested archives included."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

from detector.errors import ArchiveError
from detector.sources import tars, zip_salvage, zips
from detector.sources.kinds import MAGIC_BYTES, Kind, kind_of, unsupported
from detector.sources.model import Entry, Limits, Member, Problem, Refusal
from detector.sources.names import safe_name
from detector.sources.streams import STEP, Budget, MemberStream, bzip2_pump, gzip_pump, xz_pump

Found = tuple[Member, BinaryIO] | Refusal

_PUMPS = {"gzip": gzip_pump, "bzip2": bzip2_pump, "xz": xz_pump}
_SUFFIXES = {"gzip": (".gz", ".tgz"), "bzip2": (".bz2", ".tbz2", ".tbz"), "xz": (".xz", ".txz")}
#: A nested archive up to this size is held in memory instead of a temporary file.
_SPOOL_IN_MEMORY = 16 << 20


def walk(
    location: Path, shown: str, wanted: Collection[str] | None = None, limits: Limits | None = None
) -> Iterator[Found]:
    """Yield the file itself, or each member of an archive, with a stream to read before the next is taken.

    `shown` is how the user named the file. `wanted` restricts an archive to members of these names; the name
    of a nested archive stands for all in it. What cannot be taken is a Refusal, and the walk goes on behind
    it where the archive allows. Damage inside a member raises ArchiveError from the stream, after all that
    could be read before it. The stream of a plain file is seekable, others are not. Nothing is written but
    temporary copies of zip and 7z archives inside other archives.
    """
    limits = limits or Limits()
    try:
        file = location.open("rb")
    except OSError as error:
        yield Refusal(shown, f"cannot be opened: {error.strerror or error}")
        return
    with file:
        status = os.fstat(file.fileno())
        modified = datetime.fromtimestamp(status.st_mtime, UTC)
        try:
            head = file.read(MAGIC_BYTES)
            file.seek(0)
        except OSError as error:
            yield Refusal(shown, f"cannot be read: {error.strerror or error}")
            return
        kind = kind_of(head)
        if kind is not None:
            yield from _Walk(location, shown, wanted, limits).archive(kind, file, None, modified, 1)
        elif (what := unsupported(head)) is not None:
            yield Refusal(shown, f"{what}, which cannot be read here; unpack it and give the result")
        else:
            yield Member(location, None, shown, status.st_size, modified), file


def list_zip_members(location: Path, shown: str, limits: Limits | None = None) -> list[Member] | None:
    """Return the members of a zip from its directory, without reading them; None for any other file.

    For dividing a large zip between workers by `wanted`; a nested archive is one member of the list. Refused
    members are included: whoever walks them gets the Refusal. None also if the directory cannot be read.
    """
    try:
        with location.open("rb") as file:
            if kind_of(file.read(MAGIC_BYTES)) != "zip":
                return None
            found = list(zips.entries(file, limits or Limits()))
    except (OSError, ArchiveError):
        return None
    return [
        Member(location, item.name, f"{shown}!/{item.name}", item.size, item.modified)
        if isinstance(item, Entry)
        else Member(location, item.name, f"{shown}!/{item.name}", None, None)
        for item in found
    ]


class _Walk:
    """The state of one walk: what may still be taken, and what is wanted."""

    def __init__(self, location: Path, shown: str, wanted: Collection[str] | None, limits: Limits) -> None:
        self._location, self._shown, self._limits = location, shown, limits
        self._wanted = None if wanted is None else frozenset(wanted)
        self._budget = Budget(limits)
        self._stopped = False

    def archive(
        self, kind: Kind, file: BinaryIO, name: str | None, modified: datetime | None, depth: int
    ) -> Iterator[Found]:
        """Yield what an archive holds; `name` is its own name as a member, None for the file on disk."""
        if kind in _PUMPS:
            yield from self._compressed(kind, file, name, modified, depth)
            return
        prefix = "" if name is None else f"{name}!/"
        try:
            if kind == "tar":
                yield from self._entries(tars.entries(file, self._limits), prefix, depth)
            elif file.seekable():
                yield from self._entries(self._directory(kind, file, prefix), prefix, depth)
            else:
                with tempfile.SpooledTemporaryFile(_SPOOL_IN_MEMORY) as copy:
                    self._spool(file, cast("BinaryIO", copy))
                    yield from self._entries(
                        self._directory(kind, cast("BinaryIO", copy), prefix), prefix, depth
                    )
        except (ArchiveError, OSError) as error:
            yield Refusal(self._path(name), str(error))

    def _directory(self, kind: Kind, file: BinaryIO, prefix: str) -> Iterator[Entry | Problem]:
        if kind == "7z":
            from detector.sources import sevenz  # py7zr takes a while to import

            return sevenz.entries(file, self._limits, lambda name: self._wants(prefix + name))
        return zip_salvage.entries(file, self._limits)

    def _spool(self, source: BinaryIO, target: BinaryIO) -> None:
        limit = self._limits.max_spool_bytes
        copied = 0
        while block := source.read(STEP):
            copied += len(block)
            if copied > limit:
                raise ArchiveError(
                    f"an archive of more than {limit:,} bytes inside another (max_spool_bytes)"
                )
            target.write(block)
        target.seek(0)

    def _compressed(
        self, kind: Kind, file: BinaryIO, name: str | None, modified: datetime | None, depth: int
    ) -> Iterator[Found]:
        """A compressed tar is one archive; any other compressed file is an archive of one member."""
        pump = _PUMPS[kind](file, self._limits)
        own = self._location.name if name is None else name.rsplit("/", 1)[-1]
        stream = MemberStream(pump)  # the members are what is counted
        if kind_of(stream.peek(MAGIC_BYTES)) == "tar":
            yield from self.archive("tar", cast("BinaryIO", stream), name, modified, depth)
            return
        entry = Entry(_stem(own, kind), None, None, modified, lambda: stream)
        yield from self._entries(iter([entry]), "" if name is None else f"{name}!/", depth)

    def _entries(self, found: Iterator[Entry | Problem], prefix: str, depth: int) -> Iterator[Found]:
        for item in found:
            if self._stopped:
                return
            full = prefix + (item.name or "")
            name = full.removesuffix("!/") if item.name is None else full
            if item.name is not None and not self._wants(name):
                continue
            reason = (
                item.reason if isinstance(item, Problem) else self._budget.refuses(item.size, item.packed)
            )
            if (over := self._budget.full()) is not None:
                self._stopped = True
                reason = over
            if reason is not None:
                yield Refusal(self._path(name or None), reason)
            elif isinstance(item, Entry):
                yield from self._member(item, name, depth)

    def _member(self, entry: Entry, name: str, depth: int) -> Iterator[Found]:
        path = self._path(name)
        try:
            source = entry.open()
        except (ArchiveError, OSError) as error:
            yield Refusal(path, str(error))
            return
        stream = MemberStream(source, path, self._budget)
        head = stream.peek(MAGIC_BYTES)
        kind = kind_of(head)
        if kind is not None:
            if depth >= self._limits.max_depth:
                yield Refusal(path, f"an archive more than {self._limits.max_depth} deep (max_depth)")
            else:
                yield from self.archive(kind, cast("BinaryIO", stream), name, entry.modified, depth + 1)
        elif (what := unsupported(head)) is not None:
            yield Refusal(path, f"{what}, which cannot be read here; unpack it and give the result")
        elif self._exactly_wanted(name):
            yield Member(self._location, name, path, entry.size, entry.modified), cast("BinaryIO", stream)

    def _wants(self, name: str) -> bool:
        """Is this member wanted, or inside an archive that is, or perhaps an archive that holds one?"""
        if self._wanted is None or self._exactly_wanted(name):
            return True
        return any(other.startswith(f"{name}!/") for other in self._wanted)

    def _exactly_wanted(self, name: str) -> bool:
        if self._wanted is None or name in self._wanted:
            return True
        parts = name.split("!/")
        return any("!/".join(parts[:count]) in self._wanted for count in range(1, len(parts)))

    def _path(self, name: str | None) -> str:
        return self._shown if name is None else f"{self._shown}!/{name}"


def _stem(name: str, kind: Kind) -> str:
    """Return the name of the file that was compressed: without the suffix of the compressor."""
    name = name.rsplit("/", 1)[-1]
    for suffix in _SUFFIXES[kind]:
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return safe_name(name[: -len(suffix)])
    return safe_name(name)
