"""Each modifier and construct of Sigma 2: engine and oracle against what the specification says, by example.

All cases are evaluated in one scan, so that every rule also meets the events of all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from detector.sigma.model import CompiledRule
from tests.sigma.compare import compile_one, differences, hits, refusal
from tests.sigma.oracle import matches


class Case(NamedTuple):
    """A rule, values of field F (or whole events), and which of them match, by position."""

    name: str
    detection: Mapping[str, Any]
    events: list[Any]
    wanted: list[int]

    def as_events(self) -> list[dict[str, Any]]:
        return [event if isinstance(event, dict) else {"F": event} for event in self.events]


def one(key: str, value: Any) -> dict[str, Any]:
    return {"s": {key: value}, "condition": "s"}


PLACEHOLDERS = {
    "Servers": ["srv*", "db1"],
    "Admins": ["adm"],
    "ports": ["22", "3389"],
    "nets": ["10.0.0.0/8"],
}

CASES = [
    Case("equal without case", one("F", "Abc"), ["abc", "ABC", "abcd", "", None], [0, 1]),
    Case("list is or", one("F", ["a", "b", "c", "d"]), ["A", "d", "e"], [0, 1]),
    Case("wildcards", one("F", "a*c?"), ["acx", "a--cx", "ac", "ACxx", "a\nc\n"], [0, 1, 4]),
    Case("one character", one("F", "a?c"), ["abc", "ac", "abbc", "aあc", "a\U0001f3e5c"], [0, 3, 4]),
    Case("escaped star", one("F", r"a\*c"), ["a*c", "abc", "a\\*c"], [0]),
    Case("escaped question mark", one("F", r"a\?c"), ["a?c", "abc"], [0]),
    Case("backslash and wildcard", one("F", r"a\\*"), ["a\\", "a\\b", "a*", "ab"], [0, 1]),
    Case("backslash and star", one("F", r"a\\\*"), ["a\\*", "a\\b", "a*"], [0]),
    Case("single backslash", one("F", r"C:\x"), ["c:\\X", "c:\\\\x"], [0]),
    Case("double backslash", one("F", r"C:\\x"), ["c:\\X", "c:\\\\x"], [0]),
    Case("four backslashes", one("F", r"\\\\srv"), ["\\\\srv", "\\srv"], [0]),
    Case("three backslashes", one("F", r"\\\srv"), ["\\\\srv", "\\srv"], [0]),
    Case("backslash at the end", one("F|endswith", "\\"), ["a\\", "a"], [0]),
    Case("contains", one("F|contains", "b"), ["abc", "B", "ac", None], [0, 1]),
    Case("contains nothing", one("F|contains", ""), ["abc", "", None], [0, 1]),
    Case("contains with a wildcard", one("F|contains", "a*c"), ["xabcx", "ca"], [0]),
    Case("startswith", one("F|startswith", "ab"), ["ABc", "xab"], [0]),
    Case("endswith", one("F|endswith", "bc"), ["aBC", "bcd"], [0]),
    Case("contains a number", one("F|contains", 44), ["x4445", "45"], [0]),
    Case("starts with true", one("F|startswith", True), ["TRUEx", "1"], [0]),
    Case("all", one("F|contains|all", ["a", "b"]), ["xbya", "a", "b"], [0]),
    Case("all and windash", one("F|contains|all|windash", ["-a", "-b"]), ["/a –b", "/a"], [0]),
    Case("re", one("F|re", "a+b"), ["xaab", "AAB", "b"], [0]),
    Case("re i", one("F|re|i", "a+b"), ["xaab", "AAB", "b"], [0, 1]),
    Case("re m", one("F|re|m", "^b$"), ["a\nb\nc", "b", "ab"], [0, 1]),
    Case("re s", one("F|re|s", "a.b"), ["a\nb", "axb", "ab"], [0, 1]),
    Case("re without s", one("F|re", "a.b"), ["a\nb", "axb"], [1]),
    Case("re all flags", one("F|re|i|m|s", "^A.B$"), ["x\na\nb", "x"], [0]),
    Case("re of a number", one("F|re", 44), ["x44", "4"], [0]),
    Case("re startswith", one("F|re|startswith", "b|c"), ["bx", "xb", "cx", "xc"], [0, 2]),
    Case("re endswith", one("F|re|endswith", "b|c"), ["bx", "xb", "cx", "xc", "b\n"], [1, 3]),
    Case("re all", one("F|re|all", ["a", "b"]), ["ba", "a"], [0]),
    Case("cased", one("F|cased", "Ab*"), ["Abx", "abx"], [0]),
    Case("cased contains", one("F|contains|cased", "İ"), ["xİ", "xi", "xı"], [0]),
    Case("base64", one("F|base64|contains", "foobar"), ["xZm9vYmFy", "foobar"], [0]),
    Case(
        "base64offset",
        one("F|base64offset|contains", "/bin/bash"),
        ["L2Jpbi9iYXNo", "AC9iaW4vYmFzaAA=", "AAAvYmluL2Jhc2gA", "/bin/bash"],
        [0, 1, 2],
    ),
    Case("wide", one("F|wide|base64|contains", "cmd"), ["YwBtAGQA", "Y21k"], [0]),
    Case("utf16le", one("F|utf16le|base64|contains", "cmd"), ["YwBtAGQA", "Y21k"], [0]),
    Case("utf16be", one("F|utf16be|base64|contains", "cmd"), ["AGMAbQBk", "YwBtAGQA"], [0]),
    Case("utf16", one("F|utf16|base64|contains", "cmd"), ["//5jAG0AZAA=", "YwBtAGQA"], [0]),
    Case("wide alone", one("F|wide|contains", "cmd"), ["xc\0m\0d\0x", "cmd", "\0c\0m\0d"], [0]),
    Case("utf16be alone", one("F|utf16be", "cmd"), ["c\0m\0d\0", "cmd", "\0c\0m\0d"], [2]),
    Case(
        "windash",
        one("F|windash", "-a /b"),
        ["-a /b", "/a -b", "–a —b", "―a ―b", "a b", "_a -b", "−a -b"],
        [0, 1, 2, 3],
    ),
    Case("windash inside words", one("F|windash", "-x-y a/b"), ["/x-y a/b", "/x/y a/b", "-x-y a-b"], [0]),
    Case("windash of any dash", one("F|windash|contains", "–x"), [" -x ", "/x", "x"], [0, 1]),
    Case("windash and wildcards", one("F|windash", "*-x*é"), ["a /X bÉ", "é"], [0]),
    Case("windash and base64", one("F|windash|base64", "-x"), ["LXg=", "L3g=", "4oCTeA==", "-x"], [0, 1, 2]),
    Case(
        "cidr v4",
        one("F|cidr", "192.168.128.0/17"),
        ["192.168.129.1", "192.168.1.1", "::ffff:192.168.200.1", "x", "", None],
        [0, 2],
    ),
    Case("cidr v6", one("F|cidr", ["fe80::/10", "::1"]), ["febf::1%12", "::1", "fec0::", "1.2.3.4"], [0, 1]),
    Case("exists", one("F|exists", True), ["x", "", None], [0, 1]),
    Case("exists not", one("F|exists", False), ["x", "", None], [2]),
    Case("null", one("F", None), ["x", "", "null", None], [3]),
    Case("null or a value", one("F", [None, "x"]), ["X", "", None], [0, 2]),
    Case("empty", one("F", ""), ["x", "", None], [1]),
    Case(
        "fieldref",
        one("F|fieldref", "G"),
        [{"F": "Ab", "G": "aB"}, {"F": "a", "G": "b"}, {"F": "a"}, {"G": "a"}, {}],
        [0],
    ),
    Case("fieldref cased", one("F|fieldref|cased", "G"), [{"F": "A", "G": "a"}, {"F": "a", "G": "a"}], [1]),
    Case("cased fieldref", one("F|cased|fieldref", "G"), [{"F": "A", "G": "a"}, {"F": "a", "G": "a"}], [1]),
    Case(
        "fieldref contains",
        one("F|fieldref|contains", "G"),
        [{"F": "xABx", "G": "ab"}, {"F": "a_b", "G": "a%b"}, {"F": "a", "G": "ab"}],
        [0],
    ),
    Case(
        "fieldref startswith",
        one("F|fieldref|startswith", "G"),
        [{"F": "ABx", "G": "ab"}, {"F": "xab", "G": "ab"}],
        [0],
    ),
    Case(
        "fieldref endswith",
        one("F|fieldref|endswith", "G"),
        [{"F": "xAB", "G": "ab"}, {"F": "abx", "G": "ab"}],
        [0],
    ),
    Case(
        "fieldref neq",
        one("F|fieldref|neq", "G"),
        [{"F": "A", "G": "a"}, {"F": "b", "G": "a"}, {"F": "b"}],
        [1, 2],
    ),
    Case("expand", one("F|expand", "%Servers%"), ["SRV7", "db1", "db12", "%Servers%"], [0, 1]),
    Case("expand inside", one("F|expand|contains", r"\\%Admins%x"), ["a\\admxa", "adm"], [0]),
    Case("contains expand", one("F|contains|expand", r"\\%Admins%x"), ["a\\admxa", "adm"], [0]),
    Case("expand escaped", one("F|expand", r"\%p%Admins%"), ["%padm", "p"], [0]),
    Case("no expand", one("F", "%Servers%"), ["%servers%", "srv1"], [0]),
    Case("expand a network", one("F|cidr|expand", "%nets%"), ["10.1.1.1", "11.1.1.1"], [0]),
    Case("expand in re", one("F|re|expand", "^%ports%$"), ["22", "3389", "2"], [0, 1]),
    Case("lt", one("F|lt", 5), ["4", "5", "6", "x", "-1", "0x4", "", None], [0, 4, 5]),
    Case("lte", one("F|lte", 5), ["4", "5", "6", "0x5"], [0, 1, 3]),
    Case(
        "gt",
        one("F|gt", 5),
        ["4", "5", "6", "5.5", "18446744073709551615", "0xFFFFFFFFFFFFFFFF"],
        [2, 3, 4, 5],
    ),
    Case("gte", one("F|gte", 5.5), ["5", "5.5", "6"], [1, 2]),
    Case("gt large", one("F|gt", 9007199254740992), ["9007199254740992", "9007199254740993"], [1]),
    Case("number", one("F", 5), ["5", "05", "5.0", "x5", "0x5"], [0]),
    Case("large number", one("F", 9007199254740993), ["9007199254740993", "9007199254740992"], [0]),
    Case("number neq", one("F|neq", 5), ["5", "6", None], [1, 2]),
    Case("neq", one("F|neq", ["a", "b"]), ["A", "b", "c", "", None], [2, 3, 4]),
    Case("contains neq", one("F|contains|neq", "a"), ["xa", "x", None], [1, 2]),
    Case("boolean", one("F", True), ["true", "TRUE", "1", "false"], [0, 1]),
    Case("minute", one("F|minute", 6), ["2022-10-31T05:06:07Z", "2022-10-31T06:00:00Z", "x"], [0]),
    Case("hour", one("F|hour", 5), ["2022-10-31T05:06:07Z", "2022-10-31T14:06:07+09:00", "5"], [0, 1]),
    Case("day", one("F|day", 31), ["2022-10-31T05:06:07Z", "2022-11-01T05:06:07+09:00"], [0, 1]),
    Case("week", one("F|week", 44), ["2022-10-31T05:06:07Z", "2022-11-07T05:06:07Z"], [0]),
    Case("month", one("F|month", 10), ["2022-10-31T05:06:07Z", "2022-11-07T05:06:07Z"], [0]),
    Case("year", one("F|year", 2022), ["2022-10-31T05:06:07Z", "2023-01-01T00:00:00Z"], [0]),
    Case("hour gte", one("F|hour|gte", 22), ["2022-10-31T22:00:00Z", "2022-10-31T21:59:59Z"], [0]),
    Case(
        "keywords",
        {"k": ["evil", "bad*thing"], "condition": "k"},
        [{"G": "xEVILx"}, {"G": "a bad old thing!"}, {"G": "x"}],
        [0, 1],
    ),
    Case("keyword alone", {"k": "evil", "condition": "k"}, ["an EVIL one", "x"], [0]),
    Case(
        "keywords all",
        {"k": {"|all": ["ev", "il"]}, "condition": "k"},
        [{"F": "ev", "G": "il"}, {"F": "ev"}],
        [0],
    ),
    Case("keyword re", {"k": {"|re": "ev.l$"}, "condition": "k"}, ["xevil", "evilx"], [0]),
    Case("keyword startswith", {"k": {"|startswith": "evil"}, "condition": "k"}, ["evilx", "xevil"], [0]),
    Case("keyword cased", {"k": {"|cased": "Evil"}, "condition": "k"}, ["xEvil", "xevil"], [0]),
    Case(
        "keyword base64offset",
        {"k": {"|base64offset|contains": "evil"}, "condition": "k"},
        ["xZXZpbA==", "evil"],
        [0],
    ),
    Case("keyword number", {"k": [98765], "condition": "k"}, ["x98765x", "x"], [0]),
    Case("keyword expand", {"k": {"|expand": "%Admins%!"}, "condition": "k"}, ["xADM!x", "adm"], [0]),
    Case(
        "list of maps",
        {"s": [{"F": "a", "G": "b"}, {"F": "c"}], "condition": "s"},
        [{"F": "a", "G": "b"}, {"F": "a"}, {"F": "c"}],
        [0, 2],
    ),
    Case("maps and keywords", {"s": [{"F": "qq"}, "zzz"], "condition": "s"}, ["qq", "xzzzx", "qqq"], [0, 1]),
    Case(
        "map is and",
        {"s": {"F": "a", "G|contains": "b"}, "condition": "s"},
        [{"F": "a", "G": "xb"}, {"F": "a", "G": "x"}, {"G": "b"}],
        [0],
    ),
    Case(
        "list of conditions",
        {"s": {"F": "a"}, "t": {"F": "b"}, "condition": ["s", "t"]},
        ["a", "b", "c"],
        [0, 1],
    ),
    Case("field with spaces", one("Threat Name", "x"), [{"Threat Name": "X"}, {"F": "x"}], [0]),
    Case("field with a dot", one("a.b", "x"), [{"a.b": "X"}, {"F": "x"}], [0]),
    Case("field with quotes", one("a\"b'c", "x"), [{"a\"b'c": "X"}, {"F": "x"}], [0]),
    Case("field in Japanese", one("端末名", "x"), [{"端末名": "X"}, {"F": "x"}], [0]),
    Case("field of another case", one("gAmMa", "x"), [{"GaMmA": "X"}, {"F": "x"}], [0]),
    Case("field that no event has", {"s": {"Nowhere9": "x"}, "condition": "s"}, ["x"], []),
    Case(
        "field that no event has, not", {"s": {"F": "q", "Nowhere9|neq": "x"}, "condition": "s"}, ["q"], [0]
    ),
]

_S = {
    "sel_a": {"F": "a"},
    "sel_b": {"G": "b"},
    "other": {"H": "c"},
    "_hidden": {"F": "z"},
    "nothere": {"F": "n"},
}
_EVENTS: list[dict[str, Any]] = [
    {},
    {"F": "a"},
    {"G": "b"},
    {"H": "c"},
    {"F": "a", "G": "b"},
    {"F": "a", "H": "c"},
    {"F": "z"},
    {"F": "n", "G": "b", "H": "c"},
]

CONDITIONS = [
    ("1 of sel_*", [1, 2, 4, 5, 7]),
    ("any of sel_*", [1, 2, 4, 5, 7]),
    ("all of sel_*", [4]),
    ("1 of them", [1, 2, 3, 4, 5, 7]),
    ("all of them", []),
    ("1 of *", [1, 2, 3, 4, 5, 7]),
    ("1 of _*", [6]),
    ("_hidden", [6]),
    ("1 of sel_a", [1, 4, 5]),
    ("1 of *e*", [1, 2, 3, 4, 5, 7]),
    ("not sel_a", [0, 2, 3, 6, 7]),
    ("not not sel_a", [1, 4, 5]),
    ("not(sel_a)", [0, 2, 3, 6, 7]),
    ("sel_a or sel_b and other", [1, 4, 5, 7]),
    ("(sel_a or sel_b) and other", [5, 7]),
    ("sel_b and not sel_a or other", [2, 3, 5, 7]),
    ("not sel_a and not sel_b", [0, 3, 6]),
    ("not 1 of sel_*", [0, 3, 6]),
    ("not all of sel_* and sel_a", [1, 5]),
    ("sel_b and nothere", [7]),
    ("nothere", [7]),
    ("not nothere and sel_b", [2, 4]),
    ("((sel_a))", [1, 4, 5]),
    ("sel_a\n  or\tsel_b", [1, 2, 4, 5, 7]),
]


def test_every_case_is_as_written_for_engine_and_oracle() -> None:
    rules: list[CompiledRule] = []
    for number, case in enumerate(CASES):
        found = compile_one(case.detection, number, PLACEHOLDERS)
        assert isinstance(found, CompiledRule), f"{case.name}: {found}"
        rules.append(found)
    events = [event for case in CASES for event in case.as_events()]
    start = 0
    wrong = []
    for case, found_at in zip(CASES, hits(rules, events), strict=True):
        own = case.as_events()
        engine = sorted(at - start for at in found_at if start <= at < start + len(own))
        by_oracle = [at for at, event in enumerate(own) if matches(case.detection, event, PLACEHOLDERS)]
        if not engine == by_oracle == case.wanted:
            wrong.append((case.name, case.wanted, engine, by_oracle))
        start += len(own)
    assert wrong == []


def test_every_rule_meets_every_event_as_the_oracle_says() -> None:
    events = [event for case in CASES for event in case.as_events()]
    assert differences([case.detection for case in CASES], events, PLACEHOLDERS) == []


@pytest.mark.parametrize(("condition", "wanted"), CONDITIONS)
def test_conditions(condition: str, wanted: list[int]) -> None:
    detection = {**_S, "condition": condition}
    assert [at for at, event in enumerate(_EVENTS) if matches(detection, event)] == wanted
    assert differences([detection], _EVENTS) == []


@pytest.mark.parametrize(
    ("detection", "message"),
    [
        (one("F|contians", "a"), "is contains meant?"),
        (one("F|contains", None), "incompatible with null"),
        (one("F|re|contains|i", "a["), "without its end"),
        (one("F|contains|re", "a"), "stands before"),
        (one("F|i", "a"), "stands behind re"),
        (one("F|re|i|cased", "a"), "contradict"),
        (one("F|base64", "a*"), "without wildcards"),
        (one("F|contains|base64", "a"), "without wildcards"),
        (one("F|utf16", "a"), "base64 or base64offset must follow"),
        (one("F|wide", "é"), "base64 or base64offset must follow"),
        (one("F|wide|wide", "a"), "already encoded"),
        (one("F|cidr", "10.0.0.1/8"), "host bits"),
        (one("F|cidr", "10.0.0.0/8|x"), "CIDR"),
        (one("F|exists", "yes"), "true or false"),
        (one("F|exists|contains", True), "incompatible"),
        (one("F|gt", "5"), "needs a number"),
        (one("F|gt", True), "needs a number"),
        (one("F|gt", 10**40), "more than 28 digits"),
        (one("F|gt", 1e-12), "9 behind the point"),
        (one("F|hour", 1.5), "whole number"),
        (one("F|contains", 1.5), "in quotes"),
        (one("F", float("nan")), "no number"),
        (one("F", []), "without values"),
        ({"s": {}, "condition": "s"}, "without fields"),
        ({"s": [], "condition": "s"}, "without values"),
        ({"s": None, "condition": "s"}, "null needs a field"),
        ({"s": {"|cidr": "10.0.0.0/8"}, "condition": "s"}, "needs a field"),
        ({"s": {"|contains": ""}, "condition": "s"}, "empty keyword"),
        (one("F|base64|expand", "%Admins%"), "expand stands before base64"),
        (one("F|expand", 5), "incompatible"),
        (one("F|expand", "%nobody%"), "the placeholder %nobody% has no value"),
        ({"s": {"F": "a"}, "condition": "s AND s"}, "lower case"),
        ({"s": {"F": "a"}, "condition": "NOT s"}, "lower case"),
        ({"s": {"F": "a"}, "condition": "(s"}, "')' is expected"),
        ({"s": {"F": "a"}, "condition": "s)"}, "character 2"),
        ({"s": {"F": "a"}, "condition": "s s"}, "character 3"),
        ({"s": {"F": "a"}, "condition": "2 of s*"}, "'2' at character 1"),
        ({"s": {"F": "a"}, "condition": "1 of"}, "ends where"),
        ({"s": {"F": "a"}, "condition": "s*"}, "stands behind '1 of'"),
        ({"s": {"F": "a"}, "condition": " "}, "empty"),
        ({"s": {"F": "a"}, "condition": "1 of t*"}, "no selection has such a name"),
    ],
)
def test_what_the_specification_does_not_have_is_refused(detection: Mapping[str, Any], message: str) -> None:
    assert message in refusal(detection, PLACEHOLDERS)
