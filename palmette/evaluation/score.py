"""Score: how well a network does on fixed data; accuracy and loss on images, perplexity and loss on text."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from palmette.data.images import Dataset, Images
from palmette.data.text import Data, Tokens
from palmette.sequences import Predicted, Segment
from palmette.space import called
from palmette.training.steps import to_input

Metrics = dict[str, float]
"""``loss`` (mean cross-entropy, nats) and ``accuracy`` in 0..1 or, of text, ``perplexity`` (the loss's exponential)."""

STREAMS = 10
"""Parallel streams that a text is scored in, as DARTS scores validation; each starts with a hidden state of zeros."""
SEGMENT = 128
"""Time steps computed at once in scoring; no number depends on it."""


class Tally:
    """Adds up correct answers and losses over batches, on the device until ``metrics`` is called."""

    def __init__(self) -> None:
        self.images = 0
        self.correct: Tensor | float = 0.0
        self.loss: Tensor | float = 0.0

    def add(self, logits: Tensor, labels: Tensor) -> None:
        self.images += len(labels)
        self.correct = self.correct + (logits.argmax(1) == labels).sum()
        self.loss = self.loss + cross_entropy(logits.float(), labels, reduction="sum").double()

    def metrics(self) -> Metrics:
        return {"accuracy": float(self.correct) / self.images, "loss": float(self.loss) / self.images}


def score(network: nn.Module, part: Images | Tokens, data: Data, *, batch_size: int = 512) -> Metrics:
    """Return the metrics of a network, in evaluation mode, on a role of ``data``.

    Args:
        network: of images normalised as ``data`` says, or of text segments.
        part: the role.
        data: that it belongs to.
        batch_size: images at once; of text it plays no part.
    """
    network.eval()
    if isinstance(part, Tokens):
        return text_metrics(token_losses(lambda segment: called(network, segment), part))
    assert isinstance(data, Dataset)
    tally = Tally()
    for x, labels in batched(part, data, batch_size):
        with torch.no_grad(), torch.autocast(x.device.type, torch.bfloat16, enabled=x.is_cuda):
            tally.add(network(x), labels)
    return tally.metrics()


def correct(network: nn.Module, images: Images, data: Dataset, *, batch_size: int = 512) -> Tensor:
    """Return whether each image is classified correctly, bool ``[images]``, on the CPU."""
    network.eval()
    right = []
    for x, labels in batched(images, data, batch_size):
        with torch.no_grad(), torch.autocast(x.device.type, torch.bfloat16, enabled=x.is_cuda):
            right.append((network(x).argmax(1) == labels).cpu())
    return torch.cat(right)


def batched(images: Images, data: Dataset, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield ``(normalised images [<= batch_size, C, H, W], labels)`` in order, in batches of nearly equal size."""
    batches = -(-len(images) // batch_size)
    for pixels, labels in zip(images.pixels.tensor_split(batches), images.labels.tensor_split(batches), strict=True):
        yield to_input(pixels, data), labels


@torch.no_grad()
def token_losses(network: Callable[[Segment], Any], tokens: Tokens) -> Tensor:
    """Return the loss of every predicted token in nats, ``[steps, streams]``; the network is in evaluation mode.

    Each stream begins with a hidden state of zeros, which is then carried through the whole text, so the losses are
    those of one long pass; what a training carries along is not touched. (Released code of ENAS scored with the wrong
    hidden state; its published perplexity on Penn Treebank had to be taken back.)
    """
    streams = tokens.streams(STREAMS)
    hidden: Tensor | None = None
    losses = []
    for start in range(0, len(streams) - 1, SEGMENT):
        part = streams[start : start + SEGMENT + 1]
        output: Predicted = network(Segment(part[:-1], hidden))
        hidden = output.hidden
        loss = cross_entropy(output.logits.float().flatten(0, 1), part[1:].reshape(-1), reduction="none")
        losses.append(loss.view(len(part) - 1, -1))
    return torch.cat(losses)


def text_metrics(losses: Tensor) -> Metrics:
    """Return the metrics of per-token losses."""
    loss = float(losses.double().mean())
    return {"perplexity": math.exp(min(loss, 700.0)), "loss": loss}
