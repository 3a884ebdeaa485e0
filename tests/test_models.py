"""Promises that every preset in the registry keeps. A new model file is tested by being there."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from genrestore import backends, weights
from genrestore.card import Card, DataSource
from genrestore.data.dataset import Pictures, batch
from genrestore.data.degrade import find as degradation
from genrestore.errors import ModelError
from genrestore.models import build, find, names
from genrestore.registry import Preset, channels
from genrestore.runtime import Model
from genrestore.training.train import train

ALL = names()


def fresh(preset: Preset) -> Any:
    torch.manual_seed(0)
    return preset.net(preset.config)


def model(preset: Preset, net: Any = None) -> Model:
    card = Card(
        preset.name,
        preset.task,
        preset.architecture,
        dataclasses.asdict(preset.config),
        0,
        "",
        "none",
        (),
        preset.recipe.to_json(),
    )
    return Model(card, (net or fresh(preset)).eval(), torch.device("cpu"), "torch")


def awake(net: Any) -> Any:
    """Nets that begin as the identity would keep any promise; small random weights make them do something."""
    torch.manual_seed(1)
    for parameter in net.parameters():
        if parameter.abs().max() < 0.01:
            nn.init.normal_(parameter, std=0.02)
    return net


def small_batch(preset: Preset) -> dict[str, Tensor]:
    """Two pictures of the kind the preset trains on, spoilt as its recipe says."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:256, :256] / 255
    recipe = dataclasses.replace(preset.recipe, batch=2, size=min(preset.recipe.size, 64), augment=())
    side = recipe.size + 2 * degradation(recipe.degrade).margin
    arrays = [
        np.clip(255 * np.stack([np.sin(4 * x + k) ** 2 * y, x * y, rng.random((256, 256)) * 0.2], -1), 0, 255)[
            :side, :side
        ].astype(np.uint8)
        for k in range(2)
    ]
    sizes = np.array([array.size for array in arrays])
    shapes = np.array([array.shape for array in arrays])
    flat = np.concatenate([array.reshape(-1) for array in arrays])
    made = Pictures(DataSource("made", 2, "", ""), flat, shapes, np.cumsum(sizes) - sizes).of(channels(preset.config))
    return batch(made, recipe, 0) | {"step": torch.tensor(0)}


def test_presets_of_every_task_of_the_page_exist() -> None:
    assert {"sample", "inpaint", "upscale"} <= {find(name).task for name in ALL}


@pytest.mark.parametrize("name", ALL)
def test_preset_is_plain_data(name: str) -> None:
    preset = find(name)
    assert dataclasses.is_dataclass(preset.config) and not isinstance(preset.config, type)
    assert json.loads(json.dumps(dataclasses.asdict(preset.config))) is not None
    assert type(preset.recipe).from_json(json.loads(json.dumps(preset.recipe.to_json()))) == preset.recipe
    assert preset.recipe.model == name and preset.recipe.data
    for text in (preset.title, preset.intended, preset.limits, preset.paper):
        assert text, f"{name} must say title, intended, limits and paper"
    assert not preset.recipe.licence, "whoever trains says under which licence"


@pytest.mark.parametrize("name", ALL)
def test_every_parameter_gets_a_gradient(name: str) -> None:
    preset = find(name)
    net = fresh(preset).train()
    reached: set[int] = set()
    for phase in net.phases(preset.recipe):
        own = [weight for group in phase.optimizer.param_groups for weight in group["params"]]
        phase.loss(small_batch(preset)).backward(inputs=own, retain_graph=phase.shared)
        reached |= {id(p) for group in phase.optimizer.param_groups for p in group["params"] if p.grad is not None}
    missed = [key for key, parameter in net.named_parameters() if id(parameter) not in reached]
    assert not missed, f"no gradient reaches {missed}"


@pytest.mark.parametrize("name", ALL)
def test_loss_falls_on_one_batch(name: str) -> None:
    """Ten steps on the same two pictures. For a GAN one player's loss falls while the other stands still."""
    preset = find(name)
    net = awake(fresh(preset)).train()
    data = small_batch(preset)
    phase = net.phases(dataclasses.replace(preset.recipe, lr=1e-3))[0]
    losses = []
    for _ in range(10):
        torch.manual_seed(3)
        phase.optimizer.zero_grad()
        loss = phase.loss(data)
        loss.backward()
        phase.optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.01 * abs(losses[0]), losses


@pytest.mark.parametrize("name", names("sample"))
def test_samples(name: str) -> None:
    """Finite pictures in [0, 1]; one z gives one picture, whoever else is in the batch."""
    net = fresh(find(name)).eval()
    with torch.inference_mode():
        z = torch.randn(3, net.latent, generator=torch.Generator().manual_seed(5))
        together, alone = net.decode(z), net.decode(z[1:2])
    assert together.shape[0] == 3 and together.shape[2] == together.shape[3] == find(name).recipe.size
    assert torch.isfinite(together).all() and together.min() >= 0 and together.max() <= 1
    assert (together[1:2] - alone).abs().max() < 1 / 1000


@pytest.mark.parametrize("name", names("upscale"))
@pytest.mark.parametrize("height, width", [(37, 53), (1, 1), (2, 64)])
def test_any_size_comes_out_enlarged(name: str, height: int, width: int) -> None:
    """Odd sizes too: the runtime pads and crops, so a net need not know."""
    preset = find(name)
    out = model(preset)(torch.rand(1, 3, height, width))
    scale = preset.config.scale  # pyright: ignore[reportAttributeAccessIssue]
    assert out.shape == (1, 3, height * scale, width * scale)
    assert torch.isfinite(out).all() and out.min() >= 0 and out.max() <= 1


