"""Write the sample incident anew: `python samples/make.py` (or with another folder, to compare)."""

from __future__ import annotations

import shutil
import sys
import tempfile
import zipfile
from datetime import date
from pathlib import Path

from detector.simulate import SimulationOptions, write

#: What `detector simulate OUT --hosts 20 --days 3 --seed 2022 --rate 0.5` writes.
OPTIONS = SimulationOptions(hosts=20, days=3, seed=2022, start=date(2025, 10, 27), rate=0.5)
ARCHIVE = "hospital-incident.zip"
_BEGINNING_OF_ZIP = (1980, 1, 1, 0, 0, 0)


def make(folder: Path) -> None:
    """Write the archive of logs, truth.json and site.toml into a folder; equal code gives equal contents."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary)
        write(OPTIONS, out)
        logs = out / "logs"
        with zipfile.ZipFile(folder / ARCHIVE, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for path in sorted(path for path in logs.rglob("*") if path.is_file()):
                member = zipfile.ZipInfo(path.relative_to(logs).as_posix(), _BEGINNING_OF_ZIP)
                member.compress_type = zipfile.ZIP_DEFLATED
                member.external_attr = 0o644 << 16
                archive.writestr(member, path.read_bytes())
        for name in ("truth.json", "site.toml"):
            shutil.copyfile(out / name, folder / name)


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
