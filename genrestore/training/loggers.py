"""What follows a run and tells of it elsewhere. A new logger is a class, and an entry of LOGGERS, which `--log` names."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from genrestore import console
from genrestore.errors import TrainingError, unknown
from genrestore.recipe import TrainRecipe
from genrestore.training.judge import judge

BLOCKS = "▁▂▃▄▅▆▇█"
COLUMNS = 40  # of a curve
LINES = 50  # of the log after which it is judged, at least


class Logger:
    """Hears of a run in its first process; each logger overrides what it tells of."""

    def begin(self, folder: Path, recipe: TrainRecipe, step: int) -> None:
        """The run in `folder` begins at `step` or goes on there; an earlier session may have told of later ones."""

    def step(self, step: int, losses: dict[str, float]) -> None:
        """The losses of a 0-based step by player; on a GPU of every LOG_STEPS-th one."""

    def line(self, line: dict[str, Any]) -> None:
        """One line of log.jsonl."""

    def picture(self, picture: Image.Image, step: int) -> None:
        """What the net draws after so many steps."""

    def end(self) -> None:
        """The session is over, whatever ended it."""


class Terminal(Logger):
    """A bar with the losses, where the output is a terminal, and a sentence for each event."""

    def begin(self, folder: Path, recipe: TrainRecipe, step: int) -> None:
        self.folder, self.recipe = folder, recipe
        self.curves: dict[str, list[float]] = {}
        self.lines: list[dict[str, Any]] = []
        self.judged = "early"
        self.bar = console.bar(recipe.last, unit="step", mininterval=1)

    def end(self) -> None:
        self.bar.close()

    def step(self, step: int, losses: dict[str, float]) -> None:
        self.bar.update(step + 1 - self.bar.n)
        self.bar.set_postfix_str("  ".join(f"{name} {value:.4f}" for name, value in losses.items()), refresh=False)

    def line(self, line: dict[str, Any]) -> None:
        if "losses" in line:
            for name, value in line["losses"].items():
                self.curves.setdefault(name, []).append(value)
            speed = f"{line['speed']:,.0f} pictures/s, " if line["speed"] else ""
            self.bar.set_description_str(f"{speed}lr {line['lr']:.2g}", refresh=False)
        elif "holdout" in line:
            scores = "  ".join(f"{name} {value:.4g}" for name, value in line["holdout"].items())
            self.bar.write(f"step {line['step'] + 1:,}: on the hold-out {scores}")
        elif "memorised" in line:
            self.bar.write(
                f"step {line['step'] + 1:,}: {line['memorised']:.0%} of what it draws copies a training picture; "
                f"pictures in {self.folder / 'samples'}"
            )
            for name, values in self.curves.items():
                self.bar.write(f"  {name:>10} {curve(values)} {values[-1]:.4g}")
        elif "event" in line:
            self.bar.write(f"step {line['step'] + 1:,}: {line['event']}")
        self._judge(line)

    def _judge(self, line: dict[str, Any]) -> None:
        """Say how it goes, when that has changed."""
        self.lines.append(line)
        if "holdout" in line or "memorised" in line or len(self.lines) % LINES == 0:
            verdict = judge(self.lines, self.recipe)
            if verdict.code not in ("early", self.judged):
                self.judged = verdict.code
                self.bar.write(f"step {line['step'] + 1:,}: {verdict.text}")


def curve(values: list[float], columns: int = COLUMNS) -> str:
    """The values as a row of blocks, each the mean of as many neighbours as fit."""
    width = min(columns, len(values))
    parts = [values[k * len(values) // width : (k + 1) * len(values) // width] for k in range(width)]
    means = [sum(part) / len(part) for part in parts]
    low, high = min(means), max(means)
    span = (high - low) or 1.0
    return "".join(BLOCKS[min(7, int(8 * (mean - low) / span))] for mean in means)


class TensorBoard(Logger):
    """Scalars and pictures in FOLDER/tensorboard: `tensorboard --logdir runs` shows them."""

    def begin(self, folder: Path, recipe: TrainRecipe, step: int) -> None:
        """Raises:
        TrainingError: TensorBoard is not installed.
        """
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise TrainingError(
                "TensorBoard is not installed; install it with: pip install 'genrestore[tensorboard]'."
            ) from None
        self.writer = SummaryWriter(folder / "tensorboard", purge_step=step or None)

    def line(self, line: dict[str, Any]) -> None:
        groups = {"loss": line.get("losses", {}), "hold-out": line.get("holdout", {})}
        groups["run"] = {name: line[name] for name in ("lr", "speed", "memorised") if name in line}
        for group, values in groups.items():
            for name, value in values.items():
                self.writer.add_scalar(f"{group}/{name}", value, line["step"])
        if "event" in line:
            self.writer.add_text("events", line["event"], line["step"])

    def picture(self, picture: Image.Image, step: int) -> None:
        self.writer.add_image("drawn", np.asarray(picture), step, dataformats="HWC")

    def end(self) -> None:
        self.writer.close()


LOGGERS: dict[str, type[Logger]] = {"terminal": Terminal, "tensorboard": TensorBoard}


def chosen(names: str) -> Sequence[Logger]:
    """New loggers, by their names between commas.

    Raises:
        TrainingError: there is none of that name.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        if name not in LOGGERS:
            raise unknown("logger", name, LOGGERS, f"Known are {', '.join(LOGGERS)}.", TrainingError)
    return [LOGGERS[name]() for name in wanted]
