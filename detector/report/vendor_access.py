"""The output of `detector vendor-access`: the review of remote maintenance, visit by visit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from detector.incidents.log_coverage import span
from detector.incidents.vendor_access import Visit
from detector.report.clock import local_second
from detector.report.csv_output import csv_lines
from detector.report.evidence_reference import EvidenceReference, Key
from detector.report.markdown import markdown_table
from detector.report.output import Style
from detector.report.text_table import text_table

VENDOR_FORMATS: tuple[str, ...] = ("table", "csv", "markdown", "json")

_COLUMNS = (
    "site", "begins", "ends", "duration", "vendor", "accounts", "way", "src_ip", "country", "assigned_ip",
    "device", "hosts", "window", "reach", "approved", "reference", "evidence",
)  # fmt: skip


def vendor_output(
    visits: Sequence[Visit], references: Mapping[Key, EvidenceReference], form: str, style: Style
) -> Iterator[str]:
    """Yield the lines of a format of `VENDOR_FORMATS`, with their ends."""
    if form == "json":
        shown = [_record(visit, references, style) for visit in visits]
        yield json.dumps(shown, ensure_ascii=False, indent=1) + "\n"
        return
    headings = [style.texts.text("vendor_access", column) for column in _COLUMNS]
    rows = [_cells(visit, references, style) for visit in visits]
    if form == "csv":
        yield from csv_lines(headings, rows)
    elif form == "markdown":
        yield from (f"{line}\n" for line in markdown_table(headings, rows))
    elif not rows:
        yield style.texts.text("vendor_access", "none") + "\n"
    else:
        one_site = len({visit.site for visit in visits}) == 1
        hosts = _COLUMNS.index("hosts")
        body = [
            ["" if one_site else row[0], *row[1:hosts], _few(visit.hosts), *row[hosts + 1 :]]
            for visit, row in zip(visits, rows, strict=True)
        ]
        yield from (f"{line}\n" for line in text_table(headings, body, style.columns))


def _few(names: Sequence[str]) -> str:
    """Return a list short enough for a screen; the other formats have it whole."""
    return ", ".join(names[:4]) + (f", … (+{len(names) - 4:,})" if len(names) > 4 else "")


def _cells(visit: Visit, references: Mapping[Key, EvidenceReference], style: Style) -> list[str]:
    texts = style.texts
    begins, ends = (
        "" if time is None else local_second(time, style.zone) for time in (visit.begins, visit.ends)
    )
    reference = references.get(visit.event)
    return [
        visit.site, begins, ends, "" if visit.duration is None else span(visit.duration), visit.vendor or "",
        ", ".join(visit.accounts), texts.text("vendor_access", f"way_{visit.way}"), visit.src_ip or "",
        visit.country or "", visit.assigned_ip or "", visit.device or "", ", ".join(visit.hosts),
        texts.text("vendor_access", f"window_{visit.window}"),
        texts.text("vendor_access", f"reach_{visit.reach}"),
        texts.text("vendor_access", f"approved_{visit.approved}"), visit.reference or "",
        reference.short(texts) if reference else "",
    ]  # fmt: skip


def _record(visit: Visit, references: Mapping[Key, EvidenceReference], style: Style) -> dict[str, object]:
    """Return a visit for programs: keywords instead of words, durations in seconds."""
    times = {
        name: None if time is None else time.astimezone(style.zone).isoformat()
        for name, time in (("begins", visit.begins), ("ends", visit.ends))
    }
    reference = references.get(visit.event)
    return {
        "site": visit.site, **times, "duration_seconds": visit.duration, "vendor": visit.vendor,
        "accounts": list(visit.accounts), "way": visit.way, "src_ip": visit.src_ip, "country": visit.country,
        "assigned_ip": visit.assigned_ip, "device": visit.device, "hosts": list(visit.hosts),
        "window": visit.window, "reach": visit.reach, "approved": visit.approved,
        "reference": visit.reference,
        "evidence": reference.as_dict() if reference else None,
    }  # fmt: skip
