"""A correlation rule: as its document says it, and with its references found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

#: A condition over rules: ("rule", position) | ("absent", position) | ("not", …) | ("and" | "or", …, …).
Expression = tuple[Any, ...]

#: Types that compare a number drawn from `field`.
MEASURES = frozenset({"value_sum", "value_avg", "value_percentile", "value_median"})
TEMPORAL = frozenset({"temporal", "temporal_ordered"})
TYPES = ("event_count", "value_count", "temporal", "temporal_ordered", *sorted(MEASURES))


@dataclass(frozen=True)
class CompiledCorrelation:
    """A correlation rule by itself; its references are not looked up.

    `rules` are ids or names as written, `aliases` (alias, ((reference, field), …)), `timespan` microseconds,
    `bounds` (operator, number as decimal text), all of which must hold, `fields` those of `field`,
    `percentile` 0 to 100, `expression` the boolean condition of a temporal rule over positions in `rules`.
    `places` has (key, line, column) of the keys below `correlation`, for messages. `level` is None if the
    document says none.
    """

    id: str
    title: str
    level: str | None
    status: str | None
    tags: tuple[str, ...]
    description: str | None
    author: str | None
    falsepositives: tuple[str, ...]
    path: str
    line: int
    sha256: str
    name: str | None
    type: str
    rules: tuple[str, ...]
    aliases: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    group_by: tuple[str, ...]
    timespan: int
    bounds: tuple[tuple[str, str], ...]
    fields: tuple[str, ...]
    percentile: float | None
    expression: Expression | None
    generate: bool
    places: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class Member:
    """A rule or correlation that a correlation counts: its id, and where it finds each field there.

    `fields`: name in the correlation -> name in the member's events, both in lower case.
    """

    id: str
    is_correlation: bool
    fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Correlation:
    """A correlation rule that can run.

    `level` and `tags` are its own, or else the highest and all of those of its rules. `needed` are the fields
    that correlations of it ask for. If not `reported`, it serves other correlations only.
    """

    rule: CompiledCorrelation
    members: tuple[Member, ...]
    level: str
    tags: tuple[str, ...]
    reported: bool = True
    needed: tuple[str, ...] = field(default=())
