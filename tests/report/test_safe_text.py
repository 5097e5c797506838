"""Text of logs is data in every output: laws that hold for any string."""

from __future__ import annotations

import csv
import io
import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st

from detector.report.csv_output import csv_lines
from detector.report.markdown import markdown_table
from detector.report.safe_text import (
    _pieces,
    csv_cell,
    markdown_text,
    padded,
    shortened,
    terminal_text,
    width,
    wrapped,
)

ANY = st.text(st.characters(codec=None), max_size=60)


@given(ANY)
@example("\x1b]0;title\x07\x1b[31mred")
@example("invoice\u202efdp.exe")
@example("\ud800\u200b\ufeff\x9b31m")
def test_terminal_text_has_no_hidden_characters(text: str) -> None:
    shown = terminal_text(text)
    hidden = {"Cc", "Cf", "Zl", "Zp", "Cs"}
    assert not [char for char in shown if unicodedata.category(char) in hidden]
    shown.encode("utf-8")
    assert terminal_text(shown) == shown


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_plain_text_is_shown_as_it_is(text: str) -> None:
    assert terminal_text(text) == text


def test_escapes_are_readable() -> None:
    assert terminal_text("a\x1b[2Jb\u202ec\td") == "a\\x1b[2Jb\\u202ec\\td"


@given(ANY)
@example('=cmd|"/c calc"!A1')
@example("＝HYPERLINK()")
@example("\t=1+1")
@example(" @SUM(A1)")
def test_csv_cell_is_never_a_formula_and_stays_one_cell(text: str) -> None:
    (first, second) = csv.reader(io.StringIO("".join(csv_lines(["a"], [[text]])).removeprefix("\ufeff")))
    assert first == ["a"]
    (cell,) = second
    assert not cell.lstrip(" \u3000").startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠"))
    assert cell == csv_cell(text)


def test_csv_numbers_stay_numbers() -> None:
    assert [csv_cell(value) for value in (-5, 2.5, None, "-5")] == ["-5", "2.5", "", "'-5"]


@given(ANY)
@example("<script>alert(1)</script>")
@example("a|b`c`\n# head")
@example("[x](javascript:alert(1))")
def test_markdown_cell_has_no_html_no_new_cell_and_no_new_line(text: str) -> None:
    (_, _, row) = markdown_table(["a"], [[text]])
    assert "\n" not in row
    assert row.startswith("| ")
    inner = row[2:-2]
    for index, char in enumerate(inner):
        if char in "|<>`*_[]~":
            before = len(inner[:index]) - len(inner[:index].rstrip("\\"))
            assert before % 2 == 1, (char, inner)


def test_markdown_list_and_heading_marks_are_text() -> None:
    assert [markdown_text(text) for text in ("1. a", "203.0.113.7", "# a", "- a")] == [
        "1\\. a",
        "203.0.113.7",
        "\\# a",
        "\\- a",
    ]


def test_markdown_links_are_not_links() -> None:
    assert markdown_text("see http://evil.example") == "see http\\://evil.example"
    assert markdown_text("HOSP\\taro") == "HOSP\\\\taro"


@given(ANY, st.integers(2, 40))
def test_shortened_text_fits(text: str, columns: int) -> None:
    assert width(shortened(text, columns)) <= columns


@given(st.text(st.characters(categories=["L", "N", "P", "Zs"]), max_size=200), st.integers(20, 60))
def test_wrapped_lines_fit_and_lose_nothing(text: str, columns: int) -> None:
    lines = wrapped(text, columns, "    ", "  ")
    # A closing mark may hang over the edge, since it must not begin a line.
    assert all(width(line) <= columns + 2 or " " not in line.strip() for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_japanese_takes_two_columns_and_no_line_begins_with_a_full_stop() -> None:
    assert width("侵入口a") == 7
    assert padded("横展開", 8) == "横展開  "
    lines = wrapped("攻撃者はホスト間を移動した。証跡が残る。", 28)
    assert all(not line.lstrip().startswith(("。", "、")) for line in lines)


@given(st.text(st.characters(codec="ascii"), max_size=60), st.integers(2, 30))
def test_the_short_way_for_ascii_breaks_where_the_long_way_does(text: str, columns: int) -> None:
    # A wide character at the end is a piece of its own, and sends the same text the long way.
    assert _pieces(text + "語", columns) == [*_pieces(text, columns), "語"]
