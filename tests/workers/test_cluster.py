"""Ray: a cluster of two nodes on the loopback address; a worker and a node that die take no job with them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from ray_cluster import WARNINGS, cluster, kill_node

from palmette.errors import PalmetteError
from palmette.workers.cluster import Cluster
from palmette.workers.options import WorkerOptions
from palmette.workers.pool import Failure, Here
from palmette.workers.processes import Processes

pytest.importorskip("ray", reason="needs the extra ray")
pytestmark = pytest.mark.filterwarnings(*WARNINGS)


def squares(folder: Path) -> Callable[[int], int]:
    return partial(square, folder)


def square(folder: Path, number: int) -> int:
    """Leave a mark, take a moment, refuse negative numbers; kill the worker on 3 the first time, on 13 each time."""
    mark = folder / f"{number}"
    seen = mark.exists()
    mark.touch()
    if number == 13 or (number == 3 and not seen):
        os.kill(os.getpid(), signal.SIGKILL)
    if number < 0:
        raise ValueError(f"{number} is negative")
    time.sleep(0.3)
    return number**2


@pytest.mark.slow
def test_a_killed_worker_and_a_killed_node_lose_no_job(tmp_path: Path) -> None:
    numbers = [*range(20), -1]
    results: dict[int, object] = {}
    with cluster() as (address, second):
        for position, result in Cluster(address, retries=3).run(partial(squares, tmp_path), numbers):
            assert position not in results
            results[position] = result
            if len(results) == 6:
                kill_node(second)
    died, failed = results.pop(13), results.pop(20)
    assert results == {i: i**2 for i in range(20) if i != 13}
    assert isinstance(died, Failure)
    assert "died too often" in died.why
    assert isinstance(failed, Failure)
    assert failed.why == "ValueError: -1 is negative"


def test_an_address_without_a_cluster_is_one_line() -> None:
    with pytest.raises(PalmetteError, match=r"ray: no cluster answers at '127\.0\.0\.1:9'") as caught:
        list(Cluster("127.0.0.1:9").run(partial(squares, Path()), [1]))
    assert "\n" not in str(caught.value)


def test_options_say_who_works() -> None:
    assert isinstance(WorkerOptions(workers=0).pool(), Here)
    assert WorkerOptions(workers=3).pool() == Processes(3)
    assert WorkerOptions().pool() == Processes(1)
    assert WorkerOptions(ray="auto", gpu_share=0.25).pool() == Cluster("auto", workers=0, gpu_share=0.25)  # all of it
    assert WorkerOptions(ray="auto", workers=1).pool() == Cluster("auto", workers=1)
    with pytest.raises(PalmetteError, match="without ray"):
        WorkerOptions(gpu_share=0.5)
    with pytest.raises(PalmetteError, match="workers = -1"):
        WorkerOptions(workers=-1)
    with pytest.raises(PalmetteError, match=r"gpu_share = 1\.5"):
        Cluster("local", gpu_share=1.5)
