"""DuckDB behind a small interface: queries in, Arrow out, bounded memory, no way to write or reach a file."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
import pyarrow as pa
from duckdb.func import FunctionNullHandling, PythonUDFType
from duckdb.sqltypes import BOOLEAN, VARCHAR, DuckDBPyType

from detector.engines import addresses
from detector.errors import QueryError, StorageError

# A relation, which DuckDB would rather have where a result is asked for whole, is planned twice; the copy of
# the rows that it warns of costs less than that. For good, since a filter of one thread is none of another's.
warnings.filterwarnings("ignore", "Arrow output on a DB-API result", UserWarning)

#: Enough for sorts and joins over tens of millions of rows, which spill to disk beyond it.
DEFAULT_MEMORY = "1GB"

#: Accounts as views write them: the name in lower case; the domain's first label in upper case.
_ACCOUNT_MACROS = (
    r"""CREATE MACRO account_name(written) AS
        nullif(nullif(lower(split_part(split_part(trim(written), '\', -1), '@', 1)), '-'), '')""",
    r"""CREATE MACRO account_domain(written) AS
        nullif(upper(split_part(CASE WHEN contains(written, '\') THEN split_part(trim(written), '\', 1)
            WHEN contains(written, '@') THEN split_part(trim(written), '@', -1) END, '.', 1)), '')""",
)


class Engine:
    """A DuckDB connection in memory, whose views read a case's Parquet files.

    The session's time zone is UTC. SQL finds the functions ip_normal(text), ip_is_private(text) and
    ip_in_network(text, network) of `detector.engines.addresses`, and account_name(text) and
    account_domain(text), which take `DOMAIN\\user`, `user@domain.example` and `user` for what they are.
    """

    def __init__(
        self, temp_directory: Path | None = None, memory: str = DEFAULT_MEMORY, threads: int | None = None
    ) -> None:
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": memory,
            "threads": threads or os.cpu_count() or 1,
            # Without it, the rows of an ORDER BY leave DuckDB 2.0 in the order of its threads.
            "preserve_insertion_order": True,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        if temp_directory is not None:
            config["temp_directory"] = str(temp_directory)
        self._connection = duckdb.connect(":memory:", config=config)
        self._registered: dict[str, pa.Table] = {}
        # Global, so that it holds for connections beside this one.
        self._connection.execute("SET GLOBAL TimeZone = 'UTC'")
        self._connection.execute("SET parquet_metadata_cache = true")
        self._add_functions()

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; views and registered tables are gone."""
        self._connection.close()

    def beside(self) -> Engine:
        """Return another connection to the same tables and views, for a thread of its own.

        It sees what this one has registered up to now. Temporary tables are of one connection alone.
        """
        other = object.__new__(Engine)
        other._connection = self._connection.cursor()
        other._registered = {}
        for name, table in self._registered.items():
            other.register(name, table)
        return other

    def interrupt(self) -> None:
        """Stop the query that another thread runs on this connection, which then raises."""
        self._connection.interrupt()

    def execute(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> pa.Table:
        """Run one statement and return its whole result; raises QueryError with DuckDB's message."""
        with _translated_errors():
            return self._connection.execute(sql, parameters or None).to_arrow_table()

    def batches(
        self, sql: str, parameters: Sequence[Any] | dict[str, Any] = (), rows: int = 10_000
    ) -> Iterator[pa.RecordBatch]:
        """Run one query and yield its result in batches of at most `rows` rows; raises QueryError."""
        with _translated_errors():
            reader: Iterator[pa.RecordBatch] = self._query(sql, parameters).to_arrow_reader(rows)
            yield from reader

    def run(self, sql: str) -> None:
        """Run a statement for its effect (create a view); raises QueryError."""
        with _translated_errors():
            self._connection.execute(sql)

    def register(self, name: str, table: pa.Table) -> None:
        """Make an Arrow table readable under a name."""
        self._connection.register(name, table)
        self._registered[name] = table

    def columns(self, view: str) -> dict[str, str]:
        """Return the columns of a view or table with their DuckDB types, {} if it does not exist."""
        name = '"' + view.replace('"', '""') + '"'
        try:
            with _translated_errors():
                relation = self._connection.sql(f"SELECT * FROM {name}")
        except QueryError as error:
            if isinstance(error.__cause__, duckdb.CatalogException):
                return {}
            raise
        return {column: str(kind) for column, kind in zip(relation.columns, relation.types, strict=True)}

    def has(self, view: str) -> bool:
        """Tell whether a view or table of this name exists."""
        return bool(self.columns(view))

    def restrict(self, directories: Sequence[Path]) -> None:
        """Allow file reads below these folders only, from now on and irrevocably.

        Must come before any SQL of a user's runs: with it, SQL can read nothing but the case.
        """
        allowed = [str(directory) for directory in directories]
        self._connection.execute("SET allowed_directories = $allowed", {"allowed": allowed})
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")

    def _query(self, sql: str, parameters: Sequence[Any] | dict[str, Any]) -> duckdb.DuckDBPyRelation:
        relation = self._connection.sql(sql, params=parameters or None)
        if relation is None:
            raise QueryError("the statement gives no rows")
        return relation

    def _add_functions(self) -> None:
        functions: tuple[tuple[str, Callable[..., Any], list[Any], DuckDBPyType], ...] = (
            ("ip_normal", addresses.over_column(addresses.normal, pa.string()), [VARCHAR], VARCHAR),
            ("ip_is_private", addresses.over_column(addresses.is_private, pa.bool_()), [VARCHAR], BOOLEAN),
            (
                "ip_in_network",
                addresses.over_two_columns(addresses.in_network, pa.bool_()),
                [VARCHAR, VARCHAR],
                BOOLEAN,
            ),
        )
        for name, function, parameters, result in functions:
            self._connection.create_function(
                name,
                function,
                parameters,
                result,
                type=PythonUDFType.ARROW,
                null_handling=FunctionNullHandling.SPECIAL,
            )
        for macro in _ACCOUNT_MACROS:
            self._connection.execute(macro)


def _is_of_a_file(error: duckdb.Error) -> bool:
    """Tell whether a file could not be read. Of damaged Parquet many errors have no class of their own."""
    if isinstance(error, (duckdb.IOException, duckdb.SerializationException)) or type(error) is duckdb.Error:
        return True
    return re.search(r"(?i)file '.*\.parquet'", str(error).partition("\n")[0]) is not None


@contextmanager
def _translated_errors() -> Iterator[None]:
    """Raise QueryError or StorageError for DuckDB's errors, and KeyboardInterrupt for an interrupted query.

    DuckDB notices Ctrl-C by itself and raises RuntimeError; if Python notices it first, in a function or a
    stream that DuckDB has called, DuckDB wraps the KeyboardInterrupt in an error of its own.
    """
    try:
        yield
    except duckdb.Error as error:
        if str(error).rstrip().endswith("KeyboardInterrupt:"):
            raise KeyboardInterrupt from error
        if _is_of_a_file(error):
            raise StorageError(str(error)) from error
        raise QueryError(str(error)) from error
    except RuntimeError as error:
        if "Query interrupted" in str(error):
            raise KeyboardInterrupt from error
        raise StorageError(str(error)) from error


def check_read_only(sql: str) -> None:
    """Refuse a text that is not exactly one SELECT statement.

    Raises QueryError. EXPLAIN is refused too, since EXPLAIN ANALYZE runs what it explains.
    """
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise QueryError(str(error)) from error
    if len(statements) != 1:
        raise QueryError(f"one statement is expected, {len(statements)} were given")
    if statements[0].type != duckdb.StatementType.SELECT:
        raise QueryError("only SELECT is allowed: a case is read, never changed, by queries")
