"""What picture files hold beside their samples: colours, orientation, attachments, frames; and what a result keeps of it."""

import io
import os
import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, JpegImagePlugin

from genrestore.errors import ImageError
from genrestore.pictures import boxes, colour, heif, ifd, image, jpeg, structure
from genrestore.pictures.boxes import Cicp
from genrestore.pictures.image import Limits, Picture, encode, load, save

pytestmark = pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # pytest lifts image.py's filter

REPRO = Path(__file__).parent / "repro"


def smooth(height: int = 48, width: int = 64) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], -1).astype(np.uint8)


def pillow(pixels: np.ndarray | Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    drawn = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    drawn.save(file, kind, **options)
    return file.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(*chunks: bytes, pixels: np.ndarray | None = None) -> bytes:
    """A PNG with these chunks before its samples."""
    data = pillow(smooth() if pixels is None else pixels, "PNG")
    return data[:33] + b"".join(chunks) + data[33:]


def chunks(data: bytes) -> dict[bytes, bytes]:
    """The chunks of a PNG by name."""
    at, found = 8, dict[bytes, bytes]()
    while at < len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        found[name] = data[at + 8 : at + 8 + length]
        at += 12 + length
    return found


# --- colours ---------------------------------------------------------------------------------------------------------


def seen(picture: Picture) -> np.ndarray:
    """The pixels as a viewer that heeds profiles shows them on an sRGB screen."""
    assert picture.icc is not None
    profile, srgb = ImageCms.ImageCmsProfile(io.BytesIO(picture.icc)), ImageCms.createProfile("sRGB")
    mode = "L" if picture.channels == 1 else "RGB"
    shown = ImageCms.profileToProfile(Image.fromarray(picture.pixels.squeeze(2) if mode == "L" else picture.pixels),
                                      profile, srgb, outputMode=mode if mode == "RGB" else "RGB")  # fmt: skip
    assert shown is not None
    return np.asarray(shown)


def srgb_of(light: np.ndarray) -> np.ndarray:
    """8-bit sRGB of linear light."""
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light.clip(1e-9) ** (1 / 2.4) - 0.055)
    return np.rint(255 * curve.clip(0, 1))


LINEAR = chunk(b"gAMA", struct.pack(">I", 100_000))
SRGB_CHROMA = chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000))
P3_CHROMA = chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000))
P3_TO_SRGB = np.array([[1.2249, -0.2247, 0], [-0.0420, 1.0419, 0], [-0.0197, -0.0786, 1.0979]])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_gamma_of_png_is_kept(kind: str) -> None:
    """Samples of linear light look far darker where nothing says so."""
    first = load(png(LINEAR))
    assert np.abs(seen(first).astype(int) - srgb_of(first.pixels / 255)).max() <= 2
    again = load(encode(first, format=kind))
    assert again.icc == first.icc, "every format carries it"


