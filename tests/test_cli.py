"""The command line: help that teaches, one line on bad input, and the same pixels as the Python behind it."""

import dataclasses
import importlib
import inspect
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import genrestore
from genrestore import __main__ as command  # which adds the command that opens the page
from genrestore.cli import inpaint as repair
from genrestore.errors import Cancelled

COMMANDS = (
    "inpaint",
    "upscale",
    "sample",
    "find-damage",
    "old-photo",
    "restore",
    "replay",
    "train",
    "cache",
    "app",
    "models",
    "space",
)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """run("upscale", path) → exit code, stdout, stderr."""

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            command.main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return call


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A 61 × 47 picture with a gradient, saved as PNG."""
    y, x = np.mgrid[:47, :61]
    pixels = np.stack([x * 4, y * 5, (x + y) * 2], -1).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    """White in a 9 × 7 rectangle of a 61 × 47 picture."""
    pixels = np.zeros((47, 61), np.uint8)
    pixels[20:27, 30:39] = 255
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    return tmp_path / "mask.png"


def needs(task: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not genrestore.list_models(task), reason=f"no weight for {task} is installed")


# --- help -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_help_ends_in_an_example_whose_options_exist(command: str, run: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = run(command, "--help")
    assert code == 0
    example = re.search(rf"Example: genrestore {command}(.*)", out)
    assert example, f"`genrestore {command} --help` shows no example"
    used = re.findall(r"(?<!\S)--?[a-z]+", example[1])
    assert all(re.search(rf"(?<!\S){option}\b", out.replace(example[0], "")) for option in used)


def test_all_commands_are_listed(run: Callable[..., tuple[int, str, str]]) -> None:
    assert run()[1] == run("--help")[1]
    listed = run("--help")[1].partition("Commands:")[2]
    assert tuple(re.findall(r"^  ([\w-]+)", listed, re.MULTILINE)) == COMMANDS


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["upscale", "--help"], ["models", "--json"]])
def test_quick_commands_load_neither_torch_nor_gradio(arguments: list[str]) -> None:
    script = (
        "import sys, genrestore.__main__\n"
        f"try: genrestore.__main__.main({arguments!r})\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'torch', 'gradio', 'openvino', 'pandas', 'huggingface_hub'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)


def test_the_cache_is_told_and_emptied(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genrestore.data import dataset
    from genrestore.recipe import TrainRecipe

    monkeypatch.setenv("GENRESTORE_HOME", str(tmp_path))
    monkeypatch.setenv("GENRESTORE_CACHE_GB", "3")
    np.save(tmp_path / "set.npy", np.zeros((40, 200, 300, 3), np.uint8))
    dataset.read(tmp_path / "set.npy", TrainRecipe(frame="crop", size=200, degrade="holes:box"))
    assert run("cache")[1] == f"{tmp_path / 'decoded'}: 0.01 GB are taken, 3 GB at most (GENRESTORE_CACHE_GB).\n"
    assert "0.01 GB were removed; 0.00 GB are taken" in run("cache", "--empty")[1]
    assert not list((tmp_path / "decoded").glob("set-*"))


def test_version_is_the_package_s(run: Callable[..., tuple[int, str, str]]) -> None:
    assert run("--version") == (0, f"genrestore {genrestore.__version__}\n", "")


@pytest.mark.parametrize("command", ["sample", "inpaint", "upscale"])
def test_options_have_the_names_and_defaults_of_the_python_functions(command: str) -> None:
    """The page, the command line and Python must give the same picture when nobody asks for anything."""
    function = inspect.signature(getattr(genrestore, command)).parameters
    here = inspect.signature(getattr(importlib.import_module(f"genrestore.cli.{command}"), command)).parameters
    shared = set(function) & set(here)
    assert set(function) - shared <= {"image", "conditions", "preview", "progress", "cancel"}
    for name in shared - {"mask"}:
        assert here[name].default == function[name].default, name


def test_a_mask_is_widened_and_copies_are_forbidden(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)).save("photo.png")
    mask = np.zeros((60, 80), np.uint8)
    mask[20:24, 30:42] = 255
    Image.fromarray(mask).save("mask.png")
    Image.fromarray(np.pad(np.full((60, 10), 255, np.uint8), ((0, 0), (0, 70)))).save("person.png")
    code, told, _ = run("inpaint", "photo.png", "mask.png", "--grow", "3", "--forbid", "person.png", "-o", "out.png")
    assert code == 0 and "3.5 % of the picture filled; 0 of" in told
    changed = (np.asarray(Image.open("out.png")) != np.asarray(Image.open("photo.png"))).any(2)
    assert changed[17:27, 27:45].mean() > 0.9
    assert run("inpaint", "photo.png", "mask.png", "--grow", "-1")[0] == 2
    faded = ("inpaint", "photo.png", "mask.png", "--feather", "1", "-o", "faded.png")
    assert run(*faded)[0] == 0 and run("inpaint", "photo.png", "mask.png", "-o", "hard.png")[0] == 0
    hard, soft, source = (np.asarray(Image.open(name)).astype(int) for name in ("hard.png", "faded.png", "photo.png"))
    assert np.abs(2 * soft[20] - hard[20] - source[20]).max() <= 1 and (soft[20] != hard[20]).any()


# --- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("inpaintt", "inpaint"),
        ("upscale", "Missing argument"),
        ("upscale photo.png --sclae 2", "--scale"),
        ("upscale photo.png --scale many", "--scale"),
        ("upscale photo.png --scale 0.5", "scale"),
        ("upscale gone.png", "gone.png"),
        ("upscale notes.txt", "notes.txt"),
        ("upscale photo.png -o photo.png --force", "is an input"),
        ("inpaint photo.png mask.png --forbid small.png -o small.png --force", "is an input"),
        ("inpaint photo.png mask.png --transparent", "Name one mask"),
        ("inpaint photo.png mask.png --masks mask.png", "Name one mask"),
        ("upscale photo.png -o mask.png", "--force"),
        ("upscale photo.png -o gone/x.png", "no folder"),
        ("upscale photo.png -o folder", "is a folder"),
        ("upscale photo.png -o folder --force", "is a folder"),
        ("upscale photo.png -o x.xyz", "'.xyz'"),
        ("upscale photo.png --width 600 -o /dev/null --force", "no ordinary file"),
        ("upscale clear.png -o x.jpg", "transparency"),
        ("upscale clear.png -o x.bmp", "transparency"),
        ("upscale wide.png -o x.webp", "16383"),
        (f"upscale photo.png -o {'x' * 300}.png", "too long"),
        (f"upscale photo.png -o {'x/' * 3000}y.png", "cannot be written"),
        (f"upscale {'x' * 300}.png", "cannot be opened"),
        ("upscale photo.png --scale nan", "scale"),
        ("upscale photo.png --scale inf", "scale"),
        ("upscale photo.png --scale -4", "scale"),
        ("upscale photo.png --scale 1e300", "scale"),
        ("upscale photo.png --strength nan", "strength"),
        (f"upscale photo.png --width {'9' * 30}", "width"),
        (f"upscale photo.png --height -{'9' * 30}", "height"),
        ("inpaint photo.png mask.png -o x.xyz", "'.xyz'"),
        ("inpaint photo.png mask.png -o folder --force", "is a folder"),
        ("inpaint clear.png mask.png -o x.jpg", "transparency"),
        (f"inpaint photo.png mask.png --seed {'9' * 30}", "seed"),
        ("inpaint photo.png mask.png --seed -1", "seed"),
        ("inpaint photo.png mask.png --feather -1", "feather must be a whole number between 0 and 100"),
        ("inpaint photo.png mask.png --feather 101", "feather must be a whole number between 0 and 100"),
        ("inpaint - -", "Only one of picture and masks can come from standard input"),
        ("inpaint photo.png - --forbid -", "Only one of picture and masks"),
        ("old-photo - --mask -", "Only one of picture and masks"),
        ("old-photo photo.png --steps -o -", "The steps are written beside the result"),
        ("inpaint folder mask.png -o -", "Standard input and output are for one picture"),
        ("inpaint folder --masks - -o out", "Standard input and output are for one picture"),
        ("inpaint folder mask.png --forbid - -o out", "Standard input and output are for one picture"),
        ("upscale folder -o -", "Standard input and output are for one picture"),
        ("restore folder -o -", "Standard input and output are for one picture"),
        ("restore folder -o out --format png", "Results of a folder keep the format"),
        ("upscale photo.png --format xyz", "'xyz'"),
        ("upscale clear.png --format jpeg -o -", "transparency"),
        ("sample -o -", "Samples are written to files only"),
        ("sample -o folder/x.xyz", "'.xyz'"),
        ("sample -o folder", "is a folder"),
        (f"sample --seed {'9' * 30}", "seed"),
        (f"sample --seed {2**31 - 1} -n 2", "seed"),
        (f"sample -n {10**12}", "n must"),
        ("sample -n -1", "n must"),
        ("sample --truncation nan", "truncation"),
        ("sample --truncation 1e300", "truncation"),
        ("sample --latent text.npy", "no rows of numbers"),
        ("sample --latent claims.npy", "claims.npy"),
        ("sample --latent negative.npy", "negative.npy"),
        ("upscale photo.png -o ~no-such-user/x.png", "no folder ~no-such-user"),
        ("upscale ~no-such-user/x.png", "There is no picture ~no-such-user/x.png"),
        ("train span-x4 --data ~no-such-user/x --licence own --out run", "~no-such-user/x is neither"),
        (
            "train span-x4 --data torchvision:CIFAR10@~no-such-user/x --licence own --out run",
            "CIFAR10 in ~no-such-user",
        ),
        ("sample --latent many.npy", "rows of latent"),
        ("sample --latent folder", "folder"),
        ("upscale photo.png --model span-x5", "span-x5"),
        ("inpaint photo.png gone.png", "gone.png"),
        ("inpaint photo.png mask.png -o mask.png --force", "is an input"),
        ("inpaint photo.png mask.png --strategy none", "strategy"),
        ("sample --latent notes.txt", "notes.txt"),
        ("sample -n 0", "n must"),
        ("models --task dance", "dance"),
        ("train span-x5 --data . --out run", "span-x5"),
        ("train span-x4 --data gone --licence own --out run", "gone"),
        ("train span-x4 --data . --out run", "licence"),
        ("train span-x4 --data . --licence CC-BY-5.0 --out run", "Did you mean"),
        ("train span-x4 --data . --licence own --set lr", "NAME=VALUE"),
        ("train", "Name what to train"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    line: str,
    says: str,
    run: Callable[..., tuple[int, str, str]],
    photo: Path,
    mask: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(photo.parent)
    Path("notes.txt").write_text("not a picture")
    Path("folder").mkdir()
    Image.new("RGBA", (61, 47)).save("clear.png")
    Image.new("L", (61, 47), 255).save("small.png")
    Image.new("L", (4200, 1)).save("wide.png")
    np.save("text.npy", np.array(["a", "b"]))
    np.save("many.npy", np.zeros((257, 1)))
    claims = io.BytesIO()
    np.lib.format.write_array_header_1_0(claims, {"descr": "<f4", "fortran_order": False, "shape": (10**9, 64)})
    Path("claims.npy").write_bytes(claims.getvalue())
    negative = io.BytesIO()
    np.lib.format.write_array_header_1_0(negative, {"descr": "<f4", "fortran_order": False, "shape": (-1, 64)})
    Path("negative.npy").write_bytes(negative.getvalue())
    before = {path: path.read_bytes() for path in Path().iterdir() if path.is_file()}

    def worked(*_: Any, **__: Any) -> None:
        raise AssertionError("the net was loaded before the mistake was told")

    if line.startswith(("upscale", "inpaint")):
        monkeypatch.setattr(importlib.import_module("genrestore.runtime"), "load", worked)
    code, out, problem = run(*line.split())
    assert (code, out) == (2, "")
    assert problem.count("\n") == 1, problem
    assert says in problem
    assert {path: path.read_bytes() for path in Path().iterdir() if path.is_file()} == before


def test_a_busy_port_is_said_in_one_line(run: Callable[..., tuple[int, str, str]]) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, _, problem = run("app", "--no-browser", "--port", str(taken.getsockname()[1]))
    assert code == 2
    assert problem.count("\n") == 1
    assert "--port" in problem


@pytest.mark.parametrize("problem", [KeyboardInterrupt(), Cancelled("Cancelled; nothing was written.")])
def test_cancelled_work_leaves_nothing(
    problem: BaseException, run: Callable[..., tuple[int, str, str]], photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: Any, **__: Any) -> None:
        raise problem

    monkeypatch.setattr(genrestore, "upscale", stopped, raising=False)
    assert run("upscale", photo) == (130, "", "Cancelled\n")
    assert sorted(file.name for file in photo.parent.iterdir()) == ["photo.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for another process")
def test_ctrl_c_ends_a_running_command(photo: Path) -> None:
    script = (
        "import signal, sys, time, genrestore, genrestore.__main__\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background jobs inherit it ignored
        "def slow(*_, **__): print('begun', flush=True); time.sleep(60)\n"
        "genrestore.upscale = slow\n"
        f"genrestore.__main__.main(['upscale', {str(photo)!r}])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as job:
        assert job.stdout is not None
        assert job.stdout.readline() == "begun\n"
        os.kill(job.pid, signal.SIGINT)
        _, problem = job.communicate(timeout=20)
    assert (job.returncode, problem) == (130, "Cancelled\n")


def test_a_fault_of_ours_is_not_hidden(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what a person can mend is told in a line; anything else must keep its traceback."""

    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(genrestore, "upscale", broken, raising=False)
    with pytest.raises(ZeroDivisionError):
        command.main(["upscale", str(photo)])


