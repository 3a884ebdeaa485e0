"""The stage of the Inpaint tab: repairs in place, the way back and forth, before and after, saving, reload, full screen."""

import base64
import concurrent.futures
import itertools
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("gradio")

from test_ui_inpaint import Editor, inverse, photo, pixels, url

from genrestore.pictures import image
from genrestore.pipelines import inpaint as task
from genrestore.ui.parts.mask_editor import MaskEditor
from genrestore.ui.tabs.inpaint import tab as inpaint

# What the stage shows of a picture of 160 × 120 that lies in its middle pixel for pixel: RGBA, in base64.
SHOWN = """() => {
    const canvas = document.querySelector("#inpaint-editor canvas.photo");
    const [x, y] = [Math.round((canvas.width - 160) / 2), Math.round((canvas.height - 120) / 2)];
    const { data } = canvas.getContext("2d").getImageData(x, y, 160, 120);
    return btoa(Array.from(data, (byte) => String.fromCharCode(byte)).join(""));
}"""


class Stage(Editor):
    def shown(self) -> np.ndarray:
        """(120, 160, 3): the pixels on the canvas."""
        self.drawn()
        return np.frombuffer(base64.b64decode(self.page.evaluate(SHOWN)), np.uint8).reshape(120, 160, 4)[..., :3]

    def primary(self) -> str:
        return self.root.locator(":is(button, a).primary:visible").inner_text()

    def repaired(self) -> None:
        """Press Repair and wait until its result is on the stage."""
        self.button("repair").click()
        self.root.locator("a[data-do=download].primary").wait_for(timeout=60_000)


def opened(page: Any, folder: Path) -> Stage:
    """The tab with a PNG of 160 × 120 open."""
    stage = Stage(page)
    stage.open(photo(folder / "photo.png"))
    return stage


@pytest.fixture
def stage(same_page: Any, tmp_path: Path) -> Stage:
    return opened(same_page, tmp_path)


def test_painting_and_repairing_go_on_and_all_the_way_back_and_forth(stage: Stage, tmp_path: Path) -> None:
    """Two strokes and two repairs, left of the middle; what is shown is at every step what the download holds."""
    original = stage.shown()
    assert np.array_equal(original, pixels(tmp_path / "photo.png"))
    states = [(original, stage.mask())]
    marks = []
    for height in (0.3, 0.7):
        stage.drag((0.1, height), (0.35, height))
        assert stage.primary() == "Repair"
        marks.append(stage.mask())
        states.append((stage.shown(), marks[-1]))
        stage.repaired()
        assert stage.primary() == "Download photo.repaired.png"
        assert not stage.mask().any()
        states.append((stage.shown(), stage.mask()))
    for (before, _), (after, _), mark in zip(states[::2], states[2::2], marks, strict=False):
        different = (before != after).any(axis=2)
        assert different[mark].mean() > 0.5, "a repair left of the middle looks like nothing happened"
        assert not (different & ~mark).any()
    assert np.array_equal(pixels(stage.download()), states[-1][0])
    assert f"0 of {int((~(marks[0] | marks[1])).sum()) * 3:,} samples" in stage.details(), "counted against the photo"

    for shown, mask in states[-2::-1]:
        stage.page.keyboard.press("Control+z")
        assert np.array_equal(stage.shown(), shown) and np.array_equal(stage.mask(), mask)
    assert stage.button("undo").is_disabled()
    assert not stage.button("download").is_visible() and not stage.root.locator(".outcome").is_visible()
    for shown, mask in states[1:]:
        stage.do("redo")
        assert np.array_equal(stage.shown(), shown) and np.array_equal(stage.mask(), mask)
    assert np.array_equal(pixels(stage.download()), states[-1][0])
    stage.do("undo")
    stage.do("undo")
    assert np.array_equal(pixels(stage.download()), states[2][0]), "the first repair's file is the one of the second"
    assert stage.page.problems == []


