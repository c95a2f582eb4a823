"""Family "clip": texts and images in one space, with any open_clip model."""
