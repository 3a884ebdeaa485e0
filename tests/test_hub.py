"""Models from and to the Hub: the unmodified client against `hub_standin`, over real HTTP."""

import contextlib
import dataclasses
import io
import json
import os
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_standin import TOKEN, Files, Hub, blob, sha256

from genrestore import weights
from genrestore.card import Card, DataSource, Metric
from genrestore.hub import listed
from genrestore.hub.scrub import scrubbed
from genrestore.models import dcgan, span
from genrestore.references import Reference

HERE = Path(__file__).parent
QUIET = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "OMP_NUM_THREADS": "1"}
SECRET = "/home/zoe.example/pictures/wedding"


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    hub = Hub()
    yield hub
    hub.server.shutdown()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """$HF_HOME of all processes."""
    return tmp_path_factory.mktemp("hf")


@pytest.fixture(scope="module")
def environment(hub: Hub, cache: Path) -> dict[str, str]:
    own = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
    return {**own, **QUIET, "HF_HOME": str(cache), "HF_ENDPOINT": hub.url, "PYTHONPATH": str(HERE.parent)}


@pytest.fixture(scope="module")
def worker(environment: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, str(HERE / "hub_worker.py")], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:  # fmt: skip
        yield process
        assert process.stdin
        process.stdin.close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """$GENRESTORE_HOME of a test."""
    return tmp_path / "home"


@dataclasses.dataclass
class Answer:
    code: int
    out: str
    err: str
    result: Any


@pytest.fixture
def do(worker: "subprocess.Popen[str]", home: Path) -> Callable[..., Answer]:
    """do("models", "pull", …) of the command line, or do(python="result = …"), with what is set and what is typed."""

    def call(*argv: str, stdin: str = "", terminal: bool = False, python: str = "", **more: str) -> Answer:
        asked: dict[str, Any] = {
            "environment": {"GENRESTORE_HOME": str(home), **more},
            "stdin": stdin,
            "terminal": terminal,
        }
        asked |= {"python": python} if python else {"argv": argv}
        assert worker.stdin and worker.stdout
        worker.stdin.write(json.dumps(asked) + "\n")
        worker.stdin.flush()
        answer = Answer(**json.loads(worker.stdout.readline()))
        assert answer.code != 99, answer.err
        return answer

    return call


def saved(folder: Path, net: Any, task: str, **more: Any) -> Card:
    """A weight with a card, of a net with random numbers."""
    card = Card(
        name=folder.name, task=task, architecture=type(net).__name__, config=dataclasses.asdict(net.config), parameters=0,
        sha256="", license="CC0-1.0", data=(DataSource("noise", 3, "0" * 64, "CC0-1.0"),), recipe={"model": "span-x4"},
        metrics=(Metric("Set5", "luma", "PSNR", 30.5, 5, "python benchmarks/quality.py upscale"),), title="A net",
    )  # fmt: skip
    return weights.save(net, dataclasses.replace(card, **more), folder)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small enlarger."""
    folder = tmp_path_factory.mktemp("made") / "tiny-x2"
    saved(folder, span.Span(span.Config(scale=2, width=8, blocks=2)), "upscale")
    return folder


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a generator of some megabytes."""
    folder = tmp_path_factory.mktemp("large") / "large"
    saved(folder, dcgan.DCGAN(dcgan.Config()), "sample")
    return folder


def files(folder: Path, **changed: Any) -> Files:
    """A repository of a weight; fields of its card may be changed."""
    card = json.loads((folder / "card.json").read_text("utf-8")) | changed
    return {"card.json": json.dumps(card).encode(), "model.safetensors": (folder / "model.safetensors").read_bytes()}


def lying(home: Path, cache: Path, name: str) -> list[str]:
    """What a pull left in our folders, and whole weights in the cache of the client, which may keep a part to go on with."""
    ours = [*(home / "pulled").glob("*"), *(path for path in (home / "incoming").glob("*") if path.suffix != ".lock")]
    repository = cache / "hub" / f"models--{name.replace('/', '--')}"
    kept = [path for path in repository.rglob("*") if path.is_file() and path.stat().st_size > 5000]
    kept = [path for path in kept if path.suffix != ".incomplete"]
    return [str(path) for path in (*ours, *kept)]


# --- pull ------------------------------------------------------------------------------------------------------------


def test_a_pulled_model_is_named_listed_and_used(
    hub: Hub, home: Path, made: Path, tmp_path: Path, do: Callable[..., Answer]
) -> None:
    from PIL import Image

    commit = next(iter(hub.new("ann/tiny", files(made), meta={"license": "cc0-1.0"}).commits))
    told = do("models", "pull", "hf:ann/tiny", "--yes")
    size = len((made / "model.safetensors").read_bytes()) + len(files(made)["card.json"])
    assert told.code == 0 and f"hf:ann/tiny: {size / 1e3:.1f} kB, licence cc0-1.0, commit {commit[:12]}" in told.err
    card = Card.read(home / "pulled" / "ann--tiny")
    assert card.revision == commit and card.name == "tiny-x2"
    assert card.weights.read_bytes() == (made / "model.safetensors").read_bytes()
    assert "tiny-x2" in do("models", "--task", "upscale").out
    assert commit in do("models", "show", "hf:ann/tiny").out
    Image.radial_gradient("L").resize((40, 30)).convert("RGB").save(tmp_path / "a.png")
    sums: set[str] = set()
    for name in ("hf:ann/tiny", "hf:ann/tiny@main", f"hf:ann/tiny@{commit[:10]}", "tiny-x2", f"file:{made}"):
        out = tmp_path / "b.png"
        assert (
            do("upscale", str(tmp_path / "a.png"), "--scale", "2", "--model", name, "-o", str(out), "--force").code == 0
        )
        sums.add(sha256(Image.open(out).tobytes()))
    assert len(sums) == 1


def test_size_and_licence_come_before_the_first_byte(hub: Hub, made: Path, do: Callable[..., Answer]) -> None:
    hub.new("ann/asked", files(made), meta={"license": "other", "license_name": "my-own"})
    told = do("models", "pull", "hf:ann/asked", stdin="n\n")
    assert told.code == 130 and "licence my-own" in told.err and not hub.fetched("ann/asked")
    told = do("models", "pull", "hf:ann/asked")
    assert told.code == 2 and "--yes" in told.err and not hub.fetched("ann/asked")
    told = do("models", "show", "hf:ann/asked")
    assert told.code == 0 and "  model.safetensors  " in told.out and not hub.fetched("ann/asked")
    assert do("models", "pull", "hf:ann/asked", stdin="y\n").code == 0 and len(hub.fetched("ann/asked")) == 2


def test_python_asks_nothing(hub: Hub, made: Path, do: Callable[..., Answer]) -> None:
    hub.new("ann/python", files(made))
    shares = do(
        python="import genrestore\nresult = []\n"
        "card = genrestore.pull('hf:ann/python', progress=lambda share, text: result.append((share, text)))\n"
        "assert genrestore.load('hf:ann/python').card == card\n"
    ).result
    assert shares[-1][0] == 1 and [share for share, _ in shares] == sorted(share for share, _ in shares)
    assert " of " in shares[-1][1] and shares[-1][1].endswith("about 0 s left")


