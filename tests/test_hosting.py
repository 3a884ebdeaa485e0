"""What docs/hosting.md, the Dockerfile and compose.yaml say, done: nginx before one page and before several."""

import fnmatch
import io
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from conftest import ROOT, free_port
from gradio_client import Client
from PIL import Image

from genrestore import ui
from genrestore.ui.server import guard, uploads

HOSTING = (ROOT / "docs" / "hosting.md").read_text("utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")


def snippet(holding: str) -> str:
    """The one piece of nginx's configuration in the documentation that holds this text."""
    (found,) = (text for text in re.findall(r"```nginx\n(.*?)```", HOSTING, re.DOTALL) if holding in text)
    return found


def png() -> bytes:
    data = io.BytesIO()
    Image.new("1", (8, 8)).save(data, "PNG")
    return data.getvalue()


@contextmanager
def nginx(place: Path, location: str, outside: str = "") -> Generator[str]:
    """nginx with what stands inside and outside its `server` block; gives the address of that."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed")
    port = free_port()
    (place / "nginx.conf").write_text(
        f"daemon off; pid {place}/pid; error_log stderr;\n"
        f"events {{}}\nhttp {{ access_log off; client_body_temp_path {place}/body; proxy_temp_path {place}/proxy;\n"
        f"fastcgi_temp_path {place}/f; uwsgi_temp_path {place}/u; scgi_temp_path {place}/s;\n{outside}\n"
        f"server {{ listen 127.0.0.1:{port};\n{location}\n}} }}\n"
    )
    proxy = subprocess.Popen([program, "-c", str(place / "nginx.conf"), "-p", str(place)], stderr=subprocess.PIPE)
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                httpx.get(address, timeout=60)
                break
            except httpx.TransportError:
                assert time.monotonic() < deadline and proxy.poll() is None, "nginx does not answer"
                time.sleep(0.05)
        yield address
    finally:
        proxy.terminate()
        proxy.wait(20)


def test_nginx_publishes_the_page_as_the_documentation_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    location = snippet("location /pictures/")
    assert "--root-path /pictures" in HOSTING and "127.0.0.1:7860" in location
    monkeypatch.setenv(uploads.VARIABLE, str(tmp_path / "files"))
    monkeypatch.setattr(ui, "_warm", lambda: None)
    server = ui.launch(port=free_port(), root_path="/pictures")
    own_port = server.local_url.rsplit(":", 1)[1].strip("/")
    try:
        with (
            nginx(tmp_path, location.replace("127.0.0.1:7860", f"127.0.0.1:{own_port}")) as outside,
            httpx.Client(base_url=f"{outside}/pictures", timeout=60) as client,
        ):
            assert client.get("/").status_code == 200
            own = {"origin": outside, "sec-fetch-site": "same-origin"}
            (path,) = client.post(guard.UPLOAD, files={"files": ("a.png", png())}, headers=own).json()
            assert client.get(f"{guard.FILE}{path}").content == png()
            assert client.post(guard.JOIN, json={}, headers={"origin": "http://x"}).status_code == 403
            program = Client(f"{outside}/pictures/", verbose=False)
            assert program.config["root"] == f"{outside}/pictures"
            (made,) = program.predict(model="vae-clothing", seed=3, api_name="/sample")
            assert Path(made).name == "vae-clothing-3.png"
    finally:
        server.close()


@pytest.fixture(scope="module")
def replicas(start_app: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two pages of one home, as "127.0.0.1:port"."""
    home = str(tmp_path_factory.mktemp("home"))
    addresses = [
        start_app(cold=True, GENRESTORE_HOME=home, GRADIO_ROOT_PATH="/pictures", GENRESTORE_PUBLIC="1")
        for _ in range(2)
    ]
    return [address.removeprefix("http://") for address in addresses]


def used(address: str, client: httpx.Client) -> str:
    """Does what spans several requests: a file sent and fetched, a picture asked for and heard of. Which page it was."""
    own = {"origin": address, "sec-fetch-site": "same-origin"}
    (path,) = client.post(guard.UPLOAD, files={"files": ("a.png", png())}, headers=own).json()
    assert client.get(f"{guard.FILE}{path}").content == png()
    event = client.post(f"{guard.API}/call/v2/sample", json={"model": "vae-mnist"}, headers=own).json()["event_id"]
    said = client.get(f"{guard.API}/call/sample/{event}").text
    assert "event: complete" in said and f'"url": "{address}/pictures/gradio_api/file=' in said
    return client.get(f"{guard.API}/app_id").text


