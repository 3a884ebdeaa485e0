"""ZeroGPU: a Hugging Face Space that has no GPU of its own and is lent one for a call. Only this file knows the package `spaces`.

A function that is `lent` one runs in a process forked from this one, which has the GPU; what it takes and gives is pickled on
its way. This process never has one, though PyTorch says so once the package has changed it.
"""

import os
from collections.abc import Callable
from typing import Any, TypeVar

SECONDS = 20  # that a call may take; who asks for less waits less
F = TypeVar("F", bound=Callable[..., Any])
_lender: list[Any] = []  # the package, once it was started


def start() -> bool:
    """Have GPUs lent, where this is ZeroGPU; before `runtime` is imported, and in the page's process alone.

    A training, in a process of its own, would wait for a GPU that nobody lends it for hours.
    """
    if os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true"):
        try:
            import spaces  # pyright: ignore[reportMissingImports] (installed on ZeroGPU)
        except ImportError:
            return False
        _lender[:] = [spaces]
    return here()


def report() -> None:
    """Tell ZeroGPU which functions there are, as Gradio's own `launch` would, which this page does not call."""
    _lender[0].zero.startup()


def here() -> bool:
    """Whether this process is lent GPUs."""
    return bool(_lender)


def arrived() -> None:
    """For a function that is lent a GPU: it has it, and asks for no other."""
    _lender.clear()


def lent(function: F) -> F:
    """The function with a GPU lent to each of its calls; as it is where none is lent."""
    return _lender[0].GPU(function, duration=SECONDS) if _lender else function