def test_what_is_here_is_not_fetched_again(hub: Hub, home: Path, made: Path, do: Callable[..., Answer]) -> None:
    repository = hub.new("ann/again", files(made))
    first = repository.refs["main"]
    assert (
        do("models", "pull", "hf:ann/again", "--yes").code
        == do("models", "pull", f"hf:ann/again@{first}", "--yes").code
        == 0
    )
    hub.asked.clear()
    assert do("models", "pull", f"hf:ann/again@{first}", "--yes").code == 0
    assert not hub.asked, "a commit means the same for ever"
    assert do("models", "pull", "hf:ann/again", "--yes").code == 0 and not hub.fetched("ann/again")
    second = repository.put(files(made, title="Better"))
    assert do("models", "pull", "hf:ann/again", "--yes").code == 0
    assert (Card.read(home / "pulled" / "ann--again").title, Card.read(home / "pulled" / "ann--again").revision) == (
        "Better",
        second,
    )
    assert do("models", "show", f"hf:ann/again@{first}").out.startswith("A net"), "the pinned one stays"
    assert "model.safetensors" not in hub.fetched("ann/again"), "it is the same file"


def test_a_damaged_one_is_pulled_again(hub: Hub, home: Path, made: Path, do: Callable[..., Answer]) -> None:
    hub.new("ann/broken", files(made))
    assert do("models", "pull", "hf:ann/broken", "--yes").code == 0 == do("models", "verify", "hf:ann/broken").code
    path = home / "pulled" / "ann--broken" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)  # what the cache holds is the same file
    told = do("models", "verify", "hf:ann/broken")
    assert told.code == 2 and "sha256 differs" in told.err
    assert do("models", "verify").code == 1
    assert do("models", "pull", "hf:ann/broken", "--yes").code == 0 == do("models", "verify", "hf:ann/broken").code


def test_revisions_and_files_are_kept_apart(hub: Hub, home: Path, made: Path, do: Callable[..., Answer]) -> None:
    repository = hub.new("ann/zoo", {"README.md": b""})
    inner = {f"faces/{name}": content for name, content in files(made, title="Faces").items()}
    repository.put(inner, "refs/pr/3")
    repository.put(inner, "trial/two")
    for name in ("hf:ann/zoo@refs/pr/3/faces/model.safetensors", "hf:ann/zoo@trial%2Ftwo/faces/model.safetensors"):
        assert do("models", "pull", name, "--yes").code == 0
        assert do("models", "show", name).out.startswith("Faces")
    told = do("models", "show", "tiny-x2")
    assert (
        told.code == 2 and "2 models here are named 'tiny-x2'" in told.err and "hf:ann/zoo@refs/pr/3/faces" in told.err
    )
    listed = {card["name"] for card in json.loads(do("models", "--json").out)}
    own = {path.name for path in (home / "pulled").iterdir()}
    assert len(own) == 2 and own <= listed and all(do("models", "show", name).code == 0 for name in own)


def test_a_shipped_name_stays_the_shipped_one(hub: Hub, made: Path, do: Callable[..., Answer]) -> None:
    hub.new("ann/false", files(made, name="span-x4"))
    assert do("models", "pull", "hf:ann/false", "--yes").code == 0
    listed = {card["name"]: card["reference"] for card in json.loads(do("models", "--json").out)}
    assert listed["span-x4"] == "span-x4" and listed["ann--false"] == "hf:ann/false"
    assert do(python="import genrestore\nresult = genrestore.load('auto', task='upscale').card.revision").result == ""


def test_a_card_of_a_later_version_is_read_and_kept(
    hub: Hub, home: Path, made: Path, do: Callable[..., Answer]
) -> None:
    hub.new("ann/later", files(made, schema=2, mood={"of": ["the", "net"]}))
    assert do("models", "pull", "hf:ann/later", "--yes").code == 0
    kept = json.loads((home / "pulled" / "ann--later" / "card.json").read_text("utf-8"))
    assert (kept["mood"], kept["schema"]) == ({"of": ["the", "net"]}, 2)


def test_one_of_ours_without_a_card_gets_one(hub: Hub, made: Path, do: Callable[..., Answer]) -> None:
    config = {"library_name": "genrestore", "architecture": "Span"}
    hub.new(
        "ann/bare", {"model.safetensors": files(made)["model.safetensors"], "config.json": json.dumps(config).encode()}
    )
    assert do("models", "pull", "hf:ann/bare", "--yes").code == 0
    card = json.loads(do("models", "show", "hf:ann/bare", "--json").out)
    assert (card["name"], card["task"], card["scale"], card["size_rule"]["receptive"]) == ("bare", "upscale", 2, 9)


# --- bad input -------------------------------------------------------------------------------------------------------


def with_header(data: bytes, said: Any, **entries: Any) -> bytes:
    """A weight's file with another header, and tensors that are not there."""
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length]) | entries
    header["__metadata__"] = {"genrestore": json.dumps(said)}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


WIDER, HUGE = {"scale": 2, "width": 16, "blocks": 2}, {"scale": 2, "width": 65_536, "blocks": 65_536}
VAST = {"vast": {"dtype": "F32", "shape": [10**6, 10**6], "data_offsets": [0, 4 * 10**12]}}


def claims(made: Path, config: dict[str, int], **entries: Any) -> Files:
    """A weight whose header and card, each right about the other, claim another net than the tensors are of."""
    said = {"architecture": "Span", "config": config, "task": "upscale"}
    return of(made, with_header((made / "model.safetensors").read_bytes(), said, **entries), config=config)


def of(made: Path, data: bytes, **changed: Any) -> Files:
    return {**files(made, sha256=sha256(data), **changed), "model.safetensors": data}


# What may come: the files, more of the repository, and words of the sentence.
BAD: dict[str, tuple[Callable[[Path], Files], dict[str, Any], str]] = {
    "gated": (files, {"gated": True}, "gated"),
    "private": (files, {"private": True}, "private"),
    "another program's": (
        lambda made: {"model.safetensors": b"x", "config.json": b'{"model_type": "bert"}'}, {}, "not a genrestore model"
    ),
    "empty": (lambda made: {}, {}, "not a genrestore model"),
    "no weight": (lambda made: {"card.json": files(made)["card.json"]}, {}, "no file model.safetensors"),
    "wrong bytes": (files, {"faults": {"model.safetensors": "wrong"}}, "sha256 differs"),
    "a wrong card": (files, {"faults": {"card.json": "wrong"}}, "sha256 differs"),
    "cut in the middle": (files, {"faults": {"model.safetensors": "cut"}}, "does not answer"),
    "another file than its card says": (lambda made: files(made, sha256="1" * 64), {}, "sha256 differs"),
    "another net than it claims": (lambda made: claims(made, WIDER), {}, "does not hold the tensors"),
    "another net than its card says": (lambda made: files(made, architecture="DCGAN"), {}, "another Span than its card"),
    "a net that is a path": (lambda made: files(made, architecture="../../x"), {}, "than its card says"),
    "a tensor of 10^12 numbers": (lambda made: claims(made, WIDER, **VAST), {}, "is damaged"),
    "a net of 10^14 numbers": (lambda made: claims(made, HUGE), {}, "does not hold the tensors"),
    "a zip": (lambda made: of(made, b"PK\x03\x04" + bytes(9000)), {}, "is damaged"),
    "a card that is none": (lambda made: {**files(made), "card.json": b"[]"}, {}, "not a genrestore card"),
    "a card of 2 MB": (lambda made: {**files(made), "card.json": b" " * (2 << 20)}, {}, "not a genrestore card"),
    "an unknown task": (lambda made: files(made, task="cook"), {}, "cook"),
}  # fmt: skip
PEAK = "import resource\nresult = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss"  # kB


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_used_is_one_sentence_and_nothing_stays(
    kind: str, hub: Hub, home: Path, cache: Path, made: Path, do: Callable[..., Answer]
) -> None:
    content, more, words = BAD[kind]
    name = f"ann/bad-{list(BAD).index(kind)}"
    hub.new(name, content(made), **more)
    before = do(python=PEAK).result
    told = do("models", "pull", f"hf:{name}", "--yes")
    lines = [line for line in told.err.splitlines() if not line.startswith(f"hf:{name}: ")]
    assert told.code == 2 and len(lines) == 1 and words in lines[0] and str(home) not in lines[0], told.err
    assert not lying(home, cache, name) and do("upscale", "x.png", "--model", f"hf:{name}").code == 2
    assert do(python=PEAK).result - before < 200_000


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("hf:ann/nothing", "no repository ann/nothing"),
        ("hf:ann/there@v9", "no revision 'v9'"),
        ("ann/there", "names no model of the Hub"),
        ("hf:ann/there/x/model.safetensors", "no genrestore model|not a genrestore model"),
        ("hf:ann/there@../../etc", "names no model of the Hub"),
        ("hf:ann/there/../../model.safetensors", "names no model of the Hub"),
    ],
)
def test_what_is_not_there_is_one_sentence(
    reference: str, words: str, hub: Hub, home: Path, made: Path, do: Callable[..., Answer]
) -> None:
    hub.new("ann/there", files(made))
    told = do("models", "pull", reference, "--yes")
    assert told.code == 2 and len(told.err.splitlines()) == 1 and re.search(words, told.err), told.err
    assert not list((home / "pulled").glob("*"))
    assert do("upscale", "x.png", "--model", reference).code == 2


