"""From the Hub into the folder of pulled models: asked first, checked before it can be seen, pinned to a commit.

model_info ─ ask ─ card.json ─ model.safetensors ─ sha256, header, net ─ aside ─ one move ─ pulled/<folder of the reference>
                     ├────── the client's cache ──────┘                    │
                     └ a checkpoint of others ─ sha256 ─ read, converted ──┘
"""

import dataclasses
import hashlib
import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genrestore import locks, weights
from genrestore.card import MOST_BYTES, Card, SizeRule, name_of
from genrestore.errors import Cancelled, GenrestoreError, ModelError
from genrestore.hub import client, kinds, listed
from genrestore.hub.client import Unreachable
from genrestore.hub.kinds import CARD, CONFIG, SAMPLE
from genrestore.locks import Lock
from genrestore.model_index import INDEX, chosen, need, read_index
from genrestore.paths import home, pulled
from genrestore.references import COMMIT, MAIN, WEIGHT, Reference
from genrestore.registry import adopted
from genrestore.setting import conditions

log = logging.getLogger(__name__)

Progress = Callable[[float, str], None]

MOST_SAMPLE = 2 << 20  # bytes of a sample picture; a larger one stays there
SPARE = 32 << 20  # bytes that must be left on a disk
CONVERTED = 3  # times the bytes of a checkpoint of others: itself, and in float32 what may have come in half of that
TOLD = 0.02  # share of a pull from which the time that the rest takes can be told
LOOK = 0.2  # seconds between two looks at a lock


@dataclass(frozen=True)
class File:
    """A file of a repository, as the Hub describes it."""

    name: str
    size: int | None
    sha256: str = ""  # of what lies outside git, as weights do
    blob: str = ""  # sha1 by which git knows the others


@dataclass(frozen=True)
class Offer:
    """What a pull would bring, told before the first byte of it.

    Attributes:
        commit: what the revision means now.
        weight: the path of the weight in the repository: the file that was named; else the only checkpoint that it has.
        licence: as the repository states it; "" where it does not.
        files: those that would be fetched.
        holds: the paths of all files that it has.
    """

    wanted: Reference
    commit: str
    weight: str
    licence: str
    files: tuple[File, ...]
    holds: tuple[str, ...]

    @property
    def bytes(self) -> int:
        return sum(file.size or 0 for file in self.files)

    @property
    def carded(self) -> bool:
        """Whether a card of ours lies beside the weight."""
        return self.wanted.beside + CARD in self.holds


