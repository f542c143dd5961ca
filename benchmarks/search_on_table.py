"""Every search on true accuracies: best accuracy found against evaluations, beside random search.

NAS-Bench-Macro, the table as truth, 20 seeds, 500 evaluations, means with 95% intervals (Student's t). Evolution and
NSGA-II breed 20 per generation, so that 100 evaluations are several generations; the predictors fit anew every 25.
Writes results/search_on_table.png and .md.

    python benchmarks/search_on_table.py [FOLDER OF THE SHARED DATA]
"""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import matplotlib as mpl
import numpy as np
from scipy import stats
from true_accuracies import Table, everything

from palmette.comparison.named_searches import named_search
from palmette.searches.predictor import Regressor, cross_validated

SEARCHES = {
    "random": "random",
    "evolution (SPOS)": "evolution",
    "NSGA-II, accuracy": "nsga2:accuracy",
    "NSGA-II, accuracy and flops": "nsga2:accuracy+flops",
    "predictor, ridge": "predictor:ridge",
    "predictor, gradient-boosting": "predictor:gradient-boosting",
    "predictor, gaussian-process": "predictor:gaussian-process",
}
"""As ``palmette compare --searches`` names them, by their name in the table."""
EVALUATIONS, SEEDS, AT = 500, 20, (100, 200, 500)
REGRESSORS: tuple[Regressor, ...] = ("ridge", "gradient-boosting", "gaussian-process")
COLOURS = ("#6b7280", "#c2410c", "#1d4ed8", "#7c3aed", "#15803d", "#0e7490", "#be185d")


def main() -> None:
    table = Table.named_on_the_command_line()
    best = 100 * (1 - min(error for error, _ in table.points.values()))
    curves = {name: _curves(table, search) for name, search in SEARCHES.items()}
    rows = {name: [_interval(curve[:, n - 1]) for n in AT] for name, curve in curves.items()}
    lines = [f"| search | {' | '.join(f'{n} evaluations' for n in AT)} |", "|---" * (len(AT) + 1) + "|"]
    lines += [f"| {name} | {' | '.join(f'{m:.3f} ± {h:.3f}' for m, h in row)} |" for name, row in rows.items()]
    lines += ["", *_differences(curves), "", *_correlations(table)]
    print("\n".join(lines))
    _write(lines, best)
    _draw(curves, best)
    claimed = [name for name in rows if name != "random"]
    better = [all(rows[name][i][0] > rows["random"][i][0] for i in range(len(AT))) for name in claimed]
    print(f"searches better than random at {AT}: {sum(better)} of {len(better)} (target {len(better)})")


def _curves(table: Table, search: str) -> np.ndarray:
    """Return the best accuracy so far in percent, ``[seeds, evaluations]``."""
    made = [named_search(search, table.decisions, everything, evaluations=EVALUATIONS) for _ in range(SEEDS)]
    errors = [table.search(algorithm, seed, EVALUATIONS)[:, 0] for seed, algorithm in enumerate(made)]
    return np.array([100 * (1 - np.minimum.accumulate(error)) for error in errors])


def _differences(curves: dict[str, np.ndarray]) -> list[str]:
    """Return, by search, how much better than random search it is, by pairs of equal seed."""
    lines = [f"| less random search | {' | '.join(f'{n} evaluations' for n in AT)} |", "|---" * (len(AT) + 1) + "|"]
    for name, curve in curves.items():
        pairs = [_interval((curve - curves["random"])[:, n - 1]) for n in AT]
        lines.append(f"| {name} | {' | '.join(f'{m:+.3f} ± {h:.3f}' for m, h in pairs)} |")
    return [line for line in lines if not line.startswith("| random |")]


def _interval(values: np.ndarray) -> tuple[float, float]:
    """Return the mean and half the width of its 95% interval."""
    return float(values.mean()), float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))


def _correlations(table: Table) -> list[str]:
    """Return, by regressor, Kendall's tau-b by cross-validation on 100 random networks, and on all the others."""
    from palmette.searches.predictor import Predictor

    architectures, generator = list(table.of), np.random.default_rng(0)
    truth = np.array([1 - table.of[a][0] for a in architectures])
    lines = ["| predictor fitted on 100 random networks | tau-b by 5-fold cross-validation | tau-b on all others |"]
    lines += ["|---|---|---|"]
    draws = [generator.permutation(len(architectures)) for _ in range(SEEDS)]
    for regressor in REGRESSORS:
        pairs = []
        for order in draws:
            known, unknown = order[:100], order[100:]
            fitted = Predictor(table.decisions, regressor).fit([architectures[i] for i in known], truth[known])
            tau = stats.kendalltau(fitted.predict([architectures[i] for i in unknown]), truth[unknown]).statistic
            own = cross_validated(table.decisions, regressor, [architectures[i] for i in known], truth[known])
            pairs.append((own.kendall_tau_b, float(tau)))
        (own_mean, own_half), (mean, half) = (_interval(column) for column in np.array(pairs).T)
        lines.append(f"| {regressor} | {own_mean:.3f} ± {own_half:.3f} | {mean:.3f} ± {half:.3f} |")
    return lines


def _write(lines: list[str], best: float) -> None:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    head = [
        "# Searches on true accuracies",
        "",
        f"Best true accuracy found (percent, mean of {SEEDS} seeds ± half a 95% interval) on NAS-Bench-Macro; the best "
        f"of its 3,969 networks has {best:.3f}. Searching accuracy and FLOPs together spends evaluations on cheap "
        "networks, which this table does not reward; `benchmarks/nsga2.py` measures what it is for, and "
        "[nsga2_mating.md](nsga2_mating.md) why it crosses similar parents.",
        "",
        f"`python benchmarks/search_on_table.py`, commit {commit.stdout.strip()} and what it adds, "
        f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}.",
        "",
    ]
    Path("results").mkdir(exist_ok=True)
    Path("results/search_on_table.md").write_text(
        "\n".join([*head, *lines, "", "![best accuracy against evaluations](search_on_table.png)", ""])
    )


def _draw(curves: dict[str, np.ndarray], best: float) -> None:
    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4.8), dpi=110, layout="constrained")
    at = np.arange(1, EVALUATIONS + 1)
    for (name, curve), colour in zip(curves.items(), COLOURS, strict=True):
        mean, half = curve.mean(axis=0), stats.t.ppf(0.975, SEEDS - 1) * stats.sem(curve, axis=0)
        axes.plot(at, mean, label=name, color=colour, linewidth=1.6)
        axes.fill_between(at, mean - half, mean + half, color=colour, alpha=0.15, linewidth=0)
    axes.axhline(best, color="black", linewidth=0.8, linestyle=":")
    axes.set(xlim=(10, EVALUATIONS), ylim=(92.0, 93.2), xlabel="evaluations", ylabel="best true accuracy so far, %")
    axes.set_title(f"NAS-Bench-Macro: mean of {SEEDS} seeds with 95% intervals; dotted: the best network", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, frameon=False, loc="lower right")
    figure.savefig("results/search_on_table.png")


if __name__ == "__main__":
    main()
