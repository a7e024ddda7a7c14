"""The client in an environment of its own, with nothing of the platform beside it."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[3]
UV = ROOT / ".tools/bin/uv"
MEMBER = ROOT / "clients/python"
USED = """
from tidemark_client import Client
from tidemark_client.testing import StubServer

with StubServer() as stub, Client(stub.address, timeout_s=20) as client:
    stub.answer("flight-delay", 0.25)
    print(client.score("flight-delay", {"origin": "JFK"}).score)
"""

README = (MEMBER / "README.md").read_text(encoding="utf-8")
SERVED = """
from tidemark_client.testing import StubServer

stub = StubServer()
stub.answer("flight-delay", 0.25)
program = open({program!r}).read()
for name in ("inference:50051", "feature:50052"):
    program = program.replace(name, stub.address)
exec(program.replace("timeout_s=0.3", "timeout_s=60"))
assert len(stub.requests) == 501
assert stub.outcomes[0].request_key == "booking-4711"
stub.close()
"""


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_scores_in_an_empty_environment(tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    python = environment / "bin" / "python"
    run(UV, "venv", "--quiet", "--python", sys.executable, environment)
    run(UV, "pip", "install", "--quiet", "--python", python, MEMBER)
    names = run(UV, "pip", "list", "--quiet", "--python", python, "--format", "freeze").splitlines()
    assert sorted(name.partition("==")[0].partition(" @")[0] for name in names) == [
        "googleapis-common-protos",
        "grpcio",
        "grpcio-health-checking",
        "protobuf",
        "tidemark-client",
        "typing-extensions",
    ]
    assert run(python, "-I", "-c", USED).strip() == "0.25"

    program = tmp_path / "program.py"
    program.write_text(README.partition("```python\n")[2].partition("```")[0], encoding="utf-8")
    assert run(python, "-I", "-c", SERVED.format(program=str(program))) == "0.25 stub\n"
    mypy = Path(sys.executable).with_name("mypy")
    run(mypy, "--config-file=", "--strict", "--python-executable", python, program)


def test_a_wheel_made_of_the_source_distribution_holds_the_same(tmp_path: Path) -> None:
    run(UV, "build", "--quiet", "--out-dir", tmp_path, MEMBER)
    (wheel,) = tmp_path.glob("*.whl")
    (source,) = tmp_path.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as held:
        names = set(held.namelist())
    assert {name.partition("/")[0] for name in names if ".dist-info" not in name} == {
        "tidemark",
        "tidemark_client",
    }
    assert "tidemark_client/py.typed" in names
    assert {
        name.split("/")[1] for name in names if name.startswith("tidemark/") and name.endswith("_pb2.py")
    } == {"common", "features", "outcomes", "scoring"}
    assert not [name for name in names if "__pycache__" in name]
    with tarfile.open(source) as held_too:
        assert any(name.endswith("contracts/scoring/v1/output_pb2.py") for name in held_too.getnames())
