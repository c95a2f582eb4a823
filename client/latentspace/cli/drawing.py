"""Texts and thumbnails on a Pillow image."""

from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Box = tuple[int, int, int, int]

PAGE, PANEL, LINE = "#ffffff", "#f3f4f6", "#d7dbe0"
INK, MUTED, ACCENT = "#14181f", "#6b7280", "#1d4ed8"
# wide in scripts, and on most machines; Pillow's own has Latin letters only
FONTS = ("DejaVuSans.ttf", "Arial Unicode.ttf", "Arial.ttf")
RADIUS = 8
ELLIPSIS = "..."


@lru_cache
def font(size: int) -> Font:
    """A sans-serif font, `size` pixels high."""
    for name in FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


def thumbnail(path: Path, side: int) -> Image.Image | None:
    """An image upright in RGB, at most `side` pixels wide and high; None where it is none."""
    try:
        with Image.open(path) as opened:
            opened.draft("RGB", (2 * side, 2 * side))  # a JPEG is decoded smaller
            upright = ImageOps.exif_transpose(opened).convert("RGBA")
    # Pillow raises all of these on damaged files
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    fitted = ImageOps.contain(upright, (side, side), Image.Resampling.LANCZOS)
    page = Image.new("RGBA", fitted.size, PAGE)
    return Image.alpha_composite(page, fitted).convert("RGB")


def place_thumbnail(page: Image.Image, path: Path | None, box: Box) -> bool:
    """Draws an image in the middle of a panel, or an empty frame; whether it is the image."""
    draw = ImageDraw.Draw(page)
    left, top, right, bottom = box
    picture = thumbnail(path, right - left) if path else None
    if picture is None:
        draw.rounded_rectangle(box, RADIUS, outline=LINE, width=2)
        return False
    draw.rounded_rectangle(box, RADIUS, fill=PANEL)
    x = left + (right - left - picture.width) // 2
    y = top + (bottom - top - picture.height) // 2
    page.paste(picture, (x, y), _rounded(picture.size))
    return True


def _rounded(size: tuple[int, int]) -> Image.Image:
    """A mask with round corners, smooth since it is drawn larger."""
    large = Image.new("L", (4 * size[0], 4 * size[1]), 0)
    box = (0, 0, large.width - 1, large.height - 1)
    ImageDraw.Draw(large).rounded_rectangle(box, 4 * RADIUS, fill=255)
    return large.resize(size, Image.Resampling.BOX)


def shortened(text: str, face: Font, width: int) -> str:
    """A line that fits; the end of a name tells more than its beginning."""
    text = " ".join(text.split())
    if face.getlength(text) <= width:
        return text
    # a bound, so that a long text is not measured letter by letter
    text = text[-4 * width // 5 :]
    while text and face.getlength(ELLIPSIS + text) > width:
        text = text[1:]
    return ELLIPSIS + text


def wrapped(text: str, face: Font, width: int, most: int) -> list[str]:
    """Up to `most` lines of words; the last ends in an ellipsis where more were left."""
    lines: list[str] = []
    for word in text[: most * width].split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and face.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    if len(lines) > most:
        lines = [*lines[: most - 1], f"{lines[most - 1]} {ELLIPSIS}"]
    return [_cut(line, face, width) for line in lines]


def _cut(line: str, face: Font, width: int) -> str:
    if face.getlength(line) <= width:
        return line
    while line and face.getlength(line + ELLIPSIS) > width:
        line = line[:-1]
    return line + ELLIPSIS
