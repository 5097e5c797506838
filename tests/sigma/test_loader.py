"""Rule files of every kind of badness give problems with places, and never stop the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from detector.sigma.loader import MAX_RULE_BYTES, parse_rule_file, rule_files
from detector.sigma.model import RuleDocument, RuleProblem
from detector.sigma.pack import compile_text, load_pack

GOOD = """\
title: Good
id: 0b0c5b1e-31d2-4a0e-8a3e-1f2d3c4b5a69
logsource:
    product: windows
    service: security
detection:
    sel:
        EventID: 4625
    condition: sel
level: low
"""


@pytest.mark.parametrize(
    ("content", "message", "line", "column"),
    [
        (b"title: a\n  b: c\n", "YAML", 2, 4),
        (b"title: a\ntitle: b\n", "the key 'title' is there twice", 2, 1),
        (b"title: a\ndetection:\n  s:\n    F: 1\n    F: 2\n", "the key 'F' is there twice", 5, 5),
        (b"- a\n- b\n", "a rule is a mapping", 1, 1),
        (b"title: a\x00b\n", "a NUL character", 1, 9),
        (b"title: \xff\xfe\n", "not UTF-8", 1, None),
        (b"title: &a [*a]\n", "an alias refers to what contains it", 1, 8),
        (b"title: a\ndate: 2024-13-45\n", "YAML", 1, 1),
        (b"title: !!python/object/apply:os.system ['true']\n", "YAML", 1, 8),
        (b"1: a\n", "every key of a rule is a text", 1, 1),
        (b"a: " + b"[" * 60 + b"]" * 60, "nested more than", 1, None),
    ],
)
def test_syntax_errors_have_a_place(content: bytes, message: str, line: int, column: int | None) -> None:
    (found,) = parse_rule_file(content, "r.yml")
    assert isinstance(found, RuleProblem)
    assert message in found.message
    assert found.line == line
    assert column is None or found.column == column


def test_aliases_that_expand_without_end_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    (found,) = parse_rule_file("\n".join(lines).encode(), "r.yml")
    assert isinstance(found, RuleProblem)
    assert "aliases expanded" in found.message


def test_several_documents_in_a_file_and_an_empty_one() -> None:
    other = GOOD.replace("0b0c", "1b0c").replace("Good", "Other")
    found = list(parse_rule_file(f"\ufeff---\n{GOOD}---\n{other}---\n".encode(), "r.yml"))
    assert [each.data["title"] for each in found if isinstance(each, RuleDocument)] == ["Good", "Other"]
    assert [each.line for each in found] == [2, 13]


@pytest.mark.parametrize(
    ("change", "message", "line"),
    [
        (("title: Good\n", ""), "title", 1),
        (("0b0c5b1e-31d2-4a0e-8a3e-1f2d3c4b5a69", "not-a-uuid"), "UUID", 2),
        (("level: low", "level: lowest"), "level", 10),
        (("    condition: sel", "    condition: sel and other"), "'other' at character 9", 9),
        (("        EventID: 4625", "        EventID|re: '('"), "without its ')'", 8),
        (("logsource:\n    product: windows\n    service: security\n", ""), "logsource", 1),
        (("    product: windows\n    service: security\n", "    definition: x\n"), "logsource", 3),
        (("title: Good", "title: Good\ncorrelation: {}"), "either a correlation, a rule or a filter", 2),
        (("title: Good", "title: Good\nfilter: {}"), "either a rule or a filter", 2),
        (("title: Good", "title: Good\naction: global"), "rule collections", 2),
    ],
)
def test_what_is_wrong_with_a_rule_is_said_with_its_line(
    change: tuple[str, str], message: str, line: int
) -> None:
    pack = compile_text(GOOD.replace(*change).encode(), "r.yml")
    assert not pack.rules
    (problem,) = pack.problems
    assert message in problem.message
    assert problem.line == line
    assert str(problem).startswith(f"r.yml:{line}:")


@pytest.mark.parametrize("status", ["deprecated", "unsupported"])
def test_rules_that_are_not_to_be_run_are_skipped(status: str) -> None:
    pack = compile_text(GOOD.replace("level:", f"status: {status}\nlevel:").encode(), "r.yml")
    assert not pack.rules
    assert not pack.problems
    assert pack.skipped[0].reason == f"status {status}"


def test_one_bad_file_stops_no_other(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "good.yaml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "bad.yml").write_text("title: [", encoding="utf-8")
    (tmp_path / "large.YML").write_bytes(b"#" * (MAX_RULE_BYTES + 1))
    (tmp_path / "copy.yml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "same_id.yml").write_text(GOOD.replace("4625", "4624"), encoding="utf-8")
    (tmp_path / "note.txt").write_text("no rule", encoding="utf-8")
    pack = load_pack([tmp_path, tmp_path / "sub", tmp_path / "nowhere"])
    assert [rule.title for rule in pack.rules] == ["Good"]
    assert [Path(rule.path).name for rule in pack.skipped] == ["good.yaml"]
    messages = {Path(problem.path).name: problem.message for problem in pack.problems}
    assert set(messages) == {"bad.yml", "large.YML", "same_id.yml", "nowhere"}
    assert "already that of" in messages["same_id.yml"]


def test_an_empty_folder_and_a_missing_one_are_problems(tmp_path: Path) -> None:
    found = list(rule_files([tmp_path, tmp_path / "x"]))
    assert all(isinstance(each, RuleProblem) for each in found)
    assert len(found) == 2
