"""One function per loss, with its formula and its source. All return a scalar."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from genrestore.errors import TrainingError
from genrestore.setting import setting

T = TypeVar("T")


def l1(image: Tensor, target: Tensor) -> Tensor:
    """mean |image − target|."""
    return (image - target).abs().mean()


def l2(image: Tensor, target: Tensor) -> Tensor:
    """mean (image − target)²."""
    return (image - target).square().mean()


def bce(image: Tensor, target: Tensor) -> Tensor:
    """mean −t log x − (1 − t) log(1 − x), both in [0, 1]: the negative log-likelihood of Bernoulli pixels."""
    # autocast refuses the function below in half precision, since its logarithm overflows there
    with torch.autocast(image.device.type, enabled=False):
        return F.binary_cross_entropy(image.float().clamp(0, 1), target.float())


def log_mse(image: Tensor, target: Tensor, floor: float = 1e-5) -> Tensor:
    """Mean over pictures of log(mean squared error + floor): −PSNR/4.34, for errors above `floor` (50 dB)."""
    return torch.log((image - target).square().mean((1, 2, 3)) + floor).mean()


PIXEL: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"l1": l1, "l2": l2, "log-mse": log_mse, "bce": bce}


def hole_log_mse(image: Tensor, target: Tensor, mask: Tensor, floor: float = 1e-4) -> Tensor:
    """Mean over pictures of log(mean squared error inside the hole + floor): −PSNR/4.34, for errors above `floor` (40 dB).

    The logarithm is taken per picture, so that one with a wide or difficult hole does not drown one with a thin scratch.
    """
    squares = ((image - target).square() * mask).sum((1, 2, 3))
    per_picture = squares / (image.shape[1] * mask.sum((1, 2, 3)).clamp(min=1))
    return torch.log(per_picture + floor).mean()


def hole_l1(image: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean |image − target| inside the holes of the batch."""
    return ((image - target).abs() * mask).sum() / (image.shape[1] * mask.sum()).clamp(min=1)


def hole_l2(image: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean (image − target)² inside the holes of the batch."""
    return ((image - target).square() * mask).sum() / (image.shape[1] * mask.sum()).clamp(min=1)


HOLE: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {"log-mse": hole_log_mse, "l1": hole_l1, "l2": hole_l2}


def dice(mask: Tensor, target: Tensor, smooth: float = 1.0) -> Tensor:
    """1 − (2 Σ x t + s) / (Σ x² + Σ t² + s), over the whole batch, so that pictures with an empty mask count too.

    Milletari, Navab & Ahmadi, "V-Net", 3DV 2016, arXiv:1606.04797.
    """
    mask, target = mask.float(), target.float()
    shared = 2 * (mask * target).sum() + smooth
    return 1 - shared / (mask.square().sum() + target.square().sum() + smooth)


def bce_dice(mask: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy plus soft Dice."""
    return bce(mask, target) + dice(mask, target)


MASK: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"bce-dice": bce_dice, "bce": bce, "dice": dice}


@dataclass(frozen=True)
class KL:
    """What a recipe says of the KL term's weight β."""

    beta: float = setting(1.0, "Weight of the KL term (VAE).", "Beta", "losses", within="[0, ∞)")
    beta_warmup: int = setting(0, "Steps in which beta rises from 0 (VAE).", "Beta warm-up", "losses", within="[0, ∞)")

    def weight(self, step: Tensor) -> Tensor | float:
        """β at `step` (0-based)."""
        return self.beta * ((step + 1) / self.beta_warmup).clamp(max=1) if self.beta_warmup else self.beta


def kl_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) ‖ N(0, 1)) in nats, summed over the latent, mean over the batch.

    Kingma & Welling, "Auto-Encoding Variational Bayes", 2014, appendix B.
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()


def critic_cross_entropy(real: Tensor, fake: Tensor) -> Tensor:
    """−log D(x) − log(1 − D(G(z))), on logits. Goodfellow et al., "Generative Adversarial Nets", 2014."""
    return F.binary_cross_entropy_with_logits(real, torch.ones_like(real)) + F.binary_cross_entropy_with_logits(
        fake, torch.zeros_like(fake)
    )


def critic_hinge(real: Tensor, fake: Tensor) -> Tensor:
    """max(0, 1 − D(x)) + max(0, 1 + D(G(z))). Lim & Ye, "Geometric GAN", 2017, arXiv:1705.02894."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def generator_hinge(fake: Tensor) -> Tensor:
    """−D(G(z)): the generator's side of `critic_hinge`."""
    return -fake.mean()


@dataclass(frozen=True)
class R1:
    """What a recipe says of the critic's gradient penalty, see `r1`."""

    r1: float = setting(
        0.0, "Weight of the critic's gradient penalty (GAN); 0 is none.", "R1", "losses", within="[0, ∞)"
    )


def r1(scores: Tensor, real: Tensor) -> Tensor:
    """½ |∇ D(x)|², mean over the batch; `scores` = D(`real`), and `real` must require its gradient.

    Mescheder, Geiger & Nowozin, "Which training methods for GANs do actually converge?", ICML 2018, arXiv:1801.04406.
    """
    (slope,) = torch.autograd.grad(scores.sum(), real, create_graph=True)
    return 0.5 * slope.square().sum((1, 2, 3)).mean()


def non_saturating(fake: Tensor) -> Tensor:
    """−log D(G(z)), on logits: the generator's side of `critic_cross_entropy` (same paper, section 3)."""
    return F.binary_cross_entropy_with_logits(fake, torch.ones_like(fake))


# The critic's and the generator's side of each game.
ADVERSARIAL: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "non-saturating": (critic_cross_entropy, non_saturating),
    "hinge": (critic_hinge, generator_hinge),
}


def chosen(offered: Mapping[str, T], name: str, usual: str) -> T:
    """The entry of `offered` that a recipe's `loss` names; `usual` where it names none.

    Raises:
        TrainingError: the net does not offer it.
    """
    if (name or usual) not in offered:
        raise TrainingError(f"loss must be one of {', '.join(offered)} for this net, not {name!r}.")
    return offered[name or usual]
