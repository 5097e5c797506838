"""Evidence into a case: find, recognise, read in parallel, keep account of every file and record."""

from __future__ import annotations

import atexit
import os
import signal
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import Pipe, connection, get_context, parent_process
from pathlib import Path
from typing import Literal, TypeVar

from detector.case.inspect import Inspected, inspect
from detector.case.journal import Copy, ReadSegment, Work
from detector.case.plan import plan
from detector.case.read import Segment, Task, read_task, segments_of
from detector.case.site import Site, zone_named
from detector.case.store import Case
from detector.errors import CaseError, EvidenceError, TimeZoneError
from detector.formats.base import UNEXPECTED, ReadContext, fault
from detector.formats.mapping import Mapping
from detector.sources import Limits, Refusal, expand
from detector.startup import leave_out_pandas

#: Below this many bytes, starting worker processes costs more than they save.
_ALONE_BYTES = 48 * 1024 * 1024

_T = TypeVar("_T")

DEFAULT_SITE = "default"


@dataclass(frozen=True)
class IngestOptions:
    """What the user says about the evidence. `time_zone` is an IANA name."""

    site: str | None = None
    time_zone: str | None = None
    parser: Literal["auto", "evtx", "python-evtx"] = "auto"
    workers: int | None = None
    limits: Limits = field(default_factory=Limits)
    #: Logs that the user describes; those of site.toml are asked after them.
    mappings: tuple[Mapping, ...] = ()


@dataclass(frozen=True)
class IngestReport:
    """What an ingest took and what it did not.

    `read`: one entry per segment read. `already`: (path, evidence id) of files whose content the case held
    before, or holds twice. `elsewhere`: of these, (path, site) of those that the case holds for another site
    than the one named now; they stay with the first. `refused`: paths not taken, with the reason.
    `duplicates`: events of the case that more than one evidence file holds and that count once.
    """

    read: tuple[ReadSegment, ...]
    already: tuple[tuple[str, str], ...]
    elsewhere: tuple[tuple[str, str], ...]
    refused: tuple[Refusal, ...]
    duplicates: int

    @property
    def events(self) -> int:
        """Events stored by this ingest."""
        return sum(segment.events for segment in self.read)

    @property
    def warnings(self) -> int:
        """Warnings stored by this ingest."""
        return sum(segment.warnings for segment in self.read)

    @property
    def files(self) -> int:
        """Evidence files read by this ingest."""
        return len({segment.evidence_id for segment in self.read})


#: Told how the work goes: (stage, done, total, what), stage 'find' counting files or 'read' counting bytes.
Progress = Callable[[str, int, int, str], None]


def no_progress(stage: str, done: int, total: int, what: str) -> None:
    """Show nothing."""


def ingest(
    case: Case, paths: Iterable[Path], options: IngestOptions, progress: Progress = no_progress
) -> IngestReport:
    """Read evidence into a case and return what was taken and what was not.

    Files whose SHA-256 the case holds are not read again. Work is recorded piece by piece, so that an
    interrupted ingest goes on where it stopped when it is called again. Raises CaseError when the case
    cannot be written; whatever was recorded before stays.
    """
    if options.time_zone is not None:
        zone_named(options.time_zone)
    refused: list[Refusal] = []
    files: list[Path] = []
    for found in expand(paths, case.path):
        if isinstance(found, Refusal):
            refused.append(found)
        else:
            files.append(found)
    mappings = options.mappings + case.site().mappings
    workers = _workers(options, files)
    with case.locked(), _pool(workers) as run:
        case.remove_leftovers()
        evidence: list[Inspected] = []
        for result in _inspect_all(files, options.limits, mappings, run, progress):
            if isinstance(result, Refusal):
                refused.append(result)
            else:
                evidence.append(result)
        segments, copies = _choose(case, evidence, options, refused)
        read = _read_all(case, segments, options.limits, workers, run, progress)
        if new := _new_copies(case, copies):
            case.journal.append(new)
        duplicates = case.find_duplicates() if read or not case.duplicates_known() else case.duplicate_count()
    return IngestReport(
        tuple(sorted(read, key=lambda segment: (segment.path, segment.segment))),
        tuple(sorted((copy.path, copy.evidence_id) for copy in copies)),
        tuple(sorted(_elsewhere(case, copies, options))),
        tuple(sorted(refused, key=lambda refusal: refusal.path)),
        duplicates,
    )


def _workers(options: IngestOptions, files: list[Path]) -> int:
    """Return how many worker processes to start, 0 to read in this one."""
    wanted = (os.cpu_count() or 1) if options.workers is None else options.workers
    if options.workers is None and sum(_size(path) for path in files) < _ALONE_BYTES:
        return 0
    return 0 if wanted <= 1 else wanted


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


class _Run:
    """Runs calls here or in worker processes, and yields results as they come."""

    def __init__(self, pool: ProcessPoolExecutor | None) -> None:
        self._pool = pool

    def __enter__(self) -> _Run:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def each(self, call: Callable[..., _T], arguments: list[tuple[object, ...]]) -> Iterator[tuple[int, _T]]:
        """Yield (index of the arguments, result), in any order."""
        if self._pool is None:
            for index, each in enumerate(arguments):
                yield index, call(*each)
            return
        with _signals_held():
            futures: dict[Future[_T], int] = {
                self._pool.submit(call, *each): index for index, each in enumerate(arguments)
            }
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool as error:
            raise CaseError(
                "a worker process was ended from outside (out of memory?); what was finished is in the case: "
                "run the same command again to go on, with --workers 1 to need less memory"
            ) from error


