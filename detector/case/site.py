"""What logs cannot say about a site: `site.toml`, read and checked.

Form: docs/site.md. All parts are optional; unknown keys are refused, since a misspelt one would silently do
nothing.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from detector.errors import MappingError, SiteError, TimeZoneError
from detector.formats.mapping import Mapping, mappings_of

#: The tables that SQL finds, with the columns beside `site`.
SITE_TABLES: dict[str, tuple[str, ...]] = {
    "site_networks": ("kind", "name", "network"),
    "site_hosts": ("host", "ip", "role"),
    "site_accounts": ("account", "kind", "vendor"),
    "site_windows": ("who", "day", "begins", "ends"),
    "site_reaches": ("vendor", "host"),
    "site_antivirus": ("product",),
    "site_approvals": ("who", "begins", "ends", "reference"),
}

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d|24:00")


@dataclass(frozen=True)
class Site:
    """A site as its people describe it, as rows of the `site_*` tables. See docs/site.md for the columns."""

    name: str | None = None
    time_zone: ZoneInfo | None = None
    domain: str | None = None
    netbios: str | None = None
    #: (kind, name, network): kind is servers, clients, vpn_pools, vendor or vendor_vpn_pool.
    networks: tuple[tuple[str, str, str], ...] = ()
    #: (host, ip, role)
    hosts: tuple[tuple[str, str | None, str | None], ...] = ()
    #: (account, kind, vendor): kind is administrator, service or vendor.
    accounts: tuple[tuple[str, str, str | None], ...] = ()
    #: (who, day, begins, ends): day Mon … Sun, times HH:MM on the clock of the zone, from `begins` until
    #: before `ends`, on one day: a window over midnight is two, the second on the next day.
    windows: tuple[tuple[str, str, str, str], ...] = ()
    #: (vendor, host): hosts that a vendor maintains.
    reaches: tuple[tuple[str, str], ...] = ()
    #: (file pattern, zone)
    file_zones: tuple[tuple[str, ZoneInfo], ...] = ()
    #: (file pattern, computer): the machine whose log a file is, if the file does not say it.
    file_computers: tuple[tuple[str, str], ...] = ()
    #: Products that should be running.
    antivirus: tuple[str, ...] = ()
    #: (who, begins, ends, reference): visits that the site agreed to; who is a vendor or an account, times
    #: are ISO 8601 in UTC.
    approvals: tuple[tuple[str, str, str, str | None], ...] = ()
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: Logs that no reader knows: docs/map-your-own-log.md
    mappings: tuple[Mapping, ...] = ()

    def rows(self) -> dict[str, tuple[tuple[str | None, ...], ...]]:
        """Return the rows of each of `SITE_TABLES`."""
        antivirus = tuple((product,) for product in self.antivirus)
        tables = (
            self.networks, self.hosts, self.accounts, self.windows, self.reaches, antivirus, self.approvals,
        )  # fmt: skip
        return dict(zip(SITE_TABLES, tables, strict=True))

    def zone_of(self, path: str) -> ZoneInfo | None:
        """Return the zone for times without one in the file at this path."""
        return next((zone for pattern, zone in self.file_zones if _fits(path, pattern)), self.time_zone)

    def computer_of(self, path: str) -> str | None:
        """Return the computer whose log the file at this path is; None if nobody said it.

        `{folder}` in what was said stands for the name of the folder that holds the file, `{file}` for the
        name of the file without its ending.
        """
        for pattern, computer in self.file_computers:
            if _fits(path, pattern):
                parts = _slashed(path).replace("!/", "/").rsplit("/", 2)
                folder = parts[-2] if len(parts) > 1 else ""
                name = computer.replace("{folder}", folder).replace("{file}", parts[-1].rsplit(".", 1)[0])
                return name or None
        return None


def _slashed(path: str) -> str:
    return path.replace("\\", "/")


def _fits(path: str, pattern: str) -> bool:
    shown = _slashed(path)
    return fnmatch(shown, pattern) or fnmatch(shown, f"*/{pattern}")


def zone_named(name: str) -> ZoneInfo:
    """Return a time zone by its IANA name; raises TimeZoneError with a hint if there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise TimeZoneError(
            f"unknown time zone {name!r}; write an IANA name such as Asia/Tokyo, Europe/Berlin or UTC"
        ) from error


