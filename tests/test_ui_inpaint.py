"""The Inpaint tab in a browser, by mouse, keys and touch, and its handler without one."""

import base64
import concurrent.futures
import io
import json
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

pytest.importorskip("gradio")

from conftest import PHONE

from genrestore.errors import ImageError, MaskError
from genrestore.pictures import codec, image
from genrestore.pipelines import inpaint as task
from genrestore.ui.parts import browsers, examples, mask_editor
from genrestore.ui.parts.mask_editor import MaskEditor, recent
from genrestore.ui.tabs.inpaint import tab as inpaint

REPRO = Path(__file__).with_name("repro")
EXAMPLES = examples.PHOTOS[0].parent
VALUE = "document.querySelector('#inpaint-editor .mask-editor').editor.value()"

# ---- what the tests do with the page ----


def photo(path: Path, width: int = 160, height: int = 120, **save: Any) -> Path:
    """A smooth picture with some grain, so that a repair differs from it."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [127 + 90 * np.sin(x / (9 + 5 * k) + k) * np.cos(y / (11 + 3 * k)) for k in range(3)]
    grain = np.random.default_rng(5).normal(0, 12, (height, width, 3))
    Image.fromarray(np.clip(np.stack(waves, 2) + grain, 0, 255).astype(np.uint8)).save(path, **save)
    return path


# Other fills are not made, which would hold both cores while the test goes on.
NO_OTHERS = """() => {
    const { editor } = document.querySelector("#inpaint-editor .mask-editor");
    editor.asked.others = async () => {
        editor.answered({ of: (await editor.value()).of, offers: [], complete: true });
        return null;
    };
}"""


class Editor:
    """The editor of one page; `others`: whether other fills are made after a repair."""

    def __init__(self, page: Any, *, others: bool = False) -> None:
        self.page = page
        page.get_by_role("tab", name=re.compile("Inpaint|修复")).click()
        self.root = page.locator("#inpaint-editor .mask-editor")
        self.root.wait_for()
        self.stage = self.root.locator(".stage")
        if not others:
            page.evaluate(NO_OTHERS)
        page.evaluate("localStorage.setItem('genrestore-mask-growth', 0)")  # so that what is painted can be counted

    def open(self, path: Path) -> "Editor":
        self.root.locator(".photo-file").set_input_files(path)
        self.root.locator(".note", has_text=path.name).wait_for()
        self.page.evaluate(VALUE)  # waits until the server has it
        return self.drawn()

    def drawn(self) -> "Editor":
        """Wait until what was done has been drawn."""
        self.page.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
        return self

    def do(self, name: str) -> None:
        self.root.locator(f"[data-do={name}]:visible").first.click()

    def tool(self, name: str) -> None:
        self.root.locator(f"[data-tool={name}]").click()

    def size(self, value: int) -> None:
        """Set the brush to about `value` picture pixels with the bracket keys."""
        self.stage.focus()
        for _ in range(60):
            now = int(self.root.locator(".size output").inner_text().split()[0])
            if now == value:
                return
            self.page.keyboard.press("]" if now < value else "[")
            if (now < value) != (int(self.root.locator(".size output").inner_text().split()[0]) < value):
                return

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of the picture, in parts of its width and height, is on the screen while all is in view."""
        box = self.stage.bounding_box()
        value = self.page.evaluate(VALUE)
        scale = min(1, (box["width"] - 2) / value["w"], (box["height"] - 2) / value["h"])
        left = box["x"] + (box["width"] - scale * value["w"]) / 2
        top = box["y"] + (box["height"] - scale * value["h"]) / 2
        return left + x * scale * value["w"], top + y * scale * value["h"]

    def drag(self, *points: tuple[float, float], button: str = "left") -> None:
        self.stage.scroll_into_view_if_needed()
        places = [self.at(*point) for point in points]
        self.page.mouse.move(*places[0])
        self.page.mouse.down(button=button)
        for place in places[1:]:
            self.page.mouse.move(*place, steps=6)
        self.page.mouse.up(button=button)

    def value(self) -> Any:
        return self.page.evaluate(VALUE)

    def mask(self) -> np.ndarray:
        """(H, W) bool, as the server would get it now."""
        return read_png(base64.b64decode(self.value()["mask"].split(",")[1]))

    def button(self, name: str) -> Any:
        return self.root.locator(f"[data-do={name}]")

    def save_as(self, name: str) -> None:
        self.root.locator(".format select").select_option(label=name)

    def repair(self) -> bytes:
        """Press Repair and wait; the file that the download button gives."""
        self.button("repair").click()
        return self.download()

    def download(self) -> bytes:
        """What the primary button gives, once it is there."""
        self.root.locator("a[data-do=download].primary:not(.waits)").wait_for(timeout=60_000)
        with self.page.expect_download() as download:
            self.button("download").click()
        self.name = download.value.suggested_filename
        return Path(download.value.path()).read_bytes()

    def details(self) -> str:
        """What is said of the result to those who ask."""
        return self.root.locator(".outcome .facts").text_content()


def read_png(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as opened:
        assert opened.format == "PNG"
        assert opened.mode == "1", "the mask should take one bit a pixel"
        return np.asarray(opened)


def pixels(data: bytes | Path) -> np.ndarray:
    with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data) as opened:
        return np.asarray(opened.convert("RGB"))


@pytest.fixture
def editor(same_page: Any, tmp_path: Path) -> Editor:
    """The tab at 1280 × 900 with a PNG of 160 × 120 open; for tests that change nothing of the page but by what it offers."""
    return Editor(same_page).open(photo(tmp_path / "photo.png"))


# ---- pictures ----


def on_the_server(page: Any, value: dict[str, Any]) -> bytes:
    """The bytes of the picture that is open; the page does not know where they lie."""
    return page.request.get(f"{page.url}gradio_api/file={value['file']['path']}").body()


