"""Lines of `key=value` pairs, as Fortinet and others write them: quotes, escapes, commas."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

#: No log line of this kind is longer, in characters: syslog over UDP ends at 64 KiB.
MAX_LINE = 65536

# A quoted value ends at the first quote without backslash, if a separator follows it. A lone quote as value
# says that it does not: `_scan` then has to look closer. No part can match in two ways, so that no line,
# however hostile, takes more than linear time.
_KEY = r"(?<![\w.\-])([\w.\-]++)="
_VALUE = r"""("[^"\\]*+"(?={end})|"(?:[^"\\]|\\.)*+"(?={end})|"|{plain})"""
_SPACED = re.compile(_KEY + _VALUE.format(end=r"[\s,]|$", plain=r'[^\s"]\S*+|'))
_COMMAS = re.compile(_KEY + _VALUE.format(end=r"\s*(?:,|$)", plain=r'[^,"][^,]*+|'))

_NEXT_KEY = re.compile(_KEY)
_STRICT = re.compile(r'"((?:[^"\\]|\\.)*+)"(?=[\s,]|$)')
_LOOSE = re.compile(r'"(?=[\s,]+[\w.\-]++=|\s*$)')
_PLAIN = {False: re.compile(r"\S*"), True: re.compile(r"[^,]*")}

#: A layout is compiled when it was seen so often, because compiling costs as much as a hundred lines.
_WORTH = 8
_MAX_LAYOUTS = 16
_MAX_SEEN = 4096

_Layout = tuple[re.Pattern[str], tuple[str, ...]]


class _Layouts:
    """Lines of one kind that have the same keys and quotes in the same order, as one pattern each.

    A pattern of the whole line is several times as fast as finding its pairs one by one. It is made only from
    lines, and matches only lines, for which both give the same: nothing but pairs, one space between them, no
    quote inside a value.
    """

    def __init__(self) -> None:
        self._known: dict[str, list[_Layout]] = {}
        self._seen: Counter[tuple[str, ...]] = Counter()

    def match(self, text: str, kind: str) -> dict[str, str] | None:
        """Return the pairs if a known layout fits; the one that fits moves to the front."""
        layouts = self._known.get(kind)
        if layouts is None or '\\"' in text:
            return None
        for index, (pattern, keys) in enumerate(layouts):
            found = pattern.fullmatch(text)
            if found is not None:
                if index:
                    layouts.insert(0, layouts.pop(index))
                return dict(zip(keys, found.groups(), strict=True))
        return None

    def learn(self, text: str, kind: str, found: list[tuple[str, str]]) -> None:
        """Remember the layout of a line, if it is a regular one, and compile it when it is worth it."""
        layout = tuple(key + ('="' if value[:1] == '"' else "=") for key, value in found)
        if len(self._seen) >= _MAX_SEEN:
            self._seen.clear()
        self._seen[layout] += 1
        if self._seen[layout] != _WORTH or not _is_regular(text, found):
            return
        parts = (
            re.escape(key) + ('="([^"]*+)"' if quoted else r'=([^\s"]*+)')
            for key, quoted in ((key, value[:1] == '"') for key, value in found)
        )
        if kind not in self._known and len(self._known) >= _MAX_SEEN:
            self._known.clear()
        layouts = self._known.setdefault(kind, [])
        layouts.insert(0, (re.compile(" ".join(parts)), tuple(key for key, _ in found)))
        del layouts[_MAX_LAYOUTS:]


def _is_regular(text: str, found: list[tuple[str, str]]) -> bool:
    """Is the line nothing but these pairs, each key once, without a quote inside a value?"""
    if " ".join(f"{key}={value}" for key, value in found) != text or '\\"' in text:
        return False
    inner = (value[1:-1] if value[:1] == '"' and len(value) > 1 else value for _, value in found)
    return len({key for key, _ in found}) == len(found) and not any('"' in value for value in inner)


_layouts = _Layouts()


def pairs(text: str, kind: str = "", *, commas: bool = False) -> dict[str, str]:
    """Return the pairs of a line by their own names, in the order of the line.

    Values are without their quotes, `\\"` inside becomes `"`; other backslashes stay (`DOMAIN\\user`). With
    `commas`, a comma ends an unquoted value instead of a space. A key that occurs again becomes `key_2`,
    `key_3`. Text outside of pairs is passed over. Lines of the same `kind` (a message number, say) are likely
    to have the same keys: that only makes it faster.
    """
    fields = None if commas else _layouts.match(text, kind)
    if fields is not None:
        return fields
    found = (_COMMAS if commas else _SPACED).findall(text)
    if any(value == '"' for _, value in found):
        return _named(_scan(text, commas))
    if not commas:
        _layouts.learn(text, kind, found)
    return _named(
        (key, value[1:-1].replace('\\"', '"') if value[:1] == '"' else value) for key, value in found
    )


def _scan(text: str, commas: bool) -> Iterator[tuple[str, str]]:
    """Find the pairs of a line in which a quoted value is not closed as it should be.

    Vendors that do not escape what users typed write `path="C:\\"` or `msg="user "bob" failed"`: such a value
    ends at the first quote behind which another key or the end of the line stands. A line cut off inside a
    value ends it, too.
    """
    at = 0
    while (key := _NEXT_KEY.search(text, at)) is not None:
        at = key.end()
        if text[at : at + 1] != '"':
            plain = _PLAIN[commas].match(text, at)
            value, at = (plain[0], plain.end()) if plain else ("", at)
        elif (strict := _STRICT.match(text, at)) is not None:
            value, at = strict[1], strict.end()
        else:
            loose = _LOOSE.search(text, at + 1)
            value, at = (text[at + 1 : loose.start()], loose.end()) if loose else (text[at + 1 :], len(text))
        yield key[1], value.replace('\\"', '"')


def _named(found: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Give keys that come again names of their own."""
    fields: dict[str, str] = {}
    counts: dict[str, int] = {}
    for key, value in found:
        name = key
        while name in fields:
            counts[key] = counts.get(key, 1) + 1
            name = f"{key}_{counts[key]}"
        fields[name] = value
    return fields
