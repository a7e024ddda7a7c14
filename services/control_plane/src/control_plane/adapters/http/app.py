"""The app: endpoints, errors and the description of it all."""

from fastapi import FastAPI

from control_plane.adapters.http import approvals, audit, erasures, errors, models, rollouts, routes
from control_plane.adapters.http.core import Core
from control_plane.adapters.http.limits import BodyLimit
from control_plane.adapters.http.problems import Problem

_MAX_BODY_BYTES = 64 * 1024
_DESCRIPTION = """
The registry of model versions, who may let them answer, and the routes that serve them.

* A **version** is a frozen package. Registering verifies every byte; afterwards it never changes.
* An **approval** is somebody's word, never the registrant's own. No version answers a request without one.
* A **rollout** lets a version take over step by step, as far as the comparisons carry it.
* Whoever changes something says who they are: `Tidemark-Actor`. Every change is in the **audit**.
* A **route** says which version answers and which ones shadow it. A change is announced on
  `tidemark.routes.changed.v1`, where every `inference` replica picks it up.
* Every error is a problem document (RFC 9457, `application/problem+json`). Decide on its `type`.
* Lists come in pages: send a page's `next` as `after`.
"""


def create_app(core: Core) -> FastAPI:
    """Builds the app on its ports."""
    app = FastAPI(
        title="Tidemark control plane",
        version="1",
        description=_DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    app.state.core = core
    app.include_router(models.router)
    app.include_router(routes.router)
    app.include_router(approvals.router)
    app.include_router(rollouts.router)
    app.include_router(erasures.router)
    app.include_router(audit.router)
    app.add_middleware(BodyLimit, max_bytes=_MAX_BODY_BYTES)
    errors.install(app)
    _describe(app)
    return app


def _describe(app: FastAPI) -> None:
    """Adds the schema of problems and takes out the framework's own, which is never answered."""
    document = app.openapi()
    schemas = document["components"]["schemas"]
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs"), Problem=problem)
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
