"""The Train tab: who may use it, what reaches the server, and a training watched in a real browser."""

import dataclasses
import io
import json
import shutil
import threading
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from string import Formatter
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from gradio.context import LocalContext
from PIL import Image

from genrestore import locks, setting, tasks, ui
from genrestore.data import checks
from genrestore.data.augment import AUGMENT
from genrestore.errors import GenrestoreError, SettingError, TrainingError
from genrestore.models import find, names
from genrestore.recipe import TrainRecipe
from genrestore.setting import options
from genrestore.training import judge, runs
from genrestore.training.runs import Run, Status
from genrestore.ui.parts import picker, slots
from genrestore.ui.server.access import Access, loopback
from genrestore.ui.tabs.sample import tab as sample
from genrestore.ui.tabs.train import findings, settings, start, watch
from genrestore.ui.tabs.train import tab as train
from genrestore.ui.words import sentences

EMPTY = [None] * slots.COUNT  # fields of what a model adds
HERE = Access(anyone=True, local=True)
PRESET = "dcgan-cifar10"  # the quickest to train
PICTURES = 24
SLOW = 120_000  # ms, for what waits for a process that loads torch


def asked(host: str = "127.0.0.1:7860", **headers: str) -> Any:
    return SimpleNamespace(headers={"host": host, **{name.replace("_", "-"): text for name, text in headers.items()}})


def profile(username: str) -> Any:
    return gr.OAuthProfile({"name": "", "preferred_username": username, "profile": "", "picture": ""})


def pictures(folder: Path, count: int = PICTURES, classes: tuple[str, ...] = ("cat", "dög")) -> Path:
    """A folder of small pictures in class folders, with what does not belong to it."""
    rng = np.random.default_rng(0)
    for k in range(count):
        path = folder / classes[k % len(classes)] / f"{k:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(path)
    (folder / "notes.md").write_text("no picture")
    (folder / ".DS_Store").write_text("no picture")
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GENRESTORE_HOME", str(tmp_path))
    return tmp_path


def made_up(home: Path, name: str, state: str, *, weight: str = "", log: int = 0, **status: Any) -> Run:
    """A run by its files. A live one is at work as long as this process is."""
    run = Run(home / "runs" / name)
    run.folder.mkdir(parents=True)
    runs.asked(run, TrainRecipe(model=PRESET, licence="own"), "/pictures")
    lines = [
        {"step": 50 * k, "seconds": k, "losses": {"generator": 1 + 1 / (k + 1), "critic": 0.5}} for k in range(log)
    ]
    (run.folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    facts: dict[str, Any] = {"step": 1, "steps": 2, **status}
    run.tell(Status(state, **facts))
    if weight:
        shipped = Path(ui.__file__).parents[2] / "weights" / weight
        card = json.loads((shipped / "card.json").read_text("utf-8"))
        (run.folder / "card.json").write_text(json.dumps({**card, "name": name}))
        shutil.copy(shipped / "model.safetensors", run.folder)
    return run


# ---- who may train ----


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "LocalHost", "::1"])
def test_addresses_of_this_computer_only(host: str) -> None:
    assert loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", "localhost.example.org", ""])
def test_addresses_that_others_reach(host: str) -> None:
    assert not loopback(host)


def test_a_page_offers_training_where_its_address_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRADIO_SERVER_NAME", raising=False)
    assert Access.of(None, None) == Access.of("localhost", None) == HERE
    assert Access.of("0.0.0.0", None).closed
    assert Access.of("0.0.0.0", True) == Access(anyone=True)
    assert Access.of(None, False).closed
    monkeypatch.setenv("GENRESTORE_PUBLIC", "1")
    assert Access.of(None, None).closed, "strangers may come through a server before this one"
    monkeypatch.delenv("GENRESTORE_PUBLIC")
    monkeypatch.setenv("GRADIO_SERVER_NAME", "0.0.0.0")
    assert Access.of(None, None).closed


@pytest.mark.parametrize("training", [None, True])
def test_a_space_offers_training_to_its_owner_only(monkeypatch: pytest.MonkeyPatch, training: bool | None) -> None:
    monkeypatch.setenv("SPACE_ID", "Ann/pets")
    assert Access.of("127.0.0.1", training).closed, "nobody can sign in there"
    monkeypatch.setattr("genrestore.ui.server.access.can_sign_in", lambda: True)
    access = Access.of("127.0.0.1", training)
    assert not access.closed and not access.local
    access.check(profile("ann"), asked())
    for visitor in (None, profile("bob"), profile("")):
        with pytest.raises(SettingError, match="off"):
            access.check(visitor, asked())
    monkeypatch.setenv("SPACE_AUTHOR_NAME", "bob")
    assert Access.of(None, training).owner == "bob"
    assert Access.of(None, False).closed


def test_a_stranger_s_site_cannot_use_a_visitor_s_browser() -> None:
    """Neither by asking across sites, nor by a name of its own that leads to 127.0.0.1."""
    HERE.check(None, asked(sec_fetch_site="same-origin"))
    HERE.check(None, asked("[::1]:7860"))
    others = ("cross-site", "same-site")
    handed_on = asked(x_forwarded_for="203.0.113.7")
    for request in (*(asked(sec_fetch_site=site) for site in others), asked("evil.example:7860"), handed_on):
        with pytest.raises(SettingError):
            HERE.check(None, request)


