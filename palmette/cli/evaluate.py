"""``palmette evaluate``: accuracy of a trained network on test images, or perplexity on test text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from palmette.cli.main import parse
from palmette.data.options import Splits
from palmette.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Print accuracy (of text, perplexity) and loss of a trained network on test data, as one JSON line.

    Examples: `palmette evaluate runs/mine --data images.npz`.
    """

    network: Annotated[Path, tyro.conf.Positional]
    """The directory of a run, or a network.safetensors."""
    data: str = "digits"
    """As for 'palmette search'; images are normalised as in the network's training."""
    seed: int = 0
    """That of the split, for data without a test part of their own."""
    splits: Splits = field(default_factory=Splits)
    image_size: int | None = None
    """Resize all images to this height and width, in pixels."""


def run(arguments: Sequence[str]) -> None:
    options = parse(Evaluate, arguments, name="evaluate")
    assert isinstance(options, Evaluate)
    import dataclasses

    from palmette.cli.trained import trained
    from palmette.data.sources import load_any
    from palmette.data.text import Corpus
    from palmette.evaluation.score import score

    network, card = trained(options.network)
    data = load_any(options.data, splits=options.splits, seed=options.seed, image_size=options.image_size)
    if data.input_shape != card.input_shape or len(data.classes) != len(card.classes):
        raise DataError(
            f"data {options.data!r}: images {data.input_shape} of {len(data.classes)} classes were given, the network "
            f"takes {card.input_shape} of {len(card.classes)}; give the data it was trained for"
        )
    if isinstance(data, Corpus):
        if data.classes != card.classes:
            raise DataError(
                f"data {options.data!r}: its vocabulary is not the network's; give the text it learned from"
            )
        print(json.dumps({"tokens": len(data.test), **score(network, data.test, data)}))
        return
    data = dataclasses.replace(data, mean=card.mean, std=card.std)
    print(json.dumps({"images": len(data.test), **score(network, data.test, data)}))
