"""Times as people read them: local, to the microsecond, always with the offset from UTC."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo


def local_time(time: datetime, zone: tzinfo) -> str:
    """Return `2022-10-31 04:12:09.123456 +09:00`."""
    local = time.astimezone(zone)
    return f"{local:%Y-%m-%d %H:%M:%S}.{local.microsecond:06d} {offset(local)}"


def local_second(time: datetime, zone: tzinfo) -> str:
    """Return `2022-10-31 04:12:09 +09:00`, for summaries whose lines lead to the exact time."""
    local = time.astimezone(zone)
    return f"{local:%Y-%m-%d %H:%M:%S} {offset(local)}"


def offset(local: datetime) -> str:
    """Return a local time's offset from UTC as `+09:00`."""
    shift = local.utcoffset() or timedelta(0)
    sign = "-" if shift < timedelta(0) else "+"
    minutes = abs(shift) // timedelta(minutes=1)
    return f"{sign}{minutes // 60:02d}:{minutes % 60:02d}"
