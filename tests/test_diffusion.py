"""Pipelines of diffusers from the Hub, with tiny ones that are made here of random numbers: how good any is, is not told."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hub_standin import Files, Hub
from PIL import Image

import genrestore
from genrestore import runtime, weights
from genrestore.errors import Cancelled, ModelError, SettingError
from genrestore.models.diffusion import sized

LETTERS = "abcdefghijklmnopqrstuvwxyz"
VOCABULARY = ["<|startoftext|>", "<|endoftext|>", *LETTERS, *(f"{letter}</w>" for letter in LETTERS)]


def tokenizer(folder: Path) -> Any:
    from transformers import CLIPTokenizer

    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps({word: k for k, word in enumerate(VOCABULARY)}), "utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", "utf-8")
    return CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=16, pad_token="<|endoftext|>"
    )


def parts(folder: Path, channels: int, **more: Any) -> dict[str, Any]:
    """The parts that all pipelines have, with random numbers."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(0)
    text = CLIPTextConfig(
        vocab_size=len(VOCABULARY), hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=16, bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    blocks: dict[str, Any] = {"block_out_channels": (4, 8), "norm_num_groups": 2}
    vae_blocks = more.pop("vae_blocks", (4, 4, 4, 4))
    scaling = more.pop("scaling_factor", 0.18215)
    kinds = {"down": "DownEncoder", "up": "UpDecoder"}
    many: dict[str, Any] = {f"{way}_block_types": (f"{kind}Block2D",) * len(vae_blocks) for way, kind in kinds.items()}
    vae = AutoencoderKL(
        block_out_channels=vae_blocks, norm_num_groups=2, latent_channels=4, sample_size=64, scaling_factor=scaling,
        **many,
    )  # fmt: skip
    own: dict[str, Any] = {**blocks, "cross_attention_dim": 8, **more}
    unet = UNet2DConditionModel(
        sample_size=16, in_channels=channels, out_channels=4, layers_per_block=1, attention_head_dim=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        **own,
    )  # fmt: skip
    return {
        "vae": vae, "unet": unet, "text_encoder": CLIPTextModel(text), "tokenizer": tokenizer(folder / "words"),
    }  # fmt: skip


def checker() -> dict[str, Any]:
    """A safety checker that lets all pass, and what prepares pictures for it."""
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPImageProcessor

    small = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = CLIPConfig(
        vision_config={**small, "image_size": 32, "patch_size": 16}, text_config=small, projection_dim=8
    )
    made = StableDiffusionSafetyChecker(config)
    made.concept_embeds_weights.data.fill_(2.0)  # no cosine is as large
    made.special_care_embeds_weights.data.fill_(2.0)
    crop = {"height": 32, "width": 32}
    return {
        "safety_checker": made,
        "feature_extractor": CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=crop),
    }


def repository(folder: Path) -> Files:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


@pytest.fixture(scope="module")
def inpainter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from diffusers import DDIMScheduler, StableDiffusionInpaintPipeline

    folder = tmp_path_factory.mktemp("inpainter")
    scheduler: Any = DDIMScheduler(clip_sample=False, set_alpha_to_one=False, steps_offset=1)
    made = StableDiffusionInpaintPipeline(
        **parts(folder, 9), **checker(), scheduler=scheduler
    )  # fmt: skip
    made.save_pretrained(folder / "saved")
    return folder / "saved"


@pytest.fixture(scope="module")
def enlarger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from diffusers import DDIMScheduler, DDPMScheduler, StableDiffusionUpscalePipeline

    folder = tmp_path_factory.mktemp("enlarger")
    scheduler: Any = DDIMScheduler(clip_sample=False, prediction_type="v_prediction")
    made = StableDiffusionUpscalePipeline(
        **parts(folder, 7, num_class_embeds=1000, vae_blocks=(4, 4, 4), scaling_factor=0.08333),
        scheduler=scheduler, low_res_scheduler=DDPMScheduler(),
    )  # fmt: skip
    made.save_pretrained(folder / "saved")
    return folder / "saved"


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    hub = Hub()
    yield hub
    hub.server.shutdown()


