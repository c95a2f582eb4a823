"""Untrusted image files to upright RGB pictures, for every family that reads images."""

from embedders.images.cost import patch_cost
from embedders.images.decoding import decode
from embedders.images.limits import DEFAULT_LIMITS, MOST_PIXELS, ImageLimits

__all__ = ["DEFAULT_LIMITS", "MOST_PIXELS", "ImageLimits", "decode", "patch_cost"]
