"""MLServer and BentoML with the model that ours is measured with: they are given vectors, ours looks them up.

They run in their own environments, which `make bench-peers` makes; without one there are no such rows, and a
word that says so. Where ours runs, they run. They score with the same version of ONNX Runtime, and log
nothing.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from open_inference.v2 import open_inference_grpc_pb2 as oip

from bench.figures import Claim, unmeasured
from bench.load import a_second, write_requests
from bench.placement import APART
from bench.rounds import Rounds
from bench.scoring_calls import CONCURRENCY, ROUNDS, SCORE
from bench.scoring_servers import Server, tree_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from bench.figures import Row
    from bench.scoring_calls import Subject

    Vector = NDArray[np.float32]

PEERS: Final = Path(__file__).parent / "peers"
STARTS_WITHIN_S: Final = 180.0


def measure_peers(subject: Subject) -> list[Row]:
    """Measure calls a second, with 32 in flight, of ours and of each peer in turns."""
    graph, vectors = tree_model(seed=0)
    model = subject.folder / "model.onnx"
    model.write_bytes(graph)
    rows = []
    for peer in (MLSERVER, BENTOML):
        if not is_here(peer.name):
            continue
        requests = write_requests(subject.folder / f"{peer.name}.bin", map(peer.request, vectors))
        try:
            with running(subject, peer, model) as server:
                rows.append(row(subject, peer, server, requests))
        except RuntimeError as error:  # ours was measured, whatever became of a peer
            rows.append(unmeasured(*_figure(subject, peer), str(error)))
    return rows


def _figure(subject: Subject, peer: Peer) -> tuple[str, str, Claim | None]:
    claim = peer.claim if subject.placement == APART else None
    return f"scoring.over_{peer.name}{subject.placement.suffix}", "1/s", claim


def row(subject: Subject, peer: Peer, server: Server, requests: Path) -> Row:
    """Return our calls a second against a peer's, in rounds that take turns."""
    one = subject.folder / "one.bin"

    def theirs() -> float:
        return a_second(subject.call(server, peer.method, requests, CONCURRENCY, *peer.options))

    theirs()
    versions, rounds = versions_of(peer.name), Rounds()
    described = f"{peer.described} ({told(versions, peer.shown)})"
    for _ in range(ROUNDS):
        rounds.add("ours", a_second(subject.call(subject.scoring, SCORE, one, CONCURRENCY)))
        rounds.add(described, theirs())
    name, unit, claim = _figure(subject, peer)
    return rounds.against(name, "ours", unit, described, claim) | {"versions": versions}


def is_here(peer: str) -> bool:
    """Say whether a peer's environment has been made."""
    if not (PEERS / peer / ".venv" / "versions.txt").exists():
        print(f"no figures of {peer}: `make bench-peers` makes its environment first")
        return False
    return True


def versions_of(peer: str) -> dict[str, str]:
    """Return the versions of all that a peer's environment holds, as they were recorded when it was made."""
    lines = (PEERS / peer / ".venv" / "versions.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==", 1) for line in lines if "==" in line)


def told(versions: dict[str, str], shown: Sequence[str]) -> str:
    """Return some of them as a table shows them."""
    return ", ".join(f"{name} {versions.get(name, 'missing')}" for name in shown)


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
        shown: The packages whose versions the table names.
        claim: How many times its calls a second ours must be.
    """

    name: str
    described: str
    command: Sequence[str]
    environment: Callable[[int], dict[str, str]]
    method: str
    request: Callable[[Vector], bytes]
    options: Sequence[str] = ()
    shown: Sequence[str]
    claim: Claim


MLSERVER: Final = Peer(
    name="mlserver",
    described="MLServer over gRPC, no workers, no features",
    command=("mlserver", "start", "."),
    environment=mlserver_on,
    method="/inference.GRPCInferenceService/ModelInfer",
    request=infer_request,
    shown=("mlserver", "onnxruntime", "uvloop"),
    claim=Claim(">=", 2.2, aim=3),
)
BENTOML: Final = Peer(
    name="bentoml",
    described="BentoML over REST, one worker, no features",
    command=("bentoml", "serve", "peer:Onnx"),
    environment=bentoml_on,
    method="/predict",
    request=json_request,
    options=("-http",),
    shown=("bentoml", "onnxruntime"),
    claim=Claim(">=", 4, aim=6),
)


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@contextmanager
def running(subject: Subject, peer: Peer, model: Path) -> Iterator[Server]:
    """Run a peer on the server's cores, with a graph to serve, until the block ends; it listens by then."""
    (port,) = free_ports(1)
    home, log = PEERS / peer.name, subject.folder / f"{peer.name}.log"
    scripts = home / ".venv" / "bin"
    environment = {
        **os.environ,
        **peer.environment(port),
        "PEER_MODEL": str(model),
        "PATH": f"{scripts}:{os.environ['PATH']}",
        "PYTHONPATH": str(home),
    }
    cores = ",".join(map(str, sorted(subject.placement.server)))
    pinned = ["taskset", "--cpu-list", cores, str(scripts / peer.command[0]), *peer.command[1:]]
    with log.open("wb") as output:
        process = subprocess.Popen(
            pinned, cwd=home, env=environment, stdout=output, stderr=output, start_new_session=True
        )
        try:
            _wait_for(port, process, log)
            yield Server(f"127.0.0.1:{port}", process.pid)
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
    said = log.read_text(errors="replace")[-500:]
    raise RuntimeError(f"{log.stem} did not listen within {STARTS_WITHIN_S:.0f} s: {said!r}")
