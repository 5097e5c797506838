"""The condition of a rule: text to a tree of names, and their selections put in.

Written here because pySigma's grammar reads `nothere` as `not here`, knows names of ASCII letters, digits,
`_` and `-` only, takes exponential time for nested parentheses, and drops `1 of x*` where nothing is
called so. A name is any text without spaces, parentheses and `|`; an operator is a word of its own, in lower
case.

https://sigmahq.io/sigma-specification/specification/sigma-rules-specification.html#condition
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sigma.conditions import ConditionAND, ConditionItem, ConditionNOT, ConditionOR

from detector.errors import RuleError

#: Parentheses inside parentheses; the deepest public rule has three.
MAX_DEPTH = 100

#: Comparisons of a condition with all names replaced; the largest public rule has about 1,500.
MAX_COMPARISONS = 50_000

_TOKEN = re.compile(r"\s*([()]|[^\s()]+)")
_OPERATORS = frozenset({"and", "or", "not"})
_QUANTIFIERS = frozenset({"1", "any", "all"})


@dataclass(frozen=True)
class Name:
    """A selection by its name."""

    name: str


@dataclass(frozen=True)
class Of:
    """`1 of …` or `all of …`: the selections that the pattern stands for, at least one."""

    every: bool
    pattern: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Not:
    """A negation."""

    argument: Condition


@dataclass(frozen=True)
class Joined:
    """Two or more conditions, all of them (`every`) or at least one of them."""

    every: bool
    arguments: tuple[Condition, ...]


Condition = Name | Of | Not | Joined


def parse(text: str, names: tuple[str, ...]) -> Condition:
    """Read a condition; names are those of the rule's selections. Raises RuleError with the place."""
    return _Parser(text, names).condition()


def names_of(condition: Condition) -> Iterator[str]:
    """Yield the selections that a condition reads, again for each time it does."""
    if isinstance(condition, Name):
        yield condition.name
    elif isinstance(condition, Of):
        yield from condition.names
    elif isinstance(condition, Not):
        yield from names_of(condition.argument)
    else:
        for argument in condition.arguments:
            yield from names_of(argument)


def with_selections(condition: Condition, selections: Mapping[str, Any]) -> Any:
    """Return pySigma's tree of a condition, with each name replaced by its selection's tree.

    Raises RuleError if it becomes too large.
    """
    sizes = {name: _size(selections[name]) for name in set(names_of(condition))}
    if sum(sizes[name] for name in names_of(condition)) > MAX_COMPARISONS:
        raise RuleError(f"the condition stands for more than {MAX_COMPARISONS:,} comparisons")
    return _filled(condition, selections)


def _filled(condition: Condition, selections: Mapping[str, Any]) -> Any:
    if isinstance(condition, Name):
        return selections[condition.name]
    if isinstance(condition, Not):
        return ConditionNOT([_filled(condition.argument, selections)])
    if isinstance(condition, Of):
        return joined(condition.every, [selections[name] for name in condition.names])
    return joined(condition.every, [_filled(each, selections) for each in condition.arguments])


def joined(every: bool, arguments: list[Any]) -> Any:
    """Return the AND (`every`) or the OR of conditions; one alone is itself."""
    if len(arguments) == 1:
        return arguments[0]
    return ConditionAND(arguments) if every else ConditionOR(arguments)


def _size(tree: Any) -> int:
    return sum(_size(each) for each in tree.args) if isinstance(tree, ConditionItem) else 1