@pytest.fixture(scope="module", autouse=True)
def client(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The client of this process, led to the stand-in; it has read its settings when it was imported."""
    from huggingface_hub import constants, file_download

    cache = str(tmp_path_factory.mktemp("hf"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "ENDPOINT", hub.url)
        patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}")
        patch.setattr(constants, "HF_HUB_CACHE", cache)
        patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        assert file_download.constants is constants
        yield


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GENRESTORE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GENRESTORE_DEVICE", "cpu")
    return tmp_path / "home"


@pytest.fixture
def pulled(hub: Hub, inpainter: Path) -> str:
    hub.new("ann/fill", repository(inpainter), meta={"license": "openrail"})
    genrestore.pull("hf:ann/fill")
    return "hf:ann/fill"


def photo(width: int, height: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    waves = np.stack([np.sin(x / 9 + k) * np.cos(y / 7 - k) for k in range(3)], -1)
    return (127 + 90 * waves + np.random.default_rng(0).normal(0, 4, waves.shape)).clip(0, 255).astype(np.uint8)


def hole(width: int, height: int) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    mask[40:70, 50:90] = 255
    return mask


def test_a_pull_tells_size_and_licence_and_makes_a_model_of_its_task(hub: Hub, inpainter: Path, home: Path) -> None:
    files = repository(inpainter)
    pickles = {"unet/diffusion_pytorch_model.bin": b"\x80\x04.", "old.ckpt": b"\x80\x04.", "unet/extra.py": b"boom"}
    hub.new("ann/first", {**files, **pickles}, meta={"license": "openrail"})
    offers: list[Any] = []
    with pytest.raises(Cancelled):
        genrestore.pull("hf:ann/first", confirm=lambda offer: bool(offers.append(offer)))
    assert hub.fetched("ann/first") == [] and offers[0].licence == "openrail"
    assert offers[0].bytes == sum(map(len, files.values()))
    card = genrestore.pull("hf:ann/first")
    assert not {"diffusion_pytorch_model.bin", "old.ckpt", "extra.py"} & set(hub.fetched("ann/first"))
    assert (card.task, card.license, card.scale) == ("inpaint", "openrail", 1)
    assert card.revision == hub.repositories["ann/first"].refs["main"]
    assert [one.name for one in card.inputs] == ["prompt", "negative", "steps", "guidance", "strength", "seed"]
    assert card.name in [other.name for other in genrestore.list_models("inpaint")]
    assert genrestore.verify_model("hf:ann/first") == card
    # another file of the pipeline than the one that came is seen
    unet = home / "pulled" / "ann--first" / "unet" / "diffusion_pytorch_model.safetensors"
    content = unet.read_bytes()
    unet.unlink()
    unet.write_bytes(content[:-4] + b"\0\0\0\1")
    with pytest.raises(ModelError, match="sha256 differs"):
        genrestore.verify_model("hf:ann/first")
    genrestore.pull("hf:ann/first")  # mends it
    assert genrestore.verify_model("hf:ann/first") == card and unet.read_bytes() == content
    genrestore.remove_model("hf:ann/first")
    assert card.name not in [other.name for other in genrestore.list_models("inpaint")]


def test_it_fills_as_the_pipeline_itself_does_and_changes_nothing_else(
    pulled: str, inpainter: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffusers import StableDiffusionInpaintPipeline

    monkeypatch.setattr(hub, "dead", True)  # what was pulled needs no network
    before, mask = photo(132, 120), hole(132, 120)
    told: list[float] = []

    def filled(**more: Any) -> np.ndarray:
        settings: dict[str, Any] = {"prompt": "a cat", "steps": 3, "seed": 5, "strategy": "whole", **more}
        return np.asarray(genrestore.inpaint(Image.fromarray(before), Image.fromarray(mask), model=pulled, **settings))

    after = filled(progress=lambda share, _: told.append(share))
    assert (after[mask == 0] == before[mask == 0]).all()
    assert told == sorted(told) and told[0] == pytest.approx(1 / 3) and told[-1] == 1 and len(set(told)) == 3

    def tensor(pixels: np.ndarray) -> torch.Tensor:
        return (
            torch.from_numpy(np.ascontiguousarray(pixels)).reshape(*pixels.shape[:2], -1).permute(2, 0, 1)[None] / 255
        )

    image, marks = sized(tensor(before), tensor(mask), 128)
    assert image.shape[-2:] == (120, 136)
    own: Any = StableDiffusionInpaintPipeline.from_pretrained(inpainter)
    own.set_progress_bar_config(disable=True)
    expected = own(
        "a cat", image=image, mask_image=marks, height=120, width=136, num_inference_steps=3,
        generator=torch.Generator().manual_seed(5), output_type="np",
    ).images[0]  # fmt: skip
    off = np.abs(255 * expected[:, :132] - after.astype(float))[mask > 0].max()
    assert off <= 0.51, off  # a level of rounding
    assert (filled() == after).all()
    assert (filled(seed=6) != after).any() and (filled(prompt="a dog") != after).any()
    assert (filled(strength=0.4) != after).any()
    with pytest.raises(SettingError, match="steps"):
        filled(steps=0)
    with pytest.raises(SettingError, match="takes no speed"):
        filled(speed=1)


def test_cancel_ends_it_between_two_steps_and_each_step_has_a_picture(pulled: str) -> None:
    model = runtime.load(pulled, task="inpaint").under(steps=4, prompt="x")
    image, mask = torch.rand(1, 3, 128, 128), torch.zeros(1, 1, 128, 128)
    mask[..., 40:80, 40:80] = 1
    shown = list(model.steps(image, mask))
    assert len(shown) == 5 and {picture.shape for picture in shown} == {image.shape}
    assert all((picture * (1 - mask) == image * (1 - mask)).all() for picture in shown[:-1])
    assert len({float(picture.sum()) for picture in shown}) == 5
    cancel = threading.Event()
    told: list[float] = []

    def progress(share: float, _text: str) -> None:
        told.append(share)
        cancel.set()

    with pytest.raises(Cancelled):
        genrestore.inpaint(
            Image.fromarray(photo(132, 120)), Image.fromarray(hole(132, 120)), model=pulled, steps=50, progress=progress,
            cancel=cancel,
        )  # fmt: skip
    assert len(told) == 1 and model.net.turn.acquire(blocking=False)
    model.net.turn.release()


def test_a_picture_of_any_size_is_shown_at_the_nets_own(pulled: str) -> None:
    before = photo(700, 300)
    mask = np.zeros((300, 700), np.uint8)
    mask[100:180, 30:650] = 255
    after = np.asarray(genrestore.inpaint(Image.fromarray(before), Image.fromarray(mask), model=pulled, steps=1))
    assert (after[mask == 0] == before[mask == 0]).all() and (after[mask > 0] != before[mask > 0]).any()
    small, marks = sized(torch.rand(1, 3, 300, 700), torch.ones(1, 1, 300, 700), 128)
    assert all(side % 8 == 0 for side in small.shape[-2:]) and small.shape[-2:] == marks.shape[-2:]
    assert 0.8 < small.shape[-1] * small.shape[-2] / 128**2 < 1.25


def test_the_safety_checker_stays_on_and_a_blacked_out_picture_is_one_sentence(
    hub: Hub, inpainter: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load, save

    files = repository(inpainter)
    checker = load(files["safety_checker/model.safetensors"])
    checker["concept_embeds_weights"].fill_(-2.0)  # every cosine is larger
    hub.new("ann/strict", {**files, "safety_checker/model.safetensors": save(checker, {"format": "pt"})})
    genrestore.pull("hf:ann/strict")
    with pytest.raises(ModelError, match=r"safety checker .* blacked it out"):
        genrestore.inpaint(
            Image.fromarray(photo(132, 120)), Image.fromarray(hole(132, 120)), model="hf:ann/strict", steps=1
        )
    hub.new("ann/without", {name: content for name, content in files.items() if not name.startswith("safety_checker")})
    with pytest.raises(ModelError, match="safety_checker of the pipeline is not there"):
        genrestore.pull("hf:ann/without")


def test_it_enlarges_four_times_as_the_pipeline_itself_does(hub: Hub, enlarger: Path) -> None:
    from diffusers import StableDiffusionUpscalePipeline

    hub.new("ann/larger", repository(enlarger))
    card = genrestore.pull("hf:ann/larger")
    assert (card.task, card.scale, card.license) == ("upscale", 4, "unknown")
    assert [one.name for one in card.inputs] == ["prompt", "negative", "steps", "guidance", "noise", "seed"]
    before = photo(72, 64)
    told: list[float] = []
    settings: dict[str, Any] = {"model": "hf:ann/larger", "prompt": "a cat", "steps": 3, "seed": 2}
    after = np.asarray(
        genrestore.upscale(Image.fromarray(before), 4, **settings, progress=lambda share, _: told.append(share))
    )
    assert after.shape == (256, 288, 3) and told[0] == pytest.approx(1 / 3) and told[-1] == 1
    own: Any = StableDiffusionUpscalePipeline.from_pretrained(enlarger)
    own.set_progress_bar_config(disable=True)
    image = torch.from_numpy(before).permute(2, 0, 1)[None] / 255
    expected = own(
        "a cat", image=image, num_inference_steps=3, generator=torch.Generator().manual_seed(2), output_type="np"
    ).images[0]  # fmt: skip
    assert np.abs(255 * expected - after.astype(float)).max() <= 0.51
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        genrestore.upscale(Image.fromarray(before), 4, **settings, cancel=cancel)


UNET = "unet/diffusion_pytorch_model.safetensors"
REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "pickles": ("in no whole .safetensors file", {UNET: None, "unet/diffusion_pytorch_model.bin": b"x"}),
    "custom": ("names the pipeline one with code of its own", {"_class_name": ["pipeline", "Mine"]}),
    "another": ("names the pipeline FluxPipeline", {"_class_name": "FluxPipeline"}),
    "module": ("which is none of the parts", {"unet": ["unet.mine", "Mine"]}),
    "system": ("which is none of the parts", {"scheduler": ["os", "system"]}),
    "parts": ("does not hold the parts", {"_class_name": "StableDiffusionUpscalePipeline"}),
    "map": ("asks for code of its own", {"text_encoder/config.json": {"auto_map": {"AutoModel": "mine.Mine"}}}),
    "tensors": ("lacks 1 tensors", {UNET: "conv_in.bias"}),
    "claims": ("is not a safetensors file, or is damaged", {"vae/diffusion_pytorch_model.safetensors": b"\xff" * 64}),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_plain_pipeline_is_refused_and_nothing_is_run(
    case: str, hub: Hub, inpainter: Path, home: Path
) -> None:
    from safetensors.torch import load, save

    sentence, changes = REFUSED[case]
    files = dict(repository(inpainter))
    for name, change in changes.items():
        if name not in files and not isinstance(change, bytes):
            files["model_index.json"] = json.dumps(json.loads(files["model_index.json"]) | {name: change}).encode()
        elif change is None:
            del files[name]
        elif isinstance(change, dict):
            files[name] = json.dumps(json.loads(files[name]) | change).encode()
        elif isinstance(change, str):
            tensors = load(files[name])
            del tensors[change]
            files[name] = save(tensors, {"format": "pt"})
        else:
            files[name] = change
    mark = home.parent / "ran"
    code = f"open({str(mark)!r}, 'w').write('ran')\nclass Mine: ...\n".encode()
    for place in ("pipeline.py", "mine.py", "unet/mine.py", "text_encoder/mine.py"):
        files[place] = code
    hub.new(f"ann/{case}", files)
    with pytest.raises(ModelError, match=sentence):
        genrestore.pull(f"hf:ann/{case}")
    assert not mark.exists() and not list((home / "pulled").glob("*"))
    assert not [name for name in hub.fetched(f"ann/{case}") if name.endswith((".py", ".bin"))]
    if case in ("pickles", "custom", "another", "module", "system"):  # seen before the large files come
        assert not [name for name in hub.fetched(f"ann/{case}") if name.endswith(".safetensors")]


def test_without_the_extra_one_sentence_says_what_to_install(
    hub: Hub, inpainter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genrestore import model_index

    hub.new("ann/bare", repository(inpainter))
    monkeypatch.setattr(model_index, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r'pip install "genrestore\[diffusion\]"'):
        genrestore.pull("hf:ann/bare")
    assert hub.fetched("ann/bare") == []


def test_sdxl_fills_as_the_pipeline_itself_does(hub: Hub, tmp_path: Path) -> None:
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLInpaintPipeline
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    made = parts(
        tmp_path, 9, cross_attention_dim=16, addition_embed_type="text_time", addition_time_embed_dim=4,
        projection_class_embeddings_input_dim=6 * 4 + 8,
    )  # fmt: skip
    config: dict[str, Any] = {**made["text_encoder"].config.to_dict(), "projection_dim": 8}
    text = CLIPTextConfig(**config)
    scheduler: Any = EulerDiscreteScheduler()
    StableDiffusionXLInpaintPipeline(
        **made, text_encoder_2=CLIPTextModelWithProjection(text), tokenizer_2=made["tokenizer"], scheduler=scheduler
    ).save_pretrained(tmp_path / "saved")
    hub.new("ann/xl", repository(tmp_path / "saved"))
    assert genrestore.pull("hf:ann/xl").task == "inpaint"
    model = runtime.load("hf:ann/xl").under(steps=2, seed=4, prompt="a cat")
    image, mask = torch.rand(1, 3, 128, 128), torch.zeros(1, 1, 128, 128)
    mask[..., 40:80, 40:80] = 1
    own: Any = StableDiffusionXLInpaintPipeline.from_pretrained(tmp_path / "saved")
    own.set_progress_bar_config(disable=True)
    expected = own(
        "a cat", image=image, mask_image=mask, height=128, width=128, num_inference_steps=2, strength=1.0,
        generator=torch.Generator().manual_seed(4), output_type="pt",
    ).images  # fmt: skip
    assert (model(image, mask) - expected).abs().max() < 1e-4
    *_, last = model.steps(image, mask)
    assert (last - expected).abs().max() < 1e-4


def test_little_memory_makes_attention_slice_by_slice(pulled: str) -> None:
    net = weights.check(weights.resolve(pulled))
    image, mask = torch.rand(1, 3, 128, 128), torch.ones(1, 1, 128, 128)
    whole = net(image, mask, steps=2)
    few = net.settled(torch.device("cpu"), 0.0)
    kinds = {type(one).__name__ for one in few.unet.attn_processors.values()}
    assert kinds == {"SlicedAttnProcessor"} and (few(image, mask, steps=2) - whole).abs().max() < 1e-4


def test_what_would_not_fit_says_so_before_it_loads(pulled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "available", lambda where: 1e6)
    runtime._store.clear()
    with pytest.raises(ModelError, match=r"needs about .* GB of memory"):
        runtime.load(pulled)


def test_the_page_asks_for_what_it_takes_and_shows_each_step(
    pulled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genrestore.ui.parts import jobs, slots
    from genrestore.ui.parts.mask_editor import url
    from genrestore.ui.tabs.inpaint import tab

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr(jobs, "BEAT", 0.001)  # or a tiny net is done between two looks
    before, mask = photo(132, 120), hole(132, 120)
    Image.fromarray(before).save(tmp_path / "photo.png")
    file = {"path": str(tmp_path / "photo.png"), "meta": {"_type": "gradio.FileData"}}
    value = {"file": file, "mask": url(mask > 0), "w": 132, "h": 120}
    asked = [field["label"] for field in tab.asking("fill") if field["visible"]]
    assert asked == ["Prompt", "Negative prompt", "Steps", "Guidance", "Strength", "Seed"]
    assert not [field for field in tab.asking("auto") if field["visible"]]
    told = ["a cat", "", 20, 7.5, 1, 9, *[None] * (slots.COUNT - 6)]
    answers = [step["answer"] for step in tab.run(value, "fill", "crop", None, tab.AUTO, None, *told)]
    assert any(answer.get("glimpse", "").startswith("data:image/webp;base64,") for answer in answers)
    same = genrestore.inpaint(
        Image.fromarray(before), Image.fromarray(mask), model="fill", prompt="a cat", steps=20, seed=9
    )
    assert (np.asarray(Image.open(answers[-1]["scene"]["file"]["path"])) == np.asarray(same)).all()
    problem = [
        step["answer"] for step in tab.run(value, "fill", "crop", None, tab.AUTO, None, *["", "", 0, *told[3:]])
    ][-1]
    assert problem["problem"] == "steps must lie between 1 and 150, not 0."


def test_the_command_line_takes_the_same(pulled: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from genrestore.cli import main as command

    before, mask = photo(132, 120), hole(132, 120)
    Image.fromarray(before).save(tmp_path / "photo.png")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    settings = ["--set", "steps=2", "--set", "prompt=a cat, sitting", "--seed", "3"]
    paths = [str(tmp_path / name) for name in ("photo.png", "mask.png", "out.png")]
    with pytest.raises(SystemExit) as end:
        command.main(["inpaint", *paths[:2], "--model", pulled, *settings, "-o", paths[2]])
    assert not end.value.code, capsys.readouterr().err
    same = genrestore.inpaint(paths[0], paths[1], model=pulled, steps=2, prompt="a cat, sitting", seed=3)
    assert (np.asarray(Image.open(paths[2])) == np.asarray(same)).all()
    assert weights.resolve(pulled).parameters < 100_000
