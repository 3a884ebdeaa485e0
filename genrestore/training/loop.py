"""The one training loop, and all that a run leaves on the disk."""

import dataclasses
import math
import os
import platform
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from genrestore import weights
from genrestore.card import Card, Metric
from genrestore.data import dataset as datasets
from genrestore.data.resident import Resident, possible
from genrestore.errors import Cancelled, GenrestoreError, TrainingError
from genrestore.licences import licence_named, licence_told
from genrestore.models import find
from genrestore.recipe import TrainRecipe
from genrestore.registry import Preset, channels
from genrestore.tasks.task import Score
from genrestore.training import checkpoint, memory, runs
from genrestore.training.board import Board
from genrestore.training.checkpoint import Checkpoint, Progress
from genrestore.training.clock import Clock
from genrestore.training.distributed import World
from genrestore.training.evaluate import JUDGED, Evaluator
from genrestore.training.graphs import Batch
from genrestore.training.players import Players, settled_precision
from genrestore.training.runs import Run, Status

CHECKPOINT_SECONDS = 120.0  # between two checkpoints, unless one takes long:
CHECKPOINT_SHARE = 0.01  # of the run's time may go into them
PICTURE_SECONDS = (10.0, 30.0, 60.0)  # after which the first pictures are drawn; later ones come with the checkpoints
PICTURES_KEPT = 120  # every second one goes when there are more
LOG_STEPS = 50  # between two lines of log.jsonl,
LOG_SECONDS = 2.0  # or as many seconds, whichever comes first
BEAT_SECONDS = 1.0  # between two words of what the run is doing
LISTEN_STEPS = 10  # between two times that several processes agree whether to go on
THREADS = 8  # that prepare batches for a GPU where it cannot do so itself, at most
LEARNT = 2  # pictures that must be left to learn from
RECENT = 100  # losses that `until` averages

OnStep = Callable[[int, dict[str, float]], None]
OnLine = Callable[[dict[str, Any]], None]


class NotFinite(Exception):
    """A loss or a weight is no longer a number."""


