"""What programs and agents ask of the page: the examples of docs/api.md as they stand there, and what else they could send."""

import asyncio
import io
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import numpy as np
import pytest
from conftest import ROOT, free_port
from PIL import Image

import genrestore
from genrestore import pipelines, tasks, ui
from genrestore.__main__ import main
from genrestore.errors import stop_if
from genrestore.pictures import image
from genrestore.tasks.task import ImageToImage
from genrestore.ui import verbs
from genrestore.ui.server import agents, guard, serve, uploads, visitors

DOCUMENT = (ROOT / "docs/api.md").read_text("utf-8")
ADDRESS = "http://127.0.0.1:7860/"
PICTURES = ["inpaint", "upscale", "restore", "find_damage"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[serve.Server]:
    """The whole page with tools for agents, if mcp is there, served from this process under the limits of a public page."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(uploads.VARIABLE, str(tmp_path_factory.mktemp("files")))
        patch.setenv("GENRESTORE_PUBLIC", "1")
        patch.setattr(ui, "_warm", lambda: None)
        running = ui.launch(port=free_port(), mcp=agents.installed())
        yield running
        running.close()


@pytest.fixture
def client(server: serve.Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.local_url, timeout=60) as asking:
        yield asking


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo with metadata and a mask, as the document names them."""
    folder = tmp_path_factory.mktemp("pictures")
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    photo = Image.fromarray(np.random.default_rng(0).integers(90, 160, (20, 24, 3), np.uint8))
    photo.save(folder / "photo.jpg", quality=90, exif=exif, dpi=(300, 300))
    mask = Image.new("L", photo.size)
    mask.paste(255, (8, 8, 12, 12))
    mask.save(folder / "mask.png")
    return folder


def sent(client: httpx.Client, path: Path) -> dict[str, str]:
    """An upload, as calls take it."""
    (where,) = client.post(guard.UPLOAD, files={"files": (path.name, path.read_bytes())}).json()
    return {"path": where}


def begun(client: httpx.Client, verb: str, **given: Any) -> httpx.Response:
    headers = given.pop("headers", None)
    return client.post(f"{guard.API}/call/v2/{verb}", json=given, headers=headers)


def called(client: httpx.Client, verb: str, **given: Any) -> Any:
    """What a call answers: its value, or the sentence that refuses it."""
    answer = begun(client, verb, **given)
    if answer.status_code != 200:
        return answer.json()["error"]
    said = client.get(f"{guard.API}/call/{verb}/{answer.json()['event_id']}").text
    kind, data = re.findall(r"event: (\w+)\ndata: (.*)", said)[-1]
    return json.loads(data)[0] if kind == "complete" else json.loads(data)["error"]


def fetched(client: httpx.Client, file: dict[str, Any]) -> bytes:
    answer = client.get(file["url"])
    assert answer.status_code == 200 and len(answer.content) == file["size"]
    return answer.content


# ---- the document ----


@pytest.mark.parametrize("place", range(2))
def test_the_python_of_the_document_runs(server: serve.Server, folder: Path, place: int) -> None:
    code = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)[place].replace(ADDRESS, server.local_url)
    code = code.replace("Client(", "Client(verbose=False, src=")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    if place:
        assert done.stdout.strip() in code
        return
    files = [Path(word) for word in done.stdout.split() if Path(word).is_file()]
    assert [file.name for file in files] == [
        "photo.repaired.png", "photo.x2.jpg", "vae-mnist-7.png", "vae-mnist-8.png", "vae-mnist-9.png",
    ]  # fmt: skip
    assert Image.open(files[1]).size == (48, 40)


def test_the_curl_of_the_document_runs(server: serve.Server, folder: Path) -> None:
    whole, wrong, _ = re.findall(r"```bash\n(.*?)```", DOCUMENT, re.DOTALL)
    for script in (whole, wrong):
        told = script.replace(ADDRESS, server.local_url)
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", told], cwd=folder, capture_output=True, check=False)
        assert done.returncode == 0 and not done.stderr, done.stderr
        if script is wrong:
            assert json.loads(done.stdout)["error"].startswith("/restore takes no strenth; it takes image, model, ")
    assert Image.open(folder / "restored.jpg").size == (24, 20)


