"""A scan: rules, stages, and what they say together, over a case and into it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from detector.case.sql_views import create_meaning_views
from detector.case.store import Case
from detector.case.tuned import store_tuned
from detector.chain.runner import ChainResult, Problem, run_stages, shared_views
from detector.chain.stages import Stage, load_stages, needs_of
from detector.engines import Beside, Engine
from detector.incidents.build import build
from detector.incidents.load import INCIDENT_VIEWS
from detector.sigma.model import Pack, RuleProblem
from detector.sigma.scan import ScanResult
from detector.sigma.scan import scan as scan_rules
from detector.sigma.tuning import Tuning, case_tuning, load_tuned_pack

#: Called with (stage of the scan, done, total, what).
Progress = Callable[[str, int, int, str], None]


@dataclass(frozen=True)
class ScanReport:
    """What a scan ran and found.

    `rules`: compiled, correlations among them; `evaluated`: those that could match anything of this case.
    `problems` are rules that could not be used, `stage_problems` stages that failed; both are named, and the
    rest ran. `tuned` says what was left out on purpose (`detector.sigma.tuning.Tuned.record`), {} if nothing
    was.
    """

    rules: int
    evaluated: int
    skipped: int
    problems: tuple[RuleProblem, ...]
    stage_problems: tuple[Problem, ...]
    hits: int
    findings: int
    incidents: int
    tuned: Mapping[str, Any] = field(default_factory=dict)


def scan(
    case: Case,
    rules: Iterable[Path] = (),
    progress: Progress | None = None,
    tuning: Tuning | None = None,
) -> ScanReport:
    """Run rules (the project's own pack if none are named) and all stages, join them, store the results.

    tuning: what to leave out; by default the detector.toml in the case folder says it. Raises DetectorError
    if the case cannot be read or written, or its site.toml or detector.toml is wrong; a bad rule or stage is
    a problem of the report. Results of an earlier scan are replaced.
    """
    show: Progress = progress or (lambda stage, done, total, what: None)
    show("rules", 0, 1, "")
    tuning = case_tuning(case.path, None) if tuning is None else tuning
    stages = _stages(tuning)
    pack, tuned = load_tuned_pack(list(rules), tuning)
    with case.locked():
        with case.connect(needs_of(stages), meaning=False, many_queries=True) as engine:
            found, chain = _search(engine, case, pack, stages, show)
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
        record = tuned.record(found.left_out) if tuned else {}
        store_tuned(case.path, record)
    return ScanReport(
        rules=len(pack.rules) + len(pack.correlations),
        evaluated=found.evaluated,
        skipped=len(pack.skipped),
        problems=(*pack.problems, *found.problems),
        stage_problems=chain.problems,
        hits=found.hits.num_rows,
        findings=chain.findings.num_rows,
        incidents=incidents.num_rows,
        tuned=record,
    )


def _search(
    engine: Engine, case: Case, pack: Pack, stages: tuple[Stage, ...], show: Progress
) -> tuple[ScanResult, ChainResult]:
    """Look for what the rules and the stages say, side by side."""
    site = case.site()
    zone = "" if site.time_zone is None else site.time_zone.key

    def rules(other: Engine) -> ScanResult:
        return scan_rules(
            other, pack.rules, lambda done, total: show("rules", done, total, ""), pack.correlations
        )

    with Beside(engine) as beside:
        found = beside.submit(rules)
        show("chain", 0, 2, "")
        create_meaning_views(engine, (*needs_of(stages), *INCIDENT_VIEWS), shared_views(case.events()))
        chain = run_stages(engine, stages, overrides=site.stages, time_zone=zone, shared=False, beside=beside)
        show("chain", 1, 2, "")
        return found.result(), chain


def _stages(tuning: Tuning) -> tuple[Stage, ...]:
    """Return the stages that are run; raises TuningError if one that is not to be run does not exist."""
    stages = load_stages()
    known = sorted(stage.id for stage in stages)
    for each in tuning.stages:
        if each.text not in known:
            near = get_close_matches(each.text, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "see docs/stages.md"
            raise tuning.error(f"stages.disabled: there is no stage {each.text!r}; {hint}", each.line)
    left_out = {each.text for each in tuning.stages}
    return tuple(stage for stage in stages if stage.id not in left_out)
