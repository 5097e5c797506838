"""The events that correlations count, in temporary tables of the engine: one for each rule and correlation.

A table of a rule has a row for each event it matched: `since` and `happened` (the event's time, microseconds
of the epoch; events without a time are left out), `event` (number of the evidence file * 2^40 + offset),
`place` (row of `correlation_places`: who and where), `record`, `site`, `match` (NULL) and the fields that
correlations ask for, as `f:<name>` in lower case. That of a correlation is alike: a row for each contributing
event, `since` the time from which the correlation holds with it, `match` the number of the match.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detector.engines import Engine
from detector.sigma.entities import hit_columns
from detector.sigma.provide import Provider
from detector.sigma.quoting import column, identifier

#: No file of evidence is that long.
OFFSETS = 1 << 40

#: Matches whose events are read together.
MANY_KEYS = 500_000

PLACES = "correlation_places"
_PLACE_COLUMNS = ("site", "host", "channel", "event_id", "account", "src_ip", "src_host")
_COLUMNS = (
    "since BIGINT, happened BIGINT, event BIGINT, place INTEGER, record BIGINT, site VARCHAR, match BIGINT"
)

#: An address that a log source writes as IPv6 is the same one that another writes as IPv4.
_MAPPED = r"^::ffff:([0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3})$"


def field_column(name: str) -> str:
    """Return the column of a field, given in lower case."""
    return identifier(f"f:{name}")


class Tables:
    """Makes and fills the tables."""

    def __init__(self, engine: Engine, fields: Mapping[str, Iterable[str]]) -> None:
        """Make a table for each rule; fields: those to keep, by the rule's id."""
        self._engine = engine
        self._fields = {rule: tuple(sorted(names)) for rule, names in fields.items()}
        self._names: dict[str, str] = {}
        self._evidence: dict[str, int] = {}
        self._places = 0
        self._waiting: dict[tuple[str, str], tuple[Provider, list[pa.Table]]] = {}
        columns = (
            "view VARCHAR, site VARCHAR, host VARCHAR, channel VARCHAR, event_id BIGINT, account VARCHAR"
        )
        engine.run(
            f"CREATE OR REPLACE TEMP TABLE {PLACES} "
            f"(place INTEGER, {columns}, src_ip VARCHAR, src_host VARCHAR)"
        )
        for rule, names in self._fields.items():
            self.create(rule, names)

    def create(self, node: str, fields: Sequence[str]) -> str:
        """Make the table of a rule or correlation and return its SQL name."""
        name = identifier(f"correlation_{len(self._names)}")
        listed = "".join(f", {field_column(each)} VARCHAR" for each in fields)
        self._engine.run(f"CREATE OR REPLACE TEMP TABLE {name} ({_COLUMNS}{listed})")
        self._names[node] = name
        return name

    def name(self, node: str) -> str:
        """Return the SQL name of the table of a rule or correlation."""
        return self._names[node]

    def add(self, provider: Provider, rules: Sequence[str], evidence: pa.Array, offsets: pa.Array) -> None:
        """Add matches found in a view: the rule's id, and the event's key, of each."""
        numbers = {rule: number for number, rule in enumerate(self._fields)}
        chosen = np.array([numbers.get(rule, -1) for rule in rules], dtype=np.int64)
        kept = np.flatnonzero(chosen >= 0)
        if len(kept) == 0:
            return
        keys = pa.table(
            {
                "rule": pa.array(chosen[kept]),
                "evidence_id": evidence.take(pa.array(kept)),
                "evidence_offset": offsets.take(pa.array(kept)),
            }
        )
        waiting = self._waiting.setdefault((provider.source.id, provider.view), (provider, []))[1]
        waiting.append(keys.append_column("event", self._events(keys)))
        if sum(each.num_rows for each in waiting) >= MANY_KEYS:
            self._fill(provider, waiting)

    def finish(self) -> None:
        """Fill the tables with all that was added."""
        for provider, waiting in self._waiting.values():
            if waiting:
                self._fill(provider, waiting)

    def _fill(self, provider: Provider, waiting: list[pa.Table]) -> None:
        """Read the events of the keys, all with one query, since each reads the whole view."""
        keys = pa.concat_tables(waiting)
        waiting.clear()
        self._engine.register("correlation_keys", keys)
        rules = list(self._fields)
        found = sorted(pc.unique(keys["rule"]).to_pylist())
        self._stage(provider, sorted({name for number in found for name in self._fields[rules[number]]}))
        for number in found:
            listed = "".join(f", {field_column(name)}" for name in self._fields[rules[number]])
            self._engine.run(
                f"INSERT INTO {self._names[rules[number]]} SELECT happened, happened, event, place, record, "
                f"site, NULL{listed} FROM correlation_staged WHERE rule = {number}"
            )
        self._engine.run("DROP TABLE correlation_staged")

    def _events(self, keys: pa.Table) -> pa.Array:
        encoded = keys["evidence_id"].combine_chunks().dictionary_encode()
        numbers = [
            self._evidence.setdefault(each, len(self._evidence)) for each in encoded.dictionary.to_pylist()
        ]
        files = np.array(numbers, dtype=np.int64)[encoded.indices.to_numpy(zero_copy_only=False)]
        return pa.array(files * OFFSETS + keys["evidence_offset"].to_numpy())

    def _stage(self, provider: Provider, names: Sequence[str]) -> None:
        """Make correlation_staged: the keys with their events' time, place and fields."""
        more = ['evidence_id AS "key id"', 'evidence_offset AS "key offset"']
        places = hit_columns(provider)
        more += [f"{places[name]} AS {identifier('hit ' + name)}" for name in (*_PLACE_COLUMNS, "record_id")]
        more.append(f"epoch_us({places['time']}) AS happened")
        base = provider.base([("lower", name) for name in names], more)
        listed = "".join(
            f", regexp_replace({column('lower', name)}, '{_MAPPED}', '\\1') AS {field_column(name)}"
            for name in names
        )
        hit = ", ".join(
            f"{identifier('hit ' + name)} AS {identifier('hit ' + name)}" for name in _PLACE_COLUMNS
        )
        self._engine.run(
            "CREATE OR REPLACE TEMP TABLE correlation_found AS SELECT keys.rule, keys.event, happened, "
            f'"hit record_id" AS record, {hit}{listed} FROM correlation_keys AS keys '
            f'JOIN ({base}) AS events ON events."key id" = keys.evidence_id '
            'AND events."key offset" = keys.evidence_offset WHERE happened IS NOT NULL'
        )
        listed_places = ", ".join(identifier("hit " + name) for name in _PLACE_COLUMNS)
        self._engine.run(
            f"INSERT INTO {PLACES} SELECT {self._places} + row_number() OVER (), '{provider.view}', * "
            f"FROM (SELECT DISTINCT {listed_places} FROM correlation_found)"
        )
        same = " AND ".join(
            f"places.{name} IS NOT DISTINCT FROM found.{identifier('hit ' + name)}" for name in _PLACE_COLUMNS
        )
        fields = "".join(f", found.{field_column(name)}" for name in names)
        self._engine.run(
            "CREATE OR REPLACE TEMP TABLE correlation_staged AS SELECT found.rule, found.event, "
            f"found.happened, found.record, places.place, coalesce(found.\"hit site\", '') AS site{fields} "
            f"FROM correlation_found AS found JOIN {PLACES} AS places "
            f"ON places.place > {self._places} AND {same}"
        )
        self._engine.run("DROP TABLE correlation_found")
        counted = self._engine.execute(f"SELECT count(*) AS n FROM {PLACES}")
        self._places = counted["n"][0].as_py()

    def evidence(self) -> list[str]:
        """Return the ids of evidence files by their number."""
        return list(self._evidence)

    def forget(self, nodes: Iterable[str]) -> None:
        """Remove the tables of rules and correlations that nothing reads any more."""
        for node in nodes:
            self._engine.run(f"DROP TABLE IF EXISTS {self._names[node]}")

    def drop(self) -> None:
        """Remove all tables."""
        for name in (*self._names.values(), PLACES):
            self._engine.run(f"DROP TABLE IF EXISTS {name}")
