from __future__ import annotations

import pytest

from detector.errors import EvidenceError
from detector.formats.base import MAX_RECORD_BYTES
from detector.formats.windows.xml import FORMAT, event_from_xml
from detector.tables.evidence import ReadWarning
from tests.formats.windows.support import fields_of, read_bytes, read_in_segments, system_of

NS = "xmlns='http://schemas.microsoft.com/win/2004/08/events/event'"


def an_event(number=1, data="<Data Name='User'>taro</Data>", namespace=NS, extra=""):
    """One event with quotes, order and empty elements as `wevtutil qe /f:xml` writes them."""
    return (
        f"<Event {namespace}><System><Provider Name='Microsoft-Windows-Security-Auditing' "
        "Guid='{54849625-5478-4994-A5BA-3E3B0328C30D}'/><EventID>4624</EventID><Version>2</Version>"
        "<Level>0</Level><Task>12544</Task><Opcode>0</Opcode><Keywords>0x8020000000000000</Keywords>"
        f"<TimeCreated SystemTime='2022-10-31T05:01:02.1234567Z'/><EventRecordID>{number}</EventRecordID>"
        "<Correlation ActivityID='{BE129571-63F8-0000-A795-12BEF863D601}'/>"
        "<Execution ProcessID='776' ThreadID='2012'/><Channel>Security</Channel>"
        f"<Computer>sv01.hospital.example</Computer><Security/></System><EventData>{data}</EventData>"
        f"{extra}</Event>"
    )


