"""The before/after slider: what it is given, and what a visitor does with it in a browser."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from conftest import PHONE, STANDING
from PIL import Image, ImageCms

from genrestore.errors import ImageError
from genrestore.pictures import image
from genrestore.ui import words
from genrestore.ui.parts.compare import FULL, PREVIEW, Compare


def photo(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """Noise, so that every pixel differs from the next."""
    depth = len(Image.new(mode, (1, 1)).getbands())
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, depth), dtype=np.uint8)
    return Image.fromarray(pixels[:, :, 0] if depth == 1 else pixels)


def opened(view: dict[str, Any], kind: str = "preview") -> Image.Image:
    return Image.open(view[kind]["path"])


# --- what the slider is given ---


def test_a_file_that_browsers_draw_is_shown_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    photo(60, 40).save(path, quality=80)
    before = Compare.value(path)["before"]
    assert Path(before["full"]["path"]).read_bytes() == path.read_bytes()
    assert before["preview"] == before["full"]
    assert (before["width"], before["height"]) == (60, 40)
    assert before["full"]["meta"] == {"_type": "gradio.FileData"}, "Gradio would give it no address"


def test_a_turned_photo_has_its_upright_size(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    photo(60, 40).save(path, exif=exif)
    before = Compare.value(path)["before"]
    assert (before["width"], before["height"]) == (40, 60)


def test_before_stands_alone_until_there_is_an_after() -> None:
    assert Compare.value(photo(8, 8))["after"] is None


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_pictures_in_memory_are_written_with_their_alpha(mode: str) -> None:
    source = photo(30, 20, mode)
    shown = opened(Compare.value(source)["before"])
    assert shown.size == source.size
    assert ("A" in shown.getbands()) == ("A" in mode)
    if mode in ("L", "RGB"):
        error = np.abs(np.asarray(shown, float) - np.asarray(source, float)).mean()
        assert error < 4, f"the screen's copy is off by {error:.1f} of 255 on average"


def test_sixteen_bit_grey_is_shown_in_eight() -> None:
    ramp = np.linspace(0, 65_535, 64 * 64).reshape(64, 64, 1).astype(np.uint16)
    shown = opened(Compare.value(image.Picture(ramp))["before"]).convert("L")
    assert np.abs(np.asarray(shown, float) - ramp[:, :, 0] / 257).max() < 6


def test_a_tiff_becomes_something_that_browsers_draw(tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    photo(30, 20).save(path)
    assert opened(Compare.value(path)["before"]).format == "JPEG"


def test_a_large_picture_has_a_small_preview_and_the_whole_to_zoom_into() -> None:
    before = Compare.value(Image.new("RGB", (3000, 1500)))["before"]
    assert max(opened(before).size) == PREVIEW
    assert opened(before, "full").size == (3000, 1500)


def test_a_huge_picture_has_only_a_preview() -> None:
    before = Compare.value(Image.new("RGB", (4001, 3000)))["before"]
    assert FULL * 1e6 < 4001 * 3000
    assert before["full"] is None
    assert max(opened(before).size) == PREVIEW
    assert (before["width"], before["height"]) == (4001, 3000), "zoom counts in the picture's own pixels"


def test_an_extremely_wide_picture_is_no_problem() -> None:
    before = Compare.value(Image.new("RGBA", (30_000, 10)))["before"]
    assert opened(before).size == (PREVIEW, 1)


def test_colours_keep_their_profile() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    source = photo(30, 20)
    source.info["icc_profile"] = profile
    assert opened(Compare.value(source)["before"]).info["icc_profile"] == profile


def test_what_is_no_picture_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"photo\.jpg"):
        Compare.value(path)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("turned.webp", {"exif": 3}),
        ("turned.png", {"exif": 6}),
        ("turned_xmp.webp", {"xmp": b'<x tiff:Orientation="6"/>'}),
        ("cmyk.jpg", {"mode": "CMYK"}),
        ("drawing.bmp", {}),
    ],
)
def test_where_browsers_may_differ_the_server_s_copy_is_shown(
    tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    """Otherwise a visitor sees another picture than the one that is worked on: a WebP lies on its side in Chromium."""
    path, source = tmp_path / name, photo(60, 40)
    if number := options.pop("exif", 0):
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = number
    source.convert(options.pop("mode", "RGB")).save(path, **options)
    shown = Compare.value(path)["before"]["full"]
    assert Path(shown["path"]).read_bytes() != path.read_bytes()
    drawn = Image.open(shown["path"])
    assert (drawn.format, drawn.mode, drawn.getexif().get(0x0112, 1)) == ("JPEG", "RGB", 1)


# --- in the browser ---


def pairs() -> dict[str, Any]:
    """Names for the address: ?pair=… shows one."""
    small, large = photo(100, 60), photo(400, 240)
    return {
        "enlarged": Compare.value(small, large),
        "same": Compare.value(small, photo(100, 60, "L")),
        "square": Compare.value(photo(270, 270), photo(1080, 1080)),
        "tiny": Compare.value(photo(16, 16), photo(64, 64)),
        "single": Compare.value(small),
        "large": Compare.value(photo(600, 450), photo(3000, 2250)),
    }


@pytest.fixture(scope="module")
def slider_url() -> Iterator[str]:
    """A page with nothing but the slider."""
    known = pairs()

    def chosen(request: gr.Request) -> Any:
        return known.get(request.query_params.get("pair"))

    with gr.Blocks(analytics_enabled=False) as page:
        with gr.Tab("Slider"):
            compare = Compare(label="Result", elem_id="slider")
            gr.Markdown("Text below, to scroll to. " * 400)
        page.load(chosen, None, compare, api_visibility="private")
    _, address, _ = page.launch(
        prevent_thread_lock=True, quiet=True, run_history=False, i18n=words.translations(), footer_links=[]
    )
    yield address.rstrip("/")
    page.close()


@pytest.fixture
def slider(visit: Callable[..., Any], slider_url: str) -> Callable[..., Any]:
    """slider("enlarged", **context) → a page on which that pair is shown."""

    def show(pair: str, state: str = "pair", **context: Any) -> Any:
        page = visit(f"/?pair={pair}", address=slider_url, **context)
        page.locator(f"#slider [data-state={state}]").wait_for()
        page.evaluate(STANDING)  # the stage takes its shape
        return page

    return show


def clip(page: Any) -> float:
    """Where after begins, in percent of the picture's width."""
    path = page.evaluate("document.querySelector('#slider img.after').style.clipPath")
    return float(path.removeprefix("inset(").split()[3].strip("%)"))


