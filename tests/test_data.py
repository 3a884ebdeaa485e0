"""Data sets of every form, and the batches made of them."""

import dataclasses
import errno
import gzip
import io
import itertools
import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
import threading
import tracemalloc
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from genrestore.card import DataSource
from genrestore.data import cache, dataset, sources
from genrestore.data.facts import Facts
from genrestore.errors import Cancelled, TrainingError
from genrestore.recipe import TrainRecipe

RECIPE = TrainRecipe(frame="crop", batch=4, size=16, augment=("mirror", "turn"), degrade="holes:box", seed=3)
WHOLE = TrainRecipe(batch=4, size=8, augment=("mirror",), seed=3)


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("GENRESTORE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Seven small pictures of several formats, modes and sizes, one of them in a folder below."""
    root = tmp_path / "pictures"
    (root / "below").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for k, name in enumerate(["a.png", "b.jpg", "c.webp", "d.bmp", "e.tif", "f.PNG", "below/g.png"]):
        picture = Image.fromarray(rng.integers(0, 256, (20 + k, 30 - k, 3), dtype=np.uint8))
        (picture.convert("L") if name == "f.PNG" else picture).save(root / name)
    (root / "notes.md").write_text("not a picture")
    (root / ".hidden.png").write_bytes((root / "a.png").read_bytes())
    return root


def packed(arrays: list[np.ndarray], **more: Any) -> dataset.Pictures:
    """Pictures (H, W, C) uint8 in memory."""
    shapes = np.array([array.shape for array in arrays], dtype=np.int64)
    sizes = shapes.prod(1)
    pixels = np.concatenate([array.reshape(-1) for array in arrays])
    return dataset.Pictures(DataSource("made", len(arrays), "", ""), pixels, shapes, np.cumsum(sizes) - sizes, **more)


def noise(count: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, *shape), dtype=np.uint8)


def left(home: Path) -> list[str]:
    """What lies among the decoded pictures, but for the memory of digests."""
    return sorted(path.name for path in (home / "decoded").glob("*") if path.name != "digests")


# --- folders and their cache -----------------------------------------------------------------------------------------


