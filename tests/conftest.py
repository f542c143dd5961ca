"""What several tests need: one thread, and where the shared data sets lie."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported; small tensors gain nothing from more
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of the shared data sets: the environment's PALMETTE_DATA, else ``../shared/data``."""
    folder = Path(os.environ.get("PALMETTE_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}; set PALMETTE_DATA to the folder that holds it")
    return folder


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a finished ``palmette search``, its data beside it; it must not be changed."""
    from tiny import QUICK, npz

    from palmette.cli.main import main

    folder = tmp_path_factory.mktemp("finished")
    data = npz(folder / "images.npz")
    assert main(["search", "--data", str(data), "--out", str(folder / "run"), *QUICK]) == 0
    return folder / "run"
