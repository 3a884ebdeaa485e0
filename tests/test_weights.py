"""Cards and weights: what ships is whole, what is broken says so."""

import dataclasses
import json
import math
import os
import resource
import shutil
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from genrestore import runtime, weights
from genrestore.card import Card, SizeRule
from genrestore.errors import ModelError, SettingError
from genrestore.models import find
from genrestore.paths import shelves
from genrestore.recipe import TrainRecipe
from genrestore.setting import conditions

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
    assert Card.read(copy).schema == 99, "what it still says as this version does, this version understands"
    change(copy, hours={"of": "work"})
    with pytest.raises(ModelError, match="schema 99"):
        Card.read(copy)
    change(copy, hours=1.0)
    for wrong in (0, "1", None, 1.5):
        change(copy, schema=wrong)
        with pytest.raises(ModelError, match="not a genrestore card"):
            Card.read(copy)
    change(copy, schema=1, task="cook")
    with pytest.raises(ModelError, match="cook"):
        weights.resolve(f"file:{copy}")
    (copy / "card.json").write_text("{", "utf-8")
    with pytest.raises(ModelError, match="not a genrestore card"):
        Card.read(copy)
    (copy / "card.json").unlink()
    with pytest.raises(ModelError, match=r"no card\.json"):
        Card.read(copy)


def test_references(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GENRESTORE_HOME", str(tmp_path))
    known = weights.list_models("upscale")[0].name
    assert weights.resolve("auto", "upscale").task == "upscale"
    with pytest.raises(ModelError, match="Did you mean"):
        weights.resolve(known[:-1])
    with pytest.raises(ModelError, match="not to inpaint"):
        weights.resolve(known, "inpaint")
    with pytest.raises(ModelError, match="No weight for compress"):
        weights.resolve("auto", "compress")
    with pytest.raises(SettingError, match="cook"):
        weights.list_models("cook")
    for wrong in (None, 5, ["span-x4"]):
        with pytest.raises(ModelError, match="named by a text"):
            weights.resolve(wrong)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ModelError) as told:
        weights.resolve("x" * 10_000)
    assert len(str(told.value)) < 300


WRONG: dict[str, dict[str, object]] = {
    "hours in words": {"hours": "about 2"},
    "infinite hours": {"hours": float("inf")},
    "negative hours": {"hours": -1},
    "parameters as text": {"parameters": "many"},
    "a truth for a number": {"parameters": True},
    "more parameters than a number holds": {"parameters": 10**30},
    "no name": {"name": 7},
    "a list for a config": {"config": []},
    "no sha256": {"sha256": "abc"},
    "data that is no list": {"data": {}},
    "data without a licence": {"data": [{"name": "x", "count": 1, "sha256": ""}]},
    "data that counts in words": {"data": [{"name": "x", "count": "1", "sha256": "", "licence": ""}]},
    "metrics that are words": {"metrics": ["good"]},
    "a value in words": {"metrics": [{"set": "s", "protocol": "p", "name": "n", "value": "31", "n": 1, "command": ""}]},
    "a title of numbers": {"title": [1]},
    "half a letter": {"title": "\ud800"},
    "an enlargement by words": {"task": "upscale", "scale": "4"},
    "an enlargement by 10^9": {"task": "upscale", "scale": 10**9},
    "an enlargement by nothing": {"task": "upscale", "scale": 1},
    "sizes in words": {"size_rule": {"multiple_of": "8"}},
    "sizes of nothing": {"size_rule": {"multiple_of": 0}},
    "an input of no kind": {"inputs": [{"name": "steps", "kind": "list"}]},
    "an input of a list of kinds": {"inputs": [{"name": "steps", "kind": ["int"], "usual": 1}]},
    "an input with a number of choices": {"inputs": [{"name": "word", "kind": "str", "usual": "", "choices": 5}]},
    "an input within words": {"inputs": [{"name": "steps", "kind": "int", "usual": None, "within": "[a, b]"}]},
    "an input that is no name": {"inputs": [{"name": "a b", "kind": "int", "usual": 1}]},
    "an input beyond its own range": {"inputs": [{"name": "steps", "kind": "int", "usual": 9, "within": "[1, 8]"}]},
}


