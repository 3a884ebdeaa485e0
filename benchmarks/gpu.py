"""What a GPU does here. Needs torch, numpy, Pillow and safetensors alone, and takes seconds.

    python benchmarks/gpu.py              # all of it
    python benchmarks/gpu.py inference    # enlarging
    python benchmarks/gpu.py training     # steps as recorded CUDA graphs; about a minute

Training: milliseconds a step of the whole loop (batches, average, logging) with recorded steps, of the loop without
recording, and of the recorded step alone, repeated on one batch. The pictures are random: a step does not depend on them.
Figures are medians of several runs after one that does not count. The last line is JSON.
"""

import argparse
import dataclasses
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[1]))  # a bare checkout will do

import numpy as np
import torch

from genrestore import runtime
from genrestore.models import find
from genrestore.pictures.image import Picture
from genrestore.pipelines.upscale import upscale
from genrestore.recipe import TrainRecipe
from genrestore.training import loop
from genrestore.training.loggers import Logger
from genrestore.training.runs import Run
from genrestore.training.train import torch_flags, train

SHIPPED = Path(__file__).parents[1] / "weights"
MEGAPIXELS_12 = (3000, 4000)


def median(action: Callable[[], object], runs: int = 3) -> float:
    """Seconds of the middle run, after one that does not count."""
    action()
    times: list[float] = []
    for _ in range(runs):
        torch.cuda.synchronize()
        start = time.perf_counter()
        action()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def samples(height: int, width: int) -> np.ndarray:
    """(H, W, 3) uint8: smooth shapes with grain."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    planes = np.stack([np.sin(x / 37 + k) * np.cos(y / 53 - k) for k in range(3)], -1)
    grain = np.random.default_rng(0).normal(0, 6, (height, width, 1)).astype(np.float32)
    return np.clip(127 + 90 * planes + grain, 0, 255).astype(np.uint8)


def inference() -> dict[str, float]:
    """Enlarging 12 megapixels four times with span-x4, samples in, samples out."""
    reference = f"file:{SHIPPED / 'span-x4'}"
    pixels = samples(*MEGAPIXELS_12)
    megapixels = 16 * pixels.shape[0] * pixels.shape[1] / 1e6
    into = np.empty((4 * pixels.shape[0], 4 * pixels.shape[1], 3), np.uint8)
    rows: dict[str, float] = {}
    for precision in ("fast", "exact"):
        model = runtime.load(reference, precision=precision, task="upscale")
        seconds = median(lambda model=model: runtime.enlarge(model, pixels, into))
        rows[f"{model.backend}, samples to samples, MP/s of the result"] = round(megapixels / seconds, 1)
    model = runtime.load(reference, task="upscale")
    image = torch.from_numpy(pixels[:1024, :1024]).cuda().permute(2, 0, 1)[None]
    seconds = median(lambda: model.on_device(image))
    rows["net alone, one tile of 1024², MP/s of the result"] = round(16 * 1024**2 / 1e6 / seconds, 1)
    picture = Picture(pixels)
    seconds = median(lambda: upscale(picture, 4, model=reference))
    rows["the call genrestore.upscale, MP/s of the result"] = round(megapixels / seconds, 1)

    small = np.ascontiguousarray(pixels[:200, :280])
    results = {precision: np.empty((800, 1120, 3), np.uint8) for precision in ("fast", "exact")}
    for precision, result in results.items():
        runtime.enlarge(runtime.load(reference, precision=precision), small, result)
    plain = runtime.Model(model.card, runtime.weights.load_net(model.card.weights), torch.device("cpu"), "torch fp32")
    right = np.empty_like(results["fast"])
    runtime.enlarge(plain, small, right)
    for precision, result in results.items():
        differences = np.abs(result.astype(np.int16) - right)
        rows[f"{precision}: largest difference to a processor's float32, levels of 255"] = int(differences.max())
        rows[f"{precision}: mean difference"] = round(float(differences.mean()), 4)
    rows["largest memory of the GPU, GB"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
    return rows


ROWS = {
    "DCGAN, batch 32": ("dcgan-cifar10", {"batch": 32}),
    "DCGAN, batch 128": ("dcgan-cifar10", {"batch": 128}),
    "span-x4, 64 × 192², bf16": ("span-x4", {"batch": 64, "size": 192, "crops": 2, "precision": "bf16"}),
    "residual-fill, 32 × 192², bf16": ("residual-fill", {"batch": 32, "size": 192, "precision": "bf16"}),
    "restore-photo, 64 × 128², bf16": ("restore-photo", {"batch": 64, "size": 128, "precision": "bf16"}),
}  # fmt: skip
STEPS, SKIPPED = 501, 100


def made(side: int, count: int, folder: Path) -> Path:
    path = folder / f"made-{side}.npz"
    np.savez(path, images=np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8))
    return path


def looped(recipe: TrainRecipe, source: Path, out: Path) -> tuple[float, float, str]:
    """Milliseconds a step, the loader's share, and what the run said of its recording."""
    times: dict[int, float] = {}

    class Times(Logger):
        def step(self, step: int, losses: dict[str, float]) -> None:
            times[step] = time.perf_counter()

    train(recipe, source, out, loggers=[Times()])
    steps = sorted(step for step in times if step >= SKIPPED)
    lines = Run(out).log()
    events = " ".join(line["event"] for line in lines if "recorded" in line.get("event", ""))
    shares = next((line["shares"] for line in lines if "shares" in line), {})
    return (
        1000 * (times[steps[-1]] - times[steps[0]]) / (steps[-1] - steps[0]),
        float(shares.get("loader", 0.0)),
        events,
    )


