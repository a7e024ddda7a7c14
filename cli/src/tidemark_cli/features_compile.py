"""`tidemark features compile`: a project as a data plane without Python is given it."""

from pathlib import Path
from typing import Annotated

import typer

from tidemark_cli.failures import Failure
from tidemark_cli.options import AsJson, Project
from tidemark_cli.output import print_json, say
from tidemark_cli.projects import project_named


def compile_features(
    *,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the files are written.")],
    project: Project = None,
    as_json: AsJson = False,
) -> None:
    """Write what a data plane in any language needs to know of a project.

    `contract.json` says what is to be known of each model; a graph for each
    contract assembles its vectors from rows (docs/data-plane.md).

    For example:

        tidemark features compile --out build/contract --project examples.flights
    """
    # What writes graphs takes a second to import: other commands shall not wait for it.
    from feature_store.onnx_graph import compile_project  # noqa: PLC0415

    files = compile_project(project_named(project))
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (out / name).write_bytes(content)
    except OSError as error:
        raise Failure(f"{out} cannot be written: {error.strerror}") from error
    if as_json:
        print_json({"written": [str(out / name) for name in sorted(files)]})
    else:
        say(f"{len(files)} files are written to {out}.")
