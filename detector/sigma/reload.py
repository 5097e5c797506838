"""Rules that change while a program runs: read again when asked, swapped whole, never worse than before.

A long-running program calls `reload` now and then (each minute, on a signal); nothing here starts a thread or
watches a folder. Between two reloads `pack` is the same object, so that a batch of events sees one pack:

    rules = RuleSet([Path("rules"), Path("/etc/site-rules")])
    while True:
        change = rules.reload()
        if change:
            log(change)          # what was added, changed, removed, and what is broken
        scan(engine, rules.pack.rules)

A file that becomes broken keeps what it was when it was last right; the problem is in `problems` until the
file is mended or removed. Of a file that was never right, those of its rules are used that are.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from detector.sigma.loader import read_rule_file, rule_files
from detector.sigma.model import Pack, RuleProblem
from detector.sigma.pack import Outcome, assemble, compile_outcomes


@dataclass(frozen=True)
class Change:
    """What a reload changed, by path of the file; false if nothing did.

    broken: files that cannot be used as they are now; kept: those of them of which the last right version
    stays in use; mended: files that were broken before.
    """

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    mended: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed or self.broken or self.mended)

    def __str__(self) -> str:
        named = ("added", "changed", "removed", "broken", "kept", "mended")
        said = [f"{name}: {', '.join(getattr(self, name))}" for name in named if getattr(self, name)]
        return "; ".join(said) or "nothing changed"


@dataclass(frozen=True)
class _File:
    """A file as it was read: its bytes' hash, what it is used for, and what is wrong with it now."""

    sha256: str
    used: tuple[Outcome, ...] = ()
    problems: tuple[RuleProblem, ...] = ()


@dataclass(frozen=True)
class _State:
    pack: Pack = field(default_factory=lambda: Pack(()))
    problems: tuple[RuleProblem, ...] = ()
    files: Mapping[str, _File] = field(default_factory=dict)


class RuleSet:
    """The rules of files and folders, with the last version of each that was right.

    Thread-safe: `pack` and `problems` may be read while another thread reloads; each is of one moment.
    """

    def __init__(
        self,
        paths: Iterable[Path],
        compile_file: Callable[[bytes, str], list[Outcome]] = compile_outcomes,
    ) -> None:
        self._paths = tuple(paths)
        self._compile = compile_file
        self._lock = threading.Lock()
        self._state = _State()
        self.reload()

    @property
    def pack(self) -> Pack:
        """The rules as they stood at the last reload."""
        return self._state.pack

    @property
    def problems(self) -> tuple[RuleProblem, ...]:
        """What is wrong with the files now, also with those of which an older version is in use."""
        return self._state.problems

    def reload(self) -> Change:
        """Read the files again, compile those whose content changed, and swap the pack if anything did."""
        with self._lock:
            before = self._state.files
            after: dict[str, _File] = {}
            missing: list[RuleProblem] = []
            for path in rule_files(self._paths):
                if isinstance(path, RuleProblem):
                    missing.append(path)
                    continue
                after[str(path)] = self._read(path, before.get(str(path)))
            change = _change(before, after)
            problems = (*missing, *(each for file in after.values() for each in file.problems))
            if change or self._state.problems != problems or not self._state.files:
                self._swap(after, problems)
            return change

    def _read(self, path: Path, before: _File | None) -> _File:
        content = read_rule_file(path)
        if isinstance(content, RuleProblem):
            # Perhaps it is being written just now.
            return _File("", before.used if before else (), (content,))
        sha256 = hashlib.sha256(content).hexdigest()
        if before is not None and before.sha256 == sha256:
            return before
        outcomes = self._compile(content, str(path))
        problems = tuple(each for each in outcomes if isinstance(each, RuleProblem))
        right = tuple(each for each in outcomes if not isinstance(each, RuleProblem))
        kept = before.used if problems and before is not None and before.used else right
        return _File(sha256, kept, problems)

    def _swap(self, files: Mapping[str, _File], problems: tuple[RuleProblem, ...]) -> None:
        pack = assemble([outcome for file in files.values() for outcome in file.used])
        # Two files with one id: the pack says so, and uses the first.
        self._state = _State(pack, (*problems, *pack.problems), files)


def _change(before: Mapping[str, _File], after: Mapping[str, _File]) -> Change:
    common = sorted(before.keys() & after.keys())
    different = [path for path in common if before[path].sha256 != after[path].sha256]
    added = sorted(after.keys() - before.keys())
    broken = [path for path in (*added, *different) if after[path].problems]
    return Change(
        added=tuple(path for path in added if not after[path].problems),
        changed=tuple(path for path in different if not after[path].problems and not before[path].problems),
        removed=tuple(sorted(before.keys() - after.keys())),
        broken=tuple(broken),
        kept=tuple(path for path in broken if after[path].used),
        mended=tuple(path for path in different if before[path].problems and not after[path].problems),
    )