@pytest.mark.parametrize("values", WRONG.values(), ids=WRONG)
def test_a_damaged_card_of_ones_own_is_passed_over(
    values: dict[str, object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One sentence where it is asked for, one line in the log, and all other weights are listed."""
    monkeypatch.setenv("GENRESTORE_HOME", str(tmp_path))
    before = [card.name for card in weights.list_models()]
    folder = tmp_path / "weights" / "broken"
    shutil.copytree(SHIPPED[0], folder)
    change(folder, **values)
    for _ in range(2):
        assert [card.name for card in weights.list_models()] == before
    assert len(caplog.records) == 1 and str(folder) in caplog.text
    with pytest.raises(ModelError) as caught:
        weights.resolve(f"file:{folder}")
    assert "\n" not in str(caught.value) and str(caught.value).endswith(("again.", "Update genrestore."))


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b"7", b"\xff", b"[" * 100_000, b"{}", b'{"schema": 1}', b" " * (2 << 20)]
)
def test_a_card_that_is_something_else_is_passed_over(
    content: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GENRESTORE_HOME", str(tmp_path))
    folder = tmp_path / "weights" / "broken"
    shutil.copytree(SHIPPED[0], folder)
    (folder / "card.json").write_bytes(content)
    assert weights.list_models()
    with pytest.raises(ModelError):
        Card.read(folder)


def test_what_a_later_version_wrote_is_kept(copy: Path) -> None:
    data = json.loads((copy / "card.json").read_text("utf-8"))
    data["surprise"] = {"of": 1}
    data["metrics"][0]["unit"] = "dB"
    data["data"][0]["address"] = "here"
    (copy / "card.json").write_text(json.dumps(data), "utf-8")
    dataclasses.replace(Card.read(copy), title="new").write(copy)
    assert json.loads((copy / "card.json").read_text("utf-8")) == data | {"title": "new"}


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda path: path.name)
def test_writing_a_card_again_changes_no_byte(folder: Path, tmp_path: Path) -> None:
    Card.read(folder).write(tmp_path)
    assert (tmp_path / "card.json").read_bytes() == (folder / "card.json").read_bytes()


@pytest.mark.parametrize(
    "name", ["../../escaped", "/etc/x", "a\\b", "", "..", ".hidden", "x\n", "C:x", "auto", "\u202egnp", "n" * 300]
)
def test_a_name_is_no_path(name: str, copy: Path) -> None:
    """A card's name becomes a file's name (`sample --model file:FOLDER` writes one); another one gives way to its folder's."""
    change(copy, name=name)
    assert Card.read(copy).name == copy.name


@pytest.mark.parametrize("name", ["span-x4", "my cats", "猫", "Müller’s v1.2", "n" * 100])
def test_a_plain_name_stays(name: str, copy: Path) -> None:
    change(copy, name=name)
    assert Card.read(copy).name == name


def test_control_characters_reach_no_terminal(copy: Path) -> None:
    change(copy, title="red \x1b[31m\nline")
    assert Card.read(copy).title.isprintable()


def test_a_number_that_is_none_is_left_out(copy: Path) -> None:
    """A score may once have been NaN; the weight is none the worse for it."""
    data = json.loads((copy / "card.json").read_text("utf-8"))
    change(copy, metrics=[data["metrics"][0] | {"value": float("nan")}, data["metrics"][0]])
    assert len(Card.read(copy).metrics) == 1


def test_the_shelves_are_read_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What nobody touched is not read again; what came, went or changed is seen at once."""
    monkeypatch.setenv("GENRESTORE_HOME", str(tmp_path))
    own = tmp_path / "weights"
    for k in range(3):
        shutil.copytree(SHIPPED[0], own / f"own-{k}")
        change(own / f"own-{k}", name=f"own-{k}")

    def names() -> list[str]:
        return [card.name for card in weights.list_models() if card.name.startswith("own")]

    assert names() == ["own-0", "own-1", "own-2"] and weights.resolve("own-1").folder == own / "own-1"
    long_ago = time.time() - 60
    for shelf in shelves():
        if shelf.is_dir() and shelf.is_relative_to(tmp_path):
            os.utime(shelf, (long_ago, long_ago))
    names()
    weights.resolve("own-1")
    with monkeypatch.context() as still:
        still.setattr(os, "scandir", lambda path: pytest.fail(f"{path} was listed again"))
        still.setattr(Path, "read_text", lambda path, *_: pytest.fail(f"{path} was read again"))
        assert names() == ["own-0", "own-1", "own-2"] and weights.resolve("own-1").name == "own-1"
    change(own / "own-1", name="own-9")
    assert names() == ["own-0", "own-9", "own-2"] and weights.resolve("own-9").folder == own / "own-1"
    with pytest.raises(ModelError, match="no model named 'own-1'"):
        weights.resolve("own-1")
    shutil.rmtree(own / "own-0")
    shutil.copytree(SHIPPED[0], own / "fresh")
    change(own / "fresh", name="own-new")
    assert names() == ["own-new", "own-9", "own-2"] and weights.resolve("own-new").folder == own / "fresh"
    (own / "fresh" / "model.safetensors").unlink()
    assert names() == ["own-9", "own-2"]


# --- weights whose file is not what it should be ---------------------------------------------------------------------


def tiny(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """A weight of a few numbers in `folder`, its tensors, and its header."""
    preset = find("span-x4")
    net = preset.net(dataclasses.replace(preset.config, width=4, blocks=2))  # type: ignore[type-var]
    config = dataclasses.asdict(net.config)
    card = Card("tiny", "upscale", "Span", config, 0, "", "none", (), preset.recipe.to_json())
    weights.save(net, card, folder)
    return net.state_dict(), {"architecture": "Span", "config": config, "task": "upscale"}


def pack(folder: Path, tensors: dict[str, torch.Tensor], header: object) -> None:
    """Write the file anew, and its sha256 into the card."""
    text = header if isinstance(header, str) else json.dumps(header)
    save_file(tensors, folder / "model.safetensors", metadata={weights.HEADER: text})
    change(folder, sha256=weights.digest(folder / "model.safetensors"))


Change = Callable[[dict[str, torch.Tensor], dict[str, Any]], Any]
KINDS: dict[str, Change] = {
    "a missing tensor": lambda t, h: t.pop("body.tail.bias"),
    "a tensor too many": lambda t, h: t.update(more=torch.zeros(3)),
    "another shape": lambda t, h: t.update({"body.tail.bias": torch.zeros(7)}),
    "whole numbers": lambda t, h: t.update({"body.tail.bias": torch.zeros(48, dtype=torch.int64)}),
    "eight bits": lambda t, h: t.update({"body.tail.bias": torch.zeros(48).to(torch.float8_e4m3fn)}),
    "complex numbers": lambda t, h: t.update({"body.tail.bias": torch.zeros(48, dtype=torch.complex64)}),
    "numbers that are none": lambda t, h: t.update({"body.tail.bias": torch.full((48,), math.nan)}),
    "infinite numbers": lambda t, h: t.update({"body.tail.bias": torch.full((48,), math.inf)}),
    "numbers too large for float32": lambda t, h: t.update(
        {"body.tail.bias": torch.full((48,), 1e300, dtype=torch.float64)}
    ),
    "another net": lambda t, h: h.update(architecture="DCGAN", config={"latent": 100, "width": 64, "channels": 3}),
    "an unknown net": lambda t, h: h.update(architecture="Spam"),
    "a net without a name": lambda t, h: h.update(architecture=["Span"]),
    "a name of many lines": lambda t, h: h.update(architecture="Span\n" * 1000),
    "settings too many": lambda t, h: h["config"].update(depth=3),
    "settings of another type": lambda t, h: h["config"].update(width="4"),
    "a width of 10^9": lambda t, h: h["config"].update(width=10**9),
    "a width of 60000": lambda t, h: h["config"].update(width=60_000),
    "10^12 blocks": lambda t, h: h["config"].update(blocks=10**12),
    "60000 blocks": lambda t, h: h["config"].update(blocks=60_000),
    "no blocks": lambda t, h: h["config"].update(blocks=0),
    "a negative width": lambda t, h: h["config"].update(width=-4),
    "no settings": lambda t, h: h.update(config=None),
    "no header": lambda t, h: h.clear(),
}


@pytest.mark.parametrize("card_too", [False, True], ids=["by the file", "by the card, too"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_header_that_does_not_fit_is_one_sentence(kind: str, card_too: bool, tmp_path: Path) -> None:
    """And takes neither the time nor the memory that it claims."""
    tensors, header = tiny(tmp_path)
    KINDS[kind](tensors, header)
    pack(tmp_path, tensors, header)
    if card_too:
        claims = {key: header[key] for key in ("architecture", "config") if key in header}
        change(tmp_path, task="sample" if kind == "another net" else "upscale", **claims)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ModelError) as caught:
        runtime.load(f"file:{tmp_path}")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000, "kB"


FILES: dict[str, Callable[[bytes], bytes]] = {
    "cut short": lambda data: data[: len(data) // 2],
    "cut in its header": lambda data: data[:40],
    "longer than it says": lambda data: data + bytes(100),
    "a header of 10^15 bytes": lambda data: struct.pack("<Q", 10**15) + data[8:],
    "10^12 numbers": lambda data: data.replace(b'"shape":[48]', b'"shape":[999999999999]', 1),
    "a negative place": lambda data: data.replace(b'"data_offsets":[0,', b'"data_offsets":[-1,', 1),
    "empty": lambda data: b"",
}


@pytest.mark.parametrize("kind", FILES)
def test_a_damaged_file_is_one_sentence(kind: str, tmp_path: Path) -> None:
    tiny(tmp_path)
    path = tmp_path / "model.safetensors"
    whole = path.read_bytes()
    damaged = FILES[kind](whole)
    if kind == "10^12 numbers":  # the header keeps its length with what pads it
        length = struct.unpack("<Q", whole[:8])[0]
        text = damaged[8 : 8 + length + len(damaged) - len(whole)]
        damaged = struct.pack("<Q", len(text)) + damaged[8:]
    assert damaged != whole
    path.write_bytes(damaged)
    with pytest.raises(ModelError, match="sha256 differs"):
        runtime.load(f"file:{tmp_path}")
    change(tmp_path, sha256=weights.digest(path))
    with pytest.raises(ModelError, match="damaged") as caught:
        runtime.load(f"file:{tmp_path}")
    assert "\n" not in str(caught.value)


def test_a_folder_in_the_place_of_a_weight(tmp_path: Path) -> None:
    tiny(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"There is no .*model\.safetensors"):
        runtime.load(f"file:{tmp_path}")
    (tmp_path / "model.safetensors").mkdir()
    with pytest.raises(ModelError, match=r"There is no .*model\.safetensors"):
        runtime.load(f"file:{tmp_path}")


def test_the_tiny_weight_itself_is_right(tmp_path: Path) -> None:
    """So that what the tests above refuse is refused for what was changed."""
    tensors, header = tiny(tmp_path)
    pack(tmp_path, tensors, header)
    assert runtime.load(f"file:{tmp_path}", precision="exact")(torch.rand(1, 3, 8, 8)).shape == (1, 3, 32, 32)


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
    if not written.isfinite().all():
        return  # what holds no numbers is stored as it is, and refused when it is loaded
    again = weights.load_net(tmp_path / "model.safetensors").critic[3].running_var
    assert torch.allclose(again, written, rtol=1e-3, atol=1e-4 * written.square().mean().sqrt().item())
    weights.save(net, card, tmp_path, half=False)
    assert load_file(tmp_path / "model.safetensors")["critic.0.weight"].dtype == torch.float32


def test_a_card_of_another_scale_is_refused(copy: Path) -> None:
    change(copy, scale=Card.read(copy).scale + 1)
    with pytest.raises(ModelError, match="another scale than its card says"):
        runtime.load(f"file:{copy}")


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda path: path.name)
def test_a_card_tells_what_the_net_takes(folder: Path) -> None:
    card, net = Card.read(folder), weights.load_net(folder / "model.safetensors")
    assert (card.scale, card.size_rule) == (weights.scale_of(net), SizeRule.of(net, {}))
    assert card.inputs == conditions(net)