def percent(page: Any) -> int:
    """Screen pixels for 100 pixels of the picture."""
    return int(page.locator("#slider .percent").inner_text().strip(" %"))


def frame(page: Any) -> dict[str, float]:
    return page.locator("#slider .frame").bounding_box()


def middle(page: Any, selector: str) -> tuple[float, float]:
    box = page.locator(selector).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def rendering(page: Any, which: str) -> str:
    return page.evaluate(f"getComputedStyle(document.querySelector('#slider img.{which}')).imageRendering")


def test_the_handle_moves_by_keyboard(slider: Callable[..., Any]) -> None:
    page = slider("enlarged")
    handle = page.get_by_role("slider")
    assert clip(page) == pytest.approx(50)
    page.keyboard.press("Tab")
    for _ in range(8):  # tabs, stage, handle
        if handle.evaluate("node => node === document.activeElement"):
            break
        page.keyboard.press("Tab")
    assert handle.evaluate("node => node === document.activeElement"), "the handle cannot be reached with Tab"
    assert handle.evaluate("node => getComputedStyle(node).outlineStyle") == "solid", "the focus is not visible"
    for key, value in [
        ("ArrowRight", 51), ("ArrowUp", 52), ("ArrowLeft", 51), ("ArrowDown", 50), ("Shift+ArrowRight", 60),
        ("PageUp", 70), ("PageDown", 60), ("Home", 0), ("ArrowLeft", 0), ("End", 100), ("ArrowRight", 100),
    ]:  # fmt: skip
        page.keyboard.press(key)
        assert int(handle.get_attribute("aria-valuenow")) == value, f"after {key}"
        assert clip(page) == pytest.approx(value), f"after {key}"
    assert page.problems == []


