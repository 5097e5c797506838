"""What a site changes about rules without touching them: `detector.toml`, read, checked and applied.

Form: docs/tuning.md. Everything is optional; an unknown key or an id that no rule has is refused, since a
misspelt one would silently do nothing.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

from detector.errors import RuleError, TuningError
from detector.sigma.correlation.model import CompiledCorrelation, Correlation
from detector.sigma.filters import apply_filters, compile_filter, distinct
from detector.sigma.model import CompiledFilter, CompiledRule, Pack, RuleDocument, RuleProblem, SkippedRule
from detector.sigma.pack import default_cache_folder, default_rules_path, load_pack
from detector.sigma.placeholder_file import placeholders_from
from detector.sigma.placeholders import Placeholders
from detector.sigma.tuning_cache import cached_filters, keep_filters
from detector.tables.results import LEVELS

Rule = CompiledRule | Correlation
AnyRule = TypeVar("AnyRule", CompiledRule, Correlation)

#: Name of the file in a case folder.
FILE_NAME = "detector.toml"

#: What of a rule a pattern may look at; a selector without one of these words is an id or a name.
_SELECTED = ("tag", "path", "status", "level")

_FILTER_KEYS = frozenset(
    {
        "title", "id", "name", "description", "author", "date", "modified", "references", "license",
        "tags", "status", "falsepositives", "logsource", "filter",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Selector:
    """Which rules are meant: by `tag`, `path`, `status` or `level` that fit a pattern, or by id or name."""

    text: str
    line: int | None = None

    @property
    def kind(self) -> str:
        """Return the word before the colon, '' for an id or a name."""
        word = self.text.partition(":")[0]
        return word if word in _SELECTED and ":" in self.text else ""

    def fits(self, rule: Rule) -> bool:
        """Tell whether a rule is meant."""
        pattern = self.text.partition(":")[2].strip().lower()
        if self.kind == "tag":
            return any(fnmatchcase(tag.lower(), pattern) for tag in rule.tags)
        if self.kind == "path":
            shown = _document_of(rule).path.replace("\\", "/").lower()
            pattern = pattern.replace("\\", "/")
            return fnmatchcase(shown, pattern) or fnmatchcase(shown, f"*/{pattern}")
        if self.kind == "status":
            return (_document_of(rule).status or "").lower() == pattern
        if self.kind == "level":
            return rule.level == pattern
        return self.text.lower() in names_of(rule)


@dataclass(frozen=True)
class Tuning:
    """A detector.toml. `stages` are ids of stages of the chain that are not run; `documents` are the filters
    as they stand, by id.
    """

    path: str = ""
    sha256: str = ""
    disabled: tuple[Selector, ...] = ()
    levels: tuple[tuple[Selector, str], ...] = ()
    filters: tuple[CompiledFilter, ...] = ()
    placeholders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    stages: tuple[Selector, ...] = ()
    documents: Mapping[str, RuleDocument] = field(default_factory=dict)

    def error(self, message: str, line: int | None) -> TuningError:
        """Return an error with its place in the file."""
        return TuningError(f"{_place(self.path, line)}: {message}")


@dataclass(frozen=True)
class Tuned:
    """What was tuned away: rules by id and title, levels as (id, title, before, after), filters with the ids
    of the rules that they reached, stages; `unused` says what of the file fits no rule.
    """

    path: str = ""
    sha256: str = ""
    disabled: tuple[tuple[str, str], ...] = ()
    levels: tuple[tuple[str, str, str, str], ...] = ()
    filters: tuple[tuple[CompiledFilter, tuple[str, ...]], ...] = ()
    stages: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.disabled or self.levels or self.filters or self.stages or self.unused)

    def record(self, suppressed: Mapping[tuple[str, str], int]) -> dict[str, Any]:
        """Return it for a case to keep; suppressed: events by (filter, rule) that a filter left out."""
        return {
            "config": {"path": self.path, "sha256": self.sha256} if self.path else None,
            "disabled": [{"id": id_, "title": title} for id_, title in self.disabled],
            "levels": [
                {"id": id_, "title": title, "from": before, "to": after}
                for id_, title, before, after in self.levels
            ],
            "filters": [_filter_record(each, reached, suppressed) for each, reached in self.filters],
            "stages": list(self.stages),
            "unused": list(self.unused),
        }


def _filter_record(
    each: CompiledFilter, reached: Sequence[str], suppressed: Mapping[tuple[str, str], int]
) -> dict[str, Any]:
    by_rule = {rule: suppressed[each.id, rule] for rule in reached if suppressed.get((each.id, rule))}
    return {
        "id": each.id,
        "title": each.title,
        "path": each.path,
        "line": each.line,
        "sha256": each.sha256,
        "refers_to": list(each.rules) or "any",
        "rules": len(reached),
        "left_out": sum(by_rule.values()),
        "left_out_by_rule": by_rule,
    }


def names_of(rule: Rule) -> set[str]:
    """Return what a rule is called in references, in lower case."""
    document = _document_of(rule)
    return {document.id.lower(), (document.name or document.id).lower()}


def _document_of(rule: Rule) -> CompiledRule | CompiledCorrelation:
    return rule.rule if isinstance(rule, Correlation) else rule


def load_tuning(path: Path) -> Tuning:
    """Read a detector.toml; raises TuningError naming the file, the key, and the line if it can be told."""
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
        data = tomllib.loads(text)
    except OSError as error:
        raise TuningError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise TuningError(f"{path} is not UTF-8 (from byte {error.start}): save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise TuningError(_toml_error(path, text, str(error))) from error
    except RecursionError as error:
        raise TuningError(f"{path}: nested too deeply") from error
    return _Reader(str(path), hashlib.sha256(content).hexdigest(), text).tuning(data)


def case_tuning(case_folder: Path, given: Path | None) -> Tuning:
    """Return the tuning in the given file, else in the case's detector.toml; raises TuningError."""
    if given is not None:
        return load_tuning(given)
    path = case_folder / FILE_NAME
    try:
        there = path.exists()
    except OSError as error:
        raise TuningError(f"{path} cannot be read: {error.strerror or error}") from error
    return load_tuning(path) if there else Tuning()


