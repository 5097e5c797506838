"""Texts and lengths that whatever a pattern finds has."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.sigma.regex_need import Pieces, pieces, shortest

PATTERNS = (
    r"cmd.{0,5}(?:/c|/r).+clip(?:\.exe)?",
    r"(?i)&&set.*(?:\{\d\}){2,}\\\\\"\s+-f.*&&.*cmd.*/c",
    r"\\AppData\\Local\\Temp\\dat[0-9A-Z]{4}\.tmp",
    r"^(?:powershell|pwsh)(?:\.exe)?$",
    r"(?:ab(?:cd|ef)+){2}|xyz{3}",
    r"a?b*(?:never)?(?:once){1,2}[^x]y",
)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("mimikatz", ("text", "mimikatz")),
        ("mimi.katz", ("all", ("text", "mimi"), ("text", "katz"))),
        ("(mimi)(?:katz)", ("text", "mimikatz")),
        ("xy(?:one|two)z", ("all", ("text", "xy"), ("any", ("text", "one"), ("text", "two")), ("text", "z"))),
        ("(?:one|.*)", None),
        ("(?:one)?", None),
        ("(?:one)+", ("text", "one")),
        ("[^a]b", ("text", "b")),
        # RE2 knows classes by name, and \\z; Python reads them otherwise, or not at all.
        ("[[:alpha:]]bc", None),
        (r"abc\z", None),
        (".{1000,}", None),
    ],
)
def test_pieces(pattern: str, found: Pieces) -> None:
    assert pieces(pattern) == found


@settings(deadline=None, max_examples=60)
@given(data=st.data())
@pytest.mark.parametrize("pattern", PATTERNS)
def test_what_a_pattern_finds_has_its_pieces_and_its_length(pattern: str, data: Any) -> None:
    text = data.draw(st.from_regex(pattern))
    assert pieces(pattern) is not None
    assert _has(pieces(pattern), text.lower())
    assert len(text) >= shortest(pattern) > 0


def _has(tree: Pieces, text: str) -> bool:
    if tree is None:
        return True
    if tree[0] == "text":
        return tree[1].lower() in text
    return (all if tree[0] == "all" else any)(_has(each, text) for each in tree[1:])


def test_the_shortest_text() -> None:
    assert shortest(".{1000,}") == 1000
    assert shortest("a|bcd") == 1
    assert shortest(r"abc\z") == 0
