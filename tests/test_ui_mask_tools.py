"""What the mask editor forgives and offers: growth, parts that must not be copied, wand, objects, pens, odd screens."""

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio")

from conftest import PHONE
from test_ui_inpaint import Editor, photo, read_png, spread, value

from genrestore.pipelines import inpaint as task
from genrestore.ui.tabs.inpaint import tab as inpaint

__all__ = ["value"]  # a fixture

GROWN = 3  # pixels by which what is painted on a small picture grows


class Tools(Editor):
    """The editor as a newcomer meets it: what is painted is grown."""

    def __init__(self, page: Any) -> None:
        super().__init__(page)
        page.evaluate("localStorage.clear()")

    def growth(self) -> tuple[bool, int]:
        """Whether painting is grown, and the pixels that are shown."""
        return self.switch.is_checked(), int(self.root.locator(".growth [type=number]").input_value())

    @property
    def switch(self) -> Any:
        return self.root.locator(".growth [type=checkbox]")

    def forbidden(self) -> Any:
        """(H, W) bool, or None where nothing is."""
        url = self.value()["forbid"]
        return None if url is None else read_png(base64.b64decode(url.split(",")[1]))

    def click(self, x: float, y: float, **how: Any) -> None:
        self.stage.scroll_into_view_if_needed()
        self.page.mouse.click(*self.at(x, y), **how)

    def load(self, mask: np.ndarray, path: Path) -> None:
        Image.fromarray(mask).save(path)
        self.root.locator(".mask-file").set_input_files(path)
        self.root.locator(".said", has_text="Mask loaded").wait_for(state="attached")
        self.page.evaluate("document.querySelector('#inpaint-editor .said').textContent = ''")


def opened(page: Any, folder: Path) -> Tools:
    """The editor with a PNG of 300 × 200 open."""
    tools = Tools(page)
    tools.open(photo(folder / "photo.png", 300, 200))
    return tools


@pytest.fixture
def editor(same_page: Any, tmp_path: Path) -> Tools:
    return opened(same_page, tmp_path)


# ---- growth ----


def test_a_stroke_is_grown_and_shown_as_it_is_sent(editor: Tools) -> None:
    """By the same pixels whatever was painted with, and exactly by the number that is shown."""
    assert editor.growth() == (True, 3)
    draw: dict[str, Callable[[], None]] = {
        "brush": lambda: editor.drag((0.2, 0.3), (0.5, 0.35), (0.6, 0.7)),
        "rectangle": lambda: editor.drag((0.5, 0.2), (0.9, 0.4)),
        "lasso": lambda: editor.drag((0.1, 0.6), (0.4, 0.7), (0.2, 0.95)),
    }
    editor.root.locator(".growth [type=number]").fill("7")
    editor.root.locator(".growth [type=number]").press("Tab")
    assert editor.growth() == (True, 7)
    grown = []
    for name, stroke in draw.items():
        editor.tool(name)
        stroke()
        grown.append(editor.mask())
    editor.switch.uncheck()
    plain = editor.mask()
    assert np.array_equal(grown[-1], spread(plain, 7))
    shown = """() => {
        const canvas = document.querySelector("#inpaint-editor canvas.mask");
        const {data, width} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return [width, data.reduce((count, value, place) => count + (place % 4 === 3 && value > 0), 0)];
    }"""
    assert editor.drawn().page.evaluate(shown)[1] == plain.sum(), "the page shows another mask than it sends"
    for state in reversed(grown):
        editor.page.keyboard.press("Control+z")
        assert np.array_equal(editor.mask(), state)
        assert editor.growth() == (True, 7), "what is shown and what is marked differ"
    assert editor.drawn().page.evaluate(shown)[1] == grown[0].sum()
    for state in (*grown[1:], plain):
        editor.page.keyboard.press("Control+y")
        assert np.array_equal(editor.mask(), state)
    assert editor.growth()[0] is False
    assert editor.page.problems == []


