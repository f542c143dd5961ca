"""The collapse watch of differentiable searches: whether skip connections took over, in sentences and curves.

Their supernets log, after each epoch, how many of the strongest options are skip connections, how undecided the
decisions are, and if asked the dominant eigenvalue of the Hessian, whose rise comes first (Zela et al., ICLR 2020).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from palmette.report.contents import Contents
from palmette.report.sections import section
from palmette.report.wording import curve_title, escape

SKIPS = ("skip", "skip_connect", "identity")
"""Names of options that let their input pass, as ``training.collapse`` has them."""
RISE = 1.3
"""Factor from which R-DARTS takes a rise of the eigenvalue for one."""


def collapse(contents: Contents) -> str:
    """Say whether the search collapsed into skip connections, and show by what; nothing of other searches."""
    curves = contents.watched
    if not curves:
        return ""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences(contents))
    plots = "".join(
        f"<figure><figcaption>{escape(curve_title(curve.name))}</figcaption>"
        f'<div class="plot small" data-curve="{number}"></div></figure>'
        for number, curve in enumerate(contents.curves)
        if curve in curves.values()
    )
    body = f'<ul class="verdict">{items}</ul><div class="grid">{plots}</div>'
    return section("collapse", "Did the search collapse?", body)


def sentences(contents: Contents) -> list[str]:
    """Return the verdict first, then what it rests on, and where the search stopped itself if it did."""
    curves = contents.watched
    skips, places = curves["skips"].values, _places(contents)
    last, of_all = round(skips[-1]), f" of {places}" if places else ""
    if places and 2 * last > places:
        verdict = f"Yes, by its skip connections: they are {last} of the {places} strongest options at the end."
    else:
        verdict = f"Not by its skip connections: they are {last}{of_all} strongest options at the end."
    found = [verdict, f"They were {round(skips[0])} at first and {round(max(skips))} at most."]
    found.extend(_entropy(curves["entropy"].values) if "entropy" in curves else ())
    found.extend(_eigenvalue(curves["eigenvalue"].values if "eigenvalue" in curves else ()))
    return [*found, *contents.remarks]


def _entropy(values: Sequence[float]) -> Iterator[str]:
    yield (
        f"The mean entropy of the decisions went from {values[0]:.2f} to {values[-1]:.2f} nats; at 0 all are made, and "
        "what is undecided at the end is decided by rounding."
    )


def _eigenvalue(values: Sequence[float]) -> Iterator[str]:
    if not values:
        yield "The dominant eigenvalue of the Hessian, whose rise precedes a collapse, was not measured."
        return
    went = f"The dominant eigenvalue of the Hessian went from {values[0]:.3g} to {values[-1]:.3g}"
    rose = "it rose, as before a collapse" if values[-1] > RISE * values[0] > 0 else "it did not rise by a third"
    yield f"{went}, {max(values):.3g} at most: {rose}."


def _places(contents: Contents) -> int:
    """Return how many places could hold a skip connection: lines of the winner's cells, or its layers; 0 if unknown."""
    if contents.graphs:
        return sum(len(node.reads) for graph in contents.graphs for node in graph.nodes)
    return sum(bool(set(SKIPS) & set(layer.alternatives)) for layer in contents.layers)
