"""Training sets out of the lake, and the same ones again."""

from collections.abc import Mapping

from feature_store import ModelSpec, Project
from feature_store.offline import AsOf, point_in_time

from training_sets.datasets import Dataset, TableVersion, hash_definition
from training_sets.errors import NotReproduced, UnknownModel
from training_sets.examples import Period, label_examples
from training_sets.lake import EventLake
from training_sets.manifests import Manifest


def find_model(project: Project, name: str) -> ModelSpec:
    """Return the project's model of a name.

    Raises:
        UnknownModel: there is none; the message lists those there are.
    """
    if name not in project.models:
        known = ", ".join(project.models) or "none"
        raise UnknownModel(f"project {project.module} has no model {name!r}; it has {known}")
    return project.models[name]


def build(
    project: Project,
    spec: ModelSpec,
    period: Period,
    lake: EventLake,
    at: Mapping[str, TableVersion] | None = None,
) -> Dataset:
    """Read what a model needs, label its examples and compute their vectors as of each one's own time.

    Args:
        project: Declares the features.
        spec: The model.
        period: Of the requests; its end is also the cut of what was known.
        lake: The events.
        at: By topic, what the lake held at the time to travel to; None for all there is.

    Raises:
        DatasetError: the lake does not hold what is needed.
    """
    contract = project.contract(spec.name)
    views = [view.source for view in contract.views]
    sources = {source.topic: source for source in [*views, spec.examples.source, spec.label.source]}
    then = at or {}
    events = {topic: lake.read(source, period.until_us, then.get(topic)) for topic, source in sources.items()}
    batches = {topic: one.batch for topic, one in events.items()}
    labelled = label_examples(
        spec, batches[spec.examples.source.topic], batches[spec.label.source.topic], period
    )
    vectors = point_in_time(contract, batches, labelled.requests, AsOf())
    versions = {topic: one.table for topic, one in events.items()}
    return Dataset(labelled, vectors, versions, hash_definition(spec, contract, period))


def build_again(project: Project, manifest: Manifest, lake: EventLake) -> Dataset:
    """Build a kept training set once more, from what the lake held then.

    Raises:
        NotReproduced: it came out otherwise; the message says whether the definitions or the data differ.
        DatasetError: the lake does not hold what is needed.
    """
    if manifest.erased:
        raise NotReproduced(
            f"{manifest.name}: rows of erased subjects were taken out of it and of the lake "
            f"({', '.join(manifest.erased)}): what it was cannot be made again; build a new one"
        )
    spec = find_model(project, manifest.model)
    period = Period(manifest.from_us, manifest.until_us)
    definition = hash_definition(spec, project.contract(spec.name), period)
    if definition != manifest.definition:
        raise NotReproduced(
            f"{manifest.name} was built by other definitions ({manifest.definition[:12]}, now "
            f"{definition[:12]}): check out the code it was built with, or build a new one"
        )
    dataset = build(project, spec, period, lake, manifest.sources)
    if hash_of_rows(dataset) != manifest.rows_hash:
        raise NotReproduced(
            f"{manifest.name}: the same definitions give {len(dataset):,} rows that are not its "
            f"{manifest.rows:,}: the lake no longer holds what it held ({_changes(manifest, dataset)})"
        )
    return dataset


def hash_of_rows(dataset: Dataset) -> str:
    """Return the hash of a training set's rows."""
    return str(dataset.describe()["rows"])


def _changes(manifest: Manifest, dataset: Dataset) -> str:
    told = [
        f"{topic}: {kept.rows:,} events then, {dataset.sources[topic].rows:,} now"
        for topic, kept in manifest.sources.items()
    ]
    return "; ".join(told)
