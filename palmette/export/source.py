"""Source: a network as one readable Python file that imports torch and nothing else.

PyTorch's own layers say in their ``repr`` how they are made; blocks of this package and of the user are traced with
``torch.fx``, which gives the text of their ``forward``. The file is run before it is trusted: the network it builds
must take the weights and give the same outputs.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, fx, nn

from palmette.errors import PalmetteError
from palmette.export.apart import Reader, reading
from palmette.export.checked import write_checked
from palmette.export.example import portable
from palmette.export.weights import Card
from palmette.storage.atomic import write_text

TOLERANCE = 1e-5
"""Largest absolute difference of an output that counts as equal, in single precision."""
LINE = 110
"""Characters of a line of the file, where an expression can be broken."""
SQUARE = ("kernel_size", "stride", "padding", "dilation", "output_size")
"""Arguments of which ``(3, 3)`` is written 3."""
MOST_VALUES = 64
"""Elements of a constant tensor that are written out."""


def export_source(
    network: nn.Module, path: Path, card: Card, *, about: str = "", reader: Reader | None = None
) -> float:
    """Write the network as a Python file, and return the largest difference of the outputs of what it builds.

    Args:
        network: plain, as ``Space.extract`` returns it; it is left as it is.
        path: the ``.py`` file to write, of a name that Python can import; its ``load`` reads a safetensors file.
        card: what the network was trained on.
        about: lines for the file's docstring.
        reader: what checks the file; by default one is started for it.

    Raises:
        PalmetteError: a layer whose making cannot be told, or a file name that cannot be imported.
        StorageError: what the file builds differs from the network, or the file cannot be written.
    """
    if not path.stem.isidentifier():
        raise PalmetteError(f"{path}: Python cannot import a file of that name; give one such as network.py")
    leaving = portable(network, card.input_shape)
    told = leaving.network if card.is_text else network  # a copy of a traced block forgets the name of its class
    text = python_source(told, card, about=about)

    def check(part: Path) -> float:
        write_text(part, text)
        load = f"from {part.stem} import load; network = load('weights.safetensors')"
        with reading(reader) as process:
            return process.largest_difference(part, load, leaving.network, leaving.example(2))

    cure = "export it as ONNX or as a program instead"
    return write_checked(path, f"{path.stem}_part.py", check, tolerance=TOLERANCE, cure=cure)


def python_source(network: nn.Module, card: Card, *, about: str = "") -> str:
    """Return the text of the file; ``build()`` makes the network, ``load(path)`` gives it its weights.

    Raises:
        PalmetteError: a layer whose making cannot be told.
    """
    writer = _Writer()
    body = writer.expression(network, "network", indent=4)
    docstring = textwrap.indent(about.strip() or "A network.", "").replace('"""', "'''").replace("\\", "/")
    return _FILE.format(
        about=docstring,
        parts=_PARTS if writer.classes or writer.holds_parts else "",
        classes="".join(writer.classes.values()),
        body=body,
        constants="" if card.is_text else _constants(card),
        use=_TEXT if card.is_text else _IMAGES,
        example="logits, hidden = network(tokens, hidden)" if card.is_text else "network(normalised(images))",
    )


def _constants(card: Card) -> str:
    facts = {"CLASSES": card.classes, "INPUT_SHAPE": card.input_shape, "MEAN": card.mean, "STD": card.std}
    return "".join(f"{name} = {tuple(value)!r}\n" for name, value in facts.items())