def test_the_document_tells_what_there_is(client: httpx.Client) -> None:
    known = client.get(f"{guard.API}/info").json()["named_endpoints"]
    told = {row[1]: re.findall(r"`(\w+)`", row[2]) for row in re.finditer(r"^\| `(/\w+)` \| (.*?) \|", DOCUMENT, re.M)}
    assert told == {name: [one["parameter_name"] for one in end["parameters"]] for name, end in known.items()}
    limits = image.Limits.local(), image.Limits.public()
    for row in ("| a file | {0} MB | {1} MB |", "| a picture | {2} megapixels | {3} megapixels |"):
        numbers = [limit.bytes >> 20 for limit in limits] + [limit.megapixels for limit in limits]
        assert row.format(*numbers) in DOCUMENT
    own, all_at_once = visitors.VISITOR_WAITING, visitors.WAITING
    assert f"{all_at_once} may wait, {own} of them" in " ".join(DOCUMENT.split())
    assert f"up to {agents.LOOK_BYTES >> 10} KB" in DOCUMENT and f"a tool {visitors.TOOL_BYTES >> 20} MB" in DOCUMENT


# ---- what is offered ----


def test_every_verb_is_an_endpoint_and_nothing_else_is(server: serve.Server, client: httpx.Client) -> None:
    """Gradio lets anybody call by its name what its documentation hides."""
    known = client.get(f"{guard.API}/info").json()
    assert not known["unnamed_endpoints"]
    functions = [tasks.find(name).function for name in tasks.names()]
    assert list(known["named_endpoints"]) == [f"/{name}" for name in [*functions, "old_photo", "models"]]
    inner = [one.api_name for one in server.page.fns.values() if one.api_visibility != "public"]
    assert len(inner) > 20
    for name in inner:
        for way in ("call", "call/v2", "run"):
            assert client.post(f"{guard.API}/{way}/{name}", json={"data": [None] * 40}).status_code == 404, (way, name)


def test_what_is_declared_is_told_with_type_and_range(client: httpx.Client) -> None:
    known = client.get(f"{guard.API}/info").json()["named_endpoints"]
    for end in known.values():
        assert end["description"]
        for one in (*end["parameters"], *end["returns"]):
            assert one["type"] and (
                one in end["returns"] or one["type"]["description"] == one["python_type"]["description"]
            )
    parameters = {one["parameter_name"]: one for one in known["/upscale"]["parameters"]}
    assert not parameters["image"]["parameter_has_default"] and parameters["image"]["python_type"]["type"] == "filepath"
    scale = parameters["scale"]
    assert scale["parameter_default"] == 4 and scale["label"] == "Scale"
    assert (scale["type"]["type"], scale["type"]["exclusiveMinimum"], scale["type"]["maximum"]) == ("number", 1, 16)
    assert parameters["width"]["python_type"]["type"] == "int | None"
    assert "png" in parameters["format"]["type"]["enum"]
    assert known["/sample"]["returns"][0]["python_type"]["type"] == "list[filepath]"


def test_a_new_task_has_its_verb_by_what_it_declares(monkeypatch: pytest.MonkeyPatch) -> None:
    class Blur(ImageToImage):
        name = function = tab = "blur"
        title, wish, help = "Blur", "To blur", "Blur a picture."
        pictures = MappingProxyType({"where": "White where it is blurred."})
        options = tasks.find("restore").options

    monkeypatch.setitem(tasks.task.entered, "blur", Blur())
    verb = next(one for one in verbs.verbs() if one.name == "blur")
    assert [one.name for one in verb.parameters] == [
        "image", "where", "model", "strength", "conditions", "frame", "format",
    ]  # fmt: skip
    tool = next(one for one in verbs.tools() if one.name == "blur")
    assert tool.schema["required"] == ["image"] and tool.files == {"image", "where"}


# ---- what comes out ----


