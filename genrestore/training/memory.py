"""Whether a batch fits into the memory of this machine."""

import copy

import torch
from torch import Tensor, nn

from genrestore import machine
from genrestore.data.sources import gigabytes
from genrestore.errors import TrainingError
from genrestore.recipe import TrainRecipe

ROOM = 1.5  # what a step needs, as a multiple of what its backward pass keeps: gradients of activations, batches ahead
STATES = 5  # copies of the weights: theirs, gradients, average, two of Adam


def check(net: nn.Module, recipe: TrainRecipe, pair: dict[str, Tensor], rows: int, device: torch.device) -> None:
    """Estimate what a step with `rows` rows needs, from what the backward passes of two and of four rows keep.

    Raises:
        TrainingError: this machine has less.
    """
    four = {key: torch.cat([value, value]) for key, value in pair.items()}
    kept, of_four = (kept_bytes(net, recipe, some) for some in (pair, four))
    each = (of_four - kept) / 2 + sum(value[0].nbytes for value in pair.values())
    fixed = max(0, 2 * kept - of_four) + STATES * sum(weight.nbytes for weight in net.parameters())
    needed, there = ROOM * each * rows + fixed, available(device)
    if needed > there:
        most = max(0, int((there - fixed) / (ROOM * each)))
        advice = f"take at most {most} (--batch {most})" if most else "lower the recipe's size"
        raise TrainingError(
            f"A batch of {rows} needs about {gigabytes(needed)} and {gigabytes(there)} are free; {advice}."
        )


def kept_bytes(net: nn.Module, recipe: TrainRecipe, batch: dict[str, Tensor]) -> int:
    """The bytes that the hungriest player's loss of `batch` keeps for its backward pass, the net's weights aside."""
    trial = copy.deepcopy(net)
    device = next(trial.parameters()).device
    moved = {key: value.to(device) for key, value in batch.items()} | {"step": torch.tensor(0, device=device)}
    own = {weight.untyped_storage().data_ptr() for weight in trial.parameters()}
    most, shared = 0, dict[int, int]()
    losses: list[Tensor] = []  # alive until the bytes are counted, so that no storage is reused meanwhile
    with torch.random.fork_rng():
        for phase in trial.phases(recipe):  # pyright: ignore[reportCallIssue] (a net of the registry)
            kept = dict(shared)

            def keep(tensor: Tensor, kept: dict[int, int] = kept) -> Tensor:
                storage = tensor.untyped_storage()
                if storage.data_ptr() not in own:
                    kept[storage.data_ptr()] = storage.nbytes()
                return tensor

            with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
                losses.append(phase.loss(moved))
            most = max(most, sum(kept.values()))
            if phase.shared:
                shared = kept
            else:
                losses.clear()
    return most


def available(device: torch.device) -> float:
    """Bytes that can still be taken: of the GPU, or of the system and this process's control group."""
    return float(torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else machine.free()
