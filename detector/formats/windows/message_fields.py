"""From the text of a Windows event's message back to the fields that the event had.

Where a log is saved as text, the facts stand only in the message, in the language of the machine. The tables
in `messages/*.toml` say under which label a field is shown; labels of other languages are turned into the
English ones by the table of their language. Labels that no table has (another language, another version of
Windows) are read by their place: the items of an event stand in the same order in every language, so a
message with as many items below as many headings as a known layout has the same fields. What is left keeps
its label as name.

What a message does not say cannot be read back. Where Windows resolved a SID, the message has the account's
name: that of a well-known account is turned into its SID again, any other stays (`HOSP\\tanaka`).
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

from detector.formats.windows.fields import Fields, field_text, fields
from detector.formats.windows.message_lines import MessageItem, message_items

_FOLDER = Path(__file__).parent / "messages"
_SID = re.compile(r"S-1-\d+(-\d+)*", re.IGNORECASE)
_HEX = re.compile(r"0x[0-9A-F]+", re.IGNORECASE)
_PLACE = re.compile(r"\{(\w+|~)([*#]?)\}")
_KINDS = {"#": r"\d{1,10}", "*": r"[\s\S]*"}
#: Fields that hold a document of many lines.
_DOCUMENTS = {"TaskContent": "</Task>", "TaskContentNew": "</Task>"}


@dataclass
class _Event:
    """What is known of the message of one event id of a provider."""

    labels: dict[str, str] = field(default_factory=dict)
    layouts: list[tuple[tuple[str, ...], tuple[str, ...]]] = field(default_factory=list)
    texts: list[re.Pattern[str]] = field(default_factory=list)
    forms: dict[str, re.Pattern[str]] = field(default_factory=dict)


@dataclass
class _Tables:
    """All of `messages/*.toml`. Keys of labels are `_key`s of `Heading/Label` or `Label`, in English."""

    labels: dict[str, dict[str, str]] = field(default_factory=dict)
    events: dict[tuple[str, int], _Event] = field(default_factory=dict)
    terms: dict[str, str] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)
    coded: frozenset[str] = frozenset()
    accounts: dict[str, str] = field(default_factory=dict)
    services: dict[str, str] = field(default_factory=dict)
    unrendered: list[str] = field(default_factory=list)


def event_fields(provider: str, event_id: int, message: str) -> Fields:
    """Return names and values of the fields that a message shows; empty if it shows none.

    The rules of docs/architecture.md ("Values as readers store them") hold for the values. Never raises.
    """
    tables = _tables()
    text = message.replace("\r\n", "\n")
    event = tables.events.get((provider, event_id), _NOTHING)
    for pattern in event.texts:
        if match := pattern.fullmatch(text):
            return _of_text(match)
    if event.forms:
        found = {name: form.search(text[:2048]) for name, form in event.forms.items()}
        return fields((name, match[0]) for name, match in found.items() if match)
    for mark in tables.unrendered:
        if mark in text:
            # The machine lacked the text: Windows lists the values, without names.
            listed = text.partition(mark)[2].strip("\n").split("\n")
            return fields([("Data", value) for value in listed])
    items = message_items(text)
    names = _names(provider, event_id, tuple((item.heading, item.label) for item in items))
    return fields(_pairs(tables, text, items, names))


def _of_text(match: re.Match[str]) -> Fields:
    """Return the fields of a message that is a sentence; numbered places are values without a name.

    Of a service a sentence has only the name for people. The event of a changed start type (7040) has the
    service's own name too (param4), which is put beside it where it is known.
    """
    pairs: list[tuple[str, str]] = []
    for name, value in sorted(match.groupdict().items()):
        stored = field_text(value.replace("\n", "\r\n"))
        pairs.append(("Data" if name.startswith("_") else name, stored))
    if "param3" in match.groupdict() and (service := _tables().services.get(match["param1"].casefold())):
        pairs.append(("param4", service))
    return fields(pairs)


@lru_cache(4096)
def _names(provider: str, event_id: int, shown: tuple[tuple[str, str], ...]) -> list[str | None]:
    """Return the field of each item, by its label or by its place; None where neither tells.

    `shown` has heading and label of each item. Remembered: an event has few forms.
    """
    tables = _tables()
    event = tables.events.get((provider, event_id), _NOTHING)
    labels = tables.labels.get(provider, {})
    named: list[str | None] = []
    for heading, label in shown:
        key = tables.terms.get(_key(label)) or _key(label)
        if heading:
            key = f"{tables.terms.get(_key(heading)) or _key(heading)}/{key}"
        named.append(event.labels.get(key) or labels.get(key))
    if None not in named:
        return named
    for shape, names in event.layouts:
        if len(shape) > len(shown) or _shape([heading for heading, _ in shown[: len(shape)]]) != shape:
            continue
        known = zip(named, names, strict=False)
        if all(by_label in (None, by_place) for by_label, by_place in known):
            return [*names, *named[len(names) :]]
    return named


def _shape(headings: list[str]) -> tuple[str, ...]:
    """Return for each item '' without a heading, else the number of its heading, in any language."""
    shape: list[str] = []
    for number, (heading, group) in enumerate(groupby(headings)):
        shape.extend([str(number) if heading else ""] * len(list(group)))
    return tuple(shape)


def _pairs(
    tables: _Tables, text: str, items: list[MessageItem], names: list[str | None]
) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    seen: set[str] = set()
    behind = 0
    for item, name in zip(items, names, strict=True):
        if item.at < behind:
            continue
        value = item.value
        if name in _DOCUMENTS:
            value, behind = _document(text, item.at, _DOCUMENTS[name])
        if name is None:
            if value.strip():
                label = f"{item.heading}/{item.label}" if item.heading else item.label
                pairs.append((label, field_text(value)))
        elif name not in seen:
            # A field is shown once: a second item with its label stands inside a value.
            seen.add(name)
            pairs.append((name, _value(tables, name, value)))
    return pairs


def _document(text: str, at: int, end: str) -> tuple[str, int]:
    """Return the document that begins at a place in the text, and where it ends."""
    found = text.rfind(end, at)
    stop = found + len(end) if found >= 0 else len(text)
    return text[at:stop].replace("\n", "\r\n"), stop


def _value(tables: _Tables, name: str, value: str) -> str:
    """Return a value as the event has it, as far as the message shows it."""
    if name.endswith("Sid") or name == "MandatoryLabel":
        return account_sid(value)
    value = value.rstrip("\t") if "\n" not in value else value
    if _HEX.fullmatch(value):
        return value.lower()  # Windows 10 shows 0x3E7, the event has 0x3e7.
    if name.endswith(("PrivilegeList", "AccessReason")):
        value = value.lstrip("\r\n\t ")
    if name in tables.coded:
        return "\r\n".join(_coded(tables, line) for line in value.split("\r\n"))
    return field_text(value)


def account_sid(shown: str) -> str:
    """Return the SID of an account that is shown by its SID, or by name if well known; else the name."""
    shown = shown.strip()
    return shown if _SID.fullmatch(shown) else _tables().accounts.get(shown.casefold(), shown)


def _coded(tables: _Tables, line: str) -> str:
    """Return a line in which a text that stands for a code (`%%1833`) is that code again."""
    text = line.strip()
    code = tables.codes.get(_code_key(text))
    return line.replace(text, code) if code else line


def _key(label: str) -> str:
    """Return a label without what differs between versions of Windows: blanks, case, long vowel signs."""
    short = "".join(label.split()).casefold()
    return short if short.isascii() else short.replace("ー", "")


def _code_key(text: str) -> str:
    """Return a shown text without white space; case tells `DELETE` (an access right) from `Delete`."""
    return "".join(text.split())


_NOTHING = _Event()


@cache
def _tables() -> _Tables:
    """Read the tables, English first: the others speak of its labels."""
    tables = _Tables()
    for language in ("en", "ja"):
        _add(tables, tomllib.loads((_FOLDER / f"{language}.toml").read_text(encoding="utf-8")))
    return tables


def _add(tables: _Tables, data: dict[str, Any]) -> None:
    values = data.pop("values", {})
    tables.services |= {shown.casefold(): name for shown, name in values.get("services", {}).items()}
    tables.unrendered += values.get("unrendered", [])
    tables.coded |= frozenset(values.get("coded", []))
    tables.accounts |= {name.casefold(): sid for name, sid in values.get("accounts", {}).items()}
    for code, shown in values.get("codes", {}).items():
        tables.codes |= {_code_key(text): code for text in ([shown] if isinstance(shown, str) else shown)}
    tables.terms |= {_key(term): _key(english) for term, english in data.pop("terms", {}).items()}
    for provider, content in data.items():
        labels = tables.labels.setdefault(provider, {})
        labels |= {_path(path): name for path, name in content.get("labels", {}).items()}
        for number, known in content.get("events", {}).items():
            event = tables.events.setdefault((provider, int(number)), _Event())
            event.labels |= {_path(path): name for path, name in known.get("labels", {}).items()}
            event.layouts += [_layout(parts, event, labels) for parts in known.get("layouts", [])]
            event.texts += [_pattern(text) for text in known.get("texts", [])]
            event.forms |= {name: re.compile(form) for name, form in known.get("forms", {}).items()}


def _path(path: str) -> str:
    """Return the key of `Heading/Label` as a table writes it."""
    heading, slash, label = path.partition("/")
    return f"{_key(heading)}/{_key(label)}" if slash else _key(path)


def _layout(
    parts: list[str], event: _Event, labels: dict[str, str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return shape and fields of a layout: a list of `Label` and `Heading/Label|Label|...`."""
    headings: list[str] = []
    names: list[str] = []
    for part in parts:
        heading, slash, below = part.partition("/")
        for label in below.split("|") if slash else [part]:
            key = _path(f"{heading}/{label}" if slash else label)
            headings.append(heading if slash else "")
            names.append(event.labels.get(key) or labels[key])
    return _shape(headings), tuple(names)


