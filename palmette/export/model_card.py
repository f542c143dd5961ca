"""Model card: what a network is, what it was trained on, how well it does and how sure that is, as Markdown.

Mitchell et al., "Model Cards for Model Reporting", 2019, as far as a search knows the answers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from palmette.errors import StorageError
from palmette.export.weights import Card


def model_card(directory: Path, card: Card) -> str:
    """Return the card of the winner of a finished run.

    Raises:
        StorageError: the directory has no result.
    """
    try:
        result: Mapping[str, Any] = json.loads((directory / "result.json").read_text(encoding="utf-8"))
        environment = json.loads((directory / "environment.json").read_text(encoding="utf-8"))
        configuration = (directory / "config.toml").read_text(encoding="utf-8").rstrip()
        winner, headline = result["winner"], result["headline"]
        costs, test = winner["costs"], winner["test"]
    except (OSError, KeyError, TypeError, ValueError):
        raise StorageError(f"{directory}: it has no result; finish the run with --resume first") from None
    channels, height, width = card.input_shape
    rows = [
        ("Architecture", f"`{winner['code']}` of space `{card.architecture.space}`"),
        ("Data", card.data),
        ("Classes", ", ".join(card.classes)),
        ("Input", f"{channels} x {height} x {width}, (pixels / 255 - mean) / std"),
        ("Mean, std", f"{_numbers(card.mean)}; {_numbers(card.std)}"),
        *((f"Cost: {name}", f"{value:,}") for name, value in costs.items()),
        *((f"Test {name}", f"{value:.4f}") for name, value in test.items()),
    ]
    table = "\n".join(["| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in rows)])
    findings = "\n".join(f"- {line}" for line in headline)
    facts = "\n".join(f"- {key}: {value}" for key, value in environment.items())
    return f"""# {winner["code"]}

{table}

## How far this can be trusted

{findings}

Test images were read once, at the end. The figures hold for images like those of the data set and for no others.

## How it was made

Found and trained by Palmette with these settings:

```toml
{configuration}
```

{facts}
"""


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.4f}" for value in values)
