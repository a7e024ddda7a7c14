"""Vectors without Python: a contract's assembly as an ONNX graph, and merged in front of a model's.

Needs the `onnx` package (the extra `onnx`), which serving does not: nothing else of the library imports this.
"""

from feature_store.onnx_graph.assembly import METADATA, NotExportable, export_assembly, is_exact
from feature_store.onnx_graph.building import NULL_TEXT
from feature_store.onnx_graph.compiling import compile_project
from feature_store.onnx_graph.feeds import feeds_of
from feature_store.onnx_graph.merging import NotMergeable, merge

__all__ = [
    "METADATA",
    "NULL_TEXT",
    "NotExportable",
    "NotMergeable",
    "compile_project",
    "export_assembly",
    "feeds_of",
    "is_exact",
    "merge",
]
