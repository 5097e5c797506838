"""The timeline: rows of the `timeline` table as lines in a language, a time zone, with their evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from detector.report.clock import local_time
from detector.report.evidence_reference import EvidenceReference, Key
from detector.report.safe_text import terminal_text, wrapped
from detector.report.texts import Texts

#: Columns of the timeline in every output, in order; headings are in report/locale.
COLUMNS: tuple[str, ...] = (
    "time",
    "last_time",
    "incident",
    "step",
    "level",
    "site",
    "host",
    "account",
    "source",
    "what",
    "said_by",
    "count",
    "evidence",
)


@dataclass(frozen=True)
class TimelineLine:
    """One line. Texts are as the log and the locale have them: each output makes them safe in its own way."""

    time: str
    last_time: str
    incident: str
    step: str
    level: str
    site: str
    host: str
    account: str
    source: str
    what: str
    said_by: str
    count: int
    evidence: str
    references: tuple[EvidenceReference, ...]
    row: Mapping[str, Any]

    def cells(self) -> list[str]:
        """Return the line as texts in the order of `COLUMNS`."""
        return [str(getattr(self, column)) for column in COLUMNS]


def event_keys(rows: Iterable[Mapping[str, Any]], all_events: bool) -> list[Key]:
    """Return the keys of the events behind timeline rows, or of the first event of each."""
    return [
        (event["evidence_id"], event["evidence_offset"])
        for row in rows
        for event in (row["events"] if all_events else row["events"][:1])
    ]


def timeline_lines(
    rows: Iterable[Mapping[str, Any]],
    texts: Texts,
    zone: tzinfo,
    references: Mapping[Key, EvidenceReference],
) -> list[TimelineLine]:
    """Return rows of the `timeline` table as lines; `references` holds the events that are to be shown."""
    return [_line(row, texts, zone, references) for row in rows]


def what_was_done(row: Mapping[str, Any], texts: Texts) -> str:
    """Return what a timeline row says happened: title, and for a stage its sentence."""
    if row["kind"] == "rule":
        return texts.rule(row["source_id"], row["title"] or row["source_id"])
    details = dict(row["details"] or [])
    if row["kind"] == "logon":
        return texts.text("methods", details.get("method", "logon"))
    values = {
        **{key: value for key, value in details.items() if value},
        "host": row["host"] or "",
        "account": row["account"] or "",
        "source": source_of(row),
    }
    title = texts.stage_title(row["source_id"])
    sentence = texts.stage_sentence(row["source_id"], values)
    return (
        texts.text("sentences", "title_and_sentence", {"title": title, "sentence": sentence})
        if sentence
        else title
    )


def source_of(row: Mapping[str, Any]) -> str:
    """Return the source of a row: name and address where both are known."""
    name, address = row["src_host"], row["src_ip"]
    return f"{name} ({address})" if name and address and name != address else name or address or ""


def screen(lines: Iterable[TimelineLine], texts: Texts, columns: int) -> list[str]:
    """Return the lines for a terminal of that many columns: when, where and who, then what, then evidence."""
    shown: list[str] = []
    for line in lines:
        where = terminal_text(line.host or line.site)
        source = f" <- {terminal_text(line.source)}" if line.source else ""
        account = f" [{terminal_text(line.account)}]" if line.account else ""
        shown += wrapped(f"{terminal_text(line.time)}  {where}{source}{account}", columns, "    ", "")
        times = texts.count("events", line.count) if line.count > 1 else ""
        until = f" -> {line.last_time}" if line.last_time != line.time else ""
        step = texts.text("sentences", "step_and_what", {"step": line.step, "what": terminal_text(line.what)})
        shown += wrapped(step, columns, "    ")
        said = [terminal_text(line.said_by), line.level, *([times + until] if times else [])]
        by = texts.text("sentences", "said_by", {"by": texts.text("sentences", "comma").join(said)})
        shown += wrapped(by, columns, "      ", "    ")
        evidence = texts.text("sentences", "evidence", {"evidence": line.evidence})
        shown += wrapped(evidence, columns, "      ", "    ")
        shown.append("")
    return shown


def _line(
    row: Mapping[str, Any], texts: Texts, zone: tzinfo, references: Mapping[Key, EvidenceReference]
) -> TimelineLine:
    first: datetime = row["time"]
    last: datetime = row["last_time"] or first
    keys = [(event["evidence_id"], event["evidence_offset"]) for event in row["events"]]
    found = tuple(references[key] for key in keys if key in references)
    evidence = found[0].short(texts) if found else ""
    if found and len(keys) > 1:
        evidence = texts.text("evidence", "and_more", {"first": evidence, "n": f"{len(keys) - 1:,}"})
    return TimelineLine(
        time=local_time(first, zone),
        last_time=local_time(last, zone),
        incident=row["incident_id"] or "",
        step=texts.text("steps", row["step"]),
        level=texts.text("levels", row["level"]),
        site=row["site"] or "",
        host=_hosts(row, texts),
        account=row["account"] or "",
        source=source_of(row),
        what=what_was_done(row, texts),
        said_by=_said_by(row, texts),
        count=row["count"],
        evidence=evidence,
        references=found,
        row=row,
    )


def _hosts(row: Mapping[str, Any], texts: Texts) -> str:
    if row["host"]:
        return str(row["host"])
    details = dict(row["details"] or [])
    if details.get("hosts"):
        return str(details["hosts"])
    number = details.get("host_count") or ""
    return texts.count("hosts", int(number)) if number.isdigit() else ""


def _said_by(row: Mapping[str, Any], texts: Texts) -> str:
    kind = texts.text("kinds", row["kind"])
    return f"{kind} {row['source_id']}"
