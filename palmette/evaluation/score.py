"""Score: accuracy and loss of a network on fixed images."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from palmette.data.images import Dataset, Images
from palmette.training.steps import to_input

Metrics = dict[str, float]
"""``accuracy`` in 0..1 and ``loss`` (mean cross-entropy, nats)."""


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


def score(network: nn.Module, images: Images, data: Dataset, *, batch_size: int = 512) -> Metrics:
    """Return the metrics of a network, in evaluation mode, on images normalised as ``data`` says."""
    network.eval()
    tally = Tally()
    for x, labels in batched(images, data, batch_size):
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
