"""Which models are warm, who was asked for last, and who goes when there is no room for all."""

from __future__ import annotations

from collections import OrderedDict


class WarmModels:
    """Warm models in the order in which they were last asked for, and what each takes.

    Args:
        budget_bytes: What all together may take. The one that was warmed last stays, whatever it takes.
    """

    def __init__(self, budget_bytes: int) -> None:
        self._budget_bytes = budget_bytes
        self._bytes: OrderedDict[str, int] = OrderedDict()

    @property
    def total_bytes(self) -> int:
        """What they take together."""
        return sum(self._bytes.values())

    def warmed(self, model: str, size_bytes: int) -> list[str]:
        """Count a model in, asked for last, and return who must go, who was not asked for longest first."""
        self._bytes[model] = size_bytes
        self._bytes.move_to_end(model)
        surplus = self.total_bytes - self._budget_bytes
        going = []
        for other, size in self._bytes.items():
            if surplus <= 0 or other == model:
                break
            going.append(other)
            surplus -= size
        return going

    def asked(self, model: str) -> None:
        """Note that a model was asked for; one that is not warm is not counted in."""
        if model in self._bytes:
            self._bytes.move_to_end(model)

    def gone(self, model: str) -> None:
        """Count a model out."""
        self._bytes.pop(model, None)
