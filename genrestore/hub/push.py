"""From this computer to the Hub: packed and shown first, and only what a stranger may have."""

import dataclasses
import io
import json
import logging
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import genrestore
from genrestore import runtime, tasks, weights
from genrestore.card import Card
from genrestore.errors import Cancelled, ModelError, TrainingError
from genrestore.hub import client
from genrestore.hub.kinds import CARD, CONFIG, LIBRARY, README, SAMPLE
from genrestore.hub.readme import readme
from genrestore.hub.scrub import scrubbed
from genrestore.hub.shelf import verify_model
from genrestore.paths import PACKAGE, shelves
from genrestore.references import SCHEME, WEIGHT, Reference, repository_of
from genrestore.registry import channels

log = logging.getLogger(__name__)

PHOTO = PACKAGE / "ui" / "examples" / "dog.jpg"  # CC0, of which a net's sample picture is made
SIDE = 128  # pixels of a piece of it
CORNERS = (210, 170), (60, 60), (330, 250)


@dataclass(frozen=True)
class Parcel:
    """What a push would send.

    Attributes:
        files: by their names in the repository.
        card: as it would be sent; `card.to_json()` is every field.
        left_out: fields of the card that were left out or had a part taken out.
        replaced: files of the repository that it would replace; None where there is no repository yet.
    """

    repository: str
    private: bool
    files: dict[str, bytes | Path]
    card: Card
    left_out: tuple[str, ...]
    replaced: tuple[str, ...] | None = None

    def size(self, name: str) -> int:
        content = self.files[name]
        return len(content) if isinstance(content, bytes) else content.stat().st_size

    @property
    def fields(self) -> dict[str, Any]:
        """Every field of the card that says something."""
        return {name: value for name, value in self.card.to_json().items() if value not in ("", [], {})}

    @property
    def digest(self) -> str:
        """What names all that would leave, so that nothing else is sent than was shown."""
        files = {name: self.card.sha256 if name == WEIGHT else _digest(self._content(name)) for name in self.files}
        told = [
            self.repository,
            self.private,
            sorted(self.replaced or ()),
            self.replaced is None,
            sorted(files.items()),
        ]
        return _digest(json.dumps(told).encode())

    def _content(self, name: str) -> bytes:
        content = self.files[name]
        return content if isinstance(content, bytes) else content.read_bytes()


def push(name: str, repository: str, *, private: bool = False, confirm: Callable[[Parcel], bool] | None = None) -> str:
    """Send a model to the Hub: weight, card, config.json, README and a sample picture that is drawn for it.

    Training pictures never leave, nor do paths and names of people and computers in the card (`genrestore.hub.scrub`). The
    repository is made if there is none; of one that is there, only the files of these names are replaced, in one commit.

    Args:
        name: of a model that lies here, or a reference as `genrestore.load` takes it.
        repository: "owner/name", of yours or your organisation.
        private: make a repository that only you see.
        confirm: is told all that would leave, before any of it does; where it says no, nothing is sent.

    Returns:
        The reference that names it for ever: "hf:owner/name@commit".

    Raises:
        ModelError: there is no such model, it is damaged, no token is set or it may not write there, or the Hub does not
            answer.
        Cancelled: `confirm` said no.
    """
    parcel = packed(name, repository, private=private)
    if confirm is not None and not confirm(parcel):
        raise Cancelled("Nothing was sent.")
    return send(parcel)


def packed(name: str, repository: str, *, private: bool = False) -> Parcel:
    """All that a push would send; nothing is sent yet, but the Hub is asked what is there.

    Raises:
        ModelError: see `push`.
    """
    repository = repository_of(repository)
    replaced = _there(repository, private)
    if len(weights.files(weights.resolve(name))) > 1:
        raise ModelError(
            f"{name} is a pipeline of others, in many files; it can't be sent, but others can pull it, too."
        )
    card = verify_model(name)
    weight, removed = _weight(card)
    clean, left_out = scrubbed(card)
    own = repository.partition("/")[2]
    digest = card.sha256 if isinstance(weight, Path) else _digest(weight)
    clean = dataclasses.replace(clean, name=own, sha256=digest)
    picture = portrait(card)
    config: dict[str, Any] = {
        "library_name": LIBRARY,
        "library_version": genrestore.__version__,
        "architecture": card.architecture,
        "task": card.task,
        "config": card.config,
    }
    files: dict[str, bytes | Path] = {
        WEIGHT: weight,
        CONFIG: (json.dumps(config, indent=2, ensure_ascii=False) + "\n").encode(),
        CARD: clean.text().encode(),
        README: readme(clean, repository, picture is not None).encode(),
    }
    if picture is not None:
        files[SAMPLE] = picture
    kept = None if replaced is None else tuple(file for file in replaced if file in files)
    return Parcel(repository, private, files, clean, (*left_out, *removed), kept)


