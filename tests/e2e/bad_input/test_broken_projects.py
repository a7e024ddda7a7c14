"""A project with a mistake in it: every service that loads it says in a line where and what, and ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import pytest
from tidemark_cli.platform import JobFailed, JobSpec, Platform

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NOWHERE: Final = "127.0.0.1:1"
SOUND: Final = """\
from feature_store import Check, Entity, FeatureView, Json, Mean, Source

orders = Source(
    "orders.v1",
    format=Json({"user": "text", "at": "time", "price": "number"}),
    event_time="at",
    checks=[Check.required("user")],
)
user = Entity("user")


class Orders(FeatureView):
    source = orders
    entity = user
    mean_price_1h = Mean("price", window="1h")
"""
PROJECTS: Final = {
    "unclosed": SOUND.replace('Entity("user")', 'Entity("user"'),
    "misspelt": SOUND.replace('Mean("price"', 'Mean("prise"'),
}
TOLD: Final = {
    "unclosed": "{folder}/unclosed.py:9: project unclosed: it is no valid Python: '(' was never closed.",
    "misspelt": "{folder}/misspelt.py:15: Orders.mean_price_1h: field('prise') is not in source orders.v1. "
    "Did you mean 'price'?",
    "absent": "project absent: there is no module 'absent'. Put the folder that holds it on PYTHONPATH, "
    "or correct the name.",
}
LOADERS: Final = {
    "feature": (),
    "archiver": (),
    "inference": (),
    "shadow_comparator": (),
    "trainer": ("train", "any", "--until", "2013-01-01T00:00:00Z"),
}


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    for name, text in PROJECTS.items():
        (tmp_path / f"{name}.py").write_text(text)
    environment = {
        "PYTHONPATH": str(tmp_path),
        "KAFKA_BOOTSTRAP_SERVERS": NOWHERE,
        "LAKE_URI": str(tmp_path / "lake"),
    }
    async with Platform(tmp_path / "logs", environment) as platform:
        yield platform


@pytest.mark.parametrize("project", TOLD)
async def test_every_service_names_the_mistake_in_a_line_and_ends(
    platform: Platform, tmp_path: Path, project: str
) -> None:
    jobs = [
        JobSpec(name, name, arguments, {"TIDEMARK_PROJECT": project}) for name, arguments in LOADERS.items()
    ]

    ends = await asyncio.gather(*(platform.run(job) for job in jobs), return_exceptions=True)

    told = TOLD[project].format(folder=tmp_path)
    for name, end in zip(LOADERS, ends, strict=True):
        assert isinstance(end, JobFailed), f"{name} went on: {end}"
        (line,) = (tmp_path / "logs" / f"{name}.log").read_text().strip().splitlines()
        assert line.endswith(told)
        assert end.exit_code > 0
