"""A result made again, as the recipe in its file says. Nothing is fetched for it, and no path in it is followed."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import genrestore
from genrestore import errors, runtime, tasks, weights
from genrestore.card import name_of
from genrestore.errors import ImageError, MaskError, ModelError, SettingError
from genrestore.pictures import image as pictures
from genrestore.pictures.image import Picture, Source
from genrestore.pipelines import find
from genrestore.pipelines.inpaint import repair, signed_repair
from genrestore.pipelines.made import digest, unpacked
from genrestore.pipelines.sample import made_of
from genrestore.recipe import RunRecipe
from genrestore.references import SCHEME
from genrestore.tasks.task import Generation

# What a call takes that no recipe decides.
NOT_TOLD = {"image", "model", "mask", "forbid", "frame", "n", "seed", "latent", "preview", "progress", "cancel"}
SHORT = 12  # digits of a sha256 in a sentence


class Replay(NamedTuple):
    """What came of it.

    Attributes:
        differing: samples of the result that differ from those of the file; None where they can't be compared.
        most: by how much at most, in values of its depth.
        notes: sentences on what could make a difference.
    """

    picture: Picture
    differing: int | None
    most: int
    notes: tuple[str, ...]


def replay(
    result: Picture | str | Path | bytes,
    input: Source | None = None,
    *,
    masks: Sequence[Source] = (),
    progress: runtime.Progress | None = None,
    cancel: threading.Event | None = None,
) -> Replay:
    """Make a result again, as its recipe says.

    Args:
        result: a file that genrestore saved, or its bytes.
        input: the picture that it was made of; a drawn one needs none.
        masks: those that were too large for the recipe, in any order.

    Raises:
        SettingError: the file holds no recipe, or one that cannot be followed; or the input or a mask is needed.
        ImageError: the input is not the picture that it was made of, or cannot be read.
        MaskError: a mask is not the one that it was made with.
        ModelError: the model is not on this computer, or another one bears its name here.
        Cancelled: `cancel` was set.
    """
    recipe = pictures.recipe(result)
    if recipe is None:
        raise SettingError(
            "This picture does not say how it was made; only what genrestore saved with its recipe does."
        )
    steps = recipe.steps
    models = [_model(step) for step in steps]  # all that hinders it is said before the first is begun
    current = _input(steps[0], input)
    given = _masks(steps, masks, current)
    for number, (step, model) in enumerate(zip(steps, models, strict=True)):

        def report(share: float, text: str, number: int = number) -> None:
            if progress is not None:
                progress((number + share) / len(steps), text)

        with runtime.on_backend(step.backend):
            current = _done(step, model, current, given, report, cancel)
    assert current is not None, "a recipe has a step"
    notes: list[str] = []
    if steps[0].version != genrestore.__version__:
        notes.append(f"It was made by genrestore {steps[0].version[:20]}; this is {genrestore.__version__}.")
    here = [step.backend for step in current.recipe.steps] if current.recipe else []
    notes += [
        f"It was computed by {old.backend[:40]}, and here by {new}."
        for old, new in zip(steps, here, strict=False)
        if old.backend != new
    ]
    differing, most = _compared(current, result)
    return Replay(current, differing, most, tuple(dict.fromkeys(notes)))


def _model(step: RunRecipe) -> str:
    """What names the weight of a step here.

    Raises:
        SettingError, ModelError: there is no such task or weight here, or a choice was made by hand.
    """
    if step.by_hand:
        raise SettingError(
            "One of several fills was chosen by hand, so this picture cannot be made again from its recipe."
        )
    if step.task not in tasks.names():
        raise SettingError(f"This version knows no task {step.task[:40]!r}, so the recipe cannot be followed.")
    ways = tasks.find(step.task).ways
    if not step.sha256:
        if step.model in ways or (step.model == "auto" and ways):
            return step.model
        raise SettingError(
            f"The recipe does not say which weight of {step.model[:40]!r} it was, so it cannot be followed."
        )
    same = [card for card in weights.list_models(step.task) if card.sha256 == step.sha256]
    if step.model == "auto":
        card = weights.resolve("auto", step.task)
    elif same:
        card = same[0]
    elif step.model.startswith(SCHEME) or name_of(step.model):
        card = weights.resolve(step.model, step.task)
    else:
        raise SettingError("The recipe names a file as its model, which is not followed; name none, or one of the Hub.")
    if card.sha256 != step.sha256:
        raise ModelError(
            f"{step.model[:100]} is another weight here (sha256 {card.sha256[:SHORT]}…) than the one that made this picture "
            f"({step.sha256[:SHORT]}…); nothing was made."
        )
    return "auto" if step.model == "auto" else weights.reference_of(card)


def _input(step: RunRecipe, input: Source | None) -> Picture | None:
    """What the first step is given.

    Raises:
        SettingError: it needs a picture, or none.
        ImageError: it is another one.
    """
    if isinstance(tasks.find(step.task), Generation):
        if input is not None:
            raise SettingError("This picture was made of no other one; leave the input out.")
        return None
    if input is None:
        which = f" (sha256 {step.input_sha256[:SHORT]}…)" if step.input_sha256 else ""
        raise SettingError(f"Name the picture that this one was made of{which}, with --input.")
    frame: Any = step.settings.get("frame")
    source = pictures.load(input, frame=frame if type(frame) is int else None, called="input")
    if step.input_sha256 and source.sha256 != step.input_sha256:
        raise ImageError("The input is not the picture that this one was made of (its sha256 differs); name that one.")
    return source


def _masks(steps: Sequence[RunRecipe], given: Sequence[Source], source: Picture | None) -> dict[str, np.ndarray]:
    """The masks of all steps by their digests.

    Raises:
        SettingError: one is missing or damaged.
        MaskError: one that was given belongs to no step.
    """
    told = [mask for step in steps for mask in step.masks.values()]
    if told and source is None:
        raise SettingError("The recipe has masks, but no picture for them; it cannot be followed.")
    found: dict[str, np.ndarray] = {}
    for mask in given:
        read = pictures.load_mask(mask, (source.width, source.height)) if source else np.zeros((1, 1), bool)
        key = digest(read)
        if key not in [one["sha256"] for one in told]:
            raise MaskError("This mask is not one that the picture was made with; give that one, or leave it out.")
        found[key] = read
    for mask in told:
        if mask["sha256"] in found:
            continue
        if not mask.get("data"):
            raise SettingError("A mask was too large to be kept in this picture; give it with --mask.")
        assert source is not None
        found[mask["sha256"]] = unpacked(mask, (source.width, source.height))
    return found


def _done(
    step: RunRecipe,
    model: str,
    current: Picture | None,
    given: dict[str, np.ndarray],
    progress: runtime.Progress,
    cancel: threading.Event | None,
) -> Picture:
    """What a step makes of what is there."""
    settings = {name: value for name, value in step.settings.items() if name != "frame"}
    if current is None:
        return made_of(model, step.seed, settings)
    if refused := sorted(NOT_TOLD & settings.keys()):
        raise SettingError(f"The recipe sets {refused[0]}, which no recipe decides; it cannot be followed.")
    marks = {name: given[mask["sha256"]] for name, mask in step.masks.items()}
    more: dict[str, Any] = {"progress": progress, "cancel": cancel}
    if step.task != "inpaint":
        return find(step.task)(current, model=model, **settings, **more)
    if "hole" not in marks:
        more |= {"mask": marks.get("mask"), "forbid": marks.get("forbid")}
        return genrestore.inpaint(current, model=model, seed=step.seed, **settings, **more)
    own = {name: settings.pop(name) for name in ("strategy", "grow", "feather") if name in settings}
    if not {type(own.get(name)) for name in ("grow", "feather")} <= {int, type(None)} or "mask" not in marks:
        raise SettingError("The recipe's settings make no sense; it cannot be followed.")
    again = repair(
        current, marks["mask"], model=model, seed=step.seed, hole=marks["hole"], forbidden=marks.get("forbid"),
        conditions=settings, **own, **more,
    )  # fmt: skip
    return signed_repair(again, current, model, {**own, **settings}, step.seed, marks)


def _compared(made: Picture, result: Picture | str | Path | bytes) -> tuple[int | None, int]:
    """How many samples of the result differ once it is written in the same format, and by how much at most."""
    known = pictures.load(result)
    try:
        again = pictures.load(pictures.encode(made, format=known.format))
    except errors.ImageError:
        return None, 0
    if again.pixels.shape != known.pixels.shape or again.pixels.dtype != known.pixels.dtype:
        return None, 0
    apart = np.abs(again.pixels.astype(np.int32) - known.pixels)
    return int(np.count_nonzero(apart)), int(apart.max(initial=0))
