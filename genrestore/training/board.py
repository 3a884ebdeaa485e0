"""A run as TensorBoard shows it: `tensorboard --logdir runs`."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from genrestore.errors import TrainingError


class Board:
    """Writes scalars and pictures into FOLDER/tensorboard.

    Args:
        folder: of the run.
        step: at which it begins; what an earlier session wrote for later steps is hidden.

    Raises:
        TrainingError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path, step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise TrainingError(
                "TensorBoard is not installed; install it with: pip install 'genrestore[tensorboard]'."
            ) from None
        self.writer = SummaryWriter(folder / "tensorboard", purge_step=step or None)

    def line(self, line: dict[str, Any]) -> None:
        """One line of log.jsonl."""
        groups = {"loss": line.get("losses", {}), "hold-out": line.get("holdout", {})}
        groups["run"] = {name: line[name] for name in ("lr", "speed", "memorised") if name in line}
        for group, values in groups.items():
            for name, value in values.items():
                self.writer.add_scalar(f"{group}/{name}", value, line["step"])
        if "event" in line:
            self.writer.add_text("events", line["event"], line["step"])

    def picture(self, picture: Image.Image, step: int) -> None:
        self.writer.add_image("drawn", np.asarray(picture), step, dataformats="HWC")

    def close(self) -> None:
        self.writer.close()
