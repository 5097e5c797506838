"""A pack of compiled rules, from files and a cache of what was compiled before.

The cache is one file of JSON lines in the user's cache folder; its name carries the version of this tool, of
pySigma and of the modules here, each line the SHA-256 of a rule file and what came of it. It only saves
time: if it is missing, damaged or cannot be written, rules are compiled again. pySigma is imported only if a
file is not in it.
"""

from __future__ import annotations

import gc
import hashlib
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson

from detector import __version__
from detector.sigma.correlation.document import compile_correlation, is_correlation
from detector.sigma.correlation.model import CompiledCorrelation
from detector.sigma.correlation.resolve import resolve
from detector.sigma.filters import apply_filters, compile_filter, distinct, is_filter
from detector.sigma.loader import parse_rule_file, read_rule_file, rule_files
from detector.sigma.model import CompiledFilter, CompiledRule, Pack, RuleDocument, RuleProblem, SkippedRule
from detector.sigma.placeholders import Placeholders, Values

Outcome = CompiledRule | CompiledCorrelation | CompiledFilter | SkippedRule | RuleProblem

#: Rule files that the cache holds at most; those used last stay.
MAX_CACHED_FILES = 20_000

_KINDS: dict[str, type[Outcome]] = {
    "rule": CompiledRule,
    "correlation": CompiledCorrelation,
    "filter": CompiledFilter,
    "skipped": SkippedRule,
    "problem": RuleProblem,
}


def default_cache_folder() -> Path | None:
    """Return the folder for caches of this platform, None if it cannot be found out.

    DETECTOR_CACHE_DIR overrides it.
    """
    given = os.environ.get("DETECTOR_CACHE_DIR")
    if given:
        return Path(given)
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return Path(local) / "lateral-movement-detector" / "cache" if local else None
    if sys.platform == "darwin":
        base = Path("~/Library/Caches")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    try:
        return base.expanduser() / "lateral-movement-detector"
    except RuntimeError:
        return None


def default_rules_path() -> Path:
    """Return the folder of the project's own rules: rules/ of a checkout, else the package's copy."""
    checkout = Path(__file__).parents[2] / "rules"
    if checkout.is_dir() and (checkout.parent / "pyproject.toml").is_file():
        return checkout
    return Path(str(files("detector"))) / "_rules"


def load_pack(
    paths: Iterable[Path], cache_folder: Path | None = None, placeholders: Values | None = None
) -> Pack:
    """Load and compile rules from files and folders; nothing in them raises.

    cache_folder: where compiled rules are kept; None: nowhere. `default_cache_folder` gives the usual one.
    placeholders: what the modifier expand puts in, as `detector.sigma.placeholder_file` reads it.
    """
    values = placeholders or {}
    store = _Cache(cache_folder, values)
    with _no_garbage_collection():
        return assemble(_outcomes(paths, store, values))


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Hold off the search for circles while many small objects are made, none of them in a circle."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _outcomes(paths: Iterable[Path], store: _Cache, values: Values) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for path in rule_files(paths):
        content = path if isinstance(path, RuleProblem) else read_rule_file(path)
        if isinstance(content, RuleProblem):
            outcomes.append(content)
            continue
        sha256 = hashlib.sha256(content).hexdigest()
        found = store.get(sha256)
        if found is None:
            used = Placeholders(values)
            found = compile_outcomes(content, str(path), used)
            store.put(sha256, found, used.digests())
        shown = str(path)
        outcomes.extend(
            outcome if outcome.path == shown else replace(outcome, path=shown) for outcome in found
        )
    store.save()
    return outcomes


def compile_text(content: bytes, path: str) -> Pack:
    """Compile the rules of one file's bytes."""
    return assemble(compile_outcomes(content, path))


def compile_outcomes(content: bytes, path: str, placeholders: Placeholders | None = None) -> list[Outcome]:
    """Compile the documents of one file's bytes; a problem says what to write instead."""
    from detector.sigma.check.diagnose import diagnose
    from detector.sigma.compiler import compile_document

    values = placeholders or Placeholders()

    def outcome(document: RuleDocument) -> Outcome:
        if is_correlation(document.data):
            return compile_correlation(document)
        return compile_filter(document) if is_filter(document.data) else compile_document(document)

    return [
        outcome(replace(found, placeholders=values))
        if isinstance(found, RuleDocument)
        else diagnose(found, content)
        for found in parse_rule_file(content, path)
    ]


