"""Tiles equal the whole, cancelling is prompt, devices are named."""

import contextlib
import dataclasses
import gc
import itertools
import json
import math
import os
import subprocess
import sys
import threading
import time
import weakref
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from genrestore import backends, machine, runtime, tasks, weights
from genrestore.card import Card, SizeRule
from genrestore.errors import Cancelled, ModelError, SettingError
from genrestore.models import find
from genrestore.runtime import BLEND, Model, tiles
from genrestore.ui.tabs.models.card import article


def model_of(net: Any) -> Model:
    return Model(Card("fake", "upscale", "Fake", {}, 0, "", "none", (), {}), net, torch.device("cpu"), "torch")


class Nearest(nn.Module):
    """Doubles each pixel; sees `receptive` pixels to each side through a box filter."""

    def __init__(self, receptive: int) -> None:
        super().__init__()
        self.size_rule = SizeRule(receptive=receptive)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        reach = self.size_rule.receptive
        soft = nn.functional.avg_pool2d(image, 2 * reach + 1, stride=1, padding=reach)
        return soft.repeat_interleave(2, -1).repeat_interleave(2, -2)


@settings(deadline=None, max_examples=40)
@given(
    height=st.integers(1, 120), width=st.integers(1, 120), tile=st.integers(4 * BLEND, 70), reach=st.integers(0, 6),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_tiles_equal_the_whole(height: int, width: int, tile: int, reach: int, seed: int) -> None:
    net = model_of(Nearest(reach))
    image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))
    whole = net(image)
    tiled = torch.cat(list(runtime.rows(net, image, tile=tile)), -2)
    assert tiled.shape == whole.shape
    assert (tiled - whole).abs().max() < 1e-5


def test_a_real_net_shows_no_seam() -> None:
    torch.manual_seed(0)
    preset = find("span-x4")
    net = preset.net(dataclasses.replace(preset.config, width=16, blocks=3)).eval()  # type: ignore[type-var]
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.1)
    image = torch.rand(1, 3, 90, 101)
    whole = model_of(net)(image)
    tiled = torch.cat(list(runtime.rows(model_of(net), image, tile=40)), -2)
    assert (tiled - whole).abs().max() * 255 < 1


def test_a_lying_size_rule_would_be_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check above can fail: a net that sees further than it says leaves a seam."""
    net, image = model_of(Nearest(12)), torch.eye(80)[None, None].repeat(1, 3, 1, 1)
    whole = net(image)
    monkeypatch.setattr(Model, "size_rule", SizeRule(receptive=0))
    tiled = torch.cat(list(runtime.rows(net, image, tile=32)), -2)
    assert (tiled - whole).abs().max() > 1e-3


@given(length=st.integers(1, 5000), tile=st.integers(1, 600))
def test_tiles_cover_without_gap(length: int, tile: int) -> None:
    pieces = tiles(length, tile)
    assert pieces[0][0] == 0 and pieces[-1][1] == length
    assert all(a[1] == b[0] for a, b in itertools.pairwise(pieces))
    assert max(b - a for a, b in pieces) <= tile + 1


def test_padding_meets_the_size_rule() -> None:
    class Picky(nn.Module):
        size_rule = SizeRule(multiple_of=8, minimum=16)

        def forward(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            assert image.shape[-2:] == mask.shape[-2:]
            assert all(side % 8 == 0 and side >= 16 for side in image.shape[-2:])
            return image

    for height, width in [(1, 1), (7, 40), (16, 16), (17, 15)]:
        image = torch.rand(1, 3, height, width)
        assert torch.equal(model_of(Picky())(image, torch.zeros(1, 1, height, width)), image)


def test_cancelling_stops_at_the_next_tile() -> None:
    cancel, calls = threading.Event(), []

    class Counting(Nearest):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            calls.append(1)
            if len(calls) == 2:
                cancel.set()
            return super().forward(image)

    with pytest.raises(Cancelled):
        list(runtime.rows(model_of(Counting(0)), torch.rand(1, 3, 200, 200), tile=40, cancel=cancel))
    assert len(calls) == 2


def test_progress_ends_at_one() -> None:
    seen: list[float] = []
    list(
        runtime.rows(
            model_of(Nearest(0)), torch.rand(1, 3, 100, 90), tile=40, progress=lambda done, text: seen.append(done)
        )
    )
    assert seen == sorted(seen) and seen[-1] == 1.0


def test_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENRESTORE_DEVICE", "abacus")
    with pytest.raises(SettingError, match="abacus"):
        runtime.device()
    monkeypatch.setenv("GENRESTORE_DEVICE", "cpu")
    assert runtime.device().type == "cpu"


def test_unknown_precision() -> None:
    with pytest.raises(SettingError, match="precision"):
        runtime.load("auto", precision="vague")


def test_a_first_picture_does_not_wait_for_what_it_does_not_need() -> None:
    # Checking a trace would import these for nearly a second, which every visitor of a cold net would wait.
    heavy = ("sympy", "torch.distributed.tensor")
    code = f"import sys, genrestore; genrestore.sample(); print(*[name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("shape", [(70, 45, 3), (33, 90, 1)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_samples_in_give_samples_out(shape: tuple[int, int, int], kind: Any) -> None:
    """What `enlarge` writes is the net's own result for the whole picture, rounded; grey is shown as three equal channels."""
    net = model_of(Nearest(3))
    pixels = np.random.default_rng(0).integers(0, np.iinfo(kind).max, shape, endpoint=True).astype(kind)
    pixels.flags.writeable = False
    into = np.zeros((2 * shape[0], 2 * shape[1], 4), kind)
    runtime.enlarge(net, pixels, into[..., : shape[2]], tile=40)
    image = torch.from_numpy(pixels / np.float32(np.iinfo(kind).max)).permute(2, 0, 1)[None].expand(1, 3, -1, -1)
    right = (net(image)[0] * np.iinfo(kind).max).permute(1, 2, 0).numpy()[..., : shape[2]]
    # float32 has 24 bits, so that sums of 49 samples of 16 are off by a fraction of a level
    assert np.abs(into[..., : shape[2]] - right).max() <= (0.51 if kind == np.uint8 else 1.5)
    assert not into[..., shape[2] :].any()


