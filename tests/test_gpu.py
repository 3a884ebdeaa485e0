"""Training and running the nets on a GPU, where there is one; the same code as on a processor."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_train import distance, state

from genrestore import runtime
from genrestore.card import Card
from genrestore.data import dataset, resident
from genrestore.errors import TrainingError
from genrestore.models import find, names
from genrestore.nets import losses
from genrestore.recipe import TrainRecipe
from genrestore.training import graphs, loop
from genrestore.training.loop import train
from genrestore.training.runs import Run

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")

PRESETS = names()
GENERATORS = [name for name in PRESETS if find(name).task == "sample"]
SHIPPED = Path(__file__).parents[1] / "weights"


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GENRESTORE_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "made.npz"
    coarse = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3), dtype=np.uint8)
    np.savez(path, images=coarse.repeat(12, 1).repeat(12, 2))
    return path


def recipe_of(preset: str, **changes: Any) -> TrainRecipe:
    usual = find(preset).recipe
    return dataclasses.replace(usual, batch=4, steps=6, licence="CC0-1.0", seed=1, **changes)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16", "auto"])
@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_learns_in_every_precision(preset: str, precision: str, pictures: Path, tmp_path: Path) -> None:
    run = train(recipe_of(preset, precision=precision), pictures, tmp_path / "run")
    lines = [line["losses"] for line in Run(run).log() if "losses" in line]
    events = [line["event"] for line in Run(run).log() if "event" in line]
    assert not any("not recorded" in event for event in events), events
    assert lines and all(math.isfinite(loss) for line in lines for loss in line.values())
    assert Card.read(run).hardware == torch.cuda.get_device_name()
    expected = {"fp32": "fp32", "bf16": "bf16", "fp16": "fp16", "auto": "bf16"}[precision]
    assert state(run)["progress"]["precision"] == expected


@pytest.mark.parametrize("preset", PRESETS)
def test_a_resumed_run_goes_on_as_it_would_have(preset: str, pictures: Path, tmp_path: Path) -> None:
    whole = train(recipe_of(preset), pictures, tmp_path / "whole")
    parts = tmp_path / "parts"
    train(recipe_of(preset, stop=3), pictures, parts)
    train(recipe_of(preset), pictures, parts, resume=True)
    begun = train(recipe_of(preset, stop=1), pictures, tmp_path / "begun")
    # sums of atomic additions differ between any two runs; a resumed one may differ by no more than that
    assert distance(whole, parts) < 0.05 * distance(whole, begun)


@pytest.mark.parametrize("optimizer", ["adam", "muon", "sgd", "rmsprop"])
def test_the_steps_are_those_of_a_processor(
    optimizer: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of batches made by the processor, for Adam's first steps follow signs: three samples one level apart move it by 0.4.
    monkeypatch.setattr(loop, "possible", lambda *_: False)
    recipe = recipe_of("span-x4", optimizer=optimizer, warmup=0, lr=1e-3)
    on_gpu = train(recipe, pictures, tmp_path / "gpu")
    begun = train(dataclasses.replace(recipe, stop=1), pictures, tmp_path / "begun")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    on_cpu = train(recipe, pictures, tmp_path / "cpu")
    assert distance(on_gpu, on_cpu) < 0.1 * distance(on_gpu, begun), "the order of sums aside"


@pytest.mark.parametrize(
    "preset, optimizer",
    [
        *(("span-x4", optimizer) for optimizer in ("gd", "sgd", "adam", "adamw", "rmsprop", "muon")),
        ("dcgan-cifar10", "adam"),
        ("vae-clothing", "adam"),
        ("restore-photo", "muon"),
        ("residual-fill", "muon"),
    ],
)
def test_recorded_steps_are_the_same_steps(
    preset: str, optimizer: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With falling rate, rising β and R1, which takes its turn in some steps only: nothing that changes is frozen in.

    Sums of atomic additions differ between any two runs, and a step amplifies that; what a recording freezes shows beside it.
    """
    changes: dict[str, Any] = {
        "optimizer": optimizer,
        "schedule": "cosine",
        "own": {"r1": 0.1} if preset.startswith("dcgan") else {"beta_warmup": 15},
    }
    recipe = dataclasses.replace(recipe_of(preset, **changes), steps=18, warmup=8)
    monkeypatch.setattr(graphs, "WARM_UP", 1)  # the steps with R1 are 0 and 16
    recorded = train(recipe, pictures, tmp_path / "recorded")
    begun = train(dataclasses.replace(recipe, stop=1), pictures, tmp_path / "begun")
    monkeypatch.setattr(graphs, "WARM_UP", math.inf)
    usual, again = (train(recipe, pictures, tmp_path / name) for name in ("usual", "again"))
    by_chance = distance(usual, again)
    assert distance(recorded, usual) < max(3 * by_chance, 0.02 * distance(recorded, begun))


