"""A network of your own, opened in places, searched under a limit, and handed over as safetensors and ONNX.

``TinyResNet`` is ordinary PyTorch code that knows nothing of Palmette. ``opened`` puts a decision where each of its
blocks stands: the block as it was, a cheaper one, or none at all where the shape allows it; docs/your-own-network.md
explains it. Small settings: under a minute on one CPU core. Needs ``palmette[onnx]``.
"""

import tempfile
from functools import partial
from pathlib import Path

from torch import Tensor, nn

import palmette as pm


class Block(nn.Module):
    """A residual block of two convolutions."""

    def __init__(self, inputs: int, outputs: int, stride: int, groups: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, padding=1, groups=groups, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, groups=groups, bias=False),
            nn.BatchNorm2d(outputs),
        )
        keeps_shape = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if keeps_shape else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return (self.body(x) + self.shortcut(x)).relu()


class TinyResNet(nn.Module):
    """The network as it was before anyone thought of a search."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.blocks = nn.Sequential(Block(16, 16, 1), Block(16, 16, 1), Block(16, 32, 2), Block(32, 32, 1))
        self.head = nn.Linear(32, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


def opened() -> nn.Module:
    """Return the network with a decision in place of each block."""
    network, slots = TinyResNet(), {}
    for i, (inputs, outputs, stride) in enumerate([(16, 16, 1), (16, 16, 1), (16, 32, 2), (32, 32, 1)]):
        options = {"full": pm.copies(network.blocks[i]), "grouped": partial(Block, inputs, outputs, stride, groups=4)}
        none = {"none": nn.Identity} if stride == 1 else {}
        slots[f"blocks.{i}"] = pm.OneOf(f"block{i}", **options, **none)
    return pm.replace(network, slots)


def main() -> None:
    data = pm.data.digits()
    before = pm.complexity(TinyResNet(), data.input_shape)
    limit = before["flops"] // 2
    quick = pm.Recipe(epochs=12, batch_size=64, warmup_epochs=1)
    method = pm.methods.SPOS(
        training=quick,
        evolution=pm.EvolutionOptions(population=10, generations=2, parents=5, mutants=5, crossovers=5),
        rank_by="loss",  # on some hundred validation images the loss tells candidates apart better than the accuracy
        retraining=quick,
    )
    folder = Path(tempfile.mkdtemp(prefix="own-network-"))
    result = pm.search(
        opened, data=data, method=method, limits={"flops": limit}, audit=pm.AuditOptions(networks=0), out=folder / "run"
    )
    best = result.best
    print(f"limit {limit:,} of {before['flops']:,} multiply-accumulates; found {best.costs['flops']:,}")
    print(f"decisions: {best.architecture.as_dict()}")
    print(*result.headline, sep="\n")

    pm.export.save_weights(best.network, folder / "winner.safetensors", pm.export.Card.of(best.architecture, data))
    difference = pm.export.export_onnx(best.network, folder / "winner.onnx", data.input_shape)
    print(f"ONNX Runtime differs from PyTorch by at most {difference:.0e}")
    parameters = sum(parameter.numel() for parameter in best.network.parameters())
    print(f"{parameters:,} parameters in {folder / 'winner.safetensors'} and {folder / 'winner.onnx'}")


if __name__ == "__main__":
    main()