def test_a_repair_that_follows_a_cancelled_one_is_not_lost(stage: Stage) -> None:
    stage.drag((0.2, 0.3), (0.4, 0.3))
    click = """async ([...names]) => {
        for (const name of names) {
            document.querySelector(`#inpaint-editor [data-do=${name}]`).click();
            await new Promise((later) => setTimeout(later, 30));
        }
    }"""
    stage.page.evaluate(click, ["repair", "stop", "repair"])
    stage.root.locator("a[data-do=download].primary").wait_for(timeout=20_000)
    # The page is told that all has ended, as happens when it sends an event in that moment.
    end = {"content_type": "text/event-stream", "body": 'data: {"msg": "close_stream"}\n\n'}
    stage.page.route("**/queue/data**", lambda route: route.fulfill(**end), times=1)
    stage.drag((0.6, 0.3), (0.8, 0.3))
    stage.page.keyboard.press("Control+Enter")
    stage.root.locator("a[data-do=download].primary").wait_for(timeout=20_000)
    assert stage.page.problems == []


def test_before_can_be_held_and_wiped_over(stage: Stage) -> None:
    original = stage.shown()
    stage.drag((0.2, 0.5), (0.8, 0.5))
    assert not stage.button("wipe").is_visible(), "there is nothing to compare yet"
    stage.repaired()
    after = stage.shown()
    press = stage.page.keyboard
    press.down("q")
    assert np.array_equal(stage.shown(), original)
    press.up("q")
    assert np.array_equal(stage.shown(), after)
    stage.button("hold").hover()
    stage.page.mouse.down()
    assert np.array_equal(stage.shown(), original)
    stage.page.mouse.up()
    assert np.array_equal(stage.shown(), after)

    stage.do("wipe")
    divider = stage.root.locator(".divider")
    assert divider.evaluate("(node) => node === document.activeElement")
    assert int(divider.get_attribute("aria-valuenow")) == 50
    halves = stage.shown()
    assert np.array_equal(halves[:, :79], original[:, :79]) and np.array_equal(halves[:, 82:], after[:, 82:])
    press.press("End")
    assert np.array_equal(stage.shown(), original)
    x, y = stage.at(0.25, 0.5)
    box = divider.bounding_box()
    stage.page.mouse.move(box["x"] + box["width"] / 2, y)
    stage.page.mouse.down()
    stage.page.mouse.move(x, y, steps=4)
    stage.page.mouse.up()
    part = stage.shown()
    assert np.array_equal(part[:, :37], original[:, :37]) and np.array_equal(part[:, 43:], after[:, 43:])
    assert not stage.mask().any(), "the divider painted"
    stage.do("wipe")
    assert np.array_equal(stage.shown(), after)


def test_save_as_holds_for_the_result_that_is_there(page: Any, tmp_path: Path) -> None:
    stage = Stage(page)
    stage.open(photo(tmp_path / "photo.jpg", quality=80))
    original = stage.shown()
    stage.drag((0.2, 0.3), (0.4, 0.3))
    mask = stage.mask()
    first = stage.repair()
    assert stage.name == "photo.repaired.jpg"
    decoded = """async (data) => {
        const blob = await (await fetch("data:image/jpeg;base64," + data)).blob();
        const canvas = new OffscreenCanvas(160, 120);
        canvas.getContext("2d").drawImage(await createImageBitmap(blob), 0, 0);
        return [...canvas.getContext("2d").getImageData(0, 0, 160, 120).data];
    }"""
    drawn = page.evaluate(decoded, base64.b64encode(first).decode())
    assert np.array_equal(stage.shown(), np.array(drawn, np.uint8).reshape(120, 160, 4)[..., :3])
    stage.drag((0.2, 0.7), (0.4, 0.7))
    stage.repaired()

    stage.save_as("PNG")
    saved = pixels(stage.download())
    assert stage.name == "photo.repaired.png"
    assert np.array_equal(stage.shown(), saved)
    assert stage.details().endswith(
        f"0 of {int(stage_outside(stage)):,} samples outside the marks differ from the photo."
    )
    for _ in range(2):
        stage.do("undo")  # what is shown now was written as JPEG
    again = pixels(stage.download())
    assert stage.name == "photo.repaired.png"
    different = (again != original).any(axis=2)
    assert not (different & ~mask).any() and different[mask].mean() > 0.5
    assert page.problems == []


