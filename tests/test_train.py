"""The loop: it learns, it can be killed at any moment, and it leaves a usable weight."""

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
import torch

from genrestore import runtime
from genrestore.card import Card
from genrestore.errors import TrainingError
from genrestore.models import find
from genrestore.models.dcgan import Config
from genrestore.train import Average, train

TINY = dataclasses.replace(find("dcgan-cifar10").recipe, steps=12, batch=8, licence="CC0")
CONFIG = Config(latent=8, width=8)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "made.npz"
    np.savez(path, images=np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8))
    return path


def losses(run: Path) -> dict[int, dict[str, float]]:
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text("utf-8").splitlines()]
    return {line["step"]: {key: line[key] for key in ("critic", "generator")} for line in lines}


def test_leaves_a_usable_weight(pictures: Path, tmp_path: Path) -> None:
    seen: list[int] = []
    run = train(TINY, pictures, tmp_path / "run", on_step=lambda step, numbers: seen.append(step), config=CONFIG)
    assert seen == list(range(12))
    card = Card.read(run)
    assert card.recipe["steps"] == 12 and card.data[0].count == 40 and card.data[0].licence == "CC0"
    model = runtime.load(f"file:{run}")
    assert model.decode(torch.zeros(1, 8)).shape == (1, 3, 32, 32)


def test_resumed_run_equals_an_uninterrupted_one(pictures: Path, tmp_path: Path) -> None:
    """Bit for bit: the weights after 7 + 5 steps are those after 12. Players, averages and noise all count."""
    whole = train(TINY, pictures, tmp_path / "whole", config=CONFIG)
    part = train(dataclasses.replace(TINY, steps=7), pictures, tmp_path / "part", config=CONFIG)
    train(TINY, pictures, part, resume=True, config=CONFIG)
    a = torch.load(whole / "checkpoint.pt", weights_only=True)
    b = torch.load(part / "checkpoint.pt", weights_only=True)
    for kind in ("net", "average"):
        assert all(torch.equal(a[kind][key], b[kind][key]) for key in a[kind]), kind
    assert losses(whole)[11] == losses(part)[11]


LOOP = """
import importlib, json, sys
from pathlib import Path
loop = importlib.import_module("genrestore.train")
from tests_train_settings import TINY, CONFIG
loop.CHECKPOINT_SECONDS = 0.0
run = Path(sys.argv[2])
def show(step, numbers):
    print(json.dumps([step, numbers]), flush=True)
loop.train(TINY, sys.argv[1], run, resume=(run / "checkpoint.pt").exists(), on_step=show, config=CONFIG)
"""


def test_killed_at_any_moment_it_goes_on_with_the_same_losses(pictures: Path, tmp_path: Path) -> None:
    """kill -9 three times, at moments that differ from run to run; every loss seen equals the uninterrupted run's."""
    straight: dict[int, dict[str, float]] = {}
    train(
        TINY,
        pictures,
        tmp_path / "straight",
        on_step=lambda step, numbers: straight.update({step: numbers}),
        config=CONFIG,
    )
    settings = "import dataclasses\nfrom genrestore.models import find\nfrom genrestore.models.dcgan import Config\n"
    settings += 'TINY = dataclasses.replace(find("dcgan-cifar10").recipe, steps=12, batch=8, licence="CC0")\n'
    settings += "CONFIG = Config(latent=8, width=8)\n"
    (tmp_path / "tests_train_settings.py").write_text(settings, "utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    command = [sys.executable, "-c", LOOP, str(pictures), str(tmp_path / "killed")]
    seen: dict[int, dict[str, float]] = {}
    for victim in range(4):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert process.stdout is not None
        for line in process.stdout:
            step, numbers = json.loads(line)
            assert numbers == straight[step], f"step {step} after {victim} kills"
            seen[step] = numbers
            if victim < 3 and step >= 3 * victim + 2:
                time.sleep(
                    0.005 * victim
                )  # into the middle of what follows the step: writing, the next batch, the next step
                process.send_signal(signal.SIGKILL)
                break
        process.stdout.close()
        process.wait(timeout=60)
    assert sorted(seen) == list(range(12))
    assert Card.read(tmp_path / "killed").recipe["steps"] == 12


def test_refusals(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no checkpoint"):
        train(TINY, pictures, tmp_path / "none", resume=True, config=CONFIG)
    run = train(dataclasses.replace(TINY, steps=2), pictures, tmp_path / "run", config=CONFIG)
    with pytest.raises(TrainingError, match="add --resume"):
        train(TINY, pictures, run, config=CONFIG)
    with pytest.raises(TrainingError, match="another lr"):
        train(dataclasses.replace(TINY, lr=1.0), pictures, run, resume=True, config=CONFIG)


def test_decayed_run_cannot_be_stretched(pictures: Path, tmp_path: Path) -> None:
    """Once the learning rate has fallen, a later end would make it jump."""
    recipe = dataclasses.replace(TINY, steps=10, schedule="trapezoid")
    run = train(recipe, pictures, tmp_path / "run", config=CONFIG)
    with pytest.raises(TrainingError, match="would jump"):
        train(dataclasses.replace(recipe, steps=20), pictures, run, resume=True, config=CONFIG)


def test_a_loss_that_is_no_number_keeps_the_last_checkpoint(pictures: Path, tmp_path: Path) -> None:
    recipe = dataclasses.replace(TINY, lr=1e30)
    with pytest.raises(TrainingError, match="no longer a number"):
        train(recipe, pictures, tmp_path / "run", on_step=lambda step, numbers: None, config=CONFIG)


def test_average_forgets_the_start() -> None:
    net = torch.nn.Linear(2, 2)
    average = Average(net, 0.999)
    with torch.no_grad():
        net.weight.fill_(5.0)
    for step in range(200):
        average.update(net, step)
    assert (average.net.weight - 5).abs().max() < 0.05  # type: ignore[operator]


def test_bare_checkout_trains_without_the_application(tmp_path: Path, pictures: Path) -> None:
    """Only torch, numpy, pillow, safetensors and tqdm: how the loop reaches a rented GPU."""
    code = (
        "import sys\n"
        "for name in ('gradio', 'typer', 'huggingface_hub', 'openvino', 'torchvision', 'cv2', 'skimage'):\n"
        "    sys.modules[name] = None\n"
        "from genrestore.train import main\n"
        f"data, out = {str(pictures)!r}, {str(tmp_path / 'run')!r}\n"
        "sys.argv = ['train', 'vae-clothing', '--data', data, '--out', out, '--steps', '1', '--batch', '4']\n"
        "main()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    assert (tmp_path / "run" / "model.safetensors").is_file()
