"""Placeholders: their file, and the cache, which depends on them only for rules that use them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from detector.errors import RuleError
from detector.sigma import pack as pack_module
from detector.sigma.pack import load_pack
from detector.sigma.placeholder_file import placeholders_from, read_placeholders
from tests.sigma.test_loader import GOOD

EXPAND = GOOD.replace("EventID: 4625", "Computer|expand: '%Servers%'").replace("0b0c", "3b0c")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.yml", "Servers: [srv*, 7]\nAdmins: adm\n'%Odd name%': x\n"),
        ("p.toml", 'Servers = ["srv*", 7]\nAdmins = "adm"\n"Odd name" = ["x", "x"]\n'),
        ("p.toml", '\ufeffServers = ["srv*", 7]\nAdmins = "adm"\n"Odd name" = ["x", "x"]\n'),
    ],
)
def test_a_file_is_yaml_or_toml(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    expected = {"Servers": ("srv*", "7"), "Admins": ("adm",), "Odd name": ("x",)}
    assert read_placeholders(tmp_path / name) == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.yml", b"a: [", "p.yml"),
        ("p.yml", b"", "empty"),
        ("p.yml", b"- a\n", "a mapping of names"),
        ("p.yml", b"a: {b: c}\n", "neither a text nor"),
        ("p.yml", b"a: [1.5]\n", "neither a text nor"),
        ("p.yml", b"a: x\na: y\n", "line 2: the key 'a' is there twice"),
        ("p.yml", b"'%%': x\n", "has no name"),
        ("p.yml", b"\xff\xfe", "utf-8"),
        ("p.toml", b"a = [", "p.toml"),
        ("p.yml", b"a: &a [*a]\n", "contains it"),
        ("p.yml", b"#" * 2_000_000, "larger than"),
    ],
)
def test_a_bad_file_is_refused_with_its_name(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RuleError, match=r"p\.(yml|toml)") as raised:
        read_placeholders(tmp_path / name)
    assert message in str(raised.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="cannot be read"):
        read_placeholders(tmp_path / "none.yml")


def test_a_rule_whose_placeholder_has_no_value_is_a_problem_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "r.yml").write_text(EXPAND, encoding="utf-8")
    for given in ({}, {"Other": ("x",)}, {"Servers": ()}):
        pack = load_pack([tmp_path], None, given)
        assert not pack.rules
        (problem,) = pack.problems
        assert "%Servers% has no value" in problem.message
        assert problem.line == 8
    assert "those given are Other" in load_pack([tmp_path], None, {"Other": ("x",)}).problems[0].message


def test_the_cache_depends_on_placeholders_for_rules_that_use_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules, cache = tmp_path / "rules", tmp_path / "cache"
    rules.mkdir()
    (rules / "good.yml").write_text(GOOD, encoding="utf-8")
    (rules / "expand.yml").write_text(EXPAND, encoding="utf-8")
    compiled: list[str] = []
    original = pack_module.compile_outcomes

    def noted(content: bytes, path: str, *more: Any) -> list[pack_module.Outcome]:
        compiled.append(Path(path).name)
        return original(content, path, *more)

    monkeypatch.setattr(pack_module, "compile_outcomes", noted)

    def load(**given: str) -> tuple[list[str], list[str]]:
        compiled.clear()
        pack = load_pack([rules], cache, placeholders_from(given))
        return compiled.copy(), [rule.where for rule in pack.rules]

    assert load()[0] == ["expand.yml", "good.yml"]
    assert load()[0] == []
    names, where = load(Servers="srv1")
    assert names == ["expand.yml"]
    assert any("'srv1'" in each for each in where)
    assert load(Servers="srv1", Other="x")[0] == []
    names, where = load(Servers="srv2")
    assert names == ["expand.yml"]
    assert any("'srv2'" in each for each in where)
    assert load()[0] == ["expand.yml"]
