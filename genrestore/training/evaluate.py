"""Looking at a net while it trains: pictures from fixed seeds, scores on the hold-out, and what it has learnt by heart."""

import dataclasses
import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from genrestore import tasks
from genrestore.data import degrade
from genrestore.data.cache import side
from genrestore.data.dataset import Pictures, batch, sheet
from genrestore.errors import TrainingError
from genrestore.recipe import Phase, TrainRecipe
from genrestore.tasks.task import Score, drawn
from genrestore.training.graphs import Batch

SHOWN_SIDE = 192  # pixels of each picture that is looked at, where the pictures are as large
COMPARED_FIRST = 32  # pictures by which it is told whether a net's pictures mean anything, at most
SCORED = 512  # pictures of the hold-out that are measured, at most
COMPARED = 20_000  # training pictures that a drawn one is compared with, at most
JUDGED = 64  # drawn pictures that are compared
PAIRS = 8  # of them shown
COPY = 1 / 3
SMALL = 16  # side to which pictures are averaged before they are compared


class Evaluator:
    """Shows and measures a net on the same pictures each time.

    Args:
        task: name of the net's.
        pictures: it learns from.
        kept: aside, or None.
        recipe: of the run.
    """

    def __init__(self, task: str, pictures: Pictures, kept: Pictures | None, recipe: TrainRecipe) -> None:
        self.task, self.pictures, self.kept = tasks.find(task), pictures, kept
        # measured on plain pictures, each as often as any other
        self.plain = dataclasses.replace(recipe, augment=(), crops=1)
        self._features: Tensor | None = None

    def check(self, phases: list[Phase]) -> None:
        """Raises:
        TrainingError: patience is asked for, and nothing could be measured.
        """
        several = sum(not phase.penalty for phase in phases) > 1
        if self.plain.patience and several and (reason := self.task.too_small(self.plain.size)):
            raise TrainingError(reason)

    @torch.no_grad()
    def picture(self, net: Any) -> Image.Image:
        """What the net makes now, as its task shows it."""
        source = self.kept or self.pictures
        recipe = dataclasses.replace(self.plain, batch=min(self.task.shown, len(source)))
        if recipe.frame == "crop":
            unit = math.lcm(32, degrade.find(recipe.degrade).scale)
            smallest = int(source.shapes[:, :2].min())
            larger = dataclasses.replace(recipe, size=max(min(SHOWN_SIDE, smallest) // unit * unit, recipe.size))
            recipe = larger if side(larger) <= smallest else recipe
        return sheet(*self.task.show(net, _on(net, batch(source, recipe, 0))))

    @torch.no_grad()
    def distance(self, net: Any) -> float:
        """How far what the net makes lies from real pictures, for the task's `means`: the less, the better."""
        source = self.kept if self.kept and not self.task.invents else self.pictures
        count = min(COMPARED_FIRST if self.task.invents else self.task.shown, len(source))
        return self.task.distance(net, _on(net, batch(source, dataclasses.replace(self.plain, batch=count), 0)))

    def scores(self, net: Any, recipe: TrainRecipe) -> list[Score]:
        """How good the net is on the hold-out; patience watches the first score.

        "loss" for nets of one player, as it trains but with dropout and noise of fixed seeds; then what the task measures.
        What pictures as small as these do not allow to measure is left out; a value is no number where a result holds none.
        """
        assert self.kept is not None
        count = min(len(self.kept), SCORED)
        size = min(recipe.batch, count, 64)
        steps = max(1, count // size)
        plain = dataclasses.replace(self.plain, batch=size)
        batches = [_on(net, batch(self.kept, plain, step)) for step in range(steps)]
        scores: list[Score] = []
        losses = [phase.loss for phase in net.phases(recipe) if not phase.penalty]
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            if len(losses) == 1:
                values: list[float] = []
                for step, inputs in enumerate(batches):
                    torch.manual_seed(step)
                    values.append(losses[0]({**inputs, "step": torch.tensor(recipe.steps)}).item())
                scores.append(Score("loss", sum(values) / len(values), "lower"))
            return scores + self.task.scores(net, batches)

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
        plain = dataclasses.replace(self.plain, batch=min(JUDGED, len(self.pictures)))
        fakes = drawn(net, JUDGED, batch(self.pictures, plain, 0))
        distance, which = torch.cdist(_features(fakes), known).topk(2, largest=False)  # (JUDGED, 2)
        ratio = distance[:, 0] / distance[:, 1].clamp(min=1e-9)
        share = (ratio < COPY).float().mean().item()
        order = ratio.argsort()[:PAIRS]
        real = self.pictures.tensor(self.compared[which[order, 0].numpy()])
        return share, sheet(torch.cat([fakes[order], real]), PAIRS)


def _on(net: nn.Module, inputs: Batch) -> Batch:
    device = next(net.parameters()).device
    return {key: value.to(device) for key, value in inputs.items()}


def _features(pictures: Tensor) -> Tensor:
    """(N, C, H, W) → (N, C·SMALL²)."""
    return F.adaptive_avg_pool2d(pictures, SMALL).flatten(1)


def _small(pictures: Pictures, indices: np.ndarray) -> Tensor:
    return _features(pictures.tensor(indices))