def test_the_original_file_reaches_the_server(page: Any, tmp_path: Path) -> None:
    """Byte for byte, although the page shows it turned; the result keeps what the file carried."""
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees
    exif[0x010F] = "Camera maker"
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = photo(tmp_path / "photo.jpg", 200, 120, exif=exif, icc_profile=icc, quality=90, dpi=(300, 300))
    editor = Editor(page).open(path)
    value = editor.value()
    assert (value["w"], value["h"]) == (120, 200)
    assert on_the_server(page, value) == path.read_bytes()

    editor.drag((0.3, 0.5), (0.7, 0.5))
    data = editor.repair()
    assert editor.name == "photo.repaired.jpg"
    with Image.open(io.BytesIO(data)) as result:
        assert (result.format, result.size) == ("JPEG", (120, 200))
        assert result.info["icc_profile"] == icc
        assert result.getexif()[0x010F] == "Camera maker"
        assert result.getexif().get(0x0112, 1) == 1
    assert (
        editor.root.locator(".outcome .line").inner_text().startswith("Only the marked area was changed; JPEG stores")
    )
    assert "Saving as JPEG changed" in editor.details() and "the repair 0." in editor.details()
    assert page.problems == []


def test_a_format_that_the_browser_cannot_draw_is_shown_by_the_server(page: Any, tmp_path: Path) -> None:
    path = photo(tmp_path / "scan.tif", 150, 90)
    editor = Editor(page).open(path)
    assert (editor.value()["w"], editor.value()["h"]) == (150, 90)
    editor.drag((0.4, 0.5), (0.6, 0.5))
    assert editor.mask().any()


def test_a_picture_lies_on_the_page_as_the_server_reads_it(page: Any, tmp_path: Path) -> None:
    """Chromium does not turn WebP, and one turned by half is as wide as before: the mask would lie on the wrong object."""
    pixels = np.full((80, 120, 3), 200, np.uint8)
    pixels[:40, :60] = (255, 0, 0)  # top left as stored, bottom right as meant
    exif = Image.Exif()
    exif[0x0112] = 3
    path = tmp_path / "turned.webp"
    Image.fromarray(pixels).save(path, exif=exif, lossless=True)
    editor = Editor(page).open(path)
    at = """([x, y]) => {
        const canvas = document.querySelector("#inpaint-editor canvas.photo");
        const box = canvas.getBoundingClientRect();
        const place = [x - box.left, y - box.top].map((side) => Math.round(side * devicePixelRatio));
        return [...canvas.getContext("2d").getImageData(...place, 1, 1).data].slice(0, 3);
    }"""
    red, green, _ = page.evaluate(at, list(editor.at(0.75, 0.75)))
    assert red > 240 and green < 20
    assert min(page.evaluate(at, list(editor.at(0.25, 0.25)))) > 180


def test_a_small_picture_has_its_size_and_a_file_that_is_none_leaves_all_as_it_was(
    editor: Editor, tmp_path: Path
) -> None:
    assert editor.root.locator(".percent").inner_text() == "100 %"
    assert editor.stage.bounding_box()["height"] < 400
    editor.drag((0.3, 0.5), (0.7, 0.5))
    before, mask = editor.value(), editor.mask()
    (tmp_path / "broken.png").write_bytes(b"this is not a picture")
    editor.root.locator(".photo-file").set_input_files(tmp_path / "broken.png")
    editor.root.locator(".problem:not(:empty)").wait_for()
    assert editor.value()["file"]["path"] == before["file"]["path"]
    assert np.array_equal(editor.mask(), mask)
    assert editor.root.get_attribute("data-state") == "ready"


def test_examples_drop_and_paste_open_pictures(page: Any) -> None:
    editor = Editor(page)
    editor.root.get_by_role("button", name="Example: Light bulb").click()
    editor.root.locator(".note", has_text="bulb.jpg · 576 × 576").wait_for()
    assert on_the_server(page, editor.value()) == (EXAMPLES / "bulb.jpg").read_bytes()

    give = """async ([kind, data, name]) => {
        const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
        const transfer = new DataTransfer();
        transfer.items.add(new File([bytes], name, {type: "image/jpeg"}));
        const target = kind === "drop" ? document.querySelector("#inpaint-editor .stage") : document.body;
        const event = kind === "drop"
            ? new DragEvent("drop", {bubbles: true, cancelable: true, dataTransfer: transfer})
            : new ClipboardEvent("paste", {bubbles: true, cancelable: true, clipboardData: transfer});
        target.dispatchEvent(event);
    }"""
    for kind, name in (("drop", "sand"), ("paste", "nyc")):
        data = (EXAMPLES / f"{name}.jpg").read_bytes()
        page.evaluate(give, [kind, base64.b64encode(data).decode(), f"{name}.jpg"])
        editor.root.locator(".note", has_text=f"{name}.jpg").wait_for()
        assert on_the_server(page, editor.value()) == data


def test_a_camera_that_is_not_given_is_explained(page: Any) -> None:
    editor = Editor(page)
    editor.do("camera")
    editor.root.locator(".problem", has_text=re.compile("camera", re.IGNORECASE)).wait_for()
    assert editor.root.get_attribute("data-state") == "start"


# ---- painting ----


def test_a_stroke_and_an_eraser_change_the_result_only_there(editor: Editor, tmp_path: Path) -> None:
    editor.drag((0.2, 0.3), (0.8, 0.3), (0.8, 0.7))
    painted = editor.mask()
    editor.tool("eraser")
    editor.drag((0.5, 0.2), (0.5, 0.4))
    mask = editor.mask()
    assert 0 < mask.sum() < painted.sum()
    assert not (mask & ~painted).any()
    assert painted[36, 80]
    assert not mask[36, 80]
    # A stroke across 60 % of the width is a bar: as long as drawn, as high as the brush.
    size = int(editor.root.locator(".size output").inner_text().split()[0])
    assert abs(painted[:, 64].sum() - size) <= 1

    before, after = pixels(tmp_path / "photo.png"), pixels(editor.repair())
    assert editor.name == "photo.repaired.png"
    different = (before != after).any(axis=2)
    assert not (different & ~mask).any()
    assert different[mask].mean() > 0.5
    count = int((~mask).sum()) * 3
    assert f"0 of {count:,} samples outside the marks differ" in editor.details()
    assert editor.page.problems == []


