"""The quick ways of convolutions against torch's own in float64, and when they are taken."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genrestore import convolutions

Way = Callable[[Tensor, Tensor], Tensor]

BATCH = convolutions.MANY
EXACT, WINOGRAD = 3e-7, {4: 2e-6, 8: 3e-5}  # the deviation of the error by that of the result


def by_torch(transposed: bool, stride: int, padding: int) -> Way:
    convolution = F.conv_transpose2d if transposed else F.conv2d
    return lambda x, weight: convolution(x, weight, None, stride, padding)


STRIDED, TRANSPOSED = by_torch(False, 2, 1), by_torch(True, 2, 1)
CASES: dict[str, tuple[Way, Way, tuple[int, ...], tuple[int, ...], float]] = {
    "tiles of 4": (convolutions.strided, STRIDED, (5, 40, 8, 8), (33, 40, 4, 4), WINOGRAD[4]),
    "tiles of 4, 2×3 of them": (convolutions.strided, STRIDED, (5, 40, 16, 24), (33, 40, 4, 4), WINOGRAD[4]),
    "tiles of 8": (convolutions.strided, STRIDED, (5, 40, 16, 16), (33, 40, 4, 4), WINOGRAD[8]),
    "tiles of 8, 3×2 of them": (convolutions.strided, STRIDED, (3, 32, 48, 32), (33, 32, 4, 4), WINOGRAD[8]),
    "up, tiles of 4": (convolutions.strided_transposed, TRANSPOSED, (5, 33, 4, 4), (33, 40, 4, 4), WINOGRAD[4]),
    "up, tiles of 4, 3×2": (convolutions.strided_transposed, TRANSPOSED, (5, 33, 12, 8), (33, 40, 4, 4), WINOGRAD[4]),
    "up, tiles of 8": (convolutions.strided_transposed, TRANSPOSED, (5, 33, 8, 8), (33, 40, 4, 4), WINOGRAD[8]),
    "up, tiles of 8, 2×3": (convolutions.strided_transposed, TRANSPOSED, (3, 33, 16, 24), (33, 32, 4, 4), WINOGRAD[8]),
    "few channels": (convolutions.few_strided, STRIDED, (4, 3, 10, 14), (33, 3, 4, 4), EXACT),
    "up, few channels": (convolutions.few_strided_transposed, TRANSPOSED, (4, 33, 5, 7), (33, 3, 4, 4), EXACT),
    "whole": (convolutions.whole, by_torch(False, 1, 0), (4, 16, 4, 5), (3, 16, 4, 5), EXACT),
    "from a pixel": (convolutions.from_pixel, by_torch(True, 1, 0), (4, 16, 1, 1), (16, 5, 4, 3), EXACT),
}


def error(result: Tensor, wanted: Tensor) -> float:
    assert result.shape == wanted.shape
    return ((result - wanted).std() / wanted.std()).item()


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last], ids=["NCHW", "NHWC"])
@pytest.mark.parametrize("case", CASES)
def test_values_gradients_and_second_gradients_are_those_of_torch(case: str, memory: torch.memory_format) -> None:
    way, wanted, size, weights, bar = CASES[case]
    torch.manual_seed(0)
    x = torch.randn(size).to(memory_format=memory).requires_grad_()
    w = torch.randn(weights).to(memory_format=memory).requires_grad_()
    x64, w64 = (tensor.detach().double().requires_grad_() for tensor in (x, w))
    result, truth = way(x, w), wanted(x64, w64)
    assert error(result, truth) < bar
    slope = torch.randn(result.shape)
    first = torch.autograd.grad(result, (x, w), slope, create_graph=True)
    first64 = torch.autograd.grad(truth, (x64, w64), slope.double(), create_graph=True)
    for mine, theirs in zip(first, first64, strict=True):
        assert error(mine, theirs) < bar
    second = torch.autograd.grad(first[0].square().sum() + first[1].square().sum(), (x, w))
    second64 = torch.autograd.grad(first64[0].square().sum() + first64[1].square().sum(), (x64, w64))
    for mine, theirs in zip(second, second64, strict=True):
        assert error(mine, theirs) < 2 * bar


def net(activation: Callable[[], nn.Module] = nn.SiLU) -> nn.Sequential:
    """Every way, up and down."""
    return nn.Sequential(
        nn.ConvTranspose2d(12, 64, 4, 1, 0, bias=False), nn.BatchNorm2d(64), activation(),
        nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.BatchNorm2d(32), activation(),
        nn.ConvTranspose2d(32, 3, 4, 2, 1), nn.Tanh(),
        nn.Conv2d(3, 32, 4, 2, 1), activation(),
        nn.Conv2d(32, 40, 4, 2, 1, bias=False), nn.BatchNorm2d(40), activation(),
        nn.Conv2d(40, 2, 4, 1, 0),
    ).to(memory_format=torch.channels_last)  # fmt: skip


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ways that are taken, one after the other."""
    taken: list[str] = []
    original = convolutions._way

    def told(layer: nn.Conv2d | nn.ConvTranspose2d, x: Tensor) -> Way | None:
        way = original(layer, x)
        taken.append(way.__name__ if way else "torch")
        return way

    monkeypatch.setattr(convolutions, "_way", told)
    return taken


