"""What a GPU does here. Needs torch, numpy, Pillow and safetensors alone, and takes seconds.

    python benchmarks/gpu.py              # all of it
    python benchmarks/gpu.py inference    # enlarging

Figures are medians of several runs after one that does not count. The last line is JSON.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # a bare checkout will do

import numpy as np
import torch

from genrestore import runtime
from genrestore.image import Picture
from genrestore.tasks.upscale import upscale

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


PARTS = {"inference": inference}


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
