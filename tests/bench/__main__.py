"""`make bench`: speed and memory, each figure with what it was measured on. Not a test: nothing fails here.

    python -m tests.bench [NAME ...]    all, or those named: run, ingest, files

Each measured command is a process of its own; memory is the sum over its processes, sampled.
"""

from __future__ import annotations

import compileall
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import evtx
import psutil

ROOT = Path(__file__).parents[2]
CORPUS = Path(os.environ.get("DETECTOR_CORPUS", ROOT.parent / "shared" / "corpus")).resolve()
WORK = ROOT / "bench"
EVENTS = 500_000


@dataclass(frozen=True)
class Run:
    """Wall seconds, CPU seconds of all its processes, and peak resident memory, in MiB, of one command."""

    seconds: float
    cpu: float
    memory: float
    output: str


def measured(*arguments: str) -> Run:
    """Run `detector` with these arguments and watch it."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        begin, before = time.perf_counter(), _children_cpu()
        process = subprocess.Popen(
            [sys.executable, "-m", "detector", *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUTF8": "1"},
        )
        watched = psutil.Process(process.pid)
        peak = 0.0
        while process.poll() is None:
            try:
                family = [watched, *watched.children(recursive=True)]
                peak = max(peak, sum(_private(each) for each in family))
            except psutil.Error:
                pass
            time.sleep(0.05)
        seconds = time.perf_counter() - begin
        output.seek(0)
        return Run(seconds, _children_cpu() - before, peak / 2**20, output.read())


def _children_cpu() -> float:
    """Return the CPU seconds of all ended child processes, their children included."""
    times = os.times()
    return times.children_user + times.children_system


def _private(process: psutil.Process) -> float:
    """Return the resident memory of a process in bytes; pages that processes share count in each."""
    try:
        info = process.memory_info()
    except psutil.NoSuchProcess:
        return 0.0
    return float(info.rss)


def bare_iteration(folder: Path) -> tuple[int, float]:
    """Iterate all records of a folder as JSON with the `evtx` package and nothing else."""
    best = float("inf")
    count = 0
    for _ in range(3):
        begin = time.perf_counter()
        count = 0
        for path in sorted(folder.rglob("*.evtx")):
            for _record in evtx.PyEvtxParser(str(path)).records_json():
                count += 1
        best = min(best, time.perf_counter() - begin)
    return count, best


def bench_run() -> None:
    """`detector run` on all attack samples against the bare iteration over the same files."""
    folder = CORPUS / "evtx" / "attack-samples"
    if not folder.is_dir():
        print(f"run: skipped, no recordings at {folder}")
        return
    count, bare = bare_iteration(folder)
    times, cpu = [], []
    for index in range(4):
        case = WORK / "run"
        shutil.rmtree(case, ignore_errors=True)
        run = measured("run", str(folder), "--case", str(case))
        if index:  # the first fills the cache of compiled rules
            times.append(run.seconds)
            cpu.append(run.cpu)
        else:
            print(f"run: first start, cold rule cache {run.seconds:.2f} s")
    times.sort()
    limit = 6 * bare + 3
    spread = f"median {times[1]:.2f} s ({times[0]:.2f} to {times[2]:.2f})"
    print(f"run: {count:,} events of {folder}: {spread}; memory {run.memory:.0f} MiB")
    print(f"run: {min(cpu):.2f} s of CPU at least")
    print(f"run: bare evtx iteration {bare:.3f} s; target 6 x bare + 3 s = {limit:.2f} s")


def logs_for_ingest() -> Path:
    """Write (once) simulated hospital logs of at least `EVENTS` Windows events; return their folder."""
    folder = WORK / f"logs-{EVENTS}"
    if folder.is_dir():
        return folder
    draft = WORK / "draft"
    shutil.rmtree(draft, ignore_errors=True)
    days = 6
    run = measured("simulate", str(draft), "--hosts", "60", "--days", str(days), "--attack", "none")
    count = bare_iteration(draft)[0]
    if count < EVENTS:
        shutil.rmtree(draft)
        days = days * EVENTS // max(1, count) + 1
        run = measured("simulate", str(draft), "--hosts", "60", "--days", str(days), "--attack", "none")
        count = bare_iteration(draft)[0]
    print(f"simulate: {count:,} events, 60 hosts, {days} days in {run.seconds:.1f} s")
    draft.rename(folder)
    return folder


def bench_ingest() -> None:
    """Ingest of half a million events: rate and memory."""
    folder = logs_for_ingest()
    count, bare = bare_iteration(folder)
    size = sum(path.stat().st_size for path in folder.rglob("*.evtx")) / 1e6
    case = WORK / "ingest"
    shutil.rmtree(case, ignore_errors=True)
    logs = [str(path) for path in sorted(folder.iterdir()) if path.is_dir()]
    run = measured("ingest", *logs, "--case", str(case))
    rate = f"{count / run.seconds:,.0f} events/s (target 60,000)"
    print(f"ingest: {count:,} EVTX events ({size:.0f} MB) in {run.seconds:.2f} s: {rate}")
    print(f"ingest: {run.cpu:.1f} s of CPU in all, {run.cpu / bare:.1f} times the bare iteration")
    print(f"ingest: peak memory {run.memory:.0f} MiB (target below 1,024); bare iteration {bare:.2f} s")
    again = measured("ingest", *logs, "--case", str(case))
    print(f"ingest: the same again (nothing new) in {again.seconds:.2f} s")
    scanned = measured("scan", "--case", str(case))
    print(f"scan: {count:,} events in {scanned.seconds:.2f} s, peak memory {scanned.memory:.0f} MiB")


def bench_files() -> None:
    """Memory against the number of files: the same 1,000 chunks of log in 10, 100 and 1,000 files."""
    chunks: list[bytes] = []
    header = b""
    for path in sorted(logs_for_ingest().rglob("Security.evtx")):
        data = path.read_bytes()
        header = data[:4096]
        chunks += [data[at : at + 65536] for at in range(4096, len(data), 65536)]
    chunks = chunks[:1000]
    for count in (10, 100, 1000):
        folder = WORK / "files"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for index in range(count):
            (folder / f"{index}.evtx").write_bytes(header + b"".join(chunks[index::count]))
        case = WORK / "files-case"
        shutil.rmtree(case, ignore_errors=True)
        run = measured("ingest", str(folder), "--case", str(case))
        shown = f"{len(chunks):,} chunks of 64 KiB in {count:,} files in {run.seconds:.2f} s"
        print(f"files: {shown}, peak memory {run.memory:.0f} MiB")


def main() -> None:
    """Run the benches named on the command line, or all."""
    benches = {"run": bench_run, "ingest": bench_ingest, "files": bench_files}
    WORK.mkdir(exist_ok=True)
    # As an installed package is: an editable one whose files changed would be compiled by each start.
    compileall.compile_dir(ROOT / "detector", quiet=1)
    cores = os.cpu_count()
    print(f"{platform.platform()}, Python {platform.python_version()}, {cores} cores, {platform.processor()}")
    for name in sys.argv[1:] or benches:
        benches[name]()


if __name__ == "__main__":
    main()
