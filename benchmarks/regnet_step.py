"""A forward and backward pass of RegNetX-400MF beside the same network written with plain modules, interleaved.

The hand-written network has the same layers, weights and input; its blocks are one class with a plain ``forward``.
Processor time of one thread, so that other work on the machine disturbs little; median ratio of neighbouring steps.
"""

from __future__ import annotations

import statistics
import time

import torch
from torch import Tensor, nn

from palmette.spaces.anynet import anynet
from palmette.spaces.regnet import published_regnets

BATCH, RESOLUTION, ROUNDS = 4, 96, 60


class Block(nn.Module):
    """An X block as one would write it by hand."""

    def __init__(self, inputs: int, outputs: int, group_width: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        groups = outputs // group_width
        self.conv2 = nn.Conv2d(outputs, outputs, 3, stride, padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv3, self.bn3 = nn.Conv2d(outputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.projects = inputs != outputs or stride > 1
        if self.projects:
            self.conv4, self.bn4 = nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        out: Tensor = self.relu(y + (self.bn4(self.conv4(x)) if self.projects else x))
        return out


def by_hand() -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(3, 32, 3, 2, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(inplace=True)]
    inputs = 32
    for outputs, depth in ((32, 1), (64, 2), (160, 7), (384, 12)):
        for i in range(depth):
            layers.append(Block(inputs, outputs, 16, 1 if i else 2))
            inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(384, 1000))


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    ours, theirs = anynet(published_regnets()["RegNetX-400MF"]), by_hand()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    x = torch.randn(BATCH, 3, RESOLUTION, RESOLUTION)
    assert torch.allclose(ours(x), theirs(x), atol=1e-5)
    seconds: dict[str, list[float]] = {"ours": [], "theirs": []}
    for i in range(ROUNDS + 3):
        pair = [("ours", ours), ("theirs", theirs)]
        for name, network in pair if i % 2 else pair[::-1]:
            began = time.process_time()
            network(x).sum().backward()
            if i >= 3:  # the first are warm-up
                seconds[name].append(time.process_time() - began)
    ratio = statistics.median(a / b for a, b in zip(seconds["ours"], seconds["theirs"], strict=True))
    median = {name: 1e3 * statistics.median(values) for name, values in seconds.items()}
    print(f"by hand {median['theirs']:.1f} ms, built {median['ours']:.1f} ms (batch {BATCH}, {RESOLUTION} px)")
    print(f"RegNetX-400MF step beside plain modules: {ratio:.3f}x (target at most 1.02)")


if __name__ == "__main__":
    main()
