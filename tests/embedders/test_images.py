"""Decoding against Pillow's own orientation and known pictures; limits; hostile files."""

import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from embedders.errors import InvalidItemError, ItemError, ItemTooLargeError
from embedders.images import ImageLimits, decode, patch_cost

LOSSLESS = ("PNG", "BMP", "TIFF")
ALL = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def pixels(image: Image.Image) -> NDArray[np.int32]:
    return np.asarray(image).astype(np.int32)


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    """A smooth picture, wider than high, that no turn or flip leaves unchanged."""
    x, y = np.meshgrid(np.linspace(0, 200, 64), np.linspace(0, 150, 48))
    return Image.fromarray(np.stack([x, y, x / 2 + y / 2], axis=2).astype(np.uint8))


@pytest.mark.parametrize("form", ALL)
def test_every_format_gives_the_picture(picture: Image.Image, form: str) -> None:
    found = decode(encoded(picture, form))
    assert found.mode == "RGB"
    assert found.size == picture.size
    error = np.abs(pixels(found) - pixels(picture)).mean()
    assert error == 0 if form in LOSSLESS else error < 4


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(picture: Image.Image, form: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(picture, form, exif=exif)
    with Image.open(io.BytesIO(data)) as opened:
        expected = ImageOps.exif_transpose(opened).convert("RGB")
    found = decode(data)
    assert found.size == ((48, 64) if orientation > 4 else (64, 48))
    np.testing.assert_array_equal(pixels(found), pixels(expected))


def test_an_unknown_orientation_and_damaged_exif_are_ignored(picture: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = 77
    assert decode(encoded(picture, "JPEG", exif=exif)).size == (64, 48)
    assert decode(encoded(picture, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")).size == (64, 48)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
def test_alpha_is_laid_over_white(form: str) -> None:
    layer = np.zeros((4, 4, 4), np.uint8)
    layer[:2] = (200, 100, 0, 255)
    layer[2:, :2] = (0, 0, 0, 128)
    found = pixels(decode(encoded(Image.fromarray(layer), form, lossless=True)))
    np.testing.assert_array_equal(found[0, 0], (200, 100, 0))
    np.testing.assert_allclose(found[3, 0], 127, atol=1)
    np.testing.assert_array_equal(found[3, 3], (255, 255, 255))


def test_transparent_colours_of_palettes_greys_and_rgb_become_white() -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([0, 0, 0, 10, 20, 30])
    palette.putpixel((1, 0), 1)
    for form in ("GIF", "PNG"):
        found = pixels(decode(encoded(palette, form, transparency=0)))
        np.testing.assert_array_equal(found[0], [(255, 255, 255), (10, 20, 30)])
    grey = Image.fromarray(np.array([[7, 9]], np.uint8))
    found = pixels(decode(encoded(grey, "PNG", transparency=7)))
    np.testing.assert_array_equal(found[0], [(255, 255, 255), (9, 9, 9)])
    colour = Image.fromarray(np.array([[(1, 2, 3), (4, 5, 6)]], np.uint8))
    found = pixels(decode(encoded(colour, "PNG", transparency=(1, 2, 3))))
    np.testing.assert_array_equal(found[0], [(255, 255, 255), (4, 5, 6)])


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_cmyk(picture: Image.Image, form: str) -> None:
    found = decode(encoded(picture.convert("CMYK"), form))
    assert np.abs(pixels(found) - pixels(picture)).mean() < 4


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_keep_their_upper_eight(form: str) -> None:
    values = np.array([[0, 255, 256, 0x7FFF, 0xFFFF]], np.uint16)
    found = pixels(decode(encoded(Image.fromarray(values), form)))
    np.testing.assert_array_equal(found[0, :, 0], values[0] >> 8)
    assert (found[..., 0] == found[..., 2]).all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "YCbCr"])
def test_other_modes(picture: Image.Image, mode: str) -> None:
    image = picture.convert(mode)
    found = decode(encoded(image, "TIFF"))
    assert np.abs(pixels(found) - pixels(image.convert("RGB"))).mean() < 2


@pytest.mark.parametrize("mode", ["I", "F"])
def test_32_bits_a_pixel_are_refused_with_the_cure(mode: str) -> None:
    with pytest.raises(InvalidItemError, match="8 or 16 bits"):
        decode(encoded(Image.new(mode, (4, 4)), "TIFF"))


def test_the_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    for form in ("GIF", "WEBP", "TIFF", "PNG"):
        data = encoded(frames[0], form, save_all=True, append_images=frames[1:])
        red, _, blue = pixels(decode(data))[4, 4]
        assert red > 200 > 50 > blue, form


def test_the_result_outlives_its_bytes(picture: Image.Image) -> None:
    found = decode(encoded(picture, "PNG"))
    assert found.resize((5, 5)).getpixel((0, 0)) is not None
    assert found.copy().size == (64, 48)


@pytest.mark.parametrize("form", ALL)
def test_truncated_files_are_refused(picture: Image.Image, form: str) -> None:
    data = encoded(picture, form)
    for part in (0.1, 0.5, 0.8):
        with pytest.raises(InvalidItemError):
            decode(data[: int(len(data) * part)])


@pytest.mark.parametrize(
    "data", [b"", b"x", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"<svg/>", b"%PDF-1.7"]
)
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidItemError):
        decode(data)


def test_formats_that_nobody_asked_for_stay_closed(picture: Image.Image) -> None:
    for form in ("PPM", "ICO", "TGA", "PCX", "EPS"):
        with pytest.raises(InvalidItemError, match="one of: JPEG"):
            decode(encoded(picture, form))


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header claims any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(bytes(1 << 20)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [8_001, 10_000, 14_000, 60_000])
def test_decompression_bombs_are_refused_by_their_header(
    side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decoding(*_: object) -> None:
        raise AssertionError("the bomb was decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decoding)
    with pytest.raises(ItemTooLargeError, match="pixels"):
        decode(bomb(side, side))


def test_limits() -> None:
    data = encoded(Image.new("RGB", (20, 10)), "PNG")
    assert decode(data, ImageLimits(len(data), 200)).size == (20, 10)
    with pytest.raises(ItemTooLargeError, match=f"{len(data)} bytes, at most {len(data) - 1}"):
        decode(data, ImageLimits(len(data) - 1))
    with pytest.raises(ItemTooLargeError, match="20 x 10 pixels, at most 199"):
        decode(data, ImageLimits(max_pixels=199))
    with pytest.raises(ItemTooLargeError, match="more than 100 times"):
        decode(encoded(Image.new("RGB", (1, 101)), "PNG"))
    assert decode(encoded(Image.new("RGB", (1, 1)), "PNG")).size == (1, 1)


def test_a_large_jpeg_may_be_decoded_smaller(picture: Image.Image) -> None:
    data = encoded(picture.resize((640, 480)), "JPEG", quality=95)
    small = decode(data, at_least=100)
    assert small.size == (160, 120)
    assert np.abs(pixels(small) - pixels(picture.resize((160, 120)))).mean() < 4
    assert decode(data).size == (640, 480)
    assert decode(encoded(picture, "JPEG"), at_least=100).size == (64, 48)
    assert decode(encoded(picture, "PNG"), at_least=8).size == (64, 48)


@given(
    form=st.sampled_from(ALL),
    cut=st.integers(0, 4000),
    changes=st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), max_size=8),
)
@settings(max_examples=300, deadline=None)
@pytest.mark.filterwarnings("ignore")
def test_damage_gives_a_picture_or_an_item_error(
    form: str, cut: int, changes: list[tuple[int, int]]
) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (12, 17, 3), dtype=np.uint8)
    data = bytearray(encoded(Image.fromarray(noise), form))
    for place, value in changes:
        data[place % len(data)] = value
    with suppress(ItemError):
        assert decode(bytes(data[: max(1, cut % (2 * len(data)))])).mode == "RGB"


def test_many_threads_at_once(picture: Image.Image) -> None:
    files = [encoded(picture.rotate(10 * i), ALL[i % len(ALL)]) for i in range(30)]
    alone = [pixels(decode(data)) for data in files]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(decode, files * 5))
    for i, found in enumerate(together):
        np.testing.assert_array_equal(pixels(found), alone[i % len(files)])


def test_patch_cost_counts_patches() -> None:
    assert patch_cost(224, 224) == 196
    assert patch_cost(225, 1) == 15
