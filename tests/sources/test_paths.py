"""Folders are walked in a stable order, and what is not taken is said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from detector.sources import Refusal, expand


def test_sorted_and_complete(tmp_path: Path) -> None:
    for name in ("b/2.log", "b/10.log", "a.evtx", "c/d/e/f.txt", "B.log"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x", encoding="utf-8")
    found = [path.relative_to(tmp_path).as_posix() for path in expand([tmp_path]) if isinstance(path, Path)]
    assert found == ["B.log", "a.evtx", "b/10.log", "b/2.log", "c/d/e/f.txt"]


def test_given_paths_keep_their_order(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text("x", encoding="utf-8")
    assert list(expand([tmp_path / "b", tmp_path / "a"])) == [tmp_path / "b", tmp_path / "a"]


def test_absent_path_and_case_folder(tmp_path: Path) -> None:
    (tmp_path / "case").mkdir()
    (tmp_path / "case" / "case.json").write_text('{"layout": 1, "tool": "0.1"}', encoding="utf-8")
    (tmp_path / "case" / "old.log").write_text("x", encoding="utf-8")
    (tmp_path / "new.log").write_text("x", encoding="utf-8")
    case, new, absent = expand([tmp_path, tmp_path / "absent"])
    assert isinstance(case, Refusal) and "case folder" in case.reason
    assert new == tmp_path / "new.log"
    assert isinstance(absent, Refusal) and absent.path == str(tmp_path / "absent")


def test_a_case_json_of_others_hides_no_evidence(tmp_path: Path) -> None:
    for content in ("", "{}", "[]", '{"layout": 1}', "x" * 5000, "[" * 4000):
        (tmp_path / "case.json").write_text(content, encoding="utf-8")
        assert list(expand([tmp_path])) == [tmp_path / "case.json"]


def test_the_case_being_written_is_nothing_lost(tmp_path: Path) -> None:
    (tmp_path / "case").mkdir()
    (tmp_path / "a.log").write_text("x", encoding="utf-8")
    found, refusal = expand([tmp_path], own_case=tmp_path / "case")
    assert found == tmp_path / "a.log"
    assert isinstance(refusal, Refusal) and not refusal.lost


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipe_is_refused_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    [refusal] = expand([tmp_path])
    assert isinstance(refusal, Refusal) and "pipe" in refusal.reason


def test_links(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "a.log").write_text("x", encoding="utf-8")
    try:
        (folder / "loop").symlink_to(tmp_path, target_is_directory=True)
        (folder / "nowhere").symlink_to(tmp_path / "gone")
        (folder / "zlink.log").symlink_to(folder / "a.log")
    except OSError:
        pytest.skip("this system does not let us make links")
    found = list(expand([tmp_path]))
    assert [item for item in found if isinstance(item, Path)] == [folder / "a.log", folder / "zlink.log"]
    reasons = {Path(item.path).name: item.reason for item in found if isinstance(item, Refusal)}
    assert set(reasons) == {"loop", "nowhere"}
    assert "the same folder" in reasons["loop"] and "nowhere" in reasons["nowhere"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_unreadable_folder(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    [refusal] = expand([tmp_path])
    assert isinstance(refusal, Refusal) and "cannot be read" in refusal.reason


def test_deep_tree_does_not_recurse(tmp_path: Path) -> None:
    path = tmp_path
    for _ in range(300):
        path = path / "d"
        path.mkdir()
    (path / "x.log").write_text("x", encoding="utf-8")
    assert list(expand([tmp_path])) == [path / "x.log"]
