"""A realistic record to look at and to test with: the NAS-Bench-Macro space, true costs, invented accuracies."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from palmette.architecture import Architecture
from palmette.costs.complexity import CostTable
from palmette.evaluation.metric import ACCURACY
from palmette.evaluation.trust import Audit, AuditPoint, Statistic
from palmette.report.breakdown import breakdown
from palmette.report.contents import Contents, Curve, LayerRow, TrialRow
from palmette.space import Space
from palmette.spaces.nas_bench_macro import STAGES, nas_bench_macro

MOST_FLOPS = 60e6
LEAST_PARAMS = 1e6
HOSTILE = "</script><img src=x onerror=alert(1)>\"'&<b>$data ${title} <!-- %{x}"


def example_contents(*, trials_per_arm: int = 300) -> Contents:
    """Return the record of a search by evolution beside random search, with an audit of 60 networks."""
    space = nas_bench_macro()
    table = CostTable(space, (3, 32, 32))
    generator = np.random.default_rng(0)
    evolution = _evolution(space, table, generator, trials_per_arm)
    random = [_trial(space, table, space.decisions.sample(generator), generator, "random", 0) for _ in evolution]
    within = [t for t in evolution if t.costs["flops"] <= MOST_FLOPS and t.costs["params"] >= LEAST_PARAMS]
    best = max(within or evolution, key=lambda trial: trial.metrics["accuracy"])
    return Contents(
        space="nas-bench-macro",
        data="CIFAR-10",
        method="SPOS",
        winner_code=best.code,
        winner_architecture=best.architecture,
        layers=_layers(table, Architecture.from_json(best.architecture)),
        costs=best.costs,
        breakdown=breakdown(table),
        limits={"flops": (None, MOST_FLOPS), "params": (LEAST_PARAMS, 2.5e6)},
        metric=ACCURACY,
        test_result=0.9318,
        test_interval=(0.9267, 0.9366),
        headline=[
            f"The search evaluated {len(evolution)} of 3,969 networks and retrained the best one within the limits.",
            "Random search with the same number of evaluations found 92.71%; the intervals overlap, so the gain of "
            "evolution is not certain.",
            "The ranking by shared weights is good over all networks and weak among the best.",
        ],
        trials=evolution + random,
        curves=_curves(generator),
        audit=_audit(space, table, generator),
        seconds={"supernet training": 4210.4, "search": 611.0, "audit": 1804.2, "retraining": 903.7, "report": 1.2},
        environment={
            "palmette": "0.1.0",
            "torch": "2.13.0",
            "Python": "3.11.2",
            "device": "cpu, 16 threads",
            "seed": "0",
        },
        configuration='[method]\nname = "spos"\nepochs = 50\nlearning_rate = 0.05\n\n[limits]\nflops = [0, 60e6]\n',
    )


def hostile_contents() -> Contents:
    """Return a record with markup in every place that takes text."""
    name = HOSTILE
    trial = TrialRow(name, name, name, 0, {"accuracy": 0.5, name: 1.0}, {"flops": 10, name: 3.0})
    return Contents(
        space=name,
        data=name,
        method=name,
        winner_code=name,
        winner_architecture=name,
        layers=[LayerRow(name, name, (name, "b"), (1,), {name: 3.0})],
        costs={name: 3.0, "flops": 10},
        limits={name: (1.0, 2.0), f"{name}2": (None, 1.0)},
        metric=ACCURACY,
        test_result=0.5,
        test_interval=(0.4, 0.6),
        headline=[name],
        trials=[trial, trial],
        curves=[Curve(name, name, [0, 1], [1.0, math.nan])],
        audit=Audit(name, [Statistic(name, name, 0.1, -0.1, 0.2)], [AuditPoint(name, {name: 1.0}, 0.5)], name),
        seconds={name: 3.0},
        environment={name: name},
        configuration=name,
    )


def _truth(space: Space, table: CostTable, architecture: Architecture) -> float:
    """Return an invented stand-alone accuracy that grows with FLOPs and likes large kernels early."""
    code = space.decisions.code(architecture)
    flops = table(architecture)["flops"] / 1e6
    return 0.80 + 0.032 * math.log(flops / 4) + 0.006 * code[:3].count("2") - 0.008 * code.count("0")


def _trial(
    space: Space,
    table: CostTable,
    architecture: Architecture,
    generator: np.random.Generator,
    arm: str,
    generation: int,
) -> TrialRow:
    accuracy = _truth(space, table, architecture) - 0.05 + 0.009 * generator.standard_normal()
    return TrialRow(
        code=space.decisions.code(architecture),
        architecture=architecture.to_json(),
        arm=arm,
        generation=generation,
        metrics={"accuracy": round(accuracy, 4), "loss": round(-math.log(accuracy) * 1.6, 4)},
        costs=table(architecture),
    )


def _evolution(space: Space, table: CostTable, generator: np.random.Generator, count: int) -> list[TrialRow]:
    trials: list[TrialRow] = []
    while len(trials) < count:
        generation = len(trials) // 50
        if generation == 0:
            candidate = space.decisions.sample(generator)
        else:
            parents = sorted(trials, key=lambda trial: -trial.metrics["accuracy"])[:10]
            parent = Architecture.from_json(parents[generator.integers(len(parents))].architecture)
            candidate = space.decisions.mutate(parent, generator, probability=0.2)
        if table(candidate)["flops"] <= MOST_FLOPS * 1.1:
            trials.append(_trial(space, table, candidate, generator, "evolution", generation))
    return trials


def _layers(table: CostTable, architecture: Architecture) -> list[LayerRow]:
    fixed = dict(zip(("flops", "params", "acts"), (884_736, 928, 32_768), strict=True))
    head = dict(zip(("flops", "params", "acts"), (5_255_680, 343_050, 20_490), strict=True))
    rows = [LayerRow("stem", None, (), (32, 32, 32), fixed)]
    size, names = 32, iter(architecture.values)
    for channels, depth in STAGES:
        size //= 2
        for _ in range(depth):
            name, value = next(names)
            options = table.decisions.values(name)
            numbers = table.options[name][table.decisions.index(name, value)]
            costs = dict(zip(("flops", "params", "acts"), map(int, numbers), strict=True))
            rows.append(LayerRow(name, str(value), [str(v) for v in options], (channels, size, size), costs))
    return [*rows, LayerRow("head", None, (), (10,), head)]


def _curves(generator: np.random.Generator) -> list[Curve]:
    curves = []
    for phase, steps, floor in (("supernet", 4000, 0.62), ("retraining", 2000, 0.12)):
        places = list(range(0, steps, 2))
        noise = generator.standard_normal(len(places))
        loss = [floor + 1.7 * math.exp(-4 * s / steps) + 0.05 * n for s, n in zip(places, noise, strict=True)]
        rates = [0.05 * 0.5 * (1 + math.cos(math.pi * s / steps)) for s in places]
        checks = places[::50]
        accuracy = [0.9 - 0.6 * math.exp(-4 * s / steps) - 0.1 * floor for s in checks]
        curves += [
            Curve(phase, "loss", places, loss),
            Curve(phase, "search-validation accuracy", checks, accuracy),
            Curve(phase, "learning rate", places, rates),
        ]
    return curves


def _audit(space: Space, table: CostTable, generator: np.random.Generator) -> Audit:
    points = []
    for _ in range(60):
        architecture = space.decisions.sample(generator)
        trial = _trial(space, table, architecture, generator, "audit", 0)
        scores = {"accuracy": trial.metrics["accuracy"], "loss": -trial.metrics["loss"], "flops": trial.costs["flops"]}
        truth = _truth(space, table, architecture) + 0.004 * generator.standard_normal()
        points.append(AuditPoint(trial.code, scores, round(truth, 4)))
    statistics = [
        statistic for score in ("accuracy", "loss", "flops", "random") for statistic in _rank(score, points, generator)
    ]
    statistics += [Statistic("accuracy", "kendall_tau_b_minus_flops", -0.037, -0.14, 0.07)]
    verdict = (
        "The supernet's accuracy ranks networks better than chance and about as well as FLOPs alone.",
        "Trust it to discard poor networks; retrain several of the best before choosing among them.",
    )
    return Audit("60 architectures trained from scratch, 10 epochs each", statistics, points, verdict)


def _rank(score: str, points: list[AuditPoint], generator: np.random.Generator) -> list[Statistic]:
    scores = np.array([point.scores.get(score, generator.random()) for point in points])
    truth = np.array([point.stand_alone for point in points])
    tau = float(stats.kendalltau(scores, truth).statistic)
    spearman = float(stats.spearmanr(scores, truth).statistic)
    regret = float(truth.max() - truth[scores.argmax()])
    return [
        Statistic(score, "kendall_tau_b", tau, tau - 0.11, min(tau + 0.09, 1)),
        Statistic(score, "spearman", spearman, spearman - 0.12, min(spearman + 0.08, 1)),
        Statistic(score, "regret", regret, 0.0, regret + 0.012),
    ]