def test_rectangle_lasso_and_right_button(editor: Editor) -> None:
    editor.tool("rectangle")
    editor.drag((0.25, 0.25), (0.75, 0.75))
    mask = editor.mask()
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    assert mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
    assert abs(rows[0] - 30) <= 1
    assert abs(columns[-1] - 120) <= 1
    editor.tool("lasso")
    editor.drag((0.5, 0.3), (0.7, 0.7), (0.3, 0.7), button="right")  # a triangle is cut out
    cut = editor.mask()
    assert not (cut & ~mask).any()
    assert abs((mask & ~cut).sum() - 160 * 0.4 * 120 * 0.4 / 2) < 120
    assert not cut[72, 80]
    assert cut[36, 48]


def test_undo_and_redo_go_all_the_way(editor: Editor) -> None:
    """Twelve steps of all kinds, all the way back, all the way forth, and a new step ends the way forth."""
    states = [editor.mask()]
    for k in range(4):
        editor.drag((0.2 + 0.1 * k, 0.2), (0.3 + 0.1 * k, 0.8))
        states.append(editor.mask())
        editor.do("invert" if k % 2 else "grow")
        states.append(editor.mask())
        editor.do("shrink" if k % 2 else "invert")
        states.append(editor.mask())
    for state in states[-2::-1]:
        editor.page.keyboard.press("Control+z")
        assert np.array_equal(editor.mask(), state)
    assert editor.root.locator("[data-do=undo]").is_disabled()
    for k, state in enumerate(states[1:]):
        editor.page.keyboard.press("Control+Shift+z" if k % 2 else "Control+y")
        assert np.array_equal(editor.mask(), state)
    assert editor.root.locator("[data-do=redo]").is_disabled()
    editor.do("undo")
    editor.do("undo")
    assert np.array_equal(editor.mask(), states[-3])
    editor.do("clear")
    assert not editor.mask().any()
    assert editor.root.locator("[data-do=redo]").is_disabled()


def spread(mask: np.ndarray, radius: int) -> np.ndarray:
    """Plain and slow: every pixel whose distance to a marked one is at most `radius`."""
    padded = np.pad(mask, radius)
    height, width = mask.shape
    offsets = range(-radius, radius + 1)
    near = [
        padded[radius + dy : radius + dy + height, radius + dx : radius + dx + width]
        for dy in offsets
        for dx in offsets
        if dx * dx + dy * dy <= radius * radius
    ]
    return np.logical_or.reduce(near)


def test_invert_grow_and_shrink_are_exact(editor: Editor) -> None:
    editor.size(9)
    editor.drag((0.0, 0.1), (0.5, 0.5), (0.9, 1.0))
    mask = editor.mask()
    editor.do("invert")
    assert np.array_equal(editor.mask(), ~mask)
    editor.do("invert")
    for radius in (1, 7):
        editor.root.locator("[data-label=by]").fill(str(radius))
        editor.do("grow")
        assert np.array_equal(editor.mask(), spread(mask, radius))
        editor.do("undo")
        editor.do("shrink")
        assert np.array_equal(editor.mask(), ~spread(~mask, radius))
        editor.do("undo")


def test_a_mask_goes_out_and_in_unchanged(editor: Editor, tmp_path: Path) -> None:
    marked = np.random.default_rng(3).random((120, 160)) < 0.3
    Image.fromarray(marked).save(tmp_path / "noise.png")
    editor.root.locator(".mask-file").set_input_files(tmp_path / "noise.png")
    editor.root.locator(".note", has_text="% marked").wait_for()
    assert np.array_equal(editor.mask(), marked)
    editor.tool("brush")
    editor.drag((0.3, 0.3), (0.6, 0.6))
    drawn = editor.mask()
    with editor.page.expect_download() as download:
        editor.do("save")
    assert download.value.suggested_filename == "photo.mask.png"
    saved = Path(download.value.path()).read_bytes()
    assert np.array_equal(read_png(saved), drawn)

    editor.do("clear")
    (tmp_path / "saved.png").write_bytes(saved)
    editor.root.locator(".mask-file").set_input_files(tmp_path / "saved.png")
    editor.root.locator(".note", has_text="% marked").wait_for()
    assert np.array_equal(editor.mask(), drawn)
    with editor.page.expect_download() as again:
        editor.do("save")
    assert Path(again.value.path()).read_bytes() == saved

    # A painted layer counts by its alpha, whatever its colour; half the size of the picture is the same shape.
    layer = np.zeros((60, 80, 4), np.uint8)
    layer[20:40, 10:30, 3] = 255
    Image.fromarray(layer).save(tmp_path / "layer.png")
    editor.root.locator(".mask-file").set_input_files(tmp_path / "layer.png")
    editor.root.locator(".note", has_text="8.3 % marked").wait_for()
    assert np.array_equal(editor.mask(), np.kron(layer[:, :, 3] > 0, np.ones((2, 2), bool)))

    Image.new("1", (50, 120), 1).save(tmp_path / "narrow.png")
    editor.root.locator(".mask-file").set_input_files(tmp_path / "narrow.png")
    editor.root.locator(".problem", has_text="50×120, the picture 160×120").wait_for()


