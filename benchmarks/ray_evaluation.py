"""Candidates on a Ray cluster of two workers, one thread each, beside the same candidates in this process.

200 architectures of NAS-Bench-Macro's space, evaluated with inherited weights (untrained: what they are makes no
difference to the time) on digits enlarged to 32x32. Metrics of both sides must be equal. Starting the cluster is not
timed; sending supernet and data to the workers is. The overhead is that of 200 trials that do nothing.

    python benchmarks/ray_evaluation.py
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch

from palmette.architecture import Architecture
from palmette.data.options import Splits
from palmette.data.sources import load
from palmette.evaluation.inherited import Inherited
from palmette.evaluation.score import Metrics
from palmette.evaluation.spread import Spread
from palmette.memory import keep_freed
from palmette.spaces.nas_bench_macro import nas_bench_macro
from palmette.workers.cluster import Cluster

CANDIDATES, WORKERS = 200, 2


def nothing(architectures: Sequence[Architecture]) -> list[Metrics]:
    return [{"loss": 0.0} for _ in architectures]


def main() -> None:
    torch.set_num_threads(1)
    keep_freed()  # as workers do
    data = load("digits", splits=Splits(train=600, validation=256, calibration=128), seed=0, image_size=32)
    space = nas_bench_macro(classes=10, channels=1)
    generator = np.random.default_rng(0)
    drawn: dict[Architecture, None] = {}
    while len(drawn) < CANDIDATES:
        drawn[space.decisions.sample(generator)] = None
    architectures = list(drawn)
    evaluate = Inherited(space, space.supernet(seed=0), data)
    cluster = Cluster("local", workers=WORKERS)
    Spread(nothing, cluster)(architectures[:WORKERS])  # starts the cluster and its workers
    seconds, metrics = {}, {}
    for name, do in (("one process", evaluate), ("two workers", Spread(evaluate, cluster)), ("nothing", nothing)):
        do = Spread(nothing, cluster) if name == "nothing" else do
        began = time.perf_counter()
        metrics[name] = do(architectures)
        seconds[name] = time.perf_counter() - began
        print(f"{name}: {seconds[name]:.2f} s for {CANDIDATES} candidates")
    if metrics["one process"] != metrics["two workers"]:
        raise SystemExit("the metrics differ")
    print(f"overhead: {1000 * seconds['nothing'] / CANDIDATES:.2f} ms a trial (target 20)")
    print(f"speed-up on two workers: {seconds['one process'] / seconds['two workers']:.2f} (target 1.6)")


if __name__ == "__main__":
    main()