def test_gamma_of_grey_and_alpha() -> None:
    grey = load(png(LINEAR, pixels=smooth()[..., 0] // 2 + 128))
    assert np.abs(seen(grey)[..., 0].astype(int) - srgb_of(grey.pixels[..., 0] / 255)).max() <= 2
    clear = np.dstack([smooth(), smooth()[..., 0]])
    assert load(encode(load(png(LINEAR, pixels=clear)))).icc == load(png(LINEAR)).icc


def test_primaries_of_png_are_kept() -> None:
    pixels = np.full((4, 4, 3), (200, 100, 50), np.uint8)
    light = (pixels / 255) ** 2.2
    picture = load(png(chunk(b"gAMA", struct.pack(">I", 45_455)), P3_CHROMA, pixels=pixels))
    assert np.abs(seen(picture).astype(int) - srgb_of(light @ P3_TO_SRGB.T)).max() <= 2
    same = load(png(SRGB_CHROMA, pixels=pixels))
    assert np.abs(seen(same).astype(int) - pixels).max() <= 1, "sRGB's own primaries change nothing"


def test_what_overrules_gamma() -> None:
    """By the specification: cICP, then iCCP, then sRGB, then gAMA and cHRM."""
    plain = load(png(chunk(b"sRGB", b"\0"), LINEAR))
    assert plain.icc is None and plain.cicp == boxes.SRGB and chunks(encode(plain))[b"sRGB"] == b"\0"
    wide = load(png(chunk(b"cICP", b"\x0c\x0d\0\1"), LINEAR))
    assert wide.cicp == Cicp(12, 13, 0, 1) and wide.icc == colour.profile_of(Cicp(12, 13, 0, 1), 3)
    written = encode(wide)
    assert chunks(written)[b"cICP"] == b"\x0c\x0d\0\1" and b"iCCP" in chunks(written), "and for older viewers"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    named = load(png(chunk(b"iCCP", b"x\0\0" + zlib.compress(profile)), LINEAR))
    assert named.icc == profile and named.cicp is None


def test_hdr_is_said() -> None:
    picture = load(png(chunk(b"cICP", b"\x09\x10\0\1")))
    assert picture.lost == (structure.HDR,) and "HDR" in picture.notes[0]
    again = load(encode(picture))
    assert again.cicp == Cicp(9, 16, 0, 1) and picture.icc is None


NCLX = b"colrnclx" + struct.pack(">HHHB", 1, 13, 6, 0x80)


@pytest.mark.parametrize("kind", ["AVIF", "HEIC"])
def test_colours_of_avif_and_heic_are_kept(kind: str) -> None:
    data = pillow(smooth(), "AVIF") if kind == "AVIF" else REPRO.joinpath("orientation.heic").read_bytes()
    assert NCLX in data
    plain = load(data)
    assert plain.icc is None and plain.cicp == boxes.SRGB
    wide = load(data.replace(NCLX, NCLX.replace(b"nclx\0\1", b"nclx\0\x0c")))
    np.testing.assert_array_equal(wide.pixels, plain.pixels)
    assert wide.icc == colour.profile_of(Cicp(12, 13, 0, 1), 3)


@pytest.mark.parametrize("numbers", [(0.0,) * 8, (0.3127, 0.329) * 4, (1e9,) * 8])
def test_primaries_that_make_no_colours(numbers: tuple[float, ...]) -> None:
    assert colour.profile(numbers, 2.2, 3) is None


# --- orientation -----------------------------------------------------------------------------------------------------


def with_xmp(kind: str, body: bytes, **options: Any) -> bytes:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF>' + body + b"</rdf:RDF></x:xmpmeta>"
    if kind == "PNG":
        return png(chunk(b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + xmp))
    return pillow(smooth(), kind, xmp=xmp, **options)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "body", [b'<rdf:Description tiff:Orientation="6"/>', b"<tiff:Orientation>6</tiff:Orientation>"]
)
def test_orientation_in_xmp_alone_is_applied(kind: str, body: bytes) -> None:
    picture = load(with_xmp(kind, body))
    assert picture.orientation == 6 and (picture.height, picture.width) == (64, 48)
    again = load(encode(picture))
    assert again.orientation == 1 and again.pixels.shape == picture.pixels.shape, "turned twice"
    assert picture.xmp is not None and b"6" not in picture.xmp


def directory(*rows: tuple[int, int, int, int], behind: bytes = b"", order: str = "<") -> bytes:
    """EXIF of one directory: (tag, type, how many values, the four bytes as a number) each."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    packed = b"".join(
        struct.pack(order + "HHI", tag, kind, count) + struct.pack(order + {1: "B3x", 3: "H2x"}.get(kind, "I"), value)
        for tag, kind, count, value in rows
    )
    return head + struct.pack(order + "H", len(rows)) + packed + bytes(4) + behind


TURNED_BY_SIX = (0x0112, 3, 1, 6)
BROKEN_BEHIND = {
    "GPS points into nonsense": directory(TURNED_BY_SIX, (0x8825, 4, 1, 60), behind=b"\xff" * 200),
    "EXIF points into nonsense": directory(TURNED_BY_SIX, (0x8769, 4, 1, 60), behind=b"\xff" * 200),
    "a value shared by all": directory(TURNED_BY_SIX, *((0x9000 + k, 7, 400, 8) for k in range(300))),
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("broken", BROKEN_BEHIND)
def test_orientation_counts_whatever_is_broken_behind_it(kind: str, broken: str) -> None:
    """Browsers turn such a photo, so that a mask drawn on it would else fall on the wrong object."""
    data = pillow(smooth(30, 40), kind, exif=b"Exif\0\0" + BROKEN_BEHIND[broken])
    found = load(data)
    assert (found.orientation, found.width, found.height, found.exif) == (6, 30, 40, None)
    assert not image.header(data).certain
    with Image.open(io.BytesIO(data)) as opened:
        assert load(opened).orientation == 6


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("row", [(0x0112, 1, 1, 6), (0x0112, 3, 2, 6), (0x0112, 4, 1, 6), (0x0112, 13, 1, 6)])
def test_orientation_of_an_odd_type_is_reset_once_it_is_applied(row: tuple[int, int, int, int], order: str) -> None:
    data = pillow(smooth(30, 40), "PNG", exif=directory(row, order=order))
    once = load(data)
    assert (once.orientation, once.width) == (6, 30)
    assert not image.header(data).certain, "browsers know one type alone"
    twice = load(encode(once))
    assert (twice.orientation, twice.width) == (1, 30)
    np.testing.assert_array_equal(twice.pixels, once.pixels)


def test_exif_overrules_xmp() -> None:
    tags = Image.Exif()
    tags[0x0112] = 1
    data = with_xmp("JPEG", b'<rdf:Description tiff:Orientation="6"/>', exif=tags)
    assert load(data).orientation == 1
    assert load(REPRO / "xmp_orientation.jpg").pixels.shape == (60, 40, 3)


# --- what lies beside the picture ------------------------------------------------------------------------------------


def test_gain_map_is_said_and_no_longer_claimed() -> None:
    picture = load(REPRO / "uhdr.jpg")
    assert picture.lost == (structure.GAIN_MAP,) and "gain map" in picture.notes[0]
    assert picture.xmp is not None and b"hdrgm" not in picture.xmp and b"GainMap" not in picture.xmp
    written = encode(picture)
    assert b"GainMap" not in written and b"MPF\0" not in written and load(written).lost == ()


def test_motion_photo_is_said() -> None:
    video = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(500)
    claimed = b'<rdf:Description GCamera:MotionPhoto="1" GCamera:MicroVideoOffset="524" dc:title="Harbour"/>'
    picture = load(with_xmp("JPEG", claimed) + video)
    assert picture.lost == (structure.MOTION,) and picture.xmp is not None
    assert b"Motion" not in picture.xmp and b"MicroVideo" not in picture.xmp and b'dc:title="Harbour"' in picture.xmp
    assert load(pillow(smooth(), "JPEG") + video).lost == (structure.MOTION,), "without a claim too"
    assert load(pillow(smooth(), "JPEG") + b"harmless bytes behind").lost == ()


def test_what_lies_beside_a_heic_is_said() -> None:
    data = REPRO.joinpath("orientation.heic").read_bytes()
    assert load(data).lost == ()
    assert load(data + b"\0\0\0\x0cmpvd....").lost == (structure.MOTION,)
    assert boxes.read(data.replace(b"pict\0", b"tmap\0")).gain_map is False, "only an item is a gain map"
    assert boxes.read(data.replace(b"hvc1", b"tmap")).gain_map


def test_second_views_are_said() -> None:
    first = Image.fromarray(smooth())
    assert load(pillow(first, "MPO", save_all=True, append_images=[first])).lost == (structure.VIEWS,)


FLOODS = {
    "gaps": b" " * 900_000 + b"<",
    "open elements": b"<hdrgm:Version>" * 60_000,
    "open directories": b"<Container:Directory " * 40_000,
    "open quotes": b"<a" + b" hdrgm:a='" * 80_001,
    "names": b"<a " + b"x" * 900_000,
    "orientations": b"tiff:Orientation" + b" " * 900_000,
    "many claims": b'<a hdrgm:b="c"/>' * 50_000,
}


@pytest.mark.parametrize("name", FLOODS)
def test_xmp_costs_time_by_its_length_alone(name: str) -> None:
    """By one expression over all of it, each of these took hours; the limit of a test is its bar."""
    left, _ = structure._xmp(FLOODS[name])
    assert left is None or b"hdrgm:b" not in left
    structure.xmp_orientation(FLOODS[name])


def test_xmp_is_mended_only_where_it_claims() -> None:
    xmp = b"""<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:Description xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/"
      dc:title='a > b' hdrgm:Version = "1.0" dc:rights="hdrgm:x"><hdrgm:Gamma><rdf:Seq><rdf:li>1</rdf:li></rdf:Seq>
      </hdrgm:Gamma><dc:creator>Anna</dc:creator><hdrgm:Empty/></rdf:Description></x:xmpmeta>"""
    left, lost = structure._xmp(xmp)
    assert lost == {structure.GAIN_MAP} and left is not None
    assert b"Gamma" not in left and b"Empty" not in left and b"Seq" not in left
    for kept in (b"dc:title='a > b'", b'dc:rights="hdrgm:x"', b"<dc:creator>Anna</dc:creator></rdf:Description>"):
        assert kept in left
    assert structure._xmp(b"<a/>") == (b"<a/>", set())


def test_every_loss_has_a_sentence() -> None:
    keys = {structure.GAIN_MAP, structure.MOTION, structure.VIEWS, structure.EXTENDED, structure.HDR}
    assert keys == set(image.LOST) and all(text.endswith(".") for text in image.LOST.values())
    assert Picture(smooth()).notes == ()


# --- BMP and alpha ---------------------------------------------------------------------------------------------------


def test_bmp_of_16_bits() -> None:
    """5, 6 and 5 bits: its raw mode ends in ;16 too, but is no 16-bit colour."""
    data = REPRO.joinpath("rgb565.bmp").read_bytes()
    picture = load(data)
    np.testing.assert_array_equal(picture.pixels, np.asarray(Image.open(io.BytesIO(data))))
    assert picture.format == "BMP" and image.suffix(picture) == ".bmp"


def test_tiff_holds_four_gigabytes() -> None:
    picture = load(encode(Picture(smooth()), format="tif"))
    assert image.suffix(picture, size=(30_000, 30_000)) == ".tif"
    assert image.suffix(picture, size=(40_000, 40_000)) == ".png"


def test_what_a_format_cannot_hold_is_told_before_the_work(tmp_path: Path) -> None:
    clear = load(REPRO / "alpha.bmp")
    assert clear.transparent and image.output(clear) == "PNG" and image.suffix(clear) == ".png"
    assert load(encode(clear)).format == "PNG"
    for path, size, words in [
        ("a.bmp", None, "no transparency"),
        ("a.jpg", None, "no transparency"),
        ("a.webp", (20_000, 10), "16383 pixels"),
        ("a.xyz", None, "choose one of"),
        ("missing/a.png", None, "no folder"),
        (".", None, "is a folder"),
        ("x" * 300 + ".png", None, "too long"),
        ("x" * 5000, None, "too long"),
        ("a\0.png", None, "zero byte"),
    ]:
        with pytest.raises(ImageError, match=words) as caught:
            image.output(clear, tmp_path / path, size=size)
        assert len(str(caught.value)) < 1000
        if size is None:
            with pytest.raises(ImageError, match=words):
                save(clear, tmp_path / path)
    assert not list(tmp_path.iterdir())
    photo = load(pillow(smooth(), "JPEG"))
    assert image.suffix(photo) == ".jpg" and image.suffix(photo, size=(70_000, 9)) == ".png"
    assert image.output(photo, tmp_path / "a.png") == "PNG"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ImageError, match="read-only"):
        image.output(Picture(smooth()), tmp_path / "a.png")


@pytest.mark.parametrize("kind", ["JPEG", "BMP"])
@pytest.mark.parametrize("channels", [2, 4])
def test_opaque_alpha_is_no_transparency(kind: str, channels: int) -> None:
    pixels = np.dstack([smooth()[..., : channels - 1], np.full((48, 64), 255, np.uint8)])
    picture = load(encode(Picture(pixels)))
    assert picture.channels == channels and not picture.transparent
    assert load(encode(picture, format=kind)).alpha is None
    np.testing.assert_array_equal(load(encode(picture)).pixels, pixels, "PNG keeps the channel")


def test_bmp_whose_alpha_was_not_filled_in() -> None:
    data = bytearray(REPRO.joinpath("alpha.bmp").read_bytes())
    start = struct.unpack_from("<I", data, 10)[0]
    data[start + 3 :: 4] = bytes(len(data[start + 3 :: 4]))
    assert load(bytes(data)).alpha is None


# --- JPEG ------------------------------------------------------------------------------------------------------------


def photo(height: int, width: int, **options: Any) -> bytes:
    """A JPEG of saturated edges, which 4:2:0 blurs most."""
    rng = np.random.default_rng(3)
    small = rng.choice(np.array([0, 255], np.uint8), (height // 13 + 1, width // 13 + 1, 3))
    pixels = small.repeat(13, axis=0).repeat(13, axis=1)[:height, :width] * 0.8 + 25 * rng.random((height, width, 1))
    return pillow(pixels.astype(np.uint8), "JPEG", **options)


def loss(data: bytes, times: int, spot: int = 48) -> float:
    """PSNR (dB) of what is not touched, after so many repairs of one spot, each read from the file before."""
    before = load(data).pixels
    hole = np.zeros(before.shape[:2], bool)
    hole[spot : spot + 32, spot : spot + 32] = True
    for k in range(times):
        picture = load(data)
        pixels = picture.pixels.copy()
        pixels[hole] = 40 * (k + 1) % 256
        data = encode(picture.with_pixels(pixels))
    rim = 2  # pixels whose colours are interpolated with those of the hole
    hole[spot - rim : spot + 32 + rim, spot - rim : spot + 32 + rim] = True
    outside = (load(data).pixels.astype(float) - before)[~hole]
    return 10 * np.log10(255**2 / max(1e-9, (outside**2).mean()))


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("times", [1, 8])
def test_untouched_blocks_of_jpeg_stay(subsampling: int, times: int) -> None:
    """4:2:0 fell to 44 dB with one repair and 34 with eight: colours are interpolated, cut to RGB, averaged again."""
    assert loss(photo(160, 208, quality=90, subsampling=subsampling), times) > 50


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_jpeg_keeps_its_tables(orientation: int) -> None:
    """The steps of columns became those of rows, which cost 6 dB outside the mask."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    data = photo(160, 208, quality=80, exif=tags)
    picture = load(data)
    stored = Image.open(io.BytesIO(data))
    assert picture.jpeg is not None and isinstance(stored, JpegImagePlugin.JpegImageFile)
    tables = stored.quantization
    turned = [np.array(table).reshape(8, 8) for table in picture.jpeg.tables]
    for table, wanted in zip(turned, (np.array(tables[k]).reshape(8, 8) for k in (0, 1)), strict=True):
        np.testing.assert_array_equal(table, wanted.T if orientation > 4 else wanted)
    assert loss(data, 1) > 50


def test_turned_422_is_written_444() -> None:
    """2×1 becomes 1×2, which Pillow cannot write."""
    tags = Image.Exif()
    tags[0x0112] = 6
    picture = load(photo(64, 96, quality=90, subsampling=1, exif=tags))
    written = Image.open(io.BytesIO(encode(picture)))
    assert JpegImagePlugin.get_sampling(written) == 0 and written.size == (64, 96)


@pytest.mark.parametrize("width", [8, 9, 31, 64])
def test_narrowed_undoes_the_interpolation(width: int) -> None:
    """libjpeg's own interpolation of 4:2:2, undone: written with the same tables, it decodes to the same samples."""
    data = photo(40, width, quality=95, subsampling=1)
    wide = np.asarray(jpeg._ycbcr(data))
    narrow = jpeg._narrowed(wide[..., 1:]).astype(int)
    left = np.concatenate([narrow[:, :1], narrow[:, :-1]], 1)
    right = np.concatenate([narrow[:, 1:], narrow[:, -1:]], 1)
    again = np.stack([(left + 3 * narrow + 1) >> 2, (3 * narrow + right + 2) >> 2], 2).reshape(40, -1, 2)[:, :width]
    again[:, 0], again[:, -1] = narrow[:, 0], again[:, -1] if width % 2 else narrow[:, -1]
    assert (again == wide[..., 1:]).mean() > 0.999 and np.abs(again - wide[..., 1:]).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (7, 8), (17, 33)])
