"""Workers: a job that fails or kills its worker harms no other, and every job ends in a result."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from palmette.errors import PalmetteError
from palmette.workers.pool import Failure, Here, Pool
from palmette.workers.processes import Processes


def squarer() -> Callable[[int], int]:
    return square


def square(number: int) -> int:
    if number < 0:
        raise ValueError(f"{number} is\nnegative")
    return number**2


def mortal(folder: Path) -> Callable[[int], int]:
    return partial(die_at_first, folder)


def die_at_first(folder: Path, number: int) -> int:
    """Kill the process on 3 the first time, and on 13 each time."""
    mark = folder / str(number)
    if number == 13 or (number == 3 and not mark.exists()):
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.parametrize("pool", [Here(), Processes(2)])
def test_every_job_has_its_result_and_an_error_is_one(pool: Pool) -> None:
    results = dict(pool.run(squarer, [1, -2, 3]))
    assert results[0] == 1
    assert results[2] == 9
    failure = results[1]
    assert isinstance(failure, Failure)
    assert failure.why == "ValueError: -2 is negative"
    assert "Traceback" in failure.details


def test_the_job_of_a_killed_worker_is_done_by_another(tmp_path: Path) -> None:
    results = dict(Processes(2).run(partial(mortal, tmp_path), [1, 3, 4, 5]))
    assert results == {0: 1, 1: 3, 2: 4, 3: 5}


def test_a_job_that_always_kills_its_worker_is_given_up(tmp_path: Path) -> None:
    results = dict(Processes(1, retries=1).run(partial(mortal, tmp_path), [13, 2]))
    assert results[1] == 2
    assert results[0] == Failure("its worker died 2 times (exit code -9)")


def test_no_jobs_are_no_work() -> None:
    assert list(Processes(2).run(squarer, [])) == []
    assert list(Here().run(squarer, [])) == []


def nothing() -> Callable[[int], None]:
    return ignore


def ignore(number: int) -> None:
    pass


def test_a_job_may_give_nothing() -> None:
    assert dict(Processes(1).run(nothing, [1, 2])) == {0: None, 1: None}


def test_no_workers_are_refused() -> None:
    with pytest.raises(PalmetteError, match="workers = 0"):
        Processes(0)
