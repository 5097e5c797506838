"""What `%name%` stands for in values with the modifier `expand`.

https://sigmahq.io/sigma-specification/specification/sigma-rules-specification.html#placeholders
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from detector.errors import RuleError

Values = Mapping[str, tuple[str, ...]]


class Placeholders:
    """Values of placeholders by name; `used` notes the names that were asked for, whether known or not."""

    def __init__(self, values: Values | None = None) -> None:
        self.values: Values = values or {}
        self.used: set[str] = set()

    def of(self, name: str) -> tuple[str, ...]:
        """Return the values of a placeholder; raises RuleError if it has none."""
        self.used.add(name)
        found = self.values.get(name, ())
        if not found:
            known = ", ".join(sorted(self.values)[:10])
            given = f"those given are {known}" if known else "give a file of values with --placeholders"
            raise RuleError(f"the placeholder %{name}% has no value (modifier expand); {given}")
        return found

    def digests(self) -> dict[str, str]:
        """Return a digest of the values of each name used, by which a cached rule is still right."""
        return {name: self.digest(name) for name in sorted(self.used)}

    def digest(self, name: str) -> str:
        """Return a digest of a placeholder's values, another one for none."""
        joined = "\0".join(f"{len(value)}:{value}" for value in self.values.get(name, ()))
        return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()[:16]