def load_site(path: Path) -> Site:
    """Read a site.toml; raises SiteError naming the file and the key."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SiteError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise SiteError(f"{path} is not UTF-8 (from byte {error.start}): save it as UTF-8") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SiteError(f"{path}: {error}") from error
    try:
        return _site(_Table(data, ""))
    except (SiteError, TimeZoneError, MappingError) as error:
        raise SiteError(f"{path}: {error}") from error


class _Table:
    """A table of the file: gives values of the type that is expected, or raises SiteError naming the key.

    `key` is what stands before its keys in messages.
    """

    def __init__(self, data: Any, key: str) -> None:
        if not isinstance(data, dict):
            raise SiteError(f"{key}: a table is expected, not {data!r}")
        self._data, self._key = data, key

    def known(self, *keys: str) -> _Table:
        """Refuse every other key: a misspelt one would silently do nothing."""
        if unknown := sorted(set(self._data) - set(keys)):
            raise SiteError(f"unknown key {self.at(unknown[0])!r}; known are {', '.join(sorted(keys))}")
        return self

    def at(self, key: str) -> str:
        """Return the name of a key in messages."""
        return f"{self._key}.{key}" if self._key else key

    def text(self, key: str) -> str | None:
        """Return a text, None if the key is absent."""
        value = self._data.get(key)
        if value is not None and not isinstance(value, str):
            raise SiteError(f"{self.at(key)}: a text in quotes is expected, not {value!r}")
        return value

    def needed(self, key: str) -> str:
        """Return a text that must be there."""
        value = self.text(key)
        if not value:
            raise SiteError(f"{self._key}: each needs a {key}")
        return value

    def texts(self, key: str) -> list[str]:
        """Return a list of texts, empty if the key is absent."""
        value = self._data.get(key, [])
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise SiteError(f'{self.at(key)}: a list of texts is expected, such as ["a", "b"], not {value!r}')
        return value

    def zone(self, key: str) -> ZoneInfo | None:
        """Return a time zone, None if the key is absent; raises TimeZoneError."""
        name = self.text(key)
        return None if name is None else zone_named(name)

    def networks(self, key: str) -> list[str]:
        """Return networks in their normal form."""
        return [_network(text, self.at(key)) for text in self.texts(key)]

    def table(self, key: str) -> _Table:
        """Return a table, an empty one if the key is absent."""
        return _Table(self._data.get(key, {}), self.at(key))

    def named(self) -> Iterator[tuple[str, _Table]]:
        """Yield the tables of this one by their names."""
        for name, value in self._data.items():
            yield name, _Table(value, self.at(name))

    def tables(self, key: str) -> list[_Table]:
        """Return the tables of a list of tables, which is written [[key]]."""
        value = self._data.get(key, [])
        if not isinstance(value, list):
            raise SiteError(f"{self.at(key)}: a list of tables is expected, each headed [[{key}]]")
        return [_Table(each, self.at(key)) for each in value]

    def plain(self) -> dict[str, Any]:
        """Return what the table holds, unchecked."""
        return dict(self._data)


def _site(top: _Table) -> Site:
    top.known(
        "name", "time_zone", "domain", "netbios", "networks", "vendors", "maintenance_windows", "servers",
        "firewalls", "sources", "accounts", "antivirus", "approvals", "stages", "mappings",
    )  # fmt: skip
    vendors = [
        (each.known("name", "networks", "vpn_pools", "accounts", "reaches").needed("name"), each)
        for each in top.tables("vendors")
    ]
    zone = top.zone("time_zone")
    return Site(
        name=top.text("name"),
        time_zone=zone,
        domain=top.text("domain"),
        netbios=top.text("netbios"),
        networks=tuple(_networks(top.table("networks"), vendors)),
        hosts=tuple(_hosts(top.table("servers"))),
        accounts=tuple(_accounts(top.table("accounts"), vendors)),
        windows=tuple(row for each in top.tables("maintenance_windows") for row in _windows(each, zone)),
        reaches=tuple((name, host) for name, vendor in vendors for host in vendor.texts("reaches")),
        file_zones=(*_source_zones(top.tables("sources")), *_file_zones(top.table("firewalls"))),
        file_computers=tuple(_source_computers(top.tables("sources"))),
        antivirus=tuple(top.texts("antivirus")),
        approvals=tuple(_approval(each, zone) for each in top.tables("approvals")),
        stages={name: stage.plain() for name, stage in top.table("stages").named()},
        mappings=mappings_of(top.plain().get("mappings")),
    )


_Vendors = list[tuple[str, _Table]]


def _networks(own: _Table, vendors: _Vendors) -> Iterator[tuple[str, str, str]]:
    own.known(*_NETWORKS)
    for kind in _NETWORKS:
        for network in own.networks(kind):
            yield kind, "", network
    for name, vendor in vendors:
        for key, kind in (("networks", "vendor"), ("vpn_pools", "vendor_vpn_pool")):
            for network in vendor.networks(key):
                yield kind, name, network


_NETWORKS = ("servers", "clients", "vpn_pools")


def _hosts(servers: _Table) -> Iterator[tuple[str, str | None, str | None]]:
    for host, entry in servers.named():
        ip = entry.known("ip", "role").text("ip")
        if ip is not None:
            try:
                ipaddress.ip_address(ip)
            except ValueError as error:
                raise SiteError(f"{entry.at('ip')}: {ip!r} is not an address such as 10.1.1.10") from error
        yield host, ip, entry.text("role")


def _accounts(own: _Table, vendors: _Vendors) -> Iterator[tuple[str, str, str | None]]:
    own.known("administrators", "services")
    for key, kind in (("administrators", "administrator"), ("services", "service")):
        for account in own.texts(key):
            yield account, kind, None
    for name, vendor in vendors:
        for account in vendor.texts("accounts"):
            yield account, "vendor", name


def _windows(window: _Table, zone: ZoneInfo | None) -> Iterator[tuple[str, str, str, str]]:
    window.known("who", "days", "from", "to")
    who, begins, ends = (window.needed(key) for key in ("who", "from", "to"))
    for key, time in (("from", begins), ("to", ends)):
        if not _CLOCK.fullmatch(time):
            raise SiteError(f"{window.at(key)}: {time!r} is not a time such as 14:00")
    if begins in (ends, "24:00"):
        raise SiteError(f"{window.at('to')}: no time from {begins} to {ends}; a whole day is 00:00 to 24:00")
    if zone is None:
        raise SiteError(f"{window.at('from')}: whose clock? Name it with time_zone, such as Asia/Tokyo")
    for day in window.texts("days") or _DAYS:
        if day not in _DAYS:
            raise SiteError(f"{window.at('days')}: {day!r} is not one of {', '.join(_DAYS)}")
        if begins < ends:
            yield who, day, begins, ends
            continue
        yield who, day, begins, "24:00"
        if ends != "00:00":
            yield who, _DAYS[(_DAYS.index(day) + 1) % 7], "00:00", ends


def _approval(entry: _Table, zone: ZoneInfo | None) -> tuple[str, str, str, str | None]:
    entry.known("who", "from", "to", "reference")
    begins, ends = (_moment(entry, key, zone) for key in ("from", "to"))
    if ends <= begins:
        raise SiteError(f"{entry.at('to')}: it is not after {entry.at('from')}")
    return entry.needed("who"), begins.isoformat(), ends.isoformat(), entry.text("reference")


def _moment(entry: _Table, key: str, zone: ZoneInfo | None) -> datetime:
    """Return a time such as "2025-10-28 14:00" as UTC, by the clock of the zone if it states no offset."""
    text = entry.needed(key)
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise SiteError(f"{entry.at(key)}: {text!r} is not a time such as 2025-10-28 14:00") from error
    if time.tzinfo is None and zone is None:
        raise SiteError(f"{entry.at(key)}: whose clock? Name it with time_zone, such as Asia/Tokyo")
    return (time if time.tzinfo else time.replace(tzinfo=zone)).astimezone(UTC)


def _file_zones(firewalls: _Table) -> Iterator[tuple[str, ZoneInfo]]:
    for _, entry in firewalls.named():
        file, zone = entry.known("file", "time_zone").text("file"), entry.zone("time_zone")
        if file is not None and zone is not None:
            yield file, zone


def _source_zones(sources: list[_Table]) -> Iterator[tuple[str, ZoneInfo]]:
    for entry in sources:
        file = entry.known("file", "computer", "time_zone").needed("file")
        if (zone := entry.zone("time_zone")) is not None:
            yield file, zone


def _source_computers(sources: list[_Table]) -> Iterator[tuple[str, str]]:
    for entry in sources:
        if (computer := entry.text("computer")) is not None:
            yield entry.needed("file"), computer


def _network(text: str, key: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError as error:
        raise SiteError(f"{key}: {text!r} is not a network such as 10.1.1.0/24") from error
