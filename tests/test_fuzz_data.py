"""Damaged training files of every kind: each is read right or told in one sentence, the same twice, in bounded time and memory.

What a file is decides its name. The readers below run in processes of their own; see `fuzzing`.
"""

import dataclasses
import functools
import hashlib
import io
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzzing import mutated, outcomes
from PIL import Image

from genrestore.data import dataset
from genrestore.models.dcgan import Config
from genrestore.recipe import TrainRecipe
from genrestore.training import checkpoint, runs
from genrestore.training.judge import judge
from genrestore.training.runs import Run
from genrestore.training.train import train

COUNT = 24  # damaged files of each kind
WHOLE = TrainRecipe(batch=4, size=8, leave_out=("broken",), licence="own")
CROPS = dataclasses.replace(WHOLE, degrade="holes:box")


def noise(count: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, *shape), dtype=np.uint8)


def png(picture: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


# --- files of every kind -----------------------------------------------------------------------------------------------


def an_npy() -> bytes:
    file = io.BytesIO()
    np.save(file, noise(20, 9, 10, 3))
    return file.getvalue()


def an_npz(pack: Callable[..., None] = np.savez_compressed) -> bytes:
    file = io.BytesIO()
    pack(file, images=noise(20, 9, 10, 3), labels=np.arange(20) % 4, classes=np.array(["a", "b", "c", "d"]))
    return file.getvalue()


def a_packed_npz() -> bytes:
    pictures = [png(picture) for picture in noise(20, 12, 10, 3)]
    file = io.BytesIO()
    whole = np.frombuffer(b"".join(pictures), np.uint8)
    np.savez(file, png=whole, offsets=np.cumsum([0, *map(len, pictures)]), labels=np.arange(20) % 4)
    return file.getvalue()


def a_zip(packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", packing) as archive:
        for k, picture in enumerate(noise(20, 12, 10, 3)):
            archive.writestr(f"set/{'ab'[k % 2]}/{k}.png", png(picture))
            archive.writestr(f"set/{'ab'[k % 2]}/{k}.txt", f"picture {k}")
        archive.writestr("set/metadata.jsonl", '{"file_name": "a/0.png", "text": "first"}\n')
    return file.getvalue()


@functools.cache
def a_checkpoint() -> bytes:
    """Of a run of one step."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "made.npy", noise(20, 32, 32, 3))
        recipe = TrainRecipe(model="dcgan-cifar10", steps=1, batch=2, size=32, licence="own")
        train(recipe, folder / "made.npy", folder / "run", config=Config(latent=4, width=4))
        return (folder / "run" / checkpoint.FILE).read_bytes()


def a_status() -> bytes:
    status = runs.Status("training", 5, 10, 2.5, 3.0, 120.0, 1e-3, "words", 1, "here", 1.7e9)
    return json.dumps(dataclasses.asdict(status)).encode()


def a_recipe() -> bytes:
    return json.dumps({"recipe": TrainRecipe(model="dcgan-cifar10").to_json(), "data": "here"}, indent=2).encode()


def a_log() -> bytes:
    lines: list[dict[str, Any]] = [{"step": 50 * k, "lr": 1e-3, "losses": {"net": 1 / (k + 1)}} for k in range(40)]
    lines[20:20] = [
        {"step": 1000, "holdout": {"psnr": 20.0}, "better": {"psnr": "higher"}},
        {"step": 1000, "event": "x"},
    ]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


# --- readers -----------------------------------------------------------------------------------------------------------


def read_set(path: Path) -> bytes:
    """What a recipe sees of the pictures; nothing of it is kept for the second reading."""
    whole = hashlib.sha256()
    os.environ["GENRESTORE_HOME"] = f"{path}.home"
    try:
        for recipe in (WHOLE, CROPS):
            pictures = dataset.read(path, recipe)
            for value in dataset.batch(pictures, recipe, 0).values():
                whole.update(value.numpy().tobytes())
            whole.update(repr((pictures.source.sha256, pictures.classes, pictures.captions)).encode())
    finally:
        shutil.rmtree(f"{path}.home", ignore_errors=True)
    return whole.digest()


def read_checkpoint(path: Path) -> bytes:
    saved = checkpoint.read(path.parent)
    recipe = checkpoint.recipe_of(saved)
    checkpoint.check_same(saved, recipe, Config(latent=4, width=4), path.parent)
    return repr((saved["progress"], [(key, value.sum().item()) for key, value in saved["net"].items()])).encode()


def read_run(path: Path) -> bytes:
    run = Run(path.parent)
    found = repr((run.status(), run.log(), judge(run.log()).text, run.asked()))
    return (found + repr(run.recipe() if path.name == "recipe.json" else "")).encode()


def read(path: Path) -> bytes:
    """Whatever the name says it is."""
    if path.name == checkpoint.FILE:
        return read_checkpoint(path)
    return read_set(path) if path.name.startswith("set.") else read_run(path)


# --- the tests ---------------------------------------------------------------------------------------------------------

KINDS: dict[str, tuple[Callable[[], bytes], str]] = {
    "npy": (an_npy, "set.npy"),
    "npz": (an_npz, "set.npz"),
    "npz stored": (lambda: an_npz(np.savez), "set.npz"),
    "npz packed": (a_packed_npz, "set.npz"),
    "zip": (a_zip, "set.zip"),
    "zip lzma": (lambda: a_zip(zipfile.ZIP_LZMA), "set.zip"),
    "zip bzip2": (lambda: a_zip(zipfile.ZIP_BZIP2), "set.zip"),
    "checkpoint": (a_checkpoint, checkpoint.FILE),
    "checkpoint of an earlier version": (
        lambda: a_checkpoint()[: -checkpoint.SEAL - 2] + b"\0\0", checkpoint.FILE,
    ),
    "status": (a_status, "status.json"),
    "recipe": (a_recipe, "recipe.json"),
    "log": (a_log, "log.jsonl"),
}  # fmt: skip


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What becomes of COUNT files of each kind, the first of which is whole: read at once, for a process takes long to start."""
    folder = tmp_path_factory.mktemp("damaged")
    files: dict[str, list[Path]] = {kind: [] for kind in KINDS}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENRESTORE_HOME", str(folder / "home"))
        patch.setenv("OMP_NUM_THREADS", "1")
        for kind, (make, name) in KINDS.items():
            (folder / kind).mkdir()
            whole = make()
            for seed in range(COUNT):
                path = folder / kind / f"{seed}" / name
                path.parent.mkdir()
                path.write_bytes(mutated(whole, seed) if seed else whole)
                files[kind].append(path)
        told = iter(outcomes("test_fuzz_data:read", [path for paths in files.values() for path in paths]))
    return {kind: [f"{next(told)} ({path})" for path in paths] for kind, paths in files.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files(kind: str, found: dict[str, list[str]]) -> None:
    broken = [outcome for outcome in found[kind] if outcome.startswith("broke")]
    assert not broken, f"{len(broken)} of {COUNT}, the first: {broken[0]}"
    assert found[kind][0].startswith("right"), found[kind][0]
    said = sum(outcome.startswith("said") for outcome in found[kind])
    least = {
        "checkpoint": COUNT - 3,
        "status": 0,
        "log": 0,
    }  # each carries its hash; what is no line of ours is passed over
    assert said >= least.get(kind, COUNT // 10), "hardly anything was damaged, or nobody noticed"
