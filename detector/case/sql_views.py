"""The names that SQL finds in a case: base views over the Parquet files, meaning views on top of them.

The meaning views are the files in `detector/case/views/`; docs/architecture.md describes their header.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from importlib.resources import files

import pyarrow as pa

from detector.case.channels import view_of
from detector.case.journal import Part
from detector.engines import Beside, Engine
from detector.errors import QueryError, StageError
from detector.tables.network import FIREWALL_COLUMNS, VPN_COLUMNS
from detector.tables.windows import WINDOWS_COLUMNS

Needs = Mapping[str, Collection[str]]

#: DuckDB's names of the Arrow types that the schemas use.
_SQL_TYPES: dict[pa.DataType, str] = {
    pa.string(): "VARCHAR",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
    pa.timestamp("us", tz="UTC"): "TIMESTAMP WITH TIME ZONE",
    pa.map_(pa.string(), pa.string()): "MAP(VARCHAR, VARCHAR)",
}

_WINDOWS_TYPES = {name.lower(): (name, _SQL_TYPES[kind]) for name, kind in WINDOWS_COLUMNS.items()}
_HEADER = re.compile(r"^--\s*(\w+):\s*(.*?)\s*$")
_NEED = re.compile(r"(\w+)\s*(?:\(([^)]*)\))?")


@dataclass(frozen=True)
class SqlFile:
    """A .sql file with its header: key -> text, `needs` as view -> columns (empty: the view as it is)."""

    name: str
    header: dict[str, str]
    needs: dict[str, frozenset[str]]
    body: str

    @property
    def view(self) -> str:
        """The name that the header gives to a view, else that of the file."""
        return self.header.get("view", self.name.removesuffix(".sql"))


def parse_sql_file(name: str, text: str) -> SqlFile:
    """Read the header and the body of a view or stage; raises StageError if its first line is no header.

    A header line is `-- key: value`; one that begins with `--` and no key continues the one before.
    """
    header: dict[str, str] = {}
    key = ""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if not line.startswith("--"):
            body = "\n".join(lines[number:]).strip().rstrip(";")
            break
        found = _HEADER.match(line)
        if found:
            key = found[1]
            header[key] = f"{header[key]}, {found[2]}" if key in header else found[2]
        elif key:
            header[key] += " " + line.lstrip("- ").strip()
    else:
        body = ""
    if not header or not body:
        raise StageError(f"{name}: a header of '-- key: value' lines and one SELECT are expected")
    needs: dict[str, frozenset[str]] = {}
    for view, columns in _NEED.findall(header.get("needs", "")):
        wanted = frozenset(column.strip() for column in columns.split(",") if column.strip())
        needs[view] = needs.get(view, frozenset()) | wanted
    return SqlFile(name, header, needs, body)


@cache
def meaning_views() -> tuple[SqlFile, ...]:
    """Return the meaning views in an order in which each finds what it needs."""
    folder = files("detector.case") / "views"
    found = {
        entry.name.removesuffix(".sql"): parse_sql_file(entry.name, entry.read_text(encoding="utf-8"))
        for entry in folder.iterdir()
        if entry.name.endswith(".sql")
    }
    ordered: dict[str, SqlFile] = {}

    def add(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            raise StageError(f"views need each other in a circle: {' -> '.join([*path, name])}")
        if name in found and name not in ordered:
            for need in sorted(found[name].needs):
                add(need, (*path, name))
            ordered[name] = found[name]

    for name in sorted(found):
        add(name, ())
    return tuple(ordered.values())


def create_base_views(
    engine: Engine,
    root: str,
    parts: Iterable[Part],
    dropped: Collection[str],
    more: Needs,
    only: Collection[str] | None = None,
    as_tables: bool = False,
) -> None:
    """Create `windows`, one view per channel, `firewall` and `vpn`.

    `root` is the case folder with a slash at its end. `dropped` names the base views some of whose rows are
    duplicates (table `duplicates`). `more` are columns that SQL will ask for beyond those of the meaning
    views; what the case lacks of them is NULL. `only` restricts the views to those that SQL will name, None
    means all. With `as_tables` they are read now, into tables: where a small case is asked many times,
    planning to read its files again costs more than reading them once.
    """
    kind = "TABLE" if as_tables else "VIEW"
    statements: list[str] = []
    windows: dict[str, list[Part]] = defaultdict(list)
    others: dict[str, list[Part]] = defaultdict(list)
    for part in parts:
        if part.table == "windows":
            windows[view_of(part.channel or "")].append(part)
        else:
            others[part.table].append(part)
    fixed = {"firewall": FIREWALL_COLUMNS, "vpn": VPN_COLUMNS, "windows": WINDOWS_COLUMNS}
    wanted = _wanted_columns(more)
    for view in sorted(windows.keys() | {name for name in wanted if name.startswith("windows_")}):
        if only is not None and view not in only:
            continue
        columns = _windows_columns(windows.get(view, []), wanted.get(view, frozenset()))
        select = _select(root, columns, windows.get(view, []), view in dropped)
        statements.append(f"CREATE {kind} {quoted(view)} AS {select}")
    everything = [part for group in windows.values() for part in group]
    for name, source in (("windows", everything), ("firewall", others["firewall"]), ("vpn", others["vpn"])):
        if only is not None and name not in only:
            continue
        columns = {column: (True, _SQL_TYPES[kind]) for column, kind in fixed[name].items()}
        select = _select(root, columns, source, name in dropped)
        statements.append(f"CREATE {kind} {quoted(name)} AS {select}")
    _run_all(engine, statements, side_by_side=as_tables)


def create_meaning_views(
    engine: Engine, wanted: Collection[str] | None = None, as_tables: Collection[str] = ()
) -> None:
    """Create the views of `detector/case/views/` on the base views; raises QueryError if one is wrong.

    `wanted` restricts them to these names and what they need; None means all. Those in `as_tables` are
    computed now and kept as tables, for SQL that asks them many times.
    """
    chosen = None if wanted is None else with_needs(wanted)
    for view in meaning_views():
        if chosen is None or view.view in chosen:
            name = quoted(view.view)
            if view.view in as_tables:
                # What cannot be computed stays a view: only the SQL that reads it then fails, and says why.
                with suppress(QueryError):
                    engine.run(f"CREATE TABLE {name} AS {view.body}")
                    continue
            engine.run(f"CREATE VIEW {name} AS {view.body}")


def with_needs(names: Iterable[str]) -> set[str]:
    """Return these names with all views that they need, down to the base views."""
    known = {view.view: view for view in meaning_views()}
    chosen: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in chosen:
            chosen.add(name)
            waiting += known[name].needs if name in known else ()
    return chosen


def _wanted_columns(more: Needs) -> dict[str, frozenset[str]]:
    wanted: dict[str, frozenset[str]] = {}
    for needs in [*(view.needs for view in meaning_views()), more]:
        for view, columns in needs.items():
            wanted[view] = wanted.get(view, frozenset()) | frozenset(columns)
    return wanted


def _windows_columns(parts: Iterable[Part], wanted: Collection[str]) -> dict[str, tuple[bool, str]]:
    """Return column -> (is in the files, type): System columns, then the fields by name without case.

    Of names that differ in case only, the one that sorts first is shown, whatever was ingested first.
    """
    present: dict[str, str] = {}
    for part in parts:
        for column in part.columns:
            key = column.lower()
            if key not in present or column < present[key]:
                present[key] = column
    columns = {name: (bool(present), kind) for name, kind in _WINDOWS_TYPES.values()}
    fields = {key: (name, True) for key, name in present.items() if key not in _WINDOWS_TYPES}
    for column in sorted(wanted):
        if column.lower() not in _WINDOWS_TYPES:
            fields.setdefault(column.lower(), (column, False))
    for _, (name, exists) in sorted(fields.items()):
        columns[name] = (exists, "VARCHAR")
    return columns


def _run_all(engine: Engine, statements: Iterable[str], side_by_side: bool) -> None:
    """Run statements of which none needs another."""
    if not side_by_side:
        for sql in statements:
            engine.run(sql)
        return
    with Beside(engine) as beside:
        for done in [beside.submit(partial(_run, sql=sql)) for sql in statements]:
            done.result()


def _run(engine: Engine, sql: str) -> None:
    engine.run(sql)


def _select(
    root: str, columns: Mapping[str, tuple[bool, str]], parts: Collection[Part], has_duplicates: bool
) -> str:
    """Return the SQL of a base view over its part files."""
    listed = ", ".join(
        f"part.{quoted(name)}" if exists and parts else f"CAST(NULL AS {kind}) AS {quoted(name)}"
        for name, (exists, kind) in columns.items()
    )
    if not parts:
        return f"SELECT {listed} WHERE false"
    paths = ", ".join(text_literal(root + part.file) for part in sorted(parts, key=lambda part: part.file))
    sql = f"SELECT {listed} FROM read_parquet([{paths}], union_by_name = true) AS part"
    if has_duplicates:
        sql += " ANTI JOIN duplicates USING (evidence_id, evidence_offset)"
    return sql


def quoted(name: str) -> str:
    """Return a name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def text_literal(text: str) -> str:
    """Return a text as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"
