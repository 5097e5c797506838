"""A file of placeholders, for rules with the modifier `expand`.

YAML or TOML, a mapping of names to a value or a list of values, which are texts as in a rule (`*` and `?` are
wildcards) or numbers:

    Servers: [srv*, db1]
    Administrators: adm
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from detector.errors import RuleError
from detector.sigma.loader import MAX_RULE_BYTES, RuleLoader, check_nodes


def read_placeholders(path: Path) -> dict[str, tuple[str, ...]]:
    """Read a file of placeholders, TOML if it is called so, else YAML; raises RuleError with its name."""
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_RULE_BYTES + 1)
    except OSError as error:
        raise RuleError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(content) > MAX_RULE_BYTES:
        raise RuleError(f"{path}: larger than {MAX_RULE_BYTES} bytes: no file of placeholders")
    try:
        text = content.decode("utf-8-sig")
        data = tomllib.loads(text) if path.suffix.lower() == ".toml" else _from_yaml(text)
        return placeholders_from(data)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, yaml.YAMLError, RecursionError) as error:
        raise RuleError(f"{path}: {' '.join(str(error).split())}") from error
    except RuleError as error:
        raise RuleError(f"{path}: {error}") from error


def placeholders_from(data: Any) -> dict[str, tuple[str, ...]]:
    """Check a mapping of names to values, such as a table of detector.toml; raises RuleError."""
    if not isinstance(data, Mapping):
        raise RuleError("placeholders are a mapping of names to values")
    found: dict[str, tuple[str, ...]] = {}
    for name, given in data.items():
        if not isinstance(name, str) or not name.strip("%"):
            raise RuleError(f"the placeholder {name!r} has no name")
        listed = given if isinstance(given, list) else [given]
        values: list[str] = []
        for value in listed:
            if isinstance(value, bool) or not isinstance(value, str | int):
                raise RuleError(f"the placeholder {name}: {value!r} is neither a text nor a whole number")
            values.append(str(value))
        found[name.strip("%")] = tuple(dict.fromkeys(values))
    return found


def _from_yaml(text: str) -> Any:
    loader = RuleLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            raise RuleError("an empty file")
        check_nodes(node)
        return loader.construct_document(node)
    finally:
        loader.dispose()
