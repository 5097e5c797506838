"""Names of archive members: decoded sensibly, and harmless wherever they are shown.

Nothing is ever written under such a name, so a name that leaves its archive ('../../x', '/etc/passwd',
'C:\\x', 'a.log:stream') is no reason to leave the evidence unread: the member is read and its name shown
with the dangerous characters as `\\xNN` escapes, so that a later tool cannot trip over it either.
"""

from __future__ import annotations

import unicodedata
from collections import Counter


def safe_name(raw: str) -> str:
    """Return a member's name with forward slashes, in which nothing can leave a folder or drive a terminal.

    Backslashes become slashes (Windows tools write them). Escaped as `\\xNN`, `\\uNNNN`: control and format
    characters (right-to-left override among them), surrogates, ':' (drive letters, NTFS streams), the dots
    of '.' and '..' as whole parts, the first slash of an absolute name, and doubled slashes. An empty name
    becomes 'unnamed'.
    """
    parts = "".join(_escape(char) if _unsafe(char) else char for char in raw.replace("\\", "/")).split("/")
    if parts == [""]:
        return "unnamed"
    shown = [part if part.strip(".") or not part else part.replace(".", "\\x2e") for part in parts]
    shown = [part if part or index == len(shown) - 1 else "\\x2f" for index, part in enumerate(shown)]
    return "/".join(shown)


def _unsafe(char: str) -> bool:
    return char == ":" or unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"}


def _escape(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def decode_name(raw: bytes) -> str:
    """Decode a name whose archive does not say how it is encoded.

    UTF-8 if it is valid UTF-8; else CP932, which Japanese Windows writes into zip files without setting the
    UTF-8 flag; else CP437, the encoding that the zip specification (APPNOTE 4.4.17, appendix D) names.
    """
    for encoding in ("utf-8", "cp932"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("cp437")


class Unique:
    """Makes names unique inside one archive: the second 'a.log' becomes 'a.log#2'."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def __call__(self, name: str) -> str:
        """Return `name`, or `name` with the first number that no earlier name has."""
        self._seen[name] += 1
        unique = name
        while self._seen[name] > 1 and unique in self._seen:
            unique = f"{name}#{self._seen[name]}"
            if unique in self._seen:
                self._seen[name] += 1
        if unique != name:
            self._seen[unique] += 1
        return unique
