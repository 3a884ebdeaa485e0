"""Recipes are plain data with sensible bounds."""

import dataclasses
import json
from typing import Any

import pytest
import torch

import genrestore
from genrestore.errors import SettingError, TrainingError
from genrestore.licences import LICENCES, licence_named, licence_told
from genrestore.nets import losses
from genrestore.recipe import RunRecipe, TrainRecipe, changed
from genrestore.setting import named


def test_json_round_trip() -> None:
    recipe = TrainRecipe(model="m", augment=("mirror", "turn"), betas=(0.5, 0.9))
    assert TrainRecipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe
    run = RunRecipe("upscale", "span-x4", "ab", {"scale": 4}, 0, "cd", "0.1.0")
    assert RunRecipe(**json.loads(json.dumps(run.to_json()))) == run


def test_an_unknown_setting_is_named() -> None:
    with pytest.raises(TrainingError, match="nesterov"):
        TrainRecipe.from_json({"nesterov": 0.9})


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
        {"optimizer": "lion"},
        {"dropout": 1.0},
        {"holdout": -0.1},
        {"minutes": float("nan")},
        {"drop": 0.0},
        {"betas": (0.9, 1.0)},
        {"leave_out": ("ugly",)},
        {"folds": 1},
        {"fold": 3, "folds": 3},
        {"folds": 3, "holdout": 0.1},
        {"patience": 2},
        {"betas": ()},
        {"seed": 1 << 32},
        {"seed": -(1 << 31) - 1},
        {"seed": 10**30},
        {"steps": 10**400},
        {"steps": 5.5},
        {"steps": None},
        {"batch": True},
        {"minutes": float("inf")},
        {"until": float("nan")},
        {"lr": [1]},
        {"augment": (1,)},
        {"model": {}},
        {"compile": 1},
    ],
    ids=str,
)
def test_out_of_range(change: dict[str, object]) -> None:
    with pytest.raises(TrainingError, match=next(iter(change))):
        dataclasses.replace(TrainRecipe(), **change)  # type: ignore[arg-type]


def test_schedules() -> None:
    flat = TrainRecipe(steps=100, warmup=10)
    assert [flat.rate(step) for step in (0, 4, 9, 99)] == pytest.approx([0.1, 0.5, 1, 1])
    stairs = TrainRecipe(steps=100, schedule="step", drop_every=40, drop=0.5)
    assert [stairs.rate(step) for step in (0, 39, 40, 79, 80)] == pytest.approx([1, 1, 0.5, 0.5, 0.25])
    thirds = TrainRecipe(steps=90, schedule="step")
    assert [thirds.rate(step) for step in (29, 30, 60)] == pytest.approx([1, 0.1, 0.01])
    cosine = TrainRecipe(steps=100, schedule="cosine")
    assert [cosine.rate(step) for step in (0, 50, 100)] == pytest.approx([1, 0.5, 0])
    trapezoid = TrainRecipe(steps=100, schedule="trapezoid")
    assert [trapezoid.rate(step) for step in (0, 79, 80, 90, 100)] == pytest.approx([1, 1, 1, 0.5, 0])
    later = dataclasses.replace(trapezoid, steps=1000)
    assert all(later.rate(step) == trapezoid.rate(step) for step in range(round(100 * (1 - trapezoid.decay)))), (
        "a later end changes nothing before"
    )
    shorter = dataclasses.replace(trapezoid, decay=0.1)
    assert [shorter.rate(step) for step in (80, 90, 95)] == pytest.approx([1, 1, 0.5])


def test_what_was_done_can_be_done_again() -> None:
    """A decaying run that was stopped keeps its schedule; what ended it early is replaced by the step at which it did."""
    begun = TrainRecipe(steps=100, schedule="trapezoid", minutes=5.0, until=0.1)
    again = begun.done(30)
    assert (again.steps, again.stop, again.last, again.minutes, again.until) == (100, 30, 30, 0.0, 0.0)
    assert [again.rate(step) for step in range(30)] == [begun.rate(step) for step in range(30)]
    assert begun.done(100).last == 100 and begun.done(100).stop == 0
    assert TrainRecipe(steps=100).done(30).steps == 30
    assert again.done(20).last == 20


