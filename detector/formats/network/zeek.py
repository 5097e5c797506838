"""Zeek's logs: JSON lines, told by their keys, and tab-separated files, told by their header.

Fields: the `Info` records of Zeek's scripts (https://docs.zeek.org/en/master/script-reference/log-files.html).
conn, rdp and smb_mapping are flows; ntlm and kerberos say who authenticated from where; a notice is a
threat; lines of other logs are kept as `system`, for conn has their flows. Zeek watches: what it logs it did
not allow or refuse, so `action` says only that a flow ended, `outcome` whether both sides talked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from detector.formats.base import Format, Input, Item, ReadContext
from detector.formats.lines import Line, read_lines, text_of
from detector.formats.network.devices import Device, Parsed, device_format, records
from detector.formats.network.key_value import MAX_LINE
from detector.formats.network.syslog import instant
from detector.formats.network.values import account, address, number, port, protocol, seconds
from detector.tables.evidence import ReadWarning

#: conn_state: was there an answer, and did the connection end?
_STATES: dict[str, tuple[str, str]] = {
    "SF": ("close", "success"), "S1": ("allow", "success"), "S2": ("allow", "success"),
    "S3": ("allow", "success"), "RSTO": ("close", "success"), "RSTR": ("close", "success"),
    "S0": ("other", "failure"), "REJ": ("reset", "failure"), "RSTOS0": ("other", "failure"),
    "RSTRH": ("other", "failure"), "SH": ("other", "failure"), "SHR": ("other", "failure"),
}  # fmt: skip
_DIRECTIONS = {("T", "T"): "internal", ("T", "F"): "outbound", ("F", "T"): "inbound", ("F", "F"): "external"}
#: Keys by which a line says of which log it is, where it does not name it (`_path`).
_PATHS: tuple[tuple[str, str], ...] = (
    ("conn_state", "conn"), ("security_protocol", "rdp"), ("request_type", "kerberos"),
    ("domainname", "ntlm"), ("server_nb_computer_name", "ntlm"), ("share_type", "smb_mapping"),
    ("note", "notice"),
)  # fmt: skip


def record(fields: dict[str, str], path: str) -> Parsed:
    """Return what the fields of a line of the log `path` say; fields that are unset are not in it."""
    get = fields.get
    columns: dict[str, Any] = {
        "time": instant(get("ts"), None),
        "device": get("_system_name") or get("@system"),
        "vendor": "Zeek",
        "product": "Zeek",
        "event_id": path,
        "event_type": "system",
        "action": "other",
        "outcome": "unknown",
        "session_id": get("uid"),
        "src_ip": address(get("id.orig_h") or get("src")),
        "src_port": port(get("id.orig_p")),
        "dst_ip": address(get("id.resp_h") or get("dst")),
        "dst_port": port(get("id.resp_p") or get("p")),
        "protocol": protocol(get("proto")),
        "application": None if path == "conn" else path,
    }
    if (add := _LOGS.get(path)) is not None:
        add(fields, columns)
    return Parsed("firewall", {name: value for name, value in columns.items() if value is not None}, fields)


def _conn(fields: dict[str, str], columns: dict[str, Any]) -> None:
    get = fields.get
    columns["event_type"] = "traffic"
    columns["action"], columns["outcome"] = _STATES.get(get("conn_state", ""), ("other", "unknown"))
    columns["application"] = get("service")
    columns["duration"] = seconds(get("duration"))
    columns["bytes_sent"], columns["bytes_received"] = number(get("orig_bytes")), number(get("resp_bytes"))
    columns["packets_sent"], columns["packets_received"] = number(get("orig_pkts")), number(get("resp_pkts"))
    if columns["protocol"] == "icmp":  # there type and code stand in the place of ports
        columns["src_port"] = columns["dst_port"] = None
    columns["src_mac"] = get("orig_l2_addr")
    columns["direction"] = _DIRECTIONS.get((_letter(get("local_orig")), _letter(get("local_resp"))))


def _letter(value: str | None) -> str:
    """Return `T` or `F`, as tab-separated files have it."""
    return {"true": "T", "false": "F"}.get(value or "", value or "")


def _rdp(fields: dict[str, str], columns: dict[str, Any]) -> None:
    """`cookie` is the user name that the client sent before TLS (`mstshash`), cut at some characters."""
    columns["event_type"], columns["application"], columns["protocol"] = "traffic", "rdp", "tcp"
    columns["user_original"] = fields.get("cookie")
    columns["user"], columns["user_domain"] = account(fields.get("cookie"))
    columns["src_host"] = fields.get("client_name")
    result = fields.get("result", "").lower()
    columns["outcome"] = {"success": "success", "encrypted": "unknown", "": "unknown"}.get(result, "failure")


def _smb_mapping(fields: dict[str, str], columns: dict[str, Any]) -> None:
    columns["event_type"], columns["application"], columns["protocol"] = "traffic", "smb", "tcp"
    columns["outcome"] = "success"  # only shares that were opened are logged
    columns["message"] = fields.get("path")


def _ntlm(fields: dict[str, str], columns: dict[str, Any]) -> None:
    columns["event_type"], columns["action"] = "authentication", "login"
    columns["outcome"] = _outcome(fields)
    columns["user"], columns["user_domain"] = fields.get("username"), fields.get("domainname")
    columns["user_original"] = fields.get("username")
    columns["src_host"] = fields.get("hostname")
    columns["dst_host"] = fields.get("server_dns_computer_name") or fields.get("server_nb_computer_name")
    columns["message"] = fields.get("status")


def _kerberos(fields: dict[str, str], columns: dict[str, Any]) -> None:
    """`client` is name/REALM; KDC_ERR_PREAUTH_REQUIRED is how each login begins, not a failure."""
    columns["event_type"], columns["action"] = "authentication", "login"
    begins = fields.get("error_msg") == "KDC_ERR_PREAUTH_REQUIRED"
    columns["outcome"] = "unknown" if begins else _outcome(fields)
    client = fields.get("client")
    if client is not None:
        name, _, realm = client.rpartition("/")
        columns["user"], columns["user_domain"] = (name, realm) if name else (client, None)
        columns["user_original"] = client
    request = " ".join(filter(None, (fields.get("request_type"), fields.get("service"))))
    columns["message"] = "; ".join(filter(None, (request, fields.get("error_msg")))) or None


def _outcome(fields: dict[str, str]) -> str:
    return {"T": "success", "F": "failure"}.get(_letter(fields.get("success")), "unknown")


def _notice(fields: dict[str, str], columns: dict[str, Any]) -> None:
    columns["event_type"] = "threat"
    columns["rule_name"] = fields.get("note")
    columns["message"] = fields.get("msg")


_LOGS: dict[str, Callable[[dict[str, str], dict[str, Any]], None]] = {
    "conn": _conn, "rdp": _rdp, "smb_mapping": _smb_mapping, "ntlm": _ntlm, "kerberos": _kerberos,
    "notice": _notice,
}  # fmt: skip


def parse(text: str, context: ReadContext) -> Parsed | None:
    """Read one JSON line; behind an envelope the object is what begins at the first brace."""
    begin = text.find("{")
    if begin < 0 or len(text) > MAX_LINE:
        return None
    try:
        document = json.loads(text[begin:])
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or "ts" not in document:
        return None
    if isinstance(ends := document.get("id"), dict):
        document |= {f"id.{key}": value for key, value in ends.items()}
        del document["id"]
    if not {"id.orig_h", "id_orig_h"} & set(document) and not {"note", "msg", "actions"} <= set(document):
        return None
    fields = {key: _text(value) for key, value in document.items() if value is not None and value != []}
    path = (
        fields.get("_path")
        or fields.get("@stream")
        or next((path for key, path in _PATHS if key in fields), "zeek")
    )
    found = record(fields if "id.orig_h" in fields else _dotted(fields), path)
    return found._replace(fields=fields)


def _dotted(fields: dict[str, str]) -> dict[str, str]:
    """Return the fields by Zeek's names where a shipper had no dots in keys (ROCK NSM's Kafka plugin)."""
    return {f"id.{key[3:]}" if key.startswith("id_") else key: value for key, value in fields.items()}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.6f}" if 1e-4 <= abs(value) < 1e15 else repr(value)
    return json.dumps(value, ensure_ascii=False)


class _Header:
    """The lines that begin with `#` at the head of a tab-separated log, and wherever they come again."""

    def __init__(self) -> None:
        self.separator, self.unset, self.empty, self.path = "\t", "-", "(empty)", "zeek"
        self.names: list[str] = []

    def take(self, line: str) -> None:
        """Take one line of the header."""
        if line.startswith("#separator "):
            code = re.fullmatch(r"\\x([0-9A-Fa-f]{2})", line[11:].strip())
            self.separator = chr(int(code[1], 16)) if code else line[11:12] or "\t"
            return
        key, *values = line.split(self.separator)
        if key == "#fields":
            self.names = values
        elif values and key in ("#unset_field", "#empty_field", "#path"):
            setattr(self, {"#unset_field": "unset", "#empty_field": "empty", "#path": "path"}[key], values[0])

    def parsed(self, line: str) -> Parsed | None:
        """Return what a line says, None if it has not as many values as the header has names."""
        values = line.split(self.separator)
        if len(values) != len(self.names):
            return None
        fields = {
            name: value
            for name, value in zip(self.names, values, strict=True)
            if value not in (self.unset, self.empty)
        }
        return record(fields, self.path)


def _is_tsv(head: bytes) -> bool:
    lines = text_of(head).splitlines()[:20]
    return any(line.startswith("#separator ") for line in lines) and any(
        line.startswith("#fields") and "ts" in re.split(r"[^\w.]+", line) for line in lines
    )


def _read_tsv(source: Input) -> Iterator[Item]:
    """Yield a record for each line of a tab-separated log; times are seconds since 1970."""
    header = _Header()

    def lines() -> Iterator[Line | ReadWarning]:
        for line in read_lines(source):
            if isinstance(line, Line) and line.text.startswith("#"):
                header.take(line.text)
            else:
                yield line

    return records(source, lines(), lambda text, _: header.parsed(text))


DEVICE = Device("zeek", parse, marks=('"id.orig_h"', '"orig_h"', '"id_orig_h"', '"note"'))
_JSON = device_format(DEVICE)


def _recognise(head: bytes) -> bool:
    return _is_tsv(head) or _JSON.recognise(head)


def _read(source: Input) -> Iterator[Item]:
    return _read_tsv(source) if _is_tsv(source.head) else _JSON.read(source)


#: A tab-separated file may have headers anywhere, so it is read in one go.
FORMAT = Format(
    "zeek", _recognise, _read, "line", _JSON.needs_zone, lambda head: "never" if _is_tsv(head) else "line"
)
