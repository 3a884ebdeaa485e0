"""Training steps as captured CUDA graphs: a GPU repeats a recorded step as one call, without waiting for Python.

A step of DCGAN at a batch of 32 is some hundred small kernels; launched one by one they take four times as long as they compute.
See "CUDA Graphs" in PyTorch's notes on CUDA semantics. What may differ from step to step must come in as a tensor: the batch, the
number of the step, the learning rate; noise is drawn by the device's generator, whose seed a graph reads anew.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor

from genrestore.recipe import Phase

WARM_UP = 3  # steps of a kind that run as usual first: they choose the kernels and make the optimisers' states

Batch = dict[str, Tensor]
Turns = Callable[[tuple[Phase, ...], Batch], dict[str, Tensor]]  # the players' turns on a batch → their losses


@dataclass(frozen=True)
class Recorded:
    """A step: the graph, where it reads the batch, where it leaves the losses."""

    graph: torch.cuda.CUDAGraph
    batch: Batch
    losses: dict[str, Tensor]


class Graphs:
    """Runs steps, recorded ones where it can; one recording for each set of players that take their turn together.

    Args:
        turns: what a step is.
        device: a CUDA GPU.

    Attributes:
        refused: why steps run as usual, once a recording has failed; "" before.
    """

    def __init__(self, turns: Turns, device: torch.device) -> None:
        self.turns = turns
        self.device = device
        self.stream = torch.cuda.Stream(device)  # capturing needs one of its own; what warms up must run there too
        self.recorded: dict[tuple[str, ...], Recorded] = {}
        self.warmed = Counter[tuple[str, ...]]()
        self.refused = ""

    def forget(self) -> None:
        """After weights or states were replaced by others: record anew."""
        self.recorded.clear()
        self.warmed.clear()

    def __call__(self, due: tuple[Phase, ...], batch: Batch) -> dict[str, Tensor]:
        """The step of the players that are due, on a batch from anywhere; the losses hold until the next step."""
        kind = tuple(phase.name for phase in due)
        if not self.refused and kind not in self.recorded and self.warmed[kind] >= WARM_UP:
            self._record(kind, due, batch)
        if kind not in self.recorded:
            self.warmed[kind] += 1
            return self._as_usual(due, self._here(batch))
        step = self.recorded[kind]
        for key, value in batch.items():
            step.batch[key].copy_(value, non_blocking=True)
        step.graph.replay()
        return step.losses

    def _here(self, batch: Batch) -> Batch:
        """A copy on the device."""
        return {key: value.to(self.device, copy=True) for key, value in batch.items()}

    def _as_usual(self, due: tuple[Phase, ...], batch: Batch) -> dict[str, Tensor]:
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            losses = self.turns(due, batch)
        torch.cuda.current_stream().wait_stream(self.stream)
        return losses

    def _record(self, kind: tuple[str, ...], due: tuple[Phase, ...], batch: Batch) -> None:
        """Nothing is computed meanwhile. A net that asks for numbers, or branches on them, cannot be recorded."""
        graph, kept = torch.cuda.CUDAGraph(), self._here(batch)
        try:
            # other threads go on preparing batches
            with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
                losses = self.turns(due, kept)
        except RuntimeError as problem:
            self.refused = str(problem).strip().splitlines()[0]
            with suppress(RuntimeError):
                torch.cuda.synchronize()
            return
        self.recorded[kind] = Recorded(graph, kept, losses)