def test_the_handle_follows_the_mouse(slider: Callable[..., Any]) -> None:
    page = slider("enlarged")
    x, y = middle(page, "#slider .handle")
    box = frame(page)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.2, y, steps=4)
    page.mouse.up()
    assert clip(page) == pytest.approx(20, abs=0.5)
    page.mouse.move(box["x"] + box["width"] * 0.9, y)
    assert clip(page) == pytest.approx(20, abs=0.5), "it must stay where it was released"
    page.mouse.click(box["x"] + box["width"] * 0.7, box["y"] + 5)
    assert clip(page) == pytest.approx(70, abs=0.5), "a click on the picture brings it there"


def test_the_slider_fills_the_screen_or_else_the_window(slider: Callable[..., Any]) -> None:
    """Some browsers give the whole screen to videos alone."""
    page = slider("enlarged")
    button = page.locator("#slider [data-do=fullscreen]")
    for can, full in itertools.product((True, False), (True, False)):
        if not can:
            page.evaluate("document.querySelector('#slider .compare').requestFullscreen = undefined")
        button.click() if full or can else page.keyboard.press("Escape")
        page.wait_for_function(
            f"() => (document.querySelector('#slider .compare').clientWidth === 1280) === {str(full).lower()}"
        )
        page.locator(f"#slider [data-do=fullscreen][aria-pressed={str(full).lower()}]").wait_for()
    assert page.problems == []


def test_both_pictures_fill_one_box(slider: Callable[..., Any]) -> None:
    """Before has a quarter of after's width; it is drawn at after's size."""
    page = slider("enlarged")
    before, after = (page.locator(f"#slider img.{which}").bounding_box() for which in ("before", "after"))
    assert before == after
    assert before["width"] / before["height"] == pytest.approx(400 / 240, rel=0.01)


def test_wheel_buttons_and_keys_zoom_down_to_pixels(slider: Callable[..., Any]) -> None:
    page = slider("enlarged")
    fitted = percent(page)
    box = frame(page)
    x, y = box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.25
    page.mouse.move(x, y)
    page.mouse.wheel(0, -1200)
    page.wait_for_function("document.querySelector('#slider .zoomed')")
    grown = frame(page)
    assert percent(page) > fitted
    assert (x - grown["x"]) / grown["width"] == pytest.approx(0.25, abs=0.01), "the point under the mouse must stay"
    page.get_by_role("button", name="Zoom in").click()
    assert percent(page) > 200
    assert rendering(page, "after") == "pixelated"
    assert rendering(page, "before") == "auto", "an enlarged picture's squares would be the box's doing"
    for _ in range(30):
        page.keyboard.press("+")
    assert percent(page) == 1600
    page.keyboard.press("0")
    assert percent(page) == fitted
    assert page.locator("#slider .zoomed").count() == 0
    page.mouse.dblclick(x, y)
    assert percent(page) > fitted
    page.mouse.dblclick(x, y)
    assert percent(page) == fitted, "a double click takes the zoom back"


def test_before_is_drawn_in_pixels_where_it_has_afters_size(slider: Callable[..., Any]) -> None:
    page = slider("same")
    for _ in range(4):
        page.get_by_role("button", name="Zoom in").click()
    assert rendering(page, "before") == rendering(page, "after") == "pixelated"


