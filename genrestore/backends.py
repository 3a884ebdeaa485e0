"""The ways in which the heavy part of a net (its `body`: one tensor in, one out) can run on a processor, and the best one here.

Which is quickest no flag of the processor tells: one with AMX multiplies bfloat16 many times as fast as float32, one with
avx512_bf16 alone did so twice as fast or half as fast, by its make. So each way is timed once on this machine, for each net
(`machine.Choice` is what is kept of it). Sums with the input stay float32 outside the body, whatever runs it.
"""

import copy
import logging
import math
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from genrestore.card import SizeRule
from genrestore.machine import Choice
from genrestore.tasks.task import Task

log = logging.getLogger(__name__)

Body = Callable[[Tensor], Tensor]

USUAL = "openvino f32"  # until a net has been measured
PLAIN = "torch fp32"
WAYS = (USUAL, "openvino bf16", PLAIN, "torch bf16")  # in order of preference
GAIN = 1.2  # times as fast a way must be to be taken before one that is preferred to it
# Levels of 255 by which any sample may differ from float32, unless a net's `tolerance` says otherwise; a way that exceeds it is
# not taken.
LARGEST_DIFFERENCE = 8.0
SIDE = 128  # pixels of the picture that is measured on: its time is that of a large one, per pixel
ROUNDS = 3  # in which the ways take turns, since a machine's speed moves
SECONDS = 1.0  # after which no other round begins


class OpenVINO:
    """A compiled net that is called like the module it came from, by any thread."""

    def __init__(self, compiled: Any, title: str) -> None:
        self.compiled = compiled
        self.title = title

    def __call__(self, x: Tensor) -> Tensor:
        # A request costs microseconds. One for each call leaves the result its memory; a kept one would have to be copied from.
        request = self.compiled.create_infer_request()
        return torch.from_numpy(request.infer([x.contiguous().numpy()], share_inputs=True, share_outputs=True)[0])

    def release(self) -> bool:
        """Give back what the graph keeps between calls, 330 MB after a tile of span-x4; False where a call is running."""
        try:
            self.compiled.release_memory()
        except AttributeError:  # OpenVINO before 2025.1
            return True
        except RuntimeError:
            return False
        return True


class Converted:
    """A module in OpenVINO's own form, from which it compiles any precision; `load` is None where that cannot be had."""

    def __init__(self, openvino: Any, module: Any, example: Tensor, shape: list[int]) -> None:
        import warnings

        self.openvino = openvino
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer warns of its own deprecation
            # Traced here, since OpenVINO would have the trace checked, and the check imports SymPy for nearly a second.
            traced = torch.jit.trace(module, example, check_trace=False)
            self.model = openvino.convert_model(traced, example_input=example, input=shape)

    @classmethod
    def of(cls, module: Any, example: Tensor, shape: list[int]) -> "Converted | None":
        """The module for inputs of `shape` (-1 is any length)."""
        # OpenVINO tells Google Analytics of its import and of each conversion unless this package of its own is missing.
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type] (None is how Python marks "not to be had")
        try:
            import openvino

            return cls(openvino, module, example, shape)
        except ImportError:
            return None
        except Exception as problem:  # any failure of the converter leaves a net that works without it
            log.warning("OpenVINO could not take %s (%s); PyTorch runs it.", type(module).__name__, problem)
            return None

    def compile(self, precision: str, threads: int) -> OpenVINO | None:
        """For `precision` "f32" or "bf16"."""
        settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads}
        try:
            return OpenVINO(self.openvino.Core().compile_model(self.model, "CPU", settings), f"openvino {precision}")
        except Exception as problem:
            log.warning("OpenVINO could not compile a net for %s (%s).", precision, problem)
            return None


class Bodies:
    """The body of one net, to be had in each way; each is made when it is first asked for."""

    def __init__(self, net: Any, threads: int) -> None:
        self.net = net
        self.threads = threads
        self.converted: Converted | None = None
        self.tried = False
        self.made: dict[str, Body | None] = {}

    def of(self, way: str) -> Body | None:
        """The body in that way, or None where this machine does not have it."""
        if way not in self.made:
            self.made[way] = self._make(way)
        return self.made[way]

    def _make(self, way: str) -> Body | None:
        library, _, precision = way.partition(" ")
        if way == PLAIN:
            return self.net.body
        if library == "torch":
            return _bfloat16(self.net.body) if torch.ops.mkldnn._is_mkldnn_bf16_supported() else None  # pyright: ignore[reportPrivateUsage]
        if library != "openvino":
            return None
        if not self.tried:
            self.tried = True
            channels, side = self.net.body.channels, _side(self.net, 64)
            self.converted = Converted.of(self.net.body, torch.zeros(1, channels, side, side), [-1, channels, -1, -1])
        return self.converted.compile(precision, self.threads) if self.converted is not None else None


def _side(net: Any, least: int) -> int:
    """Pixels a side of a picture that the net takes, about `least`."""
    rule = SizeRule.of(net, {})
    return -(-max(least, rule.minimum) // rule.multiple_of) * rule.multiple_of


def _bfloat16(body: Body) -> Body:
    def run(x: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return body(x)

    return run


def with_body(net: Any, body: Body) -> Any:
    """The net with another body; the given one stays as it is, and all other parts are shared."""
    if body is net.body:
        return net
    other = copy.copy(net)
    other.__dict__["_modules"] = {name: part for name, part in net._modules.items() if name != "body"}
    if isinstance(body, nn.Module):
        other.body = body
    else:
        other.__dict__["body"] = body
    return other


def measure(bodies: Bodies, task: Task) -> Choice:
    """Time every way on the task's example, within about a second, and compare its result with that of `PLAIN`."""
    net = bodies.net
    inputs = task.example(net, _side(net, SIDE))
    shown: list[Tensor] = []  # what the body is given

    def seen(x: Tensor) -> Tensor:
        shown.append(x.clone())
        return net.body(x)

    with torch.inference_mode():
        exact = with_body(net, seen)(*inputs).float().clamp(0, 1)
        pixels = shown[0].shape[-1] * shown[0].shape[-2]
        ways = {way: body for way in WAYS if (body := bodies.of(way)) is not None}
        differences: dict[str, float] = {}
        for way, body in ways.items():  # a first call is slow, so that it is not timed
            if way == PLAIN:  # which was just called
                differences[way] = 0.0
                continue
            out = with_body(net, body)(*inputs).float().clamp(0, 1)
            difference = (out - exact).abs().max().item() * 255
            differences[way] = difference if math.isfinite(difference) else math.inf
        most = getattr(net, "tolerance", LARGEST_DIFFERENCE)
        times = _times({way: body for way, body in ways.items() if differences[way] <= most}, shown[0])
    best = ""
    for way in times:
        if not best or times[way] * GAIN < times[best]:
            best = way
    speeds = {way: round(pixels / seconds) for way, seconds in times.items()}
    return Choice(best, {way: float(speed) for way, speed in speeds.items()}, round(differences[best], 3))


def _times(ways: dict[str, Body], x: Tensor) -> dict[str, float]:
    """Seconds of each way's quickest call: other work on the machine only ever makes one slower."""
    times = dict.fromkeys(ways, math.inf)
    begun = time.perf_counter()
    for turn in range(ROUNDS):
        if turn and time.perf_counter() - begun > SECONDS:
            break
        limit = 2 * GAIN * min(times.values())
        for way, body in ways.items():
            if turn and times[way] > limit:
                continue  # hopeless
            start = time.perf_counter()
            body(x)
            times[way] = min(times[way], time.perf_counter() - start)
    return times
