"""Where each key and value of a rule file stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from detector.sigma.loader import MAX_DEPTH, MAX_NODES

Place = tuple[int, int]
Path = tuple[str | int, ...]

_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Places:
    """The places (line, column, from 1) of one document: `("detection", "sel", "Image|endswith", 0)`."""

    def __init__(
        self,
        lines: list[str],
        keys: Mapping[Path, Place],
        values: Mapping[Path, Place],
        scalars: Mapping[Path, str],
    ) -> None:
        self._lines = lines
        self._keys = keys
        self._values = values
        self._scalars = scalars

    def key(self, *path: str | int) -> Place:
        """Return where a key stands; that of what contains it if the document has no such key."""
        return self._keys.get(path) or (self.key(*path[:-1]) if path else self._values[()])

    def value(self, *path: str | int) -> Place:
        """Return where a value begins; where its key or what contains it stands if there is none."""
        return self._values.get(path) or self.key(*path)

    def within(self, word: str, *path: str | int) -> Place:
        """Return where a word stands in a value of text; the value's place if it cannot be told."""
        line, column = self.value(*path)
        found = re.compile(rf"(?<![\w*.-]){re.escape(word)}(?![\w*.-])")
        for number in range(line, min(line + 20, len(self._lines)) + 1):
            match = found.search(self._lines[number - 1], column - 1 if number == line else 0)
            if match:
                return number, match.start() + 1
        return line, column

    def keys(self) -> Mapping[Path, Place]:
        """Return the places of all keys."""
        return self._keys

    def scalars(self) -> Mapping[Path, str]:
        """Return the texts of all values that are no lists or mappings, as they are written."""
        return self._scalars


def places_of(content: bytes) -> dict[int, Places]:
    """Return the places of the documents of a rule file by their first line; none for what is no YAML."""
    text = content.decode("utf-8-sig", "replace")
    lines = text.splitlines()
    loader = _BASE(text)
    found: dict[int, Places] = {}
    try:
        while loader.check_node():
            node = loader.get_node()
            keys: dict[Path, Place] = {}
            values: dict[Path, Place] = {}
            scalars: dict[Path, str] = {}
            for count, (path, key, value) in enumerate(_walk(node, ())):
                if count > MAX_NODES:
                    break
                if key is not None:
                    keys[path] = _place(key)
                values[path] = _place(value)
                if isinstance(value, yaml.ScalarNode):
                    scalars[path] = value.value
            found[_place(node)[0]] = Places(lines, keys, values, scalars)
    except (yaml.YAMLError, RecursionError):
        return found
    finally:
        loader.dispose()
    return found


def _walk(node: Any, path: Path, key: Any = None) -> Iterator[tuple[Path, Any, Any]]:
    yield path, key, node
    if len(path) > MAX_DEPTH:
        return
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if isinstance(name, yaml.ScalarNode):
                yield from _walk(value, (*path, name.value), name)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _walk(item, (*path, index))


def _place(node: Any) -> Place:
    return node.start_mark.line + 1, node.start_mark.column + 1
