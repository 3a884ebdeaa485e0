"""What recorded steps gain on a GPU: a training step as it runs, recorded, and alone without the loop around it.

    python benchmarks/graphs.py            # on a machine with a CUDA GPU; about a minute

For each row: milliseconds a step of the whole loop (batches, average, logging) with recorded steps, of the loop without recording,
and of the recording alone, repeated on one batch. The pictures are random; a step does not depend on what they show.
"""

import dataclasses
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genrestore.models import find
from genrestore.recipe import TrainRecipe
from genrestore.runs import Run
from genrestore.train import loop, train

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

    def told(step: int, _: dict[str, float]) -> None:
        times[step] = time.perf_counter()

    train(recipe, source, out, on_step=told)
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
    players = loop.Players(preset, preset.config, recipe, loop.World(), recipe.precision)
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


def main() -> None:
    if not torch.cuda.is_available():
        raise SystemExit("This measures a CUDA GPU, and there is none.")
    results: dict[str, Any] = {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__}
    graphs = loop.Players.__init__

    def plain(self: Any, *arguments: Any) -> None:
        graphs(self, *arguments)
        self.graphs = None

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        os.environ["GENRESTORE_HOME"] = str(folder / "home")
        for name, (preset, changes) in ROWS.items():
            if len(sys.argv) > 1 and not any(word in name for word in sys.argv[1:]):
                continue
            usual = find(preset).recipe
            recipe = dataclasses.replace(usual, **changes, steps=STEPS, licence="CC0-1.0", warmup=10)
            whole = usual.degrade == "none"
            source = made(recipe.size if whole else 320, 512 if whole else 48, folder)
            row: dict[str, Any] = {}
            row["loop"], row["loader"], row["said"] = looped(recipe, source, folder / f"{name}-recorded")
            setattr(loop.Players, "__init__", plain)  # noqa: B010
            try:
                row["not recorded"], _, _ = looped(
                    dataclasses.replace(recipe, steps=251), source, folder / f"{name}-plain"
                )
            finally:
                setattr(loop.Players, "__init__", graphs)  # noqa: B010
            row["alone"] = alone(recipe)
            row["loop / alone"] = row["loop"] / row["alone"]
            results[name] = {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}
            print(name, json.dumps(results[name], ensure_ascii=False), flush=True)
    print(json.dumps(results, ensure_ascii=False))


if __name__ == "__main__":
    main()
