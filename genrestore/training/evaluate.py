"""Looking at a net while it trains: pictures from fixed seeds, scores on the hold-out, and what it has learnt by heart."""

import dataclasses
import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from genrestore import metrics
from genrestore.data import dataset, degrade
from genrestore.data.dataset import Pictures, sheet
from genrestore.errors import TrainingError
from genrestore.recipe import Phase, TrainRecipe
from genrestore.training.judge import Score

DRAWN = (4, 8)  # rows and columns of a generator's pictures
SHOWN = 4  # pictures that a repairing or enlarging net shows
SHOWN_SIDE = 192  # pixels of each, where the pictures are as large
BEST_PSNR = 100.0  # dB; equal pictures have infinitely many, which no mean takes
# A generator's pictures mean something once their distance to real ones is this share of the untrained net's: noise, flat and
# mean pictures stay above 0.95, the shipped generators come to 0.5 (DCGAN) and 0.75 (the blurred ones of the VAE).
MEANING = 0.85
COMPARED_FIRST = 32  # pictures of which that is judged
SCORED = 512  # pictures of the hold-out that are measured, at most
COMPARED = 20_000  # training pictures that a drawn one is compared with, at most
JUDGED = 64  # drawn pictures that are compared
PAIRS = 8  # of them shown
COPY = 1 / 3
SMALL = 16  # side to which pictures are averaged before they are compared

Sight = dict[str, Tensor]  # a batch


