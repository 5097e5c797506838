"""Queries side by side: threads that each have a connection of their own to the same tables.

Planning a query takes longer than running it in small cases, keeps one core busy, and does not hold Python's
lock.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from queue import SimpleQueue
from types import TracebackType
from typing import TypeVar

from detector.engines.duckdb_engine import Engine

_T = TypeVar("_T")

#: More do not help: DuckDB itself runs one query on all cores.
THREADS = 2


class Beside:
    """A context in which work is done in threads, with what `engine` has registered up to its beginning.

    Left by an exception, Ctrl-C included, it interrupts the queries that run and drops the work that waits.
    """

    def __init__(self, engine: Engine, threads: int = THREADS) -> None:
        self._engines = [engine.beside() for _ in range(threads)]
        self._free: SimpleQueue[Engine] = SimpleQueue()
        for each in self._engines:
            self._free.put(each)
        self._pool = ThreadPoolExecutor(threads, "beside")
        self._running: set[Future[object]] = set()

    def __enter__(self) -> Beside:
        return self

    def submit(self, work: Callable[[Engine], _T]) -> Future[_T]:
        """Do work in one of the threads as soon as one is free, in the order of the calls."""

        def run() -> _T:
            engine = self._free.get()
            try:
                return work(engine)
            finally:
                self._free.put(engine)

        future = self._pool.submit(run)
        self._running.add(future)  # type: ignore[arg-type]
        future.add_done_callback(self._running.discard)
        return future

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=False, cancel_futures=kind is not None)
        while running := [future for future in list(self._running) if not future.done()]:
            if kind is not None:
                for engine in self._engines:
                    engine.interrupt()
            wait(running, 0.05 if kind is not None else None)
        for engine in self._engines:
            engine.close()
