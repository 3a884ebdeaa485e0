"""Data sets and batches."""

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genrestore import data
from genrestore.errors import TrainingError
from genrestore.recipe import TrainRecipe

RECIPE = TrainRecipe(batch=4, size=16, augment=("mirror", "turn"), degrade="holes:box", seed=3)


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GENRESTORE_HOME", str(tmp_path / "home"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Seven small pictures of several formats, modes and sizes, one of them in a folder below."""
    root = tmp_path / "pictures"
    (root / "below").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for k, name in enumerate(["a.png", "b.jpg", "c.webp", "d.bmp", "e.tif", "f.PNG", "below/g.png"]):
        picture = Image.fromarray(rng.integers(0, 256, (20 + k, 30 - k, 3), dtype=np.uint8))
        (picture.convert("L") if name == "f.PNG" else picture).save(root / name)
    (root / "notes.txt").write_text("not a picture")
    return root


def test_folder_is_read_once_and_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = data.read(folder, "CC0")
    assert len(first) == 7 and first.source.count == 7 and first.source.licence == "CC0"
    assert np.array_equal(first[0], np.asarray(Image.open(folder / "a.png")))
    monkeypatch.setattr(data, "_decode_folder", None)  # a second decode would call it
    assert data.read(folder, "CC0").source.sha256 == first.source.sha256


def test_content_hash_follows_the_content(folder: Path) -> None:
    before = data.read(folder).source.sha256
    (folder / "a.png").write_bytes((folder / "f.PNG").read_bytes())
    assert data.read(folder).source.sha256 != before


def test_batches_depend_on_seed_and_step_alone(folder: Path) -> None:
    pictures = data.fit(data.read(folder), RECIPE)
    straight = [item["mask"] for item in data.batches(pictures, dataclasses.replace(RECIPE, steps=5))]
    resumed = [item["mask"] for item in data.batches(pictures, dataclasses.replace(RECIPE, steps=5), start=3)]
    assert all(np.array_equal(a, b) for a, b in zip(straight[3:], resumed, strict=True))
    image = data.batch(pictures, RECIPE, 2)["image"]
    assert image.shape == (4, 3, 16, 16) and image.min() >= 0 and image.max() <= 1
    assert np.array_equal(image, data.batch(pictures, RECIPE, 2)["image"])
    assert not np.array_equal(image, data.batch(pictures, dataclasses.replace(RECIPE, seed=4), 2)["image"])


def test_an_epoch_shows_every_picture_once(tmp_path: Path) -> None:
    """Each picture is a constant of its own, so a batch tells which were drawn."""
    arrays = [np.full((8, 8, 1), k, dtype=np.uint8) for k in range(12)]
    pictures = data.pack(data.DataSource("made", 12, "", ""), arrays)
    recipe = dataclasses.replace(RECIPE, size=8, degrade="none")
    seen = [round(float(v) * 255) for step in range(3) for v in data.batch(pictures, recipe, step)["image"][:, 0, 0, 0]]
    assert sorted(seen) == list(range(12))
    later = [
        round(float(v) * 255) for step in range(3, 6) for v in data.batch(pictures, recipe, step)["image"][:, 0, 0, 0]
    ]
    assert sorted(later) == list(range(12)) and later != seen


def test_the_crop_with_the_most_detail_is_taken() -> None:
    """One quarter of the picture is noise; with more places to choose from, more of a crop lies there."""
    picture = np.full((64, 64, 3), 128, dtype=np.uint8)
    picture[:32, :32] = np.random.default_rng(0).integers(0, 256, (32, 32, 3))
    pictures = data.pack(data.DataSource("made", 1, "", ""), [picture])
    spread = {}
    for crops in (1, 4):
        recipe = dataclasses.replace(RECIPE, batch=64, crops=crops)
        spread[crops] = data.batch(pictures, recipe, 0)["image"].std((1, 2, 3)).mean().item()
    assert spread[4] > 1.5 * spread[1] > 0


def test_npz_of_arrays_and_of_encoded_pictures(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "plain.npz", images=images, labels=np.arange(5))
    buffers = []
    for picture in images:
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "PNG")
        buffers.append(np.frombuffer(buffer.getvalue(), dtype=np.uint8))
    offsets = np.cumsum([0, *map(len, buffers)])
    np.savez(tmp_path / "packed.npz", train_png=np.concatenate(buffers), train_offsets=offsets)
    for name in ("plain", "packed"):
        pictures = data.read(tmp_path / f"{name}.npz")
        assert len(pictures) == 5 and all(np.array_equal(pictures[k], images[k]) for k in range(5))
    labelled = data.read(tmp_path / "plain.npz")
    drawn = data.batch(labelled, dataclasses.replace(RECIPE, size=8, degrade="none", augment=(), batch=5), 0)
    assert sorted(drawn["label"].tolist()) == [0, 1, 2, 3, 4]
    for image, label in zip(drawn["image"], drawn["label"], strict=True):
        assert np.array_equal((image * 255).round().byte().permute(1, 2, 0), images[label])


def test_whole_pictures_are_resized_for_generators(folder: Path) -> None:
    fitted = data.fit(data.read(folder), dataclasses.replace(RECIPE, degrade="none", size=12))
    assert {tuple(shape) for shape in fitted.shapes} == {(12, 12, 3)}


def test_bad_data_says_what_to_do(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="--data"):
        data.read(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(TrainingError, match="no picture in"):
        data.read(tmp_path / "empty")
    with pytest.raises(TrainingError, match="smaller than the training crop of 64"):
        data.fit(data.read(folder), dataclasses.replace(RECIPE, size=64))
    with pytest.raises(TrainingError, match="augmentation named 'spin'"):
        data.fit(data.read(folder), dataclasses.replace(RECIPE, augment=("spin",)))
    np.savez(tmp_path / "odd.npz", numbers=np.zeros(3))
    with pytest.raises(TrainingError, match="numbers"):
        data.read(tmp_path / "odd.npz")
    np.savez(tmp_path / "float.npz", images=np.zeros((2, 4, 4)))
    with pytest.raises(TrainingError, match="uint8"):
        data.read(tmp_path / "float.npz")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(TrainingError, match=r"broken\.png"):
        data.read(folder)
