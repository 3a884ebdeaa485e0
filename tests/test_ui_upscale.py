"""The Upscale tab: its handlers, and what a visitor does with them in a browser."""

import functools
import io
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
from conftest import PHONE
from gradio import utils
from PIL import Image, ImageCms

import genrestore
from genrestore import ui
from genrestore.errors import Cancelled, SettingError
from genrestore.pictures import image
from genrestore.ui import words
from genrestore.ui.parts import examples, jobs, slots
from genrestore.ui.parts.toasts import with_toasts
from genrestore.ui.tabs import upscale
from genrestore.ui.tabs.image_to_image import OUTPUTS, Job, told_bytes

HURRY = 1.0  # seconds within which a cancelled job must have stopped
REQUEST: Any = SimpleNamespace(headers={"accept-language": "en"})
PICTURE = image.Picture(np.zeros((30, 40, 3), np.uint8))


def enlarged(picture: image.Picture, scale: float) -> image.Picture:
    times = int(scale)
    return picture.with_pixels(picture.pixels.repeat(times, axis=0).repeat(times, axis=1))


def uploaded(name: str = "photo.jpg", **options: Any) -> dict[str, Any]:
    """What the page sends once a visitor has chosen a picture of 40 × 30."""
    folder = Path(utils.get_upload_folder()) / "test"
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / name, **options)
    return {"file": gr.FileData(path=str(folder / name), orig_name=name).model_dump()}


def call(
    handler: Any, value: Any, scale: int = 4, width: int = 0, height: int = 0, kind: str = "input", model: str = "auto",
    request: Any = REQUEST,
) -> Any:  # fmt: skip
    """What a handler of the tab answers to these fields."""
    return with_toasts(handler)(request, value, kind, model, scale, width, height, *[None] * slots.COUNT, None)


running = functools.partial(call, upscale.TAB.run)
quoted = functools.partial(call, upscale.TAB.quoted)


def changes(value: Any, scale: int = 4, kind: str = "input", model: str = "auto") -> Iterator[dict[str, Any]]:
    """What `run` alters on the page, step by step."""
    for step in running(value, scale, kind=kind, model=model):
        yield {name: part for name, part in zip(OUTPUTS, step, strict=True) if part != gr.skip()}


# --- handlers ---


def test_a_run_ends_with_the_file_and_both_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}

    def fake(picture: image.Picture, scale: float, **settings: Any) -> image.Picture:
        seen.update(settings, scale=scale)
        settings["progress"](0.5, "tile 1 of 2")
        time.sleep(2 * jobs.BEAT)
        return enlarged(picture, scale)

    monkeypatch.setattr(genrestore, "upscale", fake)
    steps = list(changes(uploaded(), scale=3))
    assert steps[0]["go"].visible is False and steps[0]["stop"].visible is True
    assert any("50 %" in step.get("status", "") for step in steps), "no progress was told"
    last = steps[-1]
    assert last["go"].visible is True and last["stop"].visible is False
    assert last["status"].startswith("120 × 90 in ")
    assert Path(last["download"].value["path"]).name == "photo.x3.jpg"
    assert (last["stage"]["before"]["width"], last["stage"]["after"]["width"]) == (40, 120)
    assert (seen["scale"], seen["width"], seen["height"], seen["model"]) == (3, None, None, "auto")


def test_a_target_size_is_in_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(genrestore, "upscale", lambda picture, **_: picture.with_pixels(picture.pixels[:20, :37]))
    last = list(changes(uploaded("photo.png")))[-1]
    assert Path(last["download"].value["path"]).name == "photo.37x20.png"


def test_nothing_is_enlarged_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(gr, "Warning", lambda text, **_: told.append(text))
    monkeypatch.setattr(genrestore, "upscale", lambda *_, **__: pytest.fail("something was enlarged"))
    for empty in (None, {}, {"examples": []}):
        steps = list(changes(empty))
        assert len(steps) == 1 and steps[0]["go"].visible and not steps[0]["stop"].visible
        assert set(steps[0]) == {"go", "stop", "status"}, "the last result must stay"
    assert told == ["Choose a picture or an example first."] * 3
    assert quoted({}, 4, 0, 0, "input", "auto", REQUEST) == told[0]


