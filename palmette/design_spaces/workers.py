"""Workers: many independent jobs on the processes of one machine.

Each worker is one process with one job at a time. A worker that dies takes only its own job with it, which is given to
a new one; a worker whose parent died ends by itself. Results come in the order jobs end.
"""

from __future__ import annotations

import multiprocessing
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Failure:
    """Why a job has no result, in one line, and all that is known."""

    why: str
    details: str = ""


def run(
    make: Callable[[], Callable[[JobT], ResultT]], jobs: Sequence[JobT], *, workers: int, retries: int = 2
) -> Iterator[tuple[int, ResultT | Failure]]:
    """Yield the position of each job and its result, as they end.

    Args:
        make: called once in every worker; returns what does a job. It must be picklable.
        jobs: picklable.
        workers: processes; 0 does the jobs here, one after another.
        retries: how often the job of a worker that died is given to another one.
    """
    if not workers:
        do = make()
        for position, job in enumerate(jobs):
            yield position, _attempt(do, job)
        return
    waiting = deque(enumerate(jobs))
    attempts = [0] * len(jobs)
    busy: dict[Connection, _Worker[JobT]] = {}
    idle: list[_Worker[JobT]] = []
    try:
        while waiting or busy:
            while waiting and len(busy) < workers:
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
                result = worker.take()
                if result is not None:
                    idle.append(worker)
                    yield worker.position, result
                elif attempts[worker.position] <= retries:
                    waiting.append((worker.position, jobs[worker.position]))
                else:
                    died = f"its worker died {attempts[worker.position]} times (exit code {worker.process.exitcode})"
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

    def take(self) -> Any:
        """Return the result, or None if the worker died."""
        try:
            return self.connection.recv()
        except (EOFError, ConnectionResetError):
            self.end()
            return None

    def end(self) -> None:
        self.connection.close()
        self.process.join(1)
        if self.process.is_alive():
            self.process.terminate()
            self.process.join()


def _serve(connection: Connection, make: Callable[[], Callable[[Any], Any]]) -> None:
    do: Callable[[Any], Any] | None = None
    while True:
        try:
            job = connection.recv()
            do = do or make()
            connection.send(_attempt(do, job))
        except (EOFError, BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
            return


def _attempt(do: Callable[[JobT], ResultT], job: JobT) -> ResultT | Failure:
    try:
        return do(job)
    except Exception as error:  # whatever one network does must not end the others
        why = " ".join(f"{type(error).__name__}: {error}".split())
        return Failure(why[:300], traceback.format_exc())
