"""The Sample tab: what a state may be, and a hand on its sliders in a real browser."""

import base64
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import PHONE
from PIL import Image

import genrestore
import genrestore.pipelines.sample as task
from genrestore.ui.tabs.sample import tab
from genrestore.ui.tabs.sample.tab import State

Z = 6  # of the stand-in net


@pytest.fixture
def net(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two stand-in models whose picture is one row of pixels that are the latent itself."""

    def draw(model: str, *, latent: np.ndarray) -> list[Image.Image]:
        pixels = np.clip(latent * 20 + 128, 0, 255).astype(np.uint8)
        return [Image.fromarray(np.repeat(pixels[None, :, None], 3, axis=2))]

    cards = [
        SimpleNamespace(name=name, title=name.upper(), intended="", sha256="0" * 64, inputs=())
        for name in ("one", "two")
    ]
    monkeypatch.setattr(genrestore, "list_models", lambda task=None: cards)
    monkeypatch.setattr(genrestore, "sample", draw)
    monkeypatch.setattr(task, "latent", lambda model, seed: np.full(Z, seed + 1, np.float32))
    monkeypatch.setattr(task, "directions", lambda model, count: np.eye(Z, dtype=np.float32)[:count])


def unpacked(answer: dict[str, Any]) -> np.ndarray:
    """(H, W, 3) of an answer that carries bare pixels."""
    samples = np.frombuffer(base64.b64decode(answer["pixels"]), np.uint8)
    return samples.reshape(answer["height"], answer["width"], 3)


def pixels(url: str) -> np.ndarray:
    """The pixels of a data URL, (H, W, C)."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))


@pytest.mark.usefixtures("net")
def test_z_is_the_scaled_seed_plus_the_directions_with_held_components_replaced():
    state = State.from_json({"model": "one", "seed": 1, "truncation": 0.5, "a": [0, 2], "raw": {"4": -3}})
    assert state.z().tolist() == [1, 3, 1, 1, -3, 1]
    assert state.z().dtype == np.float32


@pytest.mark.usefixtures("net")
@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "one",
        {},
        {"model": None},
        {"model": ["one"]},
        {"model": "onee"},
        {"model": "../one"},
        {"model": "file:/etc"},
        {"model": "one", "seed": -1},
        {"model": "one", "seed": 2**31},
        {"model": "one", "seed": 1.5},
        {"model": "one", "seed": "1"},
        {"model": "one", "seed": True},
        {"model": "one", "seed": 10**3000},
        {"model": "one", "truncation": float("nan")},
        {"model": "one", "truncation": float("inf")},
        {"model": "one", "truncation": -0.1},
        {"model": "one", "truncation": None},
        {"model": "one", "truncation": {"deep": [[[]]]}},
        {"model": "one", "a": {"0": 1}},
        {"model": "one", "a": "12"},
        {"model": "one", "a": [float("nan")]},
        {"model": "one", "a": [[1]]},
        {"model": "one", "a": [5]},
        {"model": "one", "a": [0] * 17},
        {"model": "one", "raw": [1]},
        {"model": "one", "raw": {"x": 1}},
        {"model": "one", "raw": {"-1": 1}},
        {"model": "one", "raw": {"²": 1}},
        {"model": "one", "raw": {str(Z): 1}},
        {"model": "one", "raw": {"0": "1"}},
        {"model": "one", "raw": {str(k): 0 for k in range(5000)}},
        {"model": "one", "colour": 1},
    ],
    ids=lambda data: json.dumps(data)[:40],
)
def test_what_is_no_state_gets_a_sentence(data: Any):
    """The server function is open to every client, so nothing it is sent may reach a net, a path or a traceback."""
    for question in (tab.picture, tab.download):
        assert list(answer := question(data)) == ["problem"]
        assert answer["problem"][-1] in ".?" and len(answer["problem"]) < 200 and "\n" not in answer["problem"]
    assert list(tab.strip([data])) == ["problem"]


@pytest.mark.usefixtures("net")
def test_a_strip_is_bounded_and_of_one_model():
    assert pixels(tab.strip([{"model": "one", "seed": seed} for seed in range(3)])["picture"]).shape == (3, Z, 3)
    for wrong in (None, {}, [], [{"model": "one"}] * 33, [{"model": "one"}, {"model": "two"}]):
        assert list(tab.strip(wrong)) == ["problem"]


