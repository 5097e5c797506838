"""A slow Sigma evaluator for one event, written from the specification alone: no pySigma, no SQL.

Where the specification is silent it does what docs/sigma.md says. Nothing is translated: regular expressions
run in Python's `re`, wildcards character by character, all dashes of `windash` as alternatives written out.

https://sigmahq.io/sigma-specification/specification/sigma-rules-specification.html
https://sigmahq.io/sigma-specification/specification/sigma-appendix-modifiers.html
"""

from __future__ import annotations

import base64
import ipaddress
import itertools
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

Event = Mapping[str, Any]

Placeholders = Mapping[str, Sequence[Any]]

_ENCODINGS = {"wide": "utf-16-le", "utf16le": "utf-16-le", "utf16be": "utf-16-be", "utf16": "utf-16-le"}
_DASHES = "-/–—―"
_PARTS = {"minute", "hour", "day", "week", "month", "year"}


def matches(detection: Mapping[str, Any], event: Event, placeholders: Placeholders | None = None) -> bool:
    """Tell whether a rule's detection matches an event whose missing fields are absent or None."""
    fields = {name.lower(): value for name, value in event.items() if value is not None}
    detection = _without_placeholders(detection, placeholders or {})
    selections = {name: value for name, value in detection.items() if name != "condition"}
    conditions = detection["condition"]
    listed = conditions if isinstance(conditions, list) else [conditions]
    return any(_Condition(text, selections, fields).value() for text in listed)


class _Condition:
    """Recursive descent over: or < and < not < ( … ) | quantifier of pattern | name."""

    def __init__(self, text: str, selections: Mapping[str, Any], fields: Event) -> None:
        self.tokens = re.findall(r"[()]|[^\s()]+", text)
        self.selections = selections
        self.fields = fields

    def value(self) -> bool:
        result = self._or()
        assert not self.tokens
        return result

    def _or(self) -> bool:
        result = self._and()
        while self._take("or"):
            result = self._and() or result
        return result

    def _and(self) -> bool:
        result = self._not()
        while self._take("and"):
            result = self._not() and result
        return result

    def _not(self) -> bool:
        return not self._not() if self._take("not") else self._operand()

    def _operand(self) -> bool:
        if self._take("("):
            result = self._or()
            assert self._take(")")
            return result
        token = self.tokens.pop(0)
        if token in ("1", "any", "all") and self._take("of"):
            pattern = self.tokens.pop(0)
            hidden = not pattern.startswith("_")
            names = [name for name in self.selections if not (hidden and name.startswith("_"))]
            if pattern != "them":
                wanted = re.compile(re.escape(pattern).replace(r"\*", ".*"), re.DOTALL)
                names = [name for name in names if wanted.fullmatch(name)]
            found = [_selection(self.selections[name], self.fields) for name in names]
            return all(found) if token == "all" else any(found)
        return _selection(self.selections[token], self.fields)

    def _take(self, token: str) -> bool:
        if self.tokens and self.tokens[0] == token:
            self.tokens.pop(0)
            return True
        return False


def _selection(definition: Any, fields: Event) -> bool:
    if isinstance(definition, Mapping):
        return all(_item(key, value, fields) for key, value in definition.items())
    if isinstance(definition, list):
        return any(
            _selection(each, fields) if isinstance(each, Mapping) else _item("", each, fields)
            for each in definition
        )
    return _item("", definition, fields)


def _item(key: str, values: Any, fields: Event) -> bool:
    field, *modifiers = key.split("|")
    listed = values if isinstance(values, list) else [values]
    combine = all if "all" in modifiers else any
    rest = [modifier for modifier in modifiers if modifier not in ("all", "neq")]
    if field:
        result = combine(_value(fields.get(field.lower()), rest, value, fields) for value in listed)
    else:
        texts = [_text(value) for value in fields.values()]
        result = combine(any(_keyword(text, rest, value) for text in texts) for value in listed)
    return not result if "neq" in modifiers else result


def _keyword(text: str, modifiers: list[str], value: Any) -> bool:
    if not {"re", "startswith", "endswith"} & set(modifiers):
        modifiers = [*modifiers, "contains"]
    return _value(text, modifiers, _as_text(value), {})


