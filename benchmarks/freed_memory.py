"""Candidates evaluated in a process that keeps freed memory, beside one that gives it back to the system.

24 architectures of NAS-Bench-Macro's space on digits enlarged to 32x32, with inherited weights of an untrained
supernet, each side in a process of its own, one thread, in turn three times; the times are of the processor, in the
program and in the system. Metrics of both must be equal.

    python benchmarks/freed_memory.py
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys

CANDIDATES, TIMES = 24, 3


def main() -> None:
    if len(sys.argv) > 1:
        evaluate(sys.argv[1] == "kept")
        return
    seconds: dict[str, list[float]] = {"given back": [], "kept": []}
    metrics = []
    for _ in range(TIMES):
        for how, times in seconds.items():
            command = [sys.executable, __file__, how]
            environment = os.environ | {"OMP_NUM_THREADS": "1"}
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            answer = json.loads(done.stdout)
            times.append(answer["program"] + answer["system"])
            metrics.append(answer.pop("metrics"))
            print(f"freed memory {how}: {answer}", flush=True)
    if any(one != metrics[0] for one in metrics):
        raise SystemExit("the metrics differ")
    ratio = statistics.median(seconds["given back"]) / statistics.median(seconds["kept"])
    print(f"freed memory kept: {ratio:.2f} times as fast (target 1.2)")


def evaluate(kept: bool) -> None:
    """Evaluate the candidates and print what it took as JSON."""
    import numpy as np
    import torch

    from palmette.data.options import Splits
    from palmette.data.sources import load
    from palmette.evaluation.inherited import Inherited
    from palmette.memory import keep_freed
    from palmette.spaces.nas_bench_macro import nas_bench_macro

    if kept and not keep_freed():
        raise SystemExit("this C library cannot keep freed memory")
    torch.set_num_threads(1)
    data = load("digits", splits=Splits(train=600, validation=256, calibration=128), seed=0, image_size=32)
    space = nas_bench_macro(classes=10, channels=1)
    generator = np.random.default_rng(0)
    architectures = [space.decisions.sample(generator) for _ in range(CANDIDATES)]
    inherited = Inherited(space, space.supernet(seed=0), data)
    inherited(architectures[:1])
    before = resource.getrusage(resource.RUSAGE_SELF)
    metrics = inherited(architectures)
    after = resource.getrusage(resource.RUSAGE_SELF)
    answer = {
        "program": round(after.ru_utime - before.ru_utime, 2),
        "system": round(after.ru_stime - before.ru_stime, 2),
        "largest memory in GiB": round(after.ru_maxrss / 2**20, 2),
        "metrics": metrics,
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
