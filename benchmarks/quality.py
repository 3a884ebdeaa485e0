"""How good the nets are: repair against classical fills, enlarging against bicubic and the published figures.

    python benchmarks/quality.py repair            # 41 validation photos × 5 families of masks
    python benchmarks/quality.py repair --only genrestore --write    # this row anew, the others as they were
    python benchmarks/quality.py upscale           # Set5, Set14, BSD100 at ×4
    python benchmarks/quality.py repair --model file:runs/residual-fill --count 20 --only "genrestore, net"
    python benchmarks/quality.py restore           # noise on BSD100, JPEG on LIVE1; ten minutes on two cores
    python benchmarks/quality.py damage            # made-up damage on 41 validation photos, and the same photos clean
    python benchmarks/quality.py sample            # every generator against the pictures it learned from
    python benchmarks/quality.py repair upscale restore sample --write   # also into the cards and benchmarks/results

Repair: PSNR and SSIM inside the hole, RGB in 8 bits, mean over pictures; the photos of `photos/val` and the fixed masks of
`masks`, neither of which any training saw, and blobs as large as objects, drawn by `degrade.blob` from fixed seeds. A wide hole
has no right answer, so how like the fill's texture is counts too: `metrics.hole_distances`, as geometric means relative to
those of the net alone. Telea and Navier–Stokes are OpenCV's with radius 3 (scratch, text) or 7 (strokes,
box); biharmonic is scikit-image's, where it ends in reasonable time. Enlarging: PSNR and SSIM on Y of BT.601, borders of
4 pixels cut, small pictures as MATLAB made them. The whole path is measured, as the page and the command line run it.
Restoring: PSNR in RGB on noise that is added in floating point and not clipped, as the papers do, and on the luma of JPEGs as a
grey picture; the net alone in float32, told the level or estimating it.
Finding damage: precision, recall and F1 of all pixels of the photos together, on damage of fixed seeds, made as the recipe makes
it for training; and on how many of the clean photos anything is marked.
The data folder is $GENRESTORE_DATA, else ../shared/data; without it this says so and ends.
"""

import argparse
import dataclasses
import io
import json
import math
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import genrestore
from genrestore import metrics, runtime, weights
from genrestore.card import Card, Metric
from genrestore.data import dataset, degrade
from genrestore.pictures import image
from genrestore.pictures.image import Picture
from genrestore.pipelines.inpaint import EXEMPLAR
from genrestore.recipe import TrainRecipe

DATA = Path(os.environ.get("GENRESTORE_DATA", Path(__file__).parent.parent.parent / "shared" / "data"))
RESULTS = Path(__file__).parent / "results"
FAMILIES = ("scratch", "text", "strokes", "box", "blob")
WIDE = ("strokes", "box", "blob")
RADIUS = {"scratch": 3, "text": 3, "strokes": 7, "box": 7, "blob": 7}  # pixels, for OpenCV's fills
CLASSICAL_20 = {"scratch": 26.64, "text": 26.51, "strokes": 18.36, "box": 16.25}  # best classical fill, first 20 photos
PUBLISHED = {  # Y-PSNR at ×4 as the papers state it, trained on DIV2K or more
    "SRCNN 57 k": {"Set5": 30.48, "Set14": 27.49, "BSD100": 26.90},
    "VDSR 665 k": {"Set5": 31.35, "Set14": 28.01, "BSD100": 27.29},
    "IMDN 715 k": {"Set5": 32.21, "Set14": 28.58, "BSD100": 27.56},
    "SMFANet 197 k": {"Set5": 32.25, "Set14": 28.67, "BSD100": 27.61},
}

Row = dict[str, float]
Fill = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (H, W, 3) uint8 and (H, W) bool → (H, W, 3) uint8


