"""What a browser sends is checked before it is used: the picture must be an upload, the mask a PNG of its size."""

import base64
import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio")

from genrestore.errors import GenrestoreError, ImageError, MaskError
from genrestore.pictures import image
from genrestore.ui.parts import mask_editor
from genrestore.ui.parts.mask_editor import MaskEditor, checks

HERE = Path(mask_editor.__file__).parent


@pytest.fixture
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that Gradio keeps uploads in, with photo.png of 40 × 30 in it."""
    folder = tmp_path / "uploads"
    (folder / "hash").mkdir(parents=True)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder))
    Image.new("RGB", (40, 30), "teal").save(folder / "hash" / "photo.png")
    return folder


def data_url(mask: Image.Image | bytes) -> str:
    if isinstance(mask, Image.Image):
        file = io.BytesIO()
        mask.save(file, "PNG")
        mask = file.getvalue()
    return "data:image/png;base64," + base64.b64encode(mask).decode()


def payload(path: object, mask: object = None, **more: Any) -> dict[str, Any]:
    return {"file": {"path": path, "meta": {"_type": "gradio.FileData"}}, "mask": mask, "w": 40, "h": 30, **more}


@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_a_mask_is_read_exactly(uploads: Path, mode: str) -> None:
    marked = np.random.default_rng(0).random((30, 40)) < 0.4
    mask = Image.fromarray(np.uint8(255) * marked).convert(mode)
    picture, read, marks = MaskEditor.read(payload(str(uploads / "hash" / "photo.png"), data_url(mask)))
    assert (picture.width, picture.height) == (40, 30)
    assert read.dtype == bool
    assert np.array_equal(read, marked)
    assert marks["forbidden"] is None and marks["hole"] is None and np.array_equal(marks["mask"], marked)


def test_a_grown_mask_comes_with_what_was_painted(uploads: Path) -> None:
    path, grown = str(uploads / "hash" / "photo.png"), np.zeros((30, 40), bool)
    grown[5:20, 5:20] = True
    painted = np.zeros_like(grown)
    painted[8:17, 8:17] = True
    urls = {"mask": data_url(Image.fromarray(grown)), "painted": data_url(Image.fromarray(painted))}
    _, hole, marks = MaskEditor.read({**payload(path, urls["mask"]), **urls, "grow": 3})
    assert (
        np.array_equal(hole, grown) and np.array_equal(marks["hole"], grown) and np.array_equal(marks["mask"], painted)
    )
    assert marks["grow"] == 3
    for wrong in ({"grow": 0}, {"grow": "3"}, {"grow": 10_000}, {"painted": data_url(Image.new("1", (40, 30), 1))}):
        with pytest.raises(MaskError, match="not what was painted"):
            MaskEditor.read({**payload(path, urls["mask"]), **urls, "grow": 3, **wrong})


def test_what_must_not_be_copied_is_read_as_the_mask_is(uploads: Path) -> None:
    path, mask = str(uploads / "hash" / "photo.png"), data_url(Image.new("1", (40, 30), 1))
    part = np.arange(1200).reshape(30, 40) % 3 == 0
    forbidden = MaskEditor.read(payload(path, mask, forbid=data_url(Image.fromarray(part))))[2]["forbidden"]
    assert np.array_equal(forbidden, part)
    for forbid in (5, "x", data_url(Image.new("1", (30, 40), 1))):
        with pytest.raises(MaskError):
            MaskEditor.read(payload(path, mask, forbid=forbid))


def test_an_empty_mask_is_read_as_empty(uploads: Path) -> None:
    """The tab says what to do then; the component does not decide."""
    _, read, _ = MaskEditor.read(payload(str(uploads / "hash" / "photo.png"), data_url(Image.new("1", (40, 30)))))
    assert read.shape == (30, 40)
    assert not read.any()


@pytest.mark.parametrize(
    "value",
    [
        None,
        "text",
        [],
        {},
        {"file": None},
        {"file": "/etc/passwd"},
        {"file": {}},
        payload(None),
        payload(7),
        payload("\0"),
    ],
)
def test_a_value_without_an_upload_is_refused(uploads: Path, value: object) -> None:
    with pytest.raises(ImageError, match="No picture was uploaded"):
        MaskEditor.read(value)


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "{uploads}/../secret.png", "{uploads}/link.png", "secret.png", "~", ""]
)
def test_a_file_outside_the_uploads_is_refused(uploads: Path, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is there or not, is a picture or not, and whatever way leads out: the answer is the same."""
    secret = uploads.parent / "secret.png"
    Image.new("RGB", (40, 30)).save(secret)
    (uploads / "link.png").symlink_to(secret)
    monkeypatch.chdir(uploads.parent)
    with pytest.raises(ImageError, match="was not uploaded here"):
        MaskEditor.read(payload(path.format(uploads=uploads), data_url(Image.new("1", (40, 30), 1))))


