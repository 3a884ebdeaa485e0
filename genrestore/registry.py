"""The table of presets. It knows no model: models enter themselves with `@register`."""

import dataclasses
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from genrestore.recipe import TrainRecipe
from genrestore.setting import Nothing

Net = TypeVar("Net", bound=type)


@dataclass(frozen=True)
class Preset:
    """A named way to build and train a net."""

    name: str
    task: str
    net: type
    config: Any  # a frozen dataclass
    recipe: TrainRecipe
    own: type  # declares what the model adds to a recipe, see `TrainRecipe.part`
    title: str
    intended: str
    limits: str
    makes: str  # of the pictures of whoever trains it
    advice: str  # to them: what to expect of it, and of which pictures
    paper: str

    @property
    def architecture(self) -> str:
        return architecture(self.net)


def architecture(net: type) -> str:
    """What weight files call a net: its class's name, or its `architecture` where another net has that name already."""
    return getattr(net, "architecture", net.__name__)


presets: dict[str, Preset] = {}


@dataclass(frozen=True)
class Adopted:
    """A net that is not trained here. A class method of it makes it of its tensors, `of_state(config, state)`; or, of one whose
    config lists `files` beside the weight, of those, `of_folder(config, folder)`."""

    net: Any
    config: Any  # a frozen dataclass
    tasks: tuple[str, ...]  # that such nets can be made for; each says by its `task` which one is its own
    needs: Callable[[Mapping[str, Any], int, str], float] | None = None  # bytes, of config, parameters and device


adopted: dict[str, Adopted] = {}  # architecture → how its nets are made


def channels(config: Any) -> int:
    """Channels of the pictures that a net of this config learns from: 1 grey, 3 RGB, unless it says otherwise."""
    return getattr(config, "channels", 3)


def adopt(*tasks: str, config: Any, needs: Any = None) -> Callable[[Net], Net]:
    """Enter the decorated net as one that others trained."""

    def enter(net: Net) -> Net:
        assert architecture(net) not in adopted, f"two nets call themselves {architecture(net)!r}"
        adopted[architecture(net)] = Adopted(net, config, tasks, needs)
        return net

    return enter


def register(
    name: str,
    *,
    task: str,
    config: Any,
    recipe: TrainRecipe,
    own: type = Nothing,
    title: str = "",
    intended: str = "",
    limits: str = "",
    makes: str = "",
    advice: str = "",
    paper: str = "",
) -> Callable[[Net], Net]:
    """Enter the decorated net in the table; a second preset of one net is a second line."""

    def enter(net: Net) -> Net:
        assert name not in presets, f"two presets are named {name!r}"
        alike = [one.net for one in presets.values() if one.architecture == architecture(net) and one.net is not net]
        assert not alike, f"{net} and {alike[0]} both call themselves {architecture(net)!r}; give one an `architecture`"
        filled = dataclasses.replace(recipe, model=name)
        told = makes or title or name, advice or intended
        presets[name] = Preset(name, task, net, config, filled, own, title or name, intended, limits, *told, paper)
        if not hasattr(net, "from_pretrained"):
            setattr(net, "from_pretrained", classmethod(from_pretrained))  # noqa: B010 (of any class)
        return net

    return enter


def from_pretrained(net: type[Any], name: str, **options: Any) -> Any:
    """The net of a repository on the Hub, as `genrestore.hub.pretrained.load`: each registered net has it as a class method."""
    # Of a floor far above, and with the Hub's client; a net does without both until somebody calls this.
    return importlib.import_module("genrestore.hub.pretrained").load(net, name, **options)
