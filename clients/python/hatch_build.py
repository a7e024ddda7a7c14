"""Puts the generated code of the contracts into what is built, so that the client installs alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGES: Final = ("common", "scoring", "features", "outcomes")
"""What the client speaks, and what that imports."""
_IN_THE_SOURCE_DISTRIBUTION: Final = "contracts"


class CarriedContracts(BuildHookInterface):  # type: ignore[misc] # hatchling is there while building alone
    """Adds `tidemark.*` from the repository, or from the source distribution that was made of it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """See hatchling: called before a build, with what it will put in."""
        if version == "editable":
            return  # a checkout has tidemark-contracts beside it
        target = "tidemark" if self.target_name == "wheel" else _IN_THE_SOURCE_DISTRIBUTION
        for package in PACKAGES:
            build_data["force_include"][str(self._contracts() / package)] = f"{target}/{package}"

    def _contracts(self) -> Path:
        carried = Path(self.root) / _IN_THE_SOURCE_DISTRIBUTION
        return carried if carried.exists() else Path(self.root, "../../libs/contracts/src/tidemark").resolve()
