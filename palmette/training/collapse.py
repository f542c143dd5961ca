"""Collapse of differentiable searches into skip connections: what to look at.

Skip connections train fastest, so their weights grow while the others' options are poor, until a cell has little else
(gradient.md 11.1). Before that, the loss on held-out images becomes sharp in the architecture parameters: the dominant
eigenvalue of its Hessian rises (Zela et al., "Understanding and Robustifying Differentiable Architecture Search", ICLR
2020); ``stopping.py`` has their rule.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor

from palmette import ranks
from palmette.architecture import Architecture

SKIPS = ("skip", "skip_connect", "identity")
"""Names of options that let their input pass."""
EXACT = 8
"""Hessians of at most this many rows are computed whole."""
TOLERANCE = 1e-4
"""Relative, of an eigenvalue found by Lanczos iterations."""


def skips_in(architecture: Architecture) -> int:
    """Return how many decisions take an option that lets its input pass."""
    return sum(value in SKIPS for _, value in architecture.values)


def dominant_eigenvalue(loss: Tensor, parameters: Sequence[Tensor]) -> float:
    """Return the largest eigenvalue of the Hessian of ``loss`` by all parameters together.

    Small Hessians are computed whole; of larger ones only products with vectors are, for Lanczos iterations.

    Args:
        loss: a scalar with its graph.
        parameters: of the architecture; the loss depends on each.
    """
    gradients = torch.autograd.grad(loss, list(parameters), create_graph=True)
    flat = torch.cat([gradient.flatten() for gradient in gradients])

    def product(vector: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        direction = torch.from_numpy(np.ravel(vector)).to(flat)
        rows = torch.autograd.grad(flat @ direction, list(parameters), retain_graph=True, allow_unused=True)
        whole = [torch.zeros_like(p) if row is None else row for p, row in zip(parameters, rows, strict=True)]
        product = torch.cat([row.flatten() for row in whole]).double()
        ranks.average([product])
        found: npt.NDArray[np.float64] = product.cpu().numpy()
        return found

    size = flat.numel()
    if size <= EXACT:
        hessian = np.stack([product(row) for row in np.eye(size)])
        return float(np.linalg.eigvalsh((hessian + hessian.T) / 2)[-1])
    operator = LinearOperator((size, size), matvec=product, dtype=np.float64)
    start = np.ones(size) / size**0.5 + np.random.default_rng(0).normal(size=size)
    return float(eigsh(operator, k=1, which="LA", v0=start, tol=TOLERANCE, return_eigenvectors=False)[0])
