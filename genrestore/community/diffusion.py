"""A pipeline of diffusers becomes a weight like our own: its files beside a card and a model.safetensors that lists them."""

import dataclasses
import json
import os
import shutil
import struct
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import genrestore
from genrestore import machine, weights
from genrestore.card import Card
from genrestore.errors import ModelError
from genrestore.model_index import CHECKER, INDEX, NETS, Index, chosen, json_of, read_index
from genrestore.models.diffusion import CONDITIONS, Config, Diffusion, needs, size_rule
from genrestore.registry import architecture
from genrestore.setting import options

MOST_HEADER = 16 << 20  # bytes of the header of a safetensors file
SCALE, TIMES = {"inpaint": 1, "upscale": 4}, {"inpaint": "", "upscale": " ×4"}
INTENDED = {
    "inpaint": "Fills a hole with what a prompt says, or with what fits where it says nothing.",
    "upscale": "Enlarges four times and invents detail, which a prompt may lead.",
}
LIMITS = {
    "inpaint": "Others made it; how good it is was not measured here. It makes up what it fills, anew for every seed; large "
    "holes are made at the size that it learnt, and enlarged.",
    "upscale": "Others made it; how good it is was not measured here. Of a large picture it is shown tiles, whose invented "
    "detail need not meet.",
}


def assembled(files: Mapping[str, Path], folder: Path, *, name: str, licence: str, source: str) -> Card:
    """Put a pipeline's files into `folder` with a card, and hold them against each other; returns the card.

    Where the memory suffices it is loaded for that, too; else that is done when it is first used.

    Args:
        files: by their names in the repository, as `models.diffusion.chosen` gives them; INDEX is one.

    Raises:
        ModelError: it is of a kind that is not known here, or not whole; nothing of it was run.
        OSError: the disk is full.
    """
    index = read_index(files[INDEX])
    names = chosen(files)
    taken = {own: files[theirs] for theirs, own in names.items() if own.partition("/")[0] in (INDEX, *index.parts)}
    _whole(index, set(taken))
    for own, path in taken.items():
        _linked(path, folder / own)
    listed = tuple(f"{weights.digest(folder / own)} {own}" for own in sorted(taken))
    config = Config(index.pipeline, index.task, SCALE[index.task], _side(folder, index), listed)
    numbers = [_parameters(folder / own) for own in taken if own.endswith(".safetensors")]
    card = Card(
        name=name, task=index.task, architecture=architecture(Diffusion),
        config=json.loads(json.dumps(dataclasses.asdict(config))), parameters=sum(numbers), sha256="",
        license=licence or "unknown", data=(), recipe={}, title=f"{name} (text-guided{TIMES[index.task]})",
        intended=INTENDED[index.task], limits=LIMITS[index.task], scale=config.scale, size_rule=size_rule(config),
        inputs=options(CONDITIONS[index.task]),
        origin={
            "architecture": index.pipeline, "file": INDEX, "sha256": weights.digest(folder / INDEX), "source": source,
            "converter": f"genrestore {genrestore.__version__}, diffusers {metadata.version('diffusers')}",
        },
    )  # fmt: skip
    card = weights.listing(card, folder)
    if needs(card.config, card.parameters, "cpu") < machine.free():
        weights.check(card)
    return card


def _whole(index: Index, names: set[str]) -> None:
    """Raises:
    ModelError: a part has no files, or none that can be read without running something.
    """
    for part in index.parts:
        if part in NETS:
            missing = not {f"{part}/config.json"} <= names or not any(
                name.startswith(f"{part}/") and name.endswith(".safetensors") for name in names
            )
        else:
            missing = not any(name.startswith(f"{part}/") for name in names)
        if missing:
            checked = " It is not left out, for it is what keeps indecent pictures back." if part == CHECKER else ""
            raise ModelError(f"The {part} of the pipeline is not there as a whole .safetensors file.{checked}")


def _side(folder: Path, index: Index) -> int:
    """Pixels of the pictures that the pipeline learnt from."""
    unet, vae = (json_of(folder / part / "config.json") for part in ("unet", "vae"))
    blocks, sample = vae.get("block_out_channels"), unet.get("sample_size")
    times = 2 ** (len(blocks) - 1) if isinstance(blocks, list) and len(blocks) < 8 else 8
    side = sample * times if type(sample) is int else 512
    return min(max(side, 64), 2048)


def _parameters(path: Path) -> int:
    """Numbers in a safetensors file, as its header tells.

    Raises:
        ModelError: it is none, or claims more than it holds.
    """
    wrong = ModelError(f"{path} is not a safetensors file, or is damaged; pull the model again.")
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if not 2 <= length <= min(MOST_HEADER, size - 8):
                raise wrong
            header = json.loads(file.read(length))
        count = 0
        for key, value in header.items():
            if key != "__metadata__":
                product = 1
                for side in value["shape"]:
                    product *= int(side)
                count += product
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, struct.error):
        raise wrong from None
    if not 0 < count <= size:
        raise wrong
    return count


def _linked(source: Path, target: Path) -> None:
    """The file in its place, without taking its room twice where the disk allows that."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)
