"""The one training loop: players take turns on each batch, whatever the net is. What a run leaves is `session`'s."""

import dataclasses
import math
import os
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor

from genrestore.data import dataset as datasets
from genrestore.data.resident import Resident, possible
from genrestore.errors import TrainingError
from genrestore.recipe import TrainRecipe
from genrestore.registry import Preset
from genrestore.training import memory
from genrestore.training.checkpoint import Progress
from genrestore.training.distributed import Processes
from genrestore.training.graphs import Batch
from genrestore.training.loggers import Logger
from genrestore.training.players import Players, settled_precision
from genrestore.training.runs import Run
from genrestore.training.session import LOG_STEPS, NotFinite, Session

LISTEN_STEPS = 10  # between two times that several processes agree whether to go on
THREADS = 8  # that prepare batches for a GPU where it cannot do so itself, at most
RECENT = 100  # losses that `until` averages


class Training:
    """The loop of one session."""

    def __init__(
        self, preset: Preset, config: Any, recipe: TrainRecipe, processes: Processes, run: Run, pictures: datasets.Pictures,
        kept: datasets.Pictures | None, saved: dict[str, Any] | None, loggers: Sequence[Logger] = (),
        cancel: threading.Event | None = None,
    ) -> None:  # fmt: skip
        self.preset, self.recipe, self.processes, self.run = preset, recipe, processes, run
        self.pictures, self.cancel = pictures, cancel
        self.progress = Progress(
            precision=saved["progress"]["precision"] if saved else settled_precision(recipe, processes.device)
        )
        self.rows = processes.rows(recipe.batch)
        here = possible(pictures, recipe, processes.device)
        self.resident = Resident(pictures, recipe, processes.device, self.rows) if here else None
        prepare = self.resident.batch if self.resident else None
        self.players = Players(preset, config, recipe, processes, self.progress.precision, prepare)
        self._try_out()
        self.session = Session(
            preset, config, recipe, processes, run, pictures, kept, self.players, self.progress, loggers
        )
        self.session.open(saved)

    def _try_out(self) -> None:
        """Two rows through the losses.

        Raises:
            TrainingError: they do not fit the net, or a batch does not fit the memory.
        """
        two = datasets.batch(self.pictures, dataclasses.replace(self.recipe, batch=2), 0)
        usual = self.preset.recipe
        try:
            memory.check(self.players.net, self.recipe, two, len(self.rows), self.processes.device)
        except torch.OutOfMemoryError:
            raise
        except (KeyError, RuntimeError) as problem:
            raise TrainingError(
                f"{self.preset.name} cannot learn from size={self.recipe.size} and degrade={self.recipe.degrade} ({problem}); "
                f"its own are {usual.size} and {usual.degrade}."
            ) from problem

    def go(self) -> str:
        """Train to the end; returns the state to tell, "done" or "stopped"."""
        with ExitStack() as last:
            for logger in self.session.loggers:
                logger.begin(self.run.folder, self.recipe, self.progress.step)
                last.callback(logger.end)
            if self.progress.step == 0:
                self.session.save()  # a disk that cannot be written is found before any time is spent
            while True:
                try:
                    return self._advance()
                except NotFinite:
                    self.session.roll_back()

    def _advance(self) -> str:
        batches = self.batches(self.progress.step)
        try:
            for step in range(self.progress.step, self.recipe.last):
                if (word := self._listen(step)) != "go":
                    return self.session.end("stopped" if word == "stop" else "done")
                batch = self._next(batches)
                lr = self.recipe.lr * self.recipe.rate(step) * 0.5**self.progress.halvings
                losses = self.players.step(step, batch, lr)
                numbers = self._numbers(step, losses)
                self.progress.step = step + 1
                if numbers:
                    self._report(step, numbers, lr)
                if self.processes.first:
                    self.session.keep(step)
        finally:
            batches.close()
        self.session.enough = self.session.enough or f"All {self.recipe.last:,} steps are done."
        return self.session.end("done")

    def batches(self, start: int) -> Generator[Batch, None, None]:
        """What `Players.step` takes, from step `start` to the recipe's last one."""
        if self.resident:
            return self.resident.batches(start)
        spare = (os.cpu_count() or 1) // self.processes.local_size - 1
        threads = 1 if self.processes.device.type == "cpu" else max(1, min(THREADS, spare))
        return datasets.batches(self.pictures, self.recipe, start, self.rows, threads)

    def _next(self, batches: Iterator[dict[str, Tensor]]) -> dict[str, Tensor]:
        try:
            with self.session.timed("loader"):
                return next(batches)
        except TrainingError:
            self.session.save()  # the pictures are gone, not what was learnt from them
            raise

    def _listen(self, step: int) -> str:
        """ "go", "stop" or "over"; waits while the run is paused."""
        if self.processes.size > 1 and step % LISTEN_STEPS:
            return "go"
        word = self.processes.broadcast(self._word())
        if word == "pause":
            self.session.save()
            with self.session.clock.stopped():
                while word == "pause":
                    self.session.tell("paused")
                    time.sleep(0.2)
                    word = self.processes.broadcast(self._word())
        return word

    def _word(self) -> str:
        if not self.processes.first:
            return ""
        if self.cancel is not None and self.cancel.is_set():
            return "stop"
        if self.recipe.minutes and self.session.seconds() >= 60 * self.recipe.minutes:
            self.session.enough = f"{self.recipe.minutes:g} minutes are over."
        if self.session.enough:
            return "over"
        return self.run.asked() if self.session.clock.every("listen", 0.1) or self.session.clock.still else "go"

    def _numbers(self, step: int, losses: dict[str, Tensor]) -> dict[str, float]:
        """The losses as numbers; nothing on most steps of a GPU, where to ask for a number is to wait for the device.

        Raises:
            NotFinite: one is none.
        """
        if self.processes.device.type != "cpu" and step % LOG_STEPS and step + 1 < self.recipe.last:
            return {}
        numbers = {name: loss.item() for name, loss in losses.items()}
        if not all(map(math.isfinite, numbers.values())):
            raise NotFinite
        return numbers

    def _report(self, step: int, numbers: dict[str, float], lr: float) -> None:
        """The losses to whoever asked, and whether they are low enough."""
        self.progress.history = [*self.progress.history[1 - RECENT :], numbers[self.players.phases[0].name]]
        recent = sum(self.progress.history) / len(self.progress.history)
        if self.recipe.until and len(self.progress.history) == RECENT and recent <= self.recipe.until:
            self.session.enough = f"The loss fell to {recent:.4g}."
        self.session.report(step, numbers, lr)
