"""Rules that are huge, hostile or odd: compiled right, or refused with the place; never a hang, an injection.

The time bounds are generous: what they catch takes minutes or for ever.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import yaml

from detector.sigma.loader import parse_rule_file
from detector.sigma.model import CompiledRule, RuleProblem
from detector.sigma.pack import compile_text
from detector.sigma.scan import scan
from tests.sigma.compare import compile_one, differences, full, hits, refusal
from tests.sigma.tables import windows_engine
from tests.sigma.test_loader import GOOD

SECONDS = 60.0


@contextmanager
def bounded(seconds: float = SECONDS) -> Iterator[None]:
    """Fail if what is inside takes more of the processor's time."""
    start = time.process_time()
    yield
    assert time.process_time() - start < seconds


def compiled(detection: Mapping[str, Any]) -> CompiledRule:
    found = compile_one(detection)
    assert isinstance(found, CompiledRule), found
    return found


EVENTS = [{"F": "x word9999é y"}, {"F": "word9999é"}, {"F": "-word9999é"}, {"F": "other"}, {}]


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("F", "word{}é", {1}),
        ("F|contains", "word{}é", {0, 1, 2}),
        ("F|endswith", "word{}é", {1, 2}),
        ("F|contains", "wo*d{}é", {0, 1, 2}),
        ("F|contains|windash", "-word{}é", {2}),
        ("F|neq", "word{}é", {0, 2, 3, 4}),
    ],
)
def test_ten_thousand_values_in_a_list(key: str, value: str, wanted: set[int]) -> None:
    with bounded():
        rule = compiled({"s": {key: [value.format(number) for number in range(10_000)]}, "condition": "s"})
        assert hits([rule], EVENTS) == [wanted]


def test_ten_thousand_values_that_must_all_be_there() -> None:
    with bounded():
        values = [f"w{number}," for number in range(10_000)]
        rule = compiled({"s": {"F|contains|all": values}, "condition": "s"})
        assert hits([rule], [{"F": "".join(values)}, {"F": "".join(values[1:])}]) == [{0}]


def test_ten_thousand_keywords_and_regular_expressions() -> None:
    with bounded(120):
        keywords = compiled({"s": [f"word{number}é" for number in range(10_000)], "condition": "s"})
        assert hits([keywords], EVENTS) == [{0, 1, 2}]
        patterns = [f"d{number}é$" for number in range(2_000, 12_000, 50)]
        patterns.append("d9999é$")
        assert hits([compiled({"s": {"F|re": patterns}, "condition": "s"})], EVENTS) == [{1, 2}]


def test_rules_of_a_megabyte() -> None:
    with bounded():
        long = "a" * 900_000
        pack = compile_text(GOOD.replace("EventID: 4625", f"F: {long}").encode(), "r.yml")
        assert hits(pack.rules, [{"F": long}, {"F": long[1:]}]) == [{0}]
        many = "\n".join(f"        - value number {number}" for number in range(35_000))
        pack = compile_text(GOOD.replace("        EventID: 4625", many).encode(), "r.yml")
        assert len(pack.rules) == 1
        comment = GOOD + "#" * (1024 * 1024 - len(GOOD) - 1)
        assert len(compile_text(comment.encode(), "r.yml").rules) == 1


@pytest.mark.parametrize(
    ("condition", "outcome"),
    [
        ("(" * 20_000 + "s" + ")" * 20_000, "nested more than 100"),
        ("(" * 101 + "s" + ")" * 101, "nested more than 100"),
        ("(" * 20_000, "nested more than 100"),
        (" or ".join(["1 of t* and not s"] * 20_000), {1}),
        ("not (" * 90 + "s" + ")" * 90, {0}),
        ("not " * 100_001 + "s", {1, 2}),
        (" or ".join(["s"] * 100_000), {0}),
        (" and ".join(f"(s or not {'not ' * number}t1)" for number in range(1_000)), {0}),
    ],
)
def test_conditions_without_end(condition: str, outcome: str | set[int]) -> None:
    detection = {"s": {"F": "a"}, "t1": {"F": "b"}, "t2": {"F": "c"}, "condition": condition}
    with bounded():
        if isinstance(outcome, str):
            assert outcome in refusal(detection)
        else:
            assert hits([compiled(detection)], [{"F": "a"}, {"F": "b"}, {}]) == [outcome]