def test_growth_can_be_switched_and_is_remembered(editor: Tools, tmp_path: Path) -> None:
    editor.drag((0.3, 0.5), (0.6, 0.5))
    grown = editor.mask()
    editor.stage.press("g")
    assert editor.growth()[0] is False
    plain = editor.mask()
    assert np.array_equal(spread(plain, GROWN), grown)
    editor.open(photo(tmp_path / "other.png", 1500, 20))
    assert editor.growth() == (False, 8), "those of `growth`, once they are asked for"
    editor.switch.check()
    editor.root.locator(".growth [type=number]").fill("16")
    editor.root.locator(".growth [type=number]").press("Tab")
    editor.open(photo(tmp_path / "third.png", 160, 120))
    assert editor.growth() == (True, 6), "twice as much as usual, at this picture's scale"


def test_a_mask_from_a_file_is_not_grown_and_what_is_sent_is_saved(editor: Tools, tmp_path: Path) -> None:
    loaded = np.zeros((200, 300), bool)
    loaded[20:60, 30:80] = True
    editor.load(loaded, tmp_path / "mask.png")
    assert np.array_equal(editor.mask(), loaded)
    editor.drag((0.6, 0.7), (0.8, 0.7))
    both = editor.mask()
    editor.switch.uncheck()
    plain = editor.mask()
    assert np.array_equal(both, loaded | spread(plain & ~loaded, GROWN))
    editor.do("undo")
    with editor.page.expect_download() as download:
        editor.do("save")
    assert np.array_equal(read_png(Path(download.value.path()).read_bytes()), both)


def test_the_eraser_leaves_no_rim(editor: Tools) -> None:
    editor.drag((0.3, 0.5), (0.6, 0.5))
    editor.tool("rectangle")
    editor.drag((0.2, 0.2), (0.449, 0.8), button="right")
    rest = editor.mask()
    editor.switch.uncheck()
    assert not (rest & ~spread(editor.mask(), GROWN)).any(), "a rim is left round nothing"
    editor.do("undo")
    assert np.array_equal(editor.mask(), rest)


# ---- what must not be copied ----


def test_parts_can_be_forbidden_as_sources(editor: Tools) -> None:
    assert editor.forbidden() is None
    editor.drag((0.2, 0.3), (0.4, 0.3))
    marked = editor.mask()
    editor.stage.press("d")
    editor.drag((0.3, 0.3), (0.8, 0.3))
    forbidden = editor.forbidden()
    assert forbidden is not None
    assert np.array_equal(editor.mask(), marked), "a second colour must not change the mask"
    size = int(editor.root.locator(".size output").inner_text().split()[0])
    assert abs(int(forbidden[:, 150].sum()) - size) <= 1, "it is not grown"
    editor.tool("eraser")
    editor.drag((0.7, 0.1), (0.7, 0.5))
    less = editor.forbidden()
    assert less is not None and 0 < less.sum() < forbidden.sum()
    assert np.array_equal(editor.mask(), marked)
    editor.do("undo")
    assert np.array_equal(editor.forbidden(), forbidden)
    editor.do("undo")
    assert editor.forbidden() is None
    editor.do("redo")
    assert np.array_equal(editor.forbidden(), forbidden)
    editor.do("invert")
    assert np.array_equal(editor.forbidden(), forbidden)
    editor.do("clear")
    assert editor.forbidden() is None and not editor.mask().any()


