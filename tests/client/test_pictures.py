"""One picture as a path, as bytes, as a Pillow image and as numpy pixels gives one vector."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from latentspace import Client, InvalidArgumentError
from latentspace.images import image_bytes
from tests.long import examples

ORIENTATION = 0x0112
# files that servers read, and the modes that Pillow writes in them
FILES = [
    *(("JPEG", mode) for mode in ("L", "RGB", "CMYK")),
    *(("PNG", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
    *(("TIFF", mode) for mode in ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK")),
    *(("TIFF", mode) for mode in ("YCbCr", "LAB", "I;16", "I;16B")),
    *(("WEBP", mode) for mode in ("RGB", "RGBA")),
    *(("GIF", mode) for mode in ("L", "P")),
    *(("BMP", mode) for mode in ("1", "L", "P", "RGB")),
]
UPRIGHT_ONLY = {"GIF", "BMP"}
ARRAYS = {"1", "L", "LA", "RGB", "RGBA", "I;16"}


def picture(mode: str, seed: int = 0, size: tuple[int, int] = (40, 31)) -> Image.Image:
    """Four quarters of random colours, so that a turn shows in the vector."""
    rng = np.random.default_rng(seed)
    colours = rng.integers(0, 256, (2, 2, 4), np.uint8)
    image = Image.fromarray(colours, "RGBA").resize(size, Image.Resampling.NEAREST)
    if mode.startswith("I;16"):
        grey = np.asarray(image.convert("L")).astype(np.uint16) * 256 + 77
        pixels = grey.astype(">u2" if mode == "I;16B" else "<u2")
        return Image.frombytes(mode, size, pixels.tobytes())
    if mode in ("LA", "RGBA"):
        return image.convert(mode)
    if mode == "PA":
        return image.convert("RGB").convert("P").convert("PA")
    if mode == "LAB":
        return Image.frombytes("LAB", size, np.asarray(image.convert("RGB")).tobytes())
    return image.convert("RGB").convert(mode)


def encoded(image: Image.Image, format: str, orientation: int = 1, **options: Any) -> bytes:
    buffer = io.BytesIO()
    if format not in UPRIGHT_ONLY:
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        options["exif"] = exif.tobytes()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def address(shipped: str) -> str:
    return shipped


@pytest.fixture(scope="module")
def clip(shipped: str) -> Iterator[Client]:
    with Client(shipped) as client:
        yield client


def check(client: Client, data: bytes, tmp_path: Path) -> None:
    """Embeds a file in every form, and compares."""
    path = tmp_path / "picture"
    path.write_bytes(data)
    loaded = Image.open(io.BytesIO(data))
    loaded.load()
    upright = ImageOps.exif_transpose(loaded)
    # Pillow 13 maps plain TIFF files into memory with sides that it has turned already: garbled
    lazy = Image.open(io.BytesIO(data) if loaded.format == "TIFF" else path)
    forms: list[Any] = [path, str(path), data, lazy, loaded, upright, loaded.copy()]
    if loaded.mode in ARRAYS and "transparency" not in loaded.info:
        forms.append(np.asarray(upright))
    rows = client.embed("clip", images=forms)
    np.testing.assert_allclose(rows, np.tile(rows[:1], (len(forms), 1)), atol=2e-6)


@pytest.mark.parametrize(("format", "mode"), FILES)
def test_modes(clip: Client, tmp_path: Path, format: str, mode: str) -> None:
    check(clip, encoded(picture(mode), format, 6), tmp_path)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_orientations(clip: Client, tmp_path: Path, format: str, orientation: int) -> None:
    check(clip, encoded(picture("RGB", 3), format, orientation), tmp_path)


def test_turns_change_the_vector(clip: Client) -> None:
    files = [encoded(picture("RGB", 3), "PNG", orientation) for orientation in range(1, 9)]
    rows = clip.embed("clip", images=[Image.open(io.BytesIO(data)) for data in files])
    assert np.linalg.norm(rows[1:] - rows[0], axis=1).min() > 1e-3


def test_a_turn_survives_what_keeps_exif(clip: Client) -> None:
    data = encoded(picture("RGB", 3), "JPEG", 8, quality=95)
    image = Image.open(io.BytesIO(data))
    upright = ImageOps.exif_transpose(image)
    rows = clip.embed("clip", images=[image.convert("RGB"), image.copy(), np.asarray(upright)])
    np.testing.assert_allclose(rows, np.tile(rows[2], (3, 1)), atol=2e-6)


def transparent_files() -> dict[str, bytes]:
    palette, grey = picture("RGBA").quantize(8), picture("L")
    return {
        "palette with a transparent colour": encoded(picture("P"), "PNG", transparency=3),
        "palette with alphas": encoded(picture("P"), "PNG", transparency=bytes(range(0, 250, 25))),
        "palette of RGBA": encoded(palette, "PNG"),
        "transparent grey": encoded(grey, "PNG", transparency=grey.getpixel((0, 0))),
        "transparent colour": encoded(
            picture("RGB"), "PNG", transparency=picture("RGB").getpixel((0, 0))
        ),
        "transparent 16 bits": encoded(picture("I;16"), "PNG", transparency=77),
        "GIF": encoded(picture("P"), "GIF", transparency=2),
        "WebP": encoded(picture("RGBA"), "WEBP", lossless=True),
    }


@pytest.mark.parametrize("name", transparent_files())
def test_transparency(clip: Client, tmp_path: Path, name: str) -> None:
    check(clip, transparent_files()[name], tmp_path)


@pytest.mark.parametrize(("mode", "source"), [("HSV", "RGB"), ("RGBa", "RGBA"), ("La", "LA")])
def test_modes_that_no_file_has(clip: Client, mode: str, source: str) -> None:
    image = picture(source)
    converted = image.convert(mode)
    back = converted.convert("RGB" if mode == "HSV" else source)
    rows = clip.embed("clip", images=[converted, back])
    np.testing.assert_allclose(rows[0], rows[1], atol=2e-6)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pixels_of_32_bits_are_refused(clip: Client, tmp_path: Path, mode: str) -> None:
    image = picture("L").convert(mode)
    path = tmp_path / "wide.tiff"
    image.save(path)
    for form in (image, path):
        with pytest.raises(InvalidArgumentError, match=r"bits|no agreed values"):
            clip.embed("clip", image=form)


def test_arrays_of_other_dtypes(clip: Client) -> None:
    pixels = np.asarray(picture("RGB"))
    grey = np.asarray(picture("L"))
    forms: list[Any] = [
        pixels,
        pixels / 255,
        (pixels / 255).astype(np.float32),
        pixels.astype(np.uint16) * 256 + 9,
        pixels.astype(">u2") * 257,
        np.asfortranarray(pixels),
        np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)]),
        np.ma.masked_array(pixels),
    ]
    rows = clip.embed("clip", images=forms)
    np.testing.assert_allclose(rows, np.tile(rows[0], (len(forms), 1)), atol=2e-6)
    greys = clip.embed("clip", images=[grey, grey[:, :, None], np.dstack([grey] * 3), grey / 255])
    np.testing.assert_allclose(greys, np.tile(greys[0], (4, 1)), atol=2e-6)
    black = clip.embed("clip", images=[grey > 99, (grey > 99).astype(np.uint8) * 255])
    np.testing.assert_allclose(black[0], black[1], atol=2e-6)


@pytest.mark.parametrize(
    ("pixels", "problem"),
    [
        (np.zeros((4, 4), np.int64), "int64"),
        (np.zeros((4, 4), np.int8), "int8"),
        (np.zeros((4, 4, 3), np.complex64), "complex64"),
        (np.zeros((4, 4), object), "object"),
        (np.zeros((4, 4), "datetime64[s]"), "datetime64"),
        (np.full((4, 4), 1.5), r"\[0, 1\]"),
        (np.full((4, 4), -0.01), r"\[0, 1\]"),
        (np.full((4, 4), np.nan), r"\[0, 1\]"),
        (np.full((4, 4, 3), 200.0), "divide by 255"),
        (np.zeros((3, 8, 9), np.uint8), r"transpose\(1, 2, 0\)"),
        (np.zeros((4, 4, 5), np.uint8), "1 to 4"),
        (np.zeros((2, 4, 4, 3), np.uint8), "one by one"),
        (np.zeros((0, 4), np.uint8), "height"),
        (np.zeros(4, np.uint8), "height"),
        (np.ma.masked_less(np.zeros((4, 4), np.uint8), 1), "masked"),
    ],
)
def test_arrays_that_are_no_pictures(pixels: Any, problem: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"image: .*{problem}"):
        image_bytes(pixels)


def test_addresses_are_not_fetched() -> None:
    with pytest.raises(InvalidArgumentError, match="nothing is fetched"):
        image_bytes("https://example.com/a.jpg")


@settings(
    max_examples=examples(15),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.sampled_from(FILES),
    st.integers(1, 8),
    st.integers(0, 1000),
    st.tuples(st.integers(8, 70), st.integers(8, 70)),
)
def test_any_picture(
    clip: Client,
    tmp_path: Path,
    kind: tuple[str, str],
    orientation: int,
    seed: int,
    size: tuple[int, int],
) -> None:
    format, mode = kind
    check(clip, encoded(picture(mode, seed, size), format, orientation), tmp_path)
