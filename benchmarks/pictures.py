"""The pictures that go with the weights and the README, made anew from what the nets do now.

    python benchmarks/pictures.py weights       # weights/<name>/sample.webp
    python benchmarks/pictures.py removals      # docs/pictures/removals.webp
    python benchmarks/pictures.py screenshots   # the other docs/pictures/*.webp, through Chromium

Only the CC0 example photos of the page are used.
"""

import argparse
import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import genrestore
from genrestore.card import Card
from genrestore.data import damage, degrade
from genrestore.pictures import image
from genrestore.pictures.image import Picture

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "genrestore/ui/examples"
PICTURES = ROOT / "docs/pictures"
SIDE = 256  # pixels of the example shown in a portrait
SHOWN = 288  # pixels a side of a photo in the sheet of removals
MARK = (255, 45, 45)
FAINT = [value // 2 for value in range(256)]
PORT = 7999
PIECE = 96  # pixels a side of the pieces that the shown training learns from
MINUTES = 2.0  # of that training


def grid(card: Card) -> Image.Image:
    """32 seeds, eight a row."""
    pictures = genrestore.sample(card.name, n=32, seed=0)
    width, height = pictures[0].size
    sheet = Image.new("RGB", (8 * width, 4 * height))
    for k, picture in enumerate(pictures):
        sheet.paste(picture.convert("RGB"), (k % 8 * width, k // 8 * height))
    return sheet if width >= 64 else sheet.resize((2 * sheet.width, 2 * sheet.height), Image.Resampling.NEAREST)


def beside(*pictures: Image.Image) -> Image.Image:
    sheet = Image.new("RGB", (sum(p.width for p in pictures) + 8 * (len(pictures) - 1), pictures[0].height), "white")
    x = 0
    for picture in pictures:
        sheet.paste(picture, (x, 0))
        x += picture.width + 8
    return sheet


def repaired(card: Card) -> Image.Image:
    """Spoilt with scratches and text, and repaired."""
    photo = image.load(EXAMPLES / "dog.jpg").pil().crop((160, 120, 160 + SIDE, 120 + SIDE))
    rng = np.random.default_rng(7)
    hole = np.asarray(degrade.scratch(rng, SIDE, SIDE)) > 127
    hole[SIDE // 2 :] |= (np.asarray(degrade.text(rng, SIDE, SIDE)) > 127)[SIDE // 2 :]
    spoilt = np.array(photo)
    spoilt[hole] = 255
    result = genrestore.inpaint(Image.fromarray(spoilt), hole, model=card.name)
    return beside(Image.fromarray(spoilt), result, photo)


def enlarged(card: Card) -> Image.Image:
    """A small piece, enlarged by bicubic and by the net."""
    piece = image.load(EXAMPLES / "guitar.jpg").pil().crop((220, 200, 220 + 96, 200 + 96))
    scale = card.config["scale"]
    return beside(
        piece.resize((96 * scale, 96 * scale), Image.Resampling.BICUBIC),
        genrestore.upscale(piece, scale, model=card.name),
    )


def found(card: Card) -> Image.Image:
    """Damaged, with what is found in red, and filled."""
    photo = image.load(EXAMPLES / "dog.jpg").pil().crop((160, 120, 160 + SIDE, 120 + SIDE))
    over = torch.from_numpy(damage.layers(np.random.default_rng(5), SIDE, SIDE, ("dust", "scratch", "crease", "stain")))
    pixels = torch.from_numpy(np.array(photo)).permute(2, 0, 1)[None] / 255
    spoilt = Picture((damage.damaged(pixels, over[None])[0][0] * 255).round().byte().permute(1, 2, 0).numpy())
    result = genrestore.old_photo(spoilt, mask=genrestore.find_damage(spoilt, model=card.name), strength=0)
    marks = spoilt.pixels.copy()
    marks[result.mask] = 255, 0, 0
    return beside(spoilt.pil(), Image.fromarray(marks), result.picture.pil())


PORTRAIT = {"sample": grid, "inpaint": repaired, "upscale": enlarged, "damage": found}


def weights() -> None:
    for card in genrestore.list_models():
        assert card.folder is not None
        if card.task in PORTRAIT:
            PORTRAIT[card.task](card).save(card.folder / "sample.webp", quality=88, method=6)
            print(card.folder / "sample.webp")


def removals() -> None:
    """What the page offers to take away of each example photo, marked, and below it what the defaults make of it."""
    photos = sorted(EXAMPLES.glob("*.jpg"))
    sheet = Image.new("RGB", (len(photos) * (SHOWN + 8) - 8, 2 * SHOWN + 8), "white")
    for k, photo in enumerate(photos):
        mask = photo.with_suffix(".mask.png")
        before, after = (image.load(source).pil() for source in (photo, genrestore.inpaint(photo, mask)))
        marked = Image.composite(
            Image.new("RGB", before.size, MARK), before, Image.open(mask).convert("L").point(FAINT)
        )
        for row, picture in enumerate((marked, after)):
            small = picture.resize((SHOWN, SHOWN), Image.Resampling.LANCZOS)
            sheet.paste(small, (k * (SHOWN + 8), row * (SHOWN + 8)))
    sheet.save(PICTURES / "removals.webp", quality=88, method=6)
    print(PICTURES / "removals.webp")


def trained(home: Path) -> None:
    """A short run of the small GAN on pieces of the example photos, for the Train tab to show."""
    pieces = [
        image.load(photo).rgb8()[y : y + PIECE, x : x + PIECE]
        for photo in sorted(EXAMPLES.glob("*.jpg"))
        for y in range(0, 576 - PIECE, PIECE // 2)
        for x in range(0, 576 - PIECE, PIECE // 2)
    ]
    np.savez(home / "photo-pieces.npz", images=np.stack(pieces))
    command = [sys.executable, "-m", "genrestore.training", "dcgan-cifar10", "--data", str(home / "photo-pieces.npz")]
    settings = ["--licence", "CC0-1.0", "--minutes", str(MINUTES), "--holdout", "0.1", "--set", "check=50"]
    out = ["--out", str(home / "runs" / "photo-pieces")]
    environment = {**os.environ, "GENRESTORE_HOME": str(home), "PYTHONPATH": str(ROOT)}
    subprocess.run([*command, *settings, *out], check=True, env=environment)


def screenshots() -> None:
    with tempfile.TemporaryDirectory() as home:
        trained(Path(home))
        photograph(home)


def photograph(home: str) -> None:
    """Every tab, of a page whose user's own files lie in `home`."""
    from playwright.sync_api import Page, sync_playwright

    PICTURES.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "GENRESTORE_HOME": home}
    app = subprocess.Popen([sys.executable, "app.py", "--port", str(PORT), "--no-browser"], cwd=ROOT, env=environment)

    def shoot(page: Page, name: str) -> None:
        shot = Image.open(io.BytesIO(page.screenshot()))
        shot.convert("RGB").save(PICTURES / f"{name}.webp", quality=86, method=6)
        print(PICTURES / f"{name}.webp")

    try:
        for _ in range(300):
            with suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{PORT}/", timeout=5)
                break
            time.sleep(0.1)
        with sync_playwright() as driver:
            browser = driver.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            page = browser.new_page(viewport={"width": 1280, "height": 860})
            page.goto(f"http://127.0.0.1:{PORT}/?tab=sample")
            page.wait_for_selector("#live canvas[data-state]", timeout=60_000)
            page.wait_for_timeout(3000)
            shoot(page, "sample")
            for tab, scene in SCENES.items():
                page.get_by_role("tab", name=tab, exact=True).click()
                scene(page)
                shoot(page, tab.lower())
            browser.close()
    finally:
        app.kill()
        app.wait()


def repair_scene(page: Any) -> None:
    """An example photo without what it says may go, beside what it was, and other fills."""
    page.locator("#inpaint-editor .examples button").first.click()
    page.locator("#inpaint-editor [data-do=suggest]").click()
    page.locator("#inpaint-editor [data-do=repair]:enabled").click()
    page.locator("#inpaint-editor .candidates .guess").wait_for(timeout=60_000)
    page.locator("#inpaint-editor [data-do=wipe]").click()
    page.locator("#inpaint-editor .divider").press("PageUp")
    page.wait_for_timeout(2000)


def upscale_scene(page: Any) -> None:
    """The first example, enlarged."""
    page.locator("#upscale-source .examples button").first.click()
    page.locator("#upscale-result [data-state=single]").wait_for()
    page.locator("#upscale-go").click()
    page.locator("#upscale-download").wait_for(timeout=60_000)
    page.wait_for_timeout(2000)


def train_scene(page: Any) -> None:
    """The run, below the folded form for a new one."""
    page.locator("#watch").get_by_text("photo-pieces").first.wait_for(timeout=30_000)
    page.locator("#train-new button").first.click()
    page.wait_for_timeout(2000)


SCENES = {"Inpaint": repair_scene, "Upscale": upscale_scene, "Train": train_scene}


MADE = {"weights": weights, "removals": removals, "screenshots": screenshots}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", choices=MADE)
    for what in parser.parse_args().what:
        MADE[what]()


if __name__ == "__main__":
    main()