@pytest.mark.parametrize("name", ["../../escaped", "/etc/x", "..", "auto", "a\\b", "\u202egnp"])
def test_a_name_is_no_path(name: str, hub: Hub, home: Path, made: Path, do: Callable[..., Answer]) -> None:
    repository = hub.new("ann/paths", files(made, name=name), listed=["../../x", "/etc/passwd", "a/../../b"])
    assert do("models", "pull", "hf:ann/paths", "--yes").code == 0
    assert Card.read(home / "pulled" / "ann--paths").name == "ann--paths" and repository.commits
    assert sorted(path.name for path in home.iterdir()) == ["incoming", "pulled"]
    assert sorted(path.name for path in home.parent.iterdir()) == ["home"]


@pytest.mark.parametrize("one", [one for one in listed.models() if one.sha256 and "@" not in one.reference])
def test_what_stands_on_the_list_must_be_that_file(one: listed.Listed, hub: Hub, do: Callable[..., Answer]) -> None:
    """Whoever may write to that repository now could put anything in its place."""
    wanted = Reference.parse(one.reference)
    hub.new(wanted.repository, {wanted.file: b"another"})
    told = do("models", "pull", one.reference, "--yes")
    assert told.code == 2 and "is not the file that was listed" in told.err and not hub.fetched(wanted.repository)


def test_what_was_wrong_once_can_be_pulled_later(hub: Hub, made: Path, do: Callable[..., Answer]) -> None:
    """The client believes its cache for ever, so that what was refused must be taken out of it."""
    repository = hub.new("ann/mended", files(made), faults={"model.safetensors": "wrong"})
    assert do("models", "pull", "hf:ann/mended", "--yes").code == 2
    repository.faults.clear()
    assert do("models", "pull", "hf:ann/mended", "--yes").code == 0 == do("models", "verify", "hf:ann/mended").code


def test_wrong_bytes_that_lay_in_the_cache_are_fetched_anew(
    hub: Hub, cache: Path, made: Path, do: Callable[..., Answer]
) -> None:
    repository = hub.new("ann/poisoned", files(made), faults={"model.safetensors": "wrong"})
    name, commit = "ann/poisoned", repository.refs["main"]
    for reference in (f"hf:{name}", f"hf:{name}@{commit}"):
        repository.faults["model.safetensors"] = "wrong"
        told = f"'{name}', revision='{commit}', force_download=True"
        do(python=f"import huggingface_hub\nhuggingface_hub.snapshot_download({told})")
        repository.faults.clear()
        assert do("models", "pull", reference, "--yes").code == 0 == do("models", "verify", reference).code


def test_what_a_commit_means_is_taken_from_the_cache(hub: Hub, made: Path, do: Callable[..., Answer]) -> None:
    commit = hub.new("ann/lying", files(made)).refs["main"]
    do(python="import huggingface_hub\nhuggingface_hub.snapshot_download('ann/lying')")
    hub.asked.clear()
    assert do("models", "pull", f"hf:ann/lying@{commit}").code == 0 and not hub.asked


def test_two_pulls_at_once_fetch_once(hub: Hub, large: Path, do: Callable[..., Answer]) -> None:
    hub.new("ann/both", files(large), faults={"model.safetensors": "slow"})
    hub.pause = 0.05
    told = do(
        python="import genrestore\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor() as pool:\n"
        "    cards = list(pool.map(genrestore.pull, ['hf:ann/both'] * 4))\n"
        "result = len({card.revision for card in cards}), cards[0] == cards[3]"
    )
    assert told.result == [1, True] and hub.fetched("ann/both").count("model.safetensors") == 1


def test_a_cancelled_pull_leaves_nothing(
    hub: Hub, home: Path, cache: Path, large: Path, do: Callable[..., Answer]
) -> None:
    hub.new("ann/stopped", files(large), faults={"model.safetensors": "slow"})
    hub.pause = 0.2
    told = do(
        python="import genrestore, threading\nfrom genrestore.errors import Cancelled\nstop, shares = threading.Event(), []\n"
        "def look(share, text):\n    shares.append(share)\n    if share > 0.2: stop.set()\n"
        "try: genrestore.pull('hf:ann/stopped', progress=look, cancel=stop)\n"
        "except Cancelled: result = shares"
    )
    assert told.result and told.result[-1] < 0.9, "it ended in the middle"
    assert not lying(home, cache, "ann/stopped")


def alone(
    environment: dict[str, str], home: Path, *argv: str, offline: bool = False, **more: Any
) -> "subprocess.Popen[str]":
    """A process of its own, as at a terminal."""
    setting, pipe = environment | {"GENRESTORE_HOME": str(home)}, subprocess.PIPE
    setting |= {"HF_HUB_OFFLINE": "1"} if offline else {}
    return subprocess.Popen(
        [sys.executable, "-m", "genrestore", *argv], env=setting, text=True, stdout=pipe, stderr=pipe, **more
    )


def test_ctrl_c_leaves_nothing(hub: Hub, home: Path, cache: Path, large: Path, environment: dict[str, str]) -> None:
    hub.new("ann/key", files(large), faults={"model.safetensors": "slow"})
    hub.pause = 0.5
    process = alone(environment, home, "models", "pull", "hf:ann/key", "--yes")
    deadline = time.monotonic() + 30
    while "model.safetensors" not in hub.fetched("ann/key") and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "") and err.endswith("Cancelled\n") and "Traceback" not in err
    assert not lying(home, cache, "ann/key")


def test_a_full_disk_is_one_sentence(
    hub: Hub, home: Path, cache: Path, large: Path, environment: dict[str, str]
) -> None:
    hub.new("ann/full", files(large))

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))  # a file beyond that cannot be written

    process = alone(environment, home, "models", "pull", "hf:ann/full", "--yes", preexec_fn=limit)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2 and "The disk is full" in err.splitlines()[-1] and len(err.splitlines()) == 2
    assert not lying(home, cache, "ann/full")


# --- without the network ---------------------------------------------------------------------------------------------


def test_offline_what_was_pulled_works_and_the_rest_says_so(
    hub: Hub, home: Path, made: Path, environment: dict[str, str], do: Callable[..., Answer]
) -> None:
    hub.new("ann/offline", files(made))
    hub.new("ann/cached", files(made))
    assert do("models", "pull", "hf:ann/offline", "--yes").code == 0
    do(python="import huggingface_hub\nhuggingface_hub.snapshot_download('ann/cached')")
    hub.asked.clear()
    script = (
        "import genrestore\nfrom genrestore.errors import ModelError\n"
        "assert genrestore.load('hf:ann/offline').card.revision\n"
        "assert genrestore.pull('hf:ann/offline').revision\n"
        "assert genrestore.pull('hf:ann/cached').revision\n"
        "try: genrestore.pull('hf:ann/elsewhere')\n"
        "except ModelError as problem: print(problem)\n"
    )
    setting = environment | {"GENRESTORE_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=setting, capture_output=True, text=True, timeout=60, check=False
    )
    assert (
        done.stdout == "HF_HUB_OFFLINE is set, and hf:ann/elsewhere is not on this computer; unset it to ask the Hub.\n"
    ), done
    assert not hub.asked