def test_one_hundred_percent_is_one_screen_pixel_for_one_of_the_picture(slider: Callable[..., Any]) -> None:
    page = slider("large", device_scale_factor=2, viewport={"width": 800, "height": 900})
    assert percent(page) < 100
    page.get_by_role("button", name="100 %").click()
    assert percent(page) == 100
    assert frame(page)["width"] == pytest.approx(3000 / 2, abs=1)
    page.wait_for_function("document.querySelector('#slider img.after').naturalWidth === 3000")  # no longer the preview
    page.get_by_role("button", name="Fit").click()
    assert percent(page) < 100


@pytest.mark.parametrize("density", [1, 2])
def test_a_small_picture_has_its_true_size_and_room_for_the_handle(slider: Callable[..., Any], density: int) -> None:
    page = slider("tiny", device_scale_factor=density)
    assert percent(page) == 100
    box, handle = frame(page), page.locator("#slider .handle").bounding_box()
    assert box["width"] == box["height"] == 64 / density
    assert handle["y"] >= box["y"] + box["height"], "the handle covers the picture"
    assert page.locator("#slider .stage").bounding_box()["height"] < 300, "an empty box round a small picture"
    page.get_by_role("slider").focus()
    page.keyboard.press("End")
    assert clip(page) == 100


def test_the_mouse_hits_what_it_points_at_where_the_page_is_zoomed(slider: Callable[..., Any]) -> None:
    page = slider("enlarged")
    page.evaluate("document.documentElement.style.zoom = 1.5")
    page.wait_for_timeout(200)
    box = frame(page)
    page.mouse.click(box["x"] + box["width"] * 0.7, box["y"] + 5)
    assert clip(page) == pytest.approx(70, abs=0.5)
    assert percent(page) == 100


def test_a_zoomed_picture_is_panned_by_dragging_and_by_keys(slider: Callable[..., Any]) -> None:
    page = slider("large")
    page.get_by_role("button", name="100 %").click()
    start = frame(page)
    stage = page.locator("#slider .stage").bounding_box()
    x, y = stage["x"] + 100, stage["y"] + 100
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 70, y + 40, steps=3)
    page.mouse.up()
    moved = frame(page)
    assert (moved["x"] - start["x"], moved["y"] - start["y"]) == pytest.approx((70, 40), abs=1)
    assert int(page.get_by_role("slider").get_attribute("aria-valuenow")) == 50, "panning leaves the handle alone"
    page.locator("#slider .stage").focus()
    page.keyboard.press("ArrowRight")
    assert frame(page)["x"] < moved["x"]
    for _ in range(100):
        page.keyboard.press("ArrowRight")
    assert frame(page)["x"] + frame(page)["width"] == pytest.approx(stage["x"] + stage["width"], abs=2), (
        "its edge is the end"
    )


def test_before_is_seen_while_the_key_or_the_button_is_held(slider: Callable[..., Any]) -> None:
    page = slider("enlarged")
    hidden = "getComputedStyle(document.querySelector('#slider img.after')).visibility"
    page.get_by_role("slider").focus()
    page.keyboard.down("b")
    assert page.evaluate(hidden) == "hidden"
    page.keyboard.up("b")
    assert page.evaluate(hidden) == "visible"
    page.mouse.move(*middle(page, "#slider .hold"))
    page.mouse.down()
    assert page.evaluate(hidden) == "hidden"
    page.mouse.up()
    assert page.evaluate(hidden) == "visible"
    page.locator("#slider .hold").focus()
    page.keyboard.down("Space")
    assert page.evaluate(hidden) == "hidden"
    page.keyboard.up("Space")
    assert page.evaluate(hidden) == "visible"


def test_empty_and_single_are_calm(slider: Callable[..., Any]) -> None:
    page = slider("none", state="empty")
    assert page.get_by_text("The result appears here").is_visible()
    assert not page.locator("#slider .bar").is_visible()
    page = slider("single", state="single")
    assert not page.get_by_role("slider").is_visible()
    assert not page.locator("#slider .tag.left").is_visible()
    page.get_by_role("button", name="Zoom in").click()
    assert page.locator("#slider .zoomed").count() == 1
    assert page.problems == []


