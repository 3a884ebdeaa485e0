"""Weights on disk: where they lie, what a reference means, and how a file becomes a net again."""

import dataclasses
import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

from genrestore import errors
from genrestore.card import TASKS, Card, shelves
from genrestore.errors import ModelError

HEADER = "genrestore"  # key of the JSON in the safetensors metadata


def models(task: str | None = None) -> list[Card]:
    """The cards of all weights that lie here, of one task or all: shipped ones first, then by name. Loads no torch.

    A weight of the user's own that has a shipped one's name hides behind it. A damaged card is passed over.

    Raises:
        SettingError: there is no such task.
    """
    if task not in (None, *TASKS):
        raise errors.SettingError(f"There is no task named {task!r}; tasks are {', '.join(TASKS)}.")
    cards: dict[str, Card] = {}
    for shelf in shelves():
        for path in sorted(shelf.glob("*/card.json")):
            try:
                card = Card.read(path.parent)
            except ModelError as problem:
                warnings.warn(str(problem), stacklevel=2)
                continue
            if task in (None, card.task) and card.weights.is_file():
                cards.setdefault(card.name, card)
    return list(cards.values())


def resolve(reference: str, task: str | None = None) -> Card:
    """The card a reference means: "auto", the name of a weight that lies here, or "file:PATH" of a weight's folder.

    Raises:
        ModelError: nothing of that name, or it serves another task.
    """
    if reference.startswith("file:"):
        path = Path(reference.removeprefix("file:"))
        card = Card.read(path.parent if path.suffix == ".safetensors" else path)
    else:
        here = {card.name: card for card in models()}
        fitting = [card for card in here.values() if task in (None, card.task)]
        if reference == "auto" and fitting:
            return fitting[0]
        if reference == "auto":
            raise ModelError(
                f"No weight for {task} lies in {' or '.join(map(str, shelves()))}; train one with `genrestore train`."
            )
        if reference not in here:
            raise errors.unknown("model", reference, here, "`genrestore models` shows them all.")
        card = here[reference]
    if task not in (None, card.task):
        others = ", ".join(other.name for other in models(task)) or "none yet"
        raise ModelError(f"{card.name} is a model to {card.task}, not to {task}; models to {task}: {others}.")
    return card


def digest(path: Path) -> str:
    """sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save(net: Any, card: Card, folder: Path, *, half: bool = True) -> Card:
    """Write model.safetensors and card.json into `folder`; each file replaces its older self in one move.

    Floating tensors are stored in fp16 if `half` and fp16 holds them, else in fp32; integers as they are.
    Returns the card with sha256, parameters and folder filled in.
    """
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, torch.Tensor] = {}
    for key, value in net.state_dict().items():
        value = value.detach().cpu()
        if value.is_floating_point():
            value = value.half() if half and _fits_half(value) else value.float()
        tensors[key] = value.contiguous()
    header = {"architecture": card.architecture, "config": card.config, "task": card.task}
    partial = folder / "model.safetensors.part"
    save_file(tensors, partial, metadata={HEADER: json.dumps(header)})
    card = dataclasses.replace(
        card,
        sha256=digest(partial),
        parameters=sum(parameter.numel() for parameter in net.parameters()),
        folder=folder,
    )
    partial.replace(folder / "model.safetensors")
    card.write(folder)
    return card


def _fits_half(tensor: Any) -> bool:
    """Whether fp16 holds a tensor: nothing overflows (a variance of 1e5), nor does anything vanish that matters in it.

    Each value may be off by the rounding of fp16 and by a ten-thousandth of the root mean square of all.
    """
    exact = tensor.double()
    error = (exact - tensor.half().double()).abs()
    rms = exact.square().mean().sqrt() if exact.numel() else 0.0
    return bool((error <= 2.0**-10 * exact.abs() + 1e-4 * rms).all())  # false where anything is infinite or no number


def load_net(path: Path) -> Any:
    """The net a model.safetensors holds, in float32 on the CPU, ready to be called.

    Raises:
        ModelError: the file is missing, damaged, or not one of genrestore's.
    """
    from safetensors import SafetensorError, safe_open

    from genrestore.models import build

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    except FileNotFoundError:
        raise ModelError(f"There is no file {path}; give the path of a .safetensors file.") from None
    except SafetensorError as problem:
        raise ModelError(
            f"{path} is not a safetensors file or is damaged ({problem}); download or train it again."
        ) from problem
    try:
        header = json.loads(metadata[HEADER])
        architecture, config = header["architecture"], header["config"]
    except (KeyError, ValueError, TypeError):
        raise ModelError(
            f"{path} carries no genrestore header, so its net is unknown; use a file that genrestore wrote."
        ) from None
    net = build(architecture, config)
    try:
        net.load_state_dict(
            {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
        )
    except RuntimeError as problem:
        raise ModelError(
            f"{path} does not hold the tensors of its own {architecture}: {str(problem).splitlines()[-1].strip()}"
        ) from problem
    return net.eval()
