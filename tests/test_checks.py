"""What is checked of training pictures, and what is found."""

import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genrestore.data import cache, checks, dataset
from genrestore.data.facts import Facts, look, unreadable
from genrestore.errors import TrainingError
from genrestore.recipe import FLAWS, TrainRecipe

CROPS = TrainRecipe(frame="crop", batch=4, size=48, degrade="holes:box")
WHOLE = TrainRecipe(batch=4, size=64)


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GENRESTORE_HOME", str(tmp_path / "home"))


def scene(seed: int, height: int = 96, width: int = 120) -> Image.Image:
    """Soft coloured blobs: each seed another picture."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 7, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty sound pictures, and beside them some of every flaw."""
    root = tmp_path / "set"
    root.mkdir()
    for k in range(20):
        scene(k).save(root / f"{k:02d}.png")
    scene(3).resize((80, 64), Image.Resampling.LANCZOS).save(root / "again-smaller.png")
    scene(5).save(root / "again.jpg", quality=50)
    scene(7).convert("L").save(root / "old.png")
    Image.new("RGB", (70, 70), (250, 250, 250)).save(root / "white.png")
    scene(99, 30, 40).save(root / "thumbnail.png")
    (root / "cut.png").write_bytes((root / "00.png").read_bytes()[:400])
    (root / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    scene(50).convert("CMYK").save(root / "print.jpg")
    rgba = scene(51).convert("RGBA")
    rgba.putalpha(128)
    rgba.save(root / "sticker.png")
    return root


FOUND = {
    "broken": ("cut.png", "phone.heic"),
    "tiny": ("thumbnail.png",),
    "duplicate": ("again-smaller.png", "again.jpg"),
    "grey": ("old.png", "white.png"),
}


def test_every_flaw_is_found(folder: Path) -> None:
    """The names of the copies sort behind their originals, so that the originals stay."""
    (folder / "again-smaller.png").rename(folder / "z-again-smaller.png")
    (folder / "again.jpg").rename(folder / "z-again.jpg")
    report = checks.examine(folder, CROPS)
    found = {finding.kind: finding.files for finding in report.findings}
    assert found == FOUND | {"duplicate": ("z-again-smaller.png", "z-again.jpg")}
    assert report.count == 27 and report.name.endswith("/set")
    assert dict(report.sizes) == {"<64": 1, "64–127": 26}
    assert report.modes == {"RGB": 24, "grey": 1, "CMYK": 1, "alpha": 1}
    assert report.problem.startswith("cut.png is cut off before its end, and 1 more; ")
    assert "HEIC" not in report.problem and "\n" not in report.problem


def test_what_is_found_can_be_left_out(folder: Path) -> None:
    recipe = dataclasses.replace(CROPS, leave_out=FLAWS)
    report = checks.examine(folder, recipe)
    assert report.problem == "" and report.count == 27
    pictures = dataset.read(folder, recipe)
    out = {file for finding in report.findings for file in finding.files}
    assert len(pictures) == 29 - len(out) == 22
    files = [file for file in sorted(path.name for path in folder.iterdir()) if file not in out]
    assert np.array_equal(pictures[0], np.asarray(Image.open(folder / files[0])))


def test_the_first_of_a_group_stays_but_a_sound_one_before_a_flawed(tmp_path: Path) -> None:
    """A thumbnail of the same picture sorts first; leaving out both kinds must not lose the picture."""
    for k in range(4):
        scene(k).save(tmp_path / f"{k}.png")
    scene(2).resize((40, 32), Image.Resampling.LANCZOS).save(tmp_path / "0-small.png")
    scene(3).save(tmp_path / "4.bmp")
    recipe = dataclasses.replace(CROPS, leave_out=("tiny", "duplicate"))
    found = {finding.kind: finding.files for finding in checks.examine(tmp_path, recipe).findings}
    assert found == {"tiny": ("0-small.png",), "duplicate": ("0-small.png", "4.bmp")}
    assert len(dataset.read(tmp_path, recipe)) == 4


def test_examining_and_reading_decode_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checks.examine(folder, WHOLE)
    monkeypatch.setattr(cache, "_decode_into", None)  # a second pass would call it
    pictures = dataset.read(folder, dataclasses.replace(WHOLE, leave_out=("broken",)))
    assert len(pictures) == 27 and set(map(tuple, pictures.shapes)) == {(64, 64, 3)}


def test_nets_that_see_whole_pictures_take_smaller_ones(folder: Path) -> None:
    kinds = [finding.kind for finding in checks.examine(folder, dataclasses.replace(WHOLE, size=60)).findings]
    assert "tiny" not in kinds
    report = checks.examine(folder, dataclasses.replace(WHOLE, size=62, leave_out=("broken",)))
    assert report.problem == "", "a small one is enlarged"
    assert "tiny" in [finding.kind for finding in report.findings]


def test_too_few_is_the_problem(tmp_path: Path) -> None:
    for k in range(3):
        scene(k).save(tmp_path / f"{k}.png")
    report = checks.examine(tmp_path, WHOLE)
    assert report.problem.startswith("3 pictures are too few to learn from;")
    assert (report.count, report.least, report.enough) == (3, 16, 1000)
    (tmp_path / "empty").mkdir()
    with pytest.raises(TrainingError, match="no picture"):
        checks.examine(tmp_path / "empty", WHOLE)


def test_classes_and_captions_are_counted(tmp_path: Path) -> None:
    for k in range(6):
        (tmp_path / "set" / "ab"[k % 2]).mkdir(parents=True, exist_ok=True)
        scene(k).save(tmp_path / "set" / "ab"[k % 2] / f"{k}.png")
    (tmp_path / "set" / "a" / "0.txt").write_text("six blobs")
    (tmp_path / "set" / "b" / "broken.png").write_bytes(b"")
    report = checks.examine(tmp_path / "set", CROPS)
    assert report.classes == {"a": 3, "b": 3} and report.captions == 1


def test_the_report_fits_a_terminal_and_json(folder: Path) -> None:
    for k in range(20):
        (folder / f"{'long-' * 25}{k:02d}.png").write_bytes(b"")
    report = checks.examine(folder, CROPS)
    text = report.text()
    assert max(map(len, text.splitlines())) <= 100
    assert "and 17 more" in text and "Duplicate" in text and report.problem[:20] in text
    again = json.loads(json.dumps(report.to_json()))
    assert again["count"] == 27 and {finding["kind"] for finding in again["findings"]} == set(FLAWS)
    assert list(map(tuple, again["sizes"])) == list(report.sizes)


# --- duplicates ------------------------------------------------------------------------------------------------------


def facts(pictures: list[np.ndarray]) -> Facts:
    return Facts.of([look(picture, "RGB") for picture in pictures])


def duplicates(pictures: list[np.ndarray]) -> list[int]:
    return checks.find(facts(pictures), 1, {"duplicate"})["duplicate"].tolist()


def test_flat_and_recoloured_pictures_are_no_duplicates() -> None:
    """Many have the same hash: brightness rises from left to right everywhere, or nowhere."""
    flat = [np.full((32, 32, 3), shade, np.uint8) for shade in range(0, 250, 25)]
    assert duplicates(flat) == []
    stripes = [np.repeat(np.linspace(0, shade, 32, dtype=np.uint8), 96).reshape(32, 32, 3) for shade in (100, 150, 200)]
    assert duplicates(stripes) == []
    x = np.linspace(-1, 1, 32)
    slopes = [np.tile((100 + 90 * np.sign(x) * np.abs(x) ** p)[None, :, None], (32, 1, 3)) for p in (0.3, 1, 3)]
    assert duplicates([np.rint(slope).astype(np.uint8) for slope in slopes]) == [], "one mean, always rising"
    red, blue = (np.full((32, 32, 3), colour, np.uint8) for colour in ((98, 0, 0), (0, 50, 0)))
    assert duplicates([red, blue]) == []
    assert duplicates([flat[3], red, flat[3], red]) == [2, 3]


@pytest.mark.parametrize("change", ["jpeg", "half", "noise", "webp"])
def test_copies_that_were_stored_again_are_duplicates(change: str) -> None:
    originals = [scene(k, 128, 128) for k in range(60)]

    def copy(picture: Image.Image) -> np.ndarray:
        if change == "half":
            return np.asarray(picture.resize((64, 64), Image.Resampling.BICUBIC))
        if change == "noise":
            noise = np.random.default_rng(0).normal(0, 4, (128, 128, 3))
            return np.rint((np.asarray(picture) + noise).clip(0, 255)).astype(np.uint8)
        file = io.BytesIO()
        picture.save(file, change.upper(), quality=40)
        return np.asarray(Image.open(file))

    pictures = [np.asarray(picture) for picture in originals] + [copy(picture) for picture in originals]
    assert duplicates(pictures) == list(range(60, 120))


def test_a_near_miss_is_found_through_any_band() -> None:
    """Hashes that differ in any three bits agree in one of the four bands; each pair is looked for by brute force too."""
    rng = np.random.default_rng(2)
    looks = [np.asarray(scene(k, 32, 32)) for k in range(40)]
    looks += [np.clip(look.astype(int) + rng.normal(0, 9, look.shape), 0, 255).astype(np.uint8) for look in looks]
    measured = facts(looks)
    hashes = checks._hashes(measured.thumbs).view(np.uint64)[:, 0]
    brute = {
        (a, b)
        for b in range(len(looks))
        for a in range(b)
        if (int(hashes[a]) ^ int(hashes[b])).bit_count() <= checks.NEAR
        and np.sqrt(np.square(measured.thumbs[a] - measured.thumbs[b].astype(float)).mean()) <= checks.CLOSE
        and np.abs(measured.tints[a].astype(int) - measured.tints[b]).max() <= checks.CLOSE
    }
    found = checks._alike(measured.thumbs, measured.tints)
    assert set(found) == brute and len(brute) > 10
    bits = [(int(hashes[a]) ^ int(hashes[b])).bit_count() for a, b in found]
    assert max(bits) > 0, "some differ in a bit, or the bands are not put to the test"


def test_thousands_of_equal_pictures_take_no_time() -> None:
    """Compared one with another they would be half a billion pairs."""
    measured = facts([np.full((8, 8, 3), 9, np.uint8)])
    many = dataclasses.replace(
        Facts.joined([measured] * 30_000), contrast=np.full(30_000, 50.0), colour=np.zeros(30_000)
    )
    assert len(checks.find(many, 1)["duplicate"]) == 29_999


def test_colourless_is_a_flaw_among_colour_pictures_only() -> None:
    colour = [np.asarray(scene(k)) for k in range(3)]
    grey = [np.repeat(picture[..., :1], 3, axis=2) for picture in colour]
    assert checks.find(facts([*colour, grey[0]]), 1)["grey"].tolist() == [3]
    assert checks.find(facts([*grey, colour[0]]), 1)["grey"].tolist() == []


def test_facts_survive_their_file(tmp_path: Path) -> None:
    parts = [facts([np.asarray(scene(0))]), Facts.of([unreadable("ü is broken.")])]
    whole = Facts.joined(parts)
    whole.write(tmp_path / "facts.npz")
    again = Facts.read(tmp_path / "facts.npz")
    assert again.problems == ("", "ü is broken.") and len(again) == 2
    assert np.array_equal(again.thumbs, whole.thumbs) and np.array_equal(again.modes, whole.modes)
