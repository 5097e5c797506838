"""Running a simulation: activities in order of time, records into logs, logs into files, the truth."""

from __future__ import annotations

import heapq
import json
import tempfile
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from operator import itemgetter
from pathlib import Path
from typing import Any

from detector.errors import OutputError, SimulationError
from detector.simulate import attack, benign
from detector.simulate.journal import Journal, LogFile
from detector.simulate.options import SimulationOptions
from detector.simulate.simulation import FORTIGATE, HOUR, PFIREWALL, Simulation, to_datetime
from detector.simulate.site import site_toml
from detector.simulate.truth import Truth, TruthKeeper, describe_hosts
from detector.simulate.writers import Told, write_evtx, write_fortigate, write_pfirewall

#: Below the output folder: the logs as an analyst gets them, and beside them what only we know.
LOGS = "logs"
TRUTH_FILE = "truth.json"
SITE_FILE = "site.toml"

#: Told how far the simulation is: what is being done, and the share done of it, 0 to 1.
Progress = Callable[[str, float], None]


def write(options: SimulationOptions, out: Path, progress: Progress | None = None) -> Truth:
    """Simulate and write `out/logs/…`, `out/truth.json` and `out/site.toml`; return the truth.

    `out` is created; files of an earlier simulation in it are replaced, others stay. Equal options give equal
    bytes. Raises OutputError where a file cannot be written.
    """
    tell = progress or (lambda _what, _share: None)
    try:
        out.mkdir(parents=True, exist_ok=True)
        _remove_earlier(out)
        with tempfile.TemporaryDirectory(prefix="simulate-", dir=out) as spill:
            journal = Journal(Path(spill))
            sim = Simulation(options, journal)
            _run(sim, tell)
            truth = _write_files(sim, out, tell)
        _write_text(out / TRUTH_FILE, json.dumps(truth.as_json(), ensure_ascii=False, indent=1) + "\n")
        _write_text(out / SITE_FILE, site_toml(sim))
    except OSError as error:
        raise OutputError(f"{error.filename or out}: the simulation cannot be written: {error}") from error
    return truth


def _remove_earlier(out: Path) -> None:
    """Remove the logs that the truth of an earlier simulation in this folder names, and nothing else."""
    truth = out / TRUTH_FILE
    if not truth.is_file():
        return
    try:
        files = json.loads(truth.read_text(encoding="utf-8"))["files"]
        paths = [Path(file["path"]) for file in files]
    except (ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{truth} is not the truth of a simulation; choose another folder") from error
    for path in paths:
        if not path.is_absolute() and ".." not in path.parts:
            (out / path).unlink(missing_ok=True)


def _write_text(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)


def _run(sim: Simulation, tell: Progress) -> None:
    """Let everything happen, in order of time."""
    behaviours = benign.behaviours(sim) + attack.behaviours(sim)
    settle_at = sim.start + HOUR
    span = sim.end - sim.start
    for moment, act in heapq.merge(*behaviours, key=itemgetter(0)):
        if moment >= settle_at:
            # An activity may write records a little earlier than its own moment (the guesses before a login).
            sim.journal.settle(moment - HOUR)
            settle_at = moment + HOUR
            tell("simulating", (moment - sim.start) / span)
        act()
    sim.journal.settle(None)
    tell("simulating", 1.0)


def _write_files(sim: Simulation, out: Path, tell: Progress) -> Truth:
    """Write every log and gather the truth."""
    keeper = TruthKeeper(sim)
    truth = Truth(_describe(sim), list(describe_hosts(sim)))
    logs = sorted(sim.journal.logs, key=lambda log: log.path)
    for pattern in sim.options.missing:
        if not any(fnmatchcase(log.path, pattern) for log in logs):
            raise SimulationError(f"missing: no log matches {pattern!r}; they are named like {logs[0].path}")
    for number, log in enumerate(logs):
        tell("writing", number / len(logs))
        keeper.lost(log.lost_marks)
        if any(fnmatchcase(log.path, pattern) for pattern in sim.options.missing):
            keeper.lost(_marks(log))
            continue
        keeper.told(log, _write_log(log, out / LOGS, sim))
        truth.files.append(
            {
                "path": f"{LOGS}/{log.path}",
                "format": log.kind,
                "host": log.host,
                "channel": log.channel,
                "records": log.count,
                "cleared_records": log.cleared,
            }
        )
    keeper.finish(truth)
    tell("writing", 1.0)
    return truth


def _write_log(log: LogFile, folder: Path, sim: Simulation) -> Iterator[Told]:
    if log.kind == FORTIGATE:
        return write_fortigate(log, folder, sim.zone)
    if log.kind == PFIREWALL:
        return write_pfirewall(log, folder, sim.zone)
    return write_evtx(log, folder, sim.world)


def _marks(log: LogFile) -> dict[int, int]:
    marks: dict[int, int] = {}
    for record in log.records():
        if record.mark is not None:
            marks[record.mark] = marks.get(record.mark, 0) + 1
    return marks


def _describe(sim: Simulation) -> dict[str, Any]:
    options = sim.options
    return {
        "days": options.days,
        "hosts": options.hosts,
        "seed": options.seed,
        "attack": options.attack,
        "rate": options.rate,
        "entry": options.entry,
        "movement": options.movement,
        "antivirus": options.antivirus,
        "time_zone": options.time_zone,
        "start": to_datetime(sim.start).isoformat().replace("+00:00", "Z"),
        "end": to_datetime(sim.end).isoformat().replace("+00:00", "Z"),
        "missing": list(options.missing),
    }
