"""VAE: an autoencoder whose latent space can be sampled.

Kingma & Welling, "Auto-encoding variational Bayes", ICLR 2014. arXiv:1312.6114
As in the paper: Gaussian posterior, one draw a picture, a Gaussian decoder of fixed variance (summed squared error). Changed:
convolutions with batch normalisation instead of dense layers, as in DCGAN (arXiv:1511.06434), and the
recipe's β on the KL term (Higgins et al., β-VAE, ICLR 2017), which may rise from 0 (Bowman et al. 2016, arXiv:1511.06349).

    image 64×64 ─ 64×32×32 ─ 128×16×16 ─ dense ─ mean, log-variance ─ z ─ dense 512×4×4 ─ 256×8×8 ─ 128×16×16 ─ 64×32×32 ─ image
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from genrestore.card import SizeRule
from genrestore.nets import losses, optimizers
from genrestore.recipe import Phase, TrainRecipe
from genrestore.registry import register

SPREAD = 4  # (x − y)² in [−1, 1] is four times that in [0, 1]: a Gaussian decoder of variance ½ there


@dataclass(frozen=True)
class Config:
    latent: int = 64  # length of z
    channels: int = 3


@register(
    "vae-clothing",
    task="sample",
    config=Config(),
    recipe=TrainRecipe(
        data="small/clothing.npz",
        steps=6_000, batch=64, size=64, lr=2e-4, schedule="trapezoid", warmup=200, ema=0.999, precision="fp32",
    ),
    own=losses.KL,
    title="VAE, clothing 64×64",
    intended="Exploring a smooth latent space: every slider changes the garment without a jump.",
    limits="64×64 pixels and soft edges, as every VAE with a squared error; ten kinds of garment only.",
    makes="Sliders that change pictures like yours, 64 × 64",
    advice="Each slider changes the picture smoothly; a little blurred. Best for things of one kind that lie alike.",
    paper="https://arxiv.org/abs/1312.6114",
)  # fmt: skip
class VAE(nn.Module):
    """Encodes and draws 64×64 pictures."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.latent = config.latent
        self.size_rule = SizeRule(multiple_of=64, minimum=64)
        self.encoder = nn.Sequential(
            nn.Conv2d(config.channels, 64, 4, 2, 1, bias=False), nn.BatchNorm2d(64), nn.LeakyReLU(0.2),
            nn.Conv2d(64, 128, 4, 2, 1, bias=False), nn.BatchNorm2d(128), nn.LeakyReLU(0.2),
            nn.Flatten(), nn.Linear(128 * 16 * 16, 2 * config.latent),
        )  # fmt: skip
        self.stem = nn.Sequential(
            nn.Linear(config.latent, 512 * 4 * 4, bias=False), nn.BatchNorm1d(512 * 4 * 4), nn.LeakyReLU(0.2)
        )
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(512, 256, 4, 2, 1, bias=False), nn.BatchNorm2d(256), nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(256, 128, 4, 2, 1, bias=False), nn.BatchNorm2d(128), nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(128, 64, 4, 2, 1, bias=False), nn.BatchNorm2d(64), nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(64, config.channels, 4, 2, 1), nn.Tanh(),
        )  # fmt: skip

    def encode(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, 64, 64) in [0, 1] → mean and log-variance, each (B, Z)."""
        mean, log_variance = self.encoder(image * 2 - 1).float().chunk(2, dim=1)
        return mean, log_variance

    def decode(self, z: Tensor) -> Tensor:
        """(B, Z) → (B, C, 64, 64) in [0, 1]."""
        return self.decoder(self.stem(z).view(-1, 512, 4, 4)) * 0.5 + 0.5

    def phases(self, recipe: TrainRecipe) -> list[Phase]:
        kl = recipe.part(losses.KL)
        error = losses.chosen(losses.PIXEL, recipe.loss, "l2")

        def loss(batch: dict[str, Tensor]) -> Tensor:
            """Negative evidence lower bound up to a constant: error summed over the picture plus β·KL, per picture."""
            image = batch["image"]
            mean, log_variance = self.encode(image)
            z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
            misfit = error(self.decode(z).float(), image) * image[0].numel() * SPREAD
            return misfit + kl.weight(batch["step"]) * losses.kl_normal(mean, log_variance)

        return [Phase("vae", optimizers.build(recipe, self), loss)]
