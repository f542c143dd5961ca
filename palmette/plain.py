"""Plain networks: the same computation and parameter names, with no class of this package left inside.

Blocks of this package (a residual block, say) are traced with ``torch.fx`` into graph modules whose only parts
are PyTorch's own; the user's modules stay as they are. The result can be pickled, exported and used where
palmette is not installed. Language models are the exception: a loop over time is no fixed graph, so they stay as they
are.
"""

from __future__ import annotations

from torch import Tensor, fx, nn


class TrainingOnly(nn.Module):
    """A part that only training runs, such as an auxiliary head: plain networks lose it, and no cost counts it.

    The network that holds it calls it only while ``self.training``.
    """

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.part(x)
        return result


class Untraced(nn.Module):
    """A module whose computation depends on the length of its input, so that tracing cannot follow it."""


def plain(network: nn.Module) -> nn.Module:
    """Return ``network`` with every module of this package replaced by an equal graph module, sharing its tensors."""
    if isinstance(network, Untraced):
        return network
    if _is_ours(network):
        return _trace(network)
    for name, child in network.named_children():
        setattr(network, name, plain(child))
    return network


class _Tracer(fx.Tracer):
    """Looks into modules of this package only; all others are leaves."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return not _is_ours(m)


def _trace(block: nn.Module) -> nn.Module:
    graph = _Tracer().trace(block)
    traced = fx.GraphModule(_contents(block), graph, type(block).__name__)
    return traced.train(block.training)


def _contents(block: nn.Module) -> nn.Module:
    """Return a bare module tree with the block's tensors and foreign children, for the graph module to copy from."""
    bare = nn.Module()
    for name, parameter in block.named_parameters(recurse=False):
        bare.register_parameter(name, parameter)
    for name, buffer in block.named_buffers(recurse=False):
        bare.register_buffer(name, buffer)
    for name, child in block.named_children():
        if not isinstance(child, TrainingOnly):
            bare.add_module(name, _contents(child) if _is_ours(child) else plain(child))
    return bare


def _is_ours(module: nn.Module) -> bool:
    return type(module).__module__.partition(".")[0] == __name__.partition(".")[0]