class Training:
    """One session of a run: the loop, and all that it writes. Only the first process writes."""

    def __init__(
        self, preset: Preset, config: Any, recipe: TrainRecipe, world: World, run: Run, pictures: datasets.Pictures,
        kept: datasets.Pictures | None, saved: dict[str, Any] | None, on_step: OnStep | None, on_line: OnLine | None,
        cancel: threading.Event | None, tensorboard: bool,
    ) -> None:  # fmt: skip
        self.preset, self.config, self.recipe, self.world, self.run = preset, config, recipe, world, run
        self.pictures, self.on_step, self.on_line, self.cancel = pictures, on_step, on_line, cancel
        self.progress = Progress(
            precision=saved["progress"]["precision"] if saved else settled_precision(recipe, world.device)
        )
        self.rows = world.rows(recipe.batch)
        here = possible(pictures, recipe, world.device)
        self.resident = Resident(pictures, recipe, world.device, self.rows) if here else None
        prepare = self.resident.batch if self.resident else None
        self.players = Players(preset, config, recipe, world, self.progress.precision, prepare)
        self._try_out()
        self.checkpoint = Checkpoint(
            self.players.net, self.players.average.net, self.players.phases, self.players.scaler, self.progress
        )
        if saved:
            self._restore(saved)
        if (here := hardware(world)) not in self.progress.hardware:
            self.progress.hardware.append(here)
        self.evaluator = Evaluator(preset.task, pictures, kept, recipe)
        self.evaluator.check(self.players.phases)
        self.scores: list[Score] = []  # of the exported weight, on the hold-out
        self.enough = ""  # why the run is over, once it is
        self.refused = ""  # why steps are not recorded, as far as told
        # Seconds, of the time since `earlier`.
        self.spent = {"loader": 0.0, "checkpoints": 0.0, "pictures": 0.0, "hold-out": 0.0}
        self.earlier = self.progress.seconds
        self.clock = Clock()
        self.speed = 0.0
        if world.first:
            self.log = run.folder / "log.jsonl"
            _forget(self.log, self.progress.step)
            self.board = Board(run.folder, self.progress.step) if tensorboard else None

    def _restore(self, saved: dict[str, Any]) -> None:
        self.checkpoint.restore(saved)
        self.players.replaced()

    def _try_out(self) -> None:
        """Two rows through the losses.

        Raises:
            TrainingError: they do not fit the net, or a batch does not fit the memory.
        """
        two = datasets.batch(self.pictures, dataclasses.replace(self.recipe, batch=2), 0)
        usual = self.preset.recipe
        try:
            memory.check(self.players.net, self.recipe, two, len(self.rows), self.world.device)
        except torch.OutOfMemoryError:
            raise
        except (KeyError, RuntimeError) as problem:
            raise TrainingError(
                f"{self.preset.name} cannot learn from size={self.recipe.size} and degrade={self.recipe.degrade} ({problem}); "
                f"its own are {usual.size} and {usual.degrade}."
            ) from problem

    # --- the loop ----------------------------------------------------------------------------------------------------

    def go(self) -> str:
        """Train to the end; returns the state to tell, "done" or "stopped"."""
        if self.progress.step == 0:
            self.save()  # a disk that cannot be written is found before any time is spent
        while True:
            try:
                return self._advance()
            except NotFinite:
                self._roll_back()

    def _advance(self) -> str:
        batches = self.batches(self.progress.step)
        try:
            for step in range(self.progress.step, self.recipe.last):
                if (word := self._listen(step)) != "go":
                    return self._end("stopped" if word == "stop" else "done")
                batch = self._next(batches)
                lr = self.recipe.lr * self.recipe.rate(step) * 0.5**self.progress.halvings
                losses = self.players.step(step, batch, lr)
                numbers = self._numbers(step, losses)
                self.progress.step = step + 1
                if numbers:
                    self._report(step, numbers, lr)
                if self.world.first:
                    self._keep(step)
        finally:
            batches.close()
        self.enough = self.enough or f"All {self.recipe.last:,} steps are done."
        return self._end("done")

    def batches(self, start: int) -> Generator[Batch, None, None]:
        """What `Players.step` takes, from step `start` to the recipe's last one."""
        if self.resident:
            return self.resident.batches(start)
        spare = (os.cpu_count() or 1) // self.world.here - 1
        threads = 1 if self.world.device.type == "cpu" else max(1, min(THREADS, spare))
        return datasets.batches(self.pictures, self.recipe, start, self.rows, threads)

    def _next(self, batches: Iterator[dict[str, Tensor]]) -> dict[str, Tensor]:
        try:
            with self._timed("loader"):
                return next(batches)
        except TrainingError:
            self.save()  # the pictures are gone, not what was learnt from them
            raise

    def _listen(self, step: int) -> str:
        """ "go", "stop" or "over"; waits while the run is paused."""
        if self.world.size > 1 and step % LISTEN_STEPS:
            return "go"
        word = self.world.told(self._word())
        if word == "pause":
            self.save()
            with self.clock.stopped():
                while word == "pause":
                    self._tell("paused")
                    time.sleep(0.2)
                    word = self.world.told(self._word())
        return word

    def _word(self) -> str:
        if not self.world.first:
            return ""
        if self.cancel is not None and self.cancel.is_set():
            return "stop"
        if self.recipe.minutes and self._seconds() >= 60 * self.recipe.minutes:
            self.enough = f"{self.recipe.minutes:g} minutes are over."
        if self.enough:
            return "over"
        return self.run.asked() if self.clock.every("listen", 0.1) or self.clock.still else "go"

    def _numbers(self, step: int, losses: dict[str, Tensor]) -> dict[str, float]:
        """The losses as numbers; nothing on most steps of a GPU, where to ask for a number is to wait for the device.

        Raises:
            NotFinite: one is none.
        """
        if self.world.device.type != "cpu" and step % LOG_STEPS and step + 1 < self.recipe.last:
            return {}
        numbers = {name: loss.item() for name, loss in losses.items()}
        if not all(map(math.isfinite, numbers.values())):
            raise NotFinite
        return numbers

    def _report(self, step: int, numbers: dict[str, float], lr: float) -> None:
        """Write, tell and show the losses when it is time."""
        self.progress.history = [*self.progress.history[1 - RECENT :], numbers[self.players.phases[0].name]]
        recent = sum(self.progress.history) / len(self.progress.history)
        if self.recipe.until and len(self.progress.history) == RECENT and recent <= self.recipe.until:
            self.enough = f"The loss fell to {recent:.4g}."
        if self.on_step:
            self.on_step(step, numbers)
        if not self.world.first:
            return
        self.clock.count(step)
        if self.players.graphs and self.players.graphs.refused != self.refused:
            self.refused = self.players.graphs.refused
            self._write({"event": f"Steps are not recorded for the GPU, and take longer: {self.refused}"}, step)
        if self.clock.every("beat", BEAT_SECONDS):
            self.speed = self.clock.rate() * self.recipe.batch or self.speed
            self._tell("training", lr)
        if step % LOG_STEPS == 0 or step + 1 == self.recipe.last or self.clock.since("line") > LOG_SECONDS:
            self._write({"lr": lr, "speed": round(self.speed, 1), "losses": numbers}, step)

    def _keep(self, step: int) -> None:
        """Measure, draw and save when it is time. Other processes meanwhile wait for the first one's next gradient."""
        if self.evaluator.kept is not None and (step + 1) % self.recipe.check == 0:
            self._measure(step)
        early = self.clock.passed(PICTURE_SECONDS)
        if self.clock.since("save") > max(CHECKPOINT_SECONDS, self.clock.longest_save / CHECKPOINT_SHARE):
            self.save()
        elif early:
            self._draw()

    # --- what it leaves ----------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Checkpoint, weight and picture."""
        if not self.world.first:
            return
        with self._timed("checkpoints"):
            if not self.checkpoint.finite():
                if self.world.size > 1:
                    return  # the others learn of it from the next loss, which is no number either
                raise NotFinite
            begun = time.monotonic()
            self.progress.seconds = self._seconds()
            means = self._means()
            self.checkpoint.write(self.run.folder, self.recipe, self.config)
            if means and not self.recipe.patience:
                self._export()
            self.clock.saved(time.monotonic() - begun)
        self._draw()

    def _end(self, state: str) -> str:
        if not self.world.first:
            return state
        if self.evaluator.kept is not None and self.progress.step % self.recipe.check:
            self._measure(self.progress.step - 1)
        self.save()
        exported = (self.run.folder / "model.safetensors").exists() if self.recipe.patience else self.progress.means
        if not exported:
            self._export()  # whatever it is worth, it is what was asked for
        total = self._seconds() - self.earlier
        shares = {name: round(seconds / total, 5) for name, seconds in self.spent.items()} if total else {}
        self._write({"shares": shares}, self.progress.step - 1)
        self._write({"event": self.enough or "Stopped."}, self.progress.step - 1)
        self._tell(state, message=self.enough)
        if self.board:
            self.board.close()
        return state

    def _measure(self, step: int) -> None:
        with self._timed("hold-out"):
            scores = self.evaluator.scores(self.players.average.net, self.recipe)
        told = [score for score in scores if math.isfinite(score.value)]
        if told:
            values = {score.name: round(score.value, 6) for score in told}
            self._write({"holdout": values, "better": {score.name: score.better for score in told}}, step)
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
        with self._timed("pictures"), checkpoint.disk(self.run.folder):
            folder.mkdir(exist_ok=True)
            net, step = self.players.average.net, self.progress.step
            picture = self.evaluator.picture(net)
            _save(picture, folder / f"{step:08d}.webp")
            _save(picture, self.run.folder / "sample.webp")
            kept = self.run.samples()
            for _, path in kept[1:-1:2] if len(kept) > PICTURES_KEPT else []:
                path.unlink(missing_ok=True)
            if self.board:
                self.board.picture(picture, step)
            if self.evaluator.task.invents and step:
                score, pairs = self.evaluator.memorised(net)
                _save(pairs, self.run.folder / "nearest.webp")
                report = {"step": step, "score": round(score, 4), "n": JUDGED}
                runs.replace(self.run.folder / "nearest.json", runs.strict(report))
                self._write({"memorised": round(score, 4)}, step - 1)

    def _export(self) -> None:
        recipe = dataclasses.replace(self.recipe.done(self.progress.step), data=self.pictures.source.name)
        name = self.run.name
        card = Card(
            name=name, task=self.preset.task, architecture=self.preset.architecture, config=dataclasses.asdict(self.config),
            parameters=0, sha256="", license=licence_of_weight(self.pictures.source.licence), data=(self.pictures.source,),
            recipe=recipe.to_json(), hardware=", then ".join(self.progress.hardware), hours=round(self._seconds() / 3600, 4),
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
            progress.means = progress.untrained is None or self.evaluator.means(distance, progress.untrained)
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

    def _roll_back(self) -> None:
        """Go on from the last checkpoint with half the learning rate.

        Raises:
            TrainingError: that was done before.
        """
        step = self.progress.step
        saved = self.world.told(checkpoint.read(self.run.folder) if self.world.first else None)
        self._restore(saved)
        if self.progress.halvings:
            raise TrainingError(
                f"The loss is no longer a number at step {step}, though the learning rate was halved before; the checkpoint "
                f"of step {self.progress.step} is kept: begin anew with a tenth of the rate (--set lr={self.recipe.lr / 10:g})."
            )
        self.progress.halvings = 1
        if self.world.first:
            _forget(self.log, self.progress.step)
            self.checkpoint.write(self.run.folder, self.recipe, self.config)
            sentence = (
                f"The loss was no number at step {step}: went back to step {self.progress.step} with half the rate."
            )
            self._write({"event": sentence}, self.progress.step)

    # --- telling -----------------------------------------------------------------------------------------------------

    def _seconds(self) -> float:
        return self.earlier + self.clock.seconds()

    def _tell(self, state: str, lr: float = 0.0, message: str = "") -> None:
        if not self.world.first or (state == "paused" and not self.clock.every("beat", BEAT_SECONDS)):
            return
        left = (self.recipe.last - self.progress.step) * self.recipe.batch / self.speed if self.speed else 0.0
        if self.recipe.minutes:
            left = min(left, 60 * self.recipe.minutes - self._seconds())
        status = Status(
            state, self.progress.step, self.recipe.last, round(self._seconds(), 1), round(max(0.0, left), 1),
            round(self.speed, 1), lr, message,
        )  # fmt: skip
        with checkpoint.disk(self.run.folder):
            self.run.tell(status)

    def _write(self, content: dict[str, Any], step: int) -> None:
        line = {"step": step, "seconds": round(self._seconds(), 1), **content}
        with checkpoint.disk(self.run.folder), self.log.open("a", encoding="utf-8") as log:
            log.write(runs.strict(line) + "\n")
        self.clock.every("line", 0)
        if self.board:
            self.board.line(line)
        if self.on_line:
            self.on_line(line)

    @contextmanager
    def _timed(self, what: str) -> Generator[None, None, None]:
        begun = time.monotonic()
        yield
        self.spent[what] += time.monotonic() - begun


# --- beginning and ending ---------------------------------------------------------------------------------------------


def train(
    recipe: str | TrainRecipe,
    data: str | Path,
    out: str | Path,
    *,
    licence: str = "",
    resume: bool = False,
    on_step: OnStep | None = None,
    on_line: OnLine | None = None,
    cancel: threading.Event | None = None,
    config: Any = None,
    tensorboard: bool = False,
) -> Path:
    """Train a net and leave a usable weight (model.safetensors, card.json) in `out`.

    Args:
        recipe: the name of a preset, or a recipe whose `model` names one.
        data: where the pictures lie, as `genrestore.data.dataset.read` takes it.
        out: folder of the run, whose name becomes the model's; `genrestore.training.runs` says what else lies there.
        licence: of the pictures (`genrestore.licences.licence_named`), if the recipe does not name it.
        resume: go on from the checkpoint in `out`. Where one lies and `resume` is off, training refuses to begin.
        on_step: called with the 0-based step and the losses of that step by player; on a GPU with every LOG_STEPS-th step.
        on_line: called with each line of log.jsonl.
        cancel: set it, and the run ends after the step under way, with a checkpoint.
        config: another configuration of the preset's net than the preset's own.
        tensorboard: also write TensorBoard's files, into `out`/tensorboard.

    Returns: `out`.

    Raises:
        TrainingError: the data, the recipe or the folder do not allow training, or it cannot go on; `out` is kept.
        ModelError: there is no such preset.
        Cancelled: `cancel` was set while the pictures were read.
    """
    recipe = find(recipe).recipe if isinstance(recipe, str) else recipe
    recipe = dataclasses.replace(recipe, licence=licence) if licence else recipe
    preset = find(recipe.model)
    config = preset.config if config is None else config
    run, world = Run(Path(out)), World()
    with run.alone(resume) if world.first else nullcontext():
        return _train(
            recipe, preset, config, world, run, str(data), licence, resume, on_step, on_line, cancel, tensorboard
        )


def _train(
    recipe: TrainRecipe, preset: Preset, config: Any, world: World, run: Run, data: str, licence: str, resume: bool,
    on_step: OnStep | None, on_line: OnLine | None, cancel: threading.Event | None, tensorboard: bool,
) -> Path:  # fmt: skip
    saved = world.told(_opened(run, recipe, config, resume) if world.first else None)
    if saved and not recipe.licence:
        recipe = dataclasses.replace(recipe, licence=checkpoint.recipe_of(saved).licence)
    recipe = dataclasses.replace(recipe, licence=licence_named(recipe.licence))
    if recipe.frame == preset.recipe.frame == "whole" and recipe.size != preset.recipe.size:
        raise TrainingError(f"{preset.name} draws pictures of {preset.recipe.size} pixels; leave size as it is.")
    world.rows(recipe.batch)  # refuses a batch that cannot be shared, before the pictures are read
    with _telling(run, world, recipe, data) as telling, settled(recipe):
        memory.keep_heap()
        pictures, kept = _read(data, recipe, channels(config), world, telling, cancel)
        training = Training(
            preset, config, recipe, world, run, pictures, kept, saved, on_step, on_line, cancel, tensorboard
        )
        training.go()
    world.leave()
    return run.folder


@contextmanager
def settled(recipe: TrainRecipe) -> Generator[None, None, None]:
    """Within the block torch computes as training wants it; what the caller had set, and drawn, is as before afterwards."""
    backends: Any = torch.backends
    cudnn, products = backends.cudnn, backends.cuda.matmul
    usual = cudnn.benchmark, cudnn.allow_tf32, products.allow_tf32
    denormals = bool(torch.tensor(1e-310, dtype=torch.float64).mul(1.0))
    with torch.random.fork_rng():
        try:
            cudnn.benchmark = True  # every batch has one size, so the quickest ways are found once
            cudnn.allow_tf32 = products.allow_tf32 = recipe.precision == "tf32"
            # Dying activations and optimiser states reach numbers so small that a step took twice as long with them.
            torch.set_flush_denormal(True)
            yield
        finally:
            cudnn.benchmark, cudnn.allow_tf32, products.allow_tf32 = usual
            torch.set_flush_denormal(not denormals)


def _opened(run: Run, recipe: TrainRecipe, config: Any, resume: bool) -> dict[str, Any] | None:
    """The checkpoint to go on from, or None.

    Raises:
        TrainingError: to begin here would destroy a run, or there is nothing to go on from.
    """
    if not resume:
        if (run.folder / checkpoint.FILE).exists():
            raise TrainingError(
                f"{run.folder} already holds a run; add --resume to go on with it, or name another folder."
            )
        return None
    saved = checkpoint.read(run.folder)
    checkpoint.check_same(saved, recipe, config, run.folder)
    return saved


@contextmanager
def _telling(
    run: Run, world: World, recipe: TrainRecipe, source: str
) -> Generator[Callable[[float, str], None], None, None]:
    """Open the folder, and whatever ends the block leave word of it there; yields what tells of the preparation."""
    spoken = 0.0

    def tell(fraction: float, text: str) -> None:
        nonlocal spoken
        if world.first and time.monotonic() - spoken > BEAT_SECONDS:
            spoken = time.monotonic()
            run.tell(Status("preparing", steps=recipe.steps, message=text))

    def fail(state: str, message: str) -> None:
        with suppress(OSError):  # a disk that is full takes no last words either
            if world.first and run.folder.exists():
                run.tell(dataclasses.replace(run.status(), state=state, message=message))

    try:
        if world.first:
            with checkpoint.disk(run.folder):
                run.folder.mkdir(parents=True, exist_ok=True)
                run.ask("go")
                runs.asked(run, recipe, source)
        tell(0.0, "Reading the pictures")
        yield tell
    except (KeyboardInterrupt, Cancelled):
        fail("stopped", "Interrupted; resume goes on from the last checkpoint.")
        raise
    except GenrestoreError as problem:
        fail("failed", str(problem))
        raise
    except torch.OutOfMemoryError:
        sentence = (
            f"The memory of {world.device} is too small for a batch of {recipe.batch}; take a smaller one (--batch)."
        )
        fail("failed", sentence)
        raise TrainingError(sentence) from None
    except BaseException as problem:
        fail("failed", f"{type(problem).__name__}: {problem}")
        raise


def _read(
    source: str | Path,
    recipe: TrainRecipe,
    channels: int,
    world: World,
    telling: Callable[[float, str], None],
    cancel: threading.Event | None,
) -> tuple[datasets.Pictures, datasets.Pictures | None]:
    """The pictures to learn from and those kept aside. The first process decodes, the others find its work."""
    pictures = datasets.read(source, recipe, progress=telling, cancel=cancel) if world.first else None
    world.wait()
    return parts((pictures or datasets.read(source, recipe)).of(channels), recipe)


def parts(pictures: datasets.Pictures, recipe: TrainRecipe) -> tuple[datasets.Pictures, datasets.Pictures | None]:
    """The pictures to learn from and those kept aside.

    Raises:
        TrainingError: too few are left to learn from.
    """
    learnt, kept = datasets.split(pictures, recipe)
    if len(learnt) < LEARNT:
        wish = f"folds={recipe.folds}" if recipe.folds else f"holdout={recipe.holdout:g}"
        raise TrainingError(
            f"{wish} leaves {len(learnt)} of {len(pictures)} pictures to learn from, and {LEARNT} are needed; keep fewer aside."
        )
    return learnt, kept


def hardware(world: World) -> str:
    """The processors or GPUs that train, in a few words."""
    if world.device.type == "cuda":
        one = torch.cuda.get_device_name()
    else:
        one = f"{torch.get_num_threads()} threads of {platform.machine()}, torch {torch.__version__.split('+')[0]}"
    return one if world.size == 1 else f"{world.size} × {one}"


def licence_of_weight(of_data: str) -> str:
    """The licence of a weight, by that of its data."""
    return f"Apache-2.0 for the numbers as far as they are ours; trained on data under: {licence_told(of_data)}"


def _forget(log: Path, step: int) -> None:
    """Leave out the lines of steps that a resumed run will do again."""
    lines = [line for line in Run(log.parent).log() if line["step"] < step]
    with checkpoint.disk(log.parent):
        runs.replace(log, "".join(runs.strict(line) + "\n" for line in lines))


def _save(picture: Image.Image, path: Path) -> None:
    partial = path.with_name(f".{path.name}")
    picture.save(partial, "WEBP", quality=92)
    partial.replace(path)