class _Writer:
    """Turns modules into expressions and collects the classes they need."""

    def __init__(self) -> None:
        self.classes: dict[tuple[str, str], str] = {}
        self.names: dict[tuple[str, str], str] = {}
        self.holds_parts = False

    def expression(self, module: nn.Module, name: str, *, indent: int) -> str:
        """Return what makes the module; ``name`` is where it stands, for messages."""
        if type(module) is nn.Sequential and list(module._modules) == [str(i) for i in range(len(module))]:
            return self._call("nn.Sequential", [("", child) for child in module], name, indent)
        if type(module) in (nn.ModuleList, nn.Sequential, nn.ModuleDict, nn.Module):
            return self._parts(module, name, indent)
        if isinstance(module, fx.GraphModule):
            return self._block(module, name, indent)
        if type(module).__module__.startswith("torch.nn.modules.") and not list(module.children()):
            return _layer(module, name)
        return self._block(_traced(module, name), name, indent)

    def _block(self, module: fx.GraphModule, name: str, indent: int) -> str:
        kind = re.sub(r"\W", "", type(module).__name__) or "Block"
        forward = _forward(module)
        key = (kind, forward)
        if key not in self.names:
            same = sum(1 for other, _ in self.names if other == kind)
            self.names[key] = kind if not same else f"{kind}{same + 1}"
            self.classes[key] = f"\n\nclass {self.names[key]}(Parts):\n{textwrap.indent(forward, '    ')}\n"
        return self._call(self.names[key], _parts_of(module), name, indent)

    def _parts(self, module: nn.Module, name: str, indent: int) -> str:
        self.holds_parts = True
        parts = _parts_of(module)
        if parts and [key for key, _ in parts] == [str(i) for i in range(len(module._modules))]:
            return self._call("nn.ModuleList", [("", child) for _, child in parts], name, indent)
        return self._call("Parts", parts, name, indent)

    def _call(self, function: str, parts: Sequence[tuple[str, Any]], name: str, indent: int) -> str:
        values = [
            value if isinstance(value, str) else self.expression(value, f"{name}.{key or i}", indent=indent + 4)
            for i, (key, value) in enumerate(parts)
        ]
        opened, closed, form = "(", ")", "{}="
        if function == "nn.ModuleList":
            opened, closed = "([", "])"
        elif not all(key.isidentifier() for key, _ in parts if key):
            opened, closed, form = "(**{", "})", '"{}": '
        inner = [(form.format(key) if key else "") + value for (key, _), value in zip(parts, values, strict=True)]
        short = f"{function}{opened}{', '.join(inner)}{closed}"
        if "\n" not in short and len(short) + indent <= LINE:
            return short
        pad = " " * (indent + 4)
        return f"{function}{opened}\n" + "".join(f"{pad}{part},\n" for part in inner) + " " * indent + closed


def _parts_of(module: nn.Module) -> list[tuple[str, Any]]:
    """Return the module's own parameters and buffers as expressions, and its children as they are, by name."""
    parts: list[tuple[str, Any]] = [
        (key, f"nn.Parameter(torch.empty({', '.join(map(str, tensor.shape)) or '()'}))")
        for key, tensor in module.named_parameters(recurse=False)
    ]
    for key, tensor in module.named_buffers(recurse=False):
        kept = key not in module._non_persistent_buffers_set
        parts.append((key, f"nn.Buffer({_constant(key, tensor)}{'' if kept else ', persistent=False'})"))
    known = {key for key, _ in parts} | set(module._modules)
    parts += [  # constants of a graph are plain attributes
        (key, _constant(key, value))
        for key, value in vars(module).items()
        if isinstance(value, Tensor) and key not in known
    ]
    return parts + list(module.named_children())


def _constant(name: str, tensor: Tensor) -> str:
    if tensor.numel() > MOST_VALUES:
        raise PalmetteError(
            f"{name}: a constant of {tensor.numel()} values is too long for a file; use ONNX or a program"
        )
    return f"torch.tensor({tensor.tolist()!r}, dtype={tensor.dtype})"


class _Tracer(fx.Tracer):
    proxy_buffer_attributes = True  # else a graph holds a buffer as a constant of its own


def _traced(module: nn.Module, name: str) -> fx.GraphModule:
    try:
        traced = fx.GraphModule(module, _Tracer().trace(module), type(module).__name__)
        for part, own in module.named_modules():  # of buffers, a graph module forgets which are not for the file
            if own._non_persistent_buffers_set:
                traced.get_submodule(part)._non_persistent_buffers_set |= own._non_persistent_buffers_set
        return traced
    except Exception as error:  # tracing runs the user's code
        why = " ".join(str(error).split())[:120]
        raise PalmetteError(
            f"{name}: {type(module).__name__} cannot be traced ({why}); use ONNX or a program"
        ) from None


def _forward(module: fx.GraphModule) -> str:
    """Return the text of ``forward`` without fx's clean-up of variables and private annotations."""
    text = module.graph.python_code("self").src
    text = re.sub(r";\s+[\w, =]+ = None", "", text)
    text = re.sub(r"\s*:\s*_?\w*Tensor_?\b", "", text).replace("_Tensor_", "Tensor")
    text = re.sub(r"\s*->\s*\w+\s*:", ":", text)
    function = ast.parse(textwrap.dedent(text)).body[0]
    assert isinstance(function, ast.FunctionDef)
    *before, last = function.body
    end = before[-1] if before else None
    returned = last.value if isinstance(last, ast.Return) else None
    if returned and isinstance(end, ast.Assign) and ast.unparse(end.targets[0]) == ast.unparse(returned):
        function.body = [*before[:-1], ast.Return(end.value)]  # "y = f(x); return y"
    return ast.unparse(ast.fix_missing_locations(_Slices().visit(function)))


