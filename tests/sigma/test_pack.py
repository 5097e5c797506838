"""The cache of compiled rules changes nothing but the time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from detector.sigma import pack as pack_module
from detector.sigma.pack import cache_key, default_cache_folder, default_rules_path, load_pack
from tests.sigma.test_loader import GOOD


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "good.yml").write_text(GOOD, encoding="utf-8")
    (folder / "bad.yml").write_text("title: [", encoding="utf-8")
    (folder / "old.yml").write_text(
        GOOD.replace("0b0c", "2b0c").replace("level:", "status: deprecated\nlevel:"), encoding="utf-8"
    )
    return folder


def test_a_cached_pack_is_the_same_pack(rules: Path, tmp_path: Path) -> None:
    first = load_pack([rules], tmp_path / "cache")
    assert load_pack([rules], tmp_path / "cache") == first == load_pack([rules])
    assert (len(first.rules), len(first.skipped), len(first.problems)) == (1, 1, 1)


def test_a_cached_pack_needs_no_pysigma(rules: Path, tmp_path: Path) -> None:
    load_pack([rules], tmp_path / "cache")
    code = (
        "import sys; from pathlib import Path; from detector.sigma.pack import load_pack; "
        f"pack = load_pack([Path({str(rules)!r})], Path({str(tmp_path / 'cache')!r})); "
        "print(len(pack.rules), [name for name in sys.modules if name.split('.')[0] == 'sigma'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1 []"


def test_a_changed_rule_is_compiled_again(rules: Path, tmp_path: Path) -> None:
    load_pack([rules], tmp_path / "cache")
    (rules / "good.yml").write_text(GOOD.replace("4625", "4624"), encoding="utf-8")
    assert "4624" in load_pack([rules], tmp_path / "cache").rules[0].where


def test_only_the_changed_rule_is_compiled_again(
    rules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        text = GOOD.replace("0b0c", f"{number}c0c").replace("4625", f"{5000 + number}")
        (rules / f"more{number}.yml").write_text(text, encoding="utf-8")
    compiled: list[str] = []
    compile_outcomes = pack_module.compile_outcomes

    def counted(content: bytes, path: str, *more: Any) -> Any:
        compiled.append(Path(path).name)
        return compile_outcomes(content, path, *more)

    monkeypatch.setattr(pack_module, "compile_outcomes", counted)
    first = load_pack([rules], tmp_path / "cache")
    assert len(compiled) == 8
    compiled.clear()
    assert load_pack([rules], tmp_path / "cache") == first
    assert compiled == []
    changed = (rules / "more3.yml").read_text(encoding="utf-8").replace("5003", "6003")
    (rules / "more3.yml").write_text(changed, encoding="utf-8")
    (rules / "more2.yml").rename(rules / "renamed.yml")
    second = load_pack([rules], tmp_path / "cache")
    assert compiled == ["more3.yml"]
    assert "6003" in "".join(rule.where for rule in second.rules)
    assert {Path(rule.path).name for rule in second.rules} >= {"renamed.yml", "more3.yml", "good.yml"}


@pytest.mark.parametrize("content", [b"", b"\xff\x00nonsense", b'{"sha256":"x"}\n', b"[]\n{}\n"])
def test_a_damaged_cache_is_no_error(rules: Path, tmp_path: Path, content: bytes) -> None:
    cache = tmp_path / "cache"
    expected = load_pack([rules], cache)
    file = cache / f"rules-{cache_key()}.jsonl"
    lines = file.read_bytes().splitlines()
    file.write_bytes(b"\n".join([content, *(line[:-20] + b"}" for line in lines)]))
    assert load_pack([rules], cache) == expected


def test_a_cache_that_cannot_be_written_is_no_error(rules: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    assert len(load_pack([rules], tmp_path / "file").rules) == 1


def test_the_cache_folder_can_be_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DETECTOR_CACHE_DIR", str(tmp_path))
    assert default_cache_folder() == tmp_path
    monkeypatch.delenv("DETECTOR_CACHE_DIR")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert default_cache_folder() == tmp_path / "x" / "lateral-movement-detector"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "y"))
    assert default_cache_folder() == tmp_path / "y" / "lateral-movement-detector" / "cache"
    monkeypatch.delenv("LOCALAPPDATA")
    assert default_cache_folder() is None


def test_the_projects_own_rules_compile() -> None:
    pack = load_pack([default_rules_path()])
    assert pack.problems == ()
    assert pack.skipped == ()
    assert pack.rules
