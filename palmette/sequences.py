"""Sequences: what a language model is given, and what it gives back; plain records of tensors.

The hidden state is an argument and a result, never something a network keeps: what one segment ends with is what the
next one starts with, in training and in evaluation alike, and neither can disturb the other.

Letters: ``T`` time steps, ``B`` streams read side by side, ``H`` hidden units, ``V`` words.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Segment(NamedTuple):
    """Some consecutive tokens of every stream, for truncated back-propagation."""

    tokens: Tensor
    """Word indices, int64 ``[T, B]``."""
    hidden: Tensor | None
    """What the segment before ended with, ``[B, H]`` without gradient; None, at the start, is zeros."""


class Predicted(NamedTuple):
    """What a language model says of a segment."""

    logits: Tensor
    """Of the next word at each position, ``[T, B, V]``."""
    hidden: Tensor
    """The last hidden state, ``[B, H]``."""
    outputs: Tensor
    """The hidden state of every step, ``[T, B, H]``, for activation regularisation."""
    dropped: Tensor
    """The same after the dropout that precedes the decoder, ``[T, B, H]``."""
