"""EventData fields that Elastic's Security, Sysmon and PowerShell pipelines move into ECS fields, moved back.

The modules of Winlogbeat and the integrations of Elastic Agent rename `winlog.event_data.Image` to
`process.executable`, and so on, and remove the originals; a rule on `Image` would find nothing. The tables
name for each field of an event where it went (elastic/beats, x-pack/winlogbeat/module/{security,sysmon,
powershell}/ingest/*.yml; elastic/integrations, packages/system and windows, have the same). Values that a
pipeline took apart are put together again in the form in which Windows writes them, as far as the parts are
kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from detector.formats.windows.fields import system_time

#: Puts a value together from a document and the event id.
Maker = Callable[[dict[str, Any], str], str | None]

_PROCESS = {
    "ProcessGuid": "process.entity_id",
    "ProcessId": "process.pid",
    "Image": "process.executable",
    "RuleName": "rule.name",
}
_SOURCE = {
    "SourceProcessId": "process.pid",
    "SourceThreadId": "process.thread.id",
    "SourceImage": "process.executable",
    "RuleName": "rule.name",
}
_FILE = _PROCESS | {"TargetFilename": "file.path"}
_LOADED = _PROCESS | {"ImageLoaded": "file.path"}
_PIPE = _PROCESS | {"PipeName": "file.name"}
_REGISTRY = _PROCESS | {"TargetObject": "registry.path"}

_SYSMON: dict[str, dict[str, str]] = {
    "1": _PROCESS
    | {
        "CommandLine": "process.command_line",
        "CurrentDirectory": "process.working_directory",
        "OriginalFileName": "process.pe.original_file_name",
        "ParentProcessGuid": "process.parent.entity_id",
        "ParentProcessId": "process.parent.pid",
        "ParentImage": "process.parent.executable",
        "ParentCommandLine": "process.parent.command_line",
    },
    "3": _PROCESS
    | {
        "Protocol": "network.transport",
        "SourceIp": "source.ip",
        "SourceHostname": "source.domain",
        "SourcePort": "source.port",
        "DestinationIp": "destination.ip",
        "DestinationHostname": "destination.domain",
        "DestinationPort": "destination.port",
    },
    "6": {"ImageLoaded": "file.path", "RuleName": "rule.name"},
    "7": _LOADED | {"OriginalFileName": "file.pe.original_file_name"},
    "8": _SOURCE | {"SourceProcessGuid": "process.entity_id"},
    "9": _PROCESS | {"Device": "file.path"},
    "10": _SOURCE | {"SourceProcessGUID": "process.entity_id"},
    "12": _REGISTRY,
    "13": _REGISTRY,
    "14": _REGISTRY,
    "17": _PIPE,
    "18": _PIPE,
    "20": {"Destination": "process.executable", "RuleName": "rule.name"},
    "22": _PROCESS | {"QueryName": "dns.question.name"},
} | dict.fromkeys(("2", "11", "15", "23", "26", "27", "28", "29"), _FILE)

_SCRIPT_BLOCK = {
    "ScriptBlockId": "powershell.file.script_block_id",
    "RunspaceId": "powershell.runspace_id",
}
_POWERSHELL: dict[str, dict[str, str]] = {
    "4105": _SCRIPT_BLOCK,
    "4106": _SCRIPT_BLOCK,
    "4104": {
        "MessageNumber": "powershell.sequence",
        "MessageTotal": "powershell.total",
        "ScriptBlockText": "powershell.file.script_block_text",
        "ScriptBlockId": "powershell.file.script_block_id",
        "Path": "file.path",
    },
}

#: Of Security-Auditing: where process and peer are moved, for the events that have these fields.
_PEER = {
    "IpAddress": "source.ip",
    "IpPort": "source.port",
    "WorkstationName": "source.domain",
    "ProcessName": "process.executable",
}
_NEW_PROCESS = {
    "NewProcessName": "process.executable",
    "ParentProcessName": "process.parent.executable",
}
#: Events of Security-Auditing whose `source.domain` is a copy of another field, which is kept.
_SESSION_EVENTS = ("4778", "4779")

#: The parts of ContextInfo (4103, with spaces) and of the text of 400, 403, 600 and 800 (without).
_CONTEXT = {
    "Host Name": "process.title",
    "Host Version": "powershell.process.executable_version",
    "Host ID": "process.entity_id",
    "Host Application": "process.command_line",
    "Engine Version": "powershell.engine.version",
    "Runspace ID": "powershell.runspace_id",
    "Pipeline ID": "powershell.pipeline_id",
    "Command Name": "powershell.command.name",
    "Command Type": "powershell.command.type",
    "Script Name": "file.path",
    "Command Path": "powershell.command.path",
    "Sequence Number": "event.sequence",
    "Shell ID": "powershell.id",
}

#: Record types of DNS answers as Sysmon numbers them, but for addresses.
_DNS_TYPES = {"NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "SRV": 33}


def moved_fields(document: dict[str, Any], provider: str, event_id: str) -> Iterator[tuple[str, Any]]:
    """Yield (name, value) of the EventData fields that lie elsewhere in the document."""
    table: dict[str, str]
    makers: dict[str, Maker]
    if provider == "Microsoft-Windows-Security-Auditing":
        table = _NEW_PROCESS if event_id == "4688" else _PEER if event_id not in _SESSION_EVENTS else {}
        makers = {"NewProcessId" if event_id == "4688" else "ProcessId": _hex_pid}
    elif provider == "Microsoft-Windows-Sysmon":
        table = _SYSMON.get(event_id, _PROCESS)
        makers = _SYSMON_PARTS
    elif provider == "Microsoft-Windows-PowerShell":
        table = _POWERSHELL.get(event_id, {})
        makers = {"ContextInfo": _context_info, "Payload": _payload} if event_id == "4103" else {}
    elif provider == "PowerShell":
        table, makers = {}, {"Data": _engine_text}
    else:
        return
    for name, path in table.items():
        if (value := at(document, path)) is not None:
            yield name, value
    for name, make in makers.items():
        if (text := make(document, event_id)) is not None:
            yield name, text


def at(document: dict[str, Any], path: str) -> Any:
    """Return the value at a dotted path, None if there is none."""
    value: Any = document
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _utc_time(document: dict[str, Any], _: str) -> str | None:
    """Sysmon's UtcTime: the pipeline makes it the document's @timestamp."""
    stamp = system_time(document.get("@timestamp"))
    return stamp.replace(tzinfo=None).isoformat(" ", "milliseconds") if stamp is not None else None


def _hex_pid(document: dict[str, Any], _: str) -> str | None:
    """The process id of a Security event, which Windows writes in hexadecimal."""
    pid = at(document, "process.pid")
    return f"0x{pid:x}" if isinstance(pid, int) else None


def _user(document: dict[str, Any], _: str) -> str | None:
    domain, name = at(document, "user.domain"), at(document, "user.name")
    return f"{domain}\\{name}" if domain and name else None


def _hashes(document: dict[str, Any], event_id: str) -> str | None:
    where = "file" if event_id in ("6", "7", "15", "29") else "process"
    found = at(document, f"{where}.hash")
    hashes = dict(found) if isinstance(found, dict) else {}
    hashes["imphash"] = at(document, f"{where}.pe.imphash")
    known = [(kind, hashes.get(kind)) for kind in ("sha1", "md5", "sha256", "imphash")]
    return ",".join(f"{kind.upper()}={str(value).upper()}" for kind, value in known if value) or None


def _details(document: dict[str, Any], event_id: str) -> str | None:
    """The value written to the registry; of a QWORD the pipeline keeps too little to write it again."""
    strings, kind = at(document, "registry.data.strings"), at(document, "registry.data.type")
    if event_id != "13" or not isinstance(strings, list) or not strings:
        return None
    if kind == "SZ_DWORD" and str(strings[0]).isdecimal():
        return f"DWORD (0x{int(strings[0]):08x})"
    return None if kind == "SZ_QWORD" else str(strings[0])


def _query_results(document: dict[str, Any], event_id: str) -> str | None:
    answers = at(document, "dns.answers")
    if event_id != "22" or not isinstance(answers, list):
        return None
    results = []
    for answer in answers:
        kind, data = at(answer, "type"), at(answer, "data")
        if kind in _DNS_TYPES:
            results.append(f"type:  {_DNS_TYPES[kind]} {data}" if data else f"type:  {_DNS_TYPES[kind]}")
        elif data:
            results.append(f"::ffff:{data}" if kind == "A" else str(data))
    return "".join(f"{result};" for result in results)


def _query_status(document: dict[str, Any], event_id: str) -> str | None:
    status = at(document, "sysmon.dns.status")
    if event_id != "22" or status is None:
        return None
    return "0" if status == "SUCCESS" else str(status)


def _file_flag(path: str) -> Maker:
    def flag(document: dict[str, Any], _: str) -> str | None:
        value = at(document, path)
        return str(value).lower() if isinstance(value, bool) else None

    return flag


def _initiated(document: dict[str, Any], event_id: str) -> str | None:
    direction = at(document, "network.direction")
    known = {"egress": "true", "outbound": "true", "ingress": "false", "inbound": "false"}
    return known.get(str(direction)) if event_id == "3" else None


_SYSMON_PARTS: dict[str, Maker] = {
    "UtcTime": _utc_time,
    "User": _user,
    "Hashes": _hashes,
    "Details": _details,
    "QueryResults": _query_results,
    "QueryStatus": _query_status,
    "Initiated": _initiated,
    "Archived": _file_flag("sysmon.file.archived"),
    "IsExecutable": _file_flag("sysmon.file.is_executable"),
}


def _context_info(document: dict[str, Any], _: str) -> str | None:
    known = [(label, at(document, path)) for label, path in _CONTEXT.items()]
    lines = [f"        {label} = {value}" for label, value in known if value is not None]
    if (user := _user(document, "")) is not None:
        lines.append(f"        User = {user}")
    return "\n".join(lines) or None


def _engine_text(document: dict[str, Any], _: str) -> str | None:
    """The text of 400, 403, 600 and 800: what is left of its `Name=value` lines."""
    parts = _CONTEXT | {
        "Provider Name": "powershell.provider.name",
        "New Provider State": "powershell.provider.new_state",
        "New Engine State": "powershell.engine.new_state",
        "Previous Engine State": "powershell.engine.previous_state",
        "Command Line": "powershell.command.value",
    }
    known = [(label.replace(" ", ""), at(document, path)) for label, path in parts.items()]
    lines = [
        f"\t{label.removesuffix('ID')}Id={value}" if label.endswith("ID") else f"\t{label}={value}"
        for label, value in known
        if value is not None
    ]
    details = _payload(document, "")
    return "\n".join(lines + ([details] if details else [])) or None


def _payload(document: dict[str, Any], _: str) -> str | None:
    """The lines of a command's invocation: `ParameterBinding(Out-File): name="Path"; value="x"`."""
    details = at(document, "powershell.command.invocation_details")
    if not isinstance(details, list):
        return None
    lines = []
    for detail in details:
        kind, command, name = (at(detail, key) for key in ("type", "related_command", "name"))
        value = at(detail, "value") or ""
        if name is not None:
            value = f"name={name}; value={value}"
        lines.append(f"{kind}({command}): {value}" if kind else str(value))
    return "\n".join(lines)