def test_folder_is_decoded_once_and_kept(folder: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = dataset.read(folder, dataclasses.replace(RECIPE, licence="CC0-1.0"))
    assert len(first) == 7 and first.source.count == 7 and first.source.licence == "CC0-1.0"
    assert first.channels == 3
    assert np.array_equal(first[0], np.asarray(Image.open(folder / "a.png")))
    assert len(left(own_home)) == 1 and left(own_home)[0].endswith("-full")
    monkeypatch.setattr(cache, "_decode_into", None)  # a second pass would call it
    assert dataset.read(folder, RECIPE).source.sha256 == first.source.sha256


def test_content_hash_follows_the_content_and_is_remembered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = dataset.read(folder, RECIPE).source.sha256
    read: list[str] = []
    digest = sources.hashlib.file_digest

    def counted(file: Any, kind: str) -> Any:
        read.append(Path(file.name).name)
        return digest(file, kind)

    monkeypatch.setattr(sources.hashlib, "file_digest", counted)
    assert dataset.read(folder, RECIPE).source.sha256 == before and read == []
    (folder / "a.png").write_bytes((folder / "f.PNG").read_bytes())
    assert dataset.read(folder, RECIPE).source.sha256 != before and read == ["a.png"]


def test_a_cache_that_is_not_whole_is_made_anew(folder: Path, own_home: Path) -> None:
    first = dataset.read(folder, RECIPE)
    kept = own_home / "decoded" / left(own_home)[0]
    for damage in (lambda: os.truncate(kept / "pixels.bin", 100), (kept / "shapes.npy").unlink):
        damage()
        again = dataset.read(folder, RECIPE)
        assert all(np.array_equal(first[k], again[k]) for k in range(7))


def test_a_process_that_comes_second_takes_the_firsts(
    folder: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one decodes, another finishes: its folder, from which it may be reading, stays."""
    decode_into = cache._decode_into
    monkeypatch.setattr(cache, "_decode_into", lambda *arguments: (decode_into(*arguments), first()))
    inode: list[int] = []

    def first() -> None:
        monkeypatch.setattr(cache, "_decode_into", decode_into)
        dataset.read(folder, RECIPE)
        inode.append((own_home / "decoded" / left(own_home)[0]).stat().st_ino)

    assert len(dataset.read(folder, RECIPE)) == 7
    assert [path.stat().st_ino for path in (own_home / "decoded").glob("*-full")] == inode
    assert len(left(own_home)) == 1


def test_whole_pictures_are_resized_as_they_are_decoded(tmp_path: Path, own_home: Path) -> None:
    for k in range(16):
        Image.fromarray(noise(1, 200 + k, 300, 3)[0]).save(tmp_path / f"{k}.png")
    pictures = dataset.read(tmp_path, dataclasses.replace(WHOLE, size=12))
    assert {tuple(shape) for shape in pictures.shapes} == {(12, 12, 3)}
    assert (own_home / "decoded" / left(own_home)[0] / "pixels.bin").stat().st_size == 16 * 12 * 12 * 3
    assert left(own_home)[0].endswith("-12")


def test_a_full_disk_is_told_before_decoding(folder: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(folder)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    monkeypatch.setattr(cache, "_decode_into", None)
    with pytest.raises(TrainingError, match=r"needs 0\.0 GB in .*decoded, where 0\.0 GB are free; free some room"):
        dataset.read(folder, RECIPE)
    assert left(own_home) == []


def test_a_disk_that_fills_up_leaves_nothing(folder: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Facts, path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Facts, "write", full)
    with pytest.raises(TrainingError, match=r"the disk is full.*GENRESTORE_HOME"):
        dataset.read(folder, RECIPE)
    assert left(own_home) == []


def flat_png(width: int, height: int) -> bytes:
    """A PNG whose header tells that size; of its pixels hardly one is there."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # which the package leaves to its own limits
@pytest.mark.parametrize("recipe", [RECIPE, WHOLE], ids=["crops", "whole"])
@pytest.mark.parametrize("form", ["folder", "zip", "npz"])
def test_pictures_far_larger_than_their_files_are_refused_by_their_headers(
    recipe: TrainRecipe, form: str, tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixteen pictures of 162 megapixels in 5 kB would be 7.8 GB; whole ones too, for each is decoded before it is scaled."""
    monkeypatch.setattr(cache, "_decode_into", None)
    root = tmp_path / "set"
    root.mkdir()
    for k in range(16):
        (root / f"{k}.png").write_bytes(flat_png(13_500, 12_000))
    path = root
    if form == "zip":
        path = zipped(root, tmp_path / "set.zip")
    elif form == "npz":
        whole = b"".join((root / f"{k}.png").read_bytes() for k in range(16))
        np.savez(tmp_path / "set.npz", png=np.frombuffer(whole, np.uint8), offsets=np.arange(17) * len(whole) // 16)
        path = tmp_path / "set.npz"
    with pytest.raises(TrainingError, match=r"decodes to 7\.8 GB, more than 1000 times its size"):
        dataset.read(path, recipe)
    assert left(own_home) == []


def sets(root: Path, count: int) -> list[Path]:
    """Folders of four pictures, each of which decodes to 4 · 1200 bytes and a few more for its facts."""
    made: list[Path] = []
    for k in range(count):
        made.append(root / f"set-{k}")
        made[-1].mkdir()
        for number, picture in enumerate(np.random.default_rng(k).integers(0, 256, (4, 20, 20, 3), dtype=np.uint8)):
            Image.fromarray(picture).save(made[-1] / f"{number}.png")
    return made


def taken(home: Path) -> list[str]:
    return [name.partition("-full")[0].rpartition("-")[0][-5:] for name in left(home)]


def test_decoded_pictures_have_a_bound_and_the_least_used_go_first(
    tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third, fourth = sets(tmp_path, 4)
    dataset.read(first, RECIPE)
    each = cache._size(own_home / "decoded" / left(own_home)[0])
    monkeypatch.setenv("GENRESTORE_CACHE_GB", str(3.5 * each / 1e9))
    for age, folder in ((300, first), (200, second), (100, third)):
        dataset.read(folder, RECIPE)
        newest = max((own_home / "decoded").glob("*/used"), key=lambda path: path.stat().st_mtime)
        then = newest.stat().st_mtime - age
        os.utime(newest, (then, then))
    dataset.read(first, RECIPE)  # used again
    dataset.read(fourth, RECIPE)
    assert taken(own_home) == ["set-0", "set-2", "set-3"]
    assert cache.empty() == pytest.approx(3 * each, rel=0.02) and left(own_home) == [] and cache.empty() == 0
    monkeypatch.setenv("GENRESTORE_CACHE_GB", "0.000001")
    with pytest.raises(
        TrainingError, match=r"more than the 0\.0 GB that decoded pictures may take.*GENRESTORE_CACHE_GB to 1"
    ):
        dataset.read(first, RECIPE)
    for wrong in ("much", "-1", "nan"):
        monkeypatch.setenv("GENRESTORE_CACHE_GB", wrong)
        with pytest.raises(TrainingError, match="must be a number of gigabytes"):
            dataset.read(first, RECIPE)
    monkeypatch.delenv("GENRESTORE_CACHE_GB")
    assert cache.cache_limit() == cache.CACHE
    monkeypatch.setenv("GENRESTORE_PUBLIC", "1")
    assert cache.cache_limit() == cache.CACHE_PUBLIC


def test_pictures_in_use_stay(tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here or in another process; a copy that is sent to a process which prepares batches holds nothing."""
    monkeypatch.setattr(dataset, "MEMORY", 100)
    pictures = dataset.read(sets(tmp_path, 1)[0], RECIPE)
    code = "import pickle, sys; from genrestore.data import cache; copy = pickle.load(sys.stdin.buffer); cache.empty()"
    subprocess.run([sys.executable, "-c", code], input=pickle.dumps(pictures.pixels), check=True, timeout=60)
    assert cache.empty() == 0 and len(left(own_home)) == 1
    copy = pickle.loads(pickle.dumps(pictures.pixels))
    assert np.array_equal(copy[0:1200], pictures[0].reshape(-1)) and len(copy[0:1200]) == 1200
    del pictures
    assert cache.empty() > 4800 and left(own_home) == []
    with pytest.raises(TrainingError, match="are gone"):
        copy[0:10]


@pytest.mark.parametrize("damage", [b"", b"nothing", b"\x93NUMPY\x01\x00v\x00{'descr': '<i8'"])
@pytest.mark.parametrize("name", ["shapes.npy", "facts.npz"])
def test_what_is_damaged_among_the_decoded_pictures_is_made_anew(
    damage: bytes, name: str, folder: Path, own_home: Path
) -> None:
    first = dataset.read(folder, RECIPE)
    (own_home / "decoded" / left(own_home)[0] / name).write_bytes(damage)
    again = dataset.read(folder, RECIPE)
    assert all(np.array_equal(first[k], again[k]) for k in range(7))
    for memory in (own_home / "decoded" / "digests").iterdir():
        for strange in (b"[]", b'{"a.png": 3}', b'{"a.png": [1, 2, "x"]}', b"[" * 10_000, b"\xff"):
            memory.write_bytes(strange)
            assert dataset.read(folder, RECIPE).source.sha256 == first.source.sha256


def test_large_pictures_are_at_work_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight threads with a picture of 178 megapixels each would take gigabytes."""
    monkeypatch.setattr(sources, "THREADS", 4)
    busy, most, guard = 0, 0, threading.Lock()

    def work(k: int) -> int:
        nonlocal busy, most
        with guard:
            busy, most = busy + weights[k], max(most, busy + weights[k])
        threading.Event().wait(0.002)
        with guard:
            busy -= weights[k]
        return k

    weights = [sources.HELD // 3, 10, 2 * sources.HELD, 5, sources.HELD // 2, sources.HELD] * 5
    assert list(sources.ordered(work, range(30), weights=weights)) == list(range(30))
    assert most == 2 * sources.HELD, "one that is larger than all may take is at work alone"
    assert list(sources.ordered(lambda k: k, range(100))) == list(range(100))


def test_reading_tells_how_far_it_is_and_can_be_cancelled(folder: Path, own_home: Path) -> None:
    heard: list[tuple[float, str]] = []
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        dataset.read(folder, RECIPE, cancel=cancel)
    assert left(own_home) == []
    dataset.read(folder, RECIPE, progress=lambda share, text: heard.append((share, text)))
    shares = [share for share, _ in heard]
    assert shares == sorted(shares) and shares[-1] == 1 and heard[-1][1].endswith("7 of 7")


# --- flawed pictures -------------------------------------------------------------------------------------------------


def test_a_broken_file_is_named_and_can_be_left_out(folder: Path) -> None:
    sound = dataset.read(folder, RECIPE)
    (folder / "below" / "broken.png").write_bytes((folder / "a.png").read_bytes()[:200])
    with pytest.raises(
        TrainingError,
        match=r"^below/broken\.png is cut off before its end; .*--leave-out broken, or the box on the page\)\.$",
    ):
        dataset.read(folder, RECIPE)
    (folder / "zzz.jpg").write_bytes(b"")
    with pytest.raises(TrainingError, match=r"broken\.png .*, and 1 more; "):
        dataset.read(folder, RECIPE)
    pictures = dataset.read(folder, dataclasses.replace(RECIPE, leave_out=("broken",)))
    assert len(pictures) == pictures.source.count == 7
    assert all(np.array_equal(pictures[k], sound[k]) for k in range(7))


def test_pictures_smaller_than_a_crop_are_named_and_can_be_left_out(folder: Path) -> None:
    with pytest.raises(
        TrainingError, match=r"a\.png is 30×20 .*smaller than the training crop of 22.*--leave-out tiny"
    ):
        dataset.read(folder, dataclasses.replace(RECIPE, size=22))
    pictures = dataset.read(folder, dataclasses.replace(RECIPE, size=22, leave_out=("tiny",)))
    assert len(pictures) == 5 and pictures.shapes[:, :2].min() >= 22
    with pytest.raises(TrainingError, match="1 picture is too few"):
        dataset.read(folder, dataclasses.replace(RECIPE, size=25, leave_out=("tiny",)))


def test_too_few_pictures(folder: Path) -> None:
    with pytest.raises(TrainingError, match="7 pictures are too few to learn from; this model needs at least 16"):
        dataset.read(folder, WHOLE)
    for name in ("a.png", "b.jpg", "c.webp", "d.bmp"):
        (folder / name).unlink()
    with pytest.raises(TrainingError, match="3 pictures are too few to learn from; this model needs at least 4"):
        dataset.read(folder, RECIPE)


def test_bad_references_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="check the name"):
        dataset.read(tmp_path / "nowhere", RECIPE)
    (tmp_path / "empty").mkdir()
    with pytest.raises(TrainingError, match="no picture in"):
        dataset.read(tmp_path / "empty", RECIPE)
    with pytest.raises(TrainingError, match="augmentation named 'spin'"):
        dataset.read(tmp_path / "empty", dataclasses.replace(RECIPE, augment=("spin",)))
    with pytest.raises(TrainingError, match="size must be a multiple of 4"):
        dataset.read(tmp_path / "empty", dataclasses.replace(RECIPE, degrade="shrink:4", size=18))
    for name in ("bad.zip", "bad.npz", "bad.npy"):
        (tmp_path / name).write_bytes(b"nothing of the kind")
        with pytest.raises(TrainingError, match=rf"{name} cannot be read"):
            dataset.read(tmp_path / name, RECIPE)


# --- labels and captions ---------------------------------------------------------------------------------------------


def classified(root: Path) -> Path:
    for label, name in enumerate(("cat", "dog")):
        (root / name / "more").mkdir(parents=True)
        for k in range(8):
            shade = np.full((8, 8, 3), 100 * label + k, np.uint8)
            Image.fromarray(shade).save(root / name / ("more" if k % 2 else "") / f"{k}.png")
    return root


def test_class_folders_are_labels(tmp_path: Path) -> None:
    pictures = dataset.read(classified(tmp_path / "set"), dataclasses.replace(WHOLE, batch=16))
    assert pictures.classes == ("cat", "dog") and pictures.labels is not None
    batch = dataset.batch(pictures, dataclasses.replace(WHOLE, batch=16), 0)
    assert batch["label"].dtype == torch.int64
    assert torch.equal(batch["label"], (batch["image"].mean((1, 2, 3)) * 255 > 50).long())
    assert "text" not in batch
    Image.new("RGB", (8, 8)).save(tmp_path / "set" / "loose.png")
    assert dataset.read(tmp_path / "set", WHOLE).labels is None


def test_captions_beside_pictures_and_in_tables(tmp_path: Path) -> None:
    root = classified(tmp_path / "set")
    (root / "cat" / "0.txt").write_text("a grey\n cat ", "utf-8")
    (root / "metadata.jsonl").write_text(
        json.dumps({"file_name": "dog/2.png", "text": "x" + "ü" * 100}) + "\n", "utf-8"
    )
    plain = dataset.read(root, WHOLE)
    assert len(plain.captions) == 16 and sorted(filter(None, plain.captions)) == ["a grey cat", "x" + "ü" * 100]
    recipe = dataclasses.replace(WHOLE, batch=16)
    batch = dataset.batch(plain, recipe, 0)
    assert batch["text"].shape == (16, 128) and batch["text"].dtype == torch.uint8
    texts = {bytes(row.tolist()).rstrip(b"\0").decode() for row in batch["text"]}
    assert texts == {"", "a grey cat", "x" + "ü" * 63}
    (root / "captions.csv").write_text('file_name,text\ncat/0.png,"first, of all"\n', "utf-8")
    table = dataset.read(root, WHOLE)
    assert "first, of all" in table.captions and "a grey cat" not in table.captions
    assert table.source.sha256 != plain.source.sha256, "captions are content"
    images = np.zeros((16, 8, 8, 3), np.uint8)
    np.savez(tmp_path / "told.npz", images=images, captions=np.array(["a  cat"] + [""] * 15))
    assert dataset.read(tmp_path / "told.npz", WHOLE).captions == ("a cat", *[""] * 15)
    for wrong in (np.array(["a cat"]), np.zeros(16, np.int64)):
        np.savez(tmp_path / "told.npz", images=images, captions=wrong)
        with pytest.raises(TrainingError, match="captions must be 16 texts"):
            dataset.read(tmp_path / "told.npz", WHOLE)
    (root / "captions.csv").write_text("name;words\n", "utf-8")
    assert dataset.read(root, WHOLE).captions == plain.captions
    (root / "captions.csv").write_text("name;words\na;b\n", "utf-8")
    with pytest.raises(TrainingError, match=r"captions\.csv needs the columns file_name and text"):
        dataset.read(root, WHOLE)


def test_a_caption_that_is_too_long_is_not_called_a_missing_column() -> None:
    with pytest.raises(TrainingError, match=r"captions\.csv cannot be read \(field larger than .*shorten its captions"):
        sources._caption_table("captions.csv", "file_name,text\na.png," + "x" * 200_000)


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_captions_have_a_length(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """200 MB of one letter beside each of 20 pictures pack to 4 MB; nothing of them is read."""
    root = classified(tmp_path / "set")
    (root / "cat" / "0.txt").write_bytes(b"a" * (sources.CAPTION + 1))
    path = root if form == "folder" else zipped(root, tmp_path / "set.zip")
    with pytest.raises(
        TrainingError, match=r"cat/0\.txt has 65\.5 kB, more than the 65\.5 kB of a caption; shorten it"
    ):
        dataset.read(path, WHOLE)
    (root / "cat" / "0.txt").write_bytes(b"a" * sources.CAPTION)
    (root / "dog" / "0.txt").write_bytes(b"b")
    assert len(dataset.read(path if form == "folder" else zipped(root, path), WHOLE).captions) == 16
    monkeypatch.setattr(sources, "CAPTIONS", sources.CAPTION)
    with pytest.raises(TrainingError, match=r"captions have more than 65\.5 kB together"):
        dataset.read(path, WHOLE)
    monkeypatch.setattr(sources, "TABLE", 3)
    (root / "captions.csv").write_text("file_name,text\n")
    with pytest.raises(TrainingError, match=r"captions\.csv has more than"):
        dataset.read(root, WHOLE)
    (root / "captions.csv").unlink()
    (root / "metadata.jsonl").write_text("[" * 10_000)
    monkeypatch.undo()
    monkeypatch.setenv("GENRESTORE_HOME", str(tmp_path / "home"))
    assert len(dataset.read(root, WHOLE).captions) == 16, "a table of something else is passed over"


# --- zip -------------------------------------------------------------------------------------------------------------


def zipped(root: Path, path: Path, prefix: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(root.rglob("*")):
            if file.is_file():
                archive.write(file, f"{prefix}{file.relative_to(root).as_posix()}")
    return path


def test_a_zip_gives_what_its_folder_gives(folder: Path, tmp_path: Path) -> None:
    archive = zipped(folder, tmp_path / "set.zip", "holiday/")
    with zipfile.ZipFile(archive, "a") as more:
        more.writestr("__MACOSX/holiday/a.png", b"a Mac's own notes")
    pictures, reference = dataset.read(archive, RECIPE), dataset.read(folder, RECIPE)
    assert len(pictures) == 7 and pictures.source.name == "set"
    shades = [sorted(int(each[k].sum()) for k in range(7)) for each in (pictures, reference)]
    assert shades[0] == shades[1]
    labelled = dataset.read(zipped(classified(tmp_path / "set"), tmp_path / "labelled.zip", "top/"), WHOLE)
    assert labelled.classes == ("cat", "dog")


@pytest.mark.parametrize("name", ["../evil.png", "/tmp/evil.png", "a/../../evil.png", "..\\evil.png", "C:\\evil.png"])
def test_names_outside_of_the_archive_are_refused(name: str, folder: Path, tmp_path: Path) -> None:
    archive = zipped(folder, tmp_path / "set.zip")
    with zipfile.ZipFile(archive, "a") as more:
        more.writestr(name, (folder / "a.png").read_bytes())
    with pytest.raises(TrainingError, match="outside of the archive"):
        dataset.read(archive, RECIPE)
    assert not list(tmp_path.rglob("evil.png"))


def test_bombs_are_refused_before_they_go_off(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """65 MB of zeros pack to 65 kB; a public page takes pictures of 64 MB."""
    archive = zipped(folder, tmp_path / "set.zip")
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as more:
        more.writestr("bomb.png", bytes(65 << 20))
    monkeypatch.setattr(zipfile.ZipFile, "read", None)
    monkeypatch.setenv("GENRESTORE_PUBLIC", "1")
    with pytest.raises(TrainingError, match=r"bomb\.png in set\.zip unpacks to 68\.2 MB"):
        dataset.read(archive, RECIPE)
    monkeypatch.delenv("GENRESTORE_PUBLIC")
    monkeypatch.setattr(sources, "UNPACKED", 1 << 20)
    with pytest.raises(TrainingError, match=r"set\.zip unpacks to"):
        dataset.read(archive, RECIPE)
    monkeypatch.setattr(sources, "MEMBERS", 3)
    with pytest.raises(TrainingError, match="files, more than 3"):
        dataset.read(archive, RECIPE)


def test_a_member_that_lies_about_its_size_is_broken(folder: Path, tmp_path: Path) -> None:
    """The size in the directory is set to 10 bytes: no more than these are unpacked, and the check sum is wrong."""
    archive = zipped(folder, tmp_path / "set.zip")
    with zipfile.ZipFile(archive) as whole:
        size = whole.getinfo("a.png").file_size
    content = bytearray(archive.read_bytes())
    place = content.rindex(b"a.png") - 46 + 24  # of the uncompressed size in the central directory
    assert struct.unpack_from("<I", content, place) == (size,)
    struct.pack_into("<I", content, place, 10)
    archive.write_bytes(content)
    with pytest.raises(TrainingError, match=r"^a\.png is damaged in the archive"):
        dataset.read(archive, RECIPE)
    assert len(dataset.read(archive, dataclasses.replace(RECIPE, leave_out=("broken",)))) == 6


def test_encrypted_archives_are_refused(folder: Path, tmp_path: Path) -> None:
    archive = zipped(folder, tmp_path / "set.zip")
    content = bytearray(archive.read_bytes())
    content[content.rindex(b"a.png") - 46 + 8] |= 1  # the flag in the central directory
    archive.write_bytes(content)
    with pytest.raises(TrainingError, match="encrypted"):
        dataset.read(archive, RECIPE)


# --- arrays ----------------------------------------------------------------------------------------------------------


def test_npz_of_arrays_and_of_encoded_pictures(tmp_path: Path) -> None:
    images = noise(16, 8, 8, 3)
    np.savez(tmp_path / "plain.npz", images=images, labels=np.arange(16), test_images=images[:2])
    buffers = []
    for picture in images:
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "PNG")
        buffers.append(np.frombuffer(buffer.getvalue(), dtype=np.uint8))
    offsets = np.cumsum([0, *map(len, buffers)])
    np.savez_compressed(tmp_path / "packed.npz", train_png=np.concatenate(buffers), train_offsets=offsets)
    for name in ("plain", "packed"):
        pictures = dataset.read(tmp_path / f"{name}.npz", WHOLE)
        assert len(pictures) == 16 and all(np.array_equal(pictures[k], images[k]) for k in range(16))
    labelled = dataset.read(tmp_path / "plain.npz", WHOLE)
    assert labelled.classes == tuple(map(str, range(16)))
    drawn = dataset.batch(labelled, dataclasses.replace(WHOLE, augment=(), batch=16), 0)
    assert sorted(drawn["label"].tolist()) == list(range(16))
    for image, label in zip(drawn["image"], drawn["label"], strict=True):
        assert np.array_equal((image * 255).round().byte().permute(1, 2, 0), images[label])


@pytest.mark.parametrize(
    "array, expected",
    [
        (noise(16, 8, 8), noise(16, 8, 8)[..., None]),
        (noise(16, 8, 8, 4), noise(16, 8, 8, 4)[..., :3]),
        (noise(16, 8, 8, 2), noise(16, 8, 8, 2)[..., :1]),
        (noise(16, 3, 8, 8), noise(16, 3, 8, 8).transpose(0, 2, 3, 1)),
        (noise(16, 8, 8, 3) > 127, (noise(16, 8, 8, 3) > 127) * np.uint8(255)),
        (noise(16, 8, 8, 3) / 255.0, noise(16, 8, 8, 3)),
        ((noise(16, 8, 8, 3) / 255).astype(np.float16), noise(16, 8, 8, 3)),
        (noise(16, 8, 8, 3).astype(">u2") * 257, noise(16, 8, 8, 3)),
    ],
    ids=["grey", "alpha", "grey+alpha", "planes", "bool", "float64", "float16", "uint16"],
)
def test_arrays_of_every_kind(array: np.ndarray, expected: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "set.npy", array)
    np.savez(tmp_path / "set.npz", images=array)
    for name in ("set.npy", "set.npz"):
        pictures = dataset.read(tmp_path / name, WHOLE)
        assert pictures.channels == expected.shape[3]
        assert all(np.array_equal(pictures[k], expected[k]) for k in range(16))


@pytest.mark.parametrize(
    "arrays, words",
    [
        ({"numbers": np.zeros(3)}, "holds numbers; it needs"),
        ({"images": np.zeros((16, 8, 8), np.int64)}, "images must be uint8.*not int64"),
        ({"images": np.zeros((16, 8, 8, 8), np.uint8)}, "could be anything"),
        ({"images": np.zeros((480, 640, 3), np.uint8)}, "could be anything"),
        ({"images": np.full((16, 8, 8), 1.5)}, r"from 1\.5 to 1\.5; floats must lie in \[0, 1\]"),
        ({"images": np.full((16, 8, 8), np.nan)}, "floats must lie"),
        ({"images": np.zeros((0, 8, 8), np.uint8)}, "holds no picture"),
        ({"images": np.asfortranarray(noise(16, 8, 8))}, "Fortran order"),
        ({"images": noise(16, 8, 8), "labels": np.zeros(3, int)}, "labels must be 16 whole numbers"),
        ({"images": noise(16, 8, 8), "labels": np.arange(16), "classes": ["a"]}, "only 1 names"),
        ({"images": noise(16, 8, 8), "labels": np.array([None] * 16)}, "labels.npy must be one row of"),
        ({"images": noise(16, 8, 8), "labels": np.full(16, 10**10)}, "there is a label 10000000000; labels count"),
        (
            {"images": noise(16, 8, 8), "labels": np.full(16, 2**64 - 1, np.uint64)},
            "there is a label 18446744073709551615",
        ),
        ({"images": noise(16, 8, 8), "classes": np.array([["a"]])}, "classes.npy must be one row"),
        ({"images": np.array([{}] * 16)}, "images must be uint8"),
        ({"png": noise(16), "offsets": np.array([0, 9, 40])}, "offsets must be"),
        ({"png": noise(16), "offsets": np.array([0, 9, 9])}, "offsets must be"),
        ({"png": noise(16), "offsets": np.array([0, 9, 3], np.uint64)}, "offsets must be"),
        ({"png": noise(16), "offsets": np.array([2**63, 2**63 + 9], np.uint64)}, "offsets must be"),
        ({"png": noise(16), "offsets": np.array([], int)}, "holds no picture"),
        ({"png": noise(16), "offsets": np.array([0])}, "holds no picture"),
        ({"png": noise(16), "offsets": np.array(0)}, "offsets.npy must be one row"),
    ],
)
def test_unfit_arrays_are_explained(arrays: dict[str, Any], words: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", **arrays)
    with pytest.raises(TrainingError, match=words):
        dataset.read(tmp_path / "set.npz", WHOLE)


def header(shape: str, kind: str = "|u1") -> bytes:
    """An .npy of 128 bytes that says it holds an array of that shape."""
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            header("(300000000, 32, 32, 3)"),
            "cut off before its end: 300000000 pictures take 922 GB, and it holds 0.128 kB",
        ),
        (header("(-5, 32, 32, 3)"), "an array of a negative size"),
        (header("(5, 1099511627776, 1099511627776, 3)"), "cut off before its end"),
        (header("(1, 4294967296, 4294967296, 3)"), "cut off before its end"),
        (header("(16, 32, 32, 3)", "|O"), "images must be uint8, .*, not object"),
        (header("()"), "images must be uint8"),
        (header("(" * 300 + ")" * 300), "cannot be read"),
        (header("(1e3, 32, 32, 3)"), "cannot be read"),
        (header("(16, 32, 32, 3)", ">Q9"), "cannot be read"),
        (b"\x93NUMPY\x03\x00" + bytes(100), "holds an array with named fields"),
        (b"\x93NUMPY\x09\x00" + bytes(100), "holds an array with named fields"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + bytes(100), "a header that makes no sense"),
        (b"", "cannot be read"),
    ],
)
def test_headers_that_claim_more_than_there_is(content: bytes, words: str, tmp_path: Path) -> None:
    """Nothing is made that is as large as what they claim; as an array of an .npz they say the same."""
    tracemalloc.start()
    (tmp_path / "set.npy").write_bytes(content)
    with pytest.raises(TrainingError, match=words) as told:
        dataset.read(tmp_path / "set.npy", WHOLE)
    assert "\n" not in str(told.value)
    for name in ("labels", "classes", "offsets", "images"):
        with zipfile.ZipFile(tmp_path / "set.npz", "w") as archive:
            archive.writestr(f"{name}.npy", content)
            if name != "images":
                archive.writestr("images.npy", header("(300000000, 32, 32, 3)"))
        with pytest.raises(TrainingError) as told:
            dataset.read(tmp_path / "set.npz", WHOLE)
        assert "\n" not in str(told.value) and len(str(told.value)) < 500
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


def test_small_files_that_unpack_to_far_more_than_pictures_do(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Zeros pack to a thousandth. Sets that are small anyway may be as empty as they like."""
    np.savez_compressed(tmp_path / "set.npz", images=np.zeros((16, 200, 200, 3), np.uint8))
    archive = zipped(folder, tmp_path / "set.zip")
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as more:
        more.writestr("readme.md", bytes(20 << 20))
    assert len(dataset.read(tmp_path / "set.npz", WHOLE)) == 16
    with pytest.raises(TrainingError, match=r"set\.zip unpacks to 21 MB, more than 200 times its size"):
        dataset.read(archive, RECIPE)
    monkeypatch.setattr(sources, "TRIVIAL", 1 << 20)
    with pytest.raises(TrainingError, match=r"set\.npz unpacks to 1\.92 MB, more than 200 times its size"):
        dataset.read(tmp_path / "set.npz", WHOLE)


def test_more_pictures_than_can_be_told_apart_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "PICTURES", 10)
    np.save(tmp_path / "set.npy", noise(16, 8, 8))
    for reference in (tmp_path / "set.npy", "torchvision:FakeData?size=16"):
        with pytest.raises(TrainingError, match=r"holds 16 pictures, more than 10; split it"):
            dataset.read(reference, WHOLE)


def test_what_numbered_pictures_are_called() -> None:
    names = sources.Numbered(3)
    assert list(names) == ["picture 1", "picture 2", "picture 3"] and names[-1] == "picture 3"
    assert names[1:] == ["picture 2", "picture 3"] and names[int(np.int64(0))] == "picture 1"
    with pytest.raises(IndexError):
        names[3]


def test_a_cut_array_is_told(tmp_path: Path) -> None:
    np.save(tmp_path / "set.npy", noise(16, 8, 8))
    os.truncate(tmp_path / "set.npy", 800)
    with pytest.raises(TrainingError, match="cut off before its end"):
        dataset.read(tmp_path / "set.npy", WHOLE)


# --- torchvision -----------------------------------------------------------------------------------------------------


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    """Twenty digits in the files that MNIST is published as."""
    pytest.importorskip("torchvision")
    raw = tmp_path / "root" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in (("train", 20), ("t10k", 2)):
        images, labels = noise(count, 28, 28), np.arange(count, dtype=np.uint8) % 10
        (raw / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 2051, count, 28, 28) + images.tobytes())
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 2049, count) + labels.tobytes())
        with gzip.open(raw / f"{part}-images-idx3-ubyte.gz", "wb") as packed:
            packed.write(images.tobytes())
    return tmp_path / "root"