FIVE = [an_event(number) for number in range(1, 6)]
LAYOUTS = {
    "wevtutil": "\r\n".join(FIVE),
    "Event Viewer": '<?xml version="1.0" encoding="utf-8" standalone="yes"?>\r\n<Events>'
    + "".join(FIVE)
    + "</Events>",
    "no name space": "<Events>\n"
    + "\n".join(an_event(n, namespace="").replace("Event >", "Event>") for n in range(1, 6)),
    "Splunk": "\n".join(FIVE),
    "Splunk behind headers": "\n".join(f"<13>Oct 31 05:01:02 sv01 splunk: {each}" for each in FIVE),
    "printed": "\n".join(FIVE).replace("><", ">\n  <"),
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_gives_the_same_events(name, encoding):
    data = LAYOUTS[name].replace("taro", "太郎🙂").encode(encoding)
    assert FORMAT.recognise(data)
    records, warnings = read_bytes(FORMAT, data)
    assert warnings == []
    assert [system_of(record)["EventRecordID"] for record in records] == [1, 2, 3, 4, 5]
    assert {tuple(fields_of(record).items()) for record in records} == {(("User", "太郎🙂"),)}
    wide = {"utf-16": "utf-16-le", "utf-16-be": "utf-16-be"}.get(encoding, "utf-8")
    assert all(data[record.offset :].decode(wide).startswith("<Event") for record in records)


def test_system_columns():
    system = system_of(event_from_xml(an_event()))
    assert system["TimeCreated"].isoformat() == "2022-10-31T05:01:02.123456+00:00"
    assert system["Provider_Guid"] == "{54849625-5478-4994-a5ba-3e3b0328c30d}"
    assert system["Correlation_ActivityID"] == "{be129571-63f8-0000-a795-12bef863d601}"
    assert (system["Execution_ProcessID"], system["Execution_ThreadID"]) == (776, 2012)
    assert (system["Security_UserID"], system["Qualifiers"], system["Message"]) == (None, None, None)


def test_rendered_message():
    message = "アカウントが正常に\r\nログオンしました。"
    extra = f"<RenderingInfo Culture='ja-JP'><Message>{message}</Message><Level>情報</Level></RenderingInfo>"
    found = event_from_xml(an_event(extra=extra))
    assert system_of(found)["Message"] == message
    assert fields_of(found) == {"User": "taro"}


def test_values():
    data = (
        "<Data>one</Data><Data></Data><Data>three\r\n\tlines</Data><Binary>00FF</Binary>"
        "<Data Name='Id'>{BE129571-63F8-0000-A795-12BEF863D601}</Data><Data Name='Empty'/>"
        "<Data Name='Channel'>Security</Data><Data Name='A'>1</Data><Data Name='a'>2</Data>"
    )
    assert fields_of(event_from_xml(an_event(data=data))) == {
        "Data": "one\n\nthree\r\n\tlines",
        "Binary": "00FF",
        "Id": "{be129571-63f8-0000-a795-12bef863d601}",
        "Empty": "",
        "EventData_Channel": "Security",
        "A": "1",
        "a_2": "2",
    }


def test_user_data():
    user = "<UserData><LogFileCleared xmlns='http://x'><SubjectUserName>a</SubjectUserName><Channel/></LogFileCleared></UserData>"
    text = an_event().replace("<EventData><Data Name='User'>taro</Data></EventData>", user)
    assert fields_of(event_from_xml(text)) == {"SubjectUserName": "a", "EventData_Channel": ""}


@pytest.mark.parametrize("character", ["&#x1;", "&#31;", "&#xFFFF;", "\x0b"])
def test_characters_that_xml_cannot_hold_are_made_visible(character):
    value = fields_of(event_from_xml(an_event(data=f"<Data Name='A'>x{character}\r\ny</Data>")))["A"]
    assert value.startswith("x\\")
    assert value.endswith("\r\ny")


LAUGHS = (
    "<!DOCTYPE lolz [<!ENTITY lol 'lol'>"
    + "".join(f"<!ENTITY lol{n} '{f'&lol{n - 1 or str()};' * 10}'>" for n in range(1, 10))
    + "]>"
)


def test_entities_are_never_expanded():
    bomb = LAUGHS + "\n<Events>" + an_event(data="<Data Name='A'>&lol9;</Data>") + "\n" + an_event(2)
    records, warnings = read_bytes(FORMAT, bomb.encode())
    assert [system_of(record)["EventRecordID"] for record in records] == [2]
    assert [warning.offset for warning in warnings] == [bomb.index("<Event ")]
    with pytest.raises(EvidenceError):
        event_from_xml(LAUGHS + an_event())
    with pytest.raises(EvidenceError):
        event_from_xml(an_event().replace("<System>", "<!DOCTYPE a [<!ENTITY b 'c'>]><System>"))


@pytest.mark.parametrize(
    ("damage", "lost"),
    [
        (lambda text: text.replace("</EventData>", "", 1), 1),
        (lambda text: text.replace("<System>", "<Sys<tem>", 1), 1),
        (lambda text: text.replace("</Event>", "", 1), 1),
        (lambda text: text.replace("<Event ", "<Ev", 1), 1),
        (lambda text: text.replace("taro", "&undefined;", 1), 1),
        (lambda text: text[:-20], 1),
    ],
)
def test_reading_goes_on_behind_damage(damage, lost):
    data = damage("\n".join(FIVE)).encode()
    records, warnings = read_bytes(FORMAT, data)
    assert len(records) == 5 - lost
    assert len(warnings) == 1
    assert 0 <= warnings[0].offset < len(data)


def test_an_event_without_end_does_not_fill_the_memory():
    endless = an_event()[:-8] + "x" * (MAX_RECORD_BYTES + (3 << 20)) + "</Event>"
    records, warnings = read_bytes(FORMAT, (endless + "\n" + an_event(2)).encode())
    assert [system_of(record)["EventRecordID"] for record in records] == [2]
    assert len(warnings) == 1
    assert "longer" in warnings[0].reason


def test_segments_give_what_the_whole_gives():
    text = "<Events>\n" + "\n".join(
        an_event(n, data=f"<Data Name='A'>{'line' + chr(10) * (n % 4)}</Data>") for n in range(30)
    )
    data = (text + "\nbroken </Event>\n" + an_event(31)[:-9]).encode()
    whole = read_in_segments(FORMAT, data, [])
    assert sum(isinstance(item, ReadWarning) for item in whole) == 2
    starts = [at + 1 for at, byte in enumerate(data) if byte == 10]
    assert read_in_segments(FORMAT, data, starts[2:-3:5]) == whole


def test_text_in_the_consoles_code_page():
    data = an_event(data="<Data Name='A'>システム</Data>").encode("cp932")
    (record,), _ = read_bytes(FORMAT, data)
    assert fields_of(record) == {"A": "システム"}
    (record,), _ = read_bytes(FORMAT, an_event(data="<Data Name='A'>Échec</Data>").encode("cp1252"))
    assert fields_of(record) == {"A": "\\xc9chec"}


@pytest.mark.parametrize(
    "head",
    [
        b'{"xml": "' + an_event().encode() + b'"}',
        b"<Events><Event><Name>concert</Name></Event></Events>",
        b'"time","<Event xmlns=\'x\'><System><Provider/></System>"',
        b"",
        b"\x00" * 100,
    ],
)
def test_other_files_are_not_taken(head):
    assert not FORMAT.recognise(head)