def test_an_upload_that_is_gone_is_named(uploads: Path) -> None:
    with pytest.raises(ImageError, match="no longer on the server"):
        MaskEditor.read(payload(str(uploads / "hash" / "gone.png")))


@pytest.mark.parametrize(
    ("mask", "reason"),
    [
        (None, "must be a PNG"),
        (5, "must be a PNG"),
        ("https://example.org/mask.png", "must be a PNG"),
        ("data:image/svg+xml;base64,AAAA", "must be a PNG"),
        ("data:image/png;base64,@@@", "is not a PNG"),
        (data_url(b"GIF89a"), "is not a PNG"),
        (data_url(Image.new("1", (40, 30), 1)).replace("image/png", "image/jpeg"), "must be a PNG"),
        (data_url(Image.new("1", (30, 40), 1)), "30×40"),
        (data_url(Image.new("1", (400, 300), 1)), "400×300"),
        ("data:image/png;base64," + "A" * (checks.MASK_BYTES * 2), "larger than"),
    ],
)
def test_a_bad_mask_is_refused(uploads: Path, mask: object, reason: str) -> None:
    with pytest.raises(MaskError, match=reason):
        MaskEditor.read(payload(str(uploads / "hash" / "photo.png"), mask))


def test_a_mask_cut_short_is_refused(uploads: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (30, 40), np.uint8)).save(file, "PNG")
    with pytest.raises(GenrestoreError):
        MaskEditor.read(payload(str(uploads / "hash" / "photo.png"), data_url(file.getvalue()[:400])))


def test_a_mask_that_claims_to_be_huge_is_refused_unread(uploads: Path) -> None:
    """Its header says 100,000 × 100,000; nothing of that size may be allocated."""
    file = io.BytesIO()
    Image.new("1", (40, 30)).save(file, "PNG")
    data = bytearray(file.getvalue())
    data[16:24] = (100_000).to_bytes(4, "big") * 2
    with pytest.raises(MaskError):
        MaskEditor.read(payload(str(uploads / "hash" / "photo.png"), data_url(bytes(data))))


def test_the_editor_asks_for_size_and_preview(uploads: Path) -> None:
    path = uploads / "hash" / "photo.png"
    assert mask_editor.inspect(payload(str(path))["file"]) == {"width": 40, "height": 30, "alike": True}
    assert mask_editor.preview(payload(str(path))["file"])["url"].startswith("data:image/webp;base64,")
    for ask in (mask_editor.inspect, mask_editor.preview):
        assert "not uploaded here" in ask({"path": "/etc/passwd"})["problem"]
        assert "No picture" in ask(None)["problem"]
    path.write_bytes(b"no picture at all")
    assert set(mask_editor.inspect(payload(str(path))["file"])) == {"problem"}


def test_a_mask_s_file_is_read_as_everywhere_else(uploads: Path) -> None:
    """By `image.load_mask`: a rule of the page's own would mark other pixels than the command line does."""
    rng = np.random.default_rng(4)
    pixels = np.zeros((30, 40, 4), np.uint8)
    pixels[..., :3] = np.uint8(255) * (rng.random((30, 40, 1)) < 0.3)
    pixels[1:, :, 3] = 255  # one clear row
    for name, mask in (("rgba.png", pixels), ("grey.png", pixels[..., 0]), ("layer.tif", np.roll(pixels, 1, 2))):
        Image.fromarray(mask).save(uploads / "hash" / name)
        files = {
            "picture": {"path": str(uploads / "hash" / "photo.png")},
            "mask": {"path": str(uploads / "hash" / name)},
        }
        with Image.open(io.BytesIO(base64.b64decode(mask_editor.mask(files)["url"].split(",")[1]))) as opened:
            assert opened.mode == "1"
            assert np.array_equal(np.asarray(opened), image.load_mask(uploads / "hash" / name, (40, 30)))
    files["mask"]["path"] = str(uploads / "hash" / "photo.png")
    assert set(mask_editor.mask(files)) == {"problem"}, "it marks nothing"
    for wrong in (None, {}, {"picture": files["picture"]}, {**files, "mask": {"path": "/etc/passwd"}}):
        assert set(mask_editor.mask(wrong)) == {"problem"}


