"""A window on a stream of text: what was read of it and is still needed, always in UTF-8."""

from __future__ import annotations

import codecs

from detector.formats.base import Input
from detector.formats.lines import encoding_of

BLOCK = 1 << 20


class Window:
    """The part of a stream that is held: `data` in UTF-8, growing at the end, forgotten at the front."""

    def __init__(self, source: Input) -> None:
        self.data = b""
        self._stream = source.stream
        self._base = source.start
        encoding = encoding_of(source.head)
        self._wide = encoding if encoding.startswith("utf-16") else None
        self._decoder = codecs.getincrementaldecoder(encoding)("replace") if self._wide else None

    def more(self) -> bool:
        """Read on; False at the end of the stream."""
        block = self._stream.read(max(BLOCK, len(self.data)))
        if self._decoder is not None:
            self.data += self._decoder.decode(block, final=not block).encode("utf-8")
        else:
            self.data += block
        return bool(block)

    def offset(self, at: int) -> int:
        """Return the byte offset in the file of a place in `data`."""
        return self._base + self._size(self.data[:at])

    def forget(self, at: int) -> int:
        """Drop what lies before `at` if it is worth it; return the place of `at` thereafter."""
        if at < BLOCK:
            return at
        self._base += self._size(self.data[:at])
        self.data = self.data[at:]
        return 0

    def _size(self, part: bytes) -> int:
        return len(part) if self._wide is None else len(part.decode("utf-8").encode(self._wide))
