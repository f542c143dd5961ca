"""Evaluation with inherited weights: the trie against one candidate at a time, written out as plainly as possible."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import pytest
import torch
from tiny import chained, dataset, network, space
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from palmette.architecture import Architecture
from palmette.blocks.convolution import conv_bn
from palmette.data.augmentation import normalise
from palmette.data.images import Dataset
from palmette.errors import ArchitectureError
from palmette.evaluation import inherited
from palmette.evaluation.inherited import Inherited
from palmette.slots import OneOf
from palmette.space import Space, Supernet
from palmette.spaces.nas_bench_macro import nas_bench_macro
from palmette.spaces.shuffle_choice import shuffle_choice
from palmette.spaces.small_images import small_images

BATCH = 4


def one_at_a_time(of: Space, supernet: Supernet, architecture: Architecture, data: Dataset) -> dict[str, float]:
    """Extract the network, reset and recalibrate its BatchNorm statistics, score it."""
    alone = of.extract(supernet, architecture)
    for module in alone.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    correct, loss = 0, 0.0
    with torch.no_grad():
        alone.train()
        for x in data.calibration.pixels.split(BATCH):
            alone(normalised(x, data))
        alone.eval()
        for x, labels in zip(data.validation.pixels.split(BATCH), data.validation.labels.split(BATCH), strict=True):
            logits = alone(normalised(x, data))
            correct += int((logits.argmax(1) == labels).sum())
            loss += float(cross_entropy(logits, labels, reduction="sum"))
    count = len(data.validation.labels)
    return {"accuracy": correct / count, "loss": loss / count}


def normalised(pixels: Tensor, data: Dataset) -> Tensor:
    """Normalise as the library does (tested elsewhere): deep networks amplify the last bit a thousandfold."""
    return normalise(pixels, data.mean, data.std)


def warmed(of: Space, data: Dataset, paths: int = 6) -> Supernet:
    """Return a supernet whose BatchNorm layers hold the statistics of several paths."""
    supernet = of.supernet(seed=0).train()
    generator = np.random.default_rng(9)
    with torch.no_grad():
        for _ in range(paths):
            supernet(normalised(data.train.pixels, data), of.choice(of.decisions.sample(generator)))
    return supernet


def sampled(of: Space, count: int) -> list[Architecture]:
    generator = np.random.default_rng(0)
    return [of.decisions.sample(generator) for _ in range(count)]


def largest_difference(of: Space, architectures: Sequence[Architecture], data: Dataset) -> float:
    supernet = warmed(of, data)
    together = Inherited(of, supernet, data, batch_size=BATCH)(architectures)
    alone = [one_at_a_time(of, supernet, architecture, data) for architecture in architectures]
    assert (
        len({metrics["loss"] for metrics in alone}) > len(set(architectures)) / 2
    )  # they differ, so equality says something
    assert all(one.keys() == {"accuracy", "loss"} for one in together)
    pairs = zip(together, alone, strict=True)
    return max(abs(one[name] - other[name]) for one, other in pairs for name in other)


@pytest.mark.slow
def test_the_trie_equals_one_at_a_time_on_200_networks_of_nas_bench_macro() -> None:
    of = nas_bench_macro()
    data = dataset(shape=(3, 16, 16), classes=10)
    assert largest_difference(of, sampled(of, 200), data) < 1e-6


def test_the_trie_equals_one_at_a_time_on_some_networks_of_nas_bench_macro() -> None:
    of = nas_bench_macro()
    data = dataset(shape=(3, 16, 16), classes=10)
    assert largest_difference(of, sampled(of, 8), data) < 1e-6


@pytest.fixture
def double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


class Double(nn.Module):
    """Goes on in double precision."""

    def forward(self, x: Tensor) -> Tensor:
        return x.double()


@pytest.mark.usefixtures("double")
def test_the_trie_equals_one_at_a_time_on_shuffle_networks() -> None:
    """In double precision: 20 untrained blocks amplify the rounding of single precision beyond 1e-6."""
    define = shuffle_choice(classes=10).definition
    of = Space(lambda: nn.Sequential(Double(), define()))
    data = dataset(shape=(3, 32, 32), classes=10, train=8, calibration=8, validation=8)
    assert largest_difference(of, sampled(of, 3), data) < 1e-6


def test_the_trie_equals_one_at_a_time_on_small_images() -> None:
    of = small_images(classes=2)
    assert largest_difference(of, sampled(of, 40), dataset()) < 1e-6


def test_the_trie_equals_one_at_a_time_on_every_network_of_a_space() -> None:
    assert largest_difference(space(), list(space().decisions.enumerate()), dataset()) < 1e-6


def test_the_trie_equals_one_at_a_time_on_every_network_of_open_widths() -> None:
    of = chained(1)
    supernet = warmed(of, dataset())
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    assert largest_difference(of, list(of.decisions.enumerate()), dataset()) < 1e-6
    Inherited(of, supernet, dataset(), batch_size=BATCH)(sampled(of, 5))
    assert all(torch.equal(tensor, before[name]) for name, tensor in supernet.state_dict().items())


class Crossing(nn.Module):
    """Two slots that read one input, and a third that reads the sum of all three."""

    def __init__(self) -> None:
        super().__init__()
        self.left = OneOf("left", k1=partial(conv_bn, 4, 4), k3=partial(conv_bn, 4, 4, 3))
        self.right = OneOf("right", k3=partial(conv_bn, 4, 4, 3), skip=nn.Identity)
        self.last = OneOf("last", k1=partial(conv_bn, 4, 4), skip=nn.Identity)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(self.left(x) + self.right(x) + x)
        return out


def in_place_first() -> nn.Module:
    """Return an option whose first layer overwrites its input."""
    return nn.Sequential(nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(4, 4, 3, padding=1)), nn.BatchNorm2d(4))


def head() -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)]


def crossing() -> nn.Module:
    before, after = (
        OneOf("before", k1=partial(conv_bn, 4, 4), skip=nn.Identity),
        OneOf("after", k1=partial(conv_bn, 4, 4), k3=partial(conv_bn, 4, 4, 3)),
    )
    return nn.Sequential(conv_bn(1, 4, 3), before, Crossing(), after, *head())


def in_place() -> nn.Module:
    options: dict[str, Callable[[], nn.Module]] = {
        "linear": partial(conv_bn, 4, 4, relu=False),
        "overwrites": in_place_first,
        "skip": nn.Identity,
    }
    slots = [OneOf(name, **options) for name in ("one", "two", "three")]
    return nn.Sequential(conv_bn(1, 4, 3, relu=False), *slots, nn.ReLU(inplace=True), *head())


def tied_and_nested() -> nn.Module:
    """Return a network with one decision in two places and a slot inside an option."""

    def deep() -> nn.Module:
        return nn.Sequential(OneOf("inner", k1=partial(conv_bn, 4, 4), k3=partial(conv_bn, 4, 4, 3)), conv_bn(4, 4))

    tied = [OneOf("tied", k3=partial(conv_bn, 4, 4, 3), skip=nn.Identity) for _ in range(2)]
    return nn.Sequential(conv_bn(1, 4, 3), tied[0], OneOf("outer", deep=deep, skip=nn.Identity), tied[1], *head())


@pytest.mark.parametrize("definition", [crossing, in_place, tied_and_nested])
def test_the_trie_equals_one_at_a_time_on_awkward_networks(definition: Callable[[], nn.Module]) -> None:
    of = Space(definition)
    assert largest_difference(of, list(of.decisions.enumerate()), dataset()) < 1e-6


def test_a_layer_that_secretly_changes_its_input_is_refused() -> None:
    class Secret(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mul_(2)

    of = Space(nn.Sequential(conv_bn(1, 4, 3), OneOf("slot", secret=Secret, skip=nn.Identity), *head()))
    evaluate = Inherited(of, of.supernet(seed=0), dataset())
    with pytest.raises(ArchitectureError, match="changes its input in place, which other candidates share"):
        evaluate(list(of.decisions.enumerate()))


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    of, data = space(), dataset()
    evaluate = Inherited(of, warmed(of, data), data, batch_size=BATCH)
    architectures = list(of.decisions.enumerate())
    whole = evaluate(architectures)
    monkeypatch.setattr(inherited, "CHUNK", 4)
    seen: list[tuple[int, int]] = []
    assert evaluate(architectures, lambda done, total: seen.append((done, total))) == whole
    assert seen == [(4, 27), (8, 27), (12, 27), (16, 27), (20, 27), (24, 27), (27, 27)]


def test_metrics_do_not_depend_on_what_is_evaluated_along() -> None:
    of, data = space(), dataset()
    evaluate = Inherited(of, warmed(of, data), data, batch_size=BATCH)
    architectures = list(of.decisions.enumerate())
    whole = evaluate(architectures)
    assert evaluate(architectures[::-1]) == whole[::-1]
    assert [evaluate([architecture])[0] for architecture in architectures] == whole


def test_the_supernet_is_left_bitwise_as_it_was_and_in_its_modes() -> None:
    of, data = space(), dataset()
    supernet = warmed(of, data)
    modules = list(supernet.modules())
    for i, module in enumerate(modules):
        module.training = i % 3 == 0
    state = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    momenta = [module.momentum for module in modules if isinstance(module, nn.BatchNorm2d)]
    Inherited(of, supernet, data)(list(of.decisions.enumerate()))
    after = supernet.state_dict()
    assert after.keys() == state.keys()
    assert all(torch.equal(after[name], tensor) for name, tensor in state.items())
    assert [module.training for module in modules] == [i % 3 == 0 for i in range(len(modules))]
    assert [module.momentum for module in modules if isinstance(module, nn.BatchNorm2d)] == momenta
    assert all(parameter.grad is None for parameter in supernet.parameters())


def test_a_failed_evaluation_leaves_the_supernet_too(monkeypatch: pytest.MonkeyPatch) -> None:
    of, data = space(), dataset()
    supernet = warmed(of, data)
    state = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}

    def broken(x: Tensor) -> Tensor:
        raise MemoryError

    monkeypatch.setattr(supernet.network[-1], "forward", broken)
    with pytest.raises(MemoryError):
        Inherited(of, supernet, data)(list(of.decisions.enumerate()))
    assert all(module.training for module in supernet.modules())
    assert all(torch.equal(tensor, state[name]) for name, tensor in supernet.state_dict().items())


class Counted:
    """Counts the executions of trie nodes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.forwards = 0
        forward = inherited._forward

        def counting(node: inherited.Node, x: Tensor) -> Tensor:
            self.forwards += 1
            return forward(node, x)

        monkeypatch.setattr(inherited, "_forward", counting)


