"""ONNX files equal the extracted network, for any batch size."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from palmette.errors import MissingExtraError, StorageError
from palmette.export.onnx import export_onnx
from palmette.space import Space
from palmette.spaces.darts import SMALL, darts_space
from palmette.spaces.nas_bench_macro import nas_bench_macro
from palmette.spaces.shuffle_choice import shuffle_choice


@pytest.mark.parametrize(
    ("space_of", "code", "size"),
    [
        (nas_bench_macro, "12021200", 16),
        (shuffle_choice, "01230123012301230123", 32),
        (partial(darts_space, "cells", SMALL, channels=3), "3302334524400202102112", 16),
    ],
)
def test_extracted_networks_equal_their_onnx_files(
    tmp_path: Path, space_of: Callable[..., Space], code: str, size: int
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    space = space_of(classes=10)
    architecture = space.decisions.parse(code)
    supernet = space.supernet(seed=0)
    for _ in range(3):  # statistics of BatchNorm that are not those of a new network
        supernet(torch.randn(8, 3, size, size), space.choice(architecture))
    network = space.extract(supernet.eval(), architecture)
    path = tmp_path / "network.onnx"
    assert export_onnx(network, path, (3, size, size)) < 1e-4
    assert list(tmp_path.iterdir()) == [path]
    images = torch.randn(5, 3, size, size)
    (outputs,) = onnxruntime.InferenceSession(path).run(None, {"images": images.numpy()})
    np.testing.assert_allclose(outputs, network(images).detach().numpy(), atol=1e-4)


def test_a_file_that_differs_from_the_network_is_not_left_behind(tmp_path: Path) -> None:
    class Unfaithful(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + 1 if torch.compiler.is_exporting() else x

    with pytest.raises(StorageError, match=r"differs from the network by 1\.0e\+00, allowed is 1e-04"):
        export_onnx(Unfaithful(), tmp_path / "network.onnx", (3,))
    assert not list(tmp_path.iterdir())


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("palmette.export.onnx.find_spec", lambda name: None if name == "onnxscript" else sys)
    with pytest.raises(MissingExtraError, match=r"needs onnxscript; run: pip install palmette\[onnx\]"):
        export_onnx(nn.Identity(), tmp_path / "network.onnx", (3,))


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"absent/network\.onnx: it cannot be written \(No such file or directory\)"):
        export_onnx(nn.Identity(), tmp_path / "absent" / "network.onnx", (3,))
