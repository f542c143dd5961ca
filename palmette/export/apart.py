"""A second opinion on an exported file: another process, in which palmette cannot be imported, runs it.

So a file is judged as its reader will use it, and nothing that was read from a file runs in this process.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from palmette.errors import StorageError

_PROGRAM = """
import sys, warnings
warnings.simplefilter("ignore")
sys.modules["palmette"] = None
import torch
from safetensors.torch import load_file
{load}
tensors = load_file("tensors.safetensors")
with torch.no_grad():
    outputs = network(*[tensors[f"input{{i}}"] for i in range({inputs})])
outputs = outputs if isinstance(outputs, tuple) else (outputs,)
print(max(float((output - tensors[f"output{{i}}"]).abs().max()) for i, output in enumerate(outputs)))
"""


def largest_difference(file: Path, load: str, network: nn.Module, inputs: Sequence[Tensor]) -> float:
    """Return how far the outputs of what ``file`` holds are from the network's, at most.

    Args:
        file: just written here.
        load: a line of Python that binds ``network``, run in a folder that holds a copy of the file and the weights as
            ``weights.safetensors``.
        network: in evaluation mode, on the CPU.
        inputs: of the network, one tensor ``[batch, ...]`` each.

    Raises:
        StorageError: the file cannot be used.
    """
    with tempfile.TemporaryDirectory() as name, torch.no_grad():
        folder = Path(name)
        (folder / file.name).write_bytes(file.read_bytes())
        state = {key: tensor.detach().clone().contiguous() for key, tensor in network.state_dict().items()}
        save_file(state, folder / "weights.safetensors")
        outputs = network(*inputs)
        tensors = {f"input{i}": tensor for i, tensor in enumerate(inputs)}
        for i, tensor in enumerate(outputs if isinstance(outputs, tuple) else (outputs,)):
            tensors[f"output{i}"] = tensor.contiguous()
        save_file(tensors, folder / "tensors.safetensors")
        command = [sys.executable, "-c", _PROGRAM.format(load=load, inputs=len(inputs))]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["no reason given"])[-1][:200]
        raise StorageError(f"{file}: what was written cannot be used ({why}); use another form of export")
    return float(done.stdout)