def test_a_condition_that_stands_for_too_much_is_refused() -> None:
    detection: dict[str, Any] = {
        f"s{number}": {"F|contains": [f"{number} {index}" for index in range(1_000)]} for number in range(20)
    }
    text = " or ".join(f"(1 of s* and not s{number % 20})" for number in range(2_000))
    with bounded():
        assert "more than 50,000 comparisons" in refusal({**detection, "condition": text})


def test_as_many_dashes_as_one_likes() -> None:
    value = " ".join(f"-o{number}" for number in range(200))
    with bounded():
        rule = compiled({"s": {"F|contains|windash": value}, "condition": "s"})
        assert hits([rule], [{"F": f"x {value.replace('-', '―')}"}, {"F": value[1:]}]) == [{0}]
        assert "more than 10,000" in refusal({"s": {"F|windash|base64": value}, "condition": "s"})


def test_placeholders_do_not_multiply_without_end() -> None:
    given = {"p": [str(number) for number in range(1_000)]}
    with bounded():
        assert "more than 10,000" in refusal({"s": {"F|expand": "%p%%p%%p%%p%"}, "condition": "s"}, given)


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$",
        "(a|a)*b",
        "(a*)*b",
        "(.*a){20}",
        "^(([a-z])+.)+[A-Z]([a-z])+$",
        "(a|aa)+$",
        "(?i)(a?){50}a{50}",
    ],
)
def test_patterns_that_take_others_for_ever(pattern: str) -> None:
    with bounded():
        rule = compiled({"s": {"F|re": pattern}, "condition": "s"})
        hits([rule], [{"F": "a" * 20_000 + "!"}] * 3)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("((a{100}){100}){100}", "refused by RE2"),
        (r"\pL{1000}", "refused by RE2"),
        ("(" * 5_000 + "a" + ")" * 5_000, "nested more than 100"),
        ("a{1001}", "a repetition over 1000"),
        ("a{99999999999999999999}", ""),
        ("[" * 5_000, "without its end"),
        ("a**", "two quantifiers"),
        ("*a", "nothing before"),
        ("a)", "without its '('"),
        ("[z-a]", "upside down"),
        ("a{3,2}", "upside down"),
        ("[[:foo:]]", "unknown class"),
        (r"\p{Klingon}", "unknown property"),
        (r"\x{110000}", "no character"),
        (r"\ud800", "no character"),
        (r"\va", r"\v"),
        (r"\Ka", r"\K"),
        (r"\Xa", r"\X"),
        ("a\\", "backslash at its end"),
        ("(?x)a b", "the flag 'x'"),
        ("(?<=a)b", "look-behind"),
        ("a(?=b)", "look-ahead"),
        (r"(a)\1", "back-reference"),
        ("(?P<x>a)(?P=x)", "back-reference"),
        ("a++", "possessive"),
        ("(?>a)", "atomic"),
        ("(?(1)a|b)", "conditional"),
        ("(?R)", "recursion"),
        ("(?1)", "has '(?1)'"),
        ("(*UTF8)a", "a verb"),
        (r"a$\n", "before something else"),
        (r"(a$){2}", "before something else"),
    ],
)
def test_patterns_that_re2_cannot_be_told_are_refused_by_name(pattern: str, message: str) -> None:
    with bounded():
        if message:
            assert message in refusal({"s": {"F|re": pattern}, "condition": "s"})
        else:
            compiled({"s": {"F|re": pattern}, "condition": "s"})


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"a\Z", "a\n", True),
        (r"a\z", "a\n", False),
        (r"a$", "a\n", True),
        (r"a$", "a\nb", False),
        (r"(a$|b)", "a\n", True),
        (r"\d", "５", False),
        (r"\w", "é", False),
        (r"a\sb", "a\x0bb", True),
        (r"[\s]", "\x0b", True),
        (r"(?<n>a)(?'m'b)", "ab", True),
        (r"a(?i)b", "aB", True),
        (r"a(?i)b", "AB", False),
        (r"(a(?i)b|c)d", "aBD", False),
        (r"(a(?i)b|c)d", "Cd", True),
        (r"(?i:a)b", "Ab", True),
        (r"(?i)a(?-i)b", "AB", False),
        (r"(?s).", "\n", True),
        (r"(?^)A", "a", False),
        (r"\Qa.b\E", "axb", False),
        (r"\Qa.b\E", "a.b", True),
        (r"a{x}", "a{x}", True),
        (r"a{,2}b", "aab", True),
        (r"[a-\d]", "-", True),
        (r"[]a]", "]", True),
        (r"\101\x42\u0043\o{104}", "ABCD", True),
        (r"[\101]", "A", True),
        (r"\e\cA", "", None),
        (r"(?#a comment)b", "b", True),
        (r"^", "", True),
        (r"", "", True),
        (r"a{0}", "x", True),
        (r"(?i)\w", "\u017f", False),
        (r"\p{Lu}\P{Lu}", "Éa", True),
        (r"[[:alpha:][:digit:]]+$", "a1", True),
    ],
)
def test_what_engines_read_differently_is_read_as_pcre_has_it(
    pattern: str, text: str, found: bool | None
) -> None:
    detection = {"s": {"F|re": pattern}, "condition": "s"}
    if found is None:
        assert "leaves out" in refusal(detection)
    else:
        assert hits([compiled(detection)], [{"F": text}]) == [{0} if found else set()]


