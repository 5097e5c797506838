"""What logs cannot say about a site: `site.toml`, read and checked.

Form: docs/site.md. All parts are optional; unknown keys are refused, since a misspelt one would silently do
nothing.
"""

from __future__ import annotations

import ipaddress
import tomllib
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from detector.errors import SiteError, TimeZoneError

_TOP_KEYS = {
    "name",
    "time_zone",
    "domain",
    "netbios",
    "networks",
    "vendors",
    "maintenance_windows",
    "servers",
    "firewalls",
    "accounts",
    "antivirus",
    "stages",
}


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
    #: (who, day, begins, ends): day Mon … Sun, times HH:MM in the site's zone.
    windows: tuple[tuple[str, str, str, str], ...] = ()
    #: (vendor, host): hosts that a vendor maintains.
    reaches: tuple[tuple[str, str], ...] = ()
    #: (file pattern, zone)
    file_zones: tuple[tuple[str, ZoneInfo], ...] = ()
    antivirus: tuple[str, ...] = ()
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)

    def zone_of(self, path: str) -> ZoneInfo | None:
        """Return the zone for times without one in the file at this path."""
        shown = path.replace("\\", "/")
        for pattern, zone in self.file_zones:
            if fnmatch(shown, pattern) or fnmatch(shown, f"*/{pattern}"):
                return zone
        return self.time_zone


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
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SiteError(f"{path}: {error}") from error
    unknown = sorted(set(data) - _TOP_KEYS)
    if unknown:
        raise SiteError(f"{path}: unknown key {unknown[0]!r}; known are {', '.join(sorted(_TOP_KEYS))}")
    try:
        return _site(data)
    except (SiteError, TimeZoneError) as error:
        raise SiteError(f"{path}: {error}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise SiteError(f"{path}: a value has not the form of the example: {error!r}") from error


def _site(data: dict[str, Any]) -> Site:
    vendors = data.get("vendors", [])
    for vendor in vendors:
        if not vendor.get("name"):
            raise SiteError("vendors: each needs a name")
    return Site(
        name=data.get("name"),
        time_zone=zone_named(data["time_zone"]) if "time_zone" in data else None,
        domain=data.get("domain"),
        netbios=data.get("netbios"),
        networks=tuple(
            [
                (kind, "", _network(text, f"networks.{kind}"))
                for kind, texts in data.get("networks", {}).items()
                for text in texts
            ]
            + [
                (kind, vendor["name"], _network(text, f"vendors.{key}"))
                for vendor in vendors
                for key, kind in (("networks", "vendor"), ("vpn_pools", "vendor_vpn_pool"))
                for text in vendor.get(key, [])
            ]
        ),
        hosts=tuple(
            (str(host), entry.get("ip"), entry.get("role")) for host, entry in data.get("servers", {}).items()
        ),
        accounts=tuple(
            [
                (name, kind, None)
                for key, kind in (("administrators", "administrator"), ("services", "service"))
                for name in data.get("accounts", {}).get(key, [])
            ]
            + [(name, "vendor", vendor["name"]) for vendor in vendors for name in vendor.get("accounts", [])]
        ),
        windows=tuple(
            (window["who"], day, window["from"], window["to"])
            for window in data.get("maintenance_windows", [])
            for day in window["days"]
        ),
        reaches=tuple((vendor["name"], host) for vendor in vendors for host in vendor.get("reaches", [])),
        file_zones=tuple(
            (entry["file"], zone_named(entry["time_zone"]))
            for entry in data.get("firewalls", {}).values()
            if "file" in entry and "time_zone" in entry
        ),
        antivirus=tuple(data.get("antivirus", [])),
        stages=dict(data.get("stages", {})),
    )


def _network(text: str, key: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError as error:
        raise SiteError(f"{key}: {text!r} is not a network such as 10.1.1.0/24") from error
