"""Run the stages over a case's views and bring their rows into the form of the `findings` table."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from detector.case.sql_views import meaning_views, quoted, with_needs
from detector.chain.stages import Stage, Value, load_stages, needs_of
from detector.errors import QueryError, StageError
from detector.tables.results import FINDING_COLUMNS, LEVELS, schema

if TYPE_CHECKING:
    from detector.case.store import Case
    from detector.engines import Beside, Engine

#: Meaning views that many stages read and that are small beside the events: computed once for a run.
_COMPUTED_ONCE = frozenset(
    {
        "account_changes",
        "address_owners",
        "address_zones",
        "antivirus_changes",
        "credential_access",
        "host_addresses",
        "hosts",
        "log_clears",
        "logon_attempts",
        "logon_edges",
        "logon_hours",
        "remote_access",
        "remote_desktop_sessions",
        "sabotage",
        "scheduled_tasks",
        "services",
        "software_changes",
        "vpn_logins",
        "vpn_sessions",
    }
)
#: Meaning views with a row for nearly every event of their kind: computed once in small cases, since there
#: the planning of nested views costs more than their rows. Above this number of events they stay views.
_COMPUTED_IF_SMALL = frozenset(
    {"authentications", "explicit_credentials", "logons", "network_flows", "processes", "share_access"}
)
_SMALL = 1_000_000
_OPTIONAL = frozenset(FINDING_COLUMNS) - {"finding_id", "stage", "step", "techniques"}
_MUST = frozenset({"first_seen", "events"})


@dataclass(frozen=True)
class Problem:
    """A stage that could not run, and why; the others ran."""

    stage: str
    reason: str


@dataclass(frozen=True)
class ChainResult:
    """The findings of all stages (`FINDING_COLUMNS`), ordered by time, and the stages that failed."""

    findings: pa.Table
    problems: tuple[Problem, ...]


def run_case(case: Case, stages: Sequence[Stage] | None = None) -> ChainResult:
    """Run the stages over a case with the parameters and the time zone of its site.toml.

    Nothing is stored. Raises SiteError if site.toml is wrong, StageError if it names an unknown stage.
    """
    chosen = load_stages() if stages is None else stages
    site = case.site()
    zone = "" if site.time_zone is None else site.time_zone.key
    with case.connect(needs_of(chosen)) as engine:
        return run_stages(engine, chosen, overrides=site.stages, time_zone=zone)


def run_stages(
    engine: Engine,
    stages: Sequence[Stage] | None = None,
    *,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    time_zone: str = "",
    shared: bool = True,
    beside: Beside | None = None,
) -> ChainResult:
    """Run stages on an engine that has the views of a case.

    `overrides` are values of parameters by stage id (`[stages.<id>]` of site.toml); `time_zone` is the IANA
    name by which hours of the day are told, empty if unknown. A stage that fails is a problem in the result,
    never an exception; an override for a stage or parameter that does not exist raises StageError. Without
    `shared`, the caller has made the views that stages share (`shared_views`) tables already. Stages run in
    the threads of `beside`, if it is given.
    """
    chosen = load_stages() if stages is None else stages
    given = overrides or {}
    if unknown := sorted(set(given) - {stage.id for stage in load_stages()} - {stage.id for stage in chosen}):
        raise StageError(f"stages.{unknown[0]}: there is no such stage; see docs/stages.md")
    rows: list[dict[str, Any]] = []
    problems: list[Problem] = []
    filled = [(stage, stage.values(given.get(stage.id, {}), {"time_zone": time_zone})) for stage in chosen]
    works = [partial(_outcome, stage=stage, values=values) for stage, values in filled]
    with _computed_once(engine, chosen) if shared else nullcontext():
        if beside is None:
            outcomes = [work(engine) for work in works]
        else:
            outcomes = [done.result() for done in [beside.submit(work) for work in works]]
    for outcome in outcomes:
        if isinstance(outcome, Problem):
            problems.append(outcome)
        else:
            rows.extend(outcome)
    rows.sort(key=lambda row: (row["first_seen"], row["stage"], row["finding_id"]))
    return ChainResult(pa.Table.from_pylist(rows, schema=schema(FINDING_COLUMNS)), tuple(problems))


def _outcome(engine: Engine, stage: Stage, values: Mapping[str, Value]) -> list[dict[str, Any]] | Problem:
    try:
        return list(_run(engine, stage, values))
    except (QueryError, StageError) as error:
        return Problem(stage.id, str(error))


def shared_views(events: int) -> frozenset[str]:
    """Return the meaning views worth computing once for a run over a case of so many events."""
    return _COMPUTED_ONCE | _COMPUTED_IF_SMALL if events <= _SMALL else _COMPUTED_ONCE


@contextmanager
def _computed_once(engine: Engine, stages: Iterable[Stage]) -> Iterator[None]:
    """Hold the views that these stages share as temporary tables, which hide the views of the same name."""
    needed = with_needs(name for stage in stages for name in stage.sql.needs)
    wanted = needed & shared_views(_count(engine))
    made: list[str] = []
    try:
        for name in [view.view for view in meaning_views()]:  # each finds what it needs
            if name in wanted:
                # A view that fails stays a view: the stage that reads it then reports the reason.
                with suppress(QueryError):
                    engine.run(f"CREATE TEMP TABLE {quoted(name)} AS SELECT * FROM {quoted(name)}")
                    made.append(name)
        yield
    finally:
        for name in made:
            engine.run(f"DROP TABLE temp.{quoted(name)}")


def _count(engine: Engine) -> int:
    counted = engine.execute(
        "SELECT (SELECT count(*) FROM windows) + (SELECT count(*) FROM firewall)"
        " + (SELECT count(*) FROM vpn) AS n"
    )
    return int(counted.column("n")[0].as_py())


def _run(engine: Engine, stage: Stage, values: Mapping[str, Value]) -> Iterable[dict[str, Any]]:
    table = engine.execute(stage.sql.body, dict(values))
    columns = set(table.column_names)
    if odd := sorted(columns - _OPTIONAL):
        raise StageError(f"{stage.id}: returns {odd[0]!r}, which is no column of findings")
    if missing := sorted(_MUST - columns):
        raise StageError(f"{stage.id}: does not return {missing[0]!r}")
    found: dict[str, dict[str, Any]] = {}
    for row in table.to_pylist():
        if row["events"] and isinstance(row["first_seen"], datetime):
            finding = _finding(stage, row)
            found.setdefault(finding["finding_id"], finding)
    return found.values()


def _finding(stage: Stage, row: dict[str, Any]) -> dict[str, Any]:
    level = row.get("level") or stage.level
    if level not in LEVELS:
        raise StageError(f"{stage.id}: returns level {level!r}")
    events = list(dict.fromkeys((event["evidence_id"], event["evidence_offset"]) for event in row["events"]))
    return {
        **{name: row.get(name) for name in _OPTIONAL},
        "finding_id": finding_id(stage.id, events),
        "stage": stage.id,
        "step": stage.step,
        "techniques": list(stage.techniques),
        "level": level,
        "confidence": min(1.0, max(0.0, float(row["confidence"])))
        if row.get("confidence") is not None
        else None,
        "last_seen": row.get("last_seen") or row["first_seen"],
        "hosts": _sorted(row.get("hosts"), row.get("host")),
        "accounts": _sorted(row.get("accounts"), row.get("account")),
        "details": sorted(
            (key, value) for key, value in (row.get("details") or []) if value not in (None, "")
        ),
        "events": [{"evidence_id": evidence, "evidence_offset": offset} for evidence, offset in events],
    }


def _sorted(many: Iterable[str | None] | None, one: str | None) -> list[str]:
    return sorted({name for name in [*(many or []), one] if name})


def finding_id(stage: str, events: Iterable[tuple[str, int]]) -> str:
    """Return the id of a finding: the same stage with the same events always gives the same id."""
    digest = hashlib.sha256(stage.encode("utf-8"))
    for evidence, offset in sorted(events):
        digest.update(f"\n{evidence}:{offset}".encode())
    return digest.hexdigest()[:16]
