"""Calling a net, whatever it is: device, backend, padding, tiles, clamping. The only place that knows them.

On a CPU the heavy part of a picture net runs on whichever of `backends.WAYS` was measured to be the quickest on this machine.
"""

import itertools
import logging
import math
import os
import stat
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from genrestore import backends, machine, setting, tasks, weights, zerogpu
from genrestore.card import Card, SizeRule
from genrestore.data.text import letters
from genrestore.errors import ModelError, SettingError, stop_if
from genrestore.models import adopted
from genrestore.pictures.image import pil_of
from genrestore.setting import Option, checked

log = logging.getLogger(__name__)

machine.bound_arenas()
if machine.cores() < torch.get_num_threads():  # PyTorch knows which processors it may use, not how much of their time
    torch.set_num_threads(machine.cores())


def one_core() -> None:
    """Let the calling thread compute on one core.

    Small work gains little from a second one, and loses much where another program holds it: two cores that wait for each
    other took 4 times the processor time and 8 times as long for a picture of a VAE, 8 and 4 times for a fill by example.
    """
    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    # The call above also set what threads that start later will use; only another thread can put that back.
    other = threading.Thread(target=torch.set_num_threads, args=(usual,))
    other.start()
    other.join()


Progress = Callable[[float, str], None]
Preview = Callable[[Image.Image], None]
Watch = Callable[[float, Tensor], None]  # the share of a call that is done, and the picture (1, C, sH, sW) so far

PRECISIONS = ("fast", "exact")
KEPT_BYTES = 1 << 30  # of loaded nets together, in the memory of each device
MEASURED_FROM = (
    1 << 18
)  # pixels given to a net: half a second's work, so that measuring pays and no small picture waits for it
LENT_FROM = 1 << 18  # pixels given to a net for which a GPU is worth asking for
LARGE = 1 << 16  # pixels of a call whose memory is given back afterwards
QUIET = 1.0  # seconds
TILE = 384  # pixels a side of a tile before its borders are added, which the net computes twice
HALF_TILE = 512  # in bfloat16, for the same memory
GPU_TILE, LEAST_TILE = 1024, 128  # of a GPU, which is given smaller ones while its memory does not suffice
PIECE = 16 << 20  # bytes that come back from a GPU at once; pinning memory takes time
BLEND = 4  # pixels over which two tiles fade into each other
SHARE = 0.5  # of the free memory that a tile may take
COPIES = 2  # of its numbers that a net takes: its own, and those of a compiled version


