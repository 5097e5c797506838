"""Print the tables of docs/recordings.md: what a scan finds in recordings that nobody here wrote.

Usage: python -m tools.recordings [attack-samples] [otrf] [sigmahq] [--keep FOLDER]

The recordings are read where they lie: in DETECTOR_CORPUS, else ../shared/corpus. Cases are made in FOLDER
(and used again if they are there), else in a temporary folder. `otrf` takes minutes.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import yaml

from detector.case.ingest import IngestOptions, ingest
from detector.case.store import Case
from detector.scan import scan
from detector.sigma.pack import load_pack

_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "corpus"

#: The steps (detector.tables.steps) to which a tactic's techniques belong: its own, and remote desktop as far
#: as ATT&CK counts it to lateral movement, tunnels and remote support tools to command and control.
RIGHT_STEPS: dict[str, frozenset[str]] = {
    "Command and Control": frozenset({"remote_desktop", "other"}),
    "Credential Access": frozenset({"credential_access"}),
    "Defense Evasion": frozenset({"defense_evasion"}),
    "Discovery": frozenset({"discovery"}),
    "Execution": frozenset({"other"}),
    "Lateral Movement": frozenset({"lateral_movement", "remote_desktop"}),
    "Persistence": frozenset({"other"}),
    "Privilege Escalation": frozenset({"other"}),
}

#: Tactics as the metadata of the OTRF recordings name them (https://attack.mitre.org/tactics/).
_TACTICS: dict[str, str] = {
    "TA0002": "Execution",
    "TA0003": "Persistence",
    "TA0004": "Privilege Escalation",
    "TA0005": "Defense Evasion",
    "TA0006": "Credential Access",
    "TA0007": "Discovery",
    "TA0008": "Lateral Movement",
    "TA0011": "Command and Control",
}

#: Hits and findings with each event behind them.
_BEHIND = """
    SELECT evidence_id, evidence_offset, step, rule_title AS source, level FROM hits
    UNION ALL
    SELECT event.evidence_id, event.evidence_offset, step, stage, level
    FROM (SELECT unnest(events) AS event, step, stage, level FROM findings)
"""

#: What points to each evidence file, and whether all of it points to the clearing of a log.
_BY_FILE = f"""
    SELECT b.evidence_id, b.step, b.source, b.level,
           bool_and(w.EventID IN (104, 1102) AND w.Provider_Name = 'Microsoft-Windows-Eventlog') AS cleared
    FROM ({_BEHIND}) b
    JOIN windows w ON w.evidence_id = b.evidence_id AND w.evidence_offset = b.evidence_offset
    GROUP BY ALL ORDER BY ALL