def test_a_dead_network_is_told_at_once(
    home: Path, made: Path, hub: Hub, environment: dict[str, str], do: Callable[..., Answer]
) -> None:
    hub.new("ann/dead", files(made))
    assert do("models", "pull", "hf:ann/dead", "--yes").code == 0
    script = (
        "import genrestore, time\nfrom genrestore.errors import ModelError\nimport huggingface_hub\nbegun = time.monotonic()\n"
        "assert genrestore.pull('hf:ann/dead').revision\n"
        "try: genrestore.pull('hf:ann/elsewhere')\n"
        "except ModelError as problem: print(problem)\n"
        "assert time.monotonic() - begun < 3, time.monotonic() - begun\n"
    )
    setting = environment | {"GENRESTORE_HOME": str(home), "HF_ENDPOINT": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=setting, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0 and done.stdout.startswith("The Hub at http://127.0.0.1:9 does not answer"), done
    assert len(done.stdout.splitlines()) == 1 and "stays as it was pulled" in done.stderr


def test_a_network_that_goes_in_the_middle_is_told_at_once(
    hub: Hub, home: Path, cache: Path, made: Path, do: Callable[..., Answer]
) -> None:
    hub.new("ann/midway", files(made), faults={"card.json": "last"})
    begun = time.monotonic()
    try:
        told = do("models", "pull", "hf:ann/midway", "--yes")
        assert told.code == 2 and "does not answer" in told.err.splitlines()[-1] and time.monotonic() - begun < 6, (
            told.err
        )
    finally:
        hub.dead = False
    assert hub.fetched("ann/midway") == ["card.json"] and not lying(home, cache, "ann/midway")
    hub.repositories["ann/midway"].faults.clear()
    assert do("models", "pull", "hf:ann/midway", "--yes").code == 0


# --- checkpoints of others ---------------------------------------------------------------------------------------------


class Evil:
    """Writes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch '{self.path}'",)  # pyright: ignore[reportDeprecated]


@contextlib.contextmanager
def gone(hub: Hub) -> Generator[None, None, None]:
    """The network, within the block."""
    hub.dead = True
    try:
        yield
    finally:
        hub.dead = False


def as_pth(state: Any) -> bytes:
    import torch

    data = io.BytesIO()
    torch.save({"params": state}, data)
    return data.getvalue()


@pytest.fixture(scope="module")
def stranger() -> dict[str, bytes]:
    """The file of a small enlarger of others, as a pickle and as safetensors; and of a net that nobody knows."""
    pytest.importorskip("spandrel")
    import torch
    from safetensors.torch import save
    from spandrel.architectures.Compact import Compact

    torch.manual_seed(0)
    state = Compact(num_feat=24, num_conv=2, upscale=2).state_dict()
    unknown = {f"odd.{place}.weight": torch.rand(8, 3, 9, 9) for place in range(4)}
    return {".pth": as_pth(state), ".safetensors": save(state), "unknown": as_pth(unknown)}


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_checkpoint_of_others_is_a_model_by_its_reference(
    suffix: str,
    hub: Hub,
    home: Path,
    cache: Path,
    stranger: dict[str, bytes],
    tmp_path: Path,
    do: Callable[..., Answer],
) -> None:
    from PIL import Image

    name, file = f"bob/sharp{suffix.replace('.', '-')}", f"nets/2x-Sharp{suffix}"
    repository = hub.new(
        name, {file: stranger[suffix], "other.pth": b"x", "README.md": b"A net"}, meta={"license": "mit"}
    )
    reference, commit = f"hf:{name}/{file}", repository.refs["main"]
    told = do("models", "pull", reference, stdin="n\n")
    size = f"{len(stranger[suffix]) / 1e3:.1f} kB"
    assert told.code == 130 and f"{reference}: {size}, licence mit, commit {commit[:12]}" in told.err
    assert not hub.fetched(name)
    assert do("models", "pull", reference, stdin="y\n").code == 0
    assert hub.fetched(name) == [f"2x-Sharp{suffix}"], "that one file, and nothing else"
    (folder,) = (home / "pulled").iterdir()
    card = Card.read(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["card.json", "model.safetensors"]
    assert (card.name, card.task, card.scale, card.license, card.revision) == ("2x-Sharp", "upscale", 2, "MIT", commit)
    assert card.origin["source"] == f"hf:{name}@{commit}/{file}"
    assert card.origin["sha256"] == sha256(stranger[suffix]) != card.sha256 == sha256(card.weights.read_bytes())
    assert commit in do("models", "show", reference).out and do("models", "verify", reference).code == 0
    Image.radial_gradient("L").resize((24, 20)).convert("RGB").save(tmp_path / "a.png")
    for model in (reference, "2x-Sharp"):
        out = tmp_path / "b.png"
        call = do("upscale", str(tmp_path / "a.png"), "--scale", "2", "--model", model, "-o", str(out), "--force")
        assert call.code == 0 and Image.open(out).size == (48, 40)
    before = folder.stat().st_ino
    hub.asked.clear()
    assert do("models", "pull", reference, "--yes").code == 0 and not hub.fetched(name)
    with gone(hub):
        assert do("models", "pull", reference, "--yes").code == 0
    repository.put({file: stranger[suffix], "README.md": b"Another word"})
    assert do("models", "pull", reference, "--yes").code == 0 and not hub.fetched(name), "it is the same file"
    assert Card.read(folder).revision == repository.refs["main"] and folder.stat().st_ino != before
    assert do("models", "remove", reference, "--yes").code == 0 and not lying(home, cache, name)


@pytest.mark.parametrize(
    ("file", "named"), [("4x-Nice.pth", "4x-Nice"), ("deep/net_g_latest.pth", "only"), ("auto.pth", "only")]
)
def test_the_only_checkpoint_need_not_be_named(
    file: str, named: str, hub: Hub, home: Path, cache: Path, stranger: dict[str, bytes], do: Callable[..., Answer]
) -> None:
    name = f"bob-{len(file)}/only"
    commit = hub.new(name, {"README.md": b"", file: stranger[".pth"], "a.bin": b"x"}, listed=["../up.pth"]).refs["main"]
    told = do("models", "pull", f"hf:{name}", "--yes")
    assert told.code == 0 and f"hf:{name}: {file}, " in told.err and "no licence stated" in told.err
    card = Card.read(home / "pulled" / name.replace("/", "--"))
    assert (card.name, card.license, card.revision) == (named, "unknown", commit)
    assert card.origin["source"] == f"hf:{name}@{commit}/{file}"
    assert do("models", "verify", f"hf:{name}").code == 0
    hub.asked.clear()
    assert do("models", "pull", f"hf:{name}", "--yes").code == 0 and not hub.fetched(name)
    assert do("models", "remove", f"hf:{name}", "--yes").code == 0 and not lying(home, cache, name)


def test_of_several_one_must_be_named(hub: Hub, home: Path, made: Path, do: Callable[..., Answer]) -> None:
    """One with a card beside it is ours, and no name that leads elsewhere is offered."""
    several = {f"net {number}.pth": b"x" for number in range(7)}
    ours = {f"ours/{file}": content for file, content in files(made).items()}
    hub.new("bob/several", {**several, **ours}, listed=["../net.pth", "/a.pth", "a\u202e.pth"])
    told = do("models", "pull", "hf:bob/several", "--yes")
    some = ", ".join(f"hf:bob/several/net {number}.pth" for number in range(5))
    assert told.code == 2 and told.err == f"hf:bob/several holds 7 checkpoints; name one of them: {some}, ….\n"
    assert "hf:bob/several/net 6.pth\n" in do("models", "show", "hf:bob/several").out
    told = do("models", "pull", "hf:bob/several/net 9.pth", "--yes")
    assert told.code == 2 and "has no file net 9.pth" in told.err and len(told.err.splitlines()) == 1
    assert not hub.fetched("bob/several") and not (home / "pulled").exists()
    hub.new("bob/none", {"a.bin": b"x", "b.onnx": b"x"})
    assert "not a genrestore model" in do("models", "pull", "hf:bob/none", "--yes").err


@pytest.mark.parametrize("kind", ["malicious", "unknown", "wrong", "not one", "cut"])
def test_a_checkpoint_that_is_refused_leaves_nothing(
    kind: str, hub: Hub, home: Path, cache: Path, stranger: dict[str, bytes], tmp_path: Path, do: Callable[..., Answer]
) -> None:
    sign = tmp_path / "it ran"
    content, words = {
        "malicious": (as_pth([Evil(sign), bytes(9000)]), "is refused: to be read it would call"),
        "unknown": (stranger["unknown"], "of no known architecture"),
        "wrong": (stranger[".pth"], "sha256 differs"),
        "not one": (b"<html>" + bytes(9000), "is no checkpoint"),
        "cut": (stranger[".pth"][:-9000], "is damaged"),
    }[kind]
    name = f"bob/{kind.replace(' ', '-')}"
    hub.new(name, {"x4.pth": content}, faults={"x4.pth": "wrong"} if kind == "wrong" else {})
    told = do("models", "pull", f"hf:{name}/x4.pth", "--yes")
    lines = [line for line in told.err.splitlines() if not line.startswith(f"hf:{name}/x4.pth: ")]
    assert told.code == 2 and len(lines) == 1 and words in lines[0], told.err
    assert not any(str(place) in lines[0] for place in (home, cache)) and lines[0].count("x4.pth") <= 2
    assert not lying(home, cache, name) and not sign.exists()
    assert do("models", "show", f"hf:{name}/x4.pth").out.startswith(f"hf:{name}/x4.pth: ")


def test_a_checkpoint_of_others_is_taken_from_the_cache(
    hub: Hub, home: Path, cache: Path, stranger: dict[str, bytes], do: Callable[..., Answer]
) -> None:
    """What another program brought is taken as it lies there, unless it is not whole; if it is of no use, it stays there."""
    commit = hub.new("bob/lying", {"a.pth": stranger[".pth"], "b.pth": stranger["unknown"]}).refs["main"]
    do(python="import huggingface_hub\nhuggingface_hub.snapshot_download('bob/lying')")
    hub.asked.clear()
    assert do("models", "pull", f"hf:bob/lying@{commit}/a.pth").code == 0 and not hub.asked
    with gone(hub):
        assert do("models", "pull", "hf:bob/lying/a.pth").code == 0 and not hub.asked
    told = do("models", "pull", f"hf:bob/lying@{commit}/b.pth", "--yes")
    assert told.code == 2 and "of no known architecture" in told.err and not hub.fetched("bob/lying")
    (there,) = (cache / "hub" / "models--bob--lying" / "snapshots").rglob("b.pth")
    assert there.read_bytes() == stranger["unknown"]
    there.resolve().write_bytes(bytes(len(stranger["unknown"])))
    told = do("models", "pull", f"hf:bob/lying@{commit}/b.pth", "--yes")
    assert "of no known architecture" in told.err and hub.fetched("bob/lying") == ["b.pth"], "those were not its bytes"


def test_one_that_is_cancelled_while_it_is_measured_leaves_nothing(
    hub: Hub, home: Path, stranger: dict[str, bytes], do: Callable[..., Answer]
) -> None:
    hub.new("bob/stopped", {"a.pth": stranger[".pth"]})
    told = do(
        python="import genrestore, threading\nfrom genrestore.errors import Cancelled\nstop = threading.Event()\n"
        "def look(share, text):\n    if text.startswith('it is measured'): stop.set()\n"
        "try: genrestore.pull('hf:bob/stopped', progress=look, cancel=stop)\n"
        "except Cancelled: result = stop.is_set()"
    )
    assert told.result and not [path for path in home.rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_what_says_that_it_is_another_library_s_is_not_read(
    hub: Hub, home: Path, cache: Path, stranger: dict[str, bytes], do: Callable[..., Answer]
) -> None:
    """A config.json that says nothing of the kind lets it be."""
    weight = stranger[".safetensors"]
    hub.new("bob/theirs", {"model.safetensors": weight, "config.json": b'{"architectures": ["Bert"]}'})
    told = do("models", "pull", "hf:bob/theirs", "--yes")
    assert told.code == 2 and "not a genrestore model" in told.err and hub.fetched("bob/theirs") == ["config.json"]
    hub.new("bob/plain", {"model.safetensors": weight, "config.json": b'{"upscale": 2}'})
    assert do("models", "pull", "hf:bob/plain", "--yes").code == 0
    assert Card.read(home / "pulled" / "bob--plain").name == "plain"


def test_a_full_disk_is_one_sentence_while_it_is_converted(
    hub: Hub, home: Path, stranger: dict[str, bytes], do: Callable[..., Answer]
) -> None:
    hub.new("bob/full", {"a.pth": stranger[".pth"]})
    do(python="import huggingface_hub\nhuggingface_hub.snapshot_download('bob/full')")
    told = do(
        python="import genrestore, resource\nfrom genrestore.errors import ModelError\n"
        "usual = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, usual[1]))\n"  # a file beyond that cannot be written
        "try: genrestore.pull('hf:bob/full/a.pth')\n"
        "except ModelError as problem: result = str(problem)\n"
        "finally: resource.setrlimit(resource.RLIMIT_FSIZE, usual)"
    )
    assert told.result.startswith("The disk is full, so nothing of hf:bob/full/a.pth was kept")
    assert not [path for path in home.rglob("*") if path.is_file() and path.suffix != ".lock"]


# --- remove ----------------------------------------------------------------------------------------------------------


def test_removing_takes_away_all_that_was_pulled(
    hub: Hub, home: Path, cache: Path, made: Path, do: Callable[..., Answer]
) -> None:
    hub.new("ann/gone", files(made))
    assert do("models", "pull", "hf:ann/gone", "--yes").code == 0 and lying(home, cache, "ann/gone")
    assert do("models", "remove", "tiny-x2", stdin="n\n").code == 130 and lying(home, cache, "ann/gone")
    assert do("models", "remove", "tiny-x2", "--yes").code == 0 and not lying(home, cache, "ann/gone")
    told = do("models", "show", "tiny-x2")
    assert told.code == 2 and "no model named" in told.err


def test_what_ships_or_trains_is_not_removed(home: Path, made: Path, do: Callable[..., Answer]) -> None:
    shutil.copytree(made, home / "runs" / "cats")
    for name in ("span-x4", f"file:{made}", f"file:{home / 'runs' / 'cats'}"):
        told = do("models", "remove", name, "--yes")
        assert told.code == 2 and len(told.err.splitlines()) == 1
    assert (made / "card.json").is_file() and (home / "runs" / "cats" / "card.json").is_file()
    shutil.copytree(made, home / "weights" / "mine")
    assert do("models", "remove", "tiny-x2", "--yes").code == 0 and not list((home / "weights").iterdir())


# --- push ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def own(home: Path, made: Path) -> Path:
    """A weight of a training on private pictures, in the folder of runs."""
    folder = home / "runs" / "cats"
    card = Card.read(made)
    private = dataclasses.replace(
        card,
        name="cats",
        data=(DataSource(SECRET, 3, "0" * 64, "own", extra={"where": SECRET}),),
        recipe={"model": "span-x4", "data": SECRET, "steps": 5, "diary": "x"},
        hardware="the laptop of zoe.example, 2 threads of x86_64",
        metrics=(Metric("Set5", "luma", "PSNR", 30.5, 5, f"python measure.py --photos '{SECRET}/my cats' --n 5"),),
        intended="Cats of zoe.example@mail.example, from ~/cats and C:\\Users\\zoe.example\\cats.",
        extra={"camera": "Zoe's"},
    )  # fmt: skip
    shutil.copytree(made, folder)
    private.write(folder)
    (folder / "sample.webp").write_bytes(b"RIFF0000WEBP a training picture")
    (folder / "samples").mkdir()
    (folder / "log.jsonl").write_text(SECRET)
    return folder


def test_what_leaves_is_shown_and_asked_and_holds_no_secret(own: Path, hub: Hub, do: Callable[..., Answer]) -> None:
    told = do("models", "push", "cats", "ann/cats", "--private", stdin="n\n", HF_TOKEN=TOKEN)
    assert told.code == 130 and "ann/cats" not in hub.repositories
    assert not [line for line in hub.asked if line.startswith(("POST", "PUT")) and "cats" in line]
    shown = told.err
    told = do("models", "push", "cats", "ann/cats", "--private", stdin="y\n", HF_TOKEN=TOKEN)
    repository = hub.repositories["ann/cats"]
    commit = repository.refs["main"]
    assert told.code == 0 and told.out == f"hf:ann/cats@{commit}\n" and repository.private
    sent = repository.commits[commit]
    assert set(sent) == {"model.safetensors", "config.json", "card.json", "README.md", "sample.webp"}
    for name, content in sent.items():
        assert f"  {name}  " in shown
        for secret in (
            b"zoe",
            b"Zoe",
            b"wedding",
            b"my cats",
            b"Users",
            b"/home",
            b"diary",
            b"camera",
            b"training picture",
        ):
            assert secret not in content, f"{secret} is in {name}"
    card = json.loads(sent["card.json"])
    for field, value in card.items():
        assert value in ("", [], {}) or f"  {field}: {json.dumps(value, ensure_ascii=False)}\n" in shown
    assert card["recipe"]["steps"] == 5 and card["metrics"][0]["command"] == "python measure.py --photos '…' --n 5"
    assert "camera" in shown and "data.where" in shown and "recipe.diary" in shown
    assert sent["model.safetensors"] == (own / "model.safetensors").read_bytes()


def test_scrubbing_leaves_what_tells_nothing(made: Path) -> None:
    """Names of sets, licences, degradations and links look like paths, and are none."""
    for card in weights.list_models():
        clean, left_out = scrubbed(card)
        assert not left_out and dataclasses.replace(clean, folder=card.folder) == card


def test_every_field_of_a_card_is_scrubbed(made: Path) -> None:
    """What a person wrote of a checkpoint's origin once left as it was; the next field must not, either."""
    path, mine = "/home/annakowalski/clients/x.pth", "from annakowalski@example.org"
    kept = {
        "task",
        "architecture",
        "config",
        "parameters",
        "sha256",
        "scale",
        "size_rule",
        "inputs",
        "first",
        "schema",
        "folder",
    }
    card = Card.read(made)
    for field in dataclasses.fields(Card):
        usual = getattr(card, field.name)
        if field.name in kept:
            continue
        told: Any = f"{path} {mine}"
        if isinstance(usual, dict):
            told = {"source": told}
        elif isinstance(usual, tuple):
            told = (
                DataSource(told, 1, "", told) if field.name == "data" else Metric(told, told, "PSNR", 1.0, 1, told),
            )
        elif not isinstance(usual, str):
            continue
        clean = json.dumps(scrubbed(dataclasses.replace(card, **{field.name: told}))[0].to_json(), ensure_ascii=False)
        assert "annakowalski" not in clean, field.name


def test_a_header_of_more_than_the_net_is_not_sent(own: Path, hub: Hub, do: Callable[..., Answer]) -> None:
    data = with_header((own / "model.safetensors").read_bytes(), {
        "architecture": "Span", "config": {"scale": 2, "width": 8, "blocks": 2}, "task": "upscale", "from": SECRET,
    })  # fmt: skip
    (own / "model.safetensors").write_bytes(data)
    dataclasses.replace(Card.read(own), sha256=sha256(data)).write(own)
    told = do("models", "push", "cats", "ann/headed", "--yes", HF_TOKEN=TOKEN)
    sent = hub.repositories["ann/headed"].commits[hub.repositories["ann/headed"].refs["main"]]
    assert told.code == 0 and "genrestore.from" in told.err and b"wedding" not in sent["model.safetensors"]
    assert do("models", "pull", "hf:ann/headed", "--yes").code == 0


def test_a_net_of_any_task_is_pictured_anew(home: Path, tmp_path: Path, do: Callable[..., Answer]) -> None:
    """Not with what its training left: that may show training pictures."""
    shipped = {card.task: card for card in weights.list_models()}
    for card in shipped.values():
        assert card.folder is not None
        shutil.copytree(card.folder, home / "weights" / card.name)
        (home / "weights" / card.name / "sample.webp").write_bytes(b"a training picture")
    told = do(
        python="import io, genrestore\nfrom PIL import Image\nfrom genrestore.hub.push import portrait\nresult = {}\n"
        f"for folder in {[str(home / 'weights' / card.name) for card in shipped.values()]}:\n"
        "    picture = Image.open(io.BytesIO(portrait(genrestore.weights.resolve(f'file:{folder}'))))\n"
        "    result[folder] = picture.format, len(set(picture.resize((8, 8)).convert('L').getdata())) > 8\n"
    )
    assert len(told.result) >= 5 and set(map(tuple, told.result.values())) == {("WEBP", True)}


@pytest.mark.parametrize(
    ("environment_of_it", "more", "words"),
    [
        ({}, [], "HF_TOKEN"),
        ({"HF_TOKEN": "hf_false"}, [], "HF_TOKEN|does not let you"),
        ({"HF_TOKEN": TOKEN}, ["--private"], "public; make it private"),
    ],
)
def test_a_push_that_may_not_be_is_one_sentence(
    environment_of_it: dict[str, str],
    more: list[str],
    words: str,
    own: Path,
    made: Path,
    hub: Hub,
    do: Callable[..., Answer],
) -> None:
    import re

    commits = len(hub.new("ann/public", files(made)).commits)
    told = do("models", "push", "cats", "ann/public", "--yes", *more, **environment_of_it)
    assert told.code == 2 and re.search(words, told.err.splitlines()[-1]), told.err
    assert len(hub.repositories["ann/public"].commits) == commits


def test_a_stranger_s_calls_do_what_they_expect(
    made: Path, hub: Hub, home: Path, tmp_path: Path, do: Callable[..., Answer]
) -> None:
    assert do("models", "push", f"file:{made}", "ann/strange", "--yes", HF_TOKEN=TOKEN).code == 0
    told = do(
        python=f"""
import json, huggingface_hub, torch
from pathlib import Path
import genrestore
from genrestore import weights
from genrestore.models.span import Span
from genrestore.models.dcgan import DCGAN
from genrestore.errors import ModelError
from huggingface_hub import ModelCard, PyTorchModelHubMixin

info = huggingface_hub.model_info("ann/strange")
files = [sibling.rfilename for sibling in info.siblings]
data = info.card_data
config = json.loads(Path(huggingface_hub.hf_hub_download("ann/strange", "config.json")).read_text())
weight = huggingface_hub.hf_hub_download("ann/strange", "model.safetensors")
picture = torch.rand(1, 3, 20, 12)
with torch.inference_mode():
    wanted = weights.load_net(Path({str(made)!r}) / "model.safetensors")(picture)
    class Mine(PyTorchModelHubMixin, Span): ...
    class Other(Span): ...
    same = [torch.equal(net(picture), wanted) for net in (
        Span.from_pretrained("ann/strange"), Span.from_pretrained("ann/strange", revision=info.sha),
        Span.from_pretrained({str(made)!r}), Mine.from_pretrained("ann/strange"), Other.from_pretrained("ann/strange"))]
try: DCGAN.from_pretrained("ann/strange")
except ModelError as problem: refused = str(problem)
result = dict(files=sorted(files), license=data.license, library=data.library_name, tags=data.tags, datasets=data.datasets,
    pipeline=data.pipeline_tag, same=same, refused=refused, config=config,
    index=[(one.dataset_name, one.metric_name, one.metric_value, one.metric_args) for one in data.eval_results],
    card=ModelCard.load("ann/strange").text)
"""
    )
    found = told.result
    assert found["files"] == ["README.md", "card.json", "config.json", "model.safetensors", "sample.webp"]
    assert (found["license"], found["library"], found["pipeline"]) == ("cc0-1.0", "genrestore", "image-to-image")
    assert found["tags"] == ["genrestore", "upscale", "span"] and found["datasets"] == ["noise"]
    command = "python benchmarks/quality.py upscale"
    assert found["index"] == [["Set5", "PSNR (luma)", 30.5, {"n": 5, "command": command}]]
    assert found["same"] == [True] * 5 and "holds a Span, not a DCGAN" in found["refused"]
    assert found["config"]["config"] == {"scale": 2, "width": 8, "blocks": 2}
    assert command in found["card"] and "![What it makes](sample.webp)" in found["card"]


@pytest.mark.parametrize("name", ["span-x4", "dcgan-cifar10", "residual-fill", "find-damage"])
def test_the_use_in_the_readme_works(name: str, hub: Hub, tmp_path: Path, do: Callable[..., Answer]) -> None:
    """What the README says is run as it stands there, after the pull that it names."""
    from PIL import Image

    assert do("models", "push", name, f"ann/use-{name}", "--yes", HF_TOKEN=TOKEN).code == 0
    repository = hub.repositories[f"ann/use-{name}"]
    text = repository.commits[repository.refs["main"]]["README.md"].decode()
    code = text.partition("```python\n")[2].partition("```")[0]
    assert len(code.splitlines()) == 3
    Image.radial_gradient("L").resize((96, 64)).convert("RGB").save(tmp_path / "photo.jpg")
    mask = Image.new("L", (96, 64))
    mask.paste(255, (40, 30, 44, 60))
    mask.save(tmp_path / "mask.png")
    inside = f"import contextlib\nwith contextlib.chdir({str(tmp_path)!r}):\n"
    told = do(python=inside + "".join(f"    {line}\n" for line in code.splitlines()))
    written = [path.name for path in tmp_path.glob("*.png") if path.name != "mask.png"]
    assert told.code == 0 and bool(written) == (".save(" in code)


def test_a_command_at_a_terminal_offers_to_pull(
    hub: Hub, made: Path, tmp_path: Path, do: Callable[..., Answer]
) -> None:
    from PIL import Image

    hub.new("ann/offered", files(made), meta={"license": "mit"})
    Image.radial_gradient("L").resize((12, 8)).save(tmp_path / "a.png")
    call = (
        "upscale",
        str(tmp_path / "a.png"),
        "--scale",
        "2",
        "--model",
        "hf:ann/offered",
        "-o",
        str(tmp_path / "b.png"),
    )
    told = do(*call, stdin="n\n", terminal=True)
    assert told.code == 130 and "licence mit" in told.err and not hub.fetched("ann/offered")
    assert do(*call, stdin="y\n", terminal=True).code == 0 and Image.open(tmp_path / "b.png").size == (24, 16)
    assert do(*call, "--force", terminal=True).code == 0, "it is here now, and nobody is asked"


def test_a_reference_is_asked_for_only_where_somebody_sits(hub: Hub, made: Path, do: Callable[..., Answer]) -> None:
    hub.new("ann/unasked", files(made))
    hub.asked.clear()
    told = do("upscale", "x.png", "--model", "hf:ann/unasked")
    assert told.code == 2 and not hub.asked
    told = do(
        python="import genrestore\ntry: genrestore.load('hf:ann/unasked')\nexcept Exception as problem: result = str(problem)"
    )
    assert told.result.endswith("`genrestore models pull hf:ann/unasked` brings it.") and not hub.asked


# --- what must not get out, or lost ------------------------------------------------------------------------------------


def test_the_password_of_a_mirror_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    from genrestore.hub import client

    monkeypatch.setattr(constants, "ENDPOINT", "https://ann:secret@mirror.example/hub")
    assert client.endpoint() == "https://mirror.example/hub"


def test_what_a_stranger_says_does_not_steer_the_terminal() -> None:
    from genrestore import console
    from genrestore.errors import ModelError

    assert console.sentence(ModelError("It holds \x1b[2J名.pth.")) == "It holds ?[2J名.pth."


def test_a_move_that_fails_leaves_the_older_model(tmp_path: Path) -> None:
    from genrestore.hub import pull

    place = tmp_path / "pulled" / "ann--net"
    place.mkdir(parents=True)
    (tmp_path / "incoming").mkdir()
    with pytest.raises(OSError):
        pull._shown(tmp_path / "incoming" / "nothing", place)
    assert place.is_dir()


# --- what an attacker, or a mistake, would try ---------------------------------------------------------------------------


@pytest.mark.parametrize("text", [
    "$HOME/clients/wedding", "${HOME}/clients/wedding", "see $HOME/clients/wedding for it", "%USERPROFILE%\\wedding",
    "$env:USERPROFILE\\wedding", "by ~annadoe/wedding", "~annadoe", "of annadoe, in ~annadoe/x", "smb://nas/annadoe/wedding",
    "from smb://nas/wedding now", "\\\\nas\\wedding\\x", "//nas/wedding/x", "file:/home/annadoe/wedding", "FILE:///wedding/x",
    "file://nas/wedding/x", "see file:wedding/x", "see file:///a%20b/wedding", "of %2Fhome%2Fannadoe%2Fwedding",
    "a=%252Fhome%252Fannadoe%252Fwedding", "\\/home\\/annadoe\\/wedding", '{"path": "\\/home\\/annadoe\\/wedding"}',
    "x \\u002fwedding\\u002fy", "C:\\\\Users\\\\annadoe\\\\wedding, of annadoe", "C%3A%5CUsers%5Cannadoe%5Cwedding",
    "&#x2f;wedding", "path:/home/annadoe/wedding", "path:/wedding/x", "data='/wedding/x y'", 'data="x:/wedding/x y"',
    "--out=/wedding/x",
    "'--photos=/x y/wedding' --n 5", "-I/home/annadoe/x", "C:\\Users\\Anna Maria Annadoe\\wedding", "sftp://annadoe@nas/wedding",
    "/Users/annadoe/My Pictures/wedding", "in /srv/my wedding/x, and more", "http://nas.local/wedding", "http://10.0.0.3/wedding",
])  # fmt: skip
def test_no_path_leaves_however_it_is_written(text: str, made: Path) -> None:
    card = dataclasses.replace(Card.read(made), origin={"source": text}, limits="Tried by annadoe.")
    clean, told = scrubbed(card)
    named = re.search(r"(~|users|home|%2f|//)\W*annadoe", text, re.IGNORECASE)
    sent = json.dumps([clean.origin, clean.limits if named else ""], ensure_ascii=False).lower()
    assert "wedding" not in sent and "annadoe" not in sent and "origin" in told, sent


@pytest.mark.parametrize("text", [
    "https://arxiv.org/abs/1312.6114", "CC BY / BY-SA / GPL-2+", "hf:bob/up@v1/4x.pth", "24/7: a/b",
    "about ~10 pictures, 50 % of", "AT&amp;T, km/h and/or 1/255", "https://example.org/main/x%20y.py",
    "noise:0-55:raw|jpeg:10-95",
])  # fmt: skip
def test_what_is_no_path_leaves(text: str, made: Path) -> None:
    assert scrubbed(dataclasses.replace(Card.read(made), origin={"source": text}))[0].origin == {"source": text}


def test_only_what_the_cache_holds_is_taken_out_of_it(tmp_path: Path) -> None:
    """A link that leads elsewhere goes; what it leads to is somebody else's."""
    from genrestore.hub import pull

    mine, cache = tmp_path / "mine", tmp_path / "hub" / "models--ann--x"
    commit = cache / "snapshots" / "c0"
    for folder in (mine, commit, cache / "blobs"):
        folder.mkdir(parents=True)
    (mine / "letter").write_text("x")
    (cache / "blobs" / "b").write_text("x")
    (commit / "usual").symlink_to("../../blobs/b")
    (commit / "away").symlink_to(mine / "letter")
    (cache / "snapshots" / "c1").symlink_to(mine, target_is_directory=True)
    for path in (commit / "usual", commit / "away", cache / "snapshots" / "c1" / "letter", mine / "letter"):
        pull.evict(path)
    assert not list(commit.iterdir()) and not list((cache / "blobs").iterdir())
    assert (mine / "letter").read_text() == "x"


def test_a_file_is_never_read_whole_nor_taken_beyond_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from genrestore.errors import ModelError
    from genrestore.hub import pull
    from genrestore.references import Reference

    content = b"x" * (3 << 20)
    (tmp_path / "x").write_bytes(content)
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail("it was read whole"))
    assert pull._is(tmp_path / "x", pull.File("x", len(content), blob=blob(content)))
    assert not pull._is(tmp_path / "x", pull.File("x", len(content), blob=blob(content[1:])))

    several = tuple(pull.File(name, size) for name, size in (("a", 10), ("b", None)))
    fetched = pull._Fetched(pull.Offer(Reference("ann/x"), "c" * 40, "a", "", several, ("a", "b")), None, None)
    sent = {"a": 11, "b": (1 << 20) + 1}

    def download(file: pull.File) -> Path:
        fetched._arrived(sent[file.name])
        return tmp_path / "x"

    monkeypatch.setattr(fetched, "_download", download)
    for name in sent:
        with pytest.raises(ModelError, match="sends more of hf:ann/x than it said"):
            fetched[name]
        fetched.done = 0


