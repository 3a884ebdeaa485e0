"""What nobody tells of a stranger's net: how far its pixels see, what they cost, and whether OpenVINO computes the same."""

import math
import re
import threading
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from genrestore import backends
from genrestore.errors import Cancelled
from genrestore.models.community import Community
from genrestore.nets.alive import Alive
from genrestore.tasks.task import made

SEAM = 0.25 / 255  # that a tile may differ from the whole
LENGTHS = (256, 512)  # pixels of the strips that are cut, until a cut is no longer seen at some distance
SIDE = 64  # pixels of their other side
GRIDS = (1, 8, 16, 32, 64)  # pixels of the windows in which nets cut pictures, as a rule
DIM = 0.15  # times as bright is what is cut off, or as far from white
SPARE = 1.25  # times the distance at which the cut was not seen any more
WHOLE = 1024  # pixels a side of the tiles of a net that looks at all of a picture
AROUND = 32  # pixels that such tiles show of their surroundings: what lies nearest counts most
WORK = 1.5  # times the tensors that are alive at once: what convolutions take for themselves
SIZES = ((97, 139), (71, 93))  # at which OpenVINO must compute the same as PyTorch; it is made for 64 × 64
SAME = 0.25 / 255

STRIPS = 6  # strips that the net is given for each grid and length, at most
FIELD = 0.8  # share of the work after which it is known how far a pixel sees

Check = Callable[[], None]


def measured(
    net: Community, progress: Callable[[float], None] = lambda share: None, cancel: threading.Event | None = None
) -> Community:
    """The net with what was measured of it in its config; `progress` is called with a share from 0 to 1.

    Raises:
        Cancelled: `cancel` was set.
    """
    strips, most = 0, STRIPS * len(LENGTHS) * (len(GRIDS) + 2)

    def check() -> None:
        nonlocal strips
        if cancel is not None and cancel.is_set():
            raise Cancelled("Cancelled; nothing was written.")
        strips += 1
        progress(FIELD * min(1.0, strips / most))

    descriptor = net.descriptor
    with torch.inference_mode():
        config = replace(net.config, memory=memory(net))
        check()
        # One that fills holes is shown the whole picture or a wide crop of it, and never tiles.
        sees = {"tile": WHOLE} if net.task == "inpaint" else field(net, descriptor.model, check)
        config = replace(config, **sees)
        check()
    progress(FIELD)
    compiled = Community(replace(config, compiled=True), descriptor).eval()
    return compiled if computes(compiled) else Community(config, descriptor).eval()


