"""Sums and averages over windows, exact: no rounding, so that the order of events cannot matter.

A value is a decimal number times 10^9, kept as three numbers of 32, 32 and 64 bits, each summed by itself.
"""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from detector.sigma.correlation.document import DECIMALS, MAX_NUMBER
from detector.sigma.correlation.windows import Flags, Frames, Ints

#: Values of events, as SQL and Arrow hold them.
SQL_TYPE = f"DECIMAL(38, {DECIMALS})"
ARROW_TYPE = pa.decimal128(38, DECIMALS)

_LOW = (1 << 32) - 1

Limbs = tuple[Ints, Ints, Ints]


def number_sql(text: str) -> str:
    """Return SQL for the number in a text (decimal, or hexadecimal as Windows writes it), NULL if none.

    Numbers of more than 20 digits before the point are none.
    """
    decimal = (
        f"WHEN regexp_full_match({text}, '[+-]?[0-9]{{1,20}}(\\.[0-9]+)?') "
        f"THEN TRY_CAST({text} AS {SQL_TYPE})"
    )
    hexadecimal = (
        f"WHEN regexp_full_match({text}, '0[xX][0-9a-fA-F]{{1,16}}') "
        f"THEN TRY_CAST(TRY_CAST(lower({text}) AS HUGEINT) AS {SQL_TYPE})"
    )
    return f"CASE {decimal} {hexadecimal} END"


def limbs(values: pa.Array) -> Limbs:
    """Return decimals as high, middle and low parts; no value may be NULL."""
    raw = np.frombuffer(values.buffers()[1], dtype=np.uint64)
    raw = raw[2 * values.offset : 2 * (values.offset + len(values))]
    low, high = raw[0::2], raw[1::2].view(np.int64)
    return (
        np.asarray(high, dtype=np.int64),
        (low >> np.uint64(32)).astype(np.int64),
        (low & np.uint64(_LOW)).astype(np.int64),
    )


def compare_sums(values: Limbs, frame: Frames, bounds: tuple[tuple[str, str], ...], average: bool) -> Flags:
    """Tell for each row whether the sum (or the average) of its window's values is within the bounds."""
    sums = [_window(part, frame) for part in values]
    size = frame.last - frame.first + 1 if average else np.ones(len(frame.last), dtype=np.int64)
    result: Flags = np.ones(len(size), dtype=np.bool_)
    for operator, text in bounds:
        bound = int(Decimal(text).scaleb(DECIMALS))
        parts = (bound >> 64, (bound >> 32) & _LOW, bound & _LOW)
        result &= _holds(
            operator, _sign([each - size * part for each, part in zip(sums, parts, strict=True)])
        )
    return result


def compare(values: npt.NDArray[np.float64], bounds: tuple[tuple[str, str], ...]) -> Flags:
    """Tell which of the numbers are within the bounds."""
    result: Flags = np.ones(len(values), dtype=np.bool_)
    for operator, text in bounds:
        result &= _holds(operator, np.sign(values - float(text)).astype(np.int64))
    return result


def compare_counts(numbers: Ints, bounds: tuple[tuple[str, str], ...]) -> Flags:
    """Tell which of the counts are within the bounds."""
    result: Flags = np.ones(len(numbers), dtype=np.bool_)
    for operator, text in bounds:
        # No count is as large as the largest number of 64 bits.
        bound = max(-(2**62), min(2**62, int(Decimal(text))))
        result &= _holds(operator, np.sign(numbers - bound))
    return result


def _window(part: Ints, frame: Frames) -> Ints:
    running = np.r_[0, np.cumsum(part)]
    return np.asarray(running[frame.last + 1] - running[frame.first], dtype=np.int64)


def _sign(parts: list[Ints]) -> Ints:
    high, middle, low = parts
    middle = middle + (low >> 32)
    low = low & _LOW
    high = high + (middle >> 32)
    middle = middle & _LOW
    return np.where(high < 0, -1, ((high | middle | low) != 0).astype(np.int64))


def _holds(operator: str, sign: Ints) -> Flags:
    found = {
        "gt": sign > 0,
        "gte": sign >= 0,
        "lt": sign < 0,
        "lte": sign <= 0,
        "eq": sign == 0,
        "neq": sign != 0,
    }[operator]
    return np.asarray(found, dtype=np.bool_)


assert MAX_NUMBER.scaleb(DECIMALS) < Decimal(2) ** 97  # so that the high part of 10^9 values fits 64 bits
