"""Typed values of an event and their bytes in an EVTX file.

Windows stores every value of an event with the type that the provider's manifest gives it, and readers print
it by that type (`0x3e7`, `S-1-5-18`, `{guid}`, `true`). A caller chooses the type by wrapping the value: the
wrappers are subclasses of `int` and `str`, cheap enough to be made anew for each event. Plain Python values
are taken as the type that manifests use most: `str` UnicodeString, `int` UInt32, `bool` Boolean, `bytes`
Binary, `float` Double, `datetime` FILETIME, `UUID` GUID, `None` a value that the event does not have.

Type numbers and layouts: [MS-EVEN6] 2.2.12 (BinXml) and J. Metz, "Windows XML Event Log (EVTX) format".
"""

from __future__ import annotations

import re
import struct
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from detector.errors import EvidenceError, TimeZoneError

_FILETIME_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_SID = re.compile(r"S-1-(\d+|0x[0-9A-Fa-f]+)((?:-\d+)*)")
_MAX_SUB_AUTHORITIES = 15  # SID_MAX_SUB_AUTHORITIES in winnt.h


class Int8(int):
    """A signed 8-bit number."""

    __slots__ = ()


class UInt8(int):
    """An unsigned 8-bit number."""

    __slots__ = ()


class Int16(int):
    """A signed 16-bit number."""

    __slots__ = ()


class UInt16(int):
    """An unsigned 16-bit number."""

    __slots__ = ()


class Int32(int):
    """A signed 32-bit number."""

    __slots__ = ()


class UInt32(int):
    """An unsigned 32-bit number."""

    __slots__ = ()


class Int64(int):
    """A signed 64-bit number."""

    __slots__ = ()


class UInt64(int):
    """An unsigned 64-bit number."""

    __slots__ = ()


class HexInt32(int):
    """A 32-bit number that is shown in hexadecimal, for example an access mask or an NTSTATUS."""

    __slots__ = ()


class HexInt64(int):
    """A 64-bit number that is shown in hexadecimal, for example a logon id (LUID)."""

    __slots__ = ()


class Pointer(int):
    """A number of the machine's word size shown in hexadecimal, for example ProcessId of Security events.

    The template declares it as SizeT (0x10) and the value is a HexInt64, as 64-bit Windows writes it.
    """

    __slots__ = ()


class Float(float):
    """A 32-bit floating point number (plain `float` is written as Double, 64 bits)."""

    __slots__ = ()


class FileTime(int):
    """A point in time as FILETIME, the number of 100-nanosecond intervals since 1601-01-01 UTC."""

    __slots__ = ()

    def __new__(cls, time: datetime | int) -> FileTime:
        """Take an aware `datetime` or a number of 100-nanosecond intervals."""
        return super().__new__(cls, filetime(time) if isinstance(time, datetime) else time)


class AnsiString(str):
    """A string of one byte for each character.

    Windows uses the machine's code page, which the file does not name: only ASCII is accepted.
    """

    __slots__ = ()


class Sid(str):
    """A security identifier in its text form, `S-1-5-18`."""

    __slots__ = ()


class Guid(str):
    """A GUID in its text form, with or without braces."""

    __slots__ = ()


Value = str | int | float | bool | bytes | datetime | uuid.UUID | None
"""What a field of an event may hold; the wrappers of this module are subclasses of these."""


def filetime(time: datetime) -> int:
    """Return the FILETIME of a time, in 100-nanosecond intervals since 1601-01-01 UTC.

    Raises TimeZoneError for a naive time and EvidenceError for one before 1601.
    """
    if time.tzinfo is None:
        raise TimeZoneError(f"{time}: the time of an event needs a time zone")
    since = time - _FILETIME_EPOCH
    if since.days < 0:
        raise EvidenceError(f"{time}: a FILETIME cannot be before 1601-01-01 UTC")
    return (since.days * 86_400 + since.seconds) * 10_000_000 + since.microseconds * 10


def utf16(text: str) -> bytes:
    """Return a UnicodeString's bytes: UTF-16 little-endian without a terminator.

    Control characters are kept, as Windows keeps them (an attacker's command line may hold any). A NUL cannot
    occur: Windows takes a provider's string up to the first NUL, and string lists are separated by it.
    Raises EvidenceError for a NUL, UnicodeEncodeError for half of a surrogate pair (the writer turns it into
    an EvidenceError that names the event).
    """
    if "\0" in text:
        raise EvidenceError(f"{text!r}: a string in an event log cannot hold a NUL character")
    return text.encode("utf-16-le")


