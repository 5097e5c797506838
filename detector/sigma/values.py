"""Selections of a rule to pySigma's trees of conditions: what the modifiers do to fields and values.

Modifiers act in the order they are written, on each value. What the specification leaves open, and what
pySigma's own modifiers do otherwise, is in docs/sigma.md.

https://sigmahq.io/sigma-specification/specification/sigma-appendix-modifiers.html
"""

from __future__ import annotations

import difflib
import itertools
import math
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any

from sigma.conditions import (
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionValueExpression,
)
from sigma.types import (
    SigmaBool,
    SigmaCasedString,
    SigmaNull,
    SigmaString,
    SigmaType,
)

from detector.errors import RuleError
from detector.sigma.condition import joined
from detector.sigma.exact import UTF16
from detector.sigma.modifiers import (
    ANY,
    COMPARISONS,
    FLAGS,
    MAX_VARIANTS,
    PLACES,
    TIME_PARTS,
    Bytes,
    Part,
    Pattern,
    Regex,
    SelectionError,
    Text,
    applied,
    as_text,
    exact_number,
    parts_of,
    placed,
    shown,
    text_of,
)
from detector.sigma.placeholders import Placeholders
from detector.sigma.regex import UnsupportedPatternError, to_re2

_OF_ITEMS = ("all", "neq")
MODIFIERS = frozenset(
    {*FLAGS, *PLACES, *COMPARISONS, *TIME_PARTS, *_OF_ITEMS, *UTF16}
    | {"re", "cased", "windash", "base64", "base64offset", "cidr", "exists", "fieldref", "expand"}
)

#: An escaped backslash, an escaped percent sign, a placeholder, a percent sign.
_PLACEHOLDER = re.compile(r"\\\\|\\%|%([^%]+)%|%")
#: Modifiers before which and behind which expand means the same.
_BESIDE_EXPAND = frozenset({*PLACES, *FLAGS, "cased", "windash", "re", "cidr", "fieldref"})
_TYPES = frozenset({"re", "cidr", "fieldref"})


def selection(definition: Any, placeholders: Placeholders) -> Any:
    """Return the tree of a selection: maps are AND, lists are OR, plain values are keywords.

    Raises SelectionError.
    """
    if isinstance(definition, Mapping):
        if not definition:
            raise SelectionError("a selection without fields")
        return joined(True, [_item_at(key, value, placeholders) for key, value in definition.items()])
    if not isinstance(definition, list):
        return item("", [definition], placeholders)
    if not definition:
        raise SelectionError("a selection without values")
    if not any(isinstance(each, Mapping | list) for each in definition):
        return item("", definition, placeholders)
    found: list[Any] = []
    for number, each in enumerate(definition):
        try:
            found.append(selection(each, placeholders))
        except SelectionError as error:
            raise SelectionError(str(error), (str(number), *error.path)) from error
    return joined(False, found)


def _item_at(key: Any, value: Any, placeholders: Placeholders) -> Any:
    if not isinstance(key, str):
        raise SelectionError(f"the field name {key!r} is no text; put it in quotes")
    try:
        if isinstance(value, Mapping):
            raise SelectionError(f"the value of {key} is neither a value nor a list of values")
        return item(key, value if isinstance(value, list) else [value], placeholders)
    except SelectionError as error:
        raise SelectionError(str(error), (key, *error.path)) from error
    except RuleError as error:
        raise SelectionError(str(error), (key,)) from error


def item(key: str, given: list[Any], placeholders: Placeholders) -> Any:
    """Return the tree of one field with its modifiers and values; without a field they are keywords."""
    field, *modifiers = key.split("|")
    for modifier in modifiers:
        if modifier not in MODIFIERS:
            near = difflib.get_close_matches(modifier.lower(), MODIFIERS, 1)
            hint = f"; is {near[0]} meant?" if near else ""
            raise SelectionError(f"Unknown modifier '{modifier}'{hint}")
    if not given:
        raise SelectionError("a list without values; a field that is absent has the value null")
    tests = [
        [
            ConditionFieldEqualsValueExpression(field, one) if field else ConditionValueExpression(one)
            for one in _variants(field, modifiers, value, placeholders)
        ]
        for value in given
    ]
    if "all" in modifiers:
        found = joined(True, [joined(False, of_value) for of_value in tests])
    else:
        found = joined(False, list(itertools.chain.from_iterable(tests)))
    return ConditionNOT([found]) if "neq" in modifiers else found


