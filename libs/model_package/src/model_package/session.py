"""ONNX Runtime sessions as everything here opens them."""

from typing import Final

import onnxruntime as ort

from model_package.errors import UnusableModel

_NOWHERE: Final = "/dev/null/external-data"
"""Where weights in other files would be read from: the runtime's own default is the working directory, whose
files no digest covers."""


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
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", _NOWHERE)
    try:
        return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own classes share no public base
        if _NOWHERE in str(error):
            raise UnusableModel(
                f"{what} keeps weights in another file, which no package has: save it whole, as "
                "onnx.save(onnx.load(PATH), PATH) does, or export it so (PyTorch: external_data=False)"
            ) from error
        raise UnusableModel(f"{what} cannot be loaded: {error}") from error
