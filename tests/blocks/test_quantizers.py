"""Quantisers against hand-worked vectors: values and gradients at 1, 2, 3, 4 and 8 bits."""

from __future__ import annotations

import pytest
import torch

from palmette.blocks.quantizers import QuantizedConv2d, QuantizedFeatures, quantized_feature, quantized_weight
from palmette.errors import ArchitectureError

W = [-1.3, -0.4, 0.0, 0.2, 0.9]
WEIGHTS = {
    1: [-0.56, -0.56, 0.56, 0.56, 0.56],
    2: [-1, -1 / 3, 1 / 3, 1 / 3, 1],
    3: [-1, -3 / 7, 1 / 7, 1 / 7, 5 / 7],
    4: [-1, -7 / 15, 1 / 15, 3 / 15, 13 / 15],
    8: [-1, -113 / 255, 1 / 255, 59 / 255, 211 / 255],
}
X = [-1.0, 0.3, 1.2, 1.9, 2.5]
FEATURES = {
    1: [0, 0, 2, 2, 2],
    2: [0, 0, 4 / 3, 2, 2],
    3: [0, 2 / 7, 8 / 7, 2, 2],
    4: [0, 4 / 15, 18 / 15, 28 / 15, 2],
    8: [0, 76 / 255, 306 / 255, 484 / 255, 2],
}


@pytest.mark.parametrize("bits", WEIGHTS)
def test_weights_take_the_values_and_gradients_worked_out_by_hand(bits: int) -> None:
    weight = torch.tensor(W, requires_grad=True)
    quantized = quantized_weight(weight, bits)
    quantized.sum().backward()  # type: ignore[no-untyped-call]
    assert quantized.tolist() == pytest.approx(WEIGHTS[bits], abs=1e-6)
    assert weight.grad is not None
    expected = [1.0] * 5 if bits == 1 else [0.29874, 0.99294, 1.16047, 1.11526, 0.56505]
    assert weight.grad.tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("bits", FEATURES)
def test_features_and_the_clip_take_the_values_and_gradients_worked_out_by_hand(bits: int) -> None:
    x, clip = torch.tensor(X, requires_grad=True), torch.tensor(2.0, requires_grad=True)
    quantized = quantized_feature(x, clip, bits)
    quantized.sum().backward()  # type: ignore[no-untyped-call]
    assert quantized.tolist() == pytest.approx(FEATURES[bits], abs=1e-6)
    assert x.grad is not None
    assert clip.grad is not None
    assert x.grad.tolist() == [0, 1, 1, 1, 0]
    assert clip.grad.item() == 1  # of the five, only 2.5 lies above the clip


@pytest.mark.parametrize(("weight_bits", "feature_bits"), [(1, 2), (2, 2), (3, 4), (8, 8)])
def test_a_layer_holds_as_many_levels_as_its_bits_say(weight_bits: int, feature_bits: int) -> None:
    generator = torch.Generator().manual_seed(0)
    quantize = QuantizedFeatures(feature_bits, clip=6.0)
    layer = QuantizedConv2d(3, 8, 3, weight_bits=weight_bits, feature_bits=feature_bits)
    features = quantize(torch.randn(4, 3, 32, 32, generator=generator) * 4)
    torch.nn.init.normal_(layer.conv.weight, generator=generator)
    weight = quantized_weight(layer.conv.weight, weight_bits)
    assert len(weight.unique()) <= 2**weight_bits
    assert len((features / 6).mul(2**feature_bits - 1).round().unique()) <= 2**feature_bits
    assert layer(torch.randn(2, 3, 8, 8, generator=generator)).shape == (2, 8, 8, 8)


def test_a_weight_of_zeros_stays_finite() -> None:
    for bits in (1, 2, 8):
        assert torch.isfinite(quantized_weight(torch.zeros(4), bits)).all()


@pytest.mark.parametrize("bits", [0, -1, 17])
def test_impossible_bits_are_refused(bits: int) -> None:
    with pytest.raises(ArchitectureError, match="allowed are 1 to 16"):
        QuantizedConv2d(3, 8, 3, weight_bits=bits, feature_bits=2)
    with pytest.raises(ArchitectureError, match="allowed are 1 to 16"):
        QuantizedFeatures(bits)
