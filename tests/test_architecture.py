"""The house rules that a machine can check: directions of imports, who may print, who knows the engine."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "detector"

#: Room -> rooms that it may import. What is not listed is not allowed.
_ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "startup": set(),
    "tables": {"errors"},
    "engines": {"errors", "tables"},
    "sources": {"errors"},
    "formats": {"errors", "tables"},
    "case": {"errors", "startup", "tables", "engines", "sources", "formats"},
    "sigma": {"errors", "tables", "engines", "case"},
    "chain": {"errors", "tables", "engines", "case"},
    "incidents": {"errors", "tables", "engines", "case", "chain"},
    "report": {"errors", "tables", "engines", "case", "chain", "incidents"},
    "simulate": {"errors", "tables"},
    "scan": {"errors", "tables", "engines", "case", "sigma", "chain", "incidents"},
}
_TOP = {"cli", "demo", "__main__", "__init__"}

MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    """Return all modules that a file imports, anywhere in it, type checking included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_flow_one_way(path: Path) -> None:
    room = room_of(path)
    names = imports_of(path)
    roots = {name.split(".")[0] for name in names}
    if room not in _TOP:
        used = {name.split(".")[1] for name in names if name.startswith("detector.")} - {room, "__version__"}
        assert used <= _ALLOWED[room], f"{room} imports {sorted(used - _ALLOWED[room])}"
        assert not roots & {"click", "rich"}, "only detector.cli speaks with people"
    if room != "engines":
        assert "duckdb" not in roots, "only detector.engines knows an engine"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_every_module_says_what_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    text = ast.get_docstring(tree)
    assert text, "a module begins with what it is for"
    assert text.splitlines()[0].rstrip().endswith((".", ":", "?")), text.splitlines()[0]
