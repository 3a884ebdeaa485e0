"""Whether a batch fits."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from genrestore.errors import TrainingError
from genrestore.models import find
from genrestore.training import memory

PAIR = {"image": torch.rand(2, 3, 96, 96), "low": torch.rand(2, 3, 24, 24)}


def test_more_rows_need_more(monkeypatch: pytest.MonkeyPatch) -> None:
    preset = find("span-x4")
    net = preset.net(preset.config)
    kept = memory.kept_bytes(net, preset.recipe, PAIR)
    double = {key: value.repeat(2, 1, 1, 1) for key, value in PAIR.items()}
    assert memory.kept_bytes(net, preset.recipe, double) == pytest.approx(2 * kept, rel=0.05)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    monkeypatch.setattr(memory, "available", lambda device: 1e9)
    memory.check(net, preset.recipe, PAIR, 4, torch.device("cpu"))
    with pytest.raises(
        TrainingError, match=r"A batch of 4000 needs about [\d.]+ GB and 1\.0 GB are free; take at most \d+"
    ) as told:
        memory.check(net, preset.recipe, PAIR, 4000, torch.device("cpu"))
    most = int(str(told.value).split("--batch ")[1].split(")")[0])
    memory.check(net, preset.recipe, PAIR, most, torch.device("cpu"))
    with pytest.raises(TrainingError):
        memory.check(net, preset.recipe, PAIR, most + 1, torch.device("cpu"))
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


PEAK = """
import dataclasses, sys, torch
from genrestore.models import find
from genrestore.training import memory
def peak(): return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
rows = int(sys.argv[1])
preset = find("vae-clothing")
net = preset.net(preset.config)
recipe = dataclasses.replace(preset.recipe, optimizer="gd")
phase = net.phases(recipe)[0]
def step(rows):
    phase.loss({"image": torch.rand(rows, 3, 64, 64), "step": torch.tensor(0)}).backward()
step(2)
before = peak()
step(rows)
kept = memory.kept_bytes(net, recipe, {"image": torch.rand(2, 3, 64, 64)}) / 2
print(peak() - before, memory.ROOM * kept * rows)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's account of a process")
def test_the_estimate_is_near_what_a_step_takes() -> None:
    """Within a factor of two of the real growth of a process, so that neither a good batch is refused nor a bad one begun."""
    done = subprocess.run([sys.executable, "-c", PEAK, "48"], check=True, capture_output=True, text=True, timeout=120)
    real, estimate = map(float, done.stdout.split())
    assert real / 2 < estimate < real * 2, (real, estimate)


def test_this_machine_has_some() -> None:
    assert memory.available(torch.device("cpu")) > 1e8


def test_where_nothing_fits_the_advice_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """No weight fits: another advice than a smaller batch."""
    preset = find("span-x4")
    monkeypatch.setattr(memory, "available", lambda device: 1e3)
    with pytest.raises(TrainingError, match="lower the recipe's size"):
        memory.check(preset.net(preset.config), dataclasses.replace(preset.recipe), PAIR, 4, torch.device("cpu"))