@pytest.mark.parametrize(
    ("problem", "says"),
    [
        (OSError(28, "No space left on device", "/tmp/x.png"), "/tmp/x.png: No space left on device"),
        (PermissionError(13, "Permission denied"), "Permission denied"),
        (MemoryError(), "too little memory"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes."),
            "too little memory",
        ),
    ],
    ids=str,
)
def test_what_the_system_refuses_is_said_in_one_line(
    problem: Exception,
    says: str,
    run: Callable[..., tuple[int, str, str]],
    photo: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise problem

    monkeypatch.setattr(genrestore, "upscale", refused, raising=False)
    code, out, told = run("upscale", photo)
    assert (code, out, told.count("\n")) == (2, "", 1) and says in told


@pytest.mark.parametrize(
    ("module", "encoding"),
    [("genrestore", "ascii"), ("genrestore", "cp1252"), ("genrestore", "utf-8"), ("genrestore.training", "cp1252")],
)
def test_any_terminal_can_be_written_to(module: str, encoding: str) -> None:
    """An arrow printed on a terminal of code page 1252 was a traceback; so was a file name that is no text."""
    replaced = {
        "genrestore": "from genrestore.cli import main; main.app = App()",
        "genrestore.training": "from genrestore.training import command; command.main = said",
    }[module]
    call = (
        "import runpy\n"
        "from genrestore.errors import SettingError\n"
        "def said(*_, **__):\n"
        "    print('3×5 → 12×20 … ± 你 \\udcff')\n"
        "    raise SettingError('“no” – never')\n"
        "class App:\n"
        "    command = lambda *_: lambda function: function\n"
        "    __call__ = said\n"
        f"{replaced}\n"
        f"runpy.run_module({module!r}, run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", call],
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
        capture_output=True,
        check=False,
        timeout=120,
    )
    expected = {
        "ascii": (b"3x5 -> 12x20 ... +/- ? \xff", b'"no" - never'),
        "cp1252": ("3×5 -> 12×20 … ± ? ".encode("cp1252") + b"\xff", "“no” – never".encode("cp1252")),
        "utf-8": ("3×5 → 12×20 … ± 你 ".encode() + b"\xff", "“no” – never".encode()),
    }[encoding]
    assert (done.returncode, done.stdout.splitlines(), done.stderr.splitlines()) == (2, [expected[0]], [expected[1]])


