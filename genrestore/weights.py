"""Weights on disk: where they lie, what a reference means, and how a file becomes a net again."""

import copy
import dataclasses
import errno
import hashlib
import json
import logging
import math
import os
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from genrestore import errors, tasks
from genrestore.card import Card, SizeRule
from genrestore.errors import ModelError
from genrestore.paths import pulled, shelves
from genrestore.references import SCHEME, WEIGHT, Reference
from genrestore.setting import conditions

log = logging.getLogger(__name__)

SETTLED = 2_000_000_000  # nanoseconds after which a folder's time tells all changes before it
# What a net may take while it is made of a file: modules, parameters and buffers for each tensor, and FEW besides; bytes for
# each number, of which nets of spandrel take 4 to 8, and WORKING besides, of which they take 40 MB at most.
PARTS, FEW = 8, 64
NUMBER, WORKING = 8, 64 << 20
MOST_FOUND = 1000  # references that are remembered
HEADER = "genrestore"  # key of the JSON in the safetensors metadata


def list_models(task: str | None = None) -> list[Card]:
    """The cards of all weights that lie here, of one task or all: shipped ones first, then by name. Loads no torch.

    A weight of the user's own that has a shipped one's name hides behind it; one that was pulled then goes by the name of
    its folder, as do two that were pulled and share a name. A damaged card is passed over; the log says which and why, once.

    Raises:
        SettingError: there is no such task.
    """
    if task is not None:
        tasks.find(task)
    return [card for card in _here().values() if task in (None, card.task)]


def _here() -> dict[str, Card]:
    cards: dict[str, Card] = {}
    own = [shelf for shelf in shelves() if shelf != pulled()]
    for folder in (folder for shelf in own for folder in _listed(shelf)):
        if (card := _usable(folder)) is not None:
            cards.setdefault(card.name, card)
    brought = _brought()
    names = Counter([*cards, *(card.name for card in brought)])
    for card in brought:
        assert card.folder is not None, "cards of shelves were read from folders"
        card = dataclasses.replace(card, name=card.folder.name) if names[card.name] > 1 else card
        cards.setdefault(card.name, card)
    return cards


def _brought() -> list[Card]:
    """The cards of what was pulled, with the names that they came with."""
    return [
        card for folder in _listed(pulled()) if Reference.of_folder(Path(folder).name) and (card := _usable(folder))
    ]


_listings: dict[Path, tuple[int, list[str]]] = {}  # shelf → when it was last changed; its folders by name
_told: set[str] = set()  # what the log has said
_found: dict[
    tuple[str, str | None], tuple[list[int], Path]
] = {}  # reference and task → when shelves changed; its folder


def _listed(shelf: Path) -> list[str]:
    """The folders on a shelf, read when something came or went since."""
    changed = _changed(shelf)
    known = _listings.get(shelf)
    if known is None or known[0] != changed:
        try:
            with os.scandir(shelf) as entries:
                known = changed, sorted(entry.path for entry in entries if entry.is_dir())
        except OSError:
            known = changed, []
        # What comes right after the reading may bear the same time, so that a fresh change is not yet trusted.
        _listings[shelf] = known if time.time_ns() - changed > SETTLED else (-1, known[1])
    return known[1]


def _changed(shelf: Path) -> int:
    """When something on the shelf came or went, in nanoseconds; 0 where there is none."""
    try:
        return os.stat(shelf).st_mtime_ns
    except OSError:
        return 0


def _usable(folder: str | Path) -> Card | None:
    """The card in a folder that also holds the weight, or None; a damaged one is logged once."""
    if not (os.path.isfile(f"{folder}/card.json") and os.path.isfile(f"{folder}/model.safetensors")):
        return None
    try:
        return _read(Path(folder))
    except ModelError as problem:
        if str(problem) not in _told:
            _told.add(str(problem))
            log.warning("Passed over: %s", problem)
        return None


