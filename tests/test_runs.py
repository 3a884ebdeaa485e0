"""The folder of a run, as other processes read it."""

import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from genrestore import runs
from genrestore.card import PACKAGE, home
from genrestore.errors import TrainingError
from genrestore.recipe import TrainRecipe
from genrestore.runs import Run, Status


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GENRESTORE_HOME", str(tmp_path / "home"))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "run").mkdir()
    return Run(tmp_path / "run")


def said_by(run: Run, **change: object) -> None:
    """Rewrite what the status says of itself."""
    path = run.folder / "status.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **change}), "utf-8")


def test_status_is_read_as_it_was_told(run: Run) -> None:
    run.tell(Status("training", 5, 10, 2.5, 3.0, 120.0, 1e-3))
    status = run.status()
    assert (status.state, status.step, status.steps, status.lr) == ("training", 5, 10, 1e-3)
    assert status.live and status.pid == os.getpid() and abs(status.beat - time.time()) < 60


def test_a_run_whose_process_is_gone_is_lost(run: Run) -> None:
    run.tell(Status("training", 5, 10))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    said_by(run, pid=gone.pid)
    status = run.status()
    assert status.state == "lost" and status.step == 5 and "resume" in status.message


def test_a_silent_run_is_lost_even_if_its_number_was_given_to_another_process(run: Run) -> None:
    run.tell(Status("training", 5, 10))
    said_by(run, beat=time.time() - 2 * runs.LOST)
    assert run.status().state == "lost"


def test_a_run_of_another_machine_is_judged_by_its_beat(run: Run) -> None:
    run.tell(Status("training", 5, 10))
    said_by(run, host="elsewhere", pid=1)
    assert run.status().state == "training"
    said_by(run, beat=time.time() - 2 * runs.LOST)
    assert run.status().state == "lost"


def test_a_folder_that_says_nothing(run: Run) -> None:
    assert run.status().state == "lost"
    (run.folder / "checkpoint.pt").touch()
    assert run.status().state == "stopped"


def test_log_leaves_out_a_torn_line(run: Run) -> None:
    (run.folder / "log.jsonl").write_text('{"step": 0}\n{"step": 1, "lo\n{"step": 2}\n{"step": 3', "utf-8")
    assert [line["step"] for line in run.log()] == [0, 2]
    assert Run(run.folder / "none").log() == []
    assert run.log_from(12) == ([{"step": 2}], 12, 40)
    assert [line["step"] for line in run.log_from(1000)[0]] == [0, 2]


def test_words_to_a_run(run: Run) -> None:
    assert run.asked() == "go"
    for word in ("pause", "stop", "go"):
        run.ask(word)
        assert run.asked() == word


def test_names() -> None:
    for bad in ("../x", "", "a/b", ".hidden", "x" * 65, "naïve", "a\n"):
        with pytest.raises(TrainingError, match="cannot name a model"):
            runs.place(bad)
    with pytest.raises(TrainingError, match="dcgan-cifar10 lies here already"):
        runs.place("dcgan-cifar10")
    assert runs.place("cats") == home() / "runs" / "cats"


def test_free_name_gets_a_number() -> None:
    assert runs.free_name("My cats!") == "My-cats"
    (home() / "runs" / "My-cats").mkdir(parents=True)
    (home() / "weights" / "My-cats-2").mkdir(parents=True)
    assert runs.free_name("My cats!") == "My-cats-3"
    assert runs.free_name("///") == "model"


def test_started_run_trains_in_its_own_process_and_is_found(tmp_path: Path) -> None:
    from genrestore.models import find

    data = tmp_path / "made.npz"
    np.savez(data, images=np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8))
    recipe = dataclasses.replace(find("dcgan-cifar10").recipe, steps=2, batch=4, licence="own")
    run = runs.start("cats", recipe, str(data))
    assert run.status().live
    with pytest.raises(TrainingError, match="cats is being trained"):
        runs.start("dogs", recipe, str(data))
    with pytest.raises(TrainingError, match="cats is being trained"):
        runs.go_on(Run(home() / "runs" / "dogs"))
    deadline = time.monotonic() + 120
    while run.status().live:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert run.status().state == "done", (run.folder / "output.txt").read_text("utf-8")
    assert run.status().pid != os.getpid() and [found.name for found in runs.every()] == ["cats"]
    assert run.recipe() == (recipe, str(data))
    with pytest.raises(TrainingError, match="A run named cats lies here"):
        runs.start("cats", recipe, str(data))
    more = dataclasses.replace(recipe, steps=4)
    runs.start("cats", more, str(data), resume=True)
    while run.status().live:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert run.status().step == 4
    runs.start("cats", dataclasses.replace(more, lr=0.1), str(data), resume=True)
    while run.status().live:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert run.status().state == "failed" and "begun with another lr" in run.status().message


def test_a_process_that_dies_at_once_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number stays taken until its parent asks for it; the run must not look alive meanwhile."""
    monkeypatch.setattr(sys, "executable", "/bin/false" if Path("/bin/false").exists() else "/usr/bin/false")
    run = runs.start("cats", TrainRecipe(model="dcgan-cifar10", licence="own"), "nowhere")
    runs._children[-1].wait()
    assert run.status().state == "lost"


def test_a_run_without_a_recipe(run: Run) -> None:
    with pytest.raises(TrainingError, match=r"holds no recipe\.json"):
        run.recipe()


def test_runs_load_no_torch() -> None:
    code = "import genrestore.runs, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PACKAGE.parent, timeout=60)
