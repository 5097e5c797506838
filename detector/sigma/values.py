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
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from sigma.conditions import (
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionValueExpression,
)
from sigma.exceptions import SigmaError
from sigma.types import (
    CompareOperators,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaString,
    SigmaTimestampPart,
    SigmaType,
    SpecialChars,
    TimestampPart,
)

from detector.errors import RuleError
from detector.sigma.condition import joined
from detector.sigma.exact import UTF16, base64, base64_at_offsets
from detector.sigma.placeholders import Placeholders
from detector.sigma.regex import UnsupportedPatternError, to_re2

#: The characters that introduce an option on a Windows command line, for `windash`.
DASHES = "-/\u2013\u2014\u2015"

#: Values that one value may become by placeholders, or by dashes that are to be encoded.
MAX_VARIANTS = 10_000

#: Digits of a number to compare with, before and behind the point.
MAX_WHOLE, MAX_FRACTION = 28, 9


class AnyDash(Enum):
    """A part of a text, beside pySigma's wildcards, that stands for one of `DASHES`."""

    DASH = "dash"


class Regex(SigmaType):
    """A regular expression in RE2's syntax, to be searched for in text as it is written."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern


@dataclass
class FieldReference(SigmaFieldReference):
    """The value of another field of the event."""

    cased: bool = False


Part = str | SpecialChars | AnyDash
_ANY = SpecialChars.WILDCARD_MULTI


@dataclass(frozen=True)
class _Text:
    """A text on its way; `raw` is what the rule has, while no modifier has changed it."""

    parts: tuple[Part, ...]
    raw: str | None
    cased: bool = False


@dataclass(frozen=True)
class _Bytes:
    content: bytes


@dataclass(frozen=True)
class _Pattern:
    text: str
    flags: frozenset[str] = frozenset()
    at_start: bool = False
    at_end: bool = False


_FLAGS = {"i": "i", "ignorecase": "i", "m": "m", "multiline": "m", "s": "s", "dotall": "s"}
_PLACES = ("contains", "startswith", "endswith")
_COMPARISONS = {
    "lt": CompareOperators.LT,
    "lte": CompareOperators.LTE,
    "gt": CompareOperators.GT,
    "gte": CompareOperators.GTE,
}
_TIME_PARTS = {part.name.lower(): part for part in TimestampPart}
_OF_ITEMS = ("all", "neq")
MODIFIERS = frozenset(
    {*_FLAGS, *_PLACES, *_COMPARISONS, *_TIME_PARTS, *_OF_ITEMS, *UTF16}
    | {"re", "cased", "windash", "base64", "base64offset", "cidr", "exists", "fieldref", "expand"}
)

_FLAG_DASH = re.compile(rf"(?<!\w)[{re.escape(DASHES)}](?=\w)")
#: An escaped backslash, an escaped percent sign, a placeholder, a percent sign.
_PLACEHOLDER = re.compile(r"\\\\|\\%|%([^%]+)%|%")
#: Modifiers before which and behind which expand means the same.
_BESIDE_EXPAND = frozenset({*_PLACES, *_FLAGS, "cased", "windash", "re", "cidr", "fieldref"})
_TYPES = frozenset({"re", "cidr", "fieldref"})


class SelectionError(RuleError):
    """What is wrong with a selection; `path` leads to the key or the list entry that it is wrong with."""

    def __init__(self, message: str, path: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.path = path


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
        states = [after for state in states for after in _applied(modifier, state, changing[:index])]
        if len(states) > MAX_VARIANTS:
            raise SelectionError(f"one value becomes more than {MAX_VARIANTS:,}")
    return [_finished(field, state, changing) for state in states]


def _start(given: Any, typed: bool) -> Any:
    """Return a value before its modifiers."""
    if isinstance(given, str):
        return _Text((given,) if typed else _parts(given), given)
    if given is None or isinstance(given, bool | int):
        return given
    if isinstance(given, date) and not isinstance(given, datetime):
        return _start(given.isoformat(), typed)
    if isinstance(given, float):
        if not math.isfinite(given):
            raise SelectionError(f"{given} is no number")
        return given
    raise SelectionError(f"the value {str(given)!r} is neither text nor number; put it in quotes")


def _parts(text: str) -> tuple[Part, ...]:
    r"""Split a text at its wildcards; `\` before `*`, `?` and `\` takes their meaning."""
    parts: list[Part] = []
    plain: list[str] = []
    position = 0
    while position < len(text):
        character = text[position]
        if character == "\\" and text[position + 1 : position + 2] in ("*", "?", "\\"):
            plain.append(text[position + 1])
            position += 2
            continue
        position += 1
        if character not in "*?":
            plain.append(character)
            continue
        parts += ["".join(plain)] if plain else []
        plain = []
        parts.append(_ANY if character == "*" else SpecialChars.WILDCARD_SINGLE)
    return (*parts, "".join(plain)) if plain else tuple(parts)


def _applied(modifier: str, state: Any, before: list[str]) -> list[Any]:
    if modifier in _PLACES:
        return [_placed(modifier, state)]
    if modifier in _FLAGS:
        if not isinstance(state, _Pattern):
            raise SelectionError(f"{modifier} stands behind re")
        return [replace(state, flags=state.flags | {_FLAGS[modifier]})]
    if modifier == "cased":
        return [_cased(state)]
    if modifier in ("lt", "lte", "gt", "gte"):
        return [_compared(modifier, state)]
    if modifier in _TIME_PARTS:
        if isinstance(state, bool) or not isinstance(state, int):
            raise SelectionError(f"{modifier} needs a whole number")
        return [SigmaTimestampPart(_TIME_PARTS[modifier], state)]
    if modifier == "exists":
        if not isinstance(state, bool) or before:
            raise SelectionError("exists stands alone and needs true or false")
        return [SigmaExists(state)]
    state = _as_text(modifier, state)
    if modifier in UTF16 or modifier in ("base64", "base64offset"):
        return _encoded(modifier, state)
    if modifier == "windash":
        return [_with_dashes(_only(_Text, modifier, state))]
    return [_typed(modifier, _only(_Text, modifier, state))]


def _typed(modifier: str, state: _Text) -> Any:
    """Apply re, cidr or fieldref, which take a text as the rule has it."""
    if state.raw is None:
        raise SelectionError(f"{modifier} stands before the modifiers that change a value")
    if modifier == "re":
        return _Pattern(state.raw)
    if modifier == "fieldref":
        return FieldReference(state.raw, cased=state.cased)
    try:
        return SigmaCIDRExpression(state.raw)
    except SigmaError as error:
        raise SelectionError(str(error)) from error


def _only(kind: type[Any], modifier: str, state: Any) -> Any:
    if not isinstance(state, kind):
        raise SelectionError(f"the modifier {modifier} is incompatible with {_shown(state)}")
    return state


def _shown(state: Any) -> str:
    if state is None:
        return "null"
    names: dict[type, str] = {
        _Text: "a text",
        _Bytes: "an encoded text",
        _Pattern: "a regular expression",
        FieldReference: "the name of a field",
        SigmaCIDRExpression: "a network",
    }
    return names.get(type(state), f"the value {state}")


def _as_text(modifier: str, state: Any) -> Any:
    """Return a number or a truth value as the text that a field holds for it."""
    if isinstance(state, bool):
        text = "true" if state else "false"
    elif isinstance(state, int):
        text = str(state)
    elif isinstance(state, float):
        raise SelectionError(f"{modifier} needs a text; put {state} in quotes")
    else:
        return state
    return _Text((text,), text)


def _placed(modifier: str, state: Any) -> Any:
    state = _as_text(modifier, state)
    if isinstance(state, _Bytes):
        state = _text_of(state)
    if isinstance(state, _Text):
        parts = state.parts
        if modifier != "startswith" and parts[:1] != (_ANY,):
            parts = (_ANY, *parts)
        if modifier != "endswith" and parts[-1:] != (_ANY,):
            parts = (*parts, _ANY)
        return replace(state, parts=parts, raw=None)
    if isinstance(state, _Pattern):
        return replace(
            state,
            at_start=state.at_start or modifier == "startswith",
            at_end=state.at_end or modifier == "endswith",
        )
    if isinstance(state, FieldReference):
        return replace(
            state,
            starts_with=state.starts_with or modifier != "endswith",
            ends_with=state.ends_with or modifier != "startswith",
        )
    raise SelectionError(f"the modifier {modifier} is incompatible with {_shown(state)}")


def _cased(state: Any) -> Any:
    if isinstance(state, _Text | FieldReference):
        return replace(state, cased=True)
    if isinstance(state, _Bytes):
        return replace(_text_of(state), cased=True)
    if isinstance(state, _Pattern) and "i" in state.flags:
        raise SelectionError("cased and re|i contradict each other")
    return state  # numbers, null and regular expressions have no other case


def _compared(modifier: str, state: Any) -> SigmaCompareExpression:
    number = state if isinstance(state, SigmaTimestampPart) else _number(modifier, state)
    return SigmaCompareExpression(number, _COMPARISONS[modifier])


def _number(modifier: str, state: Any) -> SigmaNumber:
    if isinstance(state, bool) or not isinstance(state, int | float):
        raise SelectionError(
            f"the modifier {modifier} is incompatible with {_shown(state)}: it needs a number"
        )
    exponent = Decimal(repr(state)).as_tuple().exponent
    if abs(state) >= 10**MAX_WHOLE or (isinstance(exponent, int) and exponent < -MAX_FRACTION):
        raise SelectionError(
            f"{state} has more than {MAX_WHOLE} digits before or {MAX_FRACTION} behind the point"
        )
    return exact_number(state)


def exact_number(number: int | float) -> SigmaNumber:
    """Return a number as it is; pySigma's own constructor rounds whole numbers from 2^53."""
    found = SigmaNumber(0)
    found.number = int(number) if number == int(number) else number
    return found


def _with_dashes(state: _Text) -> _Text:
    parts: list[Part] = []
    for part in state.parts:
        if not isinstance(part, str):
            parts.append(part)
            continue
        for index, piece in enumerate(_FLAG_DASH.split(part)):
            parts += [AnyDash.DASH] if index else []
            parts += [piece] if piece else []
    return replace(state, parts=tuple(parts), raw=None)


def _encoded(modifier: str, state: Any) -> list[Any]:
    if isinstance(state, _Bytes) and modifier in UTF16:
        raise SelectionError(f"{modifier} of what is already encoded")
    contents = [state.content] if isinstance(state, _Bytes) else _contents(modifier, state)
    if modifier in UTF16:
        order, mark = UTF16[modifier]
        return [_Bytes(mark + content.decode("utf-8").encode(order)) for content in contents]
    if modifier == "base64offset" and any(len(content) < 2 for content in contents):
        raise SelectionError("base64offset needs two bytes at least: of less, nothing is sure in Base64")
    texts = [
        text
        for content in contents
        for text in ([base64(content)] if modifier == "base64" else base64_at_offsets(content))
    ]
    return [_Text((text,), None, state.cased if isinstance(state, _Text) else False) for text in texts]


def _contents(modifier: str, state: Any) -> list[bytes]:
    """Return the texts, one for each way to write its dashes, as UTF-8."""
    parts = _only(_Text, modifier, state).parts
    if any(isinstance(part, SpecialChars) for part in parts):
        raise SelectionError(f"{modifier} needs a text without wildcards")
    if len(DASHES) ** parts.count(AnyDash.DASH) > MAX_VARIANTS:
        raise SelectionError(f"one value becomes more than {MAX_VARIANTS:,}")
    choices = [DASHES if part is AnyDash.DASH else (part,) for part in parts]
    try:
        return ["".join(chosen).encode("utf-8") for chosen in itertools.product(*choices)]
    except UnicodeEncodeError as error:
        raise SelectionError("half of a surrogate pair, which is no character") from error


def _text_of(state: _Bytes) -> _Text:
    """Return bytes as text, if a text field can hold them."""
    try:
        text = state.content.decode("ascii")
    except UnicodeDecodeError as error:
        raise SelectionError(
            "no text holds this encoding's bytes; base64 or base64offset must follow"
        ) from error
    return _Text((text,) if text else (), None)


def _expanded(state: Any, typed: bool, placeholders: Placeholders) -> list[_Text]:
    """Fill in the placeholders of a text; in patterns, networks and field names text by text."""
    if not isinstance(state, _Text) or state.raw is None:
        raise SelectionError(f"the modifier expand is incompatible with {_shown(state)}")
    choices = [list(placeholders.of(text)) if named else [text] for named, text in _pieces(state.raw)]
    product = 1
    for each in choices:
        product *= len(each)
        if product > MAX_VARIANTS:
            raise SelectionError(f"one value becomes more than {MAX_VARIANTS:,} by its placeholders")
    found: list[_Text] = []
    for chosen in itertools.product(*choices):
        text = "".join(chosen)
        # Part by part, so that a backslash before a placeholder escapes nothing of its value.
        parts = (text,) if typed else _merged([part for each in chosen for part in _parts(each)])
        found.append(_Text(parts, text))
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
    if isinstance(state, _Bytes):
        state = _text_of(state)
    if isinstance(state, _Text):
        found = SigmaCasedString() if state.cased else SigmaString()
        found.s = list(state.parts)  # type: ignore[arg-type]
        return found
    if isinstance(state, _Pattern):
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
    state = _as_text("a keyword", state)
    if isinstance(state, _Pattern):
        return state
    if isinstance(state, _Bytes):
        state = _text_of(state)
    if not isinstance(state, _Text):
        raise SelectionError(f"{_shown(state)} needs a field")
    if not {"startswith", "endswith"} & set(modifiers):
        state = _placed("contains", state)
    if all(part is _ANY for part in state.parts):
        raise SelectionError("an empty keyword, which every event contains")
    return state


def _translated(state: _Pattern) -> str:
    try:
        return to_re2(state.text, state.flags, state.at_start, state.at_end)
    except UnsupportedPatternError as error:
        shown = state.text if len(state.text) <= 200 else state.text[:200] + "…"
        raise SelectionError(f"the regular expression '{shown}' {error}") from error
