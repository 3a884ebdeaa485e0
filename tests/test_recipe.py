"""Recipes are plain data with sensible bounds."""

import dataclasses
import json

import pytest

from genrestore.errors import TrainingError
from genrestore.recipe import DECAY, RunRecipe, TrainRecipe


def test_json_round_trip() -> None:
    recipe = TrainRecipe(model="m", augment=("mirror", "turn"), betas=(0.5, 0.9))
    assert TrainRecipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe
    run = RunRecipe("upscale", "span-x4", "ab", {"scale": 4}, 0, "cd", "0.1.0")
    assert RunRecipe(**json.loads(json.dumps(run.to_json()))) == run


def test_an_unknown_setting_is_named() -> None:
    with pytest.raises(TrainingError, match="momentum"):
        TrainRecipe.from_json({"momentum": 0.9})


@pytest.mark.parametrize(
    "change",
    [
        {"steps": 0},
        {"batch": -1},
        {"crops": 0},
        {"lr": 0.0},
        {"lr": float("nan")},
        {"ema": 1.0},
        {"schedule": "saw"},
        {"precision": "int1"},
    ],
)
def test_out_of_range(change: dict[str, object]) -> None:
    with pytest.raises(TrainingError, match=next(iter(change))):
        dataclasses.replace(TrainRecipe(), **change)  # type: ignore[arg-type]


def test_schedules() -> None:
    flat = TrainRecipe(steps=100, warmup=10)
    assert [flat.rate(step) for step in (0, 4, 9, 99)] == pytest.approx([0.1, 0.5, 1, 1])
    cosine = TrainRecipe(steps=100, schedule="cosine")
    assert [cosine.rate(step) for step in (0, 50, 100)] == pytest.approx([1, 0.5, 0])
    trapezoid = TrainRecipe(steps=100, schedule="trapezoid")
    assert [trapezoid.rate(step) for step in (0, 79, 80, 90, 100)] == pytest.approx([1, 1, 1, 0.5, 0])
    later = dataclasses.replace(trapezoid, steps=1000)
    assert all(later.rate(step) == trapezoid.rate(step) for step in range(round(100 * (1 - DECAY)))), (
        "a later end changes nothing before"
    )
