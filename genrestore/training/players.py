"""The net and those who train it: each player's turn on a batch."""

import copy
import functools
import math
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from genrestore.nets import layers
from genrestore.recipe import Phase, TrainRecipe
from genrestore.registry import Preset
from genrestore.training.distributed import Processes
from genrestore.training.graphs import Batch, Graphs


class Average:
    """Exponential moving average of a net's parameters; buffers are copied.

    The decay grows with the steps, min(decay, (1 + t) / (10 + t)), so that the random start is soon forgotten.
    Polyak & Juditsky, "Acceleration of stochastic approximation by averaging", 1992.
    """

    def __init__(self, net: nn.Module, decay: float) -> None:
        self.net = copy.deepcopy(net).eval().requires_grad_(False)
        self.decay = decay

    def weight(self, step: int) -> float:
        """Of the net, in the average after `step` (0-based)."""
        return 1 - min(self.decay, (1 + step) / (10 + step))

    @torch.no_grad()
    def update(self, net: nn.Module, weight: float | Tensor) -> None:
        for mine, theirs in zip(self.net.parameters(), net.parameters(), strict=True):
            mine.lerp_(theirs, weight)
        for mine, theirs in zip(self.net.buffers(), net.buffers(), strict=True):
            mine.copy_(theirs)


class Players:
    """The net and those who train it.

    Args:
        preset: whose net it is.
        config: of the net.
        recipe: of the run.
        processes: where it computes.
        precision: "fp32", "tf32", "bf16" or "fp16".
        prepare: makes the batch of what `step` gets, on the device; by default that is the batch.
    """

    def __init__(
        self,
        preset: Preset,
        config: Any,
        recipe: TrainRecipe,
        processes: Processes,
        precision: str,
        prepare: Callable[[Batch], Batch] | None = None,
    ) -> None:
        self.recipe, self.processes = recipe, processes
        self.prepare = prepare or (lambda batch: batch)
        self.device = processes.device
        self.dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision, torch.float32)
        torch.manual_seed(recipe.seed)
        self.net = preset.net(config).to(self.device, memory_format=torch.channels_last).train()
        self.average = Average(self.net, recipe.ema)
        if recipe.dropout:
            layers.add_dropout(self.net, recipe.dropout)
        self.phases: list[Phase] = self.net.phases(recipe)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=precision == "fp16")
        # torch.compile takes no gradient of a gradient
        compiled = {phase.name for phase in self.phases if recipe.compile and not phase.penalty}
        self.losses = {phase.name: _compiled(phase) if phase.name in compiled else phase.loss for phase in self.phases}
        # what changes from step to step, where a recorded step reads it
        self.now = torch.zeros((), dtype=torch.int64, device=self.device)
        self.lr, self.weight = torch.zeros((), device=self.device), torch.zeros((), device=self.device)
        # A scaler asks the device whether its scale was too large; several processes wait for each other.
        alone = processes.size == 1 and not self.scaler.is_enabled()
        self.graphs = Graphs(self._turns, self.device) if self.device.type == "cuda" and alone else None

    def step(self, step: int, batch: Batch, lr: float) -> Batch:
        """Every player's turn on one batch; returns their losses, the mean over all processes, until the next step."""
        # Noise drawn inside the nets depends on step and process alone, so that a resumed run draws what the whole run would.
        seed = (self.recipe.seed * 1_000_003 + step) * 4099 + self.processes.rank
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)
        else:
            torch.manual_seed(seed)
        for place, value in ((self.now, step), (self.lr, lr), (self.weight, self.average.weight(step))):
            place.fill_(value)
        due = tuple(phase for phase in self.phases if step % phase.every == 0)
        if self.graphs:
            return self.graphs(due, batch)
        return self._turns(due, {key: value.to(self.device) for key, value in batch.items()})

    def replaced(self) -> None:
        """Weights and the optimisers' states are others than before."""
        if self.graphs:
            self.graphs.forget()

    def _turns(self, due: tuple[Phase, ...], given: Batch) -> Batch:
        """The whole step, of what lies on the device."""
        batch = {key: _channels_last(value) for key, value in self.prepare(given).items()} | {"step": self.now}
        losses = {phase.name: self._turn(phase, batch) for phase in due}
        self.average.update(self.net, _scalar(self.weight))
        return losses

    def _turn(self, phase: Phase, batch: dict[str, Tensor]) -> Tensor:
        """One player's loss, its gradient, its step. For the others' weights nothing is computed."""
        own = [weight for group in phase.optimizer.param_groups for weight in group["params"]]
        phase.optimizer.zero_grad()
        for group in phase.optimizer.param_groups:
            group["lr"] = _scalar(self.lr)
        # the gradient of a gradient is too small for half precision, and too rare to save time with
        dtype = torch.float32 if phase.penalty else self.dtype
        with torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32):
            loss = self.losses[phase.name](batch)
        self.scaler.scale(loss).backward(inputs=own, retain_graph=phase.shared)
        gradients = [weight.grad for weight in own if weight.grad is not None]
        value = loss.detach().float().clone()
        self.processes.mean_([*gradients, value])
        if self.scaler.is_enabled():
            self.scaler.unscale_(phase.optimizer)
        if self.recipe.l1:
            for weight in own:
                if weight.dim() > 1 and weight.grad is not None:
                    weight.grad.add_(weight.detach().sign(), alpha=self.recipe.l1)
        if self.recipe.clip:
            nn.utils.clip_grad_norm_(own, self.recipe.clip)
        self.scaler.step(phase.optimizer)  # the optimiser's own step where nothing was scaled
        if self.scaler.is_enabled():
            self.scaler.update()  # in each turn, for two players may share an optimiser
        return value


def _compiled(phase: Phase) -> Callable[[dict[str, Tensor]], Tensor]:
    import torch._inductor.config as inductor

    inductor.fallback_random = True  # noise as without compiling, so that a resumed run draws the same
    return torch.compile(phase.loss)


def _scalar(value: Tensor) -> float | Tensor:
    """The number; on a GPU the tensor that holds it, which a recorded step reads anew each time."""
    return value if value.is_cuda else value.item()


def _channels_last(value: Tensor) -> Tensor:
    """Pictures with their channels last in memory."""
    return value.to(memory_format=torch.channels_last) if value.dim() == 4 else value


def settled_precision(recipe: TrainRecipe, device: torch.device) -> str:
    """What "auto" means here: the faster one of fp32 and bf16, by a matrix product of each; on a GPU bf16, or fp16 without."""
    if recipe.precision != "auto":
        return recipe.precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    return _faster_here()


@functools.cache
def _faster_here() -> str:
    """Measured once a process: runs of one recipe side by side are to compute alike."""
    exact = _product_seconds(torch.float32)
    return "bf16" if 1.3 * _product_seconds(torch.bfloat16, exact) < exact else "fp32"


def _product_seconds(kind: torch.dtype, enough: float = math.inf) -> float:
    """The least of five matrix products; of two if those take longer than `enough`: without instructions of its own bf16 is
    a hundred times as slow, and a visitor would wait for nothing."""
    a = torch.ones(512, 512, dtype=kind)
    torch.mm(a[:64], a)
    least = math.inf
    for k in range(5):
        begun = time.perf_counter()
        torch.mm(a, a)
        least = min(least, time.perf_counter() - begun)
        if k and least > enough:
            break
    return least
