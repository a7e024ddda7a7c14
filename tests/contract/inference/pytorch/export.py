# /// script
# requires-python = ">=3.11"
# dependencies = ["torch>=2.7", "onnxscript>=0.5", "numpy>=2.2"]
# ///
"""Trains a small PyTorch model, exports it and writes down what PyTorch itself answers: `two_heads.npz`.

PyTorch is gigabytes, so its model is kept here instead of being trained by the tests:

    uv run tests/contract/inference/pytorch/export.py
"""

from pathlib import Path

import numpy as np
import torch

WIDTH = 7
ROWS = (np.random.default_rng(11).random((240, WIDTH)) * 20).astype(np.float32)
WANTED = (ROWS[:, 5] > 10).astype(np.float32)


class TwoHeads(torch.nn.Module):
    """A probability and the embedding that it is computed from."""

    def __init__(self) -> None:
        super().__init__()
        self.body = torch.nn.Linear(WIDTH, 4)
        self.head = torch.nn.Linear(4, 1)

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Answer float32[n, 1] and float32[n, 4]."""
        embedding = torch.tanh(self.body(features / 20))
        return torch.sigmoid(self.head(embedding)), embedding


def trained() -> TwoHeads:
    """Fit a few steps."""
    torch.manual_seed(3)
    model = TwoHeads()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(30):
        optimizer.zero_grad()
        probabilities, _ = model(torch.from_numpy(ROWS))
        torch.nn.functional.binary_cross_entropy(probabilities, torch.from_numpy(WANTED)[:, None]).backward()
        optimizer.step()
    return model.eval()


def main() -> None:
    """Write the file beside this one."""
    model = trained()
    exported = torch.onnx.export(
        model,
        (torch.from_numpy(ROWS[:2]),),
        input_names=["features"],
        output_names=["probability", "embedding"],
        dynamic_shapes={"features": {0: torch.export.Dim("rows")}},
        dynamo=True,
        verbose=False,
    )
    probability, embedding = (output.detach().numpy() for output in model(torch.from_numpy(ROWS)))
    weights = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    np.savez_compressed(
        Path(__file__).with_name("two_heads.npz"),
        graph=np.frombuffer(exported.model_proto.SerializeToString(), np.uint8),
        vectors=ROWS,
        probability=probability,
        embedding=embedding,
        version=np.array(torch.__version__),
        **weights,
    )


if __name__ == "__main__":
    main()
