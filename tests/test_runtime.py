"""Tiles equal the whole, cancelling is prompt, devices are named."""

import contextlib
import dataclasses
import itertools
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from genrestore import runtime
from genrestore.card import Card, SizeRule
from genrestore.errors import Cancelled, ModelError, SettingError
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


@pytest.mark.parametrize("shape", [(70, 45, 3), (33, 90, 1)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_samples_in_give_samples_out(shape: tuple[int, int, int], kind: Any) -> None:
    """What `enlarge` writes is the net's own result for the whole picture, rounded; grey is shown as three equal channels."""
    net = model_of(Nearest(3))
    pixels = np.random.default_rng(0).integers(0, np.iinfo(kind).max, shape, endpoint=True).astype(kind)
    pixels.flags.writeable = False
    into = np.zeros((2 * shape[0], 2 * shape[1], 4), kind)
    runtime.enlarge(net, pixels, into[..., : shape[2]], tile=40)
    image = torch.from_numpy(pixels / np.float32(np.iinfo(kind).max)).permute(2, 0, 1)[None].expand(1, 3, -1, -1)
    right = (net(image)[0] * np.iinfo(kind).max).permute(1, 2, 0).numpy()[..., : shape[2]]
    # float32 has 24 bits, so that sums of 49 samples of 16 are off by a fraction of a level
    assert np.abs(into[..., : shape[2]] - right).max() <= (0.51 if kind == np.uint8 else 1.5)
    assert not into[..., shape[2] :].any()


class Now:
    """An event or a stream of a GPU whose work is done at once."""

    def __init__(self, *_: Any) -> None: ...

    def wait_event(self, event: Any) -> None: ...

    def record(self, stream: Any) -> None: ...

    def synchronize(self) -> None: ...


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_rows_come_back_from_a_gpu_in_pieces(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way of a GPU's rows to the host, walked with a processor's memory: every sample arrives, in its place."""
    for name in ("Stream", "Event", "current_stream"):
        monkeypatch.setattr(torch.cuda, name, Now)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
    plain = torch.empty
    monkeypatch.setattr(torch, "empty", lambda *size, dtype, pin_memory: plain(*size, dtype=dtype))
    monkeypatch.setattr(runtime, "PIECE", 1000)
    right = np.random.default_rng(0).integers(0, np.iinfo(kind).max, (53, 31, 3)).astype(kind)
    into = np.zeros((53, 31, 4), kind)
    down = runtime._Down(torch.device("cpu"))
    for top in range(0, 53, 20):
        down.put(torch.from_numpy(right[top : top + 20]), torch.from_numpy(into)[top : top + 20, :, :3])
    down.finish()
    assert np.array_equal(into[..., :3], right)


def test_a_full_gpu_gets_smaller_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too little memory for a large tile is no reason to fail, for the smallest one it is a sentence."""
    asked: list[int] = []

    class Hungry(Nearest):
        most = 250

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            asked.append(max(image.shape[-2:]))
            if asked[-1] > self.most:
                raise torch.OutOfMemoryError("no memory")
            return super().forward(image)

    pixels = np.random.default_rng(0).integers(0, 255, (600, 500, 3), np.uint8)
    into = np.zeros((1200, 1000, 3), np.uint8)
    net = Hungry(0)
    runtime.enlarge(model_of(net), pixels, into, tile=600)
    assert np.array_equal(into, pixels.repeat(2, 0).repeat(2, 1)) and asked[0] > 250 >= asked[-1]
    net.most = 20
    with pytest.raises(ModelError, match="GPU has too little free memory"):
        runtime.enlarge(model_of(net), pixels, into)