def test_a_model_that_is_being_pulled_is_not_removed(
    hub: Hub, home: Path, made: Path, do: Callable[..., Answer]
) -> None:
    from genrestore.locks import Lock

    hub.new("ann/held", files(made))
    shutil.copytree(made, home / "weights" / "mine")
    assert do("models", "pull", "hf:ann/held", "--yes").code == 0
    for name, folder in (("hf:ann/held", "pulled/ann--held"), (f"file:{home}/weights/mine", "weights/mine")):
        lock = Lock(home / "incoming" / f"{Path(folder).name}.lock")
        assert lock.take()
        told = do("models", "remove", name, "--yes")
        assert told.code == 2 and "is being pulled or removed" in told.err and (home / folder).is_dir()
        lock.leave()
        assert do("models", "remove", name, "--yes").code == 0 and not (home / folder).exists()


def test_a_link_in_the_place_of_a_model_is_removed_alone(home: Path, made: Path, do: Callable[..., Answer]) -> None:
    (home / "weights").mkdir(parents=True)
    (home / "weights" / "linked").symlink_to(made, target_is_directory=True)
    assert do("models", "remove", f"file:{home}/weights/linked", "--yes").code == 0
    assert not list((home / "weights").iterdir()) and (made / "card.json").is_file()
    assert not [path for path in (home / "incoming").iterdir() if path.suffix != ".lock"]


