"""The outputs of `detector incidents` and `detector timeline`: lines of text in each format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from itertools import groupby
from typing import Any

from detector.engines import Engine
from detector.errors import OutputError
from detector.report.clock import local_time
from detector.report.csv_output import csv_lines
from detector.report.evidence_reference import load_references
from detector.report.incident_text import (
    basis_sentence,
    entry_keys,
    entry_sentence,
    headline,
    incident_text,
    open_questions,
    reason_sentences,
    summary,
    view_of,
)
from detector.report.jsonl import incidents_jsonl, timeline_jsonl
from detector.report.markdown import markdown_table
from detector.report.safe_text import markdown_text, shortened, wrapped
from detector.report.texts import Texts
from detector.report.timeline import COLUMNS, TimelineLine, event_keys, screen, timeline_lines

FORMATS: tuple[str, ...] = ("table", "csv", "jsonl", "markdown")

#: Incidents of these severities are printed in full; of the others one line each.
_IN_FULL = frozenset({"medium", "high", "critical"})

_INCIDENT_COLUMNS: tuple[str, ...] = (
    "incident",
    "severity",
    "score",
    "site",
    "first_seen",
    "last_seen",
    "entry",
    "sure",
)
_INCIDENT_COLUMNS += ("hosts", "accounts", "steps", "reasons", "questions", "evidence")


@dataclass(frozen=True)
class Style:
    """How to write: the language, the time zone, the columns of the screen, the case's name for hints."""

    texts: Texts
    zone: tzinfo
    columns: int = 100
    case: str = "CASE"


def choose_incident(engine: Engine, prefix: str) -> str:
    """Return the id of the incident that begins with `prefix`; raises OutputError if not exactly one does."""
    ids = [row["incident_id"] for row in _incidents(engine)]
    found = [each for each in ids if each.startswith(prefix.strip().lower())]
    if len(found) == 1:
        return str(found[0])
    if found:
        raise OutputError(
            f"several incidents begin with {prefix!r}: {', '.join(found[:8])}; give more digits"
        )
    known = f"there are: {', '.join(ids[:8])}" if ids else "the case has none; see detector incidents"
    raise OutputError(f"no incident begins with {prefix!r}; {known}")


def incidents_output(engine: Engine, form: str, style: Style) -> Iterator[str]:
    """Yield the incidents of a case as lines with their ends, in a format of `FORMATS`."""
    rows = _incidents(engine)
    if form == "jsonl":
        yield from (f"{line}\n" for line in incidents_jsonl(rows, style.zone))
    elif form == "table":
        yield from (f"{line}\n" for line in _incidents_on_screen(engine, rows, style))
    else:
        headings = [style.texts.label(column) for column in _INCIDENT_COLUMNS]
        cells = _incident_cells(engine, rows, style)
        lines = csv_lines(headings, cells) if form == "csv" else markdown_table(headings, cells)
        yield from (line if line.endswith("\n") else f"{line}\n" for line in lines)


def timeline_output(
    engine: Engine, form: str, style: Style, incident: str | None = None, not_joined: bool = False
) -> Iterator[str]:
    """Yield the timeline as lines with their ends: of one incident, of all, or of what joined none.

    `incident` is a full id. Rows come incident by incident, the most severe first, each in order of time.
    """
    rows = _timeline(engine, incident, not_joined)
    references = load_references(engine, event_keys(rows, all_events=form == "jsonl"))
    lines = timeline_lines(rows, style.texts, style.zone, references)
    headings = [style.texts.label(column) for column in COLUMNS]
    if form == "jsonl":
        yield from (f"{line}\n" for line in timeline_jsonl(lines, style.zone))
    elif form == "csv":
        yield from csv_lines(headings, (line.cells() for line in lines))
    else:
        incidents = {row["incident_id"]: row for row in _incidents(engine)}
        writer = _markdown_part if form == "markdown" else _screen_part
        for key, part in groupby(lines, key=lambda line: line.incident):
            yield from (f"{line}\n" for line in writer(incidents.get(key), list(part), style))


def _incidents(engine: Engine) -> list[dict[str, Any]]:
    return list(
        engine.execute(
            f"SELECT * FROM incidents ORDER BY {_SEVERITY}, score DESC, first_seen, incident_id"
        ).to_pylist()
    )


_SEVERITY = "CASE severity WHEN 'critical' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2 ELSE 3 END"


