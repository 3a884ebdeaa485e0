"""What is told before a repair: where it may fail, seldom in vain, and how long it will take."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import genrestore
from genrestore.cli import inpaint as repair
from genrestore.cli import main as cli
from genrestore.errors import MaskError
from genrestore.pictures import image
from genrestore.pictures.image import Picture
from genrestore.pipelines import inpaint, pace, rim
from genrestore.pipelines.prospects import REASONS, outlook

EXAMPLES = Path(genrestore.__file__).parent / "ui" / "examples"
ROWS, COLUMNS = np.ogrid[:400, :400]


@pytest.fixture(scope="module")
def sand() -> Picture:
    whole = image.load(EXAMPLES / "sand.jpg")
    return whole.with_pixels(np.ascontiguousarray(whole.pixels[:400, :400]))


def disc(y: int, x: int, radius: int) -> np.ndarray:
    return np.hypot(ROWS - y, COLUMNS - x) <= radius


def reasons(picture: Picture, hole: np.ndarray, forbidden: np.ndarray | None = None) -> list[str]:
    return [prospect.reason for prospect in outlook(picture, hole, forbidden).prospects]


def test_an_ordinary_mask_is_no_cause_for_worry(sand: Picture) -> None:
    runs_out = (np.abs(ROWS - 250) < 9) & (COLUMNS < 180)
    for hole in (runs_out, disc(250, 150, 40), disc(90, 280, 30) | disc(300, 200, 6), disc(200, 0, 5)):
        assert reasons(sand, hole) == []


def test_each_reason_is_found(sand: Picture) -> None:
    assert reasons(sand, disc(200, 20, 40)) == ["frame"]
    assert reasons(sand, disc(200, 200, 130)) == ["large"]
    assert reasons(sand, disc(200, 200, 40), ~disc(200, 200, 41)) == ["alone"]
    assert outlook(sand, disc(200, 20, 40)).prospects[0].box == (160, 0, 241, 61)


@pytest.mark.parametrize("kind", ["grey", "deep", "clear"])
def test_a_tight_mask_is_found_in_any_picture(sand: Picture, kind: str) -> None:
    """Until it has grown beyond the object's rim."""
    share = np.clip((63 - np.hypot(ROWS - 200, COLUMNS - 200)) / 3, 0, 1)[..., None]
    spoilt = np.rint(sand.pixels * (1 - share) + share * (20, 40, 230)).astype(np.uint8)
    alpha = np.full((400, 400), 255, np.uint8)
    spoilt = {"grey": spoilt[..., :1], "deep": spoilt.astype(np.uint16) * 257, "clear": np.dstack([spoilt, alpha])}[
        kind
    ]
    picture, drawn = Picture(spoilt), disc(200, 200, 60)
    assert reasons(picture, drawn) == ["tight"]
    assert reasons(picture, rim.widened(drawn, 6)) == []


def test_a_large_picture_is_looked_at_quickly(sand: Picture) -> None:
    """Its share of one core, whatever else the machine does; it was 2.2 s with squares that were not looked at by rows."""
    large = sand.with_pixels(np.tile(sand.pixels, (8, 10, 1)))
    hole = np.zeros((3200, 4000), bool)
    hole[1400:1800, 1500:1900] = True
    began = time.process_time()
    assert reasons(large, hole) == []
    assert time.process_time() - began < 0.8


def test_the_time_is_told_and_learned(sand: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "_slower", {})
    small, wide = disc(200, 200, 5), disc(200, 200, 50)
    assert outlook(sand, small).seconds < outlook(sand, wide).seconds
    before = outlook(sand, wide).seconds
    pace.learn("pieces", int(wide.sum()), 3 * before)
    assert outlook(sand, wide).seconds == pytest.approx(3 * before)
    assert outlook(sand, small).seconds == pytest.approx(3 * pace.USUAL["net"][1] * 224**2, rel=0.1)
    with pytest.raises(MaskError, match="too little round a hole"):
        outlook(sand, ~disc(200, 200, 5), model=inpaint.EXEMPLAR)
    genrestore.inpaint(sand, wide, model="residual-fill", strategy="whole")
    assert "net" in pace._slower


def test_what_is_told_is_planned_once_and_for_the_model(sand: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A net fills wide parts too, so for one it does not matter that there is nothing to copy."""
    planned: list[str] = []
    once = inpaint.planned
    monkeypatch.setattr(inpaint, "planned", lambda *given: planned.append(given[2]) or once(*given))
    hole = disc(200, 20, 40)
    assert [p.reason for p in outlook(sand, hole).prospects] == ["frame"]
    assert [p.reason for p in outlook(sand, hole, model=inpaint.EXEMPLAR).prospects] == ["frame"]
    assert outlook(sand, hole, model="residual-fill").prospects == []
    assert planned == ["auto", inpaint.EXEMPLAR, "residual-fill"]


def test_the_command_line_says_it_and_works_on(
    sand: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert set(repair.PROSPECTS) == set(REASONS)
    image.save(sand, tmp_path / "sand.png")
    image.save(Picture(disc(200, 20, 130)[..., None] * np.uint8(255)), tmp_path / "mask.png")
    done: list[Any] = []
    monkeypatch.setattr(genrestore, "inpaint", lambda picture, *_, **__: done.append(picture) or picture)
    monkeypatch.setattr(pace, "_slower", {"pieces": 20.0})
    with pytest.raises(SystemExit) as ended:
        cli.main(["inpaint", str(tmp_path / "sand.png"), str(tmp_path / "mask.png"), "-o", str(tmp_path / "out.png")])
    told = capsys.readouterr().err.splitlines()
    assert not ended.value.code and done
    assert told[0] == repair.PROSPECTS["frame"] and told[1].startswith("This will take about ")
