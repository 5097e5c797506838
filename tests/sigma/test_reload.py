"""A rule set follows its files: only what changed is compiled, and what breaks stays as it was."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from detector.sigma.pack import Outcome, compile_outcomes
from detector.sigma.reload import RuleSet
from tests.sigma.test_loader import GOOD

ID = "0b0c5b1e-31d2-4a0e-8a3e-1f2d3c4b5a69"


def rule(number: int, title: str = "Good") -> str:
    return GOOD.replace("0b0c5b1e", f"{number:08x}").replace("title: Good", f"title: {title}")


class Compiler:
    """Counts what is compiled."""

    def __init__(self) -> None:
        self.compiled: list[str] = []

    def __call__(self, content: bytes, path: str) -> list[Outcome]:
        self.compiled.append(Path(path).name)
        return compile_outcomes(content, path)

    def since(self) -> list[str]:
        found, self.compiled = self.compiled, []
        return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(3):
        (tmp_path / f"r{number}.yml").write_text(rule(number), encoding="utf-8")
    return tmp_path


@pytest.fixture
def compiler() -> Compiler:
    return Compiler()


def titles(rules: RuleSet) -> list[str]:
    return [each.title for each in rules.pack.rules]


def test_nothing_changed_is_the_same_pack(folder: Path, compiler: Compiler) -> None:
    rules = RuleSet([folder], compiler)
    assert compiler.since() == ["r0.yml", "r1.yml", "r2.yml"]
    before = rules.pack
    assert not rules.reload()
    assert rules.pack is before
    assert compiler.since() == []


def test_change_add_remove(folder: Path, compiler: Compiler) -> None:
    rules = RuleSet([folder], compiler)
    compiler.since()
    (folder / "r1.yml").write_text(rule(1, "Changed"), encoding="utf-8")
    (folder / "r3.yml").write_text(rule(3, "Added"), encoding="utf-8")
    (folder / "r0.yml").unlink()
    change = rules.reload()
    assert [Path(path).name for path in change.changed] == ["r1.yml"]
    assert [Path(path).name for path in change.added] == ["r3.yml"]
    assert [Path(path).name for path in change.removed] == ["r0.yml"]
    assert titles(rules) == ["Changed", "Good", "Added"]
    assert compiler.since() == ["r1.yml", "r3.yml"]


@pytest.mark.parametrize(
    "broken",
    ["title: [", rule(1).replace("EventID", "EventID|contians"), rule(1).replace("level: low", "level: x")],
)
def test_a_file_that_breaks_stays_as_it_was_until_it_is_mended(
    folder: Path, compiler: Compiler, broken: str
) -> None:
    rules = RuleSet([folder], compiler)
    path = folder / "r1.yml"
    path.write_text(broken, encoding="utf-8")
    change = rules.reload()
    assert change.broken == change.kept == (str(path),)
    assert [problem.path for problem in rules.problems] == [str(path)]
    assert len(rules.pack.rules) == 3
    assert not rules.reload()
    assert len(rules.problems) == 1
    path.write_text(rule(1, "Mended"), encoding="utf-8")
    assert rules.reload().mended == (str(path),)
    assert not rules.problems
    assert titles(rules) == ["Good", "Mended", "Good"]


def test_a_broken_file_that_is_removed_takes_its_rule_with_it(folder: Path) -> None:
    rules = RuleSet([folder])
    (folder / "r1.yml").write_text("[", encoding="utf-8")
    rules.reload()
    (folder / "r1.yml").unlink()
    assert rules.reload().removed
    assert len(rules.pack.rules) == 2
    assert not rules.problems


def test_of_a_new_file_what_is_right_is_used(folder: Path) -> None:
    (folder / "two.yml").write_text(
        rule(8) + "---\n" + rule(9).replace("level: low", "level: x"), encoding="utf-8"
    )
    rules = RuleSet([folder])
    assert len(rules.pack.rules) == 4
    assert len(rules.problems) == 1


def test_readers_see_whole_packs_while_others_reload(folder: Path) -> None:
    rules = RuleSet([folder])
    seen: set[tuple[str, ...]] = set()
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.add(tuple(titles(rules)))

    reader = threading.Thread(target=read)
    reader.start()
    both: list[Callable[[], object]] = [rules.reload, rules.reload]
    for turn in range(10):
        for number in range(3):
            (folder / f"r{number}.yml").write_text(rule(number, f"T{turn}"), encoding="utf-8")
        threads = [threading.Thread(target=each) for each in both]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    stop.set()
    reader.join()
    assert all(len(each) == 3 and len(set(each)) == 1 for each in seen)
    assert set(titles(rules)) == {"T9"}
