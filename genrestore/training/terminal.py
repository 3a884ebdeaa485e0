"""A training run as a terminal sees it: a bar with the losses, and a line for each event."""

from pathlib import Path
from types import TracebackType
from typing import Any

from tqdm import tqdm

from genrestore.recipe import TrainRecipe
from genrestore.training.judge import judge

BLOCKS = "▁▂▃▄▅▆▇█"
COLUMNS = 40  # of a curve
LINES = 50  # of the log after which it is judged, at least


class Terminal:
    """Follows `train` through its `on_step` and `on_line`; where the output is no terminal it has no bar.

    Args:
        folder: of the run.
        recipe: of the run.
        quiet: no bar in any case.
    """

    def __init__(self, folder: Path, recipe: TrainRecipe, quiet: bool = False) -> None:
        self.folder, self.recipe, self.quiet = folder, recipe, quiet
        self.curves: dict[str, list[float]] = {}
        self.lines: list[dict[str, Any]] = []
        self.judged = "early"

    def __enter__(self) -> "Terminal":
        self.bar = tqdm(
            total=self.recipe.last, unit="step", mininterval=1, disable=True if self.quiet else None, dynamic_ncols=True
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.close()

    def step(self, step: int, losses: dict[str, float]) -> None:
        self.bar.update(step + 1 - self.bar.n)
        self.bar.set_postfix_str("  ".join(f"{name} {value:.4f}" for name, value in losses.items()), refresh=False)

    def line(self, line: dict[str, Any]) -> None:
        """One line of log.jsonl."""
        if "losses" in line:
            for name, value in line["losses"].items():
                self.curves.setdefault(name, []).append(value)
            speed = f"{line['speed']:,.0f} pictures/s, " if line["speed"] else ""
            self.bar.set_description_str(f"{speed}lr {line['lr']:.2g}", refresh=False)
        elif "holdout" in line:
            scores = "  ".join(f"{name} {value:.4g}" for name, value in line["holdout"].items())
            self._say(f"step {line['step'] + 1:,}: on the hold-out {scores}")
        elif "memorised" in line:
            self._say(
                f"step {line['step'] + 1:,}: {line['memorised']:.0%} of what it draws copies a training picture; "
                f"pictures in {self.folder / 'samples'}"
            )
            for name, values in self.curves.items():
                self._say(f"  {name:>10} {curve(values)} {values[-1]:.4g}")
        elif "event" in line:
            self._say(f"step {line['step'] + 1:,}: {line['event']}")
        self._judge(line)

    def _judge(self, line: dict[str, Any]) -> None:
        """Say how it goes, when that has changed."""
        self.lines.append(line)
        if "holdout" in line or "memorised" in line or len(self.lines) % LINES == 0:
            verdict = judge(self.lines, self.recipe)
            if verdict.code not in ("early", self.judged):
                self.judged = verdict.code
                self._say(f"step {line['step'] + 1:,}: {verdict.text}")

    def _say(self, text: str) -> None:
        tqdm.write(text)


def curve(values: list[float], columns: int = COLUMNS) -> str:
    """The values as a row of blocks, each the mean of as many neighbours as fit."""
    width = min(columns, len(values))
    parts = [values[k * len(values) // width : (k + 1) * len(values) // width] for k in range(width)]
    means = [sum(part) / len(part) for part in parts]
    low, high = min(means), max(means)
    span = (high - low) or 1.0
    return "".join(BLOCKS[min(7, int(8 * (mean - low) / span))] for mean in means)
