"""The Models tab and "Get more": what each visitor may do, over real HTTP against `hub_standin`, and in a real browser."""

import dataclasses
import json
import re
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from hub_standin import TOKEN, Hub

import genrestore
from genrestore import tasks, ui, weights
from genrestore.card import Card, DataSource, Metric
from genrestore.errors import ModelError
from genrestore.hub import listed
from genrestore.models import span
from genrestore.references import Reference
from genrestore.ui.parts import more
from genrestore.ui.server.access import Access
from genrestore.ui.tabs.models import tab as models
from genrestore.ui.tabs.models.card import article
from genrestore.ui.words import sentences

SLOW = 60_000  # ms, for what waits for a process that loads torch
LISTED = next(one for one in listed.models("upscale") if not one.sha256)  # may be any file here
REQUEST: Any = SimpleNamespace(headers={"host": "127.0.0.1:7860", "accept-language": "en"})


# ---- the list ----


def test_the_list_names_what_can_be_had() -> None:
    from spandrel import MAIN_REGISTRY

    assert date.fromisoformat(listed.dated()) <= date.today()
    found = listed.models()
    assert found[0].name == "LaMa" and found[0].task == "inpaint"
    assert {one.task for one in found} == {"inpaint", "upscale", "restore"}
    for one in found:
        wanted = Reference.parse(one.reference)
        assert listed.find(wanted) is one and str(wanted) == one.reference
        assert one.net in {each.architecture.id for each in MAIN_REGISTRY.architectures()}, one.name
        assert (
            re.fullmatch("([0-9a-f]{64})?", one.sha256)
            and one.bytes > 1e6
            and one.licence
            and one.task in tasks.names()
        )
        assert not one.tested or date.fromisoformat(one.tested) <= date.today()
        assert re.search("[一-鿿]", sentences.by_language(one.about)["zh-CN"]), one.about
        other = dataclasses.replace(wanted, revision="0" * 40)
        assert listed.find(other) is None and listed.find(dataclasses.replace(wanted, file="other.pth")) is None


def test_the_command_lists_them_and_says_which_are_untested(capsys: pytest.CaptureFixture[str]) -> None:
    from genrestore.__main__ import main

    with pytest.raises(SystemExit) as end:
        main(["models", "more", "--task", "restore"])
    told = capsys.readouterr().out
    assert not end.value.code and listed.dated() in told and "LaMa" not in told
    for one in listed.models("restore"):
        state = f"tested {one.tested}" if one.tested else "untested"
        assert (
            f"{one.licence}, {state}" in told
            and f"genrestore models pull {one.reference}" in told
            and one.about in told
        )
    with pytest.raises(SystemExit):
        main(["models", "more", "--json"])
    assert [one["reference"] for one in json.loads(capsys.readouterr().out)] == [
        one.reference for one in listed.models()
    ]


# ---- cards ----


def test_a_card_is_text_and_nothing_else(tmp_path: Path) -> None:
    """A downloaded card is a stranger's text; it must not become part of the page."""
    evil = "<img src=x onerror=alert(1)>'\""
    card = Card(
        name=evil, task="sample", architecture=evil, config={}, parameters=1, sha256=evil, license=evil,
        data=(DataSource(evil, 1, evil, evil),), recipe={evil: evil}, hardware=evil, hours=1.0,
        metrics=(Metric(evil, evil, evil, 1.0, 1, evil),), title=evil, intended=evil, limits=evil,
        paper=f"https://x/'{evil}", folder=tmp_path,
    )  # fmt: skip
    html = article(card)
    assert "<img" not in html and html.count("alert(1)") > 10
    assert "javascript:" not in article(dataclasses.replace(card, paper="javascript:alert(1)")).partition("href")[2]


def test_a_card_s_own_page_tells_all_of_it() -> None:
    for card in genrestore.list_models():
        html = article(card).replace("&#x27;", "'").replace("&amp;", "&")
        told = (card.intended, card.limits, card.license, card.sha256, *(source.name for source in card.data))
        assert all(text in html for text in told), card.name
        assert all(metric.told in html for metric in card.metrics), card.name


# ---- who may do what ----


def orders(access: Access, profile: Any, **asked: Any) -> tuple[list[Any], list[str]]:
    """The answers to an order, and what toasts said."""
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gr, "Warning", lambda text, **_: said.append(text))
        given = list(models.Page(access, {}).ordered(profile, REQUEST, {"run": "one", **asked}))
    return [one["answer"] for one in given if "answer" in one], said


def profile(username: str) -> Any:
    return gr.OAuthProfile({"name": "", "preferred_username": username, "profile": "", "picture": ""})


