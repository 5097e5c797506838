"""Delimited text: rows with offsets, whatever is in the quotes, whatever the encoding, whatever was cut."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from detector.formats import delimited
from detector.formats.base import HEAD_BYTES, Input
from detector.formats.delimited import Row, head_rows, header_of, read_rows, text_encoding
from detector.tables.evidence import ReadWarning


def rows_of(data: bytes, delimiter: str = ",", begins: str | None = None) -> list[Row | ReadWarning]:
    source = Input(io.BytesIO(data), data[:HEAD_BYTES])
    return list(read_rows(source, delimiter, re.compile(begins).match if begins else None))


def written(rows: list[list[str]], delimiter: str = ",", end: str = "\r\n") -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=end).writerows(rows)
    return text.getvalue()


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "cp932"]
TABLE = [
    ["レベル", "ソース"],
    ["情報", 'サブジェクト:\n\tアカウント名:\t"a",b\n\n終わり'],
    ["", ""],
    ["x", "", "y"],
]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("delimiter", delimited.DELIMITERS)
def test_rows_of_every_encoding(encoding: str, delimiter: str) -> None:
    data = written(TABLE, delimiter).encode(encoding)
    found = rows_of(data, delimiter)
    assert [row.values for row in found if isinstance(row, Row)] == TABLE
    assert [row.number for row in found if isinstance(row, Row)] == [1, 2, 6, 7]
    assert header_of(data) == (delimiter, TABLE[0])
    assert head_rows(data, delimiter) == TABLE


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_offset_is_where_the_row_begins(encoding: str) -> None:
    data = written(TABLE).encode(encoding)
    codec = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le"}.get(encoding, encoding)
    offsets = [row.offset for row in rows_of(data) if isinstance(row, Row)]
    assert offsets[0] == 0
    for offset, row in zip(offsets[1:], TABLE[1:], strict=True):
        assert data[offset:].decode(codec).startswith(written([row]))


@given(
    st.lists(
        st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r")), min_size=2), min_size=1
    ),
    st.sampled_from(["\n", "\r\n"]),
)
@example([["", "\ufeff"]], "\n")
def test_what_a_writer_wrote_is_read_back(rows: list[list[str]], end: str) -> None:
    data = ("h,h" + end + written(rows, ",", end)).encode()
    assert [row.values for row in rows_of(data) if isinstance(row, Row)] == [["h", "h"], *rows]


@given(st.text(st.sampled_from('ab",\n\t\r\x00é')), st.sampled_from([None, "a"]))
def test_any_text_is_read_to_its_end(text: str, begins: str | None) -> None:
    found = rows_of(text.encode(), ",", begins)
    places = [item.offset or 0 for item in found]
    assert places == sorted(places)
    if '"' not in text:
        assert len(found) == sum(bool(line.rstrip("\r")) for line in text.split("\n"))


@given(st.binary(max_size=300))
def test_any_bytes_are_read(data: bytes) -> None:
    head_rows(data, ",")
    header_of(data)
    rows_of(data)


def test_a_row_cut_inside_quotes_costs_itself_only() -> None:
    whole = written([["1", "one\ntwo"], ["1", "three\nfour"], ["1", "five"]], end="\n")
    cut = whole.replace('two"\n', "tw\n")
    found = rows_of(cut.encode(), ",", "1,")
    assert [type(item) for item in found] == [ReadWarning, Row, Row]
    assert isinstance(found[0], ReadWarning) and found[0].offset == 0
    assert found[0].reason == "line 1: a quote is not closed; skipped to line 3"
    assert [item.values for item in found if isinstance(item, Row)] == [["1", "three\nfour"], ["1", "five"]]
    assert [item.number for item in found if isinstance(item, Row)] == [3, 5]


def test_a_row_cut_at_the_end_of_the_file() -> None:
    data = written([["1", "one\ntwo"]], end="\n").encode()
    found = rows_of(data + b'2,"three\nfour', ",", r"\d,")
    assert isinstance(found[0], Row)
    assert found[1] == ReadWarning(len(data), "line 3: a quote is not closed; skipped to the end")
    assert len(found) == 2


def test_text_in_quotes_that_looks_like_a_row_is_none() -> None:
    forged = [["1", 'Write-Host\n1,"forged"\n1,x'], ["1", "true"]]
    assert [
        row.values for row in rows_of(written(forged).encode(), ",", "1,") if isinstance(row, Row)
    ] == forged


def test_a_value_longer_than_the_csv_module_takes() -> None:
    rows = [["a", 'x"' * 100_000, "b"], ["c", "d", "e"]]
    assert [row.values for row in rows_of(written(rows).encode()) if isinstance(row, Row)] == rows


def test_a_row_without_end_is_bounded_and_read_in_linear_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "MAX_RECORD_BYTES", 1000)
    data = b'a,"open\n' + b'x,""\n' * 5000
    found = rows_of(data)
    assert isinstance(found[0], ReadWarning)
    assert len(found) == 5001


def test_bytes_that_are_not_of_the_encoding_are_kept() -> None:
    found = rows_of(b"a,b\nc,\xe9\xff\n")
    assert isinstance(found[1], Row) and found[1].values == ["c", "\\xe9\\xff"]
    assert text_encoding("アカウント".encode("cp932")[:-1]) == "cp932"
    assert text_encoding("アカウント".encode()[:-1]) == "utf-8"
    assert text_encoding("Bürö".encode("latin-1")) == "utf-8"


def test_event_viewers_files_as_the_csv_module_reads_them(corpus: Path) -> None:
    for path in sorted((corpus / "netlogs/windows/eventviewer_csv_ja").glob("*.csv")):
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
        expected = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
        assert [row.values for row in rows_of(data) if isinstance(row, Row)] == [
            [value.replace("\r\n", "\n") for value in row] for row in expected
        ]