def test_files_out_are_those_of_python(client: httpx.Client, folder: Path) -> None:
    photo, mask = (sent(client, folder / name) for name in ("photo.jpg", "mask.png"))
    own = image.load(folder / "photo.jpg")
    calls: dict[str, dict[str, Any]] = {
        "inpaint": {"mask": mask, "grow": 1},
        "upscale": {"scale": 2},
        "restore": {"strength": 0.5},
    }
    named = {"inpaint": "photo.repaired.jpg", "upscale": "photo.x2.jpg", "restore": "photo.restored.jpg"}
    for verb, given in calls.items():
        file = called(client, verb, image=photo, **given)
        assert (file["orig_name"], file["mime_type"]) == (named[verb], "image/jpeg")
        expected = getattr(genrestore, verb)(
            own, **{**given, **({"mask": folder / "mask.png"} if "mask" in given else {})}
        )
        assert fetched(client, file) == image.encode(expected), verb
        kept = image.load(fetched(client, file))
        assert kept.exif == own.exif and kept.dpi == own.dpi and kept.format == "JPEG"
    found = called(client, "find_damage", image=photo)
    assert image.load(fetched(client, found)).pixels.shape == (20, 24, 1)
    mended = called(client, "old_photo", image=photo, mask=mask)
    assert mended["orig_name"] == "photo.mended.jpg"
    assert fetched(client, mended) == image.encode(genrestore.old_photo(own, mask=folder / "mask.png").picture)
    lossless = image.load(fetched(client, called(client, "inpaint", image=photo, mask=mask, format="webp")))
    outside = np.ones((20, 24), bool)
    outside[8:12, 8:12] = False
    assert lossless.format == "WEBP" and (lossless.pixels[outside] == own.pixels[outside]).all()


def test_a_result_goes_into_the_next_call_by_path_or_by_address(client: httpx.Client) -> None:
    first, second = called(client, "sample", model="vae-mnist", n=2, seed=7, truncation=0.5)
    assert [first["orig_name"], second["orig_name"]] == ["vae-mnist-7.png", "vae-mnist-8.png"]
    drawn = Image.open(io.BytesIO(fetched(client, second)))
    assert (np.asarray(drawn) == np.asarray(genrestore.sample("vae-mnist", seed=8, truncation=0.5)[0])).all()
    for file in ({"path": first["path"]}, {"path": first["url"], "meta": {"_type": "gradio.FileData"}}):
        assert called(client, "upscale", image=file, scale=2)["orig_name"] == "vae-mnist-7.x2.png"


def test_values_may_come_in_order_and_the_last_ones_be_left_out(client: httpx.Client, folder: Path) -> None:
    photo = sent(client, folder / "photo.jpg")
    for data, name in (([photo], "photo.x4.jpg"), ([photo, "auto", 3], "photo.x3.jpg")):
        event = client.post(f"{guard.API}/call/upscale", json={"data": data}).json()["event_id"]
        assert name in client.get(f"{guard.API}/call/upscale/{event}").text
    assert client.post(f"{guard.API}/call/upscale", json={"data": []}).status_code == 400


def test_models_are_listed_with_size_and_licence(client: httpx.Client) -> None:
    listed = called(client, "models")
    assert {one["name"] for one in listed} >= {card.name for card in genrestore.list_models("restore")}
    (one,) = called(client, "models", task="restore")
    assert one["endpoint"] == "/restore" and one["parameters"] > 1000 and one["bytes"] > 1000 and one["license"]
    assert "task must be one of" in called(client, "models", task="nothing")


def test_no_answer_tells_where_things_lie(server: serve.Server, client: httpx.Client, folder: Path) -> None:
    photo = sent(client, folder / "photo.jpg")
    answers = json.dumps(
        [photo, called(client, "restore", image=photo), called(client, "models"), called(client, "sample")]
    )
    info = client.get(f"{guard.API}/info").text
    for place in (server.folder.path, ROOT, Path(genrestore.__file__).parent, Path.home()):
        assert str(place) not in answers and str(place) not in info


