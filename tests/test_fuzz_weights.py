"""Damaged cards and weights: a net that computes, the same twice, or one sentence; soon, and in little memory."""

import json
import random
import shutil
import struct
from pathlib import Path
from typing import Any

import fuzzing
import torch
from test_weights import tiny

from genrestore import runtime, weights
from genrestore.card import Card

SEEDS = 120  # of each kind of damage
ODD = (
    None, True, -1, 0, 3, 4097, 10**6, 10**12, 10**30, 0.5, -1e308, float("nan"), float("inf"), "", "x", "4", "\ud800",
    "../../up", "a\nb", "y" * 5000, [], [1], [[]], [10**9] * 70, {}, {"a": {}}, "Span", "DCGAN", "ResidualFill", "sample",
)  # fmt: skip


def read(folder: str) -> bytes:
    """What a weight makes of a picture, and its card."""
    model = runtime.load(f"file:{folder}", precision="exact")
    image = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    out = model(image).nan_to_num() if model.card.task == "upscale" else image
    return repr(model.card).replace(str(folder), "").encode() + out.numpy().tobytes()


def altered(data: Any, rng: random.Random) -> Any:
    """JSON with one value, however deep it lies, gone, doubled or replaced by an odd one."""
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], (dict, list)):
                walk(node[key])

    walk(data)
    node, key = rng.choice(places)
    match rng.randrange(5):
        case 0:
            del node[key]
        case 1 if isinstance(node, dict):
            node[rng.choice(("surprise", "folder", "extra", "self"))] = node[key]
        case _:
            node[key] = rng.choice(ODD)
    return data


def damaged(whole: Path, folder: Path, seed: int) -> Path:
    """A copy of a weight, damaged by the seed: bytes or values, of the card or of the file."""
    shutil.copytree(whole, folder)
    card, file, rng = folder / "card.json", folder / "model.safetensors", random.Random(seed)
    match seed % 4:
        case 0:
            card.write_bytes(fuzzing.mutated(card.read_bytes(), seed))
        case 1:
            card.write_text(json.dumps(altered(json.loads(card.read_text("utf-8")), rng)), "utf-8")
        case 2:
            file.write_bytes(fuzzing.mutated(file.read_bytes(), seed))
        case _:
            content = file.read_bytes()
            length = struct.unpack("<Q", content[:8])[0]
            header = json.loads(content[8 : 8 + length])
            if rng.random() < 0.7:
                inner = altered(json.loads(header["__metadata__"][weights.HEADER]), rng)
                header["__metadata__"][weights.HEADER] = json.dumps(inner)
                if rng.random() < 0.5 and isinstance(inner.get("config"), dict):  # a card that tells the same story
                    told = json.loads(card.read_text("utf-8"))
                    told |= {key: inner[key] for key in ("architecture", "config", "task") if key in inner}
                    card.write_text(json.dumps(told), "utf-8")
            else:
                header = altered(header, rng)
            packed = json.dumps(header).encode()
            file.write_bytes(struct.pack("<Q", len(packed)) + packed + content[8 + length :])
    if seed % 4 > 1:  # or the sum would tell at once
        told = json.loads(card.read_text("utf-8"))
        card.write_text(json.dumps(told | {"sha256": weights.digest(file)}), "utf-8")
    return folder


def test_a_damaged_weight_computes_or_is_one_sentence(tmp_path: Path) -> None:
    tiny(tmp_path / "whole")
    assert read(str(tmp_path / "whole")), "the weight itself is right"
    folders = [damaged(tmp_path / "whole", tmp_path / f"seed-{seed}", seed) for seed in range(4 * SEEDS)]
    found = fuzzing.outcomes("test_fuzz_weights:read", folders)
    broken = [
        f"{folder.name}: {outcome}" for folder, outcome in zip(folders, found, strict=True) if "broke" in outcome[:5]
    ]
    assert not broken, "\n".join(broken[:10])
    kinds = [outcome.partition(" ")[0] for outcome in found]
    assert kinds.count("said") > len(found) // 3 and kinds.count("right") > len(found) // 20, "both are met"


def test_damage_hides_no_other_weight(tmp_path: Path, monkeypatch: Any) -> None:
    """All of the damaged cards at once, as weights of one's own: the list comes, and holds all that ships."""
    monkeypatch.setenv("GENRESTORE_HOME", str(tmp_path / "home"))
    shipped = [card.name for card in weights.list_models()]
    tiny(tmp_path / "whole")
    for seed in range(4 * SEEDS):
        damaged(tmp_path / "whole", tmp_path / "home" / "weights" / f"seed-{seed}", seed)
    cards = weights.list_models()
    assert [card.name for card in cards][: len(shipped)] == shipped
    assert all(isinstance(card, Card) and json.dumps(card.config) for card in cards)
