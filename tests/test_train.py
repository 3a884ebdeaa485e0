"""The loop: it learns, it can be killed at any moment, and it leaves a usable weight."""

import dataclasses
import errno
import io
import itertools
import json
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from genrestore import locks, runtime, weights
from genrestore.card import Card
from genrestore.errors import Cancelled, TrainingError
from genrestore.models import find
from genrestore.models.dcgan import Config
from genrestore.nets import losses as formulas
from genrestore.paths import home
from genrestore.recipe import TrainRecipe
from genrestore.tasks.task import Score
from genrestore.training import checkpoint, command, loop, players, runs, session
from genrestore.training.loggers import LOGGERS, Logger, chosen
from genrestore.training.players import Average
from genrestore.training.runs import Run
from genrestore.training.train import train

TINY = dataclasses.replace(find("dcgan-cifar10").recipe, steps=12, batch=8, licence="CC0-1.0")
SHORT = dataclasses.replace(TINY, steps=6)
CONFIG = Config(latent=8, width=8)


pytestmark = pytest.mark.usefixtures("one_thread")  # nets this small only wait for a second core


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GENRESTORE_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "made.npz"
    rng = np.random.default_rng(0)
    np.savez(path, images=rng.integers(0, 256, (40, 32, 32, 3), dtype=np.uint8), labels=np.arange(40) % 4)
    return path


def state(run: Path) -> dict[str, Any]:
    return torch.load(run / "checkpoint.pt", weights_only=True, map_location="cpu")


def same(a: Path, b: Path) -> bool:
    """Whether two runs hold the same nets and averages, bit for bit."""
    one, other = state(a), state(b)
    return all(torch.equal(one[kind][key], other[kind][key]) for kind in ("net", "average") for key in one[kind])


def losses(run: Path) -> dict[int, dict[str, float]]:
    return {line["step"]: line["losses"] for line in Run(run).log() if "losses" in line}


class Steps(Logger):
    """Hands on the losses of each step."""

    def __init__(self, told: Callable[[int, dict[str, float]], object]) -> None:
        self.told = told

    def step(self, step: int, losses: dict[str, float]) -> None:
        self.told(step, losses)


def collector(into: dict[int, dict[str, float]]) -> list[Logger]:
    return [Steps(lambda step, numbers: into.update({step: numbers}))]


# --- what a run leaves ------------------------------------------------------------------------------------------------


def test_leaves_a_usable_weight_and_its_card(pictures: Path, tmp_path: Path) -> None:
    seen: dict[int, dict[str, float]] = {}
    recipe = dataclasses.replace(TINY, holdout=0.25, check=6)
    run = train(recipe, pictures, tmp_path / "mine", loggers=collector(seen), config=CONFIG)
    assert sorted(seen) == list(range(12))
    card = Card.read(run)
    assert card.name == "mine" and card.recipe["steps"] == 12 and card.recipe["seed"] == 0
    assert card.data[0].count == 40 and card.data[0].licence == "CC0-1.0" and "CC0-1.0" in card.license
    assert card.hardware and card.hours > 0 and len(card.data[0].sha256) == 64
    assert {metric.name for metric in card.metrics} == {"swd"} and card.metrics[0].n == 10
    model = runtime.load(f"file:{run}")
    assert model.decode(torch.zeros(1, 8)).shape == (1, 3, 32, 32)
    status = Run(run).status()
    assert (status.state, status.step, status.steps) == ("done", 12, 12)
    measured = [line["step"] for line in Run(run).log() if "holdout" in line]
    assert measured == [5, 11]
    assert (run / "sample.webp").is_file() and Run(run).samples()[-1][0] == 12
    nearest = Run(run).nearest()
    assert nearest and 0 <= nearest["score"] <= 1 and (run / "nearest.webp").is_file()


