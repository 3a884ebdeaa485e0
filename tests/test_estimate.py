"""How long a training will take, told before it begins."""

import dataclasses
import json
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from genrestore.cli import main as cli
from genrestore.errors import Cancelled, TrainingError
from genrestore.models import find
from genrestore.models.dcgan import Config
from genrestore.training import command, runs
from genrestore.training import estimate as estimating
from genrestore.training.estimate import estimate
from genrestore.training.players import Players
from genrestore.training.runs import Estimate

TINY = dataclasses.replace(find("dcgan-cifar10").recipe, steps=1000, batch=8, licence="own")
CONFIG = Config(latent=8, width=8)


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GENRESTORE_HOME", str(tmp_path / "home"))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    np.savez(tmp_path / "made.npz", images=np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8))
    return tmp_path / "made.npz"


class Clock:
    """Time that passes only while a player takes a turn: so much a step, and more where R1 takes its own."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, first: float = 0.0, usual: float = 0.5, rare: float = 0.5
    ) -> None:
        self.now, self.numbers = 0.0, list[int]()
        step = Players.step

        def slow(players: Any, number: int, *others: Any) -> Any:
            self.now += first if not self.numbers else 0.0
            self.now += rare if number % 16 == 0 else usual
            self.numbers.append(number)
            return step(players, number, *others)

        monkeypatch.setattr(estimating, "time", SimpleNamespace(perf_counter=lambda: self.now))
        monkeypatch.setattr(Players, "step", slow)


def test_all_steps_at_the_measured_pace(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the first step takes beyond the others, to compile or to make buffers, counts once."""
    clock = Clock(monkeypatch, first=30.0)
    found = estimate(TINY, pictures, config=CONFIG)
    assert found.step == pytest.approx(0.5) and found.seconds == pytest.approx(530) and found.steps == 1000
    assert len(clock.numbers) < 20
    assert estimate(TINY, pictures, config=CONFIG, done=900).seconds == pytest.approx(50)


def test_turns_that_are_rare_count_as_often_as_they_are_taken(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch, usual=0.5, rare=2.1)
    found = estimate(dataclasses.replace(TINY, own={"r1": 1.0}), pictures, config=CONFIG)
    assert found.step == pytest.approx(0.6)


def test_measuring_what_is_kept_aside_takes_time_too(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    recipe = dataclasses.replace(TINY, holdout=0.4, check=10)
    assert estimate(recipe, pictures, config=CONFIG).seconds == pytest.approx(500 + 100 * (2 / 3) * 0.5 * 2)


def test_a_limit_of_minutes_is_kept(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    assert estimate(dataclasses.replace(TINY, minutes=1), pictures, config=CONFIG) == Estimate(60.0, 0.5, 120)
    assert estimate(dataclasses.replace(TINY, minutes=100), pictures, config=CONFIG).steps == 1000


def test_a_run_of_few_steps(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    assert estimate(dataclasses.replace(TINY, steps=1), pictures, config=CONFIG).seconds == pytest.approx(0.5)


def test_nothing_is_kept_and_no_random_number_drawn(pictures: Path, tmp_path: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    estimate(TINY, pictures, config=CONFIG)
    assert torch.equal(torch.rand(3), expected)
    assert {path.name for path in (tmp_path / "home").iterdir()} == {"decoded"}


def test_it_refuses_what_training_refuses(pictures: Path) -> None:
    with pytest.raises(TrainingError, match=r"A batch of 40000000 needs about"):
        estimate(dataclasses.replace(TINY, batch=40_000_000), pictures, config=CONFIG)
    with pytest.raises(TrainingError, match="cannot learn from size=16"):
        estimate(dataclasses.replace(find("span-x4").recipe, size=16, degrade="none"), pictures)


def test_a_process_of_its_own_tells_it(pictures: Path) -> None:
    recipe = dataclasses.replace(TINY, batch=4, steps=50)
    found = runs.estimate(recipe, str(pictures))
    assert 0 < found.step < found.seconds and found.steps == 50
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        runs.estimate(recipe, str(pictures), cancel)


def test_a_process_that_says_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false" if Path("/bin/false").exists() else "/usr/bin/false")
    with pytest.raises(TrainingError, match="ended with 1; try again"):
        runs.estimate(TINY, "nowhere")


def test_the_last_thing_that_a_process_says_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "python").write_text("#!/bin/sh\necho at first >&2\necho nowhere is neither >&2\nexit 2\n")
    (tmp_path / "python").chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(TrainingError, match=r"^nowhere is neither$"):
        runs.estimate(TINY, "nowhere")


def test_the_command_tells_it(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(command, "estimate", lambda recipe, data, done: Estimate(60.0 * recipe.steps, 60.0, done))
    given = ["train", "dcgan-cifar10", "--data", str(pictures), "--steps", "200", "--dry-run"]
    monkeypatch.setattr(sys, "argv", given)
    command.main()
    assert capsys.readouterr().out == "About 3 h 20 min: 0 steps of 60 s each.\n"
    monkeypatch.setattr(sys, "argv", [*given, "--json"])
    command.main()
    assert json.loads(capsys.readouterr().out) == {"seconds": 12000.0, "step": 60.0, "steps": 0}
    with pytest.raises(SystemExit) as end:
        cli.main(["train", "nothing", "--data", str(pictures), "--dry-run"])
    assert end.value.code == 2 and capsys.readouterr().err.startswith("There is no preset named 'nothing'.")
    assert not (tmp_path / "home" / "runs").exists()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 s"), (45.4, "45 s"), (99, "99 s"), (100, "2 min"), (3599, "60 min"), (5970, "1 h 40 min"),
        (12_000, "3 h 20 min"), (86_400, "24 h 0 min"), (4 * 86_400 + 6 * 3600, "4 days 6 h"),
    ],
)  # fmt: skip
def test_durations_in_words(seconds: float, words: str) -> None:
    assert runs.duration(seconds) == words
