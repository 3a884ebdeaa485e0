"""The contract of a task, and the two kinds of task that there are: pictures from numbers, and pictures from pictures."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from genrestore.card import Card
from genrestore.setting import Nothing, conditions

if TYPE_CHECKING:
    from torch import Tensor

    Batch = dict[str, Tensor]

Kind = TypeVar("Kind", bound="Task")

LARGEST_SEED = 2**31 - 1
BEST_PSNR = 100.0  # dB; equal pictures have infinitely many, which no mean takes
# A generator's pictures mean something once their distance to real ones is this share of the untrained net's: noise, flat and
# mean pictures stay above 0.95, the shipped generators come to 0.5 (DCGAN) and 0.75 (the blurred ones of the VAE).
MEANING = 0.85


@dataclass(frozen=True)
class Score:
    """One number that tells how good a net is."""

    name: str
    value: float
    better: Literal["higher", "lower"]

    def beats(self, other: float | None) -> bool:
        """Whether it is better than another value of its kind, or than none at all."""
        if other is None:
            return True
        return self.value > other if self.better == "higher" else self.value < other


class Task(ABC):
    """What is asked of a net, and all that others must know of it: training, cards, commands, tabs and tests read it here.

    Attributes:
        name: as cards and commands call it.
        title: what people call it; its Chinese, as that of `wish`, is one line in the page's table of sentences.
        wish: why somebody would train such a net, as a heading.
        place: among the tasks that people are shown, ascending.
        help: one sentence on what a call does.
        done: one word for a picture to which it was done, in the names of files.
        function: name of the public function that does it; by default that of the task. Where there is none,
            `genrestore.pipelines.image_to_image` does it.
        tab: the tab of the page where its models are offered, which is mostly its own.
        options: a dataclass of `setting`s: what a call takes beside the picture, whatever the net.
        pictures: what else of pictures a call may be given, by the names of arguments, each in one sentence.
        exact: whether what a call was not asked to change comes back sample by sample, so that a format that is asked for
            should lose nothing.
        shown: pictures that are looked at while a net is trained.
        ways: what does it without a net, named in place of a model.
        invents: whether its nets could give back training pictures as their own.
        source: what its results are in IPTC's words, one of `pictures.xmp.STRENGTHS`.
        pipeline: what the Hub calls such a task, for its filters.
        use: a line of Python that shows a call; {} is the model's reference.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    wish: ClassVar[str]
    place: ClassVar[int] = 100
    help: ClassVar[str]
    done: ClassVar[str] = "result"
    function: ClassVar[str] = ""
    tab: ClassVar[str] = ""
    options: ClassVar[type] = Nothing
    pictures: ClassVar[Mapping[str, str]] = MappingProxyType({})
    exact: ClassVar[bool] = False
    shown: ClassVar[int]
    ways: ClassVar[tuple[str, ...]] = ()
    invents: ClassVar[bool] = False
    source: ClassVar[str] = "algorithmicallyEnhanced"
    pipeline: ClassVar[str] = "image-to-image"
    use: ClassVar[str] = ""

    @abstractmethod
    def example(self, net: Any, size: int) -> "tuple[Tensor, ...]":
        """Made inputs of one row for tests and tracing, as the net's main method takes them."""

    @abstractmethod
    def show(self, net: Any, batch: "Batch") -> "tuple[Tensor, int]":
        """What to look at while a net is trained: (N, C, H, W) in [0, 1], and how many of them a row has."""

    @abstractmethod
    def scores(self, net: Any, batches: "Sequence[Batch]") -> list[Score]:
        """How good a net is on what it has not seen; what such small pictures do not allow to measure is left out."""

    @abstractmethod
    def distance(self, net: Any, batch: "Batch") -> float:
        """How far what the net makes lies from real pictures, for `means`: the less, the better; 0 is not to be told."""

    @abstractmethod
    def means(self, distance: float, untrained: float) -> bool:
        """Whether what a net makes means anything yet, by its `distance` and that of the untrained net."""

    def too_small(self, size: int) -> str:
        """Why nothing but a loss can be measured in pictures of so many pixels a side, and what to do; "" where it can."""
        return ""

    def misfit(self, card: Card) -> str:
        """Why the net that a card tells of cannot be one of this task's; "" where it can."""
        return ""


entered: dict[str, Task] = {}


def enter(kind: type[Kind]) -> type[Kind]:
    """Enter the decorated task in the table."""
    assert kind.name not in entered, f"two tasks are named {kind.name!r}"
    kind.tab = kind.tab or kind.name
    kind.function = kind.function or kind.name
    kind.use = kind.use or f'genrestore.{kind.function}("photo.jpg", model="{{}}").save("{kind.done}.png")'
    entered[kind.name] = kind()
    return kind


def given(net: Any, batch: "Batch") -> "Batch":
    """The net's conditions that a batch tells, such as its captions."""
    return {one.name: batch[one.name] for one in conditions(net) if one.name in batch}


# --- pictures from numbers -------------------------------------------------------------------------------------------