def test_what_is_forbidden_reaches_the_task(value: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def fake(picture: Any, mask: np.ndarray, *, forbidden: Any, **_: Any) -> Any:
        seen.append(forbidden)
        return task.Repair(picture, ())

    monkeypatch.setattr(task, "repair", fake)
    for forbid in (None, value["mask"]):
        list(inpaint.run({**value, "forbid": forbid}, "auto", "crop", None))
    assert seen[0] is None
    assert seen[1].sum() == 1600


def test_a_reload_keeps_margin_and_forbidden_parts_and_the_way_back(page: Any, tmp_path: Path) -> None:
    """Of three steps, each can be undone as if nothing had been; what was painted is not taken for its margin."""
    editor = opened(page, tmp_path)
    states = []
    for tool, height in (("brush", 0.3), ("forbid", 0.5), ("brush", 0.7)):
        editor.tool(tool)
        editor.drag((0.2, height), (0.5, height))
        states.append((editor.mask(), editor.forbidden()))
    editor.page.wait_for_timeout(1000)  # it is kept when painting rests
    editor.page.reload()
    editor.root.locator(".note", has_text="% marked").wait_for(timeout=20_000)
    assert editor.growth() == (True, GROWN)
    for mask, forbidden in reversed(states):
        assert np.array_equal(editor.mask(), mask)
        assert np.array_equal(editor.forbidden(), forbidden)
        editor.do("undo")
    assert not editor.mask().any() and editor.button("undo").is_disabled()
    for _ in states:
        editor.do("redo")
    editor.switch.uncheck()
    assert np.array_equal(spread(editor.mask(), GROWN), states[-1][0])
    assert editor.page.problems == []


# ---- wand and object ----


def scene(path: Path, inner: int = 160) -> Path:
    """A box of blue in one of a bluer blue, both in noise of other colours."""
    grain = np.random.default_rng(2).integers(0, 90, (200, 300, 3))
    grain[40:120, 60:160] = (30, 60, 200)
    grain[60:100, 80:140] = (30, 60, inner)
    Image.fromarray(grain.astype(np.uint8)).save(path)
    return path


def box(top: int, left: int, bottom: int, right: int) -> np.ndarray:
    mask = np.zeros((200, 300), bool)
    mask[top:bottom, left:right] = True
    return mask


def test_the_wand_takes_what_is_connected_and_alike(editor: Tools, tmp_path: Path) -> None:
    editor.switch.uncheck()
    editor.open(scene(tmp_path / "scene.png"))
    editor.stage.press("w")
    assert editor.root.locator(".tolerance").is_visible() and not editor.root.locator(".size").is_visible()
    editor.click(0.35, 0.4)
    assert np.array_equal(editor.mask(), box(60, 80, 100, 140))
    editor.do("undo")
    editor.drag((0.35, 0.4), (0.35 + 70 / 300, 0.4))  # pulled by 70 pixels, it takes in what differs by 35 more
    assert np.array_equal(editor.mask(), box(40, 60, 120, 160))
    assert int(editor.root.locator(".tolerance output").inner_text()) == 59
    editor.root.locator(".tolerance input").fill("10")
    editor.page.keyboard.down("Alt")
    editor.click(0.35, 0.4)
    editor.page.keyboard.up("Alt")
    ring = box(40, 60, 120, 160) & ~box(60, 80, 100, 140)
    assert np.array_equal(editor.mask(), ring)
    editor.page.keyboard.down("Shift")
    editor.click(0.35, 0.4)
    editor.page.keyboard.up("Shift")
    assert np.array_equal(editor.mask(), box(40, 60, 120, 160))
    editor.stage.press("[")
    assert int(editor.root.locator(".tolerance output").inner_text()) == 9


def test_the_wand_closes_small_holes_and_keeps_large_ones(editor: Tools, tmp_path: Path) -> None:
    """Specks of noise, also at the picture's edge; a thing that lies in the colour is none."""
    editor.switch.uncheck()
    sky = np.full((200, 300, 3), (90, 140, 220), np.uint8)
    rng = np.random.default_rng(7)
    for y, x, side in zip(rng.integers(8, 90, 60), rng.integers(8, 280, 60), rng.integers(1, 6, 60), strict=True):
        sky[y : y + side, x : x + side] = 0
    sky[0:3, 50:53] = sky[30:32, 297:] = 0
    sky[110:130, 100:140] = (200, 180, 90)  # of 800 pixels
    sky[150:, 150:] = (40, 90, 30)  # the ground: beyond it is no hole
    sky[196:, :4] = (40, 90, 30)  # and a corner of 16
    Image.fromarray(sky).save(tmp_path / "sky.png")
    editor.open(tmp_path / "sky.png")
    editor.stage.press("w")
    editor.click(0.5, 0.52)
    expected = np.ones((200, 300), bool)
    expected[110:130, 100:140] = expected[150:, 150:] = False
    assert np.array_equal(editor.mask(), expected)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / (a | b).sum()


def test_an_object_is_selected_by_a_click_or_a_line_round_it(editor: Tools, tmp_path: Path) -> None:
    editor.switch.uncheck()
    editor.open(scene(tmp_path / "scene.png", inner=200))
    whole = box(40, 60, 120, 160)
    editor.stage.press("o")
    editor.drag((0.17, 0.15), (0.57, 0.16), (0.56, 0.64), (0.16, 0.63))
    assert overlap(editor.mask(), whole) > 0.95
    editor.drag((0.17, 0.15), (0.57, 0.16), (0.56, 0.64), (0.16, 0.63), button="right")
    assert editor.mask().sum() < 0.1 * whole.sum()
    editor.do("clear") if editor.mask().any() else None
    editor.click(0.3, 0.35)
    assert overlap(editor.mask(), whole) > 0.95, "the value waits for the server"
    assert "Object selected" in editor.root.locator(".said").text_content()
    editor.do("undo")
    for key in ("ArrowRight", "Enter", "Enter"):  # at the crosshair, which begins in the middle
        editor.stage.press(key)
    editor.mask()
    assert editor.root.locator(".problem").inner_text() == "" or not editor.mask().any()
    assert editor.page.problems == []


# ---- pens, screens, help ----


def test_a_pen_paints_as_wide_as_it_is_pressed(page: Any, tmp_path: Path) -> None:
    """One that cannot feel says 0 or 0.5 always, and paints the full width."""
    editor = opened(page, tmp_path)
    editor.switch.uncheck()
    editor.size(40)
    size = int(editor.root.locator(".size output").inner_text().split()[0])
    dab = """async (pressures) => {
        const stage = document.querySelector("#inpaint-editor .stage");
        stage.setPointerCapture = () => {};  // Chromium knows no such pointer
        const {left, top, width, height} = stage.getBoundingClientRect();
        const at = {clientX: left + width / 2, clientY: top + height / 2, pointerId: 3, pointerType: "pen", bubbles: true};
        const types = ["pointerdown", "pointermove", "pointerup"];
        types.forEach((type, place) => stage.dispatchEvent(new PointerEvent(type, {...at, pressure: pressures[place]})));
    }"""
    widths = []
    for pressures in ([0.5, 0.5, 0], [0, 0, 0], [1, 1, 0], [0.25, 0.25, 0], [0.01, 0.01, 0]):
        editor.page.evaluate(dab, pressures)
        widths.append(int(editor.mask().any(0).sum()))
        editor.do("clear")
    assert np.abs(np.array(widths) - np.array([1, 1, 1, 0.475, 0.307]) * size).max() <= 1


def test_the_pixel_under_the_pointer_is_painted_on_any_screen(page: Any, tmp_path: Path) -> None:
    """And drawn there, to one pixel of the screen, with all in view and closely seen."""
    editor = Tools(page)
    width, height = 1000, 730
    editor.open(photo(tmp_path / "photo.png", width, height))
    editor.switch.uncheck()
    editor.size(1)
    editor.stage.scroll_into_view_if_needed()
    screen = page.context.new_cdp_session(page)
    stage = editor.stage.bounding_box()
    inner = {"width": stage["width"] - 2, "height": stage["height"] - 2}
    scale = min(inner["width"] / width, inner["height"] / height)
    left = stage["x"] + 1 + (inner["width"] - scale * width) / 2
    top = stage["y"] + 1 + (inner["height"] - scale * height) / 2
    x, y = round(left + 0.37 * scale * width), round(top + 0.61 * scale * height)
    drawn = """([x, y]) => {
        const canvas = document.querySelector("#inpaint-editor canvas.mask");
        const box = canvas.getBoundingClientRect();
        const [across, down] = [canvas.width / box.width, canvas.height / box.height];
        const place = [Math.floor((x - box.left) * across), Math.floor((y - box.top) * down)];
        const {data} = canvas.getContext("2d").getImageData(place[0] - 1, place[1] - 1, 3, 3);
        return [across, Math.max(...data.filter((_, index) => index % 4 === 3))];
    }"""
    for ratio in (0.67, 1, 1.25, 1.5, 2, 3):
        metrics = {"width": 1280, "height": 900, "deviceScaleFactor": ratio, "mobile": False}
        screen.send("Emulation.setDeviceMetricsOverride", metrics)
        editor.stage.press("0")  # draws anew
        page.mouse.move(x, y)
        for zoom in (0, 4):
            for _ in range(zoom):
                page.mouse.wheel(0, -600)
            editor.drawn()
            page.mouse.down()
            page.mouse.up()
            editor.drawn()
            rows, columns = np.nonzero(editor.mask())
            assert list(zip(columns, rows, strict=True)) == [(int((x - left) / scale), int((y - top) / scale))], ratio
            across, alpha = page.evaluate(drawn, [x + 0.01, y + 0.01])
            assert abs(across - ratio) < 0.01
            assert alpha > 0, f"{ratio}: it is not drawn where it is"
            editor.stage.press("Delete")
    screen.detach()


NAMES = {
    "en-GB": ["Brush", "Eraser", "Box", "Lasso", "Object", "Wand", "Do not copy", "Move"],
    "zh-CN": ["画笔", "橡皮", "矩形", "套索", "对象", "魔棒", "禁止复制", "移动"],
}


# Of each node what it is, whether it is pressed where it stands alone (a checkbox is by its words too), and where it lies.
PLACES = """nodes => nodes.map((node) =>
    [node.outerHTML.slice(0, 80), node.type !== "checkbox", node.getBoundingClientRect().toJSON()])"""


@pytest.mark.parametrize("language", NAMES)
def test_on_a_phone_all_has_words_and_fits_one_screen(visit: Callable[..., Any], tmp_path: Path, language: str) -> None:
    """All that can be touched is 44 pixels wide and high, and nothing lies outside, below or under what sticks to the edge."""
    page = visit(**PHONE, locale=language)
    editor = Tools(page)
    editor.open(photo(tmp_path / "photo.png", 600, 600))
    tools = editor.root.locator("[data-tool]")
    assert [" ".join(text.split()) for text in tools.all_inner_texts()] == NAMES[language]
    assert editor.root.locator("[data-tool] span:visible").count() == len(NAMES[language])
    page.evaluate("scrollTo(0, 0)")
    foot = editor.root.locator(".foot").bounding_box()
    assert foot["y"] + foot["height"] <= 844

    def fits(further: bool) -> None:
        parts = editor.root.locator(":is(.bar, .actions) :is(button, input, a):visible").evaluate_all(PLACES)
        assert len(parts) > 10
        for name, box, place in parts:
            assert place["x"] >= 0 and place["right"] <= 390, name
            assert place["height"] >= 44 or not box, name
            assert place["width"] >= 43.9 or not box, name
            assert further or place["bottom"] <= 844, name

    fits(further=False)
    under = editor.root.locator(".bar.under").bounding_box()
    assert under["y"] + under["height"] <= foot["y"]
    cut = "nodes => nodes.filter((node) => node.scrollWidth > node.parentElement.clientWidth).map((node) => node.textContent)"
    assert editor.root.locator("[data-tool] span").evaluate_all(cut) == [], "a word is cut off"
    assert not editor.button("grow").is_visible()
    editor.do("more")
    assert editor.button("more").get_attribute("aria-expanded") == "true"
    for name in ("shrink", "grow", "damage", "load", "save"):
        assert editor.button(name).is_visible()
    fits(further=True)
    assert page.problems == []


def test_a_phone_is_told_of_gestures_and_not_of_keys(phone: Any, tmp_path: Path) -> None:
    editor = Tools(phone)
    editor.open(photo(tmp_path / "photo.png"))
    editor.do("help")
    told = editor.root.locator(".help").inner_text()
    assert all(word in told for word in ("Object", "Wand", "Do not copy", "pressed harder", "two move and zoom"))
    assert not re.search(r"Ctrl|Shift|\bEsc\b|mouse", told)
    assert editor.root.locator(".help kbd:visible").count() == 0


def test_the_help_tells_every_key(editor: Tools) -> None:
    editor.do("help")
    told = editor.root.locator(".help").inner_text()
    tools = editor.root.locator("[data-tool]")
    keys = [str(tools.nth(k).get_attribute("title"))[-2] for k in range(tools.count())]  # such as "Move (H)"
    assert all(re.search(rf"\b{key}\b", told) for key in keys), keys
    assert all(word in told for word in ("Wand", "Object", "pressed harder", "Ctrl+Enter"))
    assert editor.page.problems == []
    editor.page.keyboard.press("Escape")  # the next test's page is this one