HOSTILE = [
    "'; DROP TABLE windows; --",
    "\"; SELECT * FROM read_text('/etc/passwd'); --",
    "' OR '1'='1",
    "\\'",
    "$$",
    "{0}{x}",
    "%s%d%%",
    "/* */",
    "a\nb",
    "\u2028\u202e",
    "*" * 50,
    "?" * 50,
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize(
    "place",
    [
        "title",
        "description",
        "author",
        "tags",
        "falsepositives",
        "id",
        "name",
        "level",
        "logsource",
        "selection",
    ],
)
def test_sql_in_every_place_of_a_rule(text: str, place: str) -> None:
    data: dict[str, Any] = yaml.safe_load(GOOD)
    data["detection"] = {"sel": {"F": "a"}, "condition": "sel"}
    if place in ("tags", "falsepositives"):
        data[place] = [text]
    elif place == "logsource":
        data[place] = {"product": "windows", "service": text}
    elif place == "selection":
        data["detection"] = {text: {"F": "a"}, "condition": "1 of them"}
    else:
        data[place] = text
    pack = compile_text(yaml.safe_dump(data, allow_unicode=True).encode(), "r.yml")
    assert len(pack.rules) + len(pack.problems) + len(pack.skipped) == 1
    assert all(problem.line is not None for problem in pack.problems)
    result = scan(windows_engine([full({"F": "a"}), full({"F": "b"})]), pack.rules)
    assert not result.problems
    assert result.hits["evidence_offset"].to_pylist() == ([0] if pack.rules else [])


@pytest.mark.parametrize(
    "text", [*HOSTILE, "a\0b", "\0", "|", "||", "evidence id", "sigma rule", "lower(f)", "texts()"]
)
@pytest.mark.parametrize(
    "modifier", ["", "|contains", "|re", "|cased", "|fieldref", "|windash", "|startswith|neq"]
)
def test_sql_as_field_or_value_matches_only_itself(text: str, modifier: str) -> None:
    """Compiled so that engine and oracle agree, or refused."""
    field = text.replace("|", "")
    detections = [
        {"s": {f"F{modifier}": text}, "condition": "s"},
        {"s": {field + modifier: "b"}, "condition": "s"},
    ]
    events = [{"F": text}, {"F": "b"}, {"F": "B" + text}, {}]
    events += [{field: "b"}, {field: "xb"}] if field.strip() and "\0" not in field else []
    usable = [each for each in detections if not isinstance(compile_one(each), RuleProblem)]
    assert usable or "\0" in text
    assert differences(usable, events) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"---\n", "no rule in this file"),
        (b"# only a comment\n", "no rule in this file"),
        (b"\xef\xbb\xbf", "empty"),
    ],
)
def test_a_file_without_a_rule_is_reported(content: bytes, message: str) -> None:
    (found,) = parse_rule_file(content, "r.yml")
    assert isinstance(found, RuleProblem)
    assert message in found.message


def test_scalars_are_those_of_yaml_1_2() -> None:
    (found,) = parse_rule_file(
        b"a: [no, on, Yes, 010, 0x1F, 1:30, 1e3, 1_0, 0b1, 1.5, true, null, ~, =, -7]", "r"
    )
    assert not isinstance(found, RuleProblem)
    wanted = ["no", "on", "Yes", 10, 31, "1:30", "1e3", "1_0", "0b1", 1.5, True, None, None, "=", -7]
    assert found.data["a"] == wanted
    (problem,) = parse_rule_file(b"a: " + b"9" * 5000, "r")
    assert isinstance(problem, RuleProblem)


def test_the_place_of_what_is_wrong_is_that_of_the_key() -> None:
    text = GOOD.replace("        EventID: 4625", "        - F: a\n        - G: b\n          H|re: '('")
    (problem,) = compile_text(text.encode(), "r.yml").problems
    assert (problem.line, problem.column) == (10, 11)
