from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.errors import EvidenceError
from detector.formats.windows.fields import (
    event_from_json,
    field_names,
    fields,
    guid,
    integer,
    keywords,
    leaves,
    system_time,
    text,
)
from detector.tables.windows import RESERVED_NAMES
from tests.formats.windows.support import event, fields_of, system_of

GUID = "54849625-5478-4994-A5BA-3E3B0328C30D"
BRACED = "{54849625-5478-4994-a5ba-3e3b0328c30d}"


def tree(**parts):
    system = {
        "Provider": {"#attributes": {"Name": "P", "Guid": GUID}},
        "EventID": {"#attributes": {"Qualifiers": 16384}, "#text": 7036},
        "TimeCreated": {"#attributes": {"SystemTime": "2022-10-31T05:01:02.123456Z"}},
        "EventRecordID": 12,
        "Channel": "System",
        "Computer": "SV01",
        "Security": None,
    }
    return {"Event": {"System": system | parts.pop("System", {}), **parts}}


def test_system_values_have_the_columns_types():
    system = system_of(event_from_json(tree(EventData=None)))
    assert system["TimeCreated"] == datetime(2022, 10, 31, 5, 1, 2, 123456, UTC)
    assert (system["EventID"], system["Qualifiers"], system["EventRecordID"]) == (7036, 16384, 12)
    assert system["Provider_Guid"] == BRACED
    assert system["Security_UserID"] is None


@pytest.mark.parametrize(
    "damaged",
    [{}, {"Event": None}, {"Event": {"System": 5}}, {"Event": []}],
)
def test_what_is_no_event_is_refused(damaged):
    with pytest.raises(EvidenceError):
        event_from_json(damaged)


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**40, "99999999999999999999", 1e30])
def test_numbers_that_no_column_holds_are_left_out(value):
    record_id = system_of(event_from_json(tree(System={"EventRecordID": value})))["EventRecordID"]
    assert record_id is None


def test_an_element_with_attributes_counts_by_its_text():
    system = system_of(
        event_from_json(tree(System={"Channel": [], "Level": {"#text": 4, "#attributes": {}}}))
    )
    assert (system["Channel"], system["Level"]) == (None, 4)


def test_values_are_text_as_windows_writes_them():
    data = {
        "Id": GUID,
        "Zero": "00000000-0000-0000-0000-000000000000",
        "ScriptBlockId": GUID.lower(),
        "ClsId": f"{{{GUID}}}",
        "NotHex": "ZZZZZZZZ-5478-4994-A5BA-3E3B0328C30D",
        "Yes": True,
        "Count": 5,
        "Nothing": None,
    }
    assert fields_of(event_from_json(tree(EventData=data))) == {
        "Id": BRACED,
        "Zero": "{00000000-0000-0000-0000-000000000000}",
        "ScriptBlockId": GUID.lower(),
        "ClsId": BRACED,
        "NotHex": "ZZZZZZZZ-5478-4994-A5BA-3E3B0328C30D",
        "Yes": "true",
        "Count": "5",
        "Nothing": "",
    }


def test_unnamed_data_is_one_field():
    found = event_from_json(tree(EventData={"Data": {"#text": ["a", "", "c"]}, "Binary": "00FF"}))
    assert fields_of(found) == {"Data": "a\n\nc", "Binary": "00FF"}


def test_user_data_gives_its_leaves_and_attributes():
    user_data = {
        "EventProcessingFailure": {
            "#attributes": {"xmlns": "http://x", "xmlns:auto-ns3": "http://y", "upgrade": False},
            "Error": {"#attributes": {"Code": 15007}},
            "Header": "a",
            "Header_1": "b",
            "EventID": 4647,
            "Empty": None,
        }
    }
    assert fields_of(event_from_json(tree(UserData=user_data))) == {
        "Error_Code": "15007",
        "Header": "a",
        "Header_2": "b",
        "EventData_EventID": "4647",
        "Empty": "",
        "upgrade": "false",
    }


def test_a_name_with_a_number_of_its_own_stays():
    assert leaves({"Value_1": "a", "Value_2": "b"}) == [("Value_1", "a"), ("Value_2", "b")]


def test_processing_error_data_stands_beside_event_data():
    found = event_from_json(tree(EventData={"A": 1}, ProcessingErrorData={"ErrorCode": 15005}))
    assert fields_of(found) == {"A": "1", "ErrorCode": "15005"}


def test_a_key_that_the_text_has_twice_is_kept(corpus):
    """The template of 4648 in an old Windows uses LogonGuid twice; a dict holds the last alone."""
    data = (
        b'{"Event":{"System":{"Provider":{"#attributes":{"Name":"P"}},"EventID":4648},'
        b'"EventData":{"LogonGuid":"a","TargetUserName":"u","LogonGuid":"b"}}}'
    )
    for _ in range(2):
        assert fields_of(event(data)) == {"LogonGuid": "a", "TargetUserName": "u", "LogonGuid_2": "b"}


def test_nesting_deeper_than_python_recurses():
    deep = {"Leaf": "x"}
    for _ in range(5000):
        deep = {"Inner": deep}
    assert leaves(deep) == [("Leaf", "x")]


@given(
    st.lists(st.text(max_size=6) | st.sampled_from(["ProcessId", "ProcessID", "Channel", "a_2", "A", "a"]))
)
def test_names_never_collide_and_never_take_a_system_column(keys):
    names = field_names(tuple(keys))
    assert len(names) == len(keys)
    assert len({name.lower() for name in names}) == len(names)
    assert not RESERVED_NAMES.intersection(name.lower() for name in names)
    assert "" not in names


@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5))))
def test_no_value_is_lost(pairs):
    names, values = fields(pairs)
    assert len(names) == len(values)
    unnamed = [value for name, value in pairs if name in ("", "Data")]
    named = [value for name, value in pairs if name not in ("", "Data")]
    assert sorted(values) == sorted(named + (["\n".join(unnamed)] if unnamed else []))


@given(st.integers(0, 2**64 - 1))
def test_keywords_are_a_mask_whatever_the_sign(mask):
    signed = mask - 2**64 if mask >= 2**63 else mask
    assert keywords(signed) == keywords(str(signed)) == keywords(f"0x{mask:x}") == f"0x{mask:x}"


@given(
    st.datetimes(datetime(1602, 1, 1), datetime(9998, 1, 1)),  # noqa: DTZ001
    st.integers(-840, 840),
    st.integers(0, 3),
)
def test_times_of_any_zone_and_precision_become_utc(local, minutes, digits):
    zone = timezone(timedelta(minutes=minutes))
    moment = local.replace(tzinfo=zone)
    written = f"{local.isoformat(timespec='microseconds')}{'7' * digits}{moment.isoformat()[-6:]}"
    assert system_time(written) == moment
    assert system_time(written).tzinfo is UTC
    assert system_time(local.isoformat()) == local.replace(tzinfo=UTC)


@given(st.text() | st.integers() | st.none() | st.floats() | st.lists(st.none()))
def test_odd_values_never_raise(value):
    system_time(value)
    integer(value)
    keywords(value)
    guid(value)
    assert isinstance(text(value), str)