def test_kl_weight_rises() -> None:
    kl = TrainRecipe(own={"beta": 2.0, "beta_warmup": 10}).part(losses.KL)
    assert [float(kl.weight(torch.tensor(step))) for step in (0, 4, 9, 99)] == pytest.approx([0.2, 1.0, 2.0, 2.0])
    assert losses.KL(beta=2.0).weight(torch.tensor(0)) == 2.0


def test_what_a_model_adds_is_checked_as_its_own_fields() -> None:
    recipe = changed(TrainRecipe(model="vae"), {"beta": "0.5", "steps": "7"}, losses.KL)
    assert recipe.part(losses.KL) == losses.KL(beta=0.5) and recipe.steps == 7
    assert TrainRecipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe
    with pytest.raises(TrainingError, match="beta must be at least 0"):
        changed(TrainRecipe(), {"beta": -1}, losses.KL)
    with pytest.raises(TrainingError, match="There is no setting named 'r1'"):
        changed(TrainRecipe(), {"r1": 1}, losses.KL)
    with pytest.raises(TrainingError, match="vae takes no r1; it takes beta, beta_warmup"):
        TrainRecipe(model="vae", own={"r1": 1.0}).part(losses.KL)


def test_texts_are_read_as_the_type_of_their_field() -> None:
    pairs = ["steps=1_000", "lr = 1e-3", "weight-decay=0.1", "compile=yes", "augment=mirror, turn", "betas=0.5,0.9"]
    recipe = changed(TrainRecipe(), {**named(pairs, "lr=0.001"), "seed": 4})
    assert recipe.seed == 4 and recipe.batch == TrainRecipe().batch
    assert (recipe.steps, recipe.lr, recipe.weight_decay, recipe.compile) == (1000, 1e-3, 0.1, True)
    assert recipe.augment == ("mirror", "turn") and recipe.betas == (0.5, 0.9)
    assert changed(recipe, {"augment": ""}).augment == ()
    assert changed(recipe, {"steps": 5}).steps == 5
    read = TrainRecipe.from_json({"steps": "1,000", "betas": [0.5, "0.9"], "augment": "mirror", "minutes": 3})
    assert (read.steps, read.betas, read.augment, read.minutes) == (1000, (0.5, 0.9), ("mirror",), 3.0)
    assert isinstance(read.minutes, float)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"step": "5"}, "Did you mean 'steps'"),
        ({"steps": "5.5"}, "steps must be a whole number, not '5.5'"),
        ({"steps": 1 << 63}, "steps must be a whole number"),
        ({"lr": "small"}, "lr must be a number, not 'small'"),
        ({"compile": "perhaps"}, "compile must be true or false, not 'perhaps'"),
        ({"betas": "a,b"}, "betas must be numbers between commas, not 'a,b'"),
        ({"augment": 3}, "augment must be words between commas, not 3"),
        ({"augment": ["mirror", 3]}, "augment must be words between commas"),
    ],
)
def test_wrong_settings_are_named(setting: dict[str, Any], says: str) -> None:
    with pytest.raises(TrainingError, match=says):
        changed(TrainRecipe(), dict(setting))
    with pytest.raises(SettingError, match="NAME=VALUE"):
        named(["lr"], "lr=0.001")


def test_licences() -> None:
    assert [licence_named(known.lower()) for known in LICENCES] == list(LICENCES)
    assert licence_named(" other:  by the museum ") == "other: by the museum"
    for wrong, says in (
        ("", "own if they are yours"),
        ("CC-BY-SA-4", "CC-BY-SA-4.0"),
        ("free", "Known are"),
        ("other:", "'other"),
    ):
        with pytest.raises(TrainingError, match=says):
            licence_named(wrong)


def test_a_licence_in_words_is_told_in_its_words() -> None:
    """`other:` is how one is written, and nothing that a card's reader should see."""
    assert licence_told(licence_named("Other:  my own terms")) == "my own terms"
    assert licence_told(licence_named("cc0-1.0")) == "CC0-1.0"
    assert all("other:" not in card.license for card in genrestore.list_models())
