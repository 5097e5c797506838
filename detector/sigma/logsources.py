r"""Sigma log sources to what a case holds: which views, which events of them, which fields under which name.

A rule names a product, category and service; `sources_of` gives the sources that are read for it. Facts:
https://sigmahq.io/sigma-specification/specification/sigma-appendix-taxonomy.html (categories and services),
https://learn.microsoft.com/sysinternals/downloads/sysmon (event ids), pySigma's `sigma.pipelines.common`
(channels of services), Microsoft's descriptions of events 4657, 4688, 5156 (Security auditing).

Built-in events beside Sysmon's:

* process_creation is also Security 4688. It lacks Hashes, OriginalFileName, Description, Product, Company,
  FileVersion, CurrentDirectory, ParentCommandLine, ProcessGuid: they are NULL there, so that a selection on
  them never matches and a filter on them never excludes. ParentImage is there from Windows 10, CommandLine
  where the audit policy includes it.
* network_connection is also Security 5156. Image is a device path (`\device\harddiskvolume1\…`) in lower
  case, as Windows writes it there; host names and User are NULL.
* registry_set, registry_event and registry_delete are also Security 4657 (values only, not keys): the path
  and the value in Sysmon's spelling. registry_add is not: 4657 does not record that a key was created.
* antivirus is Microsoft Defender's detections (Signature, Filename, Path).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

from detector.case.channels import view_of
from detector.sigma.channels import SERVICES

Kind = Literal["windows", "network"]


@dataclass(frozen=True)
class Source:
    """Events that rules of a log source look at.

    views: where they are; empty: every Windows channel. event_ids: those of them, empty: all.
    condition: SQL that must hold too. fields: Sigma field in lower case -> SQL. In SQL, {Name} is the column
    Name of the view, NULL where the view lacks it. vendor_fields: a field is looked up in the vendor's own
    keys (`fields`) before the columns.
    """

    id: str
    kind: Kind
    views: tuple[str, ...]
    event_ids: tuple[int, ...] = ()
    condition: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    vendor_fields: bool = False


@dataclass(frozen=True)
class LogSource:
    """The `logsource` of a rule, in lower case."""

    product: str | None
    category: str | None
    service: str | None

    def __str__(self) -> str:
        named = (("product", self.product), ("category", self.category), ("service", self.service))
        return ", ".join(f"{name} {value}" for name, value in named if value) or "no log source"


_SYSMON: dict[str, tuple[int, ...]] = {
    "process_creation": (1,),
    "file_change": (2,),
    "network_connection": (3,),
    "sysmon_status": (4, 16),
    "process_termination": (5,),
    "driver_load": (6,),
    "image_load": (7,),
    "create_remote_thread": (8,),
    "raw_access_thread": (9,),
    "process_access": (10,),
    "file_event": (11,),
    "registry_add": (12,),
    "registry_delete": (12,),
    "registry_set": (13,),
    "registry_rename": (14,),
    "registry_event": (12, 13, 14),
    "create_stream_hash": (15,),
    "pipe_created": (17, 18),
    "wmi_event": (19, 20, 21),
    "dns_query": (22,),
    "file_delete": (23, 26),
    "clipboard_change": (24,),
    "process_tampering": (25,),
    "file_delete_detected": (26,),
    "file_block_executable": (27,),
    "file_block_shredding": (28,),
    "file_executable_detected": (29,),
    "sysmon_error": (255,),
}

#: Categories of events that Sysmon does not write; what writes them is a kernel ETW provider, no log.
_NO_LOG = frozenset({"file_access", "file_rename"})

_POWERSHELL: dict[str, tuple[str, int]] = {
    "ps_module": ("powershell", 4103),
    "ps_script": ("powershell", 4104),
    "ps_classic_start": ("powershell-classic", 400),
    "ps_classic_provider_start": ("powershell-classic", 600),
    "ps_classic_script": ("powershell-classic", 800),
}

_DETECTIONS = (1006, 1007, 1008, 1009, 1010, 1011, 1012, 1015, 1017, 1018, 1019, 1115, 1116, 1117, 1118, 1119)

#: Products of network devices -> text that identifies them in vendor and product of our tables.
_DEVICES: dict[str, str] = {
    "fortigate": "forti",
    "fortios": "forti",
    "fortinet": "forti",
    "paloalto": "paloalto",
    "panos": "paloalto",
    "checkpoint": "checkpoint",
    "sophos": "sophos",
    "sonicwall": "sonicwall",
    "juniper": "juniper",
    "pfsense": "pfsense",
    "yamaha": "yamaha",
    "huawei": "huawei",
    "watchguard": "watchguard",
}

#: Services of network devices that a key of the line tells: (product, service) -> (key, value).
_DEVICE_SERVICES: dict[tuple[str, str], tuple[str, str]] = {
    ("fortigate", "event"): ("type", "event"),
    ("fortigate", "traffic"): ("type", "traffic"),
    ("fortigate", "utm"): ("type", "utm"),
}


def _hex_to_decimal(column: str) -> str:
    """Process ids are `0x1f4` in Security events and `500` in Sysmon's."""
    return (
        f"CASE WHEN starts_with({column}, '0x') THEN CAST(TRY_CAST({column} AS HUGEINT) AS VARCHAR) "
        f"ELSE {column} END"
    )