@pytest.mark.parametrize(
    ("kind", "suffix", "format"),
    [("input", ".jpg", "JPEG"), ("png", ".png", "PNG"), ("jpeg", ".jpg", "JPEG"), ("webp", ".webp", "WEBP"),
     ("tiff", ".tif", "TIFF")],
)  # fmt: skip
def test_the_format_can_be_chosen(monkeypatch: pytest.MonkeyPatch, kind: str, suffix: str, format: str) -> None:
    monkeypatch.setattr(genrestore, "upscale", lambda picture, scale, **_: enlarged(picture, scale))
    last = list(changes(uploaded(), kind=kind))[-1]
    path = Path(last["download"].value["path"])
    assert path.name == f"photo.x4{suffix}"
    with Image.open(path) as written:
        assert (written.format, written.size) == (format, (160, 120))


@pytest.mark.parametrize(
    ("kind", "width", "sentence"),
    [
        ("jpeg", 0, "JPEG holds no transparency; choose PNG or WebP."),
        ("webp", 16_400, "WEBP holds 16383 pixels a side"),
    ],
)
def test_what_the_format_cannot_hold_is_refused_before_the_work(
    monkeypatch: pytest.MonkeyPatch, kind: str, width: int, sentence: str
) -> None:
    told: list[str] = []
    monkeypatch.setattr(gr, "Warning", lambda text, **_: told.append(text))
    monkeypatch.setattr(genrestore, "upscale", lambda *_, **__: pytest.fail("time was spent"))
    folder = Path(utils.get_upload_folder()) / "test"
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGBA", (1100, 2), (9, 9, 9, 99)).save(folder / "clear.png")
    value = {"file": gr.FileData(path=str(folder / "clear.png"), orig_name="clear.png").model_dump()}
    assert quoted(value, 4, width, 0, kind, "auto", REQUEST).startswith(sentence)
    steps = list(running(value, 4, width, 0, kind, "auto", REQUEST))
    assert len(steps) == 1 and steps[0][OUTPUTS.index("go")].visible
    assert len(told) == 1 and told[0].startswith(sentence)


def test_formats_are_judged_as_they_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """An alpha that hides nothing is no transparency, and what the input's own format cannot hold becomes PNG."""
    monkeypatch.setattr(genrestore, "upscale", lambda picture, scale, **_: enlarged(picture, scale))
    folder = Path(utils.get_upload_folder()) / "test"
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGBA", (40, 30), (9, 9, 9, 255)).save(folder / "opaque.png")
    value = {"file": gr.FileData(path=str(folder / "opaque.png"), orig_name="opaque.png").model_dump()}
    assert "40 × 30" in quoted(value, 4, 0, 0, "jpeg", "auto", REQUEST)
    assert Path(list(changes(value, kind="jpeg"))[-1]["download"].value["path"]).name == "opaque.x4.jpg"
    monkeypatch.setitem(image.LONGEST, "WEBP", 159)
    small = uploaded("small.webp")
    assert "160 × 120" in quoted(small, 4, 0, 0, "input", "auto", REQUEST)
    assert Path(list(changes(small))[-1]["download"].value["path"]).name == "small.x4.png"
    assert quoted(small, 4, 0, 0, "webp", "auto", REQUEST).startswith("WEBP holds 159 pixels a side")


@pytest.mark.parametrize(
    ("language", "sentence"), [("en", "The gain map, which"), ("zh-CN", "用于 HDR 屏幕提亮的增益图")]
)
def test_what_a_result_cannot_keep_is_told(monkeypatch: pytest.MonkeyPatch, language: str, sentence: str) -> None:
    monkeypatch.setattr(genrestore, "upscale", lambda picture, scale, **_: enlarged(picture, scale))
    folder = Path(utils.get_upload_folder()) / "test"
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "hdr.jpg"
    source.write_bytes(Path(__file__).with_name("repro").joinpath("uhdr.jpg").read_bytes())
    value = {"file": gr.FileData(path=str(source), orig_name="hdr.jpg").model_dump()}
    request: Any = SimpleNamespace(headers={"accept-language": language})
    last = list(running(value, 2, 0, 0, "input", "auto", request))[-1]
    assert sentence in last[OUTPUTS.index("status")]


