"""How `clip-lite` is made: features of a frozen image tower, and two maps fitted on them."""
