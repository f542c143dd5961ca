"""Shapes: what the commonest operations return on the meta device, without torch's own rules for them.

The first operation that torch runs on the meta device makes it import its compiler and sympy, 1 to 2 s in every new
process. The operations of convolutional networks need no more than the shape of their output. A rule returns
``None`` for whatever it does not cover, errors included, and torch then decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

Rule = Callable[..., Any]
"""Takes an operation's arguments and returns an empty result, or ``None`` where the rule does not apply."""


def shaped(operation: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Return the empty result of an operation on meta tensors, or ``None`` if no rule covers it."""
    rule = _RULES.get(operation)
    return None if rule is None else rule(*args, **kwargs)


def _convolution(x: Tensor, weight: Tensor, bias: Tensor | None, stride: Sequence[int], *geometry: Any) -> Any:
    padding, dilation, transposed, _, groups = geometry
    kernel = weight.shape[2:]
    if transposed or x.dim() != weight.dim() or x.shape[1] != weight.shape[1] * groups:
        return None
    if not len(stride) == len(padding) == len(dilation) == len(kernel):
        return None
    sizes = zip(x.shape[2:], kernel, stride, padding, dilation, strict=True)
    out = [(size + 2 * p - d * (k - 1) - 1) // s + 1 for size, k, s, p, d in sizes]
    return x.new_empty([x.shape[0], weight.shape[0], *out]) if min(out) > 0 else None


def _batch_norm(x: Tensor, weight: Tensor | None, bias: Tensor | None, *rest: Any) -> Any:
    statistics = rest[:2]
    if any(t is not None and t.shape != x.shape[1:2] for t in (weight, bias, *statistics)):
        return None
    return x.new_empty(x.shape), x.new_empty(0), x.new_empty(0)  # evaluation mode: nothing saved for a gradient


def _max_pool(
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
    rounds_up: bool = False,
) -> Any:
    shape = None if rounds_up or max(dilation) > 1 else _pooled(x, kernel, stride, padding)
    return None if shape is None else (x.new_empty(shape), x.new_empty(shape, dtype=torch.int64))


def _average_pool(
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    rounds_up: bool = False,
    *_: Any,
) -> Any:
    shape = None if rounds_up else _pooled(x, kernel, stride, padding)
    return None if shape is None else x.new_empty(shape)


def _pooled(x: Tensor, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]) -> list[int] | None:
    if x.dim() != 4 or not len(kernel) == len(padding) == 2 or len(stride) not in (0, 2):
        return None
    sizes = zip(x.shape[2:], kernel, stride or kernel, padding, strict=True)
    out = [(size + 2 * p - k) // s + 1 for size, k, s, p in sizes]
    return [*x.shape[:2], *out] if min(out) > 0 else None


def _mean(x: Tensor, dims: Sequence[int] | None, keepdim: bool = False, **_: Any) -> Any:
    if not dims:
        return None
    gone = {dim % x.dim() for dim in dims}
    return x.new_empty([1 if i in gone else n for i, n in enumerate(x.shape) if keepdim or i not in gone])


def _cat(tensors: Sequence[Tensor], dim: int = 0) -> Any:
    shape = list(tensors[0].shape)
    rest = {(*t.shape[: dim % len(shape)], *t.shape[dim % len(shape) + 1 :]) for t in tensors if t.dim() == len(shape)}
    if len(rest) != 1 or any(t.dim() != len(shape) for t in tensors):
        return None
    shape[dim] = sum(t.shape[dim] for t in tensors)
    return tensors[0].new_empty(shape)


def _product(a: Tensor, b: Tensor) -> Any:
    return a.new_empty([a.shape[0], b.shape[1]]) if a.shape[1] == b.shape[0] else None


def _sum_with_product(bias: Tensor, a: Tensor, b: Tensor, **_: Any) -> Any:
    return _product(a, b) if bias.shape == b.shape[1:] else None


def _pointwise(*args: Any, **_: Any) -> Any:
    """Of tensors of one shape, or with none, as numbers have it."""
    tensors = [arg for arg in args if isinstance(arg, Tensor)]
    shapes = {t.shape for t in tensors if t.dim()}
    same = len(shapes) <= 1 and len({t.dtype for t in tensors}) == 1 and tensors[0].is_floating_point()
    return tensors[0].new_empty(next(iter(shapes), ())) if same else None


def _in_place(x: Tensor, *others: Any, **_: Any) -> Any:
    out = _pointwise(x, *others)
    return None if out is None or out.shape != x.shape else out


def _comparison(*args: Any) -> Any:
    out = _pointwise(*args)
    return None if out is None else out.new_empty(out.shape, dtype=torch.bool)


def _where(condition: Tensor, one: Tensor, other: Tensor) -> Any:
    shapes = {t.shape for t in (condition, one, other) if t.dim()}
    same = len(shapes) <= 1 and one.dtype == other.dtype
    return one.new_empty(next(iter(shapes), ())) if same else None


def _one_number(x: Tensor, **kwargs: Any) -> Any:
    return x.new_empty(()) if x.is_floating_point() and not kwargs else None


_aten = torch.ops.aten
_POINTWISE = [_aten.add.Tensor, _aten.sub.Tensor, _aten.mul.Tensor, _aten.div.Tensor, _aten.clone.default]
_POINTWISE += [_aten.relu.default, _aten.hardtanh.default, _aten.sigmoid.default, _aten.tanh.default]
_POINTWISE += [_aten.silu.default, _aten.gelu.default, _aten.hardswish.default, _aten.hardsigmoid.default]
_POINTWISE += [_aten.abs.default, _aten.neg.default, _aten.round.default, _aten.reciprocal.default]
_POINTWISE += [_aten.clamp_min.default]
_IN_PLACE = [_aten.add_.Tensor, _aten.relu_.default, _aten.hardtanh_.default, _aten.silu_.default]
_IN_PLACE += [_aten.hardswish_.default]
_COMPARISONS = [_aten.lt.Scalar, _aten.le.Tensor, _aten.ge.Tensor]
_RULES: Mapping[Any, Rule] = {
    _aten.convolution.default: _convolution,
    _aten.native_batch_norm.default: _batch_norm,
    _aten.max_pool2d_with_indices.default: _max_pool,
    _aten.avg_pool2d.default: _average_pool,
    _aten.mean.dim: _mean,
    _aten.cat.default: _cat,
    _aten.mm.default: _product,
    _aten.addmm.default: _sum_with_product,
    _aten.where.self: _where,
    _aten.mean.default: _one_number,
    _aten.max.default: _one_number,
    **dict.fromkeys(_COMPARISONS, _comparison),
    **dict.fromkeys(_POINTWISE, _pointwise),
    **dict.fromkeys(_IN_PLACE, _in_place),
}
