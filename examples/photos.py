"""Photos for the examples: those of a folder, and samples that need no download.

    .venv/bin/python examples/photos.py photos           eight photos, from a cat to a rocket
    .venv/bin/python examples/photos.py people --faces   two people, several photos of each

The samples are those that scikit-image, scikit-learn and matplotlib bring with them.
"""

import argparse
from pathlib import Path

from PIL import Image, ImageEnhance, ImageOps


def photos_below(folder: Path) -> dict[str, Path]:
    """The photos of a folder and its subfolders, in order: name within it, to path."""
    suffixes = {".jpg", ".jpeg", ".png", ".webp"}
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in suffixes)
    if not found:
        raise SystemExit(f"{folder} holds no photos")
    return {str(path.relative_to(folder)): path.resolve() for path in found}


def write_photos(folder: Path) -> None:
    """Writes eight photos, named by what they show."""
    from skimage import data
    from sklearn.datasets import load_sample_images

    palace, flower = load_sample_images().images
    pixels = {"astronaut": data.astronaut(), "cat": data.cat(), "coffee": data.coffee()}
    pixels |= {"rocket": data.rocket(), "motorcycle": data.stereo_motorcycle()[0]}
    pixels |= {"photographer": data.camera(), "palace": palace, "flower": flower}
    for name, values in pixels.items():
        Image.fromarray(values).save(folder / f"{name}.jpg", quality=95)


def write_faces(folder: Path) -> None:
    """Writes Eileen Collins and Grace Hopper, changed copies of both, both in one, and a cat."""
    from matplotlib.cbook import get_sample_data
    from skimage import data

    collins = Image.fromarray(data.astronaut())
    hopper = Image.open(get_sample_data("grace_hopper.jpg", asfileobj=False))
    both = Image.new("RGB", (collins.width + hopper.width, max(collins.height, hopper.height)))
    both.paste(collins, (0, 0))
    both.paste(hopper, (collins.width, 0))
    photos = {"both": both, "cat": Image.fromarray(data.cat())}
    photos |= _copies("collins", collins) | _copies("hopper", hopper)
    for name, photo in photos.items():
        photo.save(folder / f"{name}.jpg", quality=95)


def _copies(name: str, photo: Image.Image) -> dict[str, Image.Image]:
    width, height = photo.size
    return {
        name: photo,
        f"{name}-mirrored": ImageOps.mirror(photo),
        f"{name}-bright": ImageEnhance.Brightness(photo).enhance(1.4),
        f"{name}-cropped": photo.crop((width // 7, 0, width * 9 // 10, height * 3 // 4)),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write sample photos to a folder.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--faces", action="store_true", help="people instead of all sorts")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    (write_faces if given.faces else write_photos)(given.folder)
    print(f"{len(photos_below(given.folder))} photos in {given.folder}")
