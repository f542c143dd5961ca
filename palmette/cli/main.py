"""The command line: one verb per file; parse, build, call one function, print.

Nothing here imports torch before a command runs, so that ``--help`` and mistakes are answered at once.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import io
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from palmette.errors import PalmetteError
from palmette.memory import keep_freed

COMMANDS = {
    "search": "find, train and prove the best network of a space within limits",
    "study": "compare design spaces, AnyNetX_A to RegNet, by the error distributions of their populations",
    "cost": "parameters, FLOPs and activations of architectures, one JSON line each",
    "latency": "milliseconds of a space's options on this machine, as a table that searches take",
    "compare": "several methods, searches or runs in one table, each beside random search at equal cost",
    "mirror": "the trials of a run in a storage of Optuna, shown by optuna-dashboard",
    "audit": "how far a finished search can be trusted: rank correlation with stand-alone accuracy",
    "hypernetwork": "the questions of the SMASH paper: does a hypernetwork use what it is told, and does it rank",
    "retrain": "train an architecture from scratch",
    "evaluate": "accuracy of a trained network on the test images",
    "export": "hand a trained network over: ONNX, safetensors, plain module",
    "draw": "an architecture as an SVG picture",
    "report": "write the page of a run again",
    "methods": "the methods there are, with their papers",
    "spaces": "the spaces there are, with their sizes",
    "data": "the data sources there are, and their formats",
    "doctor": "what is installed, what is missing, what is broken",
}

SHARED = ("search", "retrain")
"""Commands that several processes can do together, started by ``torchrun -m palmette``."""

LONG = ("search", "study", "compare", "audit", "hypernetwork", "retrain", "evaluate")
"""Commands that train or evaluate networks; 'latency' measures them in memory as others have it."""

SILENCE = 60.0
"""Seconds that all but the first process keep an error to themselves: it says the same, and ``torchrun`` then ends all;
if they ended before it, it would be ended before it has spoken."""

LONGEST = 1500
"""Characters of a complaint."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 0, 2 for a user's mistake, 130 when interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if not given or given[0] in ("-h", "--help"):
            print(_usage(), flush=True)
            return 0 if given else 2
        if given[0] == "--version":
            print(_version())
            return 0
        return _dispatch(given[0], given[1:])
    except PalmetteError as error:
        if os.environ.get("RANK", "0") != "0":
            time.sleep(SILENCE)
        print(f"palmette: {_shown(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("palmette: interrupted; the same command with --resume goes on from here", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stdout = None  # whoever read the output has left; nothing is flushed to it
        return 0


def parse(kind: type[Any], arguments: Sequence[str], *, name: str, default: object | None = None) -> object:
    """Return an instance of the dataclass ``kind`` from command-line arguments.

    Raises:
        PalmetteError: an option or value that is not allowed, in one line.
    """
    import tyro

    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            if default is None:
                return tyro.cli(kind, prog=f"palmette {name}", args=list(arguments))
            return tyro.cli(kind, prog=f"palmette {name}", args=list(arguments), default=default)
    except SystemExit as exit_:
        if exit_.code in (0, None):
            raise
        raise PalmetteError(f"{name}: {_one_line(complaint.getvalue())}") from None


def _dispatch(verb: str, arguments: Sequence[str]) -> int:
    if verb not in COMMANDS:
        near = difflib.get_close_matches(verb, COMMANDS, n=1)
        cure = f"did you mean {near[0]!r}?" if near else "'palmette --help' lists what each does"
        raise PalmetteError(f"unknown command {verb!r}; allowed are {', '.join(COMMANDS)}; {cure}")
    if verb not in SHARED and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise PalmetteError(f"{verb}: torchrun started several processes; {' and '.join(SHARED)} can share their work")
    if verb in LONG:
        keep_freed()
    command: Callable[[Sequence[str]], None] = importlib.import_module(f"palmette.cli.{verb}").run
    command(arguments)
    return 0


def _usage() -> str:
    width = max(map(len, COMMANDS))
    verbs = "\n".join(f"  {name:<{width}}  {what}" for name, what in COMMANDS.items())
    return f"""usage: palmette COMMAND [OPTIONS]

One-shot neural architecture search: train one network that contains every candidate, find the best one
that fits your limits, prove how far the finding can be trusted, hand it over as a plain trained module.

{verbs}

examples:
  palmette search                                            a real search in under two minutes, on a CPU
  palmette search --space nas-bench-macro --data images.npz --limits.flops 50e6
  palmette search --out runs/mine --resume                   go on where a run was stopped
  palmette cost nas-bench-macro 22212220
  palmette COMMAND --help                                    every option, with its default"""


def _version() -> str:
    from importlib.metadata import version

    return f"palmette {version('palmette')}"


def _shown(complaint: str) -> str:
    """Return a complaint in one line of a length that can be read, whatever text of the user's stands in it."""
    line = " ".join(complaint.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 300]} ... {line[-300:]}"


def _one_line(text: str) -> str:
    """Return what a parser said in a box, in one line: the fault, and the options that come closest."""
    words = " ".join(re.sub(r"[\u2500-\u257f]+|-{5,}", " ", text).split())
    words = re.sub(r"\s*For full helptext, (run|see).*$", "", words)
    fault, _, suggestions = words.partition("Perhaps you meant:")
    fault = fault.partition("Argument helptext:")[0].partition("Similar arguments:")[0]
    for title in ("Parsing error", "Value error", "Required options", "Unrecognized options", "Error parsing"):
        fault = fault.removeprefix(title).lstrip(": ").strip()
    if not suggestions:
        return f"{fault}; 'palmette COMMAND --help' lists all options"
    near = list(dict.fromkeys(re.findall(r"--[\w.-]+", suggestions)))[:5]
    given = re.sub(r"^Unrecognized options:\s*", "", fault)
    return f"{given} is not an option; did you mean {' or '.join(near)}? 'palmette COMMAND --help' lists all"
