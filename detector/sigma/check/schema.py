"""What the specification asks of a rule, a correlation rule and a filter besides their logic.

Requirements are those of the JSON schemas of https://github.com/SigmaHQ/sigma-specification (rules 2.0.0,
correlations 2.0.1, filters 2.0.0), with the correlation types and conditions of the specification 2.1.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from uuid import UUID

from detector.sigma.check.attack import attack_problem
from detector.sigma.check.places import Path, Place, Places
from detector.sigma.check.words import instead, nearest

LEVELS = ("informational", "low", "medium", "high", "critical")
STATUSES = ("stable", "test", "experimental", "deprecated", "unsupported")
RELATED = ("derived", "obsolete", "merged", "renamed", "similar", "correlation")
CORRELATIONS = (
    "event_count", "value_count", "temporal", "temporal_ordered", "value_sum", "value_avg",
    "value_percentile",
    "value_median", "temporal_extended", "temporal_ordered_extended",
)  # fmt: skip
KEYS = (
    "title", "id", "name", "related", "taxonomy", "status", "description", "license", "author",
    "references",
    "date", "modified", "logsource", "detection", "correlation", "filter", "fields",
    "falsepositives",
    "level",
    "tags", "scope", "generate",
)  # fmt: skip

_DATE = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")
_TAG = re.compile(r"[a-z0-9_-]+\.[a-z0-9._-]+")
_TIMESPAN = re.compile(r"\d+[smhdwMy]")

#: (severity, message, place).
Said = tuple[str, str, Place]


def schema_findings(data: Mapping[str, Any], places: Places) -> Iterator[Said]:
    """Yield what of a document breaks the specification (error), or probably says what was not meant."""
    for key in data:
        if key not in KEYS and (found := nearest(key, KEYS, 0.8)):
            yield "warning", f"unknown key '{key}'; did you mean '{found}'?", places.key(key)
    yield from _texts(data, places)
    yield from _id(data.get("id"), ("id",), places)
    yield from _choice(data, "level", LEVELS, places)
    yield from _choice(data, "status", STATUSES, places)
    yield from _dates(data, places)
    yield from _related(data.get("related"), places)
    yield from _tags(data.get("tags"), places)
    yield from _lists(data, places)
    if "correlation" in data:
        yield from _correlation(data["correlation"], places)
    else:
        yield from _logsource(data.get("logsource"), places)


def _texts(data: Mapping[str, Any], places: Places) -> Iterator[Said]:
    title = data.get("title")
    if title is None or title == "":
        yield "error", "a rule needs a title; write title: What the rule detects", places.key()
    for key, longest in (("title", 256), ("name", 256), ("taxonomy", 256), ("description", 65535)):
        value = data.get(key)
        if value is not None and not isinstance(value, str):
            yield "error", f"{key} is a text, not {_kind(value)}; put it in quotes", places.value(key)
        elif value and len(value) > longest:
            yield "error", f"{key} has {len(value):,} characters, {longest:,} at most", places.value(key)
    for key in ("author", "license"):
        value = data.get(key)
        if value is not None and not isinstance(value, str):
            yield "warning", f"{key} is a text, not {_kind(value)}", places.value(key)


def _id(value: Any, path: Path, places: Places) -> Iterator[Said]:
    if value is None:
        return
    try:
        right = str(UUID(str(value))) == str(value).lower()
    except ValueError:
        right = False
    if not right:
        message = f"'{value}' is no UUID; `detector rules new` makes one"
        yield "error", message, places.value(*path)


def _choice(data: Mapping[str, Any], key: str, known: tuple[str, ...], places: Places) -> Iterator[Said]:
    value = data.get(key)
    if value is None or value in known:
        return
    if isinstance(value, str) and value.lower() in known:
        yield "warning", f"{key} is written in lower case: {value.lower()}", places.value(key)
        return
    found = nearest(str(value), known)
    meant = f"did you mean '{found}'?" if found else f"write one of {', '.join(known)}"
    yield "error", f"unknown {key} '{value}'; {meant}", places.value(key)


def _dates(data: Mapping[str, Any], places: Places) -> Iterator[Said]:
    for key in ("date", "modified"):
        value = data.get(key)
        if value is None or (isinstance(value, dt.date) and not isinstance(value, dt.datetime)):
            continue
        if not (isinstance(value, str) and _DATE.fullmatch(value)):
            digits = re.fullmatch(r"(\d{4})[/.](\d{1,2})[/.](\d{1,2})", str(value))
            written = f"{digits[1]}-{int(digits[2]):02}-{int(digits[3]):02}" if digits else "YYYY-MM-DD"
            severity = "warning" if digits else "error"
            yield severity, f"{key} '{value}': write {written}", places.value(key)
    first, last = data.get("date"), data.get("modified")
    if isinstance(first, dt.date) and isinstance(last, dt.date) and str(last) < str(first):
        yield "warning", f"modified {last} is before date {first}", places.value("modified")


def _related(value: Any, places: Places) -> Iterator[Said]:
    if value is None:
        return
    if not isinstance(value, list) or any(not isinstance(each, Mapping) for each in value):
        message = "related is a list of mappings; write - id: … and type: … for each"
        yield "error", message, places.value("related")
        return
    for index, each in enumerate(value):
        path = ("related", index)
        for key in ("id", "type"):
            if key not in each:
                yield "error", f"an entry of related needs {key}", places.value(*path)
        yield from _id(each.get("id"), (*path, "id"), places)
        kind = each.get("type")
        if kind is not None and kind not in RELATED:
            message = f"unknown type of relation '{kind}'{instead(str(kind), RELATED)}"
            yield "error", message, places.value(*path, "type")


def _tags(value: Any, places: Places) -> Iterator[Said]:
    if value is None:
        return
    if not isinstance(value, list) or any(not isinstance(each, str) for each in value):
        yield "error", "tags is a list of texts", places.value("tags")
        return
    for index, tag in enumerate(value):
        place = places.value("tags", index)
        lower = tag.lower().replace(" ", "-")
        if not _TAG.fullmatch(tag):
            if _TAG.fullmatch(lower):
                yield "warning", f"tags are written in lower case: {lower}", place
            else:
                yield "error", f"tag '{tag}': write namespace.name, such as attack.t1021.001", place
        elif tag.startswith("attack.") and (message := attack_problem(tag)):
            yield "warning", message, place


def _lists(data: Mapping[str, Any], places: Places) -> Iterator[Said]:
    for key in ("references", "fields", "falsepositives", "scope"):
        value = data.get(key)
        if value is None or (key == "falsepositives" and isinstance(value, str)):
            continue
        if not isinstance(value, list):
            yield "error", f"{key} is a list; write - before each entry", places.value(key)
            continue
        for index, each in enumerate(value):
            if not isinstance(each, str):
                message = f"an entry of {key} is a text, not {_kind(each)}; put it in quotes"
                yield "warning", message, places.value(key, index)


def _logsource(value: Any, places: Places) -> Iterator[Said]:
    known = ("product", "category", "service", "definition")
    if value is None:
        yield "error", "a rule needs a logsource: a mapping of product, category, service", places.key()
        return
    if not isinstance(value, Mapping):
        message = "logsource is a mapping; write product:, category: or service: below it"
        yield "error", message, places.value("logsource")
        return
    for key, text in value.items():
        if key not in known and (found := nearest(str(key), known, 0.6)):
            message = f"unknown key '{key}' of logsource; did you mean '{found}'?"
            yield "warning", message, places.key("logsource", str(key))
        elif key in known and text is not None and not isinstance(text, str):
            yield "error", f"{key} of a logsource is a text", places.value("logsource", key)
    if not any(value.get(key) for key in known[:3]):
        message = "a logsource needs a product, a category or a service"
        yield "error", message, places.value("logsource")


def _correlation(value: Any, places: Places) -> Iterator[Said]:
    if not isinstance(value, Mapping):
        yield "error", "correlation is a mapping of type, rules, timespan, …", places.value("correlation")
        return
    kind = value.get("type")
    if kind is None:
        yield "error", f"a correlation needs a type: {', '.join(CORRELATIONS[:7])}", places.key("correlation")
    elif kind not in CORRELATIONS:
        message = f"unknown type of correlation '{kind}'{instead(str(kind), CORRELATIONS)}"
        yield "error", message, places.value("correlation", "type")
    for key, form in (("rules", "a list of ids or names"), ("timespan", "a number and s, m, h, d")):
        if key not in value:
            yield "error", f"a correlation needs {key}: {form}", places.key("correlation")
    timespan = value.get("timespan")
    if timespan is not None and not _TIMESPAN.fullmatch(str(timespan)):
        message = f"timespan '{timespan}': write a number and a unit: 30s, 5m, 1h, 7d"
        yield "error", message, places.value("correlation", "timespan")
    known = ("type", "rules", "aliases", "group-by", "timespan", "condition", "generate", "field")
    for key in value:
        if key not in known and (found := nearest(str(key), known)):
            message = f"unknown key '{key}' of correlation; did you mean '{found}'?"
            yield "warning", message, places.key("correlation", str(key))


def _kind(value: Any) -> str:
    names: tuple[tuple[type, str], ...] = (
        (bool, "true or false"), (int, "a number"), (float, "a number"), (dt.date, "a date"),
        (list, "a list"), (Mapping, "a mapping"),
    )  # fmt: skip
    return next((name for kind, name in names if isinstance(value, kind)), type(value).__name__)


#: For callers that report findings: all of them at once.
Checker = Callable[[Mapping[str, Any], Places], Iterator[Said]]