def test_torchvision_sets_by_name(mnist: Path, own_home: Path) -> None:
    recipe = dataclasses.replace(WHOLE, size=28)
    pictures = dataset.read(f"torchvision:MNIST@{mnist}", recipe)
    assert len(pictures) == 20 and pictures.channels == 1 and pictures.source.name == "MNIST"
    assert np.array_equal(pictures[3][..., 0], noise(20, 28, 28)[3])
    assert pictures.labels is not None and pictures.labels.tolist() == [k % 10 for k in range(20)]
    assert pictures.classes[3] == "3 - three"
    shutil.copytree(mnist, own_home / "datasets")
    assert dataset.read("torchvision:MNIST", recipe).source.sha256 == pictures.source.sha256


def test_torchvision_settings_and_mistakes(tmp_path: Path) -> None:
    pytest.importorskip("torchvision")
    pictures = dataset.read("torchvision:FakeData?size=16&image_size=(3,10,12)&num_classes=4", WHOLE)
    assert len(pictures) == 16 and pictures.channels == 3 and len(pictures.classes) <= 4
    for reference, words in (
        ("MNISTT", "Did you mean 'MNIST'"),
        ("MNIST?colour=1", "no setting 'colour'"),
        (f"MNIST@{tmp_path}", r"cannot read MNIST in .* add \?download"),
        (f"EMNIST@{tmp_path}", r"needs more settings .*split"),
    ):
        with pytest.raises(TrainingError, match=words):
            dataset.read(f"torchvision:{reference}", WHOLE)