@pytest.mark.parametrize("options", [{}, {"subsampling": 1}, {"progressive": True}, {"keep_rgb": True}])
def test_small_jpeg_is_written_again(size: tuple[int, int], options: dict[str, Any]) -> None:
    picture = load(photo(*size, quality=90, **options))
    again = load(encode(picture))
    assert again.pixels.shape == picture.pixels.shape
    assert np.abs(again.pixels.astype(int) - picture.pixels).mean() < 8


# --- TIFF ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tag", [0x0111, 0x0117, 0x0116, 0x0100, 0x0102])
def test_tiff_without_all_its_strips(tag: int) -> None:
    """A strip that is missing, empty or behind the end would leave pixels that come from nowhere."""
    data = bytearray(
        encode(Picture(np.arange(4_000_000, dtype=np.uint32).astype(np.uint8).reshape(2000, 2000, 1)), format="tif")
    )
    first, _ = ifd.directory(bytes(data), ifd.first(bytes(data)))
    entry = next(entry for entry in first if entry.tag == tag)
    where = entry.at if tag in (0x0111, 0x0117) else bytes(data).rindex(entry.raw) + 8
    worse = {0x0111: 1 << 30, 0x0117: 0, 0x0116: 1, 0x0100: 1 << 30, 0x0102: 7}[tag]
    data[where : where + 4] = struct.pack("<I", worse)
    with pytest.raises(ImageError):
        load(bytes(data))