@pytest.mark.skipif(sys.platform == "win32", reason="there is no `head`")
def test_a_pipe_that_closes_early_is_no_traceback() -> None:
    call = "from genrestore.cli import main\nmain.app = lambda *_, **__: print('x' * 1_000_000)\nmain.main([])"
    with subprocess.Popen([sys.executable, "-c", call], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as job:
        assert job.stdout is not None and job.stderr is not None
        job.stdout.read(1)
        job.stdout.close()
        assert job.stderr.read() == b""
    assert job.returncode == 141


# --- work -----------------------------------------------------------------------------------------------------------


@needs("sample")
def test_sample_writes_what_python_gives(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, problem = run("sample", "-n", "2", "--seed", "5", "--truncation", "0.7", "-o", "s.png")
    assert (code, out, problem) == (0, "s-5.png\ns-6.png\n", "")
    for path, expected in zip(out.split(), genrestore.sample(n=2, seed=5, truncation=0.7), strict=True):
        assert np.array_equal(np.asarray(Image.open(path)), np.asarray(expected))


@needs("sample")
def test_sample_from_a_latent_file(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    from genrestore.pipelines.sample import latent

    np.save(tmp_path / "z.npy", latent(seed=3))
    code, out, problem = run("sample", "--latent", tmp_path / "z.npy", "-o", tmp_path / "z.png")
    assert (code, out, problem) == (0, f"{tmp_path / 'z.png'}\n", "")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "z.png")), np.asarray(genrestore.sample(seed=3)[0]))