class Watcher:
    """Shows and measures a net on the same pictures each time.

    Args:
        task: of the net.
        pictures: it learns from.
        kept: aside, or None.
        recipe: of the run.
    """

    def __init__(self, task: str, pictures: Pictures, kept: Pictures | None, recipe: TrainRecipe) -> None:
        self.task, self.pictures, self.kept = task, pictures, kept
        # measured on plain pictures, each as often as any other
        self.plain = dataclasses.replace(recipe, augment=(), crops=1)
        self._features: Tensor | None = None

    def check(self, phases: list[Phase]) -> None:
        """Raises:
        TrainingError: patience is asked for, and nothing could be measured.
        """
        several = sum(not phase.penalty for phase in phases) > 1
        if self.plain.patience and self.task == "sample" and several and self.plain.size < metrics.SWD_SIDE:
            raise TrainingError(
                f"patience watches the hold-out, but what is drawn in {self.plain.size} pixels is too small to be measured; "
                f"leave patience out, or draw {metrics.SWD_SIDE} pixels and more."
            )

    @torch.no_grad()
    def picture(self, net: Any) -> Image.Image:
        """What the net draws now: samples from fixed seeds, or rows of given, result and wanted."""
        if self.task == "sample":
            return sheet(drawn(net, DRAWN[0] * DRAWN[1]), DRAWN[1])
        source = self.kept or self.pictures
        unit = math.lcm(32, degrade.find(self.plain.degrade).scale)
        side = min(SHOWN_SIDE, int(source.shapes[:, :2].min())) // unit * unit
        recipe = dataclasses.replace(self.plain, batch=SHOWN, size=side if side > self.plain.size else self.plain.size)
        sight = _on(net, dataset.batch(source, _fitting(source, recipe, self.plain), 0))
        given, result = self._seen(net, sight)
        rows = [row.expand(-1, given.shape[1], -1, -1) for row in (given, result, sight["image"])]
        return sheet(torch.cat(rows), len(given))

    def _seen(self, net: Any, sight: Sight) -> tuple[Tensor, Tensor]:
        """(what the net was given, as large as the result; the result)"""
        if "mask" in sight:
            mask = sight["mask"]
            return sight["image"] * (1 - mask) + 0.5 * mask, net(sight["image"], mask).clamp(0, 1)
        given = sight.get("low", sight["image"])  # a recipe that spoils nothing gives the picture itself
        result = net(given).clamp(0, 1)
        return F.interpolate(given, result.shape[-2:], mode="nearest"), result

    @torch.no_grad()
    def distance(self, net: Any) -> float:
        """How far what the net makes lies from real pictures, for `means`: the less, the better.

        Of a generator the sliced Wasserstein distance; of other nets the squared error as a share of that of what they are
        given, or of a flat picture where they are given the picture itself or make a mask of it. 0 where the pictures are too
        small to measure.
        """
        if self.task == "sample":
            recipe = dataclasses.replace(self.plain, batch=COMPARED_FIRST)
            real = dataset.batch(self.pictures, recipe, 0)["image"]
            if min(real.shape[-2:]) < metrics.SWD_SIDE:
                return 0.0
            # coarser than `scores`, and 16 times as quick: it is asked with every checkpoint
            return metrics.sliced_wasserstein(drawn(net, len(real)), real, patches=16, directions=128)
        sight = _on(net, dataset.batch(self.kept or self.pictures, dataclasses.replace(self.plain, batch=SHOWN), 0))
        given, result = self._seen(net, sight)
        image, mask = sight["image"], sight.get("mask", torch.ones(()))
        if "mask" not in sight and ("low" not in sight or given.shape != image.shape):
            given = image.mean((2, 3), keepdim=True)
        ours, theirs = (((made - image).square() * mask).sum().item() for made in (result, given))
        return ours / max(theirs, 1e-12)

    def means(self, distance: float, untrained: float) -> bool:
        """Whether what a net makes means anything yet, by its `distance` and that of the untrained net."""
        return distance <= MEANING * untrained if self.task == "sample" else distance < 1

    def scores(self, net: Any, recipe: TrainRecipe) -> list[Score]:
        """How good the net is on the hold-out; patience watches the first score.

        "loss" for nets of one player, as it trains but with dropout and noise of fixed seeds; "swd" (see
        `metrics.sliced_wasserstein`) for generators; "psnr" in dB and "ssim" for others, inside the holes where there are any.
        What pictures as small as these do not allow to measure is left out; a value is no number where a result holds none.
        """
        assert self.kept is not None
        count = min(len(self.kept), SCORED)
        size = min(recipe.batch, count, 64)
        steps = max(1, count // size)
        plain = dataclasses.replace(self.plain, batch=size)
        batches = [_on(net, dataset.batch(self.kept, plain, step)) for step in range(steps)]
        scores: list[Score] = []
        losses = [phase.loss for phase in net.phases(recipe) if not phase.penalty]
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            if len(losses) == 1:
                values: list[float] = []
                for step, sight in enumerate(batches):
                    torch.manual_seed(step)
                    values.append(losses[0]({**sight, "step": torch.tensor(recipe.steps)}).item())
                scores.append(Score("loss", sum(values) / len(values), "lower"))
            if self.task == "sample":
                real = torch.cat([sight["image"] for sight in batches]).cpu()
                if min(real.shape[-2:]) >= metrics.SWD_SIDE:
                    scores.append(Score("swd", metrics.sliced_wasserstein(drawn(net, len(real)), real), "lower"))
            else:
                rows = [self._quality(net, sight) for sight in batches]
                scores += [Score(name, float(np.mean([row[name] for row in rows])), "higher") for name in rows[0]]
        return scores

    def _quality(self, net: Any, sight: Sight) -> dict[str, float]:
        _, result = self._seen(net, sight)
        image, under = sight["image"], sight.get("mask")
        found = {"psnr": metrics.psnr(result, image, under).clamp(max=BEST_PSNR).mean().item()}
        if min(image.shape[-2:]) >= metrics.SSIM_SIDE:
            found["ssim"] = metrics.ssim(result, image, under).mean().item()
        return found

    @torch.no_grad()
    def memorised(self, net: Any) -> tuple[float, Image.Image]:
        """The share of drawn pictures that copy a training picture; and a picture: the PAIRS most suspicious ones above the
        training picture nearest to each.

        A drawn picture counts as a copy if its nearest training picture is COPY times as near as the second nearest: Yoon,
        Choi, Kwon & Ryu, "Diffusion probabilistic models generalize when they fail to memorize", ICML workshop SPIGM 2023.
        The distance is taken between pictures averaged to SMALL² pixels. Blur does not raise the share, since a blurred
        picture is about as near to many.
        """
        if self._features is None:
            count = min(len(self.pictures), COMPARED)
            self.compared = np.random.default_rng(0).choice(len(self.pictures), count, replace=False)
            self._features = torch.cat(
                [_small(self.pictures, part) for part in np.array_split(self.compared, count // 500 + 1)]
            )
        known = self._features
        fakes = drawn(net, JUDGED)
        distance, which = torch.cdist(_features(fakes), known).topk(2, largest=False)  # (JUDGED, 2)
        ratio = distance[:, 0] / distance[:, 1].clamp(min=1e-9)
        share = (ratio < COPY).float().mean().item()
        order = ratio.argsort()[:PAIRS]
        real = self.pictures.tensor(self.compared[which[order, 0].numpy()])
        return share, sheet(torch.cat([fakes[order], real]), PAIRS)


def drawn(net: Any, n: int) -> Tensor:
    """(n, C, H, W) in [0, 1] on the CPU: samples of fixed seeds."""
    device = next(net.parameters()).device
    latents = torch.randn(n, net.latent, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return torch.cat([net.decode(part.to(device)).float().cpu() for part in latents.split(64)]).clamp(0, 1)


def _fitting(source: Pictures, larger: TrainRecipe, plain: TrainRecipe) -> TrainRecipe:
    """The recipe with larger crops, if every picture can give one."""
    side = larger.size + 2 * degrade.find(larger.degrade).margin
    return larger if source.shapes[:, :2].min() >= side else dataclasses.replace(larger, size=plain.size)


def _on(net: nn.Module, sight: Sight) -> Sight:
    device = next(net.parameters()).device
    return {key: value.to(device) for key, value in sight.items()}


def _features(pictures: Tensor) -> Tensor:
    """(N, C, H, W) → (N, C·SMALL²)."""
    return F.adaptive_avg_pool2d(pictures, SMALL).flatten(1)


def _small(pictures: Pictures, indices: np.ndarray) -> Tensor:
    return _features(pictures.tensor(indices))
