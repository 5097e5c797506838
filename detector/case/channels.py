"""Names of the views of Windows channels: `Security` is `windows_security`."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

#: Channels whose short name is not what the general rule gives, in lower case.
_WELL_KNOWN: dict[str, str] = {
    "": "windows_unknown",
    "microsoft-windows-sysmon/operational": "windows_sysmon",
    "microsoft-windows-powershell/operational": "windows_powershell",
    "windows powershell": "windows_powershell_classic",
    "microsoft-windows-windows defender/operational": "windows_defender",
    "microsoft-windows-windows firewall with advanced security/firewall": "windows_firewall",
    "microsoft-windows-taskscheduler/operational": "windows_taskscheduler",
}

_SIMPLE = re.compile(r"[a-z0-9 /-]*")


@lru_cache(8192)
def view_of(channel: str) -> str:
    """Return the name of the view of a channel; the same for any case of its letters.

    The prefix `Microsoft-Windows-` and the suffix `/Operational` are left out, what is neither letter nor
    digit becomes `_`. A name in which that loses a distinction ends in a piece of the channel's hash, so
    that two channels never share a view.
    """
    name = channel.strip().lower()
    if name in _WELL_KNOWN:
        return _WELL_KNOWN[name]
    short = name.removeprefix("microsoft-windows-").removesuffix("/operational")
    slug = "windows_" + re.sub(r"[^a-z0-9]+", "_", short).strip("_")
    plain = _SIMPLE.fullmatch(name) and "_" not in short and len(slug) <= 80
    if not plain or slug in _WELL_KNOWN.values() or slug == "windows_" or _ambiguous(name, short):
        return f"{slug[:80]}_{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:6]}"
    return slug


def _ambiguous(name: str, short: str) -> bool:
    """Tell whether another channel of Windows' own could have the same short name.

    `X/Operational` is the rule and keeps the short name; a bare `X` beside it would be another channel, as
    would `X Y` beside `X-Y`.
    """
    own = name.startswith("microsoft-windows-")
    return (own and not name.endswith("/operational") and "/" not in name) or (" " in short and "-" in short)