def _pattern(text: str) -> re.Pattern[str]:
    """Return the pattern of a sentence: `{name}` is a value of one line, `{name#}` digits, `{name*}`
    anything.

    `{0}`, `{1}`, ... are values without a name, `{~}` words that are no value. A value in quotes holds no
    quote. Lengths are bounded, so that matching cannot take long.
    """
    pattern = ""
    last = 0
    for place in _PLACE.finditer(text):
        pattern += _literal(text[last : place.start()])
        last = place.end()
        if place[1] == "~":
            pattern += r"[^:\n]{1,80}"
            continue
        name = f"_{int(place[1]):02}" if place[1].isdecimal() else place[1]
        quoted = text[place.start() - 1 : place.start()] == '"'
        line = r'[^"\n]{0,1024}' if quoted else r"[^\n]{0,1024}?"
        pattern += f"(?P<{name}>{_KINDS.get(place[2], line)})"
    return re.compile(pattern + _literal(text[last:]) + r"\s*")


def _literal(text: str) -> str:
    """Return a piece of a sentence as pattern; in Japanese, blanks may be missing."""
    pattern = ""
    for part in re.split(r"(\s+)", text):
        if not part.isspace():
            pattern += re.escape(part)
        elif "\n" in part:
            pattern += r"[ \t]*\n" * part.count("\n")
        else:
            pattern += r"\s+" if text.isascii() else r"\s*"
    return pattern
