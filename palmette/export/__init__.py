"""Export: what a trained network leaves as. ``result.best.network`` is a plain module already."""

from palmette.export.onnx import export_onnx
from palmette.export.weights import Card, load_weights, read_card, save_weights

__all__ = ["Card", "export_onnx", "load_weights", "read_card", "save_weights"]
