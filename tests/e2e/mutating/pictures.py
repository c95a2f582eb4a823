"""Image files that no careful program would write."""

import io
import random
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import skimage.data
from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
SIDE = 24
BROKEN_EACH = 4


def pictures(chance: random.Random) -> list[bytes]:
    """Sound files of many kinds, hostile ones, and broken copies of both."""
    sound = list(_sound(chance))
    files = [*faces(), *sound, *_hostile(), *_wrong_exif()]
    broken = [_broken(chance, file) for file in files for _ in range(BROKEN_EACH)]
    return [*files, *broken]


def faces() -> list[bytes]:
    """One face, and two in one picture."""
    one = np.asarray(Image.fromarray(skimage.data.astronaut()).resize((256, 256)))
    return [_file(Image.fromarray(many), "JPEG") for many in (one, np.hstack([one, one]))]


def _sound(chance: random.Random) -> Iterator[bytes]:
    rgb = _noise(chance, (SIDE, SIDE, 3))
    for form in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"):
        yield _file(rgb, form)
    for mode in (
        "1",
        "L",
        "LA",
        "P",
        "PA",
        "RGBA",
        "CMYK",
        "YCbCr",
        "LAB",
        "HSV",
        "I",
        "F",
        "I;16",
    ):
        yield from _in_mode(rgb, mode)
    for size in ((1, 1), (1, 90), (90, 1), (1, 101), (2, 2), (3, 299), (640, 480)):
        yield _file(rgb.resize(size), "PNG")
        yield _file(rgb.resize(size), "JPEG")
    frames = [_noise(chance, (9, 9, 3)) for _ in range(4)]
    yield _file(frames[0], "GIF", save_all=True, append_images=frames[1:])
    yield _file(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    yield _file(frames[0], "PNG", save_all=True, append_images=frames[1:])
    yield _file(rgb, "JPEG", progressive=True)
    yield _file(rgb.convert("P"), "PNG", transparency=0)
    yield _file(Image.new("RGB", (64, 64)), "PNG")
    yield _file(rgb, "TIFF", compression="tiff_lzw")


def _in_mode(image: Image.Image, mode: str) -> Iterator[bytes]:
    try:
        changed = image.convert("L").convert(mode) if mode == "I;16" else image.convert(mode)
    except ValueError:
        return
    for form in ("PNG", "JPEG", "TIFF", "BMP"):
        try:
            yield _file(changed, form)
        except (OSError, KeyError, ValueError, SystemError):
            continue


def _hostile() -> Iterator[bytes]:
    row = b"\0" * 301
    yield _png(100, 100, row * 100)
    # headers that claim what the data do not hold
    for width, height in (
        (1 << 31 - 1, 1 << 31 - 1),
        (100_000, 100_000),
        (0, 5),
        (5, 0),
        (8000, 7999),
    ):
        yield _png(width, height, row)
    # a bomb: 64 million pixels of nothing in 60 kB, and one over the limit
    yield _png(8000, 8000, bytes(8000 * 8001 // 8), depth=1, colour=0)
    yield _png(30_000, 30_000, bytes(1000), depth=1, colour=0)
    for depth, colour in ((16, 2), (16, 0), (16, 6), (3, 2), (8, 9), (1, 3), (255, 255)):
        yield _png(10, 10, bytes(10 * 81), depth=depth, colour=colour)
    yield _png(10, 10, bytes(310), text=b"A" * 3_000_000)
    yield _gif_of(65_535, 65_535)
    yield _gif_of(1, 1)
    yield b"BM" + struct.pack(
        "<IHHIIiiHHIIiiII", 70, 0, 0, 54, 40, 1 << 30, -(1 << 31), 1, 24, *[0] * 6
    )
    yield b"II*\0" + struct.pack("<IH", 8, 0xFFFF) + b"\xff" * 200
    yield b"II*\0" + struct.pack("<I", 8) + struct.pack("<HHHIII", 1, 256, 4, 1, 5, 8)
    yield b"RIFF\xff\xff\xff\x7fWEBPVP8X" + b"\xff" * 40
    yield b"<svg xmlns='http://www.w3.org/2000/svg'/>"
    yield b"%PDF-1.4\n"
    yield b"P6 9999999 9999999 255\n"
    yield b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"
    yield b"\xff\xd8\xff" + b"\xff" * 2000
    yield b"\xff\xd8" + b"\xff\xe1\xff\xff" * 300
    yield SIGNATURE
    yield b"\0" * 5000


def _wrong_exif() -> Iterator[bytes]:
    image = Image.new("RGB", (12, 7), (9, 99, 199))
    for orientation in (0, 3, 5, 6, 8, 9, 65_535):
        exif = Image.Exif()
        exif[0x0112] = orientation
        yield _file(image, "JPEG", exif=exif)
    for blob in (
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0" + b"\xff" * 900,
        b"Exif\0\0MM\0*" + bytes(9),
    ):
        yield _file(image, "JPEG", exif=blob)
        yield _file(image, "WEBP", exif=blob)
    yield _file(image, "JPEG", icc_profile=b"\xff" * 3000)


def _broken(chance: random.Random, data: bytes) -> bytes:
    spoiled = bytearray(data)
    for _ in range(chance.choice([1, 3, 20])):
        # the first bytes say most
        reach = len(spoiled) if chance.random() < 0.5 else min(64, len(spoiled))
        if reach:
            spoiled[chance.randrange(reach)] = chance.randrange(256)
    keep = len(spoiled) if chance.random() < 0.6 else chance.randrange(len(spoiled) + 1)
    return bytes(spoiled[:keep])


def _noise(chance: random.Random, shape: Sequence[int]) -> Image.Image:
    rng = np.random.default_rng(chance.randrange(1 << 30))
    return Image.fromarray(rng.integers(0, 256, tuple(shape), dtype=np.uint8))


def _file(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def _png(
    width: int, height: int, rows: bytes, depth: int = 8, colour: int = 2, text: bytes = b""
) -> bytes:
    header = struct.pack(
        ">IIBBBBB", width & 0xFFFFFFFF, height & 0xFFFFFFFF, depth, colour, 0, 0, 0
    )
    parts = [_chunk(b"IHDR", header)]
    if text:
        parts.append(_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(text, 9)))
    parts += [_chunk(b"IDAT", zlib.compress(rows, 9)), _chunk(b"IEND", b"")]
    return SIGNATURE + b"".join(parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _gif_of(width: int, height: int) -> bytes:
    screen = struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    image = b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02L\x01\0;"
    return b"GIF89a" + screen + image
