"""The SQL of a rule says of each event what the specification says: compared with `oracle`."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector.engines import Engine
from detector.sigma.compiler import compile_document
from detector.sigma.model import CompiledRule, RuleDocument, RuleProblem
from detector.sigma.scan import scan
from tests.sigma.oracle import matches
from tests.sigma.tables import windows_engine

QUICK = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


def compiled(detection: Mapping[str, Any], **more: Any) -> CompiledRule:
    found = compile_outcome(detection, **more)
    assert isinstance(found, CompiledRule), str(found)
    return found


def compile_outcome(detection: Mapping[str, Any], **more: Any) -> object:
    data = {
        "title": "A rule",
        "id": "2f7a3c1e-3b1c-4f0c-9d0e-0c6f5a1b2c3d",
        "logsource": {"product": "windows", "service": "security"},
        "detection": detection,
        **more,
    }
    return compile_document(RuleDocument("rule.yml", 1, data, "0" * 64))


@cache
def _engine() -> Engine:
    return Engine()


def hit_offsets(rule: CompiledRule, events: Sequence[Mapping[str, Any]]) -> list[int]:
    result = scan(windows_engine(events, _engine()), [rule])
    assert not result.problems, result.problems[0].message
    return sorted(result.hits["evidence_offset"].to_pylist())


def check(detection: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> list[int]:
    """Compare the SQL with the oracle and return the events that match."""
    full = [{"Channel": "Security", "Computer": "PC1", "Padding": "x", **event} for event in events]
    wanted = [index for index, event in enumerate(full) if matches(detection, event)]
    assert hit_offsets(compiled(detection), full) == wanted
    return wanted


# Few tokens, so that values meet often; with what SQL, LIKE, regular expressions and case folding trip over.
TOKENS = st.sampled_from([*"aAbB1\\%_'\"!.([^$|éÉİıßẞſΣςK あア🏥\n\x01", "-a", "/a", "--", "''", "';"])
TEXTS = st.lists(TOKENS, max_size=5).map("".join)
PATTERNS = st.lists(st.one_of(TOKENS, st.sampled_from(["*", "?", "\\*", "\\?", "\\\\"])), max_size=5).map(
    "".join
)
VALUES = st.one_of(PATTERNS, st.none(), st.integers(-3, 12), st.booleans())
EVENTS = st.lists(st.fixed_dictionaries({}, optional={"F": TEXTS, "G": TEXTS}), min_size=1, max_size=12)


def near(value: object) -> list[dict[str, str]]:
    """Return events whose field is a value as it stands, or nearly."""
    text = str(value)
    plain = text.replace("*", "x").replace("?", "y")
    return [
        {"F": each} for each in (text, text.upper(), plain, plain + "z", "z" + plain, "z" + plain + "z", "")
    ]


@QUICK
@given(value=VALUES, events=EVENTS)
def test_plain_values_match_as_the_specification_says(value: Any, events: list[dict[str, str]]) -> None:
    check({"s": {"F": value}, "condition": "s"}, [*events, *near(value)])


@QUICK
@given(
    modifiers=st.sampled_from(
        [
            "contains",
            "startswith",
            "endswith",
            "contains|all",
            "cased",
            "cased|contains",
            "cased|startswith",
            "cased|endswith|all",
            "windash",
            "windash|contains",
            "contains|windash",
            "neq",
            "contains|neq",
        ]
    ),
    values=st.lists(PATTERNS, min_size=1, max_size=4),
    events=EVENTS,
)
def test_text_modifiers(modifiers: str, values: list[str], events: list[dict[str, str]]) -> None:
    nearby = [event for value in values for event in near(value)]
    check({"s": {f"F|{modifiers}": values}, "condition": "s"}, [*events, *nearby])


@QUICK
@given(
    modifiers=st.sampled_from(
        [
            "base64",
            "base64|contains",
            "base64offset|contains",
            "wide|base64offset|contains",
            "utf16be|base64|contains",
            "base64offset|contains|all",
        ]
    ),
    values=st.lists(TEXTS.filter(lambda text: len(text) > 2 and "\\" not in text), min_size=1, max_size=3),
    before=st.binary(max_size=3),
)
def test_base64_of_text_at_any_place(modifiers: str, values: list[str], before: bytes) -> None:
    encoding = {"wide": "utf-16-le", "utf16be": "utf-16-be"}.get(modifiers.split("|")[0], "utf-8")
    contents = [value.encode(encoding) for value in values]
    events = [{"F": base64.b64encode(before + content + b"tail").decode()} for content in contents]
    events += [{"F": base64.b64encode(content).decode()} for content in contents]
    found = check({"s": {f"F|{modifiers}": values}, "condition": "s"}, [*events, {}, {"F": ""}])
    if modifiers.endswith("base64offset|contains"):
        assert set(range(len(contents))) <= set(found)


@QUICK
@given(
    pattern=st.sampled_from(
        [
            r"a+b",
            r"^a",
            r"a$",
            r"(a|b){2,3}",
            r"[^\\/]+$",
            r"\.",
            r"a.b",
            r"\bB",
            r"あ|ア",
            r"\x41",
            r"a{,2}B",
            r"\_",
            r"(?i)AB",
            r"\d",
            r"[\]a]",
            r"A\Z",
            r"^$",
            r"\\",
            "'",
            r"\u3042",
            r"é",
            r"\é",
            r"(?:a)(?P<n>b)?",
        ]
    ),
    flags=st.sampled_from(["", "|i", "|m", "|s", "|i|m|s"]),
    events=EVENTS,
)
def test_regular_expressions(pattern: str, flags: str, events: list[dict[str, str]]) -> None:
    detection = {"s": {f"F|re{flags}": pattern}, "condition": "s"}
    if r"\Z" in pattern:  # Python's \Z is not PCRE's
        events = [event for event in events if not event.get("F", "").endswith("\n")]
    check(detection, events)


@pytest.mark.parametrize(
    ("pattern", "construct"),
    [
        ("(?<=a)b", "look-behind"),
        ("(?<!a)b", "look-behind"),
        ("a(?=b)", "look-ahead"),
        ("a(?!b)", "look-ahead"),
        (r"(a)\1", "back-reference"),
        ("(?P<x>a)(?P=x)", "back-reference"),
        ("a++", "possessive"),
        ("(?>a)", "atomic"),
        ("a{2000}", "repetition"),
        ("(?x)a b", "flag"),
    ],
)
def test_a_pattern_that_re2_lacks_is_refused_by_name(pattern: str, construct: str) -> None:
    found = compile_outcome({"s": {"F|re": pattern}, "condition": "s"})
    assert isinstance(found, RuleProblem)
    assert construct in found.message


NUMBERS = st.sampled_from(
    [
        "0",
        "5",
        "05",
        "-3",
        "3.5",
        "0x5",
        "0X0A",
        "0xFFFFFFFFFFFFFFFF",
        "0x",
        "five",
        "",
        "1e3",
        "5 ",
        "1_0",
        "nan",
        "inf",
        "9007199254740993",
        "9007199254740992",
        "%%1842",
        "５",
    ]
)


@QUICK
@given(
    operator=st.sampled_from(["lt", "lte", "gt", "gte"]),
    limit=st.sampled_from([0, 5, -3, 3.5, 10, 9007199254740992, 18446744073709551615]),
    values=st.lists(NUMBERS, min_size=1, max_size=10),
)
def test_comparisons_never_abort(operator: str, limit: float, values: list[str]) -> None:
    check({"s": {f"F|{operator}": limit}, "condition": "s"}, [{"F": value} for value in values] + [{}])


@pytest.mark.parametrize("part", ["minute", "hour", "day", "week", "month", "year"])
@pytest.mark.parametrize("suffix", ["", "|gt", "|lte"])
def test_parts_of_a_time_are_those_of_utc(part: str, suffix: str) -> None:
    values = ["2022-10-31T05:06:07Z", "2022-10-31T23:59:59+09:00", "2023-01-01T00:30:00", "no time", ""]
    events: list[dict[str, Any]] = [{"F": value} for value in values]
    for number in (0, 5, 6, 10, 14, 30, 31, 44, 52, 2022):
        check({"s": {f"F|{part}{suffix}": number}, "condition": "s"}, events)
    found = hit_offsets(compiled({"s": {"TimeCreated|hour": 5}, "condition": "s"}), [{"F": "x"}])
    assert found == [0]  # 05:06:07 UTC, stored as a time


@pytest.mark.parametrize(
    "network",
    ["10.0.0.0/8", "10.1.2.3/32", "192.168.128.0/17", "0.0.0.0/0", "::1/128", "fe80::/10", "fc00::/7"],
)
def test_cidr_for_both_families(network: str) -> None:
    addresses = [
        "10.1.2.3",
        "10.foo",
        "100.1.2.3",
        "192.168.129.1",
        "192.168.1.1",
        "::1",
        "fe80::1%12",
        "fd00::1",
    ]
    addresses += ["febf:ffff::", "fec0::1", "::ffff:10.1.2.3", "10.1.2.3.4", "010.1.2.3", "-", "", "LOCAL"]
    assert check({"s": {"F|cidr": network}, "condition": "s"}, [{"F": each} for each in addresses] + [{}])


@QUICK
@given(
    modifier=st.sampled_from(["", "|startswith", "|endswith", "|contains"]),
    events=EVENTS,
)
def test_a_field_compared_with_a_field(modifier: str, events: list[dict[str, str]]) -> None:
    same = [{"F": text + "x", "G": text.upper()} for event in events if (text := event.get("F"))]
    check({"s": {f"F|fieldref{modifier}": "G"}, "condition": "s"}, [*events, *same])
    check({"s": {f"F|fieldref{modifier}": "Nowhere"}, "condition": "not s"}, events)


@QUICK
@given(wanted=st.booleans(), events=EVENTS)
def test_exists(wanted: bool, events: list[dict[str, str]]) -> None:
    check({"s": {"F|exists": wanted}, "condition": "s"}, [*events, {"F": ""}, {}])


SELECTIONS = st.one_of(
    st.dictionaries(
        st.sampled_from(["F", "G", "Nowhere", "F|contains", "G|endswith", "F|contains|all"]),
        st.one_of(VALUES.filter(lambda v: isinstance(v, str)), st.lists(PATTERNS, min_size=1, max_size=3)),
        min_size=1,
        max_size=3,
    ),
    st.lists(PATTERNS.filter(lambda text: text.strip("*") != ""), min_size=1, max_size=3),
)


@st.composite
def conditions(draw: st.DrawFn, depth: int = 3) -> str:
    kind = draw(st.sampled_from(["name", "name", "not", "and", "or", "of"])) if depth else "name"
    if kind == "name":
        return draw(st.sampled_from(["sel_a", "sel_b", "filter_c"]))
    if kind == "of":
        return draw(
            st.sampled_from(["1 of sel_*", "all of sel_*", "1 of them", "all of them", "any of filter*"])
        )
    if kind == "not":
        return (
            f"not {draw(conditions(depth - 1))}"
            if draw(st.booleans())
            else f"not ({draw(conditions(depth - 1))})"
        )
    inner = [draw(conditions(depth - 1)) for _ in range(draw(st.integers(2, 3)))]
    return "(" + f" {kind} ".join(inner) + ")"


@settings(QUICK, max_examples=80)
@given(a=SELECTIONS, b=SELECTIONS, c=SELECTIONS, condition=conditions(), events=EVENTS)
def test_conditions_in_two_valued_logic(
    a: Any, b: Any, c: Any, condition: str, events: list[dict[str, str]]
) -> None:
    check({"sel_a": a, "sel_b": b, "filter_c": c, "condition": condition}, [*events, {}])


@QUICK
@given(value=st.one_of(PATTERNS, TEXTS), name=TEXTS.filter(lambda t: "|" not in t and t.strip() != ""))
def test_nothing_that_a_rule_says_gets_out_of_its_literal(value: str, name: str) -> None:
    events = [{"F": "x"}, {"F": value}, {name: value}, {}]
    unique = {key.lower() for key in ("F", name)}
    if len(unique) < 2:
        events = events[:2]
    check({"s": {"F": value, name: value}, "condition": "not s"}, events)


@pytest.mark.parametrize(
    "text", ["'; DROP TABLE x; --", '"', "''", "\\'", "a\0b", "'||chr(0)||'", "%' OR '1'='1"]
)
@pytest.mark.parametrize("modifier", ["", "|contains", "|re", "|startswith", "|cased"])
def test_injection_attempts_match_only_themselves(text: str, modifier: str) -> None:
    value = re.escape(text) if modifier == "|re" else text.replace("\\", "\\\\")
    assert hit_offsets(
        compiled({"s": {f"F{modifier}": value}, "condition": "s"}), [{"F": text}, {"F": "b"}]
    ) == [0]


def test_a_missing_field_is_false_and_its_negation_true() -> None:
    events: list[dict[str, Any]] = [{"F": "a"}, {"F": "b"}, {"F": ""}, {}]
    assert check({"s": {"F": "a"}, "condition": "not s"}, events) == [1, 2, 3]
    assert check({"s": {"F": "a"}, "condition": "not (not s)"}, events) == [0]
    assert check({"s": {"F": "a"}, "t": {"G": "x"}, "condition": "not (s and t)"}, events) == [0, 1, 2, 3]
    assert check({"s": {"F": None}, "condition": "s"}, events) == [3]
    assert check({"s": {"F": ""}, "condition": "s"}, events) == [2]
    assert check({"s": {"F": "*"}, "condition": "s"}, events) == [0, 1, 2]
    assert check({"s": {"F|re": "a"}, "t": {"F|gt": 3}, "condition": "not s and not t"}, events) == [1, 2, 3]


def test_typed_columns_and_numbers() -> None:
    events: list[dict[str, Any]] = [{"EventID": 4624, "F": "5"}, {"EventID": 46, "F": "05"}, {"F": "x"}]
    for value, wanted in ((4624, [0]), ("4624", [0]), ("46*", [0, 1]), ([46, 4624], [0, 1]), ("04624", [])):
        assert hit_offsets(compiled({"s": {"EventID": value}, "condition": "s"}), events) == wanted
    assert hit_offsets(compiled({"s": {"EventID|gte": 47}, "condition": "not s"}), events) == [1, 2]
    assert check({"s": {"F": 5}, "condition": "s"}, [{"F": "5"}, {"F": "05"}]) == [0]


def test_many_alternatives_become_one_expression_with_the_same_meaning() -> None:
    values = ["a.b*", "*\\c", "x*y", "d?e", "plain", "É*", "*"]
    rule = compiled({"s": {"F": values[:6]}, "condition": "s"})
    assert rule.where.count("lower(f)") == 3  # a list, a pattern, and one for a wildcard inside a text
    events = [
        {"F": text} for text in ("A.B1", "aXb", "z\\C", "x\ny", "d\ne", "de", "PLAIN", "plain2", "éa", "")
    ]
    assert check({"s": {"F": values[:6]}, "condition": "s"}, events) == [0, 2, 3, 4, 6, 8]


@pytest.mark.parametrize(
    ("detection", "message"),
    [
        ({"s": {"F": "a"}, "condition": "t"}, "not defined"),
        ({"s": {"F": "a"}, "condition": "s and"}, "ends where a selection is expected"),
        ({"s": {"F": "a"}, "condition": "s and not 1 of filter_*"}, "no selection has such a name"),
        ({"s": {"F|foo": "a"}, "condition": "s"}, "Unknown modifier"),
        ({"s": {"F|cidr": "10.0.0.1/8"}, "condition": "s"}, "CIDR"),
        ({"s": {"F|expand": "%hosts%"}, "condition": "s"}, "placeholder %hosts%"),
        ({"s": {"F|re": "("}, "condition": "s"}, "without its ')'"),
        ({"s": {"F|gt": "a"}, "condition": "s"}, "incompatible"),
        ({"s": {"F": {"a": "b"}}, "condition": "s"}, "neither a value"),
        ({"s": {"F": "a"}, "condition": "s | count() > 5"}, "pipe syntax"),
        ({"s": {"F": "a"}, "timeframe": "5m", "condition": "s"}, "timeframe"),
        ({"s": {"F": "\ud800"}, "condition": "s"}, "surrogate"),
        ({"s": {1: "a"}, "condition": "s"}, "no text"),
        ({"s": ["*"], "condition": "s"}, "empty keyword"),
        ({"s": {"F": "x"}, "condition": 5}, "a condition is a text"),
        ({"s": {"F": []}, "condition": "s"}, "a list without values"),
        ({"condition": "s"}, "at least one selection"),
        ({"s": {"F": "a"}}, "needs a condition"),
    ],
)
def test_what_cannot_be_run_is_a_problem_with_its_reason(detection: dict[str, Any], message: str) -> None:
    found = compile_outcome(detection)
    assert isinstance(found, RuleProblem)
    assert message in found.message


def test_wildcards_of_like_in_a_value_are_plain_characters() -> None:
    events = [{"F": text} for text in ("a_b1c", "aXb1c", "a%b1c", "a!b1c")]
    for value, wanted in (("a_b*c", [0]), ("a%b?c", [2]), ("a!b*c", [3]), ("a?b*c", [0, 1, 2, 3])):
        assert check({"s": {"F": value}, "condition": "s"}, events) == wanted


@pytest.mark.parametrize("before", [b"", b"\xff", b"\xff\xff", b"\xff\xff\xff"])
@pytest.mark.parametrize("text", ["foobar", "fooba", "foob", "\u30d1\u30b9"])
def test_base64offset_finds_text_behind_any_bytes(before: bytes, text: str) -> None:
    encoded = base64.b64encode(before + text.encode() + b"\xff").decode()
    assert check(
        {"s": {"F|base64offset|contains": text}, "condition": "s"}, [{"F": encoded}, {"F": "x"}]
    ) == [0]


@pytest.mark.parametrize(
    ("modifiers", "content"),
    [
        ("utf16|base64", b"\xff\xfea\x00*\x00"),  # with byte order mark; the wildcard is escaped in the rule
        ("wide|base64", b"a\x00*\x00"),
        ("base64", b"a*"),
    ],
)
def test_encodings_are_of_the_text_and_not_of_its_escapes(modifiers: str, content: bytes) -> None:
    event = {"F": base64.b64encode(content).decode()}
    assert hit_offsets(compiled({"s": {f"F|{modifiers}": "a\\*"}, "condition": "s"}), [event]) == [0]


def test_the_end_of_a_pattern_is_also_before_a_last_line_feed() -> None:
    events = [{"F": text} for text in ("a", "a\n", "a\n\n", "a\nb")]
    assert check({"s": {"F|re": "a$"}, "condition": "s"}, events) == [0, 1]
    assert check({"s": {"F|re|m": "a$"}, "condition": "s"}, events) == [0, 1, 2, 3]


def test_a_selection_whose_name_begins_with_an_operator() -> None:
    events = [{"F": "a"}, {"F": "b"}, {"F": "c"}]
    detection = {"notepad": {"F": "a"}, "order": {"F": "b"}, "android": {"F": "c"}, "_notes": {"F": "b"}}
    for condition, wanted in (
        ("notepad", [0]),
        ("not notepad", [1, 2]),
        ("notepad or order", [0, 1]),
        ("1 of n*", [0]),
        ("not 1 of them", []),
        ("1 of *d and not android", [0]),
        ("not (not notepad)", [0]),
    ):
        assert check({**detection, "condition": condition}, events) == wanted
