"""Options of who does independent jobs. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

from palmette.errors import PalmetteError
from palmette.workers.cluster import Cluster
from palmette.workers.pool import Here, Pool
from palmette.workers.processes import Processes


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """Who does the jobs; what they give does not depend on it."""

    workers: int = 1
    """Jobs at a time; 0 does them in this process, or with --ray on every CPU of the cluster."""
    ray: str | None = None
    """HOST:PORT of a Ray cluster, 'auto' for this machine's, or 'local' to start one here; needs the extra ray."""
    gpu_share: float = 0.0
    """Of a GPU for each job, under Ray: 0.25 lets four share one."""

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise PalmetteError(f"workers = {self.workers} was given; allowed are numbers from 0")
        if self.gpu_share and self.ray is None:
            raise PalmetteError(f"gpu_share = {self.gpu_share} was given without ray; add --ray local, or leave it out")

    def pool(self) -> Pool:
        """Return what does the jobs."""
        if self.ray is not None:
            return Cluster(self.ray, workers=self.workers, gpu_share=self.gpu_share)
        return Processes(self.workers) if self.workers else Here()