@pytest.mark.usefixtures("net")
def test_the_download_says_how_to_make_it_again():
    data: dict[str, Any] = {"model": "two", "seed": 3, "truncation": 0.5, "a": [1.25], "raw": {"2": 1}}
    answer = tab.download(data)
    assert answer["name"] == "two-3.png"
    image = Image.open(io.BytesIO(base64.b64decode(answer["url"].partition(",")[2])))
    assert image.format == "PNG"
    recipe = json.loads(image.info["genrestore"])
    assert (recipe["task"], recipe["model"], recipe["seed"]) == ("sample", "two", 3)
    settings = recipe["settings"]
    again = {"model": "two", "seed": 3, **{key: settings[key] for key in ("truncation", "a", "raw")}}
    assert np.array_equal(unpacked(tab.picture(again)), np.asarray(image))
    latent = np.array(settings["latent"], np.float32)
    assert np.array_equal(np.asarray(genrestore.sample("two", latent=latent)[0]), np.asarray(image))
    name, data_of = tab.png(data)
    assert name == answer["name"] and np.array_equal(np.asarray(Image.open(io.BytesIO(data_of))), np.asarray(image))


@pytest.mark.usefixtures("net")
@pytest.mark.parametrize(
    "data",
    [None, [], {}, {"state": {"model": "one"}}, {"state": None, "times": 2}, {"state": {"model": "x"}, "times": 2}]
    + [{"state": {"model": "one"}, "times": times} for times in (0, -1, 1.5, True, "2", None, 10**9, tab.LARGEST)],
)
def test_what_cannot_be_enlarged_gets_a_sentence(data: Any):
    assert list(answer := tab.enlarged(data)) == ["problem"]
    assert answer["problem"][-1] in ".?" and len(answer["problem"]) < 200


@pytest.mark.usefixtures("net")
def test_the_known_models_come_first_and_each_is_named_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    facts = [("aa", "aa", 0), ("dcgan-cifar10", "DCGAN", 20), ("cats", "cats · VAE", 0), ("v", "V", 81)]
    cards = [
        SimpleNamespace(name=name, title=title, first=first, intended="", inputs=(), folder=tmp_path / name)
        for name, title, first in facts
    ]
    monkeypatch.setattr(genrestore, "list_models", lambda task=None: cards)
    models = tab.catalogue("all")["models"]
    assert [(model["title"], model["seed"]) for model in models] == [
        ("DCGAN", 20), ("V", 81), ("aa", 0), ("cats · VAE", 0),
    ]  # fmt: skip


@pytest.mark.usefixtures("net")
def test_a_large_picture_comes_packed_and_is_the_same(monkeypatch: pytest.MonkeyPatch):
    bare = tab.picture({"model": "one", "seed": 3})
    monkeypatch.setattr(tab, "BARE", 0)
    packed = tab.picture({"model": "one", "seed": 3})
    assert "picture" not in bare and "pixels" not in packed and bare["z"] == packed["z"]
    assert np.array_equal(unpacked(bare), pixels(packed["picture"]))


@pytest.mark.usefixtures("net")
def test_a_full_server_says_so_instead_of_letting_wait(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tab, "PATIENCE", 0.1)
    monkeypatch.setattr(task, "latent", lambda model, seed: time.sleep(0.5))
    assert tab.picture({"model": "one"})["busy"]


def test_painters_use_one_core_and_leave_the_others_theirs():
    """torch keeps one number for threads to come and one for each thread that is there; setting one touches both."""
    import torch

    usual = torch.get_num_threads()
    assert tab._painters.submit(torch.get_num_threads).result() == 1  # pyright: ignore[reportPrivateUsage]
    assert torch.get_num_threads() == usual


# ---- in the browser ----


