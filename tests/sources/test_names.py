"""Laws of sanitised names."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from detector.sources.names import Unique, decode_name, safe_name

_NASTY = st.lists(
    st.sampled_from(
        ["..", ".", "/", "\\", "C:", "a", "%4", "\x00", "\x1b[2J", "\u202e", "\udc80", "...", "日本"]
    )
).map("".join)


@given(st.text() | _NASTY)
def test_no_name_leaves_or_drives_anything(raw: str) -> None:
    name = safe_name(raw)
    parts = name.split("/")
    assert name and not name.startswith("/") and ":" not in name
    assert not {"..", "."} & set(parts)
    assert not any(unicodedata.category(char) in {"Cc", "Cf", "Cs"} for char in name)
    name.encode("utf-8")


@given(
    st.text(st.characters(categories=["L", "N"])) | st.sampled_from(["a%4b.evtx", "a b/c.d", "..a", "a.."])
)
def test_ordinary_names_stay(raw: str) -> None:
    assert safe_name(raw) == (raw or "unnamed")


@given(st.lists(st.sampled_from(["a", "a#2", "b", "a#3", "a#2#2"])))
def test_unique_names_are_unique(names: list[str]) -> None:
    unique = Unique()
    assert len({unique(name) for name in names}) == len(names)


@given(st.binary())
def test_every_name_decodes(raw: bytes) -> None:
    assert isinstance(decode_name(raw), str)


def test_encodings() -> None:
    assert decode_name("ログ".encode()) == "ログ"
    assert decode_name("ログ".encode("cp932")) == "ログ"
    assert decode_name(b"caf\x82\x20\xff") == "caf\u00e9 \u00a0"
