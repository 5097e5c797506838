"""The DuckDB backend of pySigma: a Sigma condition becomes a boolean expression.

Columns are those that `detector.sigma.scan` provides (`CompiledRule` says how they are named), so that one
expression serves every log source. What the Sigma specification leaves open is decided here:

* Two-valued logic: a comparison with a field that the event lacks is false, its negation true. In SQL the
  comparison is NULL, which AND, OR and WHERE treat as false; so only NOT differs, and is `IS NOT TRUE`.
* Without regard to case: both sides through DuckDB's lower(), one Unicode character to one (ẞ is ß, İ is i).
* A number equals a text field that holds its decimal digits. Comparisons (lt, gte, …) read decimal numbers
  and hexadecimal ones (`0x3e7`); other text compares as false.
* cidr takes an IPv4-mapped IPv6 address (`::ffff:10.1.2.3`) for the IPv4 address it stands for.
* hour, day, … are those of UTC, week is ISO 8601's.
* A keyword matches if any field of the event contains it, wildcards included; with `re`, if any matches.

https://sigmahq.io/sigma-specification/specification/sigma-rules-specification.html
https://sigmahq.io/sigma-specification/specification/sigma-appendix-modifiers.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from typing import Any, ClassVar, cast

from sigma.conditions import (
    ConditionFieldEqualsValueExpression,
    ConditionItem,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.conversion.base import TextQueryBackend
from sigma.conversion.deferred import DeferredQueryExpression
from sigma.conversion.state import ConversionState
from sigma.exceptions import SigmaValueError
from sigma.types import (
    CompareOperators,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaNumber,
    SigmaString,
    SigmaTimestampPart,
    SpecialChars,
    TimestampPart,
)

from detector.sigma.modifiers import DASHES, AnyDash, FieldReference, Part, Regex
from detector.sigma.quoting import column, literal
from detector.sigma.regex_need import shortest

#: Not a character of paths, command lines or SQL wildcards, so that patterns stay readable.
_LIKE_ESCAPE = "!"

_DECIMAL = "DECIMAL(38, 9)"

#: From how many texts for one field a regular expression, or a list, takes their place.
_MERGED_FROM = 3
#: How long such an expression may be: RE2 becomes slow where its automaton outgrows its memory, which
#: happens between 300 and 1,000 texts of 25 characters; with wildcards inside texts far sooner.
_MERGED_LENGTH = 6_000
_MERGED_LENGTH_INNER = 600

#: Patterns of so many characters are not tried on shorter texts.
_LONG = 100

_PARTS: dict[TimestampPart, str] = {
    TimestampPart.MINUTE: "minute",
    TimestampPart.HOUR: "hour",
    TimestampPart.DAY: "day",
    TimestampPart.WEEK: "week",
    TimestampPart.MONTH: "month",
    TimestampPart.YEAR: "year",
}

_META = re.compile(r"[\\.+*?()|\[\]{}^$-]")

#: Where the wildcards of a value stand -> DuckDB's function.
_SHAPES: dict[tuple[bool, ...], str] = {
    (True, False): "ends_with",
    (False, True): "starts_with",
    (True, False, True): "contains",
}

_DASH_CLASS = "".join("\\" + dash if dash == "-" else dash for dash in DASHES)

Expression = str | DeferredQueryExpression


class DuckDBBackend(TextQueryBackend):
    """Converts a parsed condition; `columns` then names the columns that the expression reads.

    integers, times: names in lower case of the fields that the log source stores as such; all others are
    text. words: (field, word of a rule), in lower case -> the word that the log source stores for it.
    """

    name: ClassVar[str] = "DuckDB"
    formats: ClassVar[dict[str, str]] = {"default": "boolean expression"}
    token_separator = " "
    or_token: ClassVar[str] = "OR"
    and_token: ClassVar[str] = "AND"
    not_token: ClassVar[str] = "NOT"
    eq_token: ClassVar[str] = " = "
    group_expression: ClassVar[str] = "({expr})"
    compare_operators: ClassVar[dict[CompareOperators, str]] = {
        CompareOperators.LT: "<",
        CompareOperators.LTE: "<=",
        CompareOperators.GT: ">",
        CompareOperators.GTE: ">=",
        CompareOperators.NEQ: "<>",
    }

    def __init__(
        self,
        integers: Set[str] = frozenset(),
        times: Set[str] = frozenset(),
        words: Mapping[tuple[str, str], str] | None = None,
    ) -> None:
        super().__init__()
        self._words = words or {}
        self._integers = integers
        self._times = times
        self.columns: set[tuple[str, str]] = set()

    def expression(self, condition: Any) -> str:
        """Convert a parsed condition; raises SigmaError, or ValueError for text that SQL cannot hold."""
        self.columns = set()
        return cast(str, self.convert_condition(condition, ConversionState()))

    # -- boolean operators

    def convert_condition_not(self, cond: ConditionNOT, state: ConversionState) -> Expression:
        """Negate in two-valued logic."""
        argument = cond.args[0]
        return f"(({self.convert_condition(cast(ConditionItem, argument), state)}) IS NOT TRUE)"

    def convert_condition_or(self, cond: ConditionOR, state: ConversionState) -> Expression:
        """Join alternatives; many texts for one field become a list and a regular expression.

        Planning takes longer than running, and grows with the number of expressions.
        """
        by_field: dict[str, list[tuple[int, tuple[Part, ...]]]] = {}
        for index, argument in enumerate(cond.args):
            parts = self._alternative(argument)
            if parts is not None:
                field = cast(ConditionFieldEqualsValueExpression, argument).field
                by_field.setdefault(field.lower(), []).append((index, parts))
        merged: dict[int, str] = {}
        for field, found in by_field.items():
            if len(found) >= _MERGED_FROM:
                test = _any_of(self._column("lower", field), [parts for _, parts in found])
                merged |= {index: "" for index, _ in found} | {found[0][0]: test}
        tests = [
            merged[index] if index in merged else self._operand(cond, argument, state)
            for index, argument in enumerate(cond.args)
        ]
        return " OR ".join(test for test in tests if test)

    def _operand(self, outer: ConditionItem, inner: Any, state: ConversionState) -> str:
        if self.compare_precedence(outer, inner):
            return cast(str, self.convert_condition(inner, state))
        return cast(str, self.convert_condition_group(inner, state))

    def _alternative(self, argument: Any) -> tuple[Part, ...] | None:
        """Return the parts of a text that is compared with a text field without regard to case."""
        if not isinstance(argument, ConditionFieldEqualsValueExpression):
            return None
        value = argument.value
        if not isinstance(value, SigmaString) or isinstance(value, SigmaCasedString):
            return None
        if argument.field.lower() in self._integers | self._times | {field for field, _ in self._words}:
            return None
        return _parts(value) or None

    # -- comparisons of a field

    def convert_condition_field_eq_val(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> Expression:
        """Dispatch by the type of the value; the base class also swaps operators, which is not needed."""
        if isinstance(cond.value, Regex):
            return _found(self._column("text", cond.field), cond.value.pattern)
        return cast(Expression, super(TextQueryBackend, self).convert_condition_field_eq_val(cond, state))

    def convert_condition_field_eq_val_str(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> Expression:
        """Match text without regard to case."""
        value = cast(SigmaString, cond.value)
        plain = _plain(value)
        if plain is not None and cond.field.lower() in self._integers and _is_integer(plain):
            return f"{self._column('', cond.field)} = {plain}"
        word = self._words.get((cond.field.lower(), (plain or "").lower()))
        if word is not None:
            both = f"{literal(cast(str, plain).lower())}, {literal(word)}"
            return f"{self._column('lower', cond.field)} IN ({both})"
        return _match(self._column("lower", cond.field), value, cased=False)

    def convert_condition_field_eq_val_str_case_sensitive(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> Expression:
        """Match text as it is written."""
        return _match(self._column("text", cond.field), cast(SigmaString, cond.value), cased=True)

    def convert_condition_field_eq_val_num(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> Expression:
        """Match a number; in a text field by its digits."""
        number = cast(SigmaNumber, cond.value).number
        if cond.field.lower() in self._integers:
            return f"{self._column('', cond.field)} = {_decimal(number)}"
        return f"{self._column('text', cond.field)} = {literal(str(number))}"

    def convert_condition_field_eq_val_bool(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> Expression:
        """Match true or false as Windows writes them."""
        value = "true" if cast(SigmaBool, cond.value).boolean else "false"
        return f"{self._column('lower', cond.field)} = '{value}'"

    def convert_condition_field_eq_val_null(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> Expression:
        """Match events that lack the field."""
        return f"{self._column('text', cond.field)} IS NULL"

    def convert_condition_field_exists(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> Expression:
        """Match events that have the field, empty or not."""
        return f"{self._column('text', cond.field)} IS NOT NULL"

    def convert_condition_field_not_exists(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> Expression:
        """Match events that lack the field."""
        return f"{self._column('text', cond.field)} IS NULL"

    def convert_condition_field_eq_val_exists(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> Expression:
        """Match by whether the event has the field."""
        wanted = "NOT NULL" if cond.value else "NULL"
        return f"{self._column('text', cond.field)} IS {wanted}"

    def convert_condition_field_eq_val_cidr(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> Expression:
        """Match addresses of a network, through the engine's function."""
        network = str(cast(SigmaCIDRExpression, cond.value).network)
        return f"ip_in_network({self._column('text', cond.field)}, {literal(network)})"

    def convert_condition_field_compare_op_val(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> Expression:
        """Compare as numbers; what is no number compares as false."""
        value = cast(SigmaCompareExpression, cond.value)
        operator = self.compare_operators[value.op]
        if isinstance(value.number, SigmaTimestampPart):
            left = self._time_part(cond.field, value.number.timestamp_part)
        elif cond.field.lower() in self._integers:
            left = self._column("", cond.field)
        else:
            left = _as_number(self._column("text", cond.field))
        return f"{left} {operator} {_decimal(value.number.number)}"

    def convert_condition_field_eq_val_timestamp_part(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> Expression:
        """Match a part of a point in time, in UTC."""
        value = cast(SigmaTimestampPart, cond.value)
        return f"{self._time_part(cond.field, value.timestamp_part)} = {_decimal(value.number)}"

    def convert_condition_field_eq_field(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> Expression:
        """Compare two fields as text, without regard to case unless the rule says so."""
        value = cast(FieldReference, cond.value)
        form = "text" if value.cased else "lower"
        left, right = self._column(form, cond.field), self._column(form, value.field)
        if value.starts_with and value.ends_with:
            return f"contains({left}, {right})"
        if value.starts_with:
            return f"starts_with({left}, {right})"
        if value.ends_with:
            return f"ends_with({left}, {right})"
        return f"{left} = {right}"

    # -- keywords

    def convert_condition_val(self, cond: ConditionValueExpression, state: ConversionState) -> Expression:
        """Match a value in any text field."""
        value = cond.value
        if isinstance(value, SigmaString):
            cased = isinstance(value, SigmaCasedString)
            return self._any_field("texts" if cased else "lowers", _match("v", value, cased))
        if isinstance(value, Regex):
            return self._any_field("texts", _found("v", value.pattern))
        raise SigmaValueError(f"a {type(value).__name__.removeprefix('Sigma')} value needs a field")

    def _any_field(self, which: str, test: str) -> str:
        return f"len(list_filter({self._column(which, '')}, lambda v: {test})) > 0"

    # -- columns

    def _column(self, form: str, field: str) -> str:
        self.columns.add((form, field.lower()))
        return column(form, field)

    def _time_part(self, field: str, part: TimestampPart) -> str:
        stored = field.lower() in self._times
        moment = (
            self._column("", field)
            if stored
            else f"TRY_CAST({self._column('text', field)} AS TIMESTAMP WITH TIME ZONE)"
        )
        return f"date_part('{_PARTS[part]}', timezone('UTC', {moment}))"


def _is_integer(text: str) -> bool:
    return text.isascii() and text.isdigit() and str(int(text)) == text and len(text) < 19


def _decimal(number: int | float) -> str:
    if isinstance(number, int):
        return str(number) if abs(number) < 10**18 else f"CAST('{number}' AS {_DECIMAL})"
    return f"CAST('{number:.9f}' AS {_DECIMAL})"


def _as_number(text: str) -> str:
    decimal = f"WHEN regexp_full_match({text}, '[+-]?[0-9]+(\\.[0-9]+)?') THEN TRY_CAST({text} AS {_DECIMAL})"
    hexadecimal = (
        f"WHEN regexp_full_match({text}, '0[xX][0-9a-fA-F]{{1,16}}') "
        f"THEN TRY_CAST(TRY_CAST(lower({text}) AS HUGEINT) AS {_DECIMAL})"
    )
    return f"CASE {decimal} {hexadecimal} END"


def _parts(value: SigmaString) -> tuple[Part, ...]:
    return tuple(cast("list[Part]", value.s))


def _plain(value: SigmaString) -> str | None:
    """Return the text of a value without wildcards, None if it has one."""
    parts = _parts(value)
    return (
        None if any(not isinstance(part, str) for part in parts) else "".join(cast("tuple[str, ...]", parts))
    )


def _any_of(subject: str, values: list[tuple[Part, ...]]) -> str:
    """Return the test whether a lower-case column matches one of several texts with wildcards."""
    texts = [parts[0] for parts in values if _is_plain(parts)]
    plain = [_folded(str(text), cased=False) for text in texts]
    tests = [f"{subject} IN ({', '.join(dict.fromkeys(plain))})"] if plain else []
    for inner in (False, True):
        limit = _MERGED_LENGTH_INNER if inner else _MERGED_LENGTH
        patterns = [
            _as_regex(parts) for parts in values if _has_inner(parts) == inner and not _is_plain(parts)
        ]
        tests += [_search(subject, chunk, cased=False) for chunk in _chunks(patterns, limit)]
    return " OR ".join(tests)


def _is_plain(parts: tuple[Part, ...]) -> bool:
    return len(parts) == 1 and isinstance(parts[0], str)


def _has_inner(parts: tuple[Part, ...]) -> bool:
    return SpecialChars.WILDCARD_MULTI in parts[1:-1]


def _chunks(patterns: list[str], limit: int) -> Iterator[str]:
    """Yield alternations of patterns that are not much longer than the limit."""
    chunk: list[str] = []
    length = 0
    for pattern in dict.fromkeys(patterns):
        if chunk and length + len(pattern) > limit:
            yield "|".join(chunk)
            chunk, length = [], 0
        chunk.append(pattern)
        length += len(pattern) + 1
    if chunk:
        yield "|".join(chunk)


def _found(subject: str, pattern: str) -> str:
    """Return the test whether a pattern of a rule is found; where it is long, of texts that are long enough.

    RE2 is slow with a thousand repetitions, also on texts of ten characters.
    """
    test = f"regexp_matches({subject}, {literal(pattern)})"
    least = shortest(pattern)
    return f"CASE WHEN length({subject}) < {least} THEN false ELSE {test} END" if least >= _LONG else test


def _search(subject: str, pattern: str, cased: bool) -> str:
    """Return the test whether a pattern of `_as_regex` is found; lower() changes nothing of its syntax."""
    return f"regexp_matches({subject}, {_folded('(?s)' + pattern, cased)})"


def _match(subject: str, value: SigmaString, cased: bool) -> str:
    """Return the test whether a SQL text matches a value with wildcards.

    The commonest shapes have functions of their own, about three times as fast as LIKE.
    """
    shape: list[str | None] = []  # texts and '*' (None); '?' is kept inside LIKE patterns only
    singles = False
    parts = _parts(value)
    if AnyDash.DASH in parts:
        return _search(subject, _as_regex(parts), cased)
    for part in parts:
        if part is SpecialChars.WILDCARD_SINGLE:
            singles = True
        elif part is SpecialChars.WILDCARD_MULTI:
            if not shape or shape[-1] is not None:
                shape.append(None)
        elif isinstance(part, str) and part:
            shape.append(part)
    if not singles:
        texts = [part for part in shape if part is not None]
        stars = tuple(part is None for part in shape)
        if not shape:
            return f"{subject} = ''"
        if stars == (True,):
            return f"{subject} IS NOT NULL"
        if len(texts) == 1:
            text = _folded(texts[0], cased)
            return f"{subject} = {text}" if stars == (False,) else f"{_SHAPES[stars]}({subject}, {text})"
    return _like(subject, value, cased)


def _as_regex(parts: tuple[Part, ...]) -> str:
    """Return the RE2 pattern, to be searched for with (?s), of a value with wildcards."""
    any_text = SpecialChars.WILDCARD_MULTI
    start = "" if parts[0] is any_text else "^"
    end = "" if parts[-1] is any_text else "$"
    inner = parts[1 if not start else 0 : len(parts) - 1 if not end else len(parts)]
    pattern = [
        _META.sub(r"\\\g<0>", part)
        if isinstance(part, str)
        else f"[{_DASH_CLASS}]"
        if part is AnyDash.DASH
        else ".*"
        if part is any_text
        else "."
        for part in inner
    ]
    return start + "".join(pattern) + end


def _like(subject: str, value: SigmaString, cased: bool) -> str:
    pattern: list[str] = []
    escaped = False
    for part in _parts(value):
        if isinstance(part, AnyDash):
            continue  # not here: `_match` has no LIKE for it
        if part is SpecialChars.WILDCARD_MULTI:
            pattern.append("%")
        elif isinstance(part, SpecialChars):
            pattern.append("_")
        else:
            for character in part:
                if character in ("%", "_", _LIKE_ESCAPE):
                    pattern.append(_LIKE_ESCAPE)
                    escaped = True
                pattern.append(character)
    text = _folded("".join(pattern), cased)
    return f"{subject} LIKE {text} ESCAPE '{_LIKE_ESCAPE}'" if escaped else f"{subject} LIKE {text}"


def _folded(text: str, cased: bool) -> str:
    """Return a literal, folded as the column is; only DuckDB knows how it folds what is not ASCII."""
    if cased:
        return literal(text)
    return literal(text.lower()) if text.isascii() else f"lower({literal(text)})"
