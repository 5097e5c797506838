"""Fields: whether the events of a rule's log source have them.

`data/fields.json` has field names by Sysmon category and by service. They come from recordings of such
events, from Sigma's taxonomy
(https://sigmahq.io/sigma-specification/specification/sigma-appendix-taxonomy.html) and, for the Security log,
from the parameters that Microsoft's descriptions of its events name. Where a list is not complete (logs that
any program may write to), only a name that is close to a known one is reported; in the Security log also one
that only other log sources are known to have.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from detector.sigma.check.words import nearest
from detector.sigma.logsources import LogSource, source, sources_of
from detector.sigma.provide import _ALIASES
from detector.tables.network import FIREWALL_COLUMNS, VPN_COLUMNS
from detector.tables.windows import WINDOWS_COLUMNS

#: Services whose fields are all known. Every Sysmon category's are.
_COMPLETE = frozenset(
    {"ps_module", "ps_script", "ntlm", "lsa-server", "terminalservices-localsessionmanager"}
)

#: Services of which nearly all fields are known: what only other log sources are known to have is not there.
_WIDE = frozenset({"security"})

#: Categories of Windows that Sysmon does not write.
_NOT_SYSMON = frozenset({"ps_classic_start", "ps_classic_provider_start", "ps_classic_script", "antivirus"})

_IGNORED = re.compile(r"[ _.\-]")

#: Values of a field: name of the field, its modifiers, the path of keys and indexes, the value.
Item = tuple[str, tuple[str, ...], tuple[str | int, ...], Any]


def items_of(node: Any, path: tuple[str | int, ...]) -> Iterator[Item]:
    """Yield the items (field, modifiers, path, value) of a selection; keywords have the field ''."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            field, *modifiers = str(key).split("|")
            yield field, tuple(modifiers), (*path, str(key)), value
    elif isinstance(node, list):
        for index, each in enumerate(node):
            yield from items_of(each, (*path, index))
    else:
        yield "", (), path, node


@cache
def field_lists() -> Mapping[str, list[str]]:
    """Return the bundled names by category and service."""
    text = files("detector.sigma.check").joinpath("data", "fields.json").read_text(encoding="utf-8")
    loaded: Mapping[str, list[str]] = json.loads(text)
    return loaded


@cache
def known_fields(logsource: LogSource) -> tuple[tuple[str, ...], bool]:
    """Return the fields that events of a log source have, and whether these are all; () if unknown."""
    if logsource.category in ("firewall", "vpn"):
        columns = FIREWALL_COLUMNS if logsource.category == "firewall" else VPN_COLUMNS
        # The device's own keys may be named as well.
        return tuple(columns), False
    name = logsource.category or logsource.service
    listed = field_lists().get(name or "")
    if logsource.product != "windows" or not name or not listed:
        return (), False
    mapped: set[str] = set()
    for each in sources_of(logsource):
        if each.startswith("security:") or source(each).fields:
            mapped |= set(source(each).fields)
    known = {each.lower() for each in listed}
    names = [*listed, *WINDOWS_COLUMNS, *_ALIASES, *sorted(mapped - known)]
    complete = name in _COMPLETE or (logsource.category is not None and name not in _NOT_SYSMON)
    return tuple(dict.fromkeys(names)), complete


@cache
def _normal(logsource: LogSource) -> frozenset[str]:
    return frozenset(_IGNORED.sub("", name.lower()) for name in known_fields(logsource)[0])


@cache
def field_problem(field: str, logsource: LogSource) -> str | None:
    """Return what is wrong with a field's name, None if nothing is known to be."""
    names, complete = known_fields(logsource)
    if not names or not field or _IGNORED.sub("", field.lower()) in _normal(logsource):
        return None
    found = nearest(field, names, 0.78 if complete else 0.85)
    where = logsource.category or logsource.service
    others = () if found or not (complete or where in _WIDE) else _elsewhere(field)
    if found is None and not others and not complete:
        return None
    meant = f"; did you mean '{found}'?" if found else ""
    if others:
        meant = f"; {' and '.join(others)} events have it"
    return f"{where} events have no field '{field}'{meant}"


def _elsewhere(field: str) -> tuple[str, ...]:
    """Return up to three log sources whose events have the field."""
    lower = field.lower()
    found = [name for name, listed in field_lists().items() if lower in {each.lower() for each in listed}]
    return tuple(found[:3])
