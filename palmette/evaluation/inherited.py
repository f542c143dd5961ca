"""Evaluation with inherited weights: candidates as a trie, BatchNorm recalibrated for each.

A supernet's running statistics mix all paths, so each candidate's are recomputed on calibration images (SPOS,
2020, section 3.4): train mode, cumulative average over batches. Both the recalibration and the scoring of a
candidate depend on a layer's prefix of choices only, so candidates with a common prefix share its computation,
exactly: every node of the trie runs once per batch and keeps its own BatchNorm statistics. Memory is one batch of
activations per layer, and the statistics of ``CHUNK`` candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from palmette import ranks
from palmette.architecture import Architecture
from palmette.choice import Choice, chosen
from palmette.data.images import Dataset, Images
from palmette.errors import ArchitectureError
from palmette.evaluation.score import Metrics, Tally, batched
from palmette.slots import Slot
from palmette.space import Space, Supernet, chain, slots
from palmette.training.steps import to_input

CHUNK = 1024
Norm = nn.modules.batchnorm._BatchNorm
Statistics = dict[str, Tensor | None]
Link = tuple[nn.Module, ...]
"""Modules that run one after another and read the same decisions."""


@dataclass
class Node:
    """One link of the chain under one setting of the decisions it reads, below one prefix."""

    link: Link
    choice: Choice
    norms: tuple[Norm, ...]
    """The BatchNorm layers that this setting uses."""
    statistics: tuple[Statistics, ...]
    """Their running statistics for this prefix."""
    overwrites: bool
    """The first layer works in place, as ``nn.ReLU(inplace=True)``, and needs a copy of its shared input."""
    children: list[Node] = field(default_factory=list)
    tally: Tally | None = None
    """At the end of the chain: the candidate's metrics."""


class Inherited:
    """Evaluate architectures with a supernet's weights; the supernet is left as it was.

    Scores are on ``data.validation``, the same images for every candidate. ``advance`` is called with
    (candidates done, candidates in all).
    """

    def __init__(self, space: Space, supernet: Supernet, data: Dataset, *, batch_size: int = 256) -> None:
        self.space = space
        self.supernet = supernet
        self.data = data
        self.batch_size = batch_size
        self.links = _links(supernet.network)
        self.read = [_decisions(link) for link in self.links]

    def __call__(
        self, architectures: Sequence[Architecture], advance: Callable[[int, int], None] = lambda done, total: None
    ) -> list[Metrics]:
        """Return the metrics of each architecture, in order; equal architectures are computed once."""
        distinct = sorted(dict.fromkeys(architectures), key=self._path)

        def chunks(mine: Sequence[Architecture]) -> list[Metrics]:
            found: list[Metrics] = []
            for start in range(0, len(mine), CHUNK):
                found += self._evaluate(mine[start : start + CHUNK])
                advance(len(found), len(mine))
            return found

        with self._modes_kept():
            metrics = dict(zip(distinct, ranks.shared_out(distinct, chunks), strict=True))
        return [metrics[architecture] for architecture in architectures]

    @torch.no_grad()
    def on_batch(self, architectures: Sequence[Architecture], images: Images) -> list[Metrics]:
        """Return the metrics of each architecture on one batch, with the statistics of that batch itself.

        Quicker than the recalibrated metrics, for choosing paths while a supernet trains (GreedyNAS). The running
        statistics of the supernet stay as they are; the released code of GreedyNAS lets these images change them.
        """
        distinct = sorted(dict.fromkeys(architectures), key=self._path)

        def at_once(mine: Sequence[Architecture]) -> list[Metrics]:
            roots, leaves = self._trie(mine)
            self._use_batch_statistics()
            _run(roots, to_input(images.pixels, self.data), images.labels)
            return [leaf.metrics() for leaf in leaves]

        with self._modes_kept():
            metrics = dict(zip(distinct, ranks.shared_out(distinct, at_once), strict=True))
        return [metrics[architecture] for architecture in architectures]

    @contextmanager
    def _modes_kept(self) -> Iterator[None]:
        modes = {module: module.training for module in self.supernet.modules()}
        try:
            yield
        finally:
            for module, training in modes.items():
                module.training = training

    def _use_batch_statistics(self) -> None:
        self.supernet.eval()
        for module in self.supernet.modules():
            if isinstance(module, Norm):
                module.train()

    @torch.no_grad()
    def _evaluate(self, architectures: Sequence[Architecture]) -> list[Metrics]:
        roots, leaves = self._trie(architectures)
        self._use_batch_statistics()
        for x, _ in batched(self.data.calibration, self.data, self.batch_size):
            _run(roots, x, None)
        self.supernet.eval()
        for x, labels in batched(self.data.validation, self.data, self.batch_size):
            _run(roots, x, labels)
        return [leaf.metrics() for leaf in leaves]

    def _trie(self, architectures: Sequence[Architecture]) -> tuple[list[Node], list[Tally]]:
        """Return the first nodes of the trie, and each architecture's tally."""
        roots: list[Node] = []
        known: dict[tuple[object, ...], Node] = {}
        leaves = []
        for architecture in architectures:
            path, siblings = self._path(architecture), roots
            for depth, link in enumerate(self.links):
                prefix = path[: depth + 1]
                if prefix not in known:
                    known[prefix] = self._node(link, architecture)
                    siblings.append(known[prefix])
                node = known[prefix]
                siblings = node.children
            node.tally = Tally()
            leaves.append(node.tally)
        return roots, leaves

    def _path(self, architecture: Architecture) -> tuple[tuple[str, ...], ...]:
        """Return what each link of the chain is told by ``architecture``."""
        values = architecture.as_dict()
        return tuple(tuple(str(values.get(name, "")) for name in names) for names in self.read)

    def _node(self, link: Link, architecture: Architecture) -> Node:
        norms = tuple(norm for module in link for norm in _active_norms(module, architecture))
        statistics = tuple(_fresh(norm) for norm in norms)
        return Node(link, self.space.choice(architecture), norms, statistics, _overwrites(link[0], architecture))


