"""Cisco ASA, Firepower Threat Defense, PIX and FWSM: `%ASA-6-302013: text`, and the events of FTD.

The message number says what a line means (`cisco_traffic`, `cisco_vpn`, `cisco_admin`); a number that is
not known gives a record of type `system` with the text. Some collectors cut off `%ASA-…:`: lines that begin
with the `Group <…> User <…> IP <…>` of the VPN messages are read all the same.
"""

from __future__ import annotations

import re
from typing import Any

from detector.formats.base import ReadContext
from detector.formats.network import cisco_admin, cisco_ftd, cisco_traffic, cisco_vpn
from detector.formats.network.cisco_ends import Meaning
from detector.formats.network.devices import Device, Parsed, device_format
from detector.formats.network.key_value import MAX_LINE
from detector.formats.network.syslog_head import Head, head_of, in_json

#: `%ASA-6-302013:`, with the class that EMBLEM adds (`%ASA-session-6-302013:`), without colon. `FDT` is what
#: some versions of FTD write.
_HEAD = re.compile(r"%(ASA|FTD|FDT|PIX|FWSM|NGIPS)-{1,2}(?:([A-Za-z]\w*+)-)?(\d)-(\d{6})(?::|(?=\s)) ?+")
#: Firepower Management Center's own syslog of the same events, without number.
_EVENTS = re.compile(r"(?:SFIMS|\bftd\[\d+\]|\bftd): (?=[A-Z]\w*+: )")
_BARE = re.compile(
    r"\s*+(?:TunnelGroup <[^<>]*+> GroupPolicy <|Group <[^<>]*+> User <|Group = [^,]*+, Username ="
    r" [^,]*+, IP = )"
)
_PRODUCTS = {"ASA": "ASA", "FTD": "FTD", "FDT": "FTD", "PIX": "PIX", "FWSM": "FWSM", "NGIPS": "Firepower"}

_MEANINGS: dict[str, Meaning] = cisco_traffic.MEANINGS | cisco_vpn.MEANINGS | cisco_admin.MEANINGS
_OTHER = Meaning("firewall", "system", "other", "unknown", cisco_traffic.READ_OTHER)

#: Columns of the firewall table that the vpn table lacks, and the other way round.
_FIREWALL_ONLY = frozenset(
    {"src_host", "dst_host", "src_interface", "dst_interface", "application", "protocol"}
)
_VPN_ONLY = frozenset({"vpn_type", "assigned_ip", "group", "client", "reason"})

#: Texts of VPN messages whose number was cut off -> number.
_BY_TEXT: tuple[tuple[str, str], ...] = (
    ("assigned to session", "722051"), ("Session disconnected", "113019"), ("parent session started",
    "113039"),
    ("WebVPN session started", "716001"), ("WebVPN session terminated", "716002"),
    ("Authentication: successful", "716038"), ("Authentication: rejected", "716039"),
    ("session lost connection", "716058"), ("session resumed", "716059"), ("Client Type:", "722055"),
    ("SVC connection established", "722022"), ("SVC connection terminated", "722023"),
    ("SVC closing connection", "722037"), ("No IPv6 address available", "722041"),
)  # fmt: skip


def _security_event(text: str, start: int, product: str, number: str | None, level: str | None,
                    body: str, context: ReadContext) -> Parsed:  # fmt: skip
    fields = cisco_ftd.pairs(body)
    columns = cisco_ftd.read(number or "", fields)
    head = head_of(text[:start], context)
    time = head.time or cisco_ftd.time_of(fields)
    columns |= {"time": time, "device": head.host, "vendor": "Cisco", "product": product, "event_id": number}
    columns["level"] = level or fields.get("EventPriority")
    known = {name: value for name, value in columns.items() if value is not None and value != ""}
    return Parsed("firewall", known, fields, time is None and head.zoneless)


def _bare(text: str) -> tuple[str, str]:
    number = next((number for words, number in _BY_TEXT if words in text), "")
    return number, text.strip()


def parse(text: str, context: ReadContext) -> Parsed | None:
    """Read one line."""
    if len(text) > MAX_LINE or in_json(text):
        return None
    found = _HEAD.search(text)
    if found is None:
        return _without_head(text, context)
    family, suffix, level, number = found.groups()
    message = text[found.end() :].rstrip()
    if number.startswith("4300"):
        return _security_event(text, found.start(), _PRODUCTS[family], number, level, message, context)
    head = head_of(text[: found.start()], context)
    parsed = _message(_PRODUCTS[family], number, level, message, head)
    if suffix is not None:
        parsed.fields["class"] = suffix
    return parsed


def _without_head(text: str, context: ReadContext) -> Parsed | None:
    if (event := _EVENTS.search(text)) is not None:
        body = text[event.end() :].rstrip()
        if "SrcIP: " in body or "DstIP: " in body or "IngressZone:" in body or "HTTPResponse: " in body:
            return _security_event(text, event.start(), "Firepower", None, None, body, context)
    if _BARE.match(text) is not None:
        number, message = _bare(text)
        return _message("ASA", number, None, message, Head(None, None, False))
    return None


def _message(product: str, number: str, level: str | None, message: str, head: Head) -> Parsed:
    meaning = _MEANINGS.get(number) or cisco_vpn.FAMILIES.get(number[:3], _OTHER)
    columns: dict[str, Any] = {
        "time": head.time,
        "device": head.host,
        "vendor": "Cisco",
        "product": product,
        "event_id": number or None,
        "level": level,
        "event_type": meaning.event_type,
        "action": meaning.action,
        "outcome": meaning.outcome,
        "message": message or None,
    }
    fields: dict[str, str] = {}
    meaning.read(message, columns, fields)
    # 716038 / 716039 of an administrator's session (ASDM) belong to the other table.
    table = columns.pop("table", meaning.table)
    other = _VPN_ONLY if table == "firewall" else _FIREWALL_ONLY
    known = {name: value for name, value in columns.items() if value is not None and name not in other}
    return Parsed(table, known, fields, head.zoneless)


def sure(text: str) -> bool:
    """Tell a line by its `%ASA-6-302013`, or by FMC's `SFIMS:` and an address."""
    known = _HEAD.search(text) is not None or ("SFIMS: " in text and "SrcIP: " in text)
    return known and not in_json(text)


DEVICE = Device("cisco_asa", parse, marks=("%ASA-", "%FTD-", "%FDT-", "%PIX-", "%FWSM-", "%NGIPS-",
"SFIMS: ", "ftd",
                                           "Group <", "Group = ", "TunnelGroup <"), sure=sure)  # fmt: skip
FORMAT = device_format(DEVICE)