def assemble(outcomes: Sequence[Outcome]) -> Pack:
    """Make a pack of what came of files: one rule for each id, filters applied, correlations resolved."""
    rules: dict[str, list[CompiledRule | CompiledCorrelation]] = defaultdict(list)
    skipped = [outcome for outcome in outcomes if isinstance(outcome, SkippedRule)]
    problems = [outcome for outcome in outcomes if isinstance(outcome, RuleProblem)]
    for outcome in outcomes:
        if isinstance(outcome, CompiledRule | CompiledCorrelation):
            rules[outcome.id.lower()].append(outcome)
    kept: list[CompiledRule] = []
    correlations: list[CompiledCorrelation] = []
    for same in rules.values():
        first, *others = sorted(same, key=lambda rule: (rule.path, rule.line))
        if isinstance(first, CompiledRule):
            kept.append(first)
        else:
            correlations.append(first)
        for other in others:
            if (other.sha256, other.line) == (first.sha256, first.line):
                reason = f"a copy of {first.path}"
                skipped.append(SkippedRule(other.path, other.line, other.id, other.title, reason))
            else:
                message = f"the id {other.id} is already that of {first.path}:{first.line}"
                problems.append(RuleProblem(other.path, other.line, 1, message, other.id, other.title))
    filters, twice = distinct(outcome for outcome in outcomes if isinstance(outcome, CompiledFilter))
    skipped.extend(each for each in twice if isinstance(each, SkippedRule))
    problems.extend(each for each in twice if isinstance(each, RuleProblem))
    not_run: list[SkippedRule | RuleProblem] = [*skipped, *problems]
    known = {name.lower() for each in not_run for name in (each.rule_id, each.name) if name}
    of_correlations = {name.lower() for each in correlations for name in (each.id, each.name) if name}
    kept.sort(key=lambda rule: (rule.path, rule.line))
    filtered = apply_filters(kept, filters, known, of_correlations)
    problems.extend(filtered.problems)
    resolved = resolve(filtered.rules, correlations, skipped, problems)
    skipped.extend(resolved.skipped)
    problems.extend(resolved.problems)
    return Pack(
        rules=filtered.rules,
        skipped=tuple(sorted(skipped, key=lambda rule: (rule.path, rule.line))),
        problems=tuple(sorted(problems, key=lambda each: (each.path, each.line or 0, each.column or 0))),
        filters=filtered.applied,
        correlations=resolved.correlations,
    )


@cache
def cache_key() -> str:
    """Return a text that changes with everything that decides what a rule compiles to."""
    digest = hashlib.sha256(__version__.encode("utf-8"))
    for name in ("pysigma", "pyyaml"):
        try:
            digest.update(f"{name} {version(name)}".encode())
        except PackageNotFoundError:
            digest.update(f"{name} unknown".encode())
    for package in ("detector.sigma", "detector.sigma.correlation", "detector.sigma.check"):
        for entry in sorted(files(package).iterdir(), key=lambda each: each.name):
            if entry.name.endswith(".py"):
                digest.update(entry.name.encode("utf-8") + b"\0" + entry.read_bytes())
    return digest.hexdigest()[:16]


class _Cache:
    """What came of rule files, by SHA-256 of their bytes, and with which values of placeholders."""

    def __init__(self, folder: Path | None, placeholders: Values) -> None:
        self._placeholders = Placeholders(placeholders)
        self._path = None if folder is None else folder / f"rules-{cache_key()}.jsonl"
        self._known = self._load()
        self._used: dict[str, bytes] = {}
        self._changed = False

    def get(self, sha256: str) -> list[Outcome] | None:
        line = self._known.get(sha256)
        found = None if line is None else _decode(line, self._placeholders)
        if line is not None and found is not None:
            self._used[sha256] = line
        return found

    def put(self, sha256: str, outcomes: list[Outcome], placeholders: dict[str, str]) -> None:
        """Keep what came of a file, with a digest of each placeholder's values that it asked for."""
        if self._path is not None:
            self._used[sha256] = _encode(sha256, outcomes, placeholders)
        self._changed = True

    def save(self) -> None:
        """Write the cache anew if it grew; a cache that cannot be written is no error."""
        if self._path is None or not self._changed:
            return
        lines = list(self._used.values())
        others = [line for sha256, line in self._known.items() if sha256 not in self._used]
        lines = others[: max(0, MAX_CACHED_FILES - len(lines))] + lines
        temporary: str | None = None
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self._path.parent, prefix="rules-", suffix=".tmp")
            with os.fdopen(handle, "wb") as stream:
                stream.write(b"\n".join(lines) + b"\n")
            Path(temporary).replace(self._path)
            self._forget_old_versions()
        except OSError:
            if temporary is not None and Path(temporary).exists():
                _remove(Path(temporary))

    def _forget_old_versions(self) -> None:
        if self._path is not None:
            for other in self._path.parent.glob("rules-????????????????.jsonl"):
                if other != self._path:
                    _remove(other)

    def _load(self) -> dict[str, bytes]:
        if self._path is None:
            return {}
        try:
            content = self._path.read_bytes()
        except OSError:
            return {}
        known: dict[str, bytes] = {}
        for line in content.split(b"\n"):
            # {"sha256":"…64 digits…",…
            if line.startswith(b'{"sha256":"') and line.endswith(b"}"):
                known[line[11:75].decode("ascii", "replace")] = line
        return known


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError:
        return  # another process uses it, or did the same


def _encode(sha256: str, outcomes: list[Outcome], placeholders: dict[str, str]) -> bytes:
    names = {kind: name for name, kind in _KINDS.items()}
    listed = [{"kind": names[type(outcome)], **asdict(outcome)} for outcome in outcomes]
    return orjson.dumps({"sha256": sha256, "placeholders": placeholders, "outcomes": listed})


def _decode(line: bytes, placeholders: Placeholders) -> list[Outcome] | None:
    try:
        entry = orjson.loads(line)
        if any(placeholders.digest(name) != digest for name, digest in entry["placeholders"].items()):
            return None
        return [_outcome(given) for given in entry["outcomes"]]
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return None


def _outcome(given: dict[str, Any]) -> Outcome:
    kind = _KINDS[given.pop("kind")]
    return kind(**{key: _frozen(value) for key, value in given.items()})


def _frozen(value: Any) -> Any:
    return tuple([_frozen(each) for each in value]) if type(value) is list else value
