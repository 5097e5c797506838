"""What a walk over evidence yields, and the limits that stop a decompression bomb."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol

MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True)
class Member:
    """A file, or one file inside an archive.

    `location` is the file on disk; `name` is None for that file itself, else the member's sanitised name,
    nested archives joined with '!/' ('inner.zip!/logs/a.evtx'), unique inside its archive. `path` is what
    people see. `size` is the decompressed size in bytes if the archive states it. `modified` is in UTC; a
    zip that states only a local time gives the latest instant that this time can mean.
    """

    location: Path
    name: str | None
    path: str
    size: int | None
    modified: datetime | None


@dataclass(frozen=True)
class Refusal:
    """Something that was not taken, and why.

    `lost` is false if nothing is missing for it: a second way to the same folder, the case itself.
    """

    path: str
    reason: str
    lost: bool = True


@dataclass(frozen=True)
class Limits:
    """What an archive may ask for before it is taken for a decompression bomb.

    max_ratio, ratio_from_bytes: a member that unpacks to more than `ratio_from_bytes` may not be more than
        `max_ratio` times its packed size. Real logs stay far below: text about 30:1, EVTX about 20:1. Small
        EVTX files are mostly preallocated zeros and reach many hundreds to one, so that the ratio alone says
        nothing about small members; a deflate bomb is about 1,000:1, one of LZMA or bzip2 far more.
    max_member_bytes: above the largest logs met (one month of a busy firewall), below any disk.
    max_total_bytes: all that one walk over one file decompresses, nested archives counted at each level.
    max_members: of one file on disk with its nested archives; a collection of 2,200 PCs with 100 logs each.
    max_depth: archives inside archives; 1 is the archive itself.
    max_spool_bytes: a zip or 7z inside an archive needs seeking and is copied to a temporary file; a tar
        inside an archive is not.
    max_dictionary_bytes: memory that a decompressor may ask for (7-Zip's own maximum preset takes 64 MiB).
    """

    max_ratio: int = 400
    ratio_from_bytes: int = 256 * MIB
    max_member_bytes: int = 256 * GIB
    max_total_bytes: int = 1024 * GIB
    max_members: int = 250_000
    max_depth: int = 5
    max_spool_bytes: int = 16 * GIB
    max_dictionary_bytes: int = 1 * GIB


class ByteSource(Protocol):
    """The least that a stream of bytes must do: return up to `size` bytes, b'' at the end."""

    def read(self, size: int, /) -> bytes:
        """Return at least one byte and at most `size`, or b'' at the end."""
        ...


class Entry(NamedTuple):
    """One regular file of an archive, as the reader of that archive kind yields it.

    `open` may be called once, before the next entry is asked for. `packed` is the compressed size in bytes
    where the archive states one for this member. `open` and reading raise ArchiveError.
    """

    name: str
    size: int | None
    packed: int | None
    modified: datetime | None
    open: Callable[[], ByteSource]


class Problem(NamedTuple):
    """Something of an archive that cannot be taken; `name` None means the archive (or its rest)."""

    name: str | None
    reason: str