def _as_text(value: Any) -> Any:
    """Return what a field holds for a number or a truth value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else value


def _value(actual: Any, modifiers: list[str], wanted: Any, fields: Event) -> bool:
    if "exists" in modifiers:
        return bool((actual is not None) == wanted)
    if wanted is None:
        return actual is None
    if actual is None:
        return False
    if "fieldref" in modifiers:
        other = fields.get(str(wanted).lower())
        return other is not None and _reference(_text(actual), _text(other), modifiers)
    if "cidr" in modifiers:
        return _in_network(_text(actual), wanted)
    for name in ("lt", "lte", "gt", "gte"):
        if name in modifiers:
            return _compared(name, _part(actual, modifiers), wanted)
    if _PARTS & set(modifiers):
        return _part(actual, modifiers) == Decimal(wanted)
    if "re" in modifiers:
        return _found(str(_as_text(wanted)), modifiers, _text(actual))
    if set(modifiers) - {"cased"}:
        wanted = _as_text(wanted)
    if isinstance(wanted, bool):
        return _fold(_text(actual)) == str(wanted).lower()
    if isinstance(wanted, int | float):
        return _text(actual) == str(wanted)
    return any(
        _like(pattern, _text(actual), "cased" in modifiers) for pattern in _patterns(wanted, modifiers)
    )


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return str(value)


def _fold(text: str) -> str:
    """One character to one, as Unicode's simple mapping: İ is i without its dot."""
    return "".join(character.lower()[0] for character in text)


def _reference(actual: str, other: str, modifiers: list[str]) -> bool:
    if "cased" not in modifiers:
        actual, other = _fold(actual), _fold(other)
    if "contains" in modifiers:
        return other in actual
    if "startswith" in modifiers:
        return actual.startswith(other)
    if "endswith" in modifiers:
        return actual.endswith(other)
    return actual == other


def _found(pattern: str, modifiers: list[str], text: str) -> bool:
    """Search with PCRE's meaning: classes are ASCII's, and \\Z is also before a last line feed."""
    # To Python both letters of Turkish are `i` without regard to case; to PCRE they are not.
    for letter, other in (("İ", "\ue000"), ("ı", "\ue001")):
        pattern, text = pattern.replace(letter, other), text.replace(letter, other)
    flags = re.NOFLAG
    for letter, flag in (("i", re.IGNORECASE), ("m", re.MULTILINE), ("s", re.DOTALL)):
        flags |= flag if letter in modifiers else 0
    classes = {r"\d": "[0-9]", r"\w": "(?-i:[A-Za-z0-9_])", r"\W": "(?-i:[^A-Za-z0-9_])"}
    classes |= {r"\s": r"[\t\n\x0b\f\r ]", r"\S": r"[^\t\n\x0b\f\r ]", r"\D": "[^0-9]"}
    word = "(?-i:[A-Za-z0-9_])"
    edge = f"(?<!{word})(?={word})|(?<={word})(?!{word})"
    classes |= {r"\b": f"(?:{edge})", r"\B": f"(?!{edge})", r"\Z": r"(?=\n?\Z)", r"\z": r"\Z"}
    inside, pieces = False, []
    for piece in re.findall(r"\\.|.", pattern, re.DOTALL):
        inside = piece == "[" or (inside and piece != "]")
        pieces.append(piece if inside else classes.get(piece, piece))
    compiled = re.compile("".join(pieces), flags)
    starts = [0] if "startswith" in modifiers else range(len(text) + 1)
    if "endswith" in modifiers:
        return any(compiled.fullmatch(text, start) for start in starts)
    return any(compiled.match(text, start) for start in starts)


def _without_placeholders(definition: Any, values: Placeholders) -> Any:
    """Put each combination of values in the place of placeholders, and take the modifier away."""
    if isinstance(definition, list):
        return [_without_placeholders(each, values) for each in definition]
    if not isinstance(definition, Mapping):
        return definition
    found: dict[str, Any] = {}
    for key, given in definition.items():
        field, *modifiers = key.split("|")
        if "expand" in modifiers:
            rest = "|".join([field, *(name for name in modifiers if name != "expand")])
            listed = given if isinstance(given, list) else [given]
            alternatives = [_expanded(each, values) for each in listed]
            if "all" in modifiers and any(len(each) > 1 for each in alternatives):
                raise NotImplementedError("all over alternatives: write the rule otherwise")
            found[rest] = [one for each in alternatives for one in each]
        else:
            found[key] = _without_placeholders(given, values)
    return found


def _expanded(text: str, values: Placeholders) -> list[str]:
    pieces = re.findall(r"\\\\|\\%|%[^%]+%|.", text, re.DOTALL)
    choices = [
        ["%"]
        if piece == "\\%"
        else [str(value) for value in values[piece[1:-1]]]
        if len(piece) > 2 and piece[0] == "%"
        else [piece]
        for piece in pieces
    ]
    return ["".join(chosen) for chosen in itertools.product(*choices)]


def _in_network(text: str, network: str) -> bool:
    try:
        address = ipaddress.ip_address(text.strip().strip("[]").partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address) in ipaddress.ip_network(network)


