"""Dense VAE: the first one, an encoder and a decoder of full layers with noise between them.

Kingma & Welling, "Auto-encoding variational Bayes", ICLR 2014. arXiv:1312.6114
As in the paper: full layers, a Gaussian posterior with one draw a picture, a Bernoulli decoder (cross-entropy), the evidence
lower bound. Changed: two inner layers of 128 on each side instead of one of 500, ReLU instead of tanh, Adam instead of Adagrad,
grey values are taken as probabilities instead of being made black or white, and the recipe's β weighs the KL term.

    image 1×28×28 ─ 784 ─ 128 ─ 128 ─ mean, log-variance ─ z 20 ─ 128 ─ 128 ─ 784 sigmoid ─ image
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from genrestore.card import SizeRule
from genrestore.nets import losses, optimizers
from genrestore.recipe import Phase, TrainRecipe
from genrestore.registry import register


@dataclass(frozen=True)
class Config:
    latent: int = 20  # length of z
    width: int = 128  # of the inner layers
    side: int = 28  # of a picture
    channels: int = 1


@register(
    "vae-mnist",
    task="sample",
    config=Config(),
    recipe=TrainRecipe(
        data="small/mnist.npz",
        steps=20_000, batch=64, size=28, augment=(), lr=1e-3, schedule="trapezoid", warmup=200, ema=0.999, precision="fp32",
    ),
    own=losses.KL,
    title="Dense VAE, digits 28×28",
    intended="Understanding a latent space: from digit to digit on a smooth way, in the smallest net that does it.",
    limits="28×28 pixels and soft strokes, as every VAE; what lies between two digits is none.",
    makes="The simplest sliders that change pictures like yours, grey, 28 × 28",
    advice="Full layers only; trained in minutes; every slider changes the picture smoothly. Best for signs on an even ground.",
    paper="https://arxiv.org/abs/1312.6114",
)  # fmt: skip
class DenseVAE(nn.Module):
    """Encodes and draws small pictures with full layers."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.latent = config.latent
        self.size_rule = SizeRule(multiple_of=config.side, minimum=config.side)
        numbers, width = config.channels * config.side**2, config.width
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(numbers, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, 2 * config.latent),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.Linear(config.latent, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, numbers), nn.Sigmoid(),
        )  # fmt: skip

    def encode(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, S, S) in [0, 1] → mean and log-variance, each (B, Z)."""
        mean, log_variance = self.encoder(image).float().chunk(2, dim=1)
        return mean, log_variance

    def decode(self, z: Tensor) -> Tensor:
        """(B, Z) → (B, C, S, S) in [0, 1]."""
        return self.decoder(z).view(-1, self.config.channels, self.config.side, self.config.side)

    def phases(self, recipe: TrainRecipe) -> list[Phase]:
        kl = recipe.part(losses.KL)
        error = losses.chosen(losses.PIXEL, recipe.loss, "bce")

        def loss(batch: dict[str, Tensor]) -> Tensor:
            """Negative evidence lower bound: error summed over the picture plus β·KL, per picture."""
            image = batch["image"]
            mean, log_variance = self.encode(image)
            z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
            misfit = error(self.decode(z).float(), image) * image[0].numel()
            return misfit + kl.weight(batch["step"]) * losses.kl_normal(mean, log_variance)

        return [Phase("vae", optimizers.build(recipe, self), loss)]
