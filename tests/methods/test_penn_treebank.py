"""Penn Treebank end to end in a reduced setting: search, derive, retrain, report."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from palmette.cli.main import main
from palmette.data.options import Splits
from palmette.data.text import read_text


@pytest.mark.slow
def test_a_searched_language_model_learns_more_than_the_frequencies_of_words(shared_data: Path, tmp_path: Path) -> None:
    splits = Splits(train=20_000, validation=3000, test=3000, words=500)
    sizes = [f"--splits.{name}={value}" for name, value in vars(splits).items() if value is not None]
    short = ["--training.epochs=3", "--training.batch-size=20", "--retraining.epochs=6", "--retraining.batch-size=20"]
    enas = ["--method=enas", "--controller-training.steps=5", "--controller-training.batch-size=20", "--derived=5"]
    out = ["--audit.networks=0", f"--out={tmp_path / 'run'}", f"--data={shared_data / 'ptb'}"]
    assert main(["search", "--space=enas-recurrent-small", *sizes, *short, *enas, *out]) == 0
    winner = json.loads((tmp_path / "run" / "result.json").read_text())["winner"]
    data = read_text(shared_data / "ptb", splits)
    counts = torch.bincount(data.train.ids, minlength=len(data.classes)).double() + 1
    frequencies = math.exp(-float((counts / counts.sum()).log()[data.test.ids].mean()))
    assert winner["test"]["perplexity"] < 0.95 * frequencies
