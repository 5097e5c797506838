"""What every format module gives and gets: `Format`, `Input`, and the records it yields."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import BinaryIO, Literal

from detector.errors import TimeZoneError
from detector.tables.evidence import ReadWarning
from detector.tables.network import NetworkRecord
from detector.tables.windows import EncodedEvents, WindowsRecord

#: How much of a file `Format.recognise` sees, in bytes.
HEAD_BYTES = 65536

#: A record longer than this, in bytes, is refused with a warning: nothing that a log writes is so long.
MAX_RECORD_BYTES = 16 * 1024 * 1024

#: Times outside these years are no times of a log: damage, or made up. At the ends of the calendar they could
#: not be converted to another zone either.
FIRST_YEAR, LAST_YEAR = 1601, 9998

#: What Python raises where code did not expect what it was given. A log file is written by others, perhaps by
#: the attacker: the readers' callers turn these into a warning about the one file, so that a mistake in a
#: reader costs the rest of that file and says so, and never the other evidence.
UNEXPECTED: tuple[type[Exception], ...] = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)


def fault(name: str, error: Exception) -> str:
    """Say that the reader of a format failed on one of `UNEXPECTED`, for whoever reports it."""
    return f"a mistake in the program, please report it (format {name}: {type(error).__name__}: {error})"


Record = WindowsRecord | NetworkRecord
Split = Literal["line", "chunk", "never"]
Item = Record | EncodedEvents | ReadWarning


@dataclass(frozen=True)
class ReadContext:
    """What the reader is told about a file and cannot know from its bytes.

    `time_zone` is the zone for times that state none, with `time_zone_basis` saying who told it ('option' or
    'site'); None means nobody did, and a reader that needs it raises `TimeZoneError` through `zone()`.
    `reference_time` is the newest time that the file can contain (its modification time), by which a reader
    finds the year of times written without one. `parser` is the EVTX parser asked for. `computer` is the
    machine that wrote the log, for files that do not name it.
    """

    time_zone: tzinfo | None = None
    time_zone_basis: Literal["option", "site"] | None = None
    reference_time: datetime | None = None
    parser: Literal["auto", "evtx", "python-evtx"] = "auto"
    computer: str | None = None

    def zone(self) -> tzinfo:
        """Return the zone for times that state none.

        Raises TimeZoneError, whose message names the option, if nobody gave one.
        """
        if self.time_zone is None:
            raise TimeZoneError(
                "its times state no zone; give the zone of the machine that wrote them with --tz "
                "(for example --tz Asia/Tokyo) or time_zone in site.toml"
            )
        return self.time_zone


@dataclass(frozen=True)
class Input:
    """One file, or one segment of a file, to read.

    `stream` is binary, read-only, and stands at `start`; it may not be seekable (a member of an archive).
    The reader yields the records that begin in [start, end); `end` None means to the end of the stream.
    `head` holds the first `HEAD_BYTES` of the whole file, so that a later segment can see a header line.
    `first_number` is the number of the first record of the segment where records are counted by line.
    `encoded`: the caller takes events as `EncodedEvents` too, to read many of a kind at once.
    """

    stream: BinaryIO
    head: bytes
    context: ReadContext = field(default_factory=ReadContext)
    start: int = 0
    end: int | None = None
    first_number: int = 1
    encoded: bool = False


@dataclass(frozen=True)
class Format:
    """A log format.

    recognise: does a file that begins with these bytes have this format? Never raises.
    read: yields records and warnings, in file order. Damage inside the file is a `ReadWarning` with the byte
        offset, and reading goes on behind it. Raises `EvidenceError` or `TimeZoneError` only if nothing of
        the file can be read.
    split: where a large file may be cut into segments that separate workers read: 'line' behind any line
        feed, 'chunk' at EVTX chunks, 'never'.
    split_by_head: where one format has files of either kind (JSON lines, JSON arrays): `split` for a file
        with this head, instead of `split`.
    needs_zone: does this input contain times without zone? Told from the head; None means never.
    """

    name: str
    recognise: Callable[[bytes], bool]
    read: Callable[[Input], Iterator[Item]]
    split: Split = "never"
    needs_zone: Callable[[bytes], bool] | None = None
    split_by_head: Callable[[bytes], Split] | None = None

    def split_for(self, head: bytes) -> Split:
        """Return where a file with this head may be cut."""
        return self.split if self.split_by_head is None else self.split_by_head(head)
