"""Damage net: a small U-Net that tells for each pixel how likely it is damage, not picture.

Ronneberger, Fischer & Brox, "U-Net: convolutional networks for biomedical image segmentation", MICCAI 2015. arXiv:1505.04597
As in the paper: levels of falling size, joined, and one map out. Changed: the picture is folded to half its size, so that no
level works at full size; residual blocks with batch normalisation, joined by sums; cross-entropy and soft Dice, since damage is a
few pixels of a hundred. It is shown the detail beside the picture (the picture minus its 7×7 mean, times 4): what lies on a print
is sharper than the print.

    image ─ [image, detail] ─ fold ½ ─ U-Net (½, ¼, ⅛) ─ unfold ─ sigmoid
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genrestore.card import SizeRule
from genrestore.nets import layers, losses, optimizers
from genrestore.recipe import Phase, TrainRecipe
from genrestore.registry import register

FOLD = 2  # the net works on squares of so many pixels
MEAN = 7  # pixels a side of the square whose mean the detail is without
DETAIL = 4.0  # gain of the detail beside the picture
GAIN = 3.0  # of both, which brings them to a deviation of about one
RARE = -3.0  # where the logits begin: about one pixel in twenty is damage


@dataclass(frozen=True)
class Config:
    widths: tuple[int, ...] = (24, 48, 64)  # channels at half the picture's size, at a quarter, …
    blocks: tuple[int, ...] = (1, 2, 2)


class Block(nn.Module):
    """ReLU(x + BN(conv(ReLU(BN(conv(x)))))). He, Zhang, Ren & Sun, CVPR 2016, arXiv:1512.03385."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.change = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.change(x))


def _reach(blocks: tuple[int, ...]) -> int:
    """Pixels to each side that a net with so many blocks on its levels sees: two convolutions a block, down and up again."""
    pixel = [FOLD * 2**level for level in range(len(blocks))]  # of a level, in pixels of the picture
    ways = [*[2] * (len(blocks) - 1), 1]
    convolutions = sum(2 * count * way * side for count, way, side in zip(blocks, ways, pixel, strict=True))
    return MEAN // 2 + 2 * FOLD + convolutions + pixel[-1] - 1  # a corner of a coarse pixel sees the whole of it


@register(
    "find-damage",
    task="damage",
    config=Config(),
    recipe=TrainRecipe(
        data="photos/train",
        steps=11_600,
        batch=8,
        frame="crop",
        size=112,
        augment=("mirror", "turn"),
        degrade="damage:all+noise:0-6+jpeg:60-95|noise:0-8|noise:0-4+blur:0.3-0.7+jpeg:60-95",
        optimizer="muon",
        lr=2e-3,
        betas=(0.9, 0.99),
        schedule="trapezoid",
        warmup=200,
        clip=1.0,
        ema=0.998,
        precision="auto",
    ),
    title="Find damage",
    intended="Dust, hairs, scratches, creases, tears, stains, water marks and writing on scans of photographic prints.",
    limits="It marks wires, stars, straps and letters of the scene too, and misses small dust and, on busy photos, light damage; "
    "what is only faded is not found.",
    makes="A net that finds the damage on prints like yours",
    advice="Marks dust, scratches, creases, stains and writing. Learns from clean photos, which it damages itself.",
    paper="https://arxiv.org/abs/1505.04597",
)
class DamageNet(nn.Module):
    """Tells what of an RGB picture is damage."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.body = layers.UNet(6 * FOLD**2, FOLD**2, config.widths, config.blocks, Block)
        nn.init.normal_(self.body.leave.weight, std=1e-2)
        assert self.body.leave.bias is not None
        nn.init.constant_(self.body.leave.bias, RARE)
        coarsest = FOLD * 2 ** (len(config.widths) - 1)
        self.size_rule = SizeRule(multiple_of=coarsest, minimum=coarsest, receptive=_reach(config.blocks))

    def logits(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] → (B, 1, H, W)."""
        detail = DETAIL * (image - layers.local_mean(image, MEAN))
        shown = GAIN * F.pixel_unshuffle(torch.cat([image - 0.5, detail], 1), FOLD)
        return F.pixel_shuffle(self.body(shown), FOLD)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] → (B, 1, H, W), how likely each pixel is damage."""
        return torch.sigmoid(self.logits(image).float())

    def phases(self, recipe: TrainRecipe) -> list[Phase]:
        error = losses.chosen(losses.MASK, recipe.loss, "bce-dice")

        def loss(batch: dict[str, Tensor]) -> Tensor:
            return error(self(batch["low"]), batch["image"])

        return [Phase("net", optimizers.build(recipe, self), loss)]
