"""DCGAN: a generator of transposed convolutions against a critic of strided ones.

Radford, Metz & Chintala, "Unsupervised representation learning with deep convolutional generative adversarial networks",
ICLR 2016. arXiv:1511.06434
As in the paper: strides instead of pooling, batch normalisation, ReLU in the generator and leaky ReLU in the critic, tanh,
weights drawn from N(0, 0.02), Adam(2e-4, 0.5, 0.999). Changed: 32×32, so one layer less; batches of 32 instead of 128, for as
many steps teach as much in a quarter of the time; samples are drawn from a moving average of the generator's weights, which the
paper did not have (Yazıcı et al., ICLR 2019, arXiv:1806.04498).

    z (B, 100, 1, 1) ─ 256×4×4 ─ 128×8×8 ─ 64×16×16 ─ 3×32×32        image ─ 64×16×16 ─ 128×8×8 ─ 256×4×4 ─ 1
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from genrestore.card import SizeRule
from genrestore.nets import losses, optimizers
from genrestore.recipe import Phase, TrainRecipe
from genrestore.registry import register

R1_EVERY = 16  # steps; Karras et al., "Analyzing and improving the image quality of StyleGAN", 2020, section 3.1


@dataclass(frozen=True)
class Config:
    latent: int = 100  # length of z
    width: int = 64  # channels of the largest map
    channels: int = 3


def _start(module: nn.Module) -> None:
    """The paper's initialisation."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


@register(
    "dcgan-cifar10",
    task="sample",
    config=Config(),
    recipe=TrainRecipe(
        data="small/cifar10.npz",
        steps=20_000, batch=32, size=32, lr=2e-4, betas=(0.5, 0.999), ema=0.999, precision="fp32",
    ),
    own=losses.R1,
    title="DCGAN, everyday things 32×32",
    intended="Exploring the latent space of a classical GAN.",
    limits="32×32 pixels; shapes are only suggested, as with every DCGAN of this size.",
    makes="A generator of pictures like yours, 32 × 32",
    advice="Invents varied pictures in the manner of yours; sharp, but as small as thumbnails. Takes some thousand pictures.",
    paper="https://arxiv.org/abs/1511.06434",
)  # fmt: skip
class DCGAN(nn.Module):
    """Draws 32×32 pictures from a standard normal z."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.latent = config.latent
        self.size_rule = SizeRule(multiple_of=32, minimum=32)
        w = config.width
        self.generator = nn.Sequential(
            nn.ConvTranspose2d(config.latent, 4 * w, 4, 1, 0, bias=False), nn.BatchNorm2d(4 * w), nn.ReLU(inplace=True),
            nn.ConvTranspose2d(4 * w, 2 * w, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * w), nn.ReLU(inplace=True),
            nn.ConvTranspose2d(2 * w, w, 4, 2, 1, bias=False), nn.BatchNorm2d(w), nn.ReLU(inplace=True),
            nn.ConvTranspose2d(w, config.channels, 4, 2, 1, bias=False), nn.Tanh(),
        )  # fmt: skip
        self.critic = nn.Sequential(
            nn.Conv2d(config.channels, w, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(w, 2 * w, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * w), nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(2 * w, 4 * w, 4, 2, 1, bias=False), nn.BatchNorm2d(4 * w), nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(4 * w, 1, 4, 1, 0, bias=False), nn.Flatten(0),
        )  # fmt: skip
        self.apply(_start)

    def decode(self, z: Tensor) -> Tensor:
        """(B, Z) → (B, C, 32, 32) in [0, 1]."""
        return self.generator(z[:, :, None, None]) * 0.5 + 0.5

    def phases(self, recipe: TrainRecipe) -> list[Phase]:
        weight = recipe.part(losses.R1).r1
        critic_side, generator_side = losses.chosen(losses.ADVERSARIAL, recipe.loss, "non-saturating")
        critic, generator = optimizers.build(recipe, self.critic), optimizers.build(recipe, self.generator)
        judged: list[Tensor] = []  # what the critic said in the generator's turn: it is the same until its own

        def generator_loss(batch: dict[str, Tensor]) -> Tensor:
            like = batch["image"]
            fakes = self.generator(torch.randn(len(like), self.latent, 1, 1, device=like.device))
            judged[:] = [self.critic(fakes).float()]
            return generator_side(judged[0])

        def critic_loss(batch: dict[str, Tensor]) -> Tensor:
            return critic_side(self.critic(batch["image"] * 2 - 1).float(), judged.pop())

        def penalty(batch: dict[str, Tensor]) -> Tensor:
            real = (batch["image"] * 2 - 1).requires_grad_()
            return weight * R1_EVERY * losses.r1(self.critic(real).float(), real)

        phases = [Phase("generator", generator, generator_loss, shared=True), Phase("critic", critic, critic_loss)]
        return [*phases, Phase("r1", critic, penalty, every=R1_EVERY, penalty=True)] if weight else phases
