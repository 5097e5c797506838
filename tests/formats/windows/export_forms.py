"""Events of recordings, written as other tools export them; each function says from which source its shape
is.

Used by tests: an event must read the same in every form. Values are changed as the tools change them.
"""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime
from xml.etree import ElementTree

import orjson

from tests.formats.windows.support import event, fields_of, parsed_events, system_of

GUID = re.compile(r"\{[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\}")
UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
LAYOUT = re.compile(r"\r?\n[ \t]*")
HEX = re.compile("0x[0-9a-f]+")
LEVELS = {0: "LogAlways", 1: "Critical", 2: "Error", 3: "Warning", 4: "Info", 5: "Verbose"}


def sample_events(corpus, per_file=12):
    """Return (system by name, fields by name, XML) of records of each EVTX file recorded during an attack.

    Left out are the few that hold characters which XML cannot.
    """
    found = []
    for path in sorted(corpus.glob("evtx/attack-samples/**/*.evtx")):
        for number, (as_json, as_xml) in enumerate(parsed_events(path)):
            if number == per_file:
                break
            if UNWRITABLE.search(as_xml):
                continue
            parts = event(as_json)
            found.append((system_of(parts), fields_of(parts), as_xml))
    return found


def csv_bytes(columns, rows, *, bom=False, quote_all=False, first="", delimiter=",", encoding="utf-8"):
    """Return a table as .NET's and Python's CSV writers make it: CRLF, quotes doubled."""
    text = io.StringIO()
    text.write(first)
    writer = csv.writer(
        text,
        delimiter=delimiter,
        lineterminator="\r\n",
        quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL,
    )
    writer.writerow(columns)
    writer.writerows(rows)
    return (b"\xef\xbb\xbf" if bom else b"") + text.getvalue().encode(encoding)


def seven_digits(time):
    """Return a UTC time with seven digits of a second, as .NET writes `fffffff`."""
    return f"{time:%Y-%m-%d %H:%M:%S.%f}0"


# --- EvtxECmd (github.com/EricZimmerman/evtx, EventRecord.cs and its published output)

EVTXECMD_COLUMNS = [
    "RecordNumber",
    "EventRecordId",
    "TimeCreated",
    "EventId",
    "Level",
    "Provider",
    "Channel",
    "ProcessId",
    "ThreadId",
    "Computer",
    "ChunkNumber",
    "UserId",
    "MapDescription",
    "UserName",
    "RemoteHost",
    "PayloadData1",
    "PayloadData2",
    "PayloadData3",
    "PayloadData4",
    "PayloadData5",
    "PayloadData6",
    "ExecutableInfo",
    "HiddenRecord",
    "SourceFile",
    "Keywords",
    "ExtraDataOffset",
    "Payload",
]


def evtxecmd_row(number, sample):
    """Return one row by column name."""
    system, _, as_xml = sample
    words = {"0x8020000000000000": "Audit success", "0x8010000000000000": "Audit failure"}
    row = dict.fromkeys(EVTXECMD_COLUMNS, "")
    row |= {
        "RecordNumber": number,
        "EventRecordId": system["EventRecordID"],
        "TimeCreated": seven_digits(system["TimeCreated"]),
        "EventId": system["EventID"],
        "Level": LEVELS.get(system["Level"], ""),
        "Provider": system["Provider_Name"] or "",
        "Channel": system["Channel"] or "",
        "ProcessId": system["Execution_ProcessID"] or 0,
        "ThreadId": system["Execution_ThreadID"] or 0,
        "Computer": system["Computer"] or "",
        "ChunkNumber": 0,
        "UserId": system["Security_UserID"] or "",
        "MapDescription": "A map's words, with a comma",
        "PayloadData1": "Target: made of\nthe payload",
        "HiddenRecord": "False",
        "SourceFile": r"C:\evidence\log.evtx",
        "Keywords": words.get(system["Keywords"], "Classic"),
        "ExtraDataOffset": 0,
        "Payload": newtonsoft_payload(as_xml),
    }
    return row


def newtonsoft_payload(as_xml):
    """Return EventData or UserData as Newtonsoft's XML converter writes it, with EvtxECmd's values."""
    root = ElementTree.fromstring(as_xml[as_xml.index("<Event") :].replace("\r", "&#13;"))
    for child in root:
        name = child.tag.rpartition("}")[2]
        if name in ("EventData", "UserData", "ProcessingErrorData", "DebugData"):
            return orjson.dumps({name: newtonsoft(child)}).decode()
    return ""


def newtonsoft(element):
    """Return the JSON value of an element."""
    attributes = {f"@{key.rpartition('}')[2]}": value for key, value in element.items()}
    if element.tag.startswith("{http://manifests"):
        attributes["@xmlns"] = element.tag[1:].partition("}")[0]
    value = evtxecmd_value(element.text or "")
    children = list(element)
    if not children:
        if not attributes:
            return value or None
        return attributes | ({"#text": value} if value else {})
    unnamed = [child for child in children if child.tag.endswith("}Data") and not child.items()]
    if len(unnamed) > 1 and len(unnamed) == sum(child.tag.endswith("}Data") for child in children):
        # One value that is an array of strings.
        unnamed[0].text = ", ".join(evtxecmd_value(child.text or "") for child in unnamed)
        children = [child for child in children if child not in unnamed[1:]]
    found = dict(attributes)
    for child in children:
        name = child.tag.rpartition("}")[2]
        inner = newtonsoft(child)
        if name not in found:
            found[name] = inner
        elif isinstance(found[name], list):
            found[name].append(inner)
        else:
            found[name] = [found[name], inner]
    return found


def evtxecmd_value(value):
    if GUID.fullmatch(value):
        return value[1:-1].lower()
    if HEX.fullmatch(value):
        return "0x" + value[2:].upper()
    return "" if LAYOUT.fullmatch(value) else value


def as_evtxecmd_csv(samples):
    rows = [list(evtxecmd_row(number, sample).values()) for number, sample in enumerate(samples, 1)]
    return csv_bytes(EVTXECMD_COLUMNS, rows, bom=True)


def as_evtxecmd_json(samples):
    lines = []
    for number, sample in enumerate(samples, 1):
        row = evtxecmd_row(number, sample)
        row["TimeCreated"] = row["TimeCreated"].replace(" ", "T") + "+00:00"
        lines.append(orjson.dumps({key: value for key, value in row.items() if value != ""}))
    return b"\xef\xbb\xbf" + b"\r\n".join(lines)


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)
