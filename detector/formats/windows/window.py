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
        #: A place and its offset, from which later ones are counted where characters differ in width.
        self._known = 0, self._base
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
        """Return the byte offset in the file of a place in `data`; cheap if places are asked for in order."""
        if self._wide is None:
            return self._base + at
        known_at, known = self._known if self._known[0] <= at else (0, self._base)
        known += len(self.data[known_at:at].decode("utf-8").encode(self._wide))
        self._known = at, known
        return known

    def forget(self, at: int) -> int:
        """Drop what lies before `at` if it is worth it; return the place of `at` thereafter."""
        if at < BLOCK:
            return at
        self._base = self.offset(at)
        self._known = 0, self._base
        self.data = self.data[at:]
        return 0
