"""Dense GAN: the first one, two networks of full layers that play against each other.

Goodfellow et al., "Generative adversarial nets", NeurIPS 2014. arXiv:1406.2661
As in the paper: multilayer perceptrons on both sides, sigmoid pictures, the generator maximises log D(G(z)). Changed: leaky ReLU
on both sides instead of ReLU and maxout, Adam for both, no dropout, and a standard normal z instead of a uniform one, so that
seeds, sliders and truncation mean the same as in every other generator here. Samples are drawn from a moving average of the
weights.

    z 100 ─ 128 ─ 128 ─ 784 sigmoid ─ 1×28×28        image ─ 784 ─ 128 ─ 128 ─ 1
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from genrestore.card import SizeRule
from genrestore.nets import losses, optimizers
from genrestore.recipe import Phase, TrainRecipe
from genrestore.registry import register

SLOPE = 0.2  # of leaky ReLU


@dataclass(frozen=True)
class Config:
    latent: int = 100  # length of z
    width: int = 128  # of the inner layers
    side: int = 28  # of a picture
    channels: int = 1


@register(
    "gan-mnist",
    task="sample",
    config=Config(),
    recipe=TrainRecipe(
        data="small/mnist.npz",
        steps=100_000, batch=64, size=28, augment=(), lr=2e-4, ema=0.999, precision="fp32",
    ),
    title="Dense GAN, digits 28×28",
    intended="Seeing what the first GAN could do, and how a latent space of full layers behaves.",
    limits="28×28 pixels, specks in the strokes, now and then no digit, hardly a 2: full layers do not know neighbours.",
    makes="The simplest generator of pictures like yours, grey, 28 × 28",
    advice="Two small networks that play against each other; trained in minutes. Best for signs on an even ground.",
    paper="https://arxiv.org/abs/1406.2661",
)  # fmt: skip
class DenseGAN(nn.Module):
    """Draws small pictures from a standard normal z with full layers."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.latent = config.latent
        self.size_rule = SizeRule(multiple_of=config.side, minimum=config.side)
        numbers, width = config.channels * config.side**2, config.width
        self.generator = nn.Sequential(
            nn.Linear(config.latent, width), nn.LeakyReLU(SLOPE),
            nn.Linear(width, width), nn.LeakyReLU(SLOPE),
            nn.Linear(width, numbers), nn.Sigmoid(),
        )  # fmt: skip
        self.critic = nn.Sequential(
            nn.Flatten(), nn.Linear(numbers, width), nn.LeakyReLU(SLOPE),
            nn.Linear(width, width), nn.LeakyReLU(SLOPE),
            nn.Linear(width, 1), nn.Flatten(0),
        )  # fmt: skip

    def decode(self, z: Tensor) -> Tensor:
        """(B, Z) → (B, C, S, S) in [0, 1]."""
        return self.generator(z).view(-1, self.config.channels, self.config.side, self.config.side)

    def phases(self, recipe: TrainRecipe) -> list[Phase]:
        critic_side, generator_side = losses.chosen(losses.ADVERSARIAL, recipe.loss, "non-saturating")
        judged: list[Tensor] = []  # what the critic said in the generator's turn: it is the same until its own

        def generator_loss(batch: dict[str, Tensor]) -> Tensor:
            like = batch["image"]
            judged[:] = [self.critic(self.decode(torch.randn(len(like), self.latent, device=like.device))).float()]
            return generator_side(judged[0])

        def critic_loss(batch: dict[str, Tensor]) -> Tensor:
            return critic_side(self.critic(batch["image"]).float(), judged.pop())

        return [
            Phase("generator", optimizers.build(recipe, self.generator), generator_loss, shared=True),
            Phase("critic", optimizers.build(recipe, self.critic), critic_loss),
        ]
