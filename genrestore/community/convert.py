"""A checkpoint of others becomes a weight like our own: safetensors, a card, and a place in the picker of its task."""

import dataclasses
import secrets
import shutil
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import torch
from torch import Tensor

import genrestore
from genrestore import weights
from genrestore.card import Card, name_of
from genrestore.community import reader
from genrestore.community.measured import example, measured
from genrestore.console import starved
from genrestore.errors import ModelError
from genrestore.licences import LICENCES
from genrestore.models.community import Community, Config, found
from genrestore.paths import home

Progress = Callable[[float, str], None]

READ, MEASURED = 0.05, 0.95  # shares of the work after which it is read, and measured
SAME = 0.1 / 255  # what the kept file may compute differently
LINE = 300  # letters of a licence or a source
INTENDED = {
    "upscale": "Enlarges pictures.",
    "restore": "Restores pictures in the way that its makers trained it for.",
    "inpaint": "Fills holes from the picture round them, wide ones too.",
}
LIMITS = "Others made it; how good it is was not measured here."
GREY = "It knows one channel: those of a colour picture go through it one by one."
WHOLE = "It looks at all of a picture at once; of a large one it sees tiles, which may differ a little in brightness."


def add_model(
    file: str | Path,
    *,
    name: str | None = None,
    licence: str = "unknown",
    source: str = "",
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> Card:
    """Take in a checkpoint that others trained: from then on it is a model like any other, in its task's picker and by its name.

    The file is read without running anything of it, its net is found and tried out, and a copy is kept as safetensors with a
    card among the user's own weights. The file itself is not needed any more.

    Args:
        file: .safetensors, .pth, .pt or .ckpt, of any architecture that spandrel knows.
        name: of the model; by default that of the file.
        licence: of the weights, as their makers say.
        source: where the file is from, for the card.
        progress: called with a share from 0 to 1, and what is done.
        cancel: set it to stop.

    Raises:
        ModelError: it is no checkpoint, wants to run something, is damaged, of no known architecture, or the name is taken.
        Cancelled: `cancel` was set; nothing was written.
        OSError: the disk is full.
    """
    path = Path(file)
    named = named_after(path.stem) if name is None else name
    taken = ModelError(f"There is already a model named {named[:100]}; give this one another name.")
    if not name_of(named):
        raise ModelError(f"{named[:100]!r} can't name a model; take letters, digits, spaces and hyphens.")
    if named in [card.name for card in weights.list_models()]:
        raise taken
    partial = home() / "adding" / secrets.token_hex(8)  # until all is written and was read again, no list shows it
    target = home() / "weights" / named
    try:
        converted(path, partial, name=named, licence=licence, source=source, progress=progress, cancel=cancel)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            raise taken
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Card.read(target)


def converted(
    path: Path,
    folder: Path,
    *,
    name: str,
    licence: str,
    source: str,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> Card:
    """Write what a checkpoint holds into `folder`, as model.safetensors and card.json, and read that again; returns the card.

    Raises:
        ModelError: it is no checkpoint, wants to run something, is damaged, or of no known architecture.
        Cancelled: `cancel` was set.
        OSError: the disk is full.
    """
    report = progress or (lambda share, what: None)
    report(0.0, "it is read")
    state = reader.read(path)
    with weights.bounded(path, "net", len(state), sum(value.numel() for value in state.values())):
        descriptor = found(state, path.name)
    config = Config(descriptor.architecture.id, descriptor.scale, descriptor.input_channels)
    plain = Community(config, descriptor).eval()
    report(READ, "it is tried out")
    expected = _tried(plain, path.name)
    net = _measured(plain, path.name, lambda share: report(READ + (MEASURED - READ) * share, "it is measured"), cancel)
    report(MEASURED, "it is kept")
    config = net.config
    limits = [LIMITS] + [GREY] * (config.channels == 1) + [WHOLE] * (config.tile > 0 and net.task != "inpaint")
    architecture = descriptor.architecture.name
    times = f" ×{config.scale}" if config.scale > 1 else ""
    card = Card(
        name=name,
        task=net.task,
        architecture=type(net).__name__,
        config=dataclasses.asdict(config),
        parameters=0,
        sha256="",
        license=_licence(licence),
        data=(),
        recipe={},
        title=f"{name} ({architecture}{times})",
        intended=INTENDED[net.task],
        limits=" ".join(limits),
        origin={
            "architecture": architecture,
            "file": path.name,
            "sha256": weights.digest(path),
            "source": _line(source),
            "converter": f"genrestore {genrestore.__version__}, spandrel {metadata.version('spandrel')}",
        },
    )
    card = weights.save(net, card, folder, half=False)
    again = weights.check(card)
    with torch.inference_mode():
        off = (again(*example(again, 64, 96)) - expected).abs().max().item()
    if not off <= SAME:
        raise ModelError(f"What was kept of {name} computes something else than its file; nothing was kept.")
    return card


def measured_anew(
    card: Card, name: str, progress: Progress | None = None, cancel: threading.Event | None = None
) -> Card:
    """The card of a kept net that somebody else measured, once that was done here: what its file says of it is not believed.

    Where it was found to be otherwise, the file is written again, with that in its header.

    Args:
        name: of the file, for sentences.

    Raises:
        ModelError: it does not work, or there is too little memory.
        Cancelled: `cancel` was set.
        OSError: the disk is full.
    """
    assert card.folder is not None, "a card of a kept net was read from its folder"
    kept = weights.load_net(card.weights, card)
    told = kept.config
    bare = Community(Config(told.net, told.scale, told.channels), kept.descriptor).eval()
    _tried(bare, name)
    report = progress or (lambda share, what: None)
    net = _measured(bare, name, lambda share: report(share, "it is measured"), cancel)
    if net.config == told:
        return card
    return weights.save(net, dataclasses.replace(card, config=dataclasses.asdict(net.config)), card.folder, half=False)


def named_after(stem: str) -> str:
    """A model's name of a file's; it may still be one that no model may bear."""
    letters = "".join(letter if name_of(f"a{letter}a") else "-" for letter in stem[:100])
    return letters.strip(" .") or "model"


def _licence(text: str) -> str:
    """The licence as it is usually written, or as it was given."""
    text = _line(text)
    return next((known for known in LICENCES if known.lower() == text.lower()), text) or "unknown"


def _line(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()[:LINE]


def _tried(net: Community, name: str) -> Tensor:
    """What the net makes of an example, before anything about it is measured.

    Raises:
        ModelError: it fails, or makes something else of it than a picture.
    """
    inputs = example(net, 64, 96)
    height, width = (side * net.config.scale for side in inputs[0].shape[-2:])
    with _at_work(name), torch.inference_mode():
        out = net(*inputs)
    if out.shape != (1, 3, height, width) or not torch.isfinite(out).all():
        raise ModelError(
            f"The net in {name} makes no pictures of what it is given; it is damaged, or not what it looks like."
        )
    return out


def _measured(
    net: Community, name: str, progress: Callable[[float], None], cancel: threading.Event | None
) -> Community:
    """The net with what was measured of it in its config.

    Raises:
        ModelError: it fails at other sizes than the example's, or there is too little memory.
        Cancelled: `cancel` was set.
    """
    with _at_work(name):
        return measured(net, progress, cancel)


@contextmanager
def _at_work(name: str) -> Generator[None, None, None]:
    """Raises:
    ModelError: a stranger's net failed within the block.
    """
    try:
        yield
    except (RuntimeError, ValueError, IndexError, AssertionError, TypeError, MemoryError) as problem:
        if starved(problem):
            raise ModelError(
                f"There is too little memory to try out the net in {name}; close other programs, or take a smaller net."
            ) from problem
        reason = " ".join(str(problem).split())[:120]
        raise ModelError(
            f"The net in {name} does not work ({reason}); it is damaged, or not what it looks like."
        ) from problem
