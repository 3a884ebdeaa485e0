"""Checkpoints of others: what spandrel can read becomes a model like ours, and nothing else is done with a stranger's file."""

import dataclasses
import functools
import importlib
import json
import os
import pickle
import re
import struct
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

import genrestore
from genrestore import backends, machine, runtime, weights
from genrestore.card import Card, SizeRule
from genrestore.cli import main as cli
from genrestore.community import measured, reader
from genrestore.errors import Cancelled, ModelError
from genrestore.models.community import Community, Config, found
from genrestore.tasks.task import made

spandrel = pytest.importorskip("spandrel")
LEVEL = 1 / 255


def built(architecture: str, **settings: Any) -> Any:
    """A net of spandrel's own classes with random weights, also where they would begin as zeros."""
    torch.manual_seed(0)
    net = getattr(importlib.import_module(f"spandrel.architectures.{architecture}"), architecture)(**settings)
    for name, parameter in net.named_parameters():
        if parameter.numel() and parameter.abs().max() < 1e-3 and not name.endswith("bias"):
            nn.init.normal_(parameter, std=0.3)
    return net.eval()


def small_lama() -> Any:
    """LaMa has 51 million parameters and no setting for fewer."""
    module: Any = importlib.import_module("spandrel.architectures.LaMa.__arch.LaMa")
    usual = module.FFCResNetGenerator
    module.FFCResNetGenerator = functools.partial(usual, ngf=8, n_blocks=2)
    return built("LaMa", in_nc=4, out_nc=3)


NETS: dict[str, tuple[Callable[[], Any], str, int, str]] = {  # how it is made, its task, its scale, its file
    "Compact": (lambda: built("Compact", num_feat=16, num_conv=4, upscale=2), "upscale", 2, ".pth"),
    "ESRGAN": (lambda: built("ESRGAN", num_filters=8, num_blocks=1, scale=4), "upscale", 4, ".safetensors"),
    "SPAN": (lambda: built("SPAN", num_in_ch=3, num_out_ch=3, feature_channels=8, upscale=2), "upscale", 2, ".pth"),
    "SwinIR": (
        lambda: built(
            "SwinIR", img_size=64, window_size=8, embed_dim=8, depths=[2], num_heads=[2], upscale=2,
            upsampler="pixelshuffledirect",
        ),
        "upscale", 2, ".safetensors",
    ),
    "DnCNN": (lambda: built("DnCNN", in_nc=1, out_nc=1, nc=16, nb=10, act_mode="R"), "restore", 1, ".pth"),
    "NAFNet": (
        lambda: built("NAFNet", width=8, middle_blk_num=1, enc_blk_nums=[1, 1], dec_blk_nums=[1, 1]),
        "restore", 1, ".ckpt",
    ),
    "SCUNet": (lambda: built("SCUNet", config=[0, 0, 0, 1, 0, 0, 0], dim=64), "restore", 1, ".pth"),
    "FBCNN": (lambda: built("FBCNN", nc=[8, 8, 8, 512], nb=2), "restore", 1, ".pt"),
    "LaMa": (small_lama, "inpaint", 1, ".pth"),
}  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("community")
    before = os.environ.get("GENRESTORE_HOME")
    os.environ["GENRESTORE_HOME"] = str(folder / "home")
    module: Any = importlib.import_module("spandrel.architectures.LaMa.__arch.LaMa")
    generator = module.FFCResNetGenerator
    yield folder
    module.FFCResNetGenerator = generator
    os.environ.pop("GENRESTORE_HOME") if before is None else os.environ.update(GENRESTORE_HOME=before)


@pytest.fixture(scope="module")
def taken(home: Path) -> Callable[[str], tuple[Card, Any]]:
    """taken(architecture) → the card of what was taken in, and spandrel's own descriptor of the same file."""

    @functools.cache
    def take(architecture: str) -> tuple[Card, Any]:
        make, _, _, suffix = NETS[architecture]
        path = home / f"some {architecture}{suffix}"
        state = make().state_dict()
        if suffix == ".safetensors":
            save_file(state, path)
        else:
            torch.save({"params": {f"module.{key}": value for key, value in state.items()}}, path)
        card = genrestore.add_model(path, licence="mit", source="https://example.org/nets")
        return card, spandrel.ModelLoader().load_from_file(path).eval()

    return take