class _Parser:
    """Recursive descent: or < and < not < ( … ) | quantifier of pattern | name."""

    def __init__(self, text: str, names: tuple[str, ...]) -> None:
        if "|" in text:
            raise RuleError("the pipe syntax in conditions is withdrawn from Sigma; write a correlation rule")
        self._tokens = [(match[1], match.start(1) + 1) for match in _TOKEN.finditer(text)]
        self._names = names
        self._position = 0
        self._depth = 0

    def condition(self) -> Condition:
        """Read all of the text."""
        if not self._tokens:
            raise RuleError("the condition is empty")
        found = self._or()
        if self._position < len(self._tokens):
            raise self._unexpected("'and', 'or' or the end")
        return found

    def _or(self) -> Condition:
        arguments = [self._and()]
        while self._take("or"):
            arguments.append(self._and())
        return arguments[0] if len(arguments) == 1 else Joined(False, tuple(dict.fromkeys(arguments)))

    def _and(self) -> Condition:
        arguments = [self._not()]
        while self._take("and"):
            arguments.append(self._not())
        return arguments[0] if len(arguments) == 1 else Joined(True, tuple(dict.fromkeys(arguments)))

    def _not(self) -> Condition:
        negations = 0
        while self._take("not"):
            negations += 1
        operand = self._operand()
        return Not(operand) if negations % 2 else operand

    def _operand(self) -> Condition:
        if self._take("("):
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise RuleError(f"parentheses nested more than {MAX_DEPTH} deep")
            found = self._or()
            if not self._take(")"):
                raise self._unexpected("')'")
            self._depth -= 1
            return found
        token = self._peek()
        if token in _QUANTIFIERS and self._peek(1) == "of":
            return self._of()
        if token is None or token == ")" or (token in _OPERATORS and token not in self._names):
            raise self._unexpected("a selection")
        if token not in self._names:
            raise self._unknown(token)
        self._position += 1
        return Name(token)

    def _of(self) -> Of:
        every = self._peek() == "all"
        self._position += 2
        pattern = self._peek()
        if pattern is None or pattern in ("(", ")"):
            raise self._unexpected("'them' or a pattern of selection names")
        self._position += 1
        found = tuple(name for name in self._names if _fits(name, pattern))
        if not found:
            quantifier = "all" if every else "1"
            raise RuleError(f"'{quantifier} of {pattern}': no selection has such a name")
        return Of(every, pattern, found)

    def _peek(self, ahead: int = 0) -> str | None:
        position = self._position + ahead
        return self._tokens[position][0] if position < len(self._tokens) else None

    def _take(self, token: str) -> bool:
        if self._peek() != token:
            return False
        # A selection may bear an operator's name; it is one where an operator cannot stand.
        self._position += 1
        return True

    def _unexpected(self, wanted: str) -> RuleError:
        if self._position >= len(self._tokens):
            return RuleError(f"the condition ends where {wanted} is expected")
        token, column = self._tokens[self._position]
        hint = ""
        if token.lower() in _OPERATORS and token not in _OPERATORS:
            hint = "; operators are written in lower case"
        return RuleError(f"'{token}' at character {column} of the condition: {wanted} is expected{hint}")

    def _unknown(self, name: str) -> RuleError:
        column = self._tokens[self._position][1]
        if "*" in name:
            return RuleError(f"'{name}' at character {column}: a pattern stands behind '1 of' or 'all of'")
        if name.lower() in _OPERATORS:
            return self._unexpected("a selection")
        known = ", ".join(f"'{each}'" for each in self._names[:10])
        return RuleError(
            f"the selection '{name}' at character {column} of the condition is not defined; "
            f"there are: {known}"
        )


def _fits(name: str, pattern: str) -> bool:
    """Tell whether a pattern means a selection; those whose names begin with `_` only if the pattern does."""
    if name.startswith("_") and not pattern.startswith("_"):
        return False
    if pattern == "them":
        return True
    pieces = pattern.split("*")
    if len(pieces) == 1:
        return name == pattern
    if not (name.startswith(pieces[0]) and name.endswith(pieces[-1])):
        return False
    position, end = len(pieces[0]), len(name) - len(pieces[-1])
    for piece in pieces[1:-1]:
        position = name.find(piece, position, end)
        if position < 0:
            return False
        position += len(piece)
    return position <= end