def ansi(text: str) -> bytes:
    """Return an AnsiString's bytes; raises EvidenceError for a NUL and for what is not ASCII."""
    if "\0" in text or not text.isascii():
        raise EvidenceError(
            f"{text!r}: an ANSI string in an event log can only hold ASCII characters but NUL"
        )
    return text.encode("ascii")


class _Strings(dict[str, bytes]):
    """The bytes of short strings seen lately; most strings of a log occur again and again."""

    def __missing__(self, text: str) -> bytes:
        data = utf16(text)
        if len(text) <= 64:
            if len(self) >= 16384:
                self.clear()
            self[text] = data
        return data


@lru_cache(maxsize=4096)
def sid_bytes(text: str) -> bytes:
    """Return a SID's binary form ([MS-DTYP] 2.4.2.2); raises EvidenceError where the text is not a SID."""
    match = _SID.fullmatch(text)
    subs = [int(part) for part in match[2].split("-")[1:]] if match else []
    authority = int(match[1], 0) if match and not re.fullmatch("0[0-9]+", match[1]) else -1
    if (
        not (0 <= authority < 1 << 48)
        or len(subs) > _MAX_SUB_AUTHORITIES
        or any(sub >= 1 << 32 for sub in subs)
    ):
        raise EvidenceError(f"{text!r} is not a security identifier such as S-1-5-21-1-2-3-1001")
    return struct.pack(f"<BB6s{len(subs)}I", 1, len(subs), authority.to_bytes(6, "big"), *subs)


@lru_cache(maxsize=4096)
def guid_bytes(text: str) -> bytes:
    """Return a GUID's 16 bytes as Windows stores them; raises EvidenceError where the text is not a GUID."""
    try:
        return uuid.UUID(text).bytes_le
    except ValueError as error:
        raise EvidenceError(
            f"{text!r} is not a GUID such as {{54849625-5478-4994-a5ba-3e3b0328c30d}}"
        ) from error


class Encoding(NamedTuple):
    """How the values of one Python type are stored."""

    value_type: int
    """Type number in the substitution array of each record."""
    declared_type: int
    """Type number of the substitution in the template."""
    encode: Callable[[Any], bytes]


def _number(value_type: int, layout: str, declared_type: int | None = None) -> Encoding:
    return Encoding(
        value_type, value_type if declared_type is None else declared_type, struct.Struct(layout).pack
    )


_PACK_U64 = struct.Struct("<Q").pack

ENCODINGS: dict[type, Encoding] = {
    # A field without a value is declared as a string, so that readers print it as empty.
    type(None): Encoding(0x00, 0x01, lambda _: b""),
    str: Encoding(0x01, 0x01, _Strings().__getitem__),
    AnsiString: Encoding(0x02, 0x02, ansi),
    Int8: _number(0x03, "<b"),
    UInt8: _number(0x04, "<B"),
    Int16: _number(0x05, "<h"),
    UInt16: _number(0x06, "<H"),
    Int32: _number(0x07, "<i"),
    UInt32: _number(0x08, "<I"),
    int: _number(0x08, "<I"),
    Int64: _number(0x09, "<q"),
    UInt64: _number(0x0A, "<Q"),
    Float: _number(0x0B, "<f"),
    float: _number(0x0C, "<d"),
    bool: _number(0x0D, "<I"),
    bytes: Encoding(0x0E, 0x0E, bytes),
    Guid: Encoding(0x0F, 0x0F, guid_bytes),
    uuid.UUID: Encoding(0x0F, 0x0F, lambda value: value.bytes_le),
    FileTime: _number(0x11, "<Q"),
    datetime: Encoding(0x11, 0x11, lambda value: _PACK_U64(filetime(value))),
    Sid: Encoding(0x13, 0x13, sid_bytes),
    HexInt32: _number(0x14, "<I"),
    HexInt64: _number(0x15, "<Q"),
    Pointer: _number(0x15, "<Q", declared_type=0x10),
}
"""The encoding for each exact Python type of a value."""