def _variants(field: str, modifiers: list[str], given: Any, placeholders: Placeholders) -> list[SigmaType]:
    """Return what one value becomes by its modifiers: alternatives, at least one."""
    changing = [modifier for modifier in modifiers if modifier not in _OF_ITEMS]
    typed = not _TYPES.isdisjoint(changing)
    states: list[Any] = [_start(given, typed)]
    if "expand" in changing:
        before = changing[: changing.index("expand")]
        if not _BESIDE_EXPAND.issuperset(before):
            raise SelectionError(f"expand stands before {before[0]}")
        changing.remove("expand")
        states = [after for state in states for after in _expanded(state, typed, placeholders)]
    for index, modifier in enumerate(changing):
        states = [after for state in states for after in applied(modifier, state, changing[:index])]
        if len(states) > MAX_VARIANTS:
            raise SelectionError(f"one value becomes more than {MAX_VARIANTS:,}")
    return [_finished(field, state, changing) for state in states]


def _start(given: Any, typed: bool) -> Any:
    """Return a value before its modifiers."""
    if isinstance(given, str):
        return Text((given,) if typed else parts_of(given), given)
    if given is None or isinstance(given, bool | int):
        return given
    if isinstance(given, date) and not isinstance(given, datetime):
        return _start(given.isoformat(), typed)
    if isinstance(given, float):
        if not math.isfinite(given):
            raise SelectionError(f"{given} is no number")
        return given
    raise SelectionError(f"the value {str(given)!r} is neither text nor number; put it in quotes")


def _expanded(state: Any, typed: bool, placeholders: Placeholders) -> list[Text]:
    """Fill in the placeholders of a text; in patterns, networks and field names text by text."""
    if not isinstance(state, Text) or state.raw is None:
        raise SelectionError(f"the modifier expand is incompatible with {shown(state)}")
    choices = [list(placeholders.of(text)) if named else [text] for named, text in _pieces(state.raw)]
    product = 1
    for each in choices:
        product *= len(each)
        if product > MAX_VARIANTS:
            raise SelectionError(f"one value becomes more than {MAX_VARIANTS:,} by its placeholders")
    found: list[Text] = []
    for chosen in itertools.product(*choices):
        text = "".join(chosen)
        # Part by part, so that a backslash before a placeholder escapes nothing of its value.
        parts = (text,) if typed else _merged([part for each in chosen for part in parts_of(each)])
        found.append(Text(parts, text))
    return found


def _merged(parts: list[Part]) -> tuple[Part, ...]:
    merged: list[Part] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        else:
            merged.append(part)
    return tuple(merged)


def _pieces(text: str) -> Iterator[tuple[bool, str]]:
    r"""Yield (is a placeholder's name, text); `\%` is a percent sign."""
    position = 0
    for found in _PLACEHOLDER.finditer(text):
        if found.start() > position:
            yield False, text[position : found.start()]
        yield (True, found[1]) if found[1] else (False, found[0] if found[0] == "\\\\" else "%")
        position = found.end()
    if position < len(text):
        yield False, text[position:]


def _finished(field: str, state: Any, modifiers: list[str]) -> SigmaType:
    """Return the value for the backend."""
    if not field:
        state = _keyword(state, modifiers)
    if isinstance(state, Bytes):
        state = text_of(state)
    if isinstance(state, Text):
        found = SigmaCasedString() if state.cased else SigmaString()
        found.s = list(state.parts)  # type: ignore[arg-type]
        return found
    if isinstance(state, Pattern):
        return Regex(_translated(state))
    if isinstance(state, bool):
        return SigmaBool(state)
    if isinstance(state, int | float):
        return exact_number(state)
    if state is None:
        if set(modifiers) - {"cased"}:
            raise SelectionError(f"the modifier {modifiers[-1]} is incompatible with null")
        return SigmaNull()
    finished: SigmaType = state
    return finished


def _keyword(state: Any, modifiers: list[str]) -> Any:
    """Return a keyword as the text to look for in every field: anywhere in it if nothing else is said."""
    state = as_text("a keyword", state)
    if isinstance(state, Pattern):
        return state
    if isinstance(state, Bytes):
        state = text_of(state)
    if not isinstance(state, Text):
        raise SelectionError(f"{shown(state)} needs a field")
    if not {"startswith", "endswith"} & set(modifiers):
        state = placed("contains", state)
    if all(part is ANY for part in state.parts):
        raise SelectionError("an empty keyword, which every event contains")
    return state


def _translated(state: Pattern) -> str:
    try:
        return to_re2(state.text, state.flags, state.at_start, state.at_end)
    except UnsupportedPatternError as error:
        shown = state.text if len(state.text) <= 200 else state.text[:200] + "…"
        raise SelectionError(f"the regular expression '{shown}' {error}") from error
