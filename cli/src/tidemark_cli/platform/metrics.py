"""What a process says about itself, read from its Prometheus page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample


@dataclass(frozen=True, slots=True)
class Metrics:
    """The samples of one scrape."""

    samples: Sequence[Sample]

    @classmethod
    def parse(cls, page: str) -> Self:
        """Reads a page in the Prometheus text format."""
        return cls([sample for family in text_string_to_metric_families(page) for sample in family.samples])

    def named(self, name: str, **labels: str) -> list[Sample]:
        """Returns the samples of that full name (with `_total`, `_count`, ...) that have those labels."""
        wanted = labels.items()
        return [sample for sample in self.samples if sample.name == name and wanted <= sample.labels.items()]

    def total(self, name: str, **labels: str) -> float:
        """Returns the sum of those samples; 0 when there is none."""
        return sum(sample.value for sample in self.named(name, **labels))