def _number(text: str) -> Decimal | None:
    if re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", text):
        return Decimal(text)
    if re.fullmatch(r"0[xX][0-9a-fA-F]{1,16}", text):
        return Decimal(int(text, 16))
    return None


def _part(actual: Any, modifiers: list[str]) -> Decimal | None:
    parts = _PARTS & set(modifiers)
    if not parts:
        return _number(_text(actual))
    moment = actual if isinstance(actual, datetime) else _moment(actual)
    if moment is None:
        return None
    name = parts.pop()
    moment = moment.astimezone(UTC)
    return Decimal(moment.isocalendar().week if name == "week" else getattr(moment, name))


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _compared(name: str, actual: Decimal | None, wanted: Any) -> bool:
    if actual is None:
        return False
    limit = Decimal(str(wanted))
    return {"lt": actual < limit, "lte": actual <= limit, "gt": actual > limit, "gte": actual >= limit}[name]


def _tokens(text: str) -> list[str]:
    r"""Split a value into characters and wildcards ('*' and '?' as such, others escaped with NUL before)."""
    found: list[str] = []
    position = 0
    while position < len(text):
        character = text[position]
        if character == "\\" and position + 1 < len(text) and text[position + 1] in "\\*?":
            found.append("\0" + text[position + 1])
            position += 2
            continue
        found.append(character if character in "*?" else "\0" + character)
        position += 1
    return found


def _patterns(text: str, modifiers: list[str]) -> list[list[str]]:
    """Return the alternatives that a value stands for after its modifiers, as tokens."""
    found = [_tokens(text)]
    contents: list[bytes] | None = None
    for modifier in modifiers:
        if modifier == "windash":
            found = [each for one in found for each in _dashed(one)]
        elif modifier in _ENCODINGS:
            mark = b"\xff\xfe" if modifier == "utf16" else b""
            contents = [mark + _plain(one).encode(_ENCODINGS[modifier]) for one in found]
            found = [["\0" + chr(byte) for byte in content] for content in contents]
        elif modifier in ("base64", "base64offset"):
            if contents is None:
                contents = [_plain(one).encode("utf-8") for one in found]
            found = [_tokens(each) for content in contents for each in _encoded(content, modifier)]
            contents = None
        elif modifier == "contains":
            found = [["*", *one, "*"] for one in found]
        elif modifier == "startswith":
            found = [[*one, "*"] for one in found]
        elif modifier == "endswith":
            found = [["*", *one] for one in found]
    return found


def _plain(tokens: list[str]) -> str:
    return "".join(token[1] for token in tokens)


def _dashed(tokens: list[str]) -> list[list[str]]:
    """Every dash between what is no word and a word, as before an option, stands for any dash."""

    def word(index: int) -> bool:
        if not 0 <= index < len(tokens) or len(tokens[index]) == 1:
            return False
        return tokens[index][1].isalnum() or tokens[index][1] == "_"

    choices = [
        ["\0" + dash for dash in _DASHES]
        if len(token) == 2 and token[1] in _DASHES and not word(index - 1) and word(index + 1)
        else [token]
        for index, token in enumerate(tokens)
    ]
    return [list(choice) for choice in itertools.product(*choices)]


def _encoded(content: bytes, modifier: str) -> list[str]:
    if modifier == "base64":
        return [base64.b64encode(content).decode()]
    found = []
    for offset in range(3):
        # Keep the characters that are the same whatever stands before and behind.
        variants = [
            base64.b64encode(bytes([before]) * offset + content + bytes([behind]) * 3).decode()
            for before, behind in itertools.product((0, 255), repeat=2)
        ]
        same = [len(set(column)) == 1 for column in zip(*variants, strict=True)]
        first = same.index(True)
        last = first
        while last < len(same) and same[last]:
            last += 1
        found.append(variants[0][first:last])
    return found


def _like(tokens: list[str], text: str, cased: bool) -> bool:
    if not cased:
        text = _fold(text)
        tokens = [token if len(token) == 1 else "\0" + _fold(token[1]) for token in tokens]
    reached = {0}
    for token in tokens:
        if token == "*":
            reached = set(range(min(reached), len(text) + 1)) if reached else set()
        else:
            wanted = None if token == "?" else token[1]
            reached = {
                position + 1
                for position in reached
                if position < len(text) and (wanted is None or text[position] == wanted)
            }
    return len(text) in reached


def base64_near(text: str, offset: int, encoding: int) -> str:
    """Return Base64 of bytes that contain a text in one of the encodings, for events."""
    name = ("utf-8", "utf-16-le", "utf-16-be", "utf-16-le")[encoding]
    mark = b"\xff\xfe" if encoding == 3 else b""
    return base64.b64encode(mark + b"\xfe" * offset + text.encode(name) + b"t" * (offset % 2)).decode()
