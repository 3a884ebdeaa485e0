"""Finding damage and mending an old photo: what is found, what stays, and every step of it."""

import dataclasses
import itertools
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import genrestore
from genrestore import __main__ as command
from genrestore.data import degrade
from genrestore.data.damage import Damage
from genrestore.errors import Cancelled, SettingError
from genrestore.models.damage_net import Config, DamageNet
from genrestore.pictures import image
from genrestore.pictures.image import Picture
from genrestore.pipelines import damage as task
from genrestore.pipelines.inpaint import widened
from genrestore.ui.parts.examples import PHOTOS


def photo(k: int = 0, side: int = 288) -> np.ndarray:
    """(side, side, 3) uint8: the middle of an example."""
    pixels = image.load(PHOTOS[k]).rgb8()
    top, left = ((length - side) // 2 for length in pixels.shape[:2])
    return pixels[top : top + side, left : left + side]


@pytest.fixture(scope="module")
def spoilt() -> tuple[np.ndarray, np.ndarray]:
    """A photo with scratches (H, W, 3) uint8, and where they are (H, W) bool."""
    clean = torch.from_numpy(photo().copy()).permute(2, 0, 1)[None] / 255
    found = degrade.find("damage:scratch+jpeg:90-95")
    assert isinstance(found, Damage)
    made = degrade.spoilt(dataclasses.replace(found, clean=0.0), clean, [np.random.default_rng(8)])
    low = (made["low"][0].permute(1, 2, 0) * 255).round().byte().numpy()
    return low, made["image"][0, 0].numpy() > 0


def test_scratches_are_found_and_clean_photos_left_alone(spoilt: tuple[np.ndarray, np.ndarray]) -> None:
    low, truth = spoilt
    mask = genrestore.find_damage(Image.fromarray(low))
    assert mask.shape == truth.shape and mask.dtype == bool
    assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.6
    shares = {path.stem: float(genrestore.find_damage(path).mean()) for path in PHOTOS}
    assert not any(shares.values()), shares


def test_sensitivity_finds_more_and_never_less(spoilt: tuple[np.ndarray, np.ndarray]) -> None:
    likely = task.likelihood(Picture(spoilt[0]))
    masks = [task.marked(likely, sensitivity) for sensitivity in (0, 0.25, 0.5, 0.75, 1)]
    shares = [mask.mean() for mask in masks]
    assert shares[0] < shares[2] < shares[4], shares
    assert all((high | ~low).all() for low, high in itertools.pairwise(masks))


@pytest.mark.parametrize("shape", [(1, 1), (9, 200), (40, 50)])
def test_any_size_grey_and_depth(shape: tuple[int, int]) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (*shape, 1), dtype=np.uint8)
    eight = task.likelihood(Picture(grey))
    assert eight.shape == shape
    deep = task.likelihood(Picture(grey.astype(np.uint16) * 257))
    assert np.abs(eight - deep).max() < 1e-3


