"""What a run leaves and tells: its log and status, pictures, checkpoints, measurements and weights."""

import dataclasses
import math
import platform
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from genrestore import weights
from genrestore.card import Card, Metric
from genrestore.data import dataset as datasets
from genrestore.errors import TrainingError
from genrestore.licences import licence_told
from genrestore.paths import replace
from genrestore.recipe import TrainRecipe
from genrestore.registry import Preset
from genrestore.tasks.task import Score
from genrestore.training import checkpoint, runs
from genrestore.training.checkpoint import Checkpoint, Progress
from genrestore.training.clock import Clock
from genrestore.training.distributed import Processes
from genrestore.training.evaluate import JUDGED, Evaluator
from genrestore.training.loggers import Logger
from genrestore.training.players import Players
from genrestore.training.runs import Run, Status

CHECKPOINT_SECONDS = 120.0  # between two checkpoints, unless one takes long:
CHECKPOINT_SHARE = 0.01  # of the run's time may go into them
PICTURE_SECONDS = (10.0, 30.0, 60.0)  # after which the first pictures are drawn; later ones come with the checkpoints
PICTURES_KEPT = 120  # every second one goes when there are more
LOG_STEPS = 50  # between two lines of log.jsonl,
LOG_SECONDS = 2.0  # or as many seconds, whichever comes first
BEAT_SECONDS = 1.0  # between two words of what the run is doing


class NotFinite(Exception):
    """A loss or a weight is no longer a number."""


