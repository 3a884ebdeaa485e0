"""A new task and new kinds of nets are one file: training, card, command line and page take them as they are."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]

NETS = '''
"""Four nets of kinds that no shipped one is, and a task that is not there."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genrestore.card import SizeRule
from genrestore.nets import losses, optimizers
from genrestore.recipe import Phase, TrainRecipe
from genrestore.registry import register
from genrestore.setting import setting
from genrestore.tasks.task import ImageToImage, enter

QUICK = {"steps": 6, "batch": 4, "augment": (), "lr": 1e-2, "ema": 0.0}


@dataclass(frozen=True)
class Config:
    channels: int = 3
    finished: bool = False


# --- a sampler that reads a text --------------------------------------------------------------------------------------


@register("toy-sampler", task="sample", config=Config(), recipe=TrainRecipe(size=16, **QUICK), title="Toy sampler")
class Sampler(nn.Module):
    @dataclass(frozen=True)
    class Conditions:
        text: str = setting("", "What to draw.", "Text", "main")

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config, self.latent, self.size_rule = config, 4, SizeRule(16, 16)
        self.words = nn.Embedding(256, 8)
        self.paint = nn.Linear(12, 3 * 16 * 16)

    def decode(self, z: Tensor, text: Tensor | None = None) -> Tensor:
        text = torch.zeros(len(z), 128, dtype=torch.uint8) if text is None else text
        said = self.words(text.long()).mean(1)
        return torch.sigmoid(self.paint(torch.cat([z, said], 1))).view(-1, 3, 16, 16)

    def phases(self, recipe: TrainRecipe) -> list[Phase]:
        def loss(batch: dict[str, Tensor]) -> Tensor:
            image = batch["image"]
            return losses.l2(self.decode(torch.randn(len(image), 4), batch["text"]), image)

        return [Phase("net", optimizers.build(recipe, self), loss)]


# --- a restorer that works in steps, and sees the further the more it does -----------------------------------------------


@dataclass(frozen=True)
class Own:
    gain: float = setting(1.0, "Of the first step.", "Gain", "losses", within="(0, 2]")


@register(
    "toy-steps", task="restore", config=Config(), own=Own,
    recipe=TrainRecipe(frame="crop", size=16, degrade="noise:25", **QUICK), title="Toy restorer",
)
class Steps(nn.Module):
    @dataclass(frozen=True)
    class Conditions:
        steps: int = setting(2, "How often it looks.", "Steps", "main", within="[1, 8]")

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.look = nn.Conv2d(3, 3, 3, padding=1)

    def size_rule(self, steps: int = 2) -> SizeRule:
        return SizeRule(receptive=steps)

    def steps(self, image: Tensor, steps: int = 2) -> Iterator[Tensor]:
        for _ in range(steps):
            image = image + 0.1 * self.look(image)
            yield image

    def forward(self, image: Tensor, steps: int = 2) -> Tensor:
        *_, last = self.steps(image, steps)
        return last

    def phases(self, recipe: TrainRecipe) -> list[Phase]:
        gain = recipe.part(Own).gain

        def loss(batch: dict[str, Tensor]) -> Tensor:
            return gain * losses.l1(self(batch["low"]), batch["image"])

        return [Phase("net", optimizers.build(recipe, self), loss)]


# --- a codec whose tables are made when it is kept, and its task -------------------------------------------------------


@enter
class Coding(ImageToImage):
    name = "toy-code"
    title = "Code"
    wish = "To make pictures small"
    help = "Show what a code leaves of a picture."
    done = "coded"


@register("toy-codec", task="toy-code", config=Config(), recipe=TrainRecipe(frame="crop", size=16, **QUICK), title="Toy codec")
class Codec(nn.Module):
    exact = ("scale",)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config, self.size_rule = config, SizeRule(2, 2, 2)
        self.inward = nn.Conv2d(3, 12, 2, 2)
        self.outward = nn.ConvTranspose2d(12, 3, 2, 2)
        self.register_buffer("scale", torch.tensor(100.00001))
        if config.finished:
            self.register_buffer("table", torch.zeros(256, dtype=torch.int64))

    def forward(self, image: Tensor) -> Tensor:
        code = self.inward(image) * self.scale
        return self.outward((code + (code.round() - code).detach()) / self.scale)

    def finish(self) -> "Codec":
        kept = Codec(replace(self.config, finished=True))
        kept.load_state_dict(self.state_dict(), strict=False)
        kept.table += 2**40 + torch.arange(256)
        return kept

    def phases(self, recipe: TrainRecipe) -> list[Phase]:
        def loss(batch: dict[str, Tensor]) -> Tensor:
            return losses.l2(self(batch["image"]), batch["image"])

        return [Phase("net", optimizers.build(recipe, self), loss)]


