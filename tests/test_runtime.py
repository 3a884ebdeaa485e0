"""Tiles equal the whole, cancelling is prompt, devices are named."""

import dataclasses
import itertools
import subprocess
import sys
import threading
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from genrestore import runtime
from genrestore.card import Card, SizeRule
from genrestore.errors import Cancelled, SettingError
from genrestore.models import find
from genrestore.runtime import BLEND, Model, tiles


def model_of(net: Any) -> Model:
    return Model(Card("fake", "upscale", "Fake", {}, 0, "", "none", (), {}), net, torch.device("cpu"), "torch")


class Nearest(nn.Module):
    """Doubles each pixel; sees `receptive` pixels to each side through a box filter."""

    def __init__(self, receptive: int) -> None:
        super().__init__()
        self.size_rule = SizeRule(receptive=receptive)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        reach = self.size_rule.receptive
        soft = nn.functional.avg_pool2d(image, 2 * reach + 1, stride=1, padding=reach)
        return soft.repeat_interleave(2, -1).repeat_interleave(2, -2)


@settings(deadline=None, max_examples=40)
@given(
    height=st.integers(1, 120), width=st.integers(1, 120), tile=st.integers(4 * BLEND, 70), reach=st.integers(0, 6),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_tiles_equal_the_whole(height: int, width: int, tile: int, reach: int, seed: int) -> None:
    net = model_of(Nearest(reach))
    image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))
    whole = net(image)
    tiled = torch.cat(list(runtime.rows(net, image, tile=tile)), -2)
    assert tiled.shape == whole.shape
    assert (tiled - whole).abs().max() < 1e-5


def test_a_real_net_shows_no_seam() -> None:
    torch.manual_seed(0)
    preset = find("span-x4")
    net = preset.net(dataclasses.replace(preset.config, width=16, blocks=3)).eval()  # type: ignore[type-var]
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.1)
    image = torch.rand(1, 3, 90, 101)
    whole = model_of(net)(image)
    tiled = torch.cat(list(runtime.rows(model_of(net), image, tile=40)), -2)
    assert (tiled - whole).abs().max() * 255 < 1


def test_a_lying_size_rule_would_be_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check above can fail: a net that sees further than it says leaves a seam."""
    net, image = model_of(Nearest(12)), torch.eye(80)[None, None].repeat(1, 3, 1, 1)
    whole = net(image)
    monkeypatch.setattr(Model, "size_rule", SizeRule(receptive=0))
    tiled = torch.cat(list(runtime.rows(net, image, tile=32)), -2)
    assert (tiled - whole).abs().max() > 1e-3


@given(length=st.integers(1, 5000), tile=st.integers(1, 600))
def test_tiles_cover_without_gap(length: int, tile: int) -> None:
    pieces = tiles(length, tile)
    assert pieces[0][0] == 0 and pieces[-1][1] == length
    assert all(a[1] == b[0] for a, b in itertools.pairwise(pieces))
    assert max(b - a for a, b in pieces) <= tile + 1


def test_padding_meets_the_size_rule() -> None:
    class Picky(nn.Module):
        size_rule = SizeRule(multiple_of=8, minimum=16)

        def forward(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            assert image.shape[-2:] == mask.shape[-2:]
            assert all(side % 8 == 0 and side >= 16 for side in image.shape[-2:])
            return image

    for height, width in [(1, 1), (7, 40), (16, 16), (17, 15)]:
        image = torch.rand(1, 3, height, width)
        assert torch.equal(model_of(Picky())(image, torch.zeros(1, 1, height, width)), image)


def test_cancelling_stops_at_the_next_tile() -> None:
    cancel, calls = threading.Event(), []

    class Counting(Nearest):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            calls.append(1)
            if len(calls) == 2:
                cancel.set()
            return super().forward(image)

    with pytest.raises(Cancelled):
        list(runtime.rows(model_of(Counting(0)), torch.rand(1, 3, 200, 200), tile=40, cancel=cancel))
    assert len(calls) == 2


def test_progress_ends_at_one() -> None:
    seen: list[float] = []
    list(
        runtime.rows(
            model_of(Nearest(0)), torch.rand(1, 3, 100, 90), tile=40, progress=lambda done, text: seen.append(done)
        )
    )
    assert seen == sorted(seen) and seen[-1] == 1.0


def test_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENRESTORE_DEVICE", "abacus")
    with pytest.raises(SettingError, match="abacus"):
        runtime.device()
    monkeypatch.setenv("GENRESTORE_DEVICE", "cpu")
    assert runtime.device().type == "cpu"


def test_unknown_precision() -> None:
    with pytest.raises(SettingError, match="precision"):
        runtime.load("auto", precision="vague")


def test_a_first_picture_does_not_wait_for_what_it_does_not_need() -> None:
    # Checking a trace would import these for nearly a second, which every visitor of a cold net would wait.
    heavy = ("sympy", "torch.distributed.tensor")
    code = f"import sys, genrestore; genrestore.sample(); print(*[name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []
