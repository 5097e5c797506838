"""The formats in the order in which they are tried: the first that recognises a file's head reads it.

Order matters where one format contains another: a binary magic before any text, a named JSON shape before
a general one, a vendor's syslog before a general syslog. Modules are imported when first needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from itertools import chain

from detector.errors import EvidenceError
from detector.formats.base import UNEXPECTED, Format, fault
from detector.formats.mapped import mapped_format
from detector.formats.mapping import Mapping

#: Module below `detector.formats`, each with a module constant FORMAT.
_MODULES: tuple[str, ...] = (
    "windows.evtx",
    "windows.evtxecmd",
    "windows.powershell_csv",
    "windows.splunk",
    "windows.xml",
    "windows.json_nxlog",
    "windows.json_ecs",
    "windows.json_evtx_dump",
    "windows.velociraptor",
    "windows.csv_event_viewer",
    "windows.winevtlog",
    "windows.azure",
    "windows.hayabusa",
    "windows.chainsaw",
    # Before all that read lines: messages without line feeds.
    "network.octet_counted",
    "network.windows_firewall",
    "network.fortigate",
    "network.paloalto",
    "network.juniper_srx",
    "network.juniper_netscreen",
    "network.checkpoint",
    "network.sophos",
    "network.watchguard",
    "network.cisco",
    "network.pulse_ivanti",
    "network.sonicwall",
    "network.f5",
    "network.citrix",
    "network.iptables",
    "network.yamaha_rtx",
    "network.zeek",
    # Any vendor may write these: behind the vendors' own.
    "network.huawei_usg",
    "network.cef",
    "network.leef",
    # Wrapping around lines of any device.
    "network.openvpn",
    "network.pfsense",
    "network.strongswan",
    "network.softether",
    "network.wireguard",
    "network.mikrotik",
    "network.json_lines",
    "network.splunk_csv",
    # Last: it takes what has syslog envelopes, whoever wrote it.
    "network.syslog_file",
)


@cache
def _format(module: str) -> Format:
    known: Format = import_module(f"detector.formats.{module}").FORMAT
    return known


def formats() -> Iterator[Format]:
    """Yield all formats in the order in which they are tried; each is imported when it is reached."""
    return map(_format, _MODULES)


@cache
def format_named(name: str) -> Format:
    """Return the format of this name; raises KeyError if there is none."""
    for entry in formats():
        if entry.name == name:
            return entry
    raise KeyError(name)


def recognise(head: bytes, mappings: tuple[Mapping, ...] = ()) -> Format | None:
    """Return the format of a file that begins with `head`, or None if no reader knows it.

    The mappings of a user are asked first: who wrote them knows the file. Raises EvidenceError if a
    recogniser fails on something it did not expect.
    """
    for entry in chain(map(mapped_format, mappings), formats()):
        try:
            if entry.recognise(head):
                return entry
        except UNEXPECTED as error:
            raise EvidenceError(fault(entry.name, error)) from error
    return None
