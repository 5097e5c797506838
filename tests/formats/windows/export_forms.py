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


# --- Velociraptor (www.velocidex.com/golang/evtx;
# artifacts/definitions/Windows/EventLogs/{Evtx,EvtxHunter}.yaml)


def velociraptor_value(value):
    """Return a field's value as typed JSON: GUIDs bare, hexadecimal and decimal numbers as numbers."""
    if GUID.fullmatch(value):
        return value[1:-1].upper()
    if HEX.fullmatch(value) and len(value) <= 18:
        return int(value, 16)
    if value in ("true", "false"):
        return value == "true"
    if re.fullmatch("0|[1-9][0-9]{0,14}", value):
        return int(value)
    return value.split("\n") if "\n" in value and "\r" not in value else value


def velociraptor_row(sample):
    """Return a row of Windows.EventLogs.Evtx."""
    system, fields, as_xml = sample
    correlation = {
        "ActivityID": system["Correlation_ActivityID"],
        "RelatedActivityID": system["Correlation_RelatedActivityID"],
    }
    event_id = {"Value": system["EventID"]}
    if system["Qualifiers"] is not None:
        event_id["Qualifiers"] = system["Qualifiers"]
    data = {name.removeprefix("EventData_"): velociraptor_value(value) for name, value in fields.items()}
    guid = system["Provider_Guid"]
    row = {
        "System": {
            "Provider": {"Name": system["Provider_Name"], **({"Guid": guid[1:-1].upper()} if guid else {})},
            "EventID": event_id,
            "Version": system["Version"],
            "Level": system["Level"],
            "Task": system["Task"],
            "Opcode": system["Opcode"],
            "Keywords": int(system["Keywords"], 16),
            "TimeCreated": {"SystemTime": system["TimeCreated"].timestamp()},
            "EventRecordID": system["EventRecordID"],
            "Correlation": {key: value[1:-1].upper() for key, value in correlation.items() if value},
            "Execution": {
                "ProcessID": system["Execution_ProcessID"],
                "ThreadID": system["Execution_ThreadID"],
            },
            "Channel": system["Channel"],
            "Computer": system["Computer"],
            "Security": {"UserID": system["Security_UserID"]} if system["Security_UserID"] else {},
        },
    }
    row |= {"UserData": {"EventXML": data}} if "<UserData>" in as_xml else {"EventData": data}
    return row | {
        "Message": "Rendered from the message table",
        "TimeCreated": f"{system['TimeCreated']:%Y-%m-%dT%H:%M:%SZ}",
        "Channel": system["Channel"],
        "EventRecordID": system["EventRecordID"],
        "EventID": system["EventID"],
        "FullPath": r"C:\Windows\System32\winevt\Logs\Security.evtx",
    }


def as_velociraptor(samples):
    return b"\n".join(orjson.dumps(velociraptor_row(sample)) for sample in samples)


def as_velociraptor_csv(samples):
    rows = [velociraptor_row(sample) for sample in samples]
    columns = ["System", "EventData", "UserData", "Message", "TimeCreated", "Channel", "EventID", "FullPath"]
    return csv_bytes(columns, [[cell(row.get(name, "")) for name in columns] for row in rows])


def cell(value):
    return orjson.dumps(value).decode() if isinstance(value, (dict, list)) else value


def as_evtx_hunter(samples):
    """Return rows of Windows.EventLogs.EvtxHunter, whose time is cut to seconds."""
    lines = []
    for sample in samples:
        row, system = velociraptor_row(sample), sample[0]
        flat = {
            "EventTime": row["TimeCreated"],
            "Computer": system["Computer"],
            "Channel": system["Channel"],
            "Provider": system["Provider_Name"],
            "EventID": system["EventID"],
            "EventRecordID": system["EventRecordID"],
            "UserSID": system["Security_UserID"],
            "Username": r"NT AUTHORITY\SYSTEM",
            "EventData": row.get("EventData"),
            "UserData": row.get("UserData"),
            "Message": row["Message"],
            "OSPath": row["FullPath"],
        }
        lines.append(orjson.dumps(flat))
    return b"\n".join(lines)


# --- Fluent Bit (plugins/in_winevtlog/pack.c)


def winevtlog_value(value):
    """Return an insert as the plugin packs it: numbers as numbers, hexadecimal text, GUIDs in capitals."""
    if GUID.fullmatch(value):
        return value.upper()
    if value in ("true", "false"):
        return value == "true"
    return int(value) if re.fullmatch("0|[1-9][0-9]{0,14}", value) else value


