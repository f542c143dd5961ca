"""Options of who does independent jobs. No torch here."""

from __future__ import annotations

import os
from dataclasses import dataclass

from palmette.errors import PalmetteError
from palmette.workers.cluster import Cluster
from palmette.workers.pool import Here, Pool
from palmette.workers.processes import Processes


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """Who does the jobs; what they give does not depend on it."""

    workers: int | None = None
    """Jobs at a time; by default one, or with --ray as many as the cluster has CPUs; 0 does them in this process."""
    ray: str | None = None
    """HOST:PORT of a Ray cluster, 'auto' for this machine's, or 'local' to start one here; needs the extra ray."""
    gpu_share: float = 0.0
    """Of a GPU for each job, under Ray: 0.25 lets four share one."""

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 0:
            raise PalmetteError(f"workers = {self.workers} was given; allowed are numbers from 0")
        if self.gpu_share and self.ray is None:
            raise PalmetteError(f"gpu_share = {self.gpu_share} was given without ray; add --ray local, or leave it out")

    def pool(self) -> Pool:
        """Return what does the jobs."""
        if self.ray is not None:
            return Cluster(self.ray, workers=self.workers or 0, gpu_share=self.gpu_share)
        return Here() if self.workers == 0 else Processes(self.workers or 1)


@dataclass(frozen=True, kw_only=True)
class ClusterOptions:
    """Which Ray cluster evaluates the candidates of a search and trains networks alone, if any does."""

    ray: str | None = None
    """Candidates, and networks that are trained alone, on a Ray cluster: HOST:PORT, 'auto' for this machine's, or
    'local' to start one here; needs the extra ray."""
    workers: int = 0
    """With --ray: jobs at a time; 0 is as many as the cluster has CPUs."""
    gpu_share: float = 0.0
    """With --ray: of a GPU for each job, such as 0.25 for four on it."""

    def __post_init__(self) -> None:
        if self.ray is None and (self.workers or self.gpu_share):
            raise PalmetteError(
                f"workers = {self.workers}, gpu_share = {self.gpu_share} were given without ray; "
                "add --ray local, or leave them out"
            )

    def cluster(self) -> Cluster | None:
        """Return the cluster, None without one.

        Raises:
            PalmetteError: ``torchrun`` started several processes, each of which would give out every job.
        """
        if self.ray is None:
            return None
        processes = os.environ.get("WORLD_SIZE", "1")
        if int(processes) > 1:
            raise PalmetteError(
                f"ray = {self.ray!r} was given to {processes} processes of torchrun, and each would give out all jobs; "
                "train with torchrun first, then go on with --resume --ray in one process"
            )
        return Cluster(self.ray, workers=self.workers, gpu_share=self.gpu_share)
