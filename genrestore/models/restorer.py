"""Restorer: one net for noise, JPEG blocks and both, told or guessing how strong they are.

Zhang, Zuo & Zhang, "FFDNet: toward a fast and flexible solution for CNN-based image denoising", TIP 2018. arXiv:1710.04026
As in the paper: the picture is folded to half its size, a map of the noise level goes in beside it, and the net gives back what
is to be added. Changed: a second map for JPEG; a U-Net of gated residual blocks without normalisation; and a small net that
estimates both maps where nobody tells them, averaged over a window, as in Guo et al., "Toward convolutional blind denoising of
real photographs", CVPR 2019, arXiv:1807.04686. In training every other picture is restored by its estimated levels.

    image ─┬─ fold ½ ─┬───────────────── U-Net ─ unfold ─ (+ image)
           └─ estimate ┴─ levels (noise, JPEG)
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genrestore.card import SizeRule
from genrestore.data.degrade import LEVELS
from genrestore.nets import layers, losses, optimizers
from genrestore.recipe import Phase, TrainRecipe
from genrestore.registry import register

FOLD = 2  # the net works on squares of so many pixels
KNOWN = ("noise", "jpeg")  # the levels that the net knows
GAINS = (5.0, 1.0)  # that bring both maps to about [0, 1]: noise of 50 of 255 levels, JPEG of quality 0
WINDOW = 15  # folded pixels over which an estimate is averaged


@dataclass(frozen=True)
class Config:
    widths: tuple[int, ...] = (64, 128)  # channels at half the picture's size, at a quarter, …
    blocks: tuple[int, ...] = (2, 2)
    guesser: int = 32  # channels of the net that estimates the levels


@register(
    "restore-photo",
    task="restore",
    config=Config(),
    recipe=TrainRecipe(
        data="photos/train",
        steps=60_000,
        batch=16,
        frame="crop",
        size=128,
        augment=("mirror", "turn"),
        degrade="noise:0-55:raw|noise:0-55|jpeg:10-95|noise:0-25+jpeg:20-95",
        optimizer="muon",
        lr=1e-3,
        betas=(0.9, 0.99),
        schedule="trapezoid",
        warmup=500,
        clip=1.0,
        ema=0.999,
        precision="auto",
    ),
    title="Restore, noise and JPEG",
    intended="Photographs with noise, JPEG blocks, or both.",
    limits="It removes noise of one strength and JPEG blocks; it sharpens no blur, and fine texture under strong noise is lost.",
    makes="A net that cleans photos like yours",
    advice="Takes noise and JPEG blocks out of photos like yours. Learns from clean ones, which it spoils itself.",
    paper="https://arxiv.org/abs/1710.04026",
)
class Restorer(nn.Module):
    """Restores an RGB picture of any even size."""

    gains: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        folded = 3 * FOLD**2
        self.body = layers.UNet(folded + len(KNOWN), folded, config.widths, config.blocks, layers.GatedResidual)
        nn.init.normal_(self.body.leave.weight, std=1e-3)  # training begins at the picture as it is
        width = config.guesser
        self.guesser = nn.Sequential(
            nn.Conv2d(folded, width, 3, padding=1), nn.LeakyReLU(0.1),
            nn.Conv2d(width, width, 3, padding=1), nn.LeakyReLU(0.1),
            nn.Conv2d(width, width, 3, padding=1), nn.LeakyReLU(0.1),
            nn.Conv2d(width, len(KNOWN), 3, padding=1),
        )  # fmt: skip
        self.register_buffer("gains", torch.tensor(GAINS).view(1, -1, 1, 1), persistent=False)
        coarsest = FOLD * 2 ** (len(config.widths) - 1)
        self.size_rule = SizeRule(multiple_of=coarsest, minimum=coarsest, receptive=64)

    def estimate(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] → (B, 2, H/2, W/2): σ of the noise as a share of the range, and 1 − quality/100 of JPEG."""
        guess = self.guesser(F.pixel_unshuffle(image - 0.5, FOLD)).float()
        return layers.local_mean(guess, WINDOW) / self.gains

    def forward(self, image: Tensor, levels: Tensor | None = None) -> Tensor:
        """(B, 3, H, W) in [0, 1], levels (B, 2, h, w) as `estimate` gives them or (B, 2, 1, 1) → (B, 3, H, W), about [0, 1]."""
        levels = self.estimate(image) if levels is None else levels
        folded = F.pixel_unshuffle(image - 0.5, FOLD)
        maps = (levels * self.gains).to(folded.dtype).expand(-1, -1, *folded.shape[2:])
        change = self.body(torch.cat([folded, maps], 1))
        return image + F.pixel_shuffle(change, FOLD).to(image.dtype)

    def phases(self, recipe: TrainRecipe) -> list[Phase]:
        error = losses.chosen(losses.PIXEL, recipe.loss, "l1")

        def loss(batch: dict[str, Tensor]) -> Tensor:
            low, levels = (
                batch["low"],
                torch.stack([batch["levels"][:, LEVELS.index(name)] for name in KNOWN], 1)[..., None, None],
            )
            guess = self.estimate(low)
            trusted = torch.rand(len(low), 1, 1, 1, device=low.device) < 0.5
            result = self(low, torch.where(trusted, guess.detach().clamp(0, 1), levels))
            return error(result, batch["image"]) + 0.1 * ((guess - levels) * self.gains).abs().mean()

        return [Phase("net", optimizers.build(recipe, self), loss)]
