"""The optimisers a recipe can name."""

from collections.abc import Callable, Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from genrestore.errors import TrainingError
from genrestore.recipe import OPTIMIZERS, TrainRecipe

RMS = 0.4  # root mean square of Muon's update of a matrix, in units of lr; Adam's is about as large
MOMENTUM = 0.95
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # of the quintic a·x + b·x³ + c·x⁵, Jordan 2024
ITERATIONS = 5


def orthogonalised(matrices: Tensor) -> Tensor:
    """(N, m, n) → the same with all singular values near 1 (0.7 to 1.2), by Newton–Schulz iteration.

    Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024, kellerjordan.github.io/posts/muon
    """
    a, b, c = NEWTON_SCHULZ
    wide = matrices.mT if matrices.shape[1] > matrices.shape[2] else matrices
    x = wide / (torch.linalg.matrix_norm(wide, keepdim=True) + 1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if matrices.shape[1] > matrices.shape[2] else x


class Muon(torch.optim.Optimizer):
    """Muon for the matrices in between, Adam for the first and the last one, biases and other vectors.

    A convolution's weight (O, I, h, w) counts as the matrix (O, I·h·w). The matrix step is scaled to the root mean square
    `RMS`·lr (Liu et al., "Muon is scalable for LLM training", 2025, arXiv:2502.16982), so that one rate serves both.

    Args:
        parameters: of a net, in the order of its layers.
        lr: the learning rate.
        betas: of Adam.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, betas: tuple[float, float] = (0.9, 0.99)) -> None:
        every = list(parameters)
        hidden = {id(weight) for weight in [parameter for parameter in every if parameter.dim() > 1][1:-1]}
        groups = [
            {"params": [parameter for parameter in every if id(parameter) in hidden], "muon": True},
            {"params": [parameter for parameter in every if id(parameter) not in hidden], "muon": False},
        ]
        super().__init__([group for group in groups if group["params"]], {"lr": lr, "betas": betas})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] (no closures here)
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if group["muon"]:
                self._muon(parameters, group["lr"])
            else:
                self._adam(parameters, group["lr"], *group["betas"])

    def _muon(self, parameters: list[nn.Parameter], lr: float | Tensor) -> None:
        """Nesterov momentum, orthogonalised; weights of one shape go together, for one product of many is faster."""
        by_shape: dict[torch.Size, list[nn.Parameter]] = {}
        for parameter in parameters:
            by_shape.setdefault(parameter.shape, []).append(parameter)
        for alike in by_shape.values():
            updates: list[Tensor] = []
            for parameter in alike:
                gradient = cast(Tensor, parameter.grad)
                momentum = self._held(parameter, "momentum")
                momentum.lerp_(gradient, 1 - MOMENTUM)
                updates.append(gradient.lerp(momentum, MOMENTUM).flatten(1))
            together = orthogonalised(torch.stack(updates))
            together = together * (lr * RMS * max(together.shape[1:]) ** 0.5)
            for weight, update in zip(alike, together, strict=True):
                weight.sub_(update.view_as(weight))

    def _adam(self, parameters: list[nn.Parameter], lr: float | Tensor, first: float, second: float) -> None:
        """Kingma & Ba, "Adam: a method for stochastic optimization", ICLR 2015. arXiv:1412.6980"""
        adam(
            cast(list[Tensor], parameters),
            [cast(Tensor, parameter.grad) for parameter in parameters],
            [self._held(parameter, "mean") for parameter in parameters],
            [self._held(parameter, "square") for parameter in parameters],
            [],
            [self._held(parameter, "steps", _nought) for parameter in parameters],
            fused=True, amsgrad=False, beta1=first, beta2=second, lr=lr, weight_decay=0.0, eps=1e-8, maximize=False,
        )  # fmt: skip

    def _held(self, parameter: nn.Parameter, name: str, begin: Callable[[Tensor], Tensor] = torch.zeros_like) -> Tensor:
        state = self.state[parameter]
        if name not in state:
            state[name] = begin(parameter)
        return state[name]


def _nought(parameter: Tensor) -> Tensor:
    """A count of nothing yet, where the parameter lies."""
    return torch.zeros((), device=parameter.device)


def build(recipe: TrainRecipe, module: nn.Module) -> torch.optim.Optimizer:
    """The recipe's optimiser over the parameters of `module`.

    "gd" is plain gradient descent (with a batch of all pictures: the textbook's), "sgd" adds momentum (Polyak 1964),
    "rmsprop" is Tieleman & Hinton's (Coursera, lecture 6.5, 2012).

    Raises:
        TrainingError: the optimiser has no weight decay and the recipe asks for it.
    """
    if recipe.optimizer == "muon" and recipe.weight_decay:
        raise TrainingError("muon has no weight decay here; set weight_decay to 0, or optimizer to adamw.")
    weights = list(module.parameters())
    common: dict[str, Any] = {"lr": recipe.lr, "weight_decay": recipe.weight_decay}
    # On a GPU a step can be recorded if all that changes in it are tensors there, the learning rate among them.
    on_gpu = weights[0].is_cuda
    capturable: dict[str, Any] = {**common, "capturable": on_gpu}
    makers: dict[str, Callable[[], torch.optim.Optimizer]] = {
        "gd": lambda: torch.optim.SGD(weights, fused=on_gpu, **common),
        "sgd": lambda: torch.optim.SGD(weights, momentum=recipe.momentum, fused=on_gpu, **common),
        "rmsprop": lambda: torch.optim.RMSprop(weights, alpha=recipe.betas[1], **capturable),
        "adam": lambda: torch.optim.Adam(weights, betas=recipe.betas, fused=True, **capturable),
        "adamw": lambda: torch.optim.AdamW(weights, betas=recipe.betas, fused=True, **capturable),
        "muon": lambda: Muon(weights, recipe.lr, recipe.betas),
    }
    assert set(makers) == set(OPTIMIZERS)
    return makers[recipe.optimizer]()