def test_tiff_without_resolution() -> None:
    assert load(encode(Picture(smooth()), format="tif")).dpi is None


def test_pages_keep_their_own_metadata() -> None:
    pages = [Image.fromarray(smooth(20 + k, 30)) for k in range(3)]
    data = pillow(pages[0], "TIFF", save_all=True, append_images=pages[1:], description="scan", dpi=(300, 300))
    third = load(data, frame=3)
    assert third.pixels.shape == (22, 30, 3)
    assert third.dpi is not None and round(third.dpi[0]) == 300 and third.pil().getexif()[0x010E] == "scan"


# --- frames ----------------------------------------------------------------------------------------------------------


def animation(kind: str, **options: Any) -> tuple[bytes, list[np.ndarray]]:
    frames = [np.full((10, 12, 3), 80 * k, np.uint8) for k in range(3)]
    for k, frame in enumerate(frames):
        frame[:, 3 * k : 3 * k + 3, 0] = 255
    drawn = [Image.fromarray(frame) for frame in frames]
    return pillow(drawn[0], kind, save_all=True, append_images=drawn[1:], **options), frames


@pytest.mark.parametrize(
    ("kind", "options"),
    [("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("AVIF", {"quality": 100, "subsampling": "4:4:4"})],
)  # fmt: skip
def test_one_frame_can_be_chosen(kind: str, options: dict[str, Any]) -> None:
    data, frames = animation(kind, **options)
    assert image.header(data)[:4] == (kind, 12, 10, 3)
    with pytest.raises(ImageError, match=r"3 frames or pages; choose one of them by its number, 1 to 3"):
        load(data)
    for k, frame in enumerate(frames):
        pixels = load(data, frame=k + 1).pixels[..., :3].astype(int)
        assert np.abs(pixels - frame).max() <= (12 if kind == "AVIF" else 0), k
    for wrong in (0, 4, -1, 10**20):
        with pytest.raises(ImageError, match=f"choose a number from 1 to 3, not {wrong}"):
            load(data, frame=wrong)


def test_a_frame_behind_too_many_large_ones() -> None:
    frame = b",\0\0\0\0\x01\0\x01\0\0\x02\x02L\x01\0"
    data = b"GIF89a" + struct.pack("<HH", 10_000, 10_000) + b"\x80\0\0" + bytes(6) + frame * 500 + b";"
    assert image.header(data).frames == 500
    with pytest.raises(ImageError, match="behind too many"):
        load(data, frame=500)


def test_header_of_a_turned_photo() -> None:
    tags = Image.Exif()
    tags[0x0112] = 6
    assert image.header(pillow(smooth(), "JPEG", exif=tags)) == ("JPEG", 48, 64, 1, 6, True)
    with pytest.raises(ImageError, match="not a picture"):
        image.header(b"hello, this is no picture at all")


# --- HEIC ------------------------------------------------------------------------------------------------------------


def test_heic_is_read() -> None:
    """24 rows of 32 pixels, turned by the container, with EXIF and XMP."""
    picture = load(REPRO / "orientation.heic")
    expected = np.rot90(np.stack([*np.mgrid[:24, :32][::-1] * np.array([8, 10])[:, None, None]], -1), -1)
    assert picture.pixels.shape == (32, 24, 3) and picture.format == "HEIF" and not picture.lossless
    assert np.abs(picture.pixels[..., :2].astype(int) - expected).mean() < 12
    assert picture.pil().getexif()[0x010F] == "Camera" and picture.pil().getexif()[0x0112] == 1
    assert picture.xmp is not None and b"Harbour" in picture.xmp
    assert image.suffix(picture) == ".jpg" and load(encode(picture)).pixels.shape == (32, 24, 3)
    assert image.header(REPRO / "orientation.heic")[:4] == ("HEIF", 24, 32, 1)
    with pytest.raises(ImageError, match="choose one of"):
        encode(picture, format="heic")


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "its decoder gave up"),
        ("import time; time.sleep(60)", "too long"),
        ("import sys; sys.exit('no such tile')", "no such tile"),
    ],
)
def test_a_heic_decoder_that_falls_over(program: str, words: str, tmp_path: Path, monkeypatch: Any) -> None:
    """Damaged files do that to it; it must not take the page along."""
    tmp_path.joinpath("fails.py").write_text(program, "utf-8")
    monkeypatch.setattr(heif, "__file__", str(tmp_path / "fails.py"))
    monkeypatch.setattr(heif, "SECONDS", 0.5)
    with pytest.raises(ImageError, match=words):
        load(REPRO / "orientation.heic")


