"""Of more models than may be loaded at once, each answers whenever it is asked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
from inference_kit.asking import score
from inference_kit.planes import follow
from inference_kit.stock import DURABLE_MODEL, MODEL, SAMPLED_MODEL, STRICT_MODEL, question
from model_package import Background

if TYPE_CHECKING:
    from inference_kit.starting import StartPlane

MODELS = (MODEL, DURABLE_MODEL, STRICT_MODEL, SAMPLED_MODEL)
# Of each version, of which a plane of 1 MB holds two at most.
BACKGROUND = Background(np.ones((8_000, 7), np.float32))


async def test_of_more_models_than_may_be_loaded_each_answers(start_one: StartPlane) -> None:
    async with start_one(model_memory_mb=1) as plane:
        versions = {
            model: plane.stock.version(model=model, bias=float(number), background=BACKGROUND)
            for number, model in enumerate(MODELS)
        }
        for model, version in versions.items():
            await follow(plane, plane.stock.route(version, model=model))

        in_turns = [await score(plane, question(model=model)) for model in MODELS * 3]
        together = await asyncio.gather(*[score(plane, question(model=model)) for model in MODELS * 3])

        for answer in (*in_turns, *together):
            assert answer.version == versions[answer.model].version
        assert [one.score for one in in_turns] == [one.score for one in together]
        assert len({one.score for one in in_turns}) == len(MODELS)