def _pool(workers: int) -> _Run:
    if not workers:
        return _Run(None)
    # 'spawn' on every system: what works on Linux then works on Windows.
    return _Run(ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_prepare_worker))


@contextmanager
def _signals_held() -> Iterator[None]:
    """Keep Ctrl-C back while workers are started, which inherit that: they have no handler of their own yet.

    Where a system cannot do that (Windows), a worker that is just starting may print where it was stopped.
    """
    if not hasattr(signal, "pthread_sigmask") or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare_worker() -> None:
    """Leave Ctrl-C to the parent, which stops its workers, and end when the parent is killed."""
    parent = parent_process()
    if parent is not None:
        stop, stopped = Pipe(duplex=False)
        watch = threading.Thread(target=_end_with, args=(parent.sentinel, stop), daemon=True)
        watch.start()
        atexit.register(_end_watch, watch, stopped)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    leave_out_pandas()
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _end_with(sentinel: int, stop: connection.Connection) -> None:
    """End this process when another has ended, however: a worker alone would wait for work for ever."""
    if sentinel in connection.wait([sentinel, stop]):
        os._exit(1)


def _end_watch(watch: threading.Thread, stopped: connection.Connection) -> None:
    """End the thread before Python ends, which some libraries complain of otherwise."""
    stopped.close()
    watch.join()


def _inspect_all(
    files: list[Path], limits: Limits, mappings: tuple[Mapping, ...], run: _Run, progress: Progress
) -> Iterator[Inspected | Refusal]:
    """Yield what was found, in order of the files whichever worker was first."""
    results: dict[int, list[Inspected | Refusal]] = {}
    arguments: list[tuple[object, ...]] = [(path, str(path), limits, mappings) for path in files]
    for done, (index, found) in enumerate(run.each(inspect, arguments), 1):
        results[index] = found
        progress("find", done, len(files), str(files[index]))
    for index in sorted(results):
        yield from results[index]


def _choose(
    case: Case, evidence: list[Inspected], options: IngestOptions, refused: list[Refusal]
) -> tuple[list[Segment], list[Copy]]:
    """Return the segments still to be read, and the files whose content the case holds or will hold."""
    site = case.site()
    done: dict[str, set[int]] = defaultdict(set)
    wanted: dict[str, int] = {}
    for segment in case.journal.segments():
        done[segment.evidence_id].add(segment.segment)
        wanted[segment.evidence_id] = segment.segments
    taken = {evidence_id for evidence_id, count in wanted.items() if len(done[evidence_id]) == count}
    segments: list[Segment] = []
    copies: list[Copy] = []
    for each in sorted(evidence, key=lambda each: each.member.path):
        if each.evidence_id in taken:
            copies.append(Copy(each.evidence_id, each.member.path))
            continue
        try:
            context, zone_name = _context(each, site, options)
        except (TimeZoneError, EvidenceError) as error:
            refused.append(Refusal(each.member.path, str(error)))
            continue
        taken.add(each.evidence_id)
        segments += [
            segment
            for segment in segments_of(each, _site_name(site, options), context, zone_name)
            if segment.index not in done[each.evidence_id]
        ]
    return segments, copies


def _site_name(site: Site, options: IngestOptions) -> str:
    return options.site or site.name or DEFAULT_SITE


def _new_copies(case: Case, copies: list[Copy]) -> list[Copy]:
    """Return the copies at paths that the case does not know yet."""
    known = {(segment.evidence_id, segment.path) for segment in case.journal.segments()}
    known |= {(copy.evidence_id, copy.path) for copy in case.journal.copies}
    return [copy for copy in dict.fromkeys(copies) if (copy.evidence_id, copy.path) not in known]


def _elsewhere(case: Case, copies: list[Copy], options: IngestOptions) -> Iterator[tuple[str, str]]:
    """Yield (path, site) of the copies that the case holds for another site than the one named now."""
    if options.site is None:
        return
    sites = {segment.evidence_id: segment.site for segment in case.journal.segments()}
    for copy in copies:
        if (held := sites.get(copy.evidence_id, options.site)) != options.site:
            yield copy.path, held


def _context(each: Inspected, site: Site, options: IngestOptions) -> tuple[ReadContext, str | None]:
    """Return what the reader is told about times without zone.

    Raises TimeZoneError if it must know one, EvidenceError if it fails.
    """
    known = each.known_format
    try:
        needed = known.needs_zone is not None and known.needs_zone(each.head)
    except UNEXPECTED as error:
        raise EvidenceError(fault(each.format, error)) from error
    basis: Literal["option", "site"] | None = None
    zone = None
    if options.time_zone is not None:
        zone, basis = zone_named(options.time_zone), "option"
    elif (told := site.zone_of(each.member.path)) is not None:
        zone, basis = told, "site"
    context = ReadContext(zone, basis, None, options.parser, site.computer_of(each.member.path))
    if needed:
        context.zone()
    return context, zone.key if zone is not None and needed else None


def _read_all(
    case: Case,
    segments: list[Segment],
    limits: Limits,
    workers: int,
    run: _Run,
    progress: Progress,
) -> list[ReadSegment]:
    """Read all segments, recording each finished task at once."""
    tasks: list[Task] = plan(segments, workers)
    total = sum(task.bytes for task in tasks)
    done = 0
    read: list[ReadSegment] = []
    arguments: list[tuple[object, ...]] = [(case.path, task, limits) for task in tasks]
    finished: Work
    for index, finished in run.each(read_task, arguments):
        case.journal.append([finished])
        read += finished.read
        done += tasks[index].bytes
        progress("read", done, total, tasks[index].segments[-1].evidence.member.path)
    return read