# The middle 40 × 40 screen pixels of the stage: RGBA in base64.
MIDDLE = """() => {
    const canvas = document.querySelector("#inpaint-editor canvas.photo");
    const [x, y] = [canvas.width / 2 - 20, canvas.height / 2 - 20].map(Math.round);
    const { data } = canvas.getContext("2d").getImageData(x, y, 40, 40);
    return btoa(Array.from(data, (byte) => String.fromCharCode(byte)).join(""));
}"""


def test_a_closer_look_at_what_no_browser_draws_shows_its_own_pixels(page: Any, tmp_path: Path) -> None:
    """Of a scan larger than what the server sends at first: before and after a repair."""
    noise = np.random.default_rng(3).integers(0, 256, (160, 2600, 3), np.uint8)
    image.save(image.Picture(noise), tmp_path / "scan.tif")
    stage = Stage(page)
    stage.open(tmp_path / "scan.tif")

    def wait_for(pixels: np.ndarray) -> None:
        """The picture's middle lies in the stage's, within a pixel."""
        deadline = time.monotonic() + 20
        while True:
            shown = np.frombuffer(base64.b64decode(page.evaluate(MIDDLE)), np.uint8).reshape(40, 40, 4)[..., :3]
            for top, left in itertools.product(range(56, 65), range(1276, 1285)):
                if np.array_equal(pixels[top : top + 40, left : left + 40], shown):
                    return
            assert time.monotonic() < deadline, "not the file's own pixels"
            page.wait_for_timeout(50)

    stage.size(8)
    stage.drag((0.5, 0.45), (0.5, 0.55))
    stage.do("actual")
    wait_for(noise)
    stage.repaired()
    (tmp_path / "result.tif").write_bytes(stage.download())
    wait_for(image.load(tmp_path / "result.tif").rgb8())
    assert page.problems == []


def test_a_scan_in_16_bits_is_shown_as_it_is_before_and_after(page: Any, tmp_path: Path) -> None:
    """No browser draws a TIFF; what the server draws for it must not differ where nothing was marked."""
    noise = np.random.default_rng(6).integers(0, 65536, (120, 160, 3), np.uint16, endpoint=False)
    image.save(image.Picture(noise), tmp_path / "scan.tif")
    stage = Stage(page)
    stage.open(tmp_path / "scan.tif")
    original = stage.shown()
    assert np.array_equal(original, image.load(tmp_path / "scan.tif").rgb8())
    stage.drag((0.3, 0.5), (0.5, 0.5))
    mask = stage.mask()
    stage.repaired()
    shown = stage.shown()
    (tmp_path / "result.tif").write_bytes(stage.download())
    assert np.array_equal(shown, image.load(tmp_path / "result.tif").rgb8())
    assert not (shown != original).any(axis=2)[~mask].any()
    assert page.problems == []


def stage_outside(stage: Stage) -> int:
    """Samples outside all marks, as the page says."""
    return int(re.findall(r"of ([\d,]+) samples", stage.details())[-1].replace(",", ""))


def test_another_photo_takes_nothing_over_from_the_one_before(stage: Stage, tmp_path: Path) -> None:
    """Neither its result nor the file's name nor the tool, nor a result that comes when another one is shown already."""
    page = stage.page
    stage.drag((0.2, 0.5), (0.4, 0.5))
    stage.repaired()
    stage.tool("eraser")
    stage.do("wipe")
    stage.open(photo(tmp_path / "other.png"))
    original = stage.shown()
    assert np.array_equal(original, pixels(tmp_path / "other.png"))
    assert not any(stage.button(name).is_visible() for name in ("download", "wipe", "hold", "onward"))
    assert stage.root.locator("[data-tool=brush]").get_attribute("aria-pressed") == "true"
    stage.drag((0.6, 0.5), (0.8, 0.5))
    assert stage.mask().any(), "the eraser was kept"

    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    page.route("**/upload**", hold)  # the next photo is shown, and not on the server
    stage.button("repair").click()
    stage.root.locator(".photo-file").set_input_files(photo(tmp_path / "third.png", 160, 120, compress_level=1))
    stage.root.locator(".note", has_text="third.png").wait_for()
    page.wait_for_timeout(1500)
    assert np.array_equal(stage.shown(), pixels(tmp_path / "third.png"))
    assert not stage.button("download").is_visible() and not stage.button("stop").is_visible()
    for route in held:
        route.continue_()
    page.unroute("**/upload**")
    stage.drag((0.3, 0.5), (0.5, 0.5))
    stage.repair()
    assert stage.name == "third.repaired.png"
    assert page.problems == []


