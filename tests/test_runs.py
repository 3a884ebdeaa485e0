"""The folder of a run, as other processes read it."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from genrestore import locks
from genrestore.errors import TrainingError
from genrestore.paths import PACKAGE, home
from genrestore.recipe import TrainRecipe
from genrestore.training import runs
from genrestore.training.runs import Run, Status


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


def test_who_holds_the_lock_is_at_work_whoever_has_its_number(run: Run) -> None:
    """A number that was given to another process revives no run; one whose beat is old but that holds the lock is alive."""
    run.tell(Status("training", 5, 10), pid=os.getppid())
    assert run.status().state == "lost", "nobody holds its lock"
    with locks.alone(run.folder / runs.LOCK, 0):
        said_by(run, beat=time.time() - 2 * runs.LOST)
        assert run.status().state == "training"
    said_by(run, beat=time.time())
    assert run.status().state == "lost"
    run.tell(Status("preparing"), pid=os.getppid())
    assert run.status().state == "preparing", "it has just been started, and loads what it needs"
    said_by(run, beat=time.time() - 2 * runs.STARTING)
    assert run.status().state == "lost"


STRANGE = [
    b"", b"{}", b"[]", b"null", b"3", b'"training"', b"\xff\xfe", b"[" * 100_000, b'{"state": "dancing"}', b'{"state": ["done"]}',
    b'{"state": null, "step": 3}', b'{"step": 3}',
]  # fmt: skip


@pytest.mark.parametrize("said", STRANGE, ids=lambda said: repr(said[:20]))
def test_files_of_a_run_that_hold_nothing_of_the_kind(run: Run, said: bytes) -> None:
    """The run is what its other files say, and its folder does not stop the list of runs."""
    for name in ("status.json", "nearest.json", "control", "log.jsonl", "recipe.json"):
        (run.folder / name).write_bytes(said)
    assert run.status() == Status("lost")
    (run.folder / "checkpoint.pt").touch()
    assert run.status() == Status("stopped")
    assert run.asked() == "go" and isinstance(run.nearest() or {}, dict)
    assert [line for line in run.log() if "losses" in line] == []
    with pytest.raises(TrainingError) as told:
        run.recipe()
    assert "recipe.json" in str(told.value) and "\n" not in str(told.value)


def test_fields_of_a_status_that_are_not_of_their_kind_are_as_usual(run: Run) -> None:
    text = (
        '{"state": "done", "step": "x", "steps": 1e999, "speed": NaN, "message": 3, "pid": [], "seconds": 2, "new": 1}'
    )
    (run.folder / "status.json").write_text(text)
    assert run.status() == Status("done", seconds=2.0)
    for name in ("status.json", "recipe.json", "control"):
        (run.folder / name).unlink(missing_ok=True)
        (run.folder / name).mkdir()
    assert run.status().state == "lost" and run.asked() == "go"
    with pytest.raises(TrainingError, match="is a folder"):
        run.recipe()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"recipe": {"steps": "many"}, "data": "x"}, "steps must be a whole number"),
        ({"recipe": {"colour": 1}, "data": "x"}, "does not know: colour"),
        ({"recipe": 3}, "is not a recipe"),
        ({"recipe": {"steps": 3}}, "does not say where the pictures lie"),
        ({"recipe": {"steps": 3}, "data": 7}, "does not say where the pictures lie"),
    ],
)
def test_recipes_that_cannot_be_taken(run: Run, said: dict[str, object], words: str) -> None:
    (run.folder / "recipe.json").write_text(json.dumps(said))
    with pytest.raises(TrainingError, match=words):
        run.recipe()


def test_what_is_told_is_json_for_every_reader(run: Run) -> None:
    run.tell(Status("training", speed=float("nan"), left=float("inf")))
    said = json.loads((run.folder / "status.json").read_text("utf-8"), parse_constant=pytest.fail)
    assert said["speed"] is None and said["left"] is None and run.status().speed == 0.0
    assert json.loads(runs.strict({"a": [float("-inf"), (1.0, "x")]})) == {"a": [None, [1.0, "x"]]}


def test_one_trains_in_a_folder(run: Run, tmp_path: Path) -> None:
    """Also before it has said anything; a folder that was made for nothing goes again."""
    new = Run(tmp_path / "deep" / "new")
    with new.alone(False):
        with pytest.raises(TrainingError, match="new is being trained already; stop that first"), new.alone(False):
            pass
        assert new.folder.exists()
    assert not new.folder.exists()
    with new.alone(True):
        assert not new.folder.exists(), "there is nothing to resume"
    with run.alone(False):
        (run.folder / "kept").touch()
    assert (run.folder / "kept").exists()
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match="cannot be written"), Run(tmp_path / "file" / "run").alone(False):
        pass


def test_of_many_starts_at_once_one_begins() -> None:
    """Five processes, as the page's visitors and command lines are, each of which wants another run."""
    code = (
        "import sys, subprocess\n"
        "from genrestore.training import runs\n"
        "from genrestore.errors import TrainingError\n"
        "from genrestore.recipe import TrainRecipe\n"
        "real = subprocess.Popen\n"
        "runs.subprocess.Popen = lambda command, **more: real(['sleep', '60'], **more)\n"
        "sys.stdin.readline()\n"
        "try:\n"
        "    runs.start(sys.argv[1], TrainRecipe(model='m', licence='own'), 'nowhere')\n"
        "    print('begun', runs._children[0].pid)\n"
        "except TrainingError as problem:\n"
        "    print(problem)\n"
    )
    starts = [
        subprocess.Popen(
            [sys.executable, "-c", code, f"run-{k}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for k in range(5)
    ]
    said = [start.communicate("\n", timeout=120)[0].strip() for start in starts]
    begun = [line for line in said if line.startswith("begun")]
    for line in begun:
        os.kill(int(line.split()[1]), signal.SIGKILL)
    assert len(begun) == 1, said
    assert sum("is being trained; pause or stop it first" in line for line in said) == 4


def test_a_paused_run_that_was_told_to_go_on_is_at_work() -> None:
    """It hears only a moment later; another one woken meanwhile would share its cores."""
    for name in ("one", "two"):
        run = Run(home() / "runs" / name)
        run.folder.mkdir(parents=True)
        runs.asked(run, TrainRecipe(licence="own"), "x")
        run.tell(Status("paused"))
        run.ask("pause")
    runs.go_on(Run(home() / "runs" / "one"))
    with pytest.raises(TrainingError, match="one is being trained"):
        runs.go_on(Run(home() / "runs" / "two"))


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
    runs.start("cats", dataclasses.replace(recipe, lr=0.1), str(data), resume=True)
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
    code = "import genrestore.training.runs, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PACKAGE.parent, timeout=60)
