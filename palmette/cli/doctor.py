"""``palmette doctor``: what is installed, what is missing, what is broken."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from palmette.cli.main import parse

NEEDED = ("torch", "numpy", "scipy", "scikit-learn", "tyro", "rich", "safetensors", "tensorboard", "plotly")
EXTRAS = {
    "datasets": ("datasets", "pillow"),
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "optuna": ("optuna", "optuna-dashboard", "cmaes", "psycopg"),
}
MODULES = {"scikit-learn": "sklearn", "pillow": "PIL", "optuna-dashboard": "optuna_dashboard"}


@dataclass(frozen=True)
class Doctor:
    """Say what is installed, what is missing and how to get it, and what is broken."""


def run(arguments: Sequence[str]) -> None:
    parse(Doctor, arguments, name="doctor")
    for package in NEEDED:
        print(_state(package, "pip install palmette"))
    for extra, packages in EXTRAS.items():
        for package in packages:
            print(_state(package, f"pip install palmette[{extra}]"))
    print(_torchvision())
    print(_devices())


def _state(package: str, cure: str) -> str:
    try:
        importlib.import_module(MODULES.get(package, package))
        return f"ok       {package} {version(package)}"
    except PackageNotFoundError:
        return f"missing  {package}: {cure}"
    except ImportError as error:
        installed = not isinstance(error, ModuleNotFoundError)
        return f"broken   {package}: {error}; reinstall it" if installed else f"missing  {package}: {cure}"


def _torchvision() -> str:
    try:
        importlib.import_module("torchvision")
        return f"ok       torchvision {version('torchvision')} (not needed)"
    except ModuleNotFoundError:
        return "ok       no torchvision (not needed)"
    except Exception as error:  # a mismatch with torch shows as almost any error
        first = str(error).splitlines()[0]
        return f"broken   torchvision does not match torch ({first}); palmette does not need it, other libraries fail"


def _devices() -> str:
    import torch

    threads = f"{os.cpu_count()} cores, {torch.get_num_threads()} threads"
    if not torch.cuda.is_available():
        return f"ok       CPU, {threads}; no GPU: searches of large spaces will take long"
    names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
    return f"ok       GPU {names}; {threads}"