@dataclass(frozen=True, eq=False)
class Model:
    """A net with its card, ready to be called."""

    card: Card
    net: Any
    device: torch.device
    backend: str  # how the net runs, for people: "openvino fp32"
    draw: Callable[[Tensor], Tensor] | None = None  # a quicker `net.decode` for one latent at a time
    choice: machine.Choice | None = None  # of a picture net on a processor: what was measured, if it was
    conditions: Mapping[str, Any] = field(default_factory=dict[str, Any])  # of its calls, see `under`
    precision: str = "fast"  # that was asked for
    watch: Watch | None = None  # is told of each step of a net that works in steps

    def under(self, **conditions: Any) -> Self:
        """The model with conditions for its calls, of those that its net declares: texts, levels, numbers of steps.

        Raises:
            SettingError: the net knows no such condition, or not that value of it.
        """
        told = checked(setting.conditions(self.net), conditions, self.card.name)
        return replace(self, conditions={**self.conditions, **told}) if told else self

    def watched(self, watch: Watch) -> Self:
        """The model whose calls tell of each step, if its net works in steps; what `watch` raises ends the call."""
        return replace(self, watch=watch) if hasattr(self.net, "steps") else self

    @property
    def size_rule(self) -> SizeRule:
        return SizeRule.of(self.net, self.conditions)

    def _told(self, rows: int) -> dict[str, Any]:
        """The conditions as nets take them: a text as (B, 128) uint8, a word of several as (B,) int64, an amount as (B,) float32;
        whole numbers and switches as they are."""
        if not self.conditions:  # as of nearly every call, of which a large picture takes many
            return {}
        if getattr(self.net, "as_said", False):
            return dict(self.conditions)
        known = {one.name: one for one in setting.conditions(self.net)}
        return {name: _row(known[name], value, rows, self.device) for name, value in self.conditions.items()}

    @property
    def tile(self) -> int:
        """Pixels a side of the tiles in which a large picture is given to the net."""
        rule = self.size_rule
        gpu = self.device.type != "cpu" or zerogpu.here()
        usual = GPU_TILE if gpu else HALF_TILE if self.backend.endswith("bf16") else TILE
        wanted = max(usual, rule.tile)
        if not rule.memory:
            return wanted
        side = math.isqrt(int(SHARE * available(self.device) / rule.memory)) - 2 * (rule.receptive + BLEND)
        return min(wanted, max(side, LEAST_TILE))

    @property
    def nbytes(self) -> int:
        """Memory that the net takes while it is loaded, about: its numbers, and those of a compiled version."""
        own = sum(value.nbytes for value in self.net.state_dict().values())
        body = getattr(self.net, "body", None)
        return own if body is None or isinstance(body, nn.Module) else own + self.card.parameters * 4

    def release(self) -> bool:
        """Give back the memory that a compiled net keeps between calls; False where a call is running."""
        parts = (getattr(self.net, "body", None), self.draw)
        return all(part.release() for part in parts if isinstance(part, backends.OpenVINO))

    def __call__(self, image: Tensor, *more: Tensor) -> Tensor:
        """`forward` of the net on a whole picture: padded to the net's size rule, cropped, clamped to [0, 1].

        image (1, C, H, W) and what else the net takes (a mask), all of one size; the result may be larger by a whole factor.
        """
        with large_work() if image.shape[-1] * image.shape[-2] >= LARGE else nullcontext():
            return self.on_device(image, *more).cpu()

    def on_device(self, image: Tensor, *more: Tensor) -> Tensor:
        """As a call, but the result stays on the net's device, where it may still be being computed."""
        height, width = image.shape[-2:]
        if zerogpu.here() and width * height >= LENT_FROM:
            try:
                return torch.from_numpy(
                    _on_lent_gpu(self.card, self.precision, dict(self.conditions), _plain(image, *more))
                )
            except Exception as problem:  # the visitor's share is used up, or the GPU went away: it is done here, later
                log.warning("No GPU was lent to %s (%s).", self.card.name, problem)
        if self.watch is not None:
            return self._watched(image, *more).to(self.device)
        inputs = self._inputs(image, *more)
        with torch.inference_mode(), self._arithmetic():
            out = self.net(*inputs, **self._told(len(image)))
            scale = out.shape[-1] // inputs[0].shape[-1]
            out = out[..., : height * scale, : width * scale].float()
            own = out.untyped_storage().data_ptr() not in [tensor.untyped_storage().data_ptr() for tensor in inputs]
            return out.clamp_(0, 1) if own else out.clamp(0, 1)

    def steps(self, image: Tensor, *more: Tensor) -> Generator[Tensor, None, None]:
        """As a call; of a net that works in steps (`steps`, a generator) the picture after each, and last the result."""
        height, width = image.shape[-2:]
        inputs = self._inputs(image, *more)
        if not hasattr(self.net, "steps"):
            yield self(image, *more)
            return
        with torch.inference_mode(), self._arithmetic():
            made = self.net.steps(*inputs, **self._told(len(image)))
        try:
            while True:
                with torch.inference_mode(), self._arithmetic():  # not while others compute between two steps
                    out = next(made, None)
                if out is None:
                    return
                scale = out.shape[-1] // inputs[0].shape[-1]
                yield out[..., : height * scale, : width * scale].float().clamp(0, 1).cpu()
        finally:
            made.close()  # at once, for whoever waits for the net

    def _watched(self, image: Tensor, *more: Tensor) -> Tensor:
        assert self.watch is not None
        length, done = getattr(self.net, "length", None), 0
        count = length(**self.conditions) if length is not None else 0
        out = image
        with closing(self.steps(image, *more)) as steps:
            for picture in steps:
                waiting = picture.shape == image.shape and bool((picture == image).all())  # others are served
                done, out = done + (not waiting), picture
                self.watch(min(done / count, 1.0) if count else 0.0, out)
        return out

    def _inputs(self, *tensors: Tensor) -> list[Tensor]:
        return [_pad(_unit(tensor.to(self.device)), self.size_rule) for tensor in tensors]

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
            if self.draw is not None and len(z) == 1 and not self.conditions:
                return self.draw(z.to(self.device)).float().clamp(0, 1).cpu()
            return self.net.decode(z.to(self.device), **self._told(len(z))).float().clamp(0, 1).cpu()