def _read(folder: Path) -> Card:
    """The card in a folder, of one of the tasks.

    Raises:
        ModelError: as `Card.read`; or this version has no such task, or the net can't be one of the task's.
    """
    card = Card.read(folder)
    known = card.task in tasks.names()
    reason = tasks.find(card.task).misfit(card) if known else f"it names the task {card.task[:40]!r}"
    if reason:
        path = folder / "card.json"
        raise ModelError(f"{path} is not a genrestore card ({reason}); train or download the weight again.")
    return card


def resolve(reference: str, task: str | None = None) -> Card:
    """The card a reference means: "auto", the name of a weight that lies here, "file:PATH" of a weight's folder, or
    "hf:OWNER/REPO[@REVISION][/FILE]" of one that was pulled: nothing is fetched that was not asked for.

    Raises:
        ModelError: nothing of that name lies here, or it serves another task.
    """
    if not isinstance(reference, str):  # pyright: ignore[reportUnnecessaryIsInstance] (callers need not be typed)
        raise ModelError(f"A model is named by a text such as 'auto', not by {repr(reference)[:40]}.")
    if reference.startswith("file:"):
        path = Path(reference.removeprefix("file:"))
        folder = path.is_dir()  # of any name: what was pulled as x.pth lies in one that ends so
        if path.suffix in (".pth", ".pt", ".ckpt") and not folder:
            raise ModelError(
                f"{path} is not a weight of genrestore; take it in first with `genrestore models add {path}`."
            )
        card = _read(path.parent if path.suffix == ".safetensors" and not folder else path)
    elif reference.startswith(SCHEME):
        card = _pulled(Reference.parse(reference))
    else:
        card = _named(reference, task)
    if task not in (None, card.task):
        others = ", ".join(other.name for other in list_models(task)) or "none yet"
        raise ModelError(f"{card.name} is a model to {card.task}, not to {task}; models to {task}: {others}.")
    return card


def reference_of(card: Card) -> str:
    """What names the weight of a card wherever it lies: its reference on the Hub if it was pulled, else its name."""
    folder = card.folder
    found = Reference.of_folder(folder.name) if folder is not None and folder.parent == pulled() else None
    return str(found) if found else card.name


def _pulled(wanted: Reference) -> Card:
    """The card of what was pulled under that reference, or under another that means the same: the commit in place of a branch,
    the file that came in place of none, or none where there is but one.
    """
    folder = pulled() / wanted.folder
    if folder.is_dir():
        return _read(folder)
    others: list[Reference] = []
    unnamed: list[Card] = []
    for path in map(Path, _listed(pulled())):
        other = Reference.of_folder(path.name)
        if other is None or other.repository != wanted.repository or (card := _usable(path)) is None:
            continue
        others.append(other)
        commit = re.fullmatch("[0-9a-f]{7,40}", wanted.revision) and card.revision.startswith(wanted.revision)
        if not commit and other.revision != wanted.revision:
            continue
        came = _came(card)
        if wanted.file in (other.file, came):
            return card
        if came:
            unnamed.append(card)
    if wanted.file == WEIGHT and len(unnamed) == 1:
        return unnamed[0]
    known = f" Here is {', '.join(map(str, others))}." if others else ""
    raise ModelError(f"{wanted} is not on this computer; `genrestore models pull {wanted}` brings it.{known}")


def _came(card: Card) -> str:
    """The file of a checkpoint of others that a pulled model was made of; "" of ours."""
    try:
        return Reference.parse(str(card.origin.get("source"))).file
    except ModelError:
        return ""


