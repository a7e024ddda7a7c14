"""One graph from readings to score: an assembly in front of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import onnx
from onnx import compose, helper, version_converter

from feature_store.onnx_graph.assembly import IR_VERSION, METADATA, OPSETS

if TYPE_CHECKING:
    from onnx import ModelProto

_PREFIX: Final = "model."


class NotMergeable(Exception):
    """A model cannot stand behind an assembly."""


def merge(assembly: ModelProto, model: ModelProto) -> ModelProto:
    """Return the graph that computes a vector and scores it.

    Its inputs are the assembly's; its outputs are `values`, `statuses` and the model's.

    Args:
        assembly: What `export_assembly` returned.
        model: With one input, float32[n, F].

    Raises:
        NotMergeable: the model has other inputs, outputs that are called like the assembly's, or operators
            that cannot be carried to the assembly's operator sets.
    """
    if len(model.graph.input) != 1:
        raise NotMergeable(f"the model has {len(model.graph.input)} inputs; one, float32 [n, F], is wanted")
    outputs = [output.name for output in model.graph.output]
    taken = {output.name for output in assembly.graph.output} & set(outputs)
    if taken:
        raise NotMergeable(f"the model's outputs {sorted(taken)} are called like the assembly's")
    try:
        merged = _composed(assembly, _raised(model))
    except Exception as error:
        # The converter and the checker raise classes of their own and RuntimeErrors.
        raise NotMergeable(f"the model cannot be carried to opset {OPSETS['']}: {error}") from error
    return merged


def _raised(model: ModelProto) -> ModelProto:
    """Return the model in the assembly's operator sets, everything in it under names of its own."""
    raised = version_converter.convert_version(model, OPSETS[""])
    del raised.opset_import[:]
    raised.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in OPSETS.items())
    raised.ir_version = IR_VERSION
    prefixed: ModelProto = compose.add_prefix(raised, _PREFIX)
    return prefixed


def _composed(assembly: ModelProto, model: ModelProto) -> ModelProto:
    merged = compose.merge_models(
        assembly,
        model,
        io_map=[("values", model.graph.input[0].name)],
        outputs=[*(output.name for output in assembly.graph.output), *(o.name for o in model.graph.output)],
        producer_name="tidemark",
    )
    for output in merged.graph.output:
        if output.name.startswith(_PREFIX):
            _rename_output(merged, output)
    props = {prop.key: prop.value for prop in assembly.metadata_props}
    helper.set_model_props(merged, {METADATA: props[METADATA]})
    onnx.checker.check_model(merged, full_check=True)
    return merged


def _rename_output(model: ModelProto, output: onnx.ValueInfoProto) -> None:
    name = output.name.removeprefix(_PREFIX)
    model.graph.node.append(helper.make_node("Identity", [output.name], [name]))
    output.name = name
