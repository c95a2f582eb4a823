"""Ten everyday classes, grouped from the photos of ImageNet's classes; none of them is learnt from.

The groups were chosen before anything was measured: things of everyday life that look unlike each
other and have at least five photos among the samples, at most twelve taken of each.
"""

from collections.abc import Mapping

EVERYDAY: Mapping[str, tuple[str, ...]] = {
    "dog": (
        *("beagle", "golden retriever", "German shepherd", "pug", "dalmatian", "Siberian husky"),
        *(
            "Chihuahua",
            "standard poodle",
            "Rottweiler",
            "Border collie",
            "Great Dane",
            "Pomeranian",
        ),
    ),
    "cat": ("tabby", "tiger cat", "Persian cat", "Siamese cat", "Egyptian cat"),
    "bird": (
        *("robin", "jay", "magpie", "goldfinch", "bald eagle", "hummingbird", "toucan", "macaw"),
        *("flamingo", "pelican", "goose", "ostrich"),
    ),
    "fish": (
        *("tench", "goldfish", "barracouta", "coho", "rock beauty", "anemone fish", "sturgeon"),
        *("gar", "lionfish", "puffer"),
    ),
    "butterfly": (
        *("admiral", "ringlet", "monarch", "cabbage butterfly", "sulphur butterfly", "lycaenid"),
    ),
    "car": (
        *("beach wagon", "cab", "convertible", "jeep", "limousine", "minivan", "Model T", "racer"),
        *("sports car", "ambulance"),
    ),
    "boat": (
        *("canoe", "catamaran", "fireboat", "gondola", "lifeboat", "schooner", "speedboat"),
        *("trimaran", "yawl", "liner"),
    ),
    "train": (
        *("bullet train", "electric locomotive", "steam locomotive", "freight car"),
        *("passenger car",),
    ),
    "fruit": (
        *("Granny Smith", "strawberry", "orange", "lemon", "fig", "pineapple", "banana"),
        *("jackfruit", "custard apple", "pomegranate"),
    ),
    "shoe": ("clog", "cowboy boot", "Loafer", "running shoe", "sandal"),
}


def class_of(label: str) -> str | None:
    """The everyday class of an ImageNet label, if it is of one."""
    return next((name for name, labels in EVERYDAY.items() if label in labels), None)