@pytest.mark.parametrize("degrade", ["none", "shrink:4", "holes:scratch,box"])
def test_batches_made_on_the_gpu_are_those_of_a_processor(degrade: str, pictures: Path) -> None:
    recipe = recipe_of("span-x4", degrade=degrade, size=48, crops=2 if degrade != "none" else 1)
    found = dataset.read(pictures, recipe)
    device = torch.device("cuda")
    assert resident.possible(found, recipe, device)
    here = resident.Resident(found, recipe, device)
    for step, sent in enumerate(here.batches(0)):
        batch = here.batch({key: value.to(device) for key, value in sent.items()})
        usual = dataset.batch(found, recipe, step)
        assert batch.keys() == usual.keys() and torch.equal(batch["image"].cpu(), usual["image"])
        for key, value in batch.items():
            assert (value.cpu() - usual[key]).abs().max() < 1.01 / 255


def test_a_net_that_asks_for_numbers_trains_unrecorded(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = losses.l1

    def asking(image: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        assert image.mean().item() < 1e9
        return usual(image, target)

    monkeypatch.setitem(losses.PIXEL, "l1", asking)
    run = train(recipe_of("span-x4"), pictures, tmp_path / "run")
    lines = Run(run).log()
    assert any("not recorded" in line.get("event", "") for line in lines)
    assert lines[-1]["step"] == 5


def test_compiled_is_the_same_training(pictures: Path, tmp_path: Path) -> None:
    plain = train(recipe_of("span-x4"), pictures, tmp_path / "plain")
    begun = train(recipe_of("span-x4", stop=1), pictures, tmp_path / "begun")
    quick = train(recipe_of("span-x4", compile=True), pictures, tmp_path / "quick")
    assert distance(plain, quick) < 0.1 * distance(plain, begun)


def test_a_batch_larger_than_the_gpu_is_refused(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"A batch of 10000000 needs about .* are free; take at most \d+"):
        train(dataclasses.replace(recipe_of("span-x4"), batch=10_000_000), pictures, tmp_path / "run")


@pytest.mark.parametrize("name", sorted(name for name in {*PRESETS} - {*GENERATORS} if (SHIPPED / name).is_dir()))
def test_the_shipped_nets_give_the_same_picture(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(0)).repeat_interleave(8, 2)
    image = image.repeat_interleave(8, 3)
    mask = torch.zeros(1, 1, 96, 96)
    mask[..., 40:60, 30:70] = 1
    inputs = (image, mask) if find(name).task == "inpaint" else (image,)
    results: dict[tuple[str, str], torch.Tensor] = {}
    for device, precision in (("cpu", "exact"), ("cuda", "exact"), ("cuda", "fast")):
        monkeypatch.setenv("GENRESTORE_DEVICE", device)
        results[device, precision] = runtime.load(f"file:{SHIPPED / name}", precision=precision)(*inputs)
    assert (results["cuda", "exact"] - results["cpu", "exact"]).abs().max() < 2 / 255
    assert (results["cuda", "fast"] - results["cpu", "exact"]).abs().mean() < 2 / 255


@pytest.mark.parametrize("name", sorted(name for name in GENERATORS if (SHIPPED / name).is_dir()))
def test_the_shipped_generators_draw_the_same_picture(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[torch.Tensor] = []
    for device in ("cpu", "cuda"):
        monkeypatch.setenv("GENRESTORE_DEVICE", device)
        net = runtime.load(f"file:{SHIPPED / name}", precision="exact")
        drawn.append(net.decode(torch.randn(4, net.net.latent, generator=torch.Generator().manual_seed(0))))
    assert (drawn[0] - drawn[1]).abs().max() < 4 / 255


@pytest.mark.parametrize("channels, kind", [(3, np.uint8), (1, np.uint8), (3, np.uint16)])
def test_a_large_picture_comes_back_whole(channels: int, kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several tiles and several pieces on the way back: every row is that of a processor, to a level of 8 bit."""
    coarse = np.random.default_rng(0).integers(0, np.iinfo(kind).max, (170, 140, channels)).astype(kind)
    pixels = coarse.repeat(8, 0).repeat(8, 1)
    results: list[np.ndarray] = []
    for device in ("cpu", "cuda"):
        monkeypatch.setenv("GENRESTORE_DEVICE", device)
        model = runtime.load(f"file:{SHIPPED / 'span-x4'}", precision="exact")
        results.append(np.zeros((4 * pixels.shape[0], 4 * pixels.shape[1], channels), kind))
        runtime.enlarge(model, pixels, results[-1])
    difference = np.abs(results[0].astype(np.int32) - results[1])
    assert difference.max() <= np.iinfo(kind).max / 255
