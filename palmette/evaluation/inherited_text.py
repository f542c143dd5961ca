"""Evaluation of language models with inherited weights: each candidate reads the whole validation text, alone.

There are no statistics to recompute and no prefixes to share, for every node of a recurrent cell runs at every time
step; what images need is in ``inherited.py``. (ENAS scores one minibatch; all of validation is less noisy.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from palmette import ranks
from palmette.architecture import Architecture
from palmette.data.text import Corpus, Data
from palmette.evaluation.inherited import Inherited
from palmette.evaluation.rebuilt import Rebuilt
from palmette.evaluation.score import Metrics, text_metrics, token_losses
from palmette.space import Space, Supernet

Evaluate = Callable[[Sequence[Architecture]], list[Metrics]]


def inherited(space: Space, supernet: Supernet, data: Data) -> Evaluate:
    """Return the evaluation with the supernet's weights on ``data.validation``, of images or of text.

    Where a grammar draws the networks (memory banks), their layers are slices of common tensors without statistics of
    their own, and each is rebuilt.
    """
    if isinstance(data, Corpus):
        return InheritedText(space, supernet, data)
    if space.decisions.grammar is not None:
        return Rebuilt(space, supernet, data)
    return Inherited(space, supernet, data)


class InheritedText:
    """Evaluate language models with a supernet's weights; the supernet is left as it was."""

    def __init__(self, space: Space, supernet: Supernet, data: Corpus) -> None:
        self.space = space
        self.supernet = supernet
        self.data = data

    def __call__(self, architectures: Sequence[Architecture]) -> list[Metrics]:
        """Return the metrics of each architecture, in order; equal architectures are computed once."""
        was_training = self.supernet.training
        self.supernet.eval()
        try:
            distinct = list(dict.fromkeys(architectures))
            scored = ranks.shared_out(distinct, lambda mine: [self._evaluate(architecture) for architecture in mine])
        finally:
            self.supernet.train(was_training)
        metrics = dict(zip(distinct, scored, strict=True))
        return [metrics[architecture] for architecture in architectures]

    def _evaluate(self, architecture: Architecture) -> Metrics:
        choice = self.space.choice(architecture)
        return text_metrics(token_losses(lambda segment: self.supernet(segment, choice), self.data.validation))
