"""Augmentation steps: what they may change and what they may not."""

import numpy as np
import pytest

from genrestore.data import augment
from genrestore.errors import TrainingError


def photo(side: int, channels: int = 3) -> np.ndarray:
    """Smooth and without any symmetry."""
    y, x = np.mgrid[0:side, 0:side] / side
    planes = [120 + 60 * x + 40 * y * y + 20 * np.sin(3 * x * y + k) for k in range(channels)]
    return np.rint(np.stack(planes, 2)).astype(np.uint8)


def drawn(name: str, picture: np.ndarray, count: int = 50) -> list[np.ndarray]:
    step = augment.find(name)
    return [step(picture, np.random.default_rng(seed)) for seed in range(count)]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [9, 32])
@pytest.mark.parametrize("name", [*augment.AUGMENT, "rotate:180", "scale:0.9", "crop:0.05", "translate:0.5"])
def test_every_step_keeps_shape_and_kind_and_is_seeded(name: str, side: int, channels: int) -> None:
    picture = photo(side, channels)
    before = picture.copy()
    first, again = drawn(name, picture), drawn(name, picture)
    assert all(each.shape == (side, side, channels) and each.dtype == np.uint8 for each in first)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert np.array_equal(picture, before), "the set itself must not change"
    assert len({each.tobytes() for each in first}) > 1


@pytest.mark.parametrize("name", ["rotate:180", "translate:0.5", "scale:0.9", "crop:0.05", "mirror", "turn", "flip"])
def test_steps_that_move_bring_in_no_new_colour(name: str) -> None:
    """Edges are reflected: a black border would show as a value below the picture's own."""
    picture = photo(32)
    for each in drawn(name, picture):
        assert each.min() >= picture.min() - 2 and each.max() <= picture.max() + 2
    flat = np.full((17, 17, 3), (10, 200, 90), np.uint8)
    assert all(np.array_equal(each, flat) for each in drawn(name, flat))


def test_mirror_flip_and_turn_are_exact() -> None:
    picture = photo(16)
    turns = {np.rot90(picture, k).tobytes() for k in range(4)}
    assert {each.tobytes() for each in drawn("mirror", picture)} == {picture.tobytes(), picture[:, ::-1].tobytes()}
    assert {each.tobytes() for each in drawn("flip", picture)} == {picture.tobytes(), picture[::-1].tobytes()}
    assert {each.tobytes() for each in drawn("turn", picture)} == turns


def test_rotation_turns_about_the_middle_by_at_most_its_angle() -> None:
    """A line from the middle to the right turns by as many degrees as it is measured to."""
    picture = np.zeros((101, 101, 1), np.uint8)
    picture[50, 60:95] = 255
    angles = []
    for each in drawn("rotate:30", picture):
        y, x = np.nonzero(each[..., 0] > 100)
        inside = (y - 50) ** 2 + (x - 50) ** 2 < 46**2
        angles.append(np.rad2deg(np.arctan2((y - 50)[inside].mean(), (x - 50)[inside].mean())))
        assert 8.5 < np.hypot(y - 50, x - 50).min() < 11.5, "the middle of the picture stays"
    assert max(np.abs(angles)) < 30.5 and max(angles) > 20 and min(angles) < -20


def test_translation_shifts_by_whole_pixels() -> None:
    picture = photo(20)
    for each in drawn("translate:0.2", picture):
        shifts = [
            (y, x)
            for y in range(-4, 5)
            for x in range(-4, 5)
            if np.array_equal(each[4:-4, 4:-4], picture[4 + y : 16 + y, 4 + x : 16 + x])
        ]
        assert len(shifts) == 1


def test_scaling_goes_both_ways_and_cropping_one_way() -> None:
    """The slope of a ramp tells the zoom."""
    ramp = np.broadcast_to(np.arange(0, 256, 4, dtype=np.uint8)[None, :, None], (64, 64, 1))

    def zooms(name: str) -> np.ndarray:
        return np.array([4 / np.diff(each[32, 24:40, 0].astype(float)).mean() for each in drawn(name, ramp)])

    middles = [each[32, 31:33].mean() for each in drawn("scale:0.2", ramp)]
    assert np.abs(np.array(middles) - 126).max() < 1, "the middle stays"
    assert 0.78 < zooms("scale:0.2").min() < 0.9 and 1.1 < zooms("scale:0.2").max() < 1.22
    assert zooms("crop:0.5").min() > 0.99 and 1.6 < zooms("crop:0.5").max() < 2.05


def test_colour_changes_within_its_share() -> None:
    picture = photo(16)
    means = [each.mean() / picture.mean() for each in drawn("colour:0.2", picture)]
    assert 0.79 < min(means) < 0.9 and 1.1 < max(means) < 1.21
    assert all(np.array_equal(each, picture) for each in drawn("colour:0", picture, 3))
    grey = np.repeat(photo(16, 1), 3, axis=2)
    assert all((each[..., :1] == each).all() for each in drawn("colour:0.5", grey)), "grey stays grey"


@pytest.mark.parametrize(
    "name, words",
    [
        ("miror", r"There is no augmentation named 'miror'\. Did you mean 'mirror'\?"),
        ("", "Known are mirror, flip"),
        ("mirror:2", "mirror takes no number"),
        ("rotate:fast", r"rotate takes a number from 0 to 180, as in rotate:10; not 'fast'"),
        ("rotate:", "not ''"),
        ("rotate:181", "from 0 to 180"),
        ("crop:0", r"from 0\.05 to 1"),
        ("colour:nan", "from 0 to 1"),
    ],
)
def test_mistakes_are_explained(name: str, words: str) -> None:
    with pytest.raises(TrainingError, match=words):
        augment.find(name)
