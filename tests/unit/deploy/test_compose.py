"""The compose file says only what is so: it builds what exists and sets what services read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from archiver.settings import ArchiverSettings
from control_plane.settings import Settings as ControlPlaneSettings
from drift_detector.settings import DetectorSettings
from feature.settings import FeatureSettings
from inference.explain.settings import ExplainSettings
from inference.settings import InferenceSettings
from retrain_trigger.settings import TriggerSettings
from shadow_comparator.settings import ComparatorSettings
from trainer.settings import TrainerSettings

if TYPE_CHECKING:
    from service_kit import Settings

ROOT = Path(__file__).parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SETTINGS: dict[str, type[Settings]] = {
    "archiver": ArchiverSettings,
    "control-plane": ControlPlaneSettings,
    "drift-detector": DetectorSettings,
    "feature": FeatureSettings,
    "inference": InferenceSettings,
    "inference-explain": ExplainSettings,
    "inference-shadow": InferenceSettings,
    "inference-stream": InferenceSettings,
    "retrain-trigger": TriggerSettings,
    "shadow-comparator": ComparatorSettings,
    "trainer": TrainerSettings,
}
# Folders and addresses are set for all services at once, by an anchor: each reads those it needs.
SHARED = {"LAKE_URI", "PACKAGES_URI"}


def test_every_service_of_the_platform_is_in_the_file() -> None:
    folders = {path.parent.name.replace("_", "-") for path in (ROOT / "services").glob("*/pyproject.toml")}
    built = {name for name, service in COMPOSE["services"].items() if "build" in service}

    assert built == folders | {"inference-explain", "inference-shadow", "inference-stream"}
    assert built == SETTINGS.keys()


@pytest.mark.parametrize("name", SETTINGS)
def test_a_service_is_built_from_a_file_that_exists(name: str) -> None:
    build = COMPOSE["services"][name]["build"]

    assert (ROOT / build["context"] / build["dockerfile"]).is_file()


@pytest.mark.parametrize("name", SETTINGS)
def test_every_variable_is_one_the_service_reads(name: str) -> None:
    read = {field.upper() for field in SETTINGS[name].model_fields}

    assert set(COMPOSE["services"][name]["environment"]) - SHARED <= read
