"""Every rule hits its own events and none of its near misses, in the project's own engine."""

from __future__ import annotations

from collections import defaultdict

import pytest

from detector.engines import Engine
from detector.sigma.pack import Pack, load_pack
from detector.sigma.rule_tests import TestEvent, TestRun, Verdict, run_tests, store
from detector.sigma.scan import scan
from tests.rules.pack import RULES, rule_paths

STEMS = [path.stem for path in rule_paths()]


@pytest.fixture(scope="module")
def pack() -> Pack:
    return load_pack(rule_paths())


@pytest.fixture(scope="module")
def run() -> TestRun:
    return run_tests([RULES])


@pytest.fixture(scope="module")
def verdicts(run: TestRun) -> dict[str, list[Verdict]]:
    found: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in run.verdicts:
        found[verdict.path].append(verdict)
    return found


def test_the_engine_takes_every_rule(pack: Pack) -> None:
    assert not pack.problems
    assert not pack.skipped
    assert len(pack.rules) == len(STEMS)


def test_every_rule_has_tests(run: TestRun) -> None:
    assert not run.problems
    assert not run.untested


@pytest.mark.parametrize("path", rule_paths(), ids=STEMS)
def test_hits_are_found_and_near_misses_are_not(path: object, verdicts: dict[str, list[Verdict]]) -> None:
    found = verdicts[str(path)]
    assert {verdict.expected for verdict in found} == {True, False}
    assert not [str(verdict) for verdict in found if not verdict.passed]


def test_the_run_can_fail(pack: Pack) -> None:
    """An event without its fields is found by no rule: the scan does look at the fields."""
    with Engine() as engine:
        store(engine, [TestEvent("empty", "windows", {"Channel": "System", "EventID": 7045}, False)])
        assert scan(engine, pack.rules).hits.num_rows == 0
