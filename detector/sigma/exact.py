"""The encoding modifiers of Sigma, byte for byte.

pySigma 1.5 encodes the backslash of an escaped wildcard (`\\*`), counts characters where base64offset needs
bytes, encodes the byte order mark of utf16 as UTF-8, and refuses text that is not ASCII under `wide`. Here
the values of a detection item with such modifiers are made again, from the text the rule has.

https://sigmahq.io/sigma-specification/specification/sigma-appendix-modifiers.html
"""

from __future__ import annotations

from base64 import b64encode

from sigma.exceptions import SigmaValueError
from sigma.types import SigmaExpansion, SigmaString, SigmaType

_UTF16 = {"wide": "utf-16-le", "utf16le": "utf-16-le", "utf16be": "utf-16-be", "utf16": "utf-16-le"}


def encode(values: list[SigmaType], modifiers: list[str]) -> list[SigmaType]:
    """Apply encoding modifiers to plain texts.

    modifiers: some of wide, utf16le, utf16be, utf16, followed by base64 or base64offset.
    Raises SigmaValueError for a value that is no text or has wildcards.
    """
    return [_encode(value, modifiers) for value in values]


def _encode(value: SigmaType, modifiers: list[str]) -> SigmaType:
    if not isinstance(value, SigmaString) or any(not isinstance(part, str) for part in value.s):
        raise SigmaValueError(f"{'|'.join(modifiers)} needs a text without wildcards")
    text = "".join(part for part in value.s if isinstance(part, str))
    content = text.encode("utf-8")
    for modifier in modifiers[:-1]:
        content = text.encode(_UTF16[modifier])
        if modifier == "utf16":
            content = b"\xff\xfe" + content
    if modifiers[-1] == "base64":
        return _text(b64encode(content).decode("ascii"))
    return SigmaExpansion([_text(_aligned(content, offset)) for offset in range(3)])


def _aligned(content: bytes, offset: int) -> str:
    """Return the characters of Base64 that only this content decides if it stands `offset` bytes in.

    A character carries six bits: those that also carry bits of what stands before or behind are left out.
    """
    encoded = b64encode(bytes(offset) + content + bytes(-(offset + len(content)) % 3)).decode("ascii")
    first = (offset * 8 + 5) // 6
    return encoded[first : (offset + len(content)) * 8 // 6]


def _text(text: str) -> SigmaString:
    found = SigmaString()
    found.s = [text]
    found.original = text
    return found


def leading(modifiers: list[str]) -> int:
    """Return how many of a field's modifiers `encode` applies: those up to base64 or base64offset."""
    for index, modifier in enumerate(modifiers):
        if modifier in ("base64", "base64offset"):
            return index + 1
        if modifier not in _UTF16:
            break
    return 0