"""


@dataclass(frozen=True)
class Recording:
    """One recording: its path in the corpus, and what a scan found in its events.

    `sources`: rule titles and stages. Many recordings begin with the clearing of a log, which is a step of
    the attack as well: `beside_clearing` are the steps that something else shows.
    """

    path: str
    events: int
    steps: frozenset[str]
    sources: frozenset[str]
    beside_clearing: frozenset[str]

    def right(self, tactic: str, clearing: bool = True) -> bool:
        """Tell whether something was found that belongs to the step of this tactic."""
        return bool((self.steps if clearing else self.beside_clearing) & RIGHT_STEPS[tactic])

    @property
    def only_cleared(self) -> bool:
        """Was nothing found but that a log was cleared?"""
        return bool(self.steps) and not self.beside_clearing


def corpus_path() -> Path:
    """Return the folder of the recordings."""
    return Path(os.environ.get("DETECTOR_CORPUS", _BESIDE)).resolve()


def recordings(case: Case, root: Path) -> list[Recording]:
    """Return the Windows recordings of a scanned case, by path below `root`; a copy is one as well."""
    with case.connect() as engine:
        evidence = engine.execute(
            "SELECT evidence_id, path, copies, events FROM evidence"
            " WHERE format IN ('evtx', 'xml') OR starts_with(format, 'json_') ORDER BY path"
        ).to_pylist()
        rows = engine.execute(_BY_FILE).to_pylist()
    found: dict[str, list[dict[str, object]]] = defaultdict(list)
    for row in rows:
        found[row["evidence_id"]].append(row)
    result: list[Recording] = []
    for each in evidence:
        behind = found[each["evidence_id"]]
        result += [
            Recording(
                PurePosixPath(Path(path).as_posix()).relative_to(root.as_posix()).as_posix(),
                each["events"],
                frozenset(str(row["step"]) for row in behind),
                frozenset(str(row["source"]) for row in behind),
                frozenset(str(row["step"]) for row in behind if not row["cleared"]),
            )
            for path in (each["path"], *(each["copies"] or ()))
        ]
    return sorted(result, key=lambda recording: recording.path)


def by_folder(found: Iterable[Recording]) -> dict[str, list[Recording]]:
    """Group recordings by their first folder, which is a tactic in attack-samples."""
    groups: dict[str, list[Recording]] = defaultdict(list)
    for recording in found:
        parts = PurePosixPath(recording.path).parts
        groups[parts[0] if len(parts) > 1 else "(none)"].append(recording)
    return dict(groups)


def by_metadata(found: Iterable[Recording], metadata: Path) -> dict[str, list[Recording]]:
    """Group OTRF recordings by the tactics that their metadata name; one may have several."""
    tactics: dict[str, set[str]] = defaultdict(set)
    for path in sorted(metadata.glob("*.yaml")):
        described = yaml.safe_load(path.read_text(encoding="utf-8"))
        named = {
            _TACTICS.get(tactic, tactic)
            for mapping in described.get("attack_mappings") or ()
            for tactic in mapping.get("tactics") or ()
        }
        for file in described.get("files") or ():
            tactics[file["link"].partition("/datasets/")[2]] |= named
    groups: dict[str, list[Recording]] = defaultdict(list)
    for recording in found:
        for tactic in tactics[recording.path.partition("!")[0]] or {"(no metadata)"}:
            groups[tactic].append(recording)
    return dict(groups)


def table(groups: Mapping[str, list[Recording]], head: str) -> str:
    """Return a Markdown table of groups; the last two columns leave out what says that a log was cleared."""
    titles = (
        head,
        "recordings",
        "anything",
        "right step",
        "anything but clearing",
        "right step but clearing",
    )
    lines = [f"| {' | '.join(titles)} |", "|---|--:|--:|--:|--:|--:|"]
    for name, group in sorted(groups.items()):
        counts = [len(group), sum(bool(recording.steps) for recording in group), None]
        counts += [sum(bool(recording.beside_clearing) for recording in group), None]
        if name in RIGHT_STEPS:
            counts[2] = sum(recording.right(name) for recording in group)
            counts[4] = sum(recording.right(name, clearing=False) for recording in group)
        cells = " | ".join("–" if count is None else str(count) for count in counts)
        lines.append(f"| {name} | {cells} |")
    return "\n".join(lines)


def misses(groups: Mapping[str, list[Recording]]) -> str:
    """Return a Markdown table of recordings in which nothing but clearing was found of the right step."""
    lines = ["| tactic | recording | found instead |", "|---|---|---|"]
    for name, group in sorted(groups.items()):
        for recording in group:
            if name in RIGHT_STEPS and not recording.right(name, clearing=False):
                instead = "; ".join(sorted(recording.sources)) or "nothing"
                lines.append(
                    f"| {name} | `{PurePosixPath(recording.path.partition('!')[0]).name}` | {instead} |"
                )
    return "\n".join(lines)


def _scanned(folder: Path, root: Path) -> tuple[Case, str]:
    """Return a scanned case of all files below `root`, and a line with counts and seconds."""
    case = Case.create(folder)
    began = time.perf_counter()
    report = ingest(case, [root], IngestOptions())
    read = time.perf_counter()
    result = scan(case)
    done = time.perf_counter()
    return case, (
        f"{case.evidence().num_rows} files, {case.events()} events, {report.warnings} warnings in "
        f"{read - began:.0f} s; {result.hits} hits, {result.findings} findings, {result.incidents} incidents "
        f"in {done - read:.0f} s"
    )


def attack_samples(work: Path, corpus: Path) -> None:
    """Print the tables of attack-samples, by folder."""
    root = corpus / "evtx" / "attack-samples"
    case, line = _scanned(work / "attack-samples", root)
    groups = by_folder(recordings(case, root))
    print(f"## attack-samples\n\n{line}\n\n{table(groups, 'folder')}\n\n{misses(groups)}\n")


def otrf(work: Path, corpus: Path) -> None:
    """Print the tables of the OTRF recordings, by the tactics of their metadata."""
    root = corpus / "otrf"
    case, line = _scanned(work / "otrf", root)
    found = recordings(case, root)
    groups = by_metadata(found, root / "_metadata")
    print(f"## otrf\n\n{line}; {len(found)} Windows recordings\n")
    print(f"{table(groups, 'tactic')}\n\n{misses(groups)}\n")


def sigmahq(work: Path, corpus: Path) -> None:
    """Print how many of SigmaHQ's Windows rules compile, how long that and a scan take."""
    rules = corpus / "sigmahq" / "rules" / "windows"
    case = Case.create(work / "sigmahq")
    ingest(case, [corpus / "evtx" / "attack-samples"], IngestOptions())
    with TemporaryDirectory() as cache:
        began = time.perf_counter()
        pack = load_pack([rules], Path(cache))
        compiled = time.perf_counter() - began
    scan(case, [rules])  # leaves the compiled rules in the user's cache
    began = time.perf_counter()
    result = scan(case, [rules])
    print(
        f"## sigmahq\n\n{len(pack.rules)} rules compiled, {len(pack.skipped)} skipped, "
        f"{len(pack.problems)} problems in {compiled:.0f} s; scan of attack-samples, compiled before: "
        f"{result.evaluated} evaluated, {result.hits} hits in {time.perf_counter() - began:.1f} s\n"
    )
    for problem in result.problems:
        print(f"* {problem}")


_PARTS: dict[str, Callable[[Path, Path], None]] = {
    "attack-samples": attack_samples,
    "otrf": otrf,
    "sigmahq": sigmahq,
}


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", help=", ".join(_PARTS))
    parser.add_argument("--keep", type=Path, help="make the cases here and keep them")
    chosen = parser.parse_args()
    if unknown := set(chosen.parts) - set(_PARTS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    corpus = corpus_path()
    if not corpus.is_dir():
        sys.exit(f"no recordings at {corpus} (DETECTOR_CORPUS names the folder)")
    with TemporaryDirectory() as temporary:
        for part in chosen.parts or list(_PARTS):
            _PARTS[part](chosen.keep or Path(temporary), corpus)


if __name__ == "__main__":
    main()
