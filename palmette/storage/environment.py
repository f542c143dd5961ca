"""What a run's numbers depend on beside its configuration: versions, machine, threads, commit."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import torch


def environment(device: torch.device) -> dict[str, str]:
    """Return the facts as text."""
    facts = {
        "palmette": version("palmette"),
        "commit": _commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": version("numpy"),
        "system": platform.platform(),
        "processor": platform.machine(),
        "cores": str(os.cpu_count()),
        "threads": str(torch.get_num_threads()),
        "device": str(device),
    }
    if device.type == "cuda":
        facts["gpu"] = torch.cuda.get_device_name(device)
    return facts


def _commit() -> str:
    """Return the commit of the source tree that runs, or why there is none."""
    tree = Path(__file__).resolve().parents[2]
    if not (tree / ".git").exists():
        return "installed package, no source tree"
    command = ["git", "-C", str(tree), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
