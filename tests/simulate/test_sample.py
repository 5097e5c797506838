"""The sample in samples/ is what the simulation writes, and shows what it should."""

from __future__ import annotations

import json
import runpy
import zipfile
from pathlib import Path

from detector.tables.steps import STEP_IDS

SAMPLES = Path(__file__).parents[2] / "samples"


def contents(archive: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def test_the_sample_is_what_the_simulation_writes(tmp_path: Path) -> None:
    runpy.run_path(str(SAMPLES / "make.py"))["make"](tmp_path)
    again = "the simulation has changed: run `python samples/make.py`"
    kept, made = contents(SAMPLES / "hospital-incident.zip"), contents(tmp_path / "hospital-incident.zip")
    assert kept.keys() == made.keys(), again
    assert [name for name in kept if kept[name] != made[name]] == [], again
    for name in ("truth.json", "site.toml"):
        assert (SAMPLES / name).read_text("utf-8") == (tmp_path / name).read_text("utf-8"), again


def test_the_sample_shows_every_step_and_stays_small() -> None:
    (attack,) = json.loads((SAMPLES / "truth.json").read_text(encoding="utf-8"))["attacks"]
    assert {step["id"] for step in attack["steps"]} == set(STEP_IDS) - {"other"}
    assert all(step["events"] for step in attack["steps"])
    assert sum(path.stat().st_size for path in SAMPLES.iterdir()) < 1_500_000
