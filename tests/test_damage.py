"""Made-up damage: seeded, of every kind, and marked where it can be seen."""

import dataclasses

import numpy as np
import pytest
import torch

from genrestore.data import damage, degrade
from genrestore.errors import TrainingError


def generators(count: int, seed: int = 4) -> list[np.random.Generator]:
    return [np.random.default_rng([seed, k]) for k in range(count)]


def always(name: str) -> damage.Damage:
    """The degradation, without its share of clean pictures."""
    found = degrade.find(name)
    assert isinstance(found, damage.Damage)
    return dataclasses.replace(found, clean=0.0)


@pytest.mark.parametrize("kind", damage.KINDS)
def test_each_kind_is_seeded_and_marks_a_part(kind: str) -> None:
    clean = torch.rand(1, 3, 1, 1).expand(8, 3, 128, 128) * 0.5 + 0.25
    first, again = (degrade.spoilt(always(f"damage:{kind}"), clean, generators(8)) for _ in range(2))
    other = degrade.spoilt(always(f"damage:{kind}"), clean, generators(8, seed=5))
    mask = first["image"]
    assert mask.shape == (8, 1, 128, 128) and set(mask.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(mask, again["image"]) and torch.equal(first["low"], again["low"])
    assert not torch.equal(mask, other["image"])
    assert 0.001 < mask.mean() < 0.5 and mask.mean((1, 2, 3)).max() < 0.9


def test_only_what_can_be_seen_is_marked() -> None:
    """White dust on white paper is no damage; on black it is."""
    made = damage.Layers(32, 32)
    spot = np.zeros((32, 32))
    spot[10:14, 10:14] = 1
    made.cover(spot, np.ones(3))
    over = torch.from_numpy(np.stack([made.gain, made.add]))[None]
    assert not damage.damaged(torch.ones(1, 3, 32, 32), over)[1].any()
    spoilt, mask = damage.damaged(torch.zeros(1, 3, 32, 32), over)
    assert torch.equal(mask[0, 0], torch.from_numpy(spot).float()) and torch.equal(spoilt[0, 0], mask[0, 0])
    made.tint(spot, np.full(3, 0.5))
    over = torch.from_numpy(np.stack([made.gain, made.add]))[None]
    assert torch.allclose(damage.damaged(torch.ones(1, 3, 32, 32), over)[0][0, 0, 10, 10], torch.tensor(0.5))


def test_grain_and_jpeg_lie_over_damage_and_print_alike() -> None:
    """What comes after the damage is not marked, and its margin is cut from picture and mask alike."""
    name = "damage:scratch+noise:3-6+jpeg:60-95"
    clean = torch.full((6, 3, 160, 160), 0.4)
    made = degrade.spoilt(always(name), clean, generators(6))
    inner = 160 - 2 * degrade.find(name).margin
    assert made["low"].shape == (6, 3, inner, inner) and made["image"].shape == (6, 1, inner, inner)
    change = (made["low"] - made["low"].flatten(2).median(2).values[..., None, None]).abs().amax(1, keepdim=True)
    marked = made["image"] > 0
    assert change[marked].mean() > 4 * change[~marked].mean() and change[~marked].mean() > 1 / 255


def test_some_training_pictures_are_whole() -> None:
    spoil = degrade.find("damage:scratch")
    masks = degrade.spoilt(spoil, torch.full((60, 3, 48, 48), 0.5), generators(60))["image"]
    assert 0.15 < (masks.amax((1, 2, 3)) == 0).float().mean() < 0.7


def test_a_batch_is_spoilt_alike_picture_by_picture_and_together() -> None:
    spoil = degrade.find("damage:all")
    clean = torch.rand(4, 3, 64, 64)
    drawn = np.concatenate([spoil.draw(rng, 1, 64) for rng in generators(4)])
    one, other = spoil.one_by_one(clean, drawn, generators(4)), spoil.together(clean, torch.from_numpy(drawn))
    assert torch.equal(one["low"], other["low"]) and torch.equal(one["image"], other["image"])


def test_an_aged_print_is_grey_or_toned_but_never_out_of_range() -> None:
    numbers = torch.from_numpy(np.stack([damage.age(rng) for rng in generators(50)])).float()
    aged = damage.aged(torch.rand(1, 3, 24, 24).expand(50, 3, 24, 24), numbers)
    assert aged.min() >= 0 and aged.max() <= 1
    grey = (aged - aged.mean(1, keepdim=True)).abs().amax((1, 2, 3)) < 1e-3
    assert 0.05 < grey.float().mean() < 0.6


def test_unknown_kinds_are_told() -> None:
    with pytest.raises(TrainingError, match="kinds of dust, hair"):
        degrade.find("damage:rust")
