"""Triton's own clients, used as their documentation says, find a plane that they understand."""

import asyncio
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from inference_kit.asking import score
from inference_kit.memory import memory_plane
from inference_kit.planes import follow, is_serving
from inference_kit.stock import MODEL, question
from local_stack.ports import choose
from model_package.testing import logistic_scores

NEWCOMER = Path(__file__).parents[2] / "contract" / "inference" / "kit" / "newcomer.py"


async def test_tritons_clients_are_answered_alike_over_grpc_and_rest(tmp_path: Path) -> None:
    grpc_port, rest_port = choose(2, seed=str(tmp_path))
    async with memory_plane(tmp_path, grpc_port=grpc_port, rest_port=rest_port) as plane:
        await follow(plane, plane.stock.route(plane.stock.version()))
        await plane.apply([{"user": "ann", "item": "tea", "amount": 4.0}])
        await is_serving(plane)
        expected = []
        for user, basket, gift in (("ann", 1.5, True), ("nobody", 2.5, False), ("bob", 3.5, True)):
            asked = question(user, "tea")
            asked.context["basket"].number, asked.context["gift"].flag = basket, gift
            expected.append(await score(plane, asked))

        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(NEWCOMER),
            f"127.0.0.1:{grpc_port}",
            f"127.0.0.1:{rest_port}",
            MODEL,
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()

    assert process.returncode == 0
    over_grpc, over_rest, compressed = json.loads(output)
    assert over_grpc == over_rest
    assert over_grpc["server"] == "tidemark-inference"
    assert {"features", "entity.user", "context.basket"} <= set(over_grpc["inputs"])
    vectors = np.arange(14, dtype=np.float32).reshape(2, 7) / 10
    assert over_grpc["given"] == pytest.approx(logistic_scores(vectors, [0.1] * 7, 0.0).tolist(), abs=1e-6)
    assert compressed == [over_grpc["given"]] * 2
    assert over_grpc["looked_up"] == {
        "scores": [reply.score for reply in expected],
        "ids": [f"newcomer:{row}" for row in range(3)],
        "statuses": [list(reply.feature_statuses) for reply in expected],
    }
    assert "must be [n, 7]" in over_grpc["refused"]
