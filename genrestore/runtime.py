"""Calling a net, whatever it is: device, backend, padding, tiles, clamping. The only place that knows them.

On a CPU the heavy part of a picture net (its `body`: one tensor in, one out) runs in OpenVINO, which was 1.1 to 2 times as
fast as PyTorch in `benchmarks/speed.py`; sums with the input stay in float32 outside it. bfloat16 is used where the processor
multiplies it in hardware tiles (AMX): on one that only has avx512_bf16 it was half as fast as float32.
"""

import itertools
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genrestore import weights
from genrestore.card import Card, SizeRule
from genrestore.errors import Cancelled, ModelError, SettingError

log = logging.getLogger(__name__)

Progress = Callable[[float, str], None]

PRECISIONS = ("fast", "exact")
TILE = 384  # pixels a side of a tile before its borders are added
GPU_TILE, LEAST_TILE = 1024, 128  # of a GPU, which is given smaller ones while its memory does not suffice
PIECE = 16 << 20  # bytes that come back from a GPU at once; pinning memory takes time
BLEND = 8  # pixels over which two tiles fade into each other


@dataclass(frozen=True, eq=False)
class Model:
    """A net with its card, ready to be called."""

    card: Card
    net: Any
    device: torch.device
    backend: str  # how the net runs, for people: "openvino fp32"
    draw: Callable[[Tensor], Tensor] | None = None  # a quicker `net.decode` for one latent at a time

    @property
    def size_rule(self) -> SizeRule:
        return self.net.size_rule

    def __call__(self, image: Tensor, *more: Tensor) -> Tensor:
        """`forward` of the net on a whole picture: padded to the net's size rule, cropped, clamped to [0, 1].

        image (1, C, H, W) and what else the net takes (a mask), all of one size; the result may be larger by a whole factor.
        """
        return self.on_device(image, *more).cpu()

    def on_device(self, image: Tensor, *more: Tensor) -> Tensor:
        """As a call, but the result stays on the net's device, where it may still be being computed."""
        height, width = image.shape[-2:]
        inputs = [_pad(_unit(tensor.to(self.device)), self.size_rule) for tensor in (image, *more)]
        with torch.inference_mode(), self._arithmetic():
            out = self.net(*inputs)
        scale = out.shape[-1] // inputs[0].shape[-1]
        return out[..., : height * scale, : width * scale].float().clamp(0, 1)

    def _arithmetic(self) -> AbstractContextManager[Any]:
        """bfloat16 where the backend says so; elsewhere a GPU's float32 is all of it, which by default its convolutions cut."""
        if self.backend == "cuda bf16":
            return torch.autocast("cuda", torch.bfloat16)
        if self.device.type == "cuda":
            return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
        return nullcontext()

    def decode(self, z: Tensor) -> Tensor:
        """Latent vectors (B, Z) → pictures (B, C, H, W) in [0, 1]."""
        with torch.inference_mode():
            draw = self.draw if self.draw is not None and len(z) == 1 else self.net.decode
            return draw(z.to(self.device)).float().clamp(0, 1).cpu()


def device() -> torch.device:
    """cuda, then mps, then cpu; GENRESTORE_DEVICE overrides.

    Raises:
        SettingError: GENRESTORE_DEVICE names a device that is not there.
    """
    wanted = os.environ.get("GENRESTORE_DEVICE")
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted is None:
        return torch.device(next(name for name, found in there.items() if found))
    if not there.get(wanted.partition(":")[0]):
        raise SettingError(
            f"GENRESTORE_DEVICE={wanted} is not to be had here; use one of {', '.join(n for n, f in there.items() if f)}."
        )
    return torch.device(wanted)


