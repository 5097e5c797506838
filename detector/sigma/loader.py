"""Rule files to YAML documents, whatever is wrong with them; nothing here needs pySigma.

Scalars are those of YAML 1.2, which the Sigma specification refers to: `no` and `1:30` are texts, `010` is
ten. (YAML 1.1, as PyYAML has it, makes false, 90 and 8 of them.) What only 1.2 takes for a number (`1e3`,
`0o17`) stays text. Refused: files that are too large, documents whose aliases expand to too many nodes, and
duplicate keys.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from detector.errors import RuleError
from detector.sigma.model import RuleDocument, RuleProblem

#: The largest public rule has under 60 KB; a file beyond this is no rule.
MAX_RULE_BYTES = 1024 * 1024

#: Nodes of a document with all aliases expanded; the largest public rule has about 2,000.
MAX_NODES = 50_000

#: Containers inside containers; the deepest rule has about ten.
MAX_DEPTH = 50

_SUFFIXES = (".yml", ".yaml")

_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_CHANGED = ("bool", "int", "float", "value")
_BOOL = re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$")
_INT = re.compile(r"^(?:[-+]?[0-9]+|0x[0-9a-fA-F]+)$")
_FLOAT = re.compile(
    r"^(?:[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)


class RuleLoader(_BASE):  # type: ignore[misc]
    """PyYAML's safe loader with YAML 1.2's scalars."""


def _construct_int(loader: Any, node: Any) -> int:
    text = loader.construct_scalar(node)
    try:
        return int(text, 16 if text.lower().startswith("0x") else 10)
    except ValueError as error:  # thousands of digits
        raise _DocumentError(f"YAML: {error}", node.start_mark) from error


RuleLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in listed if tag.rpartition(":")[2] not in _CHANGED]
    for first, listed in _BASE.yaml_implicit_resolvers.items()
}
for _tag, _pattern, _first in (
    ("bool", _BOOL, "tTfF"),
    ("float", _FLOAT, "-+0123456789."),
    ("int", _INT, "-+0123456789"),
):
    RuleLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, list(_first))
RuleLoader.add_constructor("tag:yaml.org,2002:int", _construct_int)


class _DocumentError(Exception):
    def __init__(self, message: str, mark: Any) -> None:
        super().__init__(message)
        self.mark = mark


def rule_files(paths: Iterable[Path]) -> Iterator[Path | RuleProblem]:
    """Yield the rule files of files and folders, sorted, each once; a problem where there is none."""
    seen: set[Path] = set()
    for given in paths:
        found: list[Path] = []
        if given.is_dir():
            for folder, subfolders, names in os.walk(given):
                subfolders.sort()
                found.extend(Path(folder, name) for name in names if name.lower().endswith(_SUFFIXES))
            if not found:
                yield RuleProblem(str(given), None, None, "no rule (.yml or .yaml) in this folder")
        elif given.exists():
            found = [given]
        else:
            yield RuleProblem(str(given), None, None, "no such file or folder")
        real: dict[Path, Path] = {}
        for path in sorted(found):
            # Links are rare; to resolve a folder's path for each of its files takes long.
            if path.is_symlink():
                key = path.resolve()
            else:
                if path.parent not in real:
                    real[path.parent] = path.parent.resolve()
                key = real[path.parent] / path.name
            if key not in seen:
                seen.add(key)
                yield path


def read_rule_file(path: Path) -> bytes | RuleProblem:
    """Return the bytes of a rule file, or why it cannot be read."""
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_RULE_BYTES + 1)
    except OSError as error:
        return RuleProblem(str(path), None, None, f"cannot be read: {error.strerror or error}")
    if len(content) > MAX_RULE_BYTES:
        return RuleProblem(str(path), None, None, f"larger than {MAX_RULE_BYTES} bytes: no rule file")
    return content


def parse_rule_file(content: bytes, path: str) -> Iterator[RuleDocument | RuleProblem]:
    """Yield the documents of a rule file; a syntax error is a problem, and ends the file."""
    sha256 = hashlib.sha256(content).hexdigest()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        yield RuleProblem(path, line, None, "not UTF-8")
        return
    if "\0" in text:
        position = text.index("\0")
        column = position - text.rfind("\n", 0, position)
        yield RuleProblem(path, text.count("\n", 0, position) + 1, column, "a NUL character")
        return
    loader = RuleLoader(text)
    empty = True
    try:
        while loader.check_node():
            node = loader.get_node()
            found = _document(loader, node, path, sha256)
            if found is not None:
                empty = False
                yield found
        if empty:
            yield RuleProblem(path, 1, 1, "no rule in this file" + ("" if text.strip() else ": it is empty"))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        message = getattr(error, "problem", None) or str(error)
        context = getattr(error, "context", None)
        shown = f"YAML: {context}: {message}" if context else f"YAML: {message}"
        yield RuleProblem(path, *_place(mark), shown)
    except RecursionError:
        yield RuleProblem(path, None, None, "YAML: nested too deeply")
    finally:
        loader.dispose()


def _place(mark: Any) -> tuple[int | None, int | None]:
    return (None, None) if mark is None else (mark.line + 1, mark.column + 1)


def _document(loader: Any, node: Any, path: str, sha256: str) -> RuleDocument | RuleProblem | None:
    line, column = _place(node.start_mark)
    if isinstance(node, yaml.ScalarNode) and node.value in ("", "null", "~"):
        return None  # an empty document behind a trailing ---
    if not isinstance(node, yaml.MappingNode):
        return RuleProblem(path, line, column, "a rule is a mapping of keys to values")
    try:
        _check(node, {}, 0)
        data = loader.construct_document(node)
    except _DocumentError as error:
        return RuleProblem(path, *_place(error.mark), str(error))
    except (ValueError, TypeError, OverflowError) as error:
        # A date such as 2024-13-45 passes YAML's pattern and fails in datetime.
        return RuleProblem(path, line, column, f"YAML: {error}")
    if any(not isinstance(key, str) for key in data):
        return RuleProblem(path, line, column, "every key of a rule is a text")
    marks = _marks(node)
    return RuleDocument(path, line or 1, data, sha256, marks)


def _check(node: Any, sizes: dict[int, int], depth: int) -> int:
    """Return the number of nodes with aliases expanded; raises _DocumentError on a bomb or a key twice."""
    known = sizes.get(id(node))
    if known is not None:
        if known == 0:
            raise _DocumentError("YAML: an alias refers to what contains it", node.start_mark)
        return known
    if depth > MAX_DEPTH:
        raise _DocumentError(f"YAML: nested more than {MAX_DEPTH} deep", node.start_mark)
    sizes[id(node)] = 0
    size = 1
    if isinstance(node, yaml.MappingNode):
        seen: set[tuple[str, str]] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise _DocumentError(f"the key '{key.value}' is there twice", key.start_mark)
                seen.add((key.tag, key.value))
            size += _check(key, sizes, depth + 1) + _check(value, sizes, depth + 1)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            size += _check(item, sizes, depth + 1)
    if size > MAX_NODES:
        raise _DocumentError(f"YAML: more than {MAX_NODES} nodes with aliases expanded", node.start_mark)
    sizes[id(node)] = size
    return size


def _marks(node: Any, prefix: str = "") -> dict[str, tuple[int, int]]:
    """Return the places of keys: those of the document, and all below detection, filter and correlation."""
    marks: dict[str, tuple[int, int]] = {}
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            marks[f"{prefix}{number}"] = (item.start_mark.line + 1, item.start_mark.column + 1)
            if isinstance(item, yaml.MappingNode | yaml.SequenceNode):
                marks.update(_marks(item, f"{prefix}{number}."))
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                marks[prefix + key.value] = (key.start_mark.line + 1, key.start_mark.column + 1)
                if prefix or key.value in ("detection", "filter", "correlation"):
                    marks.update(_marks(value, f"{prefix}{key.value}."))
    return marks


def check_nodes(node: Any) -> None:
    """Refuse bombs and keys that are there twice; raises RuleError with the place."""
    try:
        _check(node, {}, 0)
    except _DocumentError as error:
        line, _ = _place(error.mark)
        raise RuleError(f"line {line}: {error}") from error
