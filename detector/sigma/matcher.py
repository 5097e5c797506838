"""Find many texts at once in a column of values, without regard to case.

A word of four bytes of each text is looked up in a table at once for all texts, everywhere in the column;
where one occurs, the text it belongs to is compared at three places. Letters are folded by setting one bit
of each byte, which folds some other characters too: a text may be found that is not there, never the other
way round. Long texts have a word at each of four places, one of which stands at a multiple of four wherever
the text stands: then a quarter of the places has to be looked at (the idea of sampled q-grams).

Characters beyond ASCII are not folded, and texts have only those without case; the three that are an ASCII
letter in another case make a value match every text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint32]
Positions = npt.NDArray[np.int64]

#: The bit by which upper and lower case of an ASCII letter differ, in each byte of a word.
_CASE = np.uint32(0x20202020)
_MULTIPLIER = np.uint32(0x9E3779B1)
_WHOLE, _THREE = np.uint32(0xFFFFFFFF), np.uint32(0x00FFFFFF)
_WORD = 4
_SHORT = 3
#: A text this long has a word at a multiple of four wherever it stands.
_LONG = 2 * _WORD - 1
#: Below this many bytes it is quicker to look at every place.
_SMALL = 1 << 18
#: Above it, short texts are not looked for: it takes longer than to evaluate the rules that have them.
_LARGE = 1 << 24
#: Words looked at in one go, so that they stay in the processor's cache, and pairs compared in one go.
_CHUNK = 1 << 16
_PAIRS = 1 << 20
#: Words that are counted to learn which are common.
_SAMPLE = 1 << 14
_SAMPLE_BITS = 14

#: U+0130 and U+212A, whose lower case is `i` and `k`, and U+017F, which patterns without case take for `s`.
_FOLDED_TO_ASCII = ((0xC4, 0xB0), (0xE2, 0x84, 0xAA), (0xC5, 0xBF))


@dataclass(frozen=True)
class Found:
    """Indexes of values that may contain a text, by text.

    wild: values that may contain any. unknown: texts that were not looked for.
    """

    by_text: dict[str, Positions]
    wild: Positions
    unknown: frozenset[str]


@dataclass(frozen=True)
class _Words:
    """Words of texts, sorted; `texts` and `places` of word i are those from starts[i] to starts[i + 1]."""

    words: Words
    starts: Positions
    texts: Positions
    places: Positions
    mask: np.uint32

    @classmethod
    def of(cls, words: Words, texts: Positions, places: Positions, mask: np.uint32) -> _Words:
        order = np.argsort(words, kind="stable")
        unique, starts = np.unique(words[order], return_index=True)
        return cls(unique, np.append(starts, len(words)).astype(np.int64), texts[order], places[order], mask)


class Matcher:
    """Finds these texts: lower case, of at least three bytes, as `detector.sigma.needs` chooses them."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = list(dict.fromkeys(texts))
        encoded = [text.encode("utf-8") for text in self._texts]
        self._lengths = np.array([len(text) for text in encoded], dtype=np.int64)
        self._begins = np.concatenate(([0], np.cumsum(self._lengths)))[:-1].astype(np.int64)
        joined = np.frombuffer(b"".join(encoded) + bytes(_WORD), dtype=np.uint8)
        self._at = _every_word(joined) | _CASE
        # All texts are as long as a word, but for the mask.
        self._last = self._at[self._begins + np.maximum(self._lengths - _WORD, 0)]
        self._half = np.maximum(self._lengths // 2 - _WORD // 2, 0)
        self._middle = self._at[self._begins + self._half]

    def find(self, values: pa.Array) -> Found:
        """Find the texts in a string array."""
        content, ends = _buffers(values)
        if not len(content) or not self._texts:
            return Found({}, np.empty(0, dtype=np.int64), frozenset())
        found = [pairs for each in self._plan(content) for pairs in self._pairs(content, ends, *each)]
        keys = np.unique(np.concatenate(found)) if found else np.empty(0, dtype=np.int64)
        texts, rows = np.divmod(keys, len(ends))
        begins: list[int] = np.flatnonzero(np.diff(texts, prepend=-1)).tolist()
        by_text = {
            self._texts[int(texts[begin])]: rows[begin:end]
            for begin, end in zip(begins, [*begins[1:], len(keys)], strict=False)
        }
        unknown: frozenset[str] = frozenset()
        if len(content) > _LARGE:
            unknown = frozenset(self._texts[at] for at in np.flatnonzero(self._lengths < _LONG))
        return Found(by_text, _wild(values), unknown)

    def _plan(self, content: Bytes) -> Iterator[tuple[_Words, int]]:
        """Yield words with the distance of the places at which they are looked for."""
        common = _counts(content)
        long = self._lengths >= _LONG
        short = self._lengths == _SHORT
        if len(content) < _SMALL:
            long = np.zeros_like(long)
        if long.any():
            yield self._rarest(np.flatnonzero(long), _WORD, common), _WORD
        if len(content) > _LARGE:
            return
        if not (long | short).all():
            yield self._rarest(np.flatnonzero(~long & ~short), 1, common), 1
        if short.any():
            texts = np.flatnonzero(short)
            words = self._at[self._begins[texts]] & _THREE
            yield _Words.of(words, texts, np.zeros(len(texts), dtype=np.int64), _THREE), 1

    def _rarest(self, texts: Positions, step: int, common: npt.NDArray[np.int64]) -> _Words:
        """Return, of each text, the `step` words in a row that are rarest in the data."""
        begins, room = self._begins[texts], self._lengths[texts] - (_WORD + step - 2)
        starts = np.concatenate(([0], np.cumsum(room)))[:-1].astype(np.int64)
        places = np.arange(int(room.sum()), dtype=np.int64) - np.repeat(starts, room)
        at = np.repeat(begins, room) + places
        weight = common[_hashes(self._at, _SAMPLE_BITS)]
        score = sum((weight[at + index] for index in range(step)), np.zeros(len(at), dtype=np.int64))
        best = np.minimum.reduceat((score << np.int64(20)) | np.minimum(places, (1 << 20) - 1), starts)
        first = best & np.int64((1 << 20) - 1)
        all_places = (first[:, None] + np.arange(step)).ravel()
        all_texts = np.repeat(texts, step)
        words = self._at[self._begins[all_texts] + all_places]
        return _Words.of(words, all_texts, all_places, _WHOLE)

    def _pairs(self, content: Bytes, ends: Positions, words: _Words, step: int) -> Iterator[Positions]:
        """Yield text * number of values + value, for each place where a text may stand."""
        bits = min(22, max(16, len(words.words).bit_length() + 5))
        table = np.zeros(1 << bits, dtype=np.bool_)
        table[_hashes(words.words, bits)] = True
        # A text of three bytes may end where no whole word fits.
        padded = content if words.mask == _WHOLE else np.append(content, np.zeros(_WORD, dtype=np.uint8))
        everywhere = _every_word(content)
        for shift in range(0, _WORD, step):
            usable = (len(padded) - shift) // _WORD
            if usable <= 0:
                continue
            data = padded[shift : shift + usable * _WORD].view(np.uint32)
            for begin in range(0, usable, _CHUNK):
                piece = (data[begin : begin + _CHUNK] | _CASE) & words.mask
                at = np.flatnonzero(table[_hashes(piece, bits)])
                if not len(at):
                    continue
                known = np.minimum(np.searchsorted(words.words, piece[at]), len(words.words) - 1)
                same = words.words[known] == piece[at]
                at, known = at[same], known[same]
                places = (at + begin) * _WORD + shift
                for part in _parts(words.starts[known + 1] - words.starts[known]):
                    yield self._compared(content, everywhere, ends, words, known[part], places[part])

    def _compared(
        self,
        content: Bytes,
        everywhere: Words,
        ends: Positions,
        words: _Words,
        known: Positions,
        places: Positions,
    ) -> Positions:
        """Compare the texts of the words found with what stands there, at their middle and their end."""
        counts = words.starts[known + 1] - words.starts[known]
        total = int(counts.sum())
        inside = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
        entry = np.repeat(words.starts[known], counts) + inside
        text = words.texts[entry]
        start = np.repeat(places, counts) - words.places[entry]
        length = self._lengths[text]
        fits = (start >= 0) & (start + length <= len(content))
        text, start, length = text[fits], start[fits], length[fits]
        if len(everywhere):
            for shown, offsets in ((self._last, self._lengths - _WORD), (self._middle, self._half)):
                # A text of three bytes is compared already.
                offset = np.maximum(offsets[text], -start)
                place = np.minimum(start + offset, len(everywhere) - 1)
                same = ((everywhere[place] | _CASE) == shown[text]) | (length < _WORD)
                text, start, length = text[same], start[same], length[same]
        row = np.searchsorted(ends, start, side="right")
        inside_row = start + length <= ends[np.minimum(row, len(ends) - 1)]
        return np.unique(text[inside_row] * len(ends) + row[inside_row])


def _hashes(words: Words, bits: int) -> npt.NDArray[np.intp]:
    return ((words * _MULTIPLIER) >> np.uint32(32 - bits)).astype(np.intp)


def _every_word(content: Bytes) -> Words:
    """Return the word at each place, without copying."""
    count = max(0, len(content) - _WORD + 1)
    return np.ndarray((count,), dtype=np.dtype("<u4"), buffer=content, strides=(1,))


def _counts(content: Bytes) -> npt.NDArray[np.int64]:
    """Count the words of a sample of the data, by hash."""
    every = _every_word(content)
    pace = max(1, len(every) // _SAMPLE)
    sample = every[:: pace | 1] | _CASE
    return np.bincount(_hashes(sample, _SAMPLE_BITS), minlength=1 << _SAMPLE_BITS)


def _parts(counts: Positions) -> Iterator[slice]:
    """Yield slices whose counts add up to at most `_PAIRS`, or of one element."""
    if not len(counts):
        return
    sums = np.cumsum(counts)
    begin = 0
    while begin < len(counts):
        reached = sums[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(sums, reached + _PAIRS, side="right")))
        yield slice(begin, end)
        begin = end


def _wild(values: pa.Array) -> Positions:
    """Return the values that contain a character which is an ASCII letter in another case."""
    beyond = pc.indices_nonzero(pc.invert(pc.string_is_ascii(values)))
    if not len(beyond):
        return np.empty(0, dtype=np.int64)
    content, ends = _buffers(values.take(beyond))
    places: list[Positions] = []
    for character in _FOLDED_TO_ASCII:
        at = np.flatnonzero(content[: len(content) - len(character) + 1] == character[0])
        for index, byte in enumerate(character[1:], 1):
            at = at[content[at + index] == byte]
        places.append(at)
    rows = np.unique(np.searchsorted(ends, np.concatenate(places), side="right"))
    found: Positions = beyond.to_numpy().astype(np.int64)[rows]
    return found


def _buffers(values: pa.Array) -> tuple[Bytes, Positions]:
    """Return the UTF-8 of all values one behind the other, and where each ends in it."""
    if values.type not in (pa.string(), pa.large_string()):
        values = values.cast(pa.large_string())
    empty = np.empty(0, dtype=np.uint8), np.empty(0, dtype=np.int64)
    if len(values) == 0:
        return empty
    _, offsets, content = values.buffers()
    if content is None:
        return empty
    kind = np.int32 if values.type == pa.string() else np.int64
    at = np.frombuffer(offsets, dtype=kind)[values.offset : values.offset + len(values) + 1].astype(np.int64)
    return np.frombuffer(content, dtype=np.uint8)[at[0] : at[-1]], at[1:] - at[0]