# --- sets larger than memory -----------------------------------------------------------------------------------------


def test_a_large_set_stays_in_its_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crop reads its own rows and no others."""
    small = dataset.read(folder, RECIPE)
    monkeypatch.setattr(dataset, "MEMORY", 1000)
    large = dataset.read(folder, RECIPE)
    assert isinstance(large.pixels, cache.Stored)
    for step in range(3):
        for key, value in dataset.batch(small, RECIPE, step).items():
            assert torch.equal(value, dataset.batch(large, RECIPE, step)[key])
    read: list[int] = []
    fromfile = np.fromfile

    def counted(path: Path, kind: Any, count: int, offset: int) -> np.ndarray:
        read.append(count)
        return fromfile(path, kind, count, offset=offset)

    monkeypatch.setattr(np, "fromfile", counted)
    dataset.batch(large, RECIPE, 0)
    assert len(read) == 4 and max(read) <= 30 * 16 * 3


def test_a_file_that_vanishes_or_shrinks_is_told(folder: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "MEMORY", 1000)
    pictures = dataset.read(folder, RECIPE)
    file = own_home / "decoded" / left(own_home)[0] / "pixels.bin"
    os.truncate(file, 10)
    with pytest.raises(TrainingError, match="end too early; start again"):
        dataset.batch(pictures, RECIPE, 0)
    file.unlink()
    with pytest.raises(TrainingError, match="are gone"):
        next(dataset.batches(pictures, RECIPE))


def test_memory_does_not_grow_with_the_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A set of 38 MB is streamed, kept and drawn from while a fourth of that is in use."""
    rows = np.lib.format.open_memmap(tmp_path / "set.npy", "w+", np.uint8, (200, 256, 256, 3))
    for k in range(len(rows)):
        rows[k] = noise(1, 256, 256, 3)[0]
    del rows
    monkeypatch.setattr(dataset, "MEMORY", 1 << 20)
    recipe = TrainRecipe(frame="crop", batch=4, size=32, degrade="shrink:4", steps=20)
    dataset.batch(packed(list(noise(4, 64, 64, 3))), recipe, 0)  # what is made once is not counted
    tracemalloc.start()
    pictures = dataset.read(tmp_path / "set.npy", recipe)
    assert sum(1 for _ in dataset.batches(pictures, recipe)) == 20
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 38e6 / 4, f"{peak / 1e6:.1f} MB"