def classical() -> dict[str, Callable[[str], Fill]]:
    import cv2
    from skimage.restoration import inpaint_biharmonic

    def opencv(method: int) -> Callable[[str], Fill]:
        return lambda family: lambda pixels, hole: cv2.inpaint(pixels, hole.astype(np.uint8), RADIUS[family], method)

    def biharmonic(family: str) -> Fill:
        def fill(pixels: np.ndarray, hole: np.ndarray) -> np.ndarray:
            out = inpaint_biharmonic(pixels / 255.0, hole, split_into_regions=True, channel_axis=-1)
            return (np.clip(out, 0, 1) * 255).round().astype(np.uint8)

        return fill

    return {"Telea": opencv(cv2.INPAINT_TELEA), "Navier–Stokes": opencv(cv2.INPAINT_NS), "biharmonic": biharmonic}


def scores(result: np.ndarray, truth: np.ndarray, hole: np.ndarray) -> tuple[float, float, float, float]:
    """PSNR, SSIM, and the logarithms of the patches' and of the texture's distance."""
    a, b = (torch.tensor(x).permute(2, 0, 1)[None].double() / 255 for x in (result, truth))
    mask = torch.from_numpy(hole)[None, None].double()
    apart = metrics.hole_distances(a.float(), b.float(), mask.float())
    raw, texture = (math.log(distance) for distance in apart)
    return float(metrics.psnr(a, b, mask)), float(metrics.ssim(a, b, mask)), raw, texture


def hole_of(family: str, path: Path, k: int, height: int, width: int) -> np.ndarray:
    """(H, W) bool for the k-th photo."""
    if family == "blob":
        return np.asarray(degrade.blob(np.random.default_rng([2026, k]), height, width)) > 127
    return image.load_mask(DATA / "masks" / family / f"{path.stem}.png", (width, height))


def fills(model: str) -> dict[str, Callable[[str], Fill]]:
    """Our ways of filling: by what `model` stands for, "auto" as a rule; by the net alone, and by pieces alone."""

    def ours(name: str) -> Callable[[str], Fill]:
        return lambda family: lambda pixels, hole: genrestore.inpaint(Picture(pixels), hole, model=name).pixels

    net = weights.resolve(model, "inpaint").name if model == "auto" else model
    return {"genrestore, net": ours(net), "genrestore, pieces": ours(EXEMPLAR), "genrestore": ours(model)}


def repair(model: str, count: int, only: list[str], families: list[str]) -> dict[str, dict[str, Row]]:
    """{method: {family: {psnr, ssim, patches, texture, n}}}, of the methods in `only`, or of all."""
    photos = sorted((DATA / "photos/val").glob("*.avif"))[:count]
    methods = {**classical(), **fills(model)}
    if unknown := set(only) - set(methods):
        raise SystemExit(f"There is no method {unknown}; there are {', '.join(methods)}.")
    table: dict[str, dict[str, Row]] = {}
    for name, make in methods.items():
        for family in families if not only or name in only else ():
            if name == "biharmonic" and family in ("box", "blob"):
                continue  # a dense system of 15 000 unknowns a photo: minutes each
            found = []
            for k, path in enumerate(photos):
                truth = image.load(path).rgb8()
                hole = hole_of(family, path, k, *truth.shape[:2])
                spoilt = truth.copy()
                spoilt[hole] = 0
                found.append(scores(make(family)(spoilt, hole), truth, hole))
            psnr, ssim, patches, texture = np.mean(found, 0)
            table.setdefault(name, {})[family] = {
                "psnr": round(float(psnr), 3),
                "ssim": round(float(ssim), 4),
                "patches": round(float(np.exp(patches)), 3),
                "texture": round(float(np.exp(texture)), 3),
                "n": len(found),
            }
            print(f"{name:20s} {family:8s} {table[name][family]}", file=sys.stderr)
    return table