def test_a_reload_finds_photo_marks_and_result_again(page: Any, tmp_path: Path) -> None:
    """The address keeps the tab. Files that the server has lost go there once more. Other photo ends it."""
    stage = opened(page, tmp_path)
    stage.drag((0.2, 0.3), (0.4, 0.3))
    data = stage.repair()
    stage.drag((0.2, 0.7), (0.4, 0.7))
    shown, mask, before = stage.shown(), stage.mask(), stage.value()
    kept_parts(page, 6)  # photo, scene, three steps, and how they belong together
    for lost in (False, True):
        if lost:
            page.route("**/gradio_api/file=**", gone)
        if lost:
            page.reload()
        else:
            page.goto("about:blank")
            page.go_back()
        stage.root.locator(".note", has_text="% marked").wait_for(timeout=20_000)
        page.wait_for_function("() => document.activeElement.matches('.stage')")  # so that keys act without a click
        value = stage.value()
        assert (value["file"]["path"] == before["file"]["path"]) is not lost
        assert (value["state"]["base"]["path"] == before["state"]["base"]["path"]) is not lost
        assert np.array_equal(stage.shown(), shown) and np.array_equal(stage.mask(), mask)
        assert stage.primary() == "Repair"
        if not lost:
            with page.expect_download() as download:
                stage.button("download").click()
            assert Path(download.value.path()).read_bytes() == data
    page.unroute("**/gradio_api/file=**")
    assert "tab=" not in page.url or "tab=inpaint" in page.url
    second = pixels(stage.repair())
    different = (second != shown).any(axis=2)
    assert different[mask].mean() > 0.5 and not (different & ~mask).any(), "it did not go on from the result"
    stage.do("start")
    kept_parts(page, 0)
    page.reload()
    stage.root.locator(".panel.start").wait_for()
    page.wait_for_timeout(300)
    assert stage.root.get_attribute("data-state") == "start"


def still(stage: Stage) -> None:
    """Wait until a step that was kept has been read."""
    stage.root.locator(".veil:empty").wait_for(state="attached")


def kept_parts(page: Any, count: int) -> None:
    """Wait until so many records of this page lie in the browser's store, and what was painted last is among them."""
    kept = """async () => {
        const opening = indexedDB.open("genrestore-stage", 1);
        const base = await new Promise((done) => (opening.onsuccess = () => done(opening.result)));
        const own = IDBKeyRange.bound(sessionStorage.genrestoreStage + " ", sessionStorage.genrestoreStage + "!");
        const ask = base.transaction("parts").objectStore("parts").getAllKeys(own);
        return new Promise((done) => (ask.onsuccess = () => (base.close(), done(ask.result.length))));
    }"""
    deadline = time.monotonic() + 20
    while (found := page.evaluate(kept)) != count:
        assert time.monotonic() < deadline, f"{found} records, not {count}"
        page.wait_for_timeout(50)


def test_after_a_reload_undo_goes_back_to_the_first_photo(page: Any, tmp_path: Path) -> None:
    """Through strokes and repairs, and forth again, whether or not the server still has the files."""
    stage = opened(page, tmp_path)
    states = [(stage.shown(), stage.mask())]
    for height in (0.3, 0.7):
        stage.drag((0.1, height), (0.35, height))
        states.append((stage.shown(), stage.mask()))
        stage.repaired()
        states.append((stage.shown(), stage.mask()))
    stage.do("undo")
    kept_parts(page, 8)  # the photo, four steps, two scenes, and how they belong together
    page.wait_for_timeout(500)
    for reload in range(2):
        if reload:
            page.route("**/gradio_api/file=**", gone)
        page.reload()
        stage.root.locator(".note", has_text="% marked").wait_for(timeout=20_000)
        for shown, mask in states[3::-1]:
            assert np.array_equal(stage.shown(), shown) and np.array_equal(stage.mask(), mask)
            if stage.button("undo").is_enabled():
                stage.do("undo")
                still(stage)
        assert stage.button("undo").is_disabled() and not stage.button("download").is_visible()
        for shown, mask in states[1 : 4 if reload == 0 else 5]:
            stage.do("redo")
            still(stage)
            assert np.array_equal(stage.shown(), shown) and np.array_equal(stage.mask(), mask)
        page.wait_for_timeout(800)  # the last step is kept when all rests
    assert np.array_equal(pixels(stage.download()), states[-1][0])
    stage.do("undo")
    stage.drag((0.6, 0.2), (0.8, 0.2))
    mask, before = stage.mask(), stage.shown()
    stage.repaired()
    different = (stage.shown() != before).any(axis=2)
    assert different[mask].mean() > 0.5 and not different[~mask].any(), "it did not go on from what is shown"
    assert [problem for problem in page.problems if "404" not in problem] == []