# --- what is kept aside ----------------------------------------------------------------------------------------------


def numbered(count: int, **more: Any) -> dataset.Pictures:
    """Each picture is a constant of its own, so a batch tells which were drawn."""
    return packed([np.full((8, 8, 1), k, dtype=np.uint8) for k in range(count)], **more)


def numbers(pictures: dataset.Pictures) -> list[int]:
    return [int(pictures[k][0, 0, 0]) for k in range(len(pictures))]


def test_holdout_takes_the_same_share_of_every_class() -> None:
    labels = np.arange(100) % 4 // 3  # three of four are of class 0
    pictures = numbered(100, labels=labels, classes=("a", "b"), captions=tuple(map(str, range(100))))
    train, aside = dataset.split(pictures, dataclasses.replace(WHOLE, holdout=0.2))
    assert aside is not None and aside.labels is not None and train.labels is not None
    assert sorted(numbers(train) + numbers(aside)) == list(range(100))
    assert np.bincount(aside.labels).tolist() == [15, 5] and np.bincount(train.labels).tolist() == [60, 20]
    assert [int(text) for text in aside.captions] == numbers(aside)
    assert [labels[k] for k in numbers(aside)] == aside.labels.tolist()
    again, other = (dataset.split(pictures, dataclasses.replace(WHOLE, holdout=0.2, seed=seed))[1] for seed in (3, 4))
    assert again is not None and other is not None
    assert numbers(again) == numbers(aside) != numbers(other)