class Now:
    """An event or a stream of a GPU whose work is done at once."""

    def __init__(self, *_: Any) -> None: ...

    def wait_event(self, event: Any) -> None: ...

    def record(self, stream: Any) -> None: ...

    def synchronize(self) -> None: ...


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_rows_come_back_from_a_gpu_in_pieces(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way of a GPU's rows to the host, walked with a processor's memory: every sample arrives, in its place."""
    for name in ("Stream", "Event", "current_stream"):
        monkeypatch.setattr(torch.cuda, name, Now)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
    plain = torch.empty
    monkeypatch.setattr(torch, "empty", lambda *size, dtype, pin_memory: plain(*size, dtype=dtype))
    monkeypatch.setattr(runtime, "PIECE", 1000)
    right = np.random.default_rng(0).integers(0, np.iinfo(kind).max, (53, 31, 3)).astype(kind)
    into = np.zeros((53, 31, 4), kind)
    down = runtime._Down(torch.device("cpu"))
    for top in range(0, 53, 20):
        down.put(torch.from_numpy(right[top : top + 20]), torch.from_numpy(into)[top : top + 20, :, :3])
    down.finish()
    assert np.array_equal(into[..., :3], right)


def test_a_full_gpu_gets_smaller_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too little memory for a large tile is no reason to fail, for the smallest one it is a sentence."""
    asked: list[int] = []

    class Hungry(Nearest):
        most = 250

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            asked.append(max(image.shape[-2:]))
            if asked[-1] > self.most:
                raise torch.OutOfMemoryError("no memory")
            return super().forward(image)

    pixels = np.random.default_rng(0).integers(0, 255, (600, 500, 3), np.uint8)
    into = np.zeros((1200, 1000, 3), np.uint8)
    net = Hungry(0)
    runtime.enlarge(model_of(net), pixels, into, tile=600)
    assert np.array_equal(into, pixels.repeat(2, 0).repeat(2, 1)) and asked[0] > 250 >= asked[-1]
    net.most = 20
    with pytest.raises(ModelError, match="GPU has too little free memory"):
        runtime.enlarge(model_of(net), pixels, into)


# --- loading ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home of one's own with two tiny weights, "one" and "two", and a store without loaded nets."""
    monkeypatch.setenv("GENRESTORE_HOME", str(tmp_path))
    monkeypatch.setattr(runtime, "_store", OrderedDict())
    monkeypatch.setattr(runtime, "_alive", weakref.WeakValueDictionary())
    for name in ("one", "two"):
        preset = find("span-x4")
        net = preset.net(dataclasses.replace(preset.config, width=4, blocks=2))  # type: ignore[type-var]
        config = dataclasses.asdict(net.config)
        card = Card(name, "upscale", "Span", config, 0, "", "none", (), preset.recipe.to_json())
        weights.save(net, card, tmp_path / "weights" / name)
    return tmp_path


def test_a_loaded_net_waits_for_no_other(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one net is being loaded, another that is loaded is there at once, and a third can be loaded."""
    first = runtime.load("one", precision="exact")
    begun, go_on = threading.Event(), threading.Event()
    usual = weights.load_net

    def slow(path: Path, card: Card | None = None) -> Any:
        if threading.current_thread().name == "slow":
            begun.set()
            assert go_on.wait(60)
        return usual(path, card)

    monkeypatch.setattr(weights, "load_net", slow)
    waiting = threading.Thread(target=runtime.load, args=("two",), kwargs={"precision": "exact"}, name="slow")
    waiting.start()
    try:
        assert begun.wait(60)
        assert runtime.load("one", precision="exact") is first
        assert runtime.load("one", precision="fast") is not first, "another net, loaded meanwhile"
        assert waiting.is_alive()
    finally:
        go_on.set()
        waiting.join()


def test_one_load_however_many_ask(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[Path] = []
    usual, all_here = weights.load_net, threading.Barrier(6)

    def counted(path: Path, card: Card | None = None) -> Any:
        loads.append(path)
        time.sleep(0.05)  # the others come to the lock meanwhile; without one they would load, too
        return usual(path, card)

    monkeypatch.setattr(weights, "load_net", counted)
    found: list[Model] = []

    def ask() -> None:
        all_here.wait()
        found.append(runtime.load("one", precision="exact"))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1 and len({id(model) for model in found}) == 1


def test_a_load_that_failed_is_tried_again(own: Path) -> None:
    path = own / "weights" / "one" / "model.safetensors"
    whole, times = path.read_bytes(), path.stat()
    path.write_bytes(bytes(len(whole)))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(ModelError, match="sha256 differs"):
        runtime.load("one", precision="exact")
    path.write_bytes(whole)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert runtime.load("one", precision="exact").card.name == "one"


def test_loaded_nets_have_a_bound_in_bytes(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The least recently used goes; what somebody still calls is found again, not loaded a second time."""
    one = runtime.load("one", precision="exact")
    monkeypatch.setattr(runtime, "KEPT_BYTES", int(1.5 * one.nbytes))
    two = runtime.load("two", precision="exact")
    assert [entry.model for entry in runtime._store.values()] == [two], "no room for both"
    assert runtime.load("one", precision="exact") is one, "it is in use here"
    gone = weakref.ref(two)
    del two
    gc.collect()
    assert gone() is None, "nobody holds it, and no room was left"
    again = runtime.load("two", precision="exact")
    assert again.card.name == "two"


def test_a_net_larger_than_the_bound_still_runs(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "KEPT_BYTES", 1)
    one = runtime.load("one", precision="exact")
    assert runtime.load("one", precision="exact") is one


# --- which backend ---------------------------------------------------------------------------------------------------


class Timed:
    """A clock that only the bodies move: each call takes what it is said to take."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **seconds: float) -> None:
        self.now = 0.0
        names = {"ov32": "openvino f32", "ov16": "openvino bf16", "torch32": "torch fp32", "torch16": "torch bf16"}
        self.seconds = {names[key]: value for key, value in seconds.items()}
        self.off: dict[str, float] = {}  # what a way adds to its result
        monkeypatch.setattr(backends, "time", SimpleNamespace(perf_counter=lambda: self.now))

        def of(bodies: Any, way: str) -> Any:
            def body(x: torch.Tensor) -> torch.Tensor:
                self.now += self.seconds[way]
                return bodies.net.body(x) + self.off.get(way, 0.0)

            return body if way in self.seconds else None

        monkeypatch.setattr(backends.Bodies, "of", of)


@pytest.mark.parametrize(
    "seconds, best",
    [
        ({"ov32": 2.0, "ov16": 1.0, "torch32": 3.0, "torch16": 1.1}, "openvino bf16"),  # avx512_bf16 that is worth it
        ({"ov32": 1.0, "ov16": 2.0, "torch32": 3.0, "torch16": 9.0}, "openvino f32"),  # one that is not
        ({"ov32": 1.0, "ov16": 0.95, "torch32": 2.0}, "openvino f32"),  # too little gained
        ({"torch32": 1.0}, "torch fp32"),  # no OpenVINO
        ({"torch32": 1.0, "torch16": 0.5}, "torch bf16"),
        ({"ov32": 2.0, "ov16": 2.0, "torch32": 1.0}, "torch fp32"),
    ],
)
def test_the_quickest_backend_is_measured(
    seconds: dict[str, float], best: str, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Timed(monkeypatch, **seconds)
    backends_of = backends.Bodies(weights.load_net(own / "weights" / "one" / "model.safetensors"), 1)
    choice = backends.measure(backends_of, tasks.find("upscale"))
    assert choice.backend == best and {*choice.speeds} == {*clock.seconds}
    assert choice.speeds[best] == pytest.approx(backends.SIDE**2 / clock.seconds[best], rel=0.01)


def test_a_backend_that_is_too_wrong_is_not_taken(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = weights.load_net(own / "weights" / "one" / "model.safetensors")
    clock = Timed(monkeypatch, ov32=2.0, ov16=1.0, torch32=3.0)
    for off, taken in ((3 / 255, "openvino bf16"), (9 / 255, "openvino f32"), (float("nan"), "openvino f32")):
        clock.off["openvino bf16"] = off
        choice = backends.measure(backends.Bodies(net, 1), tasks.find("upscale"))
        assert choice.backend == taken
        assert choice.difference == (pytest.approx(3, abs=0.01) if taken.endswith("bf16") else 0)


def test_one_is_measured_once_for_all_processes(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No picture of the size of a click waits for it; after that, every load of this home knows."""
    measured: list[int] = []

    def measure(bodies: Any, task: Any) -> machine.Choice:
        measured.append(1)
        return machine.Choice("torch fp32", {"torch fp32": 1.0}, 0.5)

    monkeypatch.setattr(backends, "measure", measure)
    before = runtime.load("one", pixels=1000)
    assert before.backend == "openvino f32" and not measured
    after = runtime.load("one", pixels=runtime.MEASURED_FROM)
    assert after.backend == "torch fp32 on cpu" and after.choice is not None and after.choice.difference == 0.5
    assert before.backend == "openvino f32", "who is using the net keeps it as it is, to the end of the picture"
    assert runtime.load("one", pixels=runtime.MEASURED_FROM) is after and measured == [1]
    monkeypatch.setattr(runtime, "_store", OrderedDict())  # as another process would begin
    monkeypatch.setattr(runtime, "_alive", weakref.WeakValueDictionary())
    monkeypatch.setattr(machine, "_known", {})
    assert runtime.load("one").backend == "torch fp32 on cpu" and measured == [1]
    assert runtime.load("one", precision="exact").backend == "torch fp32 on cpu"
    assert runtime.load("two").backend == "openvino f32", "each net for itself"
    monkeypatch.setattr(machine, "title", lambda: "another machine")
    monkeypatch.setattr(runtime, "_store", OrderedDict())
    monkeypatch.setattr(runtime, "_alive", weakref.WeakValueDictionary())
    monkeypatch.setattr(machine, "_known", {})
    assert runtime.load("one").backend == "openvino f32"


def test_many_small_pictures_are_a_large_one(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "measure", lambda bodies, task: machine.Choice("torch fp32", {}, 0.0))
    found = [runtime.load("one", pixels=runtime.MEASURED_FROM // 4).backend for _ in range(4)]
    assert found == ["openvino f32"] * 3 + ["torch fp32 on cpu"]


def test_nobody_waits_for_a_measurement(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def measure(bodies: Any, task: Any) -> machine.Choice:
        begun.set()
        assert go_on.wait(60)
        return machine.Choice("torch fp32", {}, 0.0)

    monkeypatch.setattr(backends, "measure", measure)
    usual = runtime.load("one")
    large = {"pixels": runtime.MEASURED_FROM}
    waiting = threading.Thread(target=runtime.load, args=("one",), kwargs=large)
    waiting.start()
    try:
        assert begun.wait(60)
        assert runtime.load("one", pixels=runtime.MEASURED_FROM) is usual
    finally:
        go_on.set()
        waiting.join()
    assert runtime.load("one").backend == "torch fp32 on cpu"


def test_a_measurement_that_fails_costs_nothing(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "measure", lambda bodies: 1 / 0)
    for _ in range(2):
        assert runtime.load("one", pixels=runtime.MEASURED_FROM).backend == "openvino f32"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"x": []}', b"7"])
def test_notes_that_are_damaged_are_measured_again(content: bytes, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_known", {})
    (own / "backends.json").write_bytes(content)
    assert machine.recall("a" * 64) is None
    choice = machine.Choice("torch fp32", {"torch fp32": 2.0}, 0.0)
    machine.remember("a" * 64, choice)
    monkeypatch.setattr(machine, "_known", {})
    assert machine.recall("a" * 64) == choice


@pytest.mark.parametrize("entry", [7, {}, {"backend": 3, "speeds": {}, "difference": 0}, {"backend": "x", "speeds": []},
                                   {"backend": "x", "speeds": {"x": "fast"}, "difference": 0.0}])  # fmt: skip
def test_a_note_that_is_damaged_is_none(entry: object, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_known", {})
    (own / "backends.json").write_text(json.dumps({machine.title(): {"a" * 64: entry}}), "utf-8")
    assert machine.recall("a" * 64) is None


def test_notes_that_cannot_be_written_hold_for_the_process(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENRESTORE_HOME", str(own / "weights" / "one" / "card.json"))  # a file is no folder
    choice = machine.Choice("torch fp32", {}, 0.0)
    machine.remember("b" * 64, choice)
    assert machine.recall("b" * 64) == choice


def test_notes_do_not_grow_without_end(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "KEPT", 3)
    for k in range(5):
        machine.remember(f"{k}" * 64, machine.Choice("torch fp32", {}, 0.0))
    assert [key[0] for key in json.loads((own / "backends.json").read_text("utf-8"))[machine.title()]] == [
        "2",
        "3",
        "4",
    ]


def test_what_was_measured_is_told(own: Path) -> None:
    """On the page, with the difference it makes; nothing where nothing was measured."""
    card = Card.read(own / "weights" / "one")
    assert "bf16" not in article(card)
    machine.remember(card.sha256, machine.Choice("openvino bf16", {"torch fp32": 10.0, "openvino bf16": 25.0}, 2.951))
    told = article(card)
    assert "openvino bf16: " in told and "2.5 times as fast" in told and "further than 3.0 of 255" in told


# --- the machine -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "own_groups, files, cores",
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, math.inf),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "50000 100000"}, 0.5),  # a limit further up
        ("4:cpu,cpuacct:/x\n", {"cpu,cpuacct/x/cpu.cfs_quota_us": "300000", "cpu,cpuacct/x/cpu.cfs_period_us": "100000"}, 3),
        ("4:cpu,cpuacct:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, math.inf),
        ("4:cpu:/gone\n", {"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}, 2),  # as in a container
        ("", {}, math.inf),
        ("nonsense", {"cpu.max": "nonsense"}, math.inf),
    ],
)  # fmt: skip
def test_a_quota_of_processor_time(own_groups: str, files: dict[str, str], cores: float, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fs" / name).write_text(text, "ascii")
    (tmp_path / "own").write_text(own_groups, "ascii")
    assert machine.quota(tmp_path / "fs", tmp_path / "own") == cores


def test_threads_keep_to_the_quota() -> None:
    """What the runtime computes with is bounded as it is imported."""
    code = (
        "import os, torch; torch.set_num_threads(8); os.sched_getaffinity = lambda pid: set(range(8))\n"
        "from genrestore import machine; machine.quota = lambda: 1.2\n"
        "from genrestore import runtime; print(torch.get_num_threads())"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["2"]


# --- memory ----------------------------------------------------------------------------------------------------------


def test_memory_goes_back_after_the_last_large_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not while another is running, and not twice."""
    trimmed, quiet = threading.Event(), runtime._Rest()
    monkeypatch.setattr(runtime, "_rest", quiet)
    monkeypatch.setattr(runtime, "QUIET", 0.01)
    monkeypatch.setattr(machine, "trim", trimmed.set)
    with runtime.large_work():
        with runtime.large_work():
            pass
        quiet.now()
        assert not trimmed.is_set()
    assert trimmed.wait(60) and quiet.running == 0


def test_a_compiled_net_computes_the_same_after_its_memory_went_back(own: Path) -> None:
    net = runtime.load("one")
    image = torch.rand(1, 3, 40, 30)
    before = net(image)
    assert isinstance(net.net.body, backends.OpenVINO)
    assert net.release()
    assert torch.equal(net(image), before)
    kept = [net(image * share) for share in (1.0, 0.5, 0.0)]
    assert torch.equal(kept[0], before), "a result is not overwritten by the next"


def test_memory_of_a_net_that_is_running_goes_back_later(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, tried = runtime.load("one"), threading.Semaphore(0)

    def busy() -> None:
        tried.release()
        if tried._value < 3:
            raise RuntimeError("Check 'lock.owns_lock()' failed")

    monkeypatch.setattr(runtime, "QUIET", 0.01)
    monkeypatch.setattr(net.net.body, "compiled", SimpleNamespace(release_memory=busy))
    quiet = runtime._Rest()
    quiet.now()
    deadline = time.monotonic() + 60
    while tried._value < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert tried._value == 3
