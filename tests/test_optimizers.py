"""The optimisers that recipes name."""

import copy
import dataclasses

import pytest
import torch
from torch import nn

from genrestore.errors import TrainingError
from genrestore.nets import optimizers
from genrestore.recipe import OPTIMIZERS, TrainRecipe


def small_net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3),
        nn.ReLU(),
        nn.Conv2d(16, 8, 1),
        nn.ReLU(),
        nn.Conv2d(8, 2, 3),
    )


def gradients(net: nn.Module) -> None:
    net.zero_grad()
    net(torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(1))).square().mean().backward()


@pytest.mark.parametrize("shape", [(4, 8, 40), (3, 40, 8), (2, 16, 16)])
def test_orthogonalised_matrices_have_singular_values_near_one(shape: tuple[int, int, int]) -> None:
    """The directions stay those of the matrix: U·Vᵀ of its singular value decomposition, up to the values."""
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(2)) * 3
    result = optimizers.orthogonalised(matrices)
    assert result.shape == matrices.shape
    u, _, vt = torch.linalg.svd(matrices, full_matrices=False)
    values = u.mT @ result @ vt.mT
    diagonal = torch.diagonal(values, dim1=1, dim2=2)
    assert (values - torch.diag_embed(diagonal)).abs().max() < 1e-3
    # the smallest singular values of a square matrix are too small to be lifted in five iterations
    assert diagonal.max() < 1.3 and diagonal.median() > 0.6


def test_a_muon_step_has_the_size_that_it_states() -> None:
    net = small_net()
    before = copy.deepcopy(net)
    optimizer = optimizers.Muon(net.parameters(), lr=1e-3)
    gradients(net)
    optimizer.step()
    for old, new in zip(before.parameters(), net.parameters(), strict=True):
        assert not torch.equal(old, new)
    update = net[2].weight - before[2].weight  # pyright: ignore[reportOperatorIssue]
    # of a wide orthogonal matrix (m, n) with m < n, n of whose entries square to m, the rms is √(1/n); the scale is RMS·√n
    assert update.square().mean().sqrt().item() == pytest.approx(optimizers.RMS * 1e-3, rel=0.3)


def test_ends_and_vectors_follow_adam() -> None:
    """The first and the last convolution and all biases move as torch's own Adam moves them."""
    ours, theirs = small_net(), small_net()
    muon = optimizers.Muon(ours.parameters(), lr=1e-2, betas=(0.9, 0.99))
    adam = torch.optim.Adam(theirs.parameters(), lr=1e-2, betas=(0.9, 0.99))
    for step in range(3):
        for k, (mine, other) in enumerate(zip(ours.parameters(), theirs.parameters(), strict=True)):
            draw = torch.Generator().manual_seed(10 * step + k)
            mine.grad = torch.randn(mine.shape, generator=draw)
            other.grad = mine.grad.clone()
        muon.step()
        adam.step()
    same = [torch.allclose(a, b, atol=1e-6) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True)]
    matrices_between = {2, 4}  # places of the second and third convolution's weights among the parameters
    assert same == [k not in matrices_between for k in range(8)]


def test_state_is_whole() -> None:
    """An optimiser that is built anew and given the old one's state goes on as the old one."""
    one = small_net()
    optimizer = optimizers.Muon(one.parameters(), lr=1e-3)
    for _ in range(2):
        gradients(one)
        optimizer.step()
    two = copy.deepcopy(one)
    resumed = optimizers.Muon(two.parameters(), lr=1e-3)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for net, steps in ((one, optimizer), (two, resumed)):
        gradients(net)
        steps.step()
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_names() -> None:
    recipe = TrainRecipe(lr=1e-3)
    kinds = {
        "gd": torch.optim.SGD, "sgd": torch.optim.SGD, "rmsprop": torch.optim.RMSprop,
        "adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "muon": optimizers.Muon,
    }  # fmt: skip
    assert set(kinds) == set(OPTIMIZERS)
    for name, kind in kinds.items():
        built = optimizers.build(dataclasses.replace(recipe, optimizer=name), small_net())
        assert type(built) is kind and built.param_groups[0]["lr"] == 1e-3
    with pytest.raises(TrainingError, match="rmsprop, muon, not 'lion'"):
        dataclasses.replace(recipe, optimizer="lion")
    with pytest.raises(TrainingError, match="weight_decay"):
        optimizers.build(dataclasses.replace(recipe, optimizer="muon", weight_decay=0.1), small_net())


@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - {"muon"}))
def test_one_step_by_hand(name: str) -> None:
    """The first two steps of each rule on one weight, gradient 3, from the formulas of its paper."""
    recipe = TrainRecipe(lr=0.1, optimizer=name, betas=(0.9, 0.99), momentum=0.5, weight_decay=0.2)
    net = nn.Linear(1, 1, bias=False)
    net.weight.data.fill_(2.0)
    optimizer = optimizers.build(recipe, net)
    w, velocity, square, mean = 2.0, 0.0, 0.0, 0.0
    for t in (1, 2):
        net.weight.grad = torch.full((1, 1), 3.0)
        optimizer.step()
        g = 3.0 if name == "adamw" else 3.0 + 0.2 * w
        if name in ("gd", "sgd"):
            velocity = (0.5 if name == "sgd" else 0.0) * velocity + g
            w -= 0.1 * velocity
        elif name == "rmsprop":
            square = 0.99 * square + 0.01 * g * g
            w -= 0.1 * g / (square**0.5 + 1e-8)
        else:
            w *= 1 - 0.1 * 0.2 if name == "adamw" else 1.0
            mean, square = 0.9 * mean + 0.1 * g, 0.99 * square + 0.01 * g * g
            w -= 0.1 * (mean / (1 - 0.9**t)) / ((square / (1 - 0.99**t)) ** 0.5 + 1e-8)
        assert net.weight.item() == pytest.approx(w, rel=1e-5)