def has_fast_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 in AMX tiles."""
    return bool(torch.cpu.get_capabilities().get("amx_bf16", False))


_loading = threading.Lock()


def load(ref: str, *, precision: str = "fast", task: str | None = None) -> Model:
    """The model a reference means (see `weights.resolve`); loaded once and kept.

    Args:
        precision: "fast" for the quickest backend, "exact" for plain float32 PyTorch.

    Raises:
        ModelError: there is no such weight, it is damaged, or it serves another task.
        SettingError: the precision is unknown.
    """
    if precision not in PRECISIONS:
        raise SettingError(f"precision must be one of {', '.join(PRECISIONS)}, not {precision!r}.")
    card = weights.resolve(ref, task)
    assert card.folder is not None, "resolve reads cards from folders"
    with _loading:  # two first clicks at once must not load twice
        return _load(card.folder, card.weights.stat().st_mtime_ns, precision, str(device()))


@lru_cache(maxsize=16)
def _load(folder: Path, changed: int, precision: str, name: str) -> Model:
    card = Card.read(folder)
    if weights.digest(card.weights) != card.sha256:
        raise ModelError(
            f"{card.weights} is not the file its card describes (sha256 differs); download or train it again."
        )
    net = weights.load_net(card.weights)
    where = torch.device(name)
    net = net.to(where, memory_format=torch.channels_last)
    if where.type == "cpu" and precision == "fast" and isinstance(getattr(net, "body", None), nn.Module):
        return Model(card, net, where, _compile(net))
    if where.type == "cpu" and precision == "fast" and hasattr(net, "decode") and (draw := _compile_decoder(net)):
        return Model(card, net, where, draw.title, draw)
    if where.type == "cuda" and precision == "fast":
        return Model(card, net, where, "cuda bf16")
    return Model(card, net, where, f"torch fp32 on {where.type}")


def _compile(net: Any) -> str:
    """Put an OpenVINO version of `net.body` in its place; without OpenVINO the net stays as it is."""
    precision = "bf16" if has_fast_bfloat16() else "f32"
    example = torch.zeros(1, net.body.channels, 64, 64)
    body = _openvino(net.body, example, [-1, net.body.channels, -1, -1], precision, torch.get_num_threads())
    if body is None:
        return "torch fp32 on cpu"
    del net.body
    net.body = body
    return body.title


def _compile_decoder(net: Any) -> "_OpenVINO | None":
    """`net.decode` of one latent, for OpenVINO on one core; None without OpenVINO.

    A small decoder is many short steps. PyTorch gives up Python's lock and asks for it again at each, which beside other
    requests took up to ten times as long as the arithmetic; this asks once.
    """

    class Decoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, z: Tensor) -> Tensor:
            return self.net.decode(z)

    return _openvino(Decoder().eval(), torch.zeros(1, net.latent), [1, net.latent], "f32", 1)


def _openvino(module: Any, example: Tensor, shape: list[int], precision: str, threads: int) -> "_OpenVINO | None":
    """The module compiled for inputs of `shape` (-1 is any length), or None if that cannot be had."""
    # OpenVINO tells Google Analytics of its import and of each conversion unless this package of its own is missing.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type] (None is how Python marks "not to be had")
    try:
        import openvino
    except ImportError:
        return None
    try:
        return _OpenVINO(openvino, module, example, shape, precision, threads)
    except Exception as problem:  # any failure of the converter leaves a net that works without it
        log.warning("OpenVINO could not take %s (%s); PyTorch runs it.", type(module).__name__, problem)
        return None


class _OpenVINO:
    """A compiled net that is called like the module it came from."""

    def __init__(
        self, openvino: Any, module: Any, example: Tensor, shape: list[int], precision: str, threads: int
    ) -> None:
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer warns of its own deprecation
            # Traced here, since OpenVINO would have the trace checked, and the check imports SymPy for nearly a second.
            traced = torch.jit.trace(module, example, check_trace=False)
            model = openvino.convert_model(traced, example_input=example, input=shape)
        settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads}
        self.compiled = openvino.Core().compile_model(model, "CPU", settings)
        self.title = f"openvino {precision}"
        self.requests = threading.local()  # a request serves one thread at a time

    def __call__(self, x: Tensor) -> Tensor:
        if not hasattr(self.requests, "own"):
            self.requests.own = self.compiled.create_infer_request()
        out = self.requests.own.infer([x.contiguous().numpy()], share_inputs=True)[0]
        return torch.from_numpy(out.copy())


def _unit(tensor: Tensor) -> Tensor:
    """Samples of 8 or 16 bit as float32 in [0, 1]; what is not whole numbers is that already."""
    return tensor if tensor.is_floating_point() else tensor.float().div_(torch.iinfo(tensor.dtype).max)


def _pad(tensor: Tensor, rule: SizeRule) -> Tensor:
    """Right and bottom edges extended to the net's sizes: mirrored, or repeated where the picture is too small to mirror."""
    height, width = tensor.shape[-2:]
    down = _missing(height, rule)
    across = _missing(width, rule)
    if not (down or across):
        return tensor
    mode = "reflect" if down < height and across < width else "replicate"
    return F.pad(tensor, (0, across, 0, down), mode=mode)


