"""The main job on text: the same run directory, journal, checkpoints and report, perplexity in place of accuracy."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import palmette.training.loop
from palmette.blocks.language_model import Dropout
from palmette.cli.main import main
from palmette.cli.method_names import settings
from palmette.cli.names import SPACES
from palmette.methods.darts import DARTS
from palmette.training.recipe import Recipe

SMALL = ["--splits.train", "2500", "--splits.validation", "600", "--splits.test", "600", "--splits.words", "60"]
QUICK = ["--training.epochs", "2", "--retraining.epochs", "1", "--audit.networks", "0"]
EVOLUTION = ["--evolution.population", "4", "--evolution.parents", "2", "--evolution.generations", "1"]
EVOLUTION += ["--evolution.mutants", "1", "--evolution.crossovers", "1"]


def search(out: Path, *more: str, space: str = "enas-recurrent-small") -> int:
    return main(["search", "--space", space, "--data", "help-topics", "--out", str(out), *SMALL, *QUICK, *more])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("text") / "run"
    assert search(out, *EVOLUTION) == 0
    return out


def test_a_search_on_text_reports_perplexity(finished: Path) -> None:
    result = json.loads((finished / "result.json").read_text())
    assert re.search(r"\d+\.\d\d test perplexity \(95% interval", result["headline"][0])
    assert set(result["winner"]["test"]) == {"perplexity", "loss"}
    page = (finished / "report.html").read_text()
    assert "Test perplexity of the winner" in page
    assert '"metric":{"name":"perplexity","higher_is_better":false' in page


def test_the_trained_model_is_evaluated_and_counted_from_its_run(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["evaluate", str(finished), "--data", "help-topics", *SMALL]) == 0
    evaluated = json.loads(capsys.readouterr().out)
    result = json.loads((finished / "result.json").read_text())
    assert evaluated["perplexity"] == pytest.approx(result["winner"]["test"]["perplexity"])
    assert main(["cost", "enas-recurrent-small", str(finished / "architecture.json")]) == 0
    assert json.loads(capsys.readouterr().out)["params"] == result["winner"]["costs"]["params"]


def test_a_killed_search_on_text_resumes_to_the_same_numbers(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    step = palmette.training.loop._begun
    monkeypatch.setattr(palmette.training.loop, "CHECKPOINT_SECONDS", 0.0)

    def killed(number: int, *rest: object) -> object:
        if number == 3:
            raise Killed
        return step(number, *rest)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(palmette.training.loop, "_begun", killed)
        with pytest.raises(Killed):
            search(tmp_path / "run", *EVOLUTION)
    assert search(tmp_path / "run", *EVOLUTION, "--resume") == 0
    whole, resumed = ((run / "result.json").read_text() for run in (finished, tmp_path / "run"))
    assert whole == resumed


ENAS = ["--method", "enas", "--controller-training.steps", "2", "--controller-training.batch-size", "10"]
ENAS += ["--policy.samples", "2", "--derived", "3", "--paths", "2"]
BY_DARTS = ["--method", "darts", "--architecture.batch-size", "20"]


@pytest.mark.parametrize(
    "method", [pytest.param(ENAS, id="enas"), pytest.param(BY_DARTS, id="darts", marks=pytest.mark.slow)]
)
def test_methods_that_learn_architectures_do_so_on_text_and_resume_bitwise(
    method: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ENAS with two cells per update; DARTS first order, its cell a mixture."""
    space = "enas-recurrent-small" if method is ENAS else "darts-recurrent-small"
    assert search(tmp_path / "whole", *method, space=space) == 0
    step = palmette.training.loop._begun

    class Killed(BaseException):
        pass

    def killed(number: int, *rest: object) -> object:
        if number == 3:  # in the second epoch, when architectures have learned before
            raise Killed
        return step(number, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(palmette.training.loop, "CHECKPOINT_SECONDS", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(palmette.training.loop, "_begun", killed)
        with pytest.raises(Killed):
            search(tmp_path / "killed", *method, space=space)
    assert search(tmp_path / "killed", *method, "--resume", space=space) == 0
    whole, resumed = ((tmp_path / run / "result.json").read_text() for run in ("whole", "killed"))
    assert whole == resumed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--space", "small-images", "--data", "help-topics"], "text was given, and the space takes images"),
        (["--space", "enas-recurrent-small", "--data", "digits"], "images was given, and the space takes text"),
        (["--space", "enas-recurrent-small", "--data", "help-topics", "--image-size", "8"], "image_size = 8 was given"),
    ],
)
def test_data_of_the_wrong_kind_are_refused(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", *arguments, "--out", str(tmp_path / "run")]) == 2
    assert message in capsys.readouterr().err


def test_a_language_model_leaves_in_every_form(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forms = {"--onnx": "step.onnx", "--python": "network.py", "--program": "step.pt2", "--card": "MODEL.md"}
    given = [part for option, name in forms.items() for part in (option, str(tmp_path / name))]
    capsys.readouterr()
    assert main(["export", str(finished), *given]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert max(value for name, value in facts.items() if name.startswith("largest")) < 1e-5
    card = (tmp_path / "MODEL.md").read_text()
    assert "| Vocabulary | " in card
    assert re.search(r"\| Test perplexity \| [\d.]+, 95% interval [\d.]+ to [\d.]+ \|", card)
    assert "Calibration" not in card  # there are no statistics to recompute
    assert "- Not audited: nothing here shows" in card


def test_darts_on_its_recurrent_cells_has_the_settings_of_the_paper() -> None:
    """Gradient.md 4.3, the columns of search and evaluation on Penn Treebank."""
    found = settings("darts", "darts-recurrent")
    assert isinstance(found, DARTS)
    sgd = Recipe(
        epochs=50,
        batch_size=256,
        lr=20.0,
        momentum=0.0,
        nesterov=False,
        weight_decay=5e-7,
        clip_norm=0.25,
        schedule="constant",
        bptt=35,
        slowness_penalty=1e-3,
        activation_penalty=0.0,
    )
    assert found.training == sgd
    architecture = found.architecture
    assert (architecture.lr, architecture.betas, architecture.weight_decay) == (3e-3, (0.9, 0.999), 1e-3)
    assert (architecture.batch_size, architecture.bptt, architecture.every) == (256, 35, 1)
    final = found.retraining
    assert (final.batch_size, final.weight_decay, final.clip_norm, final.lr) == (64, 8e-7, 0.25, 20.0)
    assert (final.slowness_penalty, final.schedule) == (1e-3, "constant")
    assert found.rank_by == "loss"


def test_darts_cells_are_searched_with_300_units_and_retrained_with_850_that_drop_words() -> None:
    """Of 10,000 words: 20 H^2 of the cell and H for every word (gradient.md 4.3, 4.1)."""
    space = SPACES["darts-recurrent"].build(10_000, 1)
    cell = space.decisions.sample(np.random.default_rng(0))
    with torch.device("meta"):
        searched, final = space.build(cell, seed=0), space.stand_alone.build(cell, seed=0)
    assert [sum(p.numel() for p in network.parameters()) for network in (searched, final)] == [4_800_000, 22_950_000]
    assert searched.dropout == Dropout(words=0.0, embedding=0.2, inputs=0.75, hidden=0.25, outputs=0.75)
    assert final.dropout == Dropout(words=0.1, embedding=0.2, inputs=0.75, hidden=0.25, outputs=0.75)


def test_methods_keep_the_clipping_of_a_spaces_own_settings() -> None:
    """0.25 for SGD at 20 on text; 5 is DARTS's where a space has none."""
    for space, clip_norm in {"darts-recurrent-small": 0.25, "enas-recurrent": 0.25, "nas-bench-macro": 5.0}.items():
        found = settings("darts", space)
        assert isinstance(found, DARTS)
        assert found.training.clip_norm == clip_norm