def _named(reference: str, task: str | None) -> Card:
    """As `resolve`, of what lies on the shelves; what it found last time costs a look at the shelves' and its own times."""
    changed = [_changed(shelf) for shelf in shelves()]
    known = _found.get((reference, task))
    if known is not None and known[0] == changed:
        card = _usable(known[1])
        if card is not None and (card.name == reference or (reference == "auto" and task in (None, card.task))):
            return card
    here = _here()
    fitting = [card for card in here.values() if task in (None, card.task)]
    if reference == "auto" and fitting:
        card = fitting[0]
    elif reference == "auto":
        raise ModelError(
            f"No weight for {task} lies in {' or '.join(map(str, shelves()))}; train one with `genrestore train`."
        )
    elif reference in here:
        card = here[reference]
    elif alike := [reference_of(card) for card in _brought() if card.name == reference]:
        raise ModelError(f"{len(alike)} models here are named {reference!r}; say which: {', '.join(alike)}.")
    else:
        hint = "`genrestore models` shows them all."
        if reference.count("/") == 1:
            hint = f"Of the Hub it is written hf:{reference[:100]}."
        raise errors.unknown("model", reference, here, hint)
    assert card.folder is not None, "cards of shelves were read from folders"
    if time.time_ns() - max(changed) > SETTLED:
        if len(_found) > MOST_FOUND:
            _found.clear()
        _found[reference, task] = changed, card.folder
    return card


def digest(path: Path) -> str:
    """sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save(net: Any, card: Card, folder: Path, *, half: bool = True) -> Card:
    """Write model.safetensors and card.json into `folder`; each file replaces its older self in one move.

    A net that has `finish()` is a copy of itself before: it returns the net to be kept, with tables computed or convolutions
    joined, whose `config` may be another. Floating tensors are stored in fp16 if `half` and fp16 holds them, else in fp32;
    integers as they are; those that the net's `exact` names as they are, too.
    Returns the card with what the file and the net tell filled in: sha256, parameters, config, inputs, folder.

    Raises:
        OSError: the disk is full, or `folder` cannot be written.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    if hasattr(net, "finish"):
        net = copy.deepcopy(net).eval().finish()
        card = dataclasses.replace(card, config=dataclasses.asdict(net.config))
    exact = frozenset(getattr(net, "exact", ()))
    tensors: dict[str, torch.Tensor] = {}
    for key, value in net.state_dict().items():
        value = value.detach().cpu()
        if value.is_floating_point() and key not in exact:
            value = value.half() if half and _fits_half(value) else value.float()
        tensors[key] = value.contiguous()
    header = {"architecture": card.architecture, "config": card.config, "task": card.task}
    partial = folder / "model.safetensors.part"
    try:
        save_file(tensors, partial, metadata={HEADER: json.dumps(header)})
    except SafetensorError as problem:  # of the disk, whose number it tells among its words
        number = re.search(r"os error ([0-9]+)", str(problem))
        code = int(number[1]) if number else errno.EIO
        raise OSError(code, os.strerror(code), str(partial)) from problem
    card = dataclasses.replace(
        card,
        sha256=digest(partial),
        parameters=sum(parameter.numel() for parameter in net.parameters()),
        scale=scale_of(net),
        size_rule=SizeRule.of(net, {}),
        inputs=conditions(net),
        folder=folder,
    )
    partial.replace(folder / "model.safetensors")
    card.write(folder)
    return card


def listing(card: Card, folder: Path) -> Card:
    """Write the model.safetensors and card.json of a net whose files lie in `folder` already; returns the card."""
    from safetensors.torch import save_file

    header = {"architecture": card.architecture, "config": card.config, "task": card.task}
    save_file({}, folder / "model.safetensors", metadata={HEADER: json.dumps(header)})
    card = dataclasses.replace(card, sha256=digest(folder / "model.safetensors"), folder=folder)
    card.write(folder)
    return card


def scale_of(net: Any) -> int:
    """How many times wider and higher its pictures become."""
    return getattr(net.config, "scale", 1)


