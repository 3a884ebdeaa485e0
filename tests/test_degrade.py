"""Shrinking as MATLAB does it, the other steps, and holes of each family."""

import io

import numpy as np
import pytest
import torch
from data_folder import SHARED, read_rgb
from PIL import Image

from genrestore.data import degrade
from genrestore.errors import TrainingError


def generators(count: int, seed: int = 4) -> list[np.random.Generator]:
    return [np.random.default_rng([seed, k]) for k in range(count)]


def seeded(spoil: degrade.Degradation, clean: torch.Tensor, drawn: torch.Tensor) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return spoil.together(clean, drawn)


def waves(count: int, side: int) -> torch.Tensor:
    """(count, 3, side, side): smooth, without symmetry, in 8 bits."""
    y, x = torch.meshgrid(torch.linspace(0, 6, side), torch.linspace(0, 6, side), indexing="ij")
    return degrade.quantise((torch.sin(x * y) / 2 + 0.5)[None, None].repeat(count, 3, 1, 1))


@pytest.mark.parametrize("scale, folder", [(4, "LRx4"), (2, "LRx2")])
def test_shrinks_as_matlab_does(scale: int, folder: str) -> None:
    """The benchmark's small pictures were made by MATLAB of pictures a pixel larger: inside, one level apart at most."""
    root = SHARED / "benchmarks/BSD100"
    if not root.is_dir():
        pytest.skip(f"{root} is not here; it holds the reference pictures")
    for path in sorted((root / "HR").iterdir())[:5]:
        large, small = read_rgb(path), read_rgb(root / folder / path.name)
        ours = degrade.shrink(large, small.shape[-2], small.shape[-1])
        assert (ours - small)[..., 3:-3, 3:-3].abs().max() * 255 < 1.01, path.name


def test_resize_keeps_constants_and_is_separable() -> None:
    assert torch.allclose(degrade.resize(torch.full((1, 1, 9, 14), 0.3), 23, 5), torch.tensor(0.3), atol=1e-5)
    ramp = torch.linspace(0, 1, 64)[None, None, None].expand(1, 1, 8, 64)
    small = degrade.resize(ramp, 8, 16)[0, 0, 0, 3:-3]
    assert torch.allclose(small.diff(), torch.full_like(small.diff(), 4 / 63), atol=1e-5), "a ramp stays a ramp"


