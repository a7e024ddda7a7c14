"""The catalogue: a project's features as a page for people. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidemark_cli.features_described import Described, describe_project

if TYPE_CHECKING:
    from collections.abc import Iterator

    from feature_store import Project

_UNITS = ((86_400_000_000, "d"), (3_600_000_000, "h"), (60_000_000, "m"), (1_000_000, "s"), (1, "us"))


def duration(us: int) -> str:
    """Return a length of time in the largest unit that it is a whole number of, such as "24h" or "7d"."""
    if us == 86_400_000_000:
        return "24h"
    unit_us, name = next(unit for unit in _UNITS if us % unit[0] == 0)
    return f"{us // unit_us}{name}"


def entity_of(view: Described) -> str:
    """Return a view's entity in words, with what a request gives for it where that is not its name."""
    entity, asked_for = view["entity"], view["asked_for"]
    return entity if asked_for == [entity] else f"{entity} ({', '.join(asked_for)})"


def objective(freshness_us: int | None) -> str:
    """Return how fresh a view is to be."""
    return "no promise" if freshness_us is None else duration(freshness_us)


def catalogue(project: Project, title: str) -> str:
    """Return the page, in Markdown. The same definitions give the same page, to the byte."""
    described = describe_project(project)
    return "\n".join(
        [
            *_head(title, project, described),
            *_views(described),
            *_dimensions(described),
            *_requests(described),
            "",
        ]
    )


def _head(title: str, project: Project, described: Described) -> Iterator[str]:
    yield f"# {title}"
    yield ""
    yield f"Made from the definitions of `{project.module}` by `tidemark features catalogue`; do not edit."
    yield ""
    yield (
        "| view | entity | source | features | row bytes | stale after | readable within "
        "| owner | sensitivity | models |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for name, view in described["views"].items():
        yield _row(
            f"[{name}](#{name})",
            entity_of(view),
            f"`{view['source']}`",
            len(view["features"]),
            view["row"]["bytes"],
            duration(view["ttl_us"]),
            objective(view["freshness_us"]),
            view["owner"] or "nobody named",
            view["sensitivity"] or "none named",
            ", ".join(view["models"]) or "none",
        )
    yield ""


def _views(described: Described) -> Iterator[str]:
    for name, view in described["views"].items():
        yield f"## {name}"
        yield ""
        if view["meaning"]:
            yield view["meaning"].replace("\n", " ")
            yield ""
        yield "| feature | in words | type | window | tiles | without a value | models |"
        yield "|---|---|---|---|---|---|---|"
        for feature, one in view["features"].items():
            yield _row(
                f"`{name}.{feature}`",
                one["words"],
                one["type"],
                duration(one["window_us"]),
                one["tiles"],
                f"{one['default']:g}",
                ", ".join(one["models"]) or "none",
            )
        yield ""


def _dimensions(described: Described) -> Iterator[str]:
    for name, dimension in described["dimensions"].items():
        yield f"## Dimension {name}"
        yield ""
        if dimension["meaning"]:
            yield dimension["meaning"].replace("\n", " ")
            yield ""
        yield f"{dimension['rows']:,} rows by `{dimension['key']}`" + (
            f", each valid from `{dimension['valid_from']}` on." if dimension["valid_from"] else "."
        )
        yield ""
        yield "| attribute | type | SHA-256 of its values |"
        yield "|---|---|---|"
        for attribute, one in dimension["attributes"].items():
            yield _row(f"`{attribute}`", one["type"], f"`{one['sha256'][:16]}`")
        yield ""


def _requests(described: Described) -> Iterator[str]:
    if not described["requests"]:
        return
    yield "## Request-time features"
    yield ""
    yield "| feature | in words | computed from | without a value | models |"
    yield "|---|---|---|---|---|"
    for name, one in described["requests"].items():
        inputs = ", ".join(f"`{given}`" for given in one["inputs"])
        yield _row(
            f"`{name}`", one["words"], inputs, f"{one['default']:g}", ", ".join(one["models"]) or "none"
        )


def _row(*cells: Any) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"
