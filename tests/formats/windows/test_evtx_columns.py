"""Many events read together are what they are one by one."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import evtx
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.case.writer import PartWriter, windows_table
from detector.engines.json_columns import json_columns
from detector.formats.windows import evtx_columns
from detector.formats.windows.evtx_json import beginning_of, event_from_text
from detector.tables.windows import SYSTEM_COLUMNS, EncodedEvents
from tests.formats.windows.test_evtx_json import HEAD

Event = tuple[Any, ...]


def one_by_one(text: str) -> Event:
    system, names, values = event_from_text(text)
    return (*system, *sorted(zip(names, values, strict=True)))


def together(texts: list[str]) -> dict[int, Event]:
    """Return the events read together by their place; what is left is not in it."""
    evtx_columns._POOR.clear()
    found, left = evtx_columns.event_columns(texts, json_columns)
    events: dict[int, Event] = {}
    for each in found:
        columns = [column.to_pylist() for column in each.columns]
        for row, place in enumerate(each.rows.to_pylist()):
            values = [column[row] for column in columns]
            system, fields = values[: len(SYSTEM_COLUMNS)], values[len(SYSTEM_COLUMNS) :]
            assert each.channel == (system[1] or "")
            events[place] = (*system, *sorted(zip(each.names, fields, strict=True)))
    assert sorted([*events, *left]) == list(range(len(texts)))
    return events


def test_on_all_recordings(corpus: Path) -> None:
    kinds: dict[str, list[str]] = defaultdict(list)
    for path in sorted((corpus / "evtx" / "attack-samples").rglob("*.evtx")):
        for record in evtx.PyEvtxParser(str(path), 1).records_json():
            if beginning := beginning_of(record["data"]):
                kinds[beginning].append(record["data"])
    compared = total = 0
    for texts in kinds.values():
        found = together(texts)
        assert found == {place: one_by_one(texts[place]) for place in found}
        total += len(texts)
        compared += len(found)
    assert compared > 5000
    assert compared / total > 0.6  # the others have nested data, nulls, or no EventData


_VALUES = st.one_of(
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(
        [
            *(
                "",
                "-",
                ":",
                "::1",
                "::ffff:10.0.0.1",
                '":',
                '\\":',
                "{",
                "[",
                "{}",
                "[]",
                "null",
                "\0",
                "a\nb",
                "\\",
            ),
            *("%%1833", "0x0", "日本", "😀", '"', '","B":"x', "307A021C-71F9-4E9B-90BB-33403C73926E"),
            *("{307A021C-71F9-4E9B-90BB-33403C73926E}", "307a021c-71f9-4e9b-90bb-33403c73926e"),
            *("00000000-0000-0000-0000-000000000000", "{307a021c-71f9-4e9b-90bb-33403c73926e}"),
            *("307A021C-71F9-4E9B-90BB-33403C73926Z", "x" * 36, "x" * 38),
        ]
    ),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
    st.lists(st.text(max_size=3), max_size=2),
    st.dictionaries(st.sampled_from(["#text", "#attributes", "x", ""]), st.text(max_size=3), max_size=2),
)
_NAMES = st.sampled_from(["A", "B", "b", "Computer", "Data", "Name'x", 'q"', "日本", "#text", "C:D"])
_SYSTEM = st.sampled_from(
    [
        HEAD,
        HEAD.replace('"Computer":"PC"', '"Computer":"P\\"C"'),
        HEAD.replace('"Computer":"PC"', '"Computer":""'),
        HEAD.replace('"Computer":"PC"', '"Computer":null'),
        HEAD.replace('"Channel":"Security"', '"Channel":"System"'),
        HEAD.replace('"Channel":"Security",', ""),
        HEAD.replace("2019-05-08T02:10:43.487217Z", "2019-05-08T02:10:43.4872171Z"),
        HEAD.replace("2019-05-08T02:10:43.487217Z", "1500-05-08T02:10:43.487217Z"),
        HEAD.replace("2019-05-08T02:10:43.487217Z", "no time"),
        HEAD.replace('"EventRecordID":7', '"EventRecordID":18446744073709551615'),
        HEAD.replace('"EventRecordID":7', '"EventRecordID":"0x7"'),
        HEAD.replace('"Security":null', '"Security":{"#attributes":{"UserID":"S-1-5-18"}}'),
        HEAD.replace('"Security":null', '"Security":{"#attributes":{}}'),
        HEAD.replace(
            '"Correlation":null',
            '"Correlation":{"#attributes":{"ActivityID":"54849625-5478-4994-A5BA-3E3B0328C30D"}}',
        ),
        HEAD.replace(
            '"Correlation":null',
            '"Correlation":{"#attributes":{"ActivityID":"{5A}","RelatedActivityID":"54849625"}}',
        ),
    ]
)
_EVENTS = st.lists(
    st.tuples(_SYSTEM, st.lists(st.tuples(_NAMES, _VALUES), max_size=4)), min_size=1, max_size=8
)


@settings(deadline=None, max_examples=150)
@given(_EVENTS, st.booleans())
def test_any_values(events: list[tuple[str, list[tuple[str, Any]]]], same_names: bool) -> None:
    texts = []
    for system, pairs in events:
        names = [name for name, _ in (events[0][1] if same_names else pairs)]
        values = [value for _, value in pairs]
        values += ["x"] * (len(names) - len(values))
        members = ",".join(
            f"{orjson.dumps(name).decode()}:{orjson.dumps(value).decode()}"
            for name, value in zip(names, values, strict=False)
        )
        texts.append(f'{system},"EventData":{{{members}}}}}}}')
    found = together(texts)
    assert found == {place: one_by_one(texts[place]) for place in found}


@pytest.mark.parametrize(
    "text",
    [
        HEAD + ',"EventData":{"A":"x"}}}',
        HEAD + ',"EventData":{"A":"::ffff:10.0.0.1"}}}',
        HEAD + ',"EventData":{"A":"307A021C-71F9-4E9B-90BB-33403C73926E"}}}',
        HEAD + ',"EventData":{"A":"C:\\\\Windows\\\\cmd.exe \\"x\\""}}}',
        HEAD + ',"EventData":{"A":12}}}',
        HEAD.replace('"Security":null', '"Security":{"#attributes":{"UserID":"S-1-5-18"}}')
        + ',"EventData":{"A":"y"}}}',
    ],
)
def test_common_values_are_read_together(text: str) -> None:
    assert together([text]) == {0: one_by_one(text)}


@pytest.mark.parametrize(
    "text",
    [
        HEAD + ',"EventData":{"A":"x","B":"y"}}}',
        HEAD + ',"EventData":{"B":"x"}}}',
        HEAD + ',"EventData":{"A":null}}}',
        HEAD + ',"EventData":{"A":{"#text":"x"}}}}',
        HEAD + ',"EventData":{"A":"x","A":"y"}}}',
        HEAD + ',"EventData":{"A":"x"},"RenderingInfo":{"Message":"m"}}}',
        HEAD + ',"EventData":{"A":"x"},"UserData":{"B":"y"}}}',
    ],
)
def test_what_has_more_or_less_than_its_kind_is_left(text: str) -> None:
    first = HEAD + ',"EventData":{"A":"x"}}}'
    assert list(together([first, text, first])) == [0, 2]


def test_a_text_that_is_no_json_costs_the_others_nothing() -> None:
    good = HEAD + ',"EventData":{"A":"x"}}}'
    bad = good.replace(':"x', ":x")
    assert evtx_columns.event_columns([good, bad], json_columns) == ([], [0, 1])


def test_the_writer_gives_the_same_table_either_way(corpus: Path, tmp_path: Path) -> None:
    """Rows and texts of one channel meet in one table; texts of few events go one by one."""
    texts = [
        record["data"]
        for path in sorted((corpus / "evtx" / "attack-samples").rglob("*.evtx"))[:120]
        for record in evtx.PyEvtxParser(str(path), 1).records_json()
    ]
    tables: list[dict[str, pa.Table]] = []
    for few in (1, len(texts) + 1):
        writer = PartWriter(tmp_path / str(few), "t", few_texts=few)
        places = list(range(len(texts)))
        writer.add_encoded(EncodedEvents(places, places, texts), "s", "e", "p")
        parts = writer.finish()
        read: dict[str, list[pa.Table]] = defaultdict(list)
        for part in parts:
            if part.channel is not None:
                read[part.channel].append(pq.read_table(tmp_path / str(few) / part.file))
        tables.append(
            {
                channel: pa.concat_tables(found, promote_options="default").sort_by("evidence_offset")
                for channel, found in read.items()
            }
        )
        assert writer.statistics["e"].events == len(texts)
    one, other = tables
    assert one.keys() == other.keys()
    for channel, table in one.items():
        assert set(table.column_names) == set(other[channel].column_names)
        assert table.select(sorted(table.column_names)).equals(
            other[channel].select(sorted(table.column_names))
        ), channel


def test_names_that_differ_in_case_are_one_column() -> None:
    fixed = [pa.nulls(1, kind) for kind in (pa.string(),) * 23]
    table = pa.table([*fixed, pa.array(["x"])], names=[*(f"c{i}" for i in range(23)), "Name"])
    other = pa.table([*fixed, pa.array(["y"])], names=[*(f"c{i}" for i in range(23)), "NAME"])
    assert windows_table({}, [table, other]).column("Name").to_pylist() == ["x", "y"]
