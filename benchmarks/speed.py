"""How fast it is: enlarging, repair, start-up and memory on this machine. Ratios travel between machines, seconds do not.

    python benchmarks/speed.py                 # everything but the browser; a few minutes
    python benchmarks/speed.py upscale start   # some of it
    python benchmarks/speed.py --write         # also into benchmarks/results/speed.json

`benchmarks/slider.py` measures the slider. Each figure is the median of several runs after a warm-up; memory is the largest
resident size of a process of its own. The matrix rates printed first say what machine it was. The last line is JSON.
"""

import argparse
import dataclasses
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import genrestore
from genrestore import backends, runtime, weights
from genrestore.pictures import image
from genrestore.pictures.image import Picture
from genrestore.pipelines import candidates, inpaint
from genrestore.training.runs import Run

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results" / "speed.json"
LOW = (320, 480)  # height and width of the small picture in the enlarging rows
HOLES = (50, 100, 200, 400, 1000)  # pixels a side
CARDS = 200  # models that lie here
WIDE = (100, 200, 400)  # of which other fills are offered
MEGAPIXELS_12 = (3000, 4000)


def median(action: Callable[[], object], runs: int = 5) -> float:
    """Seconds of the middle run, after one that does not count."""
    action()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def matrix_rates() -> dict[str, float]:
    """GFLOP/s of a 2048² matrix product in each dtype: what this machine is worth."""
    rates = {}
    for dtype in (torch.bfloat16, torch.float32):
        a = torch.randn(2048, 2048).to(dtype)
        rates[str(dtype).removeprefix("torch.")] = round(2 * 2048**3 / median(lambda a=a: a @ a) / 1e9, 1)
    return rates


def photo(height: int, width: int) -> Picture:
    """A photo-like picture: an example enlarged, with fresh grain."""
    source = image.load(ROOT / "genrestore/ui/examples/nyc.jpg")
    large = source.pil().resize((width, height))
    grain = np.random.default_rng(0).normal(0, 4, (height, width, 1))
    return Picture(np.clip(np.asarray(large) + grain, 0, 255).astype(np.uint8), format="JPEG")


def upscale() -> dict[str, float]:
    """Result megapixels a second over 480×320: of the net alone in each way to run it, of its run, of the whole call."""
    picture = photo(*LOW)
    tensor = image.to_tensor(picture)
    megapixels = LOW[0] * LOW[1] * 16 / 1e6
    rows: dict[str, float] = {}
    models = {
        precision: runtime.load("auto", task="upscale", precision=precision, pixels=runtime.MEASURED_FROM)
        for precision in ("exact", "fast")
    }
    bodies = backends.Bodies(models["exact"].net, torch.get_num_threads())
    ways = {way: body for way in backends.WAYS if (body := bodies.of(way)) is not None}
    times: dict[str, list[float]] = {way: [] for way in ways}
    with torch.inference_mode():
        for _ in range(ROUNDS):  # in turns, since the machine's speed moves
            for way, body in ways.items():
                times[way].append(median(lambda body=body: body(tensor), 1))
    for way in ways:
        rows[f"net alone, {way}"] = round(megapixels / statistics.median(times[way]), 2)
    pictures: dict[str, torch.Tensor] = {}
    for precision, model in models.items():
        rows[f"{model.backend} ({precision})"] = round(
            megapixels / median(lambda m=model: list(runtime.rows(m, tensor))), 2
        )
        pictures[precision] = torch.cat(list(runtime.rows(model, tensor)), -2)
    difference = (pictures["exact"] - pictures["fast"]).abs().max().item() * 255
    rows["largest difference between them, levels of 255"] = round(difference, 3)
    rows["whole call, fast"] = round(megapixels / median(lambda: genrestore.upscale(picture, 4), 3), 2)
    return rows


