"""The bytes of the tensors that are alive at once, counted in this thread while something is made or computed."""

import weakref
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


class Alive(TorchDispatchMode):
    """Within its block, counts the bytes of the tensors that came into being there and still are.

    Attributes:
        now, most: bytes at this moment, and at the largest one.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """PyTorch would import its compiler for nearly a second, so as to keep that out of here, where nothing is compiled."""
        return False

    def __init__(self, *known: Tensor, limit: int | None = None, refusal: Exception | None = None) -> None:
        """Args:
        known: tensors that do not count.
        limit: bytes beyond which `refusal` is raised, before the tensor that is too much takes memory.
        """
        super().__init__()
        self.now = self.most = 0
        self.limit, self.refusal = limit, refusal
        self.known = {_place(value) for value in known}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.limit is not None and self.now + _promised(func, args, kwargs) > self.limit:
            raise self._refused()
        out = func(*args, **kwargs)
        for tensor in _tensors(out):
            place, storage = _place(tensor), tensor.untyped_storage()
            if place not in self.known and tensor.device.type != "meta":
                self.known.add(place)
                self.now += storage.nbytes()
                self.most = max(self.most, self.now)
                weakref.finalize(storage, self._gone, place, storage.nbytes())
        if self.limit is not None and self.now > self.limit:
            raise self._refused()
        return out

    def _refused(self) -> Exception:
        return self.refusal or MemoryError(f"more than {self.limit} bytes")

    def _gone(self, place: int, size: int) -> None:
        self.known.discard(place)
        self.now -= size


def _promised(func: Any, args: Any, kwargs: Mapping[str, Any]) -> int:
    """Bytes of new tensors that a call would give, found on the device that keeps no numbers; 0 where that does not tell."""
    schema = func._schema
    if all(one.alias_info is not None for one in schema.returns):  # views, and what is changed in its place
        return 0
    told = {name: _shape(value) for name, value in kwargs.items() if name not in ("generator", "pin_memory")}
    if any(argument.name == "device" for argument in schema.arguments):
        told["device"] = torch.device("meta")
    try:
        return sum(tensor.numel() * tensor.itemsize for tensor in _tensors(func(*map(_shape, args), **told)))
    except Exception:  # what its numbers decide, or what has no rule for this: the call itself will tell
        return 0


def _shape(value: Any) -> Any:
    """A tensor without its numbers; anything else as it is."""
    if isinstance(value, Tensor):
        return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")
    return [_shape(one) for one in value] if isinstance(value, list | tuple) else value


def _place(tensor: Tensor) -> int:
    """What tells one storage from another."""
    return tensor.untyped_storage()._cdata  # pyright: ignore[reportPrivateUsage]


def _tensors(out: Any) -> Iterator[Tensor]:
    if isinstance(out, Tensor):
        yield out
    elif isinstance(out, list | tuple):
        for one in out:
            yield from _tensors(one)
