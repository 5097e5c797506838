"""IP address functions that SQL needs and DuckDB has no built-in for, over whole Arrow columns.

Each distinct value is judged once per batch and remembered, since a log names few addresses many times.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from functools import lru_cache

import pyarrow as pa

_CACHE = 65536


@lru_cache(_CACHE)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    text = text.strip().strip("[]")
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


@lru_cache(4096)
def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        return None


@lru_cache(_CACHE)
def normal(text: str) -> str | None:
    """Return the canonical text of an address (`::ffff:10.1.1.1` is `10.1.1.1`), None if it is none."""
    address = _address(text)
    return None if address is None else str(address)


@lru_cache(_CACHE)
def in_network(text: str, network: str) -> bool:
    """Tell whether an address lies in a network in CIDR notation; False if either is malformed."""
    address, wanted = _address(text), _network(network)
    if address is None or wanted is None:
        return False
    return address.version == wanted.version and address in wanted


@lru_cache(_CACHE)
def is_private(text: str) -> bool:
    """Tell whether an address can be of the inside: private, loopback, link-local or shared (RFC 6598)."""
    address = _address(text)
    if address is None:
        return False
    documentation = any(
        address in network for network in _DOCUMENTATION if network.version == address.version
    )
    return (not address.is_global) and not address.is_multicast and not documentation


#: Ranges for documentation (RFC 5737, RFC 3849) stand for public addresses wherever they are written.
_DOCUMENTATION = tuple(
    ipaddress.ip_network(text)
    for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
)


def over_column(judge: Callable[[str], object], result: pa.DataType) -> Callable[[pa.Array], pa.Array]:
    """Lift a function of one text to a function of an Arrow column; NULL stays NULL."""

    def apply(column: pa.Array | pa.ChunkedArray) -> pa.Array:
        encoded = _flat(column).dictionary_encode()
        judged = pa.array([None if v is None else judge(v) for v in encoded.dictionary.to_pylist()], result)
        return judged.take(encoded.indices)

    return apply


def over_two_columns(judge: Callable[[str, str], object], result: pa.DataType) -> Callable[..., pa.Array]:
    """Lift a function of two texts to a function of two Arrow columns; NULL in either gives NULL."""

    def apply(left: pa.Array | pa.ChunkedArray, right: pa.Array | pa.ChunkedArray) -> pa.Array:
        pairs = zip(_flat(left).to_pylist(), _flat(right).to_pylist(), strict=True)
        return pa.array([None if a is None or b is None else judge(a, b) for a, b in pairs], result)

    return apply


def _flat(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
