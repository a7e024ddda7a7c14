"""What a graph's own inputs and outputs must be, so that vectors can be fed and answers be read."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import onnxruntime as ort

from model_package.declared import DeclaredSignature, GraphInput, ScoreSource
from model_package.errors import UnusableModel
from model_package.feeding import DealtInput, DealtVector, Feed, WholeVector, vocabulary_column
from model_package.signature import DATATYPES, TensorSpec

_ROWS_FIRST: Final = "export it with a first dimension that is free, for the rows"
_NO_ZIPMAP: Final = (
    "answer tensors: convert scikit-learn with to_onnx(..., options={'zipmap': False}), LightGBM with "
    "convert_lightgbm(..., zipmap=False)"
)
_UNDECLARED_WIDTHS: Final = {"score": 1, "probabilities": 2}


def find_whole_vector(session: ort.InferenceSession, what: str, width: int) -> TensorSpec:
    """The one input that takes vectors of a width.

    Raises:
        UnusableModel: The graph has others.
    """
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 2:
        found = ", ".join(f"{i.name}: {i.type} {i.shape}" for i in inputs)
        raise UnusableModel(
            f"{what} must have one input tensor(float) [n, F], has {found}; where features are dealt to "
            "several inputs, or to one of another type, the manifest's signature must say how under inputs"
        )
    _check_rows(inputs[0], what)
    declared = inputs[0].shape[1]
    if isinstance(declared, int) and declared != width:
        raise UnusableModel(f"{what} names {width} features, its model reads {declared}")
    return TensorSpec(str(inputs[0].name), "FP32", (width,))


def find_undeclared_score(session: ort.InferenceSession, what: str) -> tuple[TensorSpec, ScoreSource]:
    """The score of a graph of which no signature says anything: a probability of two classes.

    Raises:
        UnusableModel: It has no output `score` [n, 1] or `probabilities` [n, 2] of floats.
    """
    found = session.get_outputs()
    for output in found:
        width = _UNDECLARED_WIDTHS.get(output.name)
        is_float = output.type in {"tensor(float)", "tensor(double)"}
        if width and is_float and len(output.shape) == 2 and output.shape[1] == width:
            spec = TensorSpec(output.name, DATATYPES[output.type], (width,))
            return spec, ScoreSource(output=output.name, column=width - 1)
    has = ", ".join(f"{output.name}: {output.type} {output.shape}" for output in found)
    hint = f"; {_NO_ZIPMAP}" if any(output.type not in DATATYPES for output in found) else ""
    raise UnusableModel(
        f"{what} must have an output score [n, 1] or probabilities [n, 2], has {has}{hint}; a model of "
        "another kind needs a signature in its manifest"
    )


def bind_inputs(
    session: ort.InferenceSession, what: str, names: Sequence[str], declared: DeclaredSignature
) -> tuple[tuple[TensorSpec, ...], Feed]:
    """The graph's inputs, and what feeds them of vectors of the features named.

    Raises:
        UnusableModel: The graph has other inputs than are declared, or of other types or shapes.
    """
    for given in session.get_inputs():
        _check_rows(given, what)
    if not declared.inputs:
        spec = find_whole_vector(session, what, len(names))
        return (spec,), WholeVector(spec.name)
    of_graph = {given.name: given for given in session.get_inputs()}
    lacking = sorted({given.name for given in declared.inputs} ^ of_graph.keys())
    if lacking:
        raise UnusableModel(
            f"{what} has inputs {sorted(of_graph)}, its signature deals to "
            f"{sorted(given.name for given in declared.inputs)}: {lacking} must be in both"
        )
    specs = [_input_spec(of_graph[given.name], len(given.features), what) for given in declared.inputs]
    places = {name: place for place, name in enumerate(names)}
    dealt = [
        _deal(given, spec, places, declared, what) for given, spec in zip(declared.inputs, specs, strict=True)
    ]
    return tuple(specs), DealtVector(dealt)


def _input_spec(given: ort.NodeArg, columns: int, what: str) -> TensorSpec:
    datatype = DATATYPES.get(given.type)
    said = f"{what} has an input {given.name}: {given.type} {given.shape}"
    if datatype is None:
        raise UnusableModel(f"{said}; inputs may be {', '.join(DATATYPES)}: cast it in the graph")
    is_flat = len(given.shape) == 1
    fits = columns == 1 if is_flat else len(given.shape) == 2 and _is_width(given.shape[1], columns)
    if not fits:
        raise UnusableModel(f"{said}, which {columns} features cannot make up: declare those that it takes")
    return TensorSpec(given.name, datatype, () if is_flat else (columns,))


def _is_width(dimension: object, width: int) -> bool:
    return not isinstance(dimension, int) or dimension == width


def _deal(
    given: GraphInput, spec: TensorSpec, places: Mapping[str, int], declared: DeclaredSignature, what: str
) -> DealtInput:
    columns = []
    for feature in given.features:
        column = vocabulary_column(declared.vocabularies, feature, spec.datatype)
        if column is None:
            raise UnusableModel(
                f"{what} takes feature {feature!r} as a text in input {given.name!r}, but its signature has "
                "no vocabulary that says which: add it under vocabularies"
            )
        columns.append(column)
    return DealtInput(given.name, [places[name] for name in given.features], columns, not spec.shape)


def bind_outputs(
    session: ort.InferenceSession, what: str, declared: DeclaredSignature
) -> tuple[TensorSpec, ...]:
    """The outputs that are answered, in their order.

    Raises:
        UnusableModel: One is not there, no tensor, or not of rows; or the score cannot be made of its output.
    """
    of_graph = {output.name: output for output in session.get_outputs()}
    names = declared.outputs or tuple(of_graph)
    lacking = [name for name in (*names, declared.score.output) if name not in of_graph]
    if lacking:
        raise UnusableModel(f"{what} has outputs {sorted(of_graph)}; its signature names {lacking[0]!r}")
    specs = tuple(_output_spec(of_graph[name], what) for name in names)
    _check_score(next(spec for spec in specs if spec.name == declared.score.output), declared, what)
    return specs


def _output_spec(output: ort.NodeArg, what: str) -> TensorSpec:
    datatype = DATATYPES.get(output.type)
    said = f"{what} has an output {output.name}: {output.type}"
    if datatype is None and not output.type.startswith("tensor("):
        raise UnusableModel(f"{said}, which is no tensor; {_NO_ZIPMAP}")
    if datatype is None:
        raise UnusableModel(f"{said}; outputs may be {', '.join(DATATYPES)}: cast it in the graph")
    # What it says of its rows is not believed: converters write 1 where there are many. It is held to them
    # when it runs.
    shape = (size if isinstance(size, int) else -1 for size in output.shape[1:])
    return TensorSpec(output.name, datatype, tuple(shape))


def _check_rows(tensor: ort.NodeArg, what: str) -> None:
    if tensor.shape and isinstance(tensor.shape[0], int):
        raise UnusableModel(f"{what} has {tensor.name}: {tensor.type} {tensor.shape}; {_ROWS_FIRST}")


def _check_score(spec: TensorSpec, declared: DeclaredSignature, what: str) -> None:
    if spec.datatype in {"BOOL", "BYTES"}:
        raise UnusableModel(
            f"{what} makes its score of {spec.name!r}, which is {spec.datatype}: name an output of numbers"
        )
    if -1 in spec.shape:
        return
    problem = problem_with_width(math.prod(spec.shape), declared)
    if problem:
        raise UnusableModel(f"{what}: {problem}")


def problem_with_width(width: int, declared: DeclaredSignature) -> str:
    """Why no score can be made of so many numbers a row; empty where one can."""
    source, task = declared.score, declared.task
    has = f"output {source.output!r} has {width} numbers a row"
    is_one_of_two = task == "binary" and width == 1
    if declared.classes and len(declared.classes) != width and not is_one_of_two:
        return f"{has} for {len(declared.classes)} classes: name a class a number, in their order"
    if not width or (source.column is not None and source.column >= width):
        return f"{has}, its score is to be number {source.column or 0}, counted from 0"
    if task == "binary" and source.column is None and width > 2:
        return f"{has}, the probabilities of two classes have 2: is it task multiclass?"
    if task in {"regression", "ranking"} and source.column is None and width > 1:
        return f"{has}: say in score.column which of them is the score"
    return ""