def test_a_mistake_is_told_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(gr, "Warning", lambda text, **_: told.append(text))

    def fake(*_: Any, **__: Any) -> None:
        raise SettingError("scale must be less.")

    monkeypatch.setattr(genrestore, "upscale", fake)
    steps = list(changes(uploaded()))
    assert told == ["scale must be less."]
    assert all("stage" not in step and "download" not in step for step in steps), "the last result must stay"
    assert any(step.get("go") is not None and step["go"].visible for step in steps[1:]), "the button did not come back"


@pytest.mark.parametrize(
    "value", [{"file": None}, {"file": {"path": "/etc/passwd"}}, {"file": {"path": 3}}, {"file": {"path": "a\0b"}}]
)
def test_only_uploads_are_read(value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(gr, "Warning", lambda text, **_: told.append(text))
    monkeypatch.setattr(genrestore, "upscale", lambda *_, **__: pytest.fail("it was read"))
    steps = list(changes(value))
    assert len(told) == 1
    assert steps[-1]["go"].visible, "the button did not come back"
    change = dict(zip(OUTPUTS, with_toasts(upscale.TAB.arrived)(value), strict=True))
    assert change["stage"] is None


def test_what_is_no_picture_leaves_an_empty_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(gr, "Warning", lambda text, **_: told.append(text))
    value = uploaded()
    Path(value["file"]["path"]).write_bytes(b"no picture")
    change = dict(zip(OUTPUTS, with_toasts(upscale.TAB.arrived)(value), strict=True))
    assert change["stage"] is None
    assert change["source"] == {}, "it must not stay in the box"
    assert len(told) == 1 and "photo.jpg" in told[0]


def test_closing_the_generator_stops_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is what Gradio does on Cancel, and when the visitor has gone."""
    stopped = threading.Event()

    def fake(*_: Any, cancel: threading.Event, **__: Any) -> None:
        assert cancel.wait(20)
        stopped.set()
        raise Cancelled("stopped")

    monkeypatch.setattr(genrestore, "upscale", fake)
    run = running(uploaded())
    next(run)
    next(run)
    run.close()
    assert stopped.wait(HURRY)


def test_the_time_left_leaves_out_the_loading() -> None:
    job = Job(upscale.TAB, Path("photo.jpg"), PICTURE, None)
    assert job.left() is None
    job.report(0.25, "")
    assert job.left() is None
    job.first = (0.25, time.monotonic() - 2)
    job.report(0.5, "")
    assert job.left() == pytest.approx(4, abs=0.1)  # a quarter took 2 s, a half is left


def test_the_time_left_never_climbs() -> None:
    """Other work beside it slows a job down; what was said then stands still until it is true."""
    job = Job(upscale.TAB, Path("photo.jpg"), PICTURE, None)
    told: list[float] = []
    for moment, fraction in [(10, 0.5), (30, 0.55), (40, 0.9), (60, 0.91)]:
        job.first = (0.0, time.monotonic() - moment)
        job.report(fraction, "")
        told.append(job.left() or 0)
    assert told == sorted(told, reverse=True)
    assert told[0] == pytest.approx(10, abs=0.1) and told[2] == pytest.approx(4.4, abs=0.1)


@pytest.mark.parametrize(
    ("count", "text"),
    [(999, "1 kB"), (450_000, "450 kB"), (1_250_000, "1.2 MB"), (498e6, "498 MB"), (2.31e9, "2.3 GB")],
)
def test_bytes_are_told_in_a_fitting_unit(count: float, text: str) -> None:
    assert told_bytes(int(count)) == text


# --- in the browser, with a task that only waits ---


class Waiting:
    """Stands in for the task: works in steps of 50 ms for a minute, and notes each step."""

    def __init__(self) -> None:
        self.steps = 0
        self.cancelled = 0

    def __call__(self, picture: image.Picture, scale: float, **settings: Any) -> image.Picture:
        for step in range(1200):
            if settings["cancel"].wait(0.05):
                self.cancelled += 1
                raise Cancelled("stopped")
            self.steps += 1
            settings["progress"]((step + 1) / 1200, "")
        return enlarged(picture, scale)

    def has_stopped(self) -> bool:
        """Whether no step follows in the time of six."""
        before = self.steps
        time.sleep(0.3)
        return self.steps == before


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Waiting:
    task = Waiting()
    monkeypatch.setattr(genrestore, "upscale", task)
    return task


@pytest.fixture(scope="module")
def tab_url() -> Iterator[str]:
    """A page with nothing but the tab, served by this process, so that a test may put its own task behind it."""
    gr.set_static_paths([examples.PHOTOS[0].parent])
    with gr.Blocks(analytics_enabled=False) as page, gr.Tab("Upscale"):
        upscale.build()
    _, address, _ = page.queue(api_open=False).launch(
        prevent_thread_lock=True, quiet=True, run_history=False, i18n=words.translations(), footer_links=[],
        head=f"<script>{ui.script(1 << 30)}</script>",
    )  # fmt: skip
    yield address.rstrip("/")
    page.close()


def until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def chosen(page: Any) -> Any:
    page.locator("#upscale-source .examples button").first.click()
    page.locator("#upscale-result [data-state=single]").wait_for()
    return page


def test_cancel_stops_the_work_at_once(visit: Callable[..., Any], tab_url: str, waiting: Waiting) -> None:
    page = chosen(visit(address=tab_url))
    page.locator("#upscale-go").click()
    page.locator("#upscale-status progress").wait_for()
    assert until(lambda: waiting.steps > 10, 10)
    page.locator("#upscale-stop").click()
    pressed = time.monotonic()
    assert until(lambda: waiting.cancelled == 1, HURRY), "the work went on"
    assert waiting.has_stopped()
    page.locator("#upscale-go").wait_for()
    assert time.monotonic() - pressed < HURRY + 2
    assert page.locator("#upscale-status").inner_text().strip() == ""
    page.locator("#upscale-go").click()
    assert until(lambda: not waiting.has_stopped(), 5), "a second run must be possible"
    page.locator("#upscale-stop").click()
    assert until(lambda: waiting.cancelled == 2, HURRY)
    assert page.problems == []


def test_leaving_the_page_stops_the_work(visit: Callable[..., Any], tab_url: str, waiting: Waiting) -> None:
    page = chosen(visit(address=tab_url))
    page.locator("#upscale-go").click()
    assert until(lambda: waiting.steps > 5, 10)
    page.close()
    assert until(lambda: waiting.cancelled == 1, 5), "the work went on though nobody waits for it"
    assert waiting.has_stopped()


def test_another_picture_stops_the_work(visit: Callable[..., Any], tab_url: str, waiting: Waiting) -> None:
    page = chosen(visit(address=tab_url))
    page.locator("#upscale-go").click()
    assert until(lambda: waiting.steps > 5, 10)
    page.locator("#upscale-source .examples button").nth(2).click()
    assert until(lambda: waiting.cancelled == 1, 2)
    page.locator("#upscale-go").wait_for()
    page.locator("#upscale-result [data-state=single]").wait_for()


def test_a_second_visitor_waits_and_is_told(visit: Callable[..., Any], tab_url: str, waiting: Waiting) -> None:
    first, second = chosen(visit(address=tab_url)), chosen(visit(address=tab_url))
    first.locator("#upscale-go").click()
    assert until(lambda: waiting.steps > 5, 10)
    second.locator("#upscale-go").click()
    second.locator("#upscale-status", has_text="Waiting for its turn").wait_for()
    second.locator("#upscale-stop").click()
    second.locator("#upscale-go").wait_for()
    assert until(lambda: not waiting.has_stopped(), 5), "only the first visitor's own Cancel ends the first job"
    first.locator("#upscale-stop").click()
    assert until(lambda: waiting.cancelled == 1, HURRY)


# --- in the browser, with the shipped net ---


def open_tab(page: Any, name: str = "Upscale") -> Any:
    page.get_by_role("tab", name=name).click()
    page.locator("#upscale-go").wait_for()
    return page


def finished(page: Any) -> Any:
    page.locator("#upscale-result [data-state=pair]").wait_for(timeout=60_000)
    return page


def downloaded(page: Any) -> tuple[str, bytes]:
    with page.expect_download() as waiting:
        page.locator("#upscale-download").click()
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()


def test_an_example_is_enlarged_and_compared(page: Any) -> None:
    open_tab(page)
    page.locator("#upscale-source .examples button").nth(1).click()
    page.locator("#upscale-result [data-state=single]").wait_for()
    quote = page.locator("#upscale-quote [data-testid=markdown]")
    quote.get_by_text("2304 × 2304").wait_for()
    assert re.search(r"5\.3 megapixels.*Takes about \d+ (s|min) and .* of memory", quote.inner_text(), re.DOTALL)
    page.locator("#upscale-scale").get_by_label("2×").check()
    quote.get_by_text("1152 × 1152").wait_for()
    page.locator("#upscale-go").click()
    finished(page)
    name, data = downloaded(page)
    assert name == "bulb.x2.jpg"
    assert Image.open(io.BytesIO(data)).size == (1152, 1152)
    handle = page.get_by_role("slider", name="Border between before and after")
    handle.focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    clip = page.evaluate("document.querySelector('#upscale-result img.after').style.clipPath")
    assert clip == "inset(0px 0px 0px 60%)"
    assert page.problems == []


def test_a_file_keeps_its_format_and_what_it_says(page: Any, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "A camera"
    exif[0x0112] = 6  # lies on its side
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)
    path = tmp_path / "my photo.jpg"
    Image.fromarray(pixels).save(path, exif=exif, icc_profile=profile, dpi=(300, 300))
    open_tab(page)
    page.locator("#upscale-source input").set_input_files(path)
    page.locator("#upscale-quote [data-testid=markdown]").get_by_text("96 × 160").wait_for()
    page.locator("#upscale-go").click()
    finished(page)
    name, data = downloaded(page)
    assert name == "my photo.x4.jpg"
    result = Image.open(io.BytesIO(data))
    assert (result.format, result.size) == ("JPEG", (96, 160)), "4 times the upright picture"
    assert result.getexif()[0x010F] == "A camera"
    assert result.getexif().get(0x0112, 1) == 1
    assert result.info["icc_profile"] == profile
    assert result.info["dpi"] == (300, 300)


def test_a_broken_file_is_told_in_one_line(page: Any, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"\xff\xd8\xff no picture")
    open_tab(page)
    page.locator("#upscale-source .examples button").first.click()
    page.locator("#upscale-result [data-state=single]").wait_for()
    page.locator("#upscale-source input").set_input_files(path)
    page.locator("#upscale-source .problem", has_text="photo.jpg").wait_for()
    assert page.locator("#upscale-source .lead").inner_text() == "dog.jpg", "the picture before it stays"
    page.locator("#upscale-quote", has_text="576 × 576").wait_for()
    page.locator("#upscale-result [data-state=single]").wait_for()


def test_too_large_a_target_is_refused_in_the_quote(page: Any) -> None:
    open_tab(page)
    page.get_by_role("button", name="Settings").click()
    page.locator("#upscale-source .examples button").first.click()
    page.locator("#upscale-quote", has_text="2304 × 2304").wait_for()
    page.locator("#upscale-width input").fill("60000")
    page.locator("#upscale-width input").blur()
    page.locator("#upscale-quote", has_text="more than 16 times").wait_for()
    page.locator("#upscale-width input").fill("-5")
    page.locator("#upscale-width input").blur()
    page.locator("#upscale-quote", has_text="width must be a whole number between 1 and").wait_for()
    assert not page.locator(".toast-body").count(), "it is said in the quote, in the language of the page"
    page.locator("#upscale-width input").fill("1000")
    page.locator("#upscale-width input").blur()
    page.locator("#upscale-quote", has_text="1000 × 1000").wait_for()


def test_a_picture_may_be_dropped_or_pasted(page: Any) -> None:
    open_tab(page)
    give = """async ([event, target, field]) => {
        const canvas = Object.assign(document.createElement("canvas"), { width: 20, height: 10 });
        const blob = await new Promise((done) => canvas.toBlob(done));
        const data = new DataTransfer();
        data.items.add(new File([blob], event + ".png", { type: "image/png" }));
        const made = event === "paste"
            ? new ClipboardEvent(event, { clipboardData: data, bubbles: true })
            : new DragEvent(event, { dataTransfer: data, bubbles: true });
        document.querySelector(target).dispatchEvent(made);
    }"""
    page.evaluate(give, ["drop", "#upscale-result .stage", "dataTransfer"])
    page.locator("#upscale-source .lead", has_text="drop.png").wait_for()
    page.locator("#upscale-quote", has_text="80 × 40").wait_for()
    page.evaluate(give, ["paste", "body", "clipboardData"])
    page.locator("#upscale-source .lead", has_text="paste.png").wait_for()


def test_a_size_that_cannot_be_is_told_in_chinese(visit: Callable[..., Any]) -> None:
    """Gradio's own check of a number field told it in English, and wiped the quote with "Error"."""
    page = visit("/?tab=upscale", locale="zh-CN")
    names = page.locator("#upscale-source .examples img").evaluate_all("nodes => nodes.map((node) => node.alt)")
    assert names == ["狗", "灯泡", "吉他", "纽约", "沙"]
    page.get_by_role("button", name="设置").click()
    page.locator("#upscale-source .examples button").first.click()
    page.locator("#upscale-quote", has_text="2304 × 2304").wait_for()
    page.locator("#upscale-width input").fill("-5")
    page.locator("#upscale-quote", has_text="宽度 须为 1 到 65535 之间的整数，而不是 -5。").wait_for()
    assert page.get_by_test_id("toast-body").count() == 0


def test_a_long_name_stays_within_its_button(visit: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / f"PXL_20261128_101112345_{'NIGHT' * 6}.jpg"
    Image.new("RGB", (24, 16), "teal").save(path)
    page = visit("/?tab=upscale", **PHONE)
    page.locator("#upscale-source input").set_input_files(path)
    page.locator("#upscale-quote", has_text="96 × 64").wait_for()
    page.locator("#upscale-go").tap()
    finished(page)
    assert page.locator("#upscale-download").evaluate("node => node.scrollWidth <= node.clientWidth")


def test_on_a_phone_by_touch_in_chinese(visit: Callable[..., Any]) -> None:
    page = visit(**{**PHONE, "locale": "zh-CN"})
    page.get_by_role("tab", name="放大").tap()
    page.locator("#upscale-source .examples button").nth(4).tap()
    page.locator("#upscale-result [data-state=single]").wait_for()
    page.locator("#upscale-scale").get_by_label("2×").tap()
    page.locator("#upscale-quote", has_text="1152 × 1152").wait_for()
    page.get_by_role("button", name="放大", exact=True).tap()
    finished(page)
    page.wait_for_function(  # the result has come into view by itself
        "() => { const { top, bottom } = document.querySelector('#upscale-result .stage').getBoundingClientRect();"
        " return top < innerHeight / 2 && bottom > innerHeight / 2; }"
    )
    assert page.evaluate("document.documentElement.scrollWidth") == 390, "the page scrolls sideways"
    assert page.locator("#upscale-download").inner_text().strip() == "下载 sand.x2.jpg"


def test_the_model_must_be_one_of_the_list(page: Any, app_url: str) -> None:
    """Anybody can send anything: a path in place of a model's name must not reach the loader."""
    config = page.evaluate("fetch('/config').then((answer) => answer.json())")
    ids = {part["props"].get("elem_id"): part["id"] for part in config["components"]}
    run = next(
        event for event in config["dependencies"]
        if ids["upscale-model"] in event["inputs"] and ids["upscale-result"] in event["outputs"]
    )  # fmt: skip
    answer = page.evaluate(
        """async ([index, data]) => {
            const session_hash = "test" + Math.random();
            await fetch("/gradio_api/queue/join", { method: "POST", headers: { "content-type": "application/json" },
                body: JSON.stringify({ data, fn_index: index, session_hash }) });
            const stream = await fetch("/gradio_api/queue/data?session_hash=" + session_hash);
            return await stream.text();
        }""",
        [run["id"], [{}, "input", "file:/etc", 4, 0, 0, *[None] * slots.COUNT, None]],
    )
    assert '"success":false' in answer.replace(" ", "")
