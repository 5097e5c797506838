"""Test events of rules: events that a rule must hit, and near misses that it must not.

The events of `rule.yml` are in `rule.json` beside it, in a folder `tests` beside it, or in one of a folder
above it. Form (rules/README.md): `rule`, the id; `hits`, each with `name`, `table` and `event`, whose columns
are named and typed as a case stores them; `misses`, each with `name`, `like`, the name of a hit, and
`change`, the columns that differ, null removing one. A process event of Sysmon is tested a second time as
Windows' own 4688.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from detector.case.channels import view_of
from detector.engines import Engine
from detector.errors import RuleError
from detector.sigma.model import CompiledRule, RuleProblem
from detector.sigma.pack import load_pack
from detector.sigma.scan import scan
from detector.tables.network import FIREWALL_COLUMNS, VPN_COLUMNS
from detector.tables.windows import WINDOWS_COLUMNS

#: When the events happen that do not say it themselves.
_WHEN = datetime(2026, 1, 1, 3, 0, tzinfo=UTC)

_NETWORK = {"firewall": FIREWALL_COLUMNS, "vpn": VPN_COLUMNS}


@dataclass(frozen=True)
class TestEvent:
    """One event of a test file: its name, where it is stored, its columns, and whether it is a hit."""

    name: str
    table: str
    event: Mapping[str, Any]
    hit: bool

    __test__ = False


@dataclass(frozen=True)
class Verdict:
    """What became of a test event: `found` is whether the rule hit it, `expected` whether it must."""

    rule_id: str
    title: str
    path: str
    tests: str
    event: str
    expected: bool
    found: bool

    @property
    def passed(self) -> bool:
        """Whether the rule did what the test file says."""
        return self.expected is self.found

    def __str__(self) -> str:
        said = "was found" if self.found else "was not found"
        wanted = "" if self.passed else ", and must be" if self.expected else ", and must not be"
        return f"{self.path}: the event '{self.event}' {said}{wanted} ({self.tests})"


@dataclass(frozen=True)
class TestRun:
    """Verdicts on all events; rules that cannot be used, or whose test file is wrong; rules without tests."""

    verdicts: tuple[Verdict, ...]
    problems: tuple[RuleProblem, ...]
    untested: tuple[CompiledRule, ...]

    __test__ = False

    @property
    def failures(self) -> tuple[Verdict, ...]:
        """Verdicts that are not as the test files say."""
        return tuple(verdict for verdict in self.verdicts if not verdict.passed)


def tests_of(rule: Path) -> Path | None:
    """Return the test file of a rule file, None if it has none."""
    name = f"{rule.stem}.json"
    candidates = [rule.with_name(name), *(folder / "tests" / name for folder in rule.resolve().parents[:5])]
    return next((path for path in candidates if path.is_file()), None)


def read_tests(path: Path) -> tuple[str | None, list[TestEvent]]:
    """Return the id of the rule and its test events.

    Raises RuleError naming the file, and the line where JSON tells it.
    """
    try:
        given = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise RuleError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise RuleError(f"{path}: not UTF-8") from error
    except json.JSONDecodeError as error:
        raise RuleError(f"{path}:{error.lineno}:{error.colno}: no JSON: {error.msg}") from error
    try:
        return _events(given)
    except (KeyError, TypeError, AttributeError) as error:
        missing = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise RuleError(f"{path}: not the form of a test file: {missing}") from error


def _events(given: Mapping[str, Any]) -> tuple[str | None, list[TestEvent]]:
    hits = {
        hit["name"]: TestEvent(hit["name"], hit.get("table", "windows"), dict(hit["event"]), True)
        for hit in given["hits"]
    }
    found = list(hits.values())
    for miss in given.get("misses", []):
        base = hits[miss["like"]]
        changed = {**base.event, **miss["change"]}
        event = {name: value for name, value in changed.items() if value is not None}
        found.append(TestEvent(miss["name"], base.table, event, False))
    for each in found:
        if each.table not in ("windows", *_NETWORK):
            raise TypeError(f"table of '{each.name}': windows, firewall or vpn, not {each.table!r}")
        if each.table == "windows" and not isinstance(each.event.get("Channel"), str):
            raise TypeError(f"the event '{each.name}' has no Channel")
    rule = given.get("rule")
    return (rule if isinstance(rule, str) else None), found


def as_security_event(event: TestEvent) -> TestEvent | None:
    """Return a Sysmon process event as Windows' own 4688, which has fewer fields; None if it is none."""
    given = event.event
    if given.get("EventID") != 1 or "Sysmon" not in str(given.get("Channel")):
        return None
    changed = {
        "Channel": "Security",
        "Provider_Name": "Microsoft-Windows-Security-Auditing",
        "EventID": 4688,
        "NewProcessName": given.get("Image"),
        "CommandLine": given.get("CommandLine"),
        "ParentProcessName": given.get("ParentImage"),
    }
    return TestEvent(f"{event.name} (4688)", event.table, changed, event.hit)


