"""The processes that train one net together: one on a laptop, or as many as a launcher started, on any number of machines.

Started by `accelerate launch` or `torchrun`, Hugging Face Accelerate chooses device and backend and connects the processes;
alone, nothing of it is imported. Each process computes its rows of the batch, and `mean_` makes the gradients those of the whole
batch: as DistributedDataParallel does, but after the backward pass, for players here share nets and call more than `forward`.
"""

import os
from typing import Any, cast

import torch
from torch import Tensor

from genrestore.errors import TrainingError

# As a launcher told; LOCAL_SIZE counts the processes on this machine.
RANK, SIZE, LOCAL_SIZE = (
    int(os.environ.get(name, usual)) for name, usual in (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_WORLD_SIZE", "1"))
)


class Processes:
    """This process among all.

    Attributes:
        rank: of this process, from 0; only process 0 writes.
        size: number of processes.
        local_size: number of them on this machine.
        device: where this process computes.
    """

    def __init__(self) -> None:
        self.rank, self.size, self.local_size = 0, SIZE, LOCAL_SIZE
        if self.size == 1:
            self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
            return
        try:
            from accelerate import PartialState
        except ImportError:
            raise TrainingError(
                "Several processes train together through Accelerate; install it with: pip install 'genrestore[distributed]'."
            ) from None
        state = PartialState(cpu=not torch.cuda.is_available())
        self.rank, self.size = state.process_index, state.num_processes
        self.device = cast(torch.device, state.device)

    @property
    def first(self) -> bool:
        return self.rank == 0

    def rows(self, batch: int) -> range:
        """The rows of a batch that this process computes.

        Raises:
            TrainingError: the batch cannot be shared equally.
        """
        if batch % self.size:
            raise TrainingError(
                f"A batch of {batch} cannot be shared by {self.size} processes; take a multiple of {self.size}, "
                f"for example --batch {(batch // self.size + 1) * self.size}."
            )
        share = batch // self.size
        return range(self.rank * share, (self.rank + 1) * share)

    @torch.no_grad()
    def mean_(self, tensors: list[Tensor]) -> None:
        """Replace each tensor by its mean over all processes, in one message."""
        if self.size == 1 or not tensors:
            return
        together = torch.cat([tensor.reshape(-1).float() for tensor in tensors])
        torch.distributed.all_reduce(together)
        parts = (together / self.size).split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view(tensor.shape))

    def broadcast(self, value: Any) -> Any:
        """What process 0 has: plain data or tensors."""
        if self.size == 1:
            return value
        box = [value]
        torch.distributed.broadcast_object_list(box, src=0)
        return box[0]

    def wait(self) -> None:
        """Until every process is here."""
        if self.size > 1:
            torch.distributed.barrier()

    def leave(self) -> None:
        """Say goodbye, so that no process waits for this one."""
        if self.size > 1 and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
