"""Fill what a mask marks from its surroundings."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from genrestore.setting import setting
from genrestore.tasks.task import LARGEST_SEED, ImageToImage, enter, given, made

if TYPE_CHECKING:
    from torch import Tensor

    from genrestore.tasks.task import Batch


EXEMPLAR = "exemplar"  # in place of a net's name: pieces of the picture
STRATEGIES = ("crop", "whole")
LARGEST_GROWTH = 200  # pixels
LARGEST_FEATHER = 100  # pixels


@dataclass(frozen=True)
class Options:
    strategy: str = setting(
        "crop",
        "crop: work round each hole; whole: all of it, at most 768 pixels at once.",
        "Strategy",
        choices=STRATEGIES,
    )
    seed: int = setting(0, "Another seed gives another fill of wide holes.", "Seed", within=f"[0, {LARGEST_SEED}]")
    grow: int = setting(
        0, "Pixels by which the mask is widened on every side before it is filled.", "Grow",
        within=f"[0, {LARGEST_GROWTH}]",
    )  # fmt: skip
    feather: int | None = setting(
        None, "Pixels inside the mask's edge over which the fill fades into the picture; 0 ends it hard.",
        "Feather", within=f"[0, {LARGEST_FEATHER}]",
    )  # fmt: skip


@enter
class Inpaint(ImageToImage):
    """`forward(image, mask, **conditions)`: (B, 3, H, W), (B, 1, H, W) with 1 = fill → (B, 3, H, W)."""

    name = "inpaint"
    title = "Inpaint"
    wish = "To repair pictures"
    help = "Repair the white part of a mask, or what was erased; all else stays as it is."
    done = "repaired"
    place = 10
    ways = (EXEMPLAR,)
    source = "compositeWithTrainedAlgorithmicMedia"
    options = Options
    pictures = MappingProxyType(
        {
            "mask": "White where the picture is to be filled, of its size or proportions; left out, what is transparent in "
            "the picture is filled.",
            "forbid": "White on what must not be copied into wide holes, such as a second person.",
        }
    )
    exact = True
    use = 'genrestore.inpaint("photo.jpg", "mask.png", model="{}").save("repaired.png")'

    def example(self, net: Any, size: int) -> "tuple[Tensor, ...]":
        import torch

        mask = torch.zeros(1, 1, size, size)
        mask[..., size // 3 : size // 2, size // 4 : 3 * size // 4] = 1
        return made(size), mask

    def look(self, net: Any, batch: "Batch") -> "tuple[Tensor, Tensor]":
        image, mask = batch["image"], batch["mask"]
        return image * (1 - mask) + 0.5 * mask, net(image, mask, **given(net, batch)).clamp(0, 1)

    def under(self, batch: "Batch") -> "Tensor":
        return batch["mask"]

    def start(self, before: "Tensor", batch: "Batch") -> "Tensor":
        return before