def likeness(table: dict[str, dict[str, Row]]) -> str:
    """The distances of wide holes, as shares of the net's."""
    net = table.get("genrestore, net", {})
    lines = ["| | " + " | ".join(WIDE) + " |", "|---|" + "---|" * len(WIDE)]
    for name, row in table.items():
        if not any("texture" in cell for cell in row.values()):
            continue
        cells = [
            " / ".join(f"{row[family][key] / net[family][key]:.2f}" for key in ("patches", "texture"))
            if family in net and "texture" in row.get(family, {})
            else "not run"
            for family in WIDE
        ]
        lines.append(f"| {f'**{name}**' if name.startswith('genrestore') else name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def upscale(model: str) -> dict[str, dict[str, Row]]:
    """{method: {set: {psnr, ssim, n}}} at ×4."""
    pairs = {
        "Set5": [
            (p, p.with_name(p.name.replace("HR", "LR"))) for p in sorted((DATA / "benchmarks/Set5/x4").glob("*HR*"))
        ],
        "Set14": [
            (p, p.with_name(p.name.replace("HR", "LR"))) for p in sorted((DATA / "benchmarks/Set14/x4").glob("*HR*"))
        ],
        "BSD100": [
            (p, DATA / "benchmarks/BSD100/LRx4" / p.name) for p in sorted((DATA / "benchmarks/BSD100/HR").iterdir())
        ],
    }

    def bicubic(small: Picture) -> Picture:
        tensor = degrade.resize(image.to_tensor(small), 4 * small.height, 4 * small.width)
        return image.from_tensor(tensor.clamp(0, 1), small)

    methods = {"bicubic": bicubic, "genrestore": lambda small: genrestore.upscale(small, 4, model=model)}
    table: dict[str, dict[str, Row]] = {}
    for name, enlarge in methods.items():
        for group, files in pairs.items():
            found = []
            for large, small in files:
                truth = Picture(image.load(large).rgb8())
                result = enlarge(Picture(image.load(small).rgb8()))
                height, width = min(truth.height, result.height), min(truth.width, result.width)
                a, b = (metrics.luma(image.to_tensor(p))[..., 4 : height - 4, 4 : width - 4] for p in (result, truth))
                found.append((metrics.psnr(a, b).item(), metrics.ssim(a, b).item()))
            psnr, ssim = np.mean(found, 0)
            table.setdefault(name, {})[group] = {
                "psnr": round(float(psnr), 3),
                "ssim": round(float(ssim), 4),
                "n": len(found),
            }
            print(f"{name:14s} {group:8s} {psnr:6.2f} dB  {ssim:.4f}  n={len(found)}", file=sys.stderr)
    return table


SIGMAS = (15, 25, 50)  # of the noise, levels of 255
QUALITIES = (10, 20)  # of JPEG
# PSNR in dB as the papers state it, on CBSD68, whose pictures are like those of BSD100
DENOISED = {
    "DnCNN 668 k (CBSD68)": {"σ 15": 33.90, "σ 25": 31.24, "σ 50": 27.95},
    "SCUNet 18 M (CBSD68)": {"σ 15": 34.40, "σ 25": 31.79, "σ 50": 28.61},
}


RESTORED = (*(f"σ {sigma}" for sigma in SIGMAS), *(f"JPEG {quality}" for quality in QUALITIES))


def restore(
    net: Callable[[torch.Tensor, torch.Tensor | None], torch.Tensor], every: int = 1
) -> dict[str, dict[str, Row]]:
    """{method: {column: {psnr, n}}}: noise on BSD100 in RGB, not clipped; JPEG of the luma of LIVE1 as a grey picture.

    Args:
        net: (1, 3, H, W) and the levels (1, 2, 1, 1), σ/255 and 1 − quality/100, or None → (1, 3, H, W).
        every: step from one picture to the next.
    """
    table: dict[str, dict[str, Row]] = {"genrestore": {}, "genrestore, level told": {}, "as given": {}}

    def note(method: str, column: str, found: list[float]) -> None:
        table[method][column] = {"psnr": round(float(np.mean(found)), 3), "n": len(found)}
        print(f"{method:22s} {column:7s} {np.mean(found):6.2f} dB  n={len(found)}", file=sys.stderr)

    def psnr(result: torch.Tensor, truth: torch.Tensor) -> float:
        return metrics.psnr(degrade.quantise(result.float().cpu()), truth).item()

    photos = [
        image.to_tensor(Picture(image.load(path).rgb8()))
        for path in sorted((DATA / "benchmarks/BSD100/HR").iterdir())[::every]
    ]
    for sigma in SIGMAS:
        told, guessed, spoilt = [], [], []
        for seed, truth in enumerate(photos):
            noisy = truth + sigma / 255 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(seed))
            level = torch.tensor([sigma / 255, 0.0]).view(1, 2, 1, 1)
            told.append(psnr(net(noisy, level), truth))
            guessed.append(psnr(net(noisy, None), truth))
            spoilt.append(metrics.psnr(noisy, truth).item())
        for method, found in zip(table, (guessed, told, spoilt), strict=True):
            note(method, f"σ {sigma}", found)
    for quality in QUALITIES:
        told, guessed, spoilt = [], [], []
        for path in sorted((DATA / "benchmarks/LIVE1").iterdir())[::every]:
            luma = degrade.quantise(metrics.luma(image.to_tensor(Picture(image.load(path).rgb8()))))
            file = io.BytesIO()
            Image.fromarray((luma[0, 0] * 255).round().byte().numpy()).save(file, "JPEG", quality=quality)
            blocky = torch.from_numpy(np.array(Image.open(file)))[None, None].float() / 255
            level = torch.tensor([0.0, 1 - quality / 100]).view(1, 2, 1, 1)
            told.append(psnr(net(blocky.expand(-1, 3, -1, -1), level).mean(1, keepdim=True), luma))
            guessed.append(psnr(net(blocky.expand(-1, 3, -1, -1), None).mean(1, keepdim=True), luma))
            spoilt.append(metrics.psnr(blocky, luma).item())
        for method, found in zip(table, (guessed, told, spoilt), strict=True):
            note(method, f"JPEG {quality}", found)
    return table