def test_an_object_is_found_for_the_editor(uploads: Path) -> None:
    """What a forger sends is refused in a sentence, as everywhere."""
    pixels = np.full((60, 80, 3), 90, np.uint8)
    pixels[20:40, 30:60] = (200, 30, 30)
    Image.fromarray(pixels).save(uploads / "hash" / "red.png")
    file = {"path": str(uploads / "hash" / "red.png")}
    answer = mask_editor.select({"file": file, "outline": [[25, 14], [66, 15], [65.5, 46], [24, 44]]})
    with Image.open(io.BytesIO(base64.b64decode(answer["url"].split(",")[1]))) as opened:
        assert (opened.mode, opened.size) == ("1", (answer["width"], answer["height"]))
        found = np.zeros((60, 80), bool)
        found[answer["top"] :, answer["left"] :][: answer["height"], : answer["width"]] = np.asarray(opened)
    assert np.array_equal(found, pixels[..., 0] == 200)
    wrong: list[Any] = [
        None,
        [],
        "x",
        [5],
        [[1]],
        [[1, 2, 3]],
        [[1, "2"]],
        [[1, True]],
        [[1, None]],
        [[float("nan"), 1]],
    ]
    wrong += [[[10**400, 1]], [[1, float("inf")]], [[1, 1]] * (checks.MOST_POINTS + 1)]
    for outline in wrong:
        assert "list of 1 to" in mask_editor.select({"file": file, "outline": outline})["problem"]
    assert "not uploaded here" in mask_editor.select({"file": {"path": "/etc/passwd"}, "outline": [[1, 1]]})["problem"]
    assert (
        "goes round nothing" in mask_editor.select({"file": file, "outline": [[-9, -9], [-5, -9], [-5, 50]]})["problem"]
    )


def oriented(kind: str, orientation: int, xmp: bool) -> bytes:
    """A picture with an orientation in its EXIF or in its XMP."""
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    told = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><d tiff:Orientation="{orientation}"/></x:xmpmeta>'.encode()
    Image.new("RGB", (8, 6)).save(file, kind, **({"xmp": told} if xmp else {"exif": exif.tobytes()}))
    return file.getvalue()


@pytest.mark.parametrize(
    ("kind", "orientation", "xmp", "alike"),
    [
        *((kind, 1, xmp, True) for kind in ("JPEG", "PNG", "WEBP") for xmp in (False, True)),
        *(("JPEG", turned, False, True) for turned in range(2, 9)),  # every browser turns these
        *((kind, 3, False, False) for kind in ("PNG", "WEBP", "AVIF", "TIFF")),
        *((kind, 3, True, False) for kind in ("JPEG", "WEBP")),
        *((kind, 1, False, False) for kind in ("AVIF", "TIFF")),
    ],
)
def test_what_browsers_may_not_turn_or_draw_is_drawn_by_the_server(
    uploads: Path, kind: str, orientation: int, xmp: bool, alike: bool
) -> None:
    path = uploads / "hash" / "photo"
    path.write_bytes(oriented(kind, orientation, xmp))
    assert mask_editor.inspect({"path": str(path)})["alike"] is alike


def test_a_photo_with_broken_exif_is_drawn_by_the_server(uploads: Path) -> None:
    """Its orientation is read, and browsers differ about what they make of the rest."""
    exif = b"II*\0\x08\0\0\0\x02\0" + struct.pack("<HHIHxxHHII", 0x0112, 3, 1, 6, 0x8825, 4, 1, 60) + b"\xff" * 200
    path = uploads / "hash" / "photo"
    Image.new("RGB", (8, 6)).save(path, "JPEG", exif=b"Exif\0\0" + exif)
    assert mask_editor.inspect({"path": str(path)}) == {"width": 6, "height": 8, "alike": False}