ALL = ["from_pixel", "strided_transposed", "few_strided_transposed", "few_strided", "strided", "whole"]


def test_a_quickened_net_computes_what_it_did(ways: list[str]) -> None:
    torch.manual_seed(0)
    quick, z = net(), torch.randn(BATCH, 12, 1, 1)
    plain = copy.deepcopy(quick).double()
    convolutions.quicken(quick)
    with convolutions.step():
        result = quick(z)
    truth = plain(z.double())
    assert ways == ALL
    slope = torch.randn(result.shape)
    result.backward(slope)
    truth.backward(slope.double())
    assert error(result, truth) < 1e-4
    assert list(quick.state_dict()) == list(plain.state_dict())
    for (name, mine), theirs in zip(quick.named_parameters(), plain.parameters(), strict=True):
        if mine.grad is not None and theirs.grad is not None and theirs.grad.abs().max() > 1e-6:
            assert (mine.grad - theirs.grad).abs().max() < 3e-4 * theirs.grad.abs().max(), name
            assert mine.grad.stride() == mine.stride(), name  # or autograd copies it into the weight's layout
    for (name, mine), theirs in zip(quick.named_buffers(), plain.buffers(), strict=True):
        assert torch.allclose(mine.double(), theirs.double(), rtol=1e-4, atol=1e-6), name


def test_activations_in_place_change_nothing() -> None:
    torch.manual_seed(0)
    apart, z = net(nn.ReLU), torch.randn(BATCH, 12, 1, 1)
    in_place = net(lambda: nn.ReLU(inplace=True))
    in_place.load_state_dict(apart.state_dict())
    for each in (apart, in_place):
        convolutions.quicken(each)
        each(z).square().sum().backward()
    for mine, theirs in zip(apart.parameters(), in_place.parameters(), strict=True):
        assert mine.grad is not None and theirs.grad is not None
        assert torch.equal(mine.grad, theirs.grad)


def nodes(result: Tensor) -> set[Any]:
    """Of the graph that made it."""
    found: set[Any] = set()
    ahead = [result.grad_fn]
    while ahead:
        node = ahead.pop()
        if node is not None and node not in found:
            found.add(node)
            ahead += [function for function, _ in node.next_functions]
    return found


@pytest.mark.parametrize("rectifier", [nn.ReLU(inplace=True), nn.LeakyReLU(0.2, inplace=True)], ids=str)
def test_a_gradient_written_over_is_never_one_that_is_read_again(rectifier: nn.Module) -> None:
    """Two passes over a graph that is kept, then one whose gradient is differentiated in turn."""
    torch.manual_seed(0)
    quick = nn.Sequential(
        nn.Conv2d(3, 32, 4, 2, 1), rectifier,
        nn.Conv2d(32, 40, 4, 2, 1), nn.BatchNorm2d(40), rectifier,
        nn.Conv2d(40, 2, 4, 1, 0),
    )  # fmt: skip
    plain = copy.deepcopy(quick).double()
    convolutions.quicken(quick)
    x = torch.randn(BATCH, 3, 16, 16, requires_grad=True)
    x64 = x.detach().double().requires_grad_()
    result, truth = quick(x), plain(x64)
    assert sum("Rectified" in node.name() for node in nodes(result)) == 2
    slope = torch.randn(result.shape)
    names = ["0.weight", "2.weight", "5.weight"]
    weights, weights64 = ([x, *map(quick.get_parameter, names)], [x64, *map(plain.get_parameter, names)])
    for differentiable in (False, False, True):
        first = torch.autograd.grad(result, weights, slope, True, differentiable)
        first64 = torch.autograd.grad(truth, weights64, slope.double(), True, differentiable)
        for mine, theirs in zip(first, first64, strict=True):
            assert error(mine, theirs) < 1e-4
    second = torch.autograd.grad(first[0].square().sum(), weights[1:])
    second64 = torch.autograd.grad(first64[0].square().sum(), weights64[1:])
    for mine, theirs in zip(second, second64, strict=True):
        assert error(mine, theirs) < 1e-4


@pytest.mark.parametrize("why", ["few pictures", "no training", "bf16"])
def test_torchs_way_where_the_quick_one_does_not_pay(why: str, ways: list[str]) -> None:
    each = net()
    z = torch.randn(BATCH - (why == "few pictures"), 12, 1, 1)
    before = copy.deepcopy(each)
    convolutions.quicken(each)
    each.train(why != "no training")
    before.train(why != "no training")
    with torch.autocast("cpu", torch.bfloat16, enabled=why == "bf16"):
        assert torch.equal(each(z), before(z))
    assert ways == ["torch"] * 6


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(32, 32, 3, 2, 1), nn.Conv2d(32, 32, 4, 1, 1), nn.Conv2d(64, 32, 4, 2, 1, groups=2),
        nn.Conv2d(32, 32, 4, 2, 1, dilation=2), nn.Conv2d(32, 32, 4, 2, "valid"), nn.ConvTranspose2d(32, 32, 3, 2, 1),
        nn.ConvTranspose2d(32, 32, 4, 2, 1, output_padding=1), nn.Conv2d(32, 32, 4, 2, 1, padding_mode="reflect"),
    ],
    ids=str,
)  # fmt: skip
def test_other_convolutions_stay_as_they_are(layer: nn.Conv2d | nn.ConvTranspose2d, ways: list[str]) -> None:
    x = torch.randn(BATCH, layer.in_channels, 16, 16)
    before = copy.deepcopy(layer)
    convolutions.quicken(layer)
    assert torch.equal(layer(x), before(x))
    assert ways == ["torch"]