def test_all_can_be_done_with_keys(editor: Editor) -> None:
    press = editor.page.keyboard.press
    editor.stage.focus()
    press("ArrowRight")  # the crosshair appears in the middle
    press("Enter")
    for _ in range(6):
        press("ArrowRight")
    press("Enter")
    line = editor.mask()
    columns = np.flatnonzero(line.any(0))
    assert line[60, 81]
    assert len(columns) > 15
    press("e")
    press(" ")  # one dab of the eraser at the end of the line, then down and up again
    press(" ")
    assert 0 < editor.mask().sum() < line.sum()
    press("r")
    press("ArrowUp")
    press("Enter")
    for key in ("ArrowUp", "ArrowLeft"):
        press(key)
        press(key)
    press("Enter")
    assert editor.mask().sum() > 0
    press("Enter")
    press("ArrowDown")
    press("Escape")  # an unfinished rectangle is dropped
    steps = editor.mask()
    press("Delete")
    assert not editor.mask().any()
    press("Control+z")
    assert np.array_equal(editor.mask(), steps)
    assert re.search(r"Undone\. photo\.png .* % marked", editor.root.locator(".said").text_content())
    press("?")
    assert editor.root.locator(".help").is_visible()
    press("Escape")
    assert not editor.root.locator(".help").is_visible()


def test_what_is_painted_lies_under_the_pointer_when_zoomed(editor: Editor) -> None:
    """Zoom at a point by wheel, pan with the space bar, and dab: the dab is where the picture shows that point."""
    editor.size(3)
    x, y = editor.at(0.25, 0.25)
    editor.page.mouse.move(x, y)
    editor.stage.focus()
    for _ in range(4):
        editor.page.mouse.wheel(0, -300)
    editor.drawn()
    editor.page.mouse.down()
    editor.page.mouse.up()
    rows, columns = np.nonzero(editor.mask())
    assert abs(rows.mean() - 30) < 1.5
    assert abs(columns.mean() - 40) < 1.5
    percent = int(editor.root.locator(".percent").inner_text().split()[0])

    editor.page.keyboard.down(" ")
    editor.page.mouse.down()
    editor.page.mouse.move(x + 90, y + 60, steps=4)
    editor.page.mouse.up()
    editor.page.keyboard.up(" ")
    editor.drawn()
    editor.stage.press("Delete")  # the button may lie below, and the page would scroll
    editor.page.mouse.move(x, y)
    editor.page.mouse.down()
    editor.page.mouse.up()
    rows, columns = np.nonzero(editor.mask())
    assert abs(columns.mean() - (40 - 90 * 100 / percent)) < 1.5
    assert abs(rows.mean() - (30 - 60 * 100 / percent)) < 1.5


def test_what_is_painted_lies_under_the_pointer_on_a_zoomed_page(page: Any, tmp_path: Path) -> None:
    """CSS zoom, as some browsers and extensions enlarge pages: the pointer's pixels are not those of the stage."""
    editor = Editor(page).open(photo(tmp_path / "photo.png"))
    editor.size(3)
    for zoom in (1.5, 0.8):
        editor.page.evaluate(f"document.body.style.zoom = {zoom}")
        editor.drawn()
        editor.do("clear") if editor.root.locator("[data-do=clear]").is_enabled() else None
        editor.stage.scroll_into_view_if_needed()
        box = editor.stage.bounding_box()
        scale = zoom  # of one pixel of the picture on the screen
        x = box["x"] + box["width"] / 2 + scale * (30.5 - 80)
        y = box["y"] + box["height"] / 2 + scale * (90.5 - 60)
        editor.page.mouse.click(x, y)
        rows, columns = np.nonzero(editor.mask())
        assert abs(columns.mean() - 30) <= 1 and abs(rows.mean() - 90) <= 1


def test_a_hand_beside_a_pen_paints_nothing(page: Any, tmp_path: Path) -> None:
    """Whether it lies there before the pen comes or after; and from then on a finger moves the picture."""
    editor = Editor(page).open(photo(tmp_path / "photo.png"))
    editor.stage.scroll_into_view_if_needed()
    point = """async ([type, id, kind, x, y]) => {
        const stage = document.querySelector("#inpaint-editor .stage");
        stage.setPointerCapture = () => {};  // Chromium knows no such pointer
        const {left, top} = stage.getBoundingClientRect();
        const at = {clientX: left + x, clientY: top + y};
        stage.dispatchEvent(new PointerEvent(type, {pointerId: id, pointerType: kind, bubbles: true, cancelable: true, ...at}));
    }"""
    box = editor.stage.bounding_box()
    x, y = box["width"] / 2, box["height"] / 2

    def go(*steps: tuple[str, int, str, float, float]) -> None:
        for type, id, kind, dx, dy in steps:
            editor.page.evaluate(point, [f"pointer{type}", id, kind, x + dx, y + dy])

    go(("down", 7, "touch", -50, 30), ("move", 7, "touch", -40, 30))  # the palm first
    go(("down", 1, "pen", 0, -20), ("move", 7, "touch", -50, 40), ("down", 8, "touch", -60, 40))
    go(("move", 1, "pen", 40, -20), ("move", 8, "touch", -30, 45), ("up", 1, "pen", 40, -20))
    go(("down", 9, "touch", -40, 20), ("move", 9, "touch", -20, 40), *(("up", id, "touch", 0, 40) for id in (7, 8, 9)))
    mask = editor.mask()
    rows, columns = np.nonzero(mask)
    size = int(editor.root.locator(".size output").inner_text().split()[0])
    assert rows.max() - rows.min() <= size and abs(rows.mean() - 40) < 2, "the palm painted"
    assert columns.max() - columns.min() <= 40 + size
    editor.page.wait_for_timeout(1100)
    go(("down", 9, "touch", -40, 20), ("move", 9, "touch", -20, 40), ("up", 9, "touch", -20, 40))
    assert np.array_equal(editor.mask(), mask)


# ---- the tab ----