def _run(nodes: Sequence[Node], x: Tensor, labels: Tensor | None) -> None:
    """Run a batch through the trie, depth first; with labels, add the outputs to the tallies."""
    version = x._version
    for node in nodes:
        y = _forward(node, x)
        if x._version != version:
            raise ArchitectureError(
                f"a layer of {type(node.link[0]).__name__} changes its input in place, which other candidates share; "
                "write it without in-place operations on its input"
            )
        if node.tally is not None and labels is not None:
            node.tally.add(y, labels)
        _run(node.children, y, labels)


def _forward(node: Node, x: Tensor) -> Tensor:
    """Run one node with its own BatchNorm statistics in place of the supernet's."""
    shared = [(norm._buffers, norm.momentum) for norm in node.norms]
    for norm, statistics in zip(node.norms, node.statistics, strict=True):
        norm._buffers, norm.momentum = statistics, None
    try:
        if node.overwrites:
            x = x.clone()
        with chosen(node.choice), torch.autocast(x.device.type, torch.bfloat16, enabled=x.is_cuda):
            for module in node.link:
                x = module(x)
        return x
    finally:
        for norm, (buffers, momentum) in zip(node.norms, shared, strict=True):
            norm._buffers, norm.momentum = buffers, momentum


def _links(network: nn.Module) -> list[Link]:
    """Return the chain with neighbouring fixed layers joined, so that only what branches keeps activations."""
    links: list[Link] = []
    for module in chain(network):
        fixed = not slots(module)
        if fixed and links and not any(slots(last) for last in links[-1]):
            links[-1] = (*links[-1], module)
        else:
            links.append((module,))
    return links


def _decisions(link: Link) -> list[str]:
    names = (d.name for module in link for slot in slots(module) for d in slot.decisions())
    return list(dict.fromkeys(names))


def _overwrites(module: nn.Module, architecture: Architecture) -> bool:
    while isinstance(module, Slot):
        module = module.running(architecture)
    first = next(module.children(), None)
    return bool(getattr(module, "inplace", False)) if first is None else _overwrites(first, architecture)


def _active_norms(module: nn.Module, architecture: Architecture) -> list[Norm]:
    while isinstance(module, Slot):
        module = module.running(architecture)
    if isinstance(module, Norm):
        return [module] if module.track_running_stats else []
    return [norm for child in module.children() for norm in _active_norms(child, architecture)]


def _fresh(norm: Norm) -> Statistics:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return {
        "running_mean": torch.zeros_like(norm.running_mean),
        "running_var": torch.ones_like(norm.running_var),
        "num_batches_tracked": torch.zeros((), dtype=torch.long, device=norm.running_mean.device),
    }