def test_without_the_network_a_repository_alone_names_what_was_pulled_of_it(
    hub: Hub, home: Path, stranger: dict[str, bytes], do: Callable[..., Answer]
) -> None:
    hub.new("bob/named", {"a.pth": stranger[".pth"]})
    hub.new("bob/there", {"README.md": b"", "deep/b.pth": stranger[".pth"]})
    assert do("models", "pull", "hf:bob/named/a.pth", "--yes").code == 0
    do(python="import huggingface_hub\nhuggingface_hub.snapshot_download('bob/there')")
    with gone(hub):
        told = do("models", "pull", "hf:bob/named")
        assert told.code == 0 and "stays as it was pulled" in told.err and "not on this computer" not in told.err, (
            told.err
        )
        assert (
            do("models", "show", "hf:bob/named").out.startswith("a (") and len(list((home / "pulled").iterdir())) == 1
        )
        assert do("models", "pull", "hf:bob/there").code == 0 == do("models", "verify", "hf:bob/there").code
        assert do("models", "show", "hf:bob/there/deep/b.pth").code == 0, "the file that came"
        told = do("models", "pull", "hf:bob/nothing")
        assert told.code == 2 and "does not answer" in told.err


def test_offline_a_second_pull_does_not_contradict_itself(
    hub: Hub, home: Path, made: Path, environment: dict[str, str], do: Callable[..., Answer]
) -> None:
    hub.new("ann/twice", files(made))
    assert do("models", "pull", "hf:ann/twice", "--yes").code == 0
    process = alone(environment, home, "models", "pull", "hf:ann/twice", offline=True)
    _, err = process.communicate(timeout=60)
    (line,) = err.splitlines()
    assert process.returncode == 0 and "HF_HUB_OFFLINE is set; hf:ann/twice stays as it was pulled" in line, err


