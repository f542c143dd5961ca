"""Pools: something that does many independent jobs, here, on the processes of one machine or on a cluster.

What a job gives must follow from the job alone, never from who did it or when; then a run may be killed, continued and
moved between pools and ends with the same results. Nothing that happens to one job harms another.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Failure:
    """Why a job has no result, in one line, and all that is known."""

    why: str
    details: str = ""


class Pool(Protocol):
    """Does jobs."""

    def run(
        self, make: Callable[[], Callable[[JobT], ResultT]], jobs: Sequence[JobT]
    ) -> Iterator[tuple[int, ResultT | Failure]]:
        """Yield the position of each job and its result, in the order jobs end; every job ends in one.

        Args:
            make: called once in every worker; returns what does a job. It must be picklable.
            jobs: picklable.
        """
        ...


class Here:
    """The jobs one after another in this process."""

    def run(
        self, make: Callable[[], Callable[[JobT], ResultT]], jobs: Sequence[JobT]
    ) -> Iterator[tuple[int, ResultT | Failure]]:
        if not jobs:
            return
        do = make()
        for position, job in enumerate(jobs):
            yield position, attempt(do, job)


def attempt(do: Callable[[JobT], ResultT], job: JobT) -> ResultT | Failure:
    """Return the job's result, or what went wrong."""
    try:
        return do(job)
    except Exception as error:  # whatever one job does must not end the others
        why = " ".join(f"{type(error).__name__}: {error}".split())
        return Failure(why[:300], traceback.format_exc())