def _timeline(engine: Engine, incident: str | None, not_joined: bool) -> list[dict[str, Any]]:
    """Return timeline rows; ties in time are settled by evidence, as in the table itself."""
    where = "incident_id IS NULL" if not_joined else "incident_id IS NOT NULL"
    parameters: list[str] = []
    if incident is not None:
        where, parameters = "incident_id = ?", [incident]
    rows: list[dict[str, Any]] = engine.execute(
        f"SELECT * FROM timeline WHERE {where}", parameters
    ).to_pylist()
    order = {row["incident_id"]: place for place, row in enumerate(_incidents(engine))}
    return sorted(rows, key=lambda row: (order.get(row["incident_id"], 0), _row_order(row)))


def _row_order(row: Mapping[str, Any]) -> tuple[Any, ...]:
    event = row["events"][0] if row["events"] else {"evidence_id": "", "evidence_offset": 0}
    return (row["time"], event["evidence_id"], event["evidence_offset"], row["kind"], row["source_id"])


def _incidents_on_screen(engine: Engine, rows: Sequence[Mapping[str, Any]], style: Style) -> Iterator[str]:
    texts = style.texts
    if not rows:
        yield texts.text("sentences", "no_incidents")
        yield from wrapped(texts.text("sentences", "no_incidents_hint"), style.columns)
    told = [row for row in rows if row["severity"] in _IN_FULL or len(rows) == 1]
    references = load_references(engine, [key for row in told for key in entry_keys(view_of(row))])
    for row in told:
        yield from incident_text(row, texts, style.zone, references, style.columns)
        yield ""
        hint = {"case": style.case, "id": row["incident_id"]}
        yield from (*wrapped(texts.text("sentences", "more_hint", hint), style.columns), "", "")
    for row in rows:
        if row["severity"] not in _IN_FULL and len(rows) > 1:
            view = view_of(row)
            yield shortened(headline(row, texts), style.columns)
            when = local_time(row["first_seen"], style.zone)
            yield from wrapped(f"{when}  {entry_sentence(view, texts)}", style.columns, "    ", "  ")
    loose = engine.execute("SELECT count(*) AS n FROM timeline WHERE incident_id IS NULL").to_pylist()[0]["n"]
    if loose:
        key = "not_joined_one" if loose == 1 else "not_joined"
        hint = {"n": f"{loose:,}", "case": style.case}
        yield from wrapped(texts.text("sentences", key, hint), style.columns)


def _incident_cells(engine: Engine, rows: Sequence[Mapping[str, Any]], style: Style) -> Iterator[list[str]]:
    texts, zone = style.texts, style.zone
    comma = texts.text("sentences", "comma")
    references = load_references(engine, [key for row in rows for key in entry_keys(view_of(row))])
    for row in rows:
        view = view_of(row)
        event = view.entry["event"]
        key = (event["evidence_id"], event["evidence_offset"])
        seen = [texts.text("steps", step["step"]) for step in view.steps if step["state"] == "seen"]
        yield [
            row["incident_id"],
            texts.text("severities", row["severity"]),
            f"{row['score']:.1f}",
            row["site"] or "",
            local_time(row["first_seen"], zone),
            local_time(row["last_seen"], zone),
            entry_sentence(view, texts),
            f"{texts.text('sure', view.entry['sure'])}: {basis_sentence(view, texts, zone)}",
            comma.join(host["host"] for host in view.hosts),
            comma.join(account["account"] for account in view.accounts),
            comma.join(seen),
            " ".join(reason_sentences(view, texts)),
            " ".join(open_questions(view, texts, zone)),
            references[key].short(texts),
        ]


def _screen_part(row: Mapping[str, Any] | None, lines: Sequence[TimelineLine], style: Style) -> Iterator[str]:
    if row is not None:
        yield shortened(headline(row, style.texts), style.columns)
        yield from (*wrapped(summary(view_of(row), style.texts, style.zone), style.columns), "")
    yield from screen(lines, style.texts, style.columns)


def _markdown_part(
    row: Mapping[str, Any] | None, lines: Sequence[TimelineLine], style: Style
) -> Iterator[str]:
    if row is not None:
        yield f"## {markdown_text(headline(row, style.texts))}"
        yield from ("", markdown_text(summary(view_of(row), style.texts, style.zone)), "")
    headings = [style.texts.label(column) for column in COLUMNS if column != "incident"]
    place = COLUMNS.index("incident")
    cells = ([cell for index, cell in enumerate(line.cells()) if index != place] for line in lines)
    yield from (*markdown_table(headings, cells), "")
