"""`detector simulate` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from detector.cli.simulate import simulate
from detector.errors import DetectorError, OutputError
from detector.simulate import SimulationError

FEW = ["--hosts", "6", "--days", "1", "--rate", "0.1"]


def test_it_writes_logs_truth_and_site_and_says_so(tmp_path: Path) -> None:
    result = CliRunner().invoke(simulate, [str(tmp_path / "out"), *FEW, "--seed", "5"])
    assert result.exit_code == 0, result.output
    truth = json.loads((tmp_path / "out" / "truth.json").read_text(encoding="utf-8"))
    assert f"{sum(file['records'] for file in truth['files'])} records in" in result.output
    assert "1 attack in 8 steps" in result.output
    assert truth["simulation"]["seed"] == 5
    assert (tmp_path / "out" / "site.toml").exists()


def test_a_folder_with_something_in_it_is_refused_without_force(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    result = CliRunner().invoke(simulate, [str(tmp_path), *FEW])
    assert isinstance(result.exception, OutputError)
    assert "--force" in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    assert CliRunner().invoke(simulate, [str(tmp_path), *FEW, "--force"]).exit_code == 0
    assert (tmp_path / "notes.txt").exists()


def test_no_attack_is_said(tmp_path: Path) -> None:
    result = CliRunner().invoke(simulate, [str(tmp_path / "out"), *FEW, "--attack", "none"])
    assert "no attack" in result.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--hosts", "0"], "0 is not in the range"),
        (["--start", "27.10.2025"], "is not a day such as"),
        (["--attack", "some"], "'some' is not one of"),
    ],
)
def test_wrong_use_is_explained(tmp_path: Path, options: list[str], message: str) -> None:
    result = CliRunner().invoke(simulate, [str(tmp_path / "out"), *options])
    assert result.exit_code == 2
    assert message in result.output


def test_what_the_library_refuses_is_one_of_our_errors(tmp_path: Path) -> None:
    for options in (["--time-zone", "Mars/Base"], ["--sysmon-hosts", "50"]):
        result = CliRunner().invoke(simulate, [str(tmp_path / "out"), *options])
        assert isinstance(result.exception, DetectorError)
    assert isinstance(result.exception, SimulationError)


def test_help_has_an_example() -> None:
    assert "detector simulate sample" in CliRunner().invoke(simulate, ["--help"]).output
