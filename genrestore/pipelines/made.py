"""How a result was made, told with it: the recipe that `replay` follows. See docs/recipes.md."""

import base64
import binascii
import hashlib
import math
import zlib
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

import genrestore
from genrestore import tasks, weights
from genrestore.errors import ModelError, SettingError
from genrestore.pictures import xmp
from genrestore.pictures.image import Picture
from genrestore.recipe import RunRecipe

NOTHING: Mapping[str, Any] = MappingProxyType({})


def signed(
    result: Picture,
    source: Picture | None,
    task: str,
    model: str,
    settings: Mapping[str, Any],
    *,
    seed: int = 0,
    backend: str = "",
    masks: Mapping[str, np.ndarray | None] = NOTHING,
    pieces: bool = False,
) -> Picture:
    """The result with its recipe.

    Args:
        source: what it was made of; where that is itself a result that was not written yet, its recipe comes before.
        settings: arguments of the call.
        backend: of the model.
        masks: (H, W) bool by their names in a recipe.
        pieces: whether nothing of it was made up by a net.
    """
    card = None if pieces else _card(model, task)
    reference = model if card is None or (model == "auto" and tasks.find(task).ways) else weights.reference_of(card)
    made = RunRecipe(
        task,
        reference,
        card.sha256 if card else "",
        {name: value for name, value in settings.items() if value is not None} | _frame(source),
        seed,
        source.sha256 if source else "",
        genrestore.__version__,
        backend,
        xmp.ENHANCED if pieces else tasks.find(task).source,
        {name: packed(mask) for name, mask in masks.items() if mask is not None},
    )
    return replace(result, recipe=after(source.recipe if source else None, made))


def after(before: RunRecipe | None, made: RunRecipe) -> RunRecipe:
    """The recipe of a step and of those before it."""
    if before is None:
        return made
    return replace(made, before=before.steps, source=xmp.stronger(before.source, made.source))


def chosen_by_hand(result: Picture, task: str) -> Picture:
    """The result of somebody's choice among several, which no recipe makes again."""
    made = RunRecipe(
        task, "", "", {}, 0, result.sha256, genrestore.__version__, source=tasks.find(task).source, by_hand=True
    )
    return replace(result, recipe=after(result.recipe, made))


def _card(model: str, task: str) -> Any:
    try:
        return weights.resolve(model, task)
    except ModelError:  # pieces alone need none
        return None


def _frame(source: Picture | None) -> dict[str, Any]:
    return {"frame": source.frame} if source and source.frame is not None and source.recipe is None else {}


# --- masks in a recipe -----------------------------------------------------------------------------------------------


def packed(mask: np.ndarray) -> dict[str, Any]:
    """(H, W) bool as a recipe holds it: of each row, what differs from the one above, which is little of a painted mask."""
    height, width = mask.shape
    changes = mask.copy()
    changes[1:] ^= mask[:-1]
    data = base64.b64encode(zlib.compress(np.packbits(changes).tobytes(), 9)).decode()
    return {"width": width, "height": height, "sha256": digest(mask), "data": data}


def digest(mask: np.ndarray) -> str:
    """sha256 of a mask (H, W; bool), whatever file it came in."""
    bits = np.packbits(mask).tobytes()
    return hashlib.sha256(f"{mask.shape[1]}x{mask.shape[0]}:".encode() + bits).hexdigest()


def unpacked(told: Mapping[str, Any], size: tuple[int, int]) -> np.ndarray:
    """The mask (H, W; bool) of a recipe for a picture of `size` (width, height).

    Raises:
        SettingError: it is damaged, or for a picture of another size.
    """
    width, height = size
    if (told["width"], told["height"]) != size:
        raise SettingError(
            f"The recipe's mask is {told['width']}×{told['height']} and the picture {width}×{height}; "
            "give the picture that it was made of."
        )
    length = math.ceil(width * height / 8)
    try:
        unpacker = zlib.decompressobj()
        bits = unpacker.decompress(base64.b64decode(told.get("data", ""), validate=True), length + 1)
        if len(bits) != length:
            raise ValueError
    except (ValueError, zlib.error, binascii.Error):
        raise SettingError("The recipe's mask is damaged; give it with --mask.") from None
    changes = np.unpackbits(np.frombuffer(bits, np.uint8), count=width * height).reshape(height, width)
    mask = np.bitwise_xor.accumulate(changes, axis=0).astype(bool)
    if digest(mask) != told["sha256"]:
        raise SettingError("The recipe's mask is damaged; give it with --mask.")
    return mask
