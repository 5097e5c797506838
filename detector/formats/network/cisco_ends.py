"""What all messages of Cisco's firewalls share: ends of a connection, users, meanings of numbers."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from detector.formats.network.values import account, address, port

#: Reads the text of a message into columns and fields; what it does not find, it leaves out.
Reader = Callable[[str, dict[str, Any], dict[str, str]], None]


class Meaning(NamedTuple):
    """What a message number means, and what reads its text."""

    table: Literal["firewall", "vpn"]
    event_type: str
    action: str
    outcome: str
    read: Reader


#: An end as written: `interface:address`, an address, or a name. One interface has spaces in its name.
END = r"(?:NP Identity Ifc:)?[^\s/(),]++"
_SECURITY_GROUP = re.compile(r"(?:^|, ?)\d+:[^,]*$|, ?\d+$")
_HIDDEN = re.compile(r"\*+")
_DURATION = re.compile(r"(?:(\d{1,5})d ?)?(\d{1,5})h?:(\d{1,2})m?:(\d{1,2})s?")


class End(NamedTuple):
    """One end of a connection; `name` where a name stands instead of an address."""

    interface: str | None
    ip: str | None
    name: str | None


@lru_cache(maxsize=65536)
def end_of(text: str) -> End:
    """Split `interface:address`; an IPv6 address without interface stays whole."""
    if text[-1:] in (".", ";") or (text.endswith(":") and not text.endswith("::")):
        text = text[:-1]  # of the sentence
    ip = address(text)
    if ip is not None:
        return End(None, ip, None)
    interface, colon, rest = text.partition(":")
    if not colon:
        return End(None, None, text or None)
    ip = address(rest)
    return End(interface or None, ip, (rest or None) if ip is None else None)


def put_end(
    columns: dict[str, Any],
    side: Literal["src", "dst"],
    end: str | None,
    port_text: str | None = None,
    mapped: str | None = None,
    mapped_port: str | None = None,
) -> None:
    """Set the columns of one side. A translation that changes nothing (`(192.0.2.1/80)`) is none."""
    if not end:
        return
    found = end_of(end)
    number = port(port_text)
    columns[f"{side}_interface"] = found.interface
    columns[f"{side}_ip"] = found.ip
    columns[f"{side}_host"] = found.name
    columns[f"{side}_port"] = number
    if mapped is not None:
        nat, nat_port = address(mapped), port(mapped_port)
        if nat is not None and (nat != found.ip or nat_port != number):
            columns[f"{side}_nat_ip"], columns[f"{side}_nat_port"] = nat, nat_port


@lru_cache(maxsize=65536)
def user_of(text: str | None) -> tuple[str | None, str | None, str | None]:
    """Return (original, name, domain) of a user as identity firewall writes it.

    `LOCAL\\corp\\user, 9999:tag` is user `user` of `corp` with a security group tag. `LOCAL` says that the
    user came in by VPN, it is no domain. A name of asterisks is one that the device hides: not a name.
    """
    original = _SECURITY_GROUP.sub("", text).strip() if text else ""
    if not original or original.startswith("type "):
        return None, None, None
    if _HIDDEN.fullmatch(original):
        return original, None, None
    name, domain = account(original.removeprefix("LOCAL\\"))
    return original, name, domain


def put_user(columns: dict[str, Any], text: str | None) -> None:
    """Set the columns of the user."""
    columns["user_original"], columns["user"], columns["user_domain"] = user_of(text)


def duration_of(text: str | None) -> float | None:
    """Return `0:01:08`, `92:24:20`, `0h:32m:16s`, `1d 2h:03m:04s` in seconds."""
    found = _DURATION.fullmatch(text) if text else None
    if found is None:
        return None
    days, hours, minutes, rest = (int(part or 0) for part in found.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + rest)


def kept(found: re.Match[str]) -> dict[str, str]:
    """Return the named parts that a pattern found."""
    return {name: value for name, value in found.groupdict().items() if value is not None}
