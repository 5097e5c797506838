"""ArcSight Common Event Format, whoever writes it: header fields and `key=value` extensions.

Keys and their meaning: "ArcSight Common Event Format (CEF) Implementation Standard", version 26
(https://www.microfocus.com/documentation/arcsight/arcsight-smartconnectors-8.4/cef-implementation-standard/).
Fortinet's own keys (`FTNTFGT…` up to FortiOS 6.0, `FortinetFortiGate…` since) are the device's fields again,
so that such a line means what the device's own form of it means.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from detector.formats.base import ReadContext
from detector.formats.network import fortigate
from detector.formats.network.devices import Device, Parsed, device_format
from detector.formats.network.extended import Event, columns_of, global_protect
from detector.formats.network.key_value import MAX_LINE
from detector.formats.network.syslog import NO_ENVELOPE, unwrap

_HEADER = re.compile(r"CEF: ?\d+\|" + r"((?:[^|\\]|\\.)*+)\|" * 6)
_KEY = re.compile(r"(?:^|(?<=\s))([A-Za-z_][\w.\-\[\]]{0,127})=")
_ESCAPE = re.compile(r"\\([\\=|nr])")
_CHARACTERS = {"n": "\n", "r": "\r"}
#: Extensions that hold one value of each kind, in the order in which they are asked.
KEYS: dict[str, tuple[str, ...]] = {
    "time": ("rt", "deviceReceiptTime", "end", "endTime", "start", "startTime"),
    "zone": ("dtz", "deviceTimeZone"),
    "device": ("dvchost", "deviceHostName", "dvc", "deviceAddress", "deviceExternalId"),
    "action": ("act", "deviceAction"),
    "outcome": ("outcome", "eventOutcome", "categoryOutcome"),
    "category": ("cat", "deviceEventCategory"),
    "src_ip": ("src", "sourceAddress", "c6a2"),
    "src_port": ("spt", "sourcePort"),
    "src_host": ("shost", "sourceHostName"),
    "src_mac": ("smac", "sourceMacAddress"),
    "src_interface": ("deviceInboundInterface",),
    "src_nat_ip": ("sourceTranslatedAddress",),
    "src_nat_port": ("sourceTranslatedPort",),
    "dst_ip": ("dst", "destinationAddress", "c6a3"),
    "dst_port": ("dpt", "destinationPort"),
    "dst_host": ("dhost", "destinationHostName"),
    "dst_interface": ("deviceOutboundInterface",),
    "dst_nat_ip": ("destinationTranslatedAddress",),
    "dst_nat_port": ("destinationTranslatedPort",),
    "protocol": ("proto", "transportProtocol"),
    "application": ("app", "applicationProtocol"),
    "user": ("suser", "sourceUserName", "duser", "destinationUserName"),
    "domain": ("sntdom", "sourceNtDomain", "dntdom", "destinationNtDomain"),
    "bytes_sent": ("out", "bytesOut"),
    "bytes_received": ("in", "bytesIn"),
    "message": ("msg", "message"),
    "reason": ("reason",),
    "client": ("requestClientApplication",),
    "session_id": ("externalId",),
}
#: Labels of custom strings and numbers (`cs1Label=Rule Name`) that say what a column holds.
LABELS: dict[str, str] = {
    "rule name": "rule_name", "rule": "rule_name", "policy": "rule_name", "policy name": "rule_name",
    "ruleid": "rule_name", "duration in seconds": "duration", "session id": "session_id",
}  # fmt: skip
_FORTINET = ("FTNTFGT", "FortinetFortiGate")
#: What CEF's own keys were in FortiOS' log ("FortiGate to CEF field mapping" in its Log Message Reference).
_FORTIOS: dict[str, str] = {
    "src": "srcip", "spt": "srcport", "shost": "srcname", "smac": "srcmac", "dst": "dstip", "dpt": "dstport",
    "dhost": "hostname", "dmac": "dstmac", "deviceInboundInterface": "srcintf", "dvchost": "devname",
    "deviceOutboundInterface": "dstintf", "deviceExternalId": "devid", "externalId": "sessionid",
    "proto": "proto", "act": "action", "app": "service", "in": "rcvdbyte", "out": "sentbyte",
    "sourceTranslatedAddress": "transip", "sourceTranslatedPort": "transport",
    "destinationTranslatedAddress": "tranip", "destinationTranslatedPort": "tranport", "suser": "user",
    "duser": "user", "outcome": "status", "reason": "reason", "msg": "msg", "request": "url",
    "sproc": "ui", "deviceSeverity": "level",
}  # fmt: skip


@lru_cache(maxsize=4096)
def _plain(text: str) -> str:
    return _ESCAPE.sub(lambda found: _CHARACTERS.get(found[1], found[1]), text)


def extensions(text: str) -> dict[str, str]:
    """Return the extensions of a CEF line under their own names, without escapes.

    A value goes on to the next ` key=`, blanks included. Values of custom fields come again under their
    label, if no key has that name. A key that occurs again becomes `key_2`.
    """
    parts = _KEY.split(text)
    keys, values = parts[1::2], [value.strip() for value in parts[2::2]]
    if "\\" in text:
        values = [_plain(value) if "\\" in value else value for value in values]
    fields = dict(zip(keys, values, strict=True))
    if len(fields) < len(keys):
        fields, counts = {}, dict[str, int]()
        for key, value in zip(keys, values, strict=True):
            counts[key] = counts.get(key, 0) + 1
            fields[key if counts[key] == 1 else f"{key}_{counts[key]}"] = value
    for name in [name for name in fields if name.endswith("Label")]:
        label, labelled = fields[name], fields.get(name[:-5])
        if label and labelled is not None:
            fields.setdefault(label, labelled)
    return fields


def parse(text: str, context: ReadContext) -> Parsed | None:
    """Read one line."""
    header = _HEADER.search(text) if len(text) <= MAX_LINE else None
    if header is None:
        return None
    begin = header.start()
    vendor, product, version, event_id, name, severity = map(_plain, header.groups())
    fields = extensions(text[header.end() :])
    envelope = unwrap(text[:begin] + "-", context) if begin else NO_ENVELOPE
    fortios = _fortios(fields) if vendor == "Fortinet" else None
    if fortios is not None:
        found = fortigate.record(fields, fortios, context)
        columns = found.columns
        if "device" not in columns and envelope.host:
            columns["device"] = envelope.host
        if "time" not in columns and (time := envelope.time) is not None:
            columns["time"] = time
        return found._replace(zoneless=found.zoneless and "time" not in columns)
    event = Event(vendor, product, event_id, name, severity, KEYS, LABELS)
    columns, zoneless = columns_of(event, fields, envelope, context)
    fields.update({"deviceVendor": vendor, "deviceProduct": product, "deviceVersion": version})
    fields.update({"deviceEventClassId": event_id, "name": name, "severity": severity})
    table = _global_protect(event_id, fields, columns)
    return Parsed("vpn" if table else "firewall", columns, fields, zoneless)


def _fortios(fields: dict[str, str]) -> dict[str, str] | None:
    """Return the fields of a FortiGate line as its own form names them; None if it is of another product."""
    prefix = next((p for p in _FORTINET if f"{p}logid" in fields or f"{p}subtype" in fields), None)
    if prefix is None:
        return None
    found = {_FORTIOS[key]: value for key, value in fields.items() if key in _FORTIOS and value}
    found |= {key.removeprefix(prefix): value for key, value in fields.items() if key.startswith(prefix)}
    # In a VPN event CEF's source and destination are `remip` and `locip`, as far as they are written.
    kind, _, subtype = fields.get("cat", "").partition(":")
    found.setdefault("type", kind)
    found.setdefault("subtype", subtype.split(" ")[0])
    if found["subtype"] == "vpn" and found["type"] == "event":
        found.setdefault("remip", found.get("srcip", ""))
        found.setdefault("locip", found.get("dstip", ""))
    return found


def _global_protect(event_id: str, fields: dict[str, str], columns: dict[str, Any]) -> bool:
    """Give a GlobalProtect event of Palo Alto's log forwarding the columns of the vpn table."""
    if event_id.upper() != "GLOBALPROTECT" or columns["vendor"] != "Palo Alto Networks":
        return False
    global_protect(fields, columns)
    return True


DEVICE = Device("cef", parse, marks=("CEF:",))
FORMAT = device_format(DEVICE)
