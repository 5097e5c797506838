"""`make bench`: speed and memory, each figure with what it was measured on. Not a test: nothing fails here.

    python -m tests.bench [NAME ...]    all, or those named: run, ingest, files, network

Each measured command is a process of its own; memory is the sum over its processes, sampled.
"""

from __future__ import annotations

import compileall
import io
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import evtx
import psutil

from detector.formats.base import HEAD_BYTES, Input, ReadContext
from detector.formats.registry import recognise

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


#: Lines of each device for the bench of network formats.
LINES = 20_000
#: The ingest takes 100,000 lines so many times.
_TIMES = 5
#: A session as FortiOS 7 logs it; addresses of documentation, values that differ from line to line.
FORTIGATE = (
    'date=2022-10-31 time=02:15:{0:02d} devname="FW1" devid="FGT60E0000000001" eventtime=1667150100{1:09d} '
    'tz="+0900" logid="0000000013" type="traffic" subtype="forward" level="notice" vd="root" '
    'srcip=192.0.2.{2} srcport={3} srcintf="port1" srcintfrole="lan" dstip=198.51.100.{4} dstport=443 '
    'dstintf="wan1" dstintfrole="wan" srccountry="Reserved" dstcountry="Japan" sessionid={1} proto=6 '
    'action="close" policyid=7 policyname="out" service="HTTPS" trandisp="snat" transip=203.0.113.9 '
    "transport={3} duration=12 "
    'sentbyte={5} rcvdbyte={6} sentpkt=12 rcvdpkt=20 appcat="unscanned" srcmac="00:00:5e:00:53:01"'
)


def fortigate_lines(count: int) -> list[str]:
    """Return lines of sessions, no two alike."""
    return [
        FORTIGATE.format(at % 60, at, at % 251, 1024 + at % 60000, at % 241, at % 99991, at * 7 % 999983)
        for at in range(count)
    ]


def bench_network() -> None:
    """Lines a second of each device's sample, in memory, and of FortiGate through a whole ingest."""
    context = ReadContext(time_zone=UTC, reference_time=datetime(2022, 11, 1, tzinfo=UTC))
    samples = {"fortigate": fortigate_lines(LINES)}
    for path in sorted((ROOT / "samples" / "formats").glob("*.log")):
        lines = [line for line in path.read_text("utf-8").splitlines() if line.strip()]
        samples[path.stem] = (lines * (LINES // len(lines) + 1))[:LINES]
    for name, lines in samples.items():
        data = "\n".join(lines).encode()
        form = recognise(data[:HEAD_BYTES])
        if form is None:
            print(f"network: {name}: not recognised")
            continue
        begin = time.process_time()
        count = sum(1 for _ in form.read(Input(io.BytesIO(data), data[:HEAD_BYTES], context)))
        took = time.process_time() - begin
        rate = f"{count / took:,.0f} lines/s of one core, {took / count * 1e6:.1f} µs each"
        print(f"network: {name} ({form.name}): {rate}")
    folder, lines = WORK / "network", fortigate_lines(100_000)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with (folder / "fw1.log").open("w", encoding="utf-8", newline="\n") as file:
        for _ in range(_TIMES):
            file.write("\n".join(lines) + "\n")
    case = WORK / "network-case"
    shutil.rmtree(case, ignore_errors=True)
    run = measured("ingest", str(folder), "--case", str(case))
    rate = f"{_TIMES * len(lines) / run.seconds:,.0f} lines/s (target 100,000)"
    print(f"network: ingest of {_TIMES * len(lines):,} FortiGate lines in {run.seconds:.1f} s: {rate}")
    print(f"network: {run.cpu:.1f} s of CPU, peak memory {run.memory:.0f} MiB")


def main() -> None:
    """Run the benches named on the command line, or all."""
    benches = {"run": bench_run, "ingest": bench_ingest, "files": bench_files, "network": bench_network}
    WORK.mkdir(exist_ok=True)
    # As an installed package is: an editable one whose files changed would be compiled by each start.
    compileall.compile_dir(ROOT / "detector", quiet=1)
    cores = os.cpu_count()
    print(f"{platform.platform()}, Python {platform.python_version()}, {cores} cores, {platform.processor()}")
    for name in sys.argv[1:] or benches:
        benches[name]()


if __name__ == "__main__":
    main()