def test_the_card_names_all_hardware_that_trained(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    for stop, machine in ((4, "a GPU"), (8, "two GPUs"), (12, "a GPU")):
        monkeypatch.setattr(session, "hardware", lambda processes, machine=machine: machine)
        train(dataclasses.replace(TINY, stop=stop), pictures, run, config=CONFIG, resume=stop > 4)
    assert Card.read(run).hardware == "a GPU, then two GPUs"


def test_no_weight_is_offered_before_its_pictures_mean_something(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picker that lists it at step 0 shows noise. What ends is left as it is, for that was asked for."""
    monkeypatch.setattr(session, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(session, "CHECKPOINT_SHARE", 1e9)
    distances = itertools.chain([100.0, 95.0, 86.0, 110.0, 79.0], itertools.repeat(100.0))
    monkeypatch.setattr(session.Evaluator, "distance", lambda self, net: next(distances))
    listed: list[int] = []

    def look(step: int, numbers: dict[str, float]) -> None:
        if "mine" in [card.name for card in weights.list_models("sample")]:
            listed.append(step)

    run = train(TINY, pictures, home() / "runs" / "mine", config=CONFIG, loggers=[Steps(look)])
    assert listed and listed[0] >= 4 and state(run)["progress"]["untrained"] == 100.0
    other = train(dataclasses.replace(TINY, steps=2), pictures, home() / "runs" / "other", config=CONFIG)
    assert Card.read(other).recipe["steps"] == 2


def test_a_trained_run_is_found_by_name(pictures: Path) -> None:
    train(TINY, pictures, home() / "runs" / "mine", config=CONFIG)
    assert "mine" in [card.name for card in weights.list_models("sample")]


def test_tensorboard(pictures: Path, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = train(TINY, pictures, tmp_path / "run", config=CONFIG, loggers=chosen("tensorboard"))
    events = accumulator.EventAccumulator(str(run / "tensorboard")).Reload()
    assert {"loss/critic", "loss/generator", "run/lr"} <= set(events.Tags()["scalars"])
    written = {event.step: event.value for event in events.Scalars("loss/critic")}
    assert written[0] == pytest.approx(losses(run)[0]["critic"])
    assert "drawn" in events.Tags()["images"]


def test_a_new_logger_is_one_entry(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []

    class Toy(Logger):
        def begin(self, folder: Path, recipe: TrainRecipe, step: int) -> None:
            heard.append(f"{folder.name} begins at {step} of {recipe.last}")

        def step(self, step: int, losses: dict[str, float]) -> None:
            heard.append(f"step {step}: {', '.join(losses)}")

        def end(self) -> None:
            heard.append("end")

    monkeypatch.setitem(LOGGERS, "toy", Toy)
    settings = {"licence": "own", "steps": 2, "batch": 4}
    command.run("dcgan-cifar10", data=str(pictures), out=tmp_path / "run", settings=settings, log="toy")
    steps = [f"step {step}: generator, critic" for step in range(2)]
    assert heard == ["run begins at 0 of 2", *steps, "end"]


def test_loggers_hear_the_end_of_a_run_that_fails(pictures: Path, tmp_path: Path) -> None:
    ended: list[bool] = []

    class Toy(Logger):
        def picture(self, picture: Any, step: int) -> None:
            raise TrainingError("The disk is full.")

        def end(self) -> None:
            ended.append(True)

    with pytest.raises(TrainingError, match=r"The disk is full\."):
        train(TINY, pictures, tmp_path / "run", config=CONFIG, loggers=[Toy()])
    assert ended == [True]


# --- never lose work --------------------------------------------------------------------------------------------------


def test_resumed_run_equals_an_uninterrupted_one(pictures: Path, tmp_path: Path) -> None:
    """Bit for bit: the weights after 7 + 5 steps are those after 12. Players, averages and noise all count."""
    whole = _trained(pictures, "whole", TINY)
    part = train(dataclasses.replace(TINY, steps=7), pictures, tmp_path / "part", config=CONFIG)
    train(TINY, pictures, part, resume=True, config=CONFIG)
    assert same(whole, part)
    assert losses(whole)[11] == losses(part)[11]


def victim(data: str, out: str, seen: str, steps: int) -> None:
    """A process that trains, writes down each loss, and saves after each step."""
    torch.set_num_threads(1)
    session.CHECKPOINT_SECONDS, session.CHECKPOINT_SHARE = 0.0, 1e9
    run = Path(out)
    with Path(seen).open("a", encoding="utf-8") as file:

        def note(step: int, numbers: dict[str, float]) -> None:
            file.write(json.dumps([step, numbers]) + "\n")
            file.flush()

        recipe = dataclasses.replace(TINY, steps=steps)
        train(recipe, data, run, resume=(run / "checkpoint.pt").exists(), loggers=[Steps(note)], config=CONFIG)


def test_killed_five_times_it_goes_on_with_the_same_losses(pictures: Path, tmp_path: Path) -> None:
    """kill -9 at five random moments of a real process; every loss ever seen equals the uninterrupted run's."""
    steps, straight = 24, dict[int, dict[str, float]]()
    recipe = dataclasses.replace(TINY, steps=steps)
    whole = train(recipe, pictures, tmp_path / "whole", loggers=collector(straight), config=CONFIG)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "torch._dynamo"])  # what each process would import again
    seen, killed, moments = tmp_path / "seen", tmp_path / "killed", random.Random(1)
    codes: list[int | None] = []
    for kill in range(6):
        process = context.Process(target=victim, args=(str(pictures), str(killed), str(seen), steps))
        process.start()
        if kill < 5:
            before = seen.stat().st_size if seen.exists() else 0
            while process.is_alive() and (not seen.exists() or seen.stat().st_size == before):
                time.sleep(0.002)
            time.sleep(moments.uniform(0, 0.08))  # into a step, a batch, or the writing of a file
            process.kill()
        process.join(120)
        codes.append(process.exitcode)
    assert codes[-1] == 0 and codes.count(-9) >= 4, codes
    told: list[tuple[int, dict[str, float]]] = []
    for line in seen.read_text("utf-8").splitlines():
        try:
            told.append(tuple(json.loads(line)))  # type: ignore[arg-type]
        except ValueError:
            continue  # torn by a kill
    assert {step for step, _ in told} == set(range(steps))
    wrong = [step for step, numbers in told if numbers != straight[step]]
    assert not wrong, f"steps {wrong} differ"
    assert same(whole, killed) and Card.read(killed).recipe["steps"] == steps


