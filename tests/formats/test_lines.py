"""Encodings of text logs: Japanese ones told from the head, others kept as escapes."""

from __future__ import annotations

import io
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.formats.base import Input, ReadContext
from detector.formats.lines import Line, encoding_of, line_encoding, read_lines
from detector.formats.network.fortigate import FORMAT
from detector.tables.network import NetworkRecord

LINE = (
    'date=2022-10-31 time=02:15:00 logid="0000000013" type="event" subtype="user" level="notice" user="{}"\n'
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp932", "euc_jp"])
@pytest.mark.parametrize("name", ["田中", "鈴木一郎", "ユーザー", "中川さん", "医事課０１"])
def test_japanese_names_are_read(name: str, encoding: str) -> None:
    data = (LINE.format("guest") * 3 + LINE.format(name)).encode(encoding)
    source = Input(io.BytesIO(data), data, ReadContext(time_zone=UTC))
    records = [item for item in FORMAT.read(source) if isinstance(item, NetworkRecord)]
    assert [record.columns["user"] for record in records] == ["guest"] * 3 + [name]
    assert name in records[-1].raw


def test_rare_forms_of_names() -> None:
    data = LINE.format("髙橋").encode("cp932")
    assert line_encoding(data) == "cp932"


@pytest.mark.parametrize(
    ("name", "encoding"),
    [("Müller", "latin-1"), ("Jérémy", "cp1252"), ("señor ñandú", "latin-1"), ("français", "cp1252"),
     ("Привет", "cp1251"), ("用户", "gbk")],
)  # fmt: skip
def test_other_code_pages_stay_escapes(name: str, encoding: str) -> None:
    data = LINE.format(name).encode(encoding)
    assert line_encoding(data) == "utf-8"
    [line] = read_lines(Input(io.BytesIO(data), data))
    assert isinstance(line, Line) and "\\x" in line.text


def test_a_letter_cut_by_syslog_does_not_hide_the_encoding() -> None:
    text = LINE.format("鈴木一郎さんのログインに失敗しました").encode("cp932")
    cut = text[:-4] + b"\n"  # inside the last letter
    assert line_encoding(text * 3 + cut) == "cp932"
    assert line_encoding(text[: text.rfind(b"user=") + 9]) in ("cp932", "utf-8")


def test_utf_8_with_some_other_bytes_is_utf_8() -> None:
    data = LINE.format("鈴木一郎").encode() + b"url=\xff\xfe\x93\n"
    assert line_encoding(data) == "utf-8"


@given(st.binary(max_size=400))
def test_any_bytes_have_an_encoding_and_keep_their_lines(data: bytes) -> None:
    assert line_encoding(data) in {encoding_of(data), "cp932", "euc_jp"}
    lines = [line for line in read_lines(Input(io.BytesIO(data), data)) if isinstance(line, Line)]
    assert all(0 <= line.offset < len(data) for line in lines)
