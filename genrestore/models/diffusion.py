"""Diffusion: a text-guided pipeline of diffusers, to inpaint or to enlarge four times.

Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models", CVPR 2022. arXiv:2112.10752
https://github.com/huggingface/diffusers

It is made of several nets, each in a folder of its own beside a model.safetensors that holds no tensor: its header lists those
files with their sha256. Every part is of a class that is named below, read from safetensors and JSON alone; diffusers is never
asked to look for a pipeline's or a part's class by itself, so that no code of a repository can run.

    image, mask ─ sized for the net ─ encoded ─ noise … steps … ─ decoded ─ safety checker ─ sized back
"""

import hashlib
import inspect
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genrestore.card import SizeRule
from genrestore.errors import ModelError
from genrestore.model_index import FILE, INDEX, NETS, json_of, need, read_index
from genrestore.registry import adopt
from genrestore.setting import setting

MULTIPLE = 8  # of which the sides of what such a net is given are multiples
CLOSE = (
    0.75,
    1.5,
)  # times the net's own side that a picture may measure, as the root of its area, to be shown as it is
SMALLEST = 64  # pixels of a side
LOOK = 0.5  # seconds between two looks at whether the net is free
PREVIEW = 256  # pixels of the picture's longer side from which it is learnt what latents look like
HALF, FULL = 2, 4  # bytes of a number on a GPU and on a processor
WORKING = {
    "inpaint": 8_000,
    "upscale": 110_000,
}  # bytes that a pixel given to such a net takes while it is computed, about
SMALL_TILE = 168  # pixels a side of the smallest piece of a picture that is enlarged
SLICED = 2  # times what it needs that must be free so that attention is not computed slice by slice


@dataclass(frozen=True)
class Config:
    pipeline: str = ""  # its class in diffusers
    task: str = ""
    scale: int = 1
    side: int = 512  # pixels of the pictures that it learnt from
    files: tuple[str, ...] = ("",)  # "sha256 name" of each that it is made of


@dataclass(frozen=True)
class Inpainting:
    prompt: str = setting("", "What is to be seen in the marked part; about 75 words count.", "Prompt", "main")
    negative: str = setting("", "What is not to be seen there.", "Negative prompt", "main")
    steps: int = setting(30, "More take longer and look better, up to a point.", "Steps", "main", within="[1, 150]")
    guidance: float = setting(7.5, "How closely the prompt is followed.", "Guidance", "main", within="[1, 30]")
    strength: float = setting(
        1.0, "How much of what is in the marked part may change; 1 forgets it.", "Strength", "main", within="(0, 1]"
    )
    seed: int = setting(0, "Another one gives another picture.", "Seed", "main", within="[0, 2147483647]")


@dataclass(frozen=True)
class Enlarging:
    prompt: str = setting("", "What the picture shows; about 75 words count.", "Prompt", "main")
    negative: str = setting("", "What it does not show.", "Negative prompt", "main")
    steps: int = setting(30, "More take longer and look better, up to a point.", "Steps", "main", within="[1, 150]")
    guidance: float = setting(9.0, "How closely the prompt is followed.", "Guidance", "main", within="[1, 30]")
    noise: int = setting(
        20, "Grain that the picture is given first; more lets more be invented.", "Noise", "main", within="[0, 350]"
    )
    seed: int = setting(0, "Another one gives another picture.", "Seed", "main", within="[0, 2147483647]")


CONDITIONS = {"inpaint": Inpainting, "upscale": Enlarging}


def size_rule(config: Config) -> SizeRule:
    if config.task == "upscale":
        return SizeRule(MULTIPLE, SMALLEST, receptive=16, grid=MULTIPLE, memory=WORKING["upscale"])
    return SizeRule(tile=config.side)


def needs(config: Mapping[str, Any], parameters: int, device: str) -> float:
    """Bytes that a pipeline takes on a device with the smallest picture that it is given."""
    task, side = str(config.get("task")), config.get("side")
    area = SMALL_TILE**2 if task == "upscale" else (side if isinstance(side, int) else 0) ** 2
    return parameters * (HALF if device == "cuda" else FULL) + area * WORKING.get(task, 0) / (1 + (device == "cuda"))


class _Stopped(Exception):
    """Ends the pipeline's own loop."""