class Generation(Task):
    """A net draws from latent vectors: it has `latent`, their length Z, and `decode(z, **conditions)`.

    Its distances to real pictures are sliced Wasserstein distances, see `genrestore.metrics.sliced_wasserstein`.
    """

    shown = 32
    invents = True
    pipeline = "unconditional-image-generation"
    columns = 8

    def example(self, net: Any, size: int) -> "tuple[Tensor, ...]":
        import torch

        return (torch.zeros(1, net.latent),)

    def show(self, net: Any, batch: "Batch") -> "tuple[Tensor, int]":
        return drawn(net, self.shown, batch), self.columns

    def scores(self, net: Any, batches: "Sequence[Batch]") -> list[Score]:
        import torch

        from genrestore import metrics

        everything = {key: torch.cat([batch[key] for batch in batches]) for key in batches[0]}
        real = everything["image"].cpu()
        if min(real.shape[-2:]) < metrics.SWD_SIDE:
            return []
        return [Score("swd", metrics.sliced_wasserstein(drawn(net, len(real), everything), real), "lower")]

    def distance(self, net: Any, batch: "Batch") -> float:
        from genrestore import metrics

        real = batch["image"].cpu()
        if min(real.shape[-2:]) < metrics.SWD_SIDE:
            return 0.0
        # coarser than `scores`, and 16 times as quick: it is asked with every checkpoint
        return metrics.sliced_wasserstein(drawn(net, len(real), batch), real, patches=16, directions=128)

    def means(self, distance: float, untrained: float) -> bool:
        return distance <= MEANING * untrained

    def too_small(self, size: int) -> str:
        from genrestore import metrics

        if size >= metrics.SWD_SIDE:
            return ""
        return (
            f"patience watches the hold-out, but what is drawn in {size} pixels is too small to be measured; leave patience "
            f"out, or draw {metrics.SWD_SIDE} pixels and more."
        )


def drawn(net: Any, n: int, batch: "Batch") -> "Tensor":
    """(n, C, H, W) in [0, 1] on the CPU: samples of fixed seeds, under the conditions of a batch, again and again if need be."""
    import torch

    device = next(net.parameters()).device
    latents = torch.randn(n, net.latent, generator=torch.Generator().manual_seed(0))
    told = given(net, batch)
    parts: list[Tensor] = []
    with torch.no_grad():
        for places in torch.arange(n).split(64):
            rows = {name: value[places.to(value.device) % len(value)].to(device) for name, value in told.items()}
            parts.append(net.decode(latents[places].to(device), **rows).float().cpu())
    return torch.cat(parts).clamp(0, 1)


# --- pictures from pictures ------------------------------------------------------------------------------------------


class ImageToImage(Task):
    """A net makes of a picture another one: `forward(image, **conditions)`, (B, 3, H, W) → (B, C, sH, sW) in [0, 1]."""

    shown = 4

    def example(self, net: Any, size: int) -> "tuple[Tensor, ...]":
        return (made(size),)

    def look(self, net: Any, batch: "Batch") -> "tuple[Tensor, Tensor]":
        """(what the net was given, as large as the result; the result)"""
        import torch.nn.functional as F

        shown = batch.get("low", batch["image"])  # a recipe that spoils nothing gives the picture itself
        result = net(shown, **given(net, batch)).clamp(0, 1)
        return F.interpolate(shown, result.shape[-2:], mode="nearest"), result

    def under(self, batch: "Batch") -> "Tensor | None":
        """(B, 1, H, W), 1 where the result is measured; None is everywhere."""
        return None

    def show(self, net: Any, batch: "Batch") -> "tuple[Tensor, int]":
        """Rows of given, result and wanted."""
        import torch

        before, result = self.look(net, batch)
        rows = [row.expand(-1, before.shape[1], -1, -1) for row in (before, result, batch["image"])]
        return torch.cat(rows), len(before)

    def scores(self, net: Any, batches: "Sequence[Batch]") -> list[Score]:
        """PSNR in dB and SSIM."""
        rows = [self._quality(net, batch) for batch in batches]
        return [Score(name, sum(row[name] for row in rows) / len(rows), "higher") for name in rows[0]]

    def _quality(self, net: Any, batch: "Batch") -> dict[str, float]:
        from genrestore import metrics

        _, result = self.look(net, batch)
        image, under = batch["image"], self.under(batch)
        found = {"psnr": metrics.psnr(result, image, under).clamp(max=BEST_PSNR).mean().item()}
        if min(image.shape[-2:]) >= metrics.SSIM_SIDE:
            found["ssim"] = metrics.ssim(result, image, under).mean().item()
        return found

    def start(self, before: "Tensor", batch: "Batch") -> "Tensor":
        """The picture whose error is the most that a net may make: what it is given, or a flat one where that is the picture."""
        return before if "low" in batch else batch["image"].mean((2, 3), keepdim=True)

    def distance(self, net: Any, batch: "Batch") -> float:
        """The squared error as a share of that of `start`."""
        before, result = self.look(net, batch)
        image, under = batch["image"], self.under(batch)
        ours, most = (
            ((one - image).square() * (1 if under is None else under)).sum().item()
            for one in (result, self.start(before, batch))
        )
        return ours / max(most, 1e-12)

    def means(self, distance: float, untrained: float) -> bool:
        return distance < 1


def made(size: int) -> "Tensor":
    """(1, 3, size, size) in [0, 1]: waves, edges and grain."""
    import torch

    y, x = torch.meshgrid(torch.arange(size) / size, torch.arange(size) / size, indexing="ij")
    waves = torch.stack([torch.sin((9 + 40 * x) * x + k) * torch.cos((5 + 60 * y) * y - k) for k in range(3)])
    edges = ((x * 13).floor() + (y * 11).floor()) % 2
    grain = torch.randn(1, size, size, generator=torch.Generator().manual_seed(0))
    return (0.5 + 0.3 * waves + 0.3 * (edges - 0.5) + 0.03 * grain).clamp(0, 1)[None]
