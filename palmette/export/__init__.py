"""Export: what a trained network leaves as. ``result.best.network`` is a plain module already."""

from palmette.export.onnx import export_onnx
from palmette.export.program import export_program
from palmette.export.source import export_source
from palmette.export.weights import Card, load_weights, read_card, save_weights

__all__ = ["Card", "export_onnx", "export_program", "export_source", "load_weights", "read_card", "save_weights"]
