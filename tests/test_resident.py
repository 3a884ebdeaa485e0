"""Batches made where the pictures lie: the same as those of `dataset.batch`."""

import dataclasses

import numpy as np
import pytest
import torch
from test_data import noise, packed

from genrestore.data import dataset, resident
from genrestore.data.resident import Resident
from genrestore.recipe import TrainRecipe

CPU = torch.device("cpu")
RECIPE = TrainRecipe(model="x", batch=6, size=32, steps=5, augment=("mirror", "flip", "turn"), seed=3)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("augment", [(), ("mirror",), ("turn",), ("mirror", "flip", "turn")])
def test_whole_pictures(augment: tuple[str, ...]) -> None:
    recipe = dataclasses.replace(RECIPE, augment=augment)
    pictures = packed(list(noise(7, 32, 32, 3)), labels=np.arange(7))
    here = Resident(pictures, recipe, CPU)
    assert all(same(here.batch(here.plan(step)), dataset.batch(pictures, recipe, step)) for step in range(3))


@pytest.mark.parametrize("degrade", ["holes:scratch,box", "shrink:4", "shrink:2:bicubic,area"])
@pytest.mark.parametrize("crops", [1, 3])
def test_crops_of_pictures_of_any_size(degrade: str, crops: int) -> None:
    """Grey ones among colour ones too; of several places the same one is chosen."""
    recipe = dataclasses.replace(RECIPE, degrade=degrade, crops=crops)
    side = dataset.side(recipe)
    shapes = [(side, side + 9, 3), (side + 30, side, 1), (side + 5, side + 40, 3), (side, side, 1)]
    pictures = packed([noise(1, *shape)[0] for shape in shapes])
    here = Resident(pictures, recipe, CPU)
    for step in range(3):
        ours, usual = here.batch(here.plan(step)), dataset.batch(pictures, recipe, step)
        assert ours.keys() == usual.keys() and torch.equal(ours["image"], usual["image"])
        for key in ours.keys() - {"image"}:
            assert (ours[key] - usual[key]).abs().max() < 1.01 / 255 and (ours[key] == usual[key]).float().mean() > 0.99


def test_rows_and_steps() -> None:
    """Part of a batch is that part of the whole; batches come in order from any step on."""
    pictures = packed(list(noise(7, 40, 40, 1)), captions=tuple("abcdefg"))
    recipe = dataclasses.replace(RECIPE, size=40)
    whole, part = (Resident(pictures, recipe, CPU, rows) for rows in (None, range(2, 5)))
    whole, part = ([here.batch(sent) for sent in here.batches(2)] for here in (whole, part))
    assert len(whole) == len(part) == 3
    for one, other in zip(whole, part, strict=True):
        assert same({key: value[2:5] for key, value in one.items()}, other)


def test_noise_depends_on_the_seed_of_the_step_alone() -> None:
    recipe = dataclasses.replace(RECIPE, degrade="noise:20")
    pictures = packed(list(noise(3, 40, 40, 3)))
    first, again = Resident(pictures, recipe, CPU), Resident(pictures, recipe, CPU)
    first.batch(first.plan(0))
    torch.manual_seed(1)
    one = first.batch(first.plan(1))
    torch.manual_seed(1)
    other = again.batch(again.plan(1))
    assert same(one, other) and not torch.equal(one["low"], one["image"])


def test_only_what_moves_pixels_and_only_on_a_gpu() -> None:
    pictures = packed(list(noise(3, 40, 40, 3)))
    assert not resident.possible(pictures, RECIPE, CPU)
    assert not resident.possible(pictures, dataclasses.replace(RECIPE, augment=("rotate:5",)), torch.device("cuda"))
