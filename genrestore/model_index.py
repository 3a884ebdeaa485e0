"""What a repository of diffusers is made of: its pipeline, the parts of that, and which files those are. Loads no torch.

A model_index.json names the class of the pipeline and of each part. Only classes that stand below are known, and diffusers is
never asked to look for one by itself, so that no code of a repository can run.
"""

import json
import re
from collections.abc import Collection
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from genrestore.card import MOST_BYTES
from genrestore.errors import ModelError

INDEX = "model_index.json"  # what a repository of diffusers names its pipeline and parts in
PIPELINES = {  # of an index → task, the pipeline that does it
    "StableDiffusionInpaintPipeline": ("inpaint", "StableDiffusionInpaintPipeline"),
    "StableDiffusionPipeline": ("inpaint", "StableDiffusionInpaintPipeline"),
    "StableDiffusionXLInpaintPipeline": ("inpaint", "StableDiffusionXLInpaintPipeline"),
    "StableDiffusionXLPipeline": ("inpaint", "StableDiffusionXLInpaintPipeline"),
    "StableDiffusionUpscalePipeline": ("upscale", "StableDiffusionUpscalePipeline"),
}
CHECKER = "safety_checker"
TOKENIZERS = {"CLIPTokenizer": "transformers.CLIPTokenizer", "CLIPTokenizerFast": "transformers.CLIPTokenizer"}
PARTS: dict[
    str, dict[str, str]
] = {  # of a pipeline → the classes that it may be of, each with the one by which it is read
    "unet": {"UNet2DConditionModel": "diffusers.UNet2DConditionModel"},
    "vae": {
        "AutoencoderKL": "diffusers.AutoencoderKL",
        "AsymmetricAutoencoderKL": "diffusers.AsymmetricAutoencoderKL",
    },
    "text_encoder": {"CLIPTextModel": "transformers.CLIPTextModel"},
    "text_encoder_2": {"CLIPTextModelWithProjection": "transformers.CLIPTextModelWithProjection"},
    "tokenizer": TOKENIZERS,
    "tokenizer_2": TOKENIZERS,
    "scheduler": {},  # any of diffusers
    "low_res_scheduler": {},
    "feature_extractor": {
        "CLIPImageProcessor": "transformers.CLIPImageProcessor",
        "CLIPFeatureExtractor": "transformers.CLIPImageProcessor",  # as it was called before
    },
    CHECKER: {
        "StableDiffusionSafetyChecker": "diffusers.pipelines.stable_diffusion.safety_checker.StableDiffusionSafetyChecker"
    },
}
NETS = ("unet", "vae", "text_encoder", "text_encoder_2", CHECKER)  # parts that hold tensors
NEEDED = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")  # of every pipeline
LIBRARIES = ("diffusers", "transformers", "stable_diffusion")
SWITCHES = ("requires_safety_checker", "requires_aesthetics_score", "force_zeros_for_empty_prompt", "max_noise_level")
FILE = re.compile(rf"(?:({'|'.join(PARTS)})/)?[A-Za-z0-9_][A-Za-z0-9_.-]{{0,100}}\.(?:json|txt|safetensors)")
INSTALL = 'pip install "genrestore[diffusion]"'


class Index(NamedTuple):
    """What a model_index.json says."""

    task: str
    pipeline: str
    parts: dict[str, str]  # name → where its class is
    switches: dict[str, Any]


def need() -> None:
    """Raises:
    ModelError: diffusers or transformers is not installed.
    """
    if not (find_spec("diffusers") and find_spec("transformers")):
        raise ModelError(f"Text-guided models need diffusers and transformers: {INSTALL}.")


def read_index(path: Path) -> Index:
    """Raises:
    ModelError: it names a pipeline or a part that is not known here, such as one with code of its own.
    """
    told = json_of(path)
    named = told.get("_class_name")
    if not isinstance(named, str) or named not in PIPELINES:
        what = named if isinstance(named, str) else "one with code of its own"
        raise ModelError(
            f"{path} names the pipeline {str(what)[:60]}; those that can be used are {', '.join(PIPELINES)}. "
            "Nothing of it was run."
        )
    task, pipeline = PIPELINES[named]
    parts: dict[str, str] = {}
    for name, entry in told.items():
        if name.startswith("_") or not isinstance(entry, list) or entry == [None, None]:
            continue
        library, kind = entry if len(entry) == 2 else (None, None)
        scheduler = name.endswith("scheduler") and isinstance(kind, str) and re.fullmatch(r"\w{1,60}Scheduler", kind)
        known = f"diffusers.{kind}" if scheduler else PARTS.get(name, {}).get(str(kind))
        if library not in LIBRARIES or known is None:
            raise ModelError(
                f"{path} makes its {name[:40]} of {str(library)[:40]}.{str(kind)[:60]}, which is none of the parts that can be "
                "used here. Nothing of it was run."
            )
        parts[name] = known
    if missing := [name for name in NEEDED if name not in parts]:
        raise ModelError(f"{path} names no {missing[0]}, which its pipeline needs.")
    if pipeline.startswith("StableDiffusionXL") and not {"text_encoder_2", "tokenizer_2"} <= set(parts):
        raise ModelError(f"{path} names no text_encoder_2, which its pipeline needs.")
    switches = {name: told[name] for name in SWITCHES if type(told.get(name)) in (bool, int)}
    return Index(task, pipeline, parts, switches)


def chosen(files: Collection[str]) -> dict[str, str]:
    """Which files of a repository make its pipeline: name in the repository → name beside the card.

    Of numbers in several precisions the half one is taken: on a processor, too, they are told apart by no eye.
    """
    found = {INDEX: INDEX}
    for part in PARTS:
        inside = [name for name in files if name.startswith(f"{part}/") and name.count("/") == 1]
        found |= {
            name: name
            for name in inside
            if FILE.fullmatch(name) and not name.endswith((".safetensors", ".index.json", ".index.fp16.json"))
        }
        stem = "model" if part.startswith("text_encoder") or part == CHECKER else "diffusion_pytorch_model"
        for variant in (".fp16", ""):
            if part in NETS and (name := f"{part}/{stem}{variant}.safetensors") in inside:
                found[name] = f"{part}/{stem}.safetensors"
                break
    return found


def json_of(path: Path) -> dict[str, Any]:
    """Raises:
    ModelError: it is no object of JSON.
    """
    try:
        told = json.loads(path.read_text("utf-8")) if path.stat().st_size <= MOST_BYTES else None
    except (OSError, ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise ModelError(f"{path} is damaged; pull the model again.")
    return told
