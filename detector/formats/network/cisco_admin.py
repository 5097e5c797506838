"""Administrators and settings in messages of Cisco's firewalls, and users of cut-through authentication."""

from __future__ import annotations

import re
from typing import Any

from detector.formats.network.cisco_ends import END, Meaning, Reader, kept, put_end, put_user
from detector.formats.network.values import address, port

_COMMAND = re.compile(
    r"User '(?P<user>[^']{0,256})'(?:, running '(?P<application>[^']*+)' from IP "
    r"(?P<ip>[^\s,]++))?,? executed "
    r"(?:the )?(?:cmd: |command )?'?(?P<command>.*?)(?:'(?: command)?\.?)?$"
)
_LOGIN = re.compile(
    rf"Login (?P<verdict>\w++) from (?P<src>{END})(?:/(?P<src_port>\d++))? to (?P<dst>{END})/"
    rf"(?P<service>\S++) for user "
    r"\"(?P<user>.{0,256})\""
)
_UNAME = re.compile(r"(?:IP [Aa]ddress: (?P<ip>[^\s,]++), )?Uname: (?P<user>\S++)(?: (?P<rest>.*+))?")
_CONSOLE = re.compile(r"Attempted (?P<service>\w++) login failed\. User (?P<user>\S++)")
_SSH = re.compile(
    r"SSH session from (?P<ip>\S++) on interface (?P<interface>\S++) for user \"(?P<user>.{0,256})\" "
    r"(?P<what>.*+)"
)
_BY = re.compile(r"(?<![0-9A-Fa-f.:])(?P<by>[0-9A-Fa-f.:]{2,45}|console|terminal)\b")
_TRIES = re.compile(r"(?<!\d)(?P<tries>\d++) tries \(from (?P<ip>[^\s)]++)\)")
_CUT_THROUGH = re.compile(
    rf"for user '?(?P<user>[^'\s]++)'? from (?P<src>{END})(?:/(?P<src_port>\d++))? to (?P<dst>{END})/"
    rf"(?P<dst_port>\d++)"
    r"(?: on interface (?P<interface>\S++))?"
)
_MAPPING = re.compile(
    r"IP-User mapping (?P<ip>[0-9A-Fa-f.:]++) - (?P<user>.{0,256}?) (?P<verdict>Succeeded|Failed)"
)

#: Commands of the execution mode: they look, or move, and set nothing.
_LOOKS = frozenset({
    "show", "sh", "ping", "traceroute", "login", "logout", "enable", "disable", "exit", "end", "quit",
    "more", "dir",
    "pwd", "cd", "configure", "conf", "changeto", "terminal", "packet-tracer", "help", "perfmon", "test",
    "who",
    "verify", "capture",
})  # fmt: skip


def _command(message: str, columns: dict[str, Any], fields: dict[str, str]) -> None:
    """Read a command: one that sets something is a change of configuration, others an administrator's act."""
    found = _COMMAND.search(message)
    if found is None:
        return
    fields.update(kept(found))
    put_user(columns, fields["user"])
    columns["src_ip"] = address(fields.get("ip"))
    columns["application"] = fields.get("application")
    words = fields["command"].split()
    first = words[0].lower() if words else ""
    if first in _LOOKS:
        columns["event_type"], columns["action"] = "admin", "other"
    elif first in ("no", "clear", "delete", "erase"):
        columns["action"] = "delete"


def _login(message: str, columns: dict[str, Any], fields: dict[str, str]) -> None:
    found = _LOGIN.search(message)
    if found is None:
        return
    fields.update(kept(found))
    put_user(columns, fields["user"])
    put_end(columns, "src", fields["src"], fields.get("src_port"))
    put_end(columns, "dst", fields["dst"])
    columns["application"] = fields["service"]


def _uname(message: str, columns: dict[str, Any], fields: dict[str, str]) -> None:
    found = _UNAME.search(message)
    if found is not None:
        fields.update(kept(found))
        put_user(columns, fields["user"])
        columns["src_ip"] = address(fields.get("ip"))


def _console(message: str, columns: dict[str, Any], fields: dict[str, str]) -> None:
    if (found := _CONSOLE.search(message)) is not None:
        fields.update(kept(found))
        put_user(columns, fields["user"])
        columns["application"] = fields["service"]


def _ssh(message: str, columns: dict[str, Any], fields: dict[str, str]) -> None:
    if (found := _SSH.search(message)) is not None:
        fields.update(kept(found))
        put_user(columns, fields["user"])
        columns["src_ip"], columns["src_interface"] = address(fields["ip"]), fields["interface"]
        columns["application"] = "ssh"


def _by(message: str, columns: dict[str, Any], fields: dict[str, str]) -> None:
    """Read who (console, or from which address) began or ended a change of configuration."""
    if (found := _BY.search(message)) is not None:
        fields["by"] = found["by"]
        columns["src_ip"] = address(found["by"])
    if "FAILED" in message:
        columns["outcome"] = "failure"


def _tries(message: str, columns: dict[str, Any], fields: dict[str, str]) -> None:
    if (found := _TRIES.search(message)) is not None:
        fields.update(kept(found))
        columns["src_ip"] = address(fields["ip"])


def _cut_through(message: str, columns: dict[str, Any], fields: dict[str, str]) -> None:
    if (found := _CUT_THROUGH.search(message)) is not None:
        fields.update(kept(found))
        put_user(columns, fields["user"])
        put_end(columns, "src", fields["src"], fields.get("src_port"))
        put_end(columns, "dst", fields["dst"])
        columns["dst_port"] = port(fields["dst_port"])
        columns["src_interface"] = fields.get("interface")


def _mapping(message: str, columns: dict[str, Any], fields: dict[str, str]) -> None:
    if (found := _MAPPING.search(message)) is not None:
        fields.update(kept(found))
        put_user(columns, fields["user"])
        columns["src_ip"] = address(fields["ip"])


def _of(kind: str, action: str, outcome: str, read: Reader, *numbers: str) -> dict[str, Meaning]:
    return {number: Meaning("firewall", kind, action, outcome, read) for number in numbers}


MEANINGS: dict[str, Meaning] = {
    **_of("config", "modify", "success", _command, "111008", "111010"),
    **_of("admin", "other", "success", _command, "111009"),
    **_of("admin", "login", "success", _login, "605005"),
    **_of("admin", "login", "failure", _login, "605004"),
    **_of("admin", "login", "success", _uname, "611101"),
    **_of("admin", "login", "failure", _uname, "611102"),
    **_of("admin", "logout", "success", _uname, "611103"),
    **_of("admin", "login", "failure", _console, "113021"),
    **_of("admin", "logout", "success", _ssh, "315011"),
    **_of("admin", "login", "failure", _tries, "308001"),
    **_of("config", "create", "success", _uname, "502101", "502111"),
    **_of("config", "delete", "success", _uname, "502102", "502112"),
    **_of("admin", "modify", "success", _uname, "502103"),
    **_of("config", "modify", "success", _by, "111001", "111002", "111004", "111005", "111007"),
    **_of("config", "delete", "success", _by, "111003", "112001"),
    **_of("authentication", "login", "success", _cut_through, "109005", "109007"),
    **_of("authentication", "login", "failure", _cut_through, "109006", "109008", "109024", "109025"),
    **_of("authentication", "create", "unknown", _mapping, "746012"),
    **_of("authentication", "delete", "unknown", _mapping, "746013"),
}  # fmt: skip
