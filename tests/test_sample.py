"""Sampling: seeds, latents, directions."""

import numpy as np
import pytest

import genrestore
from genrestore.errors import ModelError, SettingError
from genrestore.pipelines import sample as task

MODELS = [card.name for card in genrestore.list_models("sample")]


@pytest.mark.parametrize("model", MODELS)
def test_a_seed_gives_one_picture_whoever_is_beside_it(model: str) -> None:
    together = genrestore.sample(model, n=3, seed=5)
    for k in range(3):
        alone = genrestore.sample(model, n=1, seed=5 + k)[0]
        assert np.array_equal(np.asarray(together[k]), np.asarray(alone))
    assert not np.array_equal(np.asarray(together[0]), np.asarray(together[1]))


@pytest.mark.parametrize("model", MODELS)
def test_latent_decodes_to_the_seeds_picture(model: str) -> None:
    z = task.latent(model, 9)
    assert np.array_equal(
        np.asarray(genrestore.sample(model, latent=z)[0]), np.asarray(genrestore.sample(model, seed=9)[0])
    )
    half = genrestore.sample(model, latent=0.5 * z)[0]
    assert np.array_equal(np.asarray(half), np.asarray(genrestore.sample(model, seed=9, truncation=0.5)[0]))
    width, height, length = task.size(model)
    assert half.size == (width, height) and z.shape == (length,)
    assert len(genrestore.sample(model, latent=np.stack([z, -z]))) == 2


@pytest.mark.parametrize("model", MODELS)
def test_directions_are_orthonormal_and_ordered(model: str) -> None:
    rows = task.directions(model, 8)
    assert np.allclose(rows @ rows.T, np.eye(8), atol=1e-4)
    z = task.latent(model, 0)

    def change(row: np.ndarray) -> float:
        before, after = (np.asarray(genrestore.sample(model, latent=z + a * row)[0], dtype=float) for a in (-2, 2))
        return float(np.abs(before - after).mean())

    last = task.directions(model, task.size(model)[2])[-4:]
    assert min(change(row) for row in rows[:3]) > max(change(row) for row in last)


def test_one_truncated_to_nothing_is_the_centre() -> None:
    model = MODELS[0]
    centre = genrestore.sample(model, latent=np.zeros(task.size(model)[2]))[0]
    assert np.array_equal(np.asarray(centre), np.asarray(genrestore.sample(model, seed=1, truncation=0.0)[0]))


@pytest.mark.parametrize(
    "arguments",
    [
        {"n": 0}, {"n": 257}, {"seed": -1}, {"seed": 2**31}, {"truncation": -0.1}, {"truncation": float("nan")},
        {"prompt": "a cat"}, {"latent": [1.0]}, {"latent": "abc"}, {"latent": [[float("inf")] * 64]}, {"latent": [[1, 2], [3]]},
    ],
    ids=str,
)  # fmt: skip
def test_bad_arguments(arguments: dict[str, object]) -> None:
    with pytest.raises(SettingError) as raised:
        genrestore.sample("vae-clothing", **arguments)  # type: ignore[arg-type]
    assert str(raised.value).endswith(".") and "\n" not in str(raised.value)


def test_wrong_model() -> None:
    with pytest.raises(ModelError):
        genrestore.sample("span-x4")
    with pytest.raises(ModelError):
        genrestore.sample("nothing-like-it")
