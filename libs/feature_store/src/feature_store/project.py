"""Loads a project: imports the user's package and collects what it declares."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import traceback
from dataclasses import dataclass
from dataclasses import field as attribute
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from feature_store.contract import Contract
from feature_store.definitions import (
    Derived,
    Dimension,
    Entity,
    FeatureView,
    Label,
    ModelSpec,
    Opaque,
    RequestTime,
    Source,
    View,
)
from feature_store.errors import DefinitionError, Location, did_you_mean
from feature_store.subjects import hashed_entities

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import ModuleType

_STANDARD_LIBRARY: Final = f"{Path(inspect.__file__).parent}{os.sep}"
PARTS: Final = ("features", "labels", "model", "models")
"""The modules of a package that are looked into, beside the package itself. One module will do as well."""

Declared = TypeVar("Declared")
Named = TypeVar("Named", Source, Entity, Dimension, View, RequestTime, Derived | Opaque, Label, ModelSpec)


@dataclass(frozen=True, eq=False)
class Project:
    """Everything a project declares, by name; sources by topic."""

    module: str
    sources: Mapping[str, Source]
    entities: Mapping[str, Entity]
    views: Mapping[str, View]
    requests: Mapping[str, RequestTime]
    labels: Mapping[str, Label]
    models: Mapping[str, ModelSpec]
    derived: Mapping[str, Derived | Opaque] = attribute(default_factory=dict)
    dimensions: Mapping[str, Dimension] = attribute(default_factory=dict)
    hashed_entities: frozenset[str] = frozenset()

    @property
    def is_sensitive(self) -> bool:
        """Whether a source drops or hashes a field: then a key to hash with is needed."""
        return any(source.is_sensitive for source in self.sources.values())

    def contract(self, model: str) -> Contract:
        """Return the contract of a model.

        Raises:
            KeyError: the project has no such model.
        """
        if model not in self.models:
            raise KeyError(f"{self.module} has no model {model!r}. {did_you_mean(model, self.models)}")
        return Contract.of(self.models[model])

    def views_of(self, source: Source) -> tuple[View, ...]:
        """Return the views that keep a source's events."""
        return tuple(view for view in self.views.values() if view.source is source)

    def labels_of(self, source: Source) -> tuple[Label, ...]:
        """Return the labels that a source's events tell."""
        return tuple(label for label in self.labels.values() if label.source is source)


def load_project(module: str) -> Project:
    """Import a project, such as "examples.flights", and return what it declares.

    Raises:
        DefinitionError: the module cannot be imported, or a definition makes no sense.
    """
    declared = [value for part in _modules(module) for value in vars(part).values()]
    if not any(isinstance(value, Source) for value in declared):
        instead = f"Declare it in the package's modules ({', '.join(PARTS)}) or in the one module."
        raise DefinitionError(f"project {module}", "it declares no source", instead=instead)
    views = [value.view for value in declared if _is_view(value)]
    labels = [value for value in declared if isinstance(value, Label)]
    models = [value for value in declared if isinstance(value, ModelSpec)]
    labels += [model.label for model in models]
    sources = [value for value in declared if isinstance(value, Source)]
    sources += [view.source for view in views] + [label.source for label in labels]
    sources += [model.examples.source for model in models]
    entities = [value for value in declared if isinstance(value, Entity)] + [view.entity for view in views]
    features = declared + [one for value in declared if isinstance(value, list) for one in value]
    requests = [value for value in features if isinstance(value, RequestTime)]
    derived = [value for value in features if isinstance(value, Derived | Opaque)]
    return Project(
        module,
        _by_name("topic", sources),
        _by_name("name", entities),
        _by_name("name", views),
        _by_name("name", requests),
        _by_name("name", labels),
        _by_name("name", models),
        _by_name("name", derived),
        _by_name("name", [value for value in declared if isinstance(value, Dimension)]),
        hashed_entities(views, models),
    )


def declared(module: str, part: str, kind: type[Declared]) -> list[Declared]:
    """Return what a part of a project declares of a kind, such as the monitors of "monitors".

    Nothing is declared where the project has no such part. A project that is one module declares it there.

    Raises:
        DefinitionError: the module cannot be imported.
    """
    root = _import(module, module)
    if hasattr(root, "__path__"):
        name = f"{module}.{part}"
        if importlib.util.find_spec(name) is None:
            return []
        root = _import(name, module)
    return [value for value in vars(root).values() if isinstance(value, kind)]


def _is_view(value: object) -> bool:
    return inspect.isclass(value) and issubclass(value, FeatureView) and "view" in vars(value)


def _by_name(attribute: str, values: Iterable[Named]) -> Mapping[str, Named]:
    found: dict[str, Named] = {}
    for value in values:
        name = getattr(value, attribute)
        other = found.setdefault(name, value)
        if other is not value:
            raise DefinitionError(
                f"{type(value).__name__} {name!r}",
                f"its {attribute} is taken by the one at {other.location}",
                instead="Give it another, or remove one of them.",
                at=value.location,
            )
    return found


def _modules(module: str) -> list[ModuleType]:
    root = _import(module, module)
    if not hasattr(root, "__path__"):
        return [root]
    parts = [f"{module}.{part}" for part in PARTS]
    return [root, *(_import(part, module) for part in parts if importlib.util.find_spec(part) is not None)]


def _import(module: str, project: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except DefinitionError:
        raise
    except SyntaxError as error:
        at = Location(error.filename or module, error.lineno or 1)
        raise DefinitionError(f"project {project}", f"it is no valid Python: {error.msg}", at=at) from error
    except Exception as error:
        raise _failed_import(module, project, error) from error


def _failed_import(module: str, project: str, error: Exception) -> DefinitionError:
    if not module:
        instead = "Name a module, such as examples.flights."
        return DefinitionError("project ''", "it has no name", instead=instead)
    if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
        instead = "Put the folder that holds it on PYTHONPATH, or correct the name."
        return DefinitionError(f"project {project}", f"there is no module {error.name!r}", instead=instead)
    problem = f"importing it raised {type(error).__name__}: {error}"
    return DefinitionError(f"project {project}", problem, at=_origin(error))


def _origin(error: BaseException) -> Location | None:
    """Return the line that failed: the last that the user wrote, or else the last of all."""
    trace = traceback.extract_tb(error.__traceback__)
    frames = [frame for frame in trace if not _is_importing(frame.filename)]
    own = [frame for frame in frames if not _is_installed(frame.filename)]
    chosen = (own or frames)[-1:]
    return Location(chosen[0].filename, chosen[0].lineno or 1) if chosen else None


def _is_importing(file: str) -> bool:
    """Is it the import system, or this module that calls it?"""
    return file.startswith("<") or file == __file__ or Path(file).parent.name == "importlib"


def _is_installed(file: str) -> bool:
    """Is it the standard library's or another package's?"""
    return "site-packages" in Path(file).parts or file.startswith(_STANDARD_LIBRARY)