def _toml_error(path: Path, text: str, message: str) -> str:
    """Move the place that tomllib names to the front: `file:line:column: message`."""
    found = re.search(r" \(at line (\d+), column (\d+)\)$", message)
    if found:
        return f"{path}:{found[1]}:{found[2]}: not TOML: {message[: found.start()]}"
    line = text.count("\n") + 1
    return f"{path}:{line}: not TOML: {message.replace(' (at end of document)', ' at the end of the file')}"


def _place(path: str, line: int | None) -> str:
    return path if line is None else f"{path}:{line}"


class _Reader:
    """Checks the tables of a file; tomllib tells no lines, so that they are looked up in its text."""

    def __init__(self, path: str, sha256: str, text: str) -> None:
        self._path, self._sha256 = path, sha256
        self._lines = text.splitlines()
        self._values: dict[str, tuple[str, ...]] = {}

    def tuning(self, data: Mapping[str, Any]) -> Tuning:
        self._known(data, "", ("rules", "filters", "placeholders", "stages"))
        rules = self._table(data, "rules")
        self._known(rules, "rules", ("disabled", "levels"))
        stages = self._table(data, "stages")
        self._known(stages, "stages", ("disabled",))
        self._values = dict(self._placeholders(self._table(data, "placeholders")))
        filters, documents = self._filters(data.get("filters", []))
        return Tuning(
            path=self._path,
            sha256=self._sha256,
            disabled=self._selectors(rules, "rules.disabled"),
            levels=tuple(self._levels(self._table(rules, "rules.levels"))),
            filters=filters,
            placeholders=self._values,
            stages=self._selectors(stages, "stages.disabled"),
            documents=documents,
        )

    def _error(self, message: str, line: int | None) -> TuningError:
        return TuningError(f"{_place(self._path, line)}: {message}")

    def _line(self, text: str) -> int | None:
        """Return the first line that has the text as a word or in quotes, comments left out."""
        word = re.compile(rf"(?<![\w.:*-]){re.escape(text)}(?![\w.:*-])")
        for number, line in enumerate(self._lines, start=1):
            if not line.lstrip().startswith("#") and word.search(line):
                return number
        return None

    def _known(
        self, table: Mapping[str, Any], name: str, keys: Iterable[str], line: int | None = None
    ) -> None:
        if unknown := sorted(set(table) - set(keys)):
            shown = f"{name}.{unknown[0]}" if name else unknown[0]
            where = line or self._line(unknown[0])
            raise self._error(f"unknown key {shown!r}; known are {', '.join(sorted(keys))}", where)

    def _table(self, data: Mapping[str, Any], name: str) -> dict[str, Any]:
        key = name.rpartition(".")[2]
        value = data.get(key, {})
        if not isinstance(value, dict):
            raise self._error(f"{name}: a table is expected, headed [{name}], not {value!r}", self._line(key))
        return value

    def _selectors(self, table: Mapping[str, Any], name: str) -> tuple[Selector, ...]:
        value = table.get(name.rpartition(".")[2], [])
        if not isinstance(value, list) or not all(isinstance(each, str) and each.strip() for each in value):
            message = f'{name}: a list of texts is expected, such as ["a", "b"], not {value!r}'
            raise self._error(message, self._line(name.rpartition(".")[2]))
        return tuple(Selector(each.strip(), self._line(each)) for each in dict.fromkeys(value))

    def _levels(self, table: Mapping[str, Any]) -> Iterator[tuple[Selector, str]]:
        for key, value in table.items():
            if not isinstance(value, str) or value.lower() not in LEVELS:
                listed = ", ".join(LEVELS)
                raise self._error(
                    f"rules.levels: {key!r} is to be one of {listed}, not {value!r}", self._line(key)
                )
            yield Selector(key.strip(), self._line(key)), value.lower()

    def _placeholders(self, table: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
        for name, value in table.items():
            try:
                found = placeholders_from({name: value})
            except RuleError as error:
                raise self._error(f"placeholders.{name}: {error}", self._line(name)) from error
            if not any(found.values()):
                raise self._error(f"placeholders.{name}: no value is given", self._line(name))
            yield from found.items()

    def _filters(self, given: Any) -> tuple[tuple[CompiledFilter, ...], dict[str, RuleDocument]]:
        if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
            line = self._line("filters")
            raise self._error("filters: a list of tables is expected, each headed [[filters]]", line)
        heads = [
            number
            for number, line in enumerate(self._lines, start=1)
            if re.match(r"\s*\[\[\s*[\"']?filters[\"']?\s*\]\]", line)
        ]
        lines = heads if len(heads) == len(given) else [self._line("filters") or 1] * len(given)
        documents = [self._document(each, index, lines[index]) for index, each in enumerate(given)]
        known = cached_filters(default_cache_folder(), self._key(), len(documents))
        # The path is that under which the file was named last; it is said with what a filter left out.
        found = tuple(replace(each, path=self._path) for each in known or ())
        if known is None:
            found = tuple(self._filter(document) for document in documents)
            keep_filters(default_cache_folder(), self._key(), found)
        for other in distinct(found)[1]:
            raise self._error(f"two filters have the id {other.rule_id}", other.line)
        return found, {each.id: document for each, document in zip(found, documents, strict=True)}

    def _key(self) -> str:
        return hashlib.sha256(f"toml {self._sha256}".encode()).hexdigest()

    def _document(self, data: dict[str, Any], index: int, line: int) -> RuleDocument:
        self._known(data, "filters", _FILTER_KEYS, line)
        # Its place in the file tells filters without id apart, so that two may have the same words.
        digest = hashlib.sha256(f"{index}\n{data!r}".encode()).hexdigest()
        return RuleDocument(self._path, line, data, digest, placeholders=Placeholders(self._values))

    def _filter(self, document: RuleDocument) -> CompiledFilter:
        outcome = compile_filter(document)
        if isinstance(outcome, CompiledFilter):
            return outcome
        reason = outcome.message if isinstance(outcome, RuleProblem) else f"not used: {outcome.reason}"
        title = document.data.get("title")
        shown = f" ({title})" if isinstance(title, str) else ""
        raise self._error(f"filters{shown}: {reason}", document.line)


def load_tuned_pack(paths: Sequence[Path], tuning: Tuning) -> tuple[Pack, Tuned]:
    """Load rules (the project's own pack if no paths are given) as a tuning wants them.

    Raises TuningError if it names a rule that there is not; a bad rule is a problem of the pack.
    """
    given = list(paths) or [default_rules_path()]
    pack = load_pack(given, default_cache_folder(), tuning.placeholders)
    return tune(pack, tuning, own=not paths)


def tune(pack: Pack, tuning: Tuning, own: bool = True) -> tuple[Pack, Tuned]:
    """Disable rules, set levels, and apply filters.

    own: the pack is the project's own. Where it is not, ids of the project's own rules may be named all the
    same: one file serves scans with different rules. Raises TuningError for an id that no rule has.
    """
    unused = tuple(_unused(pack, tuning, own))
    kept = [rule for rule in pack.rules if not any(each.fits(rule) for each in tuning.disabled)]
    gone = {rule.id for rule in pack.rules} - {rule.id for rule in kept}
    leveled = [with_level(rule, tuning) for rule in kept]
    correlations = _correlations(pack, tuning, gone)
    known = _known(pack)
    if not own and not {name.lower() for each in tuning.filters for name in each.rules} <= known:
        known |= _all_names(pack, own)
    of_correlations = {name for each in pack.correlations for name in names_of(each)}
    filtered = apply_filters(leveled, tuning.filters, known, of_correlations)
    before: list[Rule] = [*kept, *correlations]
    after: list[Rule] = [*leveled, *(with_level(each, tuning) for each in correlations)]
    tuned = Tuned(
        path=tuning.path,
        sha256=tuning.sha256,
        disabled=tuple(
            (_document_of(rule).id, _document_of(rule).title)
            for rule in _all_of(pack)
            if _document_of(rule).id in gone
        ),
        levels=tuple(
            (_document_of(new).id, _document_of(new).title, old.level, new.level)
            for old, new in zip(before, after, strict=True)
            if old.level != new.level
        ),
        filters=(
            *((each, tuple(rule for rule in reached if rule not in gone)) for each, reached in pack.filters),
            *filtered.applied,
        ),
        stages=tuple(sorted(each.text for each in tuning.stages)),
        unused=unused,
    )
    changed = replace(
        pack,
        rules=filtered.rules,
        problems=(*pack.problems, *filtered.problems),
        filters=tuned.filters,
        correlations=tuple(each for each in after if isinstance(each, Correlation)),
    )
    return changed, tuned


def _correlations(pack: Pack, tuning: Tuning, gone: set[str]) -> list[Correlation]:
    """Return the correlations that are run, and add the ids of the others to `gone`: those that are disabled,
    and those that count a rule that is.
    """
    kept: list[Correlation] = []
    for each in pack.correlations:  # those that others are made of first
        if any(one.fits(each) for one in tuning.disabled) or gone & {member.id for member in each.members}:
            gone.add(each.rule.id)
        else:
            kept.append(each)
    return kept


def _all_of(pack: Pack) -> list[Rule]:
    return [*pack.rules, *pack.correlations]


def with_level(rule: AnyRule, tuning: Tuning) -> AnyRule:
    """Set the level: an id or name beats patterns; among equals the last in the file counts."""
    fitting = [(bool(not each.kind), level) for each, level in tuning.levels if each.fits(rule)]
    if not fitting:
        return rule
    best = max(exact for exact, _ in fitting)
    return replace(rule, level=[level for exact, level in fitting if exact == best][-1])


def _known(pack: Pack) -> set[str]:
    """Return ids and names of all rules, run or not, in lower case."""
    listed: tuple[SkippedRule | RuleProblem, ...] = (*pack.skipped, *pack.problems)
    not_run = {name.lower() for each in listed for name in (each.rule_id, each.name) if name}
    return not_run | {name for rule in _all_of(pack) for name in names_of(rule)}


def _unused(pack: Pack, tuning: Tuning, own: bool) -> Iterator[str]:
    """Yield what fits no rule; raises TuningError if it is an id or name."""
    given = [*tuning.disabled, *(each for each, _ in tuning.levels)]
    known: set[str] | None = None
    for each in given:
        if any(each.fits(rule) for rule in _all_of(pack)):
            continue
        if not each.kind:
            known = _all_names(pack, own) if known is None else known
            if each.text.lower() not in known:
                near = get_close_matches(each.text.lower(), sorted(known), n=1, cutoff=0.8)
                hint = f"; did you mean {near[0]}?" if near else ""
                words = ", ".join(f"{word}:…" for word in _SELECTED)
                message = f"no rule has the id or name {each.text!r}{hint} (patterns are {words})"
                raise tuning.error(message, each.line)
            yield f"{_place(tuning.path, each.line)}: {each.text} is not among the rules that are run"
        else:
            yield f"{_place(tuning.path, each.line)}: {each.text} fits no rule"


def _all_names(pack: Pack, own: bool) -> set[str]:
    others = [] if own else [load_pack([default_rules_path()], default_cache_folder())]
    return {name for each in (pack, *others) for name in _known(each)}