def device() -> torch.device:
    """cuda, then mps, then cpu; GENRESTORE_DEVICE overrides.

    Raises:
        SettingError: GENRESTORE_DEVICE names a device that is not there.
    """
    wanted = os.environ.get("GENRESTORE_DEVICE")
    there = {
        "cuda": torch.cuda.is_available() and not zerogpu.here(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if wanted is None:
        return torch.device(next(name for name, found in there.items() if found))
    if not there.get(wanted.partition(":")[0]):
        raise SettingError(
            f"GENRESTORE_DEVICE={wanted} is not to be had here; use one of {', '.join(n for n, f in there.items() if f)}."
        )
    return torch.device(wanted)


# --- loaded nets -----------------------------------------------------------------------------------------------------


class _Entry:
    """One net of the store, perhaps still being loaded; `loading` is held by who does it."""

    def __init__(self) -> None:
        self.loading = threading.Lock()
        self.model: Model | None = None
        self.bodies: backends.Bodies | None = None  # until it is known which is the best
        self.measuring = threading.Lock()
        self.given = 0  # pixels


_store: "OrderedDict[tuple[Any, ...], _Entry]" = OrderedDict()  # the least recently used first
_alive: "weakref.WeakValueDictionary[Any, Model]" = (
    weakref.WeakValueDictionary()
)  # of the same keys; also those that went out
_shelf = threading.Lock()  # held for look-ups only, never while anything is read or computed


def load(ref: str, *, precision: str = "fast", task: str | None = None, pixels: int = 0) -> Model:
    """The model a reference means (see `weights.resolve`); loaded once, and kept while KEPT_BYTES suffice for it.

    Who asks for another net does not wait for this one's loading, nor does who asks for a loaded one.

    Args:
        precision: "fast" for the quickest backend, "exact" for plain float32 PyTorch.
        pixels: how many the caller is about to give the net. From MEASURED_FROM on, in one or in many calls, it is measured
            which backend is quickest here: about a second, once on a machine.

    Raises:
        ModelError: there is no such weight, it is damaged, or it serves another task.
        SettingError: the precision is unknown.
    """
    if precision not in PRECISIONS:
        raise SettingError(f"precision must be one of {', '.join(PRECISIONS)}, not {precision!r}.")
    card = weights.resolve(ref, task)
    where = device()
    try:
        found = card.weights.stat()
        if not stat.S_ISREG(found.st_mode):
            raise OSError
    except OSError:
        raise ModelError(f"There is no {card.weights}; download or train the weight again.") from None
    claims = card.sha256, card.architecture, str(card.config)
    key = (card.weights, found.st_mtime_ns, found.st_size, claims, precision, str(where))
    entry = _entry(key)
    if entry.model is None:
        with entry.loading:
            if entry.model is None:  # whoever came first may have done it
                try:
                    entry.model = _alive.get(key) or _load(card, precision, where, entry)
                except BaseException:
                    _forget(key, entry)
                    raise
        _fit(key, entry.model)
    if (wanted := _wanted.get()) and precision == "fast":
        return _on(entry.model, wanted)
    if entry.bodies is not None and pixels:
        entry.given += pixels
        if entry.given >= MEASURED_FROM:
            _measure(key, entry)
    return entry.model


_wanted: ContextVar[str] = ContextVar("backend", default="")


@contextmanager
def on_backend(title: str) -> Generator[None, None, None]:
    """Within the block this thread computes as `Model.backend` said once, where that can be had here; "" is as usual."""
    token = _wanted.set(title)
    try:
        yield
    finally:
        _wanted.reset(token)


def _on(model: Model, title: str) -> Model:
    """The model on another backend; as it is, where it has none of that name."""
    backend = backends.PLAIN if title == f"{backends.PLAIN} on cpu" else title
    if title == model.backend or backend not in backends.WAYS or model.device.type != "cpu":
        return model
    net = weights.check(model.card)
    if not isinstance(getattr(net, "body", None), nn.Module):
        return model
    bodies = backends.Bodies(net.to(memory_format=torch.channels_last), torch.get_num_threads())
    return model if bodies.of(backend) is None else _with(model.card, bodies, machine.Choice(backend, {}, 0.0))


def _entry(key: tuple[Any, ...]) -> _Entry:
    with _shelf:
        if key in _store:
            _store.move_to_end(key)
            return _store[key]
        entry = _store[key] = _Entry()
        return entry


def _forget(key: tuple[Any, ...], entry: _Entry) -> None:
    with _shelf:
        if _store.get(key) is entry:
            del _store[key]


def _fit(key: tuple[Any, ...], model: Model) -> None:
    """Keep the model, and let the least recently used ones go for which no room is left.

    Who is calling one of them holds it, and until then it is found here again instead of being loaded twice.
    """
    with _shelf:
        _alive[key] = model
        kept = model.nbytes
        for other in reversed([other for other in _store if other != key]):
            held = _store[other].model
            if held is None or held.device != model.device:
                continue
            kept += held.nbytes
            if kept > KEPT_BYTES:
                del _store[other]


def available(where: torch.device) -> float:
    """Bytes that can still be taken of a device's memory."""
    return float(torch.cuda.mem_get_info(where)[0]) if where.type == "cuda" else machine.free()


def _check_memory(card: Card, where: torch.device) -> None:
    """Raises:
    ModelError: the net and its smallest tile would not fit into what is free.
    """
    rule, free, entry = card.size_rule, available(where), adopted(card.architecture)
    tile = (max(LEAST_TILE, rule.minimum) + 2 * (rule.receptive + BLEND)) ** 2 if rule.memory else 0
    needed = COPIES * 4 * card.parameters + tile * rule.memory
    if entry is not None and entry.needs is not None:
        needed = entry.needs(card.config, card.parameters, where.type)
    if needed > free:
        raise ModelError(
            f"{card.name} needs about {needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free; close other programs, "
            "or take a smaller model."
        )


def _load(card: Card, precision: str, where: torch.device, entry: _Entry) -> Model:
    _check_memory(card, where)
    net = weights.check(card)
    if hasattr(net, "settled"):  # which knows better in what precision, and how
        net = net.settled(where, available(where))
        return Model(card, net, where, f"torch {'fp16' if where.type == 'cuda' else 'fp32'} on {where.type}")
    net = net.to(where)
    if all(value.dim() != 5 for value in net.state_dict().values()):  # of which there are no channels to be last
        net = net.to(memory_format=torch.channels_last)
    if where.type == "cuda" and precision == "fast" and not hasattr(net, "tolerance"):  # which bfloat16 may exceed
        return Model(card, net, where, "cuda bf16")
    if where.type == "cpu" and precision == "fast" and isinstance(getattr(net, "body", None), nn.Module):
        bodies = backends.Bodies(net, torch.get_num_threads())
        known = machine.recall(card.sha256)
        if known is not None and known.backend in backends.WAYS and bodies.of(known.backend) is not None:
            return _with(card, bodies, known)
        usual = backends.USUAL if bodies.of(backends.USUAL) is not None else backends.PLAIN
        entry.bodies = bodies
        return _with(card, bodies, machine.Choice(usual, {}, 0.0))
    if where.type == "cpu" and precision == "fast" and hasattr(net, "decode") and (draw := _decoder(net)):
        return Model(card, net, where, draw.title, draw)
    return Model(card, net, where, f"torch fp32 on {where.type}", precision=precision)


def _with(card: Card, bodies: backends.Bodies, choice: machine.Choice) -> Model:
    body = bodies.of(choice.backend)
    assert body is not None, f"{choice.backend} was had a moment ago"
    title = "torch fp32 on cpu" if choice.backend == backends.PLAIN else choice.backend
    return Model(card, backends.with_body(bodies.net, body), torch.device("cpu"), title, choice=choice)


def _measure(key: tuple[Any, ...], entry: _Entry) -> None:
    """Give the entry's model its quickest backend; who comes while that is found goes on with the model as it is."""
    if not entry.measuring.acquire(blocking=False):
        return
    try:
        bodies, model = entry.bodies, entry.model
        if bodies is None or model is None:
            return
        entry.bodies = None
        choice = machine.recall(model.card.sha256)  # another process may have been here meanwhile
        if choice is None or choice.backend not in backends.WAYS or bodies.of(choice.backend) is None:
            choice = backends.measure(bodies, tasks.find(model.card.task))
            machine.remember(model.card.sha256, choice)
            log.info("%s runs on %s here: %s", model.card.name, choice.backend, choice)
        entry.model = _with(model.card, bodies, choice)
        _fit(key, entry.model)
    except Exception as problem:  # the net works as it is
        log.warning("%s could not be measured (%s); it stays on the usual backend.", key[0], problem)
    finally:
        entry.measuring.release()


def _decoder(net: Any) -> backends.OpenVINO | None:
    """`net.decode` of one latent, for OpenVINO on one core; None without OpenVINO.

    A small decoder is many short steps. PyTorch gives up Python's lock and asks for it again at each, which beside other
    requests took up to ten times as long as the arithmetic; this asks once. It stays float32, unmeasured: bfloat16 gained
    nothing at one latent, and a seed must give the same picture before and after a measurement.
    """

    class Decoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, z: Tensor) -> Tensor:
            return self.net.decode(z)

    converted = backends.Converted.of(Decoder().eval(), torch.zeros(1, net.latent), [1, net.latent])
    return converted.compile("f32", 1) if converted is not None else None


# --- on a GPU that is lent for a call --------------------------------------------------------------------------------

LENT = "cuda"  # the device of the process that is lent one
_arrived_nets: dict[tuple[str, str], Model] = {}  # of such a process, which may serve several calls


@zerogpu.lent
def _on_lent_gpu(
    card: Card, precision: str, conditions: dict[str, Any], inputs: list[npt.NDArray[Any]]
) -> npt.NDArray[np.float32]:
    """`Model.on_device` in the process that is lent a GPU, with what can be pickled.

    The net is read there, not found in the store: whoever held its lock while the process was forked still seems to.
    """
    zerogpu.arrived()
    torch.set_num_threads(1)  # OpenMP's threads did not come along
    key = card.sha256, precision
    if key not in _arrived_nets:
        _arrived_nets[key] = _load(card, precision, torch.device(LENT), _Entry())
    made = replace(_arrived_nets[key], conditions=conditions).on_device(*map(torch.from_numpy, inputs))
    return made.cpu().numpy()


def _plain(*tensors: Tensor) -> list[npt.NDArray[Any]]:
    return [np.ascontiguousarray(tensor.numpy()) for tensor in tensors]


# --- memory after work -----------------------------------------------------------------------------------------------


class _Rest:
    """Counts large works, and gives memory back when the last one has ended for QUIET seconds."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.running = 0
        self.timer: threading.Timer | None = None

    def begin(self) -> None:
        with self.lock:
            self.running += 1

    def end(self) -> None:
        with self.lock:
            self.running -= 1
        self.later()

    def later(self) -> None:
        with self.lock:
            if self.timer is not None:
                self.timer.cancel()
            self.timer = threading.Timer(QUIET, self.now)
            self.timer.daemon = True
            self.timer.start()

    def now(self) -> None:
        if self.running:
            return  # its end will come back here
        released = [model.release() for model in list(_alive.values())]
        machine.trim()
        if not all(released):
            self.later()


_rest = _Rest()


@contextmanager
def large_work() -> Generator[None, None, None]:
    """Round work on a large picture, after which memory goes back to the system.

    What compiled nets keep between calls, and what the C library has of freed memory, would otherwise stay with the process:
    1 to 2 GB after a dozen pictures.
    """
    _rest.begin()
    try:
        yield
    finally:
        _rest.end()


# --- conditions and pictures as a net takes them ---------------------------------------------------------------------


def _row(option: Option, value: Any, rows: int, where: torch.device) -> Any:
    """A condition for `rows` rows of a batch, see `Model._told`."""
    if isinstance(value, str) and option.setting.choices:
        return torch.full((rows,), option.setting.choices.index(value), device=where)
    if isinstance(value, str):
        return torch.from_numpy(letters(value).copy()).to(where).expand(rows, -1)
    return torch.full((rows,), value, device=where) if isinstance(value, float) else value


def _unit(tensor: Tensor) -> Tensor:
    """Samples of 8 or 16 bit as float32 in [0, 1]; what is not whole numbers is that already."""
    return tensor if tensor.is_floating_point() else tensor.float().div_(torch.iinfo(tensor.dtype).max)


def _pad(tensor: Tensor, rule: SizeRule) -> Tensor:
    """Right and bottom edges extended to the net's sizes: mirrored, and repeated where the picture is too small to mirror."""
    height, width = tensor.shape[-2:]
    down = _missing(height, rule)
    across = _missing(width, rule)
    if not (down or across):
        return tensor
    mirrored = min(across, width - 1), min(down, height - 1)
    tensor = F.pad(tensor, (0, mirrored[0], 0, mirrored[1]), mode="reflect")
    return F.pad(tensor, (0, across - mirrored[0], 0, down - mirrored[1]), mode="replicate")


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
    preview: Preview | None = None,
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
    rule = model.size_rule
    halo = rule.receptive + BLEND
    grid = math.lcm(rule.multiple_of, rule.grid)  # of a net with strides or windows
    tile = tile or model.tile
    down, across = tiles(height, tile), tiles(width, tile)
    carried: Tensor | None = None  # the lower fade of the row of tiles above
    count = len(down) * len(across)
    done = 0

    def watch(share: float, picture: Tensor) -> None:
        stop_if(cancel)
        if preview is not None:
            preview(pil_of(picture))
        if progress is not None:
            progress((done + share) / count, f"tile {done + 1} of {count}")

    for top, bottom in down:
        band: Tensor | None = None
        scale = 1
        y0, y1 = max(0, top - BLEND), min(height, bottom + BLEND)
        for left, right in across:
            stop_if(cancel)
            x0, x1 = max(0, left - BLEND), min(width, right + BLEND)
            a, b = max(0, top - halo) // grid * grid, min(height, bottom + halo)
            c, d = max(0, left - halo) // grid * grid, min(width, right + halo)
            out = model.watched(watch).on_device(image[..., a:b, c:d])
            scale = out.shape[-1] // (d - c)
            out = out[..., (y0 - a) * scale : (y1 - a) * scale, (x0 - c) * scale : (x1 - c) * scale]
            if band is None:
                band = torch.empty(1, out.shape[1], out.shape[2], width * scale, device=out.device)
            _lay(band[..., x0 * scale : x1 * scale], out, 2 * BLEND * scale, left > 0, right < width)
            done += 1
            if progress is not None:
                progress(done / count, f"tile {done} of {count}")
        assert band is not None, "a picture has at least one column"
        blend, last = 2 * BLEND * scale, bottom == height
        if carried is not None:
            band[..., :blend, :].mul_(_ramp(blend, band.device)[:, None]).add_(carried)
        keep = band.shape[-2] - (0 if last else blend)
        carried = None if last else band[..., keep:, :] * _ramp(blend, band.device).flip(0)[:, None]
        yield band[..., :keep, :]


@torch.inference_mode()
def _lay(place: Tensor, tile: Tensor, blend: int, from_left: bool, to_right: bool) -> None:
    """Put a tile into its place in the row; over `blend` columns at its left it fades into what lies there already."""
    if to_right:
        tile[..., -blend:].mul_(_ramp(blend, tile.device).flip(0))
    start = blend if from_left else 0
    place[..., start:].copy_(tile[..., start:])
    if from_left:
        place[..., :start].add_(tile[..., :start].mul_(_ramp(blend, tile.device)))


def _ramp(length: int, where: torch.device) -> Tensor:
    """Weights that rise from 0 to 1; with those that fall they sum to 1."""
    return (torch.arange(length, device=where) + 0.5) / length


def enlarge(
    model: Model,
    pixels: npt.NDArray[Any],
    into: npt.NDArray[Any],
    *,
    tile: int | None = None,
    progress: Progress | None = None,
    preview: Preview | None = None,
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
    tile = tile or model.tile
    while True:
        try:
            with large_work():
                _enlarge(model, image, target, peak, tile, progress, preview, cancel)
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
    preview: Preview | None,
    cancel: threading.Event | None,
) -> None:
    """(1, C, H, W) samples on the device → (sH, sW, C) samples on the host."""
    down = _Down(model.device) if model.device.type == "cuda" else None
    y = 0
    for band in rows(model, image.expand(1, 3, -1, -1), tile=tile, progress=progress, preview=preview, cancel=cancel):
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
