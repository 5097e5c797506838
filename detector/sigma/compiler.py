"""A rule document to SQL, through pySigma; the only module besides the backend's that imports it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sigma.exceptions import SigmaError
from sigma.rule import SigmaRule, SigmaStatus
from sigma.rule.base import SigmaRuleBase

from detector.errors import RuleError
from detector.sigma.backend import DuckDBBackend
from detector.sigma.condition import parse, with_selections
from detector.sigma.logsources import WORDS, LogSource, source, sources_of, why_not_read
from detector.sigma.model import CompiledRule, Need, RuleDocument, RuleProblem, SkippedRule
from detector.sigma.modifiers import SelectionError
from detector.sigma.needs import any_of, need_of
from detector.sigma.quoting import literal
from detector.sigma.values import selection
from detector.tables.network import FIREWALL_COLUMNS, VPN_COLUMNS
from detector.tables.results import LEVELS
from detector.tables.windows import TIME, WINDOWS_COLUMNS

#: Rules are not run in these states, as the specification says of them.
_NOT_RUN = (SigmaStatus.DEPRECATED, SigmaStatus.UNSUPPORTED)

_SCHEMAS: dict[str, Mapping[str, Any]] = {
    "windows": WINDOWS_COLUMNS,
    "network": FIREWALL_COLUMNS | VPN_COLUMNS,
}

#: What pySigma raises on a value of an unforeseen type besides its own errors.
_FAILURES = (
    RuleError,
    SigmaError,
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    IndexError,
    NotImplementedError,
)


class _RuleError(Exception):
    def __init__(self, message: str, key: str) -> None:
        super().__init__(message)
        self.key = key


def compile_document(document: RuleDocument) -> CompiledRule | SkippedRule | RuleProblem:
    """Compile one rule; whatever is wrong with it is returned as a problem with its place."""
    data = document.data
    title = data.get("title") if isinstance(data.get("title"), str) else None
    rule_id = data.get("id") if isinstance(data.get("id"), str) else None
    name = data.get("name") if isinstance(data.get("name"), str) else None
    try:
        return _compile(document)
    except _Skipped as skipped:
        return SkippedRule(document.path, document.line, rule_id, title, str(skipped), name)
    except _RuleError as error:
        line, column = place_of(document, error.key)
        return RuleProblem(document.path, line, column, str(error), rule_id, title, name)
    except RecursionError:
        return RuleProblem(document.path, document.line, 1, "nested too deeply", rule_id, title, name)


def place_of(document: RuleDocument, key: str) -> tuple[int, int]:
    """Return line and column of a key, or of the nearest that contains it."""
    while key:
        if key in document.marks:
            return document.marks[key]
        key = key.rpartition(".")[0]
    return document.line, 1


class _Skipped(Exception):
    pass


def _compile(document: RuleDocument) -> CompiledRule:
    data = document.data
    _refuse_other_kinds(data)
    common = _common(data)
    if common["status"] in _NOT_RUN:
        raise _Skipped(f"status {data['status']}")
    taxonomy = data.get("taxonomy")
    if taxonomy not in (None, "sigma"):
        raise _Skipped(f"taxonomy {taxonomy}: only Sigma's own names of fields and log sources are known")
    logsource = _logsource(data)
    found = sources_of(logsource)
    conditions = _conditions(*_detections(data, document))
    if not found:
        raise _Skipped(why_not_read(logsource))
    kind = source(found[0]).kind
    where, columns, need = _expression(conditions, kind)
    level = str(data.get("level") or "informational").lower()
    return CompiledRule(
        id=str(common["id"]) if common["id"] else f"sha256-{document.sha256[:16]}-{document.line}",
        title=common["title"],
        level=level if level in LEVELS else "informational",
        status=str(data["status"]) if data.get("status") else None,
        tags=tuple(str(tag) for tag in data.get("tags") or ()),
        description=common["description"],
        author=common["author"],
        falsepositives=tuple(str(text) for text in data.get("falsepositives") or ()),
        path=document.path,
        line=document.line,
        sha256=document.sha256,
        sources=found,
        where=where,
        columns=columns,
        need=need,
        name=common["name"],
        logsource=(logsource.product, logsource.category, logsource.service),
    )


def _refuse_other_kinds(data: Mapping[str, Any]) -> None:
    if "correlation" in data:
        raise _RuleError("a document is either a rule or a correlation, not both", "correlation")
    if "filter" in data:
        raise _RuleError("a document is either a rule or a filter, not both", "filter")
    if "action" in data:
        raise _RuleError(
            "rule collections (action) are withdrawn from Sigma; write one whole document for each rule",
            "action",
        )


def _common(data: Mapping[str, Any]) -> dict[str, Any]:
    try:
        values, errors = SigmaRuleBase.from_dict_common_params.__func__(  # type: ignore[attr-defined]
            SigmaRule, dict(data), collect_errors=True
        )
    except _FAILURES as error:
        raise _RuleError(_text(error), "title") from error
    if errors:
        keys = [key for key in data if re.search(rf"\b{re.escape(key)}\b", str(errors[0]).lower())]
        key = "id" if "identifier" in str(errors[0]) else keys[0] if keys else "title"
        raise _RuleError(_text(errors[0]), key)
    return dict(values)


def _text(error: BaseException) -> str:
    message = str(error.args[0]) if error.args else type(error).__name__
    return message if isinstance(error, SigmaError | RuleError) else f"{type(error).__name__}: {message}"


def _logsource(data: Mapping[str, Any]) -> LogSource:
    given = data.get("logsource")
    if not isinstance(given, Mapping):
        raise _RuleError("a rule needs a logsource: a mapping of product, category, service", "logsource")
    names: dict[str, str | None] = {}
    for key in ("product", "category", "service"):
        value = given.get(key)
        if value is not None and not isinstance(value, str):
            raise _RuleError(f"{key} of a logsource is a text", "logsource")
        names[key] = value.lower() if value else None
    if not any(names.values()):
        raise _RuleError("a logsource needs a product, a category or a service", "logsource")
    return LogSource(names["product"], names["category"], names["service"])


def _detections(data: Mapping[str, Any], document: RuleDocument) -> tuple[dict[str, Any], list[str]]:
    """Return the trees of the selections by name, and the conditions."""
    given = data.get("detection")
    if not isinstance(given, Mapping):
        raise _RuleError("a rule needs a detection: a mapping of selections and a condition", "detection")
    if "timeframe" in given:
        raise _RuleError(
            "timeframe belongs to the withdrawn aggregation syntax; write a correlation rule",
            "detection.timeframe",
        )
    if "condition" not in given:
        raise _RuleError("a detection needs a condition", "detection")
    condition = given["condition"]
    listed = condition if isinstance(condition, list) else [condition]
    if not listed or any(not isinstance(text, str) for text in listed):
        raise _RuleError("a condition is a text, or a list of texts", "detection.condition")
    named = {name: value for name, value in given.items() if name != "condition"}
    if not named:
        raise _RuleError("a detection needs at least one selection", "detection")
    return {name: _selection(name, value, document) for name, value in named.items()}, listed


def _selection(name: Any, definition: Any, document: RuleDocument) -> Any:
    if not isinstance(name, str):
        raise _RuleError(f"the name {name!r} of a selection is no text; put it in quotes", "detection")
    try:
        return selection(definition, document.placeholders)
    except SelectionError as error:
        raise _RuleError(str(error), ".".join(("detection", name, *error.path))) from error
    except _FAILURES as error:
        raise _RuleError(_text(error), f"detection.{name}") from error


def _conditions(selections: Mapping[str, Any], listed: list[str]) -> list[Any]:
    """Return the tree of each condition."""
    try:
        return [with_selections(parse(text, tuple(selections)), selections) for text in listed]
    except RuleError as error:
        raise _RuleError(str(error), "detection.condition") from error


def _expression(conditions: list[Any], kind: str) -> tuple[str, tuple[tuple[str, str], ...], Need]:
    """Return SQL, the columns it reads, and the need of a rule that matches if one condition holds."""
    schema = _SCHEMAS[kind]
    integers = frozenset(name.lower() for name, type_ in schema.items() if str(type_) == "int64")
    times = frozenset(name.lower() for name, type_ in schema.items() if type_ == TIME)
    expressions: list[str] = []
    columns: set[tuple[str, str]] = set()
    for condition in conditions:
        backend = DuckDBBackend(integers, times, WORDS if kind == "network" else None)
        try:
            expressions.append(backend.expression(condition))
            for form, field in backend.columns:
                literal(form + field)
        except _FAILURES as error:
            raise _RuleError(_text(error), "detection") from error
        columns |= backend.columns
    where = expressions[0] if len(expressions) == 1 else " OR ".join(f"({each})" for each in expressions)
    # A device's words need not be the rule's, so that texts say nothing there.
    need = any_of([need_of(condition) for condition in conditions]) if kind == "windows" else None
    return where, tuple(sorted(columns)), need