def test_the_owner_s_page_shows_all_to_the_owner_only(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setattr(gr, "LoginButton", gr.Button)  # the real one starts on a Space only
    access = Access(owner="ann")
    ids = [block.elem_id for block in ui.build(access).blocks.values()]
    assert "train-sign-in" in ids and "train-off" in ids and "watch" in ids
    page = train.Page(access, {})
    assert page.entered(None)[0].visible is False
    assert page.entered(profile("ann"))[0].visible is True


# ---- every question checks ----


def served(access: Access) -> tuple[TestClient, gr.Blocks]:
    """The page without a browser; what asks it says that it is at this computer."""
    page = ui.build(access)
    app = gr.mount_gradio_app(FastAPI(), page, path="/")
    return TestClient(app, base_url="http://127.0.0.1"), page


def component(page: gr.Blocks, elem_id: str) -> int:
    return next(key for key, block in page.blocks.items() if block.elem_id == elem_id)


def ask(client: TestClient, page: gr.Blocks, name: str, data: Any, elem_id: str = "watch", **headers: str) -> Any:
    body = {"session_hash": "s", "component_id": component(page, elem_id), "fn_name": name, "data": data}
    return client.post("/gradio_api/component_server", json=body, headers=headers)


def fire(address: str, elem_id: str, *data: Any, **headers: str) -> str:
    """Set off the event of a component as any program could; returns the first thing that the server says of it."""
    config = json.load(urllib.request.urlopen(f"{address}/config"))
    target = next(part["id"] for part in config["components"] if part["props"].get("elem_id") == elem_id)
    handlers = [each for each in config["dependencies"] if each["backend_fn"]]
    event = next(each["id"] for each in handlers if target in [one[0] for one in each["targets"]])
    sent = json.dumps({"data": data, "fn_index": event, "session_hash": "s"}).encode()
    headers = {"Content-Type": "application/json", **headers}
    urllib.request.urlopen(urllib.request.Request(f"{address}/gradio_api/queue/join", sent, headers)).close()
    with urllib.request.urlopen(f"{address}/gradio_api/queue/data?session_hash=s", timeout=30) as stream:
        return next(text for line in stream if '"log"' in (text := line.decode()) or "process_completed" in text)


def test_without_training_there_is_nothing_to_ask(home: Path) -> None:
    made_up(home, "secret", "done")
    client, page = served(Access())
    shown = [block.elem_id for block in page.blocks.values()]
    assert "train-off" in shown and not {"watch", "train-go", "train-folder", "train-presets"} & set(shown)
    assert not [event for event in page.fns.values() if getattr(event.fn, "__self__", None).__class__ is train.Page]
    for question in ("look", "picture", "order", "weight", "presets"):
        assert ask(client, page, question, {"run": "secret"}, elem_id="train-off").status_code == 404


def test_every_question_and_handler_refuses_who_may_not_train(home: Path) -> None:
    """One that forgot to check would answer a stranger, or fail in another way, for it gets nothing to work with."""
    access = Access(owner="ann")
    for question in (watch.look, watch.picture, watch.order, watch.weight, train.presets(["inpaint"])):
        assert "off" in access.guarded(question)({}, profile("bob"), asked())["problem"]
    page = train.Page(access, {})
    given = {"taken": 3, "named": 3, "prefilled": 2, "suggested": 3, "examined": 1, "judged": 2, "previewed": 2}
    given |= {"timed": 3, "measured": 2, "retimed": 3}
    for name, count in {**given, "begun": 4, "opened": 1}.items():
        with pytest.warns(UserWarning, match="Training is off"):
            answer = getattr(page, name)(profile("bob"), asked(), *[None] * count)
            if isinstance(answer, Iterator):
                assert list(answer) == [gr.skip()]
    handlers = {name for name in vars(train.Page) if not name.startswith("_")}
    assert handlers == {*given, "begun", "opened", "entered"}


def test_a_server_function_knows_its_visitor(home: Path) -> None:
    made_up(home, "mine", "done")
    client, page = served(HERE)
    assert ask(client, page, "look", {}).json()["run"]["name"] == "mine"
    assert "Another site" in ask(client, page, "look", {}, **{"sec-fetch-site": "cross-site"}).json()["problem"]
    assert "this computer only" in ask(client, page, "look", {}, host="evil.example").json()["problem"]
    assert "tasks" in ask(client, page, "presets", {}, elem_id="train-presets").json()


def test_a_folder_is_taken_at_this_computer_only(app_url: str, tmp_path: Path) -> None:
    assert "this computer only" in fire(app_url, "train-folder", "/etc", None, None, Host="evil.example")
    _, public = served(Access(anyone=True))
    assert not [event for event in public.fns.values() if getattr(event.fn, "__name__", "") == "named"]
    assert "train-folder" not in [block.elem_id for block in public.blocks.values()]
    with pytest.warns(UserWarning, match="at that computer only"):
        train.Page(Access(anyone=True), {}).named(None, asked(), str(tmp_path), ("", PRESET), None)
    found, _ = train.Page(HERE, {}).named(None, asked(), f" {tmp_path}/. ", ("", PRESET), None)
    assert found == (str(tmp_path), PRESET)


@pytest.mark.parametrize(
    "value", [None, {}, {"file": {"path": "/etc/passwd"}}, {"file": {"path": "a\0b"}}, {"file": 3}]
)
def test_only_uploads_are_taken(value: Any) -> None:
    with pytest.warns(UserWarning):
        assert train.Page(Access(anyone=True), {}).taken(None, asked(), value, ("", PRESET), None) == gr.skip()


@pytest.mark.parametrize("name", ["../mine", "mine/", "/etc", "", ".", None, 3, ["mine"], {"run": "mine"}])
def test_a_run_is_addressed_by_its_name_and_by_nothing_else(home: Path, name: Any) -> None:
    run = made_up(home, "mine", "done", weight="vae-clothing")
    for question in (watch.picture, watch.order, watch.weight):
        guarded = HERE.guarded(question)
        answer = guarded({"run": name, "step": "nearest", "word": "delete"}, None, asked())
        assert "no training named" in answer["problem"]
    assert run.folder.exists()


# ---- what the panel is told ----


def test_a_long_log_is_sent_thinned_and_then_only_what_is_new(home: Path) -> None:
    run = made_up(home, "long", "done", log=100_000)
    with (run.folder / "log.jsonl").open("a") as log:
        log.write(
            '{"step": 7, "seconds": 1, "event": "Went back."}\n{"step": 9, "sec'
        )  # the last line is being written
    first = watch.look({"run": "long", "from": 0})["run"]
    steps = [line["step"] for line in first["lines"] if "losses" in line]
    assert len(steps) <= watch.POINTS and steps == sorted(steps) and steps[-1] == 50 * 99_999
    assert [line["event"] for line in first["lines"] if "event" in line] == ["Went back."]
    assert first["anew"]
    assert first["how"]["code"] == "balanced"
    remembered = watch._judged(run.folder, (run.folder / "recipe.json").stat().st_mtime_ns)
    assert len(remembered.steps) <= watch.POINTS and remembered.steps[-1]["step"] > 49 * 100_000, (
        "the log's end is missing"
    )
    with (run.folder / "log.jsonl").open("a") as log:
        log.write('onds": 2, "losses": {"generator": NaN}}\n')
    second = watch.look({"run": "long", "from": first["from"]})["run"]
    assert second["lines"] == [{"step": 9, "seconds": 2, "losses": {"generator": None}}]
    assert not second["anew"]
    assert watch.look({"run": "long", "from": second["from"]})["run"]["lines"] == []
    (run.folder / "log.jsonl").write_text('{"step": 0, "losses": {}}\n')  # begun again
    assert watch.look({"run": "long", "from": second["from"]})["run"]["anew"]


def test_the_newest_run_is_shown_where_none_or_an_unknown_one_is_asked_for(home: Path) -> None:
    assert watch.look({}) == {"runs": []}
    made_up(home, "one", "done")
    (home / "runs" / "one" / "recipe.json").touch()
    for name in (None, "gone", "../one", 3):
        assert watch.look({"run": name, "from": -1})["run"]["name"] == "one"


def test_pictures_are_those_of_the_run(home: Path) -> None:
    run = made_up(home, "one", "done")
    (run.folder / "samples").mkdir()
    for path in (run.folder / "samples" / "00000050.webp", run.folder / "nearest.webp"):
        Image.new("RGB", (4, 4)).save(path)
    for step in (50, "nearest"):
        assert watch.picture({"run": "one", "step": step})["url"].startswith("data:image/webp;base64,UklGR")
    for step in (51, "50", "../card", None, True):
        with pytest.raises(TrainingError):
            watch.picture({"run": "one", "step": step})


def test_an_ended_run_is_resumed_as_it_was_begun(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    monkeypatch.setattr(runs, "start", lambda *given, **more: started.append((given, more)))
    made_up(home, "one", "failed")
    watch.order({"run": "one", "word": "resume"})
    assert started == [(("one", TrainRecipe(model=PRESET, licence="own"), "/pictures"), {"resume": True})]


def test_a_run_that_trains_is_not_deleted_and_an_ended_one_with_all_it_has(home: Path) -> None:
    live, ended = made_up(home, "live", "training"), made_up(home, "ended", "done")
    for name in ("live", "ended"):
        watch.kept(name).mkdir(parents=True)
    with pytest.raises(TrainingError, match="stop it first"):
        watch.order({"run": "live", "word": "delete"})
    watch.order({"run": "ended", "word": "delete"})
    assert live.folder.exists() and not ended.folder.exists()
    assert watch.kept("live").exists() and not watch.kept("ended").exists()
    with pytest.raises(TrainingError):
        watch.order({"run": "live", "word": "fly"})


def test_the_doctor_s_findings_are_text_and_nothing_else() -> None:
    evil = "<img src=x onerror=alert(1)>'\""
    found = SimpleNamespace(kind="broken", files=(evil,) * 9, why=evil)
    report: Any = SimpleNamespace(
        name=evil, count=9, findings=(found,), sizes=((evil, 9),), modes={evil: 9}, classes={evil: 1}, captions=2,
        least=1, enough=100, problem=evil,
    )  # fmt: skip
    html = findings.html(report, None)
    assert "<img" not in html and html.count("alert(1)") == 11  # of nine files, five are named
    assert findings.kinds(report, None) == [("Broken (9)", "broken")]
    few = findings.html(SimpleNamespace(**{**vars(report), "problem": ""}), None)  # type: ignore[arg-type]
    assert "about 100" in few


def test_what_is_left_out_decides_whether_training_can_begin(home: Path) -> None:
    folder = pictures(home / "pets", count=60)
    (folder / "cat" / "bad.png").write_bytes(b"no picture")
    page, wanted = train.Page(HERE, {}), (str(folder), PRESET)
    html, group, cancel, ready = list(page.examined(None, asked(), wanted))[-1]
    assert "bad.png" in html and "problem" not in html
    assert (group.choices, group.value, group.visible) == ([("Broken (1)", "broken")], ["broken"], True)
    assert ready and not cancel.visible
    html, ready = list(page.judged(None, asked(), wanted, []))[-1]
    assert "class='verdict problem'" in html and not ready


def test_an_examination_ends_when_nobody_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradio closes the generator when Cancel is pressed, other pictures are chosen, or the visitor leaves."""
    stopped: list[bool] = []

    def examine(*_: Any, progress: Callable[[float, str], None], cancel: threading.Event) -> None:
        progress(0.25, "")
        stopped.append(cancel.wait(20))

    monkeypatch.setattr(checks, "examine", examine)
    following = train.Page(HERE, {}).examined(None, asked(), ("/pictures", PRESET))
    while "0.250" not in next(following)[0]:
        pass
    following.close()
    until(lambda: stopped == [True])


# ---- settings ----


@pytest.mark.parametrize("preset", names())
def test_the_fields_begin_as_the_preset_and_make_its_recipe(preset: str) -> None:
    chosen = find(preset)
    recipe, own = chosen.recipe, options(chosen.own)
    fields = [*settings.values(recipe), *(update.get("value") for update in slots.shown(own, recipe.own))]
    usual = {one.name: one.usual for one in own}
    for made in (settings.recipe(recipe, chosen.own, fields), start.recipe(("/pictures", preset), [], fields, None)):
        assert made == dataclasses.replace(recipe, own=usual | dict(recipe.own))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", None), ("steps", 0), ("batch", "8"), ("lr", -1), ("lr", float("nan")), ("ema", 1), ("holdout", True),
        ("optimizer", "lion"), ("precision", None), ("augment", ["spin"]), ("augment", ["rotate:999"]), ("loss", "bce"),
        ("patience", 3), ("seed", [1]),
    ],
)  # fmt: skip
def test_a_bad_value_is_told_in_one_sentence(name: str, value: Any) -> None:
    recipe = find(PRESET).recipe
    fields = dict(zip(settings.NAMES, settings.values(recipe), strict=True)) | {name: value}
    with pytest.raises(TrainingError) as told:
        start.recipe(("/pictures", PRESET), [], [*fields.values(), *EMPTY], None)
    assert str(told.value)[-1] in ".?" and "\n" not in str(told.value)


def test_every_setting_has_a_field_with_a_name_and_a_line_that_explains_it() -> None:
    declared = setting.settings(TrainRecipe)
    assert list(declared) == [field.name for field in dataclasses.fields(TrainRecipe) if field.name != "own"]
    assert all(one.label and {one.label, one.help} <= set(sentences.forms("zh-CN")) for one in settings.SHOWN.values())
    assert all(one.help in sentences.forms("zh-CN") for one in declared.values())
    assert len(settings.AUGMENTATIONS) == len(AUGMENT)


@pytest.mark.parametrize(("reference", "sentence"), [(("", PRESET), "Drop a folder"), (("/x", ""), "Choose first")])
def test_what_is_missing_is_told(reference: tuple[str, str], sentence: str) -> None:
    with pytest.raises(TrainingError, match=sentence):
        start.recipe(reference, [], [*settings.values(TrainRecipe()), *EMPTY], None)


def test_a_start_that_fails_leaves_nothing_behind(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gradio import utils

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(home / "uploads"))
    upload = Path(utils.get_upload_folder()) / "hash" / "pets.zip"
    upload.parent.mkdir(parents=True)
    with zipfile.ZipFile(upload, "w") as archive:
        for path in pictures(home / "pets").rglob("*.png"):
            archive.write(path, path.relative_to(home))
    recipe = dataclasses.replace(find(PRESET).recipe, licence="own")

    def begin(name: str, recipe: TrainRecipe, data: str, **_: Any) -> Run:
        assert Path(data).is_file() and Path(data).relative_to(home / "pictures" / "pets").name == "pets.zip"
        raise TrainingError("Another run is training.")

    monkeypatch.setattr(runs, "start", begin)
    with pytest.raises(TrainingError, match="Another run"):
        start.started("pets", recipe, str(upload))
    assert not (home / "pictures" / "pets").exists() and upload.exists()
    for name in ("../pets", "vae-clothing", ""):
        with pytest.raises(GenrestoreError):
            start.started(name, recipe, str(upload))


def test_of_two_starts_with_one_name_the_second_leaves_the_first_its_pictures(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gradio import utils

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(home / "uploads"))
    uploaded: list[Path] = []
    for colour in (10, 200):
        uploaded.append(Path(utils.get_upload_folder()) / f"hash-{colour}" / "pets.zip")
        uploaded[-1].parent.mkdir(parents=True)
        with zipfile.ZipFile(uploaded[-1], "w") as archive:
            for path in pictures(home / f"pets-{colour}").rglob("*.png"):
                archive.write(path, path.relative_to(home))
            archive.writestr("colour.txt", str(colour))
    begun: list[str] = []

    def begin(name: str, recipe: TrainRecipe, data: str) -> Run:
        begun.append(data)
        if len(begun) > 1:  # both found the name free, and the first was quicker
            raise TrainingError("A run named pets lies here already.")
        return Run(home / "runs" / name)

    monkeypatch.setattr(runs, "start", begin)
    recipe = dataclasses.replace(find(PRESET).recipe, licence="own")
    start.started("pets", recipe, str(uploaded[0]))
    with pytest.raises(TrainingError, match="already"):
        start.started("pets", recipe, str(uploaded[1]))
    with zipfile.ZipFile(begun[0]) as archive:
        assert archive.read("colour.txt") == b"10", "the second start took the first one's pictures"
    assert [path for path in watch.kept("pets").rglob("*") if path.is_file()] == [Path(begun[0])]


def test_only_what_a_tab_can_use_is_offered_for_training(home: Path) -> None:
    client, page = served(HERE)
    wishes = [group["wish"] for group in ask(client, page, "presets", {}, elem_id="train-presets").json()["tasks"]]
    assert set(wishes) == {tasks.find(name).wish for name in tasks.names()}
    assert [group["wish"] for group in train.presets({"upscale": None})({})["tasks"]] == ["To enlarge pictures"]


def test_a_model_is_offered_once_its_pictures_mean_something(home: Path) -> None:
    """A weight is written from the first checkpoint on; a net of a few steps would only spoil what a visitor brings."""
    for task, weight in (("upscale", "span-x4"), ("sample", "vae-clothing"), ("inpaint", "residual-fill")):
        run = made_up(home, task, "training", weight=weight, step=picker.RIPE - 1, steps=9000)

        def shown(task: str = task) -> list[str]:
            models = sample.catalogue(None)["models"] if task == "sample" else None
            return [one["name"] for one in models] if models else [name for _, name in picker.choices(task)]

        assert task not in shown()
        facts = watch.look({"run": task})["run"]
        assert (facts["tab"], facts["unripe"]) == (task, picker.RIPE)
        with pytest.warns(UserWarning, match="only begun to learn"):
            train.Page(HERE, {task: None}).opened(None, asked(), {"run": task})
        run.tell(Status("stopped", step=picker.RIPE, steps=9000))
        assert task in shown()
        assert watch.look({"run": task})["run"]["unripe"] == 0
        (run.folder / "status.json").unlink()
        assert task in shown(), "a folder that was copied here is a model as any other"


def test_a_run_tells_in_chinese_why_it_ended(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made_up(home, "cats", "done", log=1, message="All 2 steps are done.")
    with (run.folder / "log.jsonl").open("a") as log:
        log.write(json.dumps({"step": 1, "seconds": 1, "event": "All 2 steps are done."}) + "\n")
    assert watch.look({})["run"]["message"] == "All 2 steps are done."
    monkeypatch.setattr(LocalContext, "request", SimpleNamespace(get=lambda _: asked(accept_language="zh-CN")))
    facts = watch.look({})["run"]
    assert facts["message"] == "全部 2 步已完成。"
    assert list(facts["lines"][0]["losses"]) == ["生成器", "判别器"]
    assert facts["lines"][1]["event"] == "全部 2 步已完成。"


def test_what_the_doctor_found_is_told_in_chinese() -> None:
    found = checks.Finding(
        "broken", ("a.jpg",), "They cannot be read; the first: a.jpg is empty (0 bytes); choose another file."
    )
    problem = "3 pictures are too few to learn from; this model needs at least 16, better 1000."
    report = checks.Report("cats", 3, (found,), (), {}, {}, 0, 16, 1000, problem)
    text = findings.html(report, asked(accept_language="zh-CN"))
    assert "3 张图片太少，不足以训练；此模型至少需要 16 张，最好有 1000 张。" in text
    assert "无法读取；第一张：a.jpg" in text and "empty" not in text


def test_how_a_run_goes_is_told_in_words_of_both_languages(home: Path) -> None:
    for language, texts in watch.W.by_language().items():
        for code, (_, sentence) in judge.SENTENCES.items():
            names = {name for _, name, _, _ in Formatter().parse(sentence) if name}
            said = {name for _, name, _, _ in Formatter().parse(texts[f"how_{code}"]) if name}
            assert said == names, f"{language} {code}"
    run = made_up(home, "falls", "training", log=60)
    (run.folder / "log.jsonl").write_text(
        "".join(json.dumps({"step": 50 * k, "losses": {"net": 2 - k / 60}}) + "\n" for k in range(60))
    )
    how = watch.look({"run": "falls"})["run"]["how"]
    assert (how["code"], how["mood"]) == ("falling", "good") and how["values"]["now"] < 1.3
    with (run.folder / "log.jsonl").open("a") as log:
        log.writelines(json.dumps({"step": 3000 + 50 * k, "losses": {"net": 1 + k / 9}}) + "\n" for k in range(90))
    assert watch.look({"run": "falls"})["run"]["how"]["code"] == "rising", "the older verdict is kept"


@pytest.mark.parametrize("preset", names())
def test_each_preset_says_what_it_makes_of_the_visitor_s_pictures(preset: str) -> None:
    one = find(preset)
    assert "you" in one.makes + one.advice and one.makes != one.title and one.advice not in ("", one.intended)


# ---- how long it will take ----


def rehearsed(monkeypatch: pytest.MonkeyPatch, seconds: float = 600.0) -> list[TrainRecipe]:
    """Let each measurement find so many seconds for the whole training; the recipes that were tried."""
    tried: list[TrainRecipe] = []

    def estimate(recipe: TrainRecipe, data: str, cancel: threading.Event | None = None) -> runs.Estimate:
        tried.append(recipe)
        return runs.Estimate(seconds, seconds / recipe.steps, recipe.steps)

    monkeypatch.setattr(runs, "estimate", estimate)
    return tried


def test_the_time_is_told_before_and_follows_the_settings(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps and minutes only stretch what was measured; whatever changes a step itself must be measured anew."""
    tried = rehearsed(monkeypatch)
    page, wanted, usual = train.Page(HERE, {}), ("/pictures", PRESET), find(PRESET).recipe
    text, pace = list(page.timed(None, asked(), True, wanted, [], *settings.values(usual), *EMPTY))[-1]
    assert "about 10 min" in text and f"{usual.steps:,} steps of 30 ms" in text

    def told(language: str = "en", **changes: Any) -> str:
        fields = [*settings.values(dataclasses.replace(usual, **changes)), *EMPTY]
        return page.retimed(None, asked(accept_language=language), pace, wanted, [], *fields)

    assert "about 5 min" in told(steps=usual.steps // 2)
    assert "ends after 4 min, when about 8,000 of 20,000" in told(minutes=4)
    assert "about 10 min" in told(minutes=40)
    assert "measured anew" in told(batch=usual.batch * 2) and "重新测算" in told("zh-CN", batch=1)
    list(
        page.measured(None, asked(), wanted, ["grey"], *settings.values(dataclasses.replace(usual, minutes=1)), *EMPTY)
    )
    assert tried[1].minutes == 0 and tried[1].leave_out == ("grey",)
    assert page.retimed(None, asked(), train.UNKNOWN, wanted, [], *settings.values(usual), *EMPTY) == gr.skip()
    unready = page.timed(None, asked(), False, wanted, [], *settings.values(usual), *EMPTY)
    assert list(unready) == [("", train.UNKNOWN)], "the time of other pictures"


def test_nothing_is_measured_beside_a_training(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would slow that one down and be wrong itself."""
    tried = rehearsed(monkeypatch)
    made_up(home, "live", "training")
    fields = [*settings.values(find(PRESET).recipe), *EMPTY]
    text, pace = list(train.Page(HERE, {}).measured(None, asked(), ("/pictures", PRESET), [], *fields))[-1]
    assert "Another training is running" in text and pace == train.UNKNOWN and not tried


@pytest.mark.parametrize(
    ("wanted", "name", "licence", "place", "sentence"),
    [
        (("", ""), "", None, "train-pictures", "Drop a folder"),
        (("/x", ""), "", None, "train-presets", "Choose first"),
        (("/x", PRESET), " ", "own", "train-name", "a name"),
        (("/x", PRESET), "pets", "", "train-licence", "whose the pictures are"),
    ],
)
def test_a_start_says_what_is_missing_and_goes_there(
    home: Path, wanted: start.Wanted, name: str, licence: str | None, place: str, sentence: str
) -> None:
    with pytest.warns(UserWarning, match=sentence):
        changes = list(train.Page(HERE, {}).begun(None, asked(), wanted, name, licence, []))
    assert len(changes) == 1
    changed = dict(zip(train.OUTPUTS, changes[0], strict=True))
    assert changed.pop("focus")["to"] == place
    assert all(value == gr.skip() for value in changed.values())
    assert place in [block.elem_id for block in ui.build(HERE).blocks.values()]


def test_pictures_are_the_visitor_s_own_unless_something_else_is_said(home: Path) -> None:
    page = train.Page(HERE, {})
    named = lambda text, licence: page.named(None, asked(), text, ("", PRESET), licence)[1]  # noqa: E731
    assert named("/pictures", None) == named("/pictures", "own") == "own"
    assert named("/pictures", "MIT") == named("torchvision:CIFAR10@/data", "MIT") == "MIT"
    assert named("torchvision:CIFAR10@/data", "own") is None, "others made that set"
    dropdown: Any = next(block for block in ui.build(HERE).blocks.values() if block.elem_id == "train-licence")
    assert dropdown.value == "own" and dropdown.choices[0][1] == "own"


def test_a_picker_keeps_what_was_chosen_while_it_is_there(home: Path) -> None:
    run = made_up(home, "mine", "done", weight="span-x4", step=picker.RIPE)
    labels = {name: label for label, name in picker.choices("upscale")}
    assert labels["mine"].endswith("(mine)") and labels["span-x4"].endswith("(span-x4)")  # they share a title
    assert picker.refreshed("upscale", "mine").value == "mine"
    shutil.rmtree(run.folder)
    assert picker.refreshed("upscale", "mine").value == "auto"
    assert "mine" not in dict(picker.choices("upscale")).values()


# ---- in the browser ----


class Tab:
    """The tab as a visitor sees it."""

    def __init__(self, page: Any) -> None:
        self.page = page
        page.get_by_role("tab", name="Train", exact=True).click()
        self.pictures = page.locator("#train-pictures")
        self.panel = page.locator("#watch")

    def open(self, name: str) -> None:
        self.page.get_by_role("tab", name=name, exact=True).click()

    def press(self, name: str) -> None:
        self.panel.get_by_role("button", name=name, exact=True).click()

    def field(self, name: str) -> Any:
        return self.page.locator(f"#train-{name} input, #train-{name} textarea").first

    def warned(self) -> str:
        toast = self.page.locator("[data-testid=toast-body]")
        toast.first.wait_for()
        assert toast.count() == 1
        text = toast.inner_text()
        self.page.locator("[data-testid=toast-close]").click()
        toast.wait_for(state="detached")
        return text


@pytest.fixture
def tab(visit: Callable[..., Any]) -> Tab:
    return Tab(visit(hurry=True))


def uploads(app_folder: Path) -> dict[str, bytes]:
    """All zips that the server got, by name."""
    return {path.name: path.read_bytes() for path in (app_folder / "files").rglob("*.zip")}


def test_train_with_nothing_chosen_says_what_is_missing_and_goes_there(tab: Tab) -> None:
    """It did nothing, since the first look at no pictures had emptied what the button sends."""
    page = tab.page
    page.locator("#train-presets input").first.wait_for(timeout=SLOW)
    for _ in range(2):
        page.locator("#train-go").click()
        page.wait_for_function("() => document.querySelector('#train-pictures').contains(document.activeElement)")
        assert "Drop a folder of pictures first" in tab.warned()
    assert page.locator("#train-go").inner_text() == "Train"
    assert page.problems == []


def test_a_chosen_folder_arrives_with_its_sub_folders(tab: Tab, app_folder: Path, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pets")
    (folder / "cat" / "captions.csv").write_text("file_name,text\n000.png,a cat\n")
    tab.pictures.locator("input.folder").set_input_files(folder)
    tab.page.locator("#train-report .report").wait_for(timeout=SLOW)
    assert f"{PICTURES} pictures sent" in tab.pictures.inner_text()
    report = tab.page.locator("#train-report").inner_text()
    assert f"pets: {PICTURES} pictures" in report and f"cat: {PICTURES // 2}, dög: {PICTURES // 2}" in report
    with zipfile.ZipFile(io.BytesIO(uploads(app_folder)["pets.zip"])) as archive:
        assert archive.testzip() is None  # reads all and compares the checksums
        wanted = {
            path.relative_to(folder).as_posix() for path in folder.rglob("*.*") if path.suffix in (".png", ".csv")
        }
        assert set(archive.namelist()) == wanted
        assert all(archive.read(name) == (folder / name).read_bytes() for name in wanted)
    assert tab.page.problems == []


def test_dropped_files_arrive_and_what_is_no_picture_is_told(tab: Tab, app_folder: Path) -> None:
    drop = """([names]) => {
        const data = new DataTransfer();
        for (const name of names) data.items.add(new File([`content of ${name}`], name));
        const tab = document.querySelector('#tab-train');
        tab.dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true}));
    }"""
    tab.pictures.locator(".zone").wait_for()
    tab.page.evaluate(drop, [["readme.md"]])
    tab.pictures.get_by_text("There is no picture in it").wait_for()
    tab.page.evaluate(drop, [["b.png", "ä.jpg", "readme.md"]])
    tab.pictures.get_by_text("2 pictures sent; 1 other files").wait_for()
    with zipfile.ZipFile(io.BytesIO(uploads(app_folder)["pictures.zip"])) as archive:
        assert {name: archive.read(name).decode() for name in archive.namelist()} == {
            "b.png": "content of b.png",
            "ä.jpg": "content of ä.jpg",
        }
    told = tab.page.locator("#train-report .problem, [data-testid=toast-body]").first
    told.wait_for(timeout=SLOW)  # neither can be read
    assert "a.jpg" not in told.inner_text()


def test_a_training_from_the_folder_to_the_other_tab(
    tab: Tab, visit: Callable[..., Any], tmp_path: Path, app_folder: Path
) -> None:
    page = tab.page
    page.locator(f"#train-presets input[value={PRESET}]").check(timeout=SLOW)
    page.locator("#train-advanced > button").click()
    page.wait_for_function(
        "batch => document.querySelector('#train-batch input').value === batch", arg=str(find(PRESET).recipe.batch)
    )
    tab.field("batch").fill("8")  # sooner measured than the preset's own
    tab.field("folder").fill(str(pictures(tmp_path / "pets")))
    page.keyboard.press("Enter")
    page.locator("#train-report .report").wait_for(timeout=SLOW)
    page.wait_for_function(
        f"() => document.querySelector('#train-name input, #train-name textarea').value === '{PRESET}-pets'"
    )
    page.locator("#train-time").get_by_text("It will take about").wait_for(timeout=SLOW)
    tab.field("steps").fill("4")
    tab.field("batch").fill("4")
    page.locator("#train-time").get_by_text("measured anew").wait_for()
    tab.field("name").fill("")
    page.locator("#train-go").click()
    page.wait_for_function("() => document.querySelector('#train-name').contains(document.activeElement)")
    page.keyboard.type("pets")
    assert "name" in tab.warned()
    kept = [tab.field(name).input_value() for name in ("steps", "batch", "licence")]
    assert kept == ["4", "4", "They are mine"], "what was filled in was lost"
    page.locator("#train-go").click()
    tab.panel.locator(".run[data-state=done]").wait_for(timeout=SLOW)
    assert tab.panel.locator(".name").inner_text() == "pets"
    assert tab.panel.locator("[data-fact=step]").inner_text() == "4 of 4"
    tab.panel.locator("figure .curve").first.wait_for()
    tab.panel.locator(".samples img[src^=data]").wait_for()
    with page.expect_download() as waiting:
        tab.press("Download the model")
    assert waiting.value.suggested_filename == "pets.safetensors"
    weight = app_folder / "home" / "runs" / "pets" / "model.safetensors"
    assert Path(waiting.value.path()).read_bytes() == weight.read_bytes()

    assert not tab.panel.get_by_role("button", name="Open in Sample").is_visible(), "four steps make no model"
    tab.panel.get_by_text("from step 1,000 on").wait_for()
    Run(weight.parent).tell(Status("done", step=picker.RIPE, steps=picker.RIPE))
    tab.press("Open in Sample")
    page.wait_for_function("() => document.querySelector('#live .model')?.value === 'pets'")
    page.locator("#live canvas.picture[data-state*='\"pets\"']").wait_for(timeout=SLOW)

    again = Tab(visit())
    again.panel.locator(".run[data-state=done]").wait_for()
    assert again.panel.locator(".name").inner_text() == "pets"
    again.press("Delete")
    assert weight.exists(), "once is not enough"
    again.press("Really delete?")
    again.panel.locator(".empty").wait_for()
    assert not weight.exists()
    again.open("Sample")
    again.page.wait_for_function(
        "() => ![...document.querySelectorAll('#live option')].some((one) => one.value === 'pets')"
    )
    assert page.problems == [] and again.page.problems == []


@pytest.fixture
def live(app_folder: Path) -> Iterator[Run]:
    """A run that this process is said to train."""
    run = made_up(app_folder / "home", "alive", "training", log=30, speed=20.0, left=60.0, steps=2000, step=1500)
    with locks.alone(run.folder / runs.LOCK, 0):
        yield run
    shutil.rmtree(run.folder)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_buttons_say_to_the_run_what_they_are_called(tab: Tab, live: Run) -> None:
    shown = tab.panel.locator(".state")
    tab.press("Pause")
    until(lambda: live.asked() == "pause")
    shown.filter(has_text="pausing").wait_for()
    live.tell(Status("paused", step=1500, steps=2000))
    shown.filter(has_text="paused").wait_for()
    tab.press("Resume")
    until(lambda: live.asked() == "go")
    live.tell(Status("training", step=1501, steps=2000))
    tab.press("Stop")
    until(lambda: live.asked() == "stop")
    live.tell(Status("failed", step=1502, steps=2000, message="The disk is full; free 2 GB."))
    tab.panel.get_by_text("The disk is full; free 2 GB.").wait_for()
    assert tab.panel.get_by_role("button", name="Resume").is_visible()
    assert tab.page.problems == []


def test_curves_grow_go_back_and_are_read_by_keys(tab: Tab, live: Run) -> None:
    chart = tab.panel.locator("figure svg[role=img]").first
    said = tab.panel.locator("figure output").first
    chart.wait_for()
    chart.focus()
    tab.page.keyboard.press("End")
    said.filter(has_text="Step 1,450").wait_for()
    tab.page.keyboard.press("ArrowLeft")
    said.filter(has_text="Step 1,400").wait_for()
    with (live.folder / "log.jsonl").open("a") as log:  # it went on from an earlier checkpoint
        log.write('{"step": 1000, "seconds": 1, "losses": {"generator": 7.25, "critic": 1}}\n')
        log.write('{"step": 1000, "seconds": 1, "holdout": {"loss": 3.5, "psnr": 21}}\n')
    tab.panel.get_by_text("PSNR").wait_for()
    tab.page.keyboard.press("End")
    said.filter(has_text="Step 1,000").wait_for()
    legend = tab.panel.locator("figure .legend").first
    assert [entry.inner_text().replace("\n", " ") for entry in legend.locator("span").all()] == [
        "generator 7.25", "critic 1", "kept aside 3.5",
    ]  # fmt: skip
    before = chart.inner_html()
    tab.panel.get_by_text("Logarithmic").click()
    assert chart.inner_html() != before


def test_a_model_trained_meanwhile_is_in_the_other_pickers(tab: Tab, app_folder: Path) -> None:
    """The page is not loaded again, and what was chosen stays."""
    tab.open("Upscale")
    tab.page.locator("#upscale-settings button, #tab-upscale .label-wrap").first.click()
    chosen = tab.page.locator("#upscale-model input")
    chosen.wait_for()
    run = made_up(app_folder / "home", "enlarger", "done", weight="span-x4", step=picker.RIPE)
    tab.open("Train")
    tab.press("Open in Upscale")
    tab.page.wait_for_function("() => document.querySelector('#upscale-model input').value.includes('enlarger')")
    tab.open("Train")
    tab.open("Upscale")
    chosen.click()
    tab.page.get_by_role("option", name="(enlarger)").wait_for()
    assert "enlarger" in chosen.input_value()
    shutil.rmtree(run.folder)


def test_nothing_trained_yet_says_how_to_begin_in_the_visitor_s_language(visit: Callable[..., Any]) -> None:
    page = visit(locale="zh-CN")
    page.get_by_role("tab", name="训练", exact=True).click()
    page.locator("#watch .empty").get_by_text("这里还没有训练过模型").wait_for()
    page.get_by_role("button", name="选择文件夹", exact=True).wait_for()
    page.locator("#train-presets").get_by_text("修复图片").wait_for(timeout=SLOW)
    assert "__i18n__" not in page.locator("body").inner_text()
