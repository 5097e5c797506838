"""Build `dist/bundle`: wheels, and two scripts, with which a machine without internet installs the tool.

Usage: python tools/bundle.py [--python 3.11 ...] [--platform win_amd64 ...]

Wheels for the machine this runs on are always in it; those for other platforms are fetched without being
run. Needs the package index, unlike everything that is done with the bundle afterwards.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUNDLE = ROOT / "dist" / "bundle"
WHEELS = BUNDLE / "wheels"
PROJECT = "lateral-movement-detector"

#: Dependencies that only Windows has: pip judges markers by the machine it runs on.
WINDOWS_ONLY = ("colorama", "tzdata")

INSTALL_CMD = f"""@echo off\r
rem Installs the detector into the folder detector-env beside this file; needs Python, no internet.\r
setlocal\r
cd /d "%~dp0"\r
py -3 -m venv detector-env || python -m venv detector-env || exit /b 1\r
detector-env\\Scripts\\python -m pip install --no-index --find-links wheels {PROJECT} || exit /b 1\r
echo Installed. Run:  "%~dp0detector-env\\Scripts\\detector" --help\r
"""

INSTALL_SH = f"""#!/bin/sh
# Installs the detector into the folder detector-env beside this file; needs Python 3.11, no internet.
set -e
cd "$(dirname "$0")"
"${{PYTHON:-python3}}" -m venv detector-env
detector-env/bin/python -m pip install --no-index --find-links wheels {PROJECT}
echo "Installed. Run:  $(pwd)/detector-env/bin/detector --help"
"""


def pip(*arguments: str) -> None:
    """Run pip; a failure ends the program with pip's own message."""
    subprocess.run([sys.executable, "-m", "pip", "--quiet", *arguments], check=True)


def main() -> None:
    """Build the bundle from nothing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", action="append", metavar="VERSION", help="default: 3.11")
    parser.add_argument("--platform", action="append", metavar="TAG", help="default: win_amd64")
    options = parser.parse_args()
    shutil.rmtree(BUNDLE, ignore_errors=True)
    WHEELS.mkdir(parents=True)
    pip("wheel", "--wheel-dir", str(WHEELS), str(ROOT))
    binary = [path.name.split("-")[:2] for path in WHEELS.glob("*.whl") if not path.stem.endswith("-any")]
    wanted = [f"{name}=={version}" for name, version in binary]
    for platform in options.platform or ["win_amd64"]:
        for version in options.python or ["3.11"]:
            extra = [name for name in WINDOWS_ONLY if platform.startswith("win")]
            pip(
                *("download", "--no-deps", "--only-binary", ":all:", "--dest", str(WHEELS)),
                *("--platform", platform, "--python-version", version, "--implementation", "cp"),
                *(wanted + extra),
            )
    (BUNDLE / "install.cmd").write_bytes(INSTALL_CMD.encode())
    script = BUNDLE / "install.sh"
    script.write_text(INSTALL_SH, encoding="utf-8", newline="\n")
    script.chmod(0o755)
    size = sum(path.stat().st_size for path in WHEELS.iterdir()) / 1e6
    print(f"{BUNDLE}: {len(list(WHEELS.iterdir()))} wheels, {size:.0f} MB")


if __name__ == "__main__":
    main()