@adopt(*CONDITIONS, config=Config(), needs=needs)
class Diffusion(nn.Module):
    as_it_is = True  # its pictures are shown as they come
    as_said = True  # takes texts of any length
    invents = True  # what was asked for, in colours of its own, and all of a hole at once

    def __init__(self, config: Config, parts: Mapping[str, Any], switches: Mapping[str, Any]) -> None:
        super().__init__()
        self.config, self.task = config, config.task
        self.Conditions = CONDITIONS[config.task]
        self.size_rule = size_rule(config)
        for name in NETS:
            if isinstance(parts.get(name), nn.Module):
                self.add_module(name, parts[name])
        self.__dict__["parts"], self.__dict__["switches"] = dict(parts), dict(switches)
        self.turn = threading.Lock()  # a pipeline may change the precision of its parts while it runs

    @classmethod
    def of_folder(cls, config: Config, folder: Path) -> "Diffusion":
        """The pipeline whose files lie in a folder, in float32.

        Raises:
            ModelError: a file is missing or is another one, or holds what does not fit; or diffusers is not installed.
        """
        need()
        _sound(config, folder)
        index = read_index(folder / INDEX)
        if (index.task, index.pipeline) != (config.task, config.pipeline):
            raise ModelError(f"{folder} holds another pipeline than its model.safetensors says; pull it again.")
        import diffusers
        import transformers

        for library in (diffusers, transformers):  # whose bars would stand among ours
            library.utils.logging.disable_progress_bar()
        parts = {name: _part(folder / name, name, kind) for name, kind in index.parts.items()}
        net = cls(config, parts, index.switches).eval()
        try:
            net._pipeline()
        except (TypeError, ValueError, AttributeError) as problem:
            raise ModelError(
                f"{folder} does not hold the parts of its {config.pipeline} ({_told(problem)})."
            ) from problem
        return net

    def settled(self, device: torch.device, free: float) -> "Diffusion":
        """On its device: in float16 on a GPU; with little memory left it computes attention slice by slice."""
        count = sum(value.numel() for value in self.parameters())
        if free < SLICED * needs({"task": self.task, "side": self.config.side}, count, device.type):
            unet: Any = self.unet
            unet.set_attention_slice("auto")
        return self.to(device, torch.float16 if device.type == "cuda" else torch.float32)

    def length(self, steps: int | None = None, strength: float = 1.0, **_: Any) -> int:
        """How many steps a call takes."""
        count = self.Conditions.steps if steps is None else steps
        return max(1, int(count * strength)) if self.task == "inpaint" else count

    def forward(self, image: Tensor, mask: Tensor | None = None, **told: Any) -> Tensor:
        """(1, 3, H, W), to inpaint with (1, 1, H, W), 1 = fill → (1, 3, sH, sW)."""
        with self.turn:
            return self._made(image, mask, told, None)

    def steps(self, image: Tensor, mask: Tensor | None = None, **told: Any) -> Iterator[Tensor]:
        """As `forward`: about what is seen after each step, and last the result; the picture itself while others are served."""
        while not self.turn.acquire(timeout=LOOK):
            yield image
        made: SimpleQueue[Tensor | BaseException | None] = SimpleQueue()
        stopped = threading.Event()

        def seen(picture: Tensor) -> None:
            if stopped.is_set():
                raise _Stopped
            made.put(picture)

        def work() -> None:  # the pipeline has a loop of its own
            try:
                with torch.inference_mode():
                    made.put(self._made(image, mask, told, seen))
                made.put(None)
            except BaseException as problem:
                made.put(problem)

        worker = threading.Thread(target=work, daemon=True)
        worker.start()
        try:
            while (out := made.get()) is not None:
                if isinstance(out, BaseException):
                    raise out
                yield out
        finally:
            stopped.set()
            worker.join()
            self.turn.release()

    def _made(self, image: Tensor, mask: Tensor | None, told: Mapping[str, Any], seen: Any) -> Tensor:
        assert len(image) == 1, "one picture at a time"
        asked = {**_usual(self.Conditions), **told}
        try:
            if mask is None:
                out = self._enlarged(image.float(), asked, seen)
            else:
                out = self._inpainted(image.float(), mask.float(), asked, seen)
        except torch.OutOfMemoryError:
            raise ModelError(
                "The GPU has too little free memory for this pipeline; close what else uses it, or set "
                "GENRESTORE_DEVICE=cpu."
            ) from None
        except (TypeError, ValueError, RuntimeError) as problem:  # of parts that do not fit each other
            raise ModelError(f"The pipeline does not work ({_told(problem)}); take another model.") from problem
        if not torch.isfinite(out).all():
            raise ModelError("The pipeline made no picture, but numbers that are not finite; take another model.")
        return out

    def _inpainted(self, image: Tensor, mask: Tensor, asked: Mapping[str, Any], seen: Any) -> Tensor:
        height, width = image.shape[-2:]
        shown, marks = sized(image, mask, self.config.side)
        down, across = shown.shape[-2:]
        strength = asked["strength"]
        steps = max(asked["steps"], -(-1 // strength)) if strength < 1 else asked["steps"]  # at least one is done

        def back(picture: Tensor) -> Tensor:
            """(1, 3, h, w) of what the net was shown, as large as the picture that came."""
            if min(down / height, across / width) >= 1 and max(down - height, across - width) < MULTIPLE:
                return picture[..., :height, :width]  # it was made larger at its right and lower edge
            return _resized(picture, (height, width))

        watch = None if seen is None else lambda picture: seen(back(picture))
        out = self._called(
            shown, asked, int(steps), watch, marks,
            image=shown, mask_image=marks, height=down, width=across, strength=strength,
        )  # fmt: skip
        return back(out)

    def _enlarged(self, image: Tensor, asked: Mapping[str, Any], seen: Any) -> Tensor:
        return self._called(image, asked, asked["steps"], seen, None, image=image, noise_level=asked["noise"])

    def _called(
        self, shown: Tensor, asked: Mapping[str, Any], steps: int, seen: Any, marks: Tensor | None, **more: Any
    ) -> Tensor:
        """What the pipeline makes of a picture (1, 3, h, w) in [0, 1].

        Raises:
            ModelError: its safety checker blacked it out.
        """
        pipeline = self._pipeline()
        if seen is not None:
            more |= self._watched(pipeline, shown, marks, seen)
        made = pipeline(
            prompt=asked["prompt"], negative_prompt=asked["negative"] or None, num_inference_steps=steps,
            guidance_scale=asked["guidance"], generator=torch.Generator().manual_seed(asked["seed"]),
            output_type="pt", **more,
        )  # fmt: skip
        if any(getattr(made, "nsfw_content_detected", None) or ()):
            raise ModelError(
                "The model's own safety checker took the result for indecent and blacked it out, so the picture stays as it "
                "is; try another prompt, another seed, or mark another part."
            )
        return made.images.float()

    def _pipeline(self) -> Any:
        """diffusers' own, with a scheduler of its own; the safety checker stays as the repository has it."""
        import diffusers

        parts = {
            name: type(part).from_config(part.config) if name.endswith("scheduler") else part
            for name, part in self.__dict__["parts"].items()
        }
        kind = getattr(diffusers, self.config.pipeline)
        takes = inspect.signature(kind.__init__).parameters
        pipeline = kind(**parts, **{name: value for name, value in self.__dict__["switches"].items() if name in takes})
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def _watched(
        self, pipeline: Any, shown: Tensor, marks: Tensor | None, seen: Callable[[Tensor], None]
    ) -> dict[str, Any]:
        """The arguments by which a pipeline tells of each step."""
        looks = self._looks(shown)
        size = tuple(side * self.config.scale for side in shown.shape[-2:])

        def step(latents: Tensor) -> None:
            picture = _resized(looks(latents), size)
            seen(picture if marks is None else torch.where(marks > 0, picture, shown))

        if self.task == "upscale":
            return {"callback": lambda _k, _time, latents: step(latents)}

        def ended(_pipeline: Any, _k: int, _time: Any, held: dict[str, Any]) -> dict[str, Any]:
            step(held["latents"])
            return held

        return {"callback_on_step_end": ended}

    def _looks(self, shown: Tensor) -> Callable[[Tensor], Tensor]:
        """A quick guess at what latents (1, C, h, w) show: → (1, 3, h, w), by a linear map from this very picture's own latents.

        To decode them at each step would take longer than the step.
        """
        vae: Any = self.vae
        shrunk = min(1.0, PREVIEW / max(shown.shape[-2:]))
        height, width = (max(SMALLEST, round(side * shrunk / MULTIPLE) * MULTIPLE) for side in shown.shape[-2:])
        small = _resized(shown, (height, width))
        own = vae.dtype
        kind = torch.float32 if vae.config.get("force_upcast") else own
        vae = vae if kind == own else vae.to(kind)
        latents = vae.encode((2 * small - 1).to(kind)).latent_dist.mode().float() * vae.config.scaling_factor
        vae = vae if kind == own else vae.to(own)
        wanted = F.interpolate(small, latents.shape[-2:], mode="area").flatten(2)[0].T.cpu()

        def rows(latents: Tensor) -> Tensor:
            flat = latents.float().flatten(2)[0].T.cpu()
            return torch.cat([flat, torch.ones(len(flat), 1)], 1)

        known = torch.linalg.lstsq(rows(latents), wanted, driver="gelsd").solution

        def looks(latents: Tensor) -> Tensor:
            seen = (rows(latents) @ known).T.reshape(1, 3, *latents.shape[-2:])
            return seen.clamp(0, 1).to(shown.device)

        return looks


def sized(image: Tensor, mask: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """A picture and its mask as a net of that side is shown them: about as large, and of sides that it takes."""
    height, width = image.shape[-2:]
    now = (height * width) ** 0.5 / side
    if CLOSE[0] <= now <= CLOSE[1] and min(height, width) >= SMALLEST:
        more = (0, -width % MULTIPLE, 0, -height % MULTIPLE)
        return F.pad(image, more, mode="replicate"), F.pad(mask, more, mode="replicate")
    down, across = (max(SMALLEST, round(each / now / MULTIPLE) * MULTIPLE) for each in (height, width))
    marks = F.interpolate(mask, (down, across), mode="area")
    return _resized(image, (down, across)), (marks > 0).float()


def _resized(picture: Tensor, size: tuple[int, ...]) -> Tensor:
    if picture.shape[-2:] == size:
        return picture
    return F.interpolate(picture, size, mode="bicubic", antialias=True).clamp(0, 1)


def _usual(kind: Any) -> dict[str, Any]:
    return {name: getattr(kind, name) for name in kind.__dataclass_fields__}


# --- read from files ----------------------------------------------------------------------------------------------------


def _sound(config: Config, folder: Path) -> None:
    """Raises:
    ModelError: a file of the pipeline is missing, or is another one.
    """
    for line in config.files:
        digest, _, name = line.partition(" ")
        if not FILE.fullmatch(name):
            raise ModelError(f"{folder} lists a file that no pipeline has ({name[:60]!r}); pull it again.")
        try:
            with (folder / name).open("rb") as file:
                own = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as problem:
            raise ModelError(f"{folder / name} cannot be read ({problem.strerror}); pull the model again.") from None
        if own != digest:
            raise ModelError(f"{folder / name} is not the file that was pulled (sha256 differs); pull it again.")


def _told(problem: BaseException) -> str:
    return " ".join(str(problem).split())[:160] or type(problem).__name__


def _scheduler() -> type[Any]:
    from diffusers import SchedulerMixin

    return SchedulerMixin


def _part(folder: Path, name: str, kind: str) -> Any:
    """A part of a pipeline, read from its folder without running anything of it.

    Raises:
        ModelError: it is not what its config says.
    """
    import importlib

    module, _, attribute = kind.rpartition(".")
    try:
        made: Any = getattr(importlib.import_module(module), attribute)
        if name.endswith("scheduler") and not issubclass(made, _scheduler()):
            raise TypeError(f"{attribute} is no scheduler")
        for config in folder.glob("*config.json"):
            if "auto_map" in json_of(config):
                raise ModelError(f"{config} asks for code of its own; nothing of it was run.")
        own: dict[str, Any] = {"local_files_only": True}
        if name not in NETS:
            return made.from_pretrained(str(folder), **own)
        net, told = made.from_pretrained(
            str(folder), use_safetensors=True, torch_dtype=torch.float32, output_loading_info=True, **own
        )
    except ModelError:
        raise
    except Exception as problem:  # whatever configs and tensors that do not fit each other can end in
        raise ModelError(
            f"{folder} holds no {attribute} as its config tells ({_told(problem)}); pull it again."
        ) from problem
    if lost := sorted(told.get("missing_keys") or ()):
        raise ModelError(f"{folder} lacks {len(lost)} tensors of its {attribute}, such as {lost[0][:80]}.")
    return net.eval()
