"""Speed and memory of rules: the pack, a scan, its cost by number of rules, five million events.

    python -m tests.bench.rules [pack|scan|curve|memory ...]    all, or those named
    python -m tests.bench.rules once CASE COUNT                 one scan in this process, figures as JSON

Cases are made below bench/ once: `recordings` (attack-samples and otrf, ingested), `ingest` (the simulated
hospital of `python -m tests.bench ingest`), `many` (ten copies of it whose hosts, times, record ids and
evidence differ).
"""

from __future__ import annotations

import hashlib
import json
import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from detector.case.store import Case
from detector.sigma.model import CompiledRule
from detector.sigma.pack import load_pack
from detector.sigma.scan import scan
from tests.bench.__main__ import CORPUS, EVENTS, WORK, bench_ingest, measured

FOLDERS = ("rules", "rules-threat-hunting", "rules-emerging-threats")
CACHE = WORK / "cache"
COPIES = 10


@dataclass(frozen=True)
class Once:
    """Figures of one scan: seconds of wall and processor, MiB of its process at most."""

    events: int
    rules: int
    wall: float
    cpu: float
    hits: int
    evaluated: int
    memory: float

    def __str__(self) -> str:
        return (
            f"{self.rules:,} rules ({self.evaluated:,} evaluated), {self.events:,} events, "
            f"{self.hits:,} hits: "
            f"{self.wall:.2f} s, {self.cpu:.2f} CPU s, {self.events / self.wall:,.0f} events/s "
            f"({2 * self.events / self.cpu:,.0f} if both cores were free), {self.memory:,.0f} MiB"
        )


def public_rules() -> list[Path]:
    """Return the folders of SigmaHQ's rules."""
    return [CORPUS / "sigmahq" / name for name in FOLDERS]


def once(case: Path, count: int) -> Once:
    """Scan a case with so many of the public rules, chosen at random but always the same; 0: all."""
    rules: Sequence[CompiledRule] = load_pack(public_rules(), CACHE).rules
    if count:
        rules = random.Random(0).sample(rules, min(count, len(rules)))
    opened = Case.open(case)
    with opened.connect(meaning=False, many_queries=True) as engine:
        wall, cpu = time.perf_counter(), time.process_time()
        found = scan(engine, rules)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Once(opened.events(), len(rules), wall, cpu, found.hits.num_rows, found.evaluated, memory)