def test_pictures_that_are_gone_are_told(
    slider: Callable[..., Any], visit: Callable[..., Any], slider_url: str
) -> None:
    page = visit("/", address=slider_url)
    page.route("**/file=**", lambda route: route.fulfill(status=404))
    page.goto(f"{slider_url}/?pair=square")
    page.get_by_text("no longer on the server").wait_for()


def test_it_speaks_chinese(slider: Callable[..., Any]) -> None:
    page = slider("enlarged", locale="zh-CN")
    assert page.locator("#slider .tag.left").inner_text() == "处理前"
    assert page.get_by_role("slider").get_attribute("aria-label") == "前后对比分界线"


@pytest.fixture
def touch() -> Callable[..., None]:
    """touch(page, [[(x, y), …], …]): fingers that move step by step; one list for each finger, all of one length."""

    def play(page: Any, *fingers: list[tuple[float, float]]) -> None:
        client = page.context.new_cdp_session(page)
        for step, places in enumerate(zip(*fingers, strict=True)):
            kind = "touchStart" if step == 0 else "touchMove"
            points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
            client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
            page.wait_for_timeout(16)  # a frame
        client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        page.wait_for_timeout(100)

    return play


def line(start: tuple[float, float], end: tuple[float, float], steps: int = 8) -> list[tuple[float, float]]:
    return [
        (start[0] + (end[0] - start[0]) * k / steps, start[1] + (end[1] - start[1]) * k / steps)
        for k in range(steps + 1)
    ]


def test_on_a_phone_fingers_move_pinch_and_scroll(slider: Callable[..., Any], touch: Callable[..., None]) -> None:
    page = slider("square", **PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") == 390, "the page scrolls sideways"
    box = frame(page)
    x, y = middle(page, "#slider .handle")
    touch(page, line((x, y), (box["x"] + box["width"] * 0.25, y)))
    assert clip(page) == pytest.approx(25, abs=2), "the handle follows the finger"

    high = box["y"] + 30
    touch(page, line((box["x"] + 40, high), (box["x"] + 200, high + 4)))
    assert clip(page) == pytest.approx(100 * 200 / box["width"], abs=3), "so it does when the finger is beside it"

    split = clip(page)
    touch(page, line((box["x"] + 60, y + 60), (box["x"] + 62, y - 140)))
    assert page.evaluate("scrollY") > 50, "an upward stroke scrolls the page"
    assert clip(page) == split, "and leaves the handle alone"
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(200)

    fitted = percent(page)
    cx, cy = middle(page, "#slider .stage")
    touch(page, line((cx - 20, cy), (cx - 90, cy)), line((cx + 20, cy), (cx + 90, cy)))
    assert percent(page) > 2 * fitted, "two fingers zoom"
    start = frame(page)
    touch(page, line((cx - 60, cy + 60), (cx - 20, cy + 90)))
    assert frame(page)["x"] - start["x"] == pytest.approx(40, abs=6), "one finger then moves the picture"
    page.get_by_role("button", name="Fit").tap()
    assert percent(page) == fitted


def test_dark_colours_come_from_the_theme(slider: Callable[..., Any]) -> None:
    backgrounds = [
        slider("none", state="empty", color_scheme=scheme).evaluate(
            "getComputedStyle(document.querySelector('#slider .stage')).backgroundColor"
        )
        for scheme in ("light", "dark")
    ]
    light, dark = (sum(int(part) for part in colour[4:-1].split(",")) for colour in backgrounds)
    assert light > 600 and dark < 200, backgrounds


def test_previews_are_files_not_data_urls() -> None:
    view = Compare.value(photo(50, 50), photo(50, 50))
    assert "data:" not in str(view)