def as_winevtlog(samples, zone):
    """Return JSON lines of a collector whose zone has no summer time."""
    lines = []
    for system, fields, _ in samples:
        record = {
            "date": system["TimeCreated"].timestamp() + 1.5,
            "ProviderName": system["Provider_Name"] or "",
            "ProviderGuid": (system["Provider_Guid"] or "").upper(),
            "Qualifiers": "" if system["Qualifiers"] is None else system["Qualifiers"],
            "EventID": system["EventID"],
            "Version": system["Version"] or 0,
            "Level": system["Level"] or 0,
            "Task": system["Task"] or 0,
            "Opcode": system["Opcode"] or 0,
            "Keywords": system["Keywords"],
            "TimeCreated": f"{system['TimeCreated'].astimezone(zone):%Y-%m-%d %H:%M:%S %z}",
            "EventRecordID": system["EventRecordID"],
            "ActivityID": (system["Correlation_ActivityID"] or "").upper(),
            "RelatedActivityID": (system["Correlation_RelatedActivityID"] or "").upper(),
            "ProcessID": system["Execution_ProcessID"] or 0,
            "ThreadID": system["Execution_ThreadID"] or 0,
            "Channel": system["Channel"],
            "Computer": system["Computer"],
            "UserID": r"NT AUTHORITY\SYSTEM"
            if system["Security_UserID"] == "S-1-5-18"
            else system["Security_UserID"] or "",
            "Message": "Rendered",
            "StringInserts": [winevtlog_value(value) for value in inserts_of(fields)],
        }
        lines.append(orjson.dumps(record))
    return b"\n".join(lines)


def inserts_of(fields):
    """Return the values of the event's user context, unnamed ones apart."""
    return [
        part for name, value in fields.items() for part in (value.split("\n") if name == "Data" else [value])
    ]


def as_winevtlog_xml(samples):
    return b"\n".join(
        orjson.dumps({"date": 1.0, "System": as_xml, "Message": "Rendered"}) for _, _, as_xml in samples
    )


# --- Chainsaw (src/cli.rs, print_json and print_jsonl; its documents have the attributes beside the elements)


def separate_attributes(value):
    """Return the JSON tree of the Rust parser with attributes beside the elements, as its option does it."""
    if not isinstance(value, dict):
        return value
    found = {}
    for name, child in value.items():
        if isinstance(child, dict) and "#attributes" in child:
            rest = {key: each for key, each in child.items() if key != "#attributes"}
            inner = rest["#text"] if set(rest) == {"#text"} else separate_attributes(rest) if rest else None
            found[name + "_attributes"] = child["#attributes"]
            if inner is not None:
                found[name] = inner
        elif name != "#attributes":
            found[name] = separate_attributes(child)
    return found


def as_chainsaw(trees, *, lines):
    """Return hits: each event twice, for two rules, and all of the first ten as one hit that counts them."""
    hits = []
    for tree in trees:
        document = {"kind": "evtx", "path": "/evidence/a.evtx", "data": separate_attributes(tree)}
        for rule in ("One", "Another"):
            hit = {"group": "Sigma", "kind": "individual", "document": document, "name": rule}
            hits.append(hit | {"timestamp": "2019-03-19T00:02:04.319945+00:00", "level": "medium"})
    documents = [{"kind": "evtx", "path": "a", "data": separate_attributes(tree)} for tree in trees[:10]]
    hits.insert(0, {"group": "Sigma", "kind": "aggregate", "documents": documents, "name": "Many"})
    return b"\n".join(map(orjson.dumps, hits)) if lines else orjson.dumps(hits)


# --- Azure Monitor (its reference of the tables SecurityEvent, WindowsEvent, Event)


def security_event_row(sample):
    """Return a row of SecurityEvent: fields beside columns that Azure adds, GUIDs bare."""
    system, fields, _ = sample
    audit = {"0x8020000000000000": "8", "0x8010000000000000": "16"}
    row = {
        "TenantId": "11111111-2222-3333-4444-555555555555",
        "TimeGenerated": system["TimeCreated"].isoformat().replace("+00:00", "Z"),
        "SourceSystem": "OpsManager",
        "Account": "HOSPITAL\\sato",
        "AccountType": "User",
        "Computer": system["Computer"],
        "EventSourceName": system["Provider_Name"],
        "Channel": system["Channel"],
        "Task": system["Task"],
        "Level": audit.get(system["Keywords"], str(system["Level"])),
        "EventData": "",
        "EventID": system["EventID"],
        "Activity": f"{system['EventID']} - An event.",
        "EventRecordId": str(system["EventRecordID"]),
        "Type": "SecurityEvent",
        "_ResourceId": "/subscriptions/x",
    }
    typed = {name: int(value) if name == "LogonType" else value for name, value in fields.items()}
    return row | {
        name: value[1:-1] if isinstance(value, str) and GUID.fullmatch(value) else value
        for name, value in typed.items()
    }


