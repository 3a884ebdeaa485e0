"""SPAN: super-resolution by plain 3×3 convolutions whose features gate themselves.

Wan et al., "Swift Parameter-free Attention Network for Efficient Super-Resolution", CVPRW 2024. arXiv:2311.12770
As in the paper: blocks of three convolutions, an attention map that is an odd function of the last one and costs no
parameter, features of several depths joined before the last convolution. Changed: plain convolutions in training too
(no re-parameterised triplets, which double the time of a step); five blocks; a block adds its gated sum to its input and has
leaky ReLUs instead of SiLUs (0.19 dB on Set5 after three minutes of training); and the pixel-shuffled picture is added to the
repeated input (the anchor of Du et al., ABPN, arXiv:2105.09750), so that the net learns only what repetition lacks.

    image ─ head ─ block ─ block ─ … ─ block ─┐
             └───────┴─ join 1×1 ─────────────┴─ tail ─ pixel shuffle ─ (+ image, each pixel s² times) ─ larger image
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genrestore.card import SizeRule
from genrestore.nets import losses, optimizers
from genrestore.recipe import Phase, TrainRecipe
from genrestore.registry import register

SLOPE = 0.1  # of the leaky ReLU below 0


@dataclass(frozen=True)
class Config:
    scale: int = 4
    width: int = 48  # channels
    blocks: int = 5


class Block(nn.Module):
    """Three convolutions; the last one's output gates its own sum with the input, which is added to the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.third = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.third(F.leaky_relu(self.second(F.leaky_relu(self.first(x), SLOPE)), SLOPE))
        return x + (x + y) * (torch.sigmoid(y) - 0.5)


class Body(nn.Module):
    """(B, 3, H, W) → (B, 3·s², H, W): what the repeated picture lacks, before the pixel shuffle."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.width
        self.channels = 3  # of the input
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.ModuleList(Block(width) for _ in range(config.blocks))
        self.after = nn.Conv2d(width, width, 3, padding=1)
        self.join = nn.Conv2d(4 * width, width, 1)
        self.tail = nn.Conv2d(width, 3 * config.scale**2, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        x = head = self.head(image - 0.5)
        outputs: list[Tensor] = []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        joined = self.join(torch.cat([head, self.after(x), outputs[0], outputs[-2]], 1))
        return self.tail(joined)


@register(
    "span-x4",
    task="upscale",
    config=Config(),
    recipe=TrainRecipe(
        data="photos/train",
        steps=80_000,
        batch=4,
        frame="crop",
        size=96,
        crops=3,
        augment=("mirror", "turn"),
        degrade="shrink:4",
        optimizer="muon",
        lr=1e-3,
        betas=(0.9, 0.99),
        schedule="trapezoid",
        warmup=500,
        clip=1.0,
        ema=0.999,
        precision="fp32",
    ),
    title="Enlarge ×4, faithful",
    intended="Photographs that are clean but small: it sharpens edges without inventing texture.",
    limits="Trained on clean bicubic shrinking: noise, JPEG blocks and blur in the input stay, or are enlarged with it.",
    makes="An enlarger that knows your photos, ×4",
    advice="Makes photos like yours four times as wide and as high; it sharpens edges without inventing texture.",
    paper="https://arxiv.org/abs/2311.12770",
)
class Span(nn.Module):
    """Enlarges an RGB picture `config.scale` times."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.body = Body(config)
        # head, three a block, the convolution after the blocks and the tail each see one pixel further
        self.size_rule = SizeRule(receptive=3 * config.blocks + 3)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] → (B, 3, sH, sW), about [0, 1]. The last sum is in the input's precision."""
        scale = self.config.scale
        large = F.pixel_shuffle(self.body(image), scale).to(image.dtype)
        large.unflatten(-1, (-1, scale)).unflatten(-3, (-1, scale)).add_(image[..., :, None, :, None])
        return large

    def phases(self, recipe: TrainRecipe) -> list[Phase]:
        error = losses.chosen(losses.PIXEL, recipe.loss, "l1")

        def loss(batch: dict[str, Tensor]) -> Tensor:
            return error(self(batch["low"]), batch["image"])

        return [Phase("net", optimizers.build(recipe, self), loss)]
