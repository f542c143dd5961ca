"""The pictures of a study, as SVG: error distributions, search efficiency, best ranges, e_fit, width profiles.

Each is a function of the study alone; the numbers behind them are those of ``study.analyse``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from palmette.design_spaces.best_range import best_range
from palmette.design_spaces.error_distribution import dkw_band, error_distribution, expected_best
from palmette.design_spaces.space import AnyNetSpace, RegNetSpace
from palmette.design_spaces.study import OPTIMISATION, Study, features, line_errors, powers_of_two
from palmette.report.palette import FAINT_INK, series
from palmette.report.static import svg

LEAST = 3
"""Networks that a picture of a population needs."""
SHOWN = ("depth", "d", "b", "g", "wm", "wa", "w0", "params", "acts")
"""Features drawn against error where a space has them."""


def figures(study: Study) -> Mapping[str, str]:
    """Return each picture as SVG by its name; spaces with fewer than three trained networks are left out."""
    names = [name for name in study.spaces if len(study.errors(name)) >= LEAST]
    drawn: dict[str, str] = {}
    if names:
        drawn["error_distributions"] = svg(lambda figure: _distributions(figure, study, names), 8, 4.6)
        drawn["search_efficiency"] = svg(lambda figure: _efficiency(figure, study, names), 8, 3.8)
    fitted = [name for name in names if isinstance(study.spaces[name], (AnyNetSpace, RegNetSpace))]
    if fitted:
        drawn["line_fit"] = svg(lambda figure: _line_fit(figure, study, fitted), 2.3 * len(fitted), 2.7)
        drawn["width_profiles"] = svg(lambda figure: _profiles(figure, study, fitted), 2.3 * len(fitted), 4.4)
    for name in names:
        shown = {key: values for key, values in features(study, name).items() if key in SHOWN and len(set(values)) > 1}
        if shown:
            drawn[f"best_ranges_{name}"] = svg(
                lambda figure, name=name, shown=shown: _ranges(figure, shown, study.errors(name)),  # type: ignore[misc]
                2.3 * len(shown),
                2.6,
            )
    if len(study.outcomes.get(OPTIMISATION, ())) >= LEAST:
        drawn["optimisation"] = svg(lambda figure: _optimisation(figure, study), 8, 2.8)
    return drawn


def _distributions(figure: Figure, study: Study, names: Sequence[str]) -> None:
    axes = figure.subplots()
    everything = np.concatenate([study.errors(name) for name in names])
    margin = 0.05 * float(np.ptp(everything)) or 0.01
    at = np.linspace(everything.min() - margin, everything.max() + margin, 600)
    for i, name in enumerate(names):
        errors = study.errors(name)
        low, high = dkw_band(errors, at)
        axes.fill_between(100 * at, low, high, color=series(i), alpha=0.10, linewidth=0)
        label = f"{name}  n {len(errors)}, min {100 * errors.min():.1f}, mean {100 * errors.mean():.1f}"
        axes.plot(100 * at, error_distribution(errors, at), color=series(i), label=label)
    axes.set_xlabel("error on validation images (%)")
    axes.set_ylabel("share of networks below")
    axes.legend(frameon=False, fontsize=8)


def _efficiency(figure: Figure, study: Study, names: Sequence[str]) -> None:
    axes = figure.subplots()
    for i, name in enumerate(names):
        errors = study.errors(name)
        draws = powers_of_two(len(errors))
        best = np.array([expected_best(errors, k) for k in draws]) * 100
        axes.fill_between(draws, best[:, 0] - 2 * best[:, 1], best[:, 0] + 2 * best[:, 1], color=series(i), alpha=0.08)
        axes.plot(draws, best[:, 0], marker="o", markersize=3, color=series(i), label=name)
    axes.set_xscale("log", base=2)
    axes.set_xlabel("networks drawn at random")
    axes.set_ylabel("error of the best (%), ± 2 std")
    axes.legend(frameon=False, fontsize=8)


def _line_fit(figure: Figure, study: Study, names: Sequence[str]) -> None:
    rows = np.atleast_1d(figure.subplots(1, len(names), sharey=True))
    for i, (axes, name) in enumerate(zip(rows, names, strict=True)):
        fits = line_errors(study, name)
        _against(axes, fits, study.errors(name), colour=series(i))
        axes.set_title(f"{name}, mean {np.mean(fits):.3f}", fontsize=9)
        axes.set_xlabel("e_fit")
    rows[0].set_ylabel("error (%)")


def _ranges(figure: Figure, shown: Mapping[str, Sequence[float]], errors: np.ndarray[Any, Any]) -> None:
    rows = np.atleast_1d(figure.subplots(1, len(shown), sharey=True))
    for axes, (key, values) in zip(rows, shown.items(), strict=True):
        _against(axes, values, errors, colour=series(0))
        axes.set_xlabel(key)
        if key in ("b", "g"):
            axes.set_xscale("log", base=2)
        else:
            axes.locator_params(axis="x", nbins=4)
    rows[0].set_ylabel("error (%)")


def _optimisation(figure: Figure, study: Study) -> None:
    outcomes = study.trained(OPTIMISATION)
    errors = np.array([outcome.error for outcome in outcomes])
    lr = [outcome.lr for outcome in outcomes]
    decay = [outcome.weight_decay for outcome in outcomes]
    products = [a * b for a, b in zip(lr, decay, strict=True)]
    rows = figure.subplots(1, 3, sharey=True)
    for axes, values, title in zip(
        rows, (lr, decay, products), ("lr", "weight decay", "lr · weight decay"), strict=True
    ):
        _against(axes, values, errors, colour=series(0))
        axes.set_xscale("log")
        axes.set_xlabel(title)
    rows[0].set_ylabel("error (%)")


def _against(axes: Axes, values: Sequence[float], errors: np.ndarray[Any, Any], *, colour: str) -> None:
    """Draw errors against values, with the best range as a band and its median as a line."""
    found = best_range(values, errors)
    axes.axvspan(found.low, found.high, color=colour, alpha=0.12, linewidth=0)
    axes.axvline(found.median, color=colour, linewidth=1)
    axes.scatter(values, 100 * errors, s=8, color=colour, linewidths=0)


def _profiles(figure: Figure, study: Study, names: Sequence[str], *, count: int = 8) -> None:
    """Draw the widths per block of the best networks above, of the worst below."""
    rows = figure.subplots(2, len(names), sharex=True, sharey=True, squeeze=False)
    for i, name in enumerate(names):
        space = study.spaces[name]
        assert isinstance(space, (AnyNetSpace, RegNetSpace))
        ordered = sorted(study.trained(name), key=lambda outcome: outcome.error)
        for axes, chosen in zip(rows[:, i], (ordered[:count], ordered[::-1][:count]), strict=True):
            for outcome in chosen:
                widths = space.anynet(outcome.parameters).widths_per_block()
                axes.step(np.arange(len(widths)), widths, where="mid", color=series(i), alpha=0.5, linewidth=1)
            axes.set_yscale("log", base=2)
        rows[0, i].set_title(name, fontsize=9)
        rows[1, i].set_xlabel("block", color=FAINT_INK)
    rows[0, 0].set_ylabel(f"width, best {count}")
    rows[1, 0].set_ylabel(f"width, worst {count}")
