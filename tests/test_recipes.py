"""What a result's file says of how it was made, and a result made again of it."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import genrestore
from genrestore import runtime, weights
from genrestore.errors import GenrestoreError, ImageError, MaskError, ModelError, SettingError
from genrestore.pictures import image, xmp
from genrestore.pipelines import inpaint as repairing
from genrestore.pipelines import made
from genrestore.recipe import RunRecipe

PHOTO = Path(__file__).parent.parent / "genrestore" / "ui" / "examples" / "dog.jpg"
FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF")
DC = "http://purl.org/dc/elements/1.1/"
PACKET = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><!-- mine --><r:RDF xmlns:r="{xmp.RDF}">
 <r:Description r:about="uuid:7" xmlns:dc="{DC}" xmlns:i="{xmp.IPTC}" dc:format='a > b'
   i:DigitalSourceType="{xmp.TERMS}digitalCapture"><dc:title>Größe &amp; Tür</dc:title></r:Description>
</r:RDF></x:xmpmeta>
<?xpacket end="w"?>""".encode()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("recipes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENRESTORE_HOME", str(folder / "home"))
        yield folder


@pytest.fixture(scope="module")
def photo(home: Path) -> Path:
    """A small photo with EXIF, a place, XMP, a profile and a comment."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Maker", 6
    exif[0x8825] = {1: "N", 2: (47.0, 22.0, 0.0)}
    with Image.open(PHOTO) as opened:
        small = opened.convert("RGB").resize((120, 90))
    path = home / "photo.jpg"
    profile = Image.open(PHOTO).info.get("icc_profile") or _srgb()
    small.save(path, exif=exif, xmp=PACKET, icc_profile=profile, comment=b"a comment", quality=92)
    return path


def _srgb() -> bytes:
    from PIL import ImageCms

    profile: Any = ImageCms.createProfile("sRGB")  # pyright: ignore[reportUnknownMemberType]
    return ImageCms.ImageCmsProfile(profile).tobytes()


@pytest.fixture(scope="module")
def mask(home: Path) -> Path:
    marks = np.zeros((120, 90), np.uint8)
    marks[30:70, 40:46] = 255
    path = home / "mask.png"
    Image.fromarray(marks).save(path)
    return path


@pytest.fixture(scope="module")
def repaired(photo: Path, mask: Path) -> image.Picture:
    return genrestore.inpaint(image.load(photo), mask, grow=2, seed=3)


def test_a_recipe_says_all_that_made_a_result(repaired: image.Picture, photo: Path) -> None:
    recipe = repaired.recipe
    assert recipe is not None
    card = weights.resolve("auto", "inpaint")
    assert (recipe.task, recipe.model, recipe.sha256, recipe.seed) == ("inpaint", "auto", card.sha256, 3)
    assert recipe.settings == {"strategy": "crop", "grow": 2} and recipe.version == genrestore.__version__
    assert (
        recipe.input_sha256 == weights.digest(photo) and recipe.backend == runtime.load("auto", task="inpaint").backend
    )
    assert recipe.source == "compositeWithTrainedAlgorithmicMedia" and list(recipe.masks) == ["mask"]
    assert RunRecipe.parse(recipe.text(1 << 20) or "") == recipe


@pytest.mark.parametrize("kind", FORMATS)
def test_a_result_of_any_format_is_made_again(kind: str, repaired: image.Picture, photo: Path) -> None:
    data = image.encode(repaired, format=kind)
    assert image.recipe(data) == repaired.recipe
    again = genrestore.replay(data, photo)
    assert (again.differing, again.notes) == (0, ()) and again.picture.recipe == repaired.recipe
    packet = image.load(data).xmp
    assert xmp.told(packet).source == "compositeWithTrainedAlgorithmicMedia" and b"<!-- mine -->" in (packet or b"")


def test_what_the_photo_brought_stays_byte_for_byte(repaired: image.Picture, photo: Path) -> None:
    before, after = image.load(photo), image.load(image.encode(repaired, format="TIFF"))
    assert after.icc == before.icc and after.exif is not None and b"Maker" in after.exif
    packet = after.xmp or b""
    own = packet[packet.index(b"<rdf:Description") : packet.index(b"</rdf:Description>") + len(b"</rdf:Description>")]
    gone = f'\n   i:DigitalSourceType="{xmp.TERMS}digitalCapture"'.encode()
    assert packet.replace(own, b"") == (before.xmp or b"").replace(gone, b"") and b'about="uuid:7"' in own
    outside = ~repairing.widened(made.unpacked(repaired.recipe.masks["mask"], (90, 120)), 2)  # pyright: ignore
    assert not (after.pixels != before.pixels)[outside].any(), "every sample outside the mask is the photo's"


@pytest.mark.parametrize("kind", FORMATS)
def test_switches_leave_the_recipe_and_the_photo_s_own_out(kind: str, repaired: image.Picture, photo: Path) -> None:
    bare = image.encode(repaired, format=kind, recipe=False)
    assert image.recipe(bare) is None and b"genrestore" not in bare
    assert image.load(bare).exif is not None and b"T\xc3\xbcr" in (image.load(bare).xmp or b"")
    assert xmp.told(image.load(bare).xmp).source == "digitalCapture"
    data = image.encode(repaired, format=kind, strip=True)
    stripped = image.load(data)
    assert b"Maker" not in data and b"T\xc3\xbcr" not in data and b"a comment" not in data and stripped.exif is None
    assert stripped.icc == image.load(photo).icc and stripped.pixels.shape == (120, 90, 3), "it stands as it is seen"
    assert image.recipe(data) == repaired.recipe and genrestore.replay(data, photo).differing == 0
    nothing = image.load(image.encode(repaired, format=kind, strip=True, recipe=False))
    assert (nothing.exif, nothing.xmp, nothing.text) == (None, None, {})


def test_one_step_after_another_is_told_and_followed(photo: Path, mask: Path) -> None:
    first = genrestore.inpaint(image.load(photo), mask)
    second = genrestore.upscale(genrestore.restore(first, strength=0.5), 2)
    assert [step.task for step in second.recipe.steps] == ["inpaint", "restore", "upscale"]
    assert second.recipe.source == "compositeWithTrainedAlgorithmicMedia", "the most of them"
    again = genrestore.replay(image.encode(second), photo)
    assert again.differing == 0 and np.array_equal(again.picture.pixels, second.pixels)
    data = image.encode(first)
    alone = genrestore.upscale(image.load(data), 2)
    assert not alone.recipe.before and alone.recipe.input_sha256 == image.load(data).sha256, (
        "a file is what it is made of"
    )
    assert xmp.told(image.load(image.encode(alone)).xmp).source == "compositeWithTrainedAlgorithmicMedia"


def test_a_drawn_picture_is_made_again(home: Path) -> None:
    from genrestore.pipelines.sample import signed
    from genrestore.ui.tabs.sample import tab

    drawn = genrestore.sample("vae-mnist", 1, 7, truncation=0.8)[0]
    data = image.encode(signed(drawn, "vae-mnist", seed=7, truncation=0.8))
    assert genrestore.replay(data).differing == 0
    assert xmp.told(image.load(data).xmp).source == "trainedAlgorithmicMedia"
    state = {"model": "vae-mnist", "seed": 3, "truncation": 0.5, "a": [1.0], "raw": {"2": -0.5}}
    url = tab.enlarged({"state": state, "times": 3, "smooth": True})["url"]
    import base64

    large = base64.b64decode(url.partition(",")[2])
    assert genrestore.replay(large).differing == 0 and image.load(large).width == 84
    recipe = image.recipe(large)
    assert recipe is not None and recipe.settings["a"] == [1.0] and recipe.settings["raw"] == {"2": -0.5}


def test_a_result_of_pieces_says_that_nothing_was_made_up(photo: Path) -> None:
    marks = np.zeros((120, 90), np.uint8)
    marks[40:80, 30:60] = 255
    result = genrestore.inpaint(image.load(photo), marks, model="exemplar")
    assert (result.recipe.source, result.recipe.sha256, result.recipe.model) == (
        "algorithmicallyEnhanced",
        "",
        "exemplar",
    )
    assert genrestore.replay(image.encode(result), photo).differing == 0


def test_a_hole_that_was_grown_on_the_page_is_kept(photo: Path) -> None:
    source = image.load(photo)
    marks = np.zeros((120, 90), bool)
    marks[30:40, 30:40] = True
    hole = repairing.widened(marks, 3)
    hole[25, 20:25] = True  # the page grows it nearly so
    result = repairing.repair(source, marks, grow=3, hole=hole)
    masks = {"mask": marks, "hole": hole, "forbid": None}
    signed = repairing.signed_repair(result, source, "auto", {"strategy": "crop", "grow": 3, "feather": None}, 0, masks)
    again = genrestore.replay(image.encode(signed), photo)
    assert again.differing == 0 and again.picture.recipe == signed.recipe


# --- what does not fit ---------------------------------------------------------------------------------------------------


def test_what_is_missing_or_another_is_one_sentence(repaired: image.Picture, photo: Path, mask: Path) -> None:
    data = image.encode(repaired)
    other = np.zeros((120, 90), np.uint8)
    other[:9, :9] = 255
    for arguments, error, words in (
        ((data,), SettingError, r"Name the picture that this one was made of \(sha256 [0-9a-f]{12}…\), with --input\."),
        ((data, image.encode(image.load(photo))), ImageError, "The input is not the picture"),
        ((photo.read_bytes(), photo), SettingError, "does not say how it was made"),
    ):
        with pytest.raises(error, match=words):
            genrestore.replay(*arguments)
    with pytest.raises(MaskError, match="not one that the picture was made with"):
        genrestore.replay(data, photo, masks=[other])
    recipe = repaired.recipe
    assert recipe is not None
    small = dataclasses.replace(
        repaired, recipe=RunRecipe.parse(recipe.text(len(recipe.text(1 << 20) or "") - 1) or "")
    )
    with pytest.raises(SettingError, match="A mask was too large"):
        genrestore.replay(image.encode(small), photo)
    assert genrestore.replay(image.encode(small), photo, masks=[mask]).differing == 0


def test_another_weight_of_that_name_is_told(repaired: image.Picture, photo: Path) -> None:
    recipe = dataclasses.replace(repaired.recipe, sha256="0" * 64)  # pyright: ignore[reportArgumentType]
    for name, words in (
        ("auto", "is another weight here"),
        ("residual-fill", "is another weight here"),
        ("gone", "no model"),
    ):
        data = image.encode(dataclasses.replace(repaired, recipe=dataclasses.replace(recipe, model=name)))
        with pytest.raises(ModelError, match=words):
            genrestore.replay(data, photo)
    moved = dataclasses.replace(repaired.recipe, model="renamed")  # pyright: ignore[reportArgumentType]
    assert genrestore.replay(image.encode(dataclasses.replace(repaired, recipe=moved)), photo).differing == 0


BASE: dict[str, Any] = {
    "task": "restore", "model": "auto", "sha256": "", "settings": {}, "seed": 0, "input_sha256": "", "version": "0",
}  # fmt: skip
HOSTILE: dict[str, Callable[[], Any]] = {
    "no object": list,
    "nested": lambda: "[" * 100_000,
    "nested settings": lambda: {**BASE, "settings": {"a": [[[[[1]]]]]}},
    "long": lambda: {**BASE, "model": "x" * 2_000_000},
    "a number as a task": lambda: {**BASE, "task": 5},
    "true as a seed": lambda: {**BASE, "seed": True},
    "a large seed": lambda: {**BASE, "seed": 10**30},
    "no number": lambda: json.dumps({**BASE, "settings": {"strength": 1}}).replace("1}", "NaN}"),
    "a name with escapes": lambda: {**BASE, "task": "\x1b[31mrestore"},
    "an unknown task": lambda: {**BASE, "task": "cook"},
    "no weight": lambda: BASE,
    "a path": lambda: {**BASE, "sha256": "0" * 64, "model": "file:/etc/passwd"},
    "another path": lambda: {**BASE, "sha256": "0" * 64, "model": "../../x"},
    "one of the Hub": lambda: {**BASE, "sha256": "0" * 64, "model": "hf:ann/nothing-here"},
    "a reserved setting": lambda: {**real(), "settings": {"cancel": 1}},
    "an unknown setting": lambda: {**real(), "settings": {"wish": 1}},
    "a wrong setting": lambda: {**real(), "settings": {"strength": "very"}},
    "a list for a number": lambda: {**real(), "settings": {"strength": [1]}},
    "a bad mask": lambda: {**BASE, "masks": {"mask": {"width": 1}}},
    "many steps": lambda: {**BASE, "before": [BASE] * 1000},
    "steps within steps": lambda: {**BASE, "before": [{**BASE, "before": [BASE]}]},
    "a mask that unpacks to more": lambda: {**fills(), "masks": {"mask": bomb()}},
    "a mask of another size": lambda: {**fills(), "masks": {"mask": {**bomb(), "width": 5}}},
    "a choice": lambda: {**real(), "by_hand": True},
}


def real() -> dict[str, Any]:
    return {**BASE, "sha256": weights.resolve("auto", "restore").sha256}


def fills() -> dict[str, Any]:
    return {**BASE, "task": "inpaint", "sha256": weights.resolve("auto", "inpaint").sha256}


def bomb() -> dict[str, Any]:
    import base64
    import zlib

    data = base64.b64encode(zlib.compress(bytes(50 << 20), 9)).decode()
    return {"width": 90, "height": 120, "sha256": "0" * 64, "data": data}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_recipe_is_one_sentence_and_nothing_is_done(
    kind: str, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genrestore.hub import client

    content = HOSTILE[kind]()
    text = content if isinstance(content, str) else json.dumps(content)
    source = image.load(photo)
    data = image.encode(dataclasses.replace(source, format="PNG", text={"genrestore": text[: (1 << 20) - 100]}))
    monkeypatch.setattr(client, "api", lambda: pytest.fail("the Hub was asked"))
    monkeypatch.setattr(runtime, "_load", lambda *_: pytest.fail("a net was loaded"))
    with pytest.raises(GenrestoreError) as told:
        genrestore.replay(data, photo)
    sentence = str(told.value)
    assert "\n" not in sentence and "\x1b" not in sentence and len(sentence) < 300, sentence
    assert kind != "one of the Hub" or "genrestore models pull hf:ann/nothing-here" in sentence


# --- XMP -----------------------------------------------------------------------------------------------------------------


def test_a_packet_is_extended_again_and_again_and_does_not_grow() -> None:
    once = xmp.extended(PACKET, '{"a": "<&>"}', xmp.ENHANCED)
    assert once is not None and xmp.told(once) == ('{"a": "<&>"}', xmp.ENHANCED)
    twice = xmp.extended(once, '{"b": "<&>"}', xmp.ENHANCED)
    assert twice is not None and len(twice) == len(once) and xmp.told(twice).recipe == '{"b": "<&>"}'
    assert twice.count(b"DigitalSourceType>") == 2
    stronger = xmp.extended(xmp.extended(twice, None, xmp.TRAINED), None, xmp.COMPOSITE)
    assert xmp.told(stronger) == (None, xmp.TRAINED), "what a net drew stays that, whatever is done to it"


@pytest.mark.parametrize(
    "packet",
    [
        b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>",
        PACKET.replace(b"<x:xmpmeta", b"<!DOCTYPE x SYSTEM 'file:///etc/passwd'><x:xmpmeta"),
        PACKET[:-60],
        b"no XML at all",
        b"<x/>",
        b"\xff\xfe\x00",
    ],
)
def test_a_packet_that_cannot_be_read_stays_as_it_is(packet: bytes) -> None:
    assert xmp.extended(packet, "{}", xmp.ENHANCED) == packet and xmp.told(packet) == (None, None)


@pytest.mark.parametrize(
    "packet",
    [
        PACKET.decode().encode("utf-16"),
        PACKET + bytes(3),
        f'<rdf:RDF xmlns:rdf="{xmp.RDF}"/>'.encode(),
        PACKET.replace(
            b"</r:RDF>", f'<r:Description r:about="" xmlns:g="{xmp.OURS}" g:Recipe="old"/></r:RDF>'.encode()
        ),
    ],
)
def test_packets_of_any_make_are_extended(packet: bytes) -> None:
    again = xmp.extended(packet, "new", xmp.ENHANCED)
    assert again is not None and xmp.told(again) == ("new", xmp.ENHANCED) and b"old" not in again


def test_a_photo_s_own_xmp_goes_before_the_recipe(photo: Path, repaired: image.Picture) -> None:
    """A JPEG holds 64 kB of it."""
    large = PACKET.replace(b"Gr", b"x" * 64_000 + b"Gr")
    kept = image.load(image.encode(dataclasses.replace(repaired, xmp=large), format="JPEG"))
    assert kept.xmp is not None and b"x" * 64_000 in kept.xmp and image.recipe(kept) is None


# --- command and page ------------------------------------------------------------------------------------------------------


def test_the_command_makes_a_result_again(photo: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from genrestore.cli.main import main

    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        told = capsys.readouterr()
        return int(end.value.code or 0), told.out, told.err

    result, bare = home / "result.png", home / "bare.png"
    assert call("restore", photo, "-o", result, "--strength", "0.5")[0] == 0
    code, out, _ = call("replay", result, "--input", photo)
    assert code == 0 and out == f"{home / 'result.replayed.png'}\nAll samples are those of the result.\n"
    assert call("restore", photo, "-o", bare, "--no-recipe", "--strip")[0] == 0
    assert image.recipe(bare) is None and image.load(bare).exif is None
    code, out, err = call("replay", bare, "--input", photo)
    assert code == 2 and out == "" and err.count("\n") == 1 and "does not say how it was made" in err
    code, _, err = call("replay", result, "--input", bare, "--force")
    assert code == 2 and "not the picture that this one was made of" in err


def test_a_dropped_result_sets_its_settings_again(photo: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import gradio as gr

    from genrestore.ui.parts import recipes
    from genrestore.ui.parts.mask_editor import MaskEditor
    from genrestore.ui.tabs import upscale
    from genrestore.ui.tabs.inpaint import tab as inpaint
    from genrestore.ui.tabs.sample import tab as sample

    said: list[str] = []
    monkeypatch.setattr(gr, "Info", said.append)
    enlarged = home / "enlarged.png"
    image.save(genrestore.upscale(image.load(photo), 3), enlarged)
    monkeypatch.setattr(MaskEditor, "file", lambda value: enlarged)
    monkeypatch.setattr(upscale.TAB, "parts", 3)
    request: Any = gr.Request(headers={"accept-language": "en"})
    model, scale, width, height = upscale.TAB.restored(request, {"file": {}})
    assert model["value"] == weights.resolve("auto", "upscale").name and scale["value"] == 3
    assert (width["value"], height["value"]) == (0, 0) and "are set again" in said.pop()
    assert inpaint.restored({"file": {}}, request) == [gr.skip()] * 3
    assert said.pop() == "This result was made on the tab Upscale; dropped there, it sets its settings again."
    monkeypatch.setattr(sample, "uploaded", lambda file: enlarged)
    assert "tab Upscale" in sample.recall({})["problem"]
    state = {"model": "vae-mnist", "seed": 3, "truncation": 0.5, "a": [1.0], "raw": {"2": -0.5}, "told": {}}
    import base64

    enlarged.write_bytes(base64.b64decode(sample.download(state)["url"].partition(",")[2]))
    assert json.loads(json.dumps(sample.recall({})["state"])) == state
    image.save(
        genrestore.inpaint(image.load(photo), np.eye(120, 90, dtype=bool), feather=4, strategy="whole"), enlarged
    )
    model, strategy, feather = inpaint.restored({"file": {}}, request)
    assert (model["value"], strategy["value"], feather["value"]) == ("auto", "whole", "4")
    assert recipes.told(["recipe"]) == {"recipe": True, "strip": True} and recipes.told(None)["strip"] is False
