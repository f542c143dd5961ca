"""Model card: what a network is, what it was trained on, how well it does and how sure that is, as Markdown.

Mitchell et al., "Model Cards for Model Reporting", 2019, as far as a search knows the answers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from palmette.errors import StorageError
from palmette.export.weights import Card
from palmette.storage.typed import typed


def model_card(directory: Path, card: Card) -> str:
    """Return the card of the winner of a finished run.

    Raises:
        StorageError: the directory has no result.
    """
    try:
        result = json.loads((directory / "result.json").read_text(encoding="utf-8"))
        facts = json.loads((directory / "environment.json").read_text(encoding="utf-8"))
        configuration = (directory / "config.toml").read_text(encoding="utf-8").rstrip()
        code = typed(str, result["winner"]["code"], where="code")
        costs = typed(Mapping[str, float], result["winner"]["costs"], where="costs")
        test = typed(Mapping[str, float], result["winner"]["test"], where="test")
        headline = typed(Sequence[str], result["headline"], where="headline")
        environment = typed(Mapping[str, str], facts, where="environment")
    except (OSError, KeyError, TypeError, ValueError, RecursionError):
        raise StorageError(f"{directory}: it has no result; finish the run with --resume first") from None
    rows = [
        ("Architecture", f"`{code}` of space `{card.architecture.space}`"),
        ("Data", card.data),
        *_input(card),
        *((f"Cost: {name}", f"{value:,}") for name, value in costs.items()),
        *((f"Test {name}", f"{value:.4f}") for name, value in test.items()),
    ]
    table = "\n".join(["| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in rows)])
    findings = "\n".join(f"- {line}" for line in headline)
    made_on = "\n".join(f"- {key}: {value}" for key, value in environment.items())
    kind, verb = ("text", "was") if card.is_text else ("images", "were")
    return f"""# {code}

{table}

## How far this can be trusted

{findings}

The test {kind} {verb} read once, at the end. The figures hold for {kind} like those of the data set, no others.

## How it was made

Found and trained by Palmette with these settings:

```toml
{configuration}
```

{made_on}
"""


def _input(card: Card) -> list[tuple[str, str]]:
    """Return the rows that say what the network takes."""
    if card.is_text:
        return [("Vocabulary", f"{len(card.classes):,} words, in `network.safetensors`")]
    shape = " x ".join(map(str, card.input_shape))
    return [
        ("Classes", ", ".join(card.classes)),
        ("Input", f"{shape}, (pixels / 255 - mean) / std"),
        ("Mean, std", f"{_numbers(card.mean)}; {_numbers(card.std)}"),
    ]


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.4f}" for value in values)
