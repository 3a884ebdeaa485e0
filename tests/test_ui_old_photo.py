"""Old photographs on the stage: damage is found, filled, the grain taken out, and each step can be undone."""

import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

pytest.importorskip("gradio")

from test_ui_inpaint import photo
from test_ui_stage import Stage

from genrestore.errors import Cancelled
from genrestore.pictures import image
from genrestore.pipelines import damage as task
from genrestore.ui.tabs.inpaint import tab as inpaint


@pytest.fixture
def scratched(tmp_path: Path) -> Path:
    """A smooth photo with three white scratches."""
    path = photo(tmp_path / "old.png")
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    draw = ImageDraw.Draw(picture)
    for x in (30, 75, 120):
        draw.line([(x, 5), (x + 8, 60), (x + 3, 115)], (250, 248, 240), 2)
    picture.save(path)
    return path


def far(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.mean((a.astype(float) - b) ** 2)))


def test_an_old_photo_is_mended_in_steps(page: Any, scratched: Path, tmp_path: Path) -> None:
    stage = Stage(page)
    stage.open(scratched)
    whole = image.load(photo(tmp_path / "whole.png")).rgb8()
    states = [stage.shown()]
    stage.do("old")
    stage.root.locator(".outcome .line", has_text="whole picture").wait_for(timeout=60_000)
    states.append(stage.shown())
    assert far(states[1], whole) < 0.5 * far(states[0], whole)

    stage.do("undo")
    filled = stage.shown()
    assert "Only the marked area" in stage.root.locator(".outcome .line").inner_text()
    stage.do("undo")
    marks = stage.mask()
    assert np.array_equal(stage.shown(), states[0]) and 0.02 < marks.mean() < 0.3, "what was found is a mark like any"
    assert not (filled != states[0]).any(axis=2)[~marks].any()
    stage.do("undo")
    assert not stage.mask().any() and stage.button("undo").is_disabled()
    assert page.problems == []


def test_a_clean_photo_has_nothing_to_mend(page: Any, tmp_path: Path) -> None:
    stage = Stage(page)
    stage.open(photo(tmp_path / "photo.png"))
    stage.do("damage")
    stage.root.locator(".problem", has_text="No damage was found").wait_for(timeout=60_000)
    assert not stage.mask().any()
    stage.do("old")
    stage.root.locator(".outcome .line", has_text="whole picture").wait_for(timeout=60_000)  # its grain is taken out
    stage.do("undo")
    assert stage.button("undo").is_disabled() and page.problems == []


def test_sensitivity_marks_more_or_less_in_place_of_what_was_marked(page: Any, scratched: Path) -> None:
    """As one step, as long as nothing else was done; the keyboard keeps its place."""
    stage = Stage(page)
    stage.open(scratched)
    slider = stage.root.locator(".sensitivity input")

    def marked() -> int:
        stage.button("damage").and_(page.locator(":enabled")).wait_for()
        return int(stage.mask().sum())

    def slide(to: float) -> int:
        slider.fill(str(to))
        return marked()

    assert not slider.is_visible(), "nothing was looked for yet"
    stage.do("damage")
    slider.wait_for()
    usual = marked()
    more, less = slide(1), slide(0.3)
    assert less < usual < more and slider.evaluate("node => node === document.activeElement")
    assert slide(0) == 0 and slide(0.3) == less, "what found nothing is tried again"
    page.keyboard.press("Control+z")
    assert not stage.mask().any() and stage.button("undo").is_disabled() and not slider.is_visible()
    assert page.evaluate("document.activeElement.closest('.actions') !== null")
    stage.do("redo")
    slider.wait_for()
    stage.drag((0.25, 0.9), (0.4, 0.9))
    painted = int(stage.mask().sum())
    assert painted > less and not slider.is_visible()
    stage.do("undo")
    assert slide(1) == more and page.problems == []


@pytest.mark.parametrize("wrong", [2, -0.1, "x", True, float("nan")])
def test_a_sensitivity_that_is_none_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: Any
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    asked = {"file": {"path": str(photo(tmp_path / "photo.png"))}, "run": "r", "of": 3, "sensitivity": wrong}
    request: Any = None
    answers = [step["answer"] for step in inpaint.damage(asked, request) if isinstance(step, dict)]
    assert "sensitivity" in answers[-1]["problem"]


def test_looking_for_damage_says_how_far_it_is_and_can_be_cancelled(page: Any, tmp_path: Path) -> None:
    """Alone, and as the first step of mending, which ends with it."""
    stage = Stage(page)
    stage.open(photo(tmp_path / "large.png", 2400, 1800, compress_level=1))
    for button in ("damage", "old"):
        stage.button(button).focus()
        page.keyboard.press("Enter")
        told = stage.root.locator(".progress", has_text=re.compile(r"Looking for damage: \d+ %, about \d+ s left"))
        told.wait_for(timeout=60_000)
        # in one look, for the search goes on meanwhile
        share, disabled, old, focused = told.evaluate(
            """(node) => {
                const button = (name) => node.closest(".mask-editor").querySelector(`[data-do=${name}]`);
                return [node.querySelector("progress").value, button("damage").disabled, button("old").checkVisibility(),
                    button("stop") === document.activeElement];
            }"""
        )
        assert 0 < share < 1 and disabled and not old and focused
        page.keyboard.press("Enter")
        stage.button("old").wait_for()
        if button == "old":
            page.wait_for_timeout(1000)
            assert not stage.button("stop").is_visible(), "the next step was begun"
        assert not stage.mask().any() and stage.button("undo").is_disabled()
    assert page.problems == []


def test_cancel_reaches_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    asked = {"file": {"path": str(photo(tmp_path / "photo.png"))}, "run": "its name", "of": 3}
    stopped = threading.Event()

    def slow(picture: Any, *, progress: Any, cancel: threading.Event) -> np.ndarray:
        progress(0.25, "")
        progress(0.5, "")
        if cancel.wait(20):
            stopped.set()
        raise Cancelled("stopped")

    monkeypatch.setattr(task, "likelihood", slow)
    request: Any = None
    steps = (step["answer"] for step in inpaint.damage(asked, request) if isinstance(step, dict))
    assert next(step for step in steps if step["fraction"])["text"].startswith("50 %")
    inpaint.stop("its name")
    assert list(steps)[-1] == {"run": "its name", "of": 3, "problem": "stopped"}
    assert stopped.is_set()