def test_what_a_stranger_measured_is_measured_anew(
    hub: Hub, home: Path, stranger: dict[str, bytes], do: Callable[..., Answer]
) -> None:
    """A graph that was made for one size and is said to be for any would read beyond its memory, and tiles would not meet."""
    from safetensors.torch import load_file, save

    hub.new("bob/honest", {"a.pth": stranger[".pth"]})
    assert do("models", "pull", "hf:bob/honest/a.pth", "--yes").code == 0
    (folder,) = (home / "pulled").iterdir()
    true = Card.read(folder)
    lies = true.config | {"receptive": 0, "memory": 0, "tile": 1024, "compiled": not true.config["compiled"]}
    said = {"architecture": true.architecture, "config": lies, "task": true.task}
    state = {key.replace("body.", "plain.", 1): value for key, value in load_file(true.weights).items()}
    data = save(state, {"genrestore": json.dumps(said)})
    rule = {"multiple_of": 1, "minimum": 1, "receptive": 0, "tile": 9}
    hub.new("bob/lies", of(folder, data, config=lies, size_rule=rule))
    assert do("models", "pull", "hf:bob/lies", "--yes").code == 0 == do("models", "verify", "hf:bob/lies").code
    card = Card.read(home / "pulled" / "bob--lies")
    assert card.config == true.config and card.size_rule == true.size_rule and card.size_rule.receptive > 0
    assert weights.header_of(card.weights)["config"] == true.config


def test_a_card_s_size_rule_is_the_net_s(hub: Hub, home: Path, made: Path, do: Callable[..., Answer]) -> None:
    hub.new("ann/ruled", files(made, size_rule={"multiple_of": 1, "minimum": 1, "receptive": 0, "tile": 9}))
    assert do("models", "pull", "hf:ann/ruled", "--yes").code == 0
    assert Card.read(home / "pulled" / "ann--ruled").size_rule == Card.read(made).size_rule
