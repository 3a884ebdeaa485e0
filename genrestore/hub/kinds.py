"""What a repository holds: a weight of ours, a checkpoint that becomes one, or something of no use here."""

import re
from collections.abc import Collection
from pathlib import PurePosixPath
from typing import Any

from genrestore.errors import ModelError
from genrestore.model_index import INDEX, NETS, chosen
from genrestore.references import WEIGHT, Reference

LIBRARY = "genrestore"
CARD, CONFIG, README, SAMPLE = "card.json", "config.json", "README.md", "sample.webp"
CHECKPOINTS = (".safetensors", ".pth", ".pt", ".ckpt")
SHOWN = 5  # checkpoints to choose from, and files that are told
GENERIC = re.compile(
    r"(pytorch_|diffusion_pytorch_)?(model|weights?|checkpoint|ckpt|params|generator|net|netg|net_g|state_dict)"
    r"([_.-]?(best|last|latest|final|ema|[0-9]+))*|best|last|latest|final|ema|g|[0-9]+",
    re.IGNORECASE,
)  # names of files that say nothing of what they hold


def is_checkpoint(file: str) -> bool:
    """Whether a file may be a checkpoint, as its name tells."""
    return PurePosixPath(file).suffix.lower() in CHECKPOINTS


def checkpoints(wanted: Reference, files: Collection[str]) -> list[Reference]:
    """The checkpoints of a repository that have no card of ours beside them, as far as a reference can name them."""
    named = [wanted.at(file) for file in sorted(files) if is_checkpoint(file)]
    return [one for one in named if one is not None and one.beside + CARD not in files]


def is_anothers(config: Any) -> bool:
    """Whether a config.json says that its weight is of a library whose nets nothing here can read."""
    told = isinstance(config, dict) and {"model_type", "architectures", "_class_name"} & set(config)
    return bool(told) and config.get("library_name") != LIBRARY


def is_pipeline(wanted: Reference, files: Collection[str]) -> bool:
    """Whether a repository that was named without a file holds a pipeline of diffusers."""
    return wanted.file == WEIGHT and INDEX in files and CARD not in files


def pickled(wanted: Reference, files: Collection[str]) -> ModelError | None:
    """What to say of a pipeline whose tensors are there as pickles alone; None of others."""
    nets = [f"{net}/" for net in NETS if any(name.startswith(f"{net}/") for name in files)]
    bare = [
        net for net in nets if not any(name.startswith(net) for name in chosen(files) if name.endswith(".safetensors"))
    ]
    if not bare:
        return None
    there = ", ".join(name for name in sorted(files) if name.startswith(bare[0]) and not name.endswith(".json"))
    return ModelError(
        f"{wanted} has its {bare[0][:-1]} in no whole .safetensors file (it holds {there[:200] or 'nothing'}). Pickles are "
        "programs and are not run; take a repository with safetensors."
    )


def unusable(wanted: Reference, files: Collection[str]) -> ModelError:
    """What to say of a repository that holds no weight of ours, nor just one checkpoint of others."""
    several = checkpoints(wanted, files) if wanted.file == WEIGHT and WEIGHT not in files else []
    if len(several) > 1:
        some = ", ".join(map(str, several[:SHOWN])) + (", …" if len(several) > SHOWN else "")
        return ModelError(f"{wanted} holds {len(several)} checkpoints; name one of them: {some}.")
    if is_checkpoint(wanted.file) and PurePosixPath(wanted.file).name != WEIGHT and wanted.file not in files:
        return missing(wanted)
    there = ", ".join(sorted(name[:60] for name in files)[:SHOWN]) or "nothing"
    return ModelError(f"{wanted} is not a genrestore model: {wanted.beside}{CARD} is missing (it holds {there}).")


def missing(wanted: Reference) -> ModelError:
    return ModelError(
        f"{wanted.repository} has no file {wanted.file}; `genrestore models show {wanted}` tells what it has."
    )
