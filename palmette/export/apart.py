"""A second opinion on an exported file: another process, in which palmette cannot be imported, runs it.

So a file is judged as its reader will use it, and nothing that was read from a file runs in this process.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from palmette.errors import StorageError

_PROGRAM = """
import importlib, json, os, sys, warnings
warnings.simplefilter("ignore")
sys.modules["palmette"] = None
answers, sys.stdout = sys.stdout, sys.stderr  # what a file prints is no answer
import torch
from safetensors.torch import load_file

def difference(load):
    bound = {"torch": torch}
    with torch.no_grad():
        exec(load, bound)
        tensors = load_file("tensors.safetensors")
        outputs = bound["network"](*[tensors[f"input{i}"] for i in range(sum("input" in name for name in tensors))])
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    return max(float((output - tensors[f"output{i}"]).abs().max()) for i, output in enumerate(outputs))

for line in sys.stdin:
    folder, load = json.loads(line)
    os.chdir(folder)
    importlib.invalidate_caches()
    before = set(sys.modules)
    try:
        answer = difference(load)
    except BaseException as error:
        answer = f"{type(error).__name__}: {error}"
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(folder):
            del sys.modules[name]  # the next file may have its name
    print(json.dumps(answer), file=answers, flush=True)
"""


class Reader:
    """The other process. It can read several files, for importing torch takes longer than reading one."""

    def __init__(self, asked: IO[str], answers: IO[str]) -> None:
        self._asked, self._answers = asked, answers

    def largest_difference(self, file: Path, load: str, network: nn.Module, inputs: Sequence[Tensor]) -> float:
        """Return how far the outputs of what ``file`` holds are from the network's, at most.

        Args:
            file: just written here.
            load: a line of Python that binds ``network``, run in a folder that holds a copy of the file and the weights
                as ``weights.safetensors``.
            network: in evaluation mode, on the CPU.
            inputs: of the network, one tensor ``[batch, ...]`` each.

        Raises:
            StorageError: the file cannot be used.
        """
        with tempfile.TemporaryDirectory() as name, torch.no_grad():
            folder = Path(name).resolve()
            shutil.copyfile(file, folder / file.name)
            state = {key: tensor.detach().clone().contiguous() for key, tensor in network.state_dict().items()}
            save_file(state, folder / "weights.safetensors")
            outputs = network(*inputs)
            tensors = {f"input{i}": tensor for i, tensor in enumerate(inputs)}
            for i, tensor in enumerate(outputs if isinstance(outputs, tuple) else (outputs,)):
                tensors[f"output{i}"] = tensor.clone().contiguous()  # it may be an input, passed on
            save_file(tensors, folder / "tensors.safetensors")
            answer = self._answer(str(folder), load)
        if isinstance(answer, float):
            return answer
        why = (answer.strip().splitlines() or ["no reason given"])[-1][:200]
        raise StorageError(f"{file}: what was written cannot be used ({why}); use another form of export")

    def _answer(self, folder: str, load: str) -> float | str:
        try:
            self._asked.write(json.dumps([folder, load]) + "\n")
            self._asked.flush()
            line = self._answers.readline()
        except BrokenPipeError:
            line = ""
        answer: float | str = json.loads(line) if line else "the process that read it has ended"
        return answer


@contextmanager
def reading(reader: Reader | None = None) -> Iterator[Reader]:
    """Yield the reader, or if there is none one that is started and ended here."""
    if reader is not None:
        yield reader
        return
    command = [sys.executable, "-c", _PROGRAM]
    with (
        tempfile.TemporaryDirectory() as folder,  # where it stands when the folder of its last file is gone
        subprocess.Popen(
            command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process,
    ):
        assert process.stdin
        assert process.stdout
        yield Reader(process.stdin, process.stdout)
