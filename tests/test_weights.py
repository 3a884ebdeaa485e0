"""Cards and weights: what ships is whole, what is broken says so."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch

from genrestore import runtime, weights
from genrestore.card import Card, shelves
from genrestore.errors import ModelError, SettingError
from genrestore.recipe import TrainRecipe

SHIPPED = sorted(path.parent for path in shelves()[0].glob("*/card.json"))


def test_something_ships_for_each_tab() -> None:
    assert {"sample", "inpaint", "upscale"} <= {Card.read(folder).task for folder in SHIPPED}
    assert sum(file.stat().st_size for file in shelves()[0].rglob("*") if file.is_file()) < 40e6


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda path: path.name)
def test_shipped_weight_is_what_its_card_says(folder: Path) -> None:
    card = Card.read(folder)
    assert card.name == folder.name
    assert weights.digest(card.weights) == card.sha256
    net = weights.load_net(card.weights)
    assert type(net).__name__ == card.architecture
    assert json.loads(json.dumps(dataclasses.asdict(net.config))) == card.config
    assert sum(parameter.numel() for parameter in net.parameters()) == card.parameters
    assert all(torch.isfinite(value).all() for value in net.state_dict().values())
    assert card.license and card.limits and card.intended and card.data and card.metrics and card.hours > 0
    for source in card.data:
        assert source.licence and source.count > 0 and len(source.sha256) == 64
    recipe = TrainRecipe.from_json(card.recipe)
    assert recipe.model == card.name
    assert (folder / "sample.webp").is_file()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A weight that a test may break."""
    target = tmp_path / "own"
    shutil.copytree(SHIPPED[0], target)
    return target


def change(folder: Path, **values: object) -> None:
    data = json.loads((folder / "card.json").read_text("utf-8"))
    (folder / "card.json").write_text(json.dumps({**data, **values}), "utf-8")


def test_a_file_reference_opens_it(copy: Path) -> None:
    assert runtime.load(f"file:{copy}").card.architecture
    assert runtime.load(f"file:{copy / 'model.safetensors'}").card.folder == copy


def test_a_changed_file_is_refused(copy: Path) -> None:
    data = bytearray((copy / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (copy / "model.safetensors").write_bytes(data)
    with pytest.raises(ModelError, match="sha256 differs"):
        runtime.load(f"file:{copy}")


@pytest.mark.parametrize(
    "content, words",
    [(b"", "damaged"), (b"\x00" * 100, "damaged"), (b"PK\x03\x04 a zip", "damaged")],
    ids=["empty", "zeros", "zip"],
)
def test_files_that_are_no_safetensors(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=words):
        weights.load_net(path)


def test_cards_that_are_none(copy: Path) -> None:
    change(copy, schema=99)
    with pytest.raises(ModelError, match="schema 99"):
        Card.read(copy)
    change(copy, schema=1, task="cook")
    with pytest.raises(ModelError, match="cook"):
        Card.read(copy)
    change(copy, task="sample", surprise=1)
    with pytest.raises(ModelError, match="not a genrestore card"):
        Card.read(copy)
    (copy / "card.json").write_text("{", "utf-8")
    with pytest.raises(ModelError, match="not a genrestore card"):
        Card.read(copy)
    (copy / "card.json").unlink()
    with pytest.raises(ModelError, match=r"no card\.json"):
        Card.read(copy)


def test_references(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GENRESTORE_HOME", str(tmp_path))
    known = weights.models("upscale")[0].name
    assert weights.resolve("auto", "upscale").task == "upscale"
    with pytest.raises(ModelError, match="Did you mean"):
        weights.resolve(known[:-1])
    with pytest.raises(ModelError, match="not to inpaint"):
        weights.resolve(known, "inpaint")
    with pytest.raises(ModelError, match="No weight for compress"):
        weights.resolve("auto", "compress")
    with pytest.raises(SettingError, match="cook"):
        weights.models("cook")


def test_a_damaged_card_of_ones_own_hides_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GENRESTORE_HOME", str(tmp_path))
    (tmp_path / "weights" / "broken").mkdir(parents=True)
    (tmp_path / "weights" / "broken" / "card.json").write_text("{", "utf-8")
    with pytest.warns(UserWarning, match="not a genrestore card"):
        assert weights.models()


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        (torch.randn(64, generator=torch.Generator().manual_seed(0)), torch.float16),
        (torch.cat([torch.randn(64, generator=torch.Generator().manual_seed(1)), torch.tensor([1e-9])]), torch.float16),
        (torch.zeros(64), torch.float16),
        (torch.full((64,), 1e5), torch.float32),
        (torch.tensor([1.0] * 63 + [7e4]), torch.float32),
        (torch.full((64,), 1e-6), torch.float32),
        (torch.full((64,), 3e-8), torch.float32),
        (torch.tensor([0.0] * 63 + [float("inf")]), torch.float32),
    ],
    ids=["weights", "a tiny one", "zeros", "1e5", "one of 7e4", "1e-6", "3e-8", "infinite"],
)
def test_each_tensor_is_stored_as_precisely_as_its_values_need(
    values: torch.Tensor, kept: torch.dtype, tmp_path: Path
) -> None:
    """A variance of 1e5 is infinite in fp16, and one of 1e-6 loses a twentieth of itself."""
    from safetensors.torch import load_file

    from genrestore.models import find

    preset = find("dcgan-cifar10")
    net = preset.net(dataclasses.replace(preset.config, width=16)).eval()
    assert isinstance(net.critic[3], torch.nn.BatchNorm2d)
    net.critic[3].running_var = torch.nn.functional.pad(values, (0, 32 - len(values)))[:32].clone()
    net.critic[3].running_var[-1] = values[-1]
    written = net.critic[3].running_var
    card = Card(
        name="own", task="sample", architecture=preset.architecture, config=dataclasses.asdict(net.config), parameters=0,
        sha256="", license="", data=(), recipe={},
    )  # fmt: skip
    weights.save(net, card, tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    assert stored["critic.3.running_var"].dtype == kept
    assert stored["critic.0.weight"].dtype == torch.float16
    assert stored["critic.3.num_batches_tracked"].dtype == torch.int64
    again = weights.load_net(tmp_path / "model.safetensors").critic[3].running_var
    assert torch.allclose(
        again, written, rtol=1e-3, atol=1e-4 * written[written.isfinite()].square().mean().sqrt().item()
    )
    weights.save(net, card, tmp_path, half=False)
    assert load_file(tmp_path / "model.safetensors")["critic.0.weight"].dtype == torch.float32
