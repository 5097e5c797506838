"""Decompression in bounded memory, and the stream that a member is read through."""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Callable
from typing import Literal, Protocol

from detector.errors import ArchiveError
from detector.sources.model import ByteSource, Limits

#: Compressed bytes read at a time, and the most that one step of decompression returns.
BLOCK = 1 << 16
STEP = 1 << 20

#: What decompressors of the standard library raise on damaged data.
DAMAGE = (zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, MemoryError)


class Decompressor(Protocol):
    """The interface of `bz2.BZ2Decompressor` and `lzma.LZMADecompressor`."""

    @property
    def eof(self) -> bool:
        """Has the end of the compressed stream been reached?"""
        ...

    @property
    def needs_input(self) -> bool:
        """Must more input be given before more output can come?"""
        ...

    @property
    def unused_data(self) -> bytes:
        """Bytes behind the end of the compressed stream."""
        ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Return at most `max_length` bytes of output."""
        ...


class Zlib:
    """zlib with the interface of the other decompressors."""

    def __init__(self, wbits: int) -> None:
        self._zlib = zlib.decompressobj(wbits)
        self._full = False

    @property
    def eof(self) -> bool:
        """Has the end of the compressed stream been reached?"""
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        """Must more input be given before more output can come?"""
        return not self._full and not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        """Bytes behind the end of the compressed stream."""
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Return at most `max_length` bytes of output."""
        out = self._zlib.decompress(self._zlib.unconsumed_tail + data, max(0, max_length))
        # zlib may hold output back although it has taken all input, exactly when the output was cut.
        self._full = len(out) == max_length
        return out


class Pump:
    """Reads compressed bytes from `source` and returns them decompressed, never more than `STEP` at once.

    `fresh` makes a decompressor; with `many`, streams that follow one another are one file (as gzip, bzip2
    and xz demand), zero padding between them is skipped. Raises ArchiveError on damage, on a premature end,
    and when the output exceeds `limits.max_ratio` times the input.
    """

    def __init__(
        self, source: ByteSource, fresh: Callable[[], Decompressor], limits: Limits, *, many: bool = False
    ) -> None:
        self._source, self._fresh, self._limits, self._many = source, fresh, limits, many
        self._decompressor: Decompressor | None = None
        self._pending = b""
        self._taken = self._given = 0

    @property
    def consumed(self) -> int:
        """Bytes of the source that belong to what was read, once a stream has ended."""
        behind = b"" if self._decompressor is None else self._decompressor.unused_data
        return self._taken - len(self._pending) - len(behind)

    def read(self, size: int, /) -> bytes:
        """Return between 1 and min(size, STEP) bytes, or b'' at the end."""
        limit = min(size, STEP)
        try:
            while True:
                if self._decompressor is None or self._decompressor.eof:
                    if not self._next_stream():
                        return b""
                    continue
                out = self._step(self._decompressor, limit)
                if out:
                    return self._counted(out)
        except DAMAGE as error:
            raise ArchiveError(f"damaged compressed data: {error or type(error).__name__}") from error

    def _step(self, decompressor: Decompressor, limit: int) -> bytes:
        data = b""
        if decompressor.needs_input:
            data, self._pending = self._pending or self._more(), b""
            if not data:
                raise EOFError("the compressed data end too early")
        return decompressor.decompress(data, limit)

    def _next_stream(self) -> bool:
        """Begin the next compressed stream; False at the end of the file."""
        if self._decompressor is not None:
            if not self._many:
                return False
            self._pending = (self._decompressor.unused_data or self._pending).lstrip(b"\0")
            while not self._pending:
                block = self._more()
                if not block:
                    return False
                self._pending = block.lstrip(b"\0")
        self._decompressor = self._fresh()
        return True

    def _more(self) -> bytes:
        block = self._source.read(BLOCK)
        self._taken += len(block)
        return block

    def _counted(self, out: bytes) -> bytes:
        self._given += len(out)
        given, limits = self._given, self._limits
        if given > limits.ratio_from_bytes and given > limits.max_ratio * max(1, self._taken):
            raise ArchiveError(
                f"unpacks to more than {limits.max_ratio} times its packed size (max_ratio): "
                f"{given:,} bytes from {self._taken:,} so far"
            )
        return out


def gzip_pump(source: ByteSource, limits: Limits) -> Pump:
    """Decompress gzip (RFC 1952); zlib checks its CRC."""
    return Pump(source, lambda: Zlib(31), limits, many=True)


