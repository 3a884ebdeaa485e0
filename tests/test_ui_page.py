"""The frame round the tabs: what it asks of the network (nothing), what it refuses, how it looks, what it says."""

import http.client
import io
import itertools
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
import pytest
from conftest import STANDING, free_port
from PIL import Image, ImageStat

from genrestore import ui
from genrestore.errors import Cancelled, MaskError
from genrestore.ui.parts.toasts import with_toasts
from genrestore.ui.tabs.about import tab as about

ENGLISH = ["Inpaint", "Upscale", "Restore", "Sample", "Train", "Models", "About"]
LEFTMOST = [
    ".mask-editor",
    "#upscale-source .chooser",
    "#restore-source .chooser",
    ".picture",
    "#train-new",
    "#models .intro",
    "#about p",
]
HEADINGS = "[...document.querySelectorAll('h1, h2, h3, h4, h5, h6')].filter((n) => n.checkVisibility()).map((n) => +n.tagName[1])"
CHINESE = ["修复", "放大", "复原", "生成", "训练", "模型", "关于"]


def open_tab(page: Any, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()
    page.locator(f"#tab-{name.lower()}").wait_for()
    page.evaluate(STANDING)


# --- start ----------------------------------------------------------------------------------------------------------


def test_page_is_built_without_torch() -> None:
    """The first page must not wait for torch and its like; whoever needs them imports them inside the call."""
    late = {"torch", "openvino", "spandrel", "einops"}
    script = f"import sys, genrestore.ui; genrestore.ui.build(); assert not {late} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_tabs_open_without_an_error(page: Any) -> None:
    """Each with its headings, which leave out no level, and at the left edge that the name and the tabs have."""

    def left(script: str) -> float:
        return page.evaluate(f"{script}.left")

    assert [tab.inner_text() for tab in page.get_by_role("tab").all()] == ENGLISH
    assert page.title() == "genrestore"
    edge = left("document.querySelector('h1').getBoundingClientRect()")
    word = "(() => { const r = document.createRange(); r.selectNodeContents(document.querySelector('[role=tab]')); return r })()"
    assert left(f"{word}.getBoundingClientRect()") == edge
    for name, selector in zip(ENGLISH, LEFTMOST, strict=True):
        open_tab(page, name)
        levels = page.evaluate(HEADINGS)
        assert levels[0] == 1 and levels.count(1) == 1, name
        assert all(after <= before + 1 for before, after in itertools.pairwise(levels)), (name, levels)
        assert left(f"document.querySelector('{selector}').getBoundingClientRect()") == edge, name
    assert page.problems == []


def test_tabs_are_reached_by_keyboard(page: Any) -> None:
    page.get_by_role("tab", name=ENGLISH[0]).focus()
    for _ in ENGLISH[1:]:
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent.trim()") == "About":
            break
    page.keyboard.press("Enter")
    page.locator("#about").wait_for()


@pytest.mark.parametrize(
    ("path", "name"),
    [("/", "Inpaint"), ("/?tab=upscale", "Upscale"), ("/?seed=5", "Sample"), ("/?tab=train&seed=5", "Train"),
     ("/?tab=../x", "Inpaint")],
)  # fmt: skip
def test_the_address_says_which_tab_is_open(visit: Callable[..., Any], path: str, name: str) -> None:
    page = visit(path)
    page.get_by_role("tab", name=name, selected=True).wait_for()
    assert page.locator("[role=tabpanel]").count() == 1, "another tab was built first"
    assert page.problems == []


def test_back_forward_and_reload_keep_the_tab(page: Any) -> None:
    page.get_by_role("tab", name="About").click()
    page.wait_for_url("**/?tab=about")
    page.get_by_role("tab", name="Upscale").click()
    page.wait_for_url("**/?tab=upscale")
    page.reload()
    page.get_by_role("tab", name="Upscale", selected=True).wait_for()
    for step, name in [("back", "About"), ("back", "Inpaint"), ("forward", "About")]:
        page.evaluate(f"history.{step}()")
        page.get_by_role("tab", name=name, selected=True).wait_for()


# --- no outside host ------------------------------------------------------------------------------------------------


def test_a_space_asks_no_outside_host(browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a Space Gradio's page asked the hub and its picture server who owns it."""
    monkeypatch.setenv("SPACE_ID", "ann/pets")
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr(ui, "_warm", lambda: None)
    server = ui.launch(port=free_port())
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    try:
        page.goto(server.local_url)
        page.get_by_role("tab").first.wait_for()
        page.evaluate(STANDING)
        page.wait_for_timeout(300)
    finally:
        page.close()
        server.close()
    assert len(asked) > 20
    assert [url for url in asked if not url.startswith(("data:", "blob:", server.local_url))] == []


def test_the_browser_asks_no_outside_host(browser: Any, app_url: str) -> None:
    """Every request of every tab, and of Gradio's settings and API panels, goes to the page's own server."""
    own = urlsplit(app_url).netloc
    context = browser.new_context()
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda socket: asked.append(socket.url))
    page.goto(app_url)
    for name in ENGLISH:
        open_tab(page, name)
    for view in ("settings", "api"):
        page.goto(f"{app_url}/?view={view}")
        page.get_by_role("tab").first.wait_for()
        page.evaluate(STANDING)
    page.wait_for_timeout(300)
    context.close()
    assert len(asked) > 50  # the listener did hear
    outside = [url for url in asked if not url.startswith(("data:", "blob:")) and urlsplit(url).netloc != own]
    assert outside == []


def test_the_server_asks_no_outside_host(
    visit: Callable[..., Any], app_folder: Path, listener: Path, tmp_path: Path
) -> None:
    """From start to a warm net and a first click in each tab: no name is looked up and no connection made."""
    heard = tmp_path / "heard"
    surroundings = {"PYTHONPATH": str(listener), "HEARD": str(heard)}
    control = "import socket\ntry: socket.getaddrinfo('name.invalid', 80)\nexcept OSError: pass"
    subprocess.run([sys.executable, "-c", control], env={**os.environ, **surroundings}, check=True)
    assert heard.read_text() == "getaddrinfo name.invalid\n"  # the listener does hear

    page = visit()
    for name in ENGLISH[:-1]:
        open_tab(page, name)
        primary = page.locator("button.primary:visible").first
        if primary.count() and primary.is_enabled():
            primary.click()
    page.wait_for_timeout(500)
    assert (app_folder / "heard").read_text() == ""


# --- what the server refuses ----------------------------------------------------------------------------------------


def post(address: str, path: str, body: bytes) -> tuple[int, str]:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    connection.request("POST", path, body=body, headers={"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, answer.read().decode("utf-8", "replace")


@pytest.mark.parametrize(
    "payload",
    [
        {"path": "http://127.0.0.1:9/x.png", "meta": {"_type": "gradio.FileData"}},
        {"value": [{"path": "https://example.invalid/x.png", "meta": {"_type": "gradio.FileData"}}]},
        {"path": "HTTPS://example.invalid/x.png"},
    ],
)
def test_an_address_instead_of_a_file_is_refused(app_url: str, payload: dict[str, Any]) -> None:
    """Gradio would fetch it; this server fetches nothing."""
    for route in ("/gradio_api/queue/join", "/gradio_api/component_server", "/gradio_api/call/x"):
        status, said = post(app_url, route, json.dumps({"data": [payload], "session_hash": "s"}).encode())
        assert status == 400
        assert "uploaded" in json.loads(said)["error"]


@pytest.mark.parametrize("path", ["/etc/passwd", str(Path(__file__)), "pyproject.toml", "/no/such/file"])
def test_files_of_the_server_stay_there(app_url: str, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{app_url}/gradio_api/file={path}")
    assert refused.value.code in (403, 404)


def test_the_queue_cannot_be_passed_by(app_url: str) -> None:
    """With `api_open` anybody could run a handler beside the queue and its limits."""
    with urllib.request.urlopen(f"{app_url}/config") as answer:
        config = json.load(answer)
    queued = [event for event in config["dependencies"] if event["queue"] and event["api_name"]]
    for event in queued:
        status, _ = post(app_url, f"/gradio_api/run/{event['api_name']}", b'{"data": []}')
        assert status == 404


def test_the_page_shows_no_source_and_keeps_no_history(app_url: str) -> None:
    with urllib.request.urlopen(f"{app_url}/config") as answer:
        config = json.load(answer)
    assert not config["run_history"]
    assert config["footer_links"] == []


def test_no_summary_is_made_of_what_visitors_do() -> None:
    """It took 4 ms after each event, such as each step of a slider."""
    queue = ui.build()._queue
    queue.events_recorded = 1000
    done = {"function": "draw", "status": "success", "process_time": 0.1, "time": 0.0, "session_hash": "s"}
    assert queue.compute_analytics_summary([done]) == {"functions": {}}


# --- looks ----------------------------------------------------------------------------------------------------------


def test_a_phone_never_scrolls_sideways(phone: Any) -> None:
    for name in ENGLISH:
        open_tab(phone, name)
        widths = phone.evaluate("[document.documentElement.scrollWidth, document.body.scrollWidth]")
        assert max(widths) <= 390, (name, widths)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_both_themes_are_what_they_say(visit: Callable[..., Any], theme: str) -> None:
    """A component with colours of its own would shine white in the dark."""
    page = visit(f"/?__theme={theme}")
    for name in ENGLISH:
        open_tab(page, name)
        level = ImageStat.Stat(Image.open(io.BytesIO(page.screenshot())).convert("L")).mean[0]
        assert level > 190 if theme == "light" else level < 80, (name, level)
        contrasts = page.evaluate(CONTRAST)
        assert len(contrasts) > 10
        assert [(text, ratio) for text, ratio in contrasts if ratio < 4.5] == [], name


SHIFTS = """window.shifts = []; new PerformanceObserver((list) => shifts.push(
    ...list.getEntries().filter((entry) => !entry.hadRecentInput).map((entry) => entry.value)
)).observe({ type: "layout-shift", buffered: true });"""


@pytest.mark.parametrize(
    ("tab", "width", "latency"),  # ms; on a slow line the parts come one by one
    [("inpaint", 1280, 0), ("sample", 1280, 0), ("upscale", 390, 0), ("about", 390, 0), ("upscale", 390, 150)],
)
def test_the_page_stands_still_as_it_opens(browser: Any, app_url: str, tab: str, width: int, latency: int) -> None:
    """What moves under a visitor's hand is hit wrongly; 0.1 is the most that is called good, Sample had 0.12."""
    context = browser.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    page.add_init_script(SHIFTS)
    line = {"offline": False, "latency": latency, "downloadThroughput": -1, "uploadThroughput": -1}
    context.new_cdp_session(page).send("Network.emulateNetworkConditions", line)
    page.goto(f"{app_url}/?tab={tab}")
    page.locator("html:not(.settling)").wait_for()
    page.get_by_role("tab").first.wait_for()
    page.evaluate(STANDING)
    page.wait_for_timeout(400 + 4 * latency)
    assert page.evaluate("performance.getEntriesByType('paint').length"), "nothing was drawn"
    shifts = page.evaluate("shifts")
    context.close()
    assert sum(shifts) < 0.05, shifts


# Each text that is seen, with its contrast against the colours below it; what is switched off need not be read.
CONTRAST = """() => {
  const parse = (text) => {
    const n = text.match(/[\\d.]+/g).map(Number);
    return text.startsWith("color(") ? [n[0] * 255, n[1] * 255, n[2] * 255, n[3] ?? 1] : [n[0], n[1], n[2], n[3] ?? 1];
  };
  const over = (a, b) => [0, 1, 2].map((k) => a[k] * a[3] + b[k] * (1 - a[3])).concat(1);
  const part = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    const node = text.parentElement;
    if (!text.textContent.trim() || !node.checkVisibility({ visibilityProperty: true })) continue;
    if (node.closest("script, style, :disabled, [aria-disabled=true], [aria-hidden=true], .tag")) continue;
    let below = [255, 255, 255, 1];
    const chain = [];
    for (let part = node; part; part = part.parentElement) chain.unshift(part);
    for (const part of chain) below = over(parse(getComputedStyle(part).backgroundColor), below);
    const [a, b] = [light(over(parse(getComputedStyle(node).color), below)), light(below)].sort((x, y) => y - x);
    found.push([text.textContent.trim().slice(0, 40), (a + 0.05) / (b + 0.05)]);
  }
  return found;
}"""


FOCUSED = "() => { const f = document.activeElement; return f.id || f.getAttribute('aria-label') || f.title || f.textContent; }"


def test_the_keyboard_keeps_its_place(page: Any) -> None:
    """What was pressed goes away or is switched off: the focus goes to what lies next to it, never to the page's top."""
    page.locator("#inpaint-editor .examples button").nth(1).focus()
    page.keyboard.press("Enter")
    page.locator("#inpaint-editor [data-state=start]").wait_for(state="detached")
    page.wait_for_function("document.activeElement !== document.body")
    assert page.evaluate("document.activeElement.closest('#inpaint-editor') !== null"), page.evaluate(FOCUSED)

    open_tab(page, "Upscale")
    example = page.locator("#upscale-source .examples button").nth(2)
    example.focus()
    page.keyboard.press("Enter")
    page.locator("#upscale-result [data-state=single]").wait_for()
    assert example.evaluate("node => node === document.activeElement")
    page.locator("#upscale-go").focus()
    page.keyboard.press("Enter")
    page.locator("#upscale-stop").wait_for()
    page.wait_for_function("document.activeElement.id === 'upscale-stop'")
    page.keyboard.press("Enter")
    page.locator("#upscale-go").wait_for()
    page.wait_for_function("document.activeElement.id === 'upscale-go'")

    open_tab(page, "Sample")
    page.locator("#live canvas.picture[data-state]").wait_for()
    page.locator("#live .number").fill("1")
    previous = page.get_by_role("button", name="Previous seed", exact=True)
    previous.focus()
    page.keyboard.press("Enter")
    page.locator("#live [data-do=previous]:disabled").wait_for()
    page.wait_for_function("document.activeElement.closest('#live .seed') !== null")
    page.mouse.click(5, 5)  # who leaves a control of his own will is not brought back
    page.wait_for_timeout(300)
    assert page.evaluate("document.activeElement === document.body")


# --- words ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("locale", "names"),
    [("fr-FR", ENGLISH), ("zh-CN", CHINESE), ("zh-TW", CHINESE)],
)
def test_the_browser_s_language_decides(visit: Callable[..., Any], locale: str, names: list[str]) -> None:
    page = visit(locale=locale)
    assert [tab.inner_text() for tab in page.get_by_role("tab").all()] == names
    page.get_by_role("tab").last.click()
    texts = about.W.by_language()
    here, there = ("zh-CN", "en") if names is CHINESE else ("en", "zh-CN")
    page.get_by_text(texts[here]["photos"], exact=True).wait_for()
    assert not page.get_by_text(texts[there]["photos"], exact=True).is_visible()
    assert "__i18n__" not in page.locator("body").inner_text()


# --- failed uploads -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("locale", "answers"),  # status and body of each, and what is said then, which differs from what was said before
    [
        ("en-GB", [
            (413, "<html><h1>413 Request Entity Too Large</h1></html>", "The file did not reach the server"),
            (507, "The disk of the server is full; try again later.", "The disk of the server is full; try again later."),
            (502, "", "The file did not reach the server"),
            (503, '{"error": "The server is busy.", "detail": "x"}', "The server is busy."),
        ]),
        ("zh-CN", [(0, "", "文件未能上传")]),
    ],
)  # fmt: skip
def test_a_failed_upload_says_why(
    visit: Callable[..., Any], tmp_path: Path, locale: str, answers: list[tuple[int, str, str]]
) -> None:
    page = visit(locale=locale)
    reply: Any = {}
    page.route("**/gradio_api/upload*", lambda route: route.fulfill(**reply) if reply["status"] else route.abort())
    path = tmp_path / "photo.png"
    Image.new("RGB", (30, 20)).save(path)
    for tab, choice in (("inpaint", ".photo-file"), ("upscale", "#upscale-source input"), ("train", "input.files")):
        page.locator(f"[role=tab][data-tab-id={tab}]").click()
        for status, body, told in answers:
            reply |= {"status": status, "body": body, "content_type": "text/plain"}
            page.locator(f"#tab-{tab} {choice}").set_input_files(path)
            said = page.locator(f"#tab-{tab} .problem[role=alert]").get_by_text(told)
            said.first.wait_for()
            assert said.first.inner_text().startswith(told), (tab, status)


# --- errors ---------------------------------------------------------------------------------------------------------


def test_a_mistake_becomes_a_toast_and_the_outputs_stay() -> None:
    @with_toasts
    def handler(text: str) -> str:
        """Its docstring."""
        raise MaskError(f"The mask {text} marks nothing; paint something.")

    with pytest.warns(UserWarning, match="paint something"):  # what gr.Warning does where no visitor is
        assert handler("m.png") == gr.skip()
    assert (handler.__name__, handler.__doc__) == ("handler", "Its docstring.")


def test_toasts_say_nothing_in_another_language(visit: Callable[..., Any]) -> None:
    """Gradio heads every toast with "Warning", and two of a kind with "Warning (2)"."""
    page = visit("/?tab=upscale", locale="zh-CN")
    for count in (1, 2):
        page.locator("#upscale-go").click()
        page.wait_for_function("n => document.querySelectorAll('[data-testid=toast-text]').length === n", arg=count)
        assert "Warning" not in page.get_by_test_id("toast-body").inner_text()


def test_what_a_generator_gave_before_its_error_stays() -> None:
    @with_toasts
    def handler() -> Any:
        yield "half"
        raise MaskError("No <b>mask</b>.")

    with pytest.warns(UserWarning, match="No &lt;b&gt;mask"):
        assert list(handler()) == ["half"]


def test_cancelling_is_no_warning(capsys: pytest.CaptureFixture[str]) -> None:
    @with_toasts
    def handler() -> str:
        raise Cancelled("stop")

    assert handler() == gr.skip()
    assert "Cancelled" in capsys.readouterr().out


def test_a_fault_is_logged_and_its_text_stays_on_the_server(caplog: pytest.LogCaptureFixture) -> None:
    @with_toasts
    def handler() -> str:
        raise KeyError("secret")

    with pytest.warns(UserWarning) as told:
        assert handler() == gr.skip()
    assert "secret" not in str(told[0].message)
    assert "secret" in caplog.text


def test_a_handler_s_own_error_passes() -> None:
    @with_toasts
    def handler() -> str:
        raise gr.Error("mine")

    with pytest.raises(gr.Error, match="mine"):
        handler()
