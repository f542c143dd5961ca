"""No file is ever loaded in a way that can execute code from it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from conftest import ROOT

FILES = sorted((ROOT / "palmette").rglob("*.py"))
MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
"""Their loading runs what the file says."""
CALLS = {
    *("eval", "exec", "compile", "__import__", "builtins.eval", "builtins.exec"),
    *("torch.load", "torch.jit.load", "torch.hub.load", "torch.package.PackageImporter", "torch.export.load"),
    *("yaml.load", "yaml.unsafe_load", "yaml.full_load", "pandas.read_pickle", "pd.read_pickle"),
}
NUMPY = {"np.load", "numpy.load"}


def faults(code: str) -> Iterator[str]:
    """Yield every way in which the code could run what it reads."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            yield from (f"line {node.lineno}: import {name}" for name in names if name.split(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            wrong = [name for name in names if name.split(".")[0] in MODULES or name in CALLS | {"numpy.load"}]
            yield from (f"line {node.lineno}: from {name}" for name in wrong)
        elif isinstance(node, ast.Call):
            called, options = ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}
            if called in CALLS or (called in NUMPY and options.get("allow_pickle") != "False"):
                yield f"line {node.lineno}: {called}"
            if options.get("allow_pickle", "False") != "False" or options.get("trust_remote_code", "False") != "False":
                yield f"line {node.lineno}: {called} with {options}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_here_can_run_what_it_reads(path: object) -> None:
    assert list(faults(path.read_text())) == []  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "import torch\ntorch.load(path)",
        "torch.load(path, weights_only=True)",
        "from torch import load",
        "np.load(path)",
        "load(path, allow_pickle=True)",
        "from numpy import load",
        "archive.get(name, allow_pickle=True)",
        "eval(text)",
        "exec(text)",
        "yaml.load(file)",
        "load_dataset(name, trust_remote_code=True)",
        "load_dataset(name, trust_remote_code=trusted)",
        "def inner():\n    import joblib",
    ],
)
def test_the_scan_finds_each_way(code: str) -> None:
    assert len(list(faults(code))) == 1


@pytest.mark.parametrize(
    "code", ["np.load(path, allow_pickle=False)", "json.loads(text)", "network.eval()", "re.compile(p)"]
)
def test_the_scan_lets_safe_ways_pass(code: str) -> None:
    assert list(faults(code)) == []