def test_before_there_is_anything_to_repair_choosing_is_what_is_offered(page: Any, tmp_path: Path) -> None:
    editor = Editor(page)
    assert not editor.button("repair").is_visible()
    strong = editor.root.locator(":is(button, a).primary:visible")
    assert strong.all_inner_texts() == ["Choose a photo"]
    editor.open(photo(tmp_path / "photo.png"))
    assert strong.all_inner_texts() == ["Repair"] and strong.is_disabled()
    assert editor.root.locator(".hint:visible").last.inner_text().startswith("Paint over what should go. ")
    editor.drag((0.3, 0.5), (0.5, 0.5))
    assert strong.is_enabled()
    editor.do("invert")
    editor.root.locator("[data-do=repair]").click()
    problem = editor.root.locator(".problem", has_text="% of the picture is marked")
    problem.wait_for()
    mask = editor.mask()
    editor.tool("rectangle")
    editor.drag((0.0, 0.0), (1.0, 1.0))
    editor.root.locator("[data-do=repair]").click()
    editor.root.locator(".problem", has_text="covers the whole picture").wait_for()
    editor.button("repair").wait_for()
    editor.do("undo")
    assert np.array_equal(editor.mask(), mask), "a mistake must not cost what is painted"
    assert page.problems == []


def test_the_keyboard_s_place_is_kept(editor: Editor) -> None:
    """When a button makes way for another one or its panel closes, the next key acts near it."""
    page = editor.page
    focused = (
        "(document.activeElement.dataset.do ?? '') || document.activeElement.id || document.activeElement.className"
    )

    def press(query: str, then: str) -> None:
        page.locator(query).focus()
        page.keyboard.press("Enter")
        page.wait_for_function(f"(then) => ({focused}) === then", arg=then)

    press("#inpaint-editor [data-do=start]", "choose")
    press("#inpaint-editor [data-do=back]", "stage")
    editor.drawn()
    editor.drag((0.3, 0.5), (0.5, 0.5))
    assert editor.mask().any()
    editor.button("repair").focus()
    page.keyboard.press("Enter")
    page.wait_for_function(f"() => ({focused}) === 'download'", timeout=60_000)
    page.keyboard.press("Control+z")
    page.wait_for_function(f"() => ({focused}) === 'repair'")


def test_another_tab_costs_nothing(editor: Editor) -> None:
    editor.drag((0.3, 0.3), (0.6, 0.3))
    mask = editor.mask()
    editor.page.get_by_role("tab", name="About").click()
    editor.stage.wait_for(state="hidden")
    editor.page.get_by_role("tab", name="Inpaint").click()
    editor.stage.wait_for()
    assert np.array_equal(editor.mask(), mask)
    editor.drag((0.3, 0.7), (0.6, 0.7))
    assert not (mask & ~editor.mask()).any()
    assert editor.mask()[84, 72]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A JPEG of 12 megapixels as a phone writes it."""
    folder = tmp_path_factory.mktemp("large")
    part = pixels(photo(folder / "part.png", 1000, 750))
    Image.fromarray(np.tile(part, (4, 4, 1))).save(folder / "large.jpg", quality=90)
    return folder / "large.jpg"


def test_twelve_megapixels_are_shown_soon_and_repaired(page: Any, large: Path) -> None:
    editor = Editor(page)
    watch = """() => {
        const input = document.querySelector("#inpaint-editor .photo-file");
        const canvas = document.querySelector("#inpaint-editor canvas.photo");
        canvas.width = 0;
        window.shown = new Promise((resolve) => input.addEventListener("change", () => {
            const start = performance.now();
            const look = () => {
                const middle = [canvas.width / 2, canvas.height / 2, 1, 1];
                if (canvas.width && canvas.getContext("2d").getImageData(...middle).data[3])
                    resolve(performance.now() - start);
                else requestAnimationFrame(look);
            };
            look();
        }, {capture: true, once: true}));
    }"""
    times: list[float] = []
    while len(times) < 3 and min(times, default=1000) >= 1000:  # other tests may hold the cores for a moment
        page.evaluate(watch)
        editor.root.locator(".photo-file").set_input_files(large)
        times.append(page.evaluate("window.shown"))
        page.evaluate(VALUE)
    shown = min(times)
    print(f"12 megapixels shown after {shown:.0f} ms")
    assert shown < 5000  # the bar is a second, on cores that nobody else needs; the line above tells
    editor.root.locator(".note", has_text="4000 × 3000").wait_for()
    assert on_the_server(page, editor.value()) == large.read_bytes()
    editor.size(100)
    editor.drag((0.5, 0.5), (0.52, 0.5))
    assert editor.mask().shape == (3000, 4000)
    editor.repair()
    assert editor.name == "large.repaired.jpg"
    assert page.problems == []


def test_cancel_stops_at_once_and_keeps_what_is_painted(page: Any, large: Path) -> None:
    editor = Editor(page).open(large)
    editor.tool("rectangle")
    editor.drag((0.02, 0.02), (0.7, 0.7))
    mask = editor.mask()
    editor.button("repair").focus()
    page.keyboard.press("Enter")
    # The one button makes way for the other.
    page.wait_for_function("() => document.activeElement.dataset.do === 'stop'")
    editor.root.locator(".progress", has_text="Starting").wait_for()
    page.keyboard.press("Enter")
    start = time.monotonic()
    page.wait_for_function("() => document.activeElement.dataset.do === 'repair'")
    assert time.monotonic() - start < 2
    assert not editor.button("stop").is_visible()
    page.wait_for_timeout(1000)
    assert not editor.root.locator(".outcome").is_visible()
    assert np.array_equal(editor.mask(), mask)


# ---- phone ----


def test_a_finger_paints_and_two_fingers_zoom(phone: Any, tmp_path: Path) -> None:
    editor = Editor(phone).open(photo(tmp_path / "photo.png"))
    editor.stage.scroll_into_view_if_needed()
    session = phone.context.new_cdp_session(phone)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        fingers = [{"x": x, "y": y, "id": k} for k, (x, y) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})

    scrolled = phone.evaluate("scrollY")
    x, y = editor.at(0.5, 0.2)
    touch("touchStart", (x, y))
    for k in range(1, 11):
        touch("touchMove", (x, y + 12 * k))
    touch("touchEnd")
    mask = editor.mask()
    assert np.flatnonzero(mask.any(1)).size > 40
    assert phone.evaluate("scrollY") == scrolled, "the page must not scroll under a stroke"

    x, y = editor.at(0.5, 0.5)
    touch("touchStart", (x - 30, y))
    touch("touchStart", (x - 30, y), (x + 30, y))
    for k in range(1, 9):
        touch("touchMove", (x - 30 - 8 * k, y), (x + 30 + 8 * k, y))
    touch("touchEnd")
    editor.drawn()
    assert np.array_equal(editor.mask(), mask), "a pinch must not paint"
    assert editor.root.locator("[data-do=fit]").is_enabled(), "the picture was not zoomed"
    assert phone.evaluate("scrollY") == scrolled
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    editor.repair()
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    assert phone.problems == []


def test_chinese_and_dark(visit: Callable[..., Any], tmp_path: Path) -> None:
    page = visit("/?__theme=dark", locale="zh-CN", **{**PHONE, "has_touch": False})
    editor = Editor(page)
    editor.root.get_by_role("button", name="选择照片").wait_for()
    editor.open(photo(tmp_path / "photo.png"))
    assert "尚未标记" in editor.root.locator(".note").inner_text()
    light = "getComputedStyle(document.querySelector('#inpaint-editor .stage')).backgroundColor"
    assert max(map(int, re.findall(r"\d+", page.evaluate(light))[:3])) < 80
    assert editor.button("repair").inner_text() == "开始修复"
    assert editor.root.locator(".hint:visible").last.inner_text().startswith("请涂抹要去除的部分。")


# ---- what nobody but a forger sends ----


def forged(page: Any, value: object) -> str:
    """Send `value` as the editor's to the Repair event, as a program would; all that the server says."""
    return page.evaluate(
        """async (value) => {
            const config = await (await fetch("/config")).json();
            const id = config.components.find((part) => part.props.elem_id === "inpaint-editor").id;
            const repairs = ([target, name]) => target === id && name === "repair";
            const event = config.dependencies.find((part) => part.targets.some(repairs));
            const session_hash = Math.random().toString(36).slice(2);
            const tell = ["recipe", "photo"];
            const data = [value, "auto", "crop", "auto", tell, ...Array(event.inputs.length - 5).fill(null)];
            const body = JSON.stringify({data, fn_index: event.id, session_hash, event_data: null, trigger_id: id});
            const post = {method: "POST", headers: {"content-type": "application/json"}, body};
            const joined = await fetch("/gradio_api/queue/join", post);
            if (!joined.ok) return joined.text();
            const reader = (await fetch(`/gradio_api/queue/data?session_hash=${session_hash}`)).body.getReader();
            let heard = "";
            while (!heard.includes("process_completed")) {
                const {done, value: part} = await reader.read();
                if (done) break;
                heard += new TextDecoder().decode(part);
            }
            await reader.cancel();
            return heard;
        }""",
        value,
    )


