"""Residual fill: a smooth classical fill, and a U-Net that adds what the fill cannot know.

The start is the biharmonic fill (`layers.biharmonic`), the strongest classical one; its distance to the truth is what the net
learns, after He et al., "Deep residual learning for image recognition", CVPR 2016. arXiv:1512.03385. The net is a U-Net
(Ronneberger, Fischer & Brox, MICCAI 2015, arXiv:1505.04597) of residual blocks without normalisation, deepest where the
picture has its full size: on unshuffled pixels, at half the size, equally costly nets stayed at a third of the gain on thin
holes. It is shown the detail beside the picture (the fill minus its 7×7 mean, times 8): without it, small nets stay at the fill.

    image, mask ─ biharmonic ─┬─ [fill, mask, detail] ─ 1 ─ blocks ─────────── blocks ─ × mask ─ (+) ─ image
                              │                         └ ½ ─── blocks ─ shuffle ─┘               │
                              └────────────────────────────── ¼ ─ … ─┘ ───────────────────────────┘
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from genrestore.card import SizeRule
from genrestore.nets import layers, losses, optimizers
from genrestore.recipe import Phase, TrainRecipe
from genrestore.registry import register

DETAIL = 8.0  # gain of the detail at the input; its inverse scales the output, so that both have about the deviation of the data


@dataclass(frozen=True)
class Config:
    widths: tuple[int, ...] = (16, 32, 64, 128, 128)  # channels at the picture's size, at 1/2, 1/4, 1/8, …
    blocks: tuple[int, ...] = (3, 1, 2, 2, 2)  # on each level, on the way down and again on the way up
    fill_steps: int = 20  # conjugate-gradient steps of the classical fill

    def __post_init__(self) -> None:
        if self.fill_steps > 1000 or len(self.widths) > 8:
            raise ValueError("at most 1000 steps and 8 levels")


@register(
    "residual-fill",
    task="inpaint",
    config=Config(),
    recipe=TrainRecipe(
        data="photos/train",
        steps=60_000,
        batch=8,
        frame="crop",
        size=128,
        augment=("mirror", "turn"),
        degrade="holes:scratch,scratch,scratch,text,text,text,strokes,box",
        optimizer="muon",
        lr=2e-3,
        betas=(0.9, 0.99),
        schedule="trapezoid",
        warmup=300,
        clip=1.0,
        ema=0.999,
        precision="fp32",
    ),
    title="Repair, any hole",
    intended="Scratches, dust, text and small objects on photographs.",
    limits="It continues what surrounds the hole and invents no object: wide holes turn out smooth.",
    makes="A repair net that knows your photos",
    advice="Fills scratches, dust, writing and small objects in photos like yours.",
    paper="https://arxiv.org/abs/1505.04597",
)
class ResidualFill(nn.Module):
    """Fills a hole of any shape in an RGB picture."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.body = layers.UNet(7, 3, config.widths, config.blocks)
        nn.init.normal_(self.body.leave.weight, std=1e-3)  # training begins at the classical fill
        coarsest = 2 ** (len(config.widths) - 1)
        # the deepest level sees further, but what lay beyond 64 pixels changed no sample by more than 2e-4 of 255 levels
        self.size_rule = SizeRule(multiple_of=coarsest, minimum=coarsest, receptive=128)

    def fill(self, image: Tensor, mask: Tensor) -> Tensor:
        """The classical start: (B, 3, H, W), (B, 1, H, W) → (B, 3, H, W)."""
        with torch.no_grad():
            return layers.biharmonic(image, mask, self.config.fill_steps)

    def refine(self, fill: Tensor, mask: Tensor) -> Tensor:
        """Add the learned residual inside the hole. Known pixels come back bit for bit.

        Into the body go fill, mask and detail; out comes what the fill lacks, times DETAIL.
        """
        detail = DETAIL * (fill - layers.local_mean(fill))
        residual = self.body(torch.cat([fill - 0.5, mask, detail], 1)).to(fill.dtype) / DETAIL
        return fill + mask * residual

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] and (B, 1, H, W), 1 = fill → (B, 3, H, W)."""
        return self.refine(self.fill(image, mask), mask)

    def phases(self, recipe: TrainRecipe) -> list[Phase]:
        error = losses.chosen(losses.HOLE, recipe.loss, "log-mse")

        def loss(batch: dict[str, Tensor]) -> Tensor:
            return error(self(batch["image"], batch["mask"]), batch["image"], batch["mask"])

        return [Phase("net", optimizers.build(recipe, self), loss)]