def _fits_half(tensor: Any) -> bool:
    """Whether fp16 holds a tensor: nothing overflows (a variance of 1e5), nor does anything vanish that matters in it.

    Each value may be off by the rounding of fp16 and by a ten-thousandth of the root mean square of all.
    """
    exact = tensor.double()
    error = (exact - tensor.half().double()).abs()
    rms = exact.square().mean().sqrt() if exact.numel() else 0.0
    return bool((error <= 2.0**-10 * exact.abs() + 1e-4 * rms).all())  # false where anything is infinite or no number


def load_net(path: Path, card: Card | None = None) -> Any:
    """The net a model.safetensors holds, in float32 on the CPU, ready to be called.

    What the header claims is held against the file before anything of that size is made. With `card`, the file must be of
    the net that the card describes.

    Raises:
        ModelError: the file is missing, damaged, not one of genrestore's, or another net than its card says.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            architecture, config = _header(path, file.metadata() or {})
            if card is not None and (architecture, config) != (card.architecture, card.config):
                raise ModelError(
                    f"{path} holds another {architecture} than its card says; download or train the weight again."
                )
            shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118 (not a dict)
            if (net := _gathered(path, architecture, config, card)) is not None:
                return net
            net = _empty(
                path, architecture, config, shapes, card, lambda: {key: file.get_tensor(key) for key in shapes}
            )
            state = {key: _tensor(path, key, file.get_tensor(key), value) for key, value in net.state_dict().items()}
    except FileNotFoundError:
        raise ModelError(f"There is no file {path}; give the path of a .safetensors file.") from None
    except (SafetensorError, OSError) as problem:
        reason = " ".join(str(problem).split())[:200]
        raise ModelError(
            f"{path} is not a safetensors file or is damaged ({reason}); download or train it again."
        ) from problem
    if card is not None and scale_of(net) != card.scale:
        raise ModelError(f"{path} holds a {architecture} of another scale than its card says; its card is wrong.")
    net.load_state_dict(state)
    return net.eval()


def _gathered(path: Path, architecture: str, config: dict[str, Any], card: Card | None) -> Any:
    """The net of a header that is made of other files beside it; None of the usual ones."""
    from genrestore.models import adopted, build, tasks_of

    entry = adopted(architecture)
    if entry is None or not hasattr(entry.net, "of_folder"):
        return None
    if card is not None and card.task not in tasks_of(architecture):
        raise ModelError(f"{path} holds a {architecture}, which is no model to {card.task}; its card is wrong.")
    net = build(architecture, config, folder=path.parent)
    if card is not None and net.task != card.task:
        raise ModelError(f"{path} holds a net to {net.task}, which is no model to {card.task}; its card is wrong.")
    return net


def files(card: Card) -> list[Path]:
    """The files that hold a weight: its own, and those beside it that the config of a net of several files lists."""
    assert card.folder is not None, "a card of a shelf was read from a folder"
    listed = card.config.get("files", ())
    names = [line.partition(" ")[2] for line in listed if isinstance(line, str)] if isinstance(listed, list) else []
    return [card.weights, *(card.folder / name for name in names)]


def size(card: Card) -> int:
    """Bytes of the weight; 0 where it is gone."""
    try:
        return sum(path.stat().st_size for path in files(card))
    except (OSError, ValueError):
        return 0


def check(card: Card) -> Any:
    """Hold a weight against its card: sha256, header, tensors, net; returns the net.

    Raises:
        ModelError: it is missing, damaged, or another one than the card describes.
    """
    path = card.weights
    try:
        own = digest(path)
    except OSError as problem:
        raise ModelError(f"{path} cannot be read ({problem.strerror}); download or train the weight again.") from None
    if own != card.sha256:
        raise ModelError(f"{path} is not the file its card describes (sha256 differs); download or train it again.")
    net = load_net(path, card)
    held = sum(parameter.numel() for parameter in net.parameters())
    if held != card.parameters and len(files(card)) == 1:  # of several, buffers were counted with them
        raise ModelError(f"{path} holds {held:,} parameters and its card says {card.parameters:,}; its card is wrong.")
    return net


def header_of(path: Path) -> dict[str, Any]:
    """What the header of a weight's file says that `load_net` could read: architecture, config and task."""
    from safetensors import safe_open

    with safe_open(path, framework="np") as file:
        return json.loads((file.metadata() or {})[HEADER])


