"""What a check says of a rule: a finding with its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """One thing to change, as `path:line:column: severity: message [check]`, which editors parse.

    error: the rule is not run, or breaks the specification; warning: it probably does not do what was
    meant. `check` names what found it. Line and column count from 1.
    """

    path: str
    line: int | None
    column: int | None
    severity: Severity
    check: str
    message: str
    rule_id: str | None = None
    title: str | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.path, self.line, self.column) if part is not None)
        return f"{place}: {self.severity}: {self.message} [{self.check}]"
