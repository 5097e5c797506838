"""A scan: rules, stages, and what they say together, over a case and into it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from detector.case.sql_views import create_meaning_views
from detector.case.store import Case
from detector.chain.runner import Problem, run_stages, shared_views
from detector.chain.stages import load_stages, needs_of
from detector.incidents.build import build
from detector.incidents.load import INCIDENT_VIEWS
from detector.sigma.model import Pack, RuleProblem
from detector.sigma.pack import default_cache_folder, default_rules_path, load_pack
from detector.sigma.scan import scan as scan_rules

#: Called with (stage of the scan, done, total, what).
Progress = Callable[[str, int, int, str], None]


@dataclass(frozen=True)
class ScanReport:
    """What a scan ran and found.

    `rules`: compiled; `evaluated`: those that could match anything of this case. `problems` are rules that
    could not be used, `stage_problems` stages that failed; both are named, and the rest ran.
    """

    rules: int
    evaluated: int
    skipped: int
    problems: tuple[RuleProblem, ...]
    stage_problems: tuple[Problem, ...]
    hits: int
    findings: int
    incidents: int


def scan(case: Case, rules: Iterable[Path] = (), progress: Progress | None = None) -> ScanReport:
    """Run rules (the project's own pack if none are named) and all stages, join them, store the results.

    Raises DetectorError if the case cannot be read or written, or its site.toml is wrong; a bad rule or stage
    is a problem of the report. Results of an earlier scan are replaced.
    """
    show: Progress = progress or (lambda stage, done, total, what: None)
    show("rules", 0, 1, "")
    pack: Pack = load_pack(list(rules) or [default_rules_path()], default_cache_folder())
    stages = load_stages()
    site = case.site()
    zone = "" if site.time_zone is None else site.time_zone.key
    with case.locked():
        with case.connect(needs_of(stages), meaning=False, many_queries=True) as engine:
            found = scan_rules(engine, pack.rules, lambda done, total: show("rules", done, total, ""))
            show("chain", 0, 2, "")
            create_meaning_views(engine, (*needs_of(stages), *INCIDENT_VIEWS), shared_views(case.events()))
            chain = run_stages(engine, stages, overrides=site.stages, time_zone=zone, shared=False)
            show("chain", 1, 2, "")
            engine.register("hits", found.hits)
            engine.register("findings", chain.findings)
            incidents, timeline = build(engine)
            show("chain", 2, 2, "")
        for name, table in (
            ("hits", found.hits),
            ("findings", chain.findings),
            ("timeline", timeline),
            ("incidents", incidents),
        ):
            case.store_result(name, table)
    return ScanReport(
        rules=len(pack.rules),
        evaluated=found.evaluated,
        skipped=len(pack.skipped),
        problems=(*pack.problems, *found.problems),
        stage_problems=chain.problems,
        hits=found.hits.num_rows,
        findings=chain.findings.num_rows,
        incidents=incidents.num_rows,
    )