@pytest.fixture
def asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What the Hub was asked about; it answers nothing."""
    asked: list[str] = []

    def look(wanted: Reference) -> Any:
        asked.append(str(wanted))
        raise ModelError("The Hub is not here.")

    monkeypatch.setattr("genrestore.hub.pull.look", look)
    monkeypatch.setenv("GENRESTORE_HOME", str(tmp_path))
    return asked


def test_a_visitor_may_look_and_fetch_what_is_listed_and_nothing_else(asked_for: list[str], tmp_path: Path) -> None:
    """Nor may anybody where all may train, or who is signed in as somebody else than the owner."""
    shipped = genrestore.list_models("upscale")[0]
    mine = tmp_path / "weights" / "mine"
    shutil.copytree(shipped.weights.parent, mine)
    dataclasses.replace(shipped, name="mine").write(mine)
    owned = Access(owner="ann")
    for access, who in ((Access(), None), (Access(anyone=True), None), (owned, None), (owned, profile("bob"))):
        for word in ("verify", "delete", "pack", "send"):
            answers, said = orders(access, who, do=word, name="mine", repository="bob/mine")
            assert [one["state"] for one in answers] == ["failed"] and "whoever runs it" in said[0], word
        for word in ("look", "fetch"):
            answers, said = orders(access, who, do=word, reference="hf:bob/other")
            assert answers[-1]["state"] == "failed" and "only the models of its list" in said[0]
            assert not asked_for
            assert orders(access, who, do=word, reference=LISTED.reference)[1] == ["The Hub is not here."]
            assert asked_for.pop() == LISTED.reference
        shown = models.Page(access, {}).gallery({}, who, REQUEST)
        assert not shown["manages"] and not shown["fetches"] and "mine" in json.dumps(shown["models"])
        assert (
            str(tmp_path)
            not in json.dumps(shown) + models.Page(access, {}).card({"name": "mine"}, who, REQUEST)["html"]
        )
    assert mine.is_dir()


def test_on_a_space_nobody_fetches_others_than_those_of_the_list(
    asked_for: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even its owner; "Get more" in the other tabs has no other anywhere."""
    monkeypatch.setenv("SPACE_ID", "ann/pictures")
    owner = Access(owner="ann")
    assert models.Page(owner, {}).gallery({}, profile("ann"), REQUEST)["manages"]
    assert not models.Page(owner, {}).gallery({}, profile("ann"), REQUEST)["fetches"]
    answers, said = orders(owner, profile("ann"), do="fetch", reference="hf:bob/other")
    assert answers[-1]["state"] == "failed" and "only the models of its list" in said[0] and not asked_for
    monkeypatch.delenv("SPACE_ID")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gr, "Warning", lambda text, **_: said.append(text))
        list(more.ordered({"do": "fetch", "reference": "hf:bob/other"}, REQUEST))
    assert "only the models of its list" in said[1] and not asked_for
    orders(Access(anyone=True, local=True), None, do="look", reference="bob/other")
    assert asked_for == ["hf:bob/other"], "at one's own computer any will do, and its name is enough"


@pytest.mark.parametrize(
    "text",
    ["https://huggingface.co/ann/tiny", "http://127.0.0.1/ann/tiny", "file:/etc/passwd", "/etc/passwd", "../../x", "~/a/b",
     "C:\\a\\b", "hf:../a", "hf:ann/tiny/../../x", "", None, 5, ["hf:ann/tiny"]],
)  # fmt: skip
def test_only_references_are_taken(text: Any, asked_for: list[str]) -> None:
    answers, said = orders(Access(anyone=True, local=True), None, do="look", reference=text)
    assert answers[-1]["state"] == "failed" and "names no model of the Hub" in said[0] and not asked_for


@pytest.mark.parametrize("asked", [{}, {"do": "format"}, {"do": "delete", "name": "../x"}, {"do": "verify", "name": 3}])
def test_what_makes_no_sense_is_one_sentence(asked: dict[str, Any], asked_for: list[str]) -> None:
    answers, said = orders(Access(anyone=True, local=True), None, reference="hf:a/b", **asked)
    assert [one["state"] for one in answers] == ["failed"] and len(said) == 1 and not asked_for


# ---- over HTTP, and in the browser ----