def test_a_payload_without_an_uploaded_file_is_refused(page: Any) -> None:
    for file, answer in [
        ({"path": "/etc/passwd"}, "was not uploaded here"),
        ({"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}, "was not uploaded here"),
        ({"path": "http://127.0.0.1:9/x.png", "meta": {"_type": "gradio.FileData"}}, "not fetched"),
        ({"url": "x"}, "No picture was uploaded"),
        (5, "No picture was uploaded"),
        (None, "No picture was uploaded"),
    ]:
        mask = "data:image/png;base64,AAAA"
        heard = forged(page, {"file": file, "mask": mask, "w": 1, "h": 1})
        assert answer in heard, file
        assert "root:" not in heard, file


# ---- the handler without a browser ----


@pytest.fixture
def value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the editor sends for photo.png with a square painted."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    mask = np.zeros((120, 160), bool)
    mask[40:80, 40:80] = True
    path = photo(tmp_path / "photo.png")
    return {"file": {"path": str(path), "meta": {"_type": "gradio.FileData"}}, "mask": url(mask), "w": 160, "h": 120}


def answers(value: object, model: str = "auto", strategy: str = "crop", request: Any = None) -> list[dict[str, Any]]:
    """All that the stage is told of a repair."""
    return [step["answer"] for step in inpaint.run(value, model, strategy, request) if isinstance(step, dict)]


@pytest.mark.parametrize(("given", "taken"), [("auto", None), ("0", 0), ("8", 8)])
def test_the_soft_edge_reaches_the_task(
    value: dict[str, Any], monkeypatch: pytest.MonkeyPatch, given: str, taken: int | None
) -> None:
    seen: dict[str, Any] = {}
    monkeypatch.setattr(
        task, "repair", lambda picture, **settings: seen.update(settings) or inverse(picture, **settings)
    )
    last = [step["answer"] for step in inpaint.run(value, "auto", "crop", None, given) if isinstance(step, dict)][-1]
    assert seen["feather"] == taken and "scene" in last


def inverse(picture: Any, mask: np.ndarray, **_: Any) -> Any:
    """A quick repair that nobody could mistake for another."""
    changed = picture.pixels.copy()
    changed[mask] = picture.peak - changed[mask]
    return task.Repair(picture.with_pixels(changed), ())


def url(mask: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(mask).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def test_the_handler_gives_the_task_what_was_painted(value: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def fake(picture: Any, mask: np.ndarray, **settings: Any) -> Any:
        seen.update(settings, mask=mask)
        changed = inverse(picture, mask).picture.pixels
        changed[0, 0] ^= 1  # a fault that must be told
        parts = [task.Part((0, 0, 9, 9), reason, np.ones((9, 9), bool)) for reason in ("wide", "even", "wide")]
        return task.Repair(picture.with_pixels(changed), tuple(parts))

    monkeypatch.setattr(task, "repair", fake)
    last = answers({**value, "kind": "png", "run": "7", "of": 3}, "auto", "whole")[-1]
    assert (last["run"], last["of"]) == ("7", 3), "an answer names what it answers"
    assert (seen["model"], seen["strategy"]) == ("auto", "whole")
    assert seen["mask"].sum() == 1600
    scene = last["scene"]
    assert scene["line"].startswith(f"The repair changed 3 of {3 * (160 * 120 - 1600):,} samples outside")
    assert len([text for text in scene["how"] if "pieces of the picture" in text]) == 1
    assert any("smoothly" in text for text in scene["how"])
    assert scene["file"]["orig_name"] == "photo.repaired.png"
    assert scene["shown"]["path"] == scene["file"]["path"], "browsers draw a PNG as it is"


KINDS = [
    ("photo.jpg", np.uint8, 3),
    ("photo.jpg", np.uint8, 1),
    ("photo.png", np.uint8, 4),
    ("photo.png", np.uint16, 2),
    ("photo.tif", np.uint16, 3),
]


@pytest.mark.parametrize(("name", "depth", "channels"), KINDS)
def test_a_repair_starts_from_the_pixels_of_the_one_before(
    name: str, depth: Any, channels: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not from a file that was rounded once more. What differs is counted against the photo, outside all marks so far."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr(task, "repair", inverse)
    noise = np.random.default_rng(1).integers(0, np.iinfo(depth).max, (40, 60, channels), depth, endpoint=True)
    image.save(image.Picture(noise), tmp_path / name)
    photo = image.load(tmp_path / name)
    first, second = np.zeros((2, 40, 60), bool)
    first[5:20, 5:30], second[10:35, 20:50] = True, True
    asked: dict[str, Any] = {"file": {"path": str(tmp_path / name)}, "mask": url(first)}
    scene = answers(asked)[-1]["scene"]
    asked |= {"mask": url(second), "state": scene["state"]}
    scene = answers(asked)[-1]["scene"]

    now, touched = MaskEditor.reached(asked | {"state": scene["state"]}, photo)
    expected = inverse(inverse(photo, first).picture, second).picture.pixels
    assert np.array_equal(now.pixels, expected) and now.pixels.dtype == depth
    assert np.array_equal(touched, first | second)
    saved = image.load(scene["file"]["path"])
    assert saved.format == photo.format
    lossless = not name.endswith(".jpg")
    assert np.array_equal(saved.pixels, expected) == lossless
    outside = f"{int((~(first | second)).sum()) * channels:,}"
    assert scene["line"].startswith(
        "Only the marked area was changed." if lossless else "Only the marked area was changed;"
    )
    assert f"of {outside} samples outside the marks" in scene["counts"]

    (other,) = (
        step["answer"] for step in inpaint.resaved(asked | {"state": scene["state"], "kind": "png", "of": 5}, None)
    )
    assert other["of"] == 5 and other["rewritten"]["kind"] == "png"
    assert np.array_equal(image.load(other["rewritten"]["file"]["path"]).pixels, expected)
    assert other["rewritten"]["counts"].startswith("0 of ")


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_the_stage_shows_the_pixels_that_the_file_decodes_to(
    depth: Any, channels: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where no browser draws the file: the photo before and the result after, or both would seem to differ all over."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr(task, "repair", inverse)
    noise = np.random.default_rng(4).integers(0, np.iinfo(depth).max, (40, 60, channels), depth, endpoint=True)
    image.save(image.Picture(noise), tmp_path / "scan.tif")
    mask = np.zeros((40, 60), bool)
    mask[5:20, 5:30] = True
    asked = {"file": {"path": str(tmp_path / "scan.tif")}, "mask": url(mask)}
    scene = answers(asked)[-1]["scene"]
    header, _, data = mask_editor.preview(asked["file"])["url"].partition(",")
    assert header.split("/")[0] == "data:image"
    for shown, file in (
        (base64.b64decode(data), tmp_path / "scan.tif"),
        (scene["shown"]["path"], scene["file"]["path"]),
    ):
        expected = codec.eight(image.load(file).pixels)
        assert image.header(shown).format in browsers.DRAWN
        assert np.array_equal(np.broadcast_to(image.load(shown).pixels, expected.shape), expected)


def test_what_was_repaired_must_fit_the_photo(value: dict[str, Any], tmp_path: Path) -> None:
    touched = np.zeros((120, 160), bool)
    touched[10:30, 10:40] = True
    for wrong in (np.zeros((24, 24, 3), np.uint8), np.zeros((24, 25, 4), np.uint8), np.zeros((24, 25, 3), np.uint16)):
        image.save(image.Picture(wrong), tmp_path / "base.png")
        state = {"base": {"path": str(tmp_path / "base.png")}, "touched": url(touched)}
        assert answers({**value, "state": state})[-1]["problem"].startswith("What was repaired so far does not fit")
    for base in ({"path": "/etc/passwd"}, None, 5):
        state = {"base": base, "touched": url(touched)}
        assert "upload" in answers({**value, "state": state})[-1]["problem"]
    state = {"base": value["file"], "touched": url(np.zeros((120, 160), bool))}
    assert answers({**value, "state": state})[-1]["problem"].startswith("What was repaired so far does not fit")
    assert answers({**value, "state": {"base": value["file"]}})[-1]["problem"].startswith("The mask must be a PNG")


def test_more_than_half_is_asked_about_once(value: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The inverse of what is meant is an easy mistake, and costs most."""
    monkeypatch.setattr(task, "repair", inverse)
    mask = np.ones((120, 160), bool)
    mask[40:80, 40:80] = False
    most = {**value, "mask": url(mask)}
    (told,) = answers(most)
    assert told["ask"] is True and told["problem"].startswith("92 % of the picture is marked")
    assert "scene" in answers({**most, "sure": True})[-1]
    assert "scene" in answers(value)[-1], "asked about 8 %"


def test_mistakes_are_told_before_the_work(value: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task, "repair", lambda *_, **__: pytest.fail("time was spent"))
    monkeypatch.setitem(image.LONGEST, "WEBP", 159)
    nothing = {**value, "mask": url(np.zeros((120, 160), bool))}
    for asked, sentence in (
        ({"file": None}, "No picture was uploaded"),
        (5, "No picture was uploaded"),
        (nothing, "Nothing is marked yet"),
        ({**value, "kind": "webp"}, "WEBP holds 159 pixels a side, the picture is 160×120"),
        ({**value, "kind": "gif"}, "Save as one of input, png"),
    ):
        (told,) = answers(asked)
        assert told["problem"].startswith(sentence)


def test_all_marked_is_refused_and_not_asked_about(value: dict[str, Any]) -> None:
    assert answers({**value, "mask": url(np.ones((120, 160), bool))})[-1]["problem"].startswith(
        "The marked area covers the whole"
    )


@pytest.mark.parametrize(
    ("language", "sentence"), [("en", "The gain map, which"), ("zh-CN", "用于 HDR 屏幕提亮的增益图")]
)
def test_what_a_result_cannot_keep_is_told(
    value: dict[str, Any], monkeypatch: pytest.MonkeyPatch, language: str, sentence: str
) -> None:
    monkeypatch.setattr(task, "repair", inverse)
    source = Path(value["file"]["path"]).with_name("hdr.jpg")
    source.write_bytes(REPRO.joinpath("uhdr.jpg").read_bytes())
    picture = image.load(source)
    mask = np.zeros((picture.height, picture.width), bool)
    mask[:4, :4] = True
    asked = {"file": {"path": str(source)}, "mask": url(mask)}
    request: Any = SimpleNamespace(headers={"accept-language": language})
    assert any(sentence in note for note in answers(asked, request=request)[-1]["scene"]["notes"])


@pytest.mark.parametrize("way", ["left", "cancelled", "cancelled while it waited"])
def test_a_page_that_is_left_or_asks_for_it_stops_the_job(
    value: dict[str, Any], monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Gradio closes the generator of a visitor who leaves; the thread must hear of it."""
    stopped = threading.Event()

    def slow(picture: Any, mask: np.ndarray, *, cancel: threading.Event, **_: Any) -> Any:
        if cancel.wait(20):
            stopped.set()
        raise MaskError("stopped")

    monkeypatch.setattr(task, "repair", slow)
    if way == "cancelled while it waited":
        inpaint.stop(way)
    running = inpaint.run({**value, "run": way}, "auto", "crop", None)
    next(running)
    if way == "left":
        running.close()
    if way == "cancelled":
        inpaint.stop("another one")
        inpaint.stop(way)
    assert stopped.wait(5)


def test_a_mistake_or_a_fault_ends_the_question(value: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr("genrestore.ui.parts.toasts.gr.Warning", lambda text, **_: told.append(text))
    for problem, facts in ((MaskError("wrong"), {"problem": "wrong"}), (ValueError("ours"), {})):

        def fail(*_: Any, problem: Exception = problem, **__: Any) -> Any:
            raise problem

        monkeypatch.setattr(task, "repair", fail)
        assert answers({**value, "run": "1", "of": 2})[-1] == {"run": "1", "of": 2, **facts}
    assert len(told) == 1 and told[0].startswith("Something went wrong"), "the mistake was told on the stage"
    monkeypatch.setattr(task, "repair", inverse)
    state = answers(value)[-1]["scene"]["state"]
    monkeypatch.setattr(inpaint, "written", fail)
    assert next(inpaint.resaved({**value, "state": state}, None))["answer"]["unwritten"] is None


def test_the_picture_is_decoded_once_however_often_painting_pauses(
    value: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And anew when another file lies there."""
    loaded: list[Path] = []
    load = image.load
    monkeypatch.setattr(image, "load", lambda source, **how: (loaded.append(source), load(source, **how))[1])
    path = Path(value["file"]["path"])
    for _ in range(3):
        inpaint.outlook(value)
    assert mask_editor.select({"file": value["file"], "outline": [[80, 60]]}) is not None
    assert loaded.count(path) == 1
    photo(path, 200, 150, compress_level=1)
    assert mask_editor.inspect(value["file"])["width"] == 200
    assert loaded.count(path) == 2


def test_what_is_kept_of_many_visitors_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The least recently used goes first; what nobody may write to is right for each; too large a picture is not kept."""
    kept = recent.Recent(3 * 40 * 30 * 3, recent.pictures.size)
    monkeypatch.setattr(recent, "pictures", kept)
    paths = [photo(tmp_path / f"{k}.png", 40, 30 + k) for k in range(5)] + [photo(tmp_path / "large.png", 200, 200)]

    def ask(path: Path) -> bool:
        picture = recent.load(path)
        with pytest.raises(ValueError, match="read-only"):
            picture.pixels[0, 0] = 0
        return np.array_equal(picture.pixels, image.load(path).pixels)

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        assert all(pool.map(ask, paths * 8))
    first = recent.load(paths[0])
    recent.load(paths[1])
    assert recent.load(paths[0]) is first
    recent.load(paths[2])
    assert sum(picture.pixels.nbytes for picture in kept.kept.values()) <= kept.most
    assert recent.load(paths[0]) is first, "it was used last but one"
    large = recent.load(paths[-1])
    assert recent.load(paths[-1]) is not large
    assert recent.load(paths[0]) is first, "a large one drove all others out"
    with pytest.raises(ImageError):
        recent.load(tmp_path / "gone.png")


def test_only_listed_models_are_used(value: dict[str, Any]) -> None:
    """`file:` and `hf:` references are for the command line; a stranger must not name what is read."""
    for model in ("file:/etc", "hf:owner/repo"):
        assert answers(value, model)[-1]["problem"].startswith("Choose one of the models")
    assert task.EXEMPLAR in [name for _, name in inpaint.picker.choices("inpaint")]
    assert set(task.REASONS) - {"asked"} <= inpaint.W.by_language()["en"].keys(), "each reason has its words"


def test_examples_are_there() -> None:
    assert json.dumps([path.name for path in examples.PHOTOS if not path.exists()]) == "[]"
