"""An ONNX graph on BentoML, as its documentation serves one."""

import os

import bentoml
import numpy as np
import onnxruntime as ort


@bentoml.service(workers=1)
class Onnx:
    """Scores vectors; looks no features up."""

    def __init__(self) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = ort.InferenceSession(os.environ["PEER_MODEL"], options)

    @bentoml.api
    def predict(self, vectors: np.ndarray) -> np.ndarray:
        """Answer with both probabilities."""
        (probabilities,) = self.session.run(["probabilities"], {"X": np.asarray(vectors, np.float32)})
        return probabilities
