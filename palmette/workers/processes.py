"""Processes: a pool on one machine.

Each worker is one process with one job at a time. A worker that dies takes only its own job with it, which is given to
a new one; a worker whose parent died ends by itself.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic

from palmette.errors import PalmetteError
from palmette.memory import keep_freed
from palmette.workers.pool import Failure, JobT, ResultT, attempt


@dataclass(frozen=True)
class Processes:
    """So many workers; the job of one that died is given to another up to ``retries`` times."""

    workers: int
    retries: int = 2

    def __post_init__(self) -> None:
        if self.workers < 1 or self.retries < 0:
            raise PalmetteError(
                f"workers = {self.workers}, retries = {self.retries} were given; at least 1 worker and 0 retries"
            )

    def run(
        self, make: Callable[[], Callable[[JobT], ResultT]], jobs: Sequence[JobT]
    ) -> Iterator[tuple[int, ResultT | Failure]]:
        waiting = deque(enumerate(jobs))
        attempts = [0] * len(jobs)
        busy: dict[Connection, _Worker[JobT]] = {}
        idle: list[_Worker[JobT]] = []
        try:
            while waiting or busy:
                while waiting and len(busy) < self.workers:
                    worker = idle.pop() if idle else _Worker[JobT](make)
                    worker.position, job = waiting.popleft()
                    attempts[worker.position] += 1
                    if worker.give(job):
                        busy[worker.connection] = worker
                    else:  # it died between two jobs
                        waiting.appendleft((worker.position, job))
                for connection in wait(list(busy)):
                    assert isinstance(connection, Connection)
                    worker = busy.pop(connection)
                    answer = worker.take()
                    if answer:
                        idle.append(worker)
                        yield worker.position, answer[0]
                    elif attempts[worker.position] <= self.retries:
                        waiting.append((worker.position, jobs[worker.position]))
                    else:
                        died = (
                            f"its worker died {attempts[worker.position]} times (exit code {worker.process.exitcode})"
                        )
                        yield worker.position, Failure(died)
        finally:
            for worker in [*busy.values(), *idle]:
                worker.end()


class _Worker(Generic[JobT]):
    """One process and the line to it."""

    def __init__(self, make: Callable[[], Callable[[JobT], Any]]) -> None:
        context = multiprocessing.get_context("spawn")  # a forked process may not use CUDA, nor threads safely
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(theirs, make), daemon=True)
        self.process.start()
        theirs.close()
        self.position = -1

    def give(self, job: JobT) -> bool:
        """Send a job; False if the worker is dead."""
        try:
            self.connection.send(job)
        except (BrokenPipeError, ConnectionResetError):
            self.end()
            return False
        return True

    def take(self) -> tuple[Any, ...]:
        """Return the result alone in a tuple, or an empty one if the worker died."""
        try:
            return (self.connection.recv(),)
        except (EOFError, ConnectionResetError):
            self.end()
            return ()

    def end(self) -> None:
        self.connection.close()
        self.process.join(1)
        if self.process.is_alive():
            self.process.terminate()
            self.process.join()


def _serve(connection: Connection, make: Callable[[], Callable[[Any], Any]]) -> None:
    keep_freed()
    do: Callable[[Any], Any] | None = None
    while True:
        try:
            job = connection.recv()
            do = do or make()
            connection.send(attempt(do, job))
        except (EOFError, BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
            return
