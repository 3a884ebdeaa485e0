"""Looking at a net while it trains."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from genrestore import metrics
from genrestore.data import dataset
from genrestore.errors import TrainingError
from genrestore.models import find
from genrestore.models.dcgan import DCGAN, Config
from genrestore.nets import optimizers
from genrestore.recipe import Phase, TrainRecipe
from genrestore.tasks.task import BEST_PSNR
from genrestore.training.evaluate import Evaluator

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GENRESTORE_HOME", str(tmp_path / "home"))


def pictures(path: Path, side: int, count: int = 40) -> tuple[Path, np.ndarray]:
    images = RNG.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    np.savez(path / "made.npz", images=images)
    return path / "made.npz", images


class Drawer(torch.nn.Module):
    """A generator that draws what it is given, whatever the latent."""

    def __init__(self, fixed: np.ndarray) -> None:
        super().__init__()
        self.latent = 3
        self.seen = 0
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.fixed = torch.from_numpy(fixed).permute(0, 3, 1, 2).float() / 255

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        return self.fixed[torch.arange(len(z)) % len(self.fixed)]


def test_memorised_tells_copies_from_new_and_from_blurred_pictures(tmp_path: Path) -> None:
    """Copies with a little noise count; other pictures of the same kind do not, nor does the blurred mean of all."""
    path, images = pictures(tmp_path, 32)
    recipe = dataclasses.replace(find("dcgan-cifar10").recipe, licence="own", holdout=0.1)
    whole = dataset.read(path, recipe)
    learnt, kept = dataset.split(whole, recipe)
    evaluator = Evaluator("sample", learnt, kept, recipe)
    noise = RNG.integers(-8, 9, images.shape)
    known = np.stack([learnt[k] for k in range(len(learnt))])
    copies = np.clip(known + noise[: len(known)], 0, 255).astype(np.uint8)
    score, pairs = evaluator.memorised(Drawer(copies))
    assert score == 1.0
    strange = RNG.integers(0, 256, images.shape, dtype=np.uint8)
    assert evaluator.memorised(Drawer(strange))[0] == 0.0
    mean = np.repeat(known.mean(0, keepdims=True), 8, 0).astype(np.uint8)
    assert evaluator.memorised(Drawer(mean))[0] == 0.0
    half = np.concatenate([copies[:32], strange[:32]])
    assert evaluator.memorised(Drawer(half))[0] == pytest.approx(0.5)
    sheet = np.asarray(pairs).astype(int)  # two rows: each drawn picture stands above the one it copies
    above, below = sheet[:64, :64], sheet[64 + dataset.GAP : 128 + dataset.GAP, :64]
    assert np.abs(above - below).max() <= 9


def test_the_picture_of_a_generator_is_the_same_each_time(tmp_path: Path) -> None:
    path, _ = pictures(tmp_path, 32)
    recipe = dataclasses.replace(find("dcgan-cifar10").recipe, licence="own")
    evaluator = Evaluator("sample", dataset.read(path, recipe), None, recipe)
    net = DCGAN(Config(latent=4, width=8)).eval()
    first = evaluator.picture(net)
    torch.rand(5)
    assert first.tobytes() == evaluator.picture(net).tobytes()
    rows, columns = 4, 8
    assert first.size == (columns * 66 - 2, rows * 66 - 2)


@pytest.mark.parametrize("name", ["span-x4", "residual-fill"])
def test_other_nets_show_given_result_and_wanted(tmp_path: Path, name: str) -> None:
    """The lowest row is the picture itself, the middle one what the net makes of the upper one."""
    path, _ = pictures(tmp_path, 160, 6)
    preset = find(name)
    recipe = dataclasses.replace(preset.recipe, licence="own")
    evaluator = Evaluator(preset.task, dataset.read(path, recipe), None, recipe)
    net = preset.net(preset.config).eval()
    sheet = evaluator.picture(net)
    assert sheet.tobytes() == evaluator.picture(net).tobytes()
    side = (sheet.width + dataset.GAP) // evaluator.task.shown - dataset.GAP
    assert recipe.size <= side <= 160 and sheet.height == 3 * (side + dataset.GAP) - dataset.GAP
    rows = [np.asarray(sheet)[k * (side + dataset.GAP) :][:side].astype(float) for k in range(3)]
    assert np.abs(rows[1] - rows[2]).mean() < np.abs(rows[0] - rows[2]).mean() + 5  # the net does not lose the picture
    assert rows[0].std() > 20 and not np.array_equal(rows[0], rows[1])


def test_scores_are_those_of_the_metrics(tmp_path: Path) -> None:
    path, _ = pictures(tmp_path, 160, 8)
    preset = find("span-x4")
    recipe = dataclasses.replace(preset.recipe, licence="own", holdout=0.5)
    learnt, kept = dataset.split(dataset.read(path, recipe), recipe)
    net = preset.net(preset.config).eval()
    scores = Evaluator("upscale", learnt, kept, recipe).scores(net, recipe)
    assert [(score.name, score.better) for score in scores] == [
        ("loss", "lower"),
        ("psnr", "higher"),
        ("ssim", "higher"),
    ]
    assert kept is not None
    plain = dataclasses.replace(recipe, augment=(), crops=1, batch=4)
    sight = dataset.batch(kept, plain, 0)
    with torch.no_grad():
        result = net(sight["low"])
    loss, psnr, _ = scores
    assert loss.value == pytest.approx((result - sight["image"]).abs().mean().item(), rel=1e-5)
    assert psnr.value == pytest.approx(metrics.psnr(result.clamp(0, 1), sight["image"]).mean().item(), rel=1e-5)


def test_measuring_leaves_the_random_numbers_as_they_were(tmp_path: Path) -> None:
    """Otherwise a run with a hold-out would train on other noise than one without."""
    path, _ = pictures(tmp_path, 64)
    preset = find("vae-clothing")
    recipe = dataclasses.replace(preset.recipe, licence="own", holdout=0.5)
    evaluator = Evaluator("sample", *dataset.split(dataset.read(path, recipe), recipe), recipe)
    net = preset.net(preset.config).eval()
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    first = evaluator.scores(net, recipe)
    assert torch.equal(torch.rand(4), expected) and [score.name for score in first] == ["loss", "swd"]
    assert evaluator.scores(net, recipe) == first


class Mender(torch.nn.Module):
    """A net of one or two players that gives a picture back, a little darker; what else it is given, it was trained with."""

    def __init__(self, players: int = 1) -> None:
        super().__init__()
        self.players = players
        self.weight = torch.nn.Parameter(torch.tensor(0.9))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image * self.weight

    def phases(self, recipe: TrainRecipe) -> list[Phase]:
        def loss(batch: dict[str, torch.Tensor]) -> torch.Tensor:
            return (self(batch.get("low", batch["image"])) - batch["image"]).abs().mean()

        return [Phase(f"player {k}", optimizers.build(recipe, self), loss) for k in range(self.players)]


@pytest.mark.parametrize("degradation", ["none", "noise:5-5", "shrink:3"])
def test_a_net_is_shown_what_its_recipe_gives_it(tmp_path: Path, degradation: str) -> None:
    """The picture itself where nothing is spoilt, and a spoilt one that is as large as the wanted one or smaller."""
    path, _ = pictures(tmp_path, 160, 20)
    recipe = TrainRecipe(batch=4, size=30, degrade=degradation, licence="own", holdout=0.5)
    evaluator = Evaluator("restore", *dataset.split(dataset.read(path, recipe), recipe), recipe)
    net = Mender() if degradation != "shrink:3" else torch.nn.Sequential(Mender(), torch.nn.Upsample(scale_factor=3))
    sheet = np.asarray(evaluator.picture(net))
    side = (sheet.shape[1] + dataset.GAP * 1) // evaluator.task.shown - dataset.GAP
    given, made, wanted = (sheet[k * (side + dataset.GAP) :][:side, :side].astype(float) for k in range(3))
    assert np.abs(made - 0.9 * given).max() <= 1
    if degradation == "none":
        assert np.array_equal(given, wanted)
        assert {score.name for score in evaluator.scores(net, recipe)} == {"loss", "psnr", "ssim"}


def test_pictures_nets_of_several_players_are_judged_by_psnr_which_is_to_rise(tmp_path: Path) -> None:
    path, _ = pictures(tmp_path, 32, 20)
    recipe = TrainRecipe(batch=4, size=32, licence="own", holdout=0.5)
    evaluator = Evaluator("restore", *dataset.split(dataset.read(path, recipe), recipe), recipe)
    good, bad = Mender(2), Mender(2)
    bad.weight.data.fill_(0.2)
    first, worse = evaluator.scores(good, recipe)[0], evaluator.scores(bad, recipe)[0]
    assert first.name == "psnr" and first.beats(worse.value) and not worse.beats(first.value)
    good.weight.data.fill_(1.0)
    assert evaluator.scores(good, recipe)[0].value == BEST_PSNR, "a number, though equal pictures have no error"


@pytest.mark.parametrize("side", [4, 8, 12, 20])
def test_what_small_pictures_do_not_allow_is_not_measured(tmp_path: Path, side: int) -> None:
    """SSIM looks through a window of 11 pixels, the distance between sets starts at 16."""
    path, _ = pictures(tmp_path, side, 40)
    recipe = TrainRecipe(batch=4, size=side, licence="own", holdout=0.5)
    kept = dataset.split(dataset.read(path, recipe), recipe)
    scores = Evaluator("restore", *kept, recipe).scores(Mender(), recipe)
    assert [score.name for score in scores] == ["loss", "psnr", *(["ssim"] if side > 10 else [])]
    drawer = Drawer(RNG.integers(0, 256, (8, side, side, 3), dtype=np.uint8))
    drawer.phases = Mender(2).phases  # type: ignore[assignment]
    scores += Evaluator("sample", *kept, recipe).scores(drawer, recipe)
    assert ("swd" in [score.name for score in scores]) == (side > 15)
    assert all(np.isfinite(score.value) for score in scores)
    patient = dataclasses.replace(recipe, patience=3)
    if side < 16:
        with pytest.raises(
            TrainingError, match=rf"drawn in {side} pixels is too small to be measured; leave patience out"
        ):
            Evaluator("sample", *kept, patient).check(drawer.phases(recipe))
    Evaluator("restore", *kept, patient).check(drawer.phases(recipe))


def test_what_a_generator_draws_means_something_or_not(tmp_path: Path) -> None:
    """Soft pictures like those it learnt from do; grey, noise and the mean of all do not."""
    rng = np.random.default_rng(4)
    soft = np.stack(
        [
            np.asarray(
                Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)).resize(
                    (32, 32), Image.Resampling.BICUBIC
                )
            )
            for _ in range(120)
        ]
    )
    np.savez(tmp_path / "made.npz", images=soft[:60])
    recipe = dataclasses.replace(find("dcgan-cifar10").recipe, licence="own")
    evaluator = Evaluator("sample", dataset.read(tmp_path / "made.npz", recipe), None, recipe)
    noise = rng.integers(0, 256, soft.shape, dtype=np.uint8)
    grey = (noise // 64 + 126).astype(np.uint8)
    untrained = evaluator.distance(Drawer(grey))
    for drawn, meaning in ((soft[60:], True), (noise, False), (np.full_like(soft, soft.mean()) + grey // 64, False)):
        assert evaluator.task.means(evaluator.distance(Drawer(drawn)), untrained) == meaning
    small = dataclasses.replace(recipe, size=8)
    assert Evaluator("sample", dataset.read(tmp_path / "made.npz", small), None, small).distance(Drawer(grey)) == 0.0


def test_what_other_nets_make_means_something_once_it_is_nearer_than_what_they_were_given(tmp_path: Path) -> None:
    """Where they are given the picture itself, nearer than a flat one; and inside the holes, where there are any."""
    path, _ = pictures(tmp_path, 32, 20)
    recipe = TrainRecipe(batch=4, size=32, degrade="noise:40-40", licence="own")
    noisy = Evaluator("restore", dataset.read(path, recipe), None, recipe)
    recipe = dataclasses.replace(recipe, degrade="none")
    clean = Evaluator("restore", dataset.read(path, recipe), None, recipe)
    net = Mender()
    net.weight.data.fill_(1.0)
    assert noisy.distance(net) == pytest.approx(1) and not noisy.task.means(noisy.distance(net), 1.0)
    assert clean.distance(net) == 0 and clean.task.means(0.0, 1.0)
    net.weight.data.fill_(0.0)
    assert not noisy.task.means(noisy.distance(net), 1.0) and not clean.task.means(clean.distance(net), 1.0)
    preset = find("residual-fill")
    recipe = dataclasses.replace(preset.recipe, size=32, licence="own")
    holes = Evaluator("inpaint", dataset.read(path, recipe), None, recipe)
    assert holes.distance(preset.net(preset.config).eval()) > 0
    assert holes.distance(lambda_net(lambda image, mask: image)) == 0


def lambda_net(function: Any) -> torch.nn.Module:
    net = Mender()
    net.forward = function
    return net


def test_metrics_say_what_they_cannot_measure() -> None:
    small = torch.rand(2, 3, 10, 40)
    with pytest.raises(ValueError, match="SSIM needs 11 pixels"):
        metrics.ssim(small, small)
    with pytest.raises(ValueError, match="needs 16 pixels"):
        metrics.sliced_wasserstein(small, small)


def test_grid_lays_pictures_row_after_row() -> None:
    cells = torch.stack([torch.full((1, 32, 32), k / 4) for k in range(4)])
    sheet: Any = dataset.sheet(cells, 2)
    assert isinstance(sheet, Image.Image) and sheet.size == (130, 130)
    pixels = np.asarray(sheet)
    assert [pixels[y, x, 0] for y, x in ((0, 0), (0, 129), (129, 0), (129, 129))] == [0, 64, 128, 191]
    assert pixels[0, 64].tolist() == [255, 255, 255]
