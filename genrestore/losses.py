"""One function per loss, with its formula and its source. All return a scalar."""

import torch
import torch.nn.functional as F
from torch import Tensor


def l1(image: Tensor, target: Tensor) -> Tensor:
    """mean |image − target|."""
    return (image - target).abs().mean()


def hole_log_mse(image: Tensor, target: Tensor, mask: Tensor, floor: float = 1e-4) -> Tensor:
    """Mean over pictures of log(mean squared error inside the hole + floor): −PSNR/4.34, for errors above `floor` (40 dB).

    The logarithm is taken per picture, so that one with a wide or difficult hole does not drown one with a thin scratch.
    """
    squares = ((image - target).square() * mask).sum((1, 2, 3))
    per_picture = squares / (image.shape[1] * mask.sum((1, 2, 3)).clamp(min=1))
    return torch.log(per_picture + floor).mean()


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


def non_saturating(fake: Tensor) -> Tensor:
    """−log D(G(z)), on logits: the generator's side of `critic_cross_entropy` (same paper, section 3)."""
    return F.binary_cross_entropy_with_logits(fake, torch.ones_like(fake))