def bzip2_pump(source: ByteSource, limits: Limits) -> Pump:
    """Decompress bzip2."""
    return Pump(source, bz2.BZ2Decompressor, limits, many=True)


def xz_pump(source: ByteSource, limits: Limits) -> Pump:
    """Decompress xz, with a limit on the memory that its dictionary may take."""
    memory = limits.max_dictionary_bytes
    return Pump(source, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=memory), limits, many=True)


class Budget:
    """What one walk may still take, counted over all nested archives."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.members = 0
        self.bytes = 0

    def full(self) -> str | None:
        """Count one more member; return the reason if that is too many."""
        self.members += 1
        if self.members > self.limits.max_members:
            return (
                f"more than {self.limits.max_members:,} members (max_members): it and the rest are not read"
            )
        return None

    def refuses(self, size: int | None, packed: int | None) -> str | None:
        """Return why a member of this stated size is refused, or None."""
        limits = self.limits
        if size is None:
            return None
        if size > limits.max_member_bytes:
            return f"{size:,} bytes, more than {limits.max_member_bytes:,} (max_member_bytes)"
        if self.bytes + size > limits.max_total_bytes:
            return f"would bring the total to more than {limits.max_total_bytes:,} bytes (max_total_bytes)"
        if packed is not None and size > limits.ratio_from_bytes and size > limits.max_ratio * max(1, packed):
            return (
                f"unpacks from {packed:,} to {size:,} bytes, more than {limits.max_ratio} times (max_ratio): "
                "a decompression bomb"
            )
        return None


class MemberStream(io.BufferedIOBase):
    """A member's bytes: read-only, forward only.

    Errors raise ArchiveError naming the member (if `path` is given); what was read before the damage is
    always returned first. Without `budget` nothing is counted.
    """

    def __init__(self, source: ByteSource, path: str | None = None, budget: Budget | None = None) -> None:
        self._source, self._path, self._budget = source, path, budget
        self._buffer = b""
        self._position = 0
        self._taken = 0
        self._error: ArchiveError | None = None
        self._ended = False

    def readable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Return how many bytes were read."""
        return self._position

    def peek(self, size: int = 0, /) -> bytes:
        """Return the next bytes, at least `size` if there are so many, without advancing; never raises."""
        while len(self._buffer) < size and not self._ended and self._error is None:
            self._fill()
        return self._buffer

    def read(self, size: int | None = -1, /) -> bytes:
        """Return `size` bytes, fewer only at the end or before damage; all that is left if negative.

        Damage raises at the next read behind it; a read of all that is left raises at once, because its
        caller will not ask again.
        """
        wanted = -1 if size is None else size
        parts: list[bytes] = []
        have = 0
        while wanted < 0 or have < wanted:
            if not self._buffer and not self._fill():
                break
            take = len(self._buffer) if wanted < 0 else wanted - have
            part, self._buffer = self._buffer[:take], self._buffer[take:]
            parts.append(part)
            have += len(part)
        if self._error is not None and (wanted < 0 or (wanted and not have)):
            raise self._error
        self._position += have
        return b"".join(parts)

    def read1(self, size: int = -1, /) -> bytes:
        """Return some bytes."""
        return self.read(size if size >= 0 else STEP)

    def _fill(self) -> bool:
        """Get more bytes; False at the end and at an error, which is kept."""
        if self._ended or self._error is not None:
            return False
        try:
            block = self._source.read(STEP)
            self._count(len(block))
        except ArchiveError as error:
            return self._failed(error, str(error))
        except DAMAGE as error:
            return self._failed(error, f"cannot be read: {error or type(error).__name__}")
        self._ended = not block
        self._buffer += block
        return bool(block)

    def _failed(self, error: Exception, reason: str) -> Literal[False]:
        self._error = ArchiveError(reason if self._path is None else f"{self._path}: {reason}")
        self._error.__cause__ = error
        return False

    def _count(self, size: int) -> None:
        if self._budget is None:
            return
        self._taken += size
        self._budget.bytes += size
        limits = self._budget.limits
        if self._taken > limits.max_member_bytes:
            raise ArchiveError(f"more than {limits.max_member_bytes:,} bytes (max_member_bytes)")
        if self._budget.bytes > limits.max_total_bytes:
            raise ArchiveError(f"more than {limits.max_total_bytes:,} bytes in total (max_total_bytes)")
