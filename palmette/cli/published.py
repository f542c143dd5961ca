"""Published networks by name, for ``palmette cost`` and ``palmette draw``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from palmette.graphs import Graph
    from palmette.spaces.anynet import AnyNet


def published() -> Mapping[str, Callable[[], tuple[nn.Module, tuple[int, ...]]]]:
    """Return, by name, what makes each network and the shape of its input; nothing is allocated."""
    import torch

    from palmette.spaces import fbnet, fbnet_v2, mobile_choice, proxyless
    from palmette.spaces.shuffle_choice import PUBLISHED, Published, shuffle_network
    from palmette.spaces.stages import Published as Mobile

    def mobile(network: Mobile | fbnet_v2.PublishedV2) -> tuple[nn.Module, tuple[int, ...]]:
        with torch.device("meta"):
            return network.network(), (3, network.resolution, network.resolution)

    def make(network: Published) -> tuple[nn.Module, tuple[int, ...]]:
        with torch.device("meta"):
            return shuffle_network(network.genes, network.scales), (3, 224, 224)

    shuffle = {name: partial(make, network) for name, network in PUBLISHED.items()}
    layered: dict[str, Mobile | fbnet_v2.PublishedV2] = {
        **mobile_choice.PUBLISHED,
        **fbnet.PUBLISHED,
        **fbnet_v2.PUBLISHED,
        **proxyless.PUBLISHED,
    }
    mobiles = {name: partial(mobile, network) for name, network in layered.items()}
    return {**shuffle, **mobiles, **_published_cells(), **_published_language_models(), **_released()}


def published_graphs() -> Mapping[str, Callable[[], Sequence[Graph]]]:
    """Return, by name, what draws the cells, or the layers, of published architectures that are graphs."""
    from palmette.report.graphs import graphs
    from palmette.spaces import enas_released, recurrent_published
    from palmette.spaces.darts import darts
    from palmette.spaces.darts_genotypes import GENOTYPES, Genotype

    def cells(genotype: Genotype) -> Sequence[Graph]:
        space = darts().stand_alone
        return graphs(space, genotype.architecture(space.decisions))

    known: dict[str, Callable[[], Sequence[Graph]]] = {name: partial(cells, one) for name, one in GENOTYPES.items()}
    known |= {name: model.graphs for name, model in recurrent_published.PUBLISHED.items()}
    return known | {name: script.graphs for name, script in enas_released.PUBLISHED.items()}


def _published_language_models() -> Mapping[str, Callable[[], tuple[nn.Module, tuple[int, ...]]]]:
    """Return the language models of ENAS's and DARTS's recurrent cells, for Penn Treebank's 10,000 words."""
    import torch

    from palmette.spaces.recurrent_published import PUBLISHED, Published

    def make(model: Published) -> tuple[nn.Module, tuple[int, ...]]:
        with torch.device("meta"):
            return model.network(), (1,)

    return {name: partial(make, model) for name, model in PUBLISHED.items()}


def _published_cells() -> Mapping[str, Callable[[], tuple[nn.Module, tuple[int, ...]]]]:
    """Return the cells of DARTS and its relatives in the networks for CIFAR-10, and, so called, for ImageNet."""
    import torch

    from palmette.spaces.darts import darts, darts_imagenet
    from palmette.spaces.darts_genotypes import GENOTYPES, Genotype

    def make(genotype: Genotype, large: bool) -> tuple[nn.Module, tuple[int, ...]]:
        space = (darts_imagenet() if large else darts()).stand_alone
        with torch.device("meta"):
            network = space.build(genotype.architecture(space.decisions), seed=0)
        return network, (3, 224, 224) if large else (3, 32, 32)

    small = {name: partial(make, genotype, False) for name, genotype in GENOTYPES.items()}
    return small | {f"{name}-imagenet": partial(make, genotype, True) for name, genotype in GENOTYPES.items()}


def _released() -> Mapping[str, Callable[[], tuple[nn.Module, tuple[int, ...]]]]:
    """Return the final networks of ENAS's released code, which are of no space here."""
    import torch

    from palmette.spaces.enas_released import PUBLISHED, MacroScript, MicroScript

    def make(script: MacroScript | MicroScript) -> tuple[nn.Module, tuple[int, ...]]:
        with torch.device("meta"):
            return script.network(), (3, 32, 32)

    return {name: partial(make, script) for name, script in PUBLISHED.items()}


def published_anynets() -> Mapping[str, tuple[AnyNet, int]]:
    """Return, by name, RegNets, ResNets and ResNeXts, and the resolution they were published at, in pixels."""
    from palmette.spaces.regnet import published_regnets
    from palmette.spaces.resnet import published_resnets

    networks = {**published_regnets(), **published_resnets()}
    return {name: (network, 32 if network.skeleton.stem == "cifar" else 224) for name, network in networks.items()}