class Live:
    """The tab as a visitor sees it."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.root = page.locator("#live")
        self.settle()

    def state(self) -> dict[str, Any]:
        """The state whose picture is on the canvas."""
        return json.loads(self.root.locator("canvas.picture").get_attribute("data-state"))

    def picture(self) -> list[int]:
        script = "c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
        return self.root.locator("canvas.picture").evaluate(script)

    def until(self, condition: Callable[[dict[str, Any]], bool]) -> None:
        """Wait for a picture whose state fulfils `condition`."""
        deadline = time.monotonic() + 20
        while not condition(self.state()):
            assert time.monotonic() < deadline, f"the picture stayed at {self.state()}"
            time.sleep(0.02)

    def settle(self) -> None:
        """Wait for the first picture and for the thumbnails at the sliders, after which nothing moves."""
        self.root.locator("canvas.picture[data-state]").wait_for(timeout=60_000)
        drawn = """() => [...document.querySelectorAll('#live .directions canvas, #live .grid canvas')]
            .every(c => c.getContext('2d').getImageData(0, 0, 1, 1).data[3] === 255)"""
        self.page.wait_for_function(drawn, timeout=60_000)

    def slider(self, name: str) -> Any:
        return self.root.get_by_role("slider", name=name, exact=True)

    def start(self) -> int:
        """The seed that the first model begins with."""
        return genrestore.weights.resolve(self.state()["model"]).first

    def press(self, name: str) -> None:
        self.root.get_by_role("button", name=name, exact=True).click()

    def choose_other_model(self) -> str:
        select = self.root.get_by_role("combobox", name="Model")
        names = select.locator("option").evaluate_all("options => options.map(option => option.value)")
        other = next(name for name in names if name != self.state()["model"])
        select.select_option(other)
        self.until(lambda state: state["model"] == other)
        return other


@pytest.fixture
def live(same_page: Any) -> Live:
    """The tab with the picture that it begins with. What else can be turned to stays as it was: for that, take a new page."""
    same_page.evaluate("history.pushState(null, '', '/?tab=sample'); dispatchEvent(new PopStateEvent('popstate'))")
    live, best = Live(same_page), genrestore.list_models("sample")[0]
    start = {"model": best.name, "seed": best.first, "truncation": 1, "a": [], "raw": {}}
    live.until(lambda state: start.items() <= state.items())
    return live


def test_the_picture_follows_a_drag_and_ends_right(live: Live):
    before = live.picture()
    slider = live.slider("Direction 2")
    box = slider.bounding_box()
    middle = box["y"] + box["height"] / 2
    live.page.evaluate("""() => {
        const canvas = document.querySelector('#live canvas.picture'); window.seen = new Set();
        new MutationObserver(() => seen.add(canvas.dataset.state)).observe(canvas, {attributes: true});
    }""")
    live.page.mouse.move(box["x"] + box["width"] / 2, middle)
    live.page.mouse.down()
    for step in range(40):
        live.page.mouse.move(box["x"] + box["width"] * (0.5 + 0.01 * step), middle)
        time.sleep(0.02)
    live.page.mouse.up()
    last = float(slider.input_value())
    assert last > 2.5
    live.until(lambda state: state["a"] == [0, last])
    assert live.page.evaluate("seen.size") >= 8  # 40 on a quiet machine
    assert live.picture() != before
    assert live.page.problems == []


def test_a_picture_that_comes_packed_is_drawn_too(live: Live):
    """Pictures of larger nets come as WebP; here the answers on their way to the browser are turned into such."""
    before = live.picture()
    packed: list[int] = []

    def pack(route: Any) -> None:
        answer = route.fetch()
        content = answer.json()
        if "pixels" in content:
            image = Image.fromarray(unpacked(content))
            content = {"picture": tab._url(image, "WEBP", lossless=True), "z": content["z"]}  # pyright: ignore[reportPrivateUsage]
            packed.append(image.width)
        route.fulfill(response=answer, json=content)

    live.press("Random")
    live.until(lambda state: state["seed"] != live.start())
    assert live.picture() != before
    live.page.route("**/component_server/", pack)
    live.press("Reset")
    live.until(lambda state: state["seed"] == live.start())
    assert live.picture() == before
    assert packed and live.page.problems == []


def test_arrow_keys_move_a_slider_and_0_puts_it_back(live: Live):
    before = live.picture()
    live.slider("Direction 1").focus()
    for _ in range(10):
        live.page.keyboard.press("ArrowRight")
    live.until(lambda state: state["a"] == [0.5])
    assert live.picture() != before
    live.page.keyboard.press("0")
    live.until(lambda state: state["a"] == [])
    assert live.picture() == before


def test_reset_brings_back_exactly_the_first_picture(live: Live):
    before, start = live.picture(), live.state()
    live.press("Random")
    live.until(lambda state: state["seed"] != start["seed"])
    for name, key in (("Direction 3", "End"), ("Variety", "PageDown")):
        live.slider(name).focus()
        live.page.keyboard.press(key)
    live.until(lambda state: state["a"] == [0, 0, 4] and state["truncation"] < 1)
    assert live.picture() != before
    live.press("Reset")
    live.until(lambda state: state == start)
    assert live.picture() == before


def test_seeds_by_number_by_arrows_and_from_the_grid(visit: Callable[..., Any]):
    live = Live(visit("/?tab=sample"))
    first = live.picture()
    live.root.get_by_role("spinbutton", name="Seed", exact=True).fill("41")
    live.until(lambda state: state["seed"] == 41)
    live.press("Previous seed")
    live.until(lambda state: state["seed"] == 40)
    forty = live.picture()
    live.press("Seed 45")
    live.until(lambda state: state["seed"] == 45)
    assert first != forty != live.picture()
    assert live.root.get_by_role("button", name="Seed 45").get_attribute("aria-current") == "true"
    live.press("Next seeds")
    live.root.get_by_role("button", name="Seed 48", exact=True).wait_for()
    assert live.state()["seed"] == 45


def test_another_model_keeps_the_seed_but_not_the_sliders(live: Live):
    live.press("Seed 22")
    live.slider("Direction 1").press("End")
    live.until(lambda state: (state["seed"], state["a"]) == (22, [4]))
    before = live.picture()
    live.choose_other_model()
    assert (live.state()["seed"], live.state()["a"]) == (22, [])
    assert live.picture() != before


def test_the_best_picture_of_each_model_comes_first(live: Live):
    best = genrestore.list_models("sample")[0]
    assert (live.state()["model"], live.state()["seed"]) == (best.name, best.first)
    other = live.choose_other_model()
    assert live.state()["seed"] == genrestore.weights.resolve(other).first > 0
    live.page.wait_for_url("**model=*")


def test_raw_dimensions_are_found_by_index_held_and_released(visit: Callable[..., Any]):
    live = Live(visit("/?tab=sample"))
    before = live.picture()
    live.root.locator("details.raw summary").click()
    live.root.get_by_label("Go to").fill("37")
    live.page.keyboard.press("Enter")
    slider = live.slider("Dimension 37")
    assert slider.evaluate("node => node === document.activeElement")
    slider.press("End")
    live.until(lambda state: state["raw"] == {"37": 4})
    assert live.picture() != before
    live.press("Release all")
    live.until(lambda state: state["raw"] == {})
    assert live.picture() == before


def test_small_pictures_at_the_sliders_show_where_they_lead_and_more_are_there_on_demand(visit: Callable[..., Any]):
    live = Live(visit("/?tab=sample"))
    end = live.root.locator("button.end").nth(3)
    assert end.get_attribute("aria-label") == "Direction 2: 3"
    end.click()
    live.until(lambda state: state["a"] == [0, 3])

    assert live.root.locator(".directions .row").count() == 8
    live.press("More directions")
    live.slider("Direction 16").press("Home")
    live.until(lambda state: state["a"] == [0, 3] + [0] * 13 + [-4])


def test_the_address_holds_the_picture(live: Live, visit: Callable[..., Any]):
    live.press("Seed 23")
    live.slider("Direction 2").press("End")
    live.slider("Variety").press("PageDown")
    live.page.wait_for_url(lambda url: all(part in url for part in ("tab=sample", "seed=23", "a=0%2C4", "truncation=")))
    again = Live(visit(live.page.url[live.page.url.index("/?") :]))
    assert again.state() == live.state()
    assert again.picture() == live.picture()
    strange = Live(visit("/?model=../x&seed=-9e99&truncation=NaN&a=1,x,99&raw=0:7,-1:2,y:1&__theme=dark"))
    assert strange.state() | {"model": ""} == {
        "model": "", "seed": strange.start(), "truncation": 1, "a": [1, 0, 4], "raw": {"0": 4}, "told": {},
    }  # fmt: skip
    strange.root.get_by_text("-9e99 is no seed").wait_for()


def test_back_brings_the_picture_of_its_address_back(live: Live):
    live.press("Seed 22")
    live.page.wait_for_url("**seed=22*")
    live.page.get_by_role("tab", name="Upscale").click()
    live.page.locator("#upscale-go").wait_for()
    live.page.get_by_role("tab", name="Sample").click()
    live.press("Seed 25")
    live.page.wait_for_url("**seed=25*")
    live.page.go_back()
    live.page.locator("#upscale-go").wait_for()
    live.page.go_back()
    live.until(lambda state: state["seed"] == 22)
    assert live.root.is_visible()


def test_what_is_no_seed_gets_a_word(live: Live):
    field = live.root.get_by_role("spinbutton", name="Seed", exact=True)
    seed = live.start()
    for given, following in [("-5", 12), ("1.5", 13), ("100000000000000000000", 14)]:
        field.fill(given)
        live.root.get_by_text(f"{given} is no seed: take a whole number from 0 to 2147483647.").wait_for()
        assert field.get_attribute("aria-invalid") == "true"
        assert live.state()["seed"] == seed
        field.blur()
        assert field.input_value() == str(seed)
        field.fill(f"{following}")
        live.until(lambda state, wanted=following: state["seed"] == wanted)
        assert live.root.locator(".wrong").inner_text() == ""
        seed = following


def test_the_downloads_are_pngs_of_the_net_s_size_and_of_the_shown_one(visit: Callable[..., Any]):
    live = Live(visit("/?tab=sample"))
    live.press("Seed 22")
    live.until(lambda state: state["seed"] == 22)
    name = f"{live.state()['model']}-22"
    with live.page.expect_download() as waiting:
        live.press("Download 32 × 32")
    assert waiting.value.suggested_filename == f"{name}.png"
    with Image.open(waiting.value.path()) as image:
        assert image.format == "PNG"
        own = np.asarray(image.convert("RGBA"))
        assert own.ravel().tolist() == live.picture()
    live.root.get_by_label("Smooth").uncheck()
    with live.page.expect_download() as waiting:
        live.press("Download 448 × 448")  # what a page of 1280 shows
    assert waiting.value.suggested_filename == f"{name}-x14.png"
    with Image.open(waiting.value.path()) as image:
        assert np.array_equal(np.asarray(image.convert("RGBA")), own.repeat(14, axis=0).repeat(14, axis=1))
        assert json.loads(image.info["genrestore"])["seed"] == 22


def test_a_slow_network_is_told(live: Live):
    held: list[Any] = []
    slow = True
    live.page.route("**/component_server/", lambda route: held.append(route) if slow else route.continue_())
    live.press("Seed 22")
    live.root.get_by_text("Waiting for the server").wait_for()
    slow = False
    for route in held:
        route.continue_()
    live.root.get_by_text("Waiting for the server").wait_for(state="hidden")
    live.until(lambda state: state["seed"] == 22)


def test_a_lost_call_is_made_again_with_the_newest_state(live: Live):
    """Without a second try, the picture would stay behind the slider after one hiccup of the network."""
    live.page.route("**/component_server/", lambda route: route.abort())
    live.slider("Direction 1").press("End")
    live.root.get_by_text("No answer from the server").wait_for()
    live.slider("Direction 1").press("Home")
    live.page.unroute("**/component_server/")
    live.until(lambda state: state["a"] == [-4])
    live.root.get_by_text("No answer from the server").wait_for(state="hidden")


def test_a_second_try_does_not_bring_back_an_older_state(live: Live):
    live.page.route("**/component_server/", lambda route: route.abort())
    live.slider("Direction 1").press("End")
    live.root.get_by_text("No answer from the server").wait_for()
    live.page.unroute("**/component_server/")
    live.slider("Direction 1").press("Home")
    live.until(lambda state: state["a"] == [-4])
    live.page.wait_for_timeout(3000)  # longer than the first pause
    assert live.state()["a"] == [-4]


def test_a_phone_shows_all_and_keeps_the_picture_in_view(visit: Callable[..., Any]):
    phone = visit("/?tab=sample", **PHONE)
    live = Live(phone)
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    slider = live.slider("Direction 8")
    slider.scroll_into_view_if_needed()
    box, picture = slider.bounding_box(), live.root.locator("canvas.picture").bounding_box()
    assert picture["y"] >= 0 and picture["y"] + picture["height"] <= box["y"]
    slider.tap()
    live.until(lambda state: len(state["a"]) in (0, 8))
    assert phone.problems == []


def test_the_page_speaks_chinese(visit: Callable[..., Any]):
    live = Live(visit("/?tab=sample", locale="zh-CN"))
    assert live.root.get_by_role("button", name="随机", exact=True).is_visible()
    live.slider("方向 1").press("End")
    live.until(lambda state: state["a"] == [4])
