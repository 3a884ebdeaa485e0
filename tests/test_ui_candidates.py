"""Other fills of what was repaired: offered under the stage, taken by a click, and refused where they do not belong."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("gradio")

from test_ui_inpaint import photo, pixels, url
from test_ui_stage import Stage

from genrestore import tasks
from genrestore.errors import ImageError, MaskError
from genrestore.pictures import image
from genrestore.pipelines import candidates
from genrestore.pipelines import inpaint as task
from genrestore.pipelines.inpaint import Part
from genrestore.ui import words
from genrestore.ui.parts import jobs, mask_editor
from genrestore.ui.parts.mask_editor import MaskEditor
from genrestore.ui.tabs.inpaint.candidates import Candidates
from genrestore.ui.tabs.inpaint.candidates import W as FILL_WORDS
from genrestore.ui.words import sentences

FILLS = ".candidates .fills button"


@pytest.fixture
def stage(same_page: Any, tmp_path: Path) -> Stage:
    stage = Stage(same_page, others=True)
    stage.open(photo(tmp_path / "photo.png"))
    stage.size(30)
    return stage


def offered(stage: Stage) -> list[str]:
    """What the buttons say, once all fills have come."""
    stage.root.locator(".candidates .guess").wait_for(timeout=60_000)
    return stage.root.locator(FILLS).all_inner_texts()


def pressed(stage: Stage) -> list[bool]:
    return [node.get_attribute("aria-pressed") == "true" for node in stage.root.locator(FILLS).all()]


def test_another_fill_is_taken_and_given_back(stage: Stage) -> None:
    stage.drag((0.35, 0.5), (0.6, 0.5))
    mark = stage.mask()
    stage.repaired()
    first = stage.shown()
    names = offered(stage)
    assert 4 <= len(names) <= len(candidates.KINDS) and len(set(names)) == len(names)
    assert pressed(stage) == [True] + [False] * (len(names) - 1)

    stage.root.locator(FILLS).nth(len(names) - 1).click()
    stage.root.locator(f"{FILLS}:nth-child({len(names)})[aria-pressed=true]").wait_for()
    other = stage.shown()
    different = (first != other).any(axis=2)
    assert different[mark].mean() > 0.5 and not different[~mark].any()
    assert np.array_equal(pixels(stage.download()), other), "what is shown is what is downloaded"

    stage.do("undo")
    assert np.array_equal(stage.shown(), first) and pressed(stage)[0]
    stage.do("redo")
    assert np.array_equal(stage.shown(), other) and pressed(stage)[-1]

    stage.root.locator(".candidates .guess").click()
    coloured = (stage.shown() != other).any(axis=2)
    assert coloured[mark].any() and not coloured[~mark].any(), "only what was made up is coloured"
    stage.root.locator(".candidates .guess").click()
    assert np.array_equal(stage.shown(), other)

    stage.page.wait_for_timeout(1000)  # until it is kept
    stage.page.reload()
    assert offered(stage) == names and pressed(stage)[-1], "they are there after a reload, and which one was taken"
    assert np.array_equal(stage.shown(), other)
    stage.root.locator(FILLS).nth(0).click()
    stage.root.locator(f"{FILLS}:nth-child(1)[aria-pressed=true]").wait_for()
    assert np.array_equal(stage.shown(), first)
    assert stage.page.problems == []


def test_the_fills_of_one_repair_are_not_offered_for_another(stage: Stage, tmp_path: Path) -> None:
    stage.drag((0.35, 0.5), (0.6, 0.5))
    stage.repaired()
    stage.drag((0.2, 0.1), (0.3, 0.1))
    stage.size(2)
    stage.button("repair").click()
    stage.root.locator("a[data-do=download].primary").wait_for(timeout=60_000)
    stage.open(photo(tmp_path / "next.png"))
    assert not stage.root.locator(".candidates").is_visible()
    assert stage.page.problems == []


def test_a_fill_is_offered_but_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Polishing once more what was polished at once gives the same, as other seeds may."""
    monkeypatch.setattr(jobs.utils, "get_upload_folder", lambda: str(tmp_path))
    picture, mask = image.load(photo(tmp_path / "photo.png")), np.zeros((120, 160), bool)
    mask[40:60, 50:80] = True
    part = Part((40, 50, 60, 80), "wide", mask[40:60, 50:80])

    def made(*given: Any, kinds: list[str], **settings: Any) -> Iterator[candidates.Candidate]:
        for kind in kinds:
            yield candidates.Candidate(kind, picture.pixels[40:60, 50:80] // (2 if kind == "free" else 1), None)

    monkeypatch.setattr(candidates, "candidates", made)
    monkeypatch.setattr(task, "planned", lambda *given, **settings: [part])
    settings: dict[str, Any] = {"model": "auto", "strategy": "crop", "hole": None, "forbidden": None}
    job = Candidates(threading.Event(), picture, picture, mask, **settings)
    job.work()
    assert [offer.get("kind", "guesses") for offer in job.found] == ["pieces", "free", "guesses"]


@pytest.fixture
def repaired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The value of a photo of which a square was repaired, and a fill of that square."""
    monkeypatch.setattr(jobs.utils, "get_upload_folder", lambda: str(tmp_path))
    picture = image.load(photo(tmp_path / "photo.png"))
    touched = np.zeros((120, 160), bool)
    touched[40:60, 50:80] = True
    state = MaskEditor.state(picture.with_pixels(255 - picture.pixels), touched)
    fill = jobs.written(image.Picture(np.full((20, 30, 3), 7, np.uint8)), "fill.png")
    return {
        "file": {"path": str(tmp_path / "photo.png")},
        "state": state,
        "fill": {"file": {"path": str(fill)}, "inside": url(np.ones((20, 30), bool)), "at": [40, 50]},
    }


def refilled(value: dict[str, Any]) -> tuple[image.Picture, image.Picture]:
    original = image.load(MaskEditor.file(value))
    return original, MaskEditor.refilled(value, *MaskEditor.reached(value, original))


def test_a_fill_lies_where_it_belongs(repaired: dict[str, Any]) -> None:
    original, result = refilled(repaired)
    assert (result.pixels[40:60, 50:80] == 7).all()
    changed = (result.pixels != original.pixels).any(axis=2)
    changed[40:60, 50:80] = False
    assert not changed.any()


@pytest.mark.parametrize(
    "wrong",
    [
        {"at": [40, 51]}, {"at": [-1, 50]}, {"at": [110, 150]}, {"at": "40"}, {"at": [40.5, 50]},
        {"inside": url(np.ones((20, 31), bool))}, {"inside": None}, {"file": {"path": "/etc/passwd"}}, {"file": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_fill_from_elsewhere_is_refused(repaired: dict[str, Any], wrong: dict[str, Any]) -> None:
    """It could change what was not marked, or show a file that is not the visitor's."""
    with pytest.raises((ImageError, MaskError)):
        refilled({**repaired, "fill": {**repaired["fill"], **wrong}})


def test_every_fill_and_step_has_words_of_its_own() -> None:
    """And what is done by a press is not called as the tab that it stands in, nor as another press."""
    for language in words.LANGUAGES:
        tool = mask_editor.W.by_language()[language]
        fills = [FILL_WORDS.by_language()[language][f"fill_{kind}"] for kind in candidates.KINDS]
        assert len(set(fills)) == len(fills)
        tools = [tool[key] for key in ("repair", "old", "growth", "grow", "shrink", "onward")]
        tabs = [sentences.by_language(tasks.find(name).title)[language] for name in ("inpaint", "upscale")]
        assert len({*tools, *tabs}) == len(tools) + len(tabs)
        assert tabs[1] in tools[-1], "what it goes on in is a tab, called by its name"
    tool = mask_editor.W.by_language()["en"]
    assert tool["growth"].split()[0] not in tool["grow"]


def test_an_example_says_what_may_go_from_it(page: Any) -> None:
    stage = Stage(page, others=True)
    stage.root.locator(".examples button").first.click()
    stage.root.get_by_role("button", name="Mark the collar").click()
    page.wait_for_function("() => !document.querySelector('[data-do=repair]').disabled")
    assert 0.01 < stage.mask().mean() < 0.2
    assert not stage.button("suggest").is_visible(), "something is marked"
    stage.do("undo")
    assert stage.button("suggest").is_visible() and not stage.mask().any()
    assert page.problems == []