# ---- what is refused ----


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "/restore needs image."),
        ({"image": None}, "No picture was uploaded"),
        ({"image": "photo.jpg"}, "No picture was uploaded"),
        ({"image": {"path": "/etc/passwd"}}, "was not uploaded here"),
        ({"image": {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}}, "was not uploaded here"),
        ({"image": {"path": f"{uploads.FILES}/../../../etc/passwd"}}, "was not uploaded here"),
        ({"image": {"path": f"{uploads.FILES}/gone/a.png"}}, "no longer on the server"),
        ({"image": {"path": "a\0b", "meta": {"_type": "gradio.FileData"}}}, "was not uploaded here"),
        ({"image": {"path": "http://example.invalid/a.png"}}, "addresses are not fetched"),
        ({"image": {"path": f"http://example.invalid{guard.FILE}{uploads.FILES}/a/a.png"}}, "addresses are not fetched"),
        ({"strenth": 1}, "/restore takes no strenth; it takes image, model, strength"),
        ({"image": ..., "strength": 7}, "strength must lie between 0 and 1, not 7.0."),
        ({"image": ..., "strength": "much"}, "strength must be a number, not 'much'."),
        ({"image": ..., "strength": [1] * 9}, "strength must be a number"),
        ({"image": ..., "model": "nobody"}, "Choose one of the models auto, restore-photo"),
        ({"image": ..., "model": "file:/etc"}, "Choose one of the models auto, restore-photo"),
        ({"image": ..., "model": {"path": "x"}}, "model must be text"),
        ({"image": ..., "format": "gif"}, "format must be one of input, png"),
        ({"image": ..., "frame": 4}, "holds 1 frames"),
        ({"image": ..., "conditions": {"steps": 3}}, "takes no steps"),
        ({"image": ..., "conditions": 3}, "conditions must be an object"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_sentence(
    client: httpx.Client, folder: Path, capfd: pytest.CaptureFixture[str], given: dict[str, Any], sentence: str
) -> None:
    if given.get("image") is ...:
        given = {**given, "image": sent(client, folder / "photo.jpg")}
    said = called(client, "restore", **given)
    assert sentence in said and "\n" not in said
    chinese = called(client, "restore", **given, headers={"accept-language": "zh-CN"})
    assert re.search("[一-鿿]", chinese), chinese
    assert "Traceback" not in capfd.readouterr().err


def test_a_fault_of_ours_is_one_sentence_too(
    client: httpx.Client, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: str) -> Any:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(pipelines, "find", broken)
    assert "Something went wrong" in called(client, "restore", image=sent(client, folder / "photo.jpg"))


def test_a_public_page_s_limits_hold(client: httpx.Client, folder: Path) -> None:
    """Megapixels, size of the result, bodies, other sites."""
    large = io.BytesIO()
    Image.new("1", (9000, 6000)).save(large, "PNG")
    (where,) = client.post(guard.UPLOAD, files={"files": ("large.png", large.getvalue())}).json()
    assert "50 megapixels" in called(client, "restore", image={"path": where})
    photo = sent(client, folder / "photo.jpg")
    assert "ask for less" in called(client, "upscale", image=photo, width=16000)
    assert begun(client, "restore", image=photo, model="x" * visitors.JSON_BYTES).status_code == 413
    assert begun(client, "restore", image=photo, headers={"origin": "http://evil.example"}).status_code == 403


def test_a_call_that_nobody_waits_for_is_stopped(
    client: httpx.Client, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[bool] = []

    def endless(_: str) -> Callable[..., Any]:
        def work(*_: Any, cancel: Any, **__: Any) -> None:
            stopped.append(cancel.wait(20))
            stop_if(cancel)

        return work

    monkeypatch.setattr(pipelines, "find", endless)
    monkeypatch.setattr(visitors, "UNHEARD", 0.5)
    event = begun(client, "restore", image=sent(client, folder / "photo.jpg")).json()["event_id"]
    with client.stream("GET", f"{guard.API}/call/restore/{event}") as listening:
        next(listening.iter_raw(), None) if stopped else time.sleep(1)
        assert not stopped, "somebody was waiting"
    late = time.monotonic() + 10
    while not stopped and time.monotonic() < late:
        time.sleep(0.05)
    assert stopped == [True]


# ---- agents ----


def test_without_the_package_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv(uploads.VARIABLE, str(tmp_path))
    monkeypatch.setattr(agents, "installed", lambda: False)
    with pytest.raises(SystemExit) as ended:
        main(["app", "--mcp", "--no-browser", "--port", str(free_port())])
    assert ended.value.code == 2
    assert "pip install 'genrestore[mcp]'" in capsys.readouterr().err


def test_agents_are_answered_only_where_it_was_asked_for(
    server: serve.Server, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    headers = {"accept": "application/json, text/event-stream"}
    wanted = 200 if agents.installed() else 404
    assert client.post(guard.MCP, json=asked, headers=headers).status_code == wanted
    assert client.get(guard.MCP, headers={"accept": "text/event-stream"}).status_code in (404, 405)
    for path in ("sse", "messages/", "schema", "http"):
        assert client.post(f"{guard.MCP}/{path}", json=asked, headers=headers).status_code == 404
    foreign = {**headers, "origin": "http://evil.example"}
    assert client.post(guard.MCP, json=asked, headers=foreign).status_code == 403 if wanted == 200 else True
    long = {**asked, "params": {"cursor": "x" * visitors.TOOL_BYTES}}
    assert client.post(guard.MCP, json=long, headers=headers).status_code == (413 if wanted == 200 else 404)


def test_an_agent_uses_the_verbs(server: serve.Server, client: httpx.Client, folder: Path) -> None:
    """With the client of the protocol's own package."""
    pytest.importorskip("mcp", reason="the package comes with `pip install genrestore[mcp]`")
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    photo, data = sent(client, folder / "photo.jpg")["path"], (folder / "photo.jpg").read_bytes()

    async def talk() -> None:
        language = {"accept-language": "zh-CN"}
        async with (
            httpx.AsyncClient(headers=language, timeout=60) as asking,
            streamable_http_client(f"{server.local_url}gradio_api/mcp", http_client=asking) as (reading, writing, _),
            ClientSession(reading, writing) as session,
        ):
            await session.initialize()
            tools = {tool.name: tool for tool in (await session.list_tools()).tools}
            assert list(tools) == [verb.name for verb in verbs.verbs()]
            scale = tools["upscale"].inputSchema["properties"]["scale"]
            assert scale["maximum"] == 16 and scale["description"] and tools["upscale"].description

            async def use(name: str, **arguments: Any) -> tuple[Any, list[bytes]]:
                result = await session.call_tool(name, arguments)
                text, *pictures = result.content
                assert text.type == "text"
                assert result.isError == (not text.text.startswith(("{", "[")))
                looked_at = [agents.base64.b64decode(one.data) for one in pictures if one.type == "image"]
                return text.text if result.isError else json.loads(text.text), looked_at

            (drawn,), (seen,) = await use("sample", model="vae-mnist", seed=3)
            assert Image.open(io.BytesIO(seen)).size == (28, 28)
            enlarged, _ = await use("upscale", image=drawn["url"], scale=2)
            assert enlarged["orig_name"] == "vae-mnist-3.x2.png"
            restored, (seen,) = await use("restore", image=photo)
            assert httpx.get(restored["url"]).content == seen
            url = f"data:image/jpeg;base64,{agents.base64.b64encode(data).decode()}"
            assert (await use("restore", image=url))[0]["size"] == restored["size"]
            for arguments in (
                {"scale": 2}, {"image": drawn["url"], "scale": 99}, {"image": "/etc/passwd"}, {"image": photo, "x": 1},
                {"image": "http://127.0.0.1:1/x.png"}, {"image": "data:,x"}, {"image": 3},
            ):  # fmt: skip
                said, _ = await use("upscale", **arguments)
                assert re.search("[一-鿿]", said) and "\n" not in said, said
            assert "nothing" in (await use("nothing"))[0]

    with ThreadPoolExecutor(1) as pool:  # a browser of other tests has a loop of its own in this thread
        pool.submit(asyncio.run, talk()).result()


def test_a_tool_s_call_is_that_of_whoever_asked(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not of this computer's own, which no limit for visitors holds."""
    if not agents.installed():
        pytest.skip("the package comes with `pip install genrestore[mcp]`")
    heard: list[str] = []

    def note(request: Any) -> bool:
        heard.append(request.request.scope["genrestore.visitor"])
        return True

    monkeypatch.setattr(verbs, "_heard", note)
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "models", "arguments": {}}}
    headers = {"accept": "application/json, text/event-stream", "x-forwarded-for": "203.0.113.9"}
    assert "restore-photo" in client.post(guard.MCP, json=asked, headers=headers).text
    assert set(heard) == {"203.0.113.9"}
