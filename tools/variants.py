"""Measure detection on variants of the simulated hospital: the table of docs/detection.md.

    python -m tools.variants [--site] [NAME ...]

Each variant is simulated, ingested and scanned in a temporary folder, and its first incident is compared with
truth.json. `--site` gives the simulated site.toml to the case; without it everything is inferred.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from detector.case.ingest import IngestOptions, ingest
from detector.case.store import Case
from detector.chain.runner import run_case
from detector.cli.simulate import simulate
from detector.incidents.build import build
from detector.sigma.pack import default_rules_path, load_pack
from detector.sigma.scan import scan

_USUAL = "--days 4 --hosts 24"
VARIANTS = {
    "default": f"--seed 2 {_USUAL}",
    "leaked account": f"--entry leaked --seed 1 {_USUAL}",
    "leaked, a week": "--entry leaked --seed 4 --days 7 --hosts 24",
    "leaked, by day": "--entry leaked --break-in-hour 14 --seed 17 --days 5 --hosts 24",
    "rdp, Defender": f"--movement rdp --antivirus defender --seed 3 {_USUAL}",
    "rdp": f"--movement rdp --seed 5 {_USUAL}",
    "wmi": f"--movement wmi --seed 6 {_USUAL}",
    "no 4688": f"--process-auditing none --seed 7 {_USUAL}",
    "no 4688, rdp, leaked": f"--process-auditing none --movement rdp --entry leaked --seed 8 {_USUAL}",
    "no Security log of MEALSRV": f"--missing MEALSRV/Security.evtx --seed 9 {_USUAL}",
    "Japanese names": f"--japanese-names --seed 10 {_USUAL}",
    "clocks 10 min wrong": f"--clock-skew 600 --seed 11 {_USUAL}",
    "printed notes": f"--print-notes --seed 12 {_USUAL}",
    "10 days between": "--dwell-days 10 --days 14 --seed 13 --hosts 24",
    "leaked, wmi, 5 days between": "--entry leaked --movement wmi --dwell-days 5 --days 9 --seed 15 "
    "--hosts 24",
    "only the intrusion": f"--attack intrusion --seed 16 {_USUAL}",
    "no VPN log": f"--missing supplier-vpn/* --seed 14 {_USUAL}",
    "rdp, Defender, leaked, wrong clocks": "--movement rdp --antivirus defender --clock-skew 600 "
    "--entry leaked --seed 25 --days 6 --hosts 30",
    "10 hosts, 2 days": "--hosts 10 --days 2 --seed 23",
    "no Security log at all": f"--missing */Security.evtx --seed 24 {_USUAL}",
    **{f"no attack, seed {n}": f"--attack none --days 7 --hosts 40 --seed {n}" for n in range(1, 6)},
}


def measure(options: str, folder: Path, *, site: bool) -> str:
    """Return the cells of a variant's row, joined for Markdown."""
    made = CliRunner().invoke(simulate, [str(folder / "sim"), *options.split()], catch_exceptions=False)
    if made.exit_code != 0:
        raise SystemExit(made.output)
    case = Case.create(folder / "case")
    if site:
        case.set_site(folder / "sim" / "site.toml")
    ingest(case, [folder / "sim" / "logs"], IngestOptions(time_zone="Asia/Tokyo"))
    with case.connect() as engine:
        case.store_result("hits", scan(engine, load_pack([default_rules_path()]).rules).hits)
    case.store_result("findings", run_case(case).findings)
    with case.connect() as engine:
        incidents = build(engine)[0].to_pylist()
    truth = json.loads((folder / "sim" / "truth.json").read_text(encoding="utf-8"))
    others = Counter(row["severity"] for row in (incidents[1:] if truth["attacks"] else incidents))
    told = ", ".join(f"{count} {severity}" for severity, count in sorted(others.items())) or "none"
    if not truth["attacks"]:
        return f"- | - | - | - | {told}"
    return f"{_compared(incidents[0], truth['attacks'][0]) if incidents else '- | no | 0 | 0'} | {told}"


def _compared(row: dict[str, Any], attack: dict[str, Any]) -> str:
    entry, hosts, steps = (json.loads(row[key]) for key in ("entry", "hosts", "steps"))
    right = [
        entry.get("src_ip") == attack["entry"]["address"],
        entry["account"] == attack["entry"]["account"],
    ]
    appliances = {h for step in attack["steps"] if step["id"] == "initial_access" for h in step["hosts"]}
    touched = set(attack["hosts"]) - appliances
    found = {host["host"] for host in hosts}
    logged = {step["id"] for step in attack["steps"] if step["count"]}
    seen = {step["step"] for step in steps if step["state"] == "seen"}
    wrong = f", {len(found - touched)} wrong" if found - touched else ""
    entry_found = "yes" if all(right) else "no"
    in_it = f"{len(found & touched)} of {len(touched)}{wrong}"
    return f"{row['severity']} | {entry_found} | {in_it} | {len(seen & logged)} of {len(logged)}"


def main(arguments: list[str]) -> None:
    """Print one row for each variant named, or all."""
    for name in [a for a in arguments if not a.startswith("--")] or list(VARIANTS):
        with tempfile.TemporaryDirectory() as folder:
            cells = measure(VARIANTS[name], Path(folder), site="--site" in arguments)
        print(f"| {name} | {cells} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