def alone(recipe: TrainRecipe, rows: int = 300) -> float:
    """Milliseconds of the recorded step, repeated."""
    preset = find(recipe.model)
    players = loop.Players(preset, preset.config, recipe, loop.Processes(), recipe.precision)
    side = recipe.size
    batch = {"image": torch.rand(recipe.batch, 3, side, side)}
    if recipe.degrade.startswith("holes"):
        batch["mask"] = (torch.rand(recipe.batch, 1, side, side) < 0.05).float()
    elif recipe.degrade != "none":
        scale = 4 if recipe.degrade.startswith("shrink:4") else 1
        batch |= {
            "low": torch.rand(recipe.batch, 3, side // scale, side // scale),
            "levels": torch.rand(recipe.batch, 3),
        }
    for step in range(1, 8):  # R1's turn, where there is one, is not in this recording
        players.step(step, batch, recipe.lr)
    assert players.graphs is not None
    if players.graphs.refused:
        return float("nan")
    (recorded,) = players.graphs.recorded.values()
    torch.cuda.synchronize()
    begun = time.perf_counter()
    for _ in range(rows):
        recorded.graph.replay()
    torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - begun) / rows


def training() -> dict[str, object]:
    rows: dict[str, object] = {}
    usual = loop.Players.__init__

    def unrecorded(self: Any, *arguments: Any) -> None:
        usual(self, *arguments)
        self.graphs = None

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        os.environ["GENRESTORE_HOME"] = str(folder / "home")
        for name, (preset, changes) in ROWS.items():
            plain = find(preset).recipe
            recipe = dataclasses.replace(plain, **changes, steps=STEPS, licence="CC0-1.0", warmup=10)
            whole = plain.degrade == "none"
            source = made(recipe.size if whole else 320, 512 if whole else 48, folder)
            recorded, loader, refused = looped(recipe, source, folder / f"{name}-recorded")
            with mock.patch.object(loop.Players, "__init__", unrecorded):
                one_by_one, _, _ = looped(dataclasses.replace(recipe, steps=251), source, folder / f"{name}-plain")
            with torch_flags(recipe):  # at the same precision
                bare = alone(recipe)
            rows[f"{name}: recorded, ms a step"] = recorded
            rows[f"{name}: not recorded, ms a step"] = one_by_one
            rows[f"{name}: the recorded step alone, ms"] = bare
            rows[f"{name}: recorded / alone"] = recorded / bare
            rows[f"{name}: share of the time that waits for the loader, %"] = 100 * loader
            if refused:
                print(name, refused, file=sys.stderr)
    return rows


PARTS = {"inference": inference, "training": training}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], help=", ".join(PARTS))
    given = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("There is no CUDA GPU here.")
    result: dict[str, object] = {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__}
    for name in given.part or PARTS:
        rows = PARTS[name]()
        result[name] = rows
        print(f"\n| {name} on {torch.cuda.get_device_name()} | |\n|---|---|")
        print("\n".join(f"| {key} | {value:g} |" for key, value in rows.items()), flush=True)
    print(json.dumps(result, ensure_ascii=False))


if __name__ == "__main__":
    main()
