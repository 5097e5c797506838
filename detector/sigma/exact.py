"""Base64 and UTF-16, byte for byte, for the encoding modifiers of Sigma.

pySigma 1.5 encodes the backslash of an escaped wildcard (`\\*`), counts characters where base64offset needs
bytes, encodes the byte order mark of utf16 as UTF-8, and refuses text that is not ASCII under `wide`.

https://sigmahq.io/sigma-specification/specification/sigma-appendix-modifiers.html
"""

from __future__ import annotations

from base64 import b64encode

#: Modifier -> (Python's name of the encoding, the byte order mark before it).
UTF16: dict[str, tuple[str, bytes]] = {
    "wide": ("utf-16-le", b""),
    "utf16le": ("utf-16-le", b""),
    "utf16be": ("utf-16-be", b""),
    "utf16": ("utf-16-le", b"\xff\xfe"),
}


def base64(content: bytes) -> str:
    """Return the Base64 of bytes."""
    return b64encode(content).decode("ascii")


def base64_at_offsets(content: bytes) -> list[str]:
    """Return the characters of Base64 that only this content decides if it stands 0, 1 or 2 bytes in.

    A character carries six bits: those that also carry bits of what stands before or behind are left out.
    """
    return [_aligned(content, offset) for offset in range(3)]


def _aligned(content: bytes, offset: int) -> str:
    encoded = base64(bytes(offset) + content + bytes(-(offset + len(content)) % 3))
    first = (offset * 8 + 5) // 6
    return encoded[first : (offset + len(content)) * 8 // 6]