def test_folds_are_disjoint_and_make_up_the_whole() -> None:
    labels = np.arange(23) % 2
    parts = []
    for fold in range(5):
        recipe = dataclasses.replace(WHOLE, folds=5, fold=fold)
        train, aside = dataset.split(numbered(23, labels=labels), recipe)
        assert aside is not None and sorted(numbers(train) + numbers(aside)) == list(range(23))
        assert aside.labels is not None and abs(np.diff(np.bincount(aside.labels))[0]) <= 1
        parts.append(numbers(aside))
    assert sorted(itertools.chain(*parts)) == list(range(23)) and {len(part) for part in parts} == {4, 5}


def test_nothing_is_kept_aside_unasked_and_no_part_is_empty() -> None:
    assert dataset.split(numbered(4), WHOLE)[1] is None
    with pytest.raises(TrainingError, match=r"holdout=0\.1 of 4 pictures keeps none aside"):
        dataset.split(numbered(4), dataclasses.replace(WHOLE, holdout=0.1))
    for fold in (0, 7):  # already the first, not after four trainings
        with pytest.raises(TrainingError, match="folds=9 of 4 pictures keeps none aside"):
            dataset.split(numbered(4), dataclasses.replace(WHOLE, folds=9, fold=fold))


# --- batches ---------------------------------------------------------------------------------------------------------