def test_a_store_that_is_full_harms_nothing(page: Any, tmp_path: Path) -> None:
    """What it held before stays as it was: a reload finds an earlier state, and all of it."""
    page.add_init_script("""
        const put = IDBObjectStore.prototype.put;
        IDBObjectStore.prototype.put = function (content, key) {
            if (window.full && key.includes("stage")) throw new DOMException("full", "QuotaExceededError");
            return put.call(this, content, key);
        };
    """)
    page.reload()
    stage = Stage(page)
    stage.open(photo(tmp_path / "photo.png"))
    stage.drag((0.1, 0.3), (0.35, 0.3))
    stage.repaired()
    kept_parts(page, 5)
    page.wait_for_timeout(500)
    first = stage.shown()
    page.evaluate("window.full = true")
    stage.drag((0.1, 0.7), (0.35, 0.7))
    stage.repaired()
    assert not np.array_equal(stage.shown(), first)
    page.wait_for_timeout(1000)
    kept_parts(page, 5)
    stage.do("undo")
    stage.do("redo")
    page.reload()
    stage.root.locator("a[data-do=download].primary").wait_for(timeout=20_000)
    assert np.array_equal(stage.shown(), first)
    stage.do("undo")
    stage.do("undo")
    assert stage.button("undo").is_disabled() and not stage.mask().any()
    assert page.problems == []


def gone(route: Any) -> None:
    route.fulfill(status=404) if route.request.method == "HEAD" else route.continue_()


def test_the_wheel_scrolls_the_page_until_the_stage_is_worked_on(page: Any, tmp_path: Path) -> None:
    stage = opened(page, tmp_path)
    page.set_viewport_size({"width": 1280, "height": 420})
    percent = stage.root.locator(".percent")
    page.mouse.move(*stage.at(0.5, 0.5))
    page.locator("h1").click()
    page.mouse.move(*stage.at(0.5, 0.5))
    page.mouse.wheel(0, -200)
    page.mouse.wheel(0, 120)
    page.wait_for_function("() => scrollY > 50")
    assert stage.drawn() is stage and percent.inner_text() == "100 %"
    page.evaluate("scrollTo(0, 0)")
    page.mouse.move(*stage.at(0.5, 0.5))
    page.keyboard.down("Control")
    page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    page.wait_for_function("() => parseInt(document.querySelector('#inpaint-editor .percent').textContent) > 150")
    stage.do("fit")
    stage.stage.focus()
    page.mouse.move(*stage.at(0.5, 0.5))
    scrolled = page.evaluate("scrollY")
    page.mouse.wheel(0, -300)
    page.wait_for_function("() => parseInt(document.querySelector('#inpaint-editor .percent').textContent) > 150")
    assert page.evaluate("scrollY") == scrolled


def test_single_pixels_are_within_reach_on_every_screen(visit: Callable[..., Any], tmp_path: Path) -> None:
    """A small photo on a fine screen is shown at 200 %; a small one may also be smaller than it fits."""
    page = visit(device_scale_factor=2)
    stage = Stage(page)
    stage.open(photo(tmp_path / "photo.png"))
    percent = stage.root.locator(".percent")
    assert percent.inner_text() == "200 %"
    percent.click()
    stage.drawn()
    assert percent.inner_text() == "100 %"
    assert np.array_equal(stage.shown(), pixels(tmp_path / "photo.png"))
    stage.do("fit")
    stage.drawn()
    assert percent.inner_text() == "200 %"


