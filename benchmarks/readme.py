"""Writes the tables of README and docs from cards, recipes and benchmarks/results; `--check` only says whether they are stale.

python benchmarks/readme.py
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from genrestore import setting
from genrestore.card import Card
from genrestore.models import find, names
from genrestore.paths import shelves
from genrestore.recipe import TrainRecipe

ROOT = Path(__file__).parent.parent
README, TRAINING = ROOT / "README.md", ROOT / "docs" / "training.md"
RESULTS = Path(__file__).parent / "results"
BAR = r"\|"  # in a cell


def read(name: str) -> dict[str, Any]:
    path = RESULTS / name
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def models() -> str:
    """One row a shipped weight."""
    lines = ["| weight | task | net | parameters | trained on | steps | measured |", "|---|---|---|---|---|---|---|"]
    for path in sorted(shelves()[0].glob("*/card.json")):
        card = Card.read(path.parent)
        data = ", ".join(f"{source.name} ({source.count:,})" for source in card.data)
        scores = ", ".join(f"{metric.set} {metric.value:.2f} dB" for metric in card.metrics if metric.name == "PSNR")
        others = ", ".join(
            f"{metric.name} {metric.value:.3g}" for metric in card.metrics if metric.name not in ("PSNR", "SSIM")
        )
        name = f"[`{card.name}`](weights/{card.name}/card.json)"
        size, steps = f"{card.parameters / 1000:,.0f} k", f"{card.recipe.get('stop') or card.recipe['steps']:,}"
        lines.append(f"| {name} | {card.task} | {card.architecture} | {size} | {data} | {steps} | {scores or others} |")
    return "\n".join(lines)


def speed() -> str:
    found = read("speed.json")
    lines = ["| what | measured |", "|---|---|"]
    rates = found.get("matrix", {})
    lines += [f"| matrix product 2048², {name} | {rate:g} GFLOP/s |" for name, rate in rates.items()]
    units = {"upscale": "MP/s of the result", "repair": "s", "fills": "s"}
    for part in ("upscale", "repair", "fills", "memory", "start", "train"):
        for name, value in found.get(part, {}).items():
            unit = "" if "difference" in name or part not in units else f" {units[part]}"
            label = (
                f"12 MP JPEG to JPEG, {name}"
                if part == "repair"
                else f"×4 of 480×320, {name}"
                if part == "upscale"
                else f"training DCGAN, batch 128, {name}"
                if part == "train" and "memory" not in name
                else f"training, {name}"
                if part == "train"
                else name
            )
            lines.append(f"| {label} | {value:g}{unit} |")
    slider = read("slider.json")
    for row in slider.get("alone", []):
        wait = row["shown_ms"]
        lines.append(f"| slider to pixels in Chromium, {row['model']} | p50 {wait['p50']} ms, p95 {wait['p95']} ms |")
    for row in slider.get("together", []):
        wait = row["wait_ms"]
        what = f"{row['users']} dragging at once, picture from the server"
        lines.append(f"| {what} | p50 {wait['p50']} ms, p95 {wait['p95']} ms |")
    return "\n".join(lines)


def settings() -> str:
    """One row a field of a training's recipe."""
    lines = ["| field | usually | takes | what it does |", "|---|---|---|---|"]
    usual = TrainRecipe().to_json()
    for name, one in setting.settings(TrainRecipe).items():
        if name in ("model", "data", "licence"):
            continue  # arguments of the command
        value = (
            ",".join(usual[name]) if usual[name] and isinstance(usual[name], tuple) and name != "betas" else usual[name]
        )
        told = f"`{value}`" if value not in ("", ()) else ""
        lines.append(f"| `{name}` | {told} | {', '.join(one.choices) or one.within} | {one.help.replace('|', BAR)} |")
    whose: dict[setting.Option, list[str]] = {}
    for preset in map(find, names()):
        for option in setting.options(preset.own):
            whose.setdefault(option, []).append(preset.name)
    for option, presets in whose.items():
        told = f"{option.setting.help} Of {', '.join(presets)}."
        lines.append(f"| `{option.name}` | `{option.usual}` | {option.setting.within} | {told} |")
    return "\n".join(lines)


def sections(document: Path) -> dict[str, str]:
    if document == TRAINING:
        return {"settings": settings()}
    sys.path.insert(0, str(Path(__file__).parent))
    from quality import DENOISED, FAMILIES, PUBLISHED, RESTORED, likeness, markdown

    def quality(what: str, columns: tuple[str, ...], published: dict[str, dict[str, float]]) -> str:
        told = {f"{name} (published)": row for name, row in published.items()}
        return markdown(read(f"quality-{what}.json").get("table", {}), columns, told)

    return {
        "models": models(),
        "repair": quality("repair", FAMILIES, {}),
        "likeness": likeness(read("quality-repair.json").get("table", {})),
        "upscale": quality("upscale", ("Set5", "Set14", "BSD100"), PUBLISHED),
        "restore": quality("restore", RESTORED, DENOISED),
        "speed": speed(),
    }


def filled(document: Path, text: str) -> str:
    """The text of a document with each table between its two marks made anew."""
    for name, table in sections(document).items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.S)
        assert pattern.search(text), f"{document.name} lacks the marks of {name}"
        text = pattern.sub(lambda match, table=table: match[1] + table + "\n" + match[2], text)
    return text


def main() -> None:
    for document in (README, TRAINING):
        text = document.read_text("utf-8")
        fresh = filled(document, text)
        if "--check" in sys.argv and fresh != text:
            raise SystemExit(f"{document.name} is stale; run `python benchmarks/readme.py`.")
        if fresh != text:
            document.write_text(fresh, "utf-8")


if __name__ == "__main__":
    main()
