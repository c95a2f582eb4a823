"""Background work: sealing, building, merging, and giving memory and disk back."""