def test_heic_larger_than_its_header_says() -> None:
    data = REPRO.joinpath("orientation.heic").read_bytes()
    at = data.index(b"ispe") + 8
    small = data[:at] + struct.pack(">II", 4, 4) + data[at + 8 :]
    with pytest.raises(ImageError):
        load(small)


# --- names and limits ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x" * 251 + ".png", "图" * 83 + ".png", "x" * 245 + ".png"])
def test_names_as_long_as_the_file_system_allows(name: str, tmp_path: Path) -> None:
    path = save(Picture(smooth()), tmp_path / name)
    assert load(path).width == 64 and list(tmp_path.iterdir()) == [path]
    repaired = image.beside(path, "repaired", ".png")
    assert repaired.parent == tmp_path and repaired.name.endswith(".repaired.png")
    assert len(os.fsencode(repaired.name)) <= 255
    save(Picture(smooth()), repaired)
    assert image.beside("a/photo.jpg", "x4", ".png") == Path("a/photo.x4.png")


def test_odd_names_are_told_on_one_line(tmp_path: Path) -> None:
    odd = tmp_path / "two\nlines.png"
    odd.write_bytes(b"no picture")
    for path in (odd, tmp_path / "no\nsuch.png"):
        with pytest.raises(ImageError) as caught:
            load(path)
        assert "\n" not in str(caught.value)


