"""The classical fills."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from genrestore.nets import layers


def hole(height: int, width: int) -> torch.Tensor:
    mask = torch.zeros(1, 1, height, width)
    mask[..., height // 3 : 2 * height // 3, width // 3 : 2 * width // 3] = 1
    return mask


@settings(deadline=None, max_examples=25)
@given(height=st.integers(1, 40), width=st.integers(1, 40), seed=st.integers(0, 1000), share=st.floats(0, 1))
def test_known_pixels_stay_and_the_rest_is_finite(height: int, width: int, seed: int, share: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(2, 3, height, width, generator=generator)
    mask = (torch.rand(2, 1, height, width, generator=generator) < share).float()
    for fill in (layers.pull_push, layers.biharmonic):
        out = fill(image, mask)
        assert torch.isfinite(out).all()
        assert torch.equal(out[(mask == 0).expand_as(out)], image[(mask == 0).expand_as(out)])


def test_biharmonic_continues_a_ramp() -> None:
    """A plane has no bending energy, so it is the solution; a fill that only averages would flatten it."""
    y, x = torch.meshgrid(torch.linspace(0, 1, 36), torch.linspace(0, 1, 36), indexing="ij")
    plane = (0.2 + 0.4 * x + 0.3 * y)[None, None]
    mask = hole(36, 36)
    out = layers.biharmonic(torch.where(mask > 0, torch.zeros(()), plane), mask, steps=400)
    assert (out - plane).abs().max() < 2e-3


def test_more_steps_bend_less() -> None:
    torch.manual_seed(0)
    image, mask = torch.rand(1, 1, 24, 24), hole(24, 24)

    def energy(steps: int) -> float:
        return layers.laplacian(layers.biharmonic(image, mask, steps)).square().sum().item()

    assert energy(0) > energy(10) >= energy(100) - 1e-3


def test_laplacian_is_symmetric() -> None:
    """Conjugate gradients need it: ⟨Lu, v⟩ = ⟨u, Lv⟩."""
    u, v = torch.randn(1, 1, 9, 7, dtype=torch.float64), torch.randn(1, 1, 9, 7, dtype=torch.float64)
    assert abs((layers.laplacian(u) * v).sum() - (u * layers.laplacian(v)).sum()) < 1e-12


def test_dropout_spares_what_enters_a_part_and_evaluation() -> None:
    """Each part's first layer sees its whole input; later ones lose whole channels, and only while the net trains."""
    one, two = nn.Sequential(nn.Conv2d(3, 64, 1), nn.Conv2d(64, 64, 1)), nn.Linear(4, 4)
    net = nn.ModuleDict({"one": one, "two": two})
    layers.add_dropout(net, 0.5)
    seen: list[torch.Tensor] = []
    for layer in (one[0], one[1], two):
        layer.register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0].detach()))
    image, vector = torch.ones(2, 3, 5, 5), torch.ones(2, 4)
    one(image)
    two(vector)
    assert torch.equal(seen[0], image) and torch.equal(seen[2], vector)
    gone = seen[1].abs().amax((2, 3)) == 0
    assert 0.2 < gone.float().mean() < 0.8, "about half of the channels"
    assert (seen[1].abs().amin((2, 3)) == 0)[~gone].sum() == 0, "a channel goes as a whole"
    seen.clear()
    net.eval()
    one(image)
    assert torch.equal(seen[1], one[0](image))