# --- a generator of grey pictures that is called as another net is ------------------------------------------------------


@register("toy-grey", task="sample", config=Config(channels=1), recipe=TrainRecipe(size=16, **QUICK), title="Toy grey")
class VAE(nn.Module):
    architecture = "toy-vae"

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config, self.latent, self.size_rule = config, 4, SizeRule(16, 16)
        self.paint = nn.Linear(4, 16 * 16)

    def decode(self, z: Tensor) -> Tensor:
        return torch.sigmoid(self.paint(z)).view(-1, 1, 16, 16)

    def phases(self, recipe: TrainRecipe) -> list[Phase]:
        def loss(batch: dict[str, Tensor]) -> Tensor:
            return losses.l2(self.decode(torch.randn(len(batch["image"]), 4)), batch["image"])

        return [Phase("net", optimizers.build(recipe, self), loss)]
'''

USE = """
import json, sys
from pathlib import Path
from types import SimpleNamespace
import numpy as np
import torch
import toys
import gradio as gr
from gradio import utils
from PIL import Image
import genrestore
from genrestore import runtime, weights
from genrestore.cli import main as command
from genrestore.training import runs
from genrestore.training.command import run as train

data, home = Path(sys.argv[1]), Path(sys.argv[2])
told = {}

def call(*arguments):
    try:
        command.main(list(arguments))
    except SystemExit as end:
        return int(end.code or 0)

for name in ("toy-sampler", "toy-steps", "toy-codec", "toy-grey"):
    settings = {"holdout": 0.25, "check": 3} | ({"gain": "0.5"} if name == "toy-steps" else {})
    train(name, data=str(data), out=home / "weights" / name, licence="own", settings=settings)
    card = weights.resolve(name)
    told[name] = {
        "inputs": [one.name for one in card.inputs], "scores": [metric.name for metric in card.metrics],
        "architecture": card.architecture, "own": card.recipe["own"],
        "picture": Image.open(home / "weights" / name / "sample.webp").size,
    }

# Python
drawn = [np.asarray(genrestore.sample("toy-sampler", seed=1, text=text)[0]) for text in ("red", "red", "blue")]
told["text counts"] = [bool((drawn[0] == drawn[1]).all()), bool((drawn[0] == drawn[2]).all())]
photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8))
results = [np.asarray(genrestore.restore(photo, model="toy-steps", steps=steps)).astype(int) for steps in (1, 4)]
told["steps count"] = float(np.abs(results[0] - results[1]).mean())
model = runtime.load("toy-steps").under(steps=4)
told["sees"] = model.size_rule.receptive
shown = [*model.steps(torch.rand(1, 3, 20, 30))]
told["watched"] = [len(shown), list(shown[-1].shape)]
kept = runtime.load("toy-codec").net
told["table"] = [int(kept.table[3]), str(kept.table.dtype), float(kept.scale)]

# command line
photo.save("photo.png")
told["codes"] = [
    call("restore", "photo.png", "--model", "toy-steps", "--set", "steps=4", "-o", "restored.png"),
    call("sample", "--model", "toy-sampler", "--set", "text=blue", "--seed", "1", "-o", "blue.png"),
    call("toy-code", "photo.png"),
    call("restore", "photo.png", "--model", "toy-steps", "--set", "steps=9"),
    call("restore", "photo.png", "--model", "toy-steps", "--set", "speed=9"),
    call("models", "--task", "toy-code"),
]
told["as in Python"] = [
    bool((np.asarray(Image.open("restored.png")) == results[1]).all()),
    bool((np.asarray(Image.open("blue.png")) == drawn[2]).all()),
    Path("photo.coded.png").is_file(),
]

# page
from genrestore import tasks, ui
from genrestore.ui.parts import slots
from genrestore.ui.tabs import image_to_image
from genrestore.ui.tabs.sample import tab as sample
from genrestore.ui.tabs.train import tab as training
page = ui.build()
labels = [block.elem_id for block in page.blocks.values() if getattr(block, "elem_id", None)]
told["tab"] = [f"tab-{name}" in labels for name in ("toy-code", "restore", "damage")]
request = SimpleNamespace(headers={"accept-language": "en"})
tab = image_to_image.Tab(tasks.find("restore"))
fields = tab.taking("toy-steps")
told["field"] = [(field["label"], field["value"]) for field in fields if field.get("visible")]
folder = Path(utils.get_upload_folder()) / "test"
folder.mkdir(parents=True, exist_ok=True)
photo.save(folder / "photo.png")
value = {"file": gr.FileData(path=str(folder / "photo.png"), orig_name="photo.png").model_dump()}
given = [1.0, *[None] * slots.ROOM["text"], 4, *[None] * (slots.COUNT - slots.ROOM["text"] - 1), None]
last = [*tab.run(request, value, "png", "toy-steps", *given)][-1]
file = last[image_to_image.OUTPUTS.index("download")].value["path"]
told["by the page"] = [Path(file).name, bool((np.asarray(Image.open(file)) == results[1]).all())]
entry = next(one for one in sample.catalogue("all")["models"] if one["name"] == "toy-sampler")
told["asked"] = [one["name"] for one in entry["inputs"]]
state = {"model": "toy-sampler", "seed": 1, "told": {"text": "blue"}}
told["drawn"] = sample.picture(state)["width"]
told["refused"] = sample.picture({**state, "told": {"size": 3}})["problem"]
offered = training.presets({"inpaint", "restore", "sample", "upscale", "toy-code"})({})["tasks"]
told["offered"] = [group["wish"] for group in offered if "toy-codec" in [one["name"] for one in group["presets"]]]
print("TOLD " + json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("toys")
    (folder / "toys.py").write_text(NETS, "utf-8")
    (folder / "pictures").mkdir()
    rng = np.random.default_rng(0)
    lines = ["file_name,text"]
    for k in range(24):
        colour = rng.integers(0, 256, 3)
        pixels = np.clip(colour + rng.normal(0, 20, (32, 32, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "pictures" / f"{k}.png")
        lines.append(f"{k}.png,{'red' if colour[0] > 127 else 'blue'}")
    (folder / "pictures" / "captions.csv").write_text("\n".join(lines), "utf-8")
    environment = {"GENRESTORE_HOME": str(folder / "home"), "PYTHONPATH": f"{folder}:{ROOT}", "OMP_NUM_THREADS": "1"}
    import os

    done = subprocess.run(
        [sys.executable, "-c", USE, folder / "pictures", folder / "home"],
        cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    line = next((line for line in done.stdout.splitlines() if line.startswith("TOLD ")), None)
    assert line is not None, done.stdout + done.stderr
    return json.loads(line.removeprefix("TOLD "))


def test_they_train_and_their_cards_tell_what_they_take(told: dict[str, Any]) -> None:
    assert told["toy-sampler"]["inputs"] == ["text"] and told["toy-steps"]["inputs"] == ["steps"]
    assert told["toy-codec"]["inputs"] == told["toy-grey"]["inputs"] == []
    assert told["toy-sampler"]["scores"] == ["loss", "swd"]
    assert told["toy-steps"]["scores"] == told["toy-codec"]["scores"] == ["loss", "psnr", "ssim"]
    assert told["toy-grey"]["architecture"] == "toy-vae"
    assert told["toy-steps"]["own"] == {"gain": 0.5}
    assert all(told[name]["picture"][0] > 32 for name in ("toy-sampler", "toy-steps", "toy-codec", "toy-grey"))


def test_conditions_count_in_python(told: dict[str, Any]) -> None:
    assert told["text counts"] == [True, False]
    assert told["steps count"] > 0
    assert told["sees"] == 4
    assert told["watched"] == [4, [1, 3, 20, 30]]


def test_a_net_is_finished_and_stored_as_it_says(told: dict[str, Any]) -> None:
    assert told["table"] == [2**40 + 3, "torch.int64", pytest.approx(100.00001, abs=1e-5)]


def test_the_command_line_gives_what_python_gives(told: dict[str, Any]) -> None:
    assert told["codes"] == [0, 0, 0, 2, 2, 0]
    assert told["as in Python"] == [True, True, True]


def test_the_page_has_its_tab_and_asks_for_what_the_net_takes(told: dict[str, Any]) -> None:
    assert told["tab"] == [True, True, False]
    assert told["field"] == [["Steps", 2]]
    assert told["by the page"] == ["photo.restored.png", True]
    assert told["asked"] == ["text"] and told["drawn"] == 16
    assert told["refused"] == "toy-sampler takes no size; it takes text."
    assert told["offered"] == ["To make pictures small"]
