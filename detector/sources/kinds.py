"""Recognising archives by their first bytes, never by their names."""

from __future__ import annotations

import tarfile
from typing import Literal

Kind = Literal["zip", "7z", "tar", "gzip", "bzip2", "xz"]

#: How many bytes `kind_of` wants to see: one tar header.
MAGIC_BYTES = 512

_MAGIC: tuple[tuple[bytes, Kind], ...] = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),  # an empty one
    (b"PK\x07\x08PK\x03\x04", "zip"),  # split, then written in one piece
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"\x1f\x8b\x08", "gzip"),
    (b"\xfd7zXZ\x00", "xz"),
)

#: Containers that cannot be read here, and what to tell the user.
_UNSUPPORTED: tuple[tuple[bytes, str], ...] = (
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x28\xb5\x2f\xfd", "Zstandard-compressed"),
    (b"MSCF\x00\x00\x00\x00", "a cabinet (CAB) file"),
    (b"\x04\x22\x4d\x18", "LZ4-compressed"),
    (b"EVF\x09\x0d\x0a\xff\x00", "an EnCase (E01) disk image"),
    (b"vhdxfile", "a VHDX disk image"),
)


def kind_of(head: bytes) -> Kind | None:
    """Return what kind of archive begins with `head`, or None if it is none that can be read."""
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[:3] == b"BZh" and head[3:4] in b"123456789" and head[4:10] in (_BZIP2_BLOCK, _BZIP2_END):
        return "bzip2"
    return "tar" if _is_tar(head) else None


_BZIP2_BLOCK = bytes.fromhex("314159265359")
_BZIP2_END = bytes.fromhex("177245385090")


def unsupported(head: bytes) -> str | None:
    """Return what a container is that is known but cannot be read here, in words, or None."""
    return next((what for magic, what in _UNSUPPORTED if head.startswith(magic)), None)


def is_archive(head: bytes) -> bool:
    """Tell whether a file that begins with `head` (at least 512 bytes of it) is for `walk` to open.

    True also for containers that `walk` can only refuse with a helpful reason (RAR, Zstandard, disk images).
    """
    return kind_of(head) is not None or unsupported(head) is not None


def _is_tar(head: bytes) -> bool:
    """A tar header has the sum of its bytes in octal at offset 148; without that, 'ustar' is only text."""
    if len(head) < 512 or not head[0]:
        return False
    try:
        tarfile.TarInfo.frombuf(head[:512], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True
