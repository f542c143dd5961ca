"""Options of the data: allowed values, and that the command line can import them without torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

from palmette.data.options import Augmentation, Splits
from palmette.errors import DataError, PalmetteError


def test_importing_the_options_imports_no_torch() -> None:
    code = "import palmette.data.options, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(("images", "size"), [(50_000, 5000), (1_000_000, 5000), (5085, 508), (1438, 359), (40, 10)])
def test_validation_is_by_default_a_tenth_or_of_small_data_up_to_a_quarter_and_at_least_one_of_each_class(
    images: int, size: int
) -> None:
    assert Splits().validation_size(images, classes=10) == size


def test_validation_can_be_a_number_or_a_fraction() -> None:
    assert Splits(validation=300).validation_size(50_000, classes=10) == 300
    assert Splits(validation=0.5).validation_size(50_000, classes=10) == 25_000


@pytest.mark.parametrize("validation", [0, -1, 0.0, 0.6, 1.0, float("nan")])
def test_other_validation_sizes_are_refused(validation: float) -> None:
    with pytest.raises(DataError, match=r"validation = .* was given; allowed are .* fraction above 0 and up to 0.5"):
        Splits(validation=validation)


@pytest.mark.parametrize("name", ["train", "test", "calibration"])
def test_limits_below_one_image_are_refused(name: str) -> None:
    with pytest.raises(DataError, match=f"{name} = 0 was given"):
        Splits(**{name: 0})


@pytest.mark.parametrize("name", ["pad", "cutout"])
def test_negative_augmentation_is_refused(name: str) -> None:
    with pytest.raises(PalmetteError, match=f"{name} = -1 was given"):
        Augmentation(**{name: -1})