@needs("inpaint")
def test_inpaint_writes_what_python_gives_beside_the_input(
    run: Callable[..., tuple[int, str, str]], photo: Path, mask: Path
) -> None:
    code, out, problem = run("inpaint", photo, mask)
    result = photo.with_name("photo.repaired.png")
    assert (code, problem) == (0, "")
    assert out.splitlines() == [
        str(result),
        f"2.2 % of the picture filled; 0 of {3 * (61 * 47 - 63):,} samples changed outside the mask",
    ]
    assert np.array_equal(np.asarray(Image.open(result)), np.asarray(genrestore.inpaint(Image.open(photo), mask)))


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, bytes, str]]:
    """piped(stdin, "upscale", "-") → exit code, stdout, stderr."""

    def call(given: bytes, *arguments: str | Path) -> tuple[int, bytes, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        written = io.BytesIO()
        stdout = io.TextIOWrapper(written, write_through=True)  # which closes the other when nobody refers to it
        with monkeypatch.context() as patched, pytest.raises(SystemExit) as ended:
            patched.setattr(sys, "stdout", stdout)
            command.main([str(argument) for argument in arguments])
        return int(ended.value.code or 0), written.getvalue(), capsys.readouterr().err

    return call


@needs("inpaint")
@pytest.mark.parametrize("stream", ["picture", "mask", "forbid"])
def test_pictures_go_through_pipes(
    stream: str,
    piped: Callable[..., tuple[int, bytes, str]],
    run: Callable[..., tuple[int, str, str]],
    photo: Path,
    mask: Path,
) -> None:
    """The bytes are those of the file that would have been written, and nothing else; what is said goes beside them."""
    files = {"picture": photo, "mask": mask, "forbid": mask}
    names = {name: Path("-") if name == stream else path for name, path in files.items()}
    line = ["inpaint", names["picture"], names["mask"], "--forbid", names["forbid"], "-o"]
    code, out, said = piped(files[stream].read_bytes(), *line, "-")
    assert code == 0 and said == "2.2 % of the picture filled; 0 of 8,412 samples changed outside the mask\n"
    assert run("inpaint", photo, mask, "--forbid", mask, "-o", photo.with_name("x.png"))[0] == 0
    assert out == photo.with_name("x.png").read_bytes()


@needs("upscale")
@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ([], "JPEG"),
        (["--format", "png"], "PNG"),
        (["-o", "x.webp"], "WEBP"),
        (["-o", "x.webp", "--format", "tiff"], "TIFF"),
    ],
)
def test_the_format_is_the_one_asked_for_or_the_input_s(
    options: list[str],
    kind: str,
    piped: Callable[..., tuple[int, bytes, str]],
    photo: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(photo.parent)
    given = io.BytesIO()
    Image.open(photo).save(given, "JPEG")
    code, out, said = piped(given.getvalue(), "upscale", "-", "--width", "100", *options)
    if "-o" in options:
        assert (code, out, said) == (0, "x.webp\n61×47 → 100×77\n".encode(), "")
    else:
        assert (code, said) == (0, "61×47 → 100×77\n")
    with Image.open("x.webp" if "-o" in options else io.BytesIO(out)) as result:
        assert (result.format, result.size) == (kind, (100, 77))


@needs("upscale")
def test_a_format_names_the_file_beside_the_input(run: Callable[..., tuple[int, str, str]], photo: Path) -> None:
    code, out, _ = run("upscale", photo, "--width", "100", "--format", "jpg")
    assert code == 0 and out.splitlines()[0] == str(photo.with_name("photo.enlarged.jpg"))
    assert Image.open(photo.with_name("photo.enlarged.jpg")).format == "JPEG"


def test_what_comes_through_a_pipe_may_be_anything(piped: Callable[..., tuple[int, bytes, str]], mask: Path) -> None:
    frames = io.BytesIO()
    pages = [Image.new("RGB", (61, 47), (50 * k, 200, 9)) for k in range(3)]
    pages[0].save(frames, "WEBP", save_all=True, append_images=pages[1:], lossless=True)
    for given, says in (
        (b"", "The picture is empty (0 bytes)"),
        (b"words", "The picture is not a picture of a known format"),
        (frames.getvalue(), "The picture holds 3 frames or pages; choose one of them with --frame"),
    ):
        code, out, said = piped(given, "inpaint", "-", mask)
        assert (code, out, said.count("\n")) == (2, b"", 1) and said.startswith(says)


@needs("inpaint")
@needs("restore")
@pytest.mark.skipif(sys.platform == "win32", reason="its shell has other quotes")
def test_commands_can_be_chained(photo: Path, mask: Path) -> None:
    each = f"{sys.executable} -m genrestore"
    line = f"{each} inpaint - {mask} -o - < {photo} | {each} restore - > {photo.with_name('out.png')}"
    done = subprocess.run(line, shell=True, capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout == "" and "samples changed outside the mask" in done.stderr
    assert Image.open(photo.with_name("out.png")).size == (61, 47)


@needs("inpaint")
def test_inpaint_says_that_jpeg_changes_more(run: Callable[..., tuple[int, str, str]], photo: Path, mask: Path) -> None:
    """Measured on the written file: a JPEG that claimed 0 would be a lie."""
    code, out, _ = run("inpaint", photo, mask, "-o", photo.with_suffix(".jpg"))
    assert code == 0
    changed = re.search(r"([\d,]+) of [\d,]+ samples changed outside the mask: JPEG encodes", out)
    assert changed, out
    assert int(changed[1].replace(",", "")) > 0


@needs("inpaint")
def test_a_mask_that_marks_more_than_half_is_mentioned(
    run: Callable[..., tuple[int, str, str]], photo: Path, tmp_path: Path
) -> None:
    pixels = np.full((47, 61), 255, np.uint8)
    pixels[:10] = 0
    Image.fromarray(pixels).save(tmp_path / "large.png")
    code, out, problem = run("inpaint", photo, tmp_path / "large.png")
    assert code == 0 and "79 % of the picture filled" in out
    told = problem.splitlines()
    assert told[0] == "The mask marks 79 % of the picture; if it should be the other way round, invert it."
    assert repair.PROSPECTS["large"] not in told, "which says the same"


@needs("inpaint")
def test_inpaint_into_another_depth_is_no_mistake(
    run: Callable[..., tuple[int, str, str]], mask: Path, tmp_path: Path
) -> None:
    """16 bits into a JPEG cannot be compared sample by sample; the file is written and this is said."""
    Image.fromarray(np.full((47, 61), 30_000, np.uint16)).save(tmp_path / "deep.png")
    code, out, problem = run("inpaint", tmp_path / "deep.png", mask, "-o", tmp_path / "x.jpg")
    assert (code, problem) == (0, "") and "0 of 2,804 samples" in out and "JPEG holds them in another depth" in out


@pytest.mark.parametrize("command", ["inpaint", "upscale"])
def test_an_animation_asks_which_frame(
    command: str, run: Callable[..., tuple[int, str, str]], mask: Path, tmp_path: Path
) -> None:
    frames = [Image.new("RGB", (61, 47), (50 * k, 200, 9)) for k in range(3)]
    frames[0].save(tmp_path / "moving.webp", save_all=True, append_images=frames[1:], lossless=True)
    line = [command, tmp_path / "moving.webp", *([mask] if command == "inpaint" else [])]
    code, _, problem = run(*line)
    assert code == 2 and "holds 3 frames or pages; choose one of them with --frame, 1 to 3" in problem
    assert run(*line, "--frame", "4")[0] == run(*line, "--frame", "0")[0] == 2
    code, out, problem = run(*line, "--frame", "3", "-o", tmp_path / "x.png")
    assert (code, problem) == (0, "")
    assert Image.open(out.splitlines()[0]).getpixel((5, 5)) == (100, 200, 9)


@needs("upscale")
def test_what_a_result_cannot_keep_is_said(
    run: Callable[..., tuple[int, str, str]], photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genrestore.pictures import image

    motion = dataclasses.replace(image.load(photo), lost=("motion",))
    monkeypatch.setattr(image, "load", lambda *_, **__: motion)
    code, _, problem = run("upscale", photo, "--scale", "2")
    assert (code, problem) == (0, image.LOST["motion"] + "\n")


@needs("upscale")
def test_names_and_formats_that_cannot_hold_the_result_give_way(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name of 249 bytes has no room for another word; a WebP ends at 16,383 pixels."""
    monkeypatch.chdir(tmp_path)
    Image.new("L", (3, 2)).save("é" * 122 + "a.webp")
    code, out, problem = run("upscale", "é" * 122 + "a.webp", "--scale", "2")
    assert (code, problem) == (0, "")
    written = out.splitlines()[0]
    assert Path(written).is_file() and written.endswith("é.enlarged.webp") and len(written.encode()) <= 255
    Image.new("L", (5000, 1)).save("long.webp")
    code, out, problem = run("upscale", "long.webp")
    assert code == 0 and out.splitlines()[0] == "long.enlarged.png"
    assert problem == "WEBP cannot hold the result, so it is written as PNG.\n"


@needs("sample")
def test_a_card_s_name_is_no_path(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sample --model file:FOLDER` wrote where the name in that folder's card led."""
    card = genrestore.list_models("sample")[0]
    assert card.folder is not None
    evil = tmp_path / "model"
    shutil.copytree(card.folder, evil)
    said = json.loads((evil / "card.json").read_text("utf-8"))
    (evil / "card.json").write_text(json.dumps(said | {"name": "../../escaped/x"}), "utf-8")
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "escaped").mkdir()
    monkeypatch.chdir(tmp_path / "a" / "b")
    code, out, _ = run("sample", "--model", f"file:{evil}")
    assert code == 2 or [Path(name).name for name in out.split()] == out.split()
    assert not list((tmp_path / "escaped").iterdir())


@needs("upscale")
def test_upscale_writes_what_python_gives(run: Callable[..., tuple[int, str, str]], photo: Path) -> None:
    code, out, problem = run("upscale", photo, "--width", "100")
    result = photo.with_name("photo.enlarged.png")
    assert (code, out, problem) == (0, f"{result}\n61×47 → 100×77\n", "")
    assert np.array_equal(np.asarray(Image.open(result)), np.asarray(genrestore.upscale(Image.open(photo), width=100)))
    assert run("upscale", photo, "--width", "100")[0] == 2  # it exists now
    assert run("upscale", photo, "--width", "100", "--force")[0] == 0


def test_models_lists_the_cards(run: Callable[..., tuple[int, str, str]]) -> None:
    cards = genrestore.list_models()
    code, table, _ = run("models")
    assert code == 0
    assert [line.split()[0] for line in table.splitlines()[1:]] == [card.name for card in cards]
    printed = json.loads(run("models", "--json")[1])
    assert [card["sha256"] for card in printed] == [card.sha256 for card in cards]
    assert all(Path(card["folder"]).is_dir() for card in printed)


def test_train_passes_everything_on(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `python -m genrestore.training` does, this does: both parse and call one function, with the same words."""
    module = importlib.import_module("genrestore.training.command")
    seen: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def spy(preset: str | None = None, *, settings: dict[str, Any], **others: Any) -> None:
        fields = {name: str(value) for name, value in settings.items()}
        seen.append(((preset,), {**others, "settings": fields}))

    monkeypatch.setattr(importlib.import_module("genrestore.training.command"), "run", spy)
    monkeypatch.setattr(module, "run", spy)
    line = [
        "vae-clothing", "--data", str(tmp_path), "--out", str(tmp_path / "r"), "--licence", "own", "--steps", "3",
        "--seed", "4", "--minutes", "1.5", "--batch", "8", "--lr", "0.1", "--holdout", "0.2", "--leave-out", "broken",
        "--folds", "3", "--precision", "bf16", "--set", "clip=1", "--set", "weight-decay=0.5", "--resume",
        "--log", "tensorboard",
    ]  # fmt: skip
    assert run("train", *line)[0] == 0
    monkeypatch.setattr("sys.argv", ["train", *line])
    module.main()
    assert len(seen) == 2 and seen[0] == seen[1]
    (preset,), settings = seen[0]
    assert preset == "vae-clothing" and settings["data"] == str(tmp_path) and settings["out"] == tmp_path / "r"
    assert settings["settings"] == {
        "steps": "3", "seed": "4", "minutes": "1.5", "batch": "8", "lr": "0.1", "holdout": "0.2", "leave_out": "broken",
        "precision": "bf16", "clip": "1", "weight_decay": "0.5",
    }  # fmt: skip

    seen.clear()
    line = ["span-x4", "--data", ".", "--set", "lr=0.5"]
    assert run("train", *line)[0] == 0
    monkeypatch.setattr("sys.argv", ["train", *line])
    module.main()
    assert [entry[1]["settings"] for entry in seen] == [{"lr": "0.5"}] * 2, "an option not given hides no --set"


def test_checking_only_looks(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for k in range(20):
        picture = np.random.default_rng(k).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / f"{k}.png")
    (folder / "bad.png").write_bytes(b"no picture")
    code, out, _ = run("train", "dcgan-cifar10", "--data", folder, "--check")
    assert code == 0 and "bad.png" in out and "20" in out
    assert not (tmp_path / "home" / "runs").exists()
