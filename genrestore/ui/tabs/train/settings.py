"""The settings of a training as fields of the page: how they begin, and the recipe that they make. Recipes declare them."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import gradio as gr

from genrestore.data.augment import AUGMENT
from genrestore.errors import TrainingError
from genrestore.recipe import TrainRecipe
from genrestore.setting import options, settings
from genrestore.ui.parts import slots
from genrestore.ui.words import Words, sentences

SHOWN = {name: one for name, one in settings(TrainRecipe).items() if one.group}
LOSSES = (
    "l1",
    "l2",
    "bce",
    "log-mse",
    "non-saturating",
    "hinge",
)  # of all nets; which of them a net has, it says itself
AUGMENTATIONS = [name if step.number is None else f"{name}:{step.number:g}" for name, step in AUGMENT.items()]
USUAL = TrainRecipe()

W = Words("settings")
GROUPS = ("course", "rate", "simple", "losses", "end", "computing", "pictures")  # of W, as the page shows them
MAIN = tuple(name for name, one in SHOWN.items() if one.group == "main")
ADVANCED = {group: tuple(name for name, one in SHOWN.items() if one.group == group) for group in GROUPS}
NAMES = (*MAIN, *(name for names in ADVANCED.values() for name in names))
assert len(NAMES) == len(SHOWN), "a setting has a group that the page does not know"


def field(name: str) -> Any:
    """The component of one setting, with its name and one line that explains it."""
    one = SHOWN[name]
    common: dict[str, Any] = {
        "label": sentences.label(one.label), "info": sentences.label(one.help), "elem_id": f"train-{name.replace('_', '-')}"
    }  # fmt: skip
    start = getattr(USUAL, name)
    if one.choices:
        return gr.Dropdown(list(one.choices), value=start, min_width=150, **common)
    if name == "loss":
        return gr.Dropdown([(W("own"), ""), *((loss, loss) for loss in LOSSES)], value=start, min_width=150, **common)
    if name == "augment":
        return gr.Dropdown(AUGMENTATIONS, value=list(start), multiselect=True, allow_custom_value=True, **common)
    return gr.Number(start, precision=0 if isinstance(start, int) else None, min_width=150, **common)


def values(recipe: TrainRecipe) -> list[Any]:
    """What the fields of NAMES show for a recipe."""
    ours = (getattr(recipe, name) for name in NAMES)
    return [list(value) if isinstance(value, tuple) else value for value in ours]


def recipe(base: TrainRecipe, own: type, given: Sequence[Any], **more: Any) -> TrainRecipe:
    """`base` with what the fields of NAMES say, then those of the model's `own` settings, and `more`.

    Raises:
        TrainingError, SettingError: a field is empty, or its value is out of its range.
    """
    told = {name: _read(name, value) for name, value in zip(NAMES, given, strict=False)}
    added = slots.read(options(own), given[len(NAMES) :])
    return dataclasses.replace(base, **told, own={**base.own, **added}, **more)


def _read(name: str, value: Any) -> Any:
    if name == "augment":
        return tuple(str(step).strip() for step in value or ())
    kind = type(getattr(USUAL, name))
    if kind is str:
        return value or ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TrainingError(f"{name} needs a number; fill it in, or choose the model again to put all settings back.")
    return kind(value)
