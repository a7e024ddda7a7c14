"""MLServer and BentoML with the model that ours is measured with: they are given vectors, ours looks them up.

They run in their own environments, which `make bench-peers` makes; without one there are no such rows, and a
word that says so. Where ours runs, they run: the server on the first core, the load on the others. They score
with the same version of ONNX Runtime and log nothing.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from open_inference.v2 import open_inference_grpc_pb2 as oip

from bench.load import a_second, drive, write_requests
from bench.rounds import Rounds
from bench.scoring_servers import OTHER_CORES, SERVER_CORE, tree_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from bench.load import Told
    from bench.store_events import Row

    Vector = NDArray[np.float32]

PEERS: Final = Path(__file__).parent / "peers"
STARTS_WITHIN_S: Final = 60.0
CONCURRENCY: Final = 32


def measure_peers(folder: Path, ours: Callable[[], Told], rounds: int, seconds: float) -> list[Row]:
    """Measure calls a second, with 32 in flight, of ours and of each peer in turns."""
    graph, vectors = tree_model(seed=0)
    model = folder / "model.onnx"
    model.write_bytes(graph)
    options = ("-concurrency", str(CONCURRENCY), "-seconds", str(seconds))
    rows = []
    for peer in (MLSERVER, BENTOML):
        if not is_here(peer.name):
            continue
        requests = write_requests(folder / f"{peer.name}.bin", map(peer.request, vectors))
        with running(folder, peer, model) as address:
            theirs = partial(drive, address, peer.method, requests, OTHER_CORES, *peer.options, *options)
            rows.append(row(peer, ours, theirs, rounds))
    return rows


def row(peer: Peer, ours: Callable[[], Told], theirs: Callable[[], Told], count: int) -> Row:
    """Return our calls a second against a peer's, in rounds that take turns."""
    theirs()
    rounds = Rounds()
    for _ in range(count):
        rounds.add("ours", a_second(ours()))
        rounds.add(peer.described, a_second(theirs()))
    must = (f"ratio >= {peer.least:g}", lambda ratio: ratio >= peer.least)
    return rounds.row(f"scoring.over_{peer.name}", "ours", "1/s", peer.described, must)


def is_here(peer: str) -> bool:
    """Say whether a peer's environment has been made."""
    if not (PEERS / peer / ".venv").exists():
        print(f"no figures of {peer}: `make bench-peers` makes its environment first")
        return False
    return True


def infer_request(vector: Vector) -> bytes:
    """Return a request of one vector, as bytes: the form that costs a server least."""
    tensor = oip.ModelInferRequest.InferInputTensor(name="X", datatype="FP32", shape=[1, len(vector)])
    request = oip.ModelInferRequest(
        model_name="peer", inputs=[tensor], raw_input_contents=[vector.astype("<f4").tobytes()]
    )
    return request.SerializeToString()


def json_request(vector: Vector) -> bytes:
    """Return a request of one vector in BentoML's form."""
    return json.dumps({"vectors": [vector.tolist()]}).encode()


def mlserver_on(port: int) -> dict[str, str]:
    """MLServer without workers of its own, which take half of what it does, and without a line a call."""
    http_port, metrics_port = free_ports(2)
    return {
        "MLSERVER_HOST": "127.0.0.1",
        "MLSERVER_GRPC_PORT": str(port),
        "MLSERVER_HTTP_PORT": str(http_port),
        "MLSERVER_METRICS_PORT": str(metrics_port),
        "MLSERVER_PARALLEL_WORKERS": "0",
        "MLSERVER_DEBUG": "false",
    }


def bentoml_on(port: int) -> dict[str, str]:
    """BentoML without a line a call."""
    return {
        "BENTOML_DO_NOT_TRACK": "true",
        "BENTOML_CONFIG_OPTIONS": "api_server.logging.access.enabled=false",
        "BENTOML_HOST": "127.0.0.1",
        "BENTOML_PORT": str(port),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """How a peer is started and called.

    Attributes:
        least: How many times its calls a second ours must be.
    """

    name: str
    described: str
    command: Sequence[str]
    environment: Callable[[int], dict[str, str]]
    method: str
    request: Callable[[Vector], bytes]
    options: Sequence[str] = ()
    least: float


MLSERVER: Final = Peer(
    name="mlserver",
    described="MLServer 1.7.1 over gRPC, no workers, no features",
    command=("mlserver", "start", "."),
    environment=mlserver_on,
    method="/inference.GRPCInferenceService/ModelInfer",
    request=infer_request,
    least=2.2,
)
BENTOML: Final = Peer(
    name="bentoml",
    described="BentoML 1.4 over REST, one worker, no features",
    command=("bentoml", "serve", "peer:Onnx"),
    environment=bentoml_on,
    method="/predict",
    request=json_request,
    options=("-http",),
    least=4.0,
)


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@contextmanager
def running(folder: Path, peer: Peer, model: Path) -> Iterator[str]:
    """Run a peer on the server's core, with a graph to serve; give its address once it listens."""
    (port,) = free_ports(1)
    home, log = PEERS / peer.name, folder / f"{peer.name}.log"
    scripts = home / ".venv" / "bin"
    environment = {
        **os.environ,
        **peer.environment(port),
        "PEER_MODEL": str(model),
        "PATH": f"{scripts}:{os.environ['PATH']}",
        "PYTHONPATH": str(home),
    }
    pinned = ["taskset", "--cpu-list", str(SERVER_CORE), str(scripts / peer.command[0]), *peer.command[1:]]
    with log.open("wb") as output:
        process = subprocess.Popen(
            pinned, cwd=home, env=environment, stdout=output, stderr=output, start_new_session=True
        )
        try:
            _wait_for(port, process, log)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"the peer did not start: {log.read_text(errors='replace')}")
