"""Several processes on one net, over a real gloo connection, started as users start them."""

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from genrestore.errors import TrainingError
from genrestore.training.command import main
from genrestore.training.distributed import Processes
from genrestore.training.runs import Run

pytest.importorskip("accelerate")

FIELDS = ("size=32", "optimizer=sgd", "lr=0.1", "schedule=constant", "warmup=0")
SETTINGS = ["--licence", "own", "--batch", "16", *(part for field in FIELDS for part in ("--set", field))]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "made.npz"
    np.savez(path, images=np.random.default_rng(0).integers(0, 256, (20, 72, 72, 3), dtype=np.uint8))
    return path


def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


TORCHRUN = [
    "-m",
    "torch.distributed.run",
    "--nproc-per-node",
    "2",
    "--master-port",
    "{port}",
    "-m",
    "genrestore.training",
]
ACCELERATE = [
    "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no",
    "--dynamo_backend", "no", "--main_process_port", "{port}", "-m", "genrestore.training",
]  # fmt: skip
ALONE: list[str] = []


def trained(launcher: list[str], data: Path, out: Path, *more: str) -> Path:
    """A run of span-x4 by that launcher; each process computes on one core."""
    options = ["span-x4", "--data", str(data), "--out", str(out), *SETTINGS, "--threads", "1", *more]
    if launcher == ALONE:  # here, which saves the start of a process
        threads = torch.get_num_threads()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["train", *options])
            main()
        torch.set_num_threads(threads)
        return out
    start = [part.format(port=port()) for part in launcher]
    done = subprocess.run([sys.executable, *start, *options], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return out


def state(run: Path) -> dict[str, Any]:
    return torch.load(run / "checkpoint.pt", weights_only=True)


def apart(a: Path, b: Path) -> float:
    """Largest difference of two runs' weights, as a share of the largest weight."""
    one, other = state(a)["net"], state(b)["net"]
    return max((one[key] - other[key]).abs().max().item() / one[key].abs().max().item() for key in one)


def losses(run: Path) -> dict[int, float]:
    """By step: the first, the last, and those that a slow machine logs in between."""
    return {line["step"]: line["losses"]["net"] for line in Run(run).log() if "losses" in line}


@pytest.fixture(scope="module")
def alone(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One process, the whole batch, six steps."""
    return trained(ALONE, pictures, tmp_path_factory.mktemp("alone") / "run", "--steps", "6")


@pytest.mark.parametrize(
    ("first", "second"), [(TORCHRUN, ALONE), (ALONE, ACCELERATE)], ids=["torchrun first", "accelerate second"]
)
def test_two_processes_equal_one(
    pictures: Path, alone: Path, tmp_path: Path, first: list[str], second: list[str]
) -> None:
    """Two processes with 8 pictures each do what one with 16 does, up to rounding, and either goes on where the other
    stopped; a step more or less is far away."""
    run = trained(first, pictures, tmp_path / "run", "--steps", "3")
    assert apart(alone, run) > 1e-3
    trained(second, pictures, run, "--steps", "6", "--resume")
    assert apart(alone, run) < 1e-5
    ours, whole = losses(run), losses(alone)
    both = ours.keys() & whole.keys()
    assert len(both) >= 2
    assert [ours[step] for step in both] == pytest.approx([whole[step] for step in both], rel=1e-5)
    steps = [line["step"] for line in Run(run).log() if "losses" in line]
    assert steps == sorted(set(steps)), "only the first process writes"


def test_rows_are_shared_equally(monkeypatch: pytest.MonkeyPatch) -> None:
    processes = Processes()
    assert processes.rows(8) == range(8) and processes.first
    processes.rank, processes.size = 2, 4
    assert processes.rows(8) == range(4, 6) and not processes.first
    with pytest.raises(TrainingError, match="a multiple of 4, for example --batch 12"):
        processes.rows(10)
