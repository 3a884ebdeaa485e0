"""GPUs that are lent for a call, with a package `spaces` of our own that forks and pickles as ZeroGPU's does."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

# Each call in a process forked for it; what goes in and comes out is pickled. PyTorch claims a GPU, as it does on ZeroGPU.
SPACES = """
import multiprocessing, pickle
import torch
torch.cuda.is_available = lambda: True
calls, reported = [], []

def GPU(function, duration):
    def handler(*args):
        calls.append(function.__name__)
        if refused: raise RuntimeError("quota exceeded")
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe()
        def work():
            given = pickle.loads(theirs.recv_bytes())
            theirs.send_bytes(pickle.dumps(function(*given)))
        child = context.Process(target=work)
        child.start()
        ours.send_bytes(pickle.dumps(args))
        assert ours.poll(90), "the forked process hangs"
        made = pickle.loads(ours.recv_bytes())
        child.join()
        return made
    return handler

refused = False

class zero:
    startup = staticmethod(lambda: reported.append("runtime" if "genrestore.runtime" in __import__("sys").modules else ""))
"""

PROGRAM = """
import json, sys
import numpy as np
from genrestore import ui, zerogpu
from genrestore.ui import serve
def stop(*_): raise SystemExit
serve.Server = stop  # the page is built, not served
ui._warm = lambda: None
try: ui.launch(port=int(sys.argv[1]))
except SystemExit: pass
import torch
from genrestore import runtime
runtime.LENT, runtime.LENT_FROM = "cpu", 4096
told = {"here": zerogpu.here(), "device": str(runtime.device())}
model = runtime.load("restore-photo", precision="exact")
image = torch.rand(1, 3, 66, 70, generator=torch.Generator().manual_seed(0))
ways = [model(image), model(image[..., :63, :64])]
spaces = sys.modules.get("spaces")
told["calls"], told["reported"] = list(spaces.calls), spaces.reported if spaces else []
spaces.refused = True
ways.append(model(image))
zerogpu.arrived()  # as without: the same net in this process
told["worst"] = max(float((way - model(image)[..., :way.shape[-2], :way.shape[-1]]).abs().max()) for way in (ways[0], ways[2]))
told["tried"] = len(spaces.calls)
print(json.dumps(told))
"""


def run(program: str, folder: Path, *arguments: str, **environment: str) -> Any:
    env = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "GRADIO_TEMP_DIR": str(folder), **environment}
    ended = subprocess.run(
        [sys.executable, "-c", program, *arguments], check=False, env=env, capture_output=True, text=True, timeout=200
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


def test_large_pictures_go_to_a_lent_gpu(tmp_path: Path) -> None:
    """Small ones do not, and one that is refused a GPU is made without it."""
    from conftest import free_port

    (tmp_path / "spaces.py").write_text(SPACES)
    told = run(PROGRAM, tmp_path, str(free_port()), SPACES_ZERO_GPU="true")
    assert told["here"] and told["device"] == "cpu", "this process itself has none"
    assert told["reported"] == ["runtime"], "ZeroGPU refuses an app whose functions it has not seen"
    assert told["calls"] == ["_on_lent_gpu"] and told["tried"] == 2
    assert told["worst"] < 1e-5


@pytest.mark.parametrize("there", [True, False])
def test_nothing_is_lent_elsewhere(tmp_path: Path, there: bool) -> None:
    """Neither without the package, nor with it on another machine; there it is not even imported."""
    if there:
        (tmp_path / "spaces.py").write_text("raise AssertionError('imported')")
    code = (
        "import json, sys; from genrestore import zerogpu; started = zerogpu.start(); import genrestore.runtime as runtime\n"
        "print(json.dumps([started, zerogpu.here(), runtime._on_lent_gpu.__module__, 'gradio' in sys.modules]))"
    )
    settings = {} if there else {"SPACES_ZERO_GPU": "true"}
    assert run(code, tmp_path, **settings) == [False, False, "genrestore.runtime", False]