def net(folder: Path, **config: Any) -> bytes:
    """The file of a small net of ours, without a card."""
    made = span.Span(span.Config(scale=4, **config))
    card = Card(
        name=folder.name, task="upscale", architecture="Span", config=dataclasses.asdict(made.config), parameters=0, sha256="",
        license="", data=(), recipe={},
    )  # fmt: skip
    return weights.save(made, card, folder).weights.read_bytes()


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    hub = Hub()
    wanted = Reference.parse(LISTED.reference)
    hub.new(
        wanted.repository, {wanted.file: net(tmp_path_factory.mktemp("a"), width=8, blocks=2)}, meta={"license": "mit"}
    )
    tiny = net(tmp_path_factory.mktemp("b"), width=4, blocks=2)
    hub.new("ann/tiny", {"model.safetensors": tiny}, meta={"license": "cc0-1.0"})
    large = net(tmp_path_factory.mktemp("c"), width=128, blocks=6)
    hub.new("ann/large", {"model.safetensors": large}, faults={"model.safetensors": "slow"})
    hub.pause = 0.5
    yield hub
    hub.server.shutdown()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """$GENRESTORE_HOME of the page."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def address(hub: Hub, home: Path, start_app: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of a page at this computer."""
    return start_app(
        GENRESTORE_HOME=str(home), HF_HOME=str(tmp_path_factory.mktemp("hf")), HF_ENDPOINT=hub.url, HF_TOKEN=TOKEN,
        HF_HUB_DISABLE_XET="1", HF_HUB_OFFLINE="0",
    )  # fmt: skip


class Client:
    """What a program sees of a page, without a browser."""

    def __init__(self, address: str) -> None:
        self.address, self.session = address, "models"
        self.config = json.load(urllib.request.urlopen(f"{address}/config"))
        self.panel = next(one["id"] for one in self.config["components"] if one["props"].get("elem_id") == "models")
        self.event = next(one["id"] for one in self.config["dependencies"] if [self.panel, "order"] in one["targets"])

    def _post(self, path: str, **body: Any) -> Any:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.address}/gradio_api/{path}", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def ask(self, question: str, **data: Any) -> Any:
        return self._post(
            "component_server", session_hash=self.session, component_id=self.panel, fn_name=question, data=data
        )

    def order(self, word: str, **wish: Any) -> tuple[dict[str, Any], str]:
        """The last answer to an order, and what a toast said."""
        self._post("queue/join", data=[{"do": word, **wish}], fn_index=self.event, session_hash=self.session)
        said = ""
        stream = urllib.request.urlopen(f"{self.address}/gradio_api/queue/data?session_hash={self.session}", timeout=60)
        with stream:
            for line in filter(None, map(bytes.strip, stream)):
                message = json.loads(line.removeprefix(b"data: "))
                if message["msg"] == "log":
                    said = message["log"]
                elif message["msg"] == "process_completed":
                    return message["output"]["data"][0]["answer"], said
        raise AssertionError("the event did not end")


def test_from_the_question_to_the_model_and_back_to_the_hub(address: str, hub: Hub, home: Path) -> None:
    page = Client(address)
    before = [one["name"] for one in page.ask("gallery")["models"]]
    offer, _ = page.order("look", reference="ann/tiny")
    commit = hub.repositories["ann/tiny"].refs["main"]
    facts = {"state": "done", "reference": "hf:ann/tiny", "licence": "cc0-1.0", "commit": commit, "here": False}
    assert offer.items() >= facts.items() and offer["size"].endswith(" kB") and not hub.fetched("ann/tiny")
    failed, said = page.order("fetch", reference="hf:ann/tiny", commit="0" * 40)
    assert failed["state"] == "failed" and "has changed since you were asked" in said and not hub.fetched("ann/tiny")
    _, said = page.order("look", reference="hf:ann/gone")
    assert said.startswith("There is no repository ann/gone on the Hub")

    done, said = page.order("fetch", reference="hf:ann/tiny", commit=commit)
    assert said == ""
    assert (done["state"], done["name"], done["tab"], said) == ("done", "tiny", "upscale", "")
    (card,) = (one for one in page.ask("gallery")["models"] if one["name"] not in before)
    assert (card["name"], card["whose"], card["deletes"], card["pictured"]) == ("tiny", "pulled", True, True)
    assert page.ask("picture", name="tiny")["url"].startswith("data:image/webp;base64,")
    assert commit in page.ask("card", name="tiny")["html"] and page.order("look", reference="ann/tiny")[0]["here"]

    assert page.order("verify", name="tiny")[0]["did"] == "verified"
    parcel, _ = page.order("pack", name="tiny", repository="ann/mine")
    assert parcel["files"][0][0] == "model.safetensors" and not parcel["there"] and parcel["private"]
    assert (
        "ann/mine" not in hub.repositories and TOKEN not in json.dumps(parcel) and str(home) not in json.dumps(parcel)
    )
    for wish in ({"digest": "0"}, {"digest": parcel["digest"], "private": False}):
        failed, said = page.order("send", name="tiny", repository="ann/mine", **wish)
        assert failed["state"] == "failed" and "look at it again" in said and "ann/mine" not in hub.repositories
    sent, _ = page.order("send", name="tiny", repository="ann/mine", digest=parcel["digest"])
    there = hub.repositories["ann/mine"]
    assert sent["reference"] == f"hf:ann/mine@{there.refs['main']}" and there.private
    assert [*there.commits[there.refs["main"]]] == [name for name, _, _ in parcel["files"]]

    folder = home / "pulled" / "ann--tiny"
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").unlink()  # which the cache of the client shares
    (folder / "model.safetensors").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    failed, said = page.order("verify", name="tiny")
    assert failed["state"] == "failed" and "is not the file its card describes" in said
    _, said = page.order("delete", name="span-x4")
    assert "only your own models can be deleted" in said
    assert page.order("delete", name="tiny")[0]["did"] == "deleted" and not folder.exists()
    assert [one["name"] for one in page.ask("gallery")["models"]] == before