def send(parcel: Parcel) -> str:
    """Send what was packed, in one commit; returns the reference of that.

    Raises:
        ModelError: the Hub refuses it or does not answer; then nothing of it can be seen there.
    """
    from huggingface_hub import CommitOperationAdd

    api = client.api()
    with client.told(Reference(parcel.repository), writing=True):
        api.create_repo(parcel.repository, private=parcel.private, exist_ok=True)
        adds = [
            CommitOperationAdd(path_in_repo=name, path_or_fileobj=content) for name, content in parcel.files.items()
        ]
        commit = api.create_commit(
            parcel.repository, adds, commit_message=f"{parcel.card.title or parcel.card.name}, by genrestore"
        )
        return f"{SCHEME}{parcel.repository}@{commit.oid}"


def _there(repository: str, private: bool) -> tuple[str, ...] | None:
    """The files of the repository; None where there is none.

    Raises:
        ModelError: no token is set, or it is public and the push should be private.
    """
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    client.check_signed_in()
    with client.told(Reference(repository), writing=True):
        try:
            info = client.api().model_info(repository, timeout=client.PROBE)
        except GatedRepoError:
            raise
        except RepositoryNotFoundError:
            return None
        found = tuple(str(sibling.rfilename) for sibling in info.siblings or ())
    if private and not info.private:
        raise ModelError(f"{repository} is there already and public; make it private on {client.endpoint()} first.")
    return found


def _digest(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()


def _weight(card: Card) -> tuple[bytes | Path, list[str]]:
    """The weight's file, or one without what its header says beyond what rebuilds the net; and what that was."""
    path = card.weights
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        told = header.get("__metadata__", {})
        said = json.loads(told[weights.HEADER])
        wanted = {"architecture": card.architecture, "config": card.config, "task": card.task}
        removed = [f"{WEIGHT}: {key}" for key in told if key != weights.HEADER]
        removed += [f"{WEIGHT}: {weights.HEADER}.{key}" for key in said if key not in wanted]
        if not removed:
            return path, []
        header["__metadata__"] = {weights.HEADER: json.dumps(wanted)}
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8
        return struct.pack("<Q", len(text)) + text + file.read(), removed


def portrait(card: Card) -> bytes | None:
    """sample.webp: what ships with the package, or drawn anew, for what training left may show its pictures."""
    import torch

    from genrestore.data.dataset import sheet

    assert card.folder is not None, "a card that was verified was read from a folder"
    if card.folder.parent == shelves()[0] and (card.folder / SAMPLE).is_file():
        return (card.folder / SAMPLE).read_bytes()
    net = runtime.load(f"file:{card.folder}", precision="exact").net
    task: Any = tasks.find(card.task)
    with torch.inference_mode():
        if task.invents:
            images, columns = task.show(net, {})
        elif hasattr(task, "look"):
            before, result = task.look(net, _spoilt(card, net, task))
            images, columns = torch.cat([before, result.expand(-1, before.shape[1], -1, -1)]), len(CORNERS)
        else:
            return None
    file = io.BytesIO()
    sheet(images, columns).save(file, "WEBP", quality=88)
    return file.getvalue()


def portray(card: Card) -> None:
    """Draw the sample picture of a weight that came without one, beside it; one that cannot be drawn is no loss."""
    assert card.folder is not None, "a card that was pulled was read from a folder"
    path = card.folder / SAMPLE
    if path.is_file():
        return
    try:
        drawn = portrait(card)
        if drawn is not None:
            part = path.with_name(f".{SAMPLE}.part")
            part.write_bytes(drawn)
            part.replace(path)
    except Exception as problem:  # whatever a net can end in, or the disk
        log.warning("%s was not pictured: %s", card.name, problem)


def _spoilt(card: Card, net: Any, task: Any) -> dict[str, Any]:
    """Pieces of an example photo of the page, spoilt as the net's training spoilt its pictures: a batch on the net's device."""
    import numpy as np
    import torch
    from PIL import Image

    from genrestore.data import degrade

    try:
        spoil = degrade.find(str(card.recipe.get("degrade", "none")))
    except TrainingError:  # of another version
        spoil = degrade.find("none")
    side = SIDE + 2 * spoil.margin
    with Image.open(PHOTO) as photo:
        whole = photo.convert("L" if channels(net.config) == 1 else "RGB")
        pieces = [np.atleast_3d(np.asarray(whole.crop((x, y, x + side, y + side)))) for x, y in CORNERS]
    clean = torch.from_numpy(np.stack(pieces).astype(np.float32) / 255).permute(0, 3, 1, 2)
    batch = degrade.spoilt(spoil, clean, [np.random.default_rng(k) for k in range(len(pieces))])
    if "low" not in batch and "mask" not in batch:
        _, *masks = task.example(net, SIDE)
        if masks:
            batch["mask"] = masks[0].expand(len(pieces), -1, -1, -1)
    where = next(net.parameters()).device
    return {name: value.to(where) for name, value in batch.items()}