def padded(
    net: torch.nn.Module, multiple: int, device: torch.device
) -> Callable[[torch.Tensor, torch.Tensor | None], torch.Tensor]:
    """The net for pictures of any size, on its device."""

    def call(picture: torch.Tensor, levels: torch.Tensor | None) -> torch.Tensor:
        height, width = picture.shape[-2:]
        margin = (0, -width % multiple, 0, -height % multiple)
        with torch.inference_mode():
            whole = torch.nn.functional.pad(picture.to(device), margin, mode="reflect")
            return net(whole, None if levels is None else levels.to(device))[..., :height, :width]

    return call


def damage(model: str) -> dict[str, Row]:
    """{kind, "mixed" or "clean": {f1, precision, recall, n} or {marked, share, n}}."""
    from genrestore.data.damage import KINDS, Damage
    from genrestore.pipelines.damage import find_damage

    recipe = weights.resolve(model, "damage").recipe["degrade"]
    paths = sorted((DATA / "photos/val").glob("*.avif"))
    photos = [torch.from_numpy(image.load(path).rgb8()).permute(2, 0, 1)[None] / 255 for path in paths]
    table: dict[str, Row] = {}
    for number, kind in enumerate(("mixed", *KINDS)):
        name = recipe.replace("damage:all", f"damage:{'all' if kind == 'mixed' else kind}")
        spoil = degrade.find(name)
        assert isinstance(spoil, Damage)
        spoil = dataclasses.replace(spoil, clean=0.0)
        hits = found = there = 0
        for k, photo in enumerate(photos):
            made = degrade.spoilt(spoil, photo, [np.random.default_rng([2026, number, k])])
            truth = made["image"][0, 0].numpy() > 0
            mask = find_damage(Picture((made["low"][0].permute(1, 2, 0) * 255).round().byte().numpy()), model=model)
            hits, found, there = hits + int((mask & truth).sum()), found + int(mask.sum()), there + int(truth.sum())
        precision, recall = hits / max(found, 1), hits / max(there, 1)
        f1 = 2 * hits / max(found + there, 1)
        row = {"f1": round(f1, 3), "precision": round(precision, 3), "recall": round(recall, 3), "n": len(photos)}
        table[kind] = row
        print(f"{kind:8s} {row}", file=sys.stderr)
    shares = [float(find_damage(path, model=model).mean()) for path in paths]
    table["clean"] = {"marked": sum(share > 0 for share in shares), "share": float(np.mean(shares)), "n": len(shares)}
    return table