def test_long_paths_are_told_shortly() -> None:
    with pytest.raises(ImageError) as caught:
        load("x" * 100_000)
    assert len(str(caught.value)) < 300


def riff(*parts: tuple[bytes, bytes]) -> bytes:
    body = b"WEBP" + b"".join(name + struct.pack("<I", len(part)) + part + bytes(len(part) % 2) for name, part in parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def test_webp_is_measured_before_its_canvas_is_made() -> None:
    """libwebp makes room for the canvas, twice, as it is opened: 2 GB for 16,383² pixels, in a file of 100 bytes."""
    side = (16_382).to_bytes(3, "little")
    still = pillow(smooth(8, 8), "WEBP")[12:]
    frame = bytes(6) + (7).to_bytes(3, "little") * 2 + bytes(4) + still
    data = riff((b"VP8X", b"\2\0\0\0" + side + side), (b"ANIM", bytes(6)), (b"ANMF", frame), (b"ANMF", frame))
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match="16383×16383; the limit here"):
            load(data)
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()
    for kind in ("VP8 ", "VP8L"):
        simple = pillow(smooth(8, 9), "WEBP", lossless=kind == "VP8L")
        assert structure.take_apart(simple, "WEBP").size == (9, 8)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "HEIC", "TIFF", "GIF", "BMP"])
def test_limits_are_checked_on_the_header_of_every_format(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = REPRO.joinpath("orientation.heic").read_bytes() if kind == "HEIC" else pillow(smooth(24, 32), kind)

    def never(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(image.codec, "decode", never)
    for tight, words in [
        (Limits(bytes=10**6, megapixels=0.0007, side=100), "megapixels"),
        (Limits(bytes=10**6, megapixels=1, side=31), "31 pixels a side"),
        (Limits(bytes=60, megapixels=1, side=100), "MB, the limit"),
    ]:
        with pytest.raises(ImageError, match=words):
            load(data, limits=tight)
