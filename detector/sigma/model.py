"""What a rule is on its way from a file to a hit: problem, document, compiled rule, pack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from detector.sigma.correlation.model import Correlation
from detector.sigma.placeholders import Placeholders

#: A necessary condition of a rule, for the prefilter. None: nothing is known, the rule may always match.
#: ("and" | "or", need, …) · ("id", number, …): the event has one of these EventIDs · ("has", field, text):
#: the lower-case field contains this text.
Need = tuple[Any, ...] | None


@dataclass(frozen=True)
class RuleProblem:
    """Why a rule, or a file of rules, cannot be used; line and column count from 1."""

    path: str
    line: int | None
    column: int | None
    message: str
    rule_id: str | None = None
    title: str | None = None
    name: str | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.path, self.line, self.column) if part is not None)
        return f"{place}: {self.message}"


@dataclass(frozen=True)
class SkippedRule:
    """A rule that is right but is not run, and why."""

    path: str
    line: int
    rule_id: str | None
    title: str | None
    reason: str
    name: str | None = None


@dataclass(frozen=True)
class RuleDocument:
    """One YAML document of a rule file.

    `marks` has the place (line, column) of each key of the document, and of the keys below `detection`,
    `filter` and `correlation` as `detection.<key>.<key>`; entries of lists count from 0.
    `placeholders` are what the modifier expand puts in.
    """

    path: str
    line: int
    data: Mapping[str, Any]
    sha256: str
    marks: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    placeholders: Placeholders = field(default_factory=Placeholders, compare=False)


@dataclass(frozen=True)
class RuleFilter:
    """A filter that was added to a rule; an event for which `where` is not true is left out."""

    id: str
    title: str
    where: str


@dataclass(frozen=True)
class CompiledRule:
    """A rule as SQL.

    `where` is a boolean expression over the columns that `detector.sigma.scan` provides for a log source:
    for a field F of the rule `"f"` (as stored), `"text(f)"` and `"lower(f)"`; `"texts()"` and `"lowers()"`
    are lists of all text fields of the event. `columns` names those it reads, as (form, field) pairs.
    `sources` are ids in `detector.sigma.logsources`. `sha256` is that of the file's bytes. `name` is what
    other documents may refer to it by besides the id; `logsource` is (product, category, service).
    With `filters` (`detector.sigma.filters`), `where` contains them and `unfiltered` is the rule's own.
    """

    id: str
    title: str
    level: str
    status: str | None
    tags: tuple[str, ...]
    description: str | None
    author: str | None
    falsepositives: tuple[str, ...]
    path: str
    line: int
    sha256: str
    sources: tuple[str, ...]
    where: str
    columns: tuple[tuple[str, str], ...]
    need: Need
    name: str | None = None
    logsource: tuple[str | None, str | None, str | None] = (None, None, None)
    unfiltered: str = ""
    filters: tuple[RuleFilter, ...] = ()


#: A filter's condition as SQL: (kind of log source, where, columns), the last two as of a rule.
FilterTest = tuple[str, str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class CompiledFilter:
    """A Sigma global filter as SQL, for each kind of log source that it may reach.

    `logsource` is (product, category, service); `rules` are ids and names, none meaning any rule.
    """

    id: str
    title: str
    path: str
    line: int
    sha256: str
    logsource: tuple[str | None, str | None, str | None]
    rules: tuple[str, ...]
    tests: tuple[FilterTest, ...]


@dataclass(frozen=True)
class Pack:
    """Rules that can run, those that are not run, and what is wrong with the others, in order of path.

    `filters` have been applied to `rules`: each with the ids of the rules that it reached. `correlations`
    refer to `rules` and to each other, those that others are made of first.
    """

    rules: tuple[CompiledRule, ...]
    skipped: tuple[SkippedRule, ...] = ()
    problems: tuple[RuleProblem, ...] = ()
    filters: tuple[tuple[CompiledFilter, tuple[str, ...]], ...] = ()
    correlations: tuple[Correlation, ...] = ()
