"""Many texts at once: nothing that is there is missed, and hardly more than that is found."""

from __future__ import annotations

import random
from functools import cache

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.engines import Engine
from detector.sigma import matcher, needs
from detector.sigma.matcher import Matcher

#: Few letters, so that texts and values meet; some that the fold confuses, and some beyond ASCII.
ALPHABET = "abAB\\|_1 .Kk\u212a\u0130é漢"

values_of = st.lists(st.none() | st.text(alphabet=ALPHABET, max_size=40), max_size=20)
texts_of = st.lists(st.text(alphabet="abk\\|_1 .漢", min_size=3, max_size=12), min_size=1, max_size=8)


@cache
def engine() -> Engine:
    return Engine()


def lowered(values: list[str | None]) -> list[str | None]:
    given_values = pa.table({"n": range(len(values)), "v": pa.array(values, pa.string())})
    engine().register("given", given_values)
    return engine().execute("SELECT lower(v) AS v FROM given ORDER BY n")["v"].to_pylist()


def missed(values: list[str | None], texts: list[str]) -> list[tuple[str, int]]:
    found = Matcher(texts).find(pa.array(values, pa.string()))
    wild = set(found.wild.tolist())
    return [
        (text, row)
        for text in texts
        for row, value in enumerate(lowered(values))
        if value
        and text in value
        and row not in wild
        and row not in found.by_text.get(text, ())
        and text not in found.unknown
    ]


@pytest.fixture(params=["every place", "a quarter of the places"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param != "every place":
        monkeypatch.setattr(matcher, "_SMALL", 0)
        monkeypatch.setattr(matcher, "_CHUNK", 3)
        monkeypatch.setattr(matcher, "_PAIRS", 2)


@pytest.mark.usefixtures("way")
def test_what_is_there_is_found() -> None:
    @settings(deadline=None, max_examples=60)
    @given(values_of, texts_of)
    def check(values: list[str | None], texts: list[str]) -> None:
        assert missed(values, texts) == []

    check()


@pytest.mark.usefixtures("way")
def test_hardly_more_than_what_is_there_is_found() -> None:
    chance = random.Random(7)
    words = ["".join(chance.choices("abcdefghij\\.-", k=chance.randint(3, 14))) for _ in range(400)]
    values: list[str | None] = ["\\".join(chance.choices(words, k=5)).upper() for _ in range(2000)]
    found = Matcher(words).find(pa.array(values, pa.string()))
    real = {(word, row) for word in words for row, value in enumerate(values) if word.upper() in str(value)}
    given_back = {(word, row) for word, rows in found.by_text.items() for row in rows.tolist()}
    assert real <= given_back
    assert len(given_back - real) < 0.01 * len(real)
    assert len(found.wild) == 0


def test_short_texts_are_not_looked_for_in_much_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matcher, "_LARGE", 10)
    monkeypatch.setattr(matcher, "_SMALL", 0)
    found = Matcher(["abc", "abcdefg", "reg"]).find(pa.array(["xxxxabcdefg", "reg"]))
    assert found.unknown == {"abc", "reg"}
    assert found.by_text["abcdefg"].tolist() == [0]


def test_a_sliced_array_and_one_with_large_offsets() -> None:
    values = pa.array(["mimikatz", None, "Mimikatz", "x", "xmimikatzx"])
    for array in (values, values.cast(pa.large_string())):
        found = Matcher(["mimikatz"]).find(array.slice(1))
        assert found.by_text["mimikatz"].tolist() == [1, 3]


def test_few_characters_are_ascii_letters_in_another_case() -> None:
    """If a version of the engine folds more, in texts or in patterns, the matcher has to know of it."""
    found = engine().execute(
        "SELECT i FROM range(128, 1114112) AS t(i) WHERE NOT (i BETWEEN 55296 AND 57343) "
        "AND (regexp_matches(lower(chr(i::INTEGER)), '[\\x00-\\x7f]') "
        "OR regexp_matches(chr(i::INTEGER), '(?i)[a-z]')) ORDER BY i"
    )
    folded = {chr(i).encode() for i in found["i"].to_pylist()}
    assert folded == {bytes(each) for each in matcher._FOLDED_TO_ASCII}


def test_characters_that_needs_use_have_no_case() -> None:
    usable = [i for i in range(128, 0x110000) if not 0xD800 <= i < 0xE000 and needs._is_usable(chr(i))]
    assert len(usable) > 20_000
    engine().register("usable", pa.table({"i": pa.array(usable, pa.int32())}))
    found = engine().execute(
        "SELECT chr(i::INTEGER) AS c FROM range(128, 1114112) AS t(i) WHERE NOT (i BETWEEN 55296 AND 57343) "
        "AND lower(chr(i::INTEGER)) <> chr(i::INTEGER) "
        "AND (i IN (SELECT i FROM usable) OR ord(lower(chr(i::INTEGER))) IN (SELECT i FROM usable))"
    )
    assert found["c"].to_pylist() == []


def test_needs_hold_what_bytes_can_tell() -> None:
    assert list(needs._runs("ab😀CDé漢字\0x")) == ["ab😀cd", "漢字"]