def pull(
    ref: str,
    *,
    confirm: Callable[[Offer], bool] | None = None,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> Card:
    """Bring a model from the Hub to this computer, where it can be named by `ref` and is listed with the others.

    What is here already and pinned to a commit, or still what its revision means, is not fetched again. Without the network
    what was pulled before stays as it is, and what lies in the cache of `huggingface_hub` is taken from there.

    A checkpoint that others made (see `genrestore.add_model`) becomes a model by its reference; where no file is named, the
    only one that the repository has is taken.

    Args:
        ref: "hf:owner/repo", "hf:owner/repo@revision" or "hf:owner/repo@revision/folder/model.safetensors"; see
            `genrestore.references`.
        confirm: is told size and licence before the first byte; where it says no, nothing is fetched.
        progress: called with a share from 0 to 1, and how much has come and how long the rest will take.
        cancel: set it to stop.

    Raises:
        ModelError: there is no such repository, revision or file, you may not read it, the Hub does not answer, the disk is
            full, or what came is not what it should be. Nothing of it is kept then.
        Cancelled: `confirm` said no, or `cancel` was set.
    """
    wanted = Reference.parse(ref)
    known = _sound(wanted)
    if known is None and wanted.pinned:
        known = _from_cache(wanted, cancel)
    if known is not None and wanted.pinned:
        return known
    try:
        offer = look(wanted)
    except Unreachable as problem:
        known = known or _sound(wanted, str(wanted)) or _from_cache(wanted, cancel)
        if known is None:
            raise
        log.warning("%s; %s stays as it was pulled, at commit %s.", problem.reason, wanted, known.revision[:12])
        return known
    if known is not None and known.revision == offer.commit:
        return known
    usable(offer)  # nobody need be asked about what is not
    if confirm is not None and not confirm(offer):
        raise Cancelled(f"Nothing of {wanted} was fetched.")
    with _alone(wanted, progress, cancel) as aside:
        known = _sound(wanted)  # another one may have brought it meanwhile
        if known is not None and known.revision == offer.commit:
            return known
        _room(offer)
        fetched = _Fetched(offer, progress, cancel)
        return _installed(wanted, offer.commit, offer.licence, fetched, aside, progress, cancel)


def look(wanted: Reference) -> Offer:
    """What the Hub has under a reference; nothing of it is fetched.

    Raises:
        Unreachable: the Hub does not answer within PROBE seconds.
        ModelError: there is no such repository, revision or file, or you may not read it.
    """
    with client.told(wanted):
        info = client.api().model_info(
            wanted.repository, revision=wanted.revision or None, files_metadata=True, timeout=client.PROBE
        )
        listed = [_file(sibling) for sibling in info.siblings or ()]
        commit, licence = str(info.sha), _licence(info)
    if not COMMIT.fullmatch(commit):
        raise ModelError(f"The Hub's answer to {wanted} makes no sense (it names the commit {commit[:40]!r}).")
    names = tuple(file.name for file in listed)
    weight = wanted.file
    if wanted.file == WEIGHT and not {CARD, WEIGHT} & set(names):
        only = kinds.checkpoints(wanted, names)
        weight = only[0].file if len(only) == 1 else weight
    wished = [weight]
    if kinds.is_pipeline(wanted, names):
        weight, wished = INDEX, [*chosen(names)]
    elif wanted.beside + CARD in names:
        wished = [wanted.beside + CARD, weight, wanted.beside + SAMPLE]
    elif weight == wanted.beside + WEIGHT:  # so other libraries name theirs, too, and tell beside it that it is theirs
        wished = [wanted.beside + CONFIG, weight]
    files = [file for name in wished for file in listed if file.name == name]
    return Offer(wanted, commit, weight, licence, tuple(file for file in files if _wished(file)), names)


def usable(offer: Offer) -> None:
    """Raises:
    ModelError: what would come is no weight of ours nor a checkpoint, or is another file than the one that was listed.
    """
    if offer.weight == INDEX:
        need()
        if (problem := kinds.pickled(offer.wanted, offer.holds)) is not None:
            raise problem
        return
    if offer.weight not in offer.holds:
        raise kinds.missing(offer.wanted) if offer.carded else kinds.unusable(offer.wanted, offer.holds)
    if not (offer.carded or kinds.is_checkpoint(offer.weight)):
        raise kinds.unusable(offer.wanted, offer.holds)
    listed.check(offer.wanted, next((file.sha256 for file in offer.files if file.name == offer.weight), ""))


def _wished(file: File) -> bool:
    """Whether a file is fetched: of one that is of use, but not needed, only what is small."""
    most = {SAMPLE: MOST_SAMPLE, CONFIG: MOST_BYTES}.get(file.name.rpartition("/")[2])
    return most is None or (file.size or 0) <= most


def _file(sibling: Any) -> File:
    lfs = sibling.lfs
    size = None if sibling.size is None else int(sibling.size)
    return File(str(sibling.rfilename), size, str(lfs.sha256) if lfs else "", str(sibling.blob_id or ""))


def _licence(info: Any) -> str:
    """As the metadata say: an identifier, or the name of another licence."""
    data = info.card_data
    told = [getattr(data, key, None) for key in ("license", "license_name")] if data else []
    words = [str(word) for word in told if word and word != "other"]
    tags = [tag.removeprefix("license:") for tag in info.tags or () if str(tag).startswith("license:")]
    text = (words or tags or [""])[-1]
    return "".join(letter if letter.isprintable() else " " for letter in text)[:100]


def _sound(wanted: Reference, name: str = "") -> Card | None:
    """The card of what was pulled under the reference, or of what `name` means here, if its weight is still the one."""
    try:
        card = weights.resolve(name or f"file:{pulled() / wanted.folder}")
        stated = [card.sha256, *(str(line).partition(" ")[0] for line in card.config.get("files", ()))]
        return card if [*map(weights.digest, weights.files(card))] == stated else None
    except (GenrestoreError, OSError):
        return None


# --- one at a time, aside --------------------------------------------------------------------------------------------


@contextmanager
def held(folder: str) -> Generator[None, None, None]:
    """Hold the lock of the model in the folder of that name within the block.

    Raises:
        ModelError: it is being pulled or removed.
    """
    with locks.alone(home() / "incoming" / f"{folder}.lock", LOOK) as free:
        if not free:
            raise ModelError(f"{folder} is being pulled or removed at this moment; try again once that has ended.")
        yield


@contextmanager
def _alone(wanted: Reference, progress: Progress | None, cancel: threading.Event | None) -> Generator[Path, None, None]:
    """Hold the model's lock within the block; yields an empty folder that nobody sees and that is gone afterwards."""
    incoming = home() / "incoming"
    aside = incoming / wanted.folder
    try:
        incoming.mkdir(parents=True, exist_ok=True)
        lock = Lock(incoming / f"{wanted.folder}.lock")
        while not lock.take(LOOK):
            if progress is not None:
                progress(0.0, "another pull of it is running")
            if cancel is not None and cancel.is_set():
                raise Cancelled("Cancelled; nothing was kept.")
        shutil.rmtree(aside, ignore_errors=True)  # of one that was ended by force
        aside.mkdir()
    except OSError as problem:
        raise ModelError(f"{incoming} cannot be written ({problem.strerror}); see GENRESTORE_HOME.") from problem
    try:
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        lock.leave()


def _room(offer: Offer) -> None:
    """Raises:
    ModelError: the disk of the cache has too little room.
    """
    from huggingface_hub import constants

    for place in (Path(constants.HF_HUB_CACHE), home()):
        there = next((folder for folder in (place, *place.parents) if folder.exists()), None)
        needed = offer.bytes if offer.carded or offer.weight == INDEX else CONVERTED * offer.bytes
        free = shutil.disk_usage(there).free if there else needed + SPARE
        if free < needed + SPARE:
            raise ModelError(
                f"The disk is full: {offer.wanted} needs {megabytes(needed)} and {place} has {megabytes(free)} left; "
                "free some space and try again."
            )


def megabytes(size: int) -> str:
    if size >= 1e9:
        return f"{size / 1e9:,.1f} GB"
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"


# --- fetching and checking -------------------------------------------------------------------------------------------


class _Fetched:
    """The files of an offer in the client's cache, each fetched as it is asked for and checked against the Hub's own digest."""

    def __init__(self, offer: Offer, progress: Progress | None, cancel: threading.Event | None) -> None:
        self.offer, self.progress, self.cancel = offer, progress, cancel
        self.files = {file.name: file for file in offer.files}
        self.weight, self.holds = offer.weight, offer.holds
        self.brought: set[str] = set()  # what had not lain in the cache
        self.done, self.begun = 0, time.monotonic()
        self.most = 0  # bytes that may have come once the present file is there

    def has(self, name: str) -> bool:
        return name in self.files

    def __getitem__(self, name: str) -> Path:
        """The path of a file in the cache.

        Raises:
            ModelError: it cannot be had, or it is not what the Hub said; then it is taken out of the cache.
        """
        file, wanted = self.files[name], self.offer.wanted
        before = self.done
        for last in (False, True):
            self.most = self.done + (MOST_BYTES if file.size is None else file.size)
            path = self._download(file)
            if _is(path, file):
                if self.done > before:
                    self.brought.add(name)
                self.done = before + path.stat().st_size
                return path
            fresh = self.done > before
            evict(path)
            if fresh or last:  # else it had lain in the cache, where others may have put it
                break
        raise ModelError(
            f"What came as {file.name} of {wanted} is not what the Hub describes (its sha256 differs); it was removed again."
        )

    def _download(self, file: File) -> Path:
        from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache

        if self.cancel is not None and self.cancel.is_set():
            raise Cancelled("Cancelled; nothing was kept.")
        repository, commit = self.offer.wanted.repository, self.offer.commit
        with client.told(dataclasses.replace(self.offer.wanted, file=file.name)), client.small_pieces():
            if not isinstance(try_to_load_from_cache(repository, file.name, revision=commit), str):
                # says at once that the network has gone, for which the next call would take its time
                get_hf_file_metadata(hf_hub_url(repository, file.name, revision=commit), timeout=client.PROBE)
            return Path(
                hf_hub_download(
                    repository,
                    file.name,
                    revision=commit,
                    etag_timeout=client.PROBE,
                    tqdm_class=client.counter(self._arrived, self.cancel),
                )
            )

    def _arrived(self, count: int) -> None:
        self.done += count
        if self.done > self.most:
            raise ModelError(f"The Hub sends more of {self.offer.wanted} than it said; nothing was kept.")
        if self.progress is None or not self.done:
            return
        whole = max(self.offer.bytes, self.done)
        share = self.done / whole
        seconds = (time.monotonic() - self.begun) * (1 / share - 1)
        left = f"about {round(seconds)} s left" if seconds < 90 else f"about {round(seconds / 60)} min left"
        told = f", {left}" if share > TOLD else " have come"
        self.progress(share, f"{megabytes(self.done)} of {megabytes(whole)}{told}")


def _is(path: Path, file: File) -> bool:
    """Whether the file is the one that the Hub describes."""
    size = path.stat().st_size
    if file.size not in (None, size):
        return False
    if file.sha256:
        return weights.digest(path) == file.sha256
    if file.blob:
        whole = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        with path.open("rb") as content:
            while piece := content.read(client.PIECE):
                whole.update(piece)
        return whole.hexdigest() == file.blob
    return True


def evict(path: Path) -> None:
    """Take a file out of the client's cache: what lies there is believed for ever.

    The cache names its files by links. One that leads out of the cache goes alone, and what it leads to stays.
    """
    named = next((parent.parent for parent in path.parents if parent.name == "snapshots"), None)
    if named is None or not path.parent.resolve().is_relative_to(named.resolve()):
        return
    real = path.resolve()
    path.unlink(missing_ok=True)
    if real.is_relative_to(named.resolve()):
        real.unlink(missing_ok=True)


def _from_cache(wanted: Reference, cancel: threading.Event | None) -> Card | None:
    """What the client once brought here, for whomever, if it is all there and sound; nothing is asked of the Hub."""
    came = _only(wanted) or wanted
    found = _cached(came, wanted.revision or MAIN)
    if came.file not in found:
        return None
    source = found[came.file]
    if wanted.beside + CARD not in found and not _whole(source):
        return None
    commit = next(parent.name for parent in source.parents if parent.parent.name == "snapshots")
    try:
        with _alone(wanted, None, cancel) as aside:
            return _installed(wanted, commit, "", _Lying(found, came.file), aside, None, cancel)
    except ModelError as problem:
        log.warning("What the cache held was passed over: %s", problem)
        return None


def _only(wanted: Reference) -> Reference | None:
    """Where no file is named, the only checkpoint of others that the cache holds of the repository."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    if wanted.file != WEIGHT:
        return None
    try:
        place = Path(snapshot_download(wanted.repository, revision=wanted.revision or MAIN, local_files_only=True))
    except (LocalEntryNotFoundError, OSError, ValueError):
        return None
    names = {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()}
    there = kinds.checkpoints(wanted, names) if not {CARD, WEIGHT} & names else []
    return there[0] if len(there) == 1 else None


def _whole(source: Path) -> bool:
    """Whether a file in the cache is a checkpoint of others and is what it should be: the client names it by its digest."""
    if not kinds.is_checkpoint(source.name) or _headed(source):
        return False
    digest = source.resolve().name
    told = {64: {"sha256": digest}, 40: {"blob": digest}}.get(len(digest))
    return told is not None and _is(source, File(source.name, None, **told))


def _cached(wanted: Reference, revision: str) -> dict[str, Path]:
    """What the client's cache holds of a model's files at a revision, by their names."""
    from huggingface_hub import try_to_load_from_cache

    names = wanted.beside + CARD, wanted.file, wanted.beside + SAMPLE
    found = {name: try_to_load_from_cache(wanted.repository, name, revision=revision) for name in names}
    return {name: Path(path) for name, path in found.items() if isinstance(path, str)}


def forget(wanted: Reference, card: Card) -> None:
    """Take a model's files out of the client's cache; whatever else of the repository lies there stays."""
    if COMMIT.fullmatch(card.revision):
        for one in {wanted, _came(wanted, card)}:
            for path in _cached(one, card.revision).values():
                evict(path)
        if len(weights.files(card)) > 1:
            _forget_all(wanted, card.revision)


def _forget_all(wanted: Reference, commit: str) -> None:
    """Take the files of a pipeline out of the client's cache, by whatever names they have there."""
    from huggingface_hub import try_to_load_from_cache

    if isinstance(index := try_to_load_from_cache(wanted.repository, INDEX, revision=commit), str):
        root = Path(index).parent
        for name in chosen([path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]):
            evict(root / name)


def _came(wanted: Reference, card: Card) -> Reference:
    """The reference with the file that came, which those of others need not have been asked for by name."""
    try:
        source = Reference.parse(str(card.origin.get("source")))
    except ModelError:
        return wanted
    return source if source.repository == wanted.repository else wanted


class _Lying(dict[str, Path]):
    """Files that were found in the cache, as `_Fetched` gives them."""

    def __init__(self, found: dict[str, Path], weight: str) -> None:
        super().__init__(found)
        self.weight, self.holds = weight, tuple(found)
        self.brought = set[str]()

    def has(self, name: str) -> bool:
        return name in self


# --- into the folder -------------------------------------------------------------------------------------------------


def _installed(
    wanted: Reference,
    commit: str,
    licence: str,
    files: "_Fetched | _Lying",
    aside: Path,
    progress: Progress | None,
    cancel: threading.Event | None,
) -> Card:
    """Check the files, put them aside as a weight, and move that to where it is seen."""
    card = _card(wanted, files, aside)
    source = files[files.weight]
    weight = aside / WEIGHT
    ours = card is not None or _headed(source)
    try:
        if ours:
            _same(source, weight)
            card = card or _made(wanted, weight, licence)
            net = weights.check(card)
            if card.architecture in adopted:
                card = _measured(card, files.weight, progress, cancel)
            else:  # the net knows both, whatever its card says
                card = dataclasses.replace(card, size_rule=SizeRule.of(net, {}), inputs=conditions(net))
        else:
            came = Reference(wanted.repository, commit, files.weight)
            card = (
                _pipeline(came, files, aside, licence)
                if files.weight == INDEX
                else _converted(came, source, aside, licence, progress, cancel)
            )
        dataclasses.replace(card, revision=commit).write(aside)
        if files.has(wanted.beside + SAMPLE):
            _portrait(files[wanted.beside + SAMPLE], aside / SAMPLE)
        _shown(aside, pulled() / wanted.folder)
    except ModelError as problem:
        if ours or files.weight in files.brought:  # else another program put it there, which may well have a use for it
            evict(source)
        named = str(wanted) if files.weight == wanted.file != WEIGHT else f"{files.weight} of {wanted}"
        raise ModelError(str(problem).replace(str(weight), named).replace(str(source), named)) from None
    except OSError as problem:
        raise client.sentence(problem, wanted) from problem
    return weights.resolve(f"file:{pulled() / wanted.folder}")


def _card(wanted: Reference, files: "_Fetched | _Lying", aside: Path) -> Card | None:
    """The card that lies beside the weight; None where there is none but the weight may be of use.

    Raises:
        ModelError: it is damaged, or the weight is one of a library whose nets nothing here can read.
    """
    name = wanted.beside + CARD
    if files.has(name):
        if isinstance(files, _Fetched) and (files.files[name].size or 0) > MOST_BYTES:
            raise ModelError(f"{name} of {wanted} is not a genrestore card (it is larger than {MOST_BYTES >> 20} MB).")
        _same(files[name], aside / CARD)
        try:
            return weights.resolve(f"file:{aside}")
        except ModelError as problem:
            raise ModelError(str(problem).replace(str(aside / CARD), f"{name} of {wanted}")) from None
    config = _read(files[wanted.beside + CONFIG]) if files.has(wanted.beside + CONFIG) else None
    if kinds.is_anothers(config):
        raise kinds.unusable(wanted, files.holds)
    return None


def _read(path: Path) -> Any:
    """What a config.json says; None where it is none."""
    try:
        return json.loads(path.read_text("utf-8")) if path.stat().st_size <= MOST_BYTES else None
    except (OSError, ValueError, RecursionError):
        return None


def _headed(path: Path) -> bool:
    """Whether a file carries the header that genrestore writes."""
    from safetensors import SafetensorError

    try:
        weights.header_of(path)
    except (SafetensorError, OSError, ValueError, KeyError, RecursionError):
        return False
    return True


def _converted(
    came: Reference,
    source: Path,
    aside: Path,
    licence: str,
    progress: Progress | None,
    cancel: threading.Event | None,
) -> Card:
    """A checkpoint of others as a weight of ours, aside.

    Args:
        came: the file, at its commit.
    """
    from genrestore.community import convert

    stem = convert.named_after(source.stem)
    own = came.repository.partition("/")[2]
    names = [own] if kinds.GENERIC.fullmatch(stem) else [stem, own]
    name = next(filter(name_of, names), "unnamed")
    return convert.converted(
        source, aside, name=name, licence=licence, source=str(came), progress=_measuring(progress), cancel=cancel
    )


def _measuring(progress: Progress | None) -> Progress:
    """How far a net of others is tried out, told once all has come."""

    def report(share: float, what: str) -> None:
        if progress is not None:
            progress(1.0, f"{what}, {share:.0%} done")

    return report


def _measured(card: Card, name: str, progress: Progress | None, cancel: threading.Event | None) -> Card:
    """See `convert.measured_anew`."""
    from genrestore.community import convert

    return convert.measured_anew(card, name, _measuring(progress), cancel)


def _pipeline(came: Reference, files: "_Fetched | _Lying", aside: Path, licence: str) -> Card:
    """A pipeline of diffusers, aside.

    Args:
        came: its index, at its commit.
    """
    from genrestore.community.diffusion import assembled

    read_index(files[INDEX])  # before the large ones come
    own = came.repository.partition("/")[2]
    brought = {name: files[name] for name in chosen(files.holds)}
    named = own if name_of(own) else "unnamed"
    return assembled(brought, aside, name=named, licence=licence, source=str(came))


def _made(wanted: Reference, weight: Path, licence: str) -> Card:
    """A card for a weight of ours that came without one: what the file and the net themselves tell."""
    net = weights.load_net(weight)
    header = weights.header_of(weight)
    own = wanted.repository.partition("/")[2]
    card = Card(
        name=own if name_of(own) else "unnamed", task=str(header.get("task")), architecture=header["architecture"],
        config=header["config"], parameters=sum(parameter.numel() for parameter in net.parameters()),
        sha256=weights.digest(weight), license=licence, data=(), recipe={}, scale=weights.scale_of(net),
        size_rule=SizeRule.of(net, {}), inputs=conditions(net),
    )  # fmt: skip
    card.write(weight.parent)
    return weights.resolve(f"file:{weight.parent}")


def _same(source: Path, target: Path) -> None:
    """The file under another name, without taking its room twice where the disk allows that."""
    target.unlink(missing_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)


def _portrait(source: Path, target: Path) -> None:
    """A sample picture, if it is one: browsers are shown it."""
    with source.open("rb") as file:
        start = file.read(12)
    if start[:4] == b"RIFF" and start[8:] == b"WEBP":
        _same(source, target)


def _shown(aside: Path, place: Path) -> None:
    """Move a whole weight to where it is seen, in the place of what was pulled under that reference before."""
    place.parent.mkdir(parents=True, exist_ok=True)
    old = aside.with_name(f"{aside.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.replace(old)
    try:
        aside.replace(place)
    except OSError:
        if old.exists():
            old.replace(place)
        raise
    shutil.rmtree(old, ignore_errors=True)