def repair() -> dict[str, float]:
    """Seconds from JPEG file to JPEG file of 12 megapixels, by the side of the hole."""
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "photo.jpg", Path(folder) / "repaired.jpg"
        image.save(photo(*MEGAPIXELS_12), source)
        for side in HOLES:
            mask = np.zeros(MEGAPIXELS_12, bool)
            mask[1000 : 1000 + side, 1500 : 1500 + side] = True

            def whole(mask: np.ndarray = mask) -> None:
                image.save(genrestore.inpaint(image.load(source), mask), target)

            rows[f"hole {side}×{side}"] = round(median(whole, 3), 2)
    return rows


def fills() -> dict[str, float]:
    """Seconds from a wide hole in 12 megapixels that is repaired to all its other fills, which the page shows under its stage."""
    rows = {}
    source = photo(*MEGAPIXELS_12)
    others = [kind for kind in candidates.KINDS if kind != "pieces"]  # which is the one that is shown
    for side in WIDE:
        mask = np.zeros(MEGAPIXELS_12, bool)
        mask[1000 : 1000 + side, 1500 : 1500 + side] = True
        (part,) = inpaint.planned(source, mask, "auto", None)

        def all_others(mask: np.ndarray = mask, part: inpaint.Part = part) -> None:
            for _ in candidates.candidates(source, mask, part, kinds=others):
                pass

        rows[f"the other fills of a hole {side}×{side}"] = round(median(all_others, 3), 2)
    return rows


JOBS = {
    "repair of 12 MP, hole 200×200": """
import numpy as np, genrestore
from genrestore.pictures import image
mask = np.zeros((3000, 4000), bool); mask[1000:1200, 1500:1700] = True
image.save(genrestore.inpaint(image.load(source), mask), target)
""",
    "6 MP × 4": """
import genrestore
from genrestore.pictures import image
image.save(genrestore.upscale(image.load(source), 4), target)
""",
}


# Not getrusage's ru_maxrss: a new process begins with that of the one that started it.
PEAK = "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"


def memory() -> dict[str, float]:
    """Largest resident size in GB of a process that does one job from file to file, and its seconds from a cold start."""
    rows = {}
    for name, job in JOBS.items():
        size = MEGAPIXELS_12 if "12 MP" in name else (2000, 3000)
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder) / "photo.jpg", Path(folder) / "result.jpg"
            image.save(photo(*size), source)
            code = f"source, target = {str(source)!r}, {str(target)!r}\n{job}\n{PEAK}"
            start = time.perf_counter()
            done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
            rows[f"{name}, s from cold"] = round(time.perf_counter() - start, 1)
            rows[f"{name}, GB"] = round(int(done.stdout.split()[-1]) * 1024 / 1e9, 2)
    return rows


def opened(home: str | None = None) -> float:
    """Seconds from `python app.py` to the first page, with that folder as GENRESTORE_HOME."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    setting = os.environ | ({"GENRESTORE_HOME": home} if home else {})
    begin = time.perf_counter()
    app = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(port), "--no-browser"],
        cwd=ROOT,
        env=setting,
        stdout=subprocess.DEVNULL,
    )
    try:
        while time.perf_counter() - begin < 60:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as page:
                    page.read()
                break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.02)
        return time.perf_counter() - begin
    finally:
        app.kill()
        app.wait()


def start() -> dict[str, float]:
    """Seconds from `python app.py` to the first page, and what a cold net adds to the first picture."""
    waits = [opened() for _ in range(3)]
    rows = {"python app.py to the first page, s": round(statistics.median(waits), 2)}
    for card in genrestore.list_models("sample"):
        code = (
            "import time, torch, genrestore\nfrom genrestore.pipelines import sample\nstart = time.perf_counter()\n"
            f"genrestore.sample({card.name!r}); print(time.perf_counter() - start)"
        )
        times = [
            float(
                subprocess.run(
                    [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT
                ).stdout
            )
            for _ in range(3)
        ]
        rows[f"first picture of {card.name}, s after torch"] = round(statistics.median(times), 2)
    return rows


def laid(home: Path, count: int) -> str:
    """A home with that many models, half of them as if pulled; their weights are one file."""
    shipped = ROOT / "weights" / "vae-mnist"
    card = json.loads((shipped / "card.json").read_text("utf-8"))
    for number in range(count):
        folder = home / (f"weights/own-{number}" if number % 2 else f"pulled/ann--net-{number}")
        folder.mkdir(parents=True)
        (folder / "model.safetensors").symlink_to(shipped / "model.safetensors")
        told = card | {"name": f"net-{number}", "revision": "" if number % 2 else f"{number:040x}"}
        (folder / "card.json").write_text(json.dumps(told), "utf-8")
    home.mkdir(exist_ok=True)
    return str(home)


SLIDER = """
import statistics, time
from genrestore.ui.tabs.sample import tab
state = {"model": "vae-mnist", "seed": 1}
times = []
for seed in range(220):
    start = time.perf_counter()
    tab.picture(state | {"seed": seed})
    times.append(time.perf_counter() - start)
