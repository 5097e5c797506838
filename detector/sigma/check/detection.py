"""The form of a detection or filter: selections, modifiers, condition; with what to write instead."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from detector.sigma.check.fields import field_problem, items_of
from detector.sigma.check.places import Places
from detector.sigma.check.schema import Said
from detector.sigma.check.words import nearest
from detector.sigma.logsources import LogSource

_WORD = re.compile(r"[^\s()]+")
_OPERATORS = frozenset({"and", "or", "not"})

#: Keys of `detection` and `filter` that are no selections.
_NOT_SELECTIONS = frozenset({"condition", "timeframe", "rules"})


@cache
def modifiers() -> tuple[str, ...]:
    """Return the names of all modifiers that pySigma knows."""
    from sigma.modifiers import modifier_mapping

    return tuple(modifier_mapping)


def detection_findings(data: Mapping[str, Any], places: Places) -> Iterator[Said]:
    """Yield errors of form in `detection` or `filter`."""
    for part in ("detection", "filter"):
        given = data.get(part)
        if not isinstance(given, Mapping):
            if part == "detection" and not {"correlation", "filter"} & set(data):
                message = "a rule needs a detection: a mapping of selections and a condition"
                yield "error", message, places.value("detection")
            continue
        names = [str(name) for name in given if name not in _NOT_SELECTIONS]
        if not names:
            yield "error", "a detection needs at least one selection beside its condition", places.key(part)
        for name in names:
            yield from _selection(given[name], (part, name), places)
        yield from _condition(given, names, part, places)


def _selection(node: Any, path: tuple[str | int, ...], places: Places) -> Iterator[Said]:
    if node is None or (isinstance(node, Mapping | list) and not node):
        yield "error", f"the selection '{path[1]}' is empty", places.key(*path)
        return
    for _, given, where, value in items_of(node, path):
        for modifier in given:
            if modifier not in modifiers():
                yield "error", _unknown_modifier(modifier), _inside_key(modifier, where, places)
        if isinstance(value, Mapping):
            message = f"the value of {where[-1]} is a mapping; write a value or a list of values"
            yield "error", message, places.value(*where)
        elif isinstance(value, list):
            for index, each in enumerate(value):
                if isinstance(each, list | Mapping):
                    what = "a list" if isinstance(each, list) else "a mapping"
                    hint = "; put a value with ': ' in quotes" if what == "a mapping" else ""
                    message = f"the values of {where[-1]} are texts or numbers, not {what}{hint}"
                    yield "error", message, places.value(*where, index)


def _inside_key(modifier: str, path: tuple[str | int, ...], places: Places) -> tuple[int, int]:
    """Return where a modifier stands in its key."""
    line, column = places.key(*path)
    before, _, _ = str(path[-1]).partition(f"|{modifier}")
    return line, column + len(before) + 1


def _unknown_modifier(modifier: str) -> str:
    found = nearest(modifier, modifiers(), 0.6)
    meant = f"did you mean '{found}'?" if found else f"known are {', '.join(sorted(modifiers()))}"
    return f"unknown modifier '{modifier}'; {meant}" if modifier else "an empty modifier: a | too many"


def _condition(given: Mapping[str, Any], names: list[str], part: str, places: Places) -> Iterator[Said]:
    if "condition" not in given:
        near = nearest("condition", [str(name) for name in given], 0.8)
        meant = f"; did you mean '{near}' to be it?" if near else "; write condition: " + (names or ["…"])[0]
        yield "error", f"a {part} needs a condition{meant}", places.key(part)
        return
    conditions = given["condition"]
    listed = list(conditions) if isinstance(conditions, list) else [conditions]
    for index, text in enumerate(listed):
        path = (part, "condition", index) if isinstance(conditions, list) else (part, "condition")
        if not isinstance(text, str):
            yield "error", "a condition is a text; put it in quotes", places.value(*path)
            continue
        if "|" in text:
            message = "the pipe syntax in conditions is withdrawn from Sigma; write a correlation rule"
            yield "error", message, places.value(*path)
            continue
        yield from _words(text, names, path, places)


def _words(text: str, names: list[str], path: tuple[str | int, ...], places: Places) -> Iterator[Said]:
    words = _WORD.findall(text)
    for index, word in enumerate(words):
        before = words[index - 1] if index else ""
        if before == "of":
            if word != "them" and not any(_fits(name, word) for name in names):
                found = nearest(word.replace("*", ""), names, 0.5)
                meant = f"; did you mean '{found}'?" if found else ""
                yield "error", f"no selection is called '{word}'{meant}", places.within(word, *path)
        elif word in names or word in _OPERATORS or (word in ("1", "all", "any", "of")):
            continue
        elif word.lower() in _OPERATORS:
            message = f"'{word}': operators are written in lower case; write {word.lower()}"
            yield "error", message, places.within(word, *path)
        else:
            found = nearest(word, names, 0.5)
            listed = ", ".join(f"'{name}'" for name in names[:8])
            meant = f"; did you mean '{found}'?" if found else f"; there are {listed}"
            if "*" in word:
                meant = f"; write 1 of {word} or all of {word}"
            yield "error", f"the selection '{word}' is not defined{meant}", places.within(word, *path)


def _fits(name: str, pattern: str) -> bool:
    if name.startswith("_") and not pattern.startswith("_"):
        return False
    return re.fullmatch(".*".join(re.escape(piece) for piece in pattern.split("*")), name) is not None


def field_findings(data: Mapping[str, Any], places: Places) -> Iterator[Said]:
    """Yield warnings about fields that the events of the log source do not have."""
    given = data.get("logsource")
    if not isinstance(given, Mapping):
        return
    product, category, service = (given.get(key) for key in ("product", "category", "service"))
    if not all(each is None or isinstance(each, str) for each in (product, category, service)):
        return
    logsource = LogSource(*(each.lower() if each else None for each in (product, category, service)))
    seen: set[str] = set()
    for part in ("detection", "filter"):
        selections = data.get(part)
        if not isinstance(selections, Mapping):
            continue
        for name, node in selections.items():
            if name in _NOT_SELECTIONS:
                continue
            for field, given_modifiers, path, value in items_of(node, (part, str(name))):
                referred = [value] if "fieldref" in given_modifiers and isinstance(value, str) else []
                for each in (field, *referred):
                    message = field_problem(each, logsource)
                    if message and each not in seen:
                        seen.add(each)
                        yield "warning", message, places.key(*path) if each == field else places.value(*path)
