"""The page of a study: pictures with the numbers behind each, as one HTML file that loads nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from palmette.report.framed import framed, picture, rows_of, table
from palmette.report.wording import escape

TITLES = {
    "error_distributions": (
        "Error distributions",
        "Share of networks with an error below the one across; further left is a better space. Bands hold the whole "
        "true curve with 95% probability (Dvoretzky, Kiefer and Wolfowitz).",
    ),
    "search_efficiency": (
        "Random-search efficiency",
        "Expected error of the best of k networks drawn at random, with two standard deviations.",
    ),
    "line_fit": (
        "Distance from a quantised line",
        "e_fit of every network against its error; the band is where it lies for the best networks.",
    ),
    "width_profiles": ("Width profiles", "Width of each block of the best networks, and below of the worst."),
    "optimisation": (
        "Learning rate and weight decay",
        "Networks of the first space with random values of both; bands are the best ranges.",
    ),
}


def render(
    title: str,
    analysis: Mapping[str, Any],
    drawn: Mapping[str, str],
    *,
    configuration: str,
    environment: Mapping[str, str],
) -> str:
    """Return the page as the text of one HTML file, to be written as UTF-8."""
    first = [_picture(name, svg) for name, svg in drawn.items() if name == "error_distributions"]
    rest = [_picture(name, svg) for name, svg in drawn.items() if name != "error_distributions"]
    again = f"""
<section><h2>To run it again</h2><details><summary>Configuration</summary><pre>{escape(configuration)}</pre></details>
<details><summary>Environment</summary><table>{rows_of(environment.items())}</table></details></section>"""
    parts = [*first, _spaces(analysis["spaces"]), _comparisons(analysis["comparisons"]), *rest, again]
    return framed(title, "".join(parts), kind="design-space study", footer="every number is in study.json")


def _picture(name: str, svg: str) -> str:
    space = name.removeprefix("best_ranges_")
    ranged = (
        "Where the best networks lie: the 95% range of the parameter of the best of a random quarter, and its median."
    )
    title, note = TITLES.get(name, (f"Best ranges in {space}", ranged))
    return picture(name, svg, title=title, note=note)


def _spaces(spaces: Mapping[str, Mapping[str, Any]]) -> str:
    head = (
        "Space",
        "Size",
        "Trained",
        "Diverged",
        "Failed",
        "Min error",
        "Mean error",
        "Median",
        "Mean e_fit",
        "Accepted",
    )
    rows = []
    for name, record in spaces.items():
        states, fit = record["states"], record.get("line_error")
        rows.append(
            (
                name,
                f"{record['size']:.2g}" if record["size"] else "",
                states["finished"],
                states["diverged"],
                states["failed"],
                *(_percent(record.get(key)) for key in ("min", "mean", "median")),
                f"{fit['mean']:.3f}" if fit else "",
                f"{record['acceptance']:.2%} of {record['draws']:,} draws",
            )
        )
    return f"<section><h2>The spaces</h2>{table(head, rows)}</section>"


def _comparisons(comparisons: Sequence[Mapping[str, Any]]) -> str:
    head = (
        "Space",
        "Beside",
        "Mean difference",
        "In pairs of equal FLOPs",
        "p (pairs)",
        "Wins",
        "KS distance (5% level)",
    )
    rows = []
    for record in comparisons:
        if "mean" not in record:
            rows.append((record["space"], record["beside"], "too few networks were trained", "", "", "", ""))
            continue
        rows.append(
            (
                record["space"],
                record["beside"],
                _points(record["mean"]),
                _points(record["paired_mean"]),
                f"{record['paired_p_value']:.3g}",
                "{} [{}, {}]".format(*(_percent(record["wins"][key]) for key in ("value", "low", "high"))),
                f"{record['distance']:.3f} ({record['threshold']:.3f})",
            )
        )
    note = (
        "Differences of error in percentage points with 95% bootstrap intervals; negative means that the space on the "
        "left is better. Wins: the probability that its network has the lower error."
    )
    return f'<section><h2>One space beside another</h2><p class="note">{note}</p>{table(head, rows)}</section>'


def _percent(fraction: float | None) -> str:
    return "" if fraction is None else f"{100 * fraction:.1f}%"


def _points(interval: Mapping[str, float]) -> str:
    low, high = 100 * interval["low"], 100 * interval["high"]
    return f"{100 * interval['value']:+.2f} [{low:+.2f}, {high:+.2f}]"