def test_batches_depend_on_seed_and_step_alone(folder: Path) -> None:
    pictures = dataset.read(folder, RECIPE)
    straight = [item["mask"] for item in dataset.batches(pictures, dataclasses.replace(RECIPE, steps=9))]
    resumed = [item["mask"] for item in dataset.batches(pictures, dataclasses.replace(RECIPE, steps=9), start=3)]
    assert len(straight) == 9
    assert all(torch.equal(a, b) for a, b in zip(straight[3:], resumed, strict=True))
    assert len({mask.numpy().tobytes() for mask in straight}) == 9, "each step draws anew"
    image = dataset.batch(pictures, RECIPE, 2)["image"]
    assert image.shape == (4, 3, 16, 16) and image.min() >= 0 and image.max() <= 1 and image.dtype == torch.float32
    assert torch.equal(image, dataset.batch(pictures, RECIPE, 2)["image"])
    assert not torch.equal(image, dataset.batch(pictures, dataclasses.replace(RECIPE, seed=4), 2)["image"])


@pytest.mark.parametrize(
    "recipe",
    [
        TrainRecipe(batch=8, size=24, augment=("mirror",)),
        TrainRecipe(batch=8, size=24, augment=("mirror", "rotate:20", "colour", "crop"), seed=-1),
        TrainRecipe(frame="crop", batch=8, size=16, augment=("turn",), degrade="holes:scratch,text"),
        TrainRecipe(frame="crop", batch=8, size=16, crops=2, degrade="shrink:4:lanczos,area,bicubic+noise:0-20"),
        TrainRecipe(frame="crop", batch=8, size=15, degrade="blur:0.2-2+noise:0-50+jpeg:30-95"),
    ],
    ids=["mirror", "augmented", "holes", "shrunk", "spoilt"],
)
def test_processes_that_share_a_batch_see_what_one_would(recipe: TrainRecipe) -> None:
    side = 24 if recipe.degrade == "none" else 70
    pictures = packed(list(noise(20, side, side, 3)), labels=np.arange(20), captions=tuple(map(str, range(20))))
    for step in (0, 5):
        whole = dataset.batch(pictures, recipe, step)
        halves = [dataset.batch(pictures, recipe, step, rows) for rows in (range(3), range(3, 8))]
        assert whole.keys() >= {"image", "label", "text"}
        for key, value in whole.items():
            assert torch.equal(value, torch.cat([half[key] for half in halves])), key


