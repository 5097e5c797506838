"""Rules to queries of other systems, through pySigma and its installed backends."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from sigma.collection import SigmaCollection
from sigma.exceptions import SigmaError
from sigma.plugins import InstalledSigmaPlugins
from sigma.processing.pipeline import ProcessingPipeline

from detector.errors import MissingExtraError, RuleError
from detector.sigma.check.words import nearest
from detector.sigma.loader import parse_rule_file, read_rule_file, rule_files
from detector.sigma.model import RuleDocument, RuleProblem

#: What brings the backends that this project is tested with.
INSTALL = "pip install 'pysigma-backend-splunk' 'pysigma-backend-elasticsearch'"

#: Failures of backends on rules they do not foresee, besides their own errors.
_FAILURES = (SigmaError, NotImplementedError, ValueError, TypeError, AttributeError, KeyError, IndexError)


@dataclass(frozen=True)
class Query:
    """The queries of one rule."""

    path: str
    line: int
    rule_id: str | None
    title: str | None
    queries: tuple[str, ...]


@dataclass
class Conversion:
    """What became of the rules: queries as they are made, and problems of those that could not be."""

    problems: list[RuleProblem] = field(default_factory=list)
    converted: int = 0


@cache
def plugins() -> Any:
    """Return the installed backends, pipelines and validators."""
    return InstalledSigmaPlugins.autodiscover()


def backends() -> Mapping[str, tuple[str, tuple[str, ...]]]:
    """Return installed backends: name -> (what it is for, its formats)."""
    return {
        name: (str(getattr(kind, "name", name)), tuple(getattr(kind, "formats", {"default": ""})))
        for name, kind in sorted(plugins().backends.items())
    }


def pipelines() -> tuple[str, ...]:
    """Return the names of the installed pipelines."""
    return tuple(sorted(plugins().pipelines))


def make_backend(name: str, pipeline_names: Iterable[str], output_format: str | None) -> Any:
    """Return a backend with its pipelines.

    Raises MissingExtraError if no backend is installed, RuleError if there is none of this name, pipeline or
    format, both saying which there are.
    """
    known = plugins().backends
    if not known:
        raise MissingExtraError(f"no backend of pySigma is installed: {INSTALL}")
    if name not in known:
        raise RuleError(_unknown("backend", name, known) + f"; others come with pip: {INSTALL}")
    formats = getattr(known[name], "formats", {})
    if output_format is not None and output_format not in formats:
        raise RuleError(_unknown(f"format of {name}", output_format, formats))
    return known[name](processing_pipeline=_pipeline(pipeline_names))


def _pipeline(names: Iterable[str]) -> ProcessingPipeline | None:
    made: list[ProcessingPipeline] = []
    for name in names:
        path = Path(name)
        try:
            if name in plugins().pipelines:
                found = plugins().pipelines[name]
                made.append(found() if inspect.isfunction(found) or callable(found) else found)
            elif path.suffix in (".yml", ".yaml") and path.is_file():
                made.append(ProcessingPipeline.from_yaml(path.read_text(encoding="utf-8")))
            else:
                raise RuleError(_unknown("pipeline", name, plugins().pipelines) + "; or give a YAML file")
        except (OSError, UnicodeDecodeError, *_FAILURES) as error:
            raise RuleError(f"the pipeline {name} cannot be used: {error}") from error
    if not made:
        return None
    whole = made[0]
    for each in made[1:]:
        whole += each
    return whole


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    listed = sorted(known)
    found = nearest(name, listed)
    meant = f"; did you mean '{found}'?" if found else ""
    return f"no {what} '{name}'{meant}; there are {', '.join(listed) or 'none'}"


def convert(
    paths: Iterable[Path], backend: Any, output_format: str | None, result: Conversion
) -> Iterator[Query]:
    """Yield the queries of each rule; a rule that cannot be converted is a problem of `result`.

    Other formats than the default are documents (saved searches, a file for import): there the whole of the
    rules that can be converted makes one query.
    """
    whole: list[RuleDocument] = []
    for group in _groups(paths, result):
        query = _convert(group, backend, output_format, result)
        if query is not None:
            result.converted += len(group)
            if output_format in (None, "default"):
                yield query
            else:
                whole += group
    if whole:
        made = _convert(whole, backend, output_format, result)
        if made is not None:
            yield made


def _groups(paths: Iterable[Path], result: Conversion) -> Iterator[list[RuleDocument]]:
    """Yield the rules one by one, but those of a file together that may refer to each other."""
    for path in rule_files(paths):
        content = path if isinstance(path, RuleProblem) else read_rule_file(path)
        if isinstance(content, RuleProblem):
            result.problems.append(content)
            continue
        documents: list[RuleDocument] = []
        for found in parse_rule_file(content, str(path)):
            if isinstance(found, RuleProblem):
                result.problems.append(found)
            else:
                documents.append(found)
        if any("correlation" in each.data or "filter" in each.data for each in documents):
            yield documents
        else:
            yield from ([each] for each in documents)


def _convert(
    documents: list[RuleDocument], backend: Any, output_format: str | None, result: Conversion
) -> Query | None:
    first = documents[0]
    names = [first.data.get(key) for key in ("id", "title")]
    rule_id, title = (name if isinstance(name, str) else None for name in names)
    try:
        collection = SigmaCollection.from_dicts([dict(each.data) for each in documents])
        made = backend.convert(collection, output_format or "default")
    except _FAILURES as error:
        message = str(error.args[0]) if error.args else type(error).__name__
        name = getattr(backend, "name", type(backend).__name__)
        text = f"not converted by {name}: {message}"
        result.problems.append(RuleProblem(first.path, first.line, 1, text, rule_id, title))
        return None
    listed = made if isinstance(made, list) else [made]
    return Query(first.path, first.line, rule_id, title, tuple(str(each) for each in listed))