@pytest.mark.parametrize("family", degrade.FAMILIES)
def test_holes_are_seeded_and_of_sensible_size(family: str) -> None:
    holes = degrade.find(f"holes:{family}")
    clean = torch.rand(6, 3, 96, 96)
    first, again = (degrade.spoilt(holes, clean, generators(6)) for _ in range(2))
    other = degrade.spoilt(holes, clean, generators(6, seed=5))
    mask = first["mask"]
    assert mask.shape == (6, 1, 96, 96) and set(mask.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(mask, again["mask"]) and not torch.equal(mask, other["mask"])
    assert torch.equal(first["image"], clean)
    share = mask.mean((1, 2, 3))
    assert (share > 0.002).all() and (share < 0.8).all()


def test_shrink_pairs_line_up() -> None:
    """The small picture shows what the large one shows: shrinking the crop again differs only at its edges."""
    clean = waves(1, 64 + 24)
    pair = degrade.spoilt(degrade.find("shrink:4"), clean, generators(1))
    assert pair["image"].shape == (1, 3, 64, 64) and pair["low"].shape == (1, 3, 16, 16)
    assert torch.equal(pair["image"], clean[..., 12:-12, 12:-12])
    assert torch.equal(pair["low"], degrade.shrink(clean, 22, 22)[..., 3:-3, 3:-3]), "the benchmark's arithmetic"
    again = degrade.shrink(pair["image"], 16, 16)
    assert (again - pair["low"])[..., 3:-3, 3:-3].abs().max() < 1.1 / 255


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("kernel", degrade.KERNELS)
def test_kernels_keep_a_ramp_in_its_place(kernel: str, scale: int) -> None:
    """A pixel of the small picture shows the middle of those it stands for; only "nearest" may be half a pixel off."""
    ramp = torch.linspace(0, 1, 24 * scale)[None, None, None].expand(1, 1, 24 * scale, -1)
    small = degrade.resize_matrix(24 * scale, 24, kernel) @ ramp[0, 0, 0]
    middles = ramp[0, 0, 0].reshape(24, scale).mean(1)
    slack = 0.51 / (24 * scale - 1) if kernel == "nearest" else 1e-5
    assert (small - middles)[4:-4].abs().max() < slack


def test_kernels_equal_pillows() -> None:
    """Where Pillow knows the kernel too, a picture comes out within a level."""
    names = {"bilinear": "BILINEAR", "area": "BOX", "lanczos": "LANCZOS"}
    pixels = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    for kernel, name in names.items():
        theirs = np.array(Image.fromarray(pixels).resize((16, 16), Image.Resampling[name]))
        ours = degrade.shrink(torch.from_numpy(pixels)[None, None].float() / 255, 16, 16, kernel)
        assert (ours[0, 0] * 255 - torch.from_numpy(theirs))[3:-3, 3:-3].abs().max() < 1.6, kernel
    nearest = degrade.shrink(torch.from_numpy(pixels)[None, None].float() / 255, 16, 16, "nearest")
    assert torch.equal((nearest[0, 0] * 255).round().byte(), torch.from_numpy(pixels[1::3, 1::3].copy()))


def test_each_picture_draws_its_own_kernel() -> None:
    clean = torch.rand(1, 3, 88, 88).repeat(30, 1, 1, 1)
    mixed = degrade.find("shrink:4:bicubic,nearest")
    low = degrade.spoilt(mixed, clean, generators(30))["low"]
    alone = [degrade.shrink(clean[:1], 22, 22, kernel)[..., 3:-3, 3:-3] for kernel in ("bicubic", "nearest")]
    counts = [int((low == each).all(3).all(2).all(1).sum()) for each in alone]
    assert sum(counts) == 30 and min(counts) > 5


def test_blur_has_the_spread_it_says() -> None:
    """A point becomes a Gaussian: its second moment is the variance, and nothing is lost."""
    point = torch.zeros(1, 1, 81, 81)
    point[..., 40, 40] = 1
    blurred = degrade.Blur(3, 3).one(point[0].numpy(), np.array([3.0]), np.random.default_rng(0))[0]
    places = np.arange(81) - 40
    assert blurred.sum() == pytest.approx(1, abs=1e-3)
    assert (blurred.sum(0) * places**2).sum() == pytest.approx(9, rel=0.01)
    flat = degrade.spoilt(degrade.find("blur:0.2-2"), torch.full((1, 3, 40, 40), 0.4), generators(1))
    assert flat["image"].shape == flat["low"].shape == (1, 3, 28, 28), "6 pixels to each side are its margin"
    assert (flat["low"] - 0.4).abs().max() < 0.6 / 255


def test_noise_is_as_strong_as_it_says_and_differs_by_picture() -> None:
    clean = torch.full((40, 1, 64, 64), 0.5)
    spoilt = degrade.spoilt(degrade.find("noise:10-30"), clean, generators(40))
    strengths = (spoilt["low"] - 0.5).std((1, 2, 3)) * 255
    assert 9 < strengths.min() < 15 and 25 < strengths.max() < 31
    assert torch.equal(spoilt["image"], clean)
    assert torch.equal((spoilt["low"] * 255).round() / 255, spoilt["low"]), "stored in 8 bits"


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_pillows(channels: int) -> None:
    """Wherever its grid begins: the edge is repeated up to there."""
    clean = waves(1, 40)[:, :channels]
    low = torch.from_numpy(degrade.Jpeg(20, 20).one(clean[0].numpy(), np.array([20, 0, 0]), generators(1)[0]))
    moved = degrade.Jpeg(20, 20).one(clean[0].numpy(), np.array([20, 5, 3]), generators(1)[0])
    assert moved.shape == low.shape and not np.array_equal(moved, low.numpy())
    pixels = (clean[0] * 255).round().byte().permute(1, 2, 0).numpy()
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(file, "JPEG", quality=20)
    expected = torch.from_numpy(np.array(Image.open(file)).reshape(40, 40, channels)).permute(2, 0, 1)
    assert torch.equal((low * 255).round().byte(), expected)
    assert not torch.equal(low, clean[0])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("quality", [5, 30, 75, 95, 100])
def test_a_batch_goes_through_jpeg_as_a_picture_does(quality: int, channels: int) -> None:
    """In floating point: a coefficient in the middle between two steps may fall to the other side, no more."""
    clean = torch.cat([waves(1, 56), waves(1, 56).flip(3).roll(9, 2)])[:, :channels].contiguous()
    step, drawn = degrade.Jpeg(1, 100), [(quality, 0, 0), (quality, 7, 12)]
    alone = np.stack(
        [
            step.one(picture.numpy(), np.array(numbers), generators(1)[0])
            for picture, numbers in zip(clean, drawn, strict=True)
        ]
    )
    together = step.many(clean, torch.tensor(drawn)).numpy()
    apart = np.abs(alone - together) * 255
    assert apart.mean() < 0.25 and (apart > 1.5).mean() < 0.05, (apart.mean(), apart.max())
    lost = np.abs(alone - clean.numpy()).mean() * 255
    assert quality > 90 or lost > 3 * apart.mean()


@pytest.mark.parametrize(
    "name", ["shrink:4", "shrink:2:bicubic,area,lanczos", "blur:0.2-2", "blur:0.5-1+shrink:2", "noise:0"]
)
def test_a_batch_is_spoilt_as_pictures_are(name: str) -> None:
    clean, spoil = torch.rand(3, 3, 88, 88), degrade.find(name)
    alone = degrade.spoilt(spoil, clean, generators(3))
    drawn = torch.from_numpy(np.concatenate([spoil.draw(rng, 1, 88) for rng in generators(3)]))
    together = seeded(spoil, clean, drawn)
    assert torch.equal(alone["image"], together["image"])
    assert torch.allclose(alone["levels"], together["levels"])
    apart = (alone["low"] - together["low"]).abs() * 255
    assert apart.max() < 1.01 and (apart > 0.5).float().mean() < 1e-3, (
        "sums in another order round alike, but for a few"
    )


def test_raw_noise_is_not_stored() -> None:
    spoil, clean = degrade.find("noise:60:raw"), torch.full((4, 1, 64, 64), 0.98)
    drawn = torch.from_numpy(np.concatenate([spoil.draw(rng, 1, 64) for rng in generators(4)]))
    for spoilt in (degrade.spoilt(spoil, clean, generators(4)), seeded(spoil, clean, drawn)):
        low = spoilt["low"]
        assert low.max() > 1.3 and not torch.equal((low * 255).round() / 255, low)
        assert abs(low.std().item() * 255 - 60) < 2


def test_noise_of_a_batch_is_as_strong_as_it_says() -> None:
    clean, spoil = torch.full((40, 1, 64, 64), 0.5), degrade.find("noise:10-30")
    drawn = torch.from_numpy(np.concatenate([spoil.draw(rng, 1, 64) for rng in generators(40)]))
    spoilt = seeded(spoil, clean, drawn)
    strengths = (spoilt["low"] - 0.5).std((1, 2, 3))
    assert (strengths / spoilt["levels"][:, 0] - 1).abs().max() < 0.05
    again = seeded(spoil, clean, drawn)
    assert torch.equal(spoilt["low"], again["low"])


def test_each_picture_goes_through_one_of_several_chains() -> None:
    clean, spoil = waves(30, 80), degrade.find("noise:20|jpeg:10+noise:5|blur:1")
    alone = degrade.spoilt(spoil, clean, generators(30))
    noise, jpeg, blur = alone["levels"].unbind(1)
    first, second, third = noise * 255 > 10, jpeg > 0, blur > 0
    assert (first.int() + second.int() + third.int() == 1).all() and min(first.sum(), second.sum(), third.sum()) > 3
    assert torch.allclose(jpeg[second], torch.tensor(0.9)) and torch.allclose(noise[second] * 255, torch.tensor(5.0))
    drawn = torch.from_numpy(np.concatenate([spoil.draw(rng, 1, 80) for rng in generators(30)]))
    together = seeded(spoil, clean, drawn)
    assert torch.allclose(together["levels"], alone["levels"]) and together["low"].shape == alone["low"].shape
    apart = (alone["low"] - together["low"]).abs().mean((1, 2, 3)) * 255
    assert apart[third].max() < 0.05 and apart[second].max() < 12 and apart[first].min() > 5


def test_chains_that_shrink_differently_are_refused() -> None:
    with pytest.raises(TrainingError, match="must shrink alike"):
        degrade.find("shrink:2|noise:5")


@pytest.mark.parametrize("order", ["blur:1+shrink:4+noise:5+jpeg:50", "shrink:2+blur:1+shrink:2", "jpeg:50+shrink:3"])
def test_chains_line_up_and_rows_are_independent(order: str) -> None:
    chain = degrade.find(order)
    assert chain.margin % chain.scale == 0
    clean = waves(4, 48 + 2 * chain.margin)
    pair = degrade.spoilt(chain, clean, generators(4))
    assert pair["image"].shape == (4, 3, 48, 48) and pair["low"].shape == (4, 3, 48 // chain.scale, 48 // chain.scale)
    small = degrade.shrink(pair["image"], 48 // chain.scale, 48 // chain.scale)
    assert (small - pair["low"])[..., 3:-3, 3:-3].abs().mean() < 0.06
    assert (small - pair["low"].flip(3))[..., 3:-3, 3:-3].abs().mean() > 0.1
    alone = degrade.spoilt(chain, clean[2:3], generators(4)[2:3])
    assert torch.equal(alone["low"], pair["low"][2:3])


def test_the_order_of_steps_counts() -> None:
    clean = waves(1, 100)
    a, b = (
        degrade.spoilt(degrade.find(name), clean, generators(1))["low"]
        for name in ("noise:40+blur:2", "blur:2+noise:40")
    )
    assert b.diff(dim=3).std() > 3 * a.diff(dim=3).std()


@pytest.mark.parametrize(
    "name",
    ["", "holes:", "holes:text,mud", "shrink:x", "shrink:1", "shrink:17", "shrink:4:mean", "blur", "blur:3-1", "blur:-1",
     "noise:0-300", "jpeg:0", "jpeg:50-", "noise:nan", "none+noise:3", "holes:box+noise:3", "noise:3+", "Noise:3"],
)  # fmt: skip
def test_unknown_degradations_are_named(name: str) -> None:
    with pytest.raises(TrainingError, match=r"degrade must be none, .*shrink:SCALE.*jpeg:QUALITY"):
        degrade.find(name)