class _Slices(ast.NodeTransformer):
    """Writes ``x[slice(None, None, 2)]`` as ``x[::2]``."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        written = [self._written(part) for part in parts]
        node.slice = ast.Tuple(written, ast.Load()) if isinstance(node.slice, ast.Tuple) else written[0]
        return node

    def _written(self, part: ast.expr) -> ast.expr:
        if not isinstance(part, ast.Call) or ast.unparse(part.func) != "slice":
            return part
        ends = [None if ast.unparse(end) == "None" else end for end in part.args]
        return ast.Slice(*ends)


def _layer(module: nn.Module, name: str) -> str:
    """Return what makes one of PyTorch's layers, by its ``repr``, without arguments that are the default."""
    try:
        call = ast.parse(repr(module), mode="eval").body
        assert isinstance(call, ast.Call)
        defaults = {key: p.default for key, p in inspect.signature(type(module)).parameters.items()}
        arguments = [ast.unparse(argument) for argument in call.args]
        for keyword in call.keywords:
            value = _simple(str(keyword.arg), ast.literal_eval(keyword.value))
            if keyword.arg not in defaults or defaults[keyword.arg] != value:
                arguments.append(f"{keyword.arg}={value!r}")
        told = {keyword.arg for keyword in call.keywords} | set(list(defaults)[: len(call.args)])
        arguments += [  # such as the count_include_pad of AvgPool2d, of which its text is silent
            f"{key}={vars(module)[key]!r}"
            for key, default in defaults.items()
            if key not in told
            and isinstance(vars(module).get(key), bool | int | float)
            and vars(module)[key] != default
        ]
    except (SyntaxError, ValueError, AssertionError):
        raise PalmetteError(
            f"{name}: {type(module).__name__} does not say how it is made; use ONNX or a program"
        ) from None
    return f"nn.{type(module).__name__}({', '.join(arguments)})"


def _simple(key: str, value: Any) -> Any:
    same = isinstance(value, tuple) and len(set(value)) == 1
    return value[0] if same and key in SQUARE else value


_PARTS = '''

class Parts(nn.Module):
    """Holds its parts under their names."""

    def __init__(self, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
'''

_FILE = '''"""{about}

Needs torch only: ``network = load("network.safetensors")``, then ``{example}``.
"""

import json

import torch
from torch import nn

{constants}{parts}{classes}

def build():
    """Return the network with weights as PyTorch initialises them."""
    return {body}


def read(path):
    """Return what a safetensors file says of its tensors, and their bytes."""
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        return header, bytearray(file.read())


def load(path):
    """Return the network with the weights of a safetensors file, ready to be used."""
    header, data = read(path)
    types = {{"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}}
    types |= {{"I64": torch.int64, "I32": torch.int32, "U8": torch.uint8, "BOOL": torch.bool}}
    state = {{
        name: torch.frombuffer(data[slice(*entry["data_offsets"])], dtype=types[entry["dtype"]]).reshape(entry["shape"])
        for name, entry in header.items()
        if name != "__metadata__"
    }}
    network = build()
    network.load_state_dict(state)
    return network.eval()

{use}'''

_IMAGES = '''
def normalised(images):
    """Return uint8 images ``[N, C, H, W]`` as the network takes them."""
    shape = (1, -1) + (1,) * (len(INPUT_SHAPE) - 1)
    return (images.float() / 255 - torch.tensor(MEAN).reshape(shape)) / torch.tensor(STD).reshape(shape)
'''

_TEXT = '''
def vocabulary(path):
    """Return the words in the order of their indices, from the file that the network was loaded from."""
    header, _ = read(path)
    return json.loads(header["__metadata__"]["palmette_card"])["classes"]


def follow(network, tokens, hidden=None):
    """Return the scores ``[T, B, words]`` of what follows each of ``tokens`` ``[T, B]``, and the state ``[B, units]``.

    Without a state before them the text begins there.
    """
    hidden = torch.zeros(tokens.shape[1], network.embedding.weight.shape[1]) if hidden is None else hidden
    scores = []
    for words in tokens:
        logits, hidden = network(words, hidden)
        scores.append(logits)
    return torch.stack(scores), hidden
'''
