"""Engine and oracle agree on generated rules and events."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector.sigma.model import CompiledRule, RuleProblem
from tests.sigma import generate, oracle
from tests.sigma.compare import compile_one, differences, full, hits

SEEDS = st.integers(0, 2**32)
QUICK = settings(
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], report_multiple_bugs=False
)


#: What generated rules may be refused for; anything else is a bug.
REFUSALS = (
    "base64offset needs two bytes",
    "before something else",
    "an empty keyword",
    "base64 or base64offset",
)


def _usable(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rules that compile; those that are refused have a reason."""
    found: list[dict[str, Any]] = []
    for each in rules:
        outcome = compile_one(each, 0, generate.PLACEHOLDERS)
        if isinstance(outcome, RuleProblem):
            assert any(reason in outcome.message for reason in REFUSALS), f"{outcome.message}: {each}"
        else:
            found.append(each)
    return found


@settings(QUICK, max_examples=25)
@given(seed=SEEDS)
def test_generated_rules_match_generated_events_as_the_oracle_says(seed: int) -> None:
    rules, events = generate.batch(seed, rules=30, events=40)
    usable = _usable(rules)
    assert len(usable) > len(rules) / 2
    assert differences(usable, events, generate.PLACEHOLDERS)[:3] == []


@settings(QUICK, max_examples=6)
@given(seed=SEEDS)
def test_the_prefilter_never_passes_too_little(seed: int) -> None:
    """Each event is scanned alone, so that the prefilter knows most and passes least."""
    rules, events = generate.batch(seed, rules=40, events=10)
    usable = _usable(rules)
    compiled = [compile_one(each, number, generate.PLACEHOLDERS) for number, each in enumerate(usable)]
    for event in events:
        found = hits([each for each in compiled if isinstance(each, CompiledRule)], [event])
        wanted = [oracle.matches(each, full(event), generate.PLACEHOLDERS) for each in usable]
        assert [bool(each) for each in found] == wanted, event


@settings(QUICK, max_examples=6)
@given(seed=SEEDS)
def test_a_rule_matches_the_same_whatever_other_rules_and_whichever_order(seed: int) -> None:
    random = Random(seed)
    rules, events = generate.batch(seed, rules=30, events=30)
    compiled = [compile_one(each, number, generate.PLACEHOLDERS) for number, each in enumerate(rules)]
    usable = [each for each in compiled if isinstance(each, CompiledRule)]
    expected = dict(zip((rule.id for rule in usable), hits(usable, events), strict=True))
    for _ in range(3):
        order = random.sample(range(len(events)), len(events))
        some = random.sample(usable, random.randint(1, len(usable)))
        for rule, found in zip(some, hits(some, [events[at] for at in order]), strict=True):
            assert {order[at] for at in found} == expected[rule.id], rule.where
