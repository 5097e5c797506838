"""`make demo`: the sample incident, read, scanned and told, each command printed before it runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

_SAMPLES = Path(__file__).resolve().parents[1] / "samples"


def main(samples: Path = _SAMPLES) -> int:
    """Run the demo in the folder `demo` on the incident in `samples`; return the worst exit code."""
    sample, site = samples / "hospital-incident.zip", samples / "site.toml"
    work = Path("demo")
    shutil.rmtree(work / "case", ignore_errors=True)
    work.mkdir(exist_ok=True)
    logs = [_shown(sample), "--site-config", _shown(site)]
    if not sample.exists():  # installed without the samples: write one
        shutil.rmtree(work / "logs", ignore_errors=True)
        if code := _detector("simulate", str(work / "logs"), "--seed", "1"):
            return code
        logs = [str(work / "logs" / "logs"), "--site-config", str(work / "logs" / "site.toml")]
    case = str(work / "case")
    return max(
        _detector("ingest", *logs, "--case", case),
        _detector("scan", "--case", case),
        _detector("incidents", "--case", case, "--tz", "Asia/Tokyo"),
        _detector("timeline", "--case", case, "--tz", "Asia/Tokyo"),
    )


def _shown(path: Path) -> str:
    """Return a path as a person in this folder would type it; what is typed is what reports show."""
    return path.relative_to(Path.cwd()).as_posix() if path.is_relative_to(Path.cwd()) else str(path)


def _detector(*arguments: str) -> int:
    sys.stdout.write(f"\n$ detector {' '.join(arguments)}\n")
    sys.stdout.flush()
    return subprocess.run([sys.executable, "-m", "detector", *arguments], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