def test_each_visitor_stays_with_one_of_several_pages(tmp_path: Path, replicas: list[str]) -> None:
    """By a cookie, or by the address of one that opens no page; a third page that has ended is passed by."""
    dead = f"server 127.0.0.1:{free_port()};"
    upstream = snippet("upstream genrestore")
    for port, replica in zip(("7860", "7861"), replicas, strict=True):
        upstream = upstream.replace(f"127.0.0.1:{port}", replica)
    upstream = upstream.replace(f"server {replicas[0]};", f"{dead} server {replicas[0]};")
    (line,) = re.findall(r"^    add_header Set-Cookie .*;$", HOSTING, re.MULTILINE)
    location = snippet("location /pictures/").replace("http://127.0.0.1:7860/;", f"http://genrestore/;\n{line}")
    served: set[str] = set()
    with nginx(tmp_path, location, upstream) as address:
        for visitor in range(40):  # each goes to either by chance: that all go to one has a chance of 2⁻³⁹
            with httpx.Client(base_url=f"{address}/pictures", timeout=60) as client:
                opened = client.get("/")
                assert opened.status_code == 200 and opened.headers["set-cookie"].startswith("genrestore=")
                assert "set-cookie" not in client.get("/").headers, "it has its cookie"
                served.add(used(address, client))
            if visitor >= 5 and len(served) == 2:
                break
        assert len(served) == 2
        for _ in range(3):
            with httpx.Client(base_url=f"{address}/pictures", timeout=60) as program:
                used(address, program)  # the page is not opened first
        (made,) = Client(f"{address}/pictures/", verbose=False).predict(model="vae-mnist", seed=3, api_name="/sample")
        assert Path(made).name == "vae-mnist-3.png"


# ---- the image ----


def steps(name: str) -> list[str]:
    """What follows an instruction's name, in every place of the Dockerfile."""
    return re.findall(rf"^\s*{name}\s+(.*)$", DOCKERFILE, re.MULTILINE)


def test_the_image_copies_what_is_there_and_nothing_else() -> None:
    ignored = (ROOT / ".dockerignore").read_text("utf-8").split()
    assert ignored[0] == "*", "what is not named stays out"
    let_in = [name[1:] for name in ignored if name.startswith("!")]
    copied = [name for step in steps("COPY") if "--from" not in step for name in step.split()[:-1]]
    assert sorted(copied) == sorted(let_in)
    assert all((ROOT / name).exists() for name in copied)
    built = (ROOT / "pyproject.toml").read_text("utf-8")
    for name in ("README.md", "LICENSE", "weights"):  # what the wheel is made of besides
        assert name in copied and name in built
    assert any(fnmatch.fnmatch("genrestore/ui/__pycache__", pattern) for pattern in ignored if pattern[0] != "!")


def test_the_image_runs_without_rights_and_keeps_all_on_its_volume() -> None:
    assert steps("USER") == ["genrestore"] and DOCKERFILE.index("USER") < DOCKERFILE.index("ENTRYPOINT")
    (volume,) = steps("VOLUME")
    for name in ("GENRESTORE_HOME", "HF_HOME"):
        assert re.search(rf"\b{name}={volume}/\w+", DOCKERFILE)
    (page,) = steps("EXPOSE")
    assert f"GRADIO_SERVER_PORT={page}" in DOCKERFILE
    composed = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    (usual,) = re.findall(r"^ARG TORCH=(\w+)$", DOCKERFILE, re.MULTILINE)
    builds: dict[str, str] = {}
    for name, service in composed["services"].items():
        assert service["profiles"] == [name] and service["volumes"] == [f"data:{volume}"]
        assert service["ports"] == [f"127.0.0.1:{page}:{page}"], "not for the whole network unless somebody says so"
        build = service["build"]
        builds[name] = build["args"]["TORCH"] if isinstance(build, dict) else usual
    assert builds == {"cpu": "cpu", "gpu": "cuda"} and "cuda)" in DOCKERFILE
    (device,) = composed["services"]["gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia" and "deploy" not in composed["services"]["cpu"]


def test_the_image_s_own_check_tells_whether_the_page_answers(replicas: list[str]) -> None:
    (check,) = re.findall(r"HEALTHCHECK.*?CMD (\[.*\])", DOCKERFILE)
    _, *arguments = json.loads(check)

    def healthy(place: str) -> bool:
        command = [sys.executable, *(one.replace("127.0.0.1:7860", place) for one in arguments)]
        return subprocess.run(command, check=False, capture_output=True, timeout=60).returncode == 0

    assert healthy(replicas[0])
    assert not healthy(f"127.0.0.1:{free_port()}")


def test_the_image_s_command_is_one_of_ours() -> None:
    """Options included: what stands in CMD is what a user replaces."""
    (entry,), (more,) = steps("ENTRYPOINT"), steps("CMD")[-1:]
    program, *arguments = [*json.loads(entry), *json.loads(more)]
    assert program == "genrestore"
    command = [sys.executable, "-m", "genrestore", *arguments, "--help"]
    told: Any = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert all(option in told.stdout for option in arguments if option.startswith("--"))
