"""What follows a run and tells of it."""

from pathlib import Path

import pytest

from genrestore.recipe import TrainRecipe
from genrestore.training.loggers import BLOCKS, Terminal, curve


def test_curve_spans_its_values() -> None:
    assert curve([0.0, 1.0]) == BLOCKS[0] + BLOCKS[7]
    assert curve([3.0]) == BLOCKS[0] and curve([2.0, 2.0]) == BLOCKS[0] * 2
    rising = curve([float(k) for k in range(1000)], 8)
    assert rising == BLOCKS


def test_lines_become_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    view = Terminal()
    view.begin(Path("runs/x"), TrainRecipe(steps=100), 0)
    view.step(0, {"net": 0.5})
    view.line({"step": 0, "lr": 1e-3, "speed": 0.0, "losses": {"net": 0.5}})
    view.line({"step": 9, "lr": 1e-3, "speed": 120.0, "losses": {"net": 0.25}})
    view.line({"step": 9, "holdout": {"loss": 0.125, "psnr": 30.5}})
    view.line({"step": 9, "memorised": 0.5})
    view.line({"step": 9, "event": "Stopped."})
    view.line({"step": 9, "shares": {"loader": 0.0}})
    view.end()
    told = capsys.readouterr().out
    assert "step 10: on the hold-out loss 0.125  psnr 30.5" in told
    assert "50% of what it draws copies a training picture" in told and "runs/x/samples" in told
    assert f"net {BLOCKS[7]}{BLOCKS[0]} 0.25" in told
    assert "step 10: Stopped." in told and "shares" not in told


def test_how_it_goes_is_said_when_it_changes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    view = Terminal()
    view.begin(tmp_path, TrainRecipe(steps=20_000), 0)
    for k in range(400):
        loss = 2 - 0.01 * k if k < 150 else 0.5
        view.line({"step": 50 * k, "lr": 1e-3, "speed": 10.0, "losses": {"net": loss + 0.001 * (k % 7)}})
    view.end()
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[2][:17] for line in said] == ["It goes well: the", "The loss falls no"]


def test_a_bar_shows_nothing_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    view = Terminal()
    view.begin(Path("runs/x"), TrainRecipe(steps=2), 0)
    view.step(1, {"net": 0.5})
    view.end()
    assert capsys.readouterr() == ("", "")
