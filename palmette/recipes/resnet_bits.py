"""Settings of SPOS's mixed-precision search on ImageNet (Guo et al., 2020, section 4; sampling.md 2.12).

Which settings the authors trained ResNets with could not be read; here are those of their block search, with the decay
that PACT (Choi et al., 2018, section 3) puts on its clips as on all weights.
"""

from __future__ import annotations

from dataclasses import replace

from palmette.methods.spos import SPOS
from palmette.recipes.shuffle_choice import shuffle_choice


def resnet_bits() -> SPOS:
    """Return SPOS with 120 epochs for the supernet and 240 for the winner, at batch 1024; all parameters decay."""
    settings = shuffle_choice()
    return replace(
        settings,
        training=replace(settings.training, decay_everything=True),
        retraining=replace(settings.retraining, decay_everything=True),
    )
