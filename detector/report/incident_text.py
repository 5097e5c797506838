"""An incident in a minute: what happened, when, from where, how sure that is, and what is not known."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

from detector.report.clock import local_second, local_time
from detector.report.evidence_reference import EvidenceReference, Key
from detector.report.path_tree import path_tree
from detector.report.safe_text import padded, shortened, terminal_text, width, wrapped
from detector.report.texts import Texts
from detector.tables.steps import STEP_IDS

#: So many hosts, accounts and the like are shown; the rest is counted.
LONGEST_LIST = 8

#: Entries of `reasons` that say something else than why the severity is what it is.
_NOT_REASONS = frozenset({"joined_by", "no_logs", "logs_cleared", "related"})


@dataclass(frozen=True)
class IncidentView:
    """A row of the `incidents` table with its JSON columns read, and what is needed to print it."""

    row: Mapping[str, Any]
    entry: Mapping[str, Any]
    hosts: Sequence[Mapping[str, Any]]
    accounts: Sequence[Mapping[str, Any]]
    sources: Sequence[Mapping[str, Any]]
    path: Sequence[Mapping[str, Any]]
    steps: Sequence[Mapping[str, Any]]
    reasons: Sequence[Mapping[str, Any]]


def view_of(row: Mapping[str, Any]) -> IncidentView:
    """Read the JSON columns of a row of the `incidents` table."""
    names = ("entry", "hosts", "accounts", "sources", "path", "steps", "reasons")
    return IncidentView(row, **{name: json.loads(row[name] or "[]") for name in names})


def entry_keys(view: IncidentView) -> list[Key]:
    """Return the keys of the events that the text of an incident names."""
    events = [view.entry.get("event"), *(host["event"] for host in view.hosts[:LONGEST_LIST])]
    return [(event["evidence_id"], event["evidence_offset"]) for event in events if event]


def incident_text(
    row: Mapping[str, Any],
    texts: Texts,
    zone: tzinfo,
    references: Mapping[Key, EvidenceReference],
    columns: int = 100,
) -> list[str]:
    """Return the lines of an incident for a terminal of that many columns."""
    return _Writer(view_of(row), texts, zone, references, columns).lines()


def headline(row: Mapping[str, Any], texts: Texts) -> str:
    """Return the first line of an incident."""
    values = {
        "id": row["incident_id"],
        "severity": texts.text("severities", row["severity"]),
        "score": f"{row['score']:.1f}",
        "site": terminal_text(row["site"] or "-"),
    }
    return texts.text("sentences", "headline", values)


def summary(view: IncidentView, texts: Texts, zone: tzinfo) -> str:
    """Return the sentence that says when it happened and how far it went."""
    first, last = view.row["first_seen"], view.row["last_seen"]
    seen = sum(step["state"] == "seen" and step["step"] != "other" for step in view.steps)
    values = {
        "first": local_second(first, zone),
        "last": local_second(last, zone),
        "duration": _duration(last - first, texts),
        "hosts": texts.count("hosts", len(view.hosts)),
        "accounts": texts.count("accounts", len(view.accounts)),
        "seen": seen,
        "all": sum(step["step"] != "other" for step in view.steps),
    }
    return texts.text("sentences", "span" if view.accounts else "span_none", values)


def entry_sentence(view: IncidentView, texts: Texts) -> str:
    """Return how the attacker came in."""
    entry = view.entry
    names = [terminal_text(name) for name in (entry["src_host"], entry["src_ip"]) if name]
    source = f"{names[0]} ({names[1]})" if len(set(names)) > 1 else (names[0] if names else "?")
    values = {
        "source": source,
        "host": terminal_text(entry["host"] or texts.count("hosts", len(view.hosts))),
        "account": terminal_text(entry["account"] or "?"),
    }
    return texts.text("entry", entry["kind"], values)


def basis_sentence(view: IncidentView, texts: Texts, zone: tzinfo) -> str:
    """Return on what the entry point rests."""
    parts = []
    for basis in view.entry["basis"]:
        values = {key: terminal_text(str(value)) for key, value in basis.items()}
        if "time" in basis:
            values["time"] = local_second(datetime.fromisoformat(basis["time"]), zone)
        parts.append(texts.text("basis", basis["code"], values))
    return _joined(parts, texts)


def reason_sentences(view: IncidentView, texts: Texts) -> list[str]:
    """Return why the incident has its severity."""
    found = []
    for reason in view.reasons:
        if reason["code"] in _NOT_REASONS:
            continue
        values: dict[str, object] = dict(reason)
        if "steps" in reason:
            names = [texts.text("steps", step) for step in reason["steps"]]
            values |= {"steps": " > ".join(names), "count": len(names)}
        if "hosts" in reason:
            values["hosts"] = texts.count("hosts", reason["hosts"])
        if "level" in reason:
            values["level"] = texts.text("levels", reason["level"])
        found.append(texts.text("reasons", reason["code"], values))
    return found


def open_questions(view: IncidentView, texts: Texts, zone: tzinfo) -> list[str]:
    """Return what the logs leave open, as questions to go on with."""

    def ask(key: str, values: Mapping[str, object]) -> str:
        return texts.text("questions", key, values)

    first = local_second(datetime.fromisoformat(view.entry["time"]), zone)
    questions: list[str] = []
    if view.entry["sure"] == "unknown":
        questions.append(
            ask("entry_unknown", {"host": terminal_text(view.entry["host"] or "?"), "time": first})
        )
    elif view.entry["sure"] == "inferred":
        questions.append(ask("entry_inferred", {"basis": basis_sentence(view, texts, zone)}))
    if view.entry["kind"] == "vpn_login" and view.entry["account"]:
        questions.append(ask("vpn_account", {"account": terminal_text(view.entry["account"])}))
    for account in view.accounts:
        hosts = account["hosts"]
        if "\\" not in account["account"] and len(hosts) > 1:
            values = {"account": terminal_text(account["account"]), "hosts": texts.count("hosts", len(hosts))}
            questions.append(ask("password", values))
    blind = [texts.text("steps", s["step"]) for s in view.steps if s["state"] == "not_visible"]
    if blind:
        questions.append(ask("not_visible", {"steps": _list(blind, texts)}))
    for open_point in view.reasons:
        if "names" in open_point:
            names = [terminal_text(name) for name in open_point["names"]]
            values = {"hosts": texts.count("hosts", len(names)), "names": _list(names, texts)}
            questions.append(ask(open_point["code"], {**values, "id": open_point.get("incident", "")}))
    last = local_second(view.row["last_seen"], zone)
    return [*questions, ask("ongoing", {"time": last})]


class _Writer:
    """Collects the lines of one incident."""

    def __init__(
        self,
        view: IncidentView,
        texts: Texts,
        zone: tzinfo,
        references: Mapping[Key, EvidenceReference],
        columns: int,
    ) -> None:
        self._view = view
        self._texts = texts
        self._zone = zone
        self._references = references
        self._columns = columns
        self._out: list[str] = []

    def lines(self) -> list[str]:
        """Return all lines."""
        head = headline(self._view.row, self._texts)
        self._out += [shortened(head, self._columns), "=" * min(width(head), self._columns)]
        self._out += wrapped(summary(self._view, self._texts, self._zone), self._columns)
        self._entry()
        self._path()
        self._hosts()
        self._accounts()
        self._steps()
        self._bullets("reasons", reason_sentences(self._view, self._texts))
        self._bullets("questions", open_questions(self._view, self._texts, self._zone))
        return self._out

    def _heading(self, key: str, note: str = "") -> None:
        self._out += ["", self._texts.label(key) + note]

    def _bullets(self, key: str, sentences: Iterable[str]) -> None:
        self._heading(key)
        for sentence in sentences:
            self._out += wrapped(sentence, self._columns, "    ", "  - ")

    def _entry(self) -> None:
        view, texts = self._view, self._texts
        self._heading("entry")
        when = local_time(datetime.fromisoformat(view.entry["time"]), self._zone)
        self._out += wrapped(f"{when}  {entry_sentence(view, texts)}", self._columns, "    ", "  ")
        sure = texts.text("sentences", "sure", {"sure": texts.text("sure", view.entry["sure"])})
        text = _joined([sure, basis_sentence(view, texts, self._zone)], texts)
        self._out += wrapped(text, self._columns, "    ", "  ")
        reference = self._reference(view.entry["event"])
        if reference:
            text = texts.text("sentences", "evidence", {"evidence": reference})
            self._out += wrapped(text, self._columns, "    ", "  ")

    def _path(self) -> None:
        if not self._view.path:
            return
        self._heading("path")
        for line in path_tree(self._view.path, self._texts, self._zone):
            self._out.append(shortened("  " + line, self._columns))

    def _hosts(self) -> None:
        view, texts = self._view, self._texts
        if not view.hosts:
            return
        acted = [host for host in view.hosts if set(host["steps"]) - {"mass_logon"}]
        reached = [host for host in view.hosts if host not in acted]
        note = ""
        if acted and reached:
            counts = {
                "acted": texts.count("hosts", len(acted)),
                "reached": texts.count("hosts", len(reached)),
            }
            note = texts.text("sentences", "acted_on", counts)
        self._heading("hosts", note)
        self._table(
            acted or reached,
            lambda host: (
                terminal_text(host["host"]),
                _list([texts.text("steps", step) for step in STEP_IDS if step in host["steps"]], texts),
            ),
        )

    def _accounts(self) -> None:
        if not self._view.accounts:
            return
        self._heading("accounts")
        self._table(
            self._view.accounts,
            lambda account: (
                terminal_text(account["account"]),
                _list([terminal_text(host) for host in account["hosts"]], self._texts, 5),
            ),
        )

    def _table(
        self,
        items: Sequence[Mapping[str, Any]],
        cells: Callable[[Mapping[str, Any]], tuple[str, str]],
    ) -> None:
        """Print items by first time: time, name, and what else there is to say."""
        shown = [(item, *cells(item)) for item in items[:LONGEST_LIST]]
        column = max((width(name) for _, name, _ in shown), default=0)
        for item, name, rest in shown:
            when = local_second(datetime.fromisoformat(item["first_seen"]), self._zone)
            self._out.append(shortened(f"  {when}  {padded(name, column)}  {rest}".rstrip(), self._columns))
        if len(items) > len(shown):
            self._out.append("  " + self._texts.count("more", len(items) - len(shown)))

    def _steps(self) -> None:
        texts = self._texts
        self._heading("steps")
        names = max(width(texts.text("steps", step["step"])) for step in self._view.steps)
        states = max(width(texts.text("states", step["state"])) for step in self._view.steps)
        for number, step in enumerate(self._view.steps, 1):
            start = (
                f"  {number} {padded(texts.text('steps', step['step']), names)}  "
                f"{padded(texts.text('states', step['state']), states)}  "
            )
            indent = " " * min(width(start), self._columns // 2)
            self._out += wrapped(self._why(step), self._columns, indent, start)

    def _why(self, step: Mapping[str, Any]) -> str:
        texts, why = self._texts, step["why"]
        if step["state"] == "seen":
            when = local_second(datetime.fromisoformat(step["first_seen"]), self._zone)
            values: dict[str, object] = {"time": when, "count": texts.count("events", step["count"])}
            return texts.text("sentences", "steps_line_count", values)
        sources = [self._source(label) for label in why["checked" if why["checked"] else "missing"]]
        if step["state"] == "not_visible":
            return texts.text("sentences", "missing", {"missing": _list(sources, texts, len(sources))})
        text = texts.text("sentences", "checked", {"checked": _list(sources, texts, len(sources))})
        if why["hosts_visible"] < why["hosts"]:
            text += texts.text(
                "sentences", "visible_on", {"visible": why["hosts_visible"], "hosts": why["hosts"]}
            )
        return text

    def _source(self, label: str) -> str:
        return self._texts.text("log_sources", label)

    def _reference(self, event: Mapping[str, Any]) -> str:
        found = self._references.get((event["evidence_id"], event["evidence_offset"]))
        return found.short(self._texts) if found else ""


def _list(names: Sequence[str], texts: Texts, longest: int = LONGEST_LIST) -> str:
    shown = texts.text("sentences", "comma").join(names[:longest])
    return shown if len(names) <= longest else f"{shown} {texts.count('more', len(names) - longest)}"


def _joined(sentences: Sequence[str], texts: Texts) -> str:
    return ("" if texts.language == "ja" else " ").join(sentences)


def _duration(span: timedelta, texts: Texts) -> str:
    minutes = span // timedelta(minutes=1)
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [("days", days)] if days else []
    parts += [("hours", hours)] if hours else []
    parts += [("minutes", minutes)] if not days and (minutes or not hours) else []
    return _joined([texts.count(key, number) for key, number in parts], texts)
