"""Community: a net that others made, of any architecture that spandrel knows.

https://github.com/chaiNNer-org/spandrel
Its tensors alone tell what it is: spandrel finds the architecture, its settings, scale, channels and sizes in their names and
shapes. What can only be measured stands in the config: how far a pixel sees, what it costs, whether OpenVINO computes it.

    image ─ (a channel at a time, for a net of one) ─ body ─ image          image, mask ─ body ─ image
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from genrestore.card import SizeRule
from genrestore.errors import ModelError
from genrestore.registry import adopt

TASKS = {"SR": "upscale", "Restoration": "restore", "Inpainting": "inpaint"}  # what spandrel calls a net's purpose
CHANNELS = ((1, 1), (3, 3), (4, 4), (3, 1))  # that go in and come out
NAMED = 3  # tensors of a net that nobody knows
FARTHEST = 8  # times as many places as tensors may the names in a state dict count, and FIRST more
FIRST = 64
LARGEST_SCALE = 16


@dataclass(frozen=True)
class Config:
    net: str = ""  # its architecture, as spandrel calls it
    scale: int = 1
    channels: int = 3
    receptive: int = 0  # see `SizeRule`, for these four
    grid: int = 1
    tile: int = 0
    memory: int = 0
    compiled: bool = False  # whether OpenVINO was seen to compute the same, at other sizes than it was made for


class Body(nn.Module):
    """The net as one tensor in, one out: (1, C, H, W) in [0, 1], C as `channels`, the mask last → (1, c, sH, sW)."""

    def __init__(self, descriptor: Any) -> None:
        super().__init__()
        self.net = descriptor.model
        self.__dict__["descriptor"] = descriptor  # calls `net`, and is no module itself
        self.masked = descriptor.purpose == "Inpainting"
        self.channels = descriptor.input_channels + self.masked

    def forward(self, x: Tensor) -> Tensor:
        call = self.__dict__["descriptor"]
        x = x.clone()  # RCAN, for one, computes in what it is given, of which the next tile holds a part
        return call(x[:, :-1], x[:, -1:]) if self.masked else call(x)


@adopt(*TASKS.values(), config=Config())
class Community(nn.Module):
    as_it_is = True  # its pictures are shown as they come: it may be meant to change their light and colours
    tolerance = 0.25  # levels of 255 that a quicker way to compute it may be off

    def __init__(self, config: Config, descriptor: Any) -> None:
        super().__init__()
        self.config = config
        self.task = task_of(descriptor)
        # What is a `body` the runtime compiles.
        self.add_module("body" if config.compiled else "plain", Body(descriptor))
        needs = descriptor.size_requirements
        self.size_rule = SizeRule(
            needs.multiple_of, max(1, needs.minimum), config.receptive, config.grid, config.tile, config.memory
        )

    @classmethod
    def of_state(cls, config: Config, state: Mapping[str, Tensor]) -> "Community":
        """The net whose tensors these are, named as in its own state dict.

        Raises:
            ModelError: there is no such architecture, it has other tensors, or the config does not tell the truth.
        """
        from spandrel import MAIN_REGISTRY

        known = MAIN_REGISTRY.get(config.net)
        if known is None:
            raise ModelError(
                f"spandrel knows no architecture {config.net[:40]!r}; update it with pip, or take another model."
            )
        bare = {key.partition(".net.")[2]: value for key, value in state.items()}
        try:
            descriptor = known.architecture.load(bare)
        except ModelError:
            raise
        except Exception as problem:  # whatever guessing at tensors can end in
            raise ModelError(f"This is no {config.net}, as its file says: {_named(bare)}; add it again.") from problem
        if (descriptor.scale, descriptor.input_channels) != (config.scale, config.channels):
            raise ModelError(
                f"The {config.net} is of another scale or takes other channels than its file says; add it again."
            )
        return cls(config, descriptor)

    @property
    def descriptor(self) -> Any:
        """spandrel's own of the net."""
        return next(iter(self.children())).__dict__["descriptor"]

    def forward(self, image: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, 3, H, W), of a net to inpaint with (B, 1, H, W), 1 = fill → (B, 3, sH, sW)."""
        masks = [None] * len(image) if mask is None else mask.split(1)
        return torch.cat([self._one(*row) for row in zip(image.split(1), masks, strict=True)])

    def _one(self, image: Tensor, mask: Tensor | None) -> Tensor:
        body: Any = self.body if self.config.compiled else self.plain
        if mask is not None:
            return body(torch.cat([image, mask], 1))
        if self.config.channels == 1:
            grey = bool((image == image[:, :1]).all())
            out = torch.cat([body(channel) for channel in (image[:, :1] if grey else image).split(1, 1)], 1)
        elif self.config.channels == 4:
            out = body(torch.cat([image, torch.ones_like(image[:, :1])], 1))[:, :3]
        else:
            out = body(image)
        return out.expand(-1, 3, -1, -1)


# --- what a state dict is of -------------------------------------------------------------------------------------------


def task_of(descriptor: Any) -> str:
    """The task of a net; one to enlarge that enlarges once is a restorer."""
    return "restore" if descriptor.purpose == "SR" and descriptor.scale == 1 else TASKS[descriptor.purpose]


def found(state: Mapping[str, Tensor], name: str) -> Any:
    """spandrel's descriptor of the net in a state dict from a file of that name.

    Raises:
        ModelError: it is of no architecture that spandrel knows, does not hold what its architecture has, or is of no use here.
    """
    from spandrel import MAIN_REGISTRY

    places = [int(part) for key in state for part in key.split(".") if part.isdecimal() and len(part) < 10]
    long = any(part.isdecimal() and len(part) >= 10 for key in state for part in key.split("."))
    if long or max(places, default=0) > FARTHEST * len(state) + FIRST:
        raise ModelError(f"{name} names parts of a net by numbers that it has no tensors for; download it again.")
    order = MAIN_REGISTRY.architectures("detection")
    known = next((one.architecture for one in order if one.detect(dict(state))), None)
    if known is None:
        raise ModelError(
            f"{name} holds a net of no known architecture: {_named(state)}. What can be read are the architectures of spandrel, "
            "such as ESRGAN, Compact, SPAN, SwinIR, SCUNet, NAFNet and LaMa."
        )
    try:
        descriptor = known.load(dict(state))
    except ModelError:
        raise
    except Exception as problem:  # whatever guessing at a stranger's tensors can end in
        raise ModelError(
            f"{name} looks like {known.name}, but does not hold its tensors: {_named(state)}. It is another net of that kind, or "
            "damaged."
        ) from problem
    if descriptor.purpose not in TASKS:
        raise ModelError(
            f"{name} holds {known.name}, which works on faces cut out of pictures; nothing here does that. Take a model that "
            "enlarges, restores or inpaints."
        )
    if not 1 <= descriptor.scale <= LARGEST_SCALE:
        raise ModelError(f"{name} enlarges {descriptor.scale} times; {LARGEST_SCALE} times is the most here.")
    pair = descriptor.input_channels, descriptor.output_channels
    if pair not in CHANNELS or (TASKS[descriptor.purpose] == "inpaint" and pair != (3, 3)):
        raise ModelError(f"{name} takes {pair[0]} channels and gives {pair[1]}; pictures have 3 here, or 1 in grey.")
    return descriptor


def _named(state: Mapping[str, Tensor]) -> str:
    """A few tensors of a state dict, for a sentence."""
    every = max(1, len(state) // NAMED)
    shown = list(state.items())[::every][:NAMED]
    told = ", ".join(f"{key[:60]} ({'×'.join(map(str, value.shape))})" for key, value in shown)
    return f"{len(state)} tensors such as {''.join(c if c.isprintable() else ' ' for c in told)}"