def _header(path: Path, metadata: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """Architecture and config of a weight's file."""
    try:
        header = json.loads(metadata[HEADER])
        architecture, config = header["architecture"], header["config"]
        if isinstance(config, dict) and isinstance(architecture, str) and re.fullmatch(r"\w{1,100}", architecture):
            return architecture, config
    except (KeyError, ValueError, TypeError, RecursionError):
        pass
    raise ModelError(f"{path} carries no genrestore header, so its net is unknown; use a file that genrestore wrote.")


def _empty(
    path: Path,
    architecture: str,
    config: dict[str, Any],
    shapes: dict[str, tuple[int, ...]],
    card: Card | None,
    state: Callable[[], dict[str, Any]],
) -> Any:
    """The net of a header, if its tensors are those of the file: with fresh weights, or made of the file's `state`.

    Making it ends with the first parameter that the file can't hold, before that takes memory: a header may claim any size.
    """
    from genrestore.models import build, tasks_of

    if card is not None and card.task not in tasks_of(architecture):
        raise ModelError(f"{path} holds a {architecture}, which is no model to {card.task}; its card is wrong.")
    with bounded(path, architecture, len(shapes), sum(map(math.prod, shapes.values()))):
        net = build(architecture, config, state)
    if card is not None and getattr(net, "task", card.task) != card.task:
        raise ModelError(f"{path} holds a net to {net.task}, which is no model to {card.task}; its card is wrong.")
    wanted = {key: tuple(value.shape) for key, value in net.state_dict().items()}
    for key in [*wanted, *shapes]:
        if wanted.get(key) != shapes.get(key):
            raise ModelError(
                f"{path} does not hold the tensors of its own {architecture}: {key[:100]!r} is "
                f"{shapes.get(key, 'missing')}, and the net has {wanted.get(key, 'none of that name')}."
            )
    return net


@contextmanager
def bounded(path: Path, whose: str, tensors: int, most: int) -> Generator[None, None, None]:
    """While a net is made in this thread of a file of so many tensors with `most` numbers in all, far more ends in an error.

    What is far more is refused before it takes memory: parameters, buffers, and what is only computed on the way to them.

    Raises:
        ModelError: the net has more parts than such a file has tensors for, or takes more memory.
    """
    from torch.nn.modules import module

    from genrestore.nets.alive import Alive

    refusal = ModelError(f"{path} does not hold the tensors of its own {whose}; download or train it again.")
    us, left = threading.get_ident(), PARTS * tensors + FEW

    def held(_module: Any, _name: str, value: Any) -> None:
        nonlocal left
        if threading.get_ident() == us and value is not None:  # other threads may be making nets, too
            left -= 1
            if left < 0:
                raise refusal

    hooks = [
        module.register_module_parameter_registration_hook(held),
        module.register_module_buffer_registration_hook(held),
        module.register_module_module_registration_hook(held),
    ]
    try:
        with Alive(limit=NUMBER * most + WORKING, refusal=refusal):
            yield
    finally:
        for hook in hooks:
            hook.remove()


def _tensor(path: Path, key: str, value: Any, like: Any) -> Any:
    """A stored tensor in the type of the net's own."""
    import torch

    if (
        value.is_floating_point() != like.is_floating_point()
        or value.is_complex()
        or value.itemsize < like.itemsize // 2
    ):
        raise ModelError(f"{path} is damaged: {key} is stored as {str(value.dtype).removeprefix('torch.')}.")
    value = value.to(like.dtype)
    if not torch.isfinite(value).all():
        raise ModelError(f"{path} is damaged: {key} holds numbers that are not finite; download or train it again.")
    return value