print(1000 * statistics.median(times[20:]))
"""
FIRST = """
import time, torch, genrestore
from genrestore.pipelines import sample
start = time.perf_counter()
genrestore.sample("ten")
print(time.perf_counter() - start)
"""


def shelf() -> dict[str, float]:
    """What models that lie here cost those who do not use them; with and without take turns, since the machine's speed moves."""
    from genrestore.card import Card
    from genrestore.models import dcgan

    rows: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as place:
        homes = {count: laid(Path(place) / str(count), count) for count in (0, CARDS)}
        ask = {
            "python app.py to the first page, s": opened,
            "`genrestore models`, s": lambda home: timed(["-m", "genrestore", "models"], home),
            "a picture of the slider, ms": lambda home: float(printed(["-c", SLIDER], home)[-1]),
        }
        for what, measure in ask.items():
            taken: dict[int, list[float]] = {count: [] for count in homes}
            for _ in range(ROUNDS):
                for count, home in homes.items():
                    taken[count].append(measure(home))
            rows |= {f"{what}, {count} models": round(statistics.median(times), 2) for count, times in taken.items()}
        net = dcgan.DCGAN(dcgan.Config(width=78))
        card = Card("ten", "sample", "DCGAN", dataclasses.asdict(net.config), 0, "", "", (), {})
        size = weights.save(net, card, Path(homes[0]) / "weights" / "ten", half=False).weights.stat().st_size
        seconds = statistics.median(float(printed(["-c", FIRST], homes[0])[-1]) for _ in range(ROUNDS))
        rows[f"first picture of a net of {size / 1e6:.0f} MB, s after torch"] = round(seconds, 2)
    return rows


def timed(code: list[str], home: str) -> float:
    """Seconds that another Python takes."""
    begin = time.perf_counter()
    printed(code, home)
    return time.perf_counter() - begin


TRAIN = """
import dataclasses, statistics, sys, time
from genrestore.models import find
from genrestore.training.loggers import Logger
from genrestore.training.train import train
source, out, model, steps = sys.argv[1:5]
fields = dict(licence="unknown", steps=int(steps), **eval(sys.argv[5]))
times = []
class Times(Logger):
    def step(self, step, losses):
        times.append(time.perf_counter())
train(dataclasses.replace(find(model).recipe, **fields), source, out, loggers=[Times()])
print(fields["batch"] / statistics.median(b - a for a, b in zip(times[3:], times[4:])))
"""
CIFAR = ROOT.parent / "shared" / "data" / "small" / "cifar10.npz"
ROUNDS = 5  # textbook and ours take turns, since the machine's speed moves; so do homes with and without models
STEPS, LONG = 40, 700  # of a round; of the run whose shares are told
LARGE, SMALL = 4.0, 0.5  # GB of the generated sets


