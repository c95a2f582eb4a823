"""What a picture costs a forward pass, in the unit that texts are counted in."""

PATCH = 16


def patch_cost(width: int, height: int) -> int:
    """Patches of 16 x 16 pixels, rounded up; one costs a vision tower about what a token costs."""
    return -(-width // PATCH) * -(-height // PATCH)
