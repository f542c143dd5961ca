"""Outcomes on test data: intervals of one network, and what common test data say of the difference between two.

Images: right or wrong each, Wilson's interval, and the exact test of McNemar (1947). Text: the mean loss of blocks of
consecutive words, which depend on each other far less than words do; Student's interval and paired test over blocks.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import stats
from torch import Tensor, nn

from palmette.data.text import Corpus, Data
from palmette.evaluation.metric import ACCURACY, PERPLEXITY, Metric
from palmette.evaluation.score import correct, token_losses
from palmette.space import called

BLOCK = 100
"""Words of a block, fewer where the text is short."""
FEWEST_BLOCKS = 2
SIGNIFICANT = 0.05


def metric_of(data: Data) -> Metric:
    """Return what networks for the data are judged by."""
    return PERPLEXITY if isinstance(data, Corpus) else ACCURACY


def outcomes(network: nn.Module, data: Data) -> Tensor:
    """Return the test outcomes on the CPU: right or wrong, bool ``[images]``, or mean losses, float64 ``[blocks]``."""
    if not isinstance(data, Corpus):
        return correct(network, data.test, data)
    network.eval()
    losses = token_losses(lambda segment: called(network, segment), data.test).cpu().double()
    size = max(1, min(BLOCK, len(losses) // FEWEST_BLOCKS))
    whole = losses[: len(losses) // size * size]
    return whole.view(-1, size, losses.shape[1]).mean(1).flatten()


def interval(outcome: Tensor) -> tuple[float, float]:
    """Return the 95% interval of the accuracy, or of the perplexity."""
    if outcome.dtype == torch.bool:
        wilson = stats.binomtest(int(outcome.sum()), len(outcome)).proportion_ci(method="wilson")
        return float(wilson.low), float(wilson.high)
    mean, half = float(outcome.mean()), float(outcome.std()) / math.sqrt(len(outcome))
    half *= float(stats.t.ppf(0.975, len(outcome) - 1)) if len(outcome) > 1 else math.inf
    return math.exp(mean - half), math.exp(min(mean + half, 700.0))


def compared(one: Tensor, other: Tensor) -> str:
    """Return what the same test data say of the difference between the method's network and that of random search."""
    return _images_compared(one, other) if one.dtype == torch.bool else _blocks_compared(one, other)


def _images_compared(one: Tensor, other: Tensor) -> str:
    only_one, only_other = int((one & ~other).sum()), int((other & ~one).sum())
    counts = f"Test images that only the winner classifies correctly: {only_one}; that only random's does: {only_other}"
    if only_one + only_other == 0:
        return f"{counts}. On this test set the two cannot be told apart."
    p = float(stats.binomtest(only_one, only_one + only_other).pvalue)
    return f"{counts} {_verdict(p, better=only_one > only_other)}"


def _blocks_compared(one: Tensor, other: Tensor) -> str:
    difference = (one - other).numpy()
    ratio = math.exp(float(difference.mean()))
    counts = f"On the same test words the winner's perplexity is {ratio:.4f} times that of random's"
    if len(difference) < FEWEST_BLOCKS or not np.ptp(difference):
        return f"{counts}. On this test set the two cannot be told apart."
    p = float(stats.ttest_rel(one.numpy(), other.numpy()).pvalue)
    return f"{counts} {_verdict(p, better=ratio < 1)}"


def _verdict(p: float, *, better: bool) -> str:
    if p >= SIGNIFICANT:
        return f"(p = {p:.2f}). On this test set the two cannot be told apart."
    return f"(p = {p:.2g}). {'The method' if better else 'Random search'} did better."
