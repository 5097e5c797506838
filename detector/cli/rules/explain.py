"""`detector rules explain`: which part of a rule matches an event, and which does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from detector.case.store import Case
from detector.cli.common import case_option, console, format_option, note, open_case
from detector.cli.json_text import json_text
from detector.cli.rules.event_input import events_of_case, read_events, read_input
from detector.cli.tables import Column, print_table
from detector.cli.tuning_options import config_option, placeholders_option, with_placeholders
from detector.report.safe_text import shortened, terminal_text
from detector.sigma.explain import MAX_VALUES, Explainer, Explanation, FilterVerdict, Part
from detector.sigma.explain_event import Event
from detector.sigma.explain_rule import RuleToExplain, find_rule
from detector.sigma.tuning import Tuning, case_tuning, load_tuning

#: Wanted values that a table shows of one list, and columns of each.
_SHOWN = 6
_WIDTH = 60


@click.command("explain")
@click.argument("rule", metavar="RULE")
@click.option("--event", metavar="FILE", help="The event: a file, or - for standard input.")
@click.option("--evidence", metavar="REF", help="The event in a case: EVIDENCE_ID:OFFSET, or as printed.")
@case_option(required=False)
@click.option(
    "--rules",
    "paths",
    type=click.Path(path_type=Path, exists=True),
    multiple=True,
    metavar="PATH",
    help="Sigma rules to look in, a file or folder, instead of the tool's own; may be given several times.",
)
@config_option("the detector.toml of --case, if one is given")
@placeholders_option
@format_option("table", "json")
def explain_rule(
    rule: str,
    event: str | None,
    evidence: str | None,
    case_path: Path | None,
    paths: tuple[Path, ...],
    config: Path | None,
    placeholders: Path | None,
    output_format: str,
) -> None:
    """Show why RULE (id, name, title or file) matches an event, or does not.

    Every part of the condition gets the verdict of the engine that scans: which selection, which
    field, which value; what the event has there; whether its log source is one that the rule
    reads; which filter leaves it out. FILE holds a line of `detector hits --format jsonl`, a JSON
    object of fields, or any log that `detector ingest` reads.

    \b
    Examples:
      detector hits --case mycase --format jsonl | head -1 | detector rules explain RULE --event -
      detector rules explain RULE --event event.json --rules sigma/rules --format json
      detector rules explain RULE --case mycase --evidence "Security.evtx (sha256 1a2b3c4d5e6f) record 4711"
    """
    if (event is None) == (evidence is None):
        raise click.UsageError("give the event either by --event or by --evidence")
    if evidence is not None and case_path is None:
        raise click.UsageError("--evidence needs --case")
    case = open_case(case_path) if case_path is not None and evidence is not None else None
    found = find_rule(rule, paths, with_placeholders(_tuning(case_path, config), placeholders))
    events = _events(found, case, event, evidence)
    explainer = Explainer(found.document, found.rule, found.filters)
    explanations = [explainer.explain(each) for each in events]
    if output_format == "json":
        click.echo(json_text([_as_json(each, found) for each in explanations], indent=2))
        return
    for number, each in enumerate(explanations):
        if number:
            click.echo()
        _print(each, found)


def _tuning(case_path: Path | None, config: Path | None) -> Tuning:
    if case_path is not None:
        return case_tuning(case_path, config)
    return load_tuning(config) if config is not None else Tuning()


def _events(found: RuleToExplain, case: Case | None, event: str | None, evidence: str | None) -> list[Event]:
    if case is not None and evidence is not None:
        return events_of_case(case, evidence)
    return read_events(*read_input(event or "-"), found.rule.sources)


def _verdict(each: Explanation, found: RuleToExplain) -> str:
    """Say in one line what a scan does with the event."""
    if each.hit and found.disabled_by is not None:
        return f"matches, but the rule is disabled ({found.disabled_by.text}): no hit"
    if each.hit:
        return "matches: a hit"
    if each.matches:
        names = ", ".join(f"'{one.title}'" for one in each.filters if not one.keeps)
        return f"matches, and is left out by the filter {names}: no hit"
    if each.condition_holds:
        return "the condition holds, but the event is not of a log source that the rule reads: no hit"
    return "does not match"


def _print(each: Explanation, found: RuleToExplain) -> None:
    rule, event = each.rule, each.event
    lines = [
        f"rule     {rule.title} ({rule.id}), level {rule.level}, {rule.path}:{rule.line}",
        f"event    {_event_text(event)}",
        *(f"source   {one.id}: {'fits' if one.fits else one.reason}" for one in each.sources),
        f"verdict  {_verdict(each, found)}",
    ]
    for line in lines:
        click.echo(terminal_text(line))
    if event.assumed:
        note(terminal_text(event.assumed))
    click.echo()
    rows = [row for tree in each.conditions for row in _rows(tree)]
    for one in each.filters:
        rows += _filter_rows(one)
    columns = [Column("", no_wrap=True), Column("part"), Column("wanted"), Column("event has")]
    print_table(columns, rows, console())


def _event_text(event: Event) -> str:
    named = [
        event.value(name) for name in ("Channel", "EventID", "Computer", "device", "TimeCreated", "time")
    ]
    known = [str(value) for value in named if value is not None]
    return " ".join([event.view, *known]) + (f" ({event.origin})" if event.origin else "")


def _filter_rows(one: FilterVerdict) -> Iterator[tuple[str, str, str, str]]:
    yield (
        _sign(one.keeps),
        f"filter {one.title} ({one.path}:{one.line})",
        "",
        "kept" if one.keeps else "left out",
    )
    for tree in one.conditions:
        yield from _rows(tree, 1)


def _sign(result: bool) -> str:
    return "true" if result else "false"


def _rows(part: Part, depth: int = 0) -> Iterator[tuple[str, str, str, str]]:
    label = f"condition: {part.text}" if part.kind == "condition" else part.text
    has = ""
    if part.kind == "field":
        has = "(missing)" if part.value is None else _quoted(part.value, 2 * _WIDTH)
    # A space at the beginning of a cell would be cut off as soon as it is folded.
    yield _sign(part.result), "· " * depth + label, _wanted(part), has
    for child in part.children:
        yield from _rows(child, depth + 1)


def _wanted(part: Part) -> str:
    """Return the values wanted, each marked where there are several: those that decide come first."""
    if len(part.wanted) == 1:
        return _quoted(part.wanted[0], 2 * _WIDTH)
    matched = set(part.matched)
    # Of `all`, what is missing is what one looks for; else what matches.
    first = "all" not in part.modifiers
    order = sorted(range(len(part.wanted)), key=lambda number: (number in matched) is not first)
    judged = len(part.wanted) <= MAX_VALUES
    shown = [
        (("✓ " if number in matched else "✗ ") if judged else "") + _quoted(part.wanted[number], _WIDTH)
        for number in order[:_SHOWN]
    ]
    more = len(part.wanted) - len(shown)
    return ", ".join(shown) + (f", … {more:,} more" if more > 0 else "")


def _quoted(text: str, columns: int) -> str:
    """Return a text in quotes, which show spaces at its ends."""
    return f"'{shortened(terminal_text(text), columns)}'"


def _as_json(each: Explanation, found: RuleToExplain) -> dict[str, Any]:
    rule = each.rule
    return {
        "rule": {
            "id": rule.id,
            "title": rule.title,
            "level": rule.level,
            "path": rule.path,
            "line": rule.line,
        },
        "event": {
            "view": each.event.view,
            "origin": each.event.origin or None,
            "assumed": each.event.assumed or None,
        },
        "verdict": _verdict(each, found),
        "hit": each.hit and found.disabled_by is None,
        "matches": each.matches,
        "disabled_by": None if found.disabled_by is None else found.disabled_by.text,
        "sources": [{"id": one.id, "fits": one.fits, "reason": one.reason or None} for one in each.sources],
        "source": each.source,
        "conditions": [_part(tree) for tree in each.conditions],
        "filters": [
            {
                "id": one.id,
                "title": one.title,
                "path": one.path,
                "line": one.line,
                "keeps": one.keeps,
                "conditions": [_part(tree) for tree in one.conditions],
            }
            for one in each.filters
        ],
    }


def _part(part: Part) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": part.kind, "text": part.text, "result": part.result}
    if part.wanted:
        found["wanted"] = list(part.wanted)
        found["matched"] = [part.wanted[number] for number in part.matched]
    if part.field is not None:
        found |= {"field": part.field, "modifiers": list(part.modifiers), "value": part.value}
        found["missing"] = part.value is None
    if part.children:
        found["parts"] = [_part(child) for child in part.children]
    return found
