"""ONNX Runtime sessions as everything here opens them."""

import onnxruntime as ort

from model_package.errors import UnusableModel


def open_session(graph: bytes, what: str) -> ort.InferenceSession:
    """A session of one thread that does not spin.

    Raises:
        UnusableModel: The graph cannot be loaded; the message calls it `what`.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own classes share no public base
        raise UnusableModel(f"{what} cannot be loaded: {error}") from error
