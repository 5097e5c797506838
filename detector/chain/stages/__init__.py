"""Stages as files: `<step>_<what>.sql`, a header of `-- key: value` lines and one SELECT (docs/stages.md)."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

from detector.case.sql_views import SqlFile, parse_sql_file
from detector.engines import check_read_only
from detector.errors import QueryError, StageError
from detector.tables.results import LEVELS
from detector.tables.steps import STEP_IDS

Value = int | float | str | bool

_REQUIRED = ("stage", "step", "techniques", "level", "finds", "blind", "needs")
_TECHNIQUE = re.compile(r"T\d{4}(\.\d{3})?")
_PARAMETER = re.compile(r"^--\s*parameter:\s*(\w+)\s*=\s*(\S+)\s+(.+)$")
_PLACEHOLDER = re.compile(r"\$(\w+)")
_TEXT_LITERAL = re.compile(r"'(?:[^']|'')*'")

#: Placeholders that every stage may use without declaring them; `run_stages` fills them.
COMMON_PARAMETERS = frozenset({"time_zone"})


@dataclass(frozen=True)
class Parameter:
    """A number or word that a stage decides by: its default and why it is that."""

    name: str
    default: Value
    why: str


@dataclass(frozen=True)
class Stage:
    """One stage: what it finds, where it belongs, what it reads, and its SQL.

    `level` is given to rows that name none. `blind` says what the stage cannot see if a log is missing.
    """

    id: str
    step: str
    techniques: tuple[str, ...]
    level: str
    finds: str
    blind: str
    parameters: tuple[Parameter, ...]
    sql: SqlFile

    def values(self, overrides: Mapping[str, Any], common: Mapping[str, Value]) -> dict[str, Value]:
        """Return a value for each placeholder of the SQL; raises StageError for a wrong override."""
        known = {parameter.name: parameter.default for parameter in self.parameters}
        for name, value in overrides.items():
            if name not in known:
                offer = ", ".join(sorted(known)) or "none"
                raise StageError(f"stages.{self.id}: no parameter {name!r}; it has: {offer}")
            known[name] = _fitting(f"stages.{self.id}.{name}", value, known[name])
        used = _placeholders(self.sql.body)
        return {name: value for name, value in {**common, **known}.items() if name in used}


def parse_stage(name: str, text: str) -> Stage:
    """Read a stage from the text of its file; raises StageError that names the file and what is wrong."""
    stage = _read_stage(name, text)
    try:
        check_read_only(stage.sql.body)
    except QueryError as error:
        raise StageError(f"{name}: {error}") from error
    return stage


def _read_stage(name: str, text: str) -> Stage:
    sql = parse_sql_file(name, text)
    header = sql.header
    for key in _REQUIRED:
        if not header.get(key):
            raise StageError(f"{name}: its header lacks '{key}'")
    stage_id = name.removesuffix(".sql")
    if header["stage"] != stage_id:
        raise StageError(f"{name}: its header calls it {header['stage']!r}")
    if header["step"] not in STEP_IDS or not stage_id.startswith(header["step"] + "_"):
        raise StageError(
            f"{name}: step {header['step']!r} is unknown or not the beginning of the file's name"
        )
    if header["level"] not in LEVELS:
        raise StageError(f"{name}: level {header['level']!r} is none of {', '.join(LEVELS)}")
    techniques = tuple(part.strip() for part in header["techniques"].split(",") if part.strip())
    if wrong := [technique for technique in techniques if not _TECHNIQUE.fullmatch(technique)]:
        raise StageError(f"{name}: {wrong[0]!r} is not an ATT&CK technique such as T1021.001")
    parameters = tuple(_parameters(name, text))
    _check_body(name, sql, parameters)
    return Stage(
        stage_id,
        header["step"],
        techniques,
        header["level"],
        header["finds"],
        header["blind"],
        parameters,
        replace(sql, name=stage_id),
    )


@cache
def load_stages() -> tuple[Stage, ...]:
    """Return the stages of the package, ordered by id; raises StageError if a header is wrong.

    Their SQL, which a test parses, is not parsed here: that is done once more when it runs.
    """
    folder = files("detector.chain.stages")
    return tuple(
        _read_stage(entry.name, entry.read_text(encoding="utf-8"))
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".sql")
    )


def needs_of(stages: Iterable[Stage]) -> dict[str, frozenset[str]]:
    """Return the base views and columns that these stages read, as `Case.connect` takes them."""
    needs: dict[str, frozenset[str]] = {}
    for stage in stages:
        for view, columns in stage.sql.needs.items():
            needs[view] = needs.get(view, frozenset()) | columns
    return needs


def _parameters(name: str, text: str) -> Iterable[Parameter]:
    lines = [line for line in text.splitlines() if line.startswith("--")]
    for number, line in enumerate(lines):
        if not (found := _PARAMETER.match(line)):
            continue
        why = [found[3]]
        for more in lines[number + 1 :]:
            if re.match(r"^--\s*\w+:", more):
                break
            why.append(more.lstrip("- ").strip())
        try:
            value = tomllib.loads(f"value = {found[2]}")["value"]
        except tomllib.TOMLDecodeError as error:
            raise StageError(f"{name}: parameter {found[1]}: {found[2]!r} is not a TOML value") from error
        if not isinstance(value, Value):
            raise StageError(f"{name}: parameter {found[1]} must be a number, a truth value or a text")
        yield Parameter(found[1], value, " ".join(why))


def _check_body(name: str, sql: SqlFile, parameters: tuple[Parameter, ...]) -> None:
    declared = {parameter.name for parameter in parameters}
    used = _placeholders(sql.body) - COMMON_PARAMETERS
    if declared != used:
        odd = ", ".join(sorted(declared ^ used))
        raise StageError(f"{name}: parameters declared in the header and used in the SQL differ: {odd}")


def _placeholders(body: str) -> set[str]:
    """Return the names behind `$` in the SQL, not those inside text literals."""
    return set(_PLACEHOLDER.findall(_TEXT_LITERAL.sub("''", body)))


def _fitting(key: str, value: Any, default: Value) -> Value:
    wanted = type(default)
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        raise StageError(f"{key}: {value!r} is not a {wanted.__name__} as the default {default!r} is")
    return value