def example(net: Community, height: int, width: int) -> tuple[Tensor, ...]:
    """Inputs of that size at least, as the net takes them."""
    rule = net.size_rule
    height, width = (-(-max(side, rule.minimum) // rule.multiple_of) * rule.multiple_of for side in (height, width))
    image = made(max(height, width))[..., :height, :width].contiguous()
    if net.task != "inpaint":
        return (image,)
    mask = torch.zeros(1, 1, height, width)
    mask[..., height // 4 : height // 2, width // 4 : width // 2] = 1
    return image, mask


# --- memory ----------------------------------------------------------------------------------------------------------------


def memory(net: Community) -> int:
    """Bytes that a pixel of the input takes while the net is at work."""
    inputs = example(net, SIDE, SIDE)
    with Alive(*net.parameters(), *net.buffers()) as alive:
        net(*inputs)
    return math.ceil(WORK * alive.most / (inputs[0].shape[-1] * inputs[0].shape[-2]))


# --- how far a pixel sees --------------------------------------------------------------------------------------------------


def field(net: Community, model: Any, check: Check) -> dict[str, int]:
    """`receptive`, `grid` and `tile` of a `SizeRule`.

    A strip is given to the net whole and cut off; how far from the cut the results differ is how far the net sees. Where they
    differ everywhere, a longer strip is taken; where they do so in the longest, the net looks at all of the picture.
    """
    step, window = net.size_rule.multiple_of, getattr(model, "hyperparameters", {}).get("window_size")
    window = window if type(window) is int and 1 < window <= GRIDS[-1] else 1
    grids = sorted({math.lcm(step, grid) for grid in (*GRIDS, window, math.lcm(window, GRIDS[-1]))})
    for length in LENGTHS:
        reaches = _reach(net, grids[-1], length, check)
        if reaches is None:
            continue
        best, grid = reaches, grids[-1]
        for smaller in grids[:-1]:
            found = _reach(net, smaller, length, check)
            if found is not None and found <= best + SIDE // 4:
                best, grid = found, smaller
                break
        return {"receptive": math.ceil(SPARE * best / 4 + 1) * 4, "grid": grid, "tile": 0}
    return {"receptive": AROUND, "grid": net.size_rule.multiple_of, "tile": WHOLE}


def _reach(net: Community, grid: int, length: int, check: Check) -> int | None:
    """Pixels from a cut on the grid at which it is not seen any more, in both directions; None where it always is."""
    worst = 0
    for turned in (False, True):
        found = _strip(net, grid, length, turned, check)
        if found is None:
            return None
        worst = max(worst, found)
    return worst


def _strip(net: Community, grid: int, length: int, turned: bool, check: Check) -> int | None:
    rule = net.size_rule
    side = max(SIDE, rule.minimum)
    side = -(-side // rule.multiple_of) * rule.multiple_of
    length = -(-max(length, 4 * grid, 4 * rule.minimum) // grid) * grid

    def run(part: Tensor) -> Tensor:
        """(1, 3, side, w) → (3·s·side·s, w), the results of each column."""
        check()
        width = part.shape[-1]
        padded = torch.nn.functional.pad(part, (0, -width % rule.multiple_of, 0, 0), mode="reflect")
        out = net(padded.mT.contiguous()).mT if turned else net(padded)
        scale = net.config.scale
        out = out.float().clamp(0, 1)[..., : side * scale, : width * scale]
        return out.unflatten(-1, (width, scale)).movedim(-2, -1).reshape(-1, width)

    start = grid * max(1, length // 4 // grid)
    start += grid if (start // grid) % 2 == 0 else 0  # an odd one, which no larger window begins at
    end = length - length // 4 - 3  # whatever it is: only where a tile begins is the grid kept
    image = made(length)[..., :side, :].contiguous()
    image[..., :start] *= DIM  # what is cut off is unlike the rest, or a net of means would not miss it
    image[..., end:] = 1 - DIM * image[..., end:]
    whole, worst = run(image), 0
    for a, b in ((start, length), (0, end)):
        off = (run(image[..., a:b]) - whole[:, a:b]).abs().amax(0)
        away = (off > SEAM).nonzero().flatten()
        if not len(away):
            continue
        reach = int(away.max()) + 1 if a else b - int(away.min())
        if reach > (b - a) // 2:
            return None
        worst = max(worst, reach)
    return worst


# --- OpenVINO ---------------------------------------------------------------------------------------------------------------


def computes(net: Community) -> bool:
    """Whether OpenVINO, where it is installed, computes what PyTorch does, at other sizes than it was made for."""
    body: Any = net.body
    if body.__dict__["descriptor"].size_requirements.square or not any_size(net, body):
        return False
    compiled = backends.Bodies(net, torch.get_num_threads()).of(backends.USUAL)
    if compiled is None:
        return False
    other = backends.with_body(net, compiled)
    with torch.inference_mode():
        for size in SIZES:
            inputs = example(net, *size)
            try:
                off = (other(*inputs) - net(*inputs)).abs().max().item()
            except RuntimeError:  # OpenVINO's own
                return False
            if not off <= SAME:  # nor where it is no number
                return False
    return True


def any_size(net: Community, body: Any) -> bool:
    """Whether a trace of the net holds nothing of the size that it was made for.

    OpenVINO does not check that: given another size, such a graph read beyond its tensors and ended the process.
    """
    first: list[str] = []
    for size in ((64, 64), *SIZES):
        shown: list[Tensor] = []

        def seen(x: Tensor, shown: list[Tensor] = shown) -> Tensor:
            shown.append(x)
            return body(x)

        try:
            backends.with_body(net, seen)(*example(net, *size))
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore"
                )  # the tracer warns of its own deprecation, and of what is looked for here
                traced: Any = torch.jit.trace(body, shown[0], check_trace=False)
        except RuntimeError:  # a net that can't be traced
            return False
        lines = re.sub(r"___torch_mangle_\d+\.", "", str(traced.inlined_graph)).splitlines()
        # What is made on the way has other shapes, what was kept must have the same.
        made_on_the_way = [line for line in lines if " = " in line and "prim::Constant" not in line]
        kept = [line for line in lines if "prim::Constant" in line]
        graph = kept + [re.sub(r" : .*? = ", " = ", line) for line in made_on_the_way]
        first = first or graph
        if graph != first:
            return False
    return True
