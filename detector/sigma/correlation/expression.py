"""The condition of a temporal correlation: `rule_a and not (rule_b or rule_c)`.

The grammar is that of sigma-specification issue 198 and of SigmaExtendedCorrelationCondition in pySigma: ids
or names of rules, `not` before `and` before `or`, parentheses; the words in any case.
"""

from __future__ import annotations

import itertools
import re

from detector.sigma.correlation.model import Expression

MAX_TOKENS = 2_000
MAX_DEPTH = 50

#: Ways in which an ordered condition can be fulfilled; each is looked for by itself.
MAX_WAYS = 64

_TOKEN = re.compile(r"[()]|[^\s()]+")
_WORDS = frozenset({"and", "or", "not"})


class ExpressionError(ValueError):
    """A condition that cannot be understood; the message says why."""


def parse(text: str) -> tuple[Expression, tuple[str, ...]]:
    """Return the tree and the references in it, in order of appearance; raises ExpressionError."""
    tokens = _TOKEN.findall(text)
    if not tokens:
        raise ExpressionError("the condition is empty; write for example: rule_a and not rule_b")
    if len(tokens) > MAX_TOKENS:
        raise ExpressionError(f"a condition of more than {MAX_TOKENS} words")
    parser = _Parser(tokens)
    tree = parser.alternatives(0)
    if parser.rest():
        raise ExpressionError(f"'{parser.rest()[0]}' is not expected here")
    return tree, tuple(parser.references)


class _Parser:
    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0
        self.references: dict[str, int] = {}

    def rest(self) -> list[str]:
        return self._tokens[self._at :]

    def alternatives(self, depth: int) -> Expression:
        found = [self._together(depth)]
        while self._take("or"):
            found.append(self._together(depth))
        return found[0] if len(found) == 1 else ("or", *found)

    def _together(self, depth: int) -> Expression:
        found = [self._negation(depth)]
        while self._take("and"):
            found.append(self._negation(depth))
        return found[0] if len(found) == 1 else ("and", *found)

    def _negation(self, depth: int) -> Expression:
        if depth > MAX_DEPTH:
            raise ExpressionError(f"nested more than {MAX_DEPTH} deep")
        if self._take("not"):
            return ("not", self._negation(depth + 1))
        if self._take("("):
            inner = self.alternatives(depth + 1)
            if not self._take(")"):
                raise ExpressionError("a parenthesis is not closed")
            return inner
        if self._at >= len(self._tokens):
            raise ExpressionError("the condition ends where a rule is expected")
        token = self._tokens[self._at]
        if token == ")" or token.lower() in _WORDS:
            raise ExpressionError(f"'{token}' stands where a rule is expected")
        self._at += 1
        return ("rule", self.references.setdefault(token, len(self.references)))

    def _take(self, word: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at].lower() == word:
            self._at += 1
            return True
        return False


def renumbered(tree: Expression, positions: tuple[int, ...]) -> Expression:
    """Return the tree with each rule's position replaced."""
    if tree[0] == "rule":
        return ("rule", positions[tree[1]])
    return (tree[0], *(renumbered(each, positions) for each in tree[1:]))


def normal(tree: Expression, negated: bool = False) -> Expression:
    """Return the tree with `not` at rules only, as ("absent", position)."""
    kind = tree[0]
    if kind == "rule":
        return ("absent", tree[1]) if negated else tree
    if kind == "not":
        return normal(tree[1], not negated)
    if negated:
        kind = "or" if kind == "and" else "and"
    return (kind, *(normal(each, negated) for each in tree[1:]))


def positives(tree: Expression) -> frozenset[int]:
    """Return the positions of rules of which a normal tree asks that they occur."""
    if tree[0] == "rule":
        return frozenset({tree[1]})
    if tree[0] == "absent":
        return frozenset()
    return frozenset().union(*(positives(each) for each in tree[1:]))


def holds_on_nothing(tree: Expression) -> bool:
    """Tell whether a normal tree holds where no rule matches anything."""
    if tree[0] in ("rule", "absent"):
        return bool(tree[0] == "absent")
    return (all if tree[0] == "and" else any)(holds_on_nothing(each) for each in tree[1:])


def ways(tree: Expression) -> tuple[tuple[frozenset[int], frozenset[int]], ...]:
    """Return a normal tree as alternatives of (rules that occur, rules that do not), none more than needed.

    Contradictions are left out. Raises ExpressionError if there are more than `MAX_WAYS`.
    """
    every = _ways(tree)
    least = [
        way
        for way in every
        if not way[0] & way[1]
        and not any(less != way and less[0] <= way[0] and less[1] <= way[1] for less in every)
    ]
    return tuple(sorted(least, key=lambda way: (sorted(way[0]), sorted(way[1]))))


def _ways(tree: Expression) -> set[tuple[frozenset[int], frozenset[int]]]:
    if tree[0] == "rule":
        return {(frozenset({tree[1]}), frozenset())}
    if tree[0] == "absent":
        return {(frozenset(), frozenset({tree[1]}))}
    parts = [_ways(each) for each in tree[1:]]
    found: set[tuple[frozenset[int], frozenset[int]]] = set()
    if tree[0] == "or":
        found.update(*parts)
    else:
        found = {(frozenset(), frozenset())}
        for part in parts:
            found = {(a | c, b | d) for (a, b), (c, d) in itertools.product(found, part)}
            _check(found)
    _check(found)
    return found


def _check(found: set[tuple[frozenset[int], frozenset[int]]]) -> None:
    if len(found) > MAX_WAYS:
        raise ExpressionError(
            f"more than {MAX_WAYS} ways to fulfil an ordered condition; write several rules"
        )