_WELL_KNOWN_USERS = (
    ("S-1-5-18", "NT AUTHORITY\\SYSTEM"),
    ("S-1-5-19", "NT AUTHORITY\\LOCAL SERVICE"),
    ("S-1-5-20", "NT AUTHORITY\\NETWORK SERVICE"),
)


def _account(prefix: str) -> str:
    """DOMAIN\\user of the four fields <prefix>UserSid, …UserName, …DomainName, as Sysmon's User has it."""
    known = " ".join(f"WHEN '{sid}' THEN '{name}'" for sid, name in _WELL_KNOWN_USERS)
    return (
        f"CASE {{{prefix}UserSid}} {known} ELSE CASE WHEN {{{prefix}DomainName}} IN ('', '-') "
        f"OR {{{prefix}DomainName}} IS NULL THEN {{{prefix}UserName}} "
        f"ELSE {{{prefix}DomainName}} || '\\' || {{{prefix}UserName}} END END"
    )


#: The process runs as Target… where 4688 names one, as the creator (Subject…) otherwise.
_HAS_TARGET = "coalesce({TargetUserName} NOT IN ('', '-'), false)"

_INTEGRITY = (
    ("S-1-16-0", "Untrusted"),
    ("S-1-16-4096", "Low"),
    ("S-1-16-8192", "Medium"),
    ("S-1-16-8448", "Medium Plus"),
    ("S-1-16-12288", "High"),
    ("S-1-16-16384", "System"),
)

_PROCESS_4688: dict[str, str] = {
    "image": "{NewProcessName}",
    "processid": _hex_to_decimal("{NewProcessId}"),
    "parentimage": "{ParentProcessName}",
    "parentprocessid": _hex_to_decimal("{ProcessId}"),
    "commandline": "{CommandLine}",
    "user": f"CASE WHEN {_HAS_TARGET} THEN {_account('Target')} ELSE {_account('Subject')} END",
    "logonid": f"CASE WHEN {_HAS_TARGET} THEN {{TargetLogonId}} ELSE {{SubjectLogonId}} END",
    "integritylevel": "CASE {MandatoryLabel} "
    + " ".join(f"WHEN '{sid}' THEN '{name}'" for sid, name in _INTEGRITY)
    + " ELSE {MandatoryLabel} END",
} | dict.fromkeys(
    [
        "hashes",
        "imphash",
        "md5",
        "sha1",
        "sha256",
        "originalfilename",
        "description",
        "product",
        "company",
        "fileversion",
        "currentdirectory",
        "parentcommandline",
        "parentuser",
        "parentprocessguid",
        "processguid",
        "logonguid",
        "terminalsessionid",
    ],
    "CAST(NULL AS VARCHAR)",
)

