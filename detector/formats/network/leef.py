"""IBM's Log Event Extended Format 1.0 and 2.0, whoever writes it.

Header and keys: "QRadar Log Event Extended Format (LEEF)", version 2
(https://www.ibm.com/docs/en/dsm?topic=overview-leef-event-components). Version 1 parts its attributes by
tabs; version 2 names the character (`^`, `0x5E`, `x5E`), or leaves it out and uses tabs. Devices that write
blanks, or `|`, instead are read as well: by the keys that follow.
"""

from __future__ import annotations

import re
from datetime import datetime

from detector.formats.base import ReadContext
from detector.formats.network.devices import Device, Parsed, device_format
from detector.formats.network.extended import Event, columns_of
from detector.formats.network.key_value import MAX_LINE
from detector.formats.network.syslog import NO_ENVELOPE, unwrap

_HEADER = re.compile(r"LEEF: ?(\d)(?:\.\d)?\|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|")
_DELIMITER = re.compile(r"(?:(0?[xX][0-9A-Fa-f]{1,4})|([^\w\s|]?))\|")
_KEY = re.compile(r"(?:^|(?<=[\s|]))([A-Za-z_][\w.\-]{0,127})=")
KEYS: dict[str, tuple[str, ...]] = {
    "time": ("devTime", "startTime", "endTime"),
    "zone": ("timeZone", "devTimeZone"),
    "device": ("dvchost", "devName", "DeviceName", "identHostName"),
    "action": ("action", "Action", "act", "disp", "disposition"),
    "outcome": ("outcome", "result", "Result", "status"),
    "category": ("cat", "Category"),
    "src_ip": ("src", "srcIP", "identSrc"),
    "src_port": ("srcPort", "spt"),
    "src_host": ("srcHost", "shost"),
    "src_mac": ("srcMAC",),
    "src_interface": ("srcInterface", "IngressInterface"),
    "src_nat_ip": ("srcPostNAT",),
    "src_nat_port": ("srcPostNATPort",),
    "dst_ip": ("dst", "dstIP"),
    "dst_port": ("dstPort", "dpt"),
    "dst_host": ("dstHost", "dhost"),
    "dst_interface": ("dstInterface", "EgressInterface"),
    "dst_nat_ip": ("dstPostNAT",),
    "dst_nat_port": ("dstPostNATPort",),
    "protocol": ("proto",),
    "application": ("Application", "application", "app", "service"),
    "user": ("usrName", "accountName", "SourceUser", "DestinationUser"),
    "domain": ("domain",),
    "rule_name": ("policy", "RuleName", "rule"),
    "session_id": ("SessionID", "sessionId"),
    "bytes_sent": ("srcBytes",),
    "bytes_received": ("dstBytes",),
    "packets_sent": ("srcPackets",),
    "packets_received": ("dstPackets",),
    "duration": ("ElapsedTime",),
    "message": ("msg", "Message", "message"),
}


def attributes(text: str, delimiter: str) -> dict[str, str]:
    """Return the attributes under their own names; a key that occurs again becomes `key_2`."""
    fields: dict[str, str] = {}
    if delimiter in text or text.count("=") < 2:
        pairs = [part.partition("=") for part in text.split(delimiter)]
        found = [(key.strip(), value.strip()) for key, equals, value in pairs if equals]
    else:
        keys = list(_KEY.finditer(text))
        ends = [*(key.start() for key in keys[1:]), len(text)][: len(keys)]
        found = [(key[1], text[key.end() : end].strip(" \t|")) for key, end in zip(keys, ends, strict=True)]
    count: dict[str, int] = {}
    for key, value in found:
        count[key] = count.get(key, 0) + 1
        fields[key if count[key] == 1 else f"{key}_{count[key]}"] = value
    return fields


def parse(text: str, context: ReadContext) -> Parsed | None:
    """Read one line."""
    begin = text.find("LEEF:")
    header = _HEADER.match(text, begin) if begin >= 0 and len(text) <= MAX_LINE else None
    if header is None:
        return None
    version, vendor, product, product_version, event_id = header.groups()
    at, delimiter = header.end(), "\t"
    if version == "2" and (named := _DELIMITER.match(text, at)) is not None:
        at = named.end()
        code = int(named[1].lower().lstrip("0").removeprefix("x") or "9", 16) if named[1] else 0
        delimiter = chr(code) if 0 < code < 0xD800 else named[2] or "\t"
    fields = attributes(text[at:], delimiter)
    envelope = unwrap(text[:begin] + "-", context) if begin else NO_ENVELOPE
    event = Event(vendor, product, event_id, "", fields.get("sev", ""), KEYS, {})
    columns, zoneless = columns_of(event, _with_time(fields), envelope, context)
    fields.update({"deviceVendor": vendor, "deviceProduct": product, "deviceVersion": product_version})
    fields["deviceEventClassId"] = event_id
    return Parsed("firewall", columns, fields, zoneless)


def _with_time(fields: dict[str, str]) -> dict[str, str]:
    """Return the fields with a `devTime` in one of Java's commoner formats in the ISO order."""
    text = fields.get("devTime", "")
    for form in ("%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S"):
        if "/" not in text[:3] or fields.get("devTimeFormat", "")[:2] != {"%m": "MM", "%d": "dd"}[form[:2]]:
            continue
        try:
            return fields | {"devTime": datetime.strptime(text, form).isoformat()}  # noqa: DTZ007 - local
        except ValueError:
            continue
    return fields


DEVICE = Device("leef", parse, marks=("LEEF:",))
FORMAT = device_format(DEVICE)
