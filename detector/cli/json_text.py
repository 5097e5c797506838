"""JSON that people can read and no terminal acts on."""

from __future__ import annotations

import json
import re
import unicodedata
from functools import lru_cache
from typing import Any

from detector.report.hit_rows import json_value

#: As in `detector.report.safe_text`: what changes how the text around it is seen.
_HIDDEN = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn"})
_PERHAPS_HIDDEN = re.compile(r"[^\n -~]")


def json_text(value: Any, indent: int | None = None) -> str:
    """Return a value as JSON: Japanese as it is, every character that is not plainly visible as an escape.

    JSON itself escapes only the control characters below U+0020.
    """
    text = json.dumps(value, ensure_ascii=False, default=json_value, indent=indent)
    return _PERHAPS_HIDDEN.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    return _shown(found[0])


@lru_cache(8192)
def _shown(char: str) -> str:
    if unicodedata.category(char) not in _HIDDEN:
        return char
    units = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