def test_every_node_runs_once_per_batch_for_each_distinct_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    of = nas_bench_macro()
    data = dataset(shape=(3, 8, 8), classes=10, calibration=8, validation=8)
    architectures = sampled(of, 30)
    values = {tuple(architecture.as_dict().values()) for architecture in architectures}
    layers = sum(len({value[: depth + 1] for value in values}) for depth in range(8))
    nodes = 1 + layers + len(values)  # the stem, and a head for each network
    counted = Counted(monkeypatch)
    Inherited(of, of.supernet(seed=0), data, batch_size=4)(architectures)
    assert counted.forwards == nodes * 4  # two batches of each role


def test_the_nodes_of_a_whole_space_are_the_powers_of_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(monkeypatch)
    of = space()
    Inherited(of, of.supernet(seed=0), dataset())(list(of.decisions.enumerate()))
    assert counted.forwards == 2 * (1 + 3 + 9 + 27 + 27)  # stem, three slots, heads; one batch of each role


def test_equal_architectures_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    of = nas_bench_macro()
    data = dataset(shape=(3, 8, 8), classes=10, calibration=4, validation=4)
    same = [of.decisions.parse(code) for code in ("20010110", "20001110", "20001101")]  # an identity is a no-op
    counted = Counted(monkeypatch)
    first, second, third = Inherited(of, of.supernet(seed=0), data)(same)
    assert counted.forwards == 2 * 10
    assert first == second == third


def test_nothing_to_evaluate_gives_nothing() -> None:
    of = space()
    assert Inherited(of, of.supernet(seed=0), dataset())([]) == []


def test_a_network_without_a_head_after_its_last_slot_is_scored() -> None:
    of = Space(nn.Sequential(*head()[:2], nn.Linear(1, 2), OneOf("last", a=nn.Identity, b=lambda: nn.Linear(2, 2))))
    assert largest_difference(of, list(of.decisions.enumerate()), dataset()) < 1e-6


def test_the_definition_of_the_test_space_has_27_networks() -> None:
    assert Space(network()).decisions.count() == 27
