"""How much faster candidates are evaluated together, as a trie, than one at a time.

The 3,969 networks of NAS-Bench-Macro, BatchNorm recalibrated for each, on random images. One at a time is timed on
a random sample and scaled up; the two are interleaved. Prints also the speed-up on all 6,561 codes and on the
generations of an evolution, and the largest difference of any metric (they must be equal).
"""

from __future__ import annotations

import time

import numpy as np
import torch

from palmette.architecture import Architecture
from palmette.data.images import Dataset, Images
from palmette.evaluation.inherited import Inherited
from palmette.searches.evolution import Evolution, EvolutionOptions
from palmette.searches.trial import Trial
from palmette.spaces.nas_bench_macro import nas_bench_macro
from palmette.training.loop import place

CALIBRATION, VALIDATION = 8, 8
SAMPLE = 120
"""Networks timed one at a time."""


def main() -> None:
    torch.set_num_threads(1)
    space = nas_bench_macro()
    evaluate = Inherited(space, place(space.supernet(seed=0), torch.device("cpu")), _images())
    networks = list(space.decisions.enumerate())
    evaluate(networks[:50])  # warm-up
    together, metrics = _timed(evaluate, networks)
    known = dict(zip(networks, metrics, strict=True))

    generator = np.random.default_rng(0)
    sample = [networks[i] for i in generator.choice(len(networks), SAMPLE, replace=False)]
    each, largest = _one_at_a_time(evaluate, sample, known)
    single = float(np.mean(each))
    spread = 1.96 * float(np.std(each)) / len(each) ** 0.5
    print(f"one at a time: {1e3 * single:.1f} +- {1e3 * spread:.1f} ms (of {SAMPLE}); together {together:.1f} s")
    print(f"largest difference of any metric: {largest:.1e} (target 1e-6)")

    generations = _evolution(space.decisions.space, evaluate, known)
    alone = sum(sum(_one_at_a_time(evaluate, generation, known)[0]) for generation in generations)
    shared = sum(_timed(evaluate, generation)[0] for generation in generations)
    print(f"generations of an evolution ({len(generations)} of 50): {alone / shared:.2f}x (target 1.3x)")
    print(
        f"all 6,561 codes, 3,969 of them different: {6561 * single / together:.2f}x (target 5x, limit in FLOPs 6.19x)"
    )
    print(f"candidate evaluation: {3969 * single / together:.2f}x (target 3.2x, limit in FLOPs 3.87x)")


def _one_at_a_time(
    evaluate: Inherited, architectures: list[Architecture], known: dict[Architecture, dict[str, float]]
) -> tuple[list[float], float]:
    """Return the seconds of each, and the largest difference of a metric from that of the trie."""
    seconds, largest = [], 0.0
    for architecture in architectures:
        elapsed, (metrics,) = _timed(evaluate, [architecture])
        seconds.append(elapsed)
        largest = max(largest, *(abs(metrics[name] - known[architecture][name]) for name in metrics))
    return seconds, largest


def _timed(evaluate: Inherited, architectures: list[Architecture]) -> tuple[float, list[dict[str, float]]]:
    began = time.perf_counter()
    metrics = evaluate(architectures)
    return time.perf_counter() - began, metrics


def _evolution(name: str, evaluate: Inherited, known: dict[Architecture, dict[str, float]]) -> list[list[Architecture]]:
    """Return the generations 1, 4, 7 and 10 of an evolution by loss."""
    decisions = evaluate.space.decisions
    options = EvolutionOptions(generations=10)
    evolution = Evolution(decisions, lambda a: True, lambda trial: -trial.metrics["loss"], options)
    history: list[Trial] = []
    generations = []
    for number in range(11):
        new = evolution.propose(history, options.population, np.random.default_rng(number))
        history += [Trial(len(history) + i, number, "evolution", a, known[a], {}) for i, a in enumerate(new)]
        generations.append(new)
    return generations[1::3]


def _images() -> Dataset:
    generator = torch.Generator().manual_seed(0)

    def images(count: int) -> Images:
        pixels = torch.randint(256, (count, 3, 32, 32), dtype=torch.uint8, generator=generator)
        return Images(pixels, torch.arange(count) % 10)

    classes = tuple("0123456789")
    calibration, validation = images(CALIBRATION), images(VALIDATION)
    return Dataset(
        name="random",
        train=calibration,
        validation=validation,
        calibration=calibration,
        test=validation,
        classes=classes,
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
    )


if __name__ == "__main__":
    main()