def test_a_full_disk_keeps_the_last_checkpoint(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _trained(pictures, "whole short", SHORT)
    monkeypatch.setattr(session, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(session, "CHECKPOINT_SHARE", 1e9)
    real, writes = os.fsync, [0]

    def full(handle: int) -> None:
        writes[0] += 1
        if writes[0] == 6:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    run = tmp_path / "run"
    with pytest.raises(TrainingError, match="full; free some space and resume: the last checkpoint is kept"):
        train(SHORT, pictures, run, config=CONFIG)
    assert Run(run).status().state == "failed" and "full" in Run(run).status().message
    assert state(run)["progress"]["step"] == 4 and not list(run.glob("*.part"))
    train(SHORT, pictures, run, resume=True, config=CONFIG)
    assert same(whole, run)


def test_no_turned_bit_of_a_checkpoint_goes_unseen(pictures: Path, tmp_path: Path) -> None:
    """Each is told in one sentence; the file stays one that torch reads, and one of an earlier version has no seal."""
    run = train(dataclasses.replace(TINY, steps=2), pictures, tmp_path / "run", config=CONFIG)
    whole = (run / "checkpoint.pt").read_bytes()
    assert state(run)["progress"]["step"] == checkpoint.read(run)["progress"]["step"] == 2
    places = random.Random(0)
    for _ in range(100):
        damaged = bytearray(whole)
        damaged[places.randrange(len(whole) - checkpoint.SEAL)] ^= 1 << places.randrange(8)
        (run / "checkpoint.pt").write_bytes(damaged)
        with pytest.raises(TrainingError, match="is damaged: it is not what was written") as told:
            checkpoint.read(run)
        assert "\n" not in str(told.value)
    (run / "checkpoint.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TrainingError, match="is damaged"):
        train(TINY, pictures, run, resume=True, config=CONFIG)
    torch.save(torch.load(io.BytesIO(whole), weights_only=True), run / "checkpoint.pt")
    train(TINY, pictures, run, resume=True, config=CONFIG)
    assert same(run, _trained(pictures, "whole", TINY))


def without(saved: Any, *keys: str) -> Any:
    return {key: value for key, value in saved.items() if key not in keys}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        *[(lambda saved, key=key: without(saved, key), "is no checkpoint") for key in checkpoint.PARTS],
        (lambda saved: [saved], "is no checkpoint"),
        (lambda saved: torch.zeros(3), "is no checkpoint"),
        (lambda saved: {**saved, "net": 3}, "is no checkpoint"),
        (lambda saved: {**saved, "net": without(saved["net"], "critic.0.weight")}, "is of another net"),
        (lambda saved: {**saved, "net": {**saved["net"], "critic.0.weight": torch.zeros(1)}}, "is of another net"),
        (lambda saved: {**saved, "average": {}}, "is of another net"),
        (lambda saved: {**saved, "optimizers": {}}, "is of another net"),
        (lambda saved: {**saved, "optimizers": {"critic": {}, "generator": {}}}, "is of another net"),
        (lambda saved: {**saved, "recipe": {"steps": "x"}}, "cannot be gone on with: steps must be a whole number"),
        (lambda saved: {**saved, "recipe": {"colour": 1}}, "cannot be gone on with"),
        (lambda saved: {**saved, "progress": {}}, "does not tell its step"),
        (lambda saved: {**saved, "progress": {**saved["progress"], "step": "x"}}, "step is 'x'"),
        (lambda saved: {**saved, "progress": {**saved["progress"], "step": -1}}, "does not tell its step"),
        (lambda saved: {**saved, "progress": {**saved["progress"], "best": "x"}}, "best is 'x'"),
    ],
)
def test_checkpoints_that_lack_something_are_told(
    pictures: Path, tmp_path: Path, change: Callable[[Any], Any], words: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(_trained(pictures, "begun", dataclasses.replace(TINY, steps=2)), run)
    torch.save(change(state(run)), run / "checkpoint.pt")
    with pytest.raises(TrainingError, match=words) as told:
        train(TINY, pictures, run, resume=True, config=CONFIG)
    assert "\n" not in str(told.value)


def _trained(pictures: Path, name: str, recipe: TrainRecipe) -> Path:
    """The run of that name, trained where nobody has asked for it yet, which several tests compare with or copy."""
    run = pictures.parent / name
    if not run.exists():
        train(recipe, pictures, run, config=CONFIG)
    return run


def test_vanished_pictures_keep_what_was_learnt(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _trained(pictures, "whole", TINY)
    batch = loop.datasets.batch

    def gone(pictures: Any, recipe: TrainRecipe, step: int, rows: range | None = None) -> Any:
        if step == 5:
            raise TrainingError("The pictures are gone; put them back and resume.")
        return batch(pictures, recipe, step, rows)

    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(loop.datasets, "batch", gone)
        with pytest.raises(TrainingError, match="gone"):
            train(TINY, pictures, run, config=CONFIG)
    assert state(run)["progress"]["step"] == 5
    train(TINY, pictures, run, resume=True, config=CONFIG)
    assert same(whole, run)


def poisoned(monkeypatch: pytest.MonkeyPatch, steps: list[int]) -> None:
    """Make the loss of each named step no number, once for each time it is named."""
    real, left = loop.Players.step, list(steps)

    def step(self: Any, number: int, *others: Any) -> dict[str, torch.Tensor]:
        told = real(self, number, *others)
        if number in left:
            left.remove(number)
            next(self.net.parameters()).data.fill_(float("nan"))
            return {name: loss * float("nan") for name, loss in told.items()}
        return told

    monkeypatch.setattr(loop.Players, "step", step)


def test_a_loss_that_is_no_number_rolls_back_once(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poisoned(monkeypatch, [7])
    run = train(TINY, pictures, tmp_path / "run", config=CONFIG)
    events = [line["event"] for line in Run(run).log() if "event" in line]
    assert events[0].startswith("The loss was no number at step 7: went back to step 0 with half the rate")
    rates = [line["lr"] for line in Run(run).log() if "losses" in line]
    assert set(rates) == {TINY.lr / 2} and Run(run).status().state == "done"
    assert all(torch.isfinite(value).all() for value in state(run)["net"].values())


def test_the_second_time_it_ends_with_the_last_good_checkpoint(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poisoned(monkeypatch, [7, 7])
    with pytest.raises(TrainingError, match=r"no longer a number at step 7.*step 0 is kept"):
        train(TINY, pictures, tmp_path / "run", config=CONFIG)
    assert Run(tmp_path / "run").status().state == "failed"
    assert all(torch.isfinite(value).all() for value in state(tmp_path / "run")["net"].values())


def test_a_real_overflow_is_found(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no longer a number"):
        train(dataclasses.replace(TINY, lr=1e30), pictures, tmp_path / "run", config=CONFIG)


# --- pausing and ending -----------------------------------------------------------------------------------------------


def waiting(run: Run, wanted: str) -> None:
    deadline = time.monotonic() + 60
    while run.status().state != wanted:
        assert time.monotonic() < deadline, f"{run.status()} instead of {wanted}"
        time.sleep(0.01)


def test_pause_go_stop_and_resume(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A paused run stands still; one that was stopped and resumed ends like an uninterrupted one."""
    monkeypatch.setattr(session, "BEAT_SECONDS", 0.1)
    recipe = dataclasses.replace(TINY, steps=400)
    run, seen = Run(tmp_path / "run"), dict[int, dict[str, float]]()
    thread = threading.Thread(
        target=train, args=(recipe, pictures, run.folder), kwargs={"loggers": collector(seen), "config": CONFIG}
    )
    thread.start()
    waiting(run, "training")
    run.ask("pause")
    waiting(run, "paused")
    steps = len(seen)
    beat = run.status().beat
    deadline = time.monotonic() + 30
    while run.status().beat == beat:  # it tells that it lives while it waits
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert len(seen) == steps and run.status().live
    run.ask("go")
    while len(seen) < steps + 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    run.ask("stop")
    thread.join(60)
    status = run.status()
    assert status.state == "stopped" and 0 < status.step < 400 and (run.folder / "model.safetensors").exists()
    assert state(run.folder)["progress"]["step"] == status.step
    recipe = dataclasses.replace(recipe, steps=status.step + 5)
    train(recipe, pictures, run.folder, resume=True, config=CONFIG)
    assert same(run.folder, train(recipe, pictures, tmp_path / "whole", config=CONFIG))


def test_ends_when_told_by_the_caller(pictures: Path, tmp_path: Path) -> None:
    cancel = threading.Event()
    run = train(
        dataclasses.replace(TINY, steps=10_000), pictures, tmp_path / "run", config=CONFIG, cancel=cancel,
        loggers=[Steps(lambda step, numbers: cancel.set() if step == 4 else None)],
    )  # fmt: skip
    assert Run(run).status().state == "stopped" and Run(run).status().step == 5


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"minutes": 0.005}, "minutes are over"),
        ({"until": 100.0}, "The loss fell to"),
        ({"holdout": 0.5, "check": 2, "patience": 1, "lr": 1e-12, "ema": 0.0}, "No better score on the hold-out in 1 "),
    ],
)
def test_ends_early(pictures: Path, tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    recipe = dataclasses.replace(TINY, steps=1_000_000, **change)
    run = Run(train(recipe, pictures, tmp_path / "run", config=CONFIG))
    assert run.status().state == "done" and reason in run.status().message
    assert 0 < Card.read(run.folder).recipe["steps"] <= run.status().step
    assert run.status().step < 1_000_000


@pytest.mark.parametrize(
    ("name", "better", "values"), [("swd", "lower", [5.0, 3.0, 4.0, 6.0]), ("psnr", "higher", [20.0, 22.0, 21.0, 9.0])]
)
def test_patience_leaves_the_best_weight_not_the_last(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, better: Any, values: list[float]
) -> None:
    """PSNR is better the higher it is."""
    scores = iter(values)
    monkeypatch.setattr(session.Evaluator, "scores", lambda self, net, recipe: [Score(name, next(scores), better)])
    recipe = dataclasses.replace(TINY, steps=100, holdout=0.5, check=2, patience=2)
    run = train(recipe, pictures, tmp_path / "run", config=CONFIG)
    card = Card.read(run)
    assert card.recipe["steps"] == 4 and card.recipe["patience"] == 0 and card.metrics[0].value == values[1]
    assert Run(run).status().step == 8
    assert [line["better"] for line in Run(run).log() if "holdout" in line] == [{name: better}] * 4


def test_scores_that_are_no_numbers_are_not_written(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor do they count as better than anything; the log stays JSON as every reader takes it."""
    scores = iter([5.0, float("nan"), float("-inf"), 4.0])
    monkeypatch.setattr(
        session.Evaluator,
        "scores",
        lambda self, net, recipe: [Score("loss", next(scores), "lower"), Score("psnr", 9.0, "higher")],
    )
    recipe = dataclasses.replace(TINY, steps=8, holdout=0.5, check=2, patience=3)
    run = train(recipe, pictures, tmp_path / "run", config=CONFIG)
    lines = [
        json.loads(line, parse_constant=pytest.fail) for line in (run / "log.jsonl").read_text("utf-8").splitlines()
    ]
    told = [line["holdout"] for line in lines if "holdout" in line]
    assert told == [{"loss": 5.0, "psnr": 9.0}, {"psnr": 9.0}, {"psnr": 9.0}, {"loss": 4.0, "psnr": 9.0}]
    assert Card.read(run).metrics[0].value == 4.0


# --- settings that change the steps -----------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["bf16", "fp16", "auto"])
def test_other_precisions_stay_near(pictures: Path, tmp_path: Path, precision: str) -> None:
    exact = losses(_trained(pictures, "whole short", SHORT))
    run = train(dataclasses.replace(SHORT, precision=precision), pictures, tmp_path / precision, config=CONFIG)
    assert losses(run)[0]["critic"] == pytest.approx(exact[0]["critic"], rel=0.02)
    assert Run(run).status().state == "done"
    more = dataclasses.replace(SHORT, precision=precision, steps=8)
    train(more, pictures, run, resume=True, config=CONFIG)  # the scaler's state comes back too
    assert same(run, train(more, pictures, tmp_path / "whole", config=CONFIG))


@pytest.mark.parametrize(("bf16", "chosen"), [(100.0, "fp32"), (0.9, "fp32"), (0.4, "bf16")])
def test_auto_is_the_faster_precision_and_does_not_wait_for_the_slow_one(
    monkeypatch: pytest.MonkeyPatch, bf16: float, chosen: str
) -> None:
    clock = [0.0]

    def product(a: torch.Tensor, b: torch.Tensor) -> None:
        clock[0] += (bf16 if a.dtype == torch.bfloat16 else 1.0) * len(a) / len(b)

    monkeypatch.setattr(players, "_faster_here", players._faster_here.__wrapped__)  # measured anew
    monkeypatch.setattr(torch, "mm", product)
    monkeypatch.setattr(players.time, "perf_counter", lambda: clock[0])
    assert players.settled_precision(TrainRecipe(precision="auto"), torch.device("cpu")) == chosen
    assert clock[0] < 6 + 3 * bf16 + 3


def test_compiled_is_the_same_training(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By PyTorch's compiler up to the writing of code, which takes a C++ compiler half a minute and is not ours."""
    compiled: list[Any] = []
    real: Any = torch.compile

    def compile_(net: Any, **settings: Any) -> Any:
        compiled.append(net)
        return real(net, **settings | {"backend": "aot_eager"})

    monkeypatch.setattr(torch, "compile", compile_)
    short = dataclasses.replace(TINY, steps=3)
    plain = losses(train(short, pictures, tmp_path / "plain", config=CONFIG))
    assert not compiled
    fast = losses(train(dataclasses.replace(short, compile=True), pictures, tmp_path / "fast", config=CONFIG))
    assert compiled and fast[2]["critic"] == pytest.approx(plain[2]["critic"], rel=1e-3)


def distance(a: Path, b: Path) -> float:
    one, other = state(a)["net"], state(b)["net"]
    return max((one[key] - other[key]).abs().max().item() for key in one if one[key].is_floating_point())


@pytest.mark.parametrize(
    "change",
    [
        {"dropout": 0.3}, {"l1": 1e-3}, {"weight_decay": 0.1}, {"clip": 1e-3, "optimizer": "gd"}, {"own": {"r1": 10.0}},
        {"loss": "hinge"},
        {"optimizer": "sgd"}, {"optimizer": "rmsprop"}, {"schedule": "cosine"}, {"schedule": "step"}, {"warmup": 5},
        {"augment": ("rotate:20",)}, {"seed": 1},
    ],
    ids=str,
)  # fmt: skip
def test_every_setting_has_an_effect_and_resumes(pictures: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    base = dataclasses.replace(SHORT, optimizer="gd") if "clip" in change else SHORT
    plain = _trained(pictures, f"whole short {base.optimizer}" if "clip" in change else "whole short", base)
    recipe = dataclasses.replace(SHORT, **change)
    run = train(recipe, pictures, tmp_path / "run", config=CONFIG)
    assert distance(plain, run) > 1e-6
    if "schedule" not in change:
        part = train(dataclasses.replace(recipe, steps=3), pictures, tmp_path / "part", config=CONFIG)
        train(recipe, pictures, part, resume=True, config=CONFIG)
        assert same(run, part)


def test_a_turn_moves_its_own_player_only(pictures: Path, tmp_path: Path) -> None:
    """With the generator's rate at 0 only the critic moves, and nothing is left in the other's gradients."""
    processes = loop.Processes()
    players = loop.Players(find("dcgan-cifar10"), CONFIG, TINY, processes, "fp32")
    before = {name: value.clone() for name, value in players.net.state_dict().items()}
    batch = {"image": torch.rand(8, 3, 32, 32), "step": torch.tensor(0)}
    generator, critic = players.phases
    generator.loss(batch)  # draws what the critic judges
    players.lr.fill_(1e-3)
    players._turn(critic, batch)
    moved = {name for name, value in players.net.named_parameters() if not torch.equal(value, before[name])}
    assert moved == {name for name, _ in players.net.named_parameters() if name.startswith("critic.")}
    assert all(weight.grad is None for weight in players.net.generator.parameters())


@pytest.mark.parametrize("rows", [8, 64])
@pytest.mark.parametrize("r1", [0.0, 1.0])
def test_a_step_is_the_textbooks_turns(rows: int, r1: float) -> None:
    """The critic judges the drawn pictures once for both players: the same gradients."""
    recipe = dataclasses.replace(TINY, batch=rows, optimizer="gd", lr=1e-2, own={"r1": r1})
    config = Config(latent=8, width=32)
    players = loop.Players(find("dcgan-cifar10"), config, recipe, loop.Processes(), "fp32")
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in players.net.parameters():
            weight.mul_(3)  # so that both players say something
    book = find("dcgan-cifar10").net(config).double().train()
    book.load_state_dict(players.net.state_dict())
    before = {name: weight.detach().clone() for name, weight in players.net.named_parameters()}
    real = torch.rand(rows, 3, 32, 32)
    players.step(0, {"image": real}, recipe.lr)

    torch.manual_seed((recipe.seed * 1_000_003) * 4099)
    drawn = book.generator(torch.randn(rows, 8, 1, 1).double())
    of_generator = formulas.non_saturating(book.critic(drawn))
    slopes = torch.autograd.grad(of_generator, list(book.generator.parameters()), retain_graph=True)
    seen = real.double() * 2 - 1
    of_critic = formulas.critic_cross_entropy(book.critic(seen), book.critic(drawn.detach()))
    slopes += torch.autograd.grad(of_critic, list(book.critic.parameters()))
    gradients = dict(zip([name for name, _ in book.named_parameters()], slopes, strict=True))
    if r1:
        with torch.no_grad():
            for name, weight in book.named_parameters():
                weight -= recipe.lr * gradients[name]
        penalty = r1 * 16 * formulas.r1(book.critic(seen.requires_grad_()), seen)
        own = {f"critic.{name}": weight for name, weight in book.critic.named_parameters()}
        for name, slope in zip(own, torch.autograd.grad(penalty, [*own.values()], materialize_grads=True), strict=True):
            gradients[name] = gradients[name] + slope
    for name, weight in players.net.named_parameters():
        moved = (before[name] - weight).double() / recipe.lr
        # a rounding that turns a ReLU round turns a whole summand off: hence no smaller bar
        assert (moved - gradients[name]).norm() < 3e-2 * gradients[name].norm(), name


def test_average_forgets_the_start() -> None:
    net = torch.nn.Linear(2, 2)
    average: Any = Average(net, 0.999)
    with torch.no_grad():
        net.weight.fill_(5.0)
    for step in range(200):
        average.update(net, step)
    assert (average.net.weight - 5).abs().max() < 0.05


def test_average_takes_buffers_as_they_are() -> None:
    net = torch.nn.BatchNorm2d(3)
    average: Any = Average(net, 0.999)
    net(torch.rand(4, 3, 5, 5))
    average.update(net, 0)
    assert (
        torch.equal(average.net.running_mean, net.state_dict()["running_mean"])
        and int(average.net.num_batches_tracked) == 1
    )


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_refusals(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="Name the licence"):
        train(dataclasses.replace(TINY, licence=""), pictures, tmp_path / "none", config=CONFIG)
    with pytest.raises(TrainingError, match=r"Did you mean 'CC-BY-4\.0'\?"):
        train(dataclasses.replace(TINY, licence="CC-BY-4"), pictures, tmp_path / "none", config=CONFIG)
    with pytest.raises(TrainingError, match="no checkpoint"):
        train(TINY, pictures, tmp_path / "none", resume=True, config=CONFIG)
    assert not (tmp_path / "none").exists()
    run = train(dataclasses.replace(TINY, steps=2), pictures, tmp_path / "run", config=CONFIG)
    with pytest.raises(TrainingError, match="add --resume"):
        train(TINY, pictures, run, config=CONFIG)
    with pytest.raises(TrainingError, match="another lr"):
        train(dataclasses.replace(TINY, lr=1.0), pictures, run, resume=True, config=CONFIG)
    with pytest.raises(TrainingError, match="another net"):
        train(TINY, pictures, run, resume=True, config=Config(latent=8, width=16))
    assert Run(run).status().state == "done", "a refusal leaves the run as it was"


def test_a_run_that_is_being_trained_is_left_alone(pictures: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.folder.mkdir()
    run.tell(session.Status("training", 3, 12), pid=os.getppid())
    with (
        locks.alone(run.folder / runs.LOCK, 0),
        pytest.raises(TrainingError, match=f"being trained already, by process {os.getppid()}"),
    ):
        train(TINY, pictures, run.folder, config=CONFIG)


def test_of_trainings_that_begin_at_once_in_one_folder_one_goes_on(pictures: Path, tmp_path: Path) -> None:
    """It ends as it would alone; the others leave nothing."""
    begin, said = threading.Barrier(5), list[str]()

    def wish() -> None:
        begin.wait()
        try:
            train(dataclasses.replace(TINY, steps=40), pictures, tmp_path / "run", config=CONFIG)
            said.append("done")
        except TrainingError as problem:
            said.append(str(problem))

    threads = [threading.Thread(target=wish) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said.count("done") == 1, said
    assert all("is being trained already" in line or "already holds a run" in line for line in said if line != "done")
    assert Run(tmp_path / "run").status().state == "done" and Run(tmp_path / "run").status().step == 40
    with pytest.raises(TrainingError, match="Name the licence"):
        train(dataclasses.replace(TINY, licence=""), pictures, tmp_path / "none", config=CONFIG)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("change", [{"holdout": 0.999}, {"holdout": 0.98}])
def test_something_must_be_left_to_learn_from(pictures: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(TrainingError, match=rf"holdout={change['holdout']} leaves 1 of 40 pictures to learn from"):
        train(dataclasses.replace(TINY, **change), pictures, tmp_path / "run", config=CONFIG)


def test_settings_that_do_not_fit_the_net(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="draws pictures of 32 pixels"):
        train(dataclasses.replace(TINY, size=64), pictures, tmp_path / "run", config=CONFIG)
    enlarge = dataclasses.replace(find("span-x4").recipe, licence="own", size=16, degrade="none")
    with pytest.raises(TrainingError, match=r"cannot learn from size=16 and degrade=none \('low'\); its own are 96"):
        train(enlarge, pictures, tmp_path / "run")
    with pytest.raises(TrainingError, match="cannot learn from size=16 and degrade=shrink:2"):
        train(dataclasses.replace(enlarge, degrade="shrink:2"), pictures, tmp_path / "run")


def test_a_batch_larger_than_memory_is_refused_before_it_is_made(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"A batch of 40000000 needs about [\d.,]+ GB and .*--batch \d+"):
        train(dataclasses.replace(TINY, batch=40_000_000), pictures, tmp_path / "run", config=CONFIG)


def test_decayed_run_cannot_be_stretched(pictures: Path, tmp_path: Path) -> None:
    """Once the learning rate has fallen, a later end would make it jump."""
    recipe = dataclasses.replace(TINY, steps=10, schedule="trapezoid")
    run = train(recipe, pictures, tmp_path / "run", config=CONFIG)
    with pytest.raises(TrainingError, match=r"With steps=\d+ and decay=0.2 the learning rate would jump"):
        train(dataclasses.replace(recipe, steps=20), pictures, run, resume=True, config=CONFIG)


# --- the command ------------------------------------------------------------------------------------------------------


def test_table_of_folds() -> None:
    text = command.table([{"loss": 1.0, "psnr": 30.0}, {"loss": 3.0, "psnr": 32.0}])
    assert text.splitlines()[-1].split() == ["mean", "±", "sd", "2", "±", "1.4", "31", "±", "1.4"]


def test_cross_validation_keeps_each_part_aside_once(pictures: Path, tmp_path: Path, capsys: Any) -> None:
    settings = {"licence": "own", "steps": 2, "batch": 4}
    out = command.run("dcgan-cifar10", data=str(pictures), out=tmp_path / "cv", folds=2, settings=settings)
    rows = json.loads((out / "folds.json").read_text("utf-8"))
    assert len(rows) == 2 and all(set(row) == {"swd"} for row in rows)
    assert "mean ± sd" in capsys.readouterr().out
    cards = [Card.read(out / f"fold-{k}") for k in (1, 2)]
    assert [card.recipe["fold"] for card in cards] == [0, 1] and all(card.metrics[0].n == 20 for card in cards)


def test_a_stopped_cross_validation_begins_no_further_part(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Ctrl-C sets while the first part trains ends the whole; resumed, it finishes that part too."""

    def stopping(*given: Any, cancel: threading.Event, **others: Any) -> Path:
        return train(*given, **{**others, "cancel": cancel, "loggers": [Steps(lambda step, numbers: cancel.set())]})

    settings = {"licence": "own", "steps": 2, "batch": 4}
    with monkeypatch.context() as patch:
        patch.setattr(command, "train", stopping)
        with pytest.raises(Cancelled, match="stopped in part 1"):
            command.run("dcgan-cifar10", data=str(pictures), out=tmp_path / "cv", folds=2, settings=settings)
    assert not (tmp_path / "cv" / "fold-2").exists()
    out = command.run("dcgan-cifar10", data=str(pictures), out=tmp_path / "cv", folds=2, settings=settings, resume=True)
    assert len(json.loads((out / "folds.json").read_text("utf-8"))) == 2


def test_reproduce_runs_the_same_recipe_again(pictures: Path, tmp_path: Path) -> None:
    # ended while the rate was falling
    settings = {"steps": 10, "stop": 9, "schedule": "trapezoid", "batch": 4, "seed": 5}
    first = command.run("dcgan-cifar10", data=str(pictures), licence="own", out=tmp_path / "first", settings=settings)
    again = command.run(reproduce=first, data=str(pictures), out=tmp_path / "again")
    assert same(first, again)
    other = tmp_path / "other.npz"
    np.savez(other, images=np.zeros((40, 32, 32, 3), np.uint8))
    with pytest.raises(TrainingError, match="is not what first learnt from: made, 40 pictures"):
        command.run(reproduce=first, data=str(other), out=tmp_path / "more")


def test_resume_by_folder_alone(pictures: Path, tmp_path: Path) -> None:
    settings = {"steps": 3, "batch": 8}
    run = command.run("dcgan-cifar10", data=str(pictures), licence="own", out=tmp_path / "run", settings=settings)
    command.run(out=run, resume=True, settings={"steps": "5"})
    assert Run(run).status().step == 5


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "Name what to train"),
        ({"preset": "dcgan-cifar10"}, "--data"),
        ({"preset": "dcgan-cifar10", "data": "x", "settings": {"lrr": "1"}}, "Did you mean 'lr'"),
        ({"preset": "dcgan-cifar10", "data": "x", "settings": {"lr": "fast"}}, "lr must be a number"),
        ({"preset": "dcgan-cifar10", "data": "x", "settings": {"steps": "many"}}, "steps must be a whole number"),
        ({"preset": "dcgan-cifar10", "recipe": Path("x")}, "one of them"),
        ({"recipe": Path("nowhere.json")}, "no file nowhere.json"),
        ({"resume": True, "preset": "dcgan-cifar10", "data": "x", "licence": "own"}, "--out"),
        ({"preset": "dcgan-cifar10", "data": "x", "log": "terminal, tensorbord"}, "Did you mean 'tensorboard'"),
        ({"preset": "dcgan-cifar10", "data": "x", "settings": {"betas": ""}}, "betas must be two numbers"),
        ({"preset": "dcgan-cifar10", "data": "x", "settings": {"seed": "1" * 30}}, "seed"),
        ({"recipe": Path(__file__).parent}, "tests is a folder; name a file in it"),
        ({"recipe": Path(__file__)}, "is not a recipe"),
        ({"reproduce": Path(__file__)}, "is a file; give --reproduce the folder or the name of a weight"),
    ],
)
def test_the_command_says_what_is_missing(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(TrainingError, match=sentence):
        command.run(**given)


@pytest.mark.parametrize("threads", [0, 100_000])
def test_threads_are_so_many_as_can_be_of_use(threads: int) -> None:
    with pytest.raises(TrainingError, match="threads must lie between 1 and"):
        command.use_threads(threads)


def test_a_signal_ends_the_command_with_a_checkpoint(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [
        sys.executable,
        "-m",
        "genrestore.training",
        "dcgan-cifar10",
        "--data",
        str(pictures),
        "--licence",
        "own",
    ]
    process = subprocess.Popen([*command, "--out", str(out), "--steps", "100000", "--batch", "4"])
    try:
        waiting(Run(out), "training")
    finally:
        process.terminate()
    assert process.wait(60) == 0
    assert Run(out).status().state == "stopped" and state(out)["progress"]["step"] > 0


def test_bare_checkout_trains_without_the_application(tmp_path: Path, pictures: Path) -> None:
    """Only torch, numpy, pillow, safetensors and tqdm: how the loop reaches a rented GPU."""
    code = (
        "import sys\n"
        "for name in ('gradio', 'typer', 'huggingface_hub', 'openvino', 'torchvision', 'cv2', 'skimage', 'accelerate',\n"
        "             'tensorboard'):\n"
        "    sys.modules[name] = None\n"
        "from genrestore.training.command import main\n"
        f"data, out = {str(pictures)!r}, {str(tmp_path / 'run')!r}\n"
        "sys.argv = ['train', 'vae-clothing', '--data', data, '--licence', 'own', '--out', out, '--steps', '1', '--batch', '4']\n"
        "main()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    assert (tmp_path / "run" / "model.safetensors").is_file()
    assert checkpoint.read(tmp_path / "run")["progress"]["step"] == 1