def run_tests(paths: Iterable[Path], cache_folder: Path | None = None) -> TestRun:
    """Run the rules of files and folders over their test events, all in one scan."""
    pack = load_pack(paths, cache_folder)
    problems = list(pack.problems)
    wanted: list[tuple[CompiledRule, Path, TestEvent]] = []
    untested: list[CompiledRule] = []
    for rule in pack.rules:
        tests = tests_of(Path(rule.path))
        if tests is None:
            untested.append(rule)
            continue
        try:
            rule_id, events = read_tests(tests)
        except RuleError as error:
            problems.append(RuleProblem(rule.path, rule.line, 1, str(error), rule.id, rule.title))
            continue
        if rule_id is not None and rule_id.lower() != rule.id.lower():
            if not any(each.id.lower() == rule_id.lower() and each.path == rule.path for each in pack.rules):
                message = f"{tests}: its rule is {rule_id}, not {rule.id}"
                problems.append(RuleProblem(rule.path, rule.line, 1, message, rule.id, rule.title))
            else:
                untested.append(rule)
            continue
        wanted += [(rule, tests, event) for event in _both_logs(rule, events)]
    return TestRun(tuple(_verdicts(wanted)), tuple(problems), tuple(untested))


def _both_logs(rule: CompiledRule, events: Sequence[TestEvent]) -> Iterable[TestEvent]:
    for event in events:
        yield event
        if "security:process_creation" in rule.sources:
            other = as_security_event(event)
            if other is not None:
                yield other


def _verdicts(wanted: Sequence[tuple[CompiledRule, Path, TestEvent]]) -> Iterable[Verdict]:
    rules = list({id(rule): rule for rule, _, _ in wanted}.values())
    with Engine() as engine:
        store(engine, [event for _, _, event in wanted])
        # Filters and needs of the pack apply as they do in a scan.
        result = scan(engine, rules)
    columns = result.hits.select(["rule_id", "evidence_offset"]).to_pydict()
    hits = set(zip(columns["rule_id"], columns["evidence_offset"], strict=True))
    for number, (rule, tests, event) in enumerate(wanted):
        found = (rule.id, number) in hits
        yield Verdict(rule.id, rule.title, rule.path, str(tests), event.name, event.hit, found)


def store(engine: Engine, events: Sequence[TestEvent]) -> None:
    """Register events under the views in which a case has them; `evidence_offset` is the index."""
    by_view: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for number, each in enumerate(events):
        origin = {"site": "test", "evidence_id": "test", "evidence_offset": number, "evidence_record": number}
        row: dict[str, Any] = {**each.event, **origin}
        if each.table == "windows":
            row.setdefault("TimeCreated", _WHEN)
            row.setdefault("Computer", "TEST")
            by_view[view_of(row["Channel"])].append(row)
        else:
            row.setdefault("time", _WHEN)
            by_view[each.table].append(row)
    every = [row for view, rows in by_view.items() if view not in _NETWORK for row in rows]
    system = [{name: value for name, value in row.items() if name in WINDOWS_COLUMNS} for row in every]
    engine.register("windows", table_of(system, WINDOWS_COLUMNS))
    for view, rows in by_view.items():
        engine.register(view, table_of(rows, _NETWORK.get(view, WINDOWS_COLUMNS)))


def table_of(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, pa.DataType]) -> pa.Table:
    """Return rows as the case stores them: the columns of the schema, all else as text."""
    spelled = {name.lower(): name for name in columns}
    kinds = dict(columns)
    for row in rows:
        for name in row:
            if name.lower() not in spelled:
                spelled[name.lower()] = name
                kinds[name] = pa.string()
    data: dict[str, list[Any]] = {name: [None] * len(rows) for name in kinds}
    for number, row in enumerate(rows):
        for name, value in row.items():
            column = spelled[name.lower()]
            data[column][number] = _as(kinds[column], value)
    return pa.table({name: pa.array(values, kinds[name]) for name, values in data.items()})


def _as(kind: pa.DataType, value: Any) -> Any:
    """Return a value in the column's type, as an event pasted from JSON may not have it."""
    if value is None:
        return None
    if pa.types.is_timestamp(kind) and isinstance(value, str):
        return datetime.fromisoformat(value)
    if pa.types.is_string(kind) and not isinstance(value, str):
        return json.dumps(value) if isinstance(value, bool | list | dict) else str(value)
    return int(value) if pa.types.is_integer(kind) and isinstance(value, str) else value


def with_paths_below(run: TestRun, folder: Path) -> TestRun:
    """Return the run with paths below a folder made relative to it, for shorter lines."""

    def short(path: str) -> str:
        resolved = Path(path).resolve()
        return str(resolved.relative_to(folder)) if resolved.is_relative_to(folder) else path

    verdicts = tuple(replace(v, path=short(v.path), tests=short(v.tests)) for v in run.verdicts)
    return replace(run, verdicts=verdicts)
