"""Losses against their formulas."""

import math

import pytest
import torch
from torch import nn

from genrestore.errors import TrainingError
from genrestore.nets import losses

A, B = torch.tensor([[[[0.2, 0.9]]]]), torch.tensor([[[[0.5, 1.0]]]])


def test_pixel_losses() -> None:
    assert losses.l1(A, B).item() == pytest.approx((0.3 + 0.1) / 2)
    assert losses.l2(A, B).item() == pytest.approx((0.09 + 0.01) / 2)
    by_hand = -(0.5 * math.log(0.2) + 0.5 * math.log(0.8) + math.log(0.9)) / 2
    assert losses.bce(A, B).item() == pytest.approx(by_hand, rel=1e-5)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_bce_of_half_precision_pictures_stays_exact_under_autocast(kind: torch.dtype) -> None:
    with torch.autocast("cpu", kind):
        assert losses.bce(A, B).item() == pytest.approx(losses.bce(A, B).item())
        assert torch.isfinite(losses.bce(torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1)))


def test_losses_in_holes_count_the_hole_alone() -> None:
    mask = torch.tensor([[[[1.0, 0.0]]]])
    assert losses.hole_l1(A, B, mask).item() == pytest.approx(0.3)
    assert losses.hole_l2(A, B, mask).item() == pytest.approx(0.09)
    assert losses.hole_log_mse(A, B, mask).item() == pytest.approx(math.log(0.09 + 1e-4), rel=1e-5)


def test_adversarial_losses() -> None:
    real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 0.0])
    assert losses.critic_hinge(real, fake).item() == pytest.approx((0 + 0.5) / 2 + (0 + 1) / 2)
    assert losses.generator_hinge(fake).item() == pytest.approx(1.5)
    log = math.log1p
    critic = (log(math.exp(-2.0)) + log(math.exp(-0.5))) / 2 + (log(math.exp(-3.0)) + log(1.0)) / 2
    assert losses.critic_cross_entropy(real, fake).item() == pytest.approx(critic, rel=1e-5)
    assert losses.non_saturating(fake).item() == pytest.approx((log(math.exp(3.0)) + log(1.0)) / 2, rel=1e-5)


def test_r1_is_half_the_squared_slope() -> None:
    critic = nn.Linear(12, 1, bias=False)
    real = torch.rand(5, 3, 2, 2).requires_grad_()
    penalty = losses.r1(critic(real.flatten(1)).flatten(), real)
    assert penalty.item() == pytest.approx(0.5 * critic.weight.square().sum().item(), rel=1e-5)
    penalty.backward()
    assert critic.weight.grad is not None
    assert torch.allclose(critic.weight.grad, critic.weight.detach(), rtol=1e-4)


def test_kl_of_the_prior_is_zero() -> None:
    assert losses.kl_normal(torch.zeros(4, 3), torch.zeros(4, 3)).item() == 0
    assert losses.kl_normal(torch.full((4, 3), 2.0), torch.zeros(4, 3)).item() == pytest.approx(0.5 * 3 * 4)


def test_a_net_offers_some_losses() -> None:
    assert losses.chosen(losses.PIXEL, "", "l1") is losses.l1
    assert losses.chosen(losses.PIXEL, "l2", "l1") is losses.l2
    with pytest.raises(TrainingError, match="l1, l2, log-mse, bce for this net, not 'hinge'"):
        losses.chosen(losses.PIXEL, "hinge", "l1")