_NETWORK_5156: dict[str, str] = {
    "image": "{Application}",
    "processid": _hex_to_decimal("{ProcessID}"),
    "sourceip": "{SourceAddress}",
    "sourceport": "{SourcePort}",
    "destinationip": "{DestAddress}",
    "destinationport": "{DestPort}",
    "sourceisipv6": "CASE WHEN contains({SourceAddress}, ':') THEN 'true' ELSE 'false' END",
    "destinationisipv6": "CASE WHEN contains({DestAddress}, ':') THEN 'true' ELSE 'false' END",
    "protocol": "CASE {Protocol} WHEN '6' THEN 'tcp' WHEN '17' THEN 'udp' ELSE {Protocol} END",
    "initiated": "CASE {Direction} WHEN '%%14593' THEN 'true' WHEN 'Outbound' THEN 'true' "
    "WHEN '%%14592' THEN 'false' WHEN 'Inbound' THEN 'false' END",
    "user": "CAST(NULL AS VARCHAR)",
}

_VALUE_WRITTEN = (
    "({OperationType} IN ('%%1904', '%%1905') OR lower({OperationType}) LIKE '%registry value created%' "
    "OR lower({OperationType}) LIKE '%registry value modified%')"
)
_VALUE_DELETED = "({OperationType} = '%%1906' OR lower({OperationType}) LIKE '%registry value deleted%')"

#: Sysmon abbreviates the hives and calls the control set in use CurrentControlSet.
_REGISTRY_KEY = (
    "regexp_replace(regexp_replace(regexp_replace({ObjectName}, '(?i)^\\\\REGISTRY\\\\MACHINE', 'HKLM'), "
    "'(?i)^\\\\REGISTRY\\\\USER', 'HKU'), '(?i)^(HKLM\\\\SYSTEM)\\\\ControlSet[0-9]{{3}}', "
    "'\\1\\\\CurrentControlSet')"
)
_NUMBER = "TRY_CAST({NewValue} AS UBIGINT)"

_REGISTRY_4657: dict[str, str] = {
    "image": "{ProcessName}",
    "processid": _hex_to_decimal("{ProcessId}"),
    "user": _account("Subject"),
    "targetobject": f"{_REGISTRY_KEY} || '\\' || {{ObjectValueName}}",
    "eventtype": f"CASE WHEN {_VALUE_WRITTEN} THEN 'SetValue' WHEN {_VALUE_DELETED} THEN 'DeleteValue' END",
    "details": "CASE WHEN {NewValueType} IN ('%%1876', 'REG_DWORD') "
    f"THEN coalesce('DWORD (0x' || printf('%08x', {_NUMBER}) || ')', {{NewValue}}) "
    "WHEN {NewValueType} IN ('%%1883', 'REG_QWORD') "
    f"THEN coalesce('QWORD (0x' || printf('%08x', {_NUMBER} >> 32) || '-0x' || "
    f"printf('%08x', {_NUMBER} & 4294967295) || ')', {{NewValue}}) "
    "WHEN {NewValueType} IN ('%%1875', 'REG_BINARY') THEN 'Binary Data' ELSE {NewValue} END",
}

#: Event 104 (log cleared) has a Channel of its own, the cleared one; a rule for the System log means it.
_SYSTEM_LOG = {"channel": "coalesce({EventData_Channel}, {Channel})"}

#: A detection's path is written `file:_C:\…`, several joined by `; `.
_ANTIVIRUS = {
    "signature": "{Threat Name}",
    "filename": "regexp_replace({Path}, '^[a-z]+:_', '')",
    "user": "{Detection User}",
    "image": "{Process Name}",
}

_FIREWALL = {
    # A word of Sigma's for devices that say no action.
    "blocked": "CASE WHEN {action} IN ('deny', 'drop', 'reset') THEN 'true' "
    "WHEN {action} = 'allow' THEN 'false' END"
}

#: Words of devices and of Sigma's taxonomy for what the tables call by one name (`ACTIONS`).
WORDS: dict[tuple[str, str], str] = {
    ("action", word): action
    for action, words in {
        "allow": (
            "accept",
            "accepted",
            "allowed",
            "forward",
            "forwarded",
            "pass",
            "passed",
            "permit",
            "permitted",
        ),
        "deny": ("block", "blocked", "denied", "reject", "rejected"),
        "drop": ("discard", "dropped"),
    }.items()
    for word in words
}


