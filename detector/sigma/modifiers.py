"""What each modifier does to one value of a rule.

A value is on its way as `Text`, `Bytes`, `Pattern`, a number, a truth value, None, or one of pySigma's types
when nothing more can be done to it. What the specification leaves open, and what pySigma's own modifiers do
otherwise, is in docs/sigma.md.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum
from typing import Any

from sigma.exceptions import SigmaError
from sigma.types import (
    CompareOperators,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaFieldReference,
    SigmaNumber,
    SigmaTimestampPart,
    SigmaType,
    SpecialChars,
    TimestampPart,
)

from detector.errors import RuleError
from detector.sigma.exact import UTF16, base64, base64_at_offsets

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
ANY = SpecialChars.WILDCARD_MULTI


@dataclass(frozen=True)
class Text:
    """A text on its way; `raw` is what the rule has, while no modifier has changed it."""

    parts: tuple[Part, ...]
    raw: str | None
    cased: bool = False


@dataclass(frozen=True)
class Bytes:
    """Encoded bytes, which a modifier behind may turn into text again."""

    content: bytes


@dataclass(frozen=True)
class Pattern:
    """A regular expression on its way, with its flags and the ends it is bound to."""

    text: str
    flags: frozenset[str] = frozenset()
    at_start: bool = False
    at_end: bool = False


FLAGS = {"i": "i", "ignorecase": "i", "m": "m", "multiline": "m", "s": "s", "dotall": "s"}
PLACES = ("contains", "startswith", "endswith")
COMPARISONS = {
    "lt": CompareOperators.LT,
    "lte": CompareOperators.LTE,
    "gt": CompareOperators.GT,
    "gte": CompareOperators.GTE,
}
TIME_PARTS = {part.name.lower(): part for part in TimestampPart}

_FLAG_DASH = re.compile(rf"(?<!\w)[{re.escape(DASHES)}](?=\w)")


class SelectionError(RuleError):
    """What is wrong with a selection; `path` leads to the key or the list entry that it is wrong with."""

    def __init__(self, message: str, path: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.path = path


def parts_of(text: str) -> tuple[Part, ...]:
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
        parts.append(ANY if character == "*" else SpecialChars.WILDCARD_SINGLE)
    return (*parts, "".join(plain)) if plain else tuple(parts)


def applied(modifier: str, state: Any, before: list[str]) -> list[Any]:
    """Return what a modifier makes of a value: alternatives; raises SelectionError if it does not fit."""
    if modifier in PLACES:
        return [placed(modifier, state)]
    if modifier in FLAGS:
        if not isinstance(state, Pattern):
            raise SelectionError(f"{modifier} stands behind re")
        return [replace(state, flags=state.flags | {FLAGS[modifier]})]
    if modifier == "cased":
        return [_cased(state)]
    if modifier in ("lt", "lte", "gt", "gte"):
        return [_compared(modifier, state)]
    if modifier in TIME_PARTS:
        if isinstance(state, bool) or not isinstance(state, int):
            raise SelectionError(f"{modifier} needs a whole number")
        return [SigmaTimestampPart(TIME_PARTS[modifier], state)]
    if modifier == "exists":
        if not isinstance(state, bool) or before:
            raise SelectionError("exists stands alone and needs true or false")
        return [SigmaExists(state)]
    state = as_text(modifier, state)
    if modifier in UTF16 or modifier in ("base64", "base64offset"):
        return _encoded(modifier, state)
    if modifier == "windash":
        return [_with_dashes(_only(Text, modifier, state))]
    return [_typed(modifier, _only(Text, modifier, state))]


def _typed(modifier: str, state: Text) -> Any:
    """Apply re, cidr or fieldref, which take a text as the rule has it."""
    if state.raw is None:
        raise SelectionError(f"{modifier} stands before the modifiers that change a value")
    if modifier == "re":
        return Pattern(state.raw)
    if modifier == "fieldref":
        return FieldReference(state.raw, cased=state.cased)
    try:
        return SigmaCIDRExpression(state.raw)
    except SigmaError as error:
        raise SelectionError(str(error)) from error


def _only(kind: type[Any], modifier: str, state: Any) -> Any:
    if not isinstance(state, kind):
        raise SelectionError(f"the modifier {modifier} is incompatible with {shown(state)}")
    return state


def shown(state: Any) -> str:
    """Return what a value is, for messages."""
    if state is None:
        return "null"
    names: dict[type, str] = {
        Text: "a text",
        Bytes: "an encoded text",
        Pattern: "a regular expression",
        FieldReference: "the name of a field",
        SigmaCIDRExpression: "a network",
    }
    return names.get(type(state), f"the value {state}")


def as_text(modifier: str, state: Any) -> Any:
    """Return a number or a truth value as the text that a field holds for it."""
    if isinstance(state, bool):
        text = "true" if state else "false"
    elif isinstance(state, int):
        text = str(state)
    elif isinstance(state, float):
        raise SelectionError(f"{modifier} needs a text; put {state} in quotes")
    else:
        return state
    return Text((text,), text)


def placed(modifier: str, state: Any) -> Any:
    """Return the value as contains, startswith or endswith looks for it."""
    state = as_text(modifier, state)
    if isinstance(state, Bytes):
        state = text_of(state)
    if isinstance(state, Text):
        parts = state.parts
        if modifier != "startswith" and parts[:1] != (ANY,):
            parts = (ANY, *parts)
        if modifier != "endswith" and parts[-1:] != (ANY,):
            parts = (*parts, ANY)
        return replace(state, parts=parts, raw=None)
    if isinstance(state, Pattern):
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
    raise SelectionError(f"the modifier {modifier} is incompatible with {shown(state)}")


def _cased(state: Any) -> Any:
    if isinstance(state, Text | FieldReference):
        return replace(state, cased=True)
    if isinstance(state, Bytes):
        return replace(text_of(state), cased=True)
    if isinstance(state, Pattern) and "i" in state.flags:
        raise SelectionError("cased and re|i contradict each other")
    return state  # numbers, null and regular expressions have no other case


def _compared(modifier: str, state: Any) -> SigmaCompareExpression:
    number = state if isinstance(state, SigmaTimestampPart) else _number(modifier, state)
    return SigmaCompareExpression(number, COMPARISONS[modifier])


def _number(modifier: str, state: Any) -> SigmaNumber:
    if isinstance(state, bool) or not isinstance(state, int | float):
        raise SelectionError(
            f"the modifier {modifier} is incompatible with {shown(state)}: it needs a number"
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


def _with_dashes(state: Text) -> Text:
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
    if isinstance(state, Bytes) and modifier in UTF16:
        raise SelectionError(f"{modifier} of what is already encoded")
    contents = [state.content] if isinstance(state, Bytes) else _contents(modifier, state)
    if modifier in UTF16:
        order, mark = UTF16[modifier]
        return [Bytes(mark + content.decode("utf-8").encode(order)) for content in contents]
    if modifier == "base64offset" and any(len(content) < 2 for content in contents):
        raise SelectionError("base64offset needs two bytes at least: of less, nothing is sure in Base64")
    texts = [
        text
        for content in contents
        for text in ([base64(content)] if modifier == "base64" else base64_at_offsets(content))
    ]
    return [Text((text,), None, state.cased if isinstance(state, Text) else False) for text in texts]


def _contents(modifier: str, state: Any) -> list[bytes]:
    """Return the texts, one for each way to write its dashes, as UTF-8."""
    parts = _only(Text, modifier, state).parts
    if any(isinstance(part, SpecialChars) for part in parts):
        raise SelectionError(f"{modifier} needs a text without wildcards")
    if len(DASHES) ** parts.count(AnyDash.DASH) > MAX_VARIANTS:
        raise SelectionError(f"one value becomes more than {MAX_VARIANTS:,}")
    choices = [DASHES if part is AnyDash.DASH else (part,) for part in parts]
    try:
        return ["".join(chosen).encode("utf-8") for chosen in itertools.product(*choices)]
    except UnicodeEncodeError as error:
        raise SelectionError("half of a surrogate pair, which is no character") from error


def text_of(state: Bytes) -> Text:
    """Return bytes as text, if a text field can hold them."""
    try:
        text = state.content.decode("ascii")
    except UnicodeDecodeError as error:
        raise SelectionError(
            "no text holds this encoding's bytes; base64 or base64offset must follow"
        ) from error
    return Text((text,) if text else (), None)