def test_get_more_shows_asks_fetches_and_chooses(visit: Callable[..., Any], address: str, hub: Hub, home: Path) -> None:
    wanted = Reference.parse(LISTED.reference)
    page = visit("/?tab=upscale", address=address)
    page.get_by_role("button", name="Settings").click()
    had = page.locator("#upscale-more")
    had.locator("summary").press("Enter")
    row = had.locator("li", has_text=LISTED.name)
    row.get_by_text("untested").wait_for()
    assert had.locator("li").count() == len(listed.models("upscale"))
    row.get_by_role("button", name=f"Get {LISTED.name}").press("Enter")
    row.get_by_text("Licence: mit").wait_for()
    assert not hub.fetched(wanted.repository)
    row.get_by_role("button", name="Cancel").press("Enter")
    row.get_by_role("button", name=f"Get {LISTED.name}").press("Enter")
    row.get_by_role("button", name="Fetch it").press("Enter")
    had.get_by_text("is here, and chosen").wait_for(timeout=SLOW)
    (card,) = (Card.read(folder) for folder in (home / "pulled").iterdir())
    page.wait_for_function(f"document.querySelector('#upscale-model input').value === '{card.title or card.name}'")
    row.get_by_text("here", exact=True).wait_for()
    assert page.problems == []
    shutil.rmtree(home / "pulled")


def test_the_gallery_by_keyboard(visit: Callable[..., Any], address: str, hub: Hub, home: Path) -> None:
    page = visit("/?tab=models", address=address)
    cards = page.locator("#models article")
    cards.first.wait_for()
    assert cards.count() == len(genrestore.list_models())
    page.get_by_role("button", name="Restore", exact=True).press("Enter")
    assert cards.count() == len(genrestore.list_models("restore"))
    page.get_by_role("button", name="All", exact=True).press("Enter")
    page.get_by_role("searchbox").fill("clothing garment")
    assert cards.count() == 1
    cards.locator("button").press("Enter")
    own = page.get_by_role("dialog")
    own.get_by_text("15.3 MB").wait_for()
    assert own.get_by_role("button", name="Delete").count() == 0, "it came with genrestore"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.closest('article') !== null")
    page.get_by_role("searchbox").fill("")

    page.get_by_role("textbox", name="Name of the model on the Hub").fill("ann/large")
    page.keyboard.press("Enter")
    page.locator("#models .any").get_by_role("button", name="Fetch it").press("Enter")
    page.locator("#models .any").get_by_text("left").wait_for()  # some of it has come
    page.locator("#models .any").get_by_role("button", name="Cancel").press("Enter")
    page.get_by_role("textbox", name="Name of the model on the Hub").fill("ann/tiny")
    page.keyboard.press("Enter")
    page.locator("#models .any").get_by_role("button", name="Fetch it").press("Enter")
    page.get_by_text("tiny is here.").wait_for(timeout=SLOW)
    assert [folder.name for folder in (home / "pulled").iterdir()] == ["ann--tiny"], "what was cancelled left nothing"
    assert page.evaluate("document.activeElement.textContent") == "tiny"
    page.keyboard.press("Enter")
    own.get_by_role("button", name="Use in Upscale").press("Enter")
    page.get_by_role("button", name="Settings").click()
    page.locator("#upscale-model input").wait_for()
    page.wait_for_function("document.querySelector('#upscale-model input').value === 'tiny'")
    page.go_back()
    cards.locator("button", has_text="tiny").press("Enter")
    own.get_by_role("button", name="Delete", exact=True).press("Enter")
    own.get_by_role("button", name="Delete it").press("Enter")
    assert (home / "pulled" / "ann--tiny").is_dir(), "it is asked twice"
    own.get_by_role("button", name="Really delete?").press("Enter")
    page.get_by_text("tiny is gone.").wait_for()
    assert not [*(home / "pulled").iterdir()] and cards.count() == len(genrestore.list_models())
    page.get_by_role("tab", name="Upscale").click()
    page.wait_for_function("document.querySelector('#upscale-model input').value === 'Best available'")
    assert page.problems == []


def test_the_page_is_built_without_reading_the_list() -> None:
    listed._read.cache_clear()
    ui.build()
    assert listed._read.cache_info().currsize == 0