def shown(height: int, width: int) -> Tensor:
    """(1, 3, H, W) of whole levels, as files hold them."""
    return (made(max(height, width))[..., :height, :width] * 255).round() / 255


def pixels(image: Tensor) -> np.ndarray:
    return (image[0].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()


def own(descriptor: Any, image: Tensor) -> Tensor:
    """What spandrel itself makes of a picture; of a net of one channel, channel by channel."""
    with torch.inference_mode():
        if descriptor.input_channels == 1:
            return torch.cat([descriptor(channel) for channel in image.split(1, 1)], 1)
        return descriptor(image.clone())


@pytest.mark.parametrize("architecture", NETS)
def test_a_checkpoint_becomes_a_model_of_its_task(architecture: str, taken: Any) -> None:
    card, descriptor = taken(architecture)
    _, task, scale, suffix = NETS[architecture]
    assert card.name == f"some {architecture}" and card in genrestore.list_models(task)
    assert weights.resolve(card.name, task) == card == Card.read(card.weights.parent)
    assert (card.task, card.scale, card.license) == (task, scale, "MIT")
    assert card.parameters == sum(value.numel() for value in descriptor.model.parameters())
    assert card.origin["file"] == f"some {architecture}{suffix}" and len(card.origin["sha256"]) == 64
    assert "spandrel" in card.origin["converter"] and card.origin["source"] == "https://example.org/nets"
    assert card.size_rule.multiple_of == descriptor.size_requirements.multiple_of


@pytest.mark.parametrize("architecture", [name for name, net in NETS.items() if net[1] != "inpaint"])
@pytest.mark.parametrize(("height", "width"), [(70, 91), (9, 40)], ids=["odd", "tiny"])
def test_a_picture_comes_out_as_from_spandrel(architecture: str, height: int, width: int, taken: Any) -> None:
    """Through the public function, from picture to picture; in 255 levels, so that half a level is rounding."""
    card, descriptor = taken(architecture)
    image = shown(height, width)
    given = Image.fromarray(pixels(image))
    if card.task == "upscale":
        ours = np.asarray(genrestore.upscale(given, card.scale, model=card.name))
    else:
        ours = np.asarray(genrestore.restore(given, model=card.name))
    theirs = own(descriptor, image)[0].permute(1, 2, 0).numpy() * 255
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= 1
    before = np.kron(pixels(image), np.ones((card.scale, card.scale, 1)))
    assert np.abs(theirs - before).max() > 3, "the net does something"


@pytest.mark.parametrize("architecture", [name for name, net in NETS.items() if net[1] != "inpaint"])
def test_tiles_equal_the_whole(architecture: str, taken: Any) -> None:
    """A net that looks at all of a picture is not given tiles of this size, so that nothing is to be seen there either."""
    card, descriptor = taken(architecture)
    image = shown(97, 150)
    net = runtime.load(card.name)
    tile = 64 if not card.size_rule.tile else net.tile
    ours = torch.cat(list(runtime.rows(net, image, tile=tile)), -2)
    assert (ours - own(descriptor, image)).abs().max() <= LEVEL
    assert net.tile == max(runtime.TILE, card.size_rule.tile)


def test_who_looks_at_all_is_told_so(taken: Any) -> None:
    rules = {architecture: taken(architecture)[0].size_rule for architecture in ("NAFNet", "LaMa", "ESRGAN", "SwinIR")}
    assert [rule.tile > 0 for rule in rules.values()] == [True, True, False, False]
    assert "all of a picture" in taken("NAFNet")[0].limits and "all of a picture" not in taken("ESRGAN")[0].limits
    assert rules["SwinIR"].grid == 8, "tiles must begin where its windows do"


@pytest.mark.parametrize("edge", [0, 255])
def test_a_lama_fills_holes_and_nothing_else(edge: int, taken: Any) -> None:
    """Wide ones too: the net was named, so that no pieces of the picture are taken."""
    card, descriptor = taken("LaMa")
    image = shown(120, 150)
    mask = np.zeros((120, 150), np.uint8)
    mask[30:90, 40:110] = 255
    mask[0, :20] = edge
    ours = np.asarray(genrestore.inpaint(Image.fromarray(pixels(image)), mask, model=card.name, strategy="whole"))
    hole = torch.from_numpy(mask > 0)[None, None].float()
    with torch.inference_mode():
        theirs = descriptor(image, hole)[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(ours - theirs)[mask > 0].max() <= 1
    assert np.array_equal(ours[mask == 0], pixels(image)[mask == 0])
    assert np.abs(ours.astype(int) - pixels(image))[mask > 0].mean() > 3
    crop = np.asarray(genrestore.inpaint(Image.fromarray(pixels(image)), mask, model=card.name))
    assert np.array_equal(crop[mask == 0], pixels(image)[mask == 0])


def test_a_net_may_spoil_what_it_is_given() -> None:
    """RCAN scales its input where it lies: the next tile, which holds a part of it, was 255 times as bright."""

    class InPlace(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.tensor(0.5))

        def forward(self, x: Tensor) -> Tensor:
            x *= self.gain
            return x

    net = stranger(InPlace())
    image = shown(40, 48)
    before = image.clone()
    with torch.inference_mode():
        assert torch.equal(net(image), before * 0.5) and torch.equal(image, before)


def test_numbers_of_five_dimensions_are_loaded(taken: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """FFTformer has some, for which there is no order with channels last."""
    net = weights.load_net(taken("Compact")[0].weights)
    net.register_buffer("five", torch.zeros(1, 1, 1, 1, 1))
    monkeypatch.setattr(weights, "load_net", lambda path, card: net)
    card = taken("Compact")[0]
    loaded = runtime._load(card, "exact", torch.device("cpu"), runtime._Entry())
    assert loaded(shown(20, 20)).shape == (1, 3, 40, 40)


def test_a_grey_net_takes_each_channel_and_says_so(taken: Any) -> None:
    card, descriptor = taken("DnCNN")
    assert "channel" in card.limits
    grey = Image.fromarray(pixels(shown(50, 60))[..., 0])
    ours = genrestore.restore(grey, model=card.name)
    theirs = own(descriptor, torch.from_numpy(np.array(grey))[None, None].float() / 255)[0, 0].numpy() * 255
    assert ours.mode == "L" and np.abs(np.asarray(ours) - theirs).max() <= 1


def test_a_net_that_changes_light_may_do_so(home: Path) -> None:
    """Of our own nets the local means are put right; a stranger's may be made to change them."""
    net = built("DnCNN", in_nc=3, out_nc=3, nc=4, nb=8, act_mode="R")
    for parameter in net.parameters():
        nn.init.zeros_(parameter)
    nn.init.constant_(net.model[-1].bias, -0.2)  # pyright: ignore[reportArgumentType]
    torch.save(net.state_dict(), home / "brighter.pth")
    card = genrestore.add_model(home / "brighter.pth")
    before = np.full((64, 64, 3), (90, 100, 110), np.uint8)
    assert np.allclose(np.asarray(genrestore.restore(Image.fromarray(before), model=card.name)), before + 51.0, atol=1)


def test_the_kept_file_needs_no_pickle_and_no_card(taken: Any, tmp_path: Path) -> None:
    card, descriptor = taken("Compact")
    net = weights.load_net(card.weights)
    image = shown(40, 48)
    with torch.inference_mode():
        assert (net(image).clamp(0, 1) - own(descriptor, image)).abs().max() < 1e-6
    assert list(card.weights.parent.iterdir()) != [] and not list(card.weights.parent.rglob("*.p*t*h*"))


def test_openvino_computes_what_it_was_seen_to_compute(taken: Any) -> None:
    openvino = pytest.importorskip("openvino")
    assert openvino
    card = taken("Compact")[0]
    assert card.config["compiled"] and runtime.load(card.name).backend.startswith("openvino")
    exact = runtime.load(card.name, precision="exact")
    image = shown(150, 90)
    assert (runtime.load(card.name)(image) - exact(image)).abs().max() < 0.25 * LEVEL


def test_a_quicker_way_may_not_differ(taken: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What bfloat16 makes differs by more than spandrel's own result may."""
    net = weights.load_net(taken("ESRGAN")[0].weights)
    bodies = backends.Bodies(net, 1)

    def off(x: Tensor) -> Tensor:
        return net.body(x) + 0.01

    bodies.made = dict.fromkeys(backends.WAYS, off) | {backends.PLAIN: net.body}
    choice = backends.measure(bodies, runtime.tasks.find("upscale"))
    assert choice.backend == backends.PLAIN


# --- how far a net sees ------------------------------------------------------------------------------------------------


class Blur(nn.Module):
    """Sees `reach` pixels to each side."""

    def __init__(self, reach: int, turned: bool = False) -> None:
        super().__init__()
        long = 2 * reach + 1
        self.kernel = nn.Parameter(torch.ones(3, 1, *((1, long) if turned else (long, 1))) / long)
        self.padding = (0, reach) if turned else (reach, 0)

    def forward(self, x: Tensor) -> Tensor:
        return torch.nn.functional.conv2d(x, self.kernel, padding=self.padding, groups=3)


class Windows(nn.Module):
    """Sees all of its window of so many pixels, and nothing else."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side, self.gain = side, nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        padded = torch.nn.functional.pad(x, (0, -width % self.side, 0, -height % self.side), mode="reflect")
        mean = torch.nn.functional.interpolate(
            torch.nn.functional.avg_pool2d(padded, self.side), scale_factor=self.side
        )
        return self.gain * mean[..., :height, :width]


def stranger(net: nn.Module, compiled: bool = False) -> Community:
    from spandrel.architectures.Compact import CompactArch

    descriptor = spandrel.ImageModelDescriptor(
        net, net.state_dict(), CompactArch(), "Restoration", [], True, True, 1, 3, 3
    )  # fmt: skip
    return Community(Config("Compact", compiled=compiled), descriptor).eval()


class Folded(nn.Module):
    """Works on squares of 8 pixels, to which it extends its picture by whole numbers that no trace can follow."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side, self.convolution = side, nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        down, across = (int(np.ceil(int(length) / self.side) * self.side - int(length)) for length in (height, width))
        padded = torch.nn.functional.pad(x, (0, across, 0, down), mode="replicate")
        return self.convolution(padded)[..., : int(height), : int(width)]


@pytest.mark.parametrize(("side", "works"), [(8, False), (1, True)])
def test_openvino_is_given_no_net_that_was_made_for_one_size(side: int, works: bool) -> None:
    """FBCNN, which does so, ended the process when it came to a picture of another size."""
    pytest.importorskip("openvino")
    net = stranger(Folded(side) if not works else nn.Conv2d(3, 3, 3, padding=1), compiled=True)
    assert measured.computes(net) == works


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("reach", [3, 60, 110])
def test_the_field_of_a_net_is_found(reach: int, turned: bool) -> None:
    """Longer strips are taken until the cut is no longer seen: 110 pixels are too far for the first."""
    found = measured.field(stranger(Blur(reach, turned)), None, lambda: None)
    assert reach <= found["receptive"] + runtime.BLEND <= 1.4 * reach + 12
    assert found["grid"] == 1 and found["tile"] == 0


@pytest.mark.parametrize("side", [8, 16, 32])
def test_windows_give_the_grid(side: int) -> None:
    found = measured.field(stranger(Windows(side)), None, lambda: None)
    assert found["grid"] == side and found["receptive"] < 2 * side


def test_a_net_of_the_whole_picture_is_known() -> None:
    class Mean(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.ones(()))

        def forward(self, x: Tensor) -> Tensor:
            return x - 0.5 * self.gain * (x.mean((2, 3), keepdim=True) - 0.5)

    assert measured.field(stranger(Mean()), None, lambda: None)["tile"] == measured.WHOLE


def test_memory_is_that_of_the_largest_moment() -> None:
    """Three channels in become 64 and 64 again in float32, of which two layers are alive at once."""
    wide = nn.Sequential(nn.Conv2d(3, 64, 1), nn.Conv2d(64, 64, 1), nn.Conv2d(64, 3, 1))
    held = measured.memory(stranger(wide))
    assert 2 * 64 * 4 <= held <= measured.WORK * (2 * 64 * 4 + 4 * 12)


def test_what_does_not_fit_says_so_before_it_loads(taken: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    card = taken("FBCNN")[0]
    monkeypatch.setattr(machine, "free", lambda: 1e6)
    monkeypatch.setattr(weights, "digest", lambda path: pytest.fail("the file was read"))
    runtime._store.clear()
    runtime._alive.clear()
    with pytest.raises(ModelError, match=r"needs about .* GB of memory, and 0\.0 GB are free"):
        runtime.load(card.name)


def test_tiles_shrink_to_the_free_memory(taken: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = runtime.load(taken("Compact")[0].name)
    assert model.tile == runtime.TILE
    monkeypatch.setattr(machine, "free", lambda: 2.0 * model.size_rule.memory * 300**2)
    assert runtime.LEAST_TILE < model.tile < 300
    monkeypatch.setattr(machine, "free", lambda: 0.0)
    assert model.tile == runtime.LEAST_TILE


# --- files that are refused --------------------------------------------------------------------------------------------


class Evil:
    """Writes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch '{self.path}'",)  # pyright: ignore[reportDeprecated]


def evil_zip(path: Path, value: Any, protocol: int) -> None:
    torch.save({"params": value}, path, pickle_protocol=protocol)


def evil_plain(path: Path, value: Any, protocol: int) -> None:
    path.write_bytes(pickle.dumps({"params": value}, protocol))


def evil_legacy(path: Path, value: Any, protocol: int) -> None:
    torch.save({"params": value}, path, pickle_protocol=protocol, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize("write", [evil_zip, evil_plain, evil_legacy])
@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".ckpt", ".safetensors"])
def test_a_pickle_that_runs_something_is_refused(
    write: Callable[..., None], protocol: int, suffix: str, tmp_path: Path, home: Path
) -> None:
    sign = tmp_path / "it ran"
    write(tmp_path / f"model{suffix}", Evil(sign), protocol)
    with pytest.raises(ModelError, match=r"is refused: .*(posix|nt)\.system.*Nothing of it was run"):
        genrestore.add_model(tmp_path / f"model{suffix}")
    assert not sign.exists()
    pickle.loads(pickle.dumps(Evil(sign)))
    assert sign.exists(), "the test's own trap works"


def test_torchscript_gives_its_tensors_and_runs_nothing(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = built("Compact", num_feat=8, num_conv=2, upscale=2)
    traced: Any = torch.jit.trace(net, torch.rand(1, 3, 16, 16), check_trace=False)
    traced.save(str(tmp_path / "script.pt"))
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("TorchScript was run"))
    state = reader.read(tmp_path / "script.pt")
    assert {*state} == {*net.state_dict()}
    assert all(torch.equal(state[key], value) for key, value in net.state_dict().items())
    assert genrestore.add_model(tmp_path / "script.pt").scale == 2


def test_a_torchscript_that_asks_for_more_is_refused(tmp_path: Path) -> None:
    sign = tmp_path / "it ran"
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as archive:
        archive.writestr("a/code/x.py", "")
        archive.writestr("a/data.pkl", pickle.dumps(Evil(sign), 2))
    with pytest.raises(ModelError, match=r"posix\.system|nt\.system"):
        reader.read(tmp_path / "script.pt")
    assert not sign.exists()


def state_of(**changes: Any) -> dict[str, Any]:
    return {**built("Compact", num_feat=8, num_conv=2, upscale=2).state_dict(), **changes}


def unknown(path: Path) -> None:
    names = "module.fea_conv.weight", "module.IMDB1.c1.weight"
    torch.save({name: torch.rand(8, 3, 3, 3) for name in names}, path)


def another(path: Path) -> None:
    torch.save(state_of(**{"body.2.weight": torch.rand(9, 8, 3, 3)}), path)


def missing(path: Path) -> None:
    state = state_of()
    del state["body.3.weight"]
    torch.save(state, path)


def far(path: Path) -> None:
    last = "body.999999999."
    torch.save(state_of(**{f"{last}weight": torch.rand(12, 8, 3, 3), f"{last}bias": torch.rand(12)}), path)


def huge(path: Path) -> None:
    """A tensor of 10¹² numbers that is one number, seen again and again."""
    torch.save(state_of(**{"body.0.weight": torch.rand(1).expand(10**6, 10**6)}), path)


def promising(path: Path) -> None:
    tensor = {"dtype": "F32", "shape": [10**6, 10**6], "data_offsets": [0, 4 * 10**12]}
    header = json.dumps({"body.0.weight": tensor}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(64))


def cut(path: Path) -> None:
    torch.save(state_of(), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def cut_legacy(path: Path) -> None:
    torch.save(state_of(), path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def cut_safetensors(path: Path) -> None:
    save_file(state_of(), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def infinite(path: Path) -> None:
    torch.save(state_of(**{"body.0.bias": torch.full((8,), torch.inf)}), path)


def picture(path: Path) -> None:
    Image.new("RGB", (8, 8)).save(path, "PNG")


def packed(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/data.pkl", bytes(10**8))


def archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("model.pth", b"x")


def numbers(path: Path) -> None:
    torch.save([1.0, 2.0], path)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def other_channels(path: Path) -> None:
    torch.save(built("Compact", num_in_ch=2, num_out_ch=2, num_feat=8, num_conv=2, upscale=2).state_dict(), path)


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (unknown, r"no known architecture: 2 tensors such as fea_conv\.weight \(8×3×3×3\), IMDB1\.c1\.weight"),
        (another, "looks like RealESRGAN Compact, but does not hold its tensors"),
        (missing, "looks like RealESRGAN Compact, but does not hold its tensors"),
        (far, "numbers that it has no tensors for"),
        (huge, "claims 1,000,000,000,000 numbers"),
        (promising, "is damaged"),
        (cut, "is damaged"),
        (cut_legacy, "is damaged"),
        (cut_safetensors, "is damaged"),
        (infinite, "not finite"),
        (picture, "no checkpoint"),
        (packed, "packed"),
        (archive, "zip archive, but no checkpoint"),
        (numbers, "holds a list"),
        (empty, "no checkpoint"),
        (other_channels, "takes 2 channels"),
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_bad_file_is_one_sentence_and_no_model(
    write: Callable[[Path], None], words: str, suffix: str, tmp_path: Path, home: Path
) -> None:
    write(tmp_path / f"bad one{suffix}")
    before = {card.name for card in genrestore.list_models()}
    with pytest.raises(ModelError, match=words) as problem:
        genrestore.add_model(tmp_path / f"bad one{suffix}")
    assert "\n" not in str(problem.value) and len(str(problem.value)) < 600
    assert {card.name for card in genrestore.list_models()} == before
    left = home / "home" / "adding"
    assert not left.exists() or not list(left.iterdir())


def test_a_missing_file_and_a_taken_name(taken: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no file"):
        genrestore.add_model(tmp_path / "none.pth")
    torch.save(state_of(), tmp_path / "span-x4.pth")
    with pytest.raises(ModelError, match="already a model named span-x4"):
        genrestore.add_model(tmp_path / "span-x4.pth")
    with pytest.raises(ModelError, match="can't name a model"):
        genrestore.add_model(tmp_path / "span-x4.pth", name="../up")


def test_it_tells_how_far_it_is(tmp_path: Path, home: Path) -> None:
    save_file(NETS["Compact"][0]().state_dict(), tmp_path / "told.safetensors")
    told: list[tuple[float, str]] = []
    genrestore.add_model(tmp_path / "told.safetensors", progress=lambda share, what: told.append((share, what)))
    shares = [share for share, _ in told]
    assert shares == sorted(shares) and shares[0] == 0 and 0.9 < shares[-1] <= 1 and len({*shares}) > 5
    assert list(dict.fromkeys(what for _, what in told)) == [
        "it is read",
        "it is tried out",
        "it is measured",
        "it is kept",
    ]


def test_a_cancelled_one_leaves_nothing(tmp_path: Path, home: Path) -> None:
    cancel = threading.Event()
    cancel.set()
    torch.save(state_of(), tmp_path / "stopped.pth")
    with pytest.raises(Cancelled):
        genrestore.add_model(tmp_path / "stopped.pth", cancel=cancel)
    assert "stopped" not in {card.name for card in genrestore.list_models()}


@pytest.mark.parametrize(
    "changes",
    [{"net": "SPAN"}, {"net": "Nothing"}, {"scale": 4}, {"channels": 1}, {"net": 5}, {"more": 1}],
    ids=["another", "unknown", "scale", "channels", "type", "field"],
)
def test_a_kept_file_that_claims_another_net_is_refused(changes: dict[str, Any], taken: Any, tmp_path: Path) -> None:
    card = taken("Compact")[0]
    from safetensors import safe_open

    with safe_open(card.weights, framework="pt") as file:
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        header = json.loads(file.metadata()[weights.HEADER])
    header["config"] |= changes
    save_file(state, tmp_path / "model.safetensors", {weights.HEADER: json.dumps(header)})
    with pytest.raises(ModelError):
        weights.load_net(tmp_path / "model.safetensors")


def test_a_card_of_another_task_is_refused(taken: Any) -> None:
    card = taken("DnCNN")[0]
    with pytest.raises(ModelError, match="its card is wrong"):
        weights.load_net(card.weights, dataclasses.replace(card, task="inpaint"))


def test_size_rules_of_cards_are_checked(taken: Any, tmp_path: Path) -> None:
    card = taken("Compact")[0]
    data = json.loads((card.weights.parent / "card.json").read_text("utf-8"))
    data["size_rule"]["grid"] = 0
    (tmp_path / "card.json").write_text(json.dumps(data), "utf-8")
    with pytest.raises(ModelError, match="size_rule"):
        Card.read(tmp_path)
    assert SizeRule() == SizeRule(1, 1, 0, 1, 0, 0)


def test_detection_does_not_change_what_it_is_given() -> None:
    state = state_of()
    before = dict(state)
    found(state, "a.pth")
    assert {*state} == {*before} and all(state[key] is value for key, value in before.items())


def test_tuples_within_tuples_are_refused(tmp_path: Path) -> None:
    """Python hashes such a key by a recursion in C: a megabyte of it ended the process, half a kilobyte held it for days."""
    nested = b"\x80\x02}K\x01" + b"\x85" * 40 + b"K\x01s."
    doubled = b"\x80\x02}K\x01" + b"".join(b"q%c0h%ch%c\x86" % (k, k, k) for k in range(30)) + b"K\x01s."
    for data in (nested, doubled):
        (tmp_path / "net.pth").write_bytes(data)
        with pytest.raises(ModelError, match="tuples too deep"):
            reader.read(tmp_path / "net.pth")


def test_numbers_that_are_shown_many_times_are_not_copied(tmp_path: Path) -> None:
    shown = torch.zeros(1).expand(1000)
    torch.save({f"weight{k}": shown for k in range(200)}, tmp_path / "net.pth")
    with pytest.raises(ModelError, match="holds no tensors, or fewer numbers"):
        reader.read(tmp_path / "net.pth")


def test_tensors_without_numbers_are_refused(tmp_path: Path) -> None:
    """Their sides are sizes of the net, which would be made at once."""
    save_file({"mask": torch.zeros(10**6, 64, 0), "weight": torch.zeros(3)}, tmp_path / "net.safetensors")
    with pytest.raises(ModelError, match="is damaged"):
        reader.read(tmp_path / "net.safetensors")


def test_what_is_packed_is_refused_wherever_it_lies(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(1000)}, tmp_path / "plain.pth")
    with (
        zipfile.ZipFile(tmp_path / "plain.pth") as plain,
        zipfile.ZipFile(tmp_path / "net.pth", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for entry in plain.infolist():
            name = entry.filename.replace("/data/0", "/data/code/0")
            packed.writestr(name, plain.read(entry), zipfile.ZIP_DEFLATED if "/code/" in name else zipfile.ZIP_STORED)
    with pytest.raises(ModelError, match="is packed"):
        reader.read(tmp_path / "net.pth")


def test_a_net_that_enlarges_without_measure_is_refused(tmp_path: Path) -> None:
    from spandrel.architectures.Compact import Compact

    save_file(
        Compact(num_in_ch=3, num_out_ch=3, num_feat=4, num_conv=1, upscale=24).state_dict(),
        tmp_path / "net.safetensors",
    )
    with pytest.raises(ModelError, match="enlarges 24 times; 16 times is the most"):
        genrestore.add_model(tmp_path / "net.safetensors")


# --- what people are told --------------------------------------------------------------------------------------------------


def test_its_page_tells_where_it_is_from(taken: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """On the page and at the command line alike."""
    from genrestore.__main__ import main
    from genrestore.ui.tabs.models.card import article

    card = taken("Compact")[0]
    text = article(card)
    with pytest.raises(SystemExit):
        main(["models", "show", card.name])
    shown = capsys.readouterr().out
    for told in (
        "RealESRGAN Compact",
        "×2",
        "MIT",
        "some Compact.pth",
        card.origin["sha256"],
        "spandrel",
        "example.org/nets",
    ):
        assert told in text and told in shown, told
    assert "<pre>" not in text, "there is no recipe"
    hostile = dataclasses.replace(card, origin={"source": "https://a/'><script>", "file": ["<b>"], "sha256": "<i>"})
    assert "<script>" not in article(hostile) and "<b>" not in article(hostile)


@pytest.mark.parametrize("architecture", NETS)
def test_cards_speak_chinese(architecture: str, taken: Any) -> None:
    from genrestore.ui.words import sentences

    card = taken(architecture)[0]
    for text in (card.intended, card.limits, "unknown"):
        assert not re.search("[a-z]{3}", sentences.by_language(text)["zh-CN"]), text


def test_a_checkpoint_as_a_reference_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"genrestore models add .*net\.pth"):
        genrestore.load(f"file:{tmp_path / 'net.pth'}")


# --- the command, and what is not loaded -------------------------------------------------------------------------------


def test_the_command_says_what_came_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(state_of(), tmp_path / "my net.pth")
    monkeypatch.setenv("GENRESTORE_HOME", str(tmp_path / "home"))
    command = ["models", "add", str(tmp_path / "my net.pth"), "--licence", "MIT"]
    with pytest.raises(SystemExit) as end:
        cli.main(command)
    said = capsys.readouterr().out
    assert end.value.code == 0 and "my net (RealESRGAN Compact ×2)" in said and "can upscale pictures now" in said
    with pytest.raises(SystemExit) as end:
        cli.main(command)
    assert end.value.code == 2 and "already a model" in capsys.readouterr().err


def test_spandrel_comes_when_it_is_needed() -> None:
    """Nor do the page and its tabs load it; see `test_page_is_built_without_torch`."""
    code = (
        "import sys, genrestore, genrestore.cli.main, genrestore.models\n"
        "genrestore.list_models()\n"
        "assert 'spandrel' not in sys.modules and 'einops' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("kind", ["parameter", "buffer", "temporary", "outer", "many"])
def test_what_a_net_takes_while_it_is_made_is_bounded(kind: str) -> None:
    """Of a header that promises far more than its file holds nothing of that size is ever made, whatever it would be for."""
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    net = nn.Module()
    huge = 1 << 32
    makes: dict[str, Callable[[], Any]] = {
        "parameter": lambda: net.register_parameter("a", nn.Parameter(torch.ones(huge))),
        "buffer": lambda: net.register_buffer("a", torch.arange(huge)),
        "temporary": lambda: torch.linspace(0, 1, huge).mean(),
        "outer": lambda: torch.ones(1 << 16)[:, None] * torch.ones(1 << 16),
        "many": lambda: [net.register_module(f"a{k}", nn.Identity()) for k in range(10_000)],
    }
    with (
        pytest.raises(ModelError, match="does not hold the tensors of its own net"),
        weights.bounded(Path("x"), "net", 2, 1000),
    ):
        makes[kind]()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB
    with weights.bounded(Path("x"), "net", 2, 1000):
        for _ in range(100):
            torch.ones(1 << 20)  # what is gone again does not count
        nn.Linear(30, 30)


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes."),
            "too little memory",
        ),
        (MemoryError(), "too little memory"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."), "too little memory"),
        (RuntimeError("The size of tensor a (7) must match the size of tensor b (8)"), "does not work"),
    ],
)
def test_a_net_that_cannot_be_measured_is_one_sentence(
    problem: Exception, said: str, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genrestore.community import convert

    def measured(*_: Any) -> Any:
        raise problem

    monkeypatch.setattr(convert, "measured", measured)
    torch.save(built("Compact", num_feat=8, num_conv=2, upscale=2).state_dict(), tmp_path / "hungry.pth")
    with pytest.raises(ModelError, match=said) as told:
        genrestore.add_model(tmp_path / "hungry.pth")
    assert (
        "hungry.pth" in str(told.value) and "\n" not in str(told.value) and not (home / "weights" / "hungry").exists()
    )
