"""Animations and documents of pages on the page: which frame is asked, and all that follows works on that one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from genrestore.pictures import image
from genrestore.ui.parts import mask_editor

COLOURS = [(220, 30, 30), (30, 200, 30), (30, 30, 220)]


def animation(path: Path) -> Path:
    """Three frames of 60 × 40, each of a colour of its own with a grey stripe."""
    made = [Image.new("RGB", (60, 40), colour) for colour in COLOURS]
    for one in made:
        one.paste((128, 128, 128), (0, 0, 60, 4))
    more: dict[str, Any] = {"lossless": True} if path.suffix == ".webp" else {}
    made[0].save(path, save_all=True, append_images=made[1:], **more)
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return tmp_path


def named(path: Path) -> dict[str, Any]:
    return gr.FileData(path=str(path), orig_name=path.name).model_dump()


@pytest.mark.parametrize("name", ["a.gif", "b.webp", "c.png", "d.tiff"])
def test_a_frame_becomes_a_picture_of_its_own(folder: Path, name: str) -> None:
    file = named(animation(folder / name))
    first = mask_editor.inspect(file)
    assert (first["frames"], first["frame"], first["width"], first["height"]) == (3, 1, 60, 40)
    for number in (1, 2, 3):
        facts = mask_editor.frame({"file": file, "frame": number})
        path = Path(facts["file"]["path"])
        assert path.name == f"{Path(name).stem}.frame-{number}{'.tif' if name == 'd.tiff' else '.png'}"
        assert mask_editor.inspect(facts["file"]) == {"width": 60, "height": 40, "alike": path.suffix == ".png"}
        alone = image.load(path)
        assert np.array_equal(alone.pixels, image.load(folder / name, frame=number).pixels)
        assert np.abs(alone.rgb8()[20, 30].astype(int) - COLOURS[number - 1]).max() < 12
        if number == 1:
            assert first["file"] == facts["file"]


def test_a_page_of_16_bits_loses_none(folder: Path) -> None:
    pages = [Image.fromarray(np.full((20, 30), 1000 * k + 7, np.uint16)) for k in (1, 2)]
    pages[0].save(folder / "scan.tif", save_all=True, append_images=pages[1:])
    facts = mask_editor.frame({"file": named(folder / "scan.tif"), "frame": 2})
    alone = image.load(facts["file"]["path"])
    assert alone.pixels.dtype == np.uint16 and (alone.pixels == 2007).all() and alone.format == "TIFF"


@pytest.mark.parametrize("number", [0, 4, -1, 10**12, None, "2", 1.5, True])
def test_a_frame_that_is_not_there_is_refused(folder: Path, number: object) -> None:
    answer = mask_editor.frame({"file": named(animation(folder / "a.gif")), "frame": number})
    assert set(answer) == {"problem"}
    assert "number" in answer["problem"]


@pytest.mark.parametrize("asked", [None, {}, {"file": {"path": "/etc/passwd"}, "frame": 1}, {"file": 3, "frame": 1}])
def test_only_uploads_have_frames(folder: Path, asked: object) -> None:
    assert "uploaded" in mask_editor.frame(asked)["problem"]


OPEN = """async (name) => {
    const value = await document.querySelector("#inpaint-editor .mask-editor").editor.value();
    return value?.file.path.endsWith(name);
}"""


def chosen(root: Any, number: str) -> None:
    field = root.locator(".which-frame input")
    field.fill(number)
    field.press("Tab")


def test_the_editor_asks_which_frame(visit: Callable[..., Any], tmp_path: Path) -> None:
    """The first is shown at once; the one that is chosen is the one that is painted on and repaired."""
    page = visit("/?tab=inpaint")
    root = page.locator("#inpaint-editor")
    root.locator(".photo-file").set_input_files(animation(tmp_path / "anim.gif"))
    root.get_by_text("Frame (1 to 3)").wait_for()
    assert root.locator(".which-frame input").input_value() == "1"
    page.wait_for_function(OPEN, arg="/anim.frame-1.png")
    chosen(root, "3")
    page.wait_for_function(OPEN, arg="/anim.frame-3.png")
    middle = """() => {
        const canvas = document.querySelector("#inpaint-editor canvas.photo");
        return [...canvas.getContext("2d").getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data];
    }"""
    page.wait_for_function(f"() => {{ const [red, , blue] = ({middle})(); return blue > 180 && red < 80; }}")
    chosen(root, "9")
    assert root.locator(".which-frame input").input_value() == "3", "there is no ninth"
    photo = tmp_path / "photo.png"
    Image.new("RGB", (50, 30), (9, 99, 199)).save(photo)
    root.locator(".photo-file").set_input_files(photo)
    root.locator(".which-frame").wait_for(state="hidden")
    page.wait_for_function(OPEN, arg="/photo.png")
    assert page.problems == []


def test_the_upscale_tab_asks_which_frame(visit: Callable[..., Any], tmp_path: Path) -> None:
    page = visit("/?tab=upscale", locale="zh-CN")
    root = page.locator("#upscale-source")
    root.locator("input[type=file]").set_input_files(animation(tmp_path / "anim.gif"))
    root.get_by_text("第几帧（1 到 3）").wait_for()
    page.locator("#upscale-quote").get_by_text("60 × 40").wait_for()
    chosen(root, "3")
    root.locator(".chooser:not(.busy)").wait_for()
    page.locator("#upscale-go").click()
    page.locator("#upscale-download").get_by_text("anim.frame-3.x4.png").wait_for(timeout=60_000)
    assert root.locator(".which-frame input").input_value() == "3"
    root.locator(".examples button").first.click()
    root.locator(".which-frame").wait_for(state="hidden")
    assert page.problems == []
