"""The text of Python's own help pages (``help("topics")``) as a small corpus: nothing to download.

About 70,000 words of prose and code, shared out in runs of twenty paragraphs: of every ten runs, one is for validation
and one for test. The pages change a little between versions of Python.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from palmette.data.options import Splits
from palmette.data.text import Corpus, from_lines

_WORDS = re.compile(r"[a-z]+|[0-9]+")
RUN = 20
TENTHS = {8: "valid", 9: "test"}


def help_topics(splits: Splits) -> Corpus:
    """Return the help pages of the running Python, in lower case, words only, numbers as ``N``."""
    lines: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
    for place, paragraph in enumerate(_paragraphs()):
        lines[TENTHS.get(place // RUN % 10, "train")].append(paragraph)
    return from_lines("help-topics", lines, splits)


def _paragraphs() -> Iterator[str]:
    from pydoc_data.topics import topics

    for name in sorted(topics):
        for paragraph in topics[name].lower().split("\n\n"):
            words = ["N" if word.isdigit() else word for word in _WORDS.findall(paragraph)]
            if words:
                yield " ".join(words)