def windows_event_row(sample):
    system, fields, _ = sample
    return {
        "TenantId": "11111111-2222-3333-4444-555555555555",
        "TimeGenerated": system["TimeCreated"].isoformat().replace("+00:00", "Z"),
        "Provider": system["Provider_Name"],
        "Channel": system["Channel"],
        "Computer": system["Computer"],
        "Task": system["Task"],
        "EventLevel": system["Level"],
        "EventLevelName": "Information",
        "EventData": {name.removeprefix("EventData_"): value for name, value in fields.items()},
        "EventID": system["EventID"],
        "RawEventData": "",
        "Correlation": system["Correlation_ActivityID"] or "",
        "EventRecordId": str(system["EventRecordID"]),
        "Keywords": system["Keywords"],
        "Opcode": str(system["Opcode"]),
        "SystemProcessId": system["Execution_ProcessID"],
        "SystemThreadId": system["Execution_ThreadID"],
        "SystemUserId": system["Security_UserID"] or "",
        "Version": system["Version"],
        "Type": "WindowsEvent",
    }


def event_row(sample):
    system, _, as_xml = sample
    found = re.search(r"<(EventData|UserData)\b.*</\1>", as_xml, re.DOTALL)
    data = (
        found[0].replace(">", ' xmlns="http://schemas.microsoft.com/win/2004/08/events/event">', 1)
        if found
        else ""
    )
    return {
        "TenantId": "11111111-2222-3333-4444-555555555555",
        "TimeGenerated": system["TimeCreated"].isoformat().replace("+00:00", "Z"),
        "Source": system["Provider_Name"],
        "EventLog": system["Channel"],
        "Computer": system["Computer"],
        "EventLevel": system["Level"],
        "EventLevelName": "Information",
        "ParameterXml": "<Param>a</Param>",
        "EventData": f'<DataItem type="System.XmlData" time="x">{data}</DataItem>' if data else "",
        "EventID": system["EventID"],
        "RenderedDescription": "",
        "EventCategory": system["Task"],
        "Type": "Event",
    }


def portal_csv(rows):
    """Return what the portal saves: dates of the United States, the unit in the header, objects as JSON."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = []
    for row in rows:
        time = datetime.fromisoformat(row["TimeGenerated"])
        half = "PM" if time.hour > 11 else "AM"
        clock = f"{time.hour % 12 or 12}:{time:%M:%S}.{time.microsecond // 1000:03d} {half}"
        row = row | {"TimeGenerated": f"{time.month}/{time.day}/{time.year}, {clock}"}
        table.append([cell(row.get(name, "")) for name in columns])
    header = [f"{name} [UTC]" if name == "TimeGenerated" else name for name in columns]
    return csv_bytes(header, table, bom=True)


# --- Hayabusa (src/afterfact.rs; config/{profiles.yaml,channel_abbreviations.txt,default_details.txt})

HAYABUSA_CHANNELS = {
    "Security": "Sec",
    "System": "Sys",
    "Application": "App",
    "Microsoft-Windows-Sysmon/Operational": "Sysmon",
    "Microsoft-Windows-PowerShell/Operational": "PwSh",
    "Windows PowerShell": "PwShClassic",
}


def hayabusa_row(sample, title, details):
    """Return a row of the profile all-field-info: fields bare as the parser has them, numbers as numbers."""
    system, fields, _ = sample
    values = {}
    for name, value in fields.items():
        if GUID.fullmatch(value):
            value = value[1:-1].upper()
        values[name.removeprefix("EventData_")] = (
            int(value) if re.fullmatch("0|[1-9][0-9]{0,14}", value) else value
        )
    time = system["TimeCreated"]
    return {
        "Timestamp": f"{time:%Y-%m-%d %H:%M:%S}.{time.microsecond // 1000:03d} +00:00",
        "RuleTitle": title,
        "Level": "info",
        "Computer": system["Computer"],
        "Channel": HAYABUSA_CHANNELS.get(system["Channel"], system["Channel"]),
        "EventID": system["EventID"],
        "RecordID": system["EventRecordID"],
        "Details": details,
        "AllFieldInfo": values,
    }
