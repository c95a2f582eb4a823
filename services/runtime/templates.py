"""Named lists of sentences that put a label into words, with "{}" where it goes."""

from collections.abc import Iterator, Mapping
from itertools import product

SLOT = "{}"
ARTICLES = ("a", "the")


def imagenet() -> Iterator[str]:
    """The 80 templates that CLIP was evaluated with on ImageNet (Radford and others, 2021)."""
    looks = (
        "bad, low resolution, cropped, bright, dark, close-up, black and white, pixelated,"
        " jpeg corrupted, blurry, good"
    )
    for look, article in product(looks.split(", "), ARTICLES):
        yield f"a {look} photo of {article} {{}}."
    kinds = "hard to see, clean, dirty, cool, nice, weird, large, small"
    for kind, article in product(kinds.split(", "), ARTICLES):
        yield f"a photo of {article} {kind} {{}}."
    works = "sculpture, rendering, drawing, painting, doodle, sketch, rendition, tattoo"
    for work, article in product(works.split(", "), ARTICLES):
        yield f"a {work} of {article} {{}}."
    for material, article in product(
        ("embroidered", "plastic", "origami", "toy", "cartoon", "plushie"), ARTICLES
    ):
        yield f"{article} {material} {{}}."
    for art, article in product(("graffiti", "art", "itap", "a photo"), ARTICLES):
        yield f"{art} of {article} {{}}."
    for article in ARTICLES:
        yield f"{article} {{}} in a video game."
    yield "itap of my {}."
    for count in ("my", "one", "many"):
        yield f"a photo of {count} {{}}."


TEMPLATE_SETS: Mapping[str, tuple[str, ...]] = {
    "imagenet": tuple(imagenet()),
    "plain": ("a photo of a {}",),
}