class Session:
    """One session of a run, from a start or a resumption to its end. Only the first process writes.

    Attributes:
        enough: why the run is over, once it is.
        speed: pictures a second.
    """

    def __init__(
        self, preset: Preset, config: Any, recipe: TrainRecipe, processes: Processes, run: Run, pictures: datasets.Pictures,
        kept: datasets.Pictures | None, players: Players, progress: Progress, loggers: Sequence[Logger],
    ) -> None:  # fmt: skip
        self.preset, self.config, self.recipe, self.processes, self.run = preset, config, recipe, processes, run
        self.pictures, self.players, self.progress = pictures, players, progress
        self.loggers = loggers if processes.first else ()
        self.checkpoint = Checkpoint(players.net, players.average.net, players.phases, players.scaler, progress)
        self.evaluator = Evaluator(preset.task, pictures, kept, recipe)
        self.evaluator.check(players.phases)
        self.scores: list[Score] = []  # of the exported weight, on the hold-out
        self.enough = ""
        self.refused = ""  # why steps are not recorded, as far as told
        # Seconds, of the time since `earlier`.
        self.spent = {"loader": 0.0, "checkpoints": 0.0, "pictures": 0.0, "hold-out": 0.0}
        self.earlier = 0.0
        self.clock = Clock()
        self.speed = 0.0

    def open(self, saved: dict[str, Any] | None) -> None:
        """Take up where a checkpoint ended, if there is one; what the log has of later steps is forgotten."""
        if saved:
            self.restore(saved)
        if (here := hardware(self.processes)) not in self.progress.hardware:
            self.progress.hardware.append(here)
        self.earlier = self.progress.seconds
        if self.processes.first:
            self.log = self.run.folder / "log.jsonl"
            _forget(self.log, self.progress.step)

    def restore(self, saved: dict[str, Any]) -> None:
        self.checkpoint.restore(saved)
        self.players.replaced()

    def report(self, step: int, numbers: dict[str, float], lr: float) -> None:
        """Write and tell the losses when it is time."""
        for logger in self.loggers:
            logger.step(step, numbers)
        if not self.processes.first:
            return
        self.clock.count(step)
        if self.players.graphs and self.players.graphs.refused != self.refused:
            self.refused = self.players.graphs.refused
            self.write({"event": f"Steps are not recorded for the GPU, and take longer: {self.refused}"}, step)
        if self.clock.every("beat", BEAT_SECONDS):
            self.speed = self.clock.rate() * self.recipe.batch or self.speed
            self.tell("training", lr)
        if step % LOG_STEPS == 0 or step + 1 == self.recipe.last or self.clock.since("line") > LOG_SECONDS:
            self.write({"lr": lr, "speed": round(self.speed, 1), "losses": numbers}, step)

    def keep(self, step: int) -> None:
        """Measure, draw and save when it is time. Other processes meanwhile wait for the first one's next gradient."""
        if self.evaluator.kept is not None and (step + 1) % self.recipe.check == 0:
            self.measure(step)
        early = self.clock.passed(PICTURE_SECONDS)
        if self.clock.since("save") > max(CHECKPOINT_SECONDS, self.clock.longest_save / CHECKPOINT_SHARE):
            self.save()
        elif early:
            self._draw()

    def save(self) -> None:
        """Checkpoint, weight and picture."""
        if not self.processes.first:
            return
        with self.timed("checkpoints"):
            if not self.checkpoint.finite():
                if self.processes.size > 1:
                    return  # the others learn of it from the next loss, which is no number either
                raise NotFinite
            begun = time.monotonic()
            self.progress.seconds = self.seconds()
            means = self._means()
            self.checkpoint.write(self.run.folder, self.recipe, self.config)
            if means and not self.recipe.patience:
                self._export()
            self.clock.saved(time.monotonic() - begun)
        self._draw()

    def end(self, state: str) -> str:
        if not self.processes.first:
            return state
        if self.evaluator.kept is not None and self.progress.step % self.recipe.check:
            self.measure(self.progress.step - 1)
        self.save()
        exported = (self.run.folder / "model.safetensors").exists() if self.recipe.patience else self.progress.means
        if not exported:
            self._export()  # whatever it is worth, it is what was asked for
        total = self.seconds() - self.earlier
        shares = {name: round(seconds / total, 5) for name, seconds in self.spent.items()} if total else {}
        self.write({"shares": shares}, self.progress.step - 1)
        self.write({"event": self.enough or "Stopped."}, self.progress.step - 1)
        self.tell(state, message=self.enough)
        return state

    def measure(self, step: int) -> None:
        with self.timed("hold-out"):
            scores = self.evaluator.scores(self.players.average.net, self.recipe)
        told = [score for score in scores if math.isfinite(score.value)]
        if told:
            values = {score.name: round(score.value, 6) for score in told}
            self.write({"holdout": values, "better": {score.name: score.better for score in told}}, step)
        if scores and math.isfinite(scores[0].value) and scores[0].beats(self.progress.best):
            self.progress.best, self.progress.stale = scores[0].value, 0
        else:
            self.progress.stale += 1
        if not self.recipe.patience:
            self.scores = told
        elif self.progress.stale == 0:
            self.scores = told
            self._export()  # with patience, the weight that is left is the best one
        elif self.progress.stale >= self.recipe.patience:
            self.enough = f"No better score on the hold-out in {self.progress.stale} measurements."

    def _draw(self) -> None:
        """The picture of this step; for generators also what they may have learnt by heart."""
        folder = self.run.folder / "samples"
        with self.timed("pictures"), checkpoint.disk(self.run.folder):
            folder.mkdir(exist_ok=True)
            net, step = self.players.average.net, self.progress.step
            picture = self.evaluator.picture(net)
            _save(picture, folder / f"{step:08d}.webp")
            _save(picture, self.run.folder / "sample.webp")
            kept = self.run.samples()
            for _, path in kept[1:-1:2] if len(kept) > PICTURES_KEPT else []:
                path.unlink(missing_ok=True)
            for logger in self.loggers:
                logger.picture(picture, step)
            if self.evaluator.task.invents and step:
                score, pairs = self.evaluator.memorised(net)
                _save(pairs, self.run.folder / "nearest.webp")
                report = {"step": step, "score": round(score, 4), "n": JUDGED}
                replace(self.run.folder / "nearest.json", runs.strict(report))
                self.write({"memorised": round(score, 4)}, step - 1)

    def _export(self) -> None:
        recipe = dataclasses.replace(self.recipe.done(self.progress.step), data=self.pictures.source.name)
        name = self.run.name
        card = Card(
            name=name, task=self.preset.task, architecture=self.preset.architecture, config=dataclasses.asdict(self.config),
            parameters=0, sha256="", license=licence_of_weight(self.pictures.source.licence), data=(self.pictures.source,),
            recipe=recipe.to_json(), hardware=", then ".join(self.progress.hardware), hours=round(self.seconds() / 3600, 4),
            metrics=tuple(self._metrics()), intended=self.preset.intended, limits=self.preset.limits, paper=self.preset.paper,
            title=self.preset.title if name == self.preset.name else f"{name} · {self.preset.title}",
        )  # fmt: skip
        with checkpoint.disk(self.run.folder):
            weights.save(self.players.average.net, card, self.run.folder)

    def _means(self) -> bool:
        """Whether the weight is worth to be tried by others while it is trained: before, it draws noise."""
        progress = self.progress
        if not progress.means:
            distance = self.evaluator.distance(self.players.average.net)
            if progress.untrained is None and progress.step == 0:
                progress.untrained = distance
            progress.means = progress.untrained is None or self.evaluator.task.means(distance, progress.untrained)
        return progress.means

    def _metrics(self) -> Iterator[Metric]:
        if self.evaluator.kept is None:
            return
        part = (
            f"part {self.recipe.fold + 1} of {self.recipe.folds}" if self.recipe.folds else f"{self.recipe.holdout:.0%}"
        )
        for score in self.scores:
            yield Metric(
                set=f"{self.pictures.source.name}, {part} kept aside", protocol=self.preset.task, name=score.name,
                value=round(score.value, 4), n=len(self.evaluator.kept), command=f"genrestore train --reproduce {self.run.name}",
            )  # fmt: skip

    def roll_back(self) -> None:
        """Go on from the last checkpoint with half the learning rate.

        Raises:
            TrainingError: that was done before.
        """
        step = self.progress.step
        saved = self.processes.broadcast(checkpoint.read(self.run.folder) if self.processes.first else None)
        self.restore(saved)
        if self.progress.halvings:
            raise TrainingError(
                f"The loss is no longer a number at step {step}, though the learning rate was halved before; the checkpoint "
                f"of step {self.progress.step} is kept: begin anew with a tenth of the rate (--set lr={self.recipe.lr / 10:g})."
            )
        self.progress.halvings = 1
        if self.processes.first:
            _forget(self.log, self.progress.step)
            self.checkpoint.write(self.run.folder, self.recipe, self.config)
            sentence = (
                f"The loss was no number at step {step}: went back to step {self.progress.step} with half the rate."
            )
            self.write({"event": sentence}, self.progress.step)

    def seconds(self) -> float:
        return self.earlier + self.clock.seconds()

    def tell(self, state: str, lr: float = 0.0, message: str = "") -> None:
        if not self.processes.first or (state == "paused" and not self.clock.every("beat", BEAT_SECONDS)):
            return
        left = (self.recipe.last - self.progress.step) * self.recipe.batch / self.speed if self.speed else 0.0
        if self.recipe.minutes:
            left = min(left, 60 * self.recipe.minutes - self.seconds())
        status = Status(
            state, self.progress.step, self.recipe.last, round(self.seconds(), 1), round(max(0.0, left), 1),
            round(self.speed, 1), lr, message,
        )  # fmt: skip
        with checkpoint.disk(self.run.folder):
            self.run.tell(status)

    def write(self, content: dict[str, Any], step: int) -> None:
        line = {"step": step, "seconds": round(self.seconds(), 1), **content}
        with checkpoint.disk(self.run.folder), self.log.open("a", encoding="utf-8") as log:
            log.write(runs.strict(line) + "\n")
        self.clock.every("line", 0)
        for logger in self.loggers:
            logger.line(line)

    @contextmanager
    def timed(self, what: str) -> Generator[None, None, None]:
        begun = time.monotonic()
        yield
        self.spent[what] += time.monotonic() - begun


def hardware(processes: Processes) -> str:
    """The processors or GPUs that train, in a few words."""
    if processes.device.type == "cuda":
        one = torch.cuda.get_device_name()
    else:
        one = f"{torch.get_num_threads()} threads of {platform.machine()}, torch {torch.__version__.split('+')[0]}"
    return one if processes.size == 1 else f"{processes.size} × {one}"


def licence_of_weight(of_data: str) -> str:
    """The licence of a weight, by that of its data."""
    return f"Apache-2.0 for the numbers as far as they are ours; trained on data under: {licence_told(of_data)}"


def _forget(log: Path, step: int) -> None:
    """Leave out the lines of steps that a resumed run will do again."""
    lines = [line for line in Run(log.parent).log() if line["step"] < step]
    with checkpoint.disk(log.parent):
        replace(log, "".join(runs.strict(line) + "\n" for line in lines))


def _save(picture: Image.Image, path: Path) -> None:
    partial = path.with_name(f".{path.name}")
    picture.save(partial, "WEBP", quality=92)
    partial.replace(path)