def printed(code: list[str], home: str) -> list[str]:
    """The lines that another Python prints."""
    surroundings = {**os.environ, "GENRESTORE_HOME": home, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *code], check=True, capture_output=True, text=True, cwd=ROOT, env=surroundings
    )
    return done.stdout.split()


def train() -> dict[str, float]:
    """DCGAN on CIFAR-10's files at batch 128 against the textbook's loop; what else a run spends time on; its memory."""
    rows: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "files" / "all"
        files.mkdir(parents=True)
        with np.load(CIFAR) as packed:
            data, offsets = packed["train_jpeg"].tobytes(), packed["train_offsets"]
        for k in range(len(offsets) - 1):
            (files / f"{k:05d}.jpg").write_bytes(data[offsets[k] : offsets[k + 1]])
        fields = repr({"batch": 128, "precision": "auto"})
        book, ours = [], []
        for turn in range(ROUNDS):
            book.append(float(printed(["benchmarks/textbook.py", str(files.parent), str(STEPS)], folder)[-1]))
            code = ["-c", TRAIN, str(files.parent), f"{folder}/run{turn}", "dcgan-cifar10", str(STEPS), fields]
            ours.append(float(printed(code, folder)[-1]))
        rows["textbook loop, pictures a second"] = round(statistics.median(book))
        rows["our loop, pictures a second"] = round(statistics.median(ours))
        rows["ratio"] = round(statistics.median(ours) / statistics.median(book), 2)
        printed(["-c", TRAIN, str(files.parent), f"{folder}/long", "dcgan-cifar10", str(LONG), fields], folder)
        shares = next(line["shares"] for line in Run(Path(folder) / "long").log() if "shares" in line)
        rows["share of the time that waits for the loader, %"] = round(100 * shares["loader"], 2)
        rows["share of the time that writes checkpoints, %"] = round(100 * shares["checkpoints"], 2)
        rows["share of the time that draws and compares pictures, %"] = round(100 * shares["pictures"], 2)
    return rows | streaming()


def streaming() -> dict[str, float]:
    """Largest resident size of a training of span-x4 by the size of its data set, both sets of 512×512 pictures in one .npy."""
    rows: dict[str, float] = {}
    for size in (SMALL, LARGE):
        with tempfile.TemporaryDirectory() as folder:
            count = int(size * 1e9 / (512 * 512 * 3))
            made = np.lib.format.open_memmap(f"{folder}/made.npy", "w+", np.uint8, (count, 512, 512, 3))
            noise = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)
            for k in range(count):
                made[k] = np.roll(noise, k, 0)
            del made
            code = ["-c", TRAIN + PEAK, f"{folder}/made.npy", f"{folder}/run", "span-x4", "60", repr({"batch": 4})]
            rows[f"largest memory with a set of {size:g} GB, GB"] = round(
                int(printed(code, folder)[-1]) * 1024 / 1e9, 2
            )
    return rows


PARTS = {
    "upscale": upscale, "repair": repair, "fills": fills, "memory": memory, "start": start, "shelf": shelf, "train": train,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], help=", ".join(PARTS))
    parser.add_argument("--write", action="store_true", help="write benchmarks/results/speed.json")
    given = parser.parse_args()
    rates = matrix_rates()
    print("Matrix product, GFLOP/s: " + ", ".join(f"{name} {rate:g}" for name, rate in rates.items()))
    result: dict[str, object] = {
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "matrix": rates,
    }
    units = {"upscale": "MP/s of the result", "repair": "s", "fills": "s"}
    for name in given.part or PARTS:
        rows = PARTS[name]()
        result[name] = rows
        print(f"\n| {name} | {units.get(name, '')} |\n|---|---|")
        print("\n".join(f"| {key} | {value:g} |" for key, value in rows.items()), flush=True)
    print(json.dumps(result, ensure_ascii=False))
    if given.write:
        earlier = json.loads(RESULTS.read_text("utf-8")) if given.part else {}
        result = {**earlier, **result}
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
