"""Folders: the tree is kept, what is done is skipped, one that fails stops no other, and a kill leaves nothing half done."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genrestore import __main__ as command
from genrestore import locks
from genrestore.cli import folders
from genrestore.errors import SettingError
from genrestore.pictures import image
from genrestore.pictures.image import Picture

NAMES = ("a.png", "below/a.png", "below/deep/b.jpg", "c.gif")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """NAMES below `in`, and a hidden one and a text, which are no pictures of anybody's."""
    for k, name in enumerate((*NAMES, ".hidden.png", "below/.trash/x.png")):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((20, 30, 3), 40 * k, np.uint8)).save(path)
    (tmp_path / "in" / "words.txt").write_text("no picture")
    return tmp_path / "in"


class Inverted:
    """The work: which files it was done for, and what goes wrong with which."""

    def __init__(self, faults: dict[str, BaseException] | None = None) -> None:
        self.done: list[str] = []
        self.faults = faults or {}

    def __call__(self, item: folders.Item) -> Picture:
        self.done.append(item.name.as_posix())
        if fault := self.faults.get(item.name.as_posix()):
            raise fault
        picture = image.load(item.source)
        return picture.with_pixels(255 - picture.pixels)


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


RESULTS = {"a.png", "below/a.png", "below/deep/b.jpg", "c.gif.png", folders.JOURNAL, folders.LOCK}


def test_the_tree_is_kept_and_what_is_done_is_skipped(folder: Path, tmp_path: Path) -> None:
    out, work = tmp_path / "out", Inverted()
    found = folders.items(folder, out)
    assert [item.name.as_posix() for item in found] == list(NAMES)
    assert folders.run(found, out, work, {"seed": 1}) == (4, 0, ())
    assert files(out) == RESULTS
    assert image.load(out / "below" / "a.png").pixels[0, 0, 0] == 255 - 40
    again = Inverted()
    assert folders.run(found, out, again, {"seed": 1}) == (0, 4, ()) and not again.done


def test_only_what_was_made_of_the_same_is_skipped(folder: Path, tmp_path: Path) -> None:
    """Another option, other bytes of the same length, a result that somebody has changed: done again where `force` says so."""
    out, found = tmp_path / "out", folders.items(folder)
    folders.run(found, out, Inverted(), {"seed": 1})
    refused = folders.run(found, out, Inverted(), {"seed": 2})
    assert refused.written == 0 and all("--force" in failure.reason for failure in refused.failures)
    assert folders.run(found, out, Inverted(), {"seed": 2}, force=True).written == 4
    source = folder / "a.png"
    source.write_bytes(source.read_bytes()[:-1] + b"!")
    (out / "c.gif.png").write_bytes(b"of mine")
    work = Inverted()
    assert len(folders.run(found, out, work, {"seed": 2}).failures) == 2
    assert (out / "c.gif.png").read_bytes() == b"of mine"
    assert folders.run(found, out, work, {"seed": 2}, force=True)[:2] == (2, 2)


