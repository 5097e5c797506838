"""Lines inside JSON: what journald, Splunk and log shippers make of a device's line, opened again.

`journalctl -o json` (https://www.freedesktop.org/software/systemd/man/latest/systemd.journal-fields.html):
MESSAGE is text, or a list of bytes where it is not UTF-8; times are microseconds since 1970. Splunk's export
as JSON lines has the line as `_raw`, below `result`, its time as `_time`. Filebeat, Fluentd, Fluent Bit,
Vector, Graylog and Docker keep it as `message`, `log` or `event.original`.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, NamedTuple

from detector.formats.base import ReadContext
from detector.formats.network.syslog import instant

#: Keys of the line itself, the most original first; dotted names are also looked for as nested objects.
_MESSAGES = ("_raw", "event.original", "full_message", "raw_event", "message", "log", "msg", "Message", "raw")
_TIMES = ("_time", "@timestamp", "timestamp", "time", "date")
_HOSTS = ("host.name", "host.hostname", "host", "hostname", "source_host", "fromhost", "log.source.address")
#: No line in JSON is longer, in characters.
_MAX = 1 << 20


class Wrapped(NamedTuple):
    """A line, and time (UTC) and host that its wrapping states; the line may state others."""

    line: str
    time: datetime | None
    host: str | None


def open_json(text: str, context: ReadContext) -> Wrapped | None:
    """Return what is in a JSON object on one line; None if it is none, or holds no line. Never raises."""
    if len(text) > _MAX or not text.startswith("{") or not text.endswith("}"):
        return None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    if "MESSAGE" in document and "__REALTIME_TIMESTAMP" in document:
        return _journal(document)
    result = document.get("result")
    return _shipped(result if isinstance(result, dict) and "_raw" in result else document, context)


def _journal(document: dict[str, Any]) -> Wrapped | None:
    """An entry of the journal: the line as a syslog file would have it, so that every device knows it."""
    message = document["MESSAGE"]
    if isinstance(message, list):
        try:
            message = bytes(message).decode(errors="backslashreplace")
        except (TypeError, ValueError):
            return None
    if not isinstance(message, str):
        return None
    stamps = (document.get(name) for name in ("_SOURCE_REALTIME_TIMESTAMP", "__REALTIME_TIMESTAMP"))
    time = next((found for stamp in stamps if (found := instant(_text(stamp), None)) is not None), None)
    host = _text(document.get("_HOSTNAME"))
    name = _text(document.get("SYSLOG_IDENTIFIER")) or _text(document.get("_COMM"))
    process = _text(document.get("SYSLOG_PID")) or _text(document.get("_PID"))
    if time is None or host is None or name is None:
        return Wrapped(message, time, host)
    tag = f"{name}[{process}]" if process else name
    return Wrapped(f"{time.isoformat()} {host} {tag}: {message}", time, host)


def _shipped(document: dict[str, Any], context: ReadContext) -> Wrapped | None:
    line = next((found for name in _MESSAGES if (found := _text(_at(document, name))) is not None), None)
    if line is None:
        return None
    stamps = (instant(_text(_at(document, name)), context.time_zone) for name in _TIMES)
    hosts = (_text(_at(document, name)) for name in _HOSTS)
    return Wrapped(
        line.rstrip("\r\n"),
        next((time for time in stamps if time is not None), None),
        next((host for host in hosts if host is not None), None),
    )


def _at(document: dict[str, Any], name: str) -> Any:
    """Return the value of a dotted name, written so or as objects in one another."""
    if name in document:
        return document[name]
    found: Any = document
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _text(value: Any) -> str | None:
    """Return a text or a number as text; None for everything else and for nothing."""
    if isinstance(value, str):
        return value or None
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