def test_an_epoch_shows_every_picture_once() -> None:
    pictures = numbered(12)

    def seen(steps: range) -> list[int]:
        drawn = [dataset.batch(pictures, WHOLE, step)["image"][:, 0, 0, 0] for step in steps]
        return (torch.cat(drawn) * 255).round().int().tolist()

    assert sorted(seen(range(3))) == sorted(seen(range(3, 6))) == list(range(12))
    assert seen(range(3)) != seen(range(3, 6))


def test_mirrored_pictures_are_about_half(folder: Path) -> None:
    ramp = np.broadcast_to(np.arange(8, dtype=np.uint8)[None, :, None], (8, 8, 3))
    image = dataset.batch(packed([ramp] * 4), dataclasses.replace(WHOLE, batch=400), 0)["image"]
    mirrored = image[:, 0, 0, 0] > image[:, 0, 0, 7]
    assert 150 < mirrored.sum() < 250
    assert torch.equal(image[mirrored].flip(3)[:1], image[~mirrored][:1])


def test_the_crop_with_the_most_detail_is_taken() -> None:
    """One quarter of the picture is noise; with more places to choose from, more of a crop lies there."""
    picture = np.full((64, 64, 3), 128, dtype=np.uint8)
    picture[:32, :32] = noise(1, 32, 32, 3)[0]
    spread = {}
    for crops in (1, 4):
        recipe = dataclasses.replace(RECIPE, batch=64, crops=crops)
        spread[crops] = dataset.batch(packed([picture]), recipe, 0)["image"].std((1, 2, 3)).mean().item()
    assert spread[4] > 1.5 * spread[1] > 0


def test_grey_pictures_in_a_colour_set_become_rgb() -> None:
    pictures = packed([noise(1, 8, 8, 1)[0], noise(1, 8, 8, 3)[0]])
    assert pictures.channels == 3 and pictures[0].shape == (8, 8, 3)
    assert dataset.batch(pictures, WHOLE, 0)["image"].shape == (4, 3, 8, 8)


def workers() -> int:
    return sum(thread.name.startswith("batches") for thread in threading.enumerate())


def test_the_worker_runs_ahead_and_ends_with_its_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [threading.Event() for _ in range(10)]
    batch = dataset.batch

    def told(pictures: dataset.Pictures, recipe: TrainRecipe, step: int, rows: range | None = None) -> Any:
        made[step].set()
        if step == 8:
            raise TrainingError("The disk is gone.")
        return batch(pictures, recipe, step, rows)

    monkeypatch.setattr(dataset, "batch", told)
    stream = dataset.batches(numbered(4), dataclasses.replace(WHOLE, steps=10))
    next(stream)
    assert made[2].wait(10), "two batches ahead"
    assert workers() == 1
    stream.close()
    assert workers() == 0
    with pytest.raises(TrainingError, match="The disk is gone"):
        list(dataset.batches(numbered(4), dataclasses.replace(WHOLE, steps=10)))
    assert workers() == 0


def test_several_threads_prepare_the_same_batches_in_order() -> None:
    recipe = dataclasses.replace(RECIPE, degrade="noise:5-50", steps=9)
    pictures = packed(list(noise(6, dataset.side(recipe) + 5, dataset.side(recipe) + 5, 3)), labels=np.arange(6))
    alone, together = (list(dataset.batches(pictures, recipe, start=2, threads=count)) for count in (1, 4))
    assert len(alone) == len(together) == 7
    for one, other in zip(alone, together, strict=True):
        assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_pictures_that_do_not_come_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk of another machine that answers no more: the run says so instead of standing still."""
    answered = threading.Event()

    def waiting(step: int) -> int:
        if step == 2:
            answered.wait()
        return step

    monkeypatch.setattr(dataset, "STALLED", 0.2)
    stream = dataset.ahead(waiting, range(5))
    try:
        assert [next(stream), next(stream)] == [0, 1]
        with pytest.raises(TrainingError, match=r"No pictures came for 0.2 seconds"):
            next(stream)
    finally:
        answered.set()


# --- preview ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("degrade", ["none", "holes:box", "shrink:4", "noise:50"])
def test_preview_shows_the_picture_and_what_becomes_of_it(degrade: str) -> None:
    recipe = dataclasses.replace(WHOLE, size=16, augment=("mirror",), degrade=degrade)
    side = 16 if degrade == "none" else 80
    pictures = packed([np.full((side, side, 3), (200, 40, 40 * k), np.uint8) for k in range(3)])
    sheet = dataset.preview(pictures, recipe, rows=2, columns=3)
    assert sheet.size == (3 * 66 - 2, 2 * 66 - 2)
    assert sheet.getpixel((30, 30)) == (200, 40, 0) and sheet.getpixel((30, 100)) == (200, 40, 80)
    assert sheet.getpixel((65, 30)) == (255, 255, 255), "a gap"
    cells = np.asarray(sheet).astype(int)[:64, 66:130]
    changed = (np.abs(cells - (200, 40, 0)) > 4).any()
    assert changed == (degrade in ("holes:box", "noise:50"))


def test_preview_of_grey_pictures() -> None:
    assert dataset.preview(numbered(2), WHOLE).size == (8 * 66 - 2, 2 * 66 - 2)