def test_the_stage_can_fill_the_screen(page: Any, tmp_path: Path) -> None:
    stage = opened(page, tmp_path)
    stage.drag((0.2, 0.5), (0.4, 0.5))
    for can in (True, False):
        if not can:
            stage.root.evaluate("(root) => (root.requestFullscreen = undefined)")
        stage.do("full")
        page.wait_for_function("() => document.querySelector('#inpaint-editor .stage').clientWidth > 1240")
        box = stage.root.bounding_box()
        assert (box["x"], box["y"], box["width"], box["height"]) == (0, 0, 1280, 900)
        assert stage.button("repair").is_visible()
        stage.do("full") if can else page.keyboard.press("Escape")
        page.wait_for_function("() => document.querySelector('#inpaint-editor .stage').clientWidth < 1240")
    assert stage.mask().any()


def test_a_result_goes_on_in_upscale(stage: Stage) -> None:
    stage.drag((0.2, 0.5), (0.4, 0.5))
    data = stage.repair()
    stage.do("onward")
    page = stage.page
    page.locator("#upscale-source .lead", has_text="photo.repaired.png").wait_for()
    assert "tab=upscale" in page.url
    page.locator("#upscale-quote", has_text="160 × 120").wait_for(timeout=20_000)
    view = page.locator("#upscale-result img").first
    view.wait_for()
    assert page.request.get(view.evaluate("(node) => node.src")).body() == data
    page.go_back()
    stage.button("download").wait_for()
    assert stage.primary() == "Download photo.repaired.png"
    assert page.problems == []


def test_on_a_phone_the_next_step_is_at_the_bottom_edge(phone: Any, tmp_path: Path) -> None:
    """And a finger scrolls the page, where it neither paints nor moves what is zoomed in."""
    stage = Stage(phone)
    stage.open(photo(tmp_path / "photo.png", 600, 1200))
    phone.evaluate("scrollTo(0, 0)")
    actions = stage.root.locator(".foot")
    box = actions.bounding_box()
    assert box["y"] + box["height"] == pytest.approx(844, abs=1)
    assert phone.evaluate("document.documentElement.scrollHeight") > 844
    session = phone.context.new_cdp_session(phone)

    def swipe() -> None:
        x, y = stage.at(0.5, 0.4)
        for kind, up in (("touchStart", 0), *(("touchMove", 15 * k) for k in range(1, 9)), ("touchEnd", 0)):
            points = [] if kind == "touchEnd" else [{"x": x, "y": y - up, "id": 0}]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    swipe()
    assert phone.evaluate("scrollY") == 0 and stage.mask().any(), "the brush scrolled the page"
    stage.tool("move")
    mask = stage.mask()
    swipe()
    phone.wait_for_function("() => scrollY > 40")
    assert np.array_equal(stage.mask(), mask)
    phone.evaluate("scrollTo(0, 0)")
    stage.repaired()
    box = actions.bounding_box()
    assert box["y"] + box["height"] <= 845
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    assert phone.problems == []


def test_eight_visitors_at_once_get_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr(task, "repair", inverse)
    noise = np.random.default_rng(2).integers(0, 256, (8, 30, 40, 3), np.uint8)

    def visitor(number: int) -> bool:
        folder = tmp_path / str(number)
        folder.mkdir()
        image.save(image.Picture(noise[number]), folder / "photo.png")
        now, state = image.Picture(noise[number]), None
        for row in (5, 15):
            mask = np.zeros((30, 40), bool)
            mask[row + number // 2 : row + 8, number : 20 + number] = True
            asked = {"file": {"path": str(folder / "photo.png")}, "mask": url(mask), "state": state, "run": str(number)}
            last = list(inpaint.run(asked, "auto", "crop", None))[-1]["answer"]
            now, state = inverse(now, mask).picture, last["scene"]["state"]
            reached, _ = MaskEditor.reached(asked | {"state": state}, image.Picture(noise[number]))
            saved = image.load(last["scene"]["file"]["path"]).pixels
            if (
                last["run"] != str(number)
                or not np.array_equal(reached.pixels, now.pixels)
                or not np.array_equal(saved, now.pixels)
            ):
                return False
        return True

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(visitor, range(8)))
