"""Check rule files: what the compiler, the specification, the validators and the logic say of each.

Findings about one file are kept in the cache folder by the content of the file, as compiled rules are.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson

from detector.sigma.check.detection import detection_findings, field_findings
from detector.sigma.check.model import Finding, Severity
from detector.sigma.check.places import Places, places_of
from detector.sigma.check.schema import Said, schema_findings
from detector.sigma.loader import parse_rule_file, read_rule_file, rule_files
from detector.sigma.logsources import LogSource
from detector.sigma.model import Pack, RuleDocument, RuleProblem
from detector.sigma.pack import cache_key, load_pack
from detector.sigma.placeholders import Values

#: pySigma's time doubles and more with each; public rules have three at most.
MAX_PARENTHESES = 6


@dataclass(frozen=True)
class CheckReport:
    """What a check found, with the pack that the same files make."""

    pack: Pack
    findings: tuple[Finding, ...]
    files: int

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Findings that are errors."""
        return tuple(each for each in self.findings if each.severity == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Findings that are warnings."""
        return tuple(each for each in self.findings if each.severity == "warning")

    def counts(self) -> Mapping[str, int]:
        """Return the number of findings by check, most frequent first."""
        counted = Counter(each.check for each in self.findings)
        return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def check_rules(
    paths: Iterable[Path], cache_folder: Path | None = None, placeholders: Values | None = None
) -> CheckReport:
    """Check the rules of files and folders; whatever is wrong with them is a finding, nothing raises.

    placeholders: values for the modifier expand, as a detector.toml gives them.
    """
    given = list(paths)
    pack = load_pack(given, cache_folder, placeholders)
    store = _Cache(cache_folder)
    found: list[Finding] = []
    heads: list[_Head] = []
    count = 0
    for path in rule_files(given):
        content = path if isinstance(path, RuleProblem) else read_rule_file(path)
        if isinstance(content, RuleProblem):
            continue  # which the pack says
        count += 1
        checked = store.get(content) or store.put(content, check_content(content, ""))
        found.extend(replace(each, path=str(path)) for each in checked[0])
        heads.extend(replace(head, path=str(path)) for head in checked[1])
    store.save()
    found.extend(_across(heads))
    found.extend(_of_problems(pack.problems, found))
    order = {"error": 0, "warning": 1}
    found.sort(key=lambda f: (f.path, f.line or 0, f.column or 0, order[f.severity], f.message))
    return CheckReport(pack, tuple(dict.fromkeys(found)), count)


def _of_problems(problems: Sequence[RuleProblem], found: Sequence[Finding]) -> Iterator[Finding]:
    """Yield the problems of the pack that no finding says better: an error in the same rule does."""
    said = {(each.path, each.title, each.rule_id) for each in found if each.severity == "error"}
    for each in problems:
        if (each.path, each.title, each.rule_id) not in said:
            yield Finding(
                each.path, each.line, each.column, "error", "compile", each.message, each.rule_id, each.title
            )


@dataclass(frozen=True)
class _Head:
    """What rules are compared by."""

    path: str
    title: str
    place: tuple[int, int]
    rule_id: str | None
    related: tuple[tuple[str, tuple[int, int]], ...]


Checked = tuple[list[Finding], list[_Head]]


def check_content(content: bytes, path: str) -> Checked:
    """Check the documents of one file, each by itself."""
    found: list[Finding] = []
    heads: list[_Head] = []
    places = places_of(content)
    for document in parse_rule_file(content, path):
        if isinstance(document, RuleDocument) and document.line in places:
            own = list(_document_findings(document, places[document.line]))
            found.extend(own)
            heads.append(_head(document, places[document.line]))
    return found, heads


def _head(document: RuleDocument, places: Places) -> _Head:
    data = document.data
    title, rule_id, related = data.get("title"), data.get("id"), data.get("related")
    listed = related if isinstance(related, list) else []
    return _Head(
        document.path,
        title if isinstance(title, str) else "",
        places.value("title"),
        rule_id.lower() if isinstance(rule_id, str) else None,
        tuple(
            (str(each.get("id")).lower(), places.value("related", index, "id"))
            for index, each in enumerate(listed)
            if isinstance(each, Mapping)
        ),
    )


def _document_findings(document: RuleDocument, places: Places) -> Iterator[Finding]:
    data = document.data
    rule_id, title = (data.get(key) if isinstance(data.get(key), str) else None for key in ("id", "title"))
    said = [("schema", each) for each in schema_findings(data, places)]
    said += [("detection", each) for each in detection_findings(data, places)]
    said += [("field", each) for each in field_findings(data, places)]
    if not any(severity == "error" for _, (severity, _, _) in said):
        said += _with_pysigma(data, places)
    for check, (severity, message, (line, column)) in said:
        shown: Severity = "error" if severity == "error" else "warning"
        yield Finding(document.path, line, column, shown, check, message, rule_id, title)


def _with_pysigma(data: Mapping[str, Any], places: Places) -> Iterator[tuple[str, Said]]:
    """Yield what needs the rule as pySigma reads it: validators and logic."""
    from sigma.exceptions import SigmaError
    from sigma.rule import SigmaRule

    from detector.sigma.check.logic import logic_problem
    from detector.sigma.check.validators import validator_findings

    if "detection" not in data or "correlation" in data or _too_deep(data["detection"]):
        return
    try:
        rule = SigmaRule.from_dict(dict(data))
        conditions = [each.parsed for each in rule.detection.parsed_condition]
    except (SigmaError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return  # what is right with us and not with pySigma, such as a selection called `notepad`
    for each in validator_findings(rule, places):
        yield "validator", each
    source = rule.logsource
    names = [each.lower() if each else None for each in (source.product, source.category, source.service)]
    problems = [logic_problem(each, LogSource(*names)) for each in conditions if each is not None]
    if problems and all(problems):
        yield "logic", ("warning", str(problems[0]), places.value("detection", "condition"))


def _too_deep(detection: Any) -> bool:
    """Tell whether a condition has more parentheses in each other than pySigma reads in acceptable time."""
    given = detection.get("condition") if isinstance(detection, Mapping) else None
    depth = deepest = 0
    for char in str(given):
        depth += (char == "(") - (char == ")")
        deepest = max(deepest, depth)
    return deepest > MAX_PARENTHESES


def _across(heads: Sequence[_Head]) -> Iterator[Finding]:
    """Yield what only the whole set shows: titles that several rules have."""
    by_title: dict[str, list[_Head]] = defaultdict(list)
    for head in heads:
        by_title[head.title.strip().lower()].append(head)
    for title, same in by_title.items():
        ids = {head.rule_id for head in same}
        for head in same[1:] if title and len(ids) > 1 else ():
            line, column = head.place
            message = f"the title is also that of {same[0].path}"
            yield Finding(head.path, line, column, "warning", "title", message, head.rule_id, head.title)


@cache
def _key() -> str:
    digest = hashlib.sha256(cache_key().encode())
    folder = files("detector.sigma.check")
    entries = [*folder.iterdir(), *folder.joinpath("data").iterdir()]
    for entry in sorted(entries, key=lambda each: each.name):
        if entry.is_file():
            digest.update(entry.name.encode() + b"\0" + entry.read_bytes())
    return digest.hexdigest()[:16]


class _Cache:
    """What was found in files, by the SHA-256 of their bytes."""

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / f"checks-{_key()}.jsonl"
        self._known: dict[str, Checked] = {}
        self._changed = False
        if self._path is not None:
            try:
                self._read(self._path.read_bytes())
            except OSError:
                self._known = {}

    def _read(self, content: bytes) -> None:
        for line in content.splitlines():
            try:
                sha256, found, heads = orjson.loads(line)
                self._known[sha256] = (
                    [Finding(**each) for each in found],
                    [_frozen_head(each) for each in heads],
                )
            except (orjson.JSONDecodeError, TypeError, ValueError, KeyError):
                continue

    def get(self, content: bytes) -> Checked | None:
        return self._known.get(hashlib.sha256(content).hexdigest())

    def put(self, content: bytes, checked: Checked) -> Checked:
        self._known[hashlib.sha256(content).hexdigest()] = checked
        self._changed = True
        return checked

    def save(self) -> None:
        if self._path is None or not self._changed:
            return
        lines = [
            orjson.dumps([sha256, [asdict(each) for each in found], [asdict(each) for each in heads]])
            for sha256, (found, heads) in self._known.items()
        ]
        temporary: str | None = None
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self._path.parent, prefix="checks-", suffix=".tmp")
            with os.fdopen(handle, "wb") as stream:
                stream.write(b"\n".join(lines) + b"\n")
            Path(temporary).replace(self._path)
            for other in self._path.parent.glob("checks-????????????????.jsonl"):
                if other != self._path:
                    other.unlink(missing_ok=True)
        except OSError:
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)


def _frozen_head(given: dict[str, Any]) -> _Head:
    related = tuple((each[0], (each[1][0], each[1][1])) for each in given["related"])
    place = (given["place"][0], given["place"][1])
    return _Head(given["path"], given["title"], place, given["rule_id"], related)


def as_json(report: CheckReport) -> dict[str, Any]:
    """Return a report as plain data."""
    result: dict[str, Any] = json.loads(
        orjson.dumps({"findings": [asdict(each) for each in report.findings], "counts": report.counts()})
    )
    return result