def _views(service: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(view_of(channel) for channel in SERVICES[service]))


@cache
def _windows_sources() -> dict[str, Source]:
    """Return all sources of Windows events by id: `service:<name>`, `sysmon:<category>`, …"""
    found = [Source("windows", "windows", ())]
    for service in SERVICES:
        fields = _SYSTEM_LOG if service == "system" else {}
        found.append(Source(f"service:{service}", "windows", _views(service), fields=fields))
    for category, ids in _SYSMON.items():
        found.append(Source(f"sysmon:{category}", "windows", _views("sysmon"), ids))
    for category, (service, event_id) in _POWERSHELL.items():
        found.append(Source(f"{service}:{category}", "windows", _views(service), (event_id,)))
    security = _views("security")
    either = f"({_VALUE_WRITTEN} OR {_VALUE_DELETED})"
    found += [
        Source("security:process_creation", "windows", security, (4688,), fields=_PROCESS_4688),
        Source("security:network_connection", "windows", security, (5156,), fields=_NETWORK_5156),
        Source("security:registry_set", "windows", security, (4657,), _VALUE_WRITTEN, _REGISTRY_4657),
        Source("security:registry_delete", "windows", security, (4657,), _VALUE_DELETED, _REGISTRY_4657),
        Source("security:registry_event", "windows", security, (4657,), either, _REGISTRY_4657),
        Source("windefend:antivirus", "windows", _views("windefend"), _DETECTIONS, fields=_ANTIVIRUS),
    ]
    return {source.id: source for source in found}


def source(source_id: str) -> Source:
    """Return a source by the id that `sources_of` gave; raises KeyError if there is none."""
    known = _windows_sources().get(source_id)
    return known if known is not None else _network_source(source_id)


def _network_source(source_id: str) -> Source:
    view, _, rest = source_id.partition(":")
    if view not in ("firewall", "vpn"):
        raise KeyError(source_id)
    product, _, service = rest.partition("/")
    fields = _FIREWALL if view == "firewall" else {}
    if not product:
        return Source(source_id, "network", (view,), fields=fields)
    made_by = "regexp_replace(lower(coalesce({vendor}, '') || coalesce({product}, '')), '[^a-z0-9]', '', 'g')"
    condition = f"contains({made_by}, '{_DEVICES[product]}')"
    if service:
        key, value = _DEVICE_SERVICES[product, service]
        condition += f" AND lower({{fields}}['{key}']) = '{value}'"
    return Source(source_id, "network", (view,), (), condition, fields, vendor_fields=True)


def sources_of(logsource: LogSource) -> tuple[str, ...]:
    """Return the ids of the sources that are read for a rule's log source; () if none is."""
    product, category, service = logsource.product, logsource.category, logsource.service
    if product in _DEVICES or (product is None and category in ("firewall", "vpn")):
        return _device_sources(product, category, service)
    if product not in (None, "windows"):
        return ()
    if category is None and service is None:
        return ("windows",) if product else ()
    if category is None:
        name = service or ""
        return (f"service:{name}",) if name in SERVICES and product else ()
    candidates = [
        source_id
        for source_id in _windows_sources()
        if source_id.partition(":")[2] == category and not source_id.startswith("service:")
    ]
    if service is not None:
        candidates = [source_id for source_id in candidates if source_id.partition(":")[0] == service]
    return tuple(candidates)


def _device_sources(product: str | None, category: str | None, service: str | None) -> tuple[str, ...]:
    if category not in (None, "firewall", "vpn"):
        return ()
    if product is None:
        return (f"{category}:",) if service is None else ()
    if service is not None and (product, service) not in _DEVICE_SERVICES:
        return ()
    views = (category,) if category else ("firewall", "vpn")
    tail = f"{product}/{service}" if service else product
    return tuple(f"{view}:{tail}" for view in views)


def why_not_read(logsource: LogSource) -> str:
    """Say why a rule's log source has no source here."""
    if logsource.category in _NO_LOG:
        return f"log source not read by this tool: {logsource} (an ETW provider, no event log)"
    return f"log source not read by this tool: {logsource}"
