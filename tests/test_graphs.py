"""When a step is recorded, and what of it; with a stand-in for CUDA's graphs."""

from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genrestore.recipe import Phase
from genrestore.training import graphs
from genrestore.training.graphs import Graphs

CPU = torch.device("cpu")


class Stream:
    def __init__(self, _: Any = None) -> None: ...

    def wait_stream(self, _: Any) -> None: ...


class Graph:
    again: Callable[[], None]

    def replay(self) -> None:
        self.again()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happened, in order: "record", "step", "replay"."""
    happened: list[str] = []

    @contextmanager
    def recording(graph: Graph, **_: Any) -> Generator[None]:
        happened.append("record")
        graph.again = lambda: happened.append("replay")
        yield

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", recording)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    return happened


def phase(name: str) -> Phase:
    return Phase(name, torch.optim.SGD(nn.Linear(1, 1).parameters()), lambda batch: batch["x"].sum())


def test_a_kind_of_step_is_recorded_after_it_has_warmed_up(calls: list[str]) -> None:
    seen: list[Tensor] = []

    def turns(due: tuple[Phase, ...], batch: dict[str, Tensor]) -> dict[str, Tensor]:
        calls.append("step")
        seen.append(batch["x"])
        return {one.name: batch["x"].sum() for one in due}

    steps, critic, penalty = Graphs(turns, CPU), phase("critic"), phase("r1")
    for k in range(graphs.WARM_UP):
        assert steps((critic,), {"x": torch.tensor([float(k)])})["critic"] == k
    assert calls == ["step"] * graphs.WARM_UP
    calls.clear()
    for k in (7.0, 8.0):
        steps((critic,), {"x": torch.tensor([k])})
    assert calls == ["record", "step", "replay", "replay"]
    assert seen[-1] == 8, "the recorded step reads where the latest batch was put"
    calls.clear()
    steps((critic, penalty), {"x": torch.zeros(1)})
    assert calls == ["step"], "another set of players warms up first"
    steps.forget()
    calls.clear()
    steps((critic,), {"x": torch.zeros(1)})
    assert calls == ["step"]


def test_what_cannot_be_recorded_runs_as_usual_and_says_why(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def refusing(_: Any, **__: Any) -> Generator[None]:
        yield
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    monkeypatch.setattr(torch.cuda, "graph", refusing)
    steps, critic = Graphs(lambda due, batch: {"critic": batch["x"] * 2}, CPU), phase("critic")
    for k in range(graphs.WARM_UP + 3):
        assert steps((critic,), {"x": torch.tensor(float(k))})["critic"] == 2 * k
    assert steps.refused == "operation not permitted when stream is capturing" and not steps.recorded