def test_one_that_fails_stops_no_other_and_ctrl_c_stops_all(folder: Path, tmp_path: Path) -> None:
    out, found = tmp_path / "out", folders.items(folder)
    (folder / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n, but no more")
    work = Inverted({"below/deep/b.jpg": KeyboardInterrupt()})
    with pytest.raises(KeyboardInterrupt):
        folders.run(found, out, work, {})
    assert files(out) == {"below/a.png", folders.JOURNAL, folders.LOCK}
    outcome = folders.run(found, out, Inverted({"c.gif": ZeroDivisionError("of ours")}), {})
    assert outcome[:2] == (1, 1)
    assert [failure.name.as_posix() for failure in outcome.failures] == ["a.png", "c.gif"]
    assert "a.png" in outcome.failures[0].reason and "of ours" in outcome.failures[1].reason


KILLED = """
import os, sys
from pathlib import Path
from genrestore.cli import folders
from genrestore.pictures import image

if sys.argv[3] == "write":
    image._write = lambda *_: os._exit(9)
else:
    rename = Path.replace
    Path.replace = lambda path, to: rename(path, to) if to.name.startswith(".") else os._exit(9)
folders.run(folders.items(Path(sys.argv[1])), Path(sys.argv[2]), lambda item: image.load(item.source), {})
"""


@pytest.mark.parametrize("moment", ["write", "name"])
def test_after_a_kill_at_any_moment_the_rest_is_done(folder: Path, tmp_path: Path, moment: str) -> None:
    """While a file is written, and just before it gets its name."""
    out, found = tmp_path / "out", folders.items(folder)
    assert subprocess.run([sys.executable, "-c", KILLED, folder, out, moment], check=False).returncode == 9
    left = files(out) - {folders.JOURNAL, folders.LOCK}
    assert len(left) == 1 and folders.PART.fullmatch(left.pop())
    assert folders.run(found, out, Inverted(), {}) == (4, 0, ())
    assert files(out) == RESULTS


def test_a_journal_cut_short_is_read_as_far_as_it_goes(folder: Path, tmp_path: Path) -> None:
    out, found = tmp_path / "out", folders.items(folder)
    folders.run(found, out, Inverted(), {})
    journal = out / folders.JOURNAL
    lines = journal.read_text("utf-8").splitlines()
    journal.write_text("\n".join([*lines[:-1], "7", lines[-1][:30]]), "utf-8")
    assert folders.run(found, out, Inverted(), {}, force=True)[:2] == (1, 3)
    assert json.loads(journal.read_text("utf-8").splitlines()[-1])["source"] == "c.gif"


def test_two_do_not_write_into_one_folder(folder: Path, tmp_path: Path) -> None:
    with locks.alone(tmp_path / "out" / folders.LOCK, 0) as mine:
        assert mine
        with pytest.raises(SettingError, match="Another genrestore"):
            folders.run(folders.items(folder), tmp_path / "out", Inverted(), {})


def test_results_and_masks_are_no_inputs(folder: Path) -> None:
    inside = folder / "below" / "deep"
    assert [item.name.as_posix() for item in folders.items(folder, inside)] == ["a.png", "below/a.png", "c.gif"]
    for apart in (folder, folder.parent):
        with pytest.raises(SettingError, match="choose another one"):
            folders.items(folder, apart)
    (folder / "none").mkdir()
    with pytest.raises(SettingError, match="no picture"):
        folders.items(folder / "none")


def test_each_picture_has_its_mask_before_the_work(folder: Path, tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    for name in ("a.gif", "below/a.png", "below/deep/b.png"):
        (masks / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (30, 20), 255).save(masks / name)
    found = folders.items(folder)
    with pytest.raises(SettingError, match=r"^c\.gif of 4 pictures without a mask"):
        folders.masked(found, masks)
    assert {item.mask for item in folders.masked(found, masks / "a.gif")} == {masks / "a.gif"}
    Image.new("L", (30, 20), 255).save(masks / "c.png")
    assert [item.mask for item in folders.masked(found, masks)][::3] == [masks / "a.gif", masks / "c.png"]
    Image.new("L", (30, 20), 255).save(masks / "c.gif")
    with pytest.raises(SettingError, match=r"^c\.gif with two masks"):
        folders.masked(found, masks)


# --- at the command line ------------------------------------------------------------------------------------------------


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """run("restore", path) → exit code, stdout, stderr."""

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            command.main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return call


def test_inpaint_takes_a_folder(run: Callable[..., tuple[int, str, str]], folder: Path, tmp_path: Path) -> None:
    """The same pixels as one by one; one of another shape than its mask is told at the end, with exit code 1."""
    mask, out = np.zeros((20, 30), np.uint8), tmp_path / "out"
    mask[5:9, 7:12] = 255
    Image.fromarray(mask).save(folder / "mask.png")
    grown = ("--grow", "2", "--feather", "1")
    arguments = ("inpaint", folder, "--masks", folder / "mask.png", *grown, "-o", out)
    assert run(*arguments) == (0, f"{out}: 4 written, 0 done before, 0 failed\n", "")
    run("inpaint", folder / "a.png", folder / "mask.png", *grown, "-o", tmp_path / "single.png")
    assert (out / "a.png").read_bytes() == (tmp_path / "single.png").read_bytes()
    Image.new("RGB", (30, 90)).save(folder / "d.png")
    code, told, problems = run(*arguments)
    assert (code, told) == (1, f"{out}: 0 written, 4 done before, 1 failed\n")
    assert problems.startswith("d.png: The mask is 30×20") and problems.count("\n") == 1
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n, but no more")
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.png").write_bytes((folder / "a.png").read_bytes())
    problems = run("inpaint", tmp_path / "one", "--masks", tmp_path / "masks", "-o", tmp_path / "none")[2]
    assert problems.startswith("a.png: The mask a.png cannot be read"), "the picture of the same name can"
    assert run("inpaint", folder, "--masks", folder / "mask.png")[::2] == (
        2, "A folder of pictures needs a folder for the results; name one with -o.\n",
    )  # fmt: skip


@pytest.mark.parametrize("task", ["restore", "upscale"])
def test_the_other_tasks_take_a_folder(
    run: Callable[..., tuple[int, str, str]], folder: Path, tmp_path: Path, task: str
) -> None:
    assert run(task, folder, "-o", tmp_path / "out")[:2] == (
        0,
        f"{tmp_path / 'out'}: 4 written, 0 done before, 0 failed\n",
    )
    assert image.load(tmp_path / "out" / "below" / "a.png").width == (120 if task == "upscale" else 30)
    assert "4 done before" in run(task, folder, "-o", tmp_path / "out")[1]


def test_what_was_erased_is_filled_without_a_mask(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    """The result is opaque, so a format without transparency is no mistake."""
    pixels = np.full((40, 50, 4), 200, np.uint8)
    pixels[..., 3] = 255
    pixels[10:14, 20:26] = 0
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    assert run("inpaint", tmp_path / "photo.png", "--transparent", "-o", tmp_path / "out.jpg")[0] == 0
    code, told, _ = run("inpaint", tmp_path / "photo.png", "--transparent", "-o", tmp_path / "out.png")
    assert code == 0 and "0 of" in told and "mask" not in told
    assert not image.load(tmp_path / "out.png").transparent
    pixels[:30] = 0
    Image.fromarray(pixels).save(tmp_path / "much.png")
    code, told, said = run("inpaint", tmp_path / "much.png", "--transparent", "-o", tmp_path / "much-out.png")
    assert code == 0 and "75 % of the picture is transparent" in said and "mask" not in told + said
    for wrong in ([], ["mask.png", "--transparent"]):
        assert "--transparent" in run("inpaint", tmp_path / "photo.png", *wrong)[2]
