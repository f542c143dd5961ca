"""One-shot neural architecture search, complete, with nothing but PyTorch. docs/tour.md goes through it part by part.

A network has 6 places, each a convolution with kernel 1, 3 or 5, or nothing (0): 4,096 networks. Instead of training
them all, train one network that holds every option, another path at each step; each candidate then borrows its weights.
"""

import random

import torch
from torch import nn
from torch.nn.functional import cross_entropy

PLACES, KERNELS, WIDTH, SIZE, CLASSES = 6, (0, 1, 3, 5), 12, 10, 8
LIMIT = 600_000  # multiply-accumulates for one image; the largest network needs 2.2 million


def images(count, seed):
    """Return noisy stripes of 4 directions and 2 widths, phases random: float [count, 1, SIZE, SIZE], and labels."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % CLASSES
    angle, pitch = (labels % 4)[:, None, None] * torch.pi / 4, 0.7 + 0.35 * (labels // 4)[:, None, None]
    along = angle.cos() * torch.arange(SIZE)[:, None] + angle.sin() * torch.arange(SIZE)
    stripes = (pitch * along + 2 * torch.pi * torch.rand(count, 1, 1, generator=generator)).sin()
    return (stripes + 1.6 * torch.randn(count, SIZE, SIZE, generator=generator))[:, None], labels


def conv(inputs, kernel):
    layer = nn.Conv2d(inputs, WIDTH, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(WIDTH), nn.ReLU())


class Net(nn.Module):
    """The network with the given kernels at each place: with one it is a plain network, with all the supernet."""

    def __init__(self, places):
        super().__init__()
        self.stem, self.head = conv(1, 3), nn.Linear(WIDTH, CLASSES)
        options = [{str(k): conv(WIDTH, k) if k else nn.Identity() for k in kernels} for kernels in places]
        self.places = nn.ModuleList(map(nn.ModuleDict, options))

    def forward(self, x, architecture):
        x = self.stem(x)
        for place, kernel in zip(self.places, architecture, strict=True):
            x = place[str(kernel)](x)  # what is not chosen costs nothing and gets no gradient
        return self.head(x.mean((2, 3)))


def train(net, sample, x, y, epochs, batch=50):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(x) // batch)
    for picks in torch.cat([torch.randperm(len(x)) for _ in range(epochs)]).split(batch):
        optimizer.zero_grad(set_to_none=True)  # no gradient rather than zero: other options neither move nor decay
        cross_entropy(net.train()(x[picks], sample()), y[picks]).backward()
        optimizer.step()
        schedule.step()


@torch.no_grad()
def accuracy(net, architecture, x, y, calibration):
    """Return the accuracy of one path with BatchNorm statistics of its own; those of training mix all paths."""
    for norm in (module for module in net.modules() if isinstance(module, nn.BatchNorm2d)):
        norm.momentum = 1.0  # the statistics become those of the next batch
    net.train()(calibration, architecture)
    return float((net.eval()(x, architecture).argmax(1) == y).float().mean())


def draw(parents=()):
    """Return a random architecture, or a mixture of two parents in which every tenth kernel is random."""
    places = list(zip(*random.choices(parents, k=2), strict=True)) if parents else [KERNELS] * PLACES
    return tuple(random.choice(KERNELS if random.random() < 0.1 else place) for place in places)


def flops(architecture):
    return SIZE**2 * WIDTH * (9 + WIDTH * sum(kernel**2 for kernel in architecture)) + WIDTH * CLASSES


def search(evaluate, *, evolve, evaluations=120, population=40, parents=8):
    """Return the best architecture within the limit: all at random, or after the first ones bred from the best."""
    scores = {}
    while len(scores) < evaluations:
        best = sorted(scores, key=scores.get)[-parents:] if evolve and len(scores) >= population else ()
        if (candidate := draw(best)) not in scores and flops(candidate) <= LIMIT:
            scores[candidate] = evaluate(candidate)
    return max(scores, key=scores.get)


random.seed(0)
torch.manual_seed(0)
training, validation, test = images(2000, seed=1), images(600, seed=2), images(2000, seed=3)
supernet = Net([KERNELS] * PLACES)
train(supernet, draw, *training, epochs=30)
results = []
for name, evolve in (("evolution", True), ("random search", False)):
    winner = search(lambda a: accuracy(supernet, a, *validation, training[0][:500]), evolve=evolve)
    alone = Net([[kernel] for kernel in winner])
    train(alone, lambda winner=winner: winner, *training, epochs=20)
    results.append(accuracy(alone, winner, *test, training[0]))
    print(f"{name}: {winner}, {flops(winner):,} multiply-accumulates, retrained {results[-1]:.1%} on test images")
margin = 1.96 * sum(p * (1 - p) / 2000 for p in results) ** 0.5  # of a 95% interval
print(f"evolution less random: {results[0] - results[1]:+.1%}, +-{margin:.1%} for the test images; other seeds differ")
