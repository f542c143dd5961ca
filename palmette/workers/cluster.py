"""Cluster: a pool of Ray workers, on this machine or on many.

Each job is one Ray task that asks for one CPU and a share of a GPU, so several jobs share a GPU. Ray gives the tasks of
a worker or node that died to others. What is common to all jobs is sent to each worker once. Nodes need this package
installed; those that join later get work too. Jobs are done in the folder that the driver is in, where a node has it.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from palmette.errors import MissingExtraError, PalmetteError
from palmette.memory import keep_freed
from palmette.workers.pool import Failure, JobT, ResultT, attempt

WAITING = 2
"""Tasks submitted for each that can run, so that no worker waits for the driver."""

ANSWER_SECONDS = 5.0
"""How long a cluster may take to answer."""

_made: dict[str, Callable[[Any], Any]] = {}
"""In a worker: what does the jobs of the run it works for, by the run's key; made with the first of them."""


@dataclass(frozen=True)
class Cluster:
    """The workers of a Ray cluster."""

    address: str
    """``HOST:PORT`` of a cluster, ``auto`` for the one of this machine, or ``local`` to start one here for this run."""
    workers: int = 0
    """At most so many jobs at a time; 0 is as many as the cluster has CPUs."""
    gpu_share: float = 0.0
    """Of one GPU for each job, such as 0.25 for four jobs on it; 0 needs none."""
    retries: int = 2
    _sent: dict[int, tuple[object, Any]] = field(default_factory=dict, compare=False, repr=False)
    """What workers were given to make jobs with, by its identity: it is sent once, however often it is run."""

    def __post_init__(self) -> None:
        if self.workers < 0 or self.retries < 0 or not 0 <= self.gpu_share <= 1:
            raise PalmetteError(
                f"cluster: workers = {self.workers}, gpu_share = {self.gpu_share}, retries = {self.retries} were "
                "given; workers and retries start at 0, the share lies from 0 to 1"
            )

    def run(
        self, make: Callable[[], Callable[[JobT], ResultT]], jobs: Sequence[JobT]
    ) -> Iterator[tuple[int, ResultT | Failure]]:
        if not jobs:
            return
        ray = _connected(self.address, self.workers)
        task = ray.remote(num_cpus=1, num_gpus=self.gpu_share, max_retries=self.retries)(_do)
        if id(make) not in self._sent:
            self._sent[id(make)] = make, ray.put((make, os.getcwd()))
        common = [self._sent[id(make)][1]]  # inside a list Ray passes the reference on, and a worker fetches it once
        running: dict[Any, int] = {}
        position = 0
        while position < len(jobs) or running:
            while position < len(jobs) and len(running) < self._places(ray):
                running[task.remote(common, jobs[position])] = position
                position += 1
            for done in ray.wait(list(running), num_returns=1)[0]:
                yield running.pop(done), _result(ray, done)

    def size(self) -> int:
        """Return how many jobs are done at a time."""
        ray = _connected(self.address, self.workers)
        cpus = max(1, int(ray.cluster_resources().get("CPU", 0)))
        return min(self.workers or cpus, cpus)

    def _places(self, ray: Any) -> int:
        return self.workers or WAITING * max(1, int(ray.cluster_resources().get("CPU", 0)))


def _do(common: list[Any], job: Any) -> Any:
    """Do one job, in a worker."""
    import ray

    key = common[0].hex()
    if key not in _made:
        _made.clear()
        make, folder = ray.get(common[0])
        with contextlib.suppress(OSError):  # there is none on this node; jobs that need no files need no folder
            os.chdir(folder)
        keep_freed()
        _made[key] = make()
    return attempt(_made[key], job)


def _result(ray: Any, done: Any) -> Any:
    try:
        return ray.get(done)
    except ray.exceptions.RayTaskError as error:  # not the job, but its worker could not begin
        return Failure(" ".join(f"its worker could not be made: {error.cause}".split())[:300], str(error))
    except ray.exceptions.RayError as error:
        return Failure(f"its worker or node died too often ({type(error).__name__})", str(error))


def _connected(address: str, workers: int) -> Any:
    """Return ``ray``, connected; a process stays connected until it ends, for starting a cluster takes seconds."""
    try:
        import ray
    except ImportError:
        raise MissingExtraError("a Ray cluster needs ray; run: pip install palmette[ray]") from None
    if ray.is_initialized():
        return ray
    options: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": "error"}
    host, _, port = address.rpartition(":")
    if address == "local":
        options |= {"num_cpus": workers or None, "include_dashboard": False}
    elif host:
        _check_answer(address, host, port)
        if host.startswith("127."):  # else Ray takes another address of this machine for its own and finds no node
            options["_node_ip_address"] = host
    try:
        ray.init(**options)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise _no_cluster(address, error) from None
    return ray


def _check_answer(address: str, host: str, port: str) -> None:
    """Raise PalmetteError where nothing listens at an address; Ray would try for ever."""
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS).close()
    except (OSError, ValueError, OverflowError) as error:
        raise _no_cluster(address, error) from None


def _no_cluster(address: str, error: Exception) -> PalmetteError:
    why = " ".join(str(error).split())[:200]
    return PalmetteError(
        f"ray: no cluster answers at {address!r} ({why}); start one with 'ray start --head', give local, or set "
        "RAY_AUTH_MODE=token if the cluster asks for a token"
    )
