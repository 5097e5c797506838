"""`detector coverage` on a real recording."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from click.testing import CliRunner

from detector.case.ingest import IngestOptions, ingest
from detector.case.store import Case
from detector.cli.coverage import coverage


def test_a_recording_in_which_the_log_was_cleared(corpus: Path, tmp_path: Path) -> None:
    (log,) = (corpus / "evtx" / "attack-samples").rglob("DE_1102_security_log_cleared.evtx")
    ingest(Case.create(tmp_path / "case"), [log], IngestOptions(workers=1))
    arguments = ["--case", str(tmp_path / "case"), "--tz", "Asia/Tokyo"]
    done = CliRunner().invoke(coverage, [*arguments, "--format", "json"])
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert [row["item"] for row in rows if row["section"] == "cleared"] == ["Security"]
    assert {row["item"] for row in rows if row["key"] == "step_not_visible"} >= {"Initial access"}
    japanese = CliRunner().invoke(coverage, [*arguments, "--lang", "ja", "--format", "csv"])
    cells = list(csv.reader(io.StringIO(japanese.stdout)))
    assert len(cells) == len(rows) + 1
    assert {"消去されたログ", "見えない"} <= {cell.split("。")[0] for row in cells for cell in row}
