"""Values that every network device writes: addresses, ports, protocols, accounts, zone offsets."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from ipaddress import ip_address

from detector.formats.base import FIRST_YEAR, LAST_YEAR

#: IANA protocol numbers as ECS network.transport names them
#: (https://www.iana.org/assignments/protocol-numbers); others stay numbers.
PROTOCOLS: dict[str, str] = {
    "1": "icmp", "2": "igmp", "4": "ipv4", "6": "tcp", "17": "udp", "41": "ipv6", "47": "gre", "50": "esp",
    "51": "ah", "58": "ipv6-icmp", "88": "eigrp", "89": "ospf", "103": "pim", "112": "vrrp", "115": "l2tp",
    "132": "sctp",
}  # fmt: skip

#: What devices write for "nothing".
NOTHING: frozenset[str] = frozenset({"", "N/A", "n/a", "-", "none", "(null)"})

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OFFSET = re.compile(r"(?:UTC|GMT)?\s*([+-])(\d{1,2}):?(\d{2})?", re.IGNORECASE)


@lru_cache(maxsize=65536)
def address(text: str | None) -> str | None:
    """Return an address in canonical form, None if it is none: no name, no 'N/A', no half address.

    An IPv4 address written as IPv6 (`::ffff:192.0.2.1`) becomes IPv4, a zone (`fe80::1%eth0`) is dropped.
    """
    if not text or text in NOTHING:
        return None
    try:
        value = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(value, "ipv4_mapped", None)
    return str(mapped or value)


def number(text: str | None) -> int | None:
    """Return a non-negative decimal number that fits the column (64 bits), else None."""
    if text and text.isdecimal() and len(text) < 19:
        return int(text)
    return None


def port(text: str | None) -> int | None:
    """Return a port number, None if it is none."""
    value = number(text)
    return value if value is not None and value < 65536 else None


def seconds(text: str | None) -> float | None:
    """Return a duration in seconds, None if it is none."""
    if not text or not text.replace(".", "", 1).isdecimal() or not text.isascii():
        return None
    return float(text)


def protocol(text: str | None) -> str | None:
    """Return the name of a protocol given by number or name."""
    if not text or text in NOTHING:
        return None
    return PROTOCOLS.get(text) or text.lower()


@lru_cache(maxsize=65536)
def account(text: str | None) -> tuple[str | None, str | None]:
    """Split an account into name and domain: `DOMAIN\\user`, `user@domain`; anything else is a name.

    A distinguished name (`CN=…, O=…`) stays whole, as does an account with more than one separator.
    """
    if not text or text in NOTHING:
        return None, None
    before, slash, after = text.partition("\\")
    after = after.lstrip("\\")
    if slash and before and after and "\\" not in after:
        return after, before
    if text.count("@") == 1 and "=" not in text:
        name, _, domain = text.partition("@")
        if name and domain:
            return name, domain
    return text, None


@lru_cache(maxsize=1024)
def zone_offset(text: str | None) -> timezone | None:
    """Return the zone of `+0900`, `+09:00`, `UTC+9`, `-7:00`; None for anything else."""
    found = _OFFSET.fullmatch(text.strip()) if text else None
    if found is None:
        return None
    sign, hours, minutes = found.groups()
    delta = timedelta(hours=int(hours), minutes=int(minutes or 0))
    return timezone(delta if sign == "+" else -delta) if delta < timedelta(hours=24) else None


def since_epoch(text: str | None) -> datetime | None:
    """Return the time of a count since 1970 in seconds, milli-, micro- or nanoseconds, told by its magnitude.

    Seconds may have decimals. In every unit the years 1973 to 5138 are told apart; finer digits than
    microseconds are cut off.
    """
    if not text:
        return None
    whole, _, decimals = text.partition(".")
    if not (whole.isascii() and whole.isdigit() and len(whole) <= 20):
        return None
    count = int(whole)
    if count < 10**11:
        micro = count * 1_000_000 + int(decimals[:6].ljust(6, "0") if decimals[:6].isdecimal() else 0)
    elif count < 10**14:
        micro = count * 1000
    elif count < 10**17:
        micro = count
    else:
        micro = count // 1000
    try:
        return _EPOCH + timedelta(microseconds=micro)
    except OverflowError:
        return None


@lru_cache(maxsize=4096)
def day(text: str) -> datetime | None:
    """Return midnight of a date `YYYY-MM-DD`, without zone (the caller sets it); None if it is no date."""
    try:
        found = datetime(int(text[:4]), int(text[5:7]), int(text[8:10])) if len(text) == 10 else None  # noqa: DTZ001
    except ValueError:
        return None
    return found if found is not None and FIRST_YEAR <= found.year <= LAST_YEAR else None


def local_time(date: str | None, clock: str | None) -> datetime | None:
    """Return the time of `YYYY-MM-DD` and `HH:MM:SS[.ffffff]`, without zone (the caller sets it)."""
    midnight = day(date) if date else None
    if midnight is None or not clock or len(clock) < 8 or clock[2] != ":" or clock[5] != ":":
        return None
    try:
        micro = int(clock[9:15].ljust(6, "0")) if clock[8:9] == "." else 0
        return midnight.replace(
            hour=int(clock[:2]), minute=int(clock[3:5]), second=int(clock[6:8]), microsecond=micro
        )
    except ValueError:
        return None
