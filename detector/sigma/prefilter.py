"""Which rules can match at all: those whose EventIDs and texts occur in the data.

Each rule has a need (`detector.sigma.needs`): EventIDs and texts that an event must have. Here the texts of
a log source are read once, distinct and in lower case, and of each run of three and of six bytes is noted,
per field, that it occurs. A text of a rule all of whose runs occur may occur; one with a run that does not
occur cannot. The notes are kept by hash, so that memory does not grow with the data; a collision lets a rule
pass that cannot match, never the other way round.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from detector.sigma.model import Need

#: Bits of a hash; a table of bytes of this many entries for each length of run.
_BITS = 24

_RUNS = (3, 6)

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)

#: Bytes looked at in one go, and by how much a table may fill up before it says yes to everything.
_CHUNK = 1 << 20
_FULL = 0.5

Hashes = npt.NDArray[np.uint64]


class TextIndex:
    """The texts of one log source, by field."""

    def __init__(self) -> None:
        self._tables = {run: np.zeros(1 << _BITS, dtype=np.bool_) for run in _RUNS}
        self._saturated = False
        self._since_check = 0

    def add(self, field: str, texts: pa.Array) -> None:
        """Note the texts of a field, in lower case; runs across two texts are noted too: no harm."""
        content = _bytes(texts)
        for start in range(0, len(content), _CHUNK):
            if self._saturated:
                return
            piece = content[start : start + _CHUNK + max(_RUNS) - 1]
            for run, table in self._tables.items():
                if len(piece) >= run:
                    table[_hashes(piece, run, field)] = True
            self._check_fill(len(piece))

    def may_have(self, field: str, text: str) -> bool:
        """Tell whether a text in lower case may be part of a value of the field."""
        content = np.frombuffer(text.encode("utf-8"), dtype=np.uint8)
        fitting = [run for run in _RUNS if run <= len(content)]
        if not fitting or self._saturated:
            return True
        run = fitting[-1]
        return bool(self._tables[run][_hashes(content, run, field)].all())

    def _check_fill(self, added: int) -> None:
        self._since_check += added
        if self._since_check >= 16 * _CHUNK:
            self._since_check = 0
            self._saturated = all(table.mean() > _FULL for table in self._tables.values())


def _bytes(texts: pa.Array) -> npt.NDArray[np.uint8]:
    """Return the UTF-8 of all texts, one behind the other, without copying."""
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    if texts.type != pa.large_string():
        texts = texts.cast(pa.large_string())
    if len(texts) == 0:
        return np.empty(0, dtype=np.uint8)
    _, offsets, content = texts.buffers()
    if content is None:
        return np.empty(0, dtype=np.uint8)
    ends = np.frombuffer(offsets, dtype=np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return np.frombuffer(content, dtype=np.uint8)[ends[0] : ends[-1]]


def _hashes(content: npt.NDArray[np.uint8], run: int, field: str) -> Hashes:
    """Return the hash of each run of bytes, with the field's name in it."""
    count = len(content) - run + 1
    joined = np.full(count, zlib.crc32(field.encode("utf-8")), dtype=np.uint64) << np.uint64(48)
    for index in range(run):
        joined ^= content[index : index + count].astype(np.uint64) << np.uint64(8 * index)
    joined *= _MULTIPLIER
    return joined >> np.uint64(64 - _BITS)


def fields_of(need: Need, ids: Collection[int] | None) -> set[str]:
    """Return the fields whose texts decide a need, once the EventIDs that occur are known."""
    if need is None or not may_match(need, ids, None):
        return set()
    if need[0] == "has":
        return {need[1]}
    if need[0] == "id":
        return set()
    return set().union(*(fields_of(each, ids) for each in need[1:]))


def may_match(need: Need, ids: Collection[int] | None, index: TextIndex | None) -> bool:
    """Tell whether a need can be fulfilled by the EventIDs and texts that occur; None: all occur."""
    if need is None:
        return True
    kind = need[0]
    if kind == "and":
        return all(may_match(each, ids, index) for each in need[1:])
    if kind == "or":
        return any(may_match(each, ids, index) for each in need[1:])
    if kind == "id":
        return ids is None or any(number in ids for number in need[1:])
    return index is None or index.may_have(need[1], need[2])
