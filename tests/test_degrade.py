"""Shrinking as MATLAB does it, and holes of each family."""

import numpy as np
import pytest
import torch
from data_folder import SHARED, read_rgb

from genrestore import degrade
from genrestore.errors import TrainingError


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
    assert torch.allclose(degrade.resize(torch.full((1, 1, 9, 14), 0.3), 23, 5), torch.tensor(0.3), atol=1e-6)
    ramp = torch.linspace(0, 1, 64)[None, None, None].expand(1, 1, 8, 64)
    small = degrade.resize(ramp, 8, 16)[0, 0, 0, 3:-3]
    assert torch.allclose(small.diff(), torch.full_like(small.diff(), 4 / 63), atol=1e-5), "a ramp stays a ramp"


@pytest.mark.parametrize("family", degrade.FAMILIES)
def test_holes_are_seeded_and_of_sensible_size(family: str) -> None:
    holes = degrade.find(f"holes:{family}")
    clean = torch.rand(6, 3, 96, 96)
    first, again = (holes(clean, np.random.default_rng(4)) for _ in range(2))
    other = holes(clean, np.random.default_rng(5))
    mask = first["mask"]
    assert mask.shape == (6, 1, 96, 96) and set(mask.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(mask, again["mask"]) and not torch.equal(mask, other["mask"])
    assert torch.equal(first["image"], clean)
    share = mask.mean((1, 2, 3))
    assert (share > 0.002).all() and (share < 0.8).all()


def test_shrink_pairs_line_up() -> None:
    """The small picture shows what the large one shows: shrinking the crop again differs only at its edges."""
    shrink = degrade.find("shrink:4")
    y, x = torch.meshgrid(torch.linspace(0, 6, 64 + 24), torch.linspace(0, 6, 64 + 24), indexing="ij")
    pair = shrink((torch.sin(x * y) / 2 + 0.5)[None, None].repeat(1, 3, 1, 1), np.random.default_rng(0))
    assert pair["image"].shape == (1, 3, 64, 64) and pair["low"].shape == (1, 3, 16, 16)
    again = degrade.shrink(pair["image"], 16, 16)
    assert (again - pair["low"])[..., 3:-3, 3:-3].abs().max() < 1.1 / 255


@pytest.mark.parametrize("name", ["", "holes:", "holes:text,mud", "shrink:x", "shrink:1", "blur"])
def test_unknown_degradations_are_named(name: str) -> None:
    with pytest.raises(TrainingError, match="degrade must be"):
        degrade.find(name)