SETS = {"cifar10": "small/cifar10.npz", "clothing": "small/clothing.npz", "mnist": "small/mnist.npz"}
SAMPLES = 1024  # pictures compared
PATCHES = "×1000, 7×7 patches of a Laplacian pyramid, against training pictures"


def sample() -> tuple[dict[str, dict[str, Row]], list[Card]]:
    """{weight: {"SWD": …}}, and the cards with it: sliced Wasserstein distance ×1000 to real pictures, of samples and of
    other real pictures."""
    table: dict[str, dict[str, Row]] = {}
    cards: list[Card] = []
    for card in weights.list_models("sample"):
        if card.data[0].name not in SETS:
            continue
        recipe = dataclasses.replace(TrainRecipe.from_json(card.recipe), batch=2 * SAMPLES)
        real = dataset.batch(dataset.read(DATA / SETS[card.data[0].name], recipe), recipe, 0)["image"]
        model = runtime.load(card.name)
        generator = torch.Generator().manual_seed(0)
        drawn = torch.cat(
            [model.decode(torch.randn(64, model.net.latent, generator=generator)) for _ in range(SAMPLES // 64)]
        )
        row = {
            "SWD": metrics.sliced_wasserstein(drawn, real[:SAMPLES]),
            "SWD of other real pictures": metrics.sliced_wasserstein(real[SAMPLES:], real[:SAMPLES]),
        }
        table[card.name] = {name: {"value": round(value, 1), "n": SAMPLES} for name, value in row.items()}
        print(f"{card.name:14s} {table[card.name]}", file=sys.stderr)
        command = "python benchmarks/quality.py sample --write"
        fresh = tuple(
            Metric(
                card.data[0].name,
                PATCHES,
                name,
                cell["value"],
                SAMPLES,
                command,
            )
            for name, cell in table[card.name].items()
        )
        cards.append(dataclasses.replace(card, metrics=fresh))
    return table, cards


def markdown(table: dict[str, dict[str, Row]], columns: tuple[str, ...], published: dict[str, dict[str, float]]) -> str:
    lines = ["| | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]
    lines += [
        f"| {name} | " + " | ".join(f"{row[column]:.2f}" if column in row else "" for column in columns) + " |"
        for name, row in published.items()
    ]
    for name, row in table.items():
        cells = [
            " / ".join(
                f"{row[column][key]:.{digits}f}" for key, digits in (("psnr", 2), ("ssim", 3)) if key in row[column]
            )
            if column in row
            else "not run"
            for column in columns
        ]
        name = f"**{name}**" if name.startswith("genrestore") else name
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write_metrics(card: Card, rows: dict[str, Row], protocol: str, command: str) -> None:
    """Put the measured numbers into the weight's card."""
    assert card.folder is not None
    fresh = [
        Metric(group, protocol, name, row[key], int(row["n"]), command)
        for group, row in rows.items()
        for name, key in (("PSNR", "psnr"), ("SSIM", "ssim"))
        if key in row
    ]
    kept = [metric for metric in card.metrics if metric.protocol != protocol]
    dataclasses.replace(card, metrics=tuple(kept + fresh)).write(card.folder)


def write_found(card: Card, table: dict[str, Row]) -> None:
    """Put what `damage` measured into the weight's card."""
    assert card.folder is not None
    mixed, clean, command = table["mixed"], table["clean"], "python benchmarks/quality.py damage --write"
    protocol = "photos/val with made-up damage, all pixels together"
    metrics = [
        Metric("mixed", protocol, name, mixed[key], int(mixed["n"]), command)
        for name, key in (("F1", "f1"), ("precision", "precision"), ("recall", "recall"))
    ]
    metrics.append(
        Metric(
            "clean", "photos/val as they are", "photos with a mark", float(clean["marked"]), int(clean["n"]), command
        )
    )
    dataclasses.replace(card, metrics=tuple(metrics)).write(card.folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", choices=("repair", "upscale", "restore", "damage", "sample"))
    parser.add_argument("--model", default="auto", help="reference of the weight to measure")
    parser.add_argument("--count", type=int, default=41, help="photos of the repair set; the first so many by name")
    parser.add_argument("--only", nargs="+", default=[], help="ways of repair; the others' numbers stay as they are")
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), choices=FAMILIES, help="of holes, likewise")
    parser.add_argument("--write", action="store_true", help="write benchmarks/results/*.json and the cards")
    given = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"The measuring data are not in {DATA}; set GENRESTORE_DATA to their folder.")
    for what in given.what:
        if what == "sample":
            table, cards = sample()
            print(json.dumps({"what": what, "table": table}))
            if given.write:
                (RESULTS / "quality-sample.json").write_text(json.dumps(table, indent=2) + "\n", "utf-8")
                for card in cards:
                    assert card.folder is not None
                    card.write(card.folder)
            continue
        if what == "damage":
            found = damage(given.model)
            print(json.dumps({"what": what, "table": found}))
            if given.write:
                (RESULTS / "quality-damage.json").write_text(json.dumps(found, indent=2) + "\n", "utf-8")
                write_found(weights.resolve(given.model, "damage"), found)
            continue
        task = {"repair": "inpaint"}.get(what, what)
        card = weights.resolve(given.model, task)
        if what == "repair":
            table = repair(given.model, given.count, given.only, given.families)
            if given.count == 41:
                before: dict[str, dict[str, Row]] = json.loads((RESULTS / "quality-repair.json").read_text("utf-8"))[
                    "table"
                ]
                table = {name: before.get(name, {}) | table.get(name, {}) for name in {**before, **table}}
                table["genrestore"] = table.pop("genrestore")  # last
            print("\nIn-hole PSNR (dB) / SSIM:\n" + markdown(table, FAMILIES, {}))
            print("\nPatches / texture in wide holes, as shares of the net's distances:\n" + likeness(table))
            if given.count == 20 and "genrestore" in table:
                gains = {f: round(table["genrestore"][f]["psnr"] - best, 2) for f, best in CLASSICAL_20.items()}
                print(f"\nOver the best classical fill on these 20 photos, dB: {gains}")
            protocol = "in-hole RGB, photos/val × masks"
        elif what == "restore":
            model = runtime.load(given.model, task=task, precision="exact")
            table = restore(padded(model.net, model.size_rule.multiple_of, model.device))
            print("\nPSNR (dB):\n" + markdown(table, RESTORED, DENOISED))
            protocol = "level estimated; σ: RGB of BSD100, JPEG: luma of LIVE1"
        else:
            table = upscale(given.model)
            print("\nY-PSNR (dB) / SSIM at ×4:\n" + markdown(table, ("Set5", "Set14", "BSD100"), PUBLISHED))
            protocol = "Y, border 4, MATLAB bicubic ×4"
        precision = "exact" if what == "restore" else "fast"
        backend = runtime.load(given.model, task=task, precision=precision).backend
        print(json.dumps({"what": what, "model": card.name, "sha256": card.sha256, "backend": backend, "table": table}))
        if given.write:
            RESULTS.mkdir(exist_ok=True)
            result = {"model": card.name, "sha256": card.sha256, "backend": backend, "torch": torch.__version__,
                      "processor": platform.machine(), "table": table}  # fmt: skip
            (RESULTS / f"quality-{what}.json").write_text(
                json.dumps(result, indent=2, ensure_ascii=False) + "\n", "utf-8"
            )
            own = table["genrestore, net"] if what == "repair" else table["genrestore"]
            write_metrics(card, own, protocol, f"python benchmarks/quality.py {what} --write")


if __name__ == "__main__":
    main()
