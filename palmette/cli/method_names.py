"""The table of methods: what the command line calls each, and how its settings follow from those of a space.

A method is one options dataclass, which is what ``palmette search --method NAME`` shows and takes, and a function that
makes its settings from those a space has. No torch until something is built.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from palmette.cli.names import SPACES, named
from palmette.methods.darts import DARTS
from palmette.methods.enas import ENAS
from palmette.methods.fairnas import FairNAS
from palmette.methods.fbnet import FBNet
from palmette.methods.greedynas import GreedyNAS
from palmette.methods.proxylessnas import ProxylessNAS
from palmette.methods.random_training import RandomTraining
from palmette.methods.smash import SMASH
from palmette.methods.spos import SPOS
from palmette.recipes import differentiable
from palmette.recipes import methods as settings_of
from palmette.recipes.recurrent import darts_penn_treebank

if TYPE_CHECKING:
    from palmette.methods.job import Method


@dataclass(frozen=True)
class NamedMethod:
    """A method as the command line offers it."""

    summary: str
    paper: str
    options: type[Method]
    """A dataclass."""
    settings: Callable[[SPOS], Method]
    """Makes its options from a space's settings for SPOS."""


METHODS: Mapping[str, NamedMethod] = {
    "spos": NamedMethod(
        "uniform single-path supernet, evolution under limits",
        "Guo et al., ECCV 2020, arXiv 1904.00420",
        SPOS,
        settings_of.spos,
    ),
    "random": NamedMethod(
        "random networks trained alone, the best is taken: what every method has to beat at equal cost",
        "Li & Talwalkar, UAI 2019, arXiv 1902.07638",
        RandomTraining,
        settings_of.random,
    ),
    "fairnas": NamedMethod(
        "every option trained equally often, several objectives by NSGA-II",
        "Chu et al., ICCV 2021, arXiv 1907.01845",
        FairNAS,
        settings_of.fairnas,
    ),
    "greedynas": NamedMethod(
        "only promising paths trained, NSGA-II from their pool",
        "You et al., CVPR 2020, arXiv 2003.11236",
        GreedyNAS,
        settings_of.greedynas,
    ),
    "fbnet": NamedMethod(
        "Gumbel-softmax mixtures, FLOPs or latency in the loss",
        "Wu et al., CVPR 2019, arXiv 1812.03443",
        FBNet,
        settings_of.fbnet,
    ),
    "fbnetv2": NamedMethod(
        "the same over masks of channels and subsampled inputs, for spaces with widths and resolutions",
        "Wan et al., CVPR 2020, arXiv 2004.05565",
        FBNet,
        settings_of.fbnetv2,
    ),
    "proxylessnas": NamedMethod(
        "one path in memory, its probabilities learned through binary gates, expected cost in the loss",
        "Cai et al., ICLR 2019, arXiv 1812.00332",
        ProxylessNAS,
        settings_of.proxylessnas,
    ),
    "smash": NamedMethod(
        "weights generated from a description of the architecture, random search and perturbations",
        "Brock et al., ICLR 2018, arXiv 1708.05344",
        SMASH,
        settings_of.smash,
    ),
    "enas": NamedMethod(
        "paths drawn by an LSTM controller that learns by policy gradient",
        "Pham et al., ICML 2018, arXiv 1802.03268",
        ENAS,
        settings_of.enas,
    ),
    "darts": NamedMethod(
        "a mixture of all options, its weights learned by gradient; first or second order",
        "Liu et al., ICLR 2019, arXiv 1806.09055",
        DARTS,
        differentiable.darts,
    ),
    "r-darts": NamedMethod(
        "DARTS that stops when the Hessian of the architecture says that it collapses",
        "Zela et al., ICLR 2020, arXiv 1909.09656",
        DARTS,
        differentiable.r_darts,
    ),
    "gdas": NamedMethod(
        "one drawn option at a time, gradients straight through",
        "Dong & Yang, CVPR 2019, arXiv 1910.04465",
        DARTS,
        differentiable.gdas,
    ),
    "pc-darts": NamedMethod(
        "DARTS on a part of the channels, for spaces that know their channels",
        "Xu et al., ICLR 2020, arXiv 1907.05737",
        DARTS,
        differentiable.pc_darts,
    ),
    "darts-minus": NamedMethod(
        "DARTS with an auxiliary skip connection that fades away",
        "Chu et al., ICLR 2021, arXiv 2009.01027",
        DARTS,
        differentiable.darts_minus,
    ),
    "fairdarts": NamedMethod(
        "DARTS with independent weights, driven to 0 or 1",
        "Chu et al., ECCV 2020, arXiv 1911.12126",
        DARTS,
        differentiable.fairdarts,
    ),
    "drnas": NamedMethod(
        "DARTS with weights drawn from a Dirichlet distribution",
        "Chen et al., ICLR 2021, arXiv 2006.10355",
        DARTS,
        differentiable.drnas,
    ),
}


PAPERS: Mapping[tuple[str, str], Callable[[], Method]] = {("darts", "darts-recurrent"): darts_penn_treebank}
"""A paper's own settings of a method for a space, where they do not follow from those for SPOS."""


def settings(method: str, space: str) -> Method:
    """Return the options of a method as its paper has them for the space, or as the space's recipe sets them."""
    entry, spos = named(METHODS, method, "method"), named(SPACES, space, "space").spos
    return PAPERS[method, space]() if (method, space) in PAPERS else entry.settings(spos())
