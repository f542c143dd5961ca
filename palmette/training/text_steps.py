"""Steps on text: truncated back-propagation through consecutive segments, each beginning where the last one ended.

Every epoch reads all streams once and begins with a hidden state of zeros. The loss is the cross-entropy of the next
word, plus activation regularisation as in AWD-LSTM (Merity et al., 2018, section 4.3): the mean square of the dropped
outputs, and of their changes from step to step (the slowness of ENAS's and DARTS's recipes).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from palmette import ranks
from palmette.data.text import Corpus, Tokens
from palmette.errors import DataError
from palmette.sequences import Predicted, Segment
from palmette.training.recipe import Recipe


class TextSteps:
    """Segments of one role in order.

    Raises:
        DataError: a recipe that augments images.
    """

    def __init__(self, data: Corpus, tokens: Tokens, recipe: Recipe) -> None:
        if recipe.augmentation != type(recipe.augmentation)():
            raise DataError(f"recipe: {recipe.augmentation} was given, which changes images; leave it out for text")
        self.data = data
        self.recipe = recipe
        self.streams = tokens.streams(recipe.batch_size)
        self.mine = ranks.part(self.streams.shape[1])
        self._hidden: Tensor | None = None
        self._targets = self.streams[:0]

    @property
    def device(self) -> torch.device:
        return self.data.device

    @property
    def steps_per_epoch(self) -> int:
        return -(-(len(self.streams) - 1) // self.recipe.bptt)

    @property
    def inputs_per_step(self) -> int:
        return self.recipe.bptt * self.streams.shape[1]

    @property
    def share(self) -> float:
        return ranks.share(self.streams.shape[1])

    def input(self, step: int) -> Segment:
        position = step % self.steps_per_epoch * self.recipe.bptt
        tokens = self.streams[position : position + self.recipe.bptt + 1, self.mine]
        self._targets = tokens[1:]
        return Segment(tokens[:-1], self._hidden if position else None)

    def loss(self, output: Predicted) -> Tensor:
        """Return the loss, and keep the hidden state (of the last pass, if there are several) for the next segment."""
        self._hidden = output.hidden.detach()
        words = output.logits.shape[-1]
        loss = cross_entropy(
            output.logits.float().view(-1, words),
            self._targets.reshape(-1),
            label_smoothing=self.recipe.label_smoothing,
        )
        if self.recipe.activation_penalty:
            loss = loss + self.recipe.activation_penalty * output.dropped.square().mean()
        if self.recipe.slowness_penalty and len(output.outputs) > 1:
            loss = loss + self.recipe.slowness_penalty * output.outputs.diff(dim=0).square().mean()
        return loss

    def state(self) -> Mapping[str, Tensor]:
        return {} if self._hidden is None else {"hidden": ranks.gathered(self._hidden, 0)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self._hidden = state["hidden"][self.mine].to(self.device) if "hidden" in state else None