def apart(case: Path, count: int = 0) -> Once:
    """Do the same in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.rules", "once", str(case), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Once(**json.loads(done.stdout))


def recordings() -> Path:
    """Ingest (once) the recorded attacks: 525,000 events, none of them made up or repeated."""
    case = WORK / "recordings"
    if not case.is_dir():
        folders = [str(CORPUS / "evtx" / "attack-samples"), str(CORPUS / "otrf")]
        measured("ingest", *folders, "--case", str(case))
    return case


def simulated() -> Path:
    """Ingest (once) half a million simulated events."""
    if not (WORK / "ingest").is_dir():
        bench_ingest()
    return WORK / "ingest"


def many() -> Path:
    """Make (once) a case of ten times the simulated one; nothing in a copy is a duplicate."""
    case = WORK / "many"
    if case.is_dir():
        return case
    source = simulated()
    draft = WORK / "many-draft"
    shutil.rmtree(draft, ignore_errors=True)
    (draft / "tables").mkdir(parents=True)
    shutil.copy(source / "case.json", draft)
    with (draft / "journal.jsonl").open("w", encoding="utf-8", newline="\n") as journal:
        for copy in range(COPIES):
            for line in (source / "journal.jsonl").read_text(encoding="utf-8").splitlines():
                entry = json.loads(line)
                if entry["type"] == "work":
                    journal.write(json.dumps(_copied(entry, copy, source, draft)) + "\n")
    draft.rename(case)
    return case


def _copied(entry: dict[str, object], copy: int, source: Path, target: Path) -> dict[str, object]:
    """Return a journal entry for a copy, whose Parquet files are written."""
    changed = json.loads(json.dumps(entry))
    changed["task"] = _other(changed["task"], copy)
    for segment in changed["read"]:
        segment["sha256"] = hashlib.sha256(f"{segment['sha256']} {copy}".encode()).hexdigest()
        segment["evidence_id"] = _other(segment["evidence_id"], copy)
        segment["path"] += f".{copy}"
        for channel in segment["channels"]:
            channel["computer"] = f"c{copy}-{channel['computer']}"
    for part in changed["parts"]:
        name = part["file"]
        part["file"] = name.removesuffix(".parquet") + f"-{copy}.parquet"
        (target / part["file"]).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(
            _shifted(pq.read_table(source / name), copy), target / part["file"], compression="zstd"
        )
    return changed


def _shifted(table: pa.Table, copy: int) -> pa.Table:
    """Return events of other hosts, a fortnight later for each copy, from other evidence."""
    ids = table["evidence_id"].unique().to_pylist()
    others = pa.array([_other(each, copy) for each in ids])
    changes = {"evidence_id": others.take(pc.index_in(table["evidence_id"], pa.array(ids)).combine_chunks())}
    if "Computer" in table.column_names:
        later = pa.scalar(copy * 14 * 86_400 * 1_000_000, pa.duration("us"))
        changes["TimeCreated"] = pc.add(table["TimeCreated"], later)
        changes["Computer"] = pc.binary_join_element_wise(f"c{copy}", table["Computer"], "-")
    for name, values in changes.items():
        table = table.set_column(table.column_names.index(name), name, values)
    return table


def _other(digest: str, copy: int) -> str:
    return hashlib.sha256(f"{digest} {copy}".encode()).hexdigest()[:16]


def bench_pack() -> None:
    """Loading of all public rules: cold, warm, with one changed."""
    shutil.rmtree(CACHE, ignore_errors=True)
    copies = WORK / "rules"
    shutil.rmtree(copies, ignore_errors=True)
    for folder in public_rules():
        shutil.copytree(folder, copies / folder.name)
    code = (
        "import sys,time; from pathlib import Path; from detector.sigma.pack import load_pack; "
        "t=time.perf_counter(); c=time.process_time(); "
        "n=len(load_pack([Path(sys.argv[1])], Path(sys.argv[2])).rules); "
        "print(f'{n:,} rules: {time.perf_counter()-t:.2f} s, {time.process_time()-c:.2f} CPU s')"
    )
    changed = sorted(copies.rglob("*.yml"))[0]
    for label in ("cold", "warm", "warm again", "one rule changed"):
        if label == "one rule changed":
            changed.write_text(changed.read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8")
        command = [sys.executable, "-c", code, str(copies), str(CACHE)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        print(f"pack: {label}: {done.stdout.strip()}", flush=True)


def bench_scan() -> None:
    """All public rules over half a million events, recorded and simulated."""
    for name, case in (("recordings", recordings()), ("simulated hospital", simulated())):
        print(f"scan: {name}: {apart(case)}", flush=True)


def bench_curve() -> None:
    """The cost by the number of rules."""
    for name, case in (("recordings", recordings()), ("simulated hospital", simulated())):
        for count in (100, 500, 1000, 3000):
            print(f"curve: {name}: {apart(case, count)}", flush=True)


def bench_memory() -> None:
    """Memory of a scan of five million events."""
    print(f"memory: {EVENTS * COPIES:,} simulated events: {apart(many())}", flush=True)


def main() -> None:
    """Run what the command line names."""
    if sys.argv[1:2] == ["once"]:
        print(json.dumps(vars(once(Path(sys.argv[2]), int(sys.argv[3])))))
        return
    benches = {"pack": bench_pack, "scan": bench_scan, "curve": bench_curve, "memory": bench_memory}
    WORK.mkdir(exist_ok=True)
    for name in sys.argv[1:] or benches:
        benches[name]()


if __name__ == "__main__":
    main()
