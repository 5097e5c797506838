"""Pairs of a line: quotes, escapes, and the quick way being the same as the slow one."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.formats.network import key_value
from detector.formats.network.key_value import pairs


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ('a=1 b="two words" c=', {"a": "1", "b": "two words", "c": ""}),
        (r'u="CORP\asmith" x=1', {"u": r"CORP\asmith", "x": "1"}),
        (r'm="say \"hi\" now" x=1', {"m": 'say "hi" now', "x": "1"}),
        ('m="user "bob" failed" x=1', {"m": 'user "bob" failed', "x": "1"}),
        (r'p="C:\" next="x y"', {"p": "C:\\", "next": "x y"}),
        ('url="/a?b=c&d=e f" x=1', {"url": "/a?b=c&d=e f", "x": "1"}),
        ('a=1 a=2 a="3"', {"a": "1", "a_2": "2", "a_3": "3"}),
        ('a="x"   b="y"  ', {"a": "x", "b": "y"}),
        ('a=1 msg="cut off in the middle', {"a": "1", "msg": "cut off in the middle"}),
        ('a="" b=""', {"a": "", "b": ""}),
        (r'm="injected\" srcip=9.9.9.9" srcip=1.2.3.4', {"m": 'injected" srcip=9.9.9.9', "srcip": "1.2.3.4"}),
        ("noise x=1 more noise", {"x": "1"}),
        ("", {}),
    ],
)
def test_pairs(text: str, fields: dict[str, str]) -> None:
    for _ in range(20):  # the layout is learnt on the way
        assert pairs(text, "test") == fields


def test_commas() -> None:
    text = 'date=2018-12-27,time=14:45:26,logid="1",msg="a, b",user=x y,last=1'
    assert pairs(text, commas=True) == {
        "date": "2018-12-27", "time": "14:45:26", "logid": "1", "msg": "a, b", "user": "x y", "last": "1",
    }  # fmt: skip


_KEY = st.sampled_from(["a", "b", "srcip", "x-y", "user"])
_VALUE = st.text(st.sampled_from('ab=" \\,.é\t'), max_size=6)
_PAIR = st.tuples(_KEY, _VALUE, st.booleans()).map(lambda p: f'{p[0]}="{p[1]}"' if p[2] else f"{p[0]}={p[1]}")


_FRESH = itertools.count()


@given(st.lists(st.lists(_PAIR, max_size=4).map(" ".join), max_size=8))
def test_the_quick_way_gives_the_same(lines: list[str]) -> None:
    for line in lines:
        expected = dict(pairs(line, f"never seen {next(_FRESH)}"))
        for _ in range(10):
            assert pairs(line, "law") == expected


def test_layouts_stay_bounded() -> None:
    for number in range(40):
        line = " ".join(f"k{index}=1" for index in range(number + 1))
        for _ in range(key_value._WORTH + 1):
            pairs(line, "bounded")
    assert len(key_value._layouts._known["bounded"]) <= key_value._MAX_LAYOUTS


@pytest.mark.parametrize(
    "piece", ['a="x ', 'a=" ', 'a="\\" ', "a=", '"', 'a="b"c" ', "a", "\\", ' " ', 'a="   ']
)
def test_hostile_lines_take_no_time(piece: str) -> None:
    line = (piece * key_value.MAX_LINE)[: key_value.MAX_LINE]
    started = time.perf_counter()
    pairs(line)
    assert time.perf_counter() - started < 2  # some milliseconds; quadratic would be a minute