def _missing(length: int, rule: SizeRule) -> int:
    wanted = max(length, rule.minimum)
    return -(-wanted // rule.multiple_of) * rule.multiple_of - length


# --- tiles -----------------------------------------------------------------------------------------------------------


def tiles(length: int, tile: int) -> list[tuple[int, int]]:
    """Cut `length` into pieces (start, end) of at most `tile`, as equal as can be."""
    count = -(-length // tile)
    edges = [round(k * length / count) for k in range(count + 1)]
    return list(itertools.pairwise(edges))


def rows(
    model: Model,
    image: Tensor,
    *,
    tile: int | None = None,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> Iterator[Tensor]:
    """Run an enlarging or restoring net on a picture of any size; yields the result's rows (1, C, h, W) from top to bottom.

    image is float32 in [0, 1], or samples of 8 or 16 bit; the rows are float32 in [0, 1] on the net's device, where they may
    still be being computed. Each tile is given as much of its surroundings as the net can see, so that tiles equal the whole;
    what a backend may still round differently fades over BLEND pixels. Only one row of tiles is in memory.

    Raises:
        Cancelled: `cancel` was set; at most one tile's time passes.
    """
    height, width = image.shape[-2:]
    image = image.to(model.device)
    halo = model.size_rule.receptive + BLEND
    tile = tile or (TILE if model.device.type == "cpu" else GPU_TILE)
    down, across = tiles(height, tile), tiles(width, tile)
    carried: Tensor | None = None  # the lower fade of the row of tiles above
    for i, (top, bottom) in enumerate(down):
        band: Tensor | None = None
        scale = 1
        y0, y1 = max(0, top - BLEND), min(height, bottom + BLEND)
        for j, (left, right) in enumerate(across):
            if cancel is not None and cancel.is_set():
                raise Cancelled("Cancelled; nothing was written.")
            x0, x1 = max(0, left - BLEND), min(width, right + BLEND)
            a, b = max(0, top - halo), min(height, bottom + halo)
            c, d = max(0, left - halo), min(width, right + halo)
            out = model.on_device(image[..., a:b, c:d])
            scale = out.shape[-1] // (d - c)
            out = out[..., (y0 - a) * scale : (y1 - a) * scale, (x0 - c) * scale : (x1 - c) * scale]
            fade = _fade(x0 * scale, x1 * scale, left > 0, right < width, scale, out.device)
            if band is None:
                band = torch.zeros(1, out.shape[1], out.shape[2], width * scale, device=out.device)
            band[..., x0 * scale : x1 * scale] += out * fade
            if progress is not None:
                done = i * len(across) + j + 1
                progress(done / (len(down) * len(across)), f"tile {done} of {len(down) * len(across)}")
        assert band is not None, "a picture has at least one column"
        band *= _fade(y0 * scale, y1 * scale, top > 0, bottom < height, scale, band.device)[:, None]
        if carried is not None:
            band[..., : carried.shape[-2], :] += carried
        keep = band.shape[-2] - (2 * BLEND * scale if bottom < height else 0)
        carried = band[..., keep:, :].clone()
        yield band[..., :keep, :]


def enlarge(
    model: Model,
    pixels: npt.NDArray[Any],
    into: npt.NDArray[Any],
    *,
    tile: int | None = None,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> None:
    """Run an enlarging or restoring net on samples, in tiles (see `rows`), straight into the result.

    Samples go to the device and come back in their own depth, so that a GPU's bus carries a quarter of what floats would
    take; they are rounded on the device, and rows come back while the next are computed.

    Args:
        pixels: (H, W, C) uint8 or uint16, C = 1 or 3; grey is shown to the net as three equal channels.
        into: (sH, sW, C) of the same type, for a net that enlarges s times.

    Raises:
        Cancelled: `cancel` was set; `into` holds some rows.
        ModelError: a GPU has too little memory left even for small tiles.
    """
    image = torch.from_numpy(np.require(pixels, requirements=["C", "W"])).to(model.device).permute(2, 0, 1)[None]
    target, peak = torch.from_numpy(into), np.iinfo(pixels.dtype).max
    tile = tile or (TILE if model.device.type == "cpu" else GPU_TILE)
    while True:
        try:
            _enlarge(model, image, target, peak, tile, progress, cancel)
            return
        except torch.OutOfMemoryError:
            if tile <= LEAST_TILE:
                raise ModelError(
                    "The GPU has too little free memory for this picture; close what else uses it, or set "
                    "GENRESTORE_DEVICE=cpu."
                ) from None
        torch.cuda.empty_cache()  # here, where the failed attempt holds nothing any more
        tile //= 2


def _enlarge(
    model: Model,
    image: Tensor,
    target: Tensor,
    peak: int,
    tile: int,
    progress: Progress | None,
    cancel: threading.Event | None,
) -> None:
    """(1, C, H, W) samples on the device → (sH, sW, C) samples on the host."""
    down = _Down(model.device) if model.device.type == "cuda" else None
    y = 0
    for band in rows(model, image.expand(1, 3, -1, -1), tile=tile, progress=progress, cancel=cancel):
        out = band if image.shape[1] == 3 else band.mean(1, keepdim=True)
        samples = out[0].mul_(peak).round_().permute(1, 2, 0)
        place = target[y : y + len(samples)]
        if down is None:
            place.copy_(samples)
        else:
            down.put(samples.to(place.dtype).contiguous(), place)
        y += len(samples)
    if down is not None:
        down.finish()


class _Down:
    """Rows of samples from a GPU to the host: in pinned pieces, on a stream of their own, while the GPU computes the next."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device)
        self.pinned = [torch.empty(PIECE, dtype=torch.uint8, pin_memory=True) for _ in range(2)]
        self.waiting: tuple[Tensor, Any, Tensor] | None = None  # rows, the event after them, where they go

    def put(self, samples: Tensor, place: Tensor) -> None:
        """Have `samples` copied to `place`; those of the last call are there when this returns."""
        ready = torch.cuda.Event()
        ready.record(torch.cuda.current_stream(self.device))
        self.finish()
        self.waiting = samples, ready, place

    def finish(self) -> None:
        """Wait until everything has arrived."""
        if self.waiting is None:
            return
        samples, ready, place = self.waiting
        self.waiting = None
        self.stream.wait_event(ready)
        count = max(1, PIECE // (samples[0].numel() * samples.itemsize))  # rows of a piece
        arriving: tuple[Any, Tensor, Tensor] | None = None
        for number, top in enumerate(range(0, len(samples), count)):
            part = samples[top : top + count]
            host = self.pinned[number % 2][: part.numel() * part.itemsize].view(part.dtype).view(part.shape)
            with torch.cuda.stream(self.stream):
                host.copy_(part, non_blocking=True)
                copied = torch.cuda.Event()
                copied.record(self.stream)
            if arriving is not None:
                _arrived(*arriving)
            arriving = copied, host, place[top : top + count]
        if arriving is not None:
            _arrived(*arriving)


def _arrived(copied: Any, host: Tensor, place: Tensor) -> None:
    copied.synchronize()
    place.copy_(host)


def _fade(start: int, end: int, from_left: bool, to_right: bool, scale: int, where: torch.device) -> Tensor:
    """Weights of the samples start … end of one tile: a ramp over 2·BLEND·scale samples where a neighbour follows."""
    weights_ = torch.ones(end - start, device=where)
    ramp = (torch.arange(2 * BLEND * scale, device=where) + 0.5) / (2 * BLEND * scale)
    if from_left:
        weights_[: len(ramp)] *= ramp
    if to_right:
        weights_[-len(ramp) :] *= ramp.flip(0)
    return weights_
