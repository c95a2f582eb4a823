"""Parts of CLIP training: an image tower learns beside a frozen text tower."""