def test_odd_sizes_stay_as_they_are(ways: list[str]) -> None:
    for layer, x in (
        (nn.Conv2d(32, 32, 4, 2, 1), torch.randn(BATCH, 32, 12, 16)),
        (nn.ConvTranspose2d(32, 32, 4, 2, 1), torch.randn(BATCH, 32, 6, 4)),
        (nn.Conv2d(3, 32, 4, 2, 1), torch.randn(BATCH, 3, 9, 8)),
    ):
        before = copy.deepcopy(layer)
        convolutions.quicken(layer)
        assert torch.equal(layer(x), before(x))
    assert ways == ["torch"] * 3


def test_a_copy_has_its_own_weights() -> None:
    quick = net()
    convolutions.quicken(quick)
    twin = copy.deepcopy(quick)
    z = torch.randn(BATCH, 12, 1, 1)
    before = twin(z)
    with torch.no_grad():
        for weight in quick.parameters():
            weight.zero_()
    assert torch.equal(twin(z), before)


def test_a_weight_that_moves_within_a_step_is_seen() -> None:
    layer, x = nn.Conv2d(32, 32, 4, 2, 1, bias=False), torch.randn(BATCH, 32, 8, 8)
    convolutions.quicken(layer)
    with convolutions.step():
        before = layer(x)
        assert torch.equal(layer(x), before)
        with torch.no_grad():
            layer.weight.mul_(2)
        assert torch.allclose(layer(x), 2 * before, atol=1e-5)


def test_a_graph_kept_for_a_second_pass_serves_each_player_alone() -> None:
    """As in training: one turn asks for the first layer's gradient, a later one for the second's."""
    torch.manual_seed(0)
    first, second = nn.Conv2d(3, 32, 4, 2, 1), nn.Conv2d(32, 32, 4, 2, 1)
    both = nn.Sequential(first, second)
    plain = copy.deepcopy(both).double()
    convolutions.quicken(both)
    x = torch.randn(BATCH, 3, 16, 16)
    with convolutions.step():
        result = both(x)
        result.square().mean().backward(inputs=list(first.parameters()), retain_graph=True)
        assert second.weight.grad is None
        result.sin().mean().backward(inputs=list(second.parameters()))
    truth = plain(x.double())
    wanted = torch.autograd.grad(truth.square().mean(), list(plain[0].parameters()), retain_graph=True)
    wanted += torch.autograd.grad(truth.sin().mean(), list(plain[1].parameters()))
    for weight, slope in zip(both.parameters(), wanted, strict=True):
        assert weight.grad is not None
        assert (weight.grad - slope).abs().max() < 1e-4 * slope.abs().max()


@pytest.mark.parametrize("mean", [0.0, 1.0, 3_000.0])
def test_batch_normalisation_keeps_its_digits_off_centre(mean: float) -> None:
    torch.manual_seed(0)
    layer = nn.BatchNorm2d(8)
    plain = copy.deepcopy(layer).double()
    convolutions.quicken(layer)
    x = (torch.randn(6, 5, 8, BATCH) + mean).permute(3, 2, 0, 1)
    result, truth = layer(x), plain(x.double())
    assert result.stride() == x.stride()
    # x itself has no more digits than these
    assert (result - truth).abs().max() < 1e-5 + 1e-6 * mean
    assert torch.allclose(layer.running_mean.double(), plain.running_mean, rtol=1e-5, atol=1e-6)  # pyright: ignore
    assert torch.allclose(layer.running_var.double(), plain.running_var, rtol=1e-4)  # pyright: ignore
    assert layer.num_batches_tracked == 1


@pytest.mark.parametrize("options", [{"affine": False}, {"track_running_stats": False}, {"momentum": None}])
def test_other_batch_normalisations_stay_as_they_are(options: dict[str, bool]) -> None:
    layer = nn.BatchNorm2d(8, **options)
    plain = copy.deepcopy(layer)
    convolutions.quicken(layer)
    x = torch.randn(6, 5, 8, BATCH).permute(3, 2, 0, 1)
    assert torch.allclose(layer(x), plain(x), atol=1e-6)


def test_a_dead_channel_is_normalised_to_its_bias() -> None:
    layer = nn.BatchNorm2d(2)
    convolutions.quicken(layer)
    x = torch.full((4, 4, 2, BATCH), 0.3).permute(3, 2, 0, 1).requires_grad_()
    result = layer(x)
    result.sum().backward()
    assert torch.allclose(result, torch.zeros(()), atol=1e-4)
    assert x.grad is not None and torch.isfinite(x.grad).all()
