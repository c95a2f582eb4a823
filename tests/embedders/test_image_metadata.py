"""Pictures with much metadata, and decoders that keep quiet."""

import io
import os
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from embedders.errors import InvalidItemError
from embedders.images import decode

EXAMPLES = 10_000 if os.environ.get("LATENTSPACE_LONG") else 100
PIXELS = np.random.default_rng(1).integers(0, 256, (24, 31, 3), dtype=np.uint8)
PICTURE = Image.fromarray(PIXELS)
LARGE = b"x" * (6 << 20)


def encoded(form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    PICTURE.save(buffer, form, **options)
    return buffer.getvalue()


def texts(**named: str) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    for name, text in named.items():
        info.add_text(name, text, zip=True)
        info.add_itxt(f"i{name}", text, zip=True)
    return info


def chunk(kind: bytes, body: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + body))
    return struct.pack(">I", len(body)) + kind + body + checksum


def with_chunks(*chunks: bytes) -> bytes:
    """The picture as PNG, its additional chunks behind the head."""
    plain = encoded("PNG")
    return plain[:33] + b"".join(chunks) + plain[33:]


def test_a_png_with_a_large_text_or_profile() -> None:
    for options in ({"pnginfo": texts(a="y" * (3 << 20))}, {"icc_profile": LARGE}):
        data = encoded("PNG", **options)
        with pytest.raises((ValueError, SyntaxError), match="too large"):
            Image.open(io.BytesIO(data)).load()
        np.testing.assert_array_equal(np.asarray(decode(data)), PIXELS)
    many = texts(**{f"n{i}": "z" * (1 << 20) for i in range(40)})
    np.testing.assert_array_equal(np.asarray(decode(encoded("PNG", pnginfo=many))), PIXELS)


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("TIFF", {"icc_profile": LARGE, "description": "d" * (3 << 20)}),
        ("TIFF", {"icc_profile": LARGE, "compression": "tiff_lzw"}),
        ("WEBP", {"icc_profile": LARGE, "xmp": LARGE, "lossless": True}),
        ("GIF", {"comment": LARGE}),
        ("JPEG", {"icc_profile": LARGE, "comment": b"c" * 60_000}),
    ],
)
def test_large_metadata_of_other_formats(form: str, options: dict[str, object]) -> None:
    plain = {"lossless": True} if form == "WEBP" else {}
    expected = np.asarray(decode(encoded(form, **plain)))
    np.testing.assert_array_equal(np.asarray(decode(encoded(form, **options))), expected)


def test_a_jpeg_with_many_segments() -> None:
    data = encoded("JPEG")
    body = (65_000).to_bytes(2) + b"Q" * 64_998
    segments = b"".join(b"\xff" + bytes([0xE0 + i % 16]) + body for i in range(150))
    found = np.asarray(decode(data[:2] + segments + data[2:]))
    np.testing.assert_array_equal(found, np.asarray(decode(data)))


@pytest.mark.parametrize("size", [0, 3 << 20])
def test_the_orientation_in_a_text_stays_but_for_a_large_one(size: int) -> None:
    xmp = f'<x:xmpmeta tiff:Orientation="6">{"p" * size}</x:xmpmeta>'
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp, zip=True)
    info.add_text("other", "o" * (2 << 20), zip=True)
    turned = decode(encoded("PNG", pnginfo=info))
    assert turned.size == ((31, 24) if size else (24, 31))


def test_a_zlib_bomb_in_a_text_costs_nothing() -> None:
    bomb = zlib.compress(bytes(200 << 20), 9)
    for body in (b"a\0\0" + bomb, b"XML:com.adobe.xmp\0\1\0\0\0" + bomb):
        kind = b"zTXt" if body.startswith(b"a") else b"iTXt"
        found = np.asarray(decode(with_chunks(chunk(kind, body))))
        np.testing.assert_array_equal(found, PIXELS)


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    chunks=st.lists(
        st.tuples(
            st.sampled_from([b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"tIME", b"prVt"]),
            st.one_of(
                st.binary(max_size=60),
                st.binary(max_size=20).map(lambda b: b"XML:com.adobe.xmp\0\1\0\0\0" + b),
                st.integers(0, 2 << 20).map(lambda n: b"a\0\0" + zlib.compress(bytes(n))),
            ),
        ),
        max_size=6,
    )
)
def test_no_chunk_of_metadata_changes_the_picture(chunks: list[tuple[bytes, bytes]]) -> None:
    data = with_chunks(*(chunk(kind, body) for kind, body in chunks if kind != b"tIME"))
    np.testing.assert_array_equal(np.asarray(decode(data)), PIXELS)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits"])
def test_libtiff_writes_nothing(compression: str, capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(encoded("TIFF", compression=compression))
    for place in range(200, len(data) - 300, 97):
        data[place] ^= 0x5A
    with suppress(InvalidItemError):
        decode(bytes(data))
    assert capfd.readouterr().err == ""