@pytest.mark.parametrize("config", [Config(), Config((4, 4, 4, 4), (1, 1, 2, 1))])
def test_the_net_sees_no_further_than_it_says(config: Config) -> None:
    """Nor much less far, or large scans would be computed with needless seams. Of a deeper net as of the one that ships."""
    net = DamageNet(config).double().eval()
    for weight in net.parameters():
        if weight.dim() > 1:
            torch.nn.init.normal_(weight, std=0.2)
    reach, grid = net.size_rule.receptive, net.size_rule.multiple_of
    side = (2 * reach // grid + 4) * grid
    seen = 0
    for middle in (side // 2 // grid * grid, side // 2 // grid * grid + 1):
        image = torch.rand(1, 3, side, side, dtype=torch.double, requires_grad=True)
        net.logits(image)[0, 0, middle, middle].backward()
        assert image.grad is not None
        rows, columns = image.grad[0].abs().amax(0).nonzero(as_tuple=True)
        seen = max(seen, *(int((places - middle).abs().max()) for places in (rows, columns)))
    assert 0.9 * reach < seen <= reach


def test_what_is_transparent_is_no_damage(spoilt: tuple[np.ndarray, np.ndarray]) -> None:
    alpha = np.full((*spoilt[1].shape, 1), 255, np.uint8)
    alpha[:100] = 0
    assert not genrestore.find_damage(Picture(np.dstack([spoilt[0], alpha])))[:100].any()


def test_a_large_scan_is_looked_at_in_half_its_size_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task, "COARSE", 100 * 100)
    seen: list[tuple[int, int]] = []
    whole = task._seen
    monkeypatch.setattr(task, "_seen", lambda chosen, x, *more: seen.append(x.shape[-2:]) or whole(chosen, x, *more))
    told: list[float] = []
    task.likelihood(Picture(np.zeros((301, 257, 3), np.uint8)), progress=lambda share, what: told.append(share))
    assert seen == [(301, 257), (150, 128)]
    assert told == sorted(told) and told[-1] == pytest.approx(1)


def test_groups_are_those_of_a_flood_fill() -> None:
    rng = np.random.default_rng(3)
    for density in (0.0, 0.2, 0.4, 0.6, 1.0):
        mask = rng.random((37, 29)) < density
        labels, count = task.groups(mask)
        flooded = np.zeros(mask.shape, int)
        number = 0
        for start in map(tuple, np.argwhere(mask)):
            if not flooded[start]:
                number += 1
                front = [start]
                while front:
                    y, x = front.pop()
                    if 0 <= y < 37 and 0 <= x < 29 and mask[y, x] and not flooded[y, x]:
                        flooded[y, x] = number
                        front += [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        assert count == number and len({*zip(labels, flooded[mask], strict=True)}) == number


def test_faint_ends_stay_with_what_is_sure_and_faint_spots_go() -> None:
    likely = np.zeros((20, 40), np.float32)
    likely[5, 2:30], likely[5, 10:20] = 0.6, 0.99  # a faint line that is plain at one place
    likely[15, 2:30] = 0.9  # nowhere sure
    likely[10, 35] = 0.999  # sure, but a speck
    found = task.marked(likely)
    assert found[5, 2:30].all() and found.sum() == 28


def test_nothing_is_marked_where_hardly_anything_is_sure() -> None:
    """Twelve sure pixels beside 40 doubtful ones are damage; beside 400 a scene with wires, unless more is asked for."""
    likely = np.zeros((40, 60), np.float32)
    likely[5, 2:14] = 0.99
    likely[20, 2:42] = 0.6
    assert task.marked(likely).sum() == 12
    likely[20:30, 2:42] = 0.6
    assert not task.marked(likely).any()
    assert task.marked(likely, 0.75)[5, 2:14].all()


def test_an_old_photo_is_mended_step_by_step(spoilt: tuple[np.ndarray, np.ndarray]) -> None:
    low, truth = spoilt
    result = genrestore.old_photo(Picture(low))
    given, filled, restored = result.steps
    assert [step.name for step in result.steps] == ["given", "filled", "restored"]
    assert np.array_equal(given.picture.pixels, low) and result.picture is restored.picture
    hole = widened(result.mask, task.GROW)
    assert np.array_equal(filled.picture.pixels[~hole], low[~hole])
    assert (filled.picture.pixels[hole] != low[hole]).any()
    margin = (288 - low.shape[0]) // 2
    clean = photo()[margin:-margin, margin:-margin].astype(float)
    errors = [np.abs(step.picture.pixels - clean)[truth].mean() for step in result.steps]
    assert errors[1] < 0.5 * errors[0], "the fill lies nearer to the photo below than the scratches do"


def test_a_corrected_mask_is_taken_and_steps_can_be_left_out(spoilt: tuple[np.ndarray, np.ndarray]) -> None:
    own = np.zeros(spoilt[1].shape, bool)
    own[40:44, 50:90] = True
    result = genrestore.old_photo(Picture(spoilt[0]), mask=own, grow=0, strength=0)
    assert [step.name for step in result.steps] == ["given", "filled"] and np.array_equal(result.mask, own)
    assert np.array_equal(result.picture.pixels[~own], spoilt[0][~own])
    even = genrestore.old_photo(Picture(np.full((64, 64, 3), 120, np.uint8)), strength=0)
    assert [step.name for step in even.steps] == ["given"] and not even.mask.any()


def test_what_cannot_be_done_is_a_sentence() -> None:
    blank = Image.new("RGB", (40, 40))
    for sensitivity in (-0.1, 1.5, float("nan"), "much"):
        with pytest.raises(SettingError, match="sensitivity must"):
            genrestore.find_damage(blank, sensitivity=sensitivity)  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="strength must"):
        genrestore.old_photo(blank, strength=2)
    with pytest.raises(SettingError, match="grow must"):
        genrestore.old_photo(blank, grow=-1)
    for seed in (-1, 2**70, "x", 1.5):
        with pytest.raises(SettingError, match="seed must"):
            genrestore.old_photo(blank, seed=seed)  # type: ignore[arg-type]
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        genrestore.find_damage(blank, cancel=cancel)


def test_the_commands_write_mask_and_picture(
    tmp_path: Path, spoilt: tuple[np.ndarray, np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: str | Path) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            command.main([str(argument) for argument in arguments])
        return int(ended.value.code or 0), capsys.readouterr().out

    source = tmp_path / "scan.png"
    Image.fromarray(spoilt[0]).save(source)
    code, told = run("find-damage", source)
    written = Image.open(tmp_path / "scan.damage.png")
    mask = genrestore.find_damage(source)
    assert code == 0 and "% of the picture is marked" in told
    assert written.mode == "L" and np.array_equal(np.asarray(written) > 127, mask)
    code, told = run("old-photo", source, "--mask", tmp_path / "scan.damage.png", "--steps")
    assert code == 0 and told.endswith("filled, restored\n")
    assert {path.name for path in tmp_path.glob("scan.mended*")} == {
        "scan.mended.png",
        "scan.mended.filled.png",
        "scan.mended.mask.png",
    }
    assert run("old-photo", source, "--strength", "2", "-o", tmp_path / "x.png")[0] == 2
    kept = (tmp_path / "scan.mended.mask.png").read_bytes()
    again = (
        "old-photo",
        source,
        "--mask",
        tmp_path / "scan.mended.mask.png",
        "--steps",
        "-o",
        tmp_path / "scan.mended.png",
    )
    (tmp_path / "scan.mended.png").unlink()
    assert run(*again)[0] == 2, "a mask of the same name was there"
    assert run(*again, "--force")[0] == 2, "and is an input"
    assert (tmp_path / "scan.mended.mask.png").read_bytes() == kept
