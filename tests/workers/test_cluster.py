"""Ray: a cluster of two nodes on the loopback address; a worker and a node that die take no job with them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from palmette.errors import PalmetteError
from palmette.workers.cluster import Cluster
from palmette.workers.options import WorkerOptions
from palmette.workers.pool import Failure, Here
from palmette.workers.processes import Processes

ray = pytest.importorskip("ray", reason="needs the extra ray")
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::FutureWarning", "ignore::DeprecationWarning"
)
RAY = Path(sys.executable).with_name("ray")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(*options: str) -> subprocess.Popen[bytes]:
    """Start a node in a process group of its own and return once it answers."""
    command = [str(RAY), "start", *options, "--node-ip-address", "127.0.0.1", "--num-cpus", "1", "--block"]
    command += ["--object-store-memory", "100000000", "--disable-usage-stats"]
    paths = [str(Path(__file__).parent), *sys.path]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}  # a node imports what jobs are made of
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, stdout=quiet, stderr=quiet, start_new_session=True, env=environment)


@pytest.fixture
def cluster() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Yield the address of a cluster of two nodes with one CPU each, and the process of the second."""
    address = f"127.0.0.1:{free_port()}"
    head = start("--head", "--port", address.rsplit(":", 1)[1], "--include-dashboard", "false")
    nodes = [head]
    try:
        _wait(lambda: _connects(address), seconds=60)
        nodes.append(start("--address", address))
        _wait(lambda: ray.cluster_resources().get("CPU", 0) == 2, seconds=60)
        yield address, nodes[1]
    finally:
        ray.shutdown()
        for node in nodes:
            _kill(node)


def _connects(address: str) -> bool:
    try:
        socket.create_connection(address.split(":"), timeout=1).close()
        ray.init(address=address, _node_ip_address="127.0.0.1", log_to_driver=False, logging_level="critical")
    except (OSError, RuntimeError):
        return False
    return True


def _wait(ready: Callable[[], bool], *, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "the cluster did not come up"
        time.sleep(0.2)


def _kill(node: subprocess.Popen[bytes]) -> None:
    """Kill a node whole: the processes that Ray starts for it are of its session."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.getsid(int(entry.name)) == node.pid:
                    os.kill(int(entry.name), signal.SIGKILL)
            except ProcessLookupError:
                continue
    node.wait()


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
def test_a_killed_worker_and_a_killed_node_lose_no_job(
    cluster: tuple[str, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    address, second = cluster
    numbers = [*range(20), -1]
    results: dict[int, object] = {}
    for position, result in Cluster(address, retries=3).run(partial(squares, tmp_path), numbers):
        assert position not in results
        results[position] = result
        if len(results) == 6:
            _kill(second)
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
    assert WorkerOptions(workers=0, ray="auto", gpu_share=0.25).pool() == Cluster("auto", gpu_share=0.25)
    with pytest.raises(PalmetteError, match="without ray"):
        WorkerOptions(gpu_share=0.5)
    with pytest.raises(PalmetteError, match="workers = -1"):
        WorkerOptions(workers=-1)
    with pytest.raises(PalmetteError, match=r"gpu_share = 1\.5"):
        Cluster("local", gpu_share=1.5)