@pytest.mark.parametrize("name", names("inpaint"))
@pytest.mark.parametrize("height, width", [(37, 53), (8, 8), (64, 1)])
def test_only_the_hole_changes(name: str, height: int, width: int) -> None:
    preset = find(name)
    image = torch.rand(1, 3, height, width)
    mask = torch.zeros(1, 1, height, width)
    mask[..., height // 4 : height // 2 + 1, :] = 1
    out = model(preset, awake(fresh(preset)))(image, mask)
    assert out.shape == image.shape and torch.isfinite(out).all()
    outside = (mask == 0).expand_as(image)
    assert torch.equal(out[outside], image[outside])
    assert not torch.equal(out, image)


@pytest.mark.parametrize("name", names("upscale"))
def test_receptive_field_is_as_stated(name: str) -> None:
    """A pixel further off than `receptive` must not matter, or tiles would show."""
    preset = find(name)
    net = awake(fresh(preset)).eval()
    reach = net.size_rule.receptive
    image = torch.rand(1, 3, 8, 2 * reach + 24)
    other = image.clone()
    other[..., 0] = 1 - other[..., 0]
    with torch.inference_mode():
        change = (net(image) - net(other)).abs().amax((0, 1, 2))
    seen = torch.nonzero(change > 0).max().item() // preset.config.scale  # pyright: ignore[reportAttributeAccessIssue]
    assert seen <= reach, f"{name} sees {seen} pixels, its size rule says {reach}"


@pytest.mark.parametrize("name", ALL)
def test_file_alone_rebuilds_the_net(name: str, tmp_path: Path) -> None:
    preset = find(name)
    net = awake(fresh(preset)).eval()
    card = weights.save(net, model(preset).card, tmp_path, half=False)
    (tmp_path / "card.json").unlink()
    again = weights.load_net(tmp_path / "model.safetensors")
    for (key, mine), theirs in zip(net.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs), key
    assert card.parameters == sum(parameter.numel() for parameter in net.parameters())


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(ModelError, match="Did you mean 'span-x4'"):
        find("span-4x")
    with pytest.raises(ModelError, match="no architecture named 'Spam'"):
        build("Spam", {})
    with pytest.raises(ModelError, match="do not fit Span"):
        build("Span", {"scale": 4, "depth": 3})


def test_every_backend_equals_plain_torch() -> None:
    """What OpenVINO computes is what PyTorch computes, to a fraction of a grey level; in bfloat16, to a few."""
    preset = find("span-x4")
    net = awake(fresh(preset)).eval()
    image = torch.rand(1, 3, 40, 56)
    plain = model(preset, net)(image)
    bodies = backends.Bodies(net, 1)
    ways = {way: body for way in backends.WAYS if (body := bodies.of(way)) is not None}
    assert {"openvino f32", "openvino bf16", "torch fp32"} <= {*ways}
    for way, body in ways.items():
        other = model(preset, backends.with_body(net, body))(image)
        assert (other - plain).abs().max() < (0.25 if "32" in way else backends.LARGEST_DIFFERENCE) / 255, way
    assert torch.equal(model(preset, net)(image), plain), "the net itself stays as it was"


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_the_classical_fill_is_the_same_in_every_precision(kind: torch.dtype) -> None:
    """In half precision its small weights would vanish and what is divided by them would be no number."""
    net = fresh(find("residual-fill"))
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 20:50, 10:60] = 1
    with torch.autocast("cpu", kind):
        fill = net.fill(image, mask)
    assert torch.equal(fill, net.fill(image, mask))


@pytest.mark.parametrize(("name", "colour"), [("gan-mnist", True), ("dcgan-cifar10", False)])
def test_grey_nets_learn_from_colour_and_colour_nets_from_grey(name: str, colour: bool, tmp_path: Path) -> None:
    """The net says what it takes: pictures of the other kind ended in the shapes of a matrix product."""
    shape = (20, 40, 40, 3) if colour else (20, 40, 40)
    np.savez(tmp_path / "made.npz", images=np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    recipe = dataclasses.replace(find(name).recipe, steps=2, batch=4, licence="own", leave_out=())
    run = train(recipe, tmp_path / "made.npz", tmp_path / "run")
    net = weights.load_net(run / "model.safetensors")
    assert net.decode(torch.zeros(1, net.latent)).shape[1] == channels(net.config) == (1 if colour else 3)


def test_colour_becomes_luma_and_grey_is_repeated() -> None:
    pixels = np.array([255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255], np.uint8)
    made = Pictures(DataSource("made", 1, "", ""), pixels, np.array([[2, 2, 3]]), np.array([0]))
    images = torch.from_numpy(pixels.reshape(1, 2, 2, 3)).permute(0, 3, 1, 2) / 255
    assert made.coloured(images) is images and made.of(3).coloured(images) is images
    grey = made.of(1).coloured(images)
    assert torch.allclose(grey.flatten(), torch.tensor([0.299, 0.587, 0.114, 1.0]))
    assert torch.equal(made.of(3).coloured(grey), grey.expand(-1, 3, -1, -1))
